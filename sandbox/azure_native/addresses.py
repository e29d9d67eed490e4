"""Public IP addresses and NAT gateways. https://learn.microsoft.com/azure/virtual-network/ip-services/public-ip-addresses

Limits: https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-networking-limits
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.network import API_VERSION, NAME_RULE
from sandbox.azure_native.places import zone_faults
from sandbox.azure_native.regional import Regional, Use, refuse_one_more, users
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.public import next_address
from sandbox.rules import between, length, matches, one_of

ADDRESSES_MAX: Final = 1000
NAT_GATEWAYS_MAX: Final = 1000
ADDRESS_TYPE: Final = "Microsoft.Network/publicIPAddresses"


def refuse_other_zones(old: Resource, args: Args) -> None:
    """Zones are fixed. Raises CloudError in the network provider's words."""

    def told(zones: object) -> str:
        return ", ".join(sorted(map(str, zones))) if isinstance(zones, list) and zones else "NoZone"

    before, after = told(old.inputs.get("zones")), told(args["zones"])
    if before != after:
        raise CloudError(
            "ResourceAvailabilityZonesCannotBeModified",
            f"Resource {old.id} has an existing availability zone constraint {before} and the request has availability "
            f"zone constraint {after}, which do not match. Zones cannot be added/updated/removed once the resource is "
            "created. The resource cannot be updated from regional to zonal or vice-versa.",
        )


@AZURE_NATIVE.kind
class PublicIPAddress(Regional):
    """Basic addresses can be made no more since 31 March 2025
    (https://azure.microsoft.com/updates?id=upgrade-to-standard-sku-public-ip-addresses-in-azure-by-30-september-2025-basic-sku-will-be-retired);
    Standard ones are static, and closed until a network security group opens them."""

    token = tokens.PUBLIC_ADDRESS
    type_name = "publicIPAddresses"
    name_property = "publicIpAddressName"
    name_rule = NAME_RULE
    api_version = API_VERSION
    path = ("resourceGroupName", "publicIpAddressName")
    # forceNewMap in https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
    replace_on = (*path, "location", "publicIPAddressVersion", "publicIPPrefix", "sku")
    autoname = arm.random_name("publicIpAddressName")

    def rules(self, args: Args) -> Iterable[Fault]:
        sku = args["sku"]
        if sku is None or (isinstance(sku, dict) and sku.get("name") is None):
            yield Fault("sku.name", "is required: Standard (left out, it is Basic, which can be made no more)")
        yield from one_of(args, "sku.name", ("Standard",))
        yield from one_of(args, "sku.tier", ("Regional", "Global"))
        yield from one_of(args, "publicIPAddressVersion", ("IPv4", "IPv6"))
        if args["publicIPAllocationMethod"] is None:
            yield Fault("publicIPAllocationMethod", "is required: Static (left out, it is Dynamic)")
        yield from one_of(args, "publicIPAllocationMethod", ("Static",))  # a Standard address cannot be dynamic
        yield from one_of(args, "deleteOption", ("Delete", "Detach"))
        yield from between(args, "idleTimeoutInMinutes", 4, 30, "minutes")
        yield from zone_faults(args)
        yield from matches(
            args,
            "dnsSettings.domainNameLabel",
            r"[a-z][a-z0-9-]{1,61}[a-z0-9]",
            "3 to 63 lower-case letters, digits and hyphens that begin with a letter",
        )

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        location = self.location_of(args, cloud)
        if old is None:
            refuse_one_more(
                cloud, self.token, location, "StandardSkuPublicIpAddresses", ADDRESSES_MAX,
                "PublicIPCountLimitReached", "public IP addresses",
            )  # fmt: skip
        else:
            refuse_other_zones(old, args)
        label = (args["dnsSettings"] or {}).get("domainNameLabel")
        for other in cloud.all(self.token) if label else ():
            theirs = (other["dnsSettings"] or {}).get("domainNameLabel")
            own = old is not None and arm.same(other.id, old.id)
            if arm.same(theirs, label) and other["location"] == location and not own:
                raise CloudError(
                    "DnsRecordInUse",
                    f"DNS record {label}.{location}.cloudapp.azure.com is already used by another public IP.",
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        location = self.location_of(args, cloud)
        if old is not None:
            address = old["ipAddress"]
        else:
            version = 6 if args.get("publicIPAddressVersion") == "IPv6" else 4
            address = next_address(cloud, "azure-native", version)
        dns = dict(args["dnsSettings"] or {})
        if dns.get("domainNameLabel"):
            dns["fqdn"] = f"{dns['domainNameLabel']}.{location}.cloudapp.azure.com"
        return {
            **self.network_outputs(args, cloud, old),
            "ipAddress": address,
            "idleTimeoutInMinutes": args.get("idleTimeoutInMinutes", 4),
            "publicIPAddressVersion": args.get("publicIPAddressVersion", "IPv4"),
            "sku": {"tier": "Regional", **args["sku"]},
            "ipTags": args["ipTags"] or [],
            **({"dnsSettings": dns} if dns else {}),
        }


def refuse_taken(cloud: Cloud, address_ids: Iterable[str], own_id: str) -> None:
    """Raises CloudError when a public address already belongs to something else."""
    for id in address_ids:
        address = arm.find_by_id(cloud, tokens.PUBLIC_ADDRESS, id)
        for other, _, _ in users(cloud, address) if address else ():
            if not arm.same(other.id, own_id):
                raise CloudError(
                    "PublicIPAddressInUse",
                    f"Resource {own_id} is referencing public IP address {id} that is already allocated to resource "
                    f"{other.id}.",
                )


@AZURE_NATIVE.kind
class NatGateway(Regional):
    """https://learn.microsoft.com/azure/nat-gateway/nat-gateway-resource"""

    token = tokens.NAT_GATEWAY
    type_name = "natGateways"
    name_property = "natGatewayName"
    name_rule = NAME_RULE
    api_version = API_VERSION
    path = ("resourceGroupName", "natGatewayName")
    replace_on = path
    autoname = arm.random_name("natGatewayName")
    defaults: ClassVar[Mapping[str, Any]] = {"idleTimeoutInMinutes": 4}
    uses = (
        Use("publicIpAddresses[*].id", tokens.PUBLIC_ADDRESS, ADDRESS_TYPE, in_use="PublicIPAddressCannotBeDeleted"),
    )

    def rules(self, args: Args) -> Iterable[Fault]:
        sku = args["sku"]
        if sku is None or (isinstance(sku, dict) and sku.get("name") is None):
            yield Fault("sku.name", "is required: Standard")
        yield from one_of(args, "sku.name", ("Standard",))
        yield from between(args, "idleTimeoutInMinutes", 4, 120, "minutes")
        yield from length(args, "publicIpAddresses", 0, 16)
        yield from zone_faults(args)
        for path, listed in args.at("zones"):
            if isinstance(listed, list) and len(listed) > 1:
                # https://learn.microsoft.com/azure/nat-gateway/nat-availability-zones
                yield Fault(path, f"expected one zone or none, got {len(listed)}: a NAT gateway stands in one zone")

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        own = old.id if old else self.new_id(args, cloud)
        if old is None:
            refuse_one_more(
                cloud, self.token, self.location_of(args, cloud), "NatGateways", NAT_GATEWAYS_MAX,
                "NatGatewayCountLimitReached", "NAT gateways",
            )  # fmt: skip
        else:
            refuse_other_zones(old, args)
        ids = [str(entry["id"]) for entry in args["publicIpAddresses"] or ()]
        refuse_taken(cloud, ids, own)
        for id in ids:
            address = arm.find_by_id(cloud, tokens.PUBLIC_ADDRESS, id)
            zones = set(address["zones"] or ()) if address else set()
            if zones and args["zones"] and not zones & set(args["zones"]):
                raise CloudError(
                    "NatGatewayPublicIpZoneMismatch",
                    f"The NAT gateway {own} stands in zone {args['zones'][0]}, its public IP address {id} in "
                    f"{', '.join(sorted(zones))}.",
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {**self.network_outputs(args, cloud, old), "publicIpPrefixes": args["publicIpPrefixes"] or []}
