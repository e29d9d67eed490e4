"""What a DNS provider accepts for its checks, as data, and settings that look right and can never work. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from infra.dns.checkers import (
    ALL_REGIONS,
    CLOUDFLARE_REGIONS,
    CLOUDFLARE_TIMEOUT_SECONDS,
    ROUTE53_REGIONS,
    CheckSettings,
    Provider,
)
from infra.faults import Fault, listed

Values = range | tuple[int, ...]

NAMES: Final[dict[str, str]] = {
    "route53": "Route 53",
    "cloudflare": "Cloudflare",
    "traffic-manager": "Traffic Manager",
    "cloud-dns": "Cloud DNS",
}
ENTERPRISE: Final = "enterprise"
PLANS: Final = ("free", "pro", "business", ENTERPRISE)

MAX_TTL: Final = 2_147_483_647
SHORT_TTL: Final = 10
"""Below this little is won: resolvers are free to keep answers longer, and every look-up is billed."""
ALIAS_TTL: Final = 60
"""https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-choosing-alias-non-alias.html"""
MIN_TIMEOUT: Final = 5
"""Traffic Manager's least. Cloudflare takes 1 s, but a handshake over an ocean with one lost packet takes more."""
CLOUD_DNS_MIN_INTERVAL: Final = 30
"""https://docs.cloud.google.com/compute/docs/reference/rest/v1/healthChecks (sourceRegions)"""
EMPTY_BODY_PATHS: Final = {"/health": "vLLM answers it with 200 and an empty body"}
"""https://github.com/vllm-project/vllm/blob/main/vllm/entrypoints/serve/instrumentator/health.py"""


@dataclass(frozen=True, slots=True)
class Limits:
    """The whole numbers that a provider takes; `timeouts` is None where the times are fixed.

    default_*: what the provider takes when nothing is said; docs: where all of this is documented.
    """

    intervals: Values
    thresholds: Values
    timeouts: Values | None
    ttls: Values
    docs: tuple[str, ...]
    default_interval: int
    default_threshold: int
    default_ttl: int
    default_retries: int = 0


def limits(provider: Provider, plan: str | None = None, interval_seconds: float = 10) -> Limits:
    """What `provider` takes; `plan` is Cloudflare's (None: the least one), and Traffic Manager's timeout has another
    range for each interval."""
    if provider == "route53":
        return Limits(
            intervals=(10, 30),
            thresholds=range(1, 11),
            timeouts=None,
            ttls=range(MAX_TTL + 1),
            docs=(
                "https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html",
                "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html",
            ),
            default_interval=30,
            default_threshold=3,
            default_ttl=300,  # what the console proposes; the API asks for one
        )
    if provider == "traffic-manager":
        return Limits(
            intervals=(10, 30),
            thresholds=range(1, 11),  # toleratedNumberOfFailures 0 to 9, plus one
            timeouts=range(5, 10) if interval_seconds == 10 else range(5, 11),
            ttls=range(MAX_TTL + 1),  # https://learn.microsoft.com/azure/traffic-manager/traffic-manager-FAQs
            docs=("https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring",),
            default_interval=30,
            default_threshold=4,
            default_ttl=60,
        )
    return Limits(
        # By plan, the stricter of two pages: "15 seconds (10 seconds for Enterprise)" in the limitations, and 60 s for
        # Pro at https://developers.cloudflare.com/load-balancing/monitors/create-monitor/.
        intervals=range({ENTERPRISE: 10, "business": 15}.get(plan or "", 60), 3601),
        thresholds=range(1, 11),
        timeouts=range(1, 11),
        # The API's own default is 30; "from 30 seconds to 10 minutes" is documented where the same service is resold:
        # https://cloud.ibm.com/docs/cis?topic=cis-proxy-modes
        ttls=range(30, 601),
        docs=(
            "https://developers.cloudflare.com/load-balancing/reference/limitations/",
            "https://developers.cloudflare.com/load-balancing/understand-basics/health-details/",
            "https://developers.cloudflare.com/load-balancing/understand-basics/adaptive-routing/",
        ),
        default_interval=60,
        default_threshold=1,
        default_ttl=30,
        default_retries=2,
    )


def words(values: Values) -> str:
    """`10 or 30`, `15 to 3600`, `0 or more`."""
    if not isinstance(values, range):
        return listed(values)
    return f"{values[0]} or more" if values[-1] >= MAX_TTL else f"{values[0]} to {values[-1]}"


def best(
    provider: Provider,
    *,
    plan: str | None = None,
    threshold: int = 2,
    proxied: bool = False,
    failover_across_pools: bool = False,
    check_regions: tuple[str, ...] | None = None,
) -> CheckSettings:
    """The fastest settings that the provider accepts; a threshold of 2 because one lost packet should move nobody."""
    found = limits(provider, plan)
    interval = found.intervals[0]
    return CheckSettings(
        provider=provider,
        interval_seconds=interval,
        threshold=threshold,
        timeout_seconds=None if found.timeouts is None else MIN_TIMEOUT,
        ttl_seconds=max(SHORT_TTL, found.ttls[0]),
        proxied=proxied,
        failover_across_pools=failover_across_pools,
        plan=plan,
        check_regions=check_regions,
    )


def as_delivered(provider: Provider) -> CheckSettings:
    """The provider's own defaults, for comparison."""
    found = limits(provider)
    return CheckSettings(
        provider=provider,
        interval_seconds=found.default_interval,
        threshold=found.default_threshold,
        timeout_seconds=CLOUDFLARE_TIMEOUT_SECONDS if provider == "cloudflare" else None,
        ttl_seconds=found.default_ttl,
        retries=found.default_retries,
    )


def illegal(settings: CheckSettings) -> Iterator[Fault]:
    """One fault per value that the provider, or the plan, does not take; paths lie below `spillway:global`."""
    name, found = NAMES[settings.provider], limits(settings.provider, settings.plan, settings.interval_seconds)
    if settings.provider == "cloudflare":
        name += f" ({settings.plan})" if settings.plan else ""
    check = ("dns", "check")

    def fault(path: tuple[str, ...], value: float, allowed: Values, when: str = "") -> Iterator[Fault]:
        if value not in allowed:  # 10.0 is in (10, 30) and in range(15), 10.5 in neither
            yield Fault(path, f"has to be {words(allowed)} for {name}{when}", _number(value))

    if settings.provider == "cloudflare" and settings.plan is not None and settings.plan not in PLANS:
        yield Fault(("cloudflare", "plan"), f"has to be {listed(PLANS)}", settings.plan)
    yield from fault((*check, "intervalSeconds"), settings.interval_seconds, found.intervals)
    yield from fault((*check, "threshold"), settings.threshold, found.thresholds)
    if settings.timeout_seconds is not None:
        path = (*check, "timeoutSeconds")
        if found.timeouts is None:
            why = f"has to be left out: {name}'s checkers wait 4 s for a connection and 2 s for the answer, always"
            yield Fault(path, why, _number(settings.timeout_seconds))
        else:
            several = settings.provider == "traffic-manager" and settings.interval_seconds in found.intervals
            when = f" at an interval of {_number(settings.interval_seconds)} s" if several else ""
            yield from fault(path, settings.timeout_seconds, found.timeouts, when)
    if not settings.proxied:
        yield from fault(("dns", "ttlSeconds"), settings.ttl_seconds, found.ttls)
    yield from _of_cloudflare(settings) if settings.provider == "cloudflare" else _not_of_cloudflare(settings)
    yield from _check_regions(settings)


def _of_cloudflare(settings: CheckSettings) -> Iterator[Fault]:
    probe = settings.timeout * (settings.retries + 1)
    if settings.interval_seconds <= probe:
        # "interval has to be larger than (retries+1) * probe_timeout", the vendor's own note:
        # https://github.com/cloudflare/terraform-provider-cloudflare (schema_cloudflare_load_balancer_monitor.go)
        retried = f" x (1 + {settings.retries} retries)" if settings.retries else ""
        why = f"has to be above timeoutSeconds{retried}, {_number(probe)} s"
        yield Fault(("dns", "check", "intervalSeconds"), why, _number(settings.interval_seconds))
    if settings.failover_across_pools and not settings.proxied:
        why = "needs proxied: true; an answer of DNS cannot try a request again"
        yield Fault(("cloudflare", "failoverAcrossPools"), why, True)


def _not_of_cloudflare(settings: CheckSettings) -> Iterator[Fault]:
    for key, given in (("proxied", settings.proxied), ("failoverAcrossPools", settings.failover_across_pools)):
        if given:
            why = f"goes with dns.provider cloudflare only; {NAMES[settings.provider]} answers DNS and sees no request"
            yield Fault(("cloudflare", key), why, True)
    if settings.plan is not None:
        yield Fault(("cloudflare", "plan"), "goes with dns.provider cloudflare only", settings.plan)


def _check_regions(settings: CheckSettings) -> Iterator[Fault]:
    given, path = settings.check_regions, (settings.provider, "checkRegions")
    if given is None:
        return
    if settings.provider == "traffic-manager":
        yield Fault(path, "has to be left out: Traffic Manager chooses itself from where it probes", list(given))
        return
    known = ROUTE53_REGIONS if settings.provider == "route53" else (*CLOUDFLARE_REGIONS, ALL_REGIONS)
    for region in given:
        if region not in known:
            yield Fault(path, f"unknown region {region}; known are {listed(known, 'and')}", list(given))
    if len(set(given)) < len(given):
        yield Fault(path, "each region once", list(given))
    if settings.provider == "route53" and len(given) < 3:
        yield Fault(path, "has to name three regions or more, or be left out for all", list(given))
    if ALL_REGIONS in given and settings.plan != ENTERPRISE:
        # https://developers.cloudflare.com/api/resources/load_balancers/ (CheckRegion)
        yield Fault(path, "takes ALL_REGIONS with plan enterprise only", list(given))


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody may ask of a record and its check, besides times; anything left out is not asked for.

    expected_text: Route 53's search string, Cloudflare's expected_body. alarm: a CloudWatch alarm behind the check, as
    the field names of PutMetricAlarm (`Metrics`, `ExtendedStatistic`, `Period`). record_types: of all records that
    share the name.
    """

    provider: str
    health_path: str = "/readyz"
    expected_text: str | None = None
    alarm: tuple[tuple[str, object], ...] = ()
    interval_seconds: float | None = None
    alias_to_balancer: bool = False
    record_types: tuple[str, ...] = ()
    disabled_check: bool = False
    inverted_check: bool = False
    always_serve: bool = False


def never_works(wish: Wish, objective_seconds: float = 60) -> list[str]:
    """One sentence per thing that a provider may accept and that can never do what it is for; empty: none is known."""
    return list(_never(wish, objective_seconds))


def _never(wish: Wish, objective_seconds: float) -> Iterable[str]:
    path = wish.health_path.split("?")[0].rstrip("/")
    if wish.expected_text is not None and path in EMPTY_BODY_PATHS:
        yield (
            f"a check that looks for {wish.expected_text!r} on {wish.health_path} never passes: "
            f"{EMPTY_BODY_PATHS[path]}; check the status alone, or /readyz"
        )
    alarm = dict(wish.alarm)
    if alarm.get("Metrics"):
        # https://docs.aws.amazon.com/Route53/latest/APIReference/API_AlarmIdentifier.html
        yield "a check behind a metric-math alarm is refused by Route 53: it takes alarms on one metric only"
    if alarm.get("ExtendedStatistic"):
        yield "a check behind an alarm on a percentile is refused by Route 53: publish the percentile as a metric"
    if isinstance(period := alarm.get("Period"), int) and period < 60:
        yield f"a check behind an alarm with a period of {period} s is refused by Route 53: 60 s is the least"
    interval = wish.interval_seconds
    if wish.provider == "cloud-dns" and interval is not None and interval < CLOUD_DNS_MIN_INTERVAL:
        least = CLOUD_DNS_MIN_INTERVAL
        yield f"Cloud DNS does not check public addresses every {_number(interval)} s: {least} s is the least"
    if wish.alias_to_balancer:
        goal = f"the objective is {_number(objective_seconds)} s"
        yield (
            f"an alias to a balancer is kept for {ALIAS_TTL} s, always; detection comes on top of that, and {goal}: "
            "use A records on its static addresses"
        )
    if "CNAME" in wish.record_types and len(set(wish.record_types)) > 1:
        others = listed(sorted(set(wish.record_types) - {"CNAME"}), "and")
        # https://www.rfc-editor.org/rfc/rfc1034#section-3.6.2
        yield f"a CNAME shares its name with no other record, and {others} stand there too"
    if wish.disabled_check:
        # https://docs.aws.amazon.com/Route53/latest/APIReference/API_UpdateHealthCheck.html (Disabled)
        yield "a disabled check counts as healthy for ever: to take a member out, remove its record (drain: true)"
    if wish.inverted_check:
        yield "an inverted check turns healthy when its endpoint is gone: to take a member out, set drain: true"
    if wish.always_serve:
        # https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring (Always Serve)
        yield "an endpoint with always-serve is answered without being checked: clients never leave it when it fails"
