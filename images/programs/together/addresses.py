"""This node's address among the nodes of its replica: a private one, since what they say is not encrypted."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
import struct
from typing import Final

from images.programs.serving.command import Refused

ADDRESS: Final = "SPILLWAY_ADDRESS"
"""In place of what is found, for tests."""
SIOCGIFADDR: Final = 0x8915
"""https://man7.org/linux/man-pages/man7/netdevice.7.html"""


def checked(text: str) -> str:
    """The address, if only this network can reach it. Raises Refused."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise Refused(f"cluster: {text!r} is no IP address") from None
    if not found.is_private or found.is_unspecified or found.is_multicast:
        raise Refused(f"cluster: {text} is no private address; nodes of a replica speak to each other unencrypted")
    return str(found)


def own(head: str) -> str:
    """The address by which this node reaches the head. Raises Refused where there is no way to it, or a public one."""
    if given := os.environ.get(ADDRESS):
        return checked(given)
    family = socket.AF_INET6 if ":" in head else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        try:
            one.connect((checked(head), 9))  # sends nothing: the kernel looks the route up
        except OSError as error:
            raise Refused(f"cluster: no way to the head {head}: {error.strerror}") from None
        return checked(str(one.getsockname()[0]))


def interface(address: str) -> str | None:
    """Name of the network interface that has this IPv4 address; None: NCCL and Gloo look for one themselves."""
    if ":" in address:
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for _, name in socket.if_nameindex():
            try:
                said = fcntl.ioctl(one.fileno(), SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue
            if socket.inet_ntoa(said[20:24]) == address:
                return name
    return None


def variables(head: str) -> dict[str, str]:
    """What vLLM, NCCL and Gloo have to be told on a node of several. Raises Refused."""
    address = own(head)
    found = {"VLLM_HOST_IP": address}
    if name := interface(address):
        found |= {"NCCL_SOCKET_IFNAME": name, "GLOO_SOCKET_IFNAME": name}
    return found
