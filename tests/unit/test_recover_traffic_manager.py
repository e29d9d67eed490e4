"""Recovery of a global stack on Azure without an engine: what is the stack's own, and what ARM is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from spillway.errors import SpillwayError
from spillway.preflight.model import Unanswered
from spillway.recovery import azure, azure_types
from spillway.recovery.azure_arm import ArmInventory
from spillway.recovery.match import Decision
from spillway.recovery.model import UNKNOWN, Planned, Scope
from tests.support.recovery_clouds import decided, ids, planned

SUBSCRIPTION = "00000000-0000-4000-8000-000000000000"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/spillway-global"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
MINE = {"spillway-stack": "global"}


IN_GROUP = {"resourceGroupName": "spillway-global"}
PROFILE = azure.Thing(azure_types.PROFILE, f"{NETWORK}/trafficManagerProfiles/llm", MINE, fqdn="llm.trafficmanager.net")
ENDPOINT = azure.Thing(azure_types.ENDPOINT, f"{NETWORK}/trafficManagerProfiles/llm/externalEndpoints/east")
OWN_ZONE = azure.Thing(azure_types.ZONE, f"{NETWORK}/dnsZones/example.com", MINE, held=2)
RECORD = azure.Thing(
    azure_types.RECORD_SET, f"{NETWORK}/dnsZones/example.com/CNAME/llm", leads_to="LLM.trafficmanager.net."
)
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
    owned = {
        "urn": urn,
        "type": azure_types.ENDPOINT,
        "custom": True,
        "id": ENDPOINT.id.replace("external", "External"),
    }
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
