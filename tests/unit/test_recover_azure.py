"""Recovery of an Azure region without an engine: what is the stack's own, and what ARM is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from azure.mgmt.compute import models as compute
from azure.mgmt.trafficmanager import TrafficManagerManagementClient

from sandbox.azure_native import AZURE_NATIVE
from spillway.errors import SpillwayError
from spillway.preflight.azure import AzureSubscription
from spillway.preflight.azure_calls import ARM
from spillway.recovery import azure
from spillway.recovery import azure_types as types
from spillway.recovery.azure import Thing
from spillway.recovery.azure_arm import ArmInventory
from spillway.recovery.model import UNHANDLED, UNKNOWN, Existing, Planned, Scope
from tests.support.azure import SUBSCRIPTION
from tests.support.loopback import Answer, Request, serving
from tests.support.memory_cloud import MemoryCloud
from tests.support.recovery_clouds import decided, ids, planned

STACK = "azure-eastus"
NAME = "spillway-azure-eastus"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{NAME}"
MINE = {"spillway-stack": STACK}
PRINCIPAL = "11111111-1111-4111-8111-111111111111"
GUID = "22222222-2222-4222-8222-222222222222"
WRITTEN = {"resourceGroupName": NAME}


def at(path: str) -> str:
    return f"{GROUP}/providers/{path}"


VNET = Thing(types.VNET, at("Microsoft.Network/virtualNetworks/vnet"), MINE)
SUBNET = Thing(types.SUBNET, f"{VNET.id}/subnets/nodes")
ACCOUNT = Thing(types.STORAGE, at("Microsoft.Storage/storageAccounts/models"), MINE)
CONTAINER = Thing(types.CONTAINER, f"{ACCOUNT.id}/blobServices/default/containers/models")
IDENTITY = Thing(types.IDENTITY, at("Microsoft.ManagedIdentity/userAssignedIdentities/node"), MINE, principal=PRINCIPAL)
ROLE = Thing(
    types.ROLE_ASSIGNMENT,
    f"{CONTAINER.id}/providers/Microsoft.Authorization/roleAssignments/{GUID}",
    principal=PRINCIPAL,
)
BUDGET = Thing(types.BUDGET, at(f"Microsoft.Consumption/budgets/{NAME}"))
OWN_GROUP = Thing(types.GROUP, GROUP, MINE)
THINGS = [OWN_GROUP, VNET, SUBNET, ACCOUNT, CONTAINER, IDENTITY, ROLE, BUDGET]

GROUP_PLAN = planned(types.GROUP, WRITTEN)
VNET_PLAN = planned(types.VNET, {**WRITTEN, "virtualNetworkName": "vnet"})
ACCOUNT_PLAN = planned(types.STORAGE, {**WRITTEN, "accountName": "models"})
CONTAINER_PLAN = planned(
    types.CONTAINER,
    {"resourceGroupName": UNKNOWN, "accountName": UNKNOWN, "containerName": "models"},
    resourceGroupName=GROUP_PLAN,
    accountName=ACCOUNT_PLAN,
)
IDENTITY_PLAN = planned(types.IDENTITY, {**WRITTEN, "resourceName": "node"})
ROLE_PLAN = planned(
    types.ROLE_ASSIGNMENT,
    {"scope": UNKNOWN, "roleAssignmentName": GUID, "principalId": UNKNOWN},
    scope=CONTAINER_PLAN,
    principalId=IDENTITY_PLAN,
)
BUDGET_PLAN = planned(types.BUDGET, {"scope": UNKNOWN, "budgetName": NAME}, scope=GROUP_PLAN)
SUBNET_PLAN = planned(
    types.SUBNET,
    {**WRITTEN, "virtualNetworkName": UNKNOWN, "subnetName": "nodes"},
    virtualNetworkName=VNET_PLAN,
)
PLAN = [
    GROUP_PLAN, VNET_PLAN, SUBNET_PLAN, ACCOUNT_PLAN, CONTAINER_PLAN, IDENTITY_PLAN, ROLE_PLAN, BUDGET_PLAN,
]  # fmt: skip


def found(things: list[Thing], *plan: Planned) -> list[Existing]:
    return azure.complete(things, Scope(STACK, plan))


# Types


def test_every_type_is_one_of_the_sdk_and_its_id_is_what_the_provider_makes_of_its_names() -> None:
    assert set(types.BY_TOKEN) <= set(AZURE_NATIVE.kinds)
    checked = 0
    cloud = MemoryCloud("global", SUBSCRIPTION, AZURE_NATIVE)
    cloud.stand_in(types.GROUP, GROUP, name=NAME)
    cloud.stand_in(types.STORAGE, ACCOUNT.id, **WRITTEN, accountName="models", name="models")
    cloud.stand_in(types.WEB_APP, at("Microsoft.Web/sites/models"), **WRITTEN, name="models")
    from sandbox.kinds import Args

    for token, row in types.BY_TOKEN.items():
        names = {name: "models" for name in row.names if not name.startswith("=")}
        if token in (types.BLOB_SERVICE, "azure-native:storage:ManagementPolicy"):
            names["blobServicesName"] = names["managementPolicyName"] = "default"
        inputs = {**WRITTEN, "scope": GROUP, **names}
        made = AZURE_NATIVE.kinds[token].new_id(Args(inputs), cloud)
        place = types.Places(Scope(STACK), SUBSCRIPTION).of(planned(token, inputs))
        assert place is not None
        assert place.lower() == made.lower(), token
        assert types.RULES.key(token, inputs) == types.arm_key(made)
        checked += 1
    assert checked == len(types.TABLE)


def test_ids_are_known_before_anything_exists_and_through_what_the_state_has() -> None:
    places = types.Places(Scope(STACK, PLAN), SUBSCRIPTION)
    assert [places.of(item) for item in PLAN] == [
        thing.id for thing in (OWN_GROUP, VNET, SUBNET, ACCOUNT, CONTAINER, IDENTITY, ROLE, BUDGET)
    ]
    later = types.Places(Scope(STACK, [ROLE_PLAN], ids={CONTAINER_PLAN.urn: CONTAINER.id}), SUBSCRIPTION)
    assert later.of(ROLE_PLAN) == ROLE.id
    assert types.Places(Scope(STACK, [ROLE_PLAN]), SUBSCRIPTION).of(ROLE_PLAN) is None
    itself = planned(types.SUBNET, {**WRITTEN, "virtualNetworkName": UNKNOWN, "subnetName": "x"}, "x")
    circle = replace(itself, dependencies={"virtualNetworkName": (itself.urn,)})
    assert types.Places(Scope(STACK, [circle]), SUBSCRIPTION).of(circle) is None


# Whose it is


def test_a_region_whose_state_is_lost_is_taken_in_in_one_go() -> None:
    done = decided(PLAN, found(THINGS, *PLAN), types.RULES)
    assert ids(done) == {thing.id for thing in THINGS}
    assert (done.orphans, done.left) == ([], [])


def test_however_their_case_is_ids_mean_the_same() -> None:
    shouted = [replace(thing, id=thing.id.replace(NAME, NAME.upper())) for thing in THINGS]
    assert len(decided(PLAN, found(shouted, *PLAN), types.RULES).adopt) == len(PLAN)
    owned = {"urn": "urn:pulumi:s::p::t::v", "type": types.VNET, "custom": True, "id": VNET.id.upper()}
    assert not decided([], found([VNET]), types.RULES, owned).orphans


def test_names_that_another_stack_has_are_problems_with_all_that_is_in_them() -> None:
    theirs = [replace(thing, tags={"spillway-stack": "other"}) if thing.tags else thing for thing in THINGS]
    theirs[THINGS.index(ROLE)] = replace(ROLE, principal="somebody")
    done = decided(PLAN, found(theirs, *PLAN), types.RULES)
    assert not done.adopt
    assert not done.orphans
    assert len(done.left) == len(THINGS)
    assert all(left.problem and left.reason == azure.THEIRS for left in done.left)
    assert found(theirs) == [], "in no plan, so nobody's business"


def test_what_no_plan_has_is_deleted_by_its_tag_and_what_holds_weights_secrets_or_others_is_not() -> None:
    vault = Thing(types.VAULT, at("Microsoft.KeyVault/vaults/v"), MINE)
    done = decided([], found([*THINGS, vault]), types.RULES)
    assert {e.id for e in done.orphans} == {VNET.id, IDENTITY.id}
    reasons = {left.resource.id: (left.problem, left.reason) for left in done.left}
    assert reasons[GROUP] == (True, azure.WHOLE_GROUP)
    assert reasons[ACCOUNT.id] == (True, azure.HELD[types.STORAGE])
    assert reasons[vault.id] == (True, azure.HELD[types.VAULT])
    assert reasons[ROLE.id] == (False, azure.STRAY_ROLE)


def test_a_role_that_a_person_gave_to_the_stacks_identity_is_said_and_stays() -> None:
    extra = replace(ROLE, id=ROLE.id.replace(GUID, GUID.replace("2", "3")))
    stranger = replace(extra, id=extra.id + "0", principal="somebody")
    done = decided(PLAN, found([*THINGS, extra, stranger], *PLAN), types.RULES)
    assert not done.orphans
    assert [(left.resource.id, left.problem) for left in done.left] == [(extra.id, False)]


def test_disks_of_a_pool_go_with_it_and_what_nobody_here_knows_is_named() -> None:
    disk = Thing("Microsoft.Compute/disks", at("Microsoft.Compute/disks/spot_0_OsDisk"), MINE)
    unknown = Thing("Microsoft.Cache/redis", at("Microsoft.Cache/redis/c"), MINE)
    theirs = Thing("Microsoft.Cache/redis", at("Microsoft.Cache/redis/d"))
    done = decided([], found([disk, unknown, theirs]), types.RULES)
    assert [(left.resource.id, left.reason, left.problem) for left in done.left] == [
        (disk.id, azure.POOLED, False),
        (unknown.id, UNHANDLED, True),
    ]


def test_a_type_that_cannot_be_looked_up_is_named_with_what_to_do() -> None:
    plan = planned("azure-native:cache:Redis", {**WRITTEN, "name": "c"}, "cache")
    (left,) = decided([plan], [], types.RULES).left
    assert not left.problem
    assert "`pulumi import azure-native:cache:Redis cache ID`" in left.reason


# What ARM is asked


class Resources:
    """A subscription's resources by id, as ARM tells them: names in any case, two to a page."""

    def __init__(self, bodies: Mapping[str, Mapping[str, Any]], denied: str = "") -> None:
        self.bodies = {id.lower(): {"id": id, **body} for id, body in bodies.items()}
        self.denied = denied
        self.hidden: Mapping[str, Mapping[str, Any]] = {}  # what no list shows yet
        self.asked: list[str] = []

    def answer(self, request: Request) -> Answer:
        assert request.method == "GET", "recovery only looks"
        assert request.query["api-version"]
        path = request.path.lower()
        self.asked.append(path)
        if self.denied and self.denied.lower() in path:
            error = {"error": {"code": "AuthorizationFailed", "message": "does not have authorization"}}
            return self._told(403, error)
        listed = self._listed(path)
        if listed is not None:
            start = int(request.query.get("skip", "0"))
            body: dict[str, Any] = {"value": listed[start : start + 2]}
            if start + 2 < len(listed):
                body["nextLink"] = f"{ARM}{request.path}?api-version=1&skip={start + 2}"
            return self._told(200, body)
        found = self.bodies.get(path) or self.hidden.get(path)
        return self._told(200, found) if found else self._told(404, {"error": {"code": "ResourceNotFound"}})

    def _listed(self, path: str) -> list[Mapping[str, Any]] | None:
        group, _, kind = path.rpartition("/")
        if kind == "resources":
            inside = [body for id, body in self.bodies.items() if id.startswith(f"{group}/providers/")]
            return [body for body in inside if str(body["id"]).count("/") == 8 and "tags" in body]
        if kind == "roleassignments":
            return [body for id, body in self.bodies.items() if "/roleassignments/" in id]
        return None

    @staticmethod
    def _told(status: int, body: Mapping[str, Any]) -> Answer:
        return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


class Credential:
    def get_token(self, *scopes: str, **more: Any) -> AccessToken:
        return AccessToken("token", 4_000_000_000)


@contextmanager
def asked(bodies: Mapping[str, Mapping[str, Any]], denied: str = "") -> Iterator[tuple[ArmInventory, Resources]]:
    """The SDK's client with all its policies, over the wire; only the host is another."""
    fake = Resources(bodies, denied)
    with serving(fake) as root:

        class Here(RequestsTransport):  # type: ignore[misc]
            def send(self, request: Any, **more: Any) -> Any:
                request.url = request.url.replace(ARM, root)
                return super().send(request, **more)

        client = TrafficManagerManagementClient(Credential(), SUBSCRIPTION, transport=Here(), retry_total=0)
        yield ArmInventory(SUBSCRIPTION, AzureSubscription(SUBSCRIPTION, client)), fake


def body(thing: Thing, type: str, **properties: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"type": type, "properties": properties}
    return {**told, "tags": dict(thing.tags)} if thing.tags else told


SET_ID = at("Microsoft.Compute/virtualMachineScaleSets/spot")
SCALE_SET = compute.VirtualMachineScaleSet(location="eastus", tags=MINE, sku=compute.Sku(name="x", capacity=0))
BODIES: Mapping[str, Mapping[str, Any]] = {
    GROUP: {"tags": MINE},
    VNET.id.replace(NAME, NAME.upper()): body(VNET, "Microsoft.Network/virtualNetworks"),
    SUBNET.id: body(SUBNET, "Microsoft.Network/virtualNetworks/subnets"),
    ACCOUNT.id: body(ACCOUNT, "Microsoft.Storage/storageAccounts"),
    CONTAINER.id: body(CONTAINER, "Microsoft.Storage/storageAccounts/blobServices/containers"),
    IDENTITY.id: body(IDENTITY, "Microsoft.ManagedIdentity/userAssignedIdentities", principalId=PRINCIPAL),
    ROLE.id: body(ROLE, "Microsoft.Authorization/roleAssignments", principalId=PRINCIPAL),
    BUDGET.id: body(BUDGET, "Microsoft.Consumption/budgets"),
    SET_ID: {"type": "Microsoft.Compute/virtualMachineScaleSets", **SCALE_SET.as_dict()},
    at("Microsoft.Insights/smartDetectorAlertRules/made-by-azure"): {"type": "microsoft.insights/x", "tags": {}},
    # Made by Application Insights; a policy that hands down tags does not make them the stack's.
    at("Microsoft.AlertsManagement/smartDetectorAlertRules/Failure Anomalies - fallback"): {
        "type": "microsoft.alertsmanagement/smartDetectorAlertRules",
        "tags": MINE,
    },
    at("Microsoft.Insights/actionGroups/Application Insights Smart Detection"): {
        "type": "microsoft.insights/actiongroups",
        "tags": MINE,
    },
}


def test_the_group_is_listed_and_what_the_plan_makes_is_asked_for_by_its_id() -> None:
    with asked(BODIES) as (inventory, arm):
        listed = inventory.existing(Scope(STACK, PLAN))
        done = decided(PLAN, listed, types.RULES)
    assert ids(done) == {thing.id for thing in THINGS}, "in the plan's spelling, whatever ARM's is"
    assert [e.id for e in done.orphans] == [SET_ID]
    assert not done.left
    assert all(path.startswith(GROUP.lower()) for path in arm.asked), "nobody else's group is looked at"


def test_a_group_that_is_not_there_is_all_that_is_asked_for() -> None:
    with asked({}) as (inventory, arm):
        assert inventory.existing(Scope(STACK, PLAN)) == []
    assert arm.asked == [GROUP.lower()]


def test_what_the_list_does_not_show_yet_is_found_by_its_id() -> None:
    """A scale set that was made a moment ago: the list lags, a GET does not."""
    bodies = {id: body for id, body in BODIES.items() if id != SET_ID}
    late = planned(types.SCALE_SET, {**WRITTEN, "vmScaleSetName": "spot"})
    with asked(bodies) as (inventory, arm):
        arm.hidden = {SET_ID.lower(): {"id": SET_ID, **BODIES[SET_ID]}}
        done = decided([late], inventory.existing(Scope(STACK, [*PLAN, late])), types.RULES)
    assert SET_ID in ids(done)


def test_what_arm_denies_is_one_line() -> None:
    with asked(BODIES, denied="roleAssignments") as (inventory, _), pytest.raises(SpillwayError) as told:
        inventory.existing(Scope(STACK, PLAN))
    (line,) = str(told.value).splitlines()
    assert line.startswith(f"listing what exists in the subscription {SUBSCRIPTION}: ")
