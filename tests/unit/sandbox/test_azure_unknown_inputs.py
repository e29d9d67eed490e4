"""A first preview knows little: what is not known yet trips no rule of the stand-in Azure, and crashes none."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.azure_native import AZURE_NATIVE, tokens
from sandbox.azure_native.dns_rules import SHAPES
from sandbox.values import UNKNOWN
from tests.support import azure_region as region
from tests.support.azure import GROUP, MONITOR, SUBSCRIPTION, external, nested, profile, record
from tests.support.memory_cloud import MemoryCloud

CHILD = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Network/trafficManagerProfiles/child"
HEADERS = [{"name": "Host", "value": "llm.example.com"}]
RANGES = [{"min": 200, "max": 200}]
ENDPOINT = {
    "name": "a",
    "type": "Microsoft.Network/trafficManagerProfiles/externalEndpoints",
    "target": "198.51.100.10",
    "weight": 1,
    "priority": 1,
    "customHeaders": HEADERS,
    "subnets": [{"first": "198.51.100.0", "scope": 24}, {"first": "192.0.2.1", "last": "192.0.2.9"}],
    "geoMapping": ["WORLD"],
    "endpointLocation": "westeurope",
}
RICH = {"customHeaders": HEADERS, "expectedStatusCodeRanges": RANGES}
RECORDS: dict[str, Any] = {
    "A": [{"ipv4Address": "198.51.100.10"}],
    "AAAA": [{"ipv6Address": "2001:db8::1"}],
    "CAA": [{"flags": 0, "tag": "issue", "value": "letsencrypt.org"}],
    "CNAME": {"cname": "spillway.trafficmanager.net"},
    "DS": [{"algorithm": 13, "keyTag": 1, "digest": {"algorithmType": 2, "value": "00"}}],
    "MX": [{"exchange": "mail.example.com", "preference": 10}],
    "NAPTR": [{"order": 1, "preference": 1, "flags": "U", "services": "x", "regexp": "", "replacement": "."}],
    "NS": [{"nsdname": "ns1-01.azure-dns.com."}],
    "PTR": [{"ptrdname": "llm.example.com"}],
    "SOA": {"email": "admin.example.com"},
    "SRV": [{"priority": 1, "weight": 1, "port": 443, "target": "llm.example.com"}],
    "TLSA": [{"usage": 3, "selector": 1, "matchingType": 1, "certAssociationData": "00ff"}],
    "TXT": [{"value": ["one", "two"]}],
}
ALIAS = {"targetResource": {"id": CHILD}}
EXAMPLES: list[tuple[str, dict[str, Any]]] = [
    (tokens.RESOURCE_GROUP, {"resourceGroupName": GROUP, "location": "westeurope", "tags": {"a": "b"}}),
    (tokens.PROFILE, profile("p", monitorConfig={**MONITOR, **RICH}, endpoints=[ENDPOINT], tags={"a": "b"})),
    (tokens.PROFILE, profile("p", "MultiValue", maxReturn=2, monitorConfig={"protocol": "TCP", "port": 443})),
    (tokens.ENDPOINT, external("p", "198.51.100.10", customHeaders=HEADERS, name="at-198.51.100.10")),
    (tokens.ENDPOINT, nested("p", CHILD, endpointLocation="westeurope", endpointStatus="Disabled")),
    (tokens.ZONE, {"resourceGroupName": GROUP, "zoneName": "example.com", "location": "global", "tags": {"a": "b"}}),
    (tokens.RECORD_SET, record("A", "@", **ALIAS)),
    *(
        (tokens.RECORD_SET, record(kind, "@" if kind == "SOA" else "llm", **{SHAPES[kind].property: value}))
        for kind, value in RECORDS.items()
    ),
]


def hidden(value: Any) -> Iterator[Any]:
    """The value with each of its parts unknown in turn."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield _with(value, key, UNKNOWN)
        yield from (_with(value, key, inner) for inner in hidden(value[key]))


def _with(value: Any, key: Any, part: Any) -> Any:
    changed = copy.copy(value)
    changed[key] = part
    return changed


EXAMPLES += [
    (resource.token, {k: v for k, v in resource.inputs.items() if k != "region"})
    for resource in region.whole().state.resources.values()
    if resource.token != tokens.RESOURCE_GROUP
]


@pytest.mark.parametrize(("token", "good"), EXAMPLES, ids=lambda v: v.rsplit(":", 1)[-1] if isinstance(v, str) else "")
def test_what_is_not_known_yet_is_no_fault(token: str, good: dict[str, Any]) -> None:
    cloud = MemoryCloud("global", SUBSCRIPTION, AZURE_NATIVE)
    assert cloud.faults(token, **good) == []
    for inputs in hidden(good):
        assert cloud.faults(token, **inputs) == [], inputs


def test_every_type_has_an_example() -> None:
    assert {token for token, _ in EXAMPLES} == set(AZURE_NATIVE.kinds)


def test_every_record_type_has_an_example() -> None:
    assert set(RECORDS) == set(SHAPES)


def test_an_unknown_value_beside_one_that_excludes_it_is_no_crash() -> None:
    cloud = MemoryCloud("global", SUBSCRIPTION, AZURE_NATIVE)
    assert cloud.faults(tokens.RECORD_SET, **record("A", **ALIAS, aRecords=UNKNOWN)) == []
    tcp = {"protocol": "TCP", "port": 443, "customHeaders": UNKNOWN}
    assert cloud.faults(tokens.PROFILE, **profile("p", monitorConfig=tcp)) == []
