"""Load balancers: one host name of a zone, the pools that answer for it, and how one is chosen.

https://developers.cloudflare.com/load-balancing/understand-basics/traffic-steering/steering-policies/,
https://developers.cloudflare.com/api/resources/load_balancers/methods/create/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.cloudflare import limits, steering, tokens
from sandbox.cloudflare.common import (
    HOST,
    REFERENCED,
    VALIDATION,
    Object,
    account_of,
    ids,
    same_account,
    within,
)
from sandbox.cloudflare.registry import CLOUDFLARE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Ref, Resource

DNS_TTL: Final = 30
"""Seconds: the default of a load balancer that is not proxied, and the least."""
MAX_DNS_TTL: Final = 600
"""30 seconds to 10 minutes, documented where the same service is resold:
https://cloud.ibm.com/docs/cis?topic=cis-proxy-modes"""
_POOLS: Final = (
    "defaultPools[*]",
    "fallbackPool",
    "regionPools[*][*]",
    "countryPools[*][*]",
    "popPools[*][*]",
    "rules[*].overrides.defaultPools[*]",
    "rules[*].overrides.fallbackPool",
    "rules[*].overrides.regionPools[*][*]",
    "rules[*].overrides.countryPools[*][*]",
    "rules[*].overrides.popPools[*][*]",
)
"""Everything that names a pool, which cannot be deleted as long:
https://developers.cloudflare.com/load-balancing/pools/create-pool/#delete-a-pool"""


@CLOUDFLARE.kind
class LoadBalancer(Object):
    """cloudflare_load_balancer."""

    token = tokens.LOAD_BALANCER
    replace_on = ("zoneId",)
    references = (
        Ref("zoneId", (tokens.ZONE,), code="7003", blocks_delete=False),
        *(Ref(path, (tokens.POOL,), code=VALIDATION, delete_code=REFERENCED) for path in _POOLS),
    )
    defaults: ClassVar[Mapping[str, Any]] = {
        "enabled": True,
        "proxied": False,
        "sessionAffinity": "none",
        "steeringPolicy": "",
    }

    def check(self, args: Args) -> Iterable[Fault]:
        yield from ids(args, "zoneId", *_POOLS)
        yield from rules.matches(args, "name", rf"(\*\.)?{HOST}", "a full host name in lower case")
        pools = args["defaultPools"]
        if isinstance(pools, list) and not pools:
            yield Fault("defaultPools", "at least one pool is required")
        yield from _repeated(args, "defaultPools")
        for key in ("regionPools", "countryPools", "popPools"):
            for path, value in args.at(f"{key}[*]"):
                if isinstance(value, list) and not value:
                    yield Fault(path, "at least one pool is required")
                yield from _repeated(args, path)
        yield from rules.matches(args, "networks[*]", r"cloudflare", '"cloudflare", the public network')
        yield from self._check_ttl(args)
        yield from steering.faults(args)
        yield from self._check_rules(args)

    @staticmethod
    def _check_ttl(args: Args) -> Iterator[Fault]:
        if args.get("proxied") is True and "ttl" in args:
            yield Fault("ttl", "goes without proxied: clients then get Cloudflare's own addresses")
        yield from rules.between(args, "ttl", DNS_TTL, MAX_DNS_TTL, "seconds")

    @staticmethod
    def _check_rules(args: Args) -> Iterator[Fault]:
        for path, rule in args.at("rules[*]"):
            if not isinstance(rule, dict):
                continue
            block = Args(rule)
            if "overrides" in block and "fixedResponse" in block:
                yield Fault(path, "has overrides and fixedResponse: only one of them")
            if "overrides" not in block and "fixedResponse" not in block and not block.is_unknown("overrides"):
                yield Fault(path, "overrides or fixedResponse is required")
            for fault in rules.between(block, "priority", 0, 2**31 - 1):
                yield Fault(f"{path}.{fault.path}", fault.reason)
            for fault in rules.between(block, "fixedResponse.statusCode", 200, 599):
                yield Fault(f"{path}.{fault.path}", fault.reason)
            overrides = rule.get("overrides")
            if isinstance(overrides, dict):  # judged together with what they do not override
                whole = Args({**args.values, **overrides})
                for fault in steering.faults(whole):
                    if fault.path.split(".")[0].split("[")[0] in overrides:
                        yield Fault(f"{path}.overrides.{fault.path}", fault.reason)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        zone = cloud.get(tokens.ZONE, args["zoneId"])
        account = account_of(zone) if zone else ""
        owned = [b for b in cloud.all(self.token) if _account_of_balancer(b, cloud) == account]
        if len(owned) >= limits.LOAD_BALANCERS.of(cloud):
            limits.refuse(cloud, limits.LOAD_BALANCERS.name, limits.LOAD_BALANCERS.of(cloud))
        self._check_state(args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud, old.id)

    def _check_state(self, args: Args, cloud: Cloud, ignore: str | None) -> None:
        zone = cloud.get(tokens.ZONE, args["zoneId"])
        if zone is None:
            return
        name = args["name"]
        if not within(name.removeprefix("*."), zone["name"]):
            # https://github.com/cloudflare/terraform-provider-cloudflare/pull/887
            raise CloudError(VALIDATION, f"invalid hostname: {name}: validation failed (the zone is {zone['name']})")
        for other in cloud.all(self.token):
            if other.id != ignore and other["zoneId"] == args["zoneId"] and other["name"] == name:
                raise CloudError(VALIDATION, f"the zone has a load balancer named {name} already: validation failed")
        account = account_of(zone)
        for pattern in _POOLS:
            for path, pool in args.at(pattern):
                same_account(cloud, tokens.POOL, pool, account, path)
        steering.check_state(args, cloud)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        zone = cloud.get(tokens.ZONE, args["zoneId"])
        out: dict[str, Any] = {
            **self.stamps(old),
            "zoneName": zone["name"] if zone else "",
            "networks": args.get("networks") or ["cloudflare"],
            "adaptiveRouting": {"failoverAcrossPools": False, **(args.get("adaptiveRouting") or {})},
            "locationStrategy": {"mode": "pop", "preferEcs": "proximity", **(args.get("locationStrategy") or {})},
            "randomSteering": {"defaultWeight": 1, **(args.get("randomSteering") or {})},
        }
        if not args.get("proxied", False):
            out["ttl"] = args.get("ttl", DNS_TTL)
        affinity = args.get("sessionAffinity", "none")
        if affinity != "none" and "sessionAffinityTtl" not in args:
            out["sessionAffinityTtl"] = 1800 if affinity == "header" else 82800
        return out


def _repeated(args: Args, key: str) -> Iterator[Fault]:
    seen: set[str] = set()
    for path, pool in args.at(f"{key}[*]"):
        if pool in seen:
            yield Fault(path, f"the pool {pool} is in the list already")
        seen.add(pool)


def _account_of_balancer(balancer: Resource, cloud: Cloud) -> str:
    zone = cloud.get(tokens.ZONE, balancer["zoneId"])
    return account_of(zone) if zone else ""
