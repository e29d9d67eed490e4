"""How DNS providers find out that a member is down, as numbers: who probes, how often, and who has to agree. Pure.

Every provider here is the same machine with other figures. Some places probe the member, each in its own rhythm; each
place calls the member unhealthy after `threshold` failed probes in a row; the provider does so when enough places do.
A member that fails at moment 0 is next probed by a place within one period of its probes, at any time in it with the
same chance. The failing probes from then on take the same time at every place, so that

    detection = period x (share of it after which enough places have begun their first failing probe) + `after`

and only the first summand is chance: an order statistic of uniform numbers (`Quorum`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import comb, inf, isfinite
from typing import Final, Literal, get_args

Provider = Literal["route53", "cloudflare", "traffic-manager"]
Failure = Literal["refused", "error", "blackhole", "hang"]

PROVIDERS: Final[tuple[Provider, ...]] = get_args(Provider)
FAILURES: Final[tuple[Failure, ...]] = get_args(Failure)
FAILURE_WORDS: Final[dict[Failure, str]] = {
    "refused": "connections are refused",
    "error": "answers 5xx",
    "blackhole": "packets vanish",
    "hang": "connects, never answers",
}

ANSWER_SECONDS: Final = 0.1
"""A probe that is answered at all. Assumed: a few round trips; every 0.1 s more adds `threshold` x 0.1 s."""

# https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
ROUTE53_CONNECT_SECONDS: Final = 4
ROUTE53_ANSWER_SECONDS: Final = 2
ROUTE53_HEALTHY_PERCENT: Final = 18
"""Unhealthy when this share of the checkers, or less, reports healthy."""
# https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html (Regions: all when left out)
ROUTE53_REGIONS: Final = (
    *("us-east-1", "us-west-1", "us-west-2", "eu-west-1"),
    *("ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "sa-east-1"),
)
ROUTE53_CHECKERS_PER_REGION: Final = 2
"""Assumed. Published is "a dozen or so locations", and 60 to 70 checks a minute at 10 s, which is 10 to 12 checkers
(https://aws.amazon.com/blogs/aws/route-53-health-check-improvements-faster-interval-and-configurable-failover/); more
checkers are slower to agree, but 16 instead of 12 costs less than 0.3 s at p95."""

# https://developers.cloudflare.com/load-balancing/understand-basics/health-details/
CLOUDFLARE_PROBES_PER_REGION: Final = 3
# https://developers.cloudflare.com/load-balancing/monitors/#health-monitor-regions
CLOUDFLARE_REGIONS: Final = (
    *("WNAM", "ENAM", "WEU", "EEU", "NSAM", "SSAM", "OC"),
    *("ME", "NAF", "SAF", "SAS", "SEAS", "NEAS"),
)
CLOUDFLARE_DEFAULT_REGIONS: Final = ("WNAM", "ENAM", "WEU")
ALL_REGIONS: Final = "ALL_REGIONS"
CLOUDFLARE_TIMEOUT_SECONDS: Final = 5
"""https://developers.cloudflare.com/api/resources/load_balancers/subresources/monitors/ (default)"""
CLOUDFLARE_CONNECT_SECONDS: Final = 19
"""A proxied request whose connection is not answered for so long becomes a 522
(https://developers.cloudflare.com/fundamentals/reference/connection-limits/)."""

# https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring: defaults at 30 s and at 10 s.
TRAFFIC_MANAGER_TIMEOUT_SECONDS: Final = {30: 10, 10: 9}


@dataclass(frozen=True, slots=True)
class Distribution:
    """Seconds: half of the cases take at most `median`, 95 in 100 at most `p95`, none more than `worst`."""

    median: float
    p95: float
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """What decides how fast a provider moves clients. Times in seconds.

    interval_seconds: between probes of one place. threshold: failures in a row (Traffic Manager: tolerated + 1;
    Cloudflare: consecutive_down). timeout_seconds: None takes the provider's default; Route 53 has fixed times.
    ttl_seconds: of the answer; without meaning when `proxied`. failover_across_pools, plan, retries: Cloudflare only;
    retries are made at once after a timeout, so each costs a whole timeout. check_regions: the places that probe, None
    takes all of Route 53's, or CLOUDFLARE_DEFAULT_REGIONS. answer_seconds: how long an answered probe takes.
    addresses: of the member; each is probed by itself, and clients have left when the last one is out.
    Whether a provider accepts the values is told by `limits.faults`; only what has no meaning at all is a ValueError.
    """

    provider: Provider
    interval_seconds: float
    threshold: int
    timeout_seconds: float | None = None
    ttl_seconds: float = 10
    proxied: bool = False
    failover_across_pools: bool = False
    plan: str | None = None
    check_regions: tuple[str, ...] | None = None
    retries: int = 0
    answer_seconds: float = ANSWER_SECONDS
    addresses: int = 1

    def __post_init__(self) -> None:
        if self.provider not in PROVIDERS:
            raise ValueError(f"provider = {self.provider}: must be one of {', '.join(PROVIDERS)}")
        for name in ("interval_seconds", "threshold", "timeout_seconds", "answer_seconds", "addresses"):
            value = getattr(self, name)
            if value is not None and not (isfinite(value) and value > 0):
                raise ValueError(f"{name} = {value}: must be above 0")
        for name in ("ttl_seconds", "retries"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} = {getattr(self, name)}: must be 0 or more")
        if self.check_regions is not None and not self.check_regions:
            raise ValueError("check_regions = []: must name at least one region, or be left out")

    @property
    def cache_seconds(self) -> float:
        """How long a client may go on using an old answer: a proxied name's addresses stay the provider's own."""
        return 0.0 if self.proxied else float(self.ttl_seconds)

    @property
    def timeout(self) -> float:
        """Seconds until a probe that is not answered is given up (Traffic Manager, Cloudflare)."""
        if self.timeout_seconds is not None:
            return float(self.timeout_seconds)
        if self.provider == "traffic-manager":
            return float(TRAFFIC_MANAGER_TIMEOUT_SECONDS.get(int(self.interval_seconds), 10))
        return float(CLOUDFLARE_TIMEOUT_SECONDS)

    @property
    def regions(self) -> tuple[str, ...]:
        """Check regions, defaults and ALL_REGIONS spelled out; none for Traffic Manager, which has no such setting."""
        if self.provider == "route53":
            return self.check_regions or ROUTE53_REGIONS
        if self.provider == "cloudflare":
            found = self.check_regions or CLOUDFLARE_DEFAULT_REGIONS
            return CLOUDFLARE_REGIONS if ALL_REGIONS in found else found
        return ()


@dataclass(frozen=True, slots=True)
class Quorum:
    """`needed` of `of` places (or of groups of places) have to have failed."""

    of: int
    needed: int

    def share(self, x: float) -> float:
        """Probability that `needed` have failed when each has with probability x: I_x(needed, of - needed + 1).

        The regularized incomplete beta function at integers is this binomial sum (https://dlmf.nist.gov/8.17#E5), and
        the distribution of the `needed`-th of `of` uniform numbers (https://dlmf.nist.gov/8.17#E1 at those integers).
        """
        return sum(comb(self.of, j) * x**j * (1 - x) ** (self.of - j) for j in range(self.needed, self.of + 1))


Places = tuple[Quorum, ...]
"""Quorums from the inside out: (3 of 2 in a region), (of the regions)."""

CELLS: Final = 512


@lru_cache(maxsize=256)
def agreed(places: Places, x: float) -> float:
    """Probability that enough places have had their first failing probe after the share x (0 to 1) of a period."""
    for quorum in places:
        x = quorum.share(x)
    return x


@lru_cache(maxsize=256)
def agreed_at(places: Places, probability: float) -> float:
    """The inverse of `agreed` by bisection: the share of a period after which `probability` is reached."""
    low, high = 0.0, 1.0
    for _ in range(48):
        middle = (low + high) / 2
        low, high = (low, middle) if agreed(places, middle) >= probability else (middle, high)
    return high


@lru_cache(maxsize=32)
def _areas(places: Places) -> tuple[float, ...]:
    """The integral of `agreed` from 0 to i / CELLS, by midpoints; within 1e-6 of the true one."""
    total, areas = 0.0, [0.0]
    for cell in range(CELLS):
        x = (cell + 0.5) / CELLS
        for quorum in places:
            x = quorum.share(x)
        total += x / CELLS
        areas.append(total)
    return tuple(areas)


def _area(places: Places, x: float) -> float:
    """The integral of `agreed` from 0 to x; beyond 1 it grows by 1 for 1."""
    if x <= 0:
        return 0.0
    areas = _areas(places)
    if x >= 1:
        return areas[-1] + x - 1
    cell, rest = divmod(x * CELLS, 1)
    return areas[int(cell)] + rest * (areas[int(cell) + 1] - areas[int(cell)])


@dataclass(frozen=True)
class Detector:
    """One provider's checks against one kind of failure.

    places: who has to agree. spread: seconds over which a place's first failing probe is spread evenly, the period of
    its probes while the member is well. after: from the
    start of a place's first failing probe to the end of the one that decides. at_most: requests move by themselves
    after so long, whatever the checks say. cache: seconds that clients keep an answer.
    """

    places: Places
    spread: float
    after: float
    at_most: float = inf
    cache: float = 0.0

    @property
    def worst(self) -> float:
        """The longest detection there is, in seconds; every probe just missed the failure."""
        return min(self.at_most, self.spread + self.after)

    def detected(self, seconds: float) -> float:
        """Share of failures (0 to 1) that the provider's answer takes into account after so many seconds."""
        if seconds >= self.worst:
            return 1.0
        return agreed(self.places, (seconds - self.after) / self.spread) if seconds > self.after else 0.0

    def detection_at(self, probability: float) -> float:
        """Seconds after which this share of failures is detected."""
        return min(self.at_most, self.after + self.spread * agreed_at(self.places, probability))

    def moved(self, seconds: float) -> float:
        """Share (0 to 1) of clients, over all failures, that no longer use the failed member after so many seconds.

        A client that honours the TTL asked at any time within the TTL before the answer changed: detection plus a
        uniform wait, so this is the mean of `detected` over the last `cache` seconds.
        """
        if not self.cache:
            return self.detected(seconds)
        if seconds >= self.worst + self.cache:
            return 1.0
        ends = [(seconds - back - self.after) / self.spread for back in (0.0, self.cache)]
        return (_area(self.places, ends[0]) - _area(self.places, ends[1])) * self.spread / self.cache

    def moved_at(self, probability: float) -> float:
        """Seconds after which this share of clients has moved; the inverse of `moved` by bisection."""
        if not self.cache:
            return self.detection_at(probability)
        low, high = 0.0, self.worst + self.cache
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (low, middle) if self.moved(middle) >= probability else (middle, high)
        return high


def probe_seconds(settings: CheckSettings, failure: Failure) -> float:
    """How long one failing probe takes, retries included, in seconds."""
    answer = settings.answer_seconds
    if failure in ("refused", "error"):
        return answer
    if settings.provider == "route53":
        return ROUTE53_CONNECT_SECONDS if failure == "blackhole" else answer + ROUTE53_ANSWER_SECONDS
    # One timeout for the whole probe, connecting and answering.
    return settings.timeout * (1 + settings.retries if settings.provider == "cloudflare" else 1)


def places(settings: CheckSettings) -> Places:
    """Who probes, and how many of them have to call the member unhealthy; in the end all of its addresses."""
    whole = (Quorum(settings.addresses, settings.addresses),) if settings.addresses > 1 else ()
    if settings.provider == "route53":
        checkers = ROUTE53_CHECKERS_PER_REGION * len(settings.regions)
        return (Quorum(checkers, checkers - checkers * ROUTE53_HEALTHY_PERCENT // 100), *whole)
    if settings.provider == "cloudflare":
        # Healthy takes the majority of a region's data centers, and of the regions: two failing of four are enough.
        regions = len(settings.regions)
        return Quorum(CLOUDFLARE_PROBES_PER_REGION, 2), Quorum(regions, regions - regions // 2), *whole
    # Failures in a row are counted within each of Traffic Manager's probing regions; see budget.ASSUMED for the rest.
    return (Quorum(1, 1), *whole)


def detector(settings: CheckSettings, failure: Failure) -> Detector:
    """The settings' checks against one kind of failure."""
    probe, interval, more = probe_seconds(settings, failure), float(settings.interval_seconds), settings.threshold - 1
    if settings.provider == "route53":
        # "The number of seconds between the time that Amazon Route 53 gets a response from your endpoint and the time
        # that it sends the next health check request" (API_HealthCheckConfig, RequestInterval): from end to start.
        period, after = interval + settings.answer_seconds, settings.threshold * probe + more * interval
    else:
        # From start to start: the timeline at learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring.
        period, after = interval, more * max(interval, probe) + probe
    return Detector(places(settings), period, after, _at_most(settings, failure), settings.cache_seconds)


def _at_most(settings: CheckSettings, failure: Failure) -> float:
    """When single requests get to another member without any check: seconds, or infinity.

    A request that ends in 521 (refused), 522 (connecting took too long), 523, 525 or 526 is tried once more on another
    healthy endpoint, with failover across pools in another pool; no other status is
    (https://developers.cloudflare.com/load-balancing/understand-basics/adaptive-routing/). A member's own 5xx and an
    answer that never comes (524) are therefore left to the monitors. So is a member with several addresses: the one
    retry goes to another of them first, which failed with it.
    """
    if settings.provider != "cloudflare" or not (settings.proxied and settings.failover_across_pools):
        return inf
    if settings.addresses > 1:
        return inf
    return {"refused": settings.answer_seconds, "blackhole": float(CLOUDFLARE_CONNECT_SECONDS)}.get(failure, inf)
