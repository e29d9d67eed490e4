"""What a load balancer, or a rule that overrides one, says about choosing pools, and what each choice needs.

The API takes some settings that can never have an effect (failover of requests that do not pass through Cloudflare,
weights that the policy does not look at): they are refused here, as whoever writes them expects something of them.

https://developers.cloudflare.com/load-balancing/understand-basics/traffic-steering/steering-policies/,
https://developers.cloudflare.com/load-balancing/understand-basics/session-affinity/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sandbox import rules
from sandbox.cloudflare import limits, tokens
from sandbox.cloudflare.common import REGIONS, VALIDATION, words
from sandbox.cloudflare.pools import ALL_REGIONS, weight_fault
from sandbox.kinds import Args, Cloud, CloudError, Fault
from sandbox.values import UNKNOWN

POLICIES: Final = (
    "off", "geo", "random", "dynamic_latency", "proximity", "least_outstanding_requests", "least_connections", "",
)  # fmt: skip
STANDARD: Final = ("off", "random")
"""What comes without the Traffic steering add-on."""
PER_REQUEST: Final = ("least_outstanding_requests", "least_connections")
WEIGHTED: Final = ("random", *PER_REQUEST)
AFFINITIES: Final = ("none", "cookie", "ip_cookie", "header")
GEO_POOLS: Final = ("regionPools", "countryPools", "popPools")
_AFFINITY_TTL: Final = {"cookie": (1800, 604800), "ip_cookie": (1800, 604800), "header": (30, 3600)}


def faults(args: Args) -> Iterator[Fault]:
    """Value rules of a load balancer's steering, or of what a rule makes of it."""
    proxied, unknown = args.get("proxied") is True, args.is_unknown("proxied")
    yield from words(args, "steeringPolicy", POLICIES)
    policy = args.get("steeringPolicy", "")
    known = not args.is_unknown("steeringPolicy")
    if policy in PER_REQUEST and not proxied and not unknown:
        yield Fault("steeringPolicy", f"{policy} needs proxied: DNS answers tell nothing of requests under way")
    if policy == "geo" and not any(args.is_unknown(key) or args[key] for key in GEO_POOLS):
        yield Fault("steeringPolicy", f"geo needs one of {', '.join(GEO_POOLS)}: without, nothing is steered")
    for path, pools in args.at("regionPools"):
        for code in pools if isinstance(pools, dict) else ():
            if code not in REGIONS:
                yield Fault(f"{path}.{code}", f"is no region; known are {', '.join(REGIONS)}")
    yield from _codes(args, "countryPools", 2, "a country's code of ISO 3166, two capital letters")
    yield from _codes(args, "popPools", 3, "a data centre's code, three capital letters")
    yield from _random(args, policy, known)
    yield from words(args, "locationStrategy.mode", ("pop", "resolver_ip"))
    yield from words(args, "locationStrategy.preferEcs", ("always", "never", "proximity", "geo"))
    if not proxied and not unknown:
        for path, value in args.at("adaptiveRouting.failoverAcrossPools"):
            if value is True:
                # Only what passes through Cloudflare can be tried again:
                # https://developers.cloudflare.com/load-balancing/understand-basics/adaptive-routing/
                yield Fault(path, "needs proxied: a DNS answer cannot be tried again")
    yield from _affinity(args, proxied, unknown)


def _codes(args: Args, key: str, length: int, what: str) -> Iterator[Fault]:
    for path, pools in args.at(key):
        for code in pools if isinstance(pools, dict) else ():
            if not (len(code) == length and code.isascii() and code.isalpha() and code.isupper()):
                yield Fault(f"{path}.{code}", f"expected {what}")


def _random(args: Args, policy: Any, known: bool) -> Iterator[Fault]:
    if args["randomSteering"] is None:
        return
    if known and policy not in WEIGHTED and "poolWeights" in Args(args.get("randomSteering", {})):
        why = f"goes with {', '.join(WEIGHTED)}; steeringPolicy is {policy or 'not set'}"
        yield Fault("randomSteering.poolWeights", why)
    for pattern in ("randomSteering.defaultWeight", "randomSteering.poolWeights[*]"):
        for path, value in args.at(pattern):
            fault = weight_fault(value)
            if fault:
                yield Fault(path, fault)
    weights, pools = args.get("randomSteering", {}).get("poolWeights"), args.get("defaultPools")
    if isinstance(weights, dict) and isinstance(pools, list):
        for pool in weights:
            if pool not in pools:
                yield Fault(f"randomSteering.poolWeights.{pool}", "is not among defaultPools")
        default = args.get("randomSteering", {}).get("defaultWeight", 1)
        if pools and not any(weights.get(pool, default) for pool in pools):
            yield Fault("randomSteering", "all weights are 0: no pool would be chosen")


def _affinity(args: Args, proxied: bool, unknown: bool) -> Iterator[Fault]:
    yield from words(args, "sessionAffinity", AFFINITIES)
    attributes = "sessionAffinityAttributes"
    yield from words(args, f"{attributes}.samesite", ("Auto", "Lax", "None", "Strict"))
    yield from words(args, f"{attributes}.secure", ("Auto", "Always", "Never"))
    yield from words(args, f"{attributes}.zeroDowntimeFailover", ("none", "temporary", "sticky"))
    yield from rules.between(args, f"{attributes}.drainDuration", 0, 3600, "seconds")
    affinity = args.get("sessionAffinity", "none")
    if args.is_unknown("sessionAffinity"):
        return
    if affinity != "none" and not proxied and not unknown:
        yield Fault("sessionAffinity", f"{affinity} needs proxied: it is not supported in DNS-only mode")
    if affinity in _AFFINITY_TTL:
        yield from rules.between(args, "sessionAffinityTtl", *_AFFINITY_TTL[affinity], unit="seconds")
    elif "sessionAffinityTtl" in args:
        yield Fault("sessionAffinityTtl", "goes with sessionAffinity only")
    if args[attributes] is UNKNOWN:
        return
    inner = Args(args[attributes] or {})
    if inner.get("samesite") == "None" and inner.get("secure") == "Never":
        yield Fault(f"{attributes}.secure", "Never goes without samesite None")
    if affinity == "header":
        if not inner.is_unknown("headers") and not inner.get("headers"):
            yield Fault(f"{attributes}.headers", "at least one header is required with sessionAffinity header")
        if inner.get("zeroDowntimeFailover") == "sticky":
            yield Fault(f"{attributes}.zeroDowntimeFailover", "sticky goes without sessionAffinity header")
    elif inner.get("headers"):
        yield Fault(f"{attributes}.headers", "goes with sessionAffinity header only")
    elif affinity == "none" and inner.get("zeroDowntimeFailover", "none") != "none":
        yield Fault(f"{attributes}.zeroDowntimeFailover", "goes with sessionAffinity only")


def check_state(args: Args, cloud: Cloud) -> None:
    """What the account and the pools have to have for the policy. Raises CloudError."""
    policy = args.get("steeringPolicy", "")
    if policy == "" and any(args.get(key) for key in GEO_POOLS):
        policy = "geo"
    bought = limits.plan(cloud) >= limits.ENTERPRISE or limits.TRAFFIC_STEERING.of(cloud) > 0
    if policy not in (*STANDARD, "") and not bought:
        raise CloudError(VALIDATION, f"steering policy {policy} needs the Traffic steering add-on: validation failed")
    if args.get("popPools"):
        limits.needs_plan(cloud, limits.ENTERPRISE, "popPools")
    headers = (args.get("sessionAffinityAttributes") or {}).get("headers") or []
    if len(headers) > limits.AFFINITY_HEADERS.of(cloud):
        allowed = limits.AFFINITY_HEADERS.of(cloud)
        raise CloudError(VALIDATION, f"{len(headers)} affinity headers, this plan has {allowed}: validation failed")
    for id in args.get("defaultPools") or []:
        pool = cloud.get(tokens.POOL, id)
        if pool is None:
            continue
        if policy == "proximity" and pool.inputs.get("latitude") is None:
            # https://developers.cloudflare.com/load-balancing/understand-basics/traffic-steering/steering-policies/proximity-steering/
            raise CloudError(VALIDATION, f"proximity needs coordinates on the pool '{pool['name']}': validation failed")
        if policy == "dynamic_latency":
            _check_dynamic(pool.inputs, pool["name"])


def _check_dynamic(pool: dict[str, Any], name: str) -> None:
    """https://developers.cloudflare.com/load-balancing/understand-basics/traffic-steering/steering-policies/dynamic-steering/"""
    if not (pool.get("monitor") or pool.get("monitorGroup")):
        raise CloudError(VALIDATION, f"dynamic_latency needs a monitor on the pool '{name}': validation failed")
    if pool.get("checkRegions") not in ([ALL_REGIONS], None, []):
        raise CloudError(
            VALIDATION, f"dynamic_latency needs {ALL_REGIONS} as check regions of the pool '{name}': validation failed"
        )
