"""Cloudflare's load balancers and Traffic Manager's profiles, as the stand-in answers for them."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.dns.answer import NXDOMAIN
from sandbox.dns.authority import Authority, Snapshot
from sandbox.dns.clock import Clock
from sandbox.dns.cloudflare import DNS_RECORD, LOAD_BALANCER, CloudflareZone
from sandbox.dns.health import Scripted
from sandbox.dns.holders import Holdings
from sandbox.dns.monitors import MONITOR, POOL, Monitors
from sandbox.dns.traffic_manager import ENDPOINT, PROFILE, RECORD_SET, ZONE
from sandbox.kinds import Resource
from spillway.errors import SpillwayError
from tests.support.dns_zone import resource

NAME = "llm.example.com"
PLACES = {"east": (39.0, -77.5), "west": (45.8, -119.7), "frankfurt": (50.1, 8.7)}
ADDRESSES = {"east": "203.0.113.1", "west": "203.0.113.2", "frankfurt": "198.51.100.3"}


# --- Cloudflare ---


def pools(**common: Any) -> list[Resource]:
    found = []
    for name, (latitude, longitude) in PLACES.items():
        values = {
            "name": name,
            "origins": [{"name": "a", "address": ADDRESSES[name], "weight": 1, "enabled": True}],
            "monitor": "m",
            "checkRegions": ["WEU"],
            "latitude": latitude,
            "longitude": longitude,
        }
        found.append(resource(POOL, f"id-{name}", **{**values, **common}))
    return found


def balancer(**outputs: Any) -> Resource:
    values = {
        "name": NAME,
        "zoneId": "cf",
        "zoneName": "example.com",
        "defaultPools": [f"id-{name}" for name in PLACES],
        "fallbackPool": "id-frankfurt",
        "proxied": False,
        "ttl": 30,
        "steeringPolicy": "off",
    }
    return resource(LOAD_BALANCER, "lb", **{**values, **outputs})


class Cloud:
    """A load balancer whose monitors have looked around."""

    def __init__(self, *down: str, pool: dict[str, Any] | None = None, seed: int = 0, **lb: Any) -> None:
        self.endpoints = Scripted()
        for name in down:
            self.endpoints.strike("refused", address=ADDRESSES[name])
        clock, made = Clock(), pools(**(pool or {}))
        monitor = resource(MONITOR, "m", type="https", interval=15, path="/readyz")
        self.monitors = Monitors(made, [monitor], clock, self.endpoints)
        clock.run_until(40)
        self.zone = CloudflareZone("cf", "example.com", [balancer(**lb)], made, [], self.monitors, random.Random(seed))

    def shares(self, location: str = "us-east-1", count: int = 3000) -> dict[str, float]:
        names = {address: name for name, address in ADDRESSES.items()}
        answers = [self.zone.answer(NAME, "A", location) for _ in range(count)]
        found = Counter(names[a.addresses[0]] for a in answers if a.addresses)
        return {name: n / count for name, n in found.items()}


def test_off_steers_to_the_first_healthy_pool() -> None:
    assert Cloud().shares(count=20) == {"east": 1}
    assert Cloud("east").shares(count=20) == {"west": 1}
    assert Cloud("east", "west").shares(count=20) == {"frankfurt": 1}


def test_without_a_healthy_pool_the_fallback_pool_answers_whatever_its_health() -> None:
    assert Cloud(*PLACES, fallbackPool="id-west").shares(count=20) == {"west": 1}


def test_random_steers_by_pool_weights() -> None:
    steering = {"defaultWeight": 1, "poolWeights": {"id-west": 0.25, "id-frankfurt": 0}}
    found = Cloud(steeringPolicy="random", randomSteering=steering).shares()
    assert found["west"] == pytest.approx(0.2, abs=0.03)
    assert "frankfurt" not in found
    assert Cloud("east", "west", steeringPolicy="random", randomSteering=steering).shares(count=20) == {"frankfurt": 1}


@pytest.mark.parametrize("policy", ["proximity", "dynamic_latency"])
def test_the_nearest_healthy_pool_is_taken(policy: str) -> None:
    assert Cloud(steeringPolicy=policy).shares("us-west-1", 20) == {"west": 1}
    assert Cloud(steeringPolicy=policy).shares("eu-west-1", 20) == {"frankfurt": 1}
    assert Cloud("frankfurt", steeringPolicy=policy).shares("eu-west-1", 20) == {"east": 1}


def test_geo_steers_by_region_then_by_the_default_pools() -> None:
    cloud = Cloud(steeringPolicy="geo", regionPools={"WEU": ["id-frankfurt", "id-west"]})
    assert cloud.shares("eu-west-1", 20) == {"frankfurt": 1}
    assert cloud.shares("sa-east-1", 20) == {"east": 1}


def test_a_disabled_pool_and_one_below_its_health_threshold_get_nothing() -> None:
    assert Cloud(pool={"minimumOrigins": 2}).shares(count=20) == {"frankfurt": 1}  # all critical: the fallback
    assert Cloud(pool={"enabled": False}).shares(count=20) == {}


def test_a_proxied_name_answers_with_cloudflares_addresses_and_tells_the_origin() -> None:
    answer = Cloud(proxied=True).zone.answer(NAME)
    assert all(value.startswith("104.") for value in answer.values)
    assert (answer.ttl, answer.origin, answer.addresses) == (300, ADDRESSES["east"], (ADDRESSES["east"],))


@pytest.mark.parametrize(
    ("kind", "across", "status", "seconds", "origin"),
    [
        ("refused", True, 200, 0, "west"),
        ("refused", False, 521, 0, "east"),
        ("blackhole", True, 200, 19, "west"),
        ("blackhole", False, 522, 19, "east"),
        ("error", True, 503, 0, "east"),  # the member's own answer is the client's
        ("slow", True, 524, 120, "east"),
    ],
)
def test_a_request_that_cannot_connect_is_tried_on_another_pool(
    kind: Any, across: bool, status: int, seconds: float, origin: str
) -> None:
    cloud = Cloud(proxied=True, adaptiveRouting={"failoverAcrossPools": across})
    cloud.endpoints.strike(kind, address=ADDRESSES["east"])  # and no monitor has seen it yet
    reach = cloud.zone.reach(NAME, cloud.endpoints)
    assert (reach.status, reach.seconds, reach.origin) == (status, seconds, ADDRESSES[origin])


def test_the_one_retry_goes_to_a_sibling_in_the_pool_first() -> None:
    siblings = [{"name": n, "address": ADDRESSES["east"], "weight": 1, "enabled": True} for n in ("a", "b")]
    cloud = Cloud(proxied=True, adaptiveRouting={"failoverAcrossPools": True}, pool={"origins": siblings})
    cloud.endpoints.strike("refused", address=ADDRESSES["east"])
    assert cloud.zone.reach(NAME, cloud.endpoints).status == 521


def test_rules_are_refused_in_words() -> None:
    with pytest.raises(SpillwayError, match="rules"):
        Cloud(rules=[{"name": "r"}])


def test_records_beside_the_load_balancer() -> None:
    rows = [
        resource(DNS_RECORD, "1", zoneId="cf", name="www.example.com", type="A", content="192.0.2.1", ttl=120),
        resource(DNS_RECORD, "2", zoneId="cf", name="app", type="CNAME", content="www.example.com", ttl=1),
        resource(DNS_RECORD, "3", zoneId="cf", name="p", type="A", content="192.0.2.9", ttl=1, proxied=True),
    ]
    authority = Authority(Snapshot({DNS_RECORD: rows}, Holdings()), Clock(), Scripted())
    assert authority.answer("www.example.com").ttl == 120
    followed = authority.answer("app.example.com")
    assert (followed.values, followed.lifetime) == (("192.0.2.1",), 120)
    assert authority.answer("p.example.com").origin == "192.0.2.9"
    assert authority.answer("x.example.com").rcode == NXDOMAIN


@settings(deadline=None)
@given(st.sets(st.sampled_from(sorted(PLACES))), st.sampled_from(["off", "random", "proximity", "geo"]))
def test_a_pool_that_is_down_gets_nothing_while_another_is_healthy(down: set[str], policy: str) -> None:
    found = set(Cloud(*down, steeringPolicy=policy).shares(count=30))
    assert found
    if len(down) < len(PLACES):
        assert not found & down


# --- Traffic Manager ---

MONITORING = {"protocol": "HTTPS", "port": 443, "path": "/readyz", "intervalInSeconds": 10, "timeoutInSeconds": 5,
              "toleratedNumberOfFailures": 1}  # fmt: skip
GROUP = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/trafficManagerProfiles"


def profile(name: str, method: str, ttl: int = 10, **outputs: Any) -> Resource:
    values = {
        "name": name,
        "resourceGroupName": "g",
        "profileName": name,
        "trafficRoutingMethod": method,
        "dnsConfig": {"relativeName": name, "ttl": ttl, "fqdn": f"{name}.trafficmanager.net"},
        "monitorConfig": MONITORING,
    }
    return resource(PROFILE, f"{GROUP}/{name}", **{**values, **outputs})


def endpoint(of: str, name: str, **outputs: Any) -> Resource:
    values = {"resourceGroupName": "g", "profileName": of, "endpointName": name, "endpointType": "ExternalEndpoints"}
    return resource(ENDPOINT, f"{GROUP}/{of}/ExternalEndpoints/{name}", **{**values, **outputs})


def azure(*resources: Resource, down: tuple[str, ...] = (), seed: int = 0) -> Authority:
    found: dict[str, list[Resource]] = {}
    for item in resources:
        found.setdefault(item.token, []).append(item)
    clock, endpoints = Clock(), Scripted()
    for address in down:
        endpoints.strike("refused", address=address)
    authority = Authority(Snapshot(found, Holdings()), clock, endpoints, seed)
    clock.settle(authority.settling)
    return authority


def three(method: str, **outputs: Any) -> list[Resource]:
    locations = {"east": "East US", "west": "West US 2", "frankfurt": "germanywestcentral"}
    return [profile("top", method, **outputs)] + [
        endpoint("top", name, target=address, priority=n, weight=n, endpointLocation=locations[name])
        for n, (name, address) in enumerate(ADDRESSES.items(), 1)
    ]


def answered(authority: Authority, location: str = "us-east-1", count: int = 30) -> set[str]:
    return {v for _ in range(count) for v in authority.answer("top.trafficmanager.net", "A", location).values}


def test_priority_takes_the_first_endpoint_that_is_online() -> None:
    for gone in range(3):
        down = tuple(ADDRESSES.values())[:gone]
        assert answered(azure(*three("Priority"), down=down)) == {list(ADDRESSES.values())[gone]}


def test_all_degraded_count_as_online() -> None:
    down = tuple(ADDRESSES.values())
    assert answered(azure(*three("Priority"), down=down)) == {ADDRESSES["east"]}
    assert answered(azure(*three("Weighted"), down=down), count=200) == set(ADDRESSES.values())


def test_performance_takes_the_nearest_endpoint() -> None:
    assert answered(azure(*three("Performance")), "eu-west-1") == {ADDRESSES["frankfurt"]}
    assert answered(azure(*three("Performance"), down=(ADDRESSES["frankfurt"],)), "eu-west-1") == {ADDRESSES["east"]}


def test_weights_of_endpoints_are_met() -> None:
    authority = azure(*three("Weighted"))
    counts = Counter(authority.answer("top.trafficmanager.net").values[0] for _ in range(6000))
    for n, address in enumerate(ADDRESSES.values(), 1):
        assert counts[address] / 6000 == pytest.approx(n / 6, abs=0.03)


def test_multivalue_answers_with_every_address_that_is_online() -> None:
    answer = azure(*three("MultiValue", maxReturn=2), down=(ADDRESSES["west"],)).answer("top.trafficmanager.net")
    assert set(answer.values) == {ADDRESSES["east"], ADDRESSES["frankfurt"]}


def test_a_disabled_endpoint_and_a_disabled_profile_answer_nothing() -> None:
    rows = [profile("top", "Priority"), endpoint("top", "a", target="192.0.2.1", priority=1, endpointStatus="Disabled")]
    assert azure(*rows).answer("top.trafficmanager.net").values == ()
    assert (
        azure(profile("top", "Priority", profileStatus="Disabled")).answer("top.trafficmanager.net").rcode == NXDOMAIN
    )


def test_an_endpoint_that_is_always_served_is_not_probed() -> None:
    rows = [profile("top", "Priority"), endpoint("top", "a", target="192.0.2.1", priority=1, alwaysServe="Enabled"),
            endpoint("top", "b", target="192.0.2.2", priority=2)]  # fmt: skip
    assert answered(azure(*rows, down=("192.0.2.1",))) == {"192.0.2.1"}


def nested(least: int) -> list[Resource]:
    child = f"{GROUP}/child"
    return [
        profile("top", "Priority", ttl=7),
        profile("child", "Weighted", ttl=60),
        endpoint(
            "top", "near", endpointType="NestedEndpoints", targetResourceId=child, priority=1, minChildEndpoints=least
        ),
        endpoint("top", "far", target="192.0.2.9", priority=2),
        endpoint("child", "a", target="192.0.2.1", weight=1),
        endpoint("child", "b", target="192.0.2.2", weight=1),
    ]


def test_a_nested_profile_needs_its_least_number_of_children() -> None:
    assert answered(azure(*nested(1), down=("192.0.2.1",))) == {"192.0.2.2"}
    assert answered(azure(*nested(2), down=("192.0.2.1",))) == {"192.0.2.9"}
    assert azure(*nested(1)).answer("top.trafficmanager.net").ttl == 7  # of the profile that was asked


def test_a_service_name_leads_to_its_profile() -> None:
    rows = [
        resource(ZONE, "z", zoneName="example.com", resourceGroupName="g", nameServers=["ns1-01.azure-dns.com."]),
        resource(RECORD_SET, "r", zoneName="example.com", resourceGroupName="G", relativeRecordSetName="llm",
                 recordType="CNAME", ttl=5, cnameRecord={"cname": "top.trafficmanager.net"}),
        resource(RECORD_SET, "apex", zoneName="example.com", resourceGroupName="g", relativeRecordSetName="@",
                 recordType="A", ttl=5, targetResource={"id": f"{GROUP}/top".upper()}),
    ]  # fmt: skip
    authority = azure(*three("Priority"), *rows)
    answer = authority.answer(NAME)
    assert [link.target for link in answer.links] == ["top.trafficmanager.net"]
    assert (answer.values, answer.lifetime, answer.name) == ((ADDRESSES["east"],), 5, NAME)
    assert authority.answer("example.com").values == (ADDRESSES["east"],)
    assert authority.provider(NAME) == "traffic-manager"
    assert NAME in authority.services()


def test_an_unknown_location_and_method_say_so() -> None:
    rows = [profile("top", "Performance"), endpoint("top", "a", target="192.0.2.1", endpointLocation="Moon")]
    with pytest.raises(SpillwayError, match="endpointLocation = Moon"):
        azure(*rows).answer("top.trafficmanager.net")
    with pytest.raises(SpillwayError, match="trafficRoutingMethod = Subnet"):
        azure(*three("Subnet")).answer("top.trafficmanager.net")
