"""Monitors, pools and load balancers of the stand-in Cloudflare."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.cloudflare import tokens
from sandbox.values import UNKNOWN
from tests.support.aws_region import refused
from tests.support.cloudflare import (
    ACCOUNT,
    BUSINESS,
    ENTERPRISE,
    FREE,
    ID,
    OTHER_ACCOUNT,
    PRO,
    check_faults,
    empty,
    site,
)

OTHER_ID = "ffeeddccbbaa99887766554433221100"
MONITOR: dict[str, Any] = {
    "accountId": ACCOUNT,
    "type": "https",
    "path": "/readyz",
    "expectedCodes": "200",
    "interval": 15,
    "timeout": 5,
    "header": {"Host": ["llm.example.com"]},
}
TCP: dict[str, Any] = {"accountId": ACCOUNT, "type": "tcp", "port": 443}
ORIGIN: dict[str, Any] = {"name": "a", "address": "203.0.113.1", "weight": 0.5}
POOL: dict[str, Any] = {"accountId": ACCOUNT, "name": "first", "origins": [ORIGIN]}
BALANCER: dict[str, Any] = {
    "zoneId": ID,
    "name": "llm.example.com",
    "defaultPools": [ID, OTHER_ID],
    "fallbackPool": ID,
    "steeringPolicy": "off",
    "proxied": True,
}


@pytest.mark.parametrize(
    ("good", "change", "expected"),
    [
        (MONITOR, {"accountId": "me"}, "accountId: expected an id of 32 hex digits"),
        (MONITOR, {"type": "HTTPS"}, "type: expected one of http, https, tcp"),
        (MONITOR, {"interval": 9}, "interval: expected 10 to 3,600 seconds"),
        (MONITOR, {"interval": 3601}, "interval: expected 10 to 3,600 seconds"),
        (MONITOR, {"timeout": 15}, "timeout: expected 1 to 10"),
        (MONITOR, {"interval": 10, "timeout": 10}, "timeout: has to be less than the interval (10 s)"),
        (MONITOR, {"timeout": 0}, "timeout: expected 1 to 10 seconds"),
        (MONITOR, {"retries": 6}, "retries: expected 0 to 5"),
        (MONITOR, {"consecutiveDown": 11}, "consecutiveDown: expected 0 to 10"),
        (MONITOR, {"consecutiveUp": -1}, "consecutiveUp: expected 0 to 10"),
        (MONITOR, {"port": 70000}, "port: expected 0 to 65,535"),
        (MONITOR, {"path": "readyz"}, "path: expected a path that begins with /"),
        (MONITOR, {"expectedCodes": "200-299"}, "expectedCodes: expected codes such as"),
        (MONITOR, {"expectedCodes": "2xx,600"}, "expectedCodes: expected codes such as"),
        (MONITOR, {"expectedCodes": None}, "expectedCodes: expectedCodes or expectedBody is required"),
        (MONITOR, {"method": "POST"}, "method: expected one of GET, HEAD"),
        (MONITOR, {"method": "HEAD", "expectedBody": "ok"}, "expectedBody: goes without method HEAD"),
        (MONITOR, {"header": {"Host": ["a.example.com", "b.example.com"]}}, "header.Host: expected one host, got 2"),
        (MONITOR, {"header": {"Host": ["https://x"]}}, "header.Host[0]: expected a host name"),
        (MONITOR, {"header": {"User-Agent": ["me"]}}, "header.User-Agent: the User-Agent header cannot be"),
        (MONITOR, {"header": {"A b": ["x"]}}, "header.A b: is no name of an HTTP header"),
        (MONITOR, {"header": {"X-App": []}}, "header.X-App: has no value"),
        (MONITOR, {"type": "http", "allowInsecure": True}, "allowInsecure: goes with https"),
        (MONITOR, {"probeZone": "Example"}, "probeZone: expected a zone's name"),
        (TCP, {"port": None}, "port: is required for tcp"),
        (TCP, {"expectedBody": "ok"}, "expectedBody: goes with http and https only"),
        (TCP, {"expectedCodes": "200"}, "expectedCodes: goes with http and https only"),
        (TCP, {"path": "/"}, "path: goes with http and https only"),
        (TCP, {"header": {"Host": ["a.example.com"]}}, "header: goes with http and https only"),
        (TCP, {"method": "GET"}, "method: expected one of connection_established"),
        (TCP, {"type": "smtp", "port": None}, "port: is required for smtp"),
        (TCP, {"type": "icmp_ping"}, "port: goes without icmp_ping"),
    ],
)
def test_a_monitor_is_checked(good: dict[str, Any], change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.MONITOR, good, change, expected)


@pytest.mark.parametrize("codes", ["200", "2xx", "200,302", "2xx,301"])
def test_expected_codes_are_single_ones_or_whole_classes(codes: str) -> None:
    assert empty().faults(tokens.MONITOR, **{**MONITOR, "expectedCodes": codes}) == []


@pytest.mark.parametrize(("plan", "least"), [(FREE, 60), (PRO, 60), (BUSINESS, 15), (ENTERPRISE, 10)])
def test_each_plan_has_its_shortest_interval(plan: int, least: int) -> None:
    cloud = empty(plan)
    cloud.create(tokens.MONITOR, **{**MONITOR, "interval": least})
    if least > 10:
        with refused("1002", f"interval is not in range [{least}, 3600]"):
            cloud.create(tokens.MONITOR, **{**MONITOR, "interval": least - 1})


def test_a_contract_may_have_another_interval_than_its_plan() -> None:
    cloud = empty(PRO)
    cloud.set_quota("monitor-interval", 30)
    assert cloud.create(tokens.MONITOR, **{**MONITOR, "interval": 30})["interval"] == 30


def test_an_interval_cannot_be_shortened_beyond_the_plan_later() -> None:
    cloud = empty(BUSINESS)
    made = cloud.create(tokens.MONITOR, **MONITOR)
    with refused("1002", "interval"):
        cloud.update(made, interval=10)


def test_a_monitor_reads_like_one_of_cloudflare() -> None:
    made = empty().create(tokens.MONITOR, accountId=ACCOUNT, expectedCodes="2xx")
    assert len(made.id) == 32
    assert int(made.id, 16)
    assert (made["type"], made["method"], made["path"], made["interval"]) == ("http", "GET", "/", 60)
    assert (made["timeout"], made["retries"]) == (5, 2)
    assert made["createdOn"] == made["modifiedOn"]


def test_an_update_changes_the_time_of_change_only() -> None:
    cloud = empty()
    made = cloud.create(tokens.MONITOR, **MONITOR)
    changed = cloud.update(made, timeout=4)
    assert changed["createdOn"] == made["createdOn"]
    assert changed["modifiedOn"] > made["modifiedOn"]


def test_monitors_are_one_and_a_half_times_the_pools() -> None:
    cloud = empty(BUSINESS)
    cloud.set_quota("pools", 2)
    for _ in range(3):
        cloud.create(tokens.MONITOR, **MONITOR)
    with refused("1003", "the business plan includes 3 monitors"):
        cloud.create(tokens.MONITOR, **MONITOR)


def origin(**change: Any) -> dict[str, Any]:
    return {"origins": [{k: v for k, v in {**ORIGIN, **change}.items() if v is not None}]}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "first pool"}, "name: expected letters, digits, hyphens and underscores"),
        ({"origins": []}, "origins: at least one endpoint is required"),
        (origin(name=None), "origins[0].name: is required"),
        (origin(address=None), "origins[0].address: is required"),
        (
            origin(address="https://a.example.com"),
            "origins[0].address: expected an IP address or a host name, not a URL",
        ),
        (
            origin(address="a.example.com/readyz"),
            "origins[0].address: expected an IP address or a host name, not a URL",
        ),
        (origin(address="203.0.113.1:443"), "origins[0].address: expected an IP address or a host name; a port"),
        (origin(address="localhost"), "origins[0].address: expected an IP address or a full host name"),
        (origin(address="203.0.113.256"), "origins[0].address: expected an IP address or a host name"),
        (origin(address="10.0.0.1"), "origins[0].address: expected a public address; a private one needs"),
        (origin(address="127.0.0.1"), "origins[0].address: expected an address that can be reached"),
        (origin(address="fd00::1"), "origins[0].address: expected a public address"),
        (origin(weight=1.1), "origins[0].weight: expected 0 to 1"),
        (origin(weight=0.125), "origins[0].weight: expected steps of 0.01"),
        (origin(port=65536), "origins[0].port: expected 0 to 65,535"),
        (origin(header={"hosts": ["a.example.com", "b.example.com"]}), "origins[0].header.hosts: expected one host"),
        (origin(header={"hosts": ["a"]}), "origins[0].header.hosts[0]: expected a full host name"),
        (origin(disabledAt="2026-01-01T00:00:00Z"), "origins[0].disabledAt: is told by Cloudflare"),
        (origin(virtualNetworkId="net"), "origins[0].virtualNetworkId: expected the id"),
        (
            {"origins": [ORIGIN, {**ORIGIN, "address": "203.0.113.2"}]},
            "origins[1].name: the pool has an endpoint named a already",
        ),
        (
            {"origins": [ORIGIN, {**ORIGIN, "name": "b", "port": 8443}]},
            "origins[1].address: the pool has an endpoint at 203.0.113.1 already",
        ),
        ({"minimumOrigins": 2}, "minimumOrigins: expected 0 to the number of endpoints, 1"),
        ({"checkRegions": ["EU"]}, "checkRegions[0]: expected one of WNAM, ENAM"),
        ({"checkRegions": ["WEU", "WEU"]}, "checkRegions: names a region twice"),
        ({"checkRegions": ["WEU", "ALL_REGIONS"]}, "checkRegions: ALL_REGIONS stands alone"),
        ({"latitude": 50.1}, "latitude: needs longitude"),
        ({"longitude": 8.7}, "longitude: needs latitude"),
        ({"latitude": 91, "longitude": 8.7}, "latitude: expected -90 to 90"),
        ({"monitor": ID, "monitorGroup": ID}, "monitorGroup: conflicts with monitor"),
        ({"loadShedding": {"defaultPercent": 101}}, "loadShedding.defaultPercent: expected 0 to 100"),
        ({"loadShedding": {"sessionPolicy": "random"}}, "loadShedding.sessionPolicy: expected one of hash"),
        ({"originSteering": {"policy": "off"}}, "originSteering.policy: expected one of random, hash"),
        ({"notificationEmail": "me"}, "notificationEmail: expected email addresses"),
    ],
)
def test_a_pool_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.POOL, POOL, change, expected)


def test_a_private_address_goes_with_a_virtual_network() -> None:
    network = "01234567-89ab-cdef-0123-456789abcdef"
    assert empty().faults(tokens.POOL, **{**POOL, **origin(address="10.0.0.1", virtualNetworkId=network)}) == []


def test_a_pool_names_a_monitor_that_exists_in_its_account() -> None:
    net = site()
    with refused("1002", "does not exist"):
        net.pool(monitor=OTHER_ID)
    foreign = net.cloud.create(tokens.MONITOR, **{**MONITOR, "accountId": OTHER_ACCOUNT})
    with refused("1002", f"is not in account {ACCOUNT}"):
        net.pool(monitor=foreign.id)


def test_pool_names_are_unique_within_an_account() -> None:
    net = site()
    net.pool("first")
    with refused("1002", "the pool name 'first' is taken"):
        net.pool("first")
    net.pool("first", accountId=OTHER_ACCOUNT, monitor=None)


def test_an_update_does_not_collide_with_the_pool_itself() -> None:
    net = site()
    pool = net.pool("first")
    assert net.cloud.update(pool, description="better")["description"] == "better"


def test_probing_from_every_data_centre_is_for_enterprise() -> None:
    with refused("1002", "Probing from every data centre is not allowed with this subscription"):
        site(BUSINESS).pool(checkRegions=None)
    assert site(ENTERPRISE).pool(checkRegions=None)["monitor"]


def test_a_subscription_may_have_fewer_check_regions() -> None:
    net = site(BUSINESS)
    net.cloud.set_quota("check-regions", 2)
    net.pool("two", checkRegions=["WEU", "ENAM"])
    with refused("1002", "3 check regions, this subscription has 2"):
        net.pool("three", checkRegions=["WEU", "ENAM", "WNAM"])
    with refused("1002", "13 check regions"):
        net.pool("all", checkRegions=["ALL_REGIONS"])


def test_plans_but_enterprise_have_twenty_pools_and_twenty_endpoints() -> None:
    net = site(BUSINESS)
    for number in range(20):
        net.pool(f"pool-{number}")
    with refused("1003", "20 pools"):
        net.pool("one-more")

    net = site(BUSINESS)
    many = [{"name": str(n), "address": f"198.51.100.{n}"} for n in range(20)]
    pool = net.pool("many", origins=many)
    assert net.cloud.update(pool, description="same endpoints")
    with refused("1003", "20 endpoints"):
        net.pool("one-more")


def test_a_host_header_lies_in_a_zone_of_the_account_or_is_the_address() -> None:
    net = site()
    host = {"hosts": ["llm.example.com"]}
    net.pool("ours", origins=[{**ORIGIN, "header": host}])
    net.pool("itself", origins=[{**ORIGIN, "address": "app.example.net", "header": {"hosts": ["app.example.net"]}}])
    with refused("1002", 'Host header "www.example.net" not allowed for origin domain "203.0.113.1"'):
        net.pool("theirs", origins=[{**ORIGIN, "header": {"hosts": ["www.example.net"]}}])


def test_a_pool_reads_like_one_of_cloudflare() -> None:
    net = site()
    made = net.pool(enabled=False, origins=[{**ORIGIN, "enabled": False}])
    assert made["disabledAt"]
    assert made["origins"][0]["disabledAt"]
    assert made["origins"][0] | {"disabledAt": ""} == {
        **ORIGIN, "enabled": False, "flattenCname": True, "port": 0, "disabledAt": "",
    }  # fmt: skip
    assert made["originSteering"] == {"policy": "random"}
    assert made["minimumOrigins"] == 1
    again = net.cloud.update(made, description="still off")
    assert again["disabledAt"] == made["disabledAt"]


def test_monitors_in_use_cannot_be_deleted() -> None:
    net = site()
    pool = net.pool()
    with refused("1005"):
        net.cloud.delete(net.monitor)
    net.cloud.delete(pool)
    net.cloud.delete(net.monitor)


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
