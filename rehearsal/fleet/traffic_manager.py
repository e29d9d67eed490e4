"""Traffic Manager profiles as tiers (infra/dns/traffic_profiles.py draws the tree that is walked here)."""

from __future__ import annotations

from typing import Final

from infra.dns.checkers import CheckSettings
from infra.dns.sections import GlobalStack
from infra.dns.traffic_profiles import DNS_SUFFIX
from rehearsal.fleet.answers import Answers, Probed, one_value
from rehearsal.fleet.model import Place, Tier
from rehearsal.fleet.resources import Reader, Resource, Stack
from rehearsal.fleet.world_files import priority_of, settled

SERVICE: Final = "azure-native:trafficmanager:Profile"
ENDPOINT: Final = "azure-native:trafficmanager:Endpoint"
RECORD: Final = "azure-native:dns:RecordSet"
TYPES: Final = (SERVICE, ENDPOINT, RECORD)
_DEGRADED: Final = "degraded"
Sources = dict[tuple[str, int, str], tuple[Resource, str]]


class Profiles:
    """Profiles and endpoints of a stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.profiles = stack.of_type(SERVICE)

    def endpoints(self, profile: Resource) -> list[Resource]:
        """Of one profile, by name."""
        name = profile.known("profileName")
        found = [one for one in self.stack.of_type(ENDPOINT) if one.known("profileName") == name]
        return sorted(found, key=lambda one: str(one.known("endpointName")))

    def child(self, endpoint: Resource) -> Resource | None:
        """The profile that a nested endpoint leads to."""
        found = self.stack.referred(endpoint, "targetResourceId", (SERVICE,))
        return found[0] if found else None

    def of_record(self, record: Resource) -> Resource:
        """The profile that answers for a record."""
        name = record.known("cnameRecord.cname")
        for one in self.profiles:
            if name and name == f"{one.known('dnsConfig.relativeName')}.{DNS_SUFFIX}":
                return one
        found = self.stack.referred(record, "targetResource", (SERVICE,))
        if not found:
            self.stack.refuse(
                f"{record.name}: cnameRecord.cname = {name}", "expected the name of a profile of this stack"
            )
        return found[0]


def read(stack: Stack, config: GlobalStack | None) -> Answers:
    """Everything that records, profiles and endpoints say. Raises SpillwayError, one line."""
    profiles = Profiles(stack)
    places: Sources = {}
    tiers = {}
    members: dict[str, Probed] = {}
    for record in stack.of_type(RECORD):
        zone, relative = record.known("zoneName"), record.known("relativeRecordSetName")
        service = str(zone) if relative == "@" else f"{relative}.{zone}"
        tiers[service] = _service(profiles, profiles.of_record(record), service, places, members)
    if not tiers:
        stack.refuse(stack.name, f"no {RECORD} leads to a profile")
    prefix = f"{stack.name}-member-"
    for profile in profiles.profiles:
        if profile.name.startswith(prefix):
            members[profile.name.removeprefix(prefix).removesuffix("-by-name")] = _probed(profiles, profile)
    rows = {
        field: [(one, key, Reader(stack, one, {}, "").whole(key, key)) for one in profiles.profiles]
        for field, key in (
            ("interval_seconds", "monitorConfig.intervalInSeconds"),
            ("timeout_seconds", "monitorConfig.timeoutInSeconds"),
            ("threshold", "monitorConfig.toleratedNumberOfFailures"),
            ("ttl_seconds", "dnsConfig.ttl"),
        )
    }
    told = {field: one_value(stack, found, "probes and answers") for field, found in rows.items()}
    check = CheckSettings(
        provider="traffic-manager",
        interval_seconds=told["interval_seconds"],
        threshold=told["threshold"] + 1,
        timeout_seconds=told["timeout_seconds"],
        ttl_seconds=told["ttl_seconds"],
    )
    keys = {field: (found[0][0], found[0][1]) for field, found in rows.items()}
    return Answers(tiers, {}, members, check, keys, places)


def _probed(profiles: Profiles, profile: Resource) -> Probed:
    reader = Reader(profiles.stack, profile, {}, "")
    targets = tuple(str(one.known("target")) for one in profiles.endpoints(profile) if one.known("target"))
    if not targets:
        profiles.stack.refuse(profile.name, "has no endpoints; expected the member's addresses")
    return Probed(
        targets,
        reader.whole("port", "monitorConfig.port"),
        reader.text("path", "monitorConfig.path"),
        profile,
        {"port": "monitorConfig.port", "health_path": "monitorConfig.path", "addresses": "endpoints"},
    )


def _service(
    profiles: Profiles, root: Resource, service: str, places: Sources, members: dict[str, Probed]
) -> tuple[Tier, ...]:
    """The tiers below a service's profile, by priority; at the zone's apex the profile itself is the one tier."""
    if root.known("trafficRoutingMethod") != "Priority":
        return (_apex(profiles, root, service, places, members),)
    rows = []
    for one in profiles.endpoints(root):
        tier = profiles.child(one)
        if tier is None:
            profiles.stack.refuse(f"{one.name}: targetResourceId", "expected a profile of this stack")
        rows.append(
            (Reader(profiles.stack, one, {}, "").whole("priority", "priority"), str(one.known("endpointName")), tier)
        )
    if not rows:
        profiles.stack.refuse(root.name, "has no endpoints; expected the tiers of a service")
    return tuple(
        _tier(profiles, tier, service, label, rank, places)
        for rank, (_, label, tier) in enumerate(sorted(rows, key=lambda row: row[0]))
    )


def _tier(profiles: Profiles, profile: Resource, service: str, label: str, rank: int, places: Sources) -> Tier:
    if profile.known("trafficRoutingMethod") == "Weighted":
        rows = [_place(profiles.stack, one, None, service, rank, places) for one in profiles.endpoints(profile)]
        return Tier("weighted", label == _DEGRADED, settled(rows), priority_of(label))
    rows = []
    for one in profiles.endpoints(profile):
        below = profiles.child(one)
        if below is None:
            profiles.stack.refuse(f"{one.name}: targetResourceId", "expected a profile of this stack")
        location = Reader(profiles.stack, one, {}, "").text("location", "endpointLocation")
        rows += [_place(profiles.stack, e, location, service, rank, places) for e in profiles.endpoints(below)]
    return Tier("latency", label == _DEGRADED, settled(rows), priority_of(label))


def _place(stack: Stack, one: Resource, location: str | None, service: str, rank: int, places: Sources) -> Place:
    reader = Reader(stack, one, {}, "")
    name = reader.text("member", "endpointName")
    places[service, rank, name] = (one, "weight")
    enabled = reader.text("enabled", "endpointStatus", default="Enabled") == "Enabled"
    return Place(name, float(reader.whole("weight", "weight", default=1)), location, enabled)


def _apex(profiles: Profiles, root: Resource, service: str, places: Sources, members: dict[str, Probed]) -> Tier:
    """A flat profile, address by address: endpoints are named <member>-<address>."""
    latency = root.known("trafficRoutingMethod") == "Performance"
    rows: dict[str, Place] = {}
    targets: dict[str, list[str]] = {}
    for one in profiles.endpoints(root):
        target = Reader(profiles.stack, one, {}, "").text("target", "target")
        name = str(one.known("endpointName")).removesuffix(f"-{target}")
        place = _place(profiles.stack, one, str(one.known("endpointLocation")) if latency else None, service, 0, places)
        places[service, 0, name] = places.pop((service, 0, place.member))
        before = rows[name].weight if name in rows else 0.0
        rows[name] = Place(name, before + place.weight, place.latency_region, place.enabled)
        targets.setdefault(name, []).append(target)
    reader = Reader(profiles.stack, root, {}, "")
    for name, addresses in targets.items():
        keys = {"port": "monitorConfig.port", "health_path": "monitorConfig.path", "addresses": "endpoints"}
        members[name] = Probed(
            tuple(addresses), reader.whole("port", "monitorConfig.port"), reader.text("path", "monitorConfig.path"),
            root, keys,
        )  # fmt: skip
    return Tier("latency" if latency else "weighted", False, settled(rows.values()))
