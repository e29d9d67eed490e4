"""No node has an address that the internet reaches: clients come through the balancer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from cost.plan.preview import Resource, Unknown
from policy.findings import Finding, Policy, Settings, get, rows, yes


class Exposure(Settings):
    """No settings of its own."""


def _each(resource: Resource, settings: Exposure) -> Iterator[Finding]:
    rule = _RULES.get(resource.type)
    if rule is not None:
        for words in rule(resource):
            yield Finding(resource.urn, words)


def _flag(*path: str) -> Callable[[Resource], Iterator[str]]:
    def rule(resource: Resource) -> Iterator[str]:
        if yes(get(resource, *path)):
            yield f"{'.'.join(path)} = true: allowed is false"

    return rule


def _aws_template(resource: Resource) -> Iterator[str]:
    for index, row in enumerate(rows(get(resource, "networkInterfaces"))):
        where = f"networkInterfaces[{index}]"
        if yes(row.get("associatePublicIpAddress")):
            yield f"{where}.associatePublicIpAddress = true: allowed is false"
        if isinstance(count := row.get("ipv6AddressCount"), int | float) and count:
            yield f"{where}.ipv6AddressCount = {int(count)}: allowed is none, as such addresses are public"


def _scale_set(resource: Resource) -> Iterator[str]:
    cards = get(resource, "virtualMachineProfile", "networkProfile", "networkInterfaceConfigurations")
    for card in rows(cards):
        yield from _azure_addresses(card.get("ipConfigurations"), f"{card.get('name', 'interface')}: ")


def _azure_card(resource: Resource) -> Iterator[str]:
    yield from _azure_addresses(get(resource, "ipConfigurations"), "")


def _azure_addresses(told: Any, where: str) -> Iterator[str]:
    for row in rows(told):
        for key in ("publicIPAddressConfiguration", "publicIPAddress"):
            if row.get(key) or isinstance(row.get(key), Unknown):
                yield f"{where}ipConfigurations {row.get('name', '')} has a {key}: allowed is none"


def _gcp(resource: Resource) -> Iterator[str]:
    """An interface with an access configuration has a public address, even where the configuration is empty
    (https://docs.cloud.google.com/compute/docs/reference/rest/v1/instances, accessConfigs)."""
    for index, row in enumerate(rows(get(resource, "networkInterfaces"))):
        for key in ("accessConfigs", "ipv6AccessConfigs"):
            if row.get(key):
                yield f"networkInterfaces[{index}].{key}: allowed is none"


def _tencent(resource: Resource) -> Iterator[str]:
    yield from _flag("publicIpAssigned")(resource)
    out = get(resource, "internetMaxBandwidthOut")
    if isinstance(out, int | float) and out > 0:
        yield f"internetMaxBandwidthOut = {int(out)}: allowed is 0"


_RULES: Final[Mapping[str, Callable[[Resource], Iterator[str]]]] = {
    "aws:ec2/launchTemplate:LaunchTemplate": _aws_template,
    "aws:ec2/instance:Instance": _flag("associatePublicIpAddress"),
    "aws:ec2/subnet:Subnet": _flag("mapPublicIpOnLaunch"),
    "azure-native:compute:VirtualMachineScaleSet": _scale_set,
    "azure-native:network:NetworkInterface": _azure_card,
    "gcp:compute/instance:Instance": _gcp,
    "gcp:compute/instanceTemplate:InstanceTemplate": _gcp,
    "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate": _gcp,
    "tencentcloud:As/scalingConfig:ScalingConfig": _tencent,
    "tencentcloud:Instance/instance:Instance": _flag("allocatePublicIp"),
}

POLICY: Final = Policy(
    "no-public-node",
    "No public node",
    "No node has a public address, and no subnet gives one.",
    Exposure,
    each=_each,
)
