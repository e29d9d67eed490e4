"""Who holds a public address of the stand-in clouds: a resource, nobody any more, or somebody outside."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

from sandbox.store import Transaction


class _Kind(NamedTuple):
    """A type whose resources hold public addresses; address, region: their output properties (the region left out: the
    resource's own). Of several resources with one address the later type here is told."""

    cloud: str
    token: str
    address: str
    region: str = ""


_KINDS = (
    _Kind("aws", "aws:ec2/instance:Instance", "publicIp"),
    _Kind("aws", "aws:ec2/eip:Eip", "publicIp"),
    _Kind("azure-native", "azure-native:network:PublicIPAddress", "ipAddress", "location"),
    _Kind("gcp", "gcp:compute/forwardingRule:ForwardingRule", "ipAddress"),
    _Kind("gcp", "gcp:compute/address:Address", "address"),
)


class _Pool(NamedTuple):
    """Networks out of which a stand-in gives addresses one after the other, and the store's counter of them. Neither
    the first nor the last address of a network is given; after the last of all it begins again."""

    counter: str
    networks: tuple[str, ...]


_POOLS = (
    _Pool("aws:public-address", ("203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24")),
    _Pool("azure-native:public-ipv4", ("198.18.0.0/15",)),
    _Pool("azure-native:public-ipv6", ("2001:db8:1::/48",)),
    _Pool("gcp:external-address", ("192.0.2.0/24",)),
)
"""As sandbox/*/ give them out; a test holds the two against each other."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The cloud (a Pulumi package) and region whose resource holds an address, that resource's id and its stack."""

    cloud: str
    region: str
    stack: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Holdings:
    """holders: address -> who holds it. given: a pool's counter -> how many addresses it gave out so far."""

    holders: Mapping[str, Holder] = field(default_factory=dict)
    given: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, tx: Transaction) -> Holdings:
        """Of everything in the stand-in clouds."""
        found = {
            str(r[kind.address]): Holder(
                kind.cloud,
                str(r[kind.region]) if kind.region and r[kind.region] else r.region,
                r.urn.removeprefix("urn:pulumi:").split("::")[0],
                r.id,
            )
            for kind in _KINDS
            for r in tx.all(kind.cloud, kind.token)
            if r[kind.address]
        }
        return cls(found, {pool.counter: tx.count(pool.counter) for pool in _POOLS})

    def nobodys(self, address: str) -> bool:
        """Whether a stand-in gave an address out and no resource holds it any more: no packet to it is answered.

        An address that none gave out is somebody's own, even when it lies in one of the pools' networks.
        """
        if address in self.holders or not any(self.given.values()):
            return False
        return any(number < self.given.get(counter, 0) for counter, number in _numbers(address))


@cache
def _numbers(address: str) -> tuple[tuple[str, int], ...]:
    """(counter, n) of the pools that an address is in: it is the n-th (from 0) that the pool gives out."""
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError:
        return ()
    found = []
    for pool in _POOLS:
        before = 0
        for network in map(ipaddress.ip_network, pool.networks):
            if wanted.version == network.version and wanted in network:
                place = int(wanted) - int(network.network_address) - 1
                if 0 <= place < network.num_addresses - 2:
                    found.append((pool.counter, before + place))
            before += network.num_addresses - 2
    return tuple(found)
