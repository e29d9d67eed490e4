"""Route 53 records as tiers (infra/dns/route53.py draws the tree that is walked here), health checks as probes."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from infra.dns.checkers import CheckSettings
from infra.dns.sections import GlobalStack
from rehearsal.fleet.answers import Answers, Probed, one_value
from rehearsal.fleet.model import Place, Tier
from rehearsal.fleet.resources import Reader, Resource, Stack
from rehearsal.fleet.world_files import priority_of, settled

SERVICE: Final = "aws:route53/record:Record"
CHECK: Final = "aws:route53/healthCheck:HealthCheck"
ZONE: Final = "aws:route53/zone:Zone"
TYPES: Final = (SERVICE, CHECK, ZONE)
_DEGRADED: Final = "degraded"


class Records:
    """The address records of a stack by name."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.by_name: dict[str, list[Resource]] = defaultdict(list)
        for one in stack.of_type(SERVICE):
            if one.known("type") in ("A", "AAAA"):
                self.by_name[str(one.known("name"))].append(one)

    def services(self) -> list[str]:
        """Names that lead to tiers: the one record of a service fails over to its first tier."""
        return sorted(
            name
            for name, rows in self.by_name.items()
            if not name.startswith("_") and any(_failover(one) == "PRIMARY" for one in rows)
        )

    def alias(self, name: str, failover: str) -> str | None:
        """Where the PRIMARY or SECONDARY record of a name leads."""
        for one in self.by_name[name]:
            if _failover(one) == failover:
                return str(self.target(one))
        return None

    def target(self, one: Resource) -> str:
        """The name that an alias record leads to."""
        return Reader(self.stack, one, {}, "").text("alias", "aliases[0].name")

    def addresses(self, name: str) -> list[Resource]:
        """The records with addresses at the end of a member's aliases."""
        rows = self.by_name[name]
        if rows and rows[0].known("aliases[0].name") is not None:
            return self.addresses(self.target(rows[0]))
        return rows


def _failover(one: Resource) -> str | None:
    value = one.known("failoverRoutingPolicies[0].type")
    return str(value) if value else None


def read(stack: Stack, config: GlobalStack | None) -> Answers:
    """Everything that records and checks say. Raises SpillwayError, one line."""
    records = Records(stack)
    names = records.services()
    if not names:
        stack.refuse(stack.name, "no record fails over to a tier; expected the records of infra/dns/route53.py")
    places: dict[tuple[str, int, str], tuple[Resource, str]] = {}
    tiers = {name: _tiers(records, name, places) for name in names}
    members = _members(stack)
    probes = [one for one in stack.of_type(CHECK) if one.known("ipAddress")]
    rows = {
        "interval_seconds": [(one, "requestInterval", _whole(stack, one, "requestInterval")) for one in probes],
        "threshold": [(one, "failureThreshold", _whole(stack, one, "failureThreshold")) for one in probes],
        "ttl_seconds": [
            (one, "ttl", _whole(stack, one, "ttl"))
            for one in stack.of_type(SERVICE)
            if one.known("records[0]") is not None and one.known("healthCheckId") != ""
            and one.known("type") in ("A", "AAAA")
        ],
    }  # fmt: skip
    for key, found in rows.items():
        if not found:
            stack.refuse(stack.name, f"no {CHECK if key != 'ttl_seconds' else SERVICE} with an address")
    told = {key: one_value(stack, found, "probes and answers") for key, found in rows.items()}
    check = CheckSettings(
        provider="route53",
        interval_seconds=told["interval_seconds"],
        threshold=told["threshold"],
        ttl_seconds=told["ttl_seconds"],
        check_regions=_regions(probes[0]),
    )
    keys = {key: (found[0][0], found[0][1]) for key, found in rows.items()}
    keys["check_regions"] = (probes[0], "regions")
    return Answers(tiers, {}, members, check, keys, places)


def _whole(stack: Stack, one: Resource, key: str) -> int:
    return Reader(stack, one, {}, "").whole(key, key)


def _regions(one: Resource) -> tuple[str, ...] | None:
    found = one.known("regions")
    return tuple(found) if isinstance(found, list) and found else None


def _tiers(
    records: Records, service: str, places: dict[tuple[str, int, str], tuple[Resource, str]]
) -> tuple[Tier, ...]:
    """Along the links: each leads to a tier, and to the next link."""
    found: list[Tier] = []
    seen: set[str] = set()
    link = records.alias(service, "PRIMARY")
    while link is not None:
        if link in seen:
            records.stack.refuse(f"{records.stack.name}: {link}", "records lead in a circle")
        seen.add(link)
        node = records.alias(link, "PRIMARY")
        if node is None:
            records.stack.refuse(
                f"{records.stack.name}: {link}", "no primary record; expected one that leads to a tier"
            )
        label = node.removesuffix(f".{service}").removeprefix("_")
        found.append(_tier(records, service, node, label, len(found), places))
        link = records.alias(link, "SECONDARY")
    return tuple(found)


def _tier(
    records: Records,
    service: str,
    node: str,
    label: str,
    rank: int,
    places: dict[tuple[str, int, str], tuple[Resource, str]],
) -> Tier:
    rows: list[Place] = []
    latency = False
    for one in records.by_name[node]:
        region = one.known("latencyRoutingPolicies[0].region")
        if region is None:
            rows.append(_place(records, service, one, rank, places))
            continue
        latency = True
        target = records.target(one)
        if target.startswith("_"):  # members that share a region
            shared = [_place(records, service, below, rank, places) for below in records.by_name[target]]
            rows += [Place(place.member, place.weight, str(region)) for place in shared]
        else:
            member = target.removesuffix(f".{service}")
            places[service, rank, member] = (one, "latencyRoutingPolicies[0].region")
            rows.append(Place(member, 1.0, str(region)))
    if not rows:
        records.stack.refuse(f"{records.stack.name}: {node}", "leads to no member")
    return Tier("latency" if latency else "weighted", label == _DEGRADED, settled(rows), priority_of(label))


def _place(
    records: Records,
    service: str,
    one: Resource,
    rank: int,
    places: dict[tuple[str, int, str], tuple[Resource, str]],
) -> Place:
    member = records.target(one).removesuffix(f".{service}")
    key = "weightedRoutingPolicies[0].weight"
    places[service, rank, member] = (one, key)
    return Place(member, Reader(records.stack, one, {}, "").number("weight", key))


def _members(stack: Stack) -> dict[str, Probed]:
    """Members by the checks that are named after them, one for each address."""
    found: dict[str, list[Resource]] = defaultdict(list)
    for one in stack.of_type(CHECK):
        address = one.known("ipAddress")
        if address:
            found[one.name.removeprefix(f"{stack.name}-").removesuffix(f"-{address}")].append(one)
    members = {}
    for name, rows in found.items():
        reader = Reader(stack, rows[0], {}, "")
        members[name] = Probed(
            tuple(str(one.known("ipAddress")) for one in rows),
            reader.whole("port", "port"),
            reader.text("path", "resourcePath"),
            rows[0],
            {"port": "port", "health_path": "resourcePath", "addresses": "ipAddress"},
        )
    return members
