"""What a region that stands has for good, and its stack file cannot change any more: its network, and on some clouds
the zones of its pools. An engine's plan would look like any other change, and `up` would end half way through it.

Pure; what stands is looked up by each cloud's `lookups`. docs/changes.md has all keys.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import Final

from infra.faults import NotFound, listed

CIDR_KEY: Final = "spillway:region.network.cidr"
ZONES_KEY: Final = "spillway:region.network.zones"
PAGE: Final = "docs/changes.md"

_ABSENT: Final = re.compile(r"not ?found|no matching|find resource|empty result|\b404\b", re.IGNORECASE)


def is_absent(error: Exception) -> bool:
    """Whether a lookup's error says that there is no such thing, which is so before the first `up`."""
    return _ABSENT.search(str(error)) is not None


def keep_cidr(wanted: str, standing: Collection[str], network: str, *, grows: bool = False) -> None:
    """Refuse another CIDR than the network has. standing: what it has; nothing where there is none yet. grows: whether
    the cloud can widen it in place. Raises NotFound."""
    if not standing or wanted in standing:
        return
    new = ipaddress.IPv4Network(wanted)
    if grows and all(ipaddress.IPv4Network(one).subnet_of(new) for one in standing):
        return
    has = listed(sorted(standing), "and")
    wider = "; it can be widened, to a network that holds all of it" if grows else ""
    raise NotFound(
        f"{CIDR_KEY} = {wanted}: {network} stands with {has}, and nodes are in it: the CIDR is fixed by the first `up`"
        f"{wider}. Write {has} again, or take the region down and build it with the new one: {PAGE}"
    )


def keep_zones(
    wanted: Collection[str],
    standing: Collection[str],
    pool: str,
    *,
    grows: bool = False,
    why: str = "zones are fixed when a pool is made",
) -> None:
    """Refuse other zones than a pool has. standing: what it has, nothing when it was made without zones. grows: whether
    the cloud takes more zones for a pool that has some. Raises NotFound."""
    new, old = set(wanted), set(standing)
    if new == old or (grows and old and old < new):
        return
    has = f"in {listed(sorted(old), 'and')}" if old else "without zones"
    again = f"Write {', '.join(sorted(old))} again" if old else "Leave zones out again"
    more = ", to which others may be added" if grows and old else ""
    raise NotFound(
        f"{ZONES_KEY} = [{', '.join(sorted(new))}]: {pool} stands {has}{more}: {why}. "
        f"{again}, or take the region down, which ends its nodes, and build it with the new ones: {PAGE}"
    )
