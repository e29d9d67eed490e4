"""Records of hosted zones: which of them the stack made. Pure.

A record has no tags, and a second create of it is refused, so one that got lost has to be found by its natural id, in
the zone and under the name that the plan says. Whether the stack made it is told by what its answers lead to: addresses
are guarded by the stack's own health checks, which carry its tag, and aliases lead to such records. In a zone that
carries the stack's tag, a record that leads nowhere is taken in as well; in somebody else's zone it is left alone, like
everything that the plan does not name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from spillway.recovery import aws_types as types
from spillway.recovery.model import UNKNOWN, Existing, Scope, text

ZONES_OWN: Final = ("NS", "SOA")
"""At the zone's name these come and go with it:
https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html"""
Owner = Literal["ours", "theirs", "nobody"]

THEIRS: Final = "the plan needs this name, and the record there is not of this stack: delete it, or rename the service"
STRAY: Final = (
    "follows a health check of this stack, and is in no plan: delete it by hand, or clients may get its answer"
)
BESIDE: Final = "stands beside records of this stack, and is in no plan"
NAMED: Final = "the zone that the stack file names by its id"


@dataclass(frozen=True, slots=True)
class Record:
    """One record set. `name` is full and as `aws_types.record_name` gives it, `zone` a plain id.

    set: its identifier among those of its name and type, "" for the only one. check: the id of its health check, "" for
    none. alias: the name that it leads to in its own zone, "" for none.
    """

    zone: str
    name: str
    type: str
    set: str = ""
    check: str = ""
    alias: str = ""

    @property
    def id(self) -> str:
        return types.record_id(self.zone, self.name, self.type, self.set)

    @property
    def place(self) -> tuple[str, str, str]:
        """What it shares with the others of its name and type."""
        return self.zone, self.name, self.type


def zone_ids(scope: Scope) -> frozenset[str]:
    """The zones that the stack's records are in, as far as they are known."""
    found = (text(properties, "zoneId") for properties in scope.properties(types.RECORD))
    return frozenset(types.zone_id(zone) for zone in found if zone)


def complete(
    found: Iterable[Existing], records: Sequence[Record], apex: Mapping[str, str], scope: Scope
) -> list[Existing]:
    """What carries the stack's tag, with the records that are its own or in its way.

    found: the tagged resources, zones and health checks among them. records: all of the stack's zones and of those that
    it names by id. apex: zone id -> the zone's name.
    """
    tagged = list(found)
    zones = {e.id for e in tagged if e.token == types.ZONE}
    checks = {e.id for e in tagged if e.token == types.HEALTH_CHECK}
    others = [r for r in records if not (r.type in ZONES_OWN and r.name == apex.get(r.zone))]
    parts = list(_records(others, zones, checks, scope))
    followed = {check: part.id for part in parts if part.keep == STRAY for check in part.refs & checks}
    return [_zone(e, others, scope) if e.token == types.ZONE else _check(e, followed) for e in tagged] + parts


def _check(check: Existing, followed: Mapping[str, str]) -> Existing:
    """A record keeps nobody from deleting its check, and what it answers then cannot be foretold:
    https://docs.aws.amazon.com/Route53/latest/APIReference/API_DeleteHealthCheck.html"""
    if check.id not in followed:
        return check
    return replace(check, undeletable=f"in no plan, and followed by the record {followed[check.id]}")


def _zone(zone: Existing, records: Sequence[Record], scope: Scope) -> Existing:
    held = sum(record.zone == zone.id for record in records)
    makes_one = any(item.token == types.ZONE for item in scope.planned)
    if zone.id in zone_ids(scope) and not makes_one:
        return replace(zone, keep=NAMED)
    if held:
        what = "1 record" if held == 1 else f"{held} records"
        why = f"a second zone of the stack, with {what} in it: see which one the registrar names, then empty the other"
        return replace(zone, undeletable=why)
    return zone


def _records(
    records: Sequence[Record], zones: Collection[str], checks: Collection[str], scope: Scope
) -> Iterator[Existing]:
    owners = _owners(records, checks)
    planned = {key for item in scope.planned if item.token == types.RECORD for key in _keys(item.inputs, zones)}
    owned = {key for token, values in scope.owned if token == types.RECORD for key in _keys(values, zones)}
    places = {place for values in scope.properties(types.RECORD) for place in _places(values, zones)}
    for record in records:
        owner = owners[record]
        one = Existing(
            types.RECORD,
            record.id,
            record.id,
            refs=frozenset(filter(None, (record.zone, record.check))),
            parents=frozenset({record.zone}),
        )
        if record.id in planned:
            mine = owner == "ours" or (owner == "nobody" and record.zone in zones)
            yield one if mine else replace(one, keep=THEIRS, problem=True)
        elif record.id in owned:
            yield one
        elif record.check in checks:
            yield replace(one, keep=STRAY, problem=True)
        elif record.place in places:
            yield replace(one, keep=BESIDE)


def _owners(records: Sequence[Record], checks: Collection[str]) -> dict[Record, Owner]:
    """Whose each record is, by the checks at the end of every way that its answers go."""
    at: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        at.setdefault(record.place, []).append(record)
    found: dict[Record, Owner] = {}

    def owner(record: Record, above: frozenset[Record]) -> Owner:
        if record in found:
            return found[record]
        if record.check:
            told: Owner = "ours" if record.check in checks else "theirs"
        else:
            targets = at.get((record.zone, record.alias, record.type), []) if record.alias else []
            ways = {owner(target, above | {record}) for target in targets if target not in above}
            told = "theirs" if "theirs" in ways else "ours" if "ours" in ways else "nobody"
        found[record] = told
        return told

    for record in records:
        owner(record, frozenset())
    return found


def _in(values: Mapping[str, object], zones: Collection[str]) -> list[str]:
    """The zone of a planned record; one that is not known yet is the one that the plan makes, so any of the stack's."""
    known = text(values, "zoneId")
    if known:
        return [types.zone_id(known)]
    return sorted(zones) if values.get("zoneId") == UNKNOWN else []


def _places(values: Mapping[str, object], zones: Collection[str]) -> list[tuple[str, str, str]]:
    name, type = text(values, "name"), text(values, "type")
    return [(zone, types.record_name(name), type) for zone in _in(values, zones)] if name and type else []


def _keys(values: Mapping[str, object], zones: Collection[str]) -> list[str]:
    return [types.record_id(*place, text(values, "setIdentifier")) for place in _places(values, zones)]
