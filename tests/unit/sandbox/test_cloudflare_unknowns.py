"""Values that only the deployment will tell trip no rule of the stand-in Cloudflare, wherever they stand."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.cloudflare import tokens
from sandbox.values import UNKNOWN
from tests.support.cloudflare import ACCOUNT, ID, empty

OTHER = "ffeeddccbbaa99887766554433221100"
GOOD: list[tuple[str, dict[str, Any]]] = [
    (tokens.ZONE, {"name": "a.com", "account": {"id": ACCOUNT}, "type": "full", "vanityNameServers": ["ns.a.net"]}),
    (tokens.ZONE_SETTING, {"zoneId": ID, "settingId": "ssl", "value": "strict"}),
    (tokens.ZONE_SETTING, {"zoneId": ID, "settingId": "proxy_read_timeout", "value": 600}),
    (tokens.ZONE_DNSSEC, {"zoneId": ID, "status": "active"}),
    (
        tokens.DNS_RECORD,
        {"zoneId": ID, "name": "a", "type": "A", "content": "203.0.113.1", "ttl": 1, "proxied": True, "tags": ["a:b"]},
    ),
    (
        tokens.DNS_RECORD,
        {"zoneId": ID, "name": "a", "type": "CNAME", "content": "b.example.com", "ttl": 60,
         "settings": {"flattenCname": True}},
    ),
    (tokens.DNS_RECORD, {"zoneId": ID, "name": "a", "type": "MX", "content": "b.a.com", "ttl": 60, "priority": 1}),
    (
        tokens.DNS_RECORD,
        {"zoneId": ID, "name": "@", "type": "CAA", "ttl": 60, "data": {"flags": 0, "tag": "issue", "value": "a.net"}},
    ),
    (
        tokens.MONITOR,
        {"accountId": ACCOUNT, "type": "https", "method": "GET", "path": "/readyz", "port": 443, "interval": 10,
         "timeout": 5, "expectedCodes": "200", "expectedBody": "ready", "header": {"Host": ["a.example.com"]},
         "allowInsecure": True, "probeZone": "example.com"},
    ),
    (tokens.MONITOR, {"accountId": ACCOUNT, "type": "tcp", "port": 443}),
    (
        tokens.MONITOR_GROUP,
        {"accountId": ACCOUNT, "description": "d",
         "members": [{"monitorId": ID, "enabled": True, "monitoringOnly": False, "mustBeHealthy": True}]},
    ),
    (
        tokens.POOL,
        {"accountId": ACCOUNT, "name": "p", "monitor": ID, "checkRegions": ["WEU"], "latitude": 1.5, "longitude": 2.5,
         "minimumOrigins": 1, "originSteering": {"policy": "random"}, "loadShedding": {"defaultPercent": 10},
         "origins": [{"name": "a", "address": "203.0.113.1", "port": 443, "weight": 0.5,
                      "header": {"hosts": ["a.example.com"]}}, {"name": "b", "address": "b.example.com"}]},
    ),
    (
        tokens.LOAD_BALANCER,
        {"zoneId": ID, "name": "a.example.com", "defaultPools": [ID, OTHER], "fallbackPool": ID, "proxied": True,
         "steeringPolicy": "random", "randomSteering": {"defaultWeight": 1, "poolWeights": {ID: 0.5}},
         "adaptiveRouting": {"failoverAcrossPools": True}, "sessionAffinity": "header", "sessionAffinityTtl": 60,
         "sessionAffinityAttributes": {"headers": ["x-user"], "samesite": "Lax", "zeroDowntimeFailover": "temporary"},
         "locationStrategy": {"mode": "pop"}, "rules": [{"name": "r", "overrides": {"steeringPolicy": "off"}}]},
    ),
    (
        tokens.LOAD_BALANCER,
        {"zoneId": ID, "name": "a.example.com", "defaultPools": [ID], "fallbackPool": ID, "ttl": 60,
         "steeringPolicy": "geo", "regionPools": {"WEU": [ID]}, "countryPools": {"DE": [ID]},
         "popPools": {"FRA": [ID]}},
    ),
]  # fmt: skip


def unknowns(value: Any) -> Iterator[Any]:
    """The value with one part of it unknown: each part at each depth."""
    yield UNKNOWN
    if isinstance(value, dict):
        for key in value:
            for part in unknowns(value[key]):
                yield {**copy.deepcopy(value), key: part}
    elif isinstance(value, list):
        for i, item in enumerate(value):
            for part in unknowns(item):
                yield [*copy.deepcopy(value[:i]), part, *copy.deepcopy(value[i + 1 :])]


@pytest.mark.parametrize(("token", "inputs"), GOOD)
def test_what_is_not_known_yet_has_no_fault(token: str, inputs: dict[str, Any]) -> None:
    assert empty().faults(token, **inputs) == []
    for changed in unknowns(inputs):
        if changed is not UNKNOWN:
            assert empty().faults(token, **changed) == [], changed
