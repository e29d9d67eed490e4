"""Network security groups. https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview

Limits: https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-networking-limits
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.network import API_VERSION, NAME_RULE
from sandbox.azure_native.regional import Regional, refuse_one_more
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, Fault, Resource
from sandbox.rules import between, length, matches, one_of, shown
from sandbox.values import UNKNOWN

GROUPS_MAX: Final = 5000
RULES_MAX: Final = 1000
ADDRESSES_MAX: Final = 4000
"""Addresses and ranges of one rule's source or destination."""
# https://learn.microsoft.com/rest/api/virtualnetwork/network-security-groups/create-or-update
PRIORITY_LOW: Final = 100
PRIORITY_HIGH: Final = 4096
_PROTOCOLS: Final = ("Tcp", "Udp", "Icmp", "Esp", "Ah", "*")
_TAG: Final = re.compile(r"[A-Z][A-Za-z0-9]+(\.[A-Za-z0-9]+)*")
"""A service tag: https://learn.microsoft.com/azure/virtual-network/service-tags-overview (the list grows weekly)."""


def _is_address(text: object) -> bool:
    try:
        ipaddress.ip_network(str(text))
    except ValueError:
        return False
    return True


def _port_faults(args: Args, pattern: str) -> Iterator[Fault]:
    """`*`, 443 or 1000-2000, within 0 to 65535."""
    for path, value in args.at(pattern):
        ends = str(value).split("-") if value != "*" else ["0"]
        numbers = [int(end) for end in ends if end.isdigit() and int(end) <= 65535]
        if len(numbers) != len(ends) or len(ends) > 2 or numbers != sorted(numbers):
            yield Fault(path, f"expected a port, a range such as 1000-2000 or *, got {shown(value)}")


def _either(args: Args, side: str, what: str, one: str, several: str) -> Iterator[Fault]:
    keys = [key for key in (one, several) if key in args and args[key] != []]
    if not keys and f"{side}ApplicationSecurityGroups" not in args:
        yield Fault(one, f"is required: {what}, or {several}")
    if len(keys) == 2 and UNKNOWN not in (args[one], args[several]):
        yield Fault(several, f"conflicts with {one}: only one of them may be set")


def rule_faults(args: Args) -> Iterator[Fault]:
    """One security rule."""
    for key in ("name", "priority"):
        if args[key] is None:
            yield Fault(key, "is required for a security rule")
    yield from matches(args, "name", *NAME_RULE)
    yield from between(args, "priority", PRIORITY_LOW, PRIORITY_HIGH)
    yield from one_of(args, "access", ("Allow", "Deny"))
    yield from one_of(args, "direction", ("Inbound", "Outbound"))
    yield from one_of(args, "protocol", _PROTOCOLS)
    yield from length(args, "description", 0, 140)
    for side in ("source", "destination"):
        address, addresses = f"{side}AddressPrefix", f"{side}AddressPrefixes"
        port, ports = f"{side}PortRange", f"{side}PortRanges"
        yield from _either(args, side, "an address, a network, a service tag or *", address, addresses)
        if port not in args and (ports not in args or args[ports] == []):
            yield Fault(port, f"is required: a port, a range or *, or {ports}")
        elif port in args and args[ports] not in (None, [], UNKNOWN) and args[port] is not UNKNOWN:
            yield Fault(ports, f"conflicts with {port}: only one of them may be set")
        yield from _port_faults(args, port)
        yield from _port_faults(args, f"{ports}[*]")
        for path, value in args.at(address):
            if value != "*" and not _is_address(value) and not _TAG.fullmatch(str(value)):
                yield Fault(path, f"expected an address, a network, a service tag or *, got {shown(value)}")
        for path, value in args.at(f"{addresses}[*]"):
            # Augmented rules take addresses and networks
            # (https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#augmented-security-rules).
            if not _is_address(value):
                yield Fault(
                    path, f"expected an address or a network, got {shown(value)}; tags and * stand in {address}"
                )
        yield from length(args, addresses, 0, ADDRESSES_MAX)


def _default(name: str, priority: int, direction: str, access: str, source: str, destination: str) -> dict[str, Any]:
    return {
        "name": name, "priority": priority, "direction": direction, "access": access, "protocol": "*",
        "sourceAddressPrefix": source, "destinationAddressPrefix": destination,
        "sourcePortRange": "*", "destinationPortRange": "*", "provisioningState": "Succeeded",
    }  # fmt: skip


# https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#default-security-rules
DEFAULT_RULES: Final = (
    _default("AllowVnetInBound", 65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    _default("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "AzureLoadBalancer", "*"),
    _default("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*"),
    _default("AllowVnetOutBound", 65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    _default("AllowInternetOutBound", 65001, "Outbound", "Allow", "*", "Internet"),
    _default("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*"),
)


@AZURE_NATIVE.kind
class NetworkSecurityGroup(Regional):
    """Rules are written in it; a change of them is an update of the group."""

    token = tokens.SECURITY_GROUP
    type_name = "networkSecurityGroups"
    name_property = "networkSecurityGroupName"
    name_rule = NAME_RULE
    api_version = API_VERSION
    path = ("resourceGroupName", "networkSecurityGroupName")
    replace_on = path
    autoname = arm.random_name("networkSecurityGroupName")
    changes_on_update = ("etag", "securityRules", "defaultSecurityRules")

    def rules(self, args: Args) -> Iterable[Fault]:
        yield from length(args, "securityRules", 0, RULES_MAX)
        names: dict[str, str] = {}
        priorities: dict[tuple[str, int], str] = {}
        for path, rule in args.at("securityRules[*]"):
            if not isinstance(rule, dict):
                continue
            yield from (Fault(f"{path}.{fault.path}", fault.reason) for fault in rule_faults(Args(rule)))
            name, priority, direction = rule.get("name"), rule.get("priority"), rule.get("direction")
            if isinstance(name, str):
                if name.lower() in names:
                    yield Fault(f"{path}.name", f"is taken by {names[name.lower()]}")
                names.setdefault(name.lower(), path)
            if isinstance(priority, int) and isinstance(direction, str):
                # SecurityRuleConflict of the API
                taken = priorities.setdefault((direction, priority), path)
                if taken != path:
                    yield Fault(
                        f"{path}.priority",
                        f"{priority} is that of {taken}: rules of one direction cannot have the same priority",
                    )

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            refuse_one_more(
                cloud, self.token, self.location_of(args, cloud), "NetworkSecurityGroups", GROUPS_MAX,
                "NetworkSecurityGroupCountLimitReached", "network security groups",
            )  # fmt: skip

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        def shown_rule(rule: dict[str, Any], below: str) -> dict[str, Any]:
            return {
                **rule,
                "id": f"{id}/{below}/{rule['name']}",
                "type": f"Microsoft.Network/networkSecurityGroups/{below}",
                "etag": f'W/"{uuid.uuid4()}"',
                "provisioningState": "Succeeded",
            }

        return {
            **self.network_outputs(args, cloud, old),
            "securityRules": [shown_rule(rule, "securityRules") for rule in args["securityRules"] or ()],
            "defaultSecurityRules": [shown_rule(rule, "defaultSecurityRules") for rule in DEFAULT_RULES],
        }
