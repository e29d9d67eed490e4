"""Data sources: what exists already, and Cloudflare's own addresses."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from sandbox.cloudflare import tokens
from sandbox.cloudflare.common import account_of
from sandbox.cloudflare.registry import CLOUDFLARE
from sandbox.kinds import Args, Cloud, CloudError, Resource

IPV4: Final = (
    "173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18", "108.162.192.0/18",
    "190.93.240.0/20", "188.114.96.0/20", "197.234.240.0/22", "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13",
    "104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22",
)  # fmt: skip
"""https://www.cloudflare.com/ips-v4, unchanged since 2023: where proxied requests, and the probes of
its monitors, come from."""
IPV6: Final = (
    "2400:cb00::/32", "2606:4700::/32", "2803:f800::/32", "2405:b500::/32", "2405:8100::/32", "2a06:98c0::/29",
    "2c0f:f248::/32",
)  # fmt: skip
"""https://www.cloudflare.com/ips-v6"""


@CLOUDFLARE.invoke("cloudflare:index/getZone:getZone")
def get_zone(args: Args, cloud: Cloud) -> dict[str, Any]:
    """One zone, by id or by a filter that fits exactly one."""
    given = args.get("filter") or {}
    if ("zoneId" in args) == bool(given):
        raise CloudError("InvalidAttribute", "one of zoneId and filter must be set")
    if "zoneId" in args:
        found = [z for z in cloud.all(tokens.ZONE) if z.id == args["zoneId"]]
    else:
        found = [z for z in cloud.all(tokens.ZONE) if _fits(z, given)]
    if not found:
        raise CloudError("7003", "Could not route to the zone, perhaps your object identifier is invalid?")
    if len(found) > 1:
        raise CloudError("TooMany", f"{len(found)} zones fit the filter; it has to fit one")
    zone = found[0]
    return {**zone.outputs, "id": zone.id, "zoneId": zone.id}


def _fits(zone: Resource, given: dict[str, Any]) -> bool:
    tests = []
    if given.get("name") is not None:
        tests.append(zone["name"] == given["name"])
    if given.get("status") is not None:
        tests.append(zone["status"] == given["status"])
    if given.get("types"):
        tests.append(zone["type"] in given["types"])
    if (given.get("account") or {}).get("id") is not None:
        tests.append(account_of(zone) == given["account"]["id"])
    return any(tests) if given.get("match") == "any" else all(tests)


@CLOUDFLARE.invoke("cloudflare:index/getLoadBalancerPool:getLoadBalancerPool")
def get_pool(args: Args, cloud: Cloud) -> dict[str, Any]:
    """One pool of an account, by id or by its monitor."""
    pools = _pools(args, cloud)
    monitor = (args.get("filter") or {}).get("monitor")
    found = [p for p in pools if (p.id == args["poolId"] if "poolId" in args else p["monitor"] == monitor)]
    if len(found) != 1:
        raise CloudError("1001", f"expected one pool, found {len(found)}")
    return {**found[0].outputs, "id": found[0].id, "poolId": found[0].id}


@CLOUDFLARE.invoke("cloudflare:index/getLoadBalancerPools:getLoadBalancerPools")
def get_pools(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The pools of an account, those of one monitor where it is named."""
    found = [p for p in _pools(args, cloud) if "monitor" not in args or p["monitor"] == args["monitor"]]
    return {**args.values, "results": [{**p.outputs, "id": p.id} for p in found[: args.get("maxItems", 1000)]]}


def _pools(args: Args, cloud: Cloud) -> list[Resource]:
    return [p for p in cloud.all(tokens.POOL) if "accountId" not in args or account_of(p) == args["accountId"]]


@CLOUDFLARE.invoke("cloudflare:index/getIpRanges:getIpRanges")
def get_ip_ranges(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The addresses that Cloudflare connects from."""
    etag = hashlib.md5(repr((IPV4, IPV6)).encode()).hexdigest()
    return {"etag": etag, "ipv4Cidrs": list(IPV4), "ipv6Cidrs": list(IPV6), "jdcloudCidrs": []}
