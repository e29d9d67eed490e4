"""The address plan of a region: which subnet lies where, and what a network can hold. Pure.

The network is cut into sixteen equal parts, by the letter of the zone and not by its place in a list, so that adding or
removing a zone moves no other zone's subnets (moving one means replacing it, with everything in it).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

PRIVATE: Final = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
"""https://datatracker.ietf.org/doc/html/rfc1918 """
LARGEST: Final = 16
"""Prefix of the largest VPC: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"""
SMALLEST: Final = 24
"""A sixteenth of a /24 is a /28, AWS's smallest subnet (same page)."""
ZONE_LETTERS: Final = "abcdefgh"
RESERVED: Final = 5
"""Addresses that AWS keeps in each subnet: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html"""


@dataclass(frozen=True, slots=True)
class ZoneSubnets:
    """The two subnets of one zone in CIDR form: nodes live in the private one, balancer and NAT in the public one."""

    zone: str
    private: str
    public: str


def subnets(cidr: str, zones: tuple[str, ...]) -> tuple[ZoneSubnets, ...]:
    """One private and one public subnet per zone: sixteenths of `cidr`, the first eight private, by zone letter.

    Raises ValueError for a network smaller than /24 or a zone beyond `h`.
    """
    parts = list(IPv4Network(cidr).subnets(prefixlen_diff=4))
    found = []
    for zone in zones:
        place = ZONE_LETTERS.index(zone[-1])
        found.append(ZoneSubnets(zone, str(parts[place]), str(parts[place + len(ZONE_LETTERS)])))
    return tuple(found)


def hosts_per_subnet(cidr: str) -> int:
    """Addresses that nodes can have in one zone's private subnet."""
    return int(IPv4Network(cidr).num_addresses // 16) - RESERVED


def fault(cidr: str) -> str | None:
    """What is wrong with a region's network, or None: its address, its place, its size."""
    try:
        network = IPv4Network(cidr)
    except ValueError as error:
        return _wrong(cidr, error)
    if not any(network.subnet_of(block) for block in PRIVATE):
        return "has to lie in a private range: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
    if not LARGEST <= network.prefixlen <= SMALLEST:
        return f"has to be a /{LARGEST} to /{SMALLEST}: it holds a private and a public subnet for each zone"
    return None


def client_fault(cidr: str) -> str | None:
    """What is wrong with a client network, or None."""
    try:
        IPv4Network(cidr)
    except ValueError as error:
        return _wrong(cidr, error)
    return None


def _wrong(cidr: str, error: ValueError) -> str:
    if "host bits" in str(error):
        return f"has bits set beyond its prefix; the network is {IPv4Network(cidr, strict=False)}"
    return "has to be an IPv4 network in CIDR form such as 10.16.0.0/16"


def overlap(one: str, other: str) -> bool:
    """Whether two well-formed networks share an address."""
    return IPv4Network(one).overlaps(IPv4Network(other))
