"""Answers questions about a Cloudflare zone: its load balancers, and its other records.

How pools and origins are chosen: https://developers.cloudflare.com/load-balancing/understand-basics/traffic-steering/.
A proxied name answers with addresses of Cloudflare's own, and a request is steered when it arrives; so an answer then
also carries the origin that a request would reach.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from zlib import crc32

from sandbox.dns.answer import NXDOMAIN, Answer, Link, Step
from sandbox.dns.geography import Place, kilometres, locale, regions
from sandbox.dns.health import Endpoints
from sandbox.dns.monitors import Monitors
from sandbox.dns.zone import DEFAULT_LOCATION, plain
from sandbox.kinds import Resource
from spillway.errors import SpillwayError

ZONE = "cloudflare:index/zone:Zone"
DNS_RECORD = "cloudflare:index/dnsRecord:DnsRecord"
LOAD_BALANCER = "cloudflare:index/loadBalancer:LoadBalancer"
AUTO_TTL = 300
"""Proxied names, and `ttl` 1 (https://developers.cloudflare.com/dns/manage-dns-records/reference/ttl/)."""
DNS_ONLY_TTL = 30
"""https://developers.cloudflare.com/api/resources/load_balancers/methods/create/, ttl"""
_ANYCAST = ("104.16.0.0", 1 << 18)
"""The start of a range in https://www.cloudflare.com/ips-v4, and how many addresses of it are used."""
CONNECT_SECONDS = 19.0
"""A connection that takes longer is a 522: https://developers.cloudflare.com/fundamentals/reference/connection-limits/"""
ANSWER_SECONDS = 120.0
"""An origin that takes longer is a 524; see connection-limits as well."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What becomes of one request. status: 200, or what the client gets. seconds: lost before that."""

    status: int
    seconds: float
    origin: str
    steps: tuple[Step, ...]


@dataclass(slots=True)
class Origin:
    name: str
    address: str
    weight: float
    enabled: bool


class Pool:
    """A pool with its origins."""

    def __init__(self, resource: Resource) -> None:
        o = resource.outputs
        self.id, self.name = resource.id, str(o.get("name") or resource.id)
        self.enabled = o.get("enabled") is not False
        self.minimum = int(o.get("minimumOrigins") or 1)
        self.monitored = bool(o.get("monitor") or o.get("monitorGroup"))
        self.origins = [
            Origin(str(x["name"]), str(x["address"]), _weight(x.get("weight")), x.get("enabled") is not False)
            for x in o.get("origins") or ()
        ]
        self.hashed = (o.get("originSteering") or {}).get("policy") == "hash"
        place = (o.get("latitude"), o.get("longitude"))
        self.place = Place(float(place[0]), float(place[1])) if None not in place else None  # type: ignore[arg-type]
        shedding = o.get("loadShedding") or {}
        self.shed = float(shedding.get("defaultPercent") or 0) / 100

    def usable(self, monitors: Monitors) -> list[Origin]:
        return [o for o in self.origins if o.enabled and o.weight > 0 and monitors.healthy(self.id, o.name)]

    def healthy(self, monitors: Monitors) -> bool:
        """Enabled, and with as many healthy origins as the pool asks for ("Health Threshold")."""
        live = sum(o.enabled and monitors.healthy(self.id, o.name) for o in self.origins)
        return self.enabled and live >= self.minimum


def _weight(value: Any) -> float:
    return 1.0 if value is None else float(value)


class Balancer:
    """One load balancer."""

    def __init__(self, resource: Resource, pools: Mapping[str, Pool], monitors: Monitors) -> None:
        o = resource.outputs
        self.o, self.name = o, plain(str(o["name"]))
        if o.get("rules"):
            raise SpillwayError(f"{self.name}: rules: the stand-in's resolver does not know custom rules")
        self.pools, self.monitors = pools, monitors
        self.proxied = bool(o.get("proxied"))
        self.enabled = o.get("enabled") is not False
        self.ttl = AUTO_TTL if self.proxied else int(o.get("ttl") or DNS_ONLY_TTL)
        mapped = any(o.get(key) for key in ("regionPools", "countryPools", "popPools"))
        self.policy = str(o.get("steeringPolicy") or ("geo" if mapped else "off"))
        self.across = bool((o.get("adaptiveRouting") or {}).get("failoverAcrossPools"))
        self.fallback = pools.get(str(o.get("fallbackPool")))
        self._known: dict[str, tuple[int, list[Pool], list[Pool]]] = {}

    def healthy(self, location: str) -> tuple[list[Pool], list[Pool]]:
        """The pools for clients of a region in their order, and the healthy ones; worked out when health changes."""
        version = self.monitors.version
        known = self._known.get(location)
        if known is None or known[0] != version:
            ordered = self.ordered(location)
            known = (version, ordered, [p for p in ordered if p.healthy(self.monitors)])
            self._known[location] = known
        return known[1], known[2]

    def ordered(self, location: str) -> list[Pool]:
        """The pools for clients of a region, in their failover order, unhealthy ones included."""
        ids = self.o.get("defaultPools") or ()
        if self.policy == "geo":
            where = locale(location)
            by_country = (self.o.get("countryPools") or {}).get(where.country)
            ids = by_country or (self.o.get("regionPools") or {}).get(where.cloudflare) or ids
        found = [self.pools[id] for id in ids if id in self.pools]
        if self.policy in ("proximity", "dynamic_latency"):
            here = regions().get(location) or regions()[DEFAULT_LOCATION]
            found.sort(key=lambda p: kilometres(here, p.place) if p.place else float("inf"))
        return found

    def steer(self, location: str, chance: random.Random, without: Sequence[Pool] = ()) -> tuple[Pool | None, str]:
        """The pool for a new session, and why."""
        pools, fit = self.healthy(location)
        if without:
            pools, fit = [p for p in pools if p not in without], [p for p in fit if p not in without]
        if len(fit) > 1:
            kept = [p for p in fit if not (p.shed and chance.random() < p.shed)]
            fit = kept or fit
        if not fit:
            if self.fallback is None or not self.fallback.enabled or without:
                return None, "no healthy pool"
            return self.fallback, "the fallback pool, as no pool is healthy"
        told = f"{len(fit)} of {len(pools)} pools healthy"
        if self.policy in ("random", "least_outstanding_requests", "least_connections"):
            # Without requests under way the last two go by the same weights as `random`.
            steering = self.o.get("randomSteering") or {}
            given, default = steering.get("poolWeights") or {}, _weight(steering.get("defaultWeight"))
            weights = [float(given.get(p.id, default)) for p in fit]
            if sum(weights) == 0:
                weights = [1.0] * len(fit)
            shares = list(accumulate(weights))
            drawn = bisect(shares, chance.random() * shares[-1])
            return fit[drawn], f"weight {weights[drawn]:g}, {weights[drawn] / shares[-1]:.0%} of requests, {told}"
        word = {"off": "first", "geo": f"first for {location}"}.get(self.policy, "nearest")
        return fit[0], f"{word} healthy pool, {told}"

    def origin(self, pool: Pool, chance: random.Random, client: str = "", without: str = "") -> Origin | None:
        """An origin of the pool by weight among the healthy ones; of the fallback pool any when none is."""
        fit = [o for o in pool.usable(self.monitors) if o.name != without]
        if not fit and not without:
            fit = [o for o in pool.origins if o.enabled and o.weight > 0]
        if not fit:
            return None
        shares = list(accumulate(o.weight for o in fit))
        point = crc32(client.encode()) / 2**32 if pool.hashed and client else chance.random()
        return fit[bisect(shares, point * shares[-1])]


class CloudflareZone:
    """One zone: load balancers take precedence over records of the same name."""

    def __init__(
        self,
        id: str,
        name: str,
        balancers: Iterable[Resource],
        pools: Iterable[Resource],
        records: Iterable[Resource],
        monitors: Monitors,
        chance: random.Random | None = None,
        name_servers: Sequence[str] = (),
    ) -> None:
        self.id, self.name, self.name_servers = id, plain(name), tuple(name_servers)
        self._chance, self.monitors = chance or random.Random(0), monitors
        found = {p.id: Pool(p) for p in pools}
        self.balancers = {b.name: b for b in (Balancer(r, found, monitors) for r in balancers)}
        self.records: dict[tuple[str, str], list[Resource]] = {}
        for record in records:
            owner = plain(str(record["name"]))
            owner = self.name if owner == "@" else owner
            if owner != self.name and not owner.endswith(f".{self.name}"):
                owner = f"{owner}.{self.name}"
            self.records.setdefault((owner, str(record["type"])), []).append(record)
        self._names = {self.name, *self.balancers, *(owner for owner, _ in self.records)}

    def covers(self, name: str) -> bool:
        return name == self.name or name.endswith(f".{self.name}")

    def answer(self, name: str, kind: str = "A", location: str = DEFAULT_LOCATION, client: str = "") -> Answer:
        """The answer for clients of an AWS region."""
        name = plain(name)
        balancer = self.balancers.get(name)
        if balancer is not None and balancer.enabled:
            return self._balanced(balancer, name, kind, location, client)
        star = name if name in self._names else f"*.{name.partition('.')[2]}"
        if star not in self._names:
            return Answer(name, kind, NXDOMAIN)
        records = self.records.get((star, kind), [])
        if records:
            first = records[0]
            if first["proxied"]:
                return self._proxy(name, kind, (Step(name, "record", "proxied"),), str(first["content"]))
            ttl = AUTO_TTL if int(first["ttl"] or 1) == 1 else int(first["ttl"])
            values = tuple(str(r["content"]) for r in records)
            return Answer(name, kind, values=values, ttl=ttl, steps=(Step(name, "record", "the only record"),))
        alias = next(iter(self.records.get((star, "CNAME"), [])), None)
        if alias is None:
            return Answer(name, kind)
        target = plain(str(alias["content"]))
        ttl = AUTO_TTL if int(alias["ttl"] or 1) == 1 else int(alias["ttl"])
        if alias["proxied"]:
            return self._proxy(name, kind, (Step(name, "record", "proxied"),), None)
        return Answer(name, kind, ttl=ttl, links=(Link(name, target, ttl),))

    def _proxy(self, name: str, kind: str, steps: tuple[Step, ...], origin: str | None) -> Answer:
        if kind != "A":
            return Answer(name, kind, steps=steps)
        return Answer(name, kind, values=anycast(self.name), ttl=AUTO_TTL, steps=steps, origin=origin)

    def _balanced(self, balancer: Balancer, name: str, kind: str, location: str, client: str) -> Answer:
        if kind != "A":
            return Answer(name, kind)
        pool, why = balancer.steer(location, self._chance)
        origin = balancer.origin(pool, self._chance, client) if pool else None
        if pool is None or origin is None:
            return Answer(name, kind, steps=(Step(name, "-", why),))
        steps = (Step(name, pool.name, why), Step(pool.name, origin.name, f"weight {origin.weight:g}"))
        if balancer.proxied:
            return self._proxy(name, kind, steps, origin.address)
        return Answer(name, kind, values=(origin.address,), ttl=balancer.ttl, steps=steps)

    def reach(self, name: str, endpoints: Endpoints, location: str = DEFAULT_LOCATION, client: str = "") -> Reach:
        """One request to a proxied name: where it goes, and the retry that adaptive routing makes.

        A connection that is refused (521) or not answered (522) is tried once more at another healthy origin of the
        pool, or of another pool with `failoverAcrossPools`; an answer of 503 is the client's
        (https://developers.cloudflare.com/load-balancing/understand-basics/adaptive-routing/).
        """
        balancer = self.balancers[plain(name)]
        pool, why = balancer.steer(location, self._chance)
        origin = balancer.origin(pool, self._chance, client) if pool else None
        if pool is None or origin is None:
            return Reach(530, 0.0, "", (Step(name, "-", why),))
        steps: tuple[Step, ...] = (Step(name, pool.name, why), Step(pool.name, origin.name, "chosen"))
        status, seconds = _served(endpoints, origin.address)
        if status in (521, 522):
            other = balancer.origin(pool, self._chance, client, without=origin.name)
            if other is None and balancer.across:
                pool, why = balancer.steer(location, self._chance, without=(pool,))
                other = balancer.origin(pool, self._chance, client) if pool else None
            if other is not None:
                again, more = _served(endpoints, other.address)
                retried = Step(name, other.name, f"tried once more after {status}")
                return Reach(again, seconds + more, other.address, (*steps, retried))
        return Reach(status, seconds, origin.address, steps)


def _served(endpoints: Endpoints, address: str) -> tuple[int, float]:
    behaviour = endpoints.behaviour(address)
    return {
        "up": (200, 0.0),
        "refused": (521, 0.0),
        "blackhole": (522, CONNECT_SECONDS),
        "error": (503, 0.0),
        "slow": (524, ANSWER_SECONDS),
    }[behaviour]


def anycast(zone: str) -> tuple[str, ...]:
    """Two addresses of Cloudflare's own for a zone; the same ones each time."""
    first, size = _ANYCAST
    base = int.from_bytes(bytes(int(part) for part in first.split(".")), "big")
    offset = crc32(zone.encode()) % (size // 2)
    numbers = (base + offset, base + size // 2 + offset)
    return tuple(".".join(str(byte) for byte in number.to_bytes(4, "big")) for number in numbers)
