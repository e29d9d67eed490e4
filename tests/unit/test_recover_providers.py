"""Recovery at Azure and Cloudflare without an engine: what is the stack's own, and what their APIs are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from spillway.errors import SpillwayError
from spillway.preflight.cloudflare import CloudflareApi
from spillway.preflight.model import Unanswered
from spillway.recovery import azure, azure_types, cloudflare
from spillway.recovery.azure_arm import ArmInventory
from spillway.recovery.cloudflare_api import CloudflareInventory
from spillway.recovery.match import Decision, decide
from spillway.recovery.model import UNKNOWN, Existing, Planned, Rules, Scope
from spillway.recovery.state import State

STACK = {"urn": "urn:pulumi:global::spillway::pulumi:pulumi:Stack::s", "type": "pulumi:pulumi:Stack", "custom": False}
SUBSCRIPTION = "00000000-0000-4000-8000-000000000000"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/spillway-global"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
MINE = {"spillway-stack": "global"}
ACCOUNT, ZONE = "a" * 32, "f" * 32


def planned(token: str, inputs: Mapping[str, Any]) -> Planned:
    return Planned(
        f"urn:pulumi:global::spillway::{token}::{sorted(map(str, inputs.values()))}", token, True, inputs, None, None
    )


def decided(plan: list[Planned], existing: list[Existing], rules: Rules, *owned: Mapping[str, Any]) -> Decision:
    return decide(plan, existing, State({"deployment": {"resources": [STACK, *owned]}}), rules)


def ids(decision: Decision) -> set[str]:
    return {existing.id for _, existing in decision.adopt}


# Azure

IN_GROUP = {"resourceGroupName": "spillway-global"}
PROFILE = azure.Thing(azure_types.PROFILE, f"{NETWORK}/trafficManagerProfiles/llm", MINE, fqdn="llm.trafficmanager.net")
ENDPOINT = azure.Thing(azure_types.ENDPOINT, f"{NETWORK}/trafficManagerProfiles/llm/externalEndpoints/east")
OWN_ZONE = azure.Thing(azure_types.ZONE, f"{NETWORK}/dnsZones/example.com", MINE, held=2)
RECORD = azure.Thing(azure_types.RECORD_SET, f"{NETWORK}/dnsZones/example.com/CNAME/llm", leads_to="LLM.trafficmanager.net.")
AZURE_PLAN = [
    planned(azure_types.GROUP, IN_GROUP),
    planned(azure_types.ZONE, {**IN_GROUP, "zoneName": "example.com"}),
    planned(azure_types.PROFILE, {**IN_GROUP, "profileName": "llm"}),
    planned(
        azure_types.ENDPOINT,
        {**IN_GROUP, "profileName": "llm", "endpointType": "ExternalEndpoints", "endpointName": "east"},
    ),
    planned(
        azure_types.RECORD_SET,
        {**IN_GROUP, "zoneName": "example.com", "recordType": "CNAME", "relativeRecordSetName": "llm"},
    ),
]


def in_azure(things: list[azure.Thing], plan: list[Planned] = AZURE_PLAN) -> Decision:
    return decided(plan, azure.complete(things, Scope("global", plan)), azure_types.RULES)


def test_names_decide_in_azure_however_their_case_is() -> None:
    group = azure.Thing(azure_types.GROUP, GROUP.replace("spillway-global", "Spillway-Global"), MINE)
    found = in_azure([group, OWN_ZONE, PROFILE, ENDPOINT, RECORD])
    assert ids(found) == {t.id for t in (group, OWN_ZONE, PROFILE, ENDPOINT, RECORD)}
    assert (found.orphans, found.left) == ([], [])


def test_what_carries_no_tag_of_the_stack_is_a_problem_where_the_plan_needs_its_name() -> None:
    things = [replace(t, tags={"spillway-stack": "other"}) for t in (PROFILE, OWN_ZONE)]
    found = in_azure([azure.Thing(azure_types.GROUP, GROUP), *things, ENDPOINT, RECORD])
    assert not found.adopt
    assert all(left.problem for left in found.left)
    assert len(found.left) == 5, "the endpoint is of a foreign profile, and the record leads to it"
    other = azure.Thing(azure_types.RECORD_SET, f"{NETWORK}/dnsZones/example.com/CNAME/www", leads_to="www.example.net")
    assert in_azure([other]).left == []


def test_an_endpoint_in_no_plan_goes_and_a_forgotten_profile_goes_with_its_endpoints() -> None:
    stray = azure.Thing(azure_types.ENDPOINT, f"{NETWORK}/trafficManagerProfiles/llm/externalEndpoints/west")
    assert [e.id for e in in_azure([PROFILE, ENDPOINT, stray]).orphans] == [stray.id]
    found = in_azure([PROFILE, ENDPOINT], plan=[])
    assert {e.id for e in found.orphans} == {PROFILE.id, ENDPOINT.id}


def test_groups_and_filled_zones_are_never_deleted_by_recovery() -> None:
    found = in_azure([azure.Thing(azure_types.GROUP, GROUP, MINE), replace(OWN_ZONE, held=9)], plan=[])
    assert not found.orphans
    assert [left.problem for left in found.left] == [True, True]
    named = in_azure([OWN_ZONE], plan=AZURE_PLAN[4:])  # the file names it by id, the plan makes records in it
    assert [(left.resource.id, left.problem) for left in named.left] == [(OWN_ZONE.id, False)]


def test_what_is_in_a_lost_group_is_found_in_one_go_with_it_and_orphaned_by_no_means() -> None:
    group = AZURE_PLAN[0]
    unknown = {"resourceGroupName": UNKNOWN}
    needs = {"resourceGroupName": (group.urn, "urn:of:something:else")}
    plan = [group, *(replace(p, inputs={**p.inputs, **unknown}, dependencies=needs) for p in AZURE_PLAN[1:])]
    found = in_azure([azure.Thing(azure_types.GROUP, GROUP, MINE), OWN_ZONE, PROFILE, ENDPOINT], plan)
    assert ids(found) == {GROUP, OWN_ZONE.id, PROFILE.id, ENDPOINT.id}
    assert (found.orphans, found.left) == ([], [])


def test_a_state_with_another_spelling_of_the_id_holds_the_resource() -> None:
    urn = "urn:pulumi:global::spillway::azure-native:trafficmanager:Endpoint::e"
    owned = {"urn": urn, "type": azure_types.ENDPOINT, "custom": True, "id": ENDPOINT.id.replace("external", "External")}
    found = decided([], azure.complete([PROFILE, ENDPOINT], Scope("global")), azure_types.RULES, owned)
    assert [e.id for e in found.orphans] == [PROFILE.id]


class Arm:
    """Answers by path, and remembers what it was asked."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers, self.asked = answers, list[str]()

    def _get(self, path: str, version: str) -> Any:
        self.asked.append(path)
        answer = self.answers.get(path)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _all(self, path: str, version: str) -> Any:
        return (self._get(path, version) or {}).get("value") or []


def test_azure_is_asked_for_the_stacks_own_names_and_told_ids_that_an_import_takes() -> None:
    endpoint = {"name": "east", "type": "Microsoft.Network/trafficManagerProfiles/externalEndpoints", "properties": {}}
    profile = {
        "name": "llm",
        "tags": MINE,
        "properties": {"dnsConfig": {"fqdn": "llm.trafficmanager.net"}, "endpoints": [endpoint]},
    }
    arm = Arm(
        {
            GROUP: {"tags": MINE},
            f"{NETWORK}/trafficmanagerprofiles": {"value": [profile]},
            f"{NETWORK}/dnsZones/example.com": {"tags": MINE, "properties": {"numberOfRecordSets": 3}},
            f"{NETWORK}/dnsZones/example.com/CNAME/llm": {
                "properties": {"CNAMERecord": {"cname": "llm.trafficmanager.net"}}
            },
        }
    )
    existing = ArmInventory(SUBSCRIPTION, arm).existing(Scope("global", AZURE_PLAN))  # type: ignore[arg-type]
    found = decided(AZURE_PLAN, existing, azure_types.RULES)
    assert len(found.adopt) == len(AZURE_PLAN)
    assert f"{NETWORK}/trafficmanagerprofiles/llm/ExternalEndpoints/east" in ids(found)
    assert all(GROUP in path for path in arm.asked)


def test_what_azure_denies_is_one_line() -> None:
    arm = Arm({GROUP: Unanswered("denied: GET", "allow it")})
    with pytest.raises(SpillwayError, match=r"^listing what exists in the subscription .*: denied: GET; allow it$"):
        ArmInventory(SUBSCRIPTION, arm).existing(Scope("global", AZURE_PLAN))  # type: ignore[arg-type]


# Cloudflare

HEADER = {"Host": ["llm.example.com"]}
CLOUDFLARE_PLAN = [
    planned(cloudflare.ZONE, {"name": "example.com", "account": {"id": ACCOUNT}}),
    planned(cloudflare.MONITOR, {"accountId": ACCOUNT, "header": HEADER, "path": "/readyz"}),
    planned(cloudflare.POOL, {"accountId": ACCOUNT, "name": "spillway-global-east", "monitor": UNKNOWN}),
    planned(cloudflare.BALANCER, {"zoneId": ZONE, "name": "llm.example.com"}),
]


class Api:
    """Cloudflare's answers by path."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = answers

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/client/v4")
        if path not in self.answers:
            return httpx.Response(403, json={"success": False, "errors": [{"code": 10000, "message": "no"}]})
        return httpx.Response(200, json={"success": True, "result": self.answers[path], "result_info": {"page": 1}})

    def existing(self, stack: str = "global", plan: list[Planned] = CLOUDFLARE_PLAN) -> list[Existing]:
        def connected(account: str) -> CloudflareApi:
            return CloudflareApi(account, "token", httpx.MockTransport(self))

        return CloudflareInventory(connected).existing(Scope(stack, plan))


def account(stack: str = "global", status: str = "pending") -> dict[str, Any]:
    monitor = {"id": "m1", "description": f"/readyz of llm.example.com, stack {stack} of Spillway"}
    pool = {
        "id": "p1",
        "name": "spillway-global-east",
        "monitor": "m1",
        "description": f"east; stack {stack} of Spillway",
    }
    balancer = {
        "id": "b1",
        "name": "llm.example.com",
        "description": f"Stack {stack} of Spillway",
        "fallback_pool": "p1",
    }
    return {
        "/zones": [{"id": ZONE, "name": "example.com", "status": status}],
        f"/accounts/{ACCOUNT}/load_balancers/monitors": [monitor | {"header": HEADER, "path": "/readyz", "port": 443}],
        f"/accounts/{ACCOUNT}/load_balancers/pools": [pool],
        f"/zones/{ZONE}/load_balancers": [balancer],
    }


def test_objects_are_taken_by_name_and_description_under_the_ids_that_an_import_takes() -> None:
    found = decided(CLOUDFLARE_PLAN, Api(account()).existing(), cloudflare.RULES)
    assert ids(found) == {ZONE, f"{ACCOUNT}/m1", f"{ACCOUNT}/p1", f"{ZONE}/b1"}
    assert (found.orphans, found.left) == ([], [])


def test_names_that_another_stack_or_a_person_has_are_problems_and_the_rest_is_nobodys_business() -> None:
    found = decided(CLOUDFLARE_PLAN, Api(account("other", "active")).existing(), cloudflare.RULES)
    assert not found.adopt
    assert {(left.resource.id, left.problem) for left in found.left} == {
        (ZONE, True), (f"{ACCOUNT}/p1", True), (f"{ZONE}/b1", True),
    }  # fmt: skip
    zone = next(left for left in found.left if left.resource.id == ZONE)
    assert f"zone.id: {ZONE}" in zone.reason


def test_an_active_zone_is_the_stacks_own_when_a_load_balancer_of_it_stands_there() -> None:
    assert ZONE in ids(decided(CLOUDFLARE_PLAN, Api(account(status="active")).existing(), cloudflare.RULES))


def test_of_two_monitors_alike_the_one_that_a_pool_uses_stays() -> None:
    answers = account()
    (monitor,) = answers[f"/accounts/{ACCOUNT}/load_balancers/monitors"]
    answers[f"/accounts/{ACCOUNT}/load_balancers/monitors"] = [monitor | {"id": "m0"}, monitor]
    found = decided(CLOUDFLARE_PLAN, Api(answers).existing(), cloudflare.RULES)
    assert f"{ACCOUNT}/m1" in ids(found)
    assert [e.id for e in found.orphans] == [f"{ACCOUNT}/m0"]


def test_a_state_has_an_objects_own_id_where_an_import_has_its_account_before_it() -> None:
    owned = {"urn": "urn:pulumi:g::s::cloudflare:x:Y::p", "type": cloudflare.POOL, "custom": True, "id": "p1"}
    found = decided([], Api(account()).existing(), cloudflare.RULES, owned)
    assert f"{ACCOUNT}/p1" not in {e.id for e in found.orphans}


@pytest.mark.parametrize(
    ("description", "ours"),
    [
        ("Stack global of Spillway", True),
        ("east, west; stack global of Spillway", True),
        ("/readyz of llm.example.com, stack global of Spillway", True),
        ("Stack global-second of Spillway", False),
        ("Haystack global of Spillway", False),
        ("Stack global of Spillway, by hand", False),
        (None, False),
    ],
)
def test_a_description_tells_one_stack_from_another(description: str | None, ours: bool) -> None:
    assert cloudflare.marked(description, "global") is ours


def test_what_cloudflare_denies_is_one_line() -> None:
    with pytest.raises(SpillwayError, match=r"^listing what exists in Cloudflare: denied: Zone:Read"):
        Api({}).existing()
