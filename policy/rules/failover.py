"""DNS settings, as they would be deployed, inside the time within which clients leave a member that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import Field

from cost.plan.preview import Resource
from infra.dns.budget import OBJECTIVE_SECONDS, budget
from infra.dns.checkers import CheckSettings, Provider
from policy.findings import Finding, Policy, Settings, Stack, get, rows, texts, yes

HEALTH_CHECK: Final = "aws:route53/healthCheck:HealthCheck"
RECORD: Final = "aws:route53/record:Record"
MONITOR: Final = "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor"
POOL: Final = "cloudflare:index/loadBalancerPool:LoadBalancerPool"
BALANCER: Final = "cloudflare:index/loadBalancer:LoadBalancer"
PROFILE: Final = "azure-native:trafficmanager:Profile"
ENDPOINT: Final = "azure-native:trafficmanager:Endpoint"
PROBING: Final = ("HTTP", "HTTPS", "HTTP_STR_MATCH", "HTTPS_STR_MATCH", "TCP")
"""Health checks that look at an endpoint; the others put together what these say."""


class Failover(Settings):
    """How soon clients have left."""

    objective_seconds: float | None = Field(
        default=None, gt=0, le=86_400, description="seconds; left out: dns.objectiveSeconds of the stack file, else 60"
    )


def _whole(stack: Stack, settings: Failover) -> Iterator[Finding]:
    objective = settings.objective_seconds or _objective(stack)
    told = stack.section("spillway:global")
    seen: set[tuple[str, CheckSettings]] = set()
    for resource, given in (*_route53(stack), *_cloudflare(stack, told), *_traffic_manager(stack)):
        try:
            check = CheckSettings(**given)
        except (TypeError, ValueError) as error:
            yield Finding(resource.urn, f"cannot be judged: {error}", judged=False)
            continue
        if (resource.type, check) in seen:
            continue
        seen.add((resource.type, check))
        promise = budget(check).promise
        if promise > objective:
            took = f"{promise - check.cache_seconds:.1f} s to notice 95 % of silent failures"
            if check.cache_seconds:
                took += f" + TTL {check.cache_seconds:g} s = {promise:.1f} s"
            yield Finding(resource.urn, f"clients leave too late: {took}; allowed are {objective:g} s")


def _objective(stack: Stack) -> float:
    dns = stack.section("spillway:global").get("dns")
    told = dns.get("objectiveSeconds") if isinstance(dns, Mapping) else None
    return float(told) if isinstance(told, int | float) and not isinstance(told, bool) else float(OBJECTIVE_SECONDS)


def _given(provider: Provider, **more: Any) -> dict[str, Any]:
    return {"provider": provider, **{key: value for key, value in more.items() if value is not None}}


def _route53(stack: Stack) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """Answers that wait for a health check, with their TTL; an alias has none of its own."""
    records = [one for one in stack.side.of(RECORD) if get(one, "ttl") is not None and one.refers.get("healthCheckId")]
    ttl = max((_number(get(one, "ttl")) or 0 for one in records), default=None)
    most = max(Counter(str(get(one, "name")) for one in records).values(), default=1)
    for check in stack.side.of(HEALTH_CHECK):
        if get(check, "type") not in PROBING:
            continue
        yield (
            check,
            _given(
                "route53",
                interval_seconds=_number(get(check, "requestInterval")) or 30,
                threshold=int(_number(get(check, "failureThreshold")) or 3),
                ttl_seconds=ttl,
                addresses=most,
                check_regions=tuple(texts(get(check, "regions") or [])) or None,
            ),
        )


def _cloudflare(stack: Stack, told: Mapping[str, Any]) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """A monitor by the worst of the balancers and pools around it."""
    balancers, pools = stack.side.of(BALANCER), stack.side.of(POOL)
    if not balancers:
        return
    section = told.get("cloudflare")
    plan = section.get("plan") if isinstance(section, Mapping) else None
    proxied = all(yes(get(one, "proxied")) for one in balancers)
    across = all(yes(get(one, "adaptiveRouting", "failoverAcrossPools")) for one in balancers)
    regions = next((tuple(texts(found)) for one in pools if (found := get(one, "checkRegions"))), None)
    origins = max((len(rows(get(one, "origins"))) for one in pools), default=1)
    ttls = [value for one in balancers if (value := _number(get(one, "ttl"))) is not None]
    for monitor in stack.side.of(MONITOR):
        yield (
            monitor,
            _given(
                "cloudflare",
                interval_seconds=_number(get(monitor, "interval")) or 60,
                threshold=max(1, int(_number(get(monitor, "consecutiveDown")) or 1)),
                timeout_seconds=_number(get(monitor, "timeout")),
                retries=int(_number(get(monitor, "retries")) or 0),
                ttl_seconds=max(ttls, default=30) if not proxied else None,
                proxied=proxied,
                failover_across_pools=across,
                plan=plan if isinstance(plan, str) else None,
                check_regions=regions,
                addresses=max(1, origins),
            ),
        )


def _traffic_manager(stack: Stack) -> Iterator[tuple[Resource, dict[str, Any]]]:
    by_profile: Counter[str] = Counter()
    for endpoint in stack.side.of(ENDPOINT):
        if get(endpoint, "endpointType") == "ExternalEndpoints":
            by_profile[str(get(endpoint, "profileName"))] += 1
    for profile in stack.side.of(PROFILE):
        tolerated = _number(get(profile, "monitorConfig", "toleratedNumberOfFailures"))
        yield (
            profile,
            _given(
                "traffic-manager",
                interval_seconds=_number(get(profile, "monitorConfig", "intervalInSeconds")) or 30,
                threshold=int(3 if tolerated is None else tolerated) + 1,
                timeout_seconds=_number(get(profile, "monitorConfig", "timeoutInSeconds")),
                ttl_seconds=_number(get(profile, "dnsConfig", "ttl")),
                addresses=max(1, by_profile[str(get(profile, "profileName"))]),
            ),
        )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


POLICY: Final = Policy(
    "dns-failover",
    "Failover objective",
    "Health checks and TTLs let clients leave a silent member inside the failover objective.",
    Failover,
    whole=_whole,
)
