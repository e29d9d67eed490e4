"""Recovery of a Google Cloud region without an engine: what is the stack's own, and what Google is asked."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import compute_v1, secretmanager_v1

from sandbox.gcp import GCP
from sandbox.gcp.api import ATTRIBUTION
from spillway.errors import SpillwayError
from spillway.recovery import gcp, gcp_api
from spillway.recovery import gcp_types as types
from spillway.recovery.gcp import Thing
from spillway.recovery.model import UNKNOWN, Existing, Planned, Scope
from tests.support.gcp_stack import Deployment
from tests.support.loopback import Answer, Request, serving
from tests.support.recovery_clouds import decided, ids, planned

STACK = "gcp-us-central1"
PROJECT, REGION = "spillway-test", "us-central1"
HERE = f"projects/{PROJECT}/regions/{REGION}"
MINE = {"spillway-stack": STACK}


def name(suffix: str) -> str:
    return f"spillway-{STACK}-{suffix}"


def found(
    things: list[Thing], *plan: Planned, owned: list[tuple[str, Mapping[str, Any]]] | None = None
) -> list[Existing]:
    return gcp.complete(things, Scope(STACK, plan, owned or []))


def thing(token: str, suffix: str, /, **more: Any) -> Thing:
    row = next(row for row in types.COMPUTE if row.token == token)
    region = REGION if row.regional else ""
    return Thing(token, row.id(PROJECT, REGION, name(suffix)), {"name": name(suffix)}, region=region, **more)


ROUTER = thing(types.ROUTER, "router")
NAT = Thing(
    types.ROUTER_NAT, f"{ROUTER.id}/{name('nat')}", {"router": name("router"), "name": name("nat")}, region=REGION
)
ROUTER_PLAN = planned(types.ROUTER, {"name": name("router"), "region": REGION})
NAT_PLAN = planned(types.ROUTER_NAT, {"name": name("nat"), "router": UNKNOWN, "region": REGION}, router=ROUTER_PLAN)


# Types


def test_every_type_of_a_region_is_looked_up_or_may_be_made_again() -> None:
    deployment = Deployment()
    deployment.up()
    made = {token for token, _ in deployment.made}
    assert made <= types.KNOWN | types.REPEATABLE
    assert not types.KNOWN & types.REPEATABLE
    assert set(GCP.kinds) >= types.KNOWN | types.REPEATABLE, "none is misspelt"


def test_ids_are_those_of_the_states_and_keys_are_told_alike_by_plans_and_by_the_cloud() -> None:
    deployment = Deployment()
    deployment.up()
    for (token, _), resource in deployment.made.items():
        row = next((row for row in types.COMPUTE if row.token == token), None)
        if row is not None:
            assert row.id(PROJECT, REGION, resource["name"]) == resource.id
        assert types.RULES.key(token, resource.inputs) == types.RULES.key(token, resource.outputs)
    (nat,) = [r for (token, _), r in deployment.made.items() if token == types.ROUTER_NAT]
    assert types.nat_id(f"{HERE}/routers/{nat['router']}/{nat['name']}") == nat.id


def importable(token: str) -> str:
    """What the SDK's own documentation says of importing a type."""
    _, place, title = token.split(":")
    module = place.partition("/")[0]
    loaded = importlib.import_module(f"pulumi_gcp.{module}")
    return inspect.getsource(getattr(loaded, title))


@pytest.mark.parametrize("row", types.COMPUTE, ids=lambda row: row.token)
def test_import_ids_have_the_form_that_the_sdk_documents(row: types.Computed) -> None:
    if row.token == types.GROUP:  # its page shows the bare name; the provider's source has the path
        return
    form = row.id("{{project}}", "{{region}}", "{{name}}")
    assert f"{row.token} default {form}" in importable(row.token)


@pytest.mark.parametrize(
    ("token", "form"),
    [
        (types.ROUTER_NAT, "projects/{{project}}/regions/{{region}}/routers/{{router}}/{{name}}"),
        (types.SECRET, "projects/{{project}}/secrets/{{secret_id}}"),
        (types.FUNCTION, "projects/{{project}}/locations/{{location}}/functions/{{name}}"),
        (types.JOB, "projects/{{project}}/locations/{{region}}/jobs/{{name}}"),
        (types.BUDGET, "billingAccounts/{{billing_account}}/budgets/{{name}}"),
        (types.CHANNEL, "{{name}}"),
    ],
)
def test_so_have_those_of_other_services(token: str, form: str) -> None:
    assert f"{token} default {form}" in importable(token)


def test_what_takes_no_import_needs_none() -> None:
    assert "does not support import" in importable("gcp:storage/bucketObject:BucketObject")
    assert "gcp:storage/bucketObject:BucketObject" in types.REPEATABLE


# Whose it is


def test_under_a_planned_name_what_carries_no_labels_is_taken_in_with_its_parts() -> None:
    plan = [ROUTER_PLAN, NAT_PLAN]
    done = decided(plan, found([ROUTER, NAT], *plan), types.RULES)
    assert ids(done) == {ROUTER.id, NAT.id}
    assert (done.orphans, done.left) == ([], [])


def test_a_gateway_is_known_by_the_state_in_the_form_that_it_has_there() -> None:
    owned = {
        "urn": "urn:pulumi:s::spillway::gcp:compute/routerNat:RouterNat::nat", "type": types.ROUTER_NAT, "custom": True,
        "id": f"{PROJECT}/{REGION}/{name('router')}/{name('nat')}", "outputs": {},
    }  # fmt: skip
    listed = found([ROUTER, NAT], ROUTER_PLAN, NAT_PLAN)
    assert NAT.id not in ids(decided([ROUTER_PLAN], listed, types.RULES, owned))
    assert not decided([ROUTER_PLAN], listed, types.RULES, owned).orphans


def test_what_carries_labels_is_the_stacks_by_its_label_alone() -> None:
    plan = planned(types.ADDRESS, {"name": name("lb"), "region": REGION})
    theirs = thing(types.ADDRESS, "lb", labels={"spillway-stack": "gcp-us-central1-b"})
    assert not found([theirs]), "in no plan, so nobody's business"
    (left,) = decided([plan], found([theirs], plan), types.RULES).left
    assert (left.problem, left.reason) == (True, gcp.THEIRS)
    mine = thing(types.ADDRESS, "lb", labels=MINE)
    assert ids(decided([plan], found([mine], plan), types.RULES)) == {mine.id}
    assert [e.id for e in decided([], found([mine]), types.RULES).orphans] == [mine.id]


def test_what_no_plan_has_goes_only_when_it_says_whose_it_is() -> None:
    says = thing(types.SUBNETWORK, "old", says=f"Nodes of {STACK}")
    silent = thing(types.FIREWALL, "bastion", says="ssh, by ann")
    other = Thing(types.FIREWALL, "projects/p/global/firewalls/default-allow-ssh", {"name": "default-allow-ssh"})
    longer = thing(types.NETWORK, "vpc", says=f"Nodes of {STACK}-b")
    done = decided([], found([says, silent, other, longer]), types.RULES)
    assert [e.id for e in done.orphans] == [says.id]
    assert {(left.resource.id, left.problem) for left in done.left} == {(silent.id, False), (longer.id, False)}
    assert {left.reason for left in done.left} == {gcp.NAMED_ALIKE}


def test_a_lost_template_of_another_content_is_deleted_by_the_next_up() -> None:
    plan = planned(types.REGION_INSTANCE_TEMPLATE, {"name": name("spot-11111111"), "region": REGION})
    old = thing(types.REGION_INSTANCE_TEMPLATE, "spot-00000000", labels=MINE)
    assert [e.id for e in decided([plan], found([old], plan), types.RULES).orphans] == [old.id]


@pytest.mark.parametrize("token", [types.BUCKET, types.SECRET])
def test_what_holds_weights_or_secrets_is_never_deleted_by_recovery(token: str) -> None:
    held = Thing(token, "x", {"name": "x", "secretId": "x"}, labels=MINE)
    done = decided([], found([held]), types.RULES)
    assert not done.orphans
    assert [left.problem for left in done.left] == [True]
    plan = planned(token, {"name": "x", "secretId": "x"})
    assert ids(decided([plan], found([held], plan), types.RULES)) == {"x"}


def test_of_two_channels_alike_the_one_that_an_alert_uses_stays() -> None:
    called = {"displayName": f"{STACK}: ann@example.com"}
    lost, used = (Thing(types.CHANNEL, f"projects/p/notificationChannels/{n}", called, labels=MINE) for n in "12")
    alert = Thing(
        types.ALERT_POLICY, "projects/p/alertPolicies/3", {"displayName": "gap"}, labels=MINE, refs=frozenset({used.id})
    )
    channel = planned(types.CHANNEL, called)
    policy = planned(
        types.ALERT_POLICY, {"displayName": "gap", "notificationChannels": [UNKNOWN]}, notificationChannels=channel
    )
    done = decided([channel, policy], found([lost, used, alert], channel, policy), types.RULES)
    assert ids(done) == {used.id, alert.id}
    assert [e.id for e in done.orphans] == [lost.id]


def test_a_type_that_cannot_be_looked_up_is_named_with_what_to_do() -> None:
    plan = planned("gcp:redis/instance:Instance", {"name": "cache"}, "cache")
    (left,) = decided([plan], [], types.RULES).left
    assert not left.problem
    assert "`pulumi import gcp:redis/instance:Instance cache ID`" in left.reason
    assert not decided([planned("gcp:projects/iAMMember:IAMMember", {"role": "r"})], [], types.RULES).left


# What Google is asked


class Google:
    """Answers by path, in the words of the services' own SDKs where those are installed."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    def answer(self, request: Request) -> Answer:
        assert request.method == "GET", "recovery only looks"
        self.asked.append((request.path, request.query))
        found = self.answers.get(request.path, {})
        page = found.get(request.query.get("pageToken", "")) if "" in found else found
        if isinstance(page, int):
            body = {"error": {"code": page, "message": "Permission\ndenied"}}
            return Answer(page, json.dumps(body).encode())
        return Answer(int(page.pop("status", 200)), json.dumps(page).encode())


def wire(message: Any) -> dict[str, Any]:
    """A message as it goes over the wire."""
    told: dict[str, Any] = json.loads(type(message).to_json(message, always_print_fields_with_no_presence=False))
    return told


@contextmanager
def asked(answers: Mapping[str, Any]) -> Iterator[tuple[gcp_api.GcpInventory, Google]]:
    google = Google(answers)
    session = AuthorizedSession(AnonymousCredentials())  # type: ignore[no-untyped-call]
    with serving(google) as root:
        yield gcp_api.GcpInventory(PROJECT, REGION, gcp_api.Api(PROJECT, session, f"{root}/{{}}")), google


COMPUTE = f"/compute/compute/v1/{HERE}"
ANSWERS: Mapping[str, Any] = {
    f"{COMPUTE}/subnetworks": wire(
        compute_v1.SubnetworkList(items=[compute_v1.Subnetwork(name=name("nodes"), description=f"Nodes of {STACK}")])
    ),
    f"{COMPUTE}/addresses": {
        "": wire(compute_v1.AddressList(items=[compute_v1.Address(name=name("lb"), labels=MINE)], next_page_token="2")),
        "2": wire(compute_v1.AddressList(items=[compute_v1.Address(name=name("lb-old"), labels=MINE)])),
    },
    f"{COMPUTE}/routers": wire(
        compute_v1.RouterList(
            items=[compute_v1.Router(name=name("router"), nats=[compute_v1.RouterNat(name=name("nat"))])]
        )
    ),
    f"{COMPUTE}/instanceTemplates": wire(
        compute_v1.InstanceTemplateList(
            items=[
                compute_v1.InstanceTemplate(
                    name=name("spot-1"), properties=compute_v1.InstanceProperties(labels={**MINE, **ATTRIBUTION})
                )
            ]
        )
    ),
    f"{COMPUTE}/instanceGroupManagers": wire(
        compute_v1.RegionInstanceGroupManagerList(
            items=[compute_v1.InstanceGroupManager(name=name("spot"), description=f"spot nodes of {STACK}")]
        )
    ),
    "/storage/storage/v1/b": {"items": [{"name": "spillway-models-x", "labels": MINE}, {"name": "spillway-other"}]},
    f"/iam/v1/projects/{PROJECT}/serviceAccounts": {
        "accounts": [{"email": f"node@{PROJECT}.iam.gserviceaccount.com", "displayName": f"Nodes of {STACK}"}]
    },
    f"/iam/v1/projects/{PROJECT}/roles": {
        "roles": [
            {"name": f"projects/{PROJECT}/roles/fallback", "title": f"Groups of {STACK}"},
            {"name": f"projects/{PROJECT}/roles/gone", "title": f"Groups of {STACK}", "deleted": True},
        ]
    },
    f"/secretmanager/v1/projects/{PROJECT}/secrets": wire(
        secretmanager_v1.ListSecretsResponse(
            secrets=[secretmanager_v1.Secret(name="projects/123/secrets/keys", labels=MINE)]
        )
    ),
    f"/secretmanager/v1/projects/{PROJECT}/secrets/certificate": wire(
        secretmanager_v1.Secret(name="projects/123/secrets/certificate")
    ),
    f"/cloudfunctions/v2/projects/{PROJECT}/locations/{REGION}/functions": {
        "functions": [{"name": f"projects/{PROJECT}/locations/{REGION}/functions/fallback", "labels": MINE}]
    },
    f"/cloudscheduler/v1/projects/{PROJECT}/locations/{REGION}/jobs": {
        "jobs": [{"name": f"projects/{PROJECT}/locations/{REGION}/jobs/tick", "description": f"Calls it in {STACK}"}]
    },
    f"/monitoring/v3/projects/{PROJECT}/notificationChannels": {
        "notificationChannels": [
            {"name": "projects/p/notificationChannels/1", "displayName": "a", "userLabels": MINE},
            {"name": "projects/p/notificationChannels/2", "displayName": "a"},
        ]
    },
    f"/monitoring/v3/projects/{PROJECT}/alertPolicies": {
        "alertPolicies": [
            {"name": "projects/p/alertPolicies/1", "displayName": "gap", "userLabels": MINE,
             "notificationChannels": ["projects/p/notificationChannels/1"]},
        ]
    },
    "/billingbudgets/v1/billingAccounts/0-1-2/budgets": {
        "budgets": [
            {"name": "billingAccounts/0-1-2/budgets/b", "displayName": name("budget"),
             "budgetFilter": {"labels": {"spillway-stack": {"values": [STACK]}}}},
            {"name": "billingAccounts/0-1-2/budgets/c", "displayName": "everything", "budgetFilter": {}},
        ]
    },
}  # fmt: skip
PLAN = [
    planned(types.SECRET, {"secretId": "certificate"}),
    planned(types.BUDGET, {"displayName": name("budget"), "billingAccount": "0-1-2"}),
    ROUTER_PLAN,
    NAT_PLAN,
]


def test_every_service_is_asked_for_the_stacks_own_and_told_ids_that_an_import_takes() -> None:
    with asked(json.loads(json.dumps(ANSWERS))) as (inventory, google):
        listed = {(e.token, e.id): e for e in inventory.existing(Scope(STACK, PLAN))}
    locations = f"projects/{PROJECT}/locations/{REGION}"
    assert set(listed) == {
        (types.SUBNETWORK, f"{HERE}/subnetworks/{name('nodes')}"),
        (types.ADDRESS, f"{HERE}/addresses/{name('lb')}"),
        (types.ADDRESS, f"{HERE}/addresses/{name('lb-old')}"),
        (types.ROUTER, f"{HERE}/routers/{name('router')}"),
        (types.ROUTER_NAT, f"{HERE}/routers/{name('router')}/{name('nat')}"),
        (types.REGION_INSTANCE_TEMPLATE, f"{HERE}/instanceTemplates/{name('spot-1')}"),
        (types.GROUP, f"{HERE}/instanceGroupManagers/{name('spot')}"),
        (types.BUCKET, "spillway-models-x"),
        (types.SERVICE_ACCOUNT, f"projects/{PROJECT}/serviceAccounts/node@{PROJECT}.iam.gserviceaccount.com"),
        (types.ROLE, f"projects/{PROJECT}/roles/fallback"),
        (types.SECRET, f"projects/{PROJECT}/secrets/keys"),
        (types.SECRET, f"projects/{PROJECT}/secrets/certificate"),
        (types.FUNCTION, f"{locations}/functions/fallback"),
        (types.JOB, f"{locations}/jobs/tick"),
        (types.CHANNEL, "projects/p/notificationChannels/1"),
        (types.ALERT_POLICY, "projects/p/alertPolicies/1"),
        (types.BUDGET, "billingAccounts/0-1-2/budgets/b"),
    }
    assert listed[types.SECRET, f"projects/{PROJECT}/secrets/certificate"].keep == gcp.THEIRS
    filters = {query.get("filter") for path, query in google.asked if path.startswith("/compute/")}
    assert filters == {f'name eq "spillway-{STACK}-.*"'}, "nobody else's names are asked for"


def test_an_api_that_was_never_turned_on_has_nothing_and_a_denied_one_is_one_line() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED"}]
    off = {"status": 403, "error": {"code": 403, "message": "it is disabled", "details": details}}
    functions = f"/cloudfunctions/v2/projects/{PROJECT}/locations/{REGION}/functions"
    with asked({functions: off}) as (inventory, _):
        assert inventory.existing(Scope(STACK)) == []
    with asked({functions: {"": 403}}) as (inventory, _), pytest.raises(SpillwayError) as told:
        inventory.existing(Scope(STACK))
    assert str(told.value) == f"listing what exists in the project {PROJECT}: denied: cloudfunctions.functions.list"


def test_nobody_logged_in_is_told_how_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(SpillwayError, match="gcloud auth application-default login"):
        gcp_api.inventories([{"project": PROJECT, "region": REGION}])
