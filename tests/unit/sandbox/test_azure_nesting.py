"""What the endpoints of a Traffic Manager profile have to be together, and how profiles are nested."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.azure_native import tokens
from sandbox.kinds import Resource
from tests.support.aws_region import refused
from tests.support.azure import SUBSCRIPTION, Azure


def two(method: str, first: dict[str, Any], second: dict[str, Any], targets: tuple[str, str]) -> None:
    cloud = Azure()
    cloud.profile("p", method)
    cloud.external("p", targets[0], endpointName="one", **first)
    cloud.external("p", targets[1], endpointName="two", **second)


V4, V6, NAME = ("198.51.100.10", "198.51.100.11"), ("2001:db8::1", "2001:db8::2"), ("a.example.com", "b.example.com")


@pytest.mark.parametrize(
    ("method", "first", "second", "targets", "expected"),
    [
        ("Weighted", {}, {}, (V4[0], V4[0]), "target '198.51.100.10' is used by more than one endpoint"),
        ("Weighted", {}, {}, (NAME[0], NAME[0].upper()), "target"),
        ("Priority", {"priority": 1}, {"priority": 1}, V4, "priority '1' is used by more than one endpoint"),
        ("Weighted", {"priority": 1}, {"priority": 1}, V4, "priority '1' is used by more than one endpoint"),
        ("Weighted", {}, {}, (V4[0], NAME[0]), "one addressing type, found DomainName, IPv4Address"),
        ("Weighted", {}, {}, (V4[0], V6[0]), "one addressing type, found IPv4Address, IPv6Address"),
        ("MultiValue", {}, {}, (V4[0], NAME[0]), "MultiValue profiles take external endpoints with IP addresses"),
        (
            "Performance",
            {"endpointLocation": "westeurope"},
            {},
            V4,
            "'endpointLocation' must be specified for endpoint 'two'",
        ),
        ("Geographic", {"geoMapping": ["WORLD"]}, {}, V4, "'geoMapping' must be specified for endpoint 'two'"),
        ("Geographic", {"geoMapping": ["DE"]}, {"geoMapping": ["FR", "DE"]}, V4, "geographic region 'DE' is used"),
        (
            "Subnet",
            {"subnets": [{"first": "198.51.100.0", "scope": 24}]},
            {"subnets": [{"first": "198.51.100.9", "last": "198.51.101.9"}]},
            V4,
            "The subnets of endpoints 'one' and 'two' overlap",
        ),
        ("Subnet", {}, {}, V4, "Only one endpoint may have no subnets"),
    ],
)
def test_endpoints_that_do_not_go_together_are_refused(
    method: str, first: dict[str, Any], second: dict[str, Any], targets: tuple[str, str], expected: str
) -> None:
    with refused("BadRequest", expected):
        two(method, first, second, targets)


@pytest.mark.parametrize(
    ("method", "first", "second", "targets"),
    [
        ("Weighted", {}, {}, V4),
        ("Weighted", {}, {}, NAME),
        ("Priority", {"priority": 1}, {}, V4),
        ("MultiValue", {}, {}, (V4[0], V6[0])),
        ("Performance", {"endpointLocation": "westeurope"}, {"endpointLocation": "West Europe"}, V4),
        ("Geographic", {"geoMapping": ["DE"]}, {"geoMapping": ["GEO-EU", "US-CA"]}, V4),
        ("Subnet", {"subnets": [{"first": "198.51.100.0", "scope": 24}]}, {}, V4),
    ],
)
def test_endpoints_that_go_together_are_taken(
    method: str, first: dict[str, Any], second: dict[str, Any], targets: tuple[str, str]
) -> None:
    two(method, first, second, targets)


def test_a_priority_that_is_left_out_is_the_next_one_and_stays() -> None:
    cloud = Azure()
    cloud.profile("p", "Priority")
    first = cloud.external("p", V4[0], priority=5)
    second = cloud.external("p", V4[1])
    assert (first["priority"], second["priority"]) == (5, 6)
    assert cloud.update(second, weight=7)["priority"] == 6


def test_in_one_list_all_endpoints_have_a_priority_or_none() -> None:
    listed: list[dict[str, Any]] = [
        {"name": "a", "type": "ExternalEndpoints", "target": V4[0], "priority": 1},
        {"name": "b", "type": "ExternalEndpoints", "target": V4[1]},
    ]
    with refused("BadRequest", "it must be specified on all endpoints"):
        Azure().profile("p", "Priority", endpoints=listed)
    made = Azure().profile("p", "Priority", endpoints=[{**e, "priority": None} for e in listed])
    assert [e["priority"] for e in made["endpoints"]] == [1, 2]


def test_a_change_of_the_method_is_judged_with_the_endpoints_that_stand() -> None:
    cloud = Azure()
    made = cloud.profile("p")
    cloud.external("p", V4[0])
    with refused("BadRequest", "'endpointLocation' must be specified"):
        cloud.update(made, trafficRoutingMethod="Performance")


def test_a_profile_has_at_most_200_endpoints() -> None:
    listed = [
        {"name": f"e{i}", "type": "ExternalEndpoints", "target": f"198.51.{i // 250}.{i % 250}"} for i in range(201)
    ]
    with refused("BadRequest", "at most 200 endpoints"):
        Azure().profile("p", endpoints=listed)
    assert len(Azure().profile("p", endpoints=listed[:200])["endpoints"]) == 200


def chain(cloud: Azure, length: int) -> list[Resource]:
    made = [cloud.profile(f"p{i}") for i in range(length)]
    for i in range(length - 1):
        cloud.nested(f"p{i}", made[i + 1])
    return made


def test_profiles_nest_ten_levels_deep_and_no_deeper() -> None:
    cloud = Azure()
    made = chain(cloud, 10)
    top = cloud.profile("top")
    with refused("BadRequest", "up to 10 levels, endpoint 'p0' makes 11"):
        cloud.nested("top", made[0])
    with refused("BadRequest", "makes 11"):
        cloud.nested("p9", top)


def test_a_nested_profile_exists_and_makes_no_loop() -> None:
    cloud = Azure()
    first, second = chain(cloud, 2)
    gone = f"{cloud.group.id}/providers/Microsoft.Network/trafficManagerProfiles/gone"
    with refused("BadRequest", "could not be found"):
        cloud.create(tokens.ENDPOINT, **{**_nested("p0"), "targetResourceId": gone})
    with refused("BadRequest", "points at its own profile"):
        cloud.nested("p0", first)
    with refused("BadRequest", "makes a loop"):
        cloud.nested("p1", first)
    elsewhere = gone.replace(SUBSCRIPTION, "11111111-1111-4111-8111-111111111111")
    cloud.create(tokens.ENDPOINT, **{**_nested("p1"), "targetResourceId": elsewhere})
    assert second.id


def _nested(parent: str) -> dict[str, Any]:
    return {
        "resourceGroupName": "spillway-global",
        "profileName": parent,
        "endpointType": "NestedEndpoints",
        "endpointName": "x",
    }


def test_a_multivalue_profile_is_no_parent() -> None:
    cloud = Azure()
    child = cloud.profile("child")
    cloud.profile("p", "MultiValue")
    with refused("BadRequest", "MultiValue profiles take external endpoints"):
        cloud.nested("p", child)


def test_a_nested_profile_is_not_deleted_before_its_place_in_the_parent() -> None:
    cloud = Azure()
    parent, child = cloud.profile("parent"), cloud.profile("child")
    place = cloud.nested("parent", child)
    with refused("BadRequest", "The profile 'child' is nested in the profile 'parent'"):
        cloud.delete(child)
    cloud.delete(place)
    cloud.delete(child)
    cloud.delete(parent)


def test_a_child_may_be_in_several_parents() -> None:
    cloud = Azure()
    child = cloud.profile("child")
    for name in ("one", "two"):
        cloud.profile(name)
        cloud.nested(name, child)


def test_allowed_record_types_hold() -> None:
    cloud = Azure()
    cloud.profile("p", allowedEndpointRecordTypes=["IPv4Address"])
    with refused("BadRequest", "The profile allows endpoints of IPv4Address"):
        cloud.external("p", NAME[0])
    cloud.external("p", V4[0])
