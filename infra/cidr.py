"""What the network of a region may be, and how many nodes it holds. Pure; `infra/aws/subnets.py` cuts it."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network
from typing import Final

from infra.aws.subnets import NARROWEST, SLOTS

PRIVATE: Final = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
"""https://datatracker.ietf.org/doc/html/rfc1918 """
LARGEST: Final = 16
"""Prefix of the largest VPC: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html"""
PARTS: Final = 2 * SLOTS
"""A node subnet and a public subnet for each zone that a region may have."""
SMALLEST: Final = NARROWEST - (PARTS.bit_length() - 1)
"""Prefix of the smallest VPC whose parts are AWS's smallest subnets."""
RESERVED: Final = 5
"""Addresses that AWS keeps in each subnet: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html"""


def hosts_per_subnet(cidr: str) -> int:
    """Addresses that nodes can have in one zone's private subnet."""
    return IPv4Network(cidr).num_addresses // PARTS - RESERVED


_PARTS: Final = {
    "aws": "it holds a private and a public subnet for each zone",
    "azure": "half of it is the nodes' subnet, the other half stays free for private endpoints",
    "gcp": "it is the one subnetwork of the nodes in all zones",
    "tencent": "it holds a subnet of the nodes and one of balancers for each zone",
}
"""Why the size is limited, by cloud; the limits are the same, so that a plan of addresses holds on every one."""


def fault(cidr: str, cloud: str = "aws") -> str | None:
    """What is wrong with a region's network, or None: its address, its place, its size."""
    try:
        network = IPv4Network(cidr)
    except ValueError as error:
        return _wrong(cidr, error)
    if not any(network.subnet_of(block) for block in PRIVATE):
        return "has to lie in a private range: 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
    if not LARGEST <= network.prefixlen <= SMALLEST:
        return f"has to be a /{LARGEST} to /{SMALLEST}: {_PARTS[cloud]}"
    return None


def client_fault(cidr: str) -> str | None:
    """What is wrong with a client network, or None."""
    try:
        IPv4Network(cidr)
    except ValueError as error:
        return _wrong(cidr, error)
    return None


def monitoring_fault(cidr: str) -> str | None:
    """What is wrong with a network that may read metrics, or None. A node shows them to private addresses alone
    (images/rootfs/etc/nginx/nginx.conf), so that a rule for any other would open a port for nothing."""
    found = client_fault(cidr)
    if found:
        return found
    if not any(IPv4Network(cidr).subnet_of(block) for block in PRIVATE):
        return (
            "has to lie in a private range, 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16: metrics are for a Prometheus "
            "in the region's network or in one that is peered with it"
        )
    return None


def is_open(networks: Iterable[str]) -> bool:
    """Whether the networks together let everybody in; only the whole address space in one of them counts."""
    return any(IPv4Network(network).prefixlen == 0 for network in networks)


def _wrong(cidr: str, error: ValueError) -> str:
    if "host bits" in str(error):
        return f"has bits set beyond its prefix; the network is {IPv4Network(cidr, strict=False)}"
    return "has to be an IPv4 network in CIDR form such as 10.16.0.0/16"


def overlap(one: str, other: str) -> bool:
    """Whether two well-formed networks share an address."""
    return IPv4Network(one).overlaps(IPv4Network(other))
