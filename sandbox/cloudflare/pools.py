"""Pools: endpoints that a load balancer uses together.

https://developers.cloudflare.com/load-balancing/pools/create-pool/,
https://developers.cloudflare.com/api/resources/load_balancers/subresources/pools/methods/create/
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.cloudflare import limits, tokens
from sandbox.cloudflare.common import (
    HOST,
    REFERENCED,
    REGIONS,
    VALIDATION,
    Object,
    account_of,
    address_fault,
    ids,
    now,
    same_account,
    within,
    words,
)
from sandbox.cloudflare.registry import CLOUDFLARE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Ref, Resource
from sandbox.rules import shown

ALL_REGIONS: Final = "ALL_REGIONS"
POLICIES: Final = ("random", "hash", "least_outstanding_requests", "least_connections")


def weight_fault(value: object) -> str | None:
    """Why a weight is not one: 0 to 1 in steps of 0.01
    (https://developers.cloudflare.com/load-balancing/understand-basics/traffic-steering/origin-level-steering/#weights)."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        return f"expected 0 to 1, got {shown(value)}"
    if not math.isclose(value * 100, round(value * 100), abs_tol=1e-6):
        return f"expected steps of 0.01, got {shown(value)}"
    return None


@CLOUDFLARE.kind
class LoadBalancerPool(Object):
    """cloudflare_load_balancer_pool."""

    token = tokens.POOL
    replace_on = ("accountId",)
    sets = ("checkRegions",)
    nullable = ("latitude", "longitude")  # zero would be a place in the Atlantic
    references = (
        Ref("monitor", (tokens.MONITOR,), code=VALIDATION, delete_code=REFERENCED),
        Ref("monitorGroup", (tokens.MONITOR_GROUP,), code=VALIDATION, delete_code=REFERENCED),
    )
    defaults: ClassVar[Mapping[str, Any]] = {
        "description": "",
        "enabled": True,
        "minimumOrigins": 1,
        "notificationEmail": "",
    }

    def check(self, args: Args) -> Iterable[Fault]:
        yield from ids(args, "accountId")
        yield from rules.matches(args, "name", r"[A-Za-z0-9_-]+", "letters, digits, hyphens and underscores")
        yield from rules.conflicting(args, "monitor", "monitorGroup")
        yield from self._check_origins(args)
        yield from self._check_regions(args)
        yield from rules.between(args, "latitude", -90, 90, "degrees")
        yield from rules.between(args, "longitude", -180, 180, "degrees")
        yield from rules.requires(args, "latitude", "longitude")
        yield from rules.requires(args, "longitude", "latitude")
        yield from rules.between(args, "loadShedding.defaultPercent", 0, 100, "percent")
        yield from rules.between(args, "loadShedding.sessionPercent", 0, 100, "percent")
        yield from words(args, "loadShedding.defaultPolicy", ("random", "hash"))
        yield from words(args, "loadShedding.sessionPolicy", ("hash",))
        yield from words(args, "originSteering.policy", POLICIES)
        for path, value in args.at("notificationEmail"):
            for mailbox in filter(None, str(value).split(",")):
                if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", mailbox.strip()):
                    yield Fault(path, f"expected email addresses with commas between, got {shown(mailbox)}")

    def _check_origins(self, args: Args) -> Iterator[Fault]:
        origins = args["origins"]
        if not isinstance(origins, list):
            return
        if not origins:
            yield Fault("origins", "at least one endpoint is required")
        names: set[str] = set()
        addresses: set[str] = set()
        for i, origin in enumerate(origins):
            if isinstance(origin, Mapping):
                yield from self._check_origin(Args(origin), f"origins[{i}]", names, addresses)
        least = args.get("minimumOrigins", 1)
        if isinstance(least, int) and not 0 <= least <= max(len(origins), 1):
            yield Fault("minimumOrigins", f"expected 0 to the number of endpoints, {len(origins)}, got {least}")

    @staticmethod
    def _check_origin(origin: Args, at: str, names: set[str], addresses: set[str]) -> Iterator[Fault]:
        for key in ("name", "address"):
            if origin[key] is None:
                yield Fault(f"{at}.{key}", "is required")
        name, address = origin.get("name"), origin.get("address")
        if isinstance(name, str):
            if not name.strip():
                yield Fault(f"{at}.name", "has to say something")
            if name in names:
                yield Fault(f"{at}.name", f"the pool has an endpoint named {name} already")
            names.add(name)
        if isinstance(address, str):
            private = "virtualNetworkId" in origin
            why = address_fault(address, private=private)
            if why:
                yield Fault(f"{at}.address", f"{why}; got {shown(address)}")
            # Not even with another port or virtual network:
            # https://developers.cloudflare.com/load-balancing/pools/create-pool/#endpoint-address-uniqueness
            if address.lower() in addresses:
                yield Fault(f"{at}.address", f"the pool has an endpoint at {address} already")
            addresses.add(address.lower())
        for path, value in origin.at("weight"):
            why = weight_fault(value)
            if why:
                yield Fault(f"{at}.{path}", why)
        for fault in rules.between(origin, "port", 0, 65535):
            yield Fault(f"{at}.{fault.path}", fault.reason)
        for path, hosts in origin.at("header.hosts"):
            if isinstance(hosts, list) and len(hosts) != 1:
                yield Fault(f"{at}.{path}", f"expected one host, got {len(hosts)}")
        for fault in rules.matches(origin, "header.hosts[*]", HOST, "a full host name in lower case"):
            yield Fault(f"{at}.{fault.path}", fault.reason)
        for fault in rules.matches(
            origin, "virtualNetworkId", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "the id of a virtual network"
        ):
            yield Fault(f"{at}.{fault.path}", fault.reason)
        if origin["disabledAt"] is not None:
            yield Fault(f"{at}.disabledAt", "is told by Cloudflare and cannot be set")

    @staticmethod
    def _check_regions(args: Args) -> Iterator[Fault]:
        yield from words(args, "checkRegions[*]", (*REGIONS, ALL_REGIONS))
        regions = args.get("checkRegions")
        if isinstance(regions, list):
            if ALL_REGIONS in regions and len(regions) > 1:
                yield Fault("checkRegions", f"{ALL_REGIONS} stands alone")
            if len(set(regions)) < len(regions):
                yield Fault("checkRegions", "names a region twice")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        limits.check_room(cloud, tokens.POOL, args["accountId"], limits.POOLS)
        self._check_state(args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud, old.id)

    def _check_state(self, args: Args, cloud: Cloud, ignore: str | None) -> None:
        account = args["accountId"]
        for other in limits.in_account(cloud, tokens.POOL, account):
            if other.id != ignore and other["name"] == args["name"]:
                raise CloudError(VALIDATION, f"the pool name '{args['name']}' is taken: validation failed")
        same_account(cloud, tokens.MONITOR, args["monitor"], account, "monitor")
        same_account(cloud, tokens.MONITOR_GROUP, args["monitorGroup"], account, "monitorGroup")
        limits.check_endpoints(cloud, account, len(args["origins"]), ignore)
        self._check_probes(args, cloud)
        self._check_hosts(args, cloud)

    @staticmethod
    def _check_probes(args: Args, cloud: Cloud) -> None:
        regions = args.get("checkRegions") or []
        probed = "monitor" in args or "monitorGroup" in args
        if probed and not regions and limits.plan(cloud) < limits.ENTERPRISE:
            # https://github.com/cloudflare/cloudflare-ingress-controller/issues/18
            raise CloudError(
                VALIDATION,
                "Probing from every data centre is not allowed with this subscription. "
                "Please choose regions to probe from.: validation failed",
            )
        count, allowed = len(REGIONS) if regions == [ALL_REGIONS] else len(regions), limits.CHECK_REGIONS.of(cloud)
        if count > allowed:
            raise CloudError(VALIDATION, f"{count} check regions, this subscription has {allowed}: validation failed")

    @staticmethod
    def _check_hosts(args: Args, cloud: Cloud) -> None:
        """A host header has to lie in a zone of the account, or be the address itself; that it resolves to the address
        would do too, which nobody can know here
        (https://developers.cloudflare.com/load-balancing/additional-options/override-http-host-headers/)."""
        zones = [z for z in cloud.all(tokens.ZONE) if account_of(z) == args["accountId"]]
        for origin in args["origins"]:
            for host in (origin.get("header") or {}).get("hosts") or []:
                address = origin.get("address")
                if host != address and not any(within(host, zone["name"]) for zone in zones):
                    raise CloudError(
                        VALIDATION, f'Host header "{host}" not allowed for origin domain "{address}": validation failed'
                    )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        before = {o.get("name"): o.get("disabledAt") for o in (old["origins"] or [])} if old else {}
        origins = []
        for origin in args["origins"]:
            full = {"enabled": True, "flattenCname": True, "port": 0, "weight": 1, **origin}
            if full["enabled"] is False:
                full["disabledAt"] = before.get(full.get("name")) or now()
            origins.append(full)
        out = {**self.stamps(old), "origins": origins, "networks": ["cloudflare"]}
        if args.get("enabled", True) is False:
            out["disabledAt"] = (old["disabledAt"] if old else "") or now()
        shedding = {"defaultPercent": 0, "defaultPolicy": "random", "sessionPercent": 0, "sessionPolicy": "hash"}
        out["loadShedding"] = {**shedding, **(args.get("loadShedding") or {})}
        out["originSteering"] = {"policy": "random", **(args.get("originSteering") or {})}
        return out
