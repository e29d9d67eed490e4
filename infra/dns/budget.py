"""The failover budget: how long until clients have left a member that failed, for a provider and its settings. Pure.

    settings = CheckSettings(provider="route53", interval_seconds=10, threshold=2, ttl_seconds=10)
    budget(settings).row("blackhole").detection.p95      # 27.6 s

Two ways to the same numbers, which tests hold together: `budget` computes them from the distribution of an order
statistic (infra/dns/checkers.py), and `simulate` lets single checkers vote (infra/dns/voting.py), failure by failure,
by the rules as the providers document them. What is not published is assumed, and each row says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from infra.dns.checkers import (
    CLOUDFLARE_CONNECT_SECONDS,
    CLOUDFLARE_PROBES_PER_REGION,
    FAILURE_WORDS,
    FAILURES,
    PROVIDERS,
    ROUTE53_CHECKERS_PER_REGION,
    CheckSettings,
    Distribution,
    Failure,
    Provider,
    detector,
)
from infra.dns.limits import (
    ENTERPRISE,
    NAMES,
    SHORT_TTL,
    Limits,
    Wish,
    as_delivered,
    best,
    illegal,
    limits,
    never_works,
)
from infra.dns.voting import SEED, simulate
from infra.faults import Fault, dotted, shown

__all__ = [
    "FAILURES",
    "FAILURE_WORDS",
    "NAMES",
    "OBJECTIVE_SECONDS",
    "PROVIDERS",
    "SEED",
    "SHORT_TTL",
    "Budget",
    "CheckSettings",
    "Compared",
    "Distribution",
    "Failure",
    "Limits",
    "Provider",
    "Row",
    "Wish",
    "as_delivered",
    "as_dict",
    "best",
    "budget",
    "compared",
    "faults",
    "illegal",
    "limits",
    "moved",
    "never_works",
    "refusals",
    "simulate",
]

OBJECTIVE_SECONDS: Final = 60
DECIDING: Final[Failure] = "blackhole"
"""The objective is held against a silent member: a region without power or route sends no refusals."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of failure.

    detection: from the failure until the provider answers otherwise, over failures. propagation: how much longer a
    client that honours the TTL keeps its answer, over clients. total: both together, over failures and clients.
    assumed: what the provider does not publish, one sentence each. documented: what it does, and one may not expect.
    """

    failure: Failure
    detection: Distribution
    propagation: Distribution
    total: Distribution
    assumed: tuple[str, ...]
    documented: tuple[str, ...] = ()

    @property
    def promise(self) -> float:
        """Seconds: in 95 of 100 failures every client that honours the TTL has moved by then: p95 + the whole TTL."""
        return self.detection.p95 + self.propagation.worst


@dataclass(frozen=True, slots=True)
class Budget:
    """The rows of FAILURES, in that order, and where the rules are documented."""

    settings: CheckSettings
    rows: tuple[Row, ...]
    sources: tuple[str, ...]

    def row(self, failure: Failure) -> Row:
        return next(row for row in self.rows if row.failure == failure)

    @property
    def promise(self) -> float:
        """Seconds that can be promised to clients, `Row.promise` of a silent member."""
        return self.row(DECIDING).promise

    def meets(self, objective_seconds: float) -> bool:
        return self.promise <= objective_seconds


def budget(settings: CheckSettings) -> Budget:
    """The exact distributions (no simulation; some milliseconds), for all kinds of failure."""
    rows = []
    for failure in FAILURES:
        found = detector(settings, failure)
        cache = found.cache
        rows.append(
            Row(
                failure=failure,
                detection=Distribution(found.detection_at(0.5), found.detection_at(0.95), found.worst),
                propagation=Distribution(cache * 0.5, cache * 0.95, cache),
                total=Distribution(found.moved_at(0.5), found.moved_at(0.95), found.worst + cache),
                assumed=tuple(_assumed(settings, failure)),
                documented=tuple(_documented(settings, failure)),
            )
        )
    return Budget(settings, tuple(rows), limits(settings.provider, settings.plan).docs)


def moved(settings: CheckSettings, failure: Failure, seconds: float) -> float:
    """Share (0 to 1) of clients that have left the failed member so many seconds after the failure."""
    return detector(settings, failure).moved(seconds)


def _assumed(settings: CheckSettings, failure: Failure) -> Iterator[str]:
    if settings.provider == "route53":
        yield (
            f"{ROUTE53_CHECKERS_PER_REGION * len(settings.regions)} checkers, {ROUTE53_CHECKERS_PER_REGION} in each of "
            f"{len(settings.regions)} regions (published: a dozen or so), each at its own moment of the interval"
        )
        yield "the time from the checkers' votes to the name servers is not published and not counted"
    elif settings.provider == "traffic-manager":
        yield (
            "one probing region decides for the clients it answers; how several are combined is not published "
            "(published: failures in a row are counted within each)"
        )
        yield "the time from the probe to the name servers is not published and not counted"
    else:
        yield (
            f"each of the {CLOUDFLARE_PROBES_PER_REGION} data centers in each of {len(settings.regions)} check regions "
            "probes at its own moment of the interval and counts consecutive_down for itself"
        )
        yield "the new state reaches all of Cloudflare at once (published where it is resold: within seconds)"
        if not settings.proxied:
            yield "a DNS-only load balancer's TTL is 30 s at least on every plan"
        if settings.proxied and settings.failover_across_pools and failure in ("refused", "blackhole"):
            yield "the one retry of a request finds a healthy member in another pool"
    if failure in ("refused", "error"):
        yield f"a probe that is answered takes {settings.answer_seconds:g} s"


def _documented(settings: CheckSettings, failure: Failure) -> Iterator[str]:
    if settings.provider == "route53" and failure == "blackhole":
        yield "a checker waits 4 s for a connection, and the interval begins after that"
    if settings.provider == "cloudflare" and settings.proxied and settings.failover_across_pools:
        if settings.addresses > 1 and failure in ("refused", "blackhole"):
            yield (
                "the one retry of a request goes to another address of the same pool first: a member whose addresses "
                "fail together is left when the monitors decide"
            )
        elif failure == "blackhole":
            yield (
                f"a request waits {CLOUDFLARE_CONNECT_SECONDS} s for a connection (522) before it is tried on another "
                "pool, until the monitors decide"
            )
        elif failure == "refused":
            yield "a refused request (521) is tried once more on another pool, whatever the monitors say"
        else:
            yield "a member's own 5xx and an answer that never comes (524) are not tried again: the monitors decide"


# --- what to refuse


def faults(settings: CheckSettings, objective_seconds: float = OBJECTIVE_SECONDS) -> list[Fault]:
    """What a stack file with these settings is refused for: values that the provider does not take, then the objective.

    Paths lie below `spillway:global`. The objective is held against 95 % of the failures of a silent member, plus the
    whole TTL.
    """
    found = list(illegal(settings))
    promise = budget(settings).promise
    if promise > objective_seconds:
        detection = promise - settings.cache_seconds
        what = "silent failures" if settings.addresses == 1 else f"silent failures of {settings.addresses} addresses"
        took = f"{detection:.1f} s to notice 95 % of {what}"
        if settings.cache_seconds:
            took += f" + TTL {settings.cache_seconds:g} s = {promise:.1f} s"
        help_ = "" if found else f"; {_what_would_do(settings, objective_seconds)}"
        found.append(Fault(("dns", "objectiveSeconds"), f"missed: {took}{help_}", _plain(objective_seconds)))
    return found


def refusals(settings: CheckSettings, objective_seconds: float = OBJECTIVE_SECONDS) -> list[str]:
    """`faults` as sentences, `key = value: what is allowed`; empty when the settings are fine."""
    return [f"{dotted(f.path)} = {shown(f.value)}: {f.allowed}" for f in faults(settings, objective_seconds)]


def _what_would_do(settings: CheckSettings, objective: float) -> str:
    """Every single change that meets the objective; where there is none, all of them together; else who could."""
    legal = limits(settings.provider, settings.plan, settings.interval_seconds)
    fastest = best(
        settings.provider,
        plan=settings.plan,
        threshold=settings.threshold,
        proxied=settings.proxied,
        failover_across_pools=settings.failover_across_pools,
        check_regions=settings.check_regions,
    )

    def meets(**changes: Any) -> bool:
        changed = replace(settings, **changes)
        return not any(illegal(changed)) and budget(changed).meets(objective)

    found = []
    if fastest.interval_seconds < settings.interval_seconds and meets(interval_seconds=fastest.interval_seconds):
        found.append(f"intervalSeconds {fastest.interval_seconds:g}")
    found += _first(f"threshold {k}" for k in range(settings.threshold - 1, 0, -1) if meets(threshold=k))
    if legal.timeouts is not None and settings.timeout == int(settings.timeout):
        shorter = range(int(settings.timeout) - 1, legal.timeouts[0] - 1, -1)
        found += _first(f"timeoutSeconds {t}" for t in shorter if meets(timeout_seconds=t))
    if not settings.proxied:
        least = legal.ttls[0]
        ttl = int(objective - budget(settings).promise + settings.ttl_seconds)
        if least <= ttl < settings.ttl_seconds and ttl >= min(SHORT_TTL, settings.ttl_seconds):
            found.append(f"ttlSeconds {ttl}")
    if found:
        return f"would meet it: {' or '.join(found)}"
    for threshold in range(settings.threshold, 0, -1):
        tried = replace(fastest, threshold=threshold, answer_seconds=settings.answer_seconds)
        if budget(tried).meets(objective):
            parts = [f"intervalSeconds {tried.interval_seconds:g}", f"threshold {threshold}"]
            parts += [f"timeoutSeconds {tried.timeout_seconds:g}"] if tried.timeout_seconds is not None else []
            parts += ["retries 0"] if settings.retries and settings.provider == "cloudflare" else []
            parts += [] if tried.proxied else [f"ttlSeconds {tried.ttl_seconds:g}"]
            return f"would meet it: {', '.join(parts)} together"
    name = NAMES[settings.provider]
    others = [p for p in PROVIDERS if p != settings.provider and budget(best(p)).meets(objective)]
    if others:
        return f"no settings of {name} meet it, those of {' and '.join(others)} do"
    return f"no settings of {name} meet it; a proxied Cloudflare load balancer with failoverAcrossPools comes closest"


def _first(found: Iterable[str]) -> list[str]:
    return [text for text in (next(iter(found), None),) if text]


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value


# --- beside each other


@dataclass(frozen=True, slots=True)
class Compared:
    """A provider with one set of settings; `variant`, where there is one, says what differs from the plain `name`."""

    name: str
    variant: str
    budget: Budget


def compared() -> tuple[Compared, ...]:
    """Every provider at its fastest with two failures in a row, and as it is when nothing is set."""
    dns_only, proxied = "Cloudflare, DNS only", "Cloudflare, proxied"
    entries = (
        ("Route 53", "", best("route53")),
        ("Route 53", "its defaults", as_delivered("route53")),
        ("Traffic Manager", "", best("traffic-manager")),
        ("Traffic Manager", "its defaults", as_delivered("traffic-manager")),
        (dns_only, "", best("cloudflare")),
        (dns_only, "its defaults", as_delivered("cloudflare")),
        (dns_only, "enterprise", best("cloudflare", plan=ENTERPRISE)),
        (proxied, "", best("cloudflare", proxied=True)),
        (proxied, "enterprise", best("cloudflare", plan=ENTERPRISE, proxied=True)),
        (
            proxied,
            "and across pools",
            best("cloudflare", plan=ENTERPRISE, proxied=True, failover_across_pools=True),
        ),
    )
    return tuple(Compared(name, variant, budget(settings)) for name, variant, settings in entries)


# --- as an output


def as_dict(found: Budget, objective_seconds: float | None = None) -> dict[str, Any]:
    """For a stack's outputs and `--json`: seconds rounded to 0.1, computed and not simulated, so always the same."""
    settings = found.settings
    result: dict[str, Any] = {
        "provider": settings.provider,
        "intervalSeconds": _plain(settings.interval_seconds),
        "threshold": settings.threshold,
        "timeoutSeconds": None if settings.provider == "route53" else _plain(settings.timeout),
        "ttlSeconds": None if settings.proxied else _plain(settings.ttl_seconds),
        "addresses": settings.addresses,
    }
    if settings.provider == "cloudflare":
        result |= {
            "plan": settings.plan,
            "proxied": settings.proxied,
            "failoverAcrossPools": settings.failover_across_pools,
            "checkRegions": list(settings.regions),
        }
    result["failures"] = {
        row.failure: {
            "detection": _seconds(row.detection),
            "propagation": _seconds(row.propagation),
            "total": _seconds(row.total),
            "p95PlusTtl": round(row.promise, 1),
        }
        for row in found.rows
    }
    result["promiseSeconds"] = round(found.promise, 1)
    if objective_seconds is not None:
        result |= {"objectiveSeconds": _plain(objective_seconds), "met": found.meets(objective_seconds)}
    for kind in ("assumed", "documented"):
        result[kind] = list(dict.fromkeys(sentence for row in found.rows for sentence in getattr(row, kind)))
    result["sources"] = list(found.sources)
    return result


def _seconds(values: Distribution) -> dict[str, float]:
    return {name: round(getattr(values, name), 1) for name in ("median", "p95", "worst")}
