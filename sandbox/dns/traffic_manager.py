"""Answers questions about Azure: Traffic Manager profiles under trafficmanager.net, and Azure DNS zones.

Routing methods: https://learn.microsoft.com/azure/traffic-manager/traffic-manager-routing-methods; nested profiles:
https://learn.microsoft.com/azure/traffic-manager/traffic-manager-nested-profiles; which endpoints are available:
https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring.
"""

from __future__ import annotations

import ipaddress
import random
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from sandbox.dns.answer import NXDOMAIN, Answer, Link, Step
from sandbox.dns.geography import azure_place, kilometres, regions
from sandbox.dns.probing import Probing
from sandbox.dns.zone import DEFAULT_LOCATION, plain
from sandbox.kinds import Resource
from spillway.errors import SpillwayError

PROFILE = "azure-native:trafficmanager:Profile"
ENDPOINT = "azure-native:trafficmanager:Endpoint"
ZONE = "azure-native:dns:Zone"
RECORD_SET = "azure-native:dns:RecordSet"
SUFFIX = "trafficmanager.net"
DEFAULT_TTL = 60
"""https://learn.microsoft.com/azure/traffic-manager/traffic-manager-FAQs"""
_OPEN = ", as all count as online while none is"


class Endpoint:
    """An endpoint of a profile. id: its resource's, by which its probes go."""

    def __init__(self, id: str, values: Mapping[str, Any], name: str) -> None:
        self.id, self.name = id, str(values.get("name") or name)
        kind = str(values.get("type") or values.get("endpointType") or "ExternalEndpoints").rsplit("/", 1)[-1]
        self.nested = kind.lower().startswith("nested")
        self.target = plain(str(values.get("target") or ""))
        self.version = _version(self.target)
        """4 or 6 for an address, None for a name."""
        self.child_id = str(values.get("targetResourceId") or "").lower() if self.nested else ""
        self.enabled = str(values.get("endpointStatus") or "Enabled") == "Enabled"
        self.always = str(values.get("alwaysServe") or "Disabled") == "Enabled"
        self.priority = int(values.get("priority") or 0)
        self.weight = float(values.get("weight") or 1)
        self.location = str(values.get("endpointLocation") or "")
        self.least = int(values.get("minChildEndpoints") or 1)
        self.geo = [str(area) for area in values.get("geoMapping") or ()]
        self.probed = self.enabled and not self.nested and not self.always


class Profile:
    """A profile, its own inline endpoints and those that are resources of their own."""

    def __init__(self, resource: Resource, standalone: Iterable[Resource]) -> None:
        o = resource.outputs
        self.id, self.name = resource.id.lower(), str(o.get("name") or o.get("profileName") or resource.id)
        dns = o.get("dnsConfig") or {}
        self.fqdn = plain(str(dns.get("fqdn") or f"{dns.get('relativeName') or self.name}.{SUFFIX}"))
        self.ttl = DEFAULT_TTL if dns.get("ttl") is None else int(dns["ttl"])
        self.monitor: Mapping[str, Any] = o.get("monitorConfig") or {}
        self.method = str(o.get("trafficRoutingMethod") or "Performance")
        self.enabled = str(o.get("profileStatus") or "Enabled") == "Enabled"
        self.most = int(o.get("maxReturn") or 8)
        inline = [
            Endpoint(f"{self.id}/{e.get('name') or number}", e, str(number))
            for number, e in enumerate(o.get("endpoints") or ())
        ]
        named = {e.name for e in inline}
        self.endpoints = inline + [
            Endpoint(e.id.lower(), e.outputs, str(e["endpointName"] or e.id.rsplit("/", 1)[-1]))
            for e in standalone
            if str(e["endpointName"] or e["name"]) not in named
        ]


class TrafficManager:
    """Every profile of the stand-in."""

    def __init__(
        self, profiles: Iterable[Resource], endpoints: Iterable[Resource], chance: random.Random | None = None
    ) -> None:
        own: dict[tuple[str, str], list[Resource]] = {}
        for e in endpoints:
            key = (str(e["resourceGroupName"]).lower(), str(e["profileName"]).lower())
            own.setdefault(key, []).append(e)
        self.profiles: dict[str, Profile] = {}
        for p in profiles:
            key = (str(p["resourceGroupName"]).lower(), str(p["profileName"] or p["name"]).lower())
            profile = Profile(p, own.get(key, ()))
            self.profiles[profile.id] = profile
        self.by_name = {p.fqdn: p for p in self.profiles.values()}
        self._chance = chance or random.Random(0)
        self.probing: Probing | None = None
        self._known: dict[str, tuple[int, list[Endpoint], list[Endpoint]]] = {}

    def targets(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """What the probing agents look at: (id, target, monitorConfig)."""
        for profile in self.profiles.values():
            if profile.enabled:
                yield from ((e.id, e.target, profile.monitor) for e in profile.endpoints if e.probed)

    def covers(self, name: str) -> bool:
        return name.endswith(f".{SUFFIX}")

    def available(self, endpoint: Endpoint, seen: tuple[str, ...] = ()) -> bool:
        """Whether an endpoint may be answered: online, being checked for the first time, or always served.

        A nested one needs `minChildEndpoints` of its profile's endpoints.
        """
        if not endpoint.enabled:
            return False
        if endpoint.always:
            return True
        if endpoint.nested:
            child = self.profiles.get(endpoint.child_id)
            if child is None or not child.enabled or child.id in seen:
                return False
            return sum(self.available(e, (*seen, child.id)) for e in child.endpoints) >= endpoint.least
        return self.probing is None or self.probing.status(endpoint.id) != "Degraded"

    def answer(self, name: str, kind: str = "A", location: str = DEFAULT_LOCATION, client: str = "") -> Answer:
        """An A record for an endpoint that is an address, else a CNAME to its name."""
        profile = self.by_name.get(plain(name))
        if profile is None or not profile.enabled:  # "an NXDOMAIN response code is returned"
            return Answer(plain(name), kind, NXDOMAIN)
        # Nested profiles are walked within; the answer has the TTL of the one that was asked
        # (https://learn.microsoft.com/azure/traffic-manager/traffic-manager-faqs).
        return self._walk(profile, plain(name), kind, location, profile.ttl)

    def _walk(
        self,
        profile: Profile,
        name: str,
        kind: str,
        location: str,
        ttl: int,
        steps: tuple[Step, ...] = (),
        seen: tuple[str, ...] = (),
    ) -> Answer:
        if profile.id in seen:
            raise SpillwayError(f"{profile.fqdn}: nested profiles lead in a circle")
        chosen, why = self._choose(profile, location)
        if not chosen:
            return Answer(name, kind, steps=(*steps, Step(profile.fqdn, "-", "no endpoint is enabled")))
        first = chosen[0]
        steps = (*steps, *(Step(profile.fqdn, e.name, why) for e in chosen))
        child = self.profiles.get(first.child_id) if first.nested else None
        if child is not None:
            return self._walk(child, name, kind, location, ttl, steps, (*seen, profile.id))
        if first.version is None:
            link = Link(name, first.target, ttl)
            return Answer(name, kind, ttl=ttl, steps=steps, links=(link,))
        wanted = 6 if kind == "AAAA" else 4
        values = tuple(e.target for e in chosen if e.version == wanted)
        if kind not in ("A", "AAAA"):
            values = ()
        return Answer(name, kind, values=values, ttl=ttl, steps=steps)

    def _fit(self, profile: Profile) -> tuple[list[Endpoint], list[Endpoint]]:
        """The enabled endpoints and the available ones of them; worked out when a status changes."""
        version = self.probing.version if self.probing else -1
        known = self._known.get(profile.id)
        if known is None or known[0] != version:
            enabled = [e for e in profile.endpoints if e.enabled]
            known = (version, enabled, [e for e in enabled if self.available(e, (profile.id,))])
            self._known[profile.id] = known
        return known[1], known[2]

    def _choose(self, profile: Profile, location: str) -> tuple[list[Endpoint], str]:
        """ "If all enabled endpoints are degraded, they are considered as if they were online": then by the method."""
        enabled, fit = self._fit(profile)
        told = f"{len(fit)} of {len(enabled)} available" if fit else f"{len(enabled)} enabled{_OPEN}"
        pool = fit or enabled
        if not pool:
            return [], ""
        if profile.method == "Priority":
            best = min(pool, key=lambda e: e.priority)
            return [best], f"priority {best.priority}, {told}"
        if profile.method == "Weighted":
            shares = list(accumulate(e.weight for e in pool))
            drawn = pool[bisect(shares, self._chance.random() * shares[-1])]
            return [drawn], f"weight {drawn.weight:g}, {drawn.weight / shares[-1]:.0%} of answers, {told}"
        if profile.method == "Performance":
            best = min(pool, key=lambda e: self._distance(profile, e, location))
            return [best], f"{best.location} is nearest to {location}, {told}"
        if profile.method == "MultiValue":
            drawn_all = list(pool)
            self._chance.shuffle(drawn_all)
            return drawn_all[: profile.most], told
        raise SpillwayError(
            f"{profile.name}: trafficRoutingMethod = {profile.method}: the stand-in's resolver knows "
            "Priority, Weighted, Performance and MultiValue"
        )

    def _distance(self, profile: Profile, endpoint: Endpoint, location: str) -> float:
        place = azure_place(endpoint.location)
        if place is None:
            raise SpillwayError(
                f"{profile.name}: {endpoint.name}: endpointLocation = {endpoint.location or 'missing'}: the "
                "stand-in does not know where that is"
            )
        return kilometres(regions().get(location) or regions()[DEFAULT_LOCATION], place)


class AzureZone:
    """An Azure DNS zone's record sets; an alias record set stands for the profile that it names."""

    def __init__(
        self,
        id: str,
        name: str,
        records: Iterable[Resource],
        profiles: TrafficManager,
        name_servers: Sequence[str] = (),
    ) -> None:
        self.id, self.name, self.name_servers = id, plain(name), tuple(name_servers)
        self._profiles = profiles
        self.records: dict[tuple[str, str], Resource] = {}
        for r in records:
            relative = str(r["relativeRecordSetName"] or r["name"] or "@")
            owner = self.name if relative == "@" else f"{plain(relative)}.{self.name}"
            kind = str(r["recordType"] or r["type"] or "A").rsplit("/", 1)[-1].upper()
            self.records[owner, kind] = r
        self._names = {self.name, *(owner for owner, _ in self.records)}

    def covers(self, name: str) -> bool:
        return name == self.name or name.endswith(f".{self.name}")

    def answer(self, name: str, kind: str = "A", location: str = DEFAULT_LOCATION, client: str = "") -> Answer:
        name = plain(name)
        owner = name if name in self._names else f"*.{name.partition('.')[2]}"
        if owner not in self._names:
            return Answer(name, kind, NXDOMAIN)
        for wanted in (kind, "CNAME"):
            record = self.records.get((owner, wanted))
            if record is None:
                continue
            ttl = int(record["ttl"] or 0)
            aliased = self._profiles.profiles.get(str((record["targetResource"] or {}).get("id") or "").lower())
            if aliased is not None:
                found = self._profiles.answer(aliased.fqdn, kind, location, client)
                return Answer(name, kind, found.rcode, found.values, found.ttl, found.steps, found.links)
            if wanted == "CNAME":
                target = plain(str((record["cnameRecord"] or {}).get("cname") or ""))
                return Answer(name, kind, ttl=ttl, links=(Link(name, target, ttl),))
            return Answer(name, kind, values=_values(record, kind), ttl=ttl, steps=(Step(name, kind, "record set"),))
        return Answer(name, kind)


def _values(record: Resource, kind: str) -> tuple[str, ...]:
    lists = {
        "A": ("aRecords", "ipv4Address"),
        "AAAA": ("aaaaRecords", "ipv6Address"),
        "NS": ("nsRecords", "nsdname"),
    }
    if kind == "TXT":
        return tuple("".join(t.get("value") or ()) for t in record["txtRecords"] or ())
    if kind not in lists:
        return ()
    key, property = lists[kind]
    return tuple(str(v[property]) for v in record[key] or ())


def _version(text: str) -> int | None:
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return None
