"""Resource groups, ids, names and tags of the stand-in Azure."""

from __future__ import annotations

from typing import Any

import pytest

from infra.dns import places as known_places
from sandbox.azure_native import AZURE_NATIVE, arm, places, tokens
from sandbox.kinds import Args
from tests.support.aws_region import refused
from tests.support.azure import GROUP, SUBSCRIPTION, Azure, faults, profile, record

GOOD = {"resourceGroupName": GROUP, "location": "West Europe", "tags": {"team": "platform"}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"resourceGroupName": "ends-with."}, "resourceGroupName: expected a resource group name"),
        ({"resourceGroupName": "a" * 91}, "resourceGroupName: expected"),
        ({"resourceGroupName": "with space"}, "resourceGroupName: expected"),
        ({"location": None}, "location: is required"),
        ({"location": "us-east-1"}, "location: expected an Azure region such as westeurope"),
        ({"location": "global"}, "location: expected an Azure region"),
        ({"tags": {f"k{i}": "" for i in range(51)}}, "tags: expected at most 50 tags, got 51"),
        ({"tags": {"a/b": ""}}, 'tags: a resource of this type takes no tag name "a/b"'),
        ({"tags": {"k": "v" * 257}}, "tags: expected a tag value of at most 256"),
        ({"tags": {"Team": "", "team": ""}}, "tags: tag names are case-insensitive"),
        ({"tags": {"azure-team": ""}}, "tags: tag names that begin with"),
        ({"managedBy": "me"}, "managedBy: expected the id of an Azure resource"),
    ],
)
def test_a_resource_group_is_checked(change: dict[str, Any], expected: str) -> None:
    found = faults(tokens.RESOURCE_GROUP, GOOD, **change)
    assert [line for line in found if line.startswith(expected)], found


@pytest.mark.parametrize(
    ("token", "good", "tag"),
    [
        (tokens.PROFILE, profile("p"), "spillway:stack"),
        (tokens.PROFILE, profile("p"), "1st"),
        (tokens.PROFILE, profile("p"), "cost center"),
        (tokens.ZONE, {"resourceGroupName": GROUP, "zoneName": "example.com", "location": "global"}, "spillway:stack"),
        (tokens.ZONE, {"resourceGroupName": GROUP, "zoneName": "example.com", "location": "global"}, "a(b)"),
    ],
)
def test_profiles_and_zones_take_fewer_tag_names_than_groups(token: str, good: dict[str, Any], tag: str) -> None:
    assert faults(token, good, tags={"spillway-stack": "global"}) == []
    assert faults(token, good, tags={tag: "x"})
    if tag != "1st":
        assert faults(tokens.RESOURCE_GROUP, GOOD, tags={tag: "x"}) == []


def test_a_group_reads_like_one_of_azure() -> None:
    group = Azure().group
    assert group.id == f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
    assert (group["name"], group["location"], group["type"]) == (
        GROUP,
        "westeurope",
        "Microsoft.Resources/resourceGroups",
    )


def test_names_are_taken_in_any_case() -> None:
    cloud = Azure()
    with refused("AlreadyExists", "cannot create already existing resource"):
        cloud.create(tokens.RESOURCE_GROUP, resourceGroupName=GROUP.upper(), location="westeurope")
    cloud.profile("first")
    with refused("AlreadyExists", "/trafficManagerProfiles/FIRST"):
        cloud.profile("FIRST", dnsConfig={"relativeName": "other", "ttl": 10})


def test_a_group_is_found_in_any_case_and_has_to_exist() -> None:
    cloud = Azure()
    assert cloud.profile("one", resourceGroupName=GROUP.upper()).id.startswith(cloud.group.id)
    with refused("ResourceGroupNotFound", "Resource group 'elsewhere' could not be found."):
        cloud.profile("two", resourceGroupName="elsewhere")


def test_deleting_a_group_deletes_what_is_in_it() -> None:
    cloud = Azure()
    parent, child = cloud.profile("parent"), cloud.profile("child")
    cloud.nested("parent", child)
    cloud.zone()
    cloud.record("A", aRecords=[{"ipv4Address": "198.51.100.10"}])
    other = cloud.create(tokens.RESOURCE_GROUP, resourceGroupName="spillway-global-2", location="westeurope")
    kept = cloud.profile("kept", resourceGroupName="spillway-global-2")
    cloud.delete(cloud.group)
    assert parent.id not in [r.id for r in cloud.state.resources.values()]
    assert {r.id for r in cloud.state.resources.values()} == {other.id, kept.id}


def test_a_group_stays_whole_while_another_one_needs_a_profile_in_it() -> None:
    cloud = Azure()
    cloud.create(tokens.RESOURCE_GROUP, resourceGroupName="other", location="westeurope")
    child = cloud.profile("child")
    cloud.profile("parent", resourceGroupName="other")
    cloud.nested("parent", child, resourceGroupName="other")
    with refused("BadRequest", "nested in the profile 'parent'"):
        cloud.delete(cloud.group)


def test_ids_are_read_in_any_case() -> None:
    one = arm.parse_id(f"/subscriptions/{SUBSCRIPTION}/resourceGroups/G/providers/Microsoft.Network/dnsZones/z.com/A/@")
    other = arm.parse_id(
        f"/SUBSCRIPTIONS/{SUBSCRIPTION}/resourcegroups/g/providers/microsoft.network/DNSZONES/Z.com/a/@"
    )
    assert one == other == {
        "subscription": SUBSCRIPTION,
        "group": "g",
        "type": "microsoft.network/dnszones/a",
        "name": "z.com/@",
    }  # fmt: skip
    assert arm.parse_id("/subscriptions/mine/resourceGroups/g") is None
    assert arm.parse_id(f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.Network/dnsZones") is None


def test_a_location_in_another_spelling_is_no_change() -> None:
    kind = AZURE_NATIVE.kinds[tokens.RESOURCE_GROUP]
    assert kind.comparable({"location": "West Europe"}) == kind.comparable({"location": "westeurope"})


def test_every_region_that_members_are_placed_in_is_one_of_azure() -> None:
    assert [r for r in known_places.regions() if not places.is_location(known_places.location(r).azure)] == []


def test_automatic_names_follow_the_provider() -> None:
    digits = {token: kind.autoname.digits for token, kind in AZURE_NATIVE.kinds.items() if kind.autoname}
    for token in (tokens.RECORD_SET, tokens.TABLE, tokens.FEDERATED_CREDENTIAL):
        assert digits.pop(token) == 0  # inside a zone, a workspace, an identity: the logical name as it is
    assert set(digits.values()) == {8}
    # These have one name only, or a GUID.
    assert set(AZURE_NATIVE.kinds) - set(digits) == {
        tokens.RECORD_SET,
        tokens.TABLE,
        tokens.FEDERATED_CREDENTIAL,
        tokens.BLOB_SERVICE,
        tokens.MANAGEMENT_POLICY,
        tokens.ROLE_ASSIGNMENT,
        tokens.ROLE_DEFINITION,
        tokens.SCM_ALLOWED,
        tokens.FTP_ALLOWED,
    }


def test_data_sources_find_what_exists() -> None:
    cloud = Azure()
    cloud.profile("p")
    cloud.external("p", "198.51.100.10")
    cloud.zone()
    cloud.record("A", aRecords=[{"ipv4Address": "198.51.100.10"}])

    def ask(name: str, **args: Any) -> dict[str, Any]:
        return AZURE_NATIVE.invokes[f"azure-native:{name}"](Args({"resourceGroupName": GROUP.upper(), **args}), cloud)

    assert ask("resources:getResourceGroup")["location"] == "westeurope"
    found = ask("trafficmanager:getProfile", profileName="P")
    assert [e["target"] for e in found["endpoints"]] == ["198.51.100.10"]
    assert found["monitorConfig"]["profileMonitorStatus"] == "CheckingEndpoints"
    one = {"endpointType": "externalEndpoints", "endpointName": "at-198.51.100.10"}
    assert ask("trafficmanager:getEndpoint", profileName="p", **one)["weight"] == 1
    assert ask("dns:getZone", zoneName="Example.com")["numberOfRecordSets"] == 3
    assert ask("dns:getRecordSet", zoneName="example.com", recordType="A", relativeRecordSetName="LLM")["ttl"] == 10
    assert ask("authorization:getClientConfig")["subscriptionId"] == SUBSCRIPTION
    for name, args in (
        ("trafficmanager:getProfile", {"profileName": "q"}),
        ("trafficmanager:getEndpoint", {"profileName": "p", **one, "endpointName": "q"}),
        ("dns:getZone", {"zoneName": "example.org"}),
        ("dns:getRecordSet", {"zoneName": "example.com", "recordType": "A", "relativeRecordSetName": "q"}),
    ):
        with refused("ResourceNotFound", "was not found"):
            ask(name, **args)


def test_inputs_of_the_helpers_are_sound() -> None:
    assert faults(tokens.PROFILE, profile("p")) == []
    assert faults(tokens.RECORD_SET, record("A", aRecords=[{"ipv4Address": "198.51.100.10"}])) == []
