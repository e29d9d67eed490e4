"""Who answers for which name, in what order; and that no policy, weight or failure leads across a residency."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.dns.plan import Endpoint, GlobalPlan, PlanError, Tier, address_fault, build
from infra.dns.sections import GlobalStack


def endpoint(number: int, *, residency: str = "us", nearest: str = "us-east-1", addresses: int = 1) -> Endpoint:
    return Endpoint(
        hostname=None,
        addresses=tuple(f"198.51.{number}.{host}" for host in range(1, addresses + 1)),
        port=443,
        health_path="/readyz",
        cloud="aws",
        region=nearest,
        nearest_aws_region=nearest,
        residency=residency,
    )


def numbered(place: int, member: dict[str, Any]) -> dict[str, Any]:
    """A member with its place as priority, unless it has a number, or needs none."""
    given = {} if "endpoint" in member else {"stack": f"aws-{member['name']}-1"}
    return given | ({} if member.get("degraded") else {"priority": place}) | member


def stack(members: list[dict[str, Any]], services: list[dict[str, Any]]) -> GlobalStack:
    return GlobalStack.model_validate(
        {
            "zone": {"name": "example.com"},
            "route53": {"account": "123456789012"},
            "services": services,
            "members": [numbered(i, m) for i, m in enumerate(members, 1)],
        }
    )


def planned(members: list[dict[str, Any]], *services: dict[str, Any], **residencies: str) -> GlobalPlan:
    found = {
        m["name"]: endpoint(i, residency=residencies.get(m["name"], "us"))
        for i, m in enumerate(members)
        if not m.get("planned")
    }
    named = [{"name": f"llm{i or ''}.example.com"} | service for i, service in enumerate(services)]
    return build(stack(members, named), found)


def names(tiers: tuple[Tier, ...]) -> list[list[str]]:
    return [[place.name for place in tier.places] for tier in tiers]


ABC: list[dict[str, Any]] = [{"name": "a"}, {"name": "b"}, {"name": "c"}]


def test_the_lowest_priority_is_the_first_choice() -> None:
    assert names(planned(ABC, {"policy": "priority"}).services[0].tiers) == [["a"], ["b"], ["c"]]


def test_members_of_the_same_priority_share_a_tier_and_gaps_between_priorities_do_not_matter() -> None:
    members = [{"name": "a", "priority": 7}, {"name": "b", "priority": 1}, {"name": "c", "priority": 7}]
    plan = planned(members, {"policy": "priority"}).services[0]
    assert names(plan.tiers) == [["b"], ["a", "c"]]
    assert [tier.label for tier in plan.tiers] == ["priority-1", "priority-7"]


@pytest.mark.parametrize("policy", ["weighted", "latency"])
def test_weighted_and_latency_have_one_tier_of_all_members_whatever_their_priorities(policy: str) -> None:
    members = [{"name": "a", "priority": 2}, {"name": "b", "priority": 1}]
    plan = planned(members, {"policy": policy}).services[0]
    assert names(plan.tiers) == [["a", "b"]]
    assert plan.tiers[0].choice == policy


@pytest.mark.parametrize("policy", ["priority", "weighted", "latency"])
def test_a_degraded_member_is_the_last_tier_of_every_policy_wherever_it_stands_in_the_list(policy: str) -> None:
    members = [{"name": "small", "degraded": True}, *ABC]
    plan = planned(members, {"policy": policy}).services[0]
    assert names(plan.tiers)[-1] == ["small"]
    assert plan.tiers[-1].degraded
    assert plan.tiers[-1].choice == "weighted"
    assert all("small" not in tier for tier in names(plan.tiers)[:-1])


def test_a_drained_member_answers_for_nothing_and_is_still_probed() -> None:
    members: list[dict[str, Any]] = [{"name": "a", "drain": True}, {"name": "b"}]
    plan = planned(members, {"policy": "priority"})
    assert names(plan.services[0].tiers) == [["b"]]
    assert [probe.name for probe in plan.probes] == ["a", "b"]
    assert plan.drained == ("a",)


def test_a_tier_keeps_its_label_when_the_tiers_before_it_go() -> None:
    before = planned(ABC, {"policy": "priority"}).services[0]
    after = planned([ABC[0] | {"drain": True}, *ABC[1:]], {"policy": "priority"}).services[0]
    assert [tier.label for tier in before.tiers][1:] == [tier.label for tier in after.tiers]


def test_a_planned_member_without_an_endpoint_is_left_out_and_named() -> None:
    plan = planned([{"name": "a"}, {"name": "b", "planned": True}], {"policy": "weighted"})
    assert names(plan.services[0].tiers) == [["a"]]
    assert plan.planned == ("b",)


def test_a_planned_member_that_is_deployed_answers() -> None:
    config = stack([{"name": "a"}, {"name": "b", "planned": True}], [{"name": "x.example.com", "policy": "weighted"}])
    plan = build(config, {"a": endpoint(1), "b": endpoint(2)})
    assert names(plan.services[0].tiers) == [["a", "b"]]
    assert plan.planned == ()


def test_a_service_takes_the_members_that_it_names_and_no_others() -> None:
    plan = planned(ABC, {"policy": "weighted", "members": ["c", "a"]}, {"policy": "weighted"})
    assert names(plan.services[0].tiers) == [["a", "c"]]
    assert names(plan.services[1].tiers) == [["a", "b", "c"]]


def test_naming_a_member_of_another_residency_is_refused_with_both() -> None:
    with pytest.raises(PlanError) as refused:
        planned(ABC, {"policy": "weighted", "residency": "eu", "members": ["a", "b"]}, a="eu", b="us")
    (fault,) = refused.value.faults
    assert fault.path == ("services", 0, "members", 1)
    assert fault.allowed == "its residency is us, and llm.example.com is limited to eu"


def test_a_service_that_is_left_without_members_is_refused() -> None:
    with pytest.raises(PlanError) as refused:
        planned(ABC, {"policy": "weighted", "residency": "eu"})
    assert "no member is left to answer of residency eu" in refused.value.faults[0].allowed


def test_a_degraded_member_alone_is_no_service() -> None:
    with pytest.raises(PlanError) as refused:
        planned([{"name": "a", "drain": True}, {"name": "b", "degraded": True}], {"policy": "priority"})
    assert "only degraded members are left" in refused.value.faults[0].allowed


def test_weights_that_are_all_zero_are_refused_and_one_that_is_not_is_enough() -> None:
    members = [{"name": "a", "weight": 0}, {"name": "b", "weight": 0}]
    with pytest.raises(PlanError) as refused:
        planned(members, {"policy": "weighted"})
    assert "weight is 0 for a and b" in refused.value.faults[0].allowed
    assert planned([*members, {"name": "c", "weight": 1}], {"policy": "weighted"})


def test_two_members_at_one_address_are_refused() -> None:
    config = stack(ABC[:2], [{"name": "x.example.com", "policy": "weighted"}])
    with pytest.raises(PlanError) as refused:
        build(config, {"a": endpoint(1), "b": endpoint(1)})
    assert "answers at 198.51.1.1, as a does" in refused.value.faults[0].allowed


def test_a_member_is_probed_under_the_first_name_that_it_answers_for() -> None:
    services = ({"policy": "weighted", "residency": "eu"}, {"policy": "weighted"})
    plan = planned(ABC, *services, a="eu")
    assert {probe.name: probe.host for probe in plan.probes} == {
        "a": "llm.example.com",
        "b": "llm1.example.com",
        "c": "llm1.example.com",
    }


def test_a_member_that_no_service_takes_is_not_probed() -> None:
    plan = planned(ABC, {"policy": "weighted", "members": ["a"]})
    assert [probe.name for probe in plan.probes] == ["a"]


MEMBER = st.fixed_dictionaries(
    {
        "residency": st.sampled_from(["us", "eu", "jp"]),
        "weight": st.integers(0, 255),
        "priority": st.integers(1, 4),
        "degraded": st.booleans(),
        "drain": st.booleans(),
    }
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(MEMBER, min_size=1, max_size=8),
    st.sampled_from(["priority", "weighted", "latency"]),
    st.sampled_from([None, "us", "eu"]),
)
def test_no_policy_weight_or_drain_leads_across_a_residency_or_to_a_member_twice(
    drawn: list[dict[str, Any]], policy: str, residency: str | None
) -> None:
    residencies = {f"m{i}": m["residency"] for i, m in enumerate(drawn)}
    members = [
        {k: v for k, v in m.items() if k != "residency" and not (k == "priority" and m["degraded"])} | {"name": f"m{i}"}
        for i, m in enumerate(drawn)
    ]
    service = {"policy": policy} | ({"residency": residency} if residency else {})
    try:
        plan = planned(members, service, **residencies)
    except PlanError:
        return
    answering = Counter(place.name for tier in plan.services[0].tiers for place in tier.places)
    assert max(answering.values()) == 1
    wanted = {m["name"] for m in members if not m["drain"] and residency in (None, residencies[m["name"]])}
    assert set(answering) == wanted


@pytest.mark.parametrize(
    "text", ["10.0.0.1", "172.20.1.1", "192.168.1.1", "127.0.0.1", "169.254.1.1", "100.64.0.1", "224.0.0.1", "0.0.0.0",
             "255.255.255.255", "240.0.0.1", "300.1.1.1", "1.2.3", "::1"],
)  # fmt: skip
def test_an_address_that_nobody_outside_can_reach_is_refused(text: str) -> None:
    assert address_fault(text)


@pytest.mark.parametrize("text", ["203.0.113.9", "198.51.100.10", "8.8.8.8", "198.18.0.1"])
def test_public_addresses_and_those_of_examples_pass(text: str) -> None:
    assert address_fault(text) is None


def test_the_endpoint_of_a_region_is_taken_as_exported() -> None:
    output = {
        "hostname": "x.elb.amazonaws.com",
        "addresses": ["203.0.113.2", "203.0.113.3"],
        "port": 443.0,  # numbers of another stack's outputs arrive as floats
        "healthPath": "/readyz",
        "cloud": "aws",
        "region": "us-east-1",
        "nearestAwsRegion": "us-east-1",
        "residency": "us",
    }
    assert Endpoint.from_output(output) == Endpoint(
        "x.elb.amazonaws.com", ("203.0.113.2", "203.0.113.3"), 443, "/readyz", "aws", "us-east-1", "us-east-1", "us"
    )


def test_a_place_without_a_host_name_comes_without_the_key() -> None:
    """As the engine hands it on: the balancers of two clouds have addresses only."""
    output = {
        "addresses": ["203.0.113.2"], "port": 443.0, "healthPath": "/readyz", "cloud": "gcp", "region": "us-central1",
        "nearestAwsRegion": "us-east-2", "residency": "us",
    }  # fmt: skip
    assert Endpoint.from_output(output).hostname is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"addresses": []}, "addresses is not a list of addresses"),
        ({"addresses": "203.0.113.2"}, "addresses is not a list of addresses"),
        ({"addresses": ["10.0.0.1"]}, "addresses holds 10.0.0.1"),
        ({"residency": None, "port": None}, "lacks port and residency"),
    ],
)
def test_an_endpoint_output_of_another_shape_is_refused(change: dict[str, Any], told: str) -> None:
    output = {
        "hostname": None, "addresses": ["203.0.113.2"], "port": 443, "healthPath": "/readyz", "cloud": "aws",
        "region": None, "nearestAwsRegion": "us-east-1", "residency": "us",
    }  # fmt: skip
    changed = {k: v for k, v in (output | change).items() if k not in change or v is not None}
    with pytest.raises(ValueError, match=told):
        Endpoint.from_output(changed)
