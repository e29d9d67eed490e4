"""What every provider's reader finds out about a global stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.dns.checkers import CheckSettings
from rehearsal.fleet.model import Member, Service, Tier
from rehearsal.fleet.resources import Resource, Stack

Source = tuple[str, Resource, str]
"""Path of a figure below the global stack's, the resource, its property."""


@dataclass(frozen=True, slots=True)
class Probed:
    """A member as it is probed. resource: one that says so; keys: field -> property of it."""

    addresses: tuple[str, ...]
    port: int
    path: str
    resource: Resource
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answers:
    """tiers: by service. fallbacks: members that answer when nobody is healthy, by service. members: by name.

    check: without the number of addresses. check_keys: field -> resource and property. places: service, number of the
    tier and member -> resource and property of the weight. fallback_keys: service -> resource and property.
    """

    tiers: Mapping[str, tuple[Tier, ...]]
    fallbacks: Mapping[str, tuple[str, ...]]
    members: Mapping[str, Probed]
    check: CheckSettings
    check_keys: Mapping[str, tuple[Resource, str]]
    places: Mapping[tuple[str, int, str], tuple[Resource, str]]
    fallback_keys: Mapping[str, tuple[Resource, str]] = field(default_factory=dict)

    def sources(self, services: tuple[Service, ...], members: tuple[Member, ...]) -> Iterator[Source]:
        """Where every figure of tiers and members stands."""
        for number, member in enumerate(members):
            probed = self.members[member.name]
            yield f"members[{number}].name", probed.resource, "name"
            yield f"members[{number}].at", probed.resource, probed.keys["addresses"]
            for told, key in probed.keys.items():
                yield f"members[{number}].{told}", probed.resource, key
        for number, service in enumerate(services):
            if service.name in self.fallback_keys:
                yield f"services[{number}].fallback", *self.fallback_keys[service.name]
            for rank, tier in enumerate(service.tiers):
                first = self.places.get((service.name, rank, tier.places[0].member))
                if first is not None:
                    yield f"services[{number}].tiers[{rank}]", *first
                for spot, place in enumerate(tier.places):
                    found = self.places.get((service.name, rank, place.member))
                    if found is not None:
                        yield f"services[{number}].tiers[{rank}].places[{spot}]", *found


def one_value(stack: Stack, rows: list[tuple[Resource, str, Any]], what: str) -> Any:
    """The one value that all rows have. Raises SpillwayError where they differ: probes of one stack are alike."""
    first = rows[0][2]
    for resource, key, value in rows[1:]:
        if value != first:
            stack.refuse(
                f"{resource.name}: {key} = {value}", f"expected {first}, as {rows[0][0].name} has it: {what} are alike"
            )
    return first
