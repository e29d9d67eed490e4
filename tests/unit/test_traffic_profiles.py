"""The plan as a tree of Traffic Manager profiles."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.dns import traffic_profiles
from infra.dns.traffic_profiles import Profile, faults, profile_name, profiles
from tests.support.azure_stack import stack

PREFIX = "spillway-llm"
PRIORITY = [{"name": "llm.example.com", "policy": "priority"}]
LATENCY = [{"name": "llm.example.com", "policy": "latency"}]
WEIGHTED = [{"name": "llm.example.com", "policy": "weighted"}]
APEX = [{"name": "example.com", "policy": "weighted"}]


def tree(members: list[dict[str, Any]], services: list[dict[str, Any]], **more: Any) -> dict[str, Profile]:
    """The profiles by label."""
    config, plan = stack(members, services, **more)
    assert list(faults(config, plan)) == []
    return {profile.label: profile for profile in profiles(PREFIX, config.zone.name, plan)}


def lines(members: list[dict[str, Any]], services: list[dict[str, Any]], **more: Any) -> list[str]:
    config, plan = stack(members, services, **more)
    return [fault.line("x.yaml") for fault in faults(config, plan)]


def below(found: dict[str, Profile], profile: Profile) -> list[str]:
    """The labels of a profile's children, in order."""
    labels = {p.name: p.label for p in found.values()}
    return [labels[branch.child] for branch in profile.branches if branch.child]


@given(st.text(min_size=1, max_size=300), st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True))
def test_a_name_is_a_dns_label_for_every_prefix_that_the_file_allows(label: str, prefix: str) -> None:
    name = profile_name(prefix, label)
    assert len(name) <= 63
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
    assert name.startswith(f"{prefix}-")


def test_labels_that_read_alike_get_different_names() -> None:
    alike = ["a.b", "a-b", "a b", "A.b", "a" * 60 + "1", "a" * 60 + "2"]
    assert len({profile_name(PREFIX, label) for label in alike}) == len(alike)


def test_a_name_does_not_change() -> None:
    assert profile_name(PREFIX, "member aws-us-east-1") == "spillway-llm-member-aws-us-east-1-31cb11b6"


def test_priority_makes_one_profile_per_tier_below_the_service() -> None:
    found = tree([{"name": "a"}, {"name": "b"}, {"name": "last", "degraded": True}], PRIORITY)
    root = found["llm.example.com"]
    assert root.method == "Priority"
    assert below(found, root) == [
        "llm.example.com priority-1",
        "llm.example.com priority-2",
        "llm.example.com degraded",
    ]
    assert [branch.priority for branch in root.branches] == [1, 2, 1000]
    assert below(found, found["llm.example.com priority-2"]) == ["member b"]


def test_children_come_before_their_parents() -> None:
    config, plan = stack([{"name": "a"}, {"name": "b"}], LATENCY)
    seen: set[str] = set()
    for profile in profiles(PREFIX, config.zone.name, plan):
        assert {branch.child for branch in profile.branches if branch.child} <= seen
        seen.add(profile.name)


def test_a_tier_keeps_its_priority_when_one_before_it_goes() -> None:
    members = [{"name": "a", "priority": 1}, {"name": "b", "priority": 2}, {"name": "c", "priority": 3}]
    before, after = tree(members, PRIORITY), tree([members[0], members[2]], PRIORITY)
    c = {branch.name: branch.priority for branch in before["llm.example.com"].branches}
    assert {branch.name: branch.priority for branch in after["llm.example.com"].branches} == {
        "priority-1": c["priority-1"],
        "priority-3": c["priority-3"],
    }


def test_a_member_is_probed_once_for_all_services_at_its_own_port_and_path() -> None:
    services = [*WEIGHTED, {"name": "eu.llm.example.com", "policy": "weighted"}]
    found = tree(
        [{"name": "a", "at": {"addresses": 3, "port": 8443, "health_path": "/health"}}, {"name": "b"}], services
    )
    member = found["member a"]
    assert (member.port, member.health_path, member.host) == (8443, "/health", "llm.example.com")
    assert [branch.target for branch in member.branches] == ["198.51.1.1", "198.51.1.2", "198.51.1.3"]
    assert len({branch.weight for branch in member.branches}) == 1
    parents = [p.label for p in found.values() if any(b.child == member.name for b in p.branches)]
    assert parents == ["llm.example.com weighted", "eu.llm.example.com weighted"]


def test_weights_are_the_members_and_a_standby_is_disabled() -> None:
    found = tree([{"name": "a", "weight": 90}, {"name": "b", "weight": 10}, {"name": "c", "weight": 0}], WEIGHTED)
    branches = found["llm.example.com weighted"].branches
    assert [(b.weight, b.enabled) for b in branches] == [(90, True), (10, True), (1, False)]


def test_latency_is_measured_to_the_nearest_azure_region() -> None:
    found = tree(
        [
            {"name": "a", "at": {"nearest_aws_region": "us-east-1"}},
            {"name": "b", "at": {"nearest_aws_region": "eu-central-1"}},
        ],
        LATENCY,
    )
    tier = found["llm.example.com latency"]
    assert tier.method == "Performance"
    assert [branch.location for branch in tier.branches] == ["eastus", "germanywestcentral"]


def test_members_in_one_azure_region_share_it_by_weight() -> None:
    members = [
        {"name": "a", "weight": 30, "at": {"nearest_aws_region": "ap-south-1"}},
        {"name": "b", "weight": 10, "at": {"nearest_aws_region": "ap-south-2"}},
        {"name": "c", "weight": 0, "at": {"nearest_aws_region": "us-east-1"}},
    ]
    found = tree(members, LATENCY)
    assert below(found, found["llm.example.com latency"]) == [
        "llm.example.com latency centralindia",
        "llm.example.com latency eastus",
    ]
    shared = found["llm.example.com latency centralindia"]
    assert (shared.method, [b.weight for b in shared.branches]) == ("Weighted", [30, 10])
    assert [b.enabled for b in found["llm.example.com latency eastus"].branches] == [True]


def test_a_drained_member_is_probed_and_answers_nowhere() -> None:
    found = tree([{"name": "a"}, {"name": "b", "drain": True}], WEIGHTED)
    assert "member b" in found
    assert below(found, found["llm.example.com weighted"]) == ["member a"]


def test_a_member_by_name_has_a_profile_that_addresses_never_share() -> None:
    static = {"nearestAwsRegion": "us-east-1", "residency": "us", "hostname": "a.example.org"}
    member = {"name": "a", "stack": None, "endpoint": static, "at": {"addresses": 0, "hostname": "a.example.org"}}
    found = tree([member], WEIGHTED)
    assert [branch.target for branch in found["member a by name"].branches] == ["a.example.org"]
    assert found["member a by name"].name != profile_name(PREFIX, "member a")


def test_the_zones_own_name_has_one_flat_profile() -> None:
    found = tree([{"name": "a", "weight": 75, "at": {"addresses": 3}}, {"name": "b", "weight": 25}], APEX)
    assert list(found) == ["example.com"]
    flat = found["example.com"]
    assert (flat.method, flat.host) == ("Weighted", "example.com")
    weights = {branch.target: branch.weight for branch in flat.branches}
    assert weights == {"198.51.1.1": 1000, "198.51.1.2": 1000, "198.51.1.3": 1000, "198.51.2.1": 1000}
    assert {branch.child for branch in flat.branches} == {None}


@pytest.mark.parametrize(
    ("members", "services", "more", "expected"),
    [
        (
            [{"name": "a"}, {"name": "b"}],
            [{"name": "example.com", "policy": "priority"}],
            {},
            "services[0].name = example.com: the zone's own name can have one tier in Azure DNS, and has 2",
        ),
        (
            [{"name": "a"}, {"name": "b", "at": {"health_path": "/health"}}],
            APEX,
            {},
            "services[0].name = example.com: the zone's own name has its members probed alike in Azure, and "
            "here they are at 443/health and 443/readyz",
        ),
        (
            [{"name": "a", "at": {"addresses": 0, "hostname": "a.example.org"}}],
            APEX,
            {},
            "services[0].name = example.com: the zone's own name needs addresses, and a has none",
        ),
        (
            [{"name": "a", "at": {"nearest_aws_region": "cn-north-1"}}],
            LATENCY,
            {},
            "members[0]: a: no Azure region is known near cn-north-1",
        ),
        ([{"name": "a"}], WEIGHTED, {"tags": {"cost center": "1"}}, "tags"),
        ([{"name": "a"}], WEIGHTED, {"tags": {"Azure-team": "1"}}, "tags"),
        ([{"name": "a"}], WEIGHTED, {"tags": {f"k{i}": "1" for i in range(13)}}, "tags = 13: at most 12 here"),
    ],
)
def test_what_traffic_manager_cannot_express_is_refused_in_one_line(
    members: list[dict[str, Any]], services: list[dict[str, Any]], more: dict[str, Any], expected: str
) -> None:
    found = lines(members, services, **more)
    assert len(found) == 1
    assert found[0].startswith(f"x.yaml: {expected}"), found


def test_more_profiles_than_a_subscription_has_are_refused() -> None:
    members = [{"name": f"m{i}"} for i in range(40)]
    services = [{"name": f"s{i}.example.com", "policy": "priority"} for i in range(5)]
    found = lines(members, services)
    assert found == [
        f"x.yaml: services: makes {40 + 5 * 41} profiles with these members, and a subscription has at most 200"
    ]


def test_as_many_profiles_as_a_subscription_has_are_taken() -> None:
    members = [{"name": f"m{i}"} for i in range(38)]
    services = [{"name": f"p{i}.example.com", "policy": "priority"} for i in range(4)]  # 38 tiers and a root each
    services += [{"name": f"w{i}.example.com", "policy": "weighted"} for i in range(3)]  # a tier and a root each
    assert 38 + 4 * 39 + 3 * 2 == 200
    assert lines(members, services) == []


def test_tags_have_names_that_azure_takes() -> None:
    assert traffic_profiles.tags("global", "zone", {"team": "platform"}) == {
        "team": "platform",
        "spillway-stack": "global",
        "spillway-component": "zone",
        "spillway-managed-by": "pulumi",
    }
