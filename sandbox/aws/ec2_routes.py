"""Route tables and routes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sandbox import rules
from sandbox.aws import ec2_defaults, formats, quotas, stamps, tokens
from sandbox.aws.ec2_network import vpc_networks
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource

_DESTINATIONS = ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")
_INLINE_DESTINATIONS = ("cidrBlock", "ipv6CidrBlock", "destinationPrefixListId")
_TARGETS: dict[str, tuple[str, ...]] = {
    "carrierGatewayId": ("cagw",),
    "coreNetworkArn": (),
    "egressOnlyGatewayId": ("eigw",),
    "gatewayId": ("igw", "vgw"),
    "instanceId": ("i",),
    "localGatewayId": ("lgw",),
    "natGatewayId": ("nat",),
    "networkInterfaceId": ("eni",),
    "odbNetworkArn": (),
    "transitGatewayId": ("tgw",),
    "vpcEndpointId": ("vpce",),
    "vpcPeeringConnectionId": ("pcx",),
}


def is_other_gateway(value: str) -> bool:
    """Targets that the sandbox has no type for: the local route and virtual private gateways."""
    return value == "local" or value.startswith("vgw-")


def _target_refs(prefix: str) -> tuple[Ref, ...]:
    return (
        Ref(
            f"{prefix}gatewayId",
            (tokens.INTERNET_GATEWAY,),
            code="InvalidInternetGatewayID.NotFound",
            accept=is_other_gateway,
            blocks_delete=False,
        ),
        Ref(
            f"{prefix}egressOnlyGatewayId",
            (tokens.EGRESS_ONLY_GATEWAY,),
            code="InvalidGatewayID.NotFound",
            blocks_delete=False,
        ),
        # A deleted NAT gateway, interface or peering leaves a blackhole route behind; it does not block the deletion.
        # https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-basics.html
        Ref(f"{prefix}natGatewayId", (tokens.NAT_GATEWAY,), code="InvalidNatGatewayID.NotFound", blocks_delete=False),
        Ref(
            f"{prefix}networkInterfaceId",
            (tokens.NETWORK_INTERFACE,),
            code="InvalidNetworkInterfaceID.NotFound",
            blocks_delete=False,
        ),
        Ref(f"{prefix}vpcEndpointId", (tokens.VPC_ENDPOINT,), code="InvalidVpcEndpointId.NotFound"),
        Ref(
            f"{prefix}vpcPeeringConnectionId",
            (tokens.PEERING, tokens.PEERING_ACCEPTER),
            code="InvalidVpcPeeringConnectionID.NotFound",
            same_region=False,
            blocks_delete=False,
        ),
        Ref(
            f"{prefix}destinationPrefixListId",
            (tokens.PREFIX_LIST,),
            code="InvalidPrefixListID.NotFound",
        ),
    )


def _check_route(route: Mapping[str, Any], destinations: tuple[str, ...], path: str) -> Iterator[Fault]:
    """One destination, one target, each in its format. `path` goes before the property names."""
    args = Args(route)
    targets = [key for key in _TARGETS if key in args]
    for choice, chosen in ((destinations, [key for key in destinations if key in args]), (tuple(_TARGETS), targets)):
        if not chosen:
            yield Fault(f"{path}{choice[0]}", f"one of {', '.join(choice)} must be set")
        for key in chosen[1:]:
            yield Fault(f"{path}{key}", f"conflicts with {chosen[0]}: only one of {', '.join(choice)} may be set")
    faults: list[Fault] = [*rules.cidr(args, destinations[0]), *formats.cidr6(args, destinations[1])]
    faults += formats.ids(args, "destinationPrefixListId", "pl")
    for key in targets:
        value = args.get(key)
        if value is None or (key == "gatewayId" and value == "local"):
            continue
        faults += formats.ids(args, key, *_TARGETS[key]) if _TARGETS[key] else formats.arns(args, key)
    if "egressOnlyGatewayId" in args and destinations[0] in args:
        faults.append(Fault("egressOnlyGatewayId", f"carries IPv6 only: use {destinations[1]}"))
    for fault in faults:
        yield Fault(path + fault.path, fault.reason)


def _attached_vpc(cloud: Cloud, gateway_id: str) -> str:
    gateway = cloud.get(tokens.INTERNET_GATEWAY, gateway_id)
    if gateway is not None and gateway["vpcId"]:
        return str(gateway["vpcId"])
    attachments = cloud.find(tokens.INTERNET_GATEWAY_ATTACHMENT, internetGatewayId=gateway_id)
    return str(attachments[0]["vpcId"]) if attachments else ""


def subnet_vpc(cloud: Cloud, subnet_id: object) -> str:
    """The VPC of a subnet, empty when there is no such subnet."""
    subnet = cloud.get(tokens.SUBNET, str(subnet_id)) if subnet_id else None
    return str(subnet["vpcId"]) if subnet else ""


def _check_placed(cloud: Cloud, table_id: str, vpc_id: str, route: Mapping[str, Any], destination: Any) -> None:
    """What only the cloud can tell of a route: its target is in the same VPC, its destination is not the VPC itself."""
    args = Args(route)
    gateway = args.get("gatewayId", "")
    if gateway.startswith("igw-") and _attached_vpc(cloud, gateway) != vpc_id:
        raise CloudError(
            "InvalidParameterValue",
            f"route table {table_id} and network gateway {gateway} belong to different networks",
        )
    nat = cloud.get(tokens.NAT_GATEWAY, args.get("natGatewayId", ""))
    if nat is not None and (nat["vpcId"] or subnet_vpc(cloud, nat["subnetId"])) != vpc_id:
        raise CloudError(
            "InvalidParameterValue", f"route table {table_id} and NAT gateway {nat.id} belong to different networks"
        )
    endpoint = cloud.get(tokens.VPC_ENDPOINT, args.get("vpcEndpointId", ""))
    if endpoint is not None and endpoint["vpcEndpointType"] != "GatewayLoadBalancer":
        raise CloudError(
            "RouteNotSupported",
            f"Route table {table_id}, VPC endpoint {endpoint.id}: VPC endpoints of this type cannot be used as route "
            "targets.",
        )
    vpc = cloud.get(tokens.VPC, vpc_id)
    wanted = formats.network(destination)
    own = [formats.network(n) for n in vpc_networks(cloud, vpc)] if vpc else []
    elsewhere = any(key in args for key in ("egressOnlyGatewayId", "vpcPeeringConnectionId", "transitGatewayId"))
    if (elsewhere or (gateway and gateway != "local")) and any(n and wanted and wanted.subnet_of(n) for n in own):
        # https://docs.aws.amazon.com/vpc/latest/userguide/VPC_Route_Tables.html#RouteTables-more-specific-routes
        raise CloudError(
            "InvalidParameterValue",
            f"The destination CIDR block {wanted} is equal to or more specific than one of this VPC's CIDR blocks. "
            "This route can target only an interface or an instance.",
        )


def _check_inline(args: Args) -> Iterator[Fault]:
    seen: set[str] = set()
    for path, route in args.at("routes[*]"):
        if not isinstance(route, Mapping):
            continue
        yield from _check_route(route, _INLINE_DESTINATIONS, f"{path}.")
        for key in _INLINE_DESTINATIONS:
            value = route.get(key)
            if isinstance(value, str) and value:
                if value in seen:
                    yield Fault(f"{path}.{key}", f"a second route to {value} in this table")
                seen.add(value)


def _check_inline_placed(cloud: Cloud, table_id: str, vpc_id: str, args: Args) -> None:
    routes = args.get("routes", [])
    limit = cloud.quota(quotas.ROUTES_PER_TABLE.code, quotas.ROUTES_PER_TABLE.default)
    if len(routes) > limit:
        raise CloudError("RouteLimitExceeded", "The maximum number of routes has been reached.")
    for route in routes:
        _check_placed(cloud, table_id, vpc_id, route, route.get("cidrBlock"))


@AWS.kind
class RouteTable(Kind):
    """aws_route_table."""

    token = tokens.ROUTE_TABLE
    id_prefix = "rtb-"
    replace_on = ("vpcId",)
    sets = ("routes", "propagatingVgws")
    references = (Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"), *_target_refs("routes[*]."))
    not_found_code = "InvalidRouteTableID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "vpcId", "vpc")
        yield from formats.ids(args, "propagatingVgws[*]", "vgw")
        yield from _check_inline(args)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        quotas.check_count(
            cloud,
            quotas.ROUTE_TABLES_PER_VPC,
            len(cloud.find(self.token, vpcId=args["vpcId"])) + 1,
            "RouteTableLimitExceeded",
            "The maximum number of route tables has been reached.",
        )
        _check_inline_placed(cloud, "", args["vpcId"], args)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        _check_inline_placed(cloud, old.id, args["vpcId"], args)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"arn": ec2_arn(cloud, f"route-table/{id}"), "ownerId": cloud.account}

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for route in cloud.find(tokens.ROUTE, routeTableId=resource.id):
            cloud.remove(tokens.ROUTE, route.id)


@AWS.kind
class DefaultRouteTable(Kind):
    """aws_default_route_table: takes over the table that came with a VPC, and gives it back."""

    token = tokens.DEFAULT_ROUTE_TABLE
    replace_on = ("defaultRouteTableId",)
    sets = ("routes", "propagatingVgws")
    references = _target_refs("routes[*].")
    not_found_code = "InvalidRouteTableID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "defaultRouteTableId", "rtb")
        yield from _check_inline(args)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        vpc = self._vpc(args["defaultRouteTableId"], cloud)
        _check_inline_placed(cloud, args["defaultRouteTableId"], vpc.id, args)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        _check_inline_placed(cloud, old.id, str(old["vpcId"]), args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["defaultRouteTableId"])

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        vpc = old["vpcId"] if old else self._vpc(id, cloud).id
        return {"arn": ec2_arn(cloud, f"route-table/{id}"), "ownerId": cloud.account, "vpcId": vpc}

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        vpc = cloud.get(tokens.VPC, str(resource["vpcId"]))
        if vpc is not None:
            cloud.put(ec2_defaults.route_table(vpc))

    @staticmethod
    def _vpc(table_id: str, cloud: Cloud) -> Resource:
        found = cloud.find(tokens.VPC, defaultRouteTableId=table_id)
        if not found:
            raise CloudError("InvalidRouteTableID.NotFound", f"The routeTable ID '{table_id}' does not exist")
        return found[0]


@AWS.kind
class Route(Kind):
    """aws_route. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateRoute.html"""

    token = tokens.ROUTE
    replace_on = ("routeTableId", *_DESTINATIONS)
    references = (
        Ref("routeTableId", tokens.ROUTE_TABLES, code="InvalidRouteTableID.NotFound", blocks_delete=False),
        *_target_refs(""),
    )
    taggable = False
    not_found_code = "InvalidRoute.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "routeTableId", "rtb")
        yield from _check_route(args.values, _DESTINATIONS, "")

    @staticmethod
    def _destination(args: Args) -> str:
        return str(next(args[key] for key in _DESTINATIONS if key in args))

    def before_create(self, args: Args, cloud: Cloud) -> None:
        table_id, wanted = args["routeTableId"], self._destination(args)
        siblings = cloud.find(self.token, routeTableId=table_id)
        table = route_table(cloud, table_id)
        inline = table["routes"] or [] if table else []
        taken = {self._destination(Args(r.outputs)) for r in siblings}
        taken |= {str(r.get(key)) for r in inline for key in _INLINE_DESTINATIONS if r.get(key)}
        if wanted in taken:
            raise CloudError(
                "RouteAlreadyExists", f"Route in Route Table ({table_id}) with destination ({wanted}) already exists"
            )
        quotas.check_count(
            cloud,
            quotas.ROUTES_PER_TABLE,
            len(siblings) + len(inline),
            "RouteLimitExceeded",
            "The maximum number of routes has been reached.",
        )
        self._check_placed(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_placed(args, cloud)

    @staticmethod
    def _check_placed(args: Args, cloud: Cloud) -> None:
        table = route_table(cloud, args["routeTableId"])
        if table is not None:
            _check_placed(cloud, table.id, str(table["vpcId"]), args.values, args["destinationCidrBlock"])

    def new_id(self, args: Args, cloud: Cloud) -> str:
        # The provider's own id: "r-", the table, and the CRC-32 of the destination.
        return f"r-{args['routeTableId']}{zlib.crc32(self._destination(args).encode())}"

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"origin": "CreateRoute", "state": "active"}


def route_table(cloud: Cloud, id: str) -> Resource | None:
    """A route table by its id, whether declared or made with its VPC."""
    return next((t for token in tokens.ROUTE_TABLES if (t := cloud.get(token, id)) is not None), None)
