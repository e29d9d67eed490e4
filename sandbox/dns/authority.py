"""All name servers of the stand-in clouds together, with the health checks behind them, running on one clock."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from sandbox.dns import cloudflare as cf
from sandbox.dns import traffic_manager as tm
from sandbox.dns import zone as r53
from sandbox.dns.answer import NXDOMAIN, REFUSED, Answer
from sandbox.dns.checkers import HEALTH_CHECK, Checks
from sandbox.dns.clock import Clock
from sandbox.dns.health import Endpoints
from sandbox.dns.holders import Holder, Holdings
from sandbox.dns.monitors import MONITOR, POOL, Monitors
from sandbox.dns.probe import Log
from sandbox.dns.probing import Probing
from sandbox.dns.resolver import Resolver
from sandbox.kinds import Resource
from sandbox.store import CLOUDS, Store

_LOAD_BALANCER = "aws:lb/loadBalancer:LoadBalancer"
_TOKENS = {
    "aws": (r53.ZONE, r53.RECORD, HEALTH_CHECK, _LOAD_BALANCER),
    "cloudflare": (cf.ZONE, cf.DNS_RECORD, cf.LOAD_BALANCER, POOL, MONITOR),
    "azure-native": (tm.PROFILE, tm.ENDPOINT, tm.ZONE, tm.RECORD_SET),
}
_HOPS = 8
ROUTE53, CLOUDFLARE, TRAFFIC_MANAGER = PROVIDERS = ("route53", "cloudflare", "traffic-manager")


class Server(Protocol):
    """The name servers of one zone."""

    name: str
    name_servers: tuple[str, ...]

    def answer(self, name: str, kind: str = "A", location: str = ..., client: str = ...) -> Answer: ...


@dataclass(frozen=True)
class Snapshot:
    """What the stand-in clouds hold that DNS is made of. resources: by token, oldest first."""

    resources: dict[str, list[Resource]]
    held: Holdings

    @property
    def holders(self) -> Mapping[str, Holder]:
        """Address -> who holds it."""
        return self.held.holders

    @classmethod
    def load(cls, directory: Path) -> Snapshot:
        """Of a sandbox directory; empty when it holds no cloud."""
        if not (directory / CLOUDS).exists():
            return cls({}, Holdings())
        found: dict[str, list[Resource]] = {}
        store = Store(directory)
        try:
            with store.transaction(write=False) as tx:
                for cloud, tokens in _TOKENS.items():
                    present = tx.tokens(cloud)
                    for token in tokens:
                        if token in present:
                            found[token] = tx.all(cloud, token)
                return cls(found, Holdings.of(tx))
        finally:
            store.close()

    def of(self, token: str) -> list[Resource]:
        return self.resources.get(token, [])

    def balancers(self) -> dict[str, tuple[str, ...]]:
        """DNS name of each load balancer -> the Elastic IP addresses of its subnet mappings."""
        addresses = self._elastic()
        found = {}
        for balancer in self.of(_LOAD_BALANCER):
            mapped = [str(m.get("allocationId")) for m in balancer["subnetMappings"] or ()]
            found[r53.plain(str(balancer["dnsName"]))] = tuple(addresses[a] for a in mapped if a in addresses)
        return found

    def same_zones(self, other: Snapshot) -> bool:
        """Whether name servers and checks are made of the same as another snapshot's. Who holds an address, and a
        balancer that no record leads to, are none of it: checkers find out about those by themselves."""
        return self._zones() == other._zones()

    def _zones(self) -> tuple[object, ...]:
        led = {r53.plain(str(a.get("name"))) for r in self.of(r53.RECORD) for a in r["aliases"] or ()}
        balancers = {name: found for name, found in self.balancers().items() if name in led}
        return {token: r for token, r in self.resources.items() if token != _LOAD_BALANCER}, balancers

    def _elastic(self) -> dict[str, str]:
        return {holder.id: address for address, holder in self.holders.items() if holder.id}


class _Zone53:
    """A hosted zone with its resolver."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self.name, self.name_servers = resolver.zone.name, resolver.zone.name_servers

    def answer(self, name: str, kind: str = "A", location: str = "us-east-1", client: str = "") -> Answer:
        return self.resolver.answer(name, kind, location)


class Authority:
    """Answers any question about the stand-in's zones; checkers start with it and run as its clock does."""

    def __init__(
        self,
        snapshot: Snapshot,
        clock: Clock,
        endpoints: Endpoints,
        seed: int = 0,
        log: Log | None = None,
        delegated: str | None = None,
    ) -> None:
        """delegated: the provider whose name servers a zone is delegated to, when several hold one of its name; the
        others' checkers then do not run."""
        self.snapshot, self.clock, self.endpoints, self.log = snapshot, clock, endpoints, log or Log()
        self._chance = random.Random(f"answers/{seed}")

        def of(provider: str, token: str) -> list[Resource]:
            return snapshot.of(token) if delegated in (None, provider) else []

        self.checks = Checks(of(ROUTE53, HEALTH_CHECK), clock, endpoints, seed, log=self.log, lookup=self._address)
        self.monitors = Monitors(of(CLOUDFLARE, POOL), of(CLOUDFLARE, MONITOR), clock, endpoints, seed, log=self.log)
        self.profiles = tm.TrafficManager(snapshot.of(tm.PROFILE), snapshot.of(tm.ENDPOINT), self._chance)
        self.probing = Probing(self.profiles.targets(), clock, endpoints, seed, log=self.log, lookup=self._address)
        self.profiles.probing = self.probing
        self.zones: list[Server] = [*self._route53(), *self._cloudflare(), *self._azure()]
        kind = {ROUTE53: _Zone53, CLOUDFLARE: cf.CloudflareZone, TRAFFIC_MANAGER: tm.AzureZone}.get(delegated or "")
        # The most specific zone answers.
        self.zones.sort(key=lambda zone: (-len(zone.name), kind is not None and not isinstance(zone, kind)))

    @property
    def version(self) -> int:
        """Changes whenever the health of anything does."""
        return self.checks.version + self.monitors.version + self.probing.version

    @property
    def settling(self) -> float:
        """Seconds after which every check has formed its opinion anew, whatever the endpoints do."""
        waits = [c.settling for c in self.checks.endpoint_checks.values()]
        waits += [c.settling for c in self.monitors.origins.values()]
        waits += [c.settling for c in self.probing.checks.values()]
        return max(waits, default=0.0)

    def checked(self) -> list[str]:
        """Every address that some check looks at."""
        found = [c.address for c in self.checks.endpoint_checks.values() if c.address]
        found += [c.address for c in self.monitors.origins.values()]
        found += [c.target for c in self.probing.checks.values() if c.target[-1:].isdigit()]
        return list(dict.fromkeys(found))

    def verdict(self, address: str) -> bool | None:
        """Whether the provider's checks take an address as healthy; None when nobody checks it."""
        said = [self.checks.healthy(id) for id, c in self.checks.endpoint_checks.items() if c.address == address]
        said += [c.healthy for c in self.monitors.origins.values() if c.address == address]
        said += [c.status != "Degraded" for c in self.probing.checks.values() if c.target == address]
        return all(said) if said else None

    def _route53(self) -> Iterable[Server]:
        balancers = self.snapshot.balancers()
        for zone in self.snapshot.of(r53.ZONE):
            if zone["vpcs"]:  # private: answers only within its networks
                continue
            records = [r for r in self.snapshot.of(r53.RECORD) if _bare(str(r["zoneId"])) == zone.id]
            servers = [str(s) for s in zone["nameServers"] or ()]
            compiled = r53.Zone(zone.id, str(zone["name"]), records, balancers, servers)
            yield _Zone53(Resolver(compiled, self.checks, self._chance))

    def _cloudflare(self) -> Iterable[Server]:
        balancers, records = self.snapshot.of(cf.LOAD_BALANCER), self.snapshot.of(cf.DNS_RECORD)
        names = {z.id: (str(z["name"]), [str(s) for s in z["nameServers"] or ()]) for z in self.snapshot.of(cf.ZONE)}
        for used in (*balancers, *records):  # a zone that the stack did not make
            owner = str(used["zoneName"] or _above(str(used["name"])))
            names.setdefault(str(used["zoneId"]), (owner, []))
        for id, (name, servers) in names.items():
            yield cf.CloudflareZone(
                id,
                name,
                [b for b in balancers if b["zoneId"] == id],
                self.snapshot.of(POOL),
                [r for r in records if r["zoneId"] == id],
                self.monitors,
                self._chance,
                servers,
            )

    def _azure(self) -> Iterable[Server]:
        for zone in self.snapshot.of(tm.ZONE):
            name, group = str(zone["zoneName"] or zone["name"]), str(zone["resourceGroupName"]).lower()
            records = [
                r
                for r in self.snapshot.of(tm.RECORD_SET)
                if str(r["zoneName"]).lower() == name.lower() and str(r["resourceGroupName"]).lower() == group
            ]
            servers = [str(s) for s in zone["nameServers"] or ()]
            yield tm.AzureZone(zone.id, name, records, self.profiles, servers)

    def zone_of(self, name: str) -> Server | None:
        """The zone that answers for a name."""
        return next((z for z in self.zones if name == z.name or name.endswith(f".{z.name}")), None)

    def answer(self, name: str, kind: str = "A", location: str = "us-east-1", client: str = "") -> Answer:
        """As a recursive resolver sees it: CNAMEs are followed from zone to zone. REFUSED for what is not here."""
        asked = name = r53.plain(name)
        found = self._ask(name, kind, location, client)
        links, steps = found.links, found.steps
        while not found.values and found.links and len(links) < _HOPS and kind != "CNAME":
            name = found.links[-1].target
            found = self._ask(name, kind, location, client)
            if found.rcode == REFUSED:  # the name is somebody else's
                break
            links, steps = (*links, *found.links), (*steps, *found.steps)
        return replace(found, name=asked, links=links, steps=steps) if links != found.links else found

    def _ask(self, name: str, kind: str, location: str, client: str) -> Answer:
        if self.profiles.covers(name):
            return self.profiles.answer(name, kind, location, client)
        zone = self.zone_of(name)
        return zone.answer(name, kind, location, client) if zone else Answer(name, kind, REFUSED)

    def _address(self, name: str) -> str | None:
        found = self.answer(name)
        return found.values[0] if found.values and found.rcode != NXDOMAIN else None

    def proxied(self, name: str) -> cf.CloudflareZone | None:
        """The zone of a name whose requests Cloudflare steers one by one; None when its DNS does."""
        zone = self.zone_of(r53.plain(name))
        if isinstance(zone, cf.CloudflareZone):
            balancer = zone.balancers.get(r53.plain(name))
            if balancer is not None and balancer.proxied:
                return zone
        return None

    def provider(self, name: str) -> str | None:
        """Who chooses the answer for a name: route53 | cloudflare | traffic-manager; None for a name of nobody here."""
        zone = self.zone_of(r53.plain(name))
        if isinstance(zone, cf.CloudflareZone) and r53.plain(name) in zone.balancers:
            return CLOUDFLARE
        links = self.answer(name).links
        if self.profiles.covers(name) or any(self.profiles.covers(link.target) for link in links):
            return TRAFFIC_MANAGER
        if isinstance(zone, tm.AzureZone):
            return TRAFFIC_MANAGER
        return None if zone is None else CLOUDFLARE if isinstance(zone, cf.CloudflareZone) else ROUTE53

    def services(self) -> list[str]:
        """Names that clients would ask for: those that choose between several things and are nobody's alias target."""
        found: list[str] = []
        for zone in self.zones:
            if isinstance(zone, _Zone53):
                groups = zone.resolver.zone.groups
                targets = {r.aliased for g in groups.values() for r in g.records if r.aliased}
                found += [g.name for g in groups.values() if g.policy != "simple" and g.name not in targets]
                found += [name for name, kind in groups if kind == "CNAME" and self._leads_to_profile(name)]
            elif isinstance(zone, cf.CloudflareZone):
                found += list(zone.balancers)
                found += [name for name, kind in zone.records if kind == "CNAME" and self._leads_to_profile(name)]
            elif isinstance(zone, tm.AzureZone):
                found += [name for name, _ in zone.records if self.provider(name) and self._steered(name)]
        return list(dict.fromkeys(found)) or self._profiles()

    def _leads_to_profile(self, name: str) -> bool:
        return any(self.profiles.covers(link.target) for link in self.answer(name).links)

    def _steered(self, name: str) -> bool:
        own = {p.fqdn for p in self.profiles.profiles.values()}
        found = self.answer(name)
        return any(step.name in own for step in found.steps)

    def _profiles(self) -> list[str]:
        """Profiles that are nobody's child."""
        children = {e.child_id for p in self.profiles.profiles.values() for e in p.endpoints if e.nested}
        return [p.fqdn for p in self.profiles.profiles.values() if p.id not in children]


def _bare(id: str) -> str:
    return id.removeprefix("/hostedzone/")


def _above(name: str) -> str:
    """The zone that a name most likely is in: its last two labels."""
    labels: Sequence[str] = r53.plain(name).split(".")
    return ".".join(labels[-2:])
