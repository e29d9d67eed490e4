"""How a region's network is cut into subnets. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

SLOTS: Final = 8
"""Zones a..h; no region has more (us-east-1 has six). Each has a node subnet and a public subnet: 16 equal parts."""

# https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html
NARROWEST: Final = 28


@dataclass(frozen=True, slots=True)
class ZoneSubnets:
    """The two subnets of one availability zone, as CIDR text."""

    zone: str
    nodes: str
    public: str


def carve(cidr: str, zones: Iterable[str]) -> tuple[ZoneSubnets, ...]:
    """Subnets for `zones` (us-east-1a ...), sorted by zone.

    The place depends on the zone's letter only, never on which other zones are in use: a zone more or less must not
    renumber, and so replace, the subnets that nodes live in. Raises ValueError for a network narrower than /24 (a
    sixteenth of it would be narrower than /28) and for a zone that is not one of the region's own a..h.
    """
    network = ipaddress.IPv4Network(cidr)
    if network.prefixlen + 4 > NARROWEST:
        raise ValueError(f"network {cidr}: expected /{NARROWEST - 4} or wider, for {2 * SLOTS} subnets")
    parts = list(network.subnets(prefixlen_diff=4))
    found = []
    for zone in sorted(set(zones)):
        slot = ord(zone[-1:] or " ") - ord("a")
        if not 0 <= slot < SLOTS or not zone[-2:-1].isdigit():
            raise ValueError(f"zone {zone!r}: expected a zone of the region itself, such as us-east-1a to us-east-1h")
        found.append(ZoneSubnets(zone, str(parts[slot]), str(parts[SLOTS + slot])))
    if not found:
        raise ValueError("no zones: expected at least one")
    return tuple(found)
