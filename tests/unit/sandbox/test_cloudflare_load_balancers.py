"""Load balancers and monitor groups of the stand-in Cloudflare."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.cloudflare import tokens
from sandbox.values import UNKNOWN
from tests.support.aws_region import refused
from tests.support.cloudflare import (
    ACCOUNT,
    BUSINESS,
    ID,
    OTHER_ACCOUNT,
    check_faults,
    empty,
    site,
)

OTHER_ID = "ffeeddccbbaa99887766554433221100"
BALANCER: dict[str, Any] = {
    "zoneId": ID,
    "name": "llm.example.com",
    "defaultPools": [ID, OTHER_ID],
    "fallbackPool": ID,
    "steeringPolicy": "off",
    "proxied": True,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"zoneId": "example.com"}, "zoneId: expected an id of 32 hex digits"),
        ({"name": "llm"}, "name: expected a full host name"),
        ({"name": "https://llm.example.com"}, "name: expected a full host name"),
        ({"defaultPools": []}, "defaultPools: at least one pool is required"),
        ({"defaultPools": [ID, ID]}, "defaultPools[1]: the pool"),
        ({"defaultPools": ["first"]}, "defaultPools[0]: expected an id"),
        ({"fallbackPool": "first"}, "fallbackPool: expected an id"),
        ({"ttl": 30}, "ttl: goes without proxied"),
        ({"proxied": False, "ttl": 10}, "ttl: expected 30 to 600 seconds"),
        ({"proxied": False, "ttl": 601}, "ttl: expected 30 to 600 seconds"),
        ({"steeringPolicy": "failover"}, "steeringPolicy: expected one of off, geo, random"),
        ({"steeringPolicy": "geo"}, "steeringPolicy: geo needs one of regionPools"),
        ({"steeringPolicy": "geo", "regionPools": {"EU": [ID]}}, "regionPools.EU: is no region"),
        ({"steeringPolicy": "geo", "regionPools": {"WEU": []}}, "regionPools.WEU: at least one pool"),
        ({"steeringPolicy": "geo", "countryPools": {"de": [ID]}}, "countryPools.de: expected a country's code"),
        ({"steeringPolicy": "geo", "popPools": {"FRANKFURT": [ID]}}, "popPools.FRANKFURT: expected a data centre"),
        (
            {"steeringPolicy": "least_outstanding_requests", "proxied": False},
            "steeringPolicy: least_outstanding_requests needs proxied",
        ),
        ({"steeringPolicy": "least_connections", "proxied": None}, "steeringPolicy: least_connections needs proxied"),
        (
            {"proxied": False, "adaptiveRouting": {"failoverAcrossPools": True}},
            "adaptiveRouting.failoverAcrossPools: needs proxied",
        ),
        ({"randomSteering": {"poolWeights": {ID: 0.5}}}, "randomSteering.poolWeights: goes with random"),
        (
            {"steeringPolicy": "random", "randomSteering": {"poolWeights": {ID: 2}}},
            "randomSteering.poolWeights",
        ),
        (
            {"steeringPolicy": "random", "randomSteering": {"defaultWeight": 0.005}},
            "randomSteering.defaultWeight: expected steps of 0.01",
        ),
        (
            {"steeringPolicy": "random", "randomSteering": {"poolWeights": {"a" * 32: 0.5}}},
            f"randomSteering.poolWeights.{'a' * 32}: is not among defaultPools",
        ),
        (
            {"steeringPolicy": "random", "randomSteering": {"poolWeights": {ID: 0, OTHER_ID: 0}}},
            "randomSteering: all weights are 0",
        ),
        ({"sessionAffinity": "ip"}, "sessionAffinity: expected one of none, cookie"),
        ({"sessionAffinity": "cookie", "proxied": False}, "sessionAffinity: cookie needs proxied"),
        ({"sessionAffinity": "cookie", "sessionAffinityTtl": 60}, "sessionAffinityTtl: expected 1,800 to 604,800"),
        ({"sessionAffinityTtl": 1800}, "sessionAffinityTtl: goes with sessionAffinity only"),
        (
            {"sessionAffinity": "header"},
            "sessionAffinityAttributes.headers: at least one header is required",
        ),
        (
            {"sessionAffinity": "header", "sessionAffinityAttributes": {"headers": []}},
            "sessionAffinityAttributes.headers: at least one header is required",
        ),
        (
            {
                "sessionAffinity": "header",
                "sessionAffinityAttributes": {"headers": ["x-user"], "zeroDowntimeFailover": "sticky"},
            },
            "sessionAffinityAttributes.zeroDowntimeFailover: sticky goes without",
        ),
        (
            {"sessionAffinityAttributes": {"samesite": "None", "secure": "Never"}},
            "sessionAffinityAttributes.secure: Never goes without samesite None",
        ),
        ({"locationStrategy": {"mode": "client"}}, "locationStrategy.mode: expected one of pop, resolver_ip"),
        ({"networks": ["private"]}, 'networks[0]: expected "cloudflare"'),
        ({"rules": [{"name": "empty"}]}, "rules[0]: overrides or fixedResponse is required"),
        (
            {"rules": [{"overrides": {"steeringPolicy": "nearest"}}]},
            "rules[0].overrides.steeringPolicy: expected one of",
        ),
        (
            {"rules": [{"overrides": {"sessionAffinityTtl": 1800}}]},
            "rules[0].overrides.sessionAffinityTtl: goes with sessionAffinity only",
        ),
        (
            {"rules": [{"overrides": {"ttl": 30}, "fixedResponse": {"statusCode": 200}}]},
            "rules[0]: has overrides and fixedResponse",
        ),
    ],
)
def test_a_load_balancer_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.LOAD_BALANCER, BALANCER, change, expected)


def test_a_preview_with_pools_that_are_not_there_yet_has_no_faults() -> None:
    unknown = {
        **BALANCER,
        "zoneId": UNKNOWN,
        "defaultPools": [UNKNOWN, UNKNOWN],
        "fallbackPool": UNKNOWN,
        "steeringPolicy": "random",
        "randomSteering": {"defaultWeight": 1, "poolWeights": UNKNOWN},
    }
    assert empty().faults(tokens.LOAD_BALANCER, **unknown) == []
    for key in BALANCER:
        assert empty().faults(tokens.LOAD_BALANCER, **{**BALANCER, key: UNKNOWN}) == []


def test_a_load_balancer_names_pools_that_exist_in_the_account_of_its_zone() -> None:
    net = site()
    pool = net.pool()
    with refused("1002", "does not exist"):
        net.balancer(pool, fallbackPool=OTHER_ID)
    with refused("1002", "does not exist"):
        net.balancer(pool, defaultPools=[pool.id, OTHER_ID])
    foreign = net.pool("theirs", accountId=OTHER_ACCOUNT, monitor=None)
    with refused("1002", f"is not in account {ACCOUNT}"):
        net.balancer(pool, fallbackPool=foreign.id)


def test_a_load_balancer_lies_in_its_zone_and_its_name_is_its_own() -> None:
    net = site()
    pool = net.pool()
    with refused("1002", "invalid hostname: llm.example.net"):
        net.balancer(pool, name="llm.example.net")
    with refused("1002", "invalid hostname: notexample.com"):
        net.balancer(pool, name="notexample.com")
    net.balancer(pool, name="example.com")
    made = net.balancer(pool)
    with refused("1002", "the zone has a load balancer named llm.example.com already"):
        net.balancer(pool)
    assert net.cloud.update(made, description="again")["zoneName"] == "example.com"


def test_a_load_balancer_goes_before_a_record_of_the_same_name() -> None:
    net = site()
    net.record(name="llm.example.com")
    assert net.balancer(net.pool())["name"] == "llm.example.com"


@pytest.mark.parametrize("where", ["defaultPools", "fallbackPool", "regionPools", "rules"])
def test_pools_in_use_cannot_be_deleted(where: str) -> None:
    net = site()
    first, other = net.pool("first"), net.pool("other")
    uses: dict[str, dict[str, Any]] = {
        "defaultPools": {"defaultPools": [first.id, other.id]},
        "fallbackPool": {"fallbackPool": other.id},
        "regionPools": {"regionPools": {"WEU": [other.id]}},
        "rules": {"rules": [{"overrides": {"defaultPools": [other.id]}}]},
    }
    balancer = net.balancer(first, **uses[where])
    with refused("1005"):
        net.cloud.delete(other)
    net.cloud.delete(balancer)
    net.cloud.delete(other)


def test_proximity_needs_coordinates_on_every_pool() -> None:
    net = site()
    near, nowhere = net.pool("near", latitude=50.11, longitude=8.68), net.pool("nowhere")
    net.balancer(near, steeringPolicy="proximity")
    with refused("1002", "proximity needs coordinates on the pool 'nowhere'"):
        net.balancer(near, nowhere, name="other.example.com", steeringPolicy="proximity")


def test_dynamic_latency_needs_probes_from_all_regions() -> None:
    net = site()
    with refused("1002", "dynamic_latency needs ALL_REGIONS"):
        net.balancer(net.pool("some"), steeringPolicy="dynamic_latency")
    with refused("1002", "dynamic_latency needs a monitor"):
        net.balancer(net.pool("none", monitor=None), steeringPolicy="dynamic_latency")
    net.balancer(net.pool("all", checkRegions=["ALL_REGIONS"]), steeringPolicy="dynamic_latency")


def test_without_the_traffic_steering_add_on_only_off_and_random_are_there() -> None:
    net = site(BUSINESS)
    pool = net.pool(latitude=50.11, longitude=8.68)
    net.balancer(pool, name="bought.example.com", steeringPolicy="proximity")
    net.cloud.set_quota("traffic-steering", 0)
    with refused("1002", "steering policy proximity needs the Traffic steering add-on"):
        net.balancer(pool, steeringPolicy="proximity")
    with refused("1002", "steering policy geo needs the Traffic steering add-on"):
        net.balancer(pool, steeringPolicy="", regionPools={"WEU": [pool.id]})
    net.balancer(pool, steeringPolicy="random")


def test_data_centre_pools_and_many_affinity_headers_are_for_enterprise() -> None:
    net = site(BUSINESS)
    pool = net.pool()
    with refused("1002", "popPools needs the enterprise plan"):
        net.balancer(pool, steeringPolicy="geo", popPools={"FRA": [pool.id]})
    two = {"headers": ["x-user", "x-team"]}
    with refused("1002", "2 affinity headers, this plan has 1"):
        net.balancer(pool, proxied=True, sessionAffinity="header", sessionAffinityAttributes=two)


def test_plans_but_enterprise_have_twenty_load_balancers() -> None:
    net = site(BUSINESS)
    pool = net.pool()
    for number in range(20):
        net.balancer(pool, name=f"llm-{number}.example.com")
    with refused("1003", "20 load balancers"):
        net.balancer(pool)


def test_a_load_balancer_reads_like_one_of_cloudflare() -> None:
    net = site()
    made = net.balancer(net.pool())
    assert (made["ttl"], made["proxied"], made["enabled"]) == (30, False, True)
    assert made["zoneName"] == "example.com"
    assert made["networks"] == ["cloudflare"]
    assert made["adaptiveRouting"] == {"failoverAcrossPools": False}
    proxied = net.balancer(net.pool("other"), name="p.example.com", proxied=True, sessionAffinity="cookie")
    assert proxied["ttl"] is None
    assert proxied["sessionAffinityTtl"] == 82800


def test_monitor_groups_are_for_enterprise_and_hold_monitors_of_the_account() -> None:
    member = {"enabled": True, "monitoringOnly": False, "mustBeHealthy": True}
    net = site(BUSINESS)
    good: dict[str, Any] = {
        "accountId": ACCOUNT,
        "description": "both",
        "members": [{"monitorId": net.monitor.id, **member}],
    }
    with refused("1002", "a monitor group needs the enterprise plan"):
        net.cloud.create(tokens.MONITOR_GROUP, **good)
    net = site()
    good["members"] = [{"monitorId": net.monitor.id, **member}]
    made = net.cloud.create(tokens.MONITOR_GROUP, **good)
    with refused("1005"):
        net.cloud.delete(net.monitor)
    assert net.pool(monitor=None, monitorGroup=made.id)["monitorGroup"] == made.id
    check_faults(tokens.MONITOR_GROUP, good, {"members": good["members"] * 2}, "members[1].monitorId: the monitor")
