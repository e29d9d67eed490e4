"""Public addresses of the stand-in clouds: which networks they come out of, and which resources hold them."""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple

from sandbox.kinds import Cloud, CloudError


class Holding(NamedTuple):
    """A type whose resources hold public addresses; address, region: their output properties (the region left out: the
    resource's own). Of several resources with one address the later type here is told."""

    package: str
    token: str
    address: str
    region: str = ""


HOLDINGS: Final = (
    Holding("aws", "aws:ec2/instance:Instance", "publicIp"),
    Holding("aws", "aws:ec2/eip:Eip", "publicIp"),
    Holding("azure-native", "azure-native:network:PublicIPAddress", "ipAddress", "location"),
    Holding("gcp", "gcp:compute/forwardingRule:ForwardingRule", "ipAddress"),
    Holding("gcp", "gcp:compute/address:Address", "address"),
    Holding("tencentcloud", "tencentcloud:Eip/instance:Instance", "publicIp"),
)


class Pool(NamedTuple):
    """A network out of which a stand-in gives addresses one after the other. Neither its first nor its last address is
    given; after the last but one it begins again."""

    package: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network

    @property
    def counter(self) -> str:
        """Of the store: how often an address was given."""
        return f"public-ipv{self.network.version}"

    @property
    def size(self) -> int:
        return self.network.num_addresses - 2

    def place(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int | None:
        """n of the n-th address that is given (from 0), None for one that never is."""
        if address.version != self.network.version or address not in self.network:
            return None
        place = int(address) - int(self.network.network_address) - 1
        return place if 0 <= place < self.size else None


POOLS: Final = (
    Pool("aws", ipaddress.ip_network("203.0.113.0/24")),
    Pool("azure-native", ipaddress.ip_network("198.51.100.128/25")),
    Pool("azure-native", ipaddress.ip_network("2001:db8:1::/48")),
    Pool("gcp", ipaddress.ip_network("192.0.2.128/25")),
    Pool("tencentcloud", ipaddress.ip_network("198.51.100.64/26")),
)
"""Out of the networks set aside for documentation (RFC 5737, RFC 3849): nobody on the internet answers on an address of
a stand-in, and no two stand-ins give out the same one. What no pool has is somebody's own, as the examples' sites on
premises."""


def next_address(cloud: Cloud, package: str, version: int = 4) -> str:
    """An address that no resource of the stand-in holds.

    Raises CloudError when all are held.
    """
    pool = next(p for p in POOLS if p.package == package and p.network.version == version)
    held = {r[kind.address] for kind in HOLDINGS if kind.package == package for r in cloud.all(kind.token)}
    for _ in range(min(pool.size, len(held) + 1)):
        address = str(pool.network[1 + cloud.sequence(pool.counter) % pool.size])
        if address not in held:
            return address
    raise CloudError("InsufficientAddressCapacity", f"all {pool.size} public addresses ({pool.network}) are taken")
