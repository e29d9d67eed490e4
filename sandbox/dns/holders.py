"""Who holds a public address of the stand-in clouds: a resource, nobody any more, or somebody outside."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from sandbox.public import HOLDINGS, POOLS, Pool
from sandbox.store import Transaction


@dataclass(frozen=True, slots=True)
class Holder:
    """The cloud (a Pulumi package) and region whose resource holds an address, that resource's id and its stack."""

    cloud: str
    region: str
    stack: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Holdings:
    """holders: address -> who holds it. given: pool -> how many addresses it gave out so far."""

    holders: Mapping[str, Holder] = field(default_factory=dict)
    given: Mapping[Pool, int] = field(default_factory=dict)

    @classmethod
    def of(cls, tx: Transaction) -> Holdings:
        """Of everything in the stand-in clouds."""
        found = {
            str(r[kind.address]): Holder(
                kind.package,
                str(r[kind.region]) if kind.region and r[kind.region] else r.region,
                r.urn.removeprefix("urn:pulumi:").split("::")[0],
                r.id,
            )
            for kind in HOLDINGS
            for r in tx.all(kind.package, kind.token)
            if r[kind.address]
        }
        return cls(found, {pool: tx.count(f"{pool.package}:{pool.counter}") for pool in POOLS})

    def nobodys(self, address: str) -> bool:
        """Whether a stand-in gave an address out and no resource holds it any more: no packet to it is answered.

        An address that none gave out is somebody's own, even when it lies in one of the pools' networks.
        """
        if address in self.holders or not any(self.given.values()):
            return False
        return any(place < self.given.get(pool, 0) for pool, place in _places(address))


@cache
def _places(address: str) -> tuple[tuple[Pool, int], ...]:
    """The pools that give an address out, and its place in them."""
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError:
        return ()
    return tuple((pool, place) for pool in POOLS if (place := pool.place(wanted)) is not None)
