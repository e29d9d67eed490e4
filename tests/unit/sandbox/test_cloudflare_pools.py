"""Monitors and pools of the stand-in Cloudflare."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.cloudflare import tokens
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
