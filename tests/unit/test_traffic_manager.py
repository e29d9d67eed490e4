"""What the global stack asks Azure for, against a stand-in that refuses what Azure refuses; also while it changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from infra.dns import traffic_profiles
from infra.dns.common import ExistingZone
from infra.dns.plan import PlanError
from infra.dns.program import beyond_provider
from sandbox.azure_native import tokens
from tests.support.azure import GROUP, SUBSCRIPTION
from tests.support.azure_stack import Deployment, stack

PREFIX = "spillway-llm"
SERVICE = {"name": "llm.example.com", "policy": "priority"}
MEMBERS: list[dict[str, Any]] = [
    {"name": "a", "at": {"addresses": 3}},
    {"name": "b", "at": {"nearest_aws_region": "us-west-2"}},
    {"name": "last", "degraded": True, "at": {"health_path": "/health"}},
]


def name(label: str) -> str:
    return traffic_profiles.profile_name(PREFIX, label)


@pytest.fixture(scope="module")
def deployed() -> Deployment:
    made = Deployment()
    made.up(*stack(MEMBERS, [SERVICE], tags={"team": "platform"}))
    return made


def test_members_are_probed_as_the_file_says(deployed: Deployment) -> None:
    probed = deployed.of(tokens.PROFILE)[name("member a")]
    assert probed["monitorConfig"] == {
        "protocol": "HTTPS",
        "port": 443,
        "path": "/readyz",
        "intervalInSeconds": 10,
        "timeoutInSeconds": 5,
        "toleratedNumberOfFailures": 1,  # out after two failures in a row
        "customHeaders": [{"name": "Host", "value": "llm.example.com"}],
        "expectedStatusCodeRanges": [{"min": 200, "max": 200}],
    }
    assert deployed.of(tokens.PROFILE)[name("member last")]["monitorConfig"]["path"] == "/health"


def test_all_profiles_have_the_ttl_and_a_name_of_their_own(deployed: Deployment) -> None:
    profiles = deployed.of(tokens.PROFILE)
    assert len(profiles) == 3 + 1 + 3
    for key, inputs in profiles.items():
        assert inputs["dnsConfig"] == {"relativeName": key, "ttl": 10}
        assert (inputs["location"], inputs["resourceGroupName"]) == ("global", GROUP)
        assert inputs["tags"] == traffic_profiles.tags("global-traffic-manager", "profile", {"team": "platform"})


def test_a_nested_endpoint_answers_while_one_child_does(deployed: Deployment) -> None:
    nested = [e for e in deployed.of(tokens.ENDPOINT).values() if e["endpointType"] == "NestedEndpoints"]
    assert len(nested) == 3 + 3
    assert {e["minChildEndpoints"] for e in nested} == {1}


def test_the_service_is_a_cname_of_its_profile(deployed: Deployment) -> None:
    record = deployed.of(tokens.RECORD_SET)["llm"]
    assert (record["recordType"], record["ttl"], record["zoneName"]) == ("CNAME", 10, "example.com")
    assert record["cnameRecord"] == {"cname": f"{name('llm.example.com')}.trafficmanager.net"}


def test_outputs_say_who_answers_and_what_probes(deployed: Deployment) -> None:
    assert deployed.exported["answers"] == {"llm.example.com": f"{name('llm.example.com')}.trafficmanager.net"}
    checks = deployed.exported["checks"]
    assert list(checks) == ["a", "b", "last"]
    assert list(checks["a"]) == ["198.51.1.1", "198.51.1.2", "198.51.1.3"]
    assert checks["b"]["198.51.2.1"].endswith(
        f"/trafficManagerProfiles/{name('member b')}/externalEndpoints/198.51.2.1"
    )
    assert len(deployed.exported["zone"]["nameServers"]) == 4


def test_a_ttl_of_zero_is_for_profiles_and_not_for_records() -> None:
    made = Deployment()
    made.up(*stack([{"name": "a"}], [SERVICE], dns={"ttlSeconds": 0}))
    assert made.of(tokens.PROFILE)[name("member a")]["dnsConfig"]["ttl"] == 0
    assert made.of(tokens.RECORD_SET)["llm"]["ttl"] == 1


def test_the_zones_own_name_is_an_alias_to_one_profile_of_addresses() -> None:
    made = Deployment()
    made.up(*stack(MEMBERS[:2], [{"name": "example.com", "policy": "latency"}]))
    record = made.of(tokens.RECORD_SET)["@"]
    flat = made.of(tokens.PROFILE)
    assert (record["recordType"], list(flat)) == ("A", [name("example.com")])
    assert record["targetResource"]["id"].endswith(f"/trafficManagerProfiles/{name('example.com')}")
    assert {e["endpointLocation"] for e in made.of(tokens.ENDPOINT).values()} == {"eastus", "westus2"}


def test_an_existing_zone_keeps_its_group_and_is_not_made() -> None:
    made = Deployment()
    made.cloud.create(tokens.RESOURCE_GROUP, resourceGroupName="names", location="westeurope")
    zone = made.cloud.create(tokens.ZONE, resourceGroupName="names", zoneName="example.com", location="global")
    config, plan = stack([{"name": "a"}], [SERVICE], zone={"name": "example.com", "id": zone.id})
    made.up(config, plan, ExistingZone(zone.id, "example.com", tuple(zone["nameServers"])))
    assert made.of(tokens.ZONE) == {}
    assert made.of(tokens.RECORD_SET)["llm"]["resourceGroupName"] == "names"
    assert made.exported["zone"]["nameServers"] == zone["nameServers"]


def test_what_cannot_be_expressed_is_told_by_the_plan_alone() -> None:
    (fault,) = beyond_provider(*stack(MEMBERS, [{"name": "example.com", "policy": "weighted"}]))
    assert fault.line("FILE") == (
        "FILE: services[0].name = example.com: the zone's own name can have one tier in Azure DNS, and has 2: "
        "give it a name below the zone, such as llm.example.com"
    )


MEMBER = st.fixed_dictionaries(
    {
        "priority": st.integers(1, 4),
        "weight": st.integers(0, 255),
        "degraded": st.booleans(),
        "drain": st.booleans(),
        "at": st.fixed_dictionaries(
            {
                "addresses": st.integers(0, 3),
                "port": st.sampled_from([443, 8443]),
                "nearest_aws_region": st.sampled_from(["us-east-1", "ap-south-1", "ap-south-2"]),
            }
        ),
    }
)


@st.composite
def stacks(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Members out of four names and services out of two, with one member at least that may answer."""
    members: list[dict[str, Any]] = []
    for member_name in draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True)):
        member: dict[str, Any] = draw(MEMBER)
        if member["degraded"]:
            del member["priority"]
        if not member["at"]["addresses"]:
            member["at"]["hostname"] = f"{member_name}.example.org"
        # Addresses belong to the name, whatever the place in the list.
        members.append({"name": member_name, **member, "number": "abcd".index(member_name) + 1})
    members[0] |= {"degraded": False, "drain": False, "weight": max(members[0]["weight"], 1)}
    members[0].setdefault("priority", 1)
    policies = draw(st.lists(st.sampled_from(["priority", "weighted", "latency"]), min_size=1, max_size=2))
    services = [{"name": f"s{i}.example.com", "policy": policy} for i, policy in enumerate(policies)]
    return members, services


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(st.lists(stacks(), min_size=2, max_size=3))
def test_no_change_of_members_tiers_or_policies_is_refused_half_way(
    versions: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]],
) -> None:
    made = Deployment()
    for members, services in versions:
        try:
            config, plan = stack(members, services)
        except PlanError:
            continue
        made.up(config, plan)
        tree = traffic_profiles.profiles(PREFIX, "example.com", plan)
        assert set(made.of(tokens.PROFILE)) == {profile.name for profile in tree}
        assert len(made.cloud.all(tokens.ENDPOINT)) == sum(len(profile.branches) for profile in tree)
    made.destroy()
    assert made.cloud.state.resources == {}


def test_the_subscription_of_the_provider_is_the_files() -> None:
    config, _ = stack([{"name": "a"}], [SERVICE])
    assert config.traffic_manager is not None
    assert config.traffic_manager.subscription == SUBSCRIPTION
