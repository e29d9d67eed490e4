"""Virtual networks and their subnets. https://learn.microsoft.com/rest/api/virtualnetwork/

Limits: https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-networking-limits
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.places import is_location, normal
from sandbox.azure_native.regional import Regional, Use, nothing, refuse_one_more
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, conflicting, one_of, shown
from sandbox.values import has_unknown

API_VERSION: Final = "2024-05-01"
VIRTUAL_NETWORKS_MAX: Final = 1000
SUBNETS_MAX: Final = 3000
RESERVED_ADDRESSES: Final = 5
"""https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq: the first four addresses and the last one."""
NAME_RULE: Final = (
    r"[A-Za-z0-9](?:[\w.-]{0,78}\w)?",
    "1 to 80 letters, digits, periods, hyphens and underscores that begin with a letter or digit and end with one or "
    "`_`",
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# https://learn.microsoft.com/azure/virtual-network/virtual-network-service-endpoints-overview
_SERVICES: Final = (
    "Microsoft.Storage", "Microsoft.Storage.Global", "Microsoft.Sql", "Microsoft.AzureCosmosDB", "Microsoft.KeyVault",
    "Microsoft.ServiceBus", "Microsoft.EventHub", "Microsoft.Web", "Microsoft.CognitiveServices",
    "Microsoft.ContainerRegistry", "Microsoft.AzureActiveDirectory",
)  # fmt: skip
_ENDPOINT_POLICIES: Final = ("Disabled", "Enabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled")


def parse_network(text: object) -> Network | None:
    """An IPv4 or IPv6 network in canonical form, None for anything else."""
    try:
        return ipaddress.ip_network(text) if isinstance(text, str) and "/" in text else None
    except ValueError:
        return None


def network_faults(args: Args, pattern: str, *, narrowest: int) -> Iterator[Fault]:
    """Networks such as 10.0.0.0/16; IPv4 ones between /8 and `narrowest`
    (https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq)."""
    for path, value in args.at(pattern):
        found = parse_network(value)
        if found is None:
            yield Fault(path, f"expected a network such as 10.0.0.0/16 without host bits, got {shown(value)}")
        elif found.version == 4 and not 8 <= found.prefixlen <= narrowest:
            yield Fault(path, f"expected a prefix of /8 to /{narrowest}, got {value}")


def overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def within(inner: Network, outer: Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def prefixes(inputs: Any) -> list[Network]:
    """The networks of a subnet, written in either property."""
    listed = [inputs.get("addressPrefix"), *(inputs.get("addressPrefixes") or ())]
    return [found for text in listed if (found := parse_network(text)) is not None]


def find_network(cloud: Cloud, group: object, name: object) -> Resource | None:
    return next(
        (
            n
            for n in cloud.all(tokens.VIRTUAL_NETWORK)
            if arm.same(n["resourceGroupName"], group) and arm.same(n["name"], name)
        ),
        None,
    )


def subnets_of(cloud: Cloud, network_id: str) -> list[Resource]:
    return [s for s in cloud.all(tokens.SUBNET) if arm.inside(s.id, network_id)]


def judge_subnet(name: str, networks: list[Network], network: Resource, others: Iterable[Resource]) -> None:
    """Raises CloudError for a subnet outside its network's addresses, or on those of another one."""
    space = [n for text in network["addressSpace"]["addressPrefixes"] if (n := parse_network(text)) is not None]
    for mine in networks:
        if not any(within(mine, outer) for outer in space):
            raise CloudError(
                "NetcfgInvalidSubnet",
                f"Subnet '{name}' is not valid because its IP address range is outside the IP address range of virtual "
                f"network '{network['name']}'.",
            )
        for other in others:
            if any(overlap(mine, theirs) for theirs in prefixes(other.outputs)):
                raise CloudError(
                    "NetcfgSubnetRangesOverlap",
                    f"Subnet '{name}' is not valid because its IP address range overlaps with that of an existing "
                    f"subnet in virtual network '{network['name']}': '{other['name']}'.",
                )


@AZURE_NATIVE.kind
class VirtualNetwork(Regional):
    """Subnets may be written in it, or be resources of their own: written with subnets it has these and no others,
    without them it keeps those it has (the SDK's note at `subnets`)."""

    token = tokens.VIRTUAL_NETWORK
    type_name = "virtualNetworks"
    name_property = "virtualNetworkName"
    name_rule = (
        r"[A-Za-z0-9][\w.-]{0,62}\w",
        "2 to 64 letters, digits, periods, hyphens and underscores that begin with a letter or digit and end with "
        "one or _",
    )
    api_version = API_VERSION
    path = ("resourceGroupName", "virtualNetworkName")
    # forceNewMap in https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
    replace_on = (*path, "location")
    autoname = arm.random_name("virtualNetworkName")
    changes_on_update = ("etag", "subnets")

    def rules(self, args: Args) -> Iterable[Fault]:
        space = args["addressSpace"]
        if space is None or (isinstance(space, dict) and nothing(space.get("addressPrefixes"))):
            yield Fault("addressSpace.addressPrefixes", "is required: at least one network")
        yield from network_faults(args, "addressSpace.addressPrefixes[*]", narrowest=29)
        seen: list[tuple[str, Network]] = []
        for path, text in args.at("addressSpace.addressPrefixes[*]"):
            mine = parse_network(text)
            for other_path, other in seen if mine else ():
                if mine is not None and overlap(mine, other):
                    yield Fault(path, f"overlaps with {other_path}")
            if mine is not None:
                seen.append((path, mine))
        # https://learn.microsoft.com/rest/api/virtualnetwork/virtual-networks/create-or-update
        yield from between(args, "flowTimeoutInMinutes", 4, 30, "minutes")
        for path, subnet in args.at("subnets[*]"):
            if isinstance(subnet, dict):
                if subnet.get("name") is None:
                    yield Fault(f"{path}.name", "is required for a subnet in a virtual network")
                yield from (Fault(f"{path}.{f.path}", f.reason) for f in subnet_faults(Args(subnet)))

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        location = self.location_of(args, cloud)
        if old is None:
            refuse_one_more(
                cloud, self.token, location, "VirtualNetworks", VIRTUAL_NETWORKS_MAX,
                "VirtualNetworkCountLimitReached", "virtual networks",
            )  # fmt: skip
        id = old.id if old else self.new_id(args, cloud)
        shape = Resource(self.token, id, "", "", {}, {**args.values, "name": args["virtualNetworkName"]})
        made: list[Resource] = []
        for subnet in args["subnets"] or ():
            judge_subnet(str(subnet["name"]), prefixes(subnet), shape, made)
            made.append(Resource(tokens.SUBNET, f"{id}/subnets/{subnet['name']}", "", "", subnet, subnet))
        if args["subnets"] is None:
            for standing in subnets_of(cloud, id):
                judge_subnet(str(standing["name"]), prefixes(standing.outputs), shape, ())
        else:
            kept = {r.id.lower() for r in made}
            for standing in subnets_of(cloud, id):
                if standing.id.lower() not in kept:
                    AZURE_NATIVE.kinds[tokens.SUBNET].before_delete(standing, cloud)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        standing = [{**s.outputs, "id": s.id} for s in subnets_of(cloud, id)]
        written = [_written_subnet(id, subnet) for subnet in args["subnets"] or ()]
        return {
            **self.network_outputs(args, cloud, old),
            "subnets": standing if args["subnets"] is None else written,
            "enableDdosProtection": args.get("enableDdosProtection", False),
            "virtualNetworkPeerings": args["virtualNetworkPeerings"] or [],
            "privateEndpointVNetPolicies": args.get("privateEndpointVNetPolicies", "Disabled"),
        }

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        if resource.inputs.get("subnets") is None:
            return
        kept = {str(subnet["id"]).lower(): subnet for subnet in resource["subnets"]}
        for standing in subnets_of(cloud, resource.id):
            if standing.id.lower() not in kept:
                cloud.remove(tokens.SUBNET, standing.id)
        inputs = {str(s["name"]).lower(): s for s in resource.inputs["subnets"]}
        group, name = resource["resourceGroupName"], resource["name"]
        for subnet in kept.values():
            own = {**inputs[str(subnet["name"]).lower()], "resourceGroupName": group, "virtualNetworkName": name}
            outputs = {**subnet, "resourceGroupName": group, "virtualNetworkName": name}
            cloud.put(Resource(tokens.SUBNET, str(subnet["id"]), resource.region, resource.account, own, outputs))


def _written_subnet(network_id: str, subnet: dict[str, Any]) -> dict[str, Any]:
    return {
        "privateEndpointNetworkPolicies": "Disabled",
        "privateLinkServiceNetworkPolicies": "Enabled",
        **subnet,
        "id": f"{network_id}/subnets/{subnet['name']}",
        "type": "Microsoft.Network/virtualNetworks/subnets",
        "etag": f'W/"{uuid.uuid4()}"',
        "provisioningState": "Succeeded",
    }


def subnet_faults(args: Args) -> Iterator[Fault]:
    """What is asked of a subnet, wherever it is written."""
    yield from network_faults(args, "addressPrefix", narrowest=29)
    yield from network_faults(args, "addressPrefixes[*]", narrowest=29)
    yield from conflicting(args, "addressPrefix", "addressPrefixes")
    if args["ipamPoolPrefixAllocations"] is None and args["addressPrefix"] is None and nothing(args["addressPrefixes"]):
        yield Fault("addressPrefix", "is required: a network within the virtual network's address space")
    yield from one_of(args, "privateEndpointNetworkPolicies", _ENDPOINT_POLICIES)
    yield from one_of(args, "privateLinkServiceNetworkPolicies", ("Enabled", "Disabled"))
    yield from one_of(args, "sharingScope", ("Tenant", "DelegatedServices"))
    yield from one_of(args, "serviceEndpoints[*].service", _SERVICES)
    for path, value in args.at("serviceEndpoints[*].locations[*]"):
        if value != "*" and not is_location(value):
            yield Fault(path, f"expected an Azure region or *, got {shown(value)}")
    seen: set[str] = set()
    for path, value in args.at("serviceEndpoints[*].service"):
        if value in seen:
            yield Fault(path, f"{value} is given twice")
        seen.add(str(value))
    for path, delegation in args.at("delegations[*]"):
        if isinstance(delegation, dict):
            for key in ("name", "serviceName"):
                if delegation.get(key) is None:
                    yield Fault(f"{path}.{key}", "is required for a delegation")
    if args.get("subnetName", args.get("name")) == "GatewaySubnet" and "natGateway" in args:
        # https://learn.microsoft.com/azure/nat-gateway/faq
        yield Fault("natGateway", "is not for the subnet of a virtual network gateway")


@AZURE_NATIVE.kind
class Subnet(Regional):
    """A subnet as a resource of its own."""

    token = tokens.SUBNET
    type_name = "subnets"
    name_property = "subnetName"
    name_rule = NAME_RULE
    api_version = API_VERSION
    located = False
    taggable = False
    path = ("resourceGroupName", "virtualNetworkName", "subnetName")
    replace_on = path
    autoname = arm.random_name("subnetName")
    uses = (
        Use("natGateway.id", tokens.NAT_GATEWAY, "Microsoft.Network/natGateways", in_use="NatGatewayInUse"),
        Use(
            "networkSecurityGroup.id",
            tokens.SECURITY_GROUP,
            "Microsoft.Network/networkSecurityGroups",
            in_use="InUseNetworkSecurityGroupCannotBeDeleted",
        ),
    )

    def rules(self, args: Args) -> Iterable[Fault]:
        yield from subnet_faults(args)
        for path, name in args.at("name"):
            if args.get("subnetName", name) != name:
                yield Fault(path, f"contradicts subnetName: {shown(name)}")

    def segments(self, args: Args) -> list[tuple[str, str]]:
        return [("virtualNetworks", str(args["virtualNetworkName"])), ("subnets", str(args["subnetName"]))]

    def _network(self, args: Args, cloud: Cloud) -> Resource:
        found = find_network(cloud, args["resourceGroupName"], args["virtualNetworkName"])
        if found is None:
            raise arm.parent_missing(f"Microsoft.Network/virtualNetworks/{args['virtualNetworkName']}")
        return found

    def check_parent(self, args: Args, cloud: Cloud) -> None:
        self._network(args, cloud)

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        network = self._network(args, cloud)
        standing = subnets_of(cloud, network.id)
        limit = cloud.quota("SubnetsPerVirtualNetwork", SUBNETS_MAX, region=normal(str(network["location"])))
        if old is None and len(standing) + 1 > limit:
            raise CloudError("SubnetCountLimitReached", f"A virtual network can have at most {limit:g} subnets.")
        others = [s for s in standing if old is None or not arm.same(s.id, old.id)]
        judge_subnet(str(args["subnetName"]), prefixes(args.values), network, others)
        if old is not None and _without_policies(prefixes(old.outputs)) != _without_policies(prefixes(args.values)):
            self._refuse_moved(old, cloud)

    @staticmethod
    def _refuse_moved(old: Resource, cloud: Cloud) -> None:
        """Addresses that are in use stay where they are."""
        for scale_set in cloud.all(tokens.SCALE_SET):
            capacity = (scale_set["sku"] or {}).get("capacity") or 0
            if capacity and not has_unknown(scale_set.inputs) and old.id.lower() in str(scale_set.inputs).lower():
                raise CloudError(
                    "InUseSubnetCannotBeUpdated",
                    f"Subnet {old['name']} is in use by {scale_set.id} and cannot be updated.",
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            **self.common_outputs(args),
            "etag": f'W/"{uuid.uuid4()}"',
            "provisioningState": "Succeeded",
            "privateEndpointNetworkPolicies": args.get("privateEndpointNetworkPolicies", "Disabled"),
            "privateLinkServiceNetworkPolicies": args.get("privateLinkServiceNetworkPolicies", "Enabled"),
        }


def _without_policies(networks: list[Network]) -> set[str]:
    return {str(network) for network in networks}


def refuse_without_endpoint(cloud: Cloud, subnet_ids: Iterable[object], services: tuple[str, ...]) -> None:
    """Raises CloudError when a subnet that a firewall lets in has no service endpoint to that service
    (https://learn.microsoft.com/azure/virtual-network/virtual-network-service-endpoints-overview)."""
    for id in subnet_ids:
        subnet = arm.find_by_id(cloud, tokens.SUBNET, id)
        if subnet is None:
            continue  # of another subscription
        there = {str(endpoint.get("service")) for endpoint in subnet.inputs.get("serviceEndpoints") or ()}
        if not there & set(services):
            raise CloudError(
                "NetworkAclsValidationFailure",
                "Validation of network acls failure: SubnetsHaveNoServiceEndpointsConfigured:Subnets "
                f"{subnet['name']} do not have ServiceEndpoints for {services[0]} resources configured. Add "
                f"{services[0]} to subnet's ServiceEndpoints collection before trying to ACL {services[0]} resources "
                "to these subnets.",
            )
