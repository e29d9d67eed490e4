"""A Route 53 hosted zone's records, as the stand-in cloud holds them, made into a structure that answers fast.

How one record of a group is chosen:
https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-how-route-53-chooses-records.html
and how trees of alias records are walked:
https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-complex-configs.html

A branch without a healthy record is left for the next best one, so a record that points to a group and evaluates its
health is healthy while any record of that group is. A group's choice depends on nothing but the health of checks and
the client's region, so it is worked out once and kept until a check changes.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from sandbox.dns.answer import Step
from sandbox.dns.geography import Place, kilometres, locale, regions, round_trip_ms
from sandbox.kinds import Resource
from spillway.errors import SpillwayError

ZONE = "aws:route53/zone:Zone"
RECORD = "aws:route53/record:Record"
# "the TTL of an alias to a load balancer is 60 seconds": resource-record-sets-values-alias-common.html
BALANCER_TTL = 60
NS_TTL, SOA_TTL = 172_800, 900
MULTIVALUE_AT_MOST = 8
"""https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-multivalue.html"""
DEFAULT_LOCATION = "us-east-1"

Healthy = Callable[[str], bool]
Balancers = Mapping[str, tuple[str, ...]]
"""A load balancer's DNS name (lower case) -> its addresses."""


def plain(name: str) -> str:
    """A domain name as zones are indexed: lower case, no trailing dot, the wildcard as `*`."""
    return name.rstrip(".").lower().replace("\\052", "*")


@dataclass(slots=True)
class RecordSet:
    """One resource record set."""

    name: str
    type: str
    identifier: str
    ttl: int
    values: tuple[str, ...]
    check: str | None
    inputs: Mapping[str, Any]
    target: Group | None = None
    evaluates: bool = False
    aliased: str = ""
    external: bool = False
    """An alias to something outside of the zone."""

    def healthy(self, status: Healthy, version: int) -> bool:
        """A record without a check, and without a target whose health it evaluates, is always healthy."""
        if self.check is not None and not status(self.check):
            return False
        if not (self.aliased and self.evaluates):
            return True
        return self.target is None or self.target.healthy(status, version)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a choice leads: on to a group, or to values."""

    step: Step
    target: Group | None
    values: tuple[str, ...]
    ttl: int


@dataclass(frozen=True, slots=True)
class Choice:
    """Outcomes by their shares: `shares` are cumulative, None for a single outcome. many: up to eight at once."""

    outcomes: tuple[Outcome, ...]
    shares: tuple[float, ...] | None = None
    many: bool = False

    def draw(self, chance: random.Random) -> Outcome:
        shares = self.shares
        return self.outcomes[0 if shares is None else bisect(shares, chance.random() * shares[-1])]


@dataclass(slots=True)
class Group:
    """The record sets of one name and type, which share a routing policy."""

    name: str
    type: str
    records: list[RecordSet] = field(default_factory=list)
    policy: str = "simple"
    choices: dict[str, Choice | None] = field(default_factory=dict)
    _version: int = -1
    _healthy: bool = True

    def healthy(self, status: Healthy, version: int) -> bool:
        """Whether any record is."""
        if self._version != version:
            self._version, self._healthy = version, any(r.healthy(status, version) for r in self.records)
        return self._healthy

    def choose(self, location: str, status: Healthy, version: int) -> Choice | None:
        """The choice for clients of a region; None when no record is for them (geolocation without a default)."""
        fit = [r for r in self.records if r.healthy(status, version)]
        if self.policy == "simple":
            return _single(self.records[0], "the only record")
        # "If no record is healthy, all records are healthy"
        return _POLICIES[self.policy](self, fit or self.records, location, not fit)


def _outcome(record: RecordSet, why: str) -> Outcome:
    step = Step(record.name, record.identifier or record.aliased or record.name, why)
    return Outcome(step, record.target, record.values, record.ttl)


def _single(record: RecordSet, why: str) -> Choice:
    return Choice((_outcome(record, why),))


def _policy(record: RecordSet, key: str) -> Mapping[str, Any]:
    found: Any = record.inputs.get(key)
    entry: Mapping[str, Any] = (found[0] if isinstance(found, list) else found) or {}
    return entry


_OPEN = ", as all count as healthy while none is"


def _weighted(group: Group, fit: Sequence[RecordSet], location: str, opened: bool) -> Choice:
    """Zero weights count only when every record with another weight is unhealthy; all zero, all alike
    (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-weighted.html)."""
    weights = {id(r): float(_policy(r, "weightedRoutingPolicies").get("weight") or 0) for r in fit}
    heavy = [r for r in fit if weights[id(r)] > 0]
    chosen = heavy or list(fit)
    shares = [weights[id(r)] if heavy else 1.0 for r in chosen]
    total = sum(shares)
    told = _OPEN if opened else f", {len(fit)} of {len(group.records)} healthy"
    outcomes = tuple(
        _outcome(r, f"weight {weights[id(r)]:g}, {share / total:.0%} of answers{told}")
        for r, share in zip(chosen, shares, strict=True)
    )
    return Choice(outcomes, tuple(accumulate(shares)) if len(outcomes) > 1 else None)


def _latency(group: Group, fit: Sequence[RecordSet], location: str, opened: bool) -> Choice:
    def trip(record: RecordSet) -> float:
        return round_trip_ms(location, str(_policy(record, "latencyRoutingPolicies").get("region")))

    best = min(fit, key=trip)
    region = _policy(best, "latencyRoutingPolicies").get("region")
    nearer = sum(trip(r) < trip(best) for r in group.records)
    told = _OPEN if opened else f", {nearer} nearer ones unhealthy" if nearer else ""
    return _single(best, f"{region} is nearest to {location}, {trip(best):.0f} ms{told}")


def _failover(group: Group, fit: Sequence[RecordSet], location: str, opened: bool) -> Choice:
    """Both unhealthy: the primary answers (API_ResourceRecordSet, Failover)."""
    role = {id(r): str(_policy(r, "failoverRoutingPolicies").get("type")) for r in fit}
    primary = next((r for r in fit if role[id(r)] == "PRIMARY"), None)
    if primary is not None:
        return _single(primary, f"PRIMARY{_OPEN if opened else ' is healthy'}")
    return _single(fit[0], "SECONDARY, as the primary is unhealthy")


def _multivalue(group: Group, fit: Sequence[RecordSet], location: str, opened: bool) -> Choice:
    told = _OPEN if opened else f"{len(fit)} of {len(group.records)} healthy"
    return Choice(tuple(_outcome(r, told.lstrip(", ")) for r in fit), many=True)


def _geolocation(group: Group, fit: Sequence[RecordSet], location: str, opened: bool) -> Choice | None:
    """The smallest area wins, then the next larger one, then the default; otherwise no answer
    (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-geo.html)."""
    where = locale(location)
    for key, value in (("country", where.country), ("continent", where.continent), ("country", "*")):
        for record in fit:
            policy = _policy(record, "geolocationRoutingPolicies")
            if policy.get(key) == value and not policy.get("subdivision"):
                return _single(record, f"{key} {value}{_OPEN if opened else ''}")
    return None


def _geoproximity(group: Group, fit: Sequence[RecordSet], location: str, opened: bool) -> Choice:
    """Biased distance = distance x (1 - bias / 100)
    (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/routing-policy-geoproximity.html)."""
    here = regions().get(location) or regions()[DEFAULT_LOCATION]

    def distance(record: RecordSet) -> float:
        policy = _policy(record, "geoproximityRoutingPolicy")
        place = regions().get(str(policy.get("awsRegion")))
        for point in policy.get("coordinates") or ():
            place = Place(float(point["latitude"]), float(point["longitude"]))
        if place is None:
            raise SpillwayError(f"{record.name}: {record.identifier}: no place is known for its geoproximity routing")
        return kilometres(here, place) * (1 - float(policy.get("bias") or 0) / 100)

    best = min(fit, key=distance)
    return _single(best, f"nearest by biased distance, {distance(best):.0f} km{_OPEN if opened else ''}")


_POLICIES: dict[str, Callable[[Group, Sequence[RecordSet], str, bool], Choice | None]] = {
    "weighted": _weighted,
    "latency": _latency,
    "failover": _failover,
    "multivalue": _multivalue,
    "geolocation": _geolocation,
    "geoproximity": _geoproximity,
}
_POLICY_KEYS = {
    "weightedRoutingPolicies": "weighted",
    "latencyRoutingPolicies": "latency",
    "failoverRoutingPolicies": "failover",
    "multivalueAnswerRoutingPolicy": "multivalue",
    "geolocationRoutingPolicies": "geolocation",
    "geoproximityRoutingPolicy": "geoproximity",
}


class Zone:
    """One hosted zone, compiled. Raises SpillwayError for aliases that lead in a circle and for IP-based routing."""

    def __init__(
        self,
        id: str,
        name: str,
        records: Iterable[Resource],
        balancers: Balancers | None = None,
        name_servers: Sequence[str] = (),
    ) -> None:
        self.id, self.name, self.name_servers = id, plain(name), tuple(name_servers)
        self.groups: dict[tuple[str, str], Group] = {}
        balancers = balancers or {}
        for resource in records:
            self._add(resource.outputs, balancers)
        if name_servers:
            self._own_records(tuple(f"{plain(server)}." for server in name_servers))
        self._link()
        self.names = self._names()

    def _add(self, o: Mapping[str, Any], balancers: Balancers) -> None:
        name = plain(str(o.get("fqdn") or o.get("name") or self.name))
        if name != self.name and not name.endswith(f".{self.name}"):
            name = f"{name}.{self.name}"
        kind = str(o.get("type") or "A")
        where = f"{name} {kind}"
        if o.get("cidrRoutingPolicy"):
            raise SpillwayError(f"{where}: cidrRoutingPolicy: needs the client's address, which a region does not give")
        policy = next((word for key, word in _POLICY_KEYS.items() if o.get(key)), "simple")
        group = self.groups.setdefault((name, kind), Group(name, kind, policy=policy))
        if group.policy != policy:
            raise SpillwayError(f"{where}: {policy} and {group.policy} routing under one name and type")
        alias = next(iter(o.get("aliases") or ()), None)
        record = RecordSet(
            name,
            kind,
            str(o.get("setIdentifier") or ""),
            int(o.get("ttl") or 0),
            tuple(str(v) for v in o.get("records") or ()),
            str(o["healthCheckId"]) if o.get("healthCheckId") else None,
            o,
        )
        if alias is not None:
            record.aliased = plain(str(alias.get("name")))
            record.evaluates = bool(alias.get("evaluateTargetHealth"))
            if str(alias.get("zoneId", "")).removeprefix("/hostedzone/") != self.id:
                # A balancer answers for itself; the stand-in's balancers have no nodes that could be unhealthy.
                target = balancers.get(record.aliased.removeprefix("dualstack."), ())
                record.values, record.ttl, record.evaluates, record.external = target, BALANCER_TTL, False, True
        group.records.append(record)

    def _own_records(self, servers: tuple[str, ...]) -> None:
        """NS and SOA, which every zone has from the start
        (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html)."""
        soa = f"{servers[0]} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
        for kind, ttl, values in (("NS", NS_TTL, servers), ("SOA", SOA_TTL, (soa,))):
            if (self.name, kind) not in self.groups:
                record = RecordSet(self.name, kind, "", ttl, values, None, {})
                self.groups[self.name, kind] = Group(self.name, kind, [record])

    def _link(self) -> None:
        for group in self.groups.values():
            for record in group.records:
                if record.aliased and not record.external:
                    record.target = self.groups.get((record.aliased, record.type)) or Group(record.aliased, record.type)
        done: set[int] = set()
        for group in self.groups.values():
            self._refuse_circle(group, (), done)

    def _refuse_circle(self, group: Group, above: tuple[str, ...], done: set[int]) -> None:
        if group.name in above:
            raise SpillwayError(f"{group.name} {group.type}: aliases lead in a circle: {' -> '.join(above)}")
        if id(group) in done:
            return
        for record in group.records:
            if record.target is not None:
                self._refuse_circle(record.target, (*above, group.name), done)
        done.add(id(group))

    def _names(self) -> set[str]:
        """Every name that exists, those only on the way to others included (RFC 4592, empty non-terminals)."""
        names = {self.name}
        for name, _ in self.groups:
            while name != self.name:
                names.add(name)
                name = name.partition(".")[2]
        return names
