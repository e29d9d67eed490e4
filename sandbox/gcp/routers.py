"""Cloud Router and Cloud NAT."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.gcp import tokens
from sandbox.gcp.api import ComputeKind, Use, check_count, invalid, project_of, resolve
from sandbox.gcp.network import IN_NETWORK
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, conflicting, exactly_one, matches, one_of

# https://docs.cloud.google.com/network-connectivity/docs/router/quotas
ROUTERS_PER_REGION: Final = 5
"""Per network and region."""
# https://docs.cloud.google.com/nat/quota
GATEWAYS_PER_ROUTER: Final = 50
_ALL: Final = ("ALL_SUBNETWORKS_ALL_IP_RANGES", "ALL_SUBNETWORKS_ALL_PRIMARY_IP_RANGES")
_ROUTER: Final = Use("router", (tokens.ROUTER,))


@GCP.kind
class Router(ComputeKind):
    """https://docs.cloud.google.com/compute/docs/reference/rest/v1/routers"""

    token = tokens.ROUTER
    collection = "routers"
    label = "router"
    regional = True
    replace_on = ("name", "network", "nccGateway", "encryptedInterconnectRouter", "params", "project")
    uses = (IN_NETWORK,)
    write_only = ("deletionPolicy",)

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from exactly_one(args, "network", "nccGateway")
        for path, asn in args.at("bgp.asn"):
            # RFC 6996 private numbers, and 16550 which Google keeps for Partner Interconnect
            # (https://docs.cloud.google.com/network-connectivity/docs/router/concepts/overview#asns)
            if not (64512 <= asn <= 65534 or 4200000000 <= asn <= 4294967294 or asn == 16550):
                yield Fault(path, f"expected a private ASN, 64512 to 65534 or 4200000000 to 4294967294; got {asn}")
        yield from one_of(args, "bgp.advertiseMode", ("DEFAULT", "CUSTOM"))
        yield from between(args, "bgp.keepaliveInterval", 20, 60, "seconds")
        bgp = args.get("bgp") or {}
        if bgp.get("advertiseMode", "DEFAULT") == "DEFAULT":
            for key in ("advertisedGroups", "advertisedIpRanges"):
                if bgp.get(key):
                    yield Fault(f"bgp.{key}", "needs bgp.advertiseMode CUSTOM")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            network = resolve(cloud, IN_NETWORK, args["network"], project_of(args, cloud))
            link = network["selfLink"] if network else None
            have = [r for r in cloud.all(self.token, region=cloud.region) if r["network"] == link]
            check_count(cloud, "ROUTERS_PER_NETWORK", len(have), ROUTERS_PER_REGION, region=cloud.region)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        network = resolve(cloud, IN_NETWORK, args["network"], project_of(args, cloud))
        return {
            **self.common(id, args, cloud, old),
            "network": network["selfLink"] if network else args["network"],
        }


@GCP.kind
class RouterNat(ComputeKind):
    """A NAT gateway is a part of its router: https://docs.cloud.google.com/compute/docs/reference/rest/v1/routers

    Without addresses of its own it allocates them (AUTO_ONLY).
    """

    token = tokens.ROUTER_NAT
    collection = "nats"
    label = "nat"
    regional = True
    replace_on = ("name", "router", "initialNatIps", "endpointTypes", "type", "project")
    sets = ("natIps", "drainNatIps", "subnetworks", "rules")
    write_only = ("deletionPolicy", "initialNatIps")
    # A router takes its gateways with it (they are entries of it), so nothing here holds the router.
    uses = (
        Use("router", (tokens.ROUTER,), holds=False),
        Use("natIps[*]", (tokens.ADDRESS,), bare=True),
        Use("drainNatIps[*]", (tokens.ADDRESS,), bare=True),
        Use("subnetworks[*].name", (tokens.SUBNETWORK,)),
    )
    defaults: ClassVar[Mapping[str, Any]] = {
        "icmpIdleTimeoutSec": 30,
        "tcpEstablishedIdleTimeoutSec": 1200,
        "tcpTimeWaitTimeoutSec": 120,
        "tcpTransitoryIdleTimeoutSec": 30,
        "udpIdleTimeoutSec": 30,
        "type": "PUBLIC",
    }

    def faults(self, args: Args) -> Iterable[Fault]:
        if not args.is_unknown("name") and isinstance(args["name"], str) and len(args["name"]) < 2:
            yield Fault("name", "expected 2 to 63 characters")
        yield from one_of(args, "natIpAllocateOption", ("AUTO_ONLY", "MANUAL_ONLY"))
        yield from one_of(args, "sourceSubnetworkIpRangesToNat", (*_ALL, "LIST_OF_SUBNETWORKS"))
        yield from one_of(args, "type", ("PUBLIC", "PRIVATE"))
        yield from one_of(args, "logConfig.filter", ("ERRORS_ONLY", "TRANSLATIONS_ONLY", "ALL"))
        yield from one_of(args, "autoNetworkTier", ("PREMIUM", "STANDARD"))
        yield from conflicting(args, "initialNatIps", "natIps")
        listed = args.get("sourceSubnetworkIpRangesToNat") == "LIST_OF_SUBNETWORKS"
        if listed and args["subnetworks"] is None:
            yield Fault("subnetworks", "is required with LIST_OF_SUBNETWORKS")
        if args.get("sourceSubnetworkIpRangesToNat") in _ALL and args.get("subnetworks"):
            yield Fault("subnetworks", "is only for LIST_OF_SUBNETWORKS")
        yield from one_of(
            args,
            "subnetworks[*].sourceIpRangesToNats[*]",
            ("ALL_IP_RANGES", "PRIMARY_IP_RANGE", "LIST_OF_SECONDARY_IP_RANGES"),
        )
        yield from self._address_faults(args)
        yield from self._port_faults(args)

    @staticmethod
    def _address_faults(args: Args) -> Iterable[Fault]:
        option = args.get("natIpAllocateOption")
        if args.get("type", "PUBLIC") == "PUBLIC" and args["natIpAllocateOption"] is None:
            yield Fault("natIpAllocateOption", "is required: AUTO_ONLY or MANUAL_ONLY")
        if option == "MANUAL_ONLY" and args["natIps"] is None and args["initialNatIps"] is None:
            yield Fault("natIps", "is required with MANUAL_ONLY")
        if option == "AUTO_ONLY":
            for key in ("natIps", "drainNatIps", "initialNatIps"):
                if args.get(key):
                    yield Fault(key, "is only for natIpAllocateOption MANUAL_ONLY")

    @staticmethod
    def _port_faults(args: Args) -> Iterable[Fault]:
        """https://docs.cloud.google.com/nat/docs/ports-and-addresses"""
        yield from between(args, "minPortsPerVm", 2, 57344)
        yield from between(args, "maxPortsPerVm", 64, 65536)
        dynamic = args.get("enableDynamicPortAllocation", False)
        low, high = args.get("minPortsPerVm"), args.get("maxPortsPerVm")
        if dynamic:
            for key, ports in (("minPortsPerVm", low), ("maxPortsPerVm", high)):
                if ports is not None and (ports < 32 or ports & (ports - 1)):
                    yield Fault(key, f"has to be a power of two of at least 32 with dynamic allocation, got {ports}")
            if low is not None and high is not None and high <= low:
                yield Fault("maxPortsPerVm", f"has to be more than minPortsPerVm ({low}), got {high}")
            if args.get("enableEndpointIndependentMapping"):
                yield Fault("enableEndpointIndependentMapping", "does not go with enableDynamicPortAllocation")
        elif high is not None and not args.is_unknown("enableDynamicPortAllocation"):
            yield Fault("maxPortsPerVm", "needs enableDynamicPortAllocation")
        for key in (
            "udpIdleTimeoutSec", "icmpIdleTimeoutSec", "tcpTransitoryIdleTimeoutSec", "tcpEstablishedIdleTimeoutSec",
            "tcpTimeWaitTimeoutSec",
        ):  # fmt: skip
            yield from between(args, key, 1, 86400, "seconds")
        yield from matches(args, "rules[*].match", r"(?s).{1,2048}", "an expression of up to 2,048 characters")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        router = str(args["router"]).rsplit("/", 1)[-1]
        return f"{project_of(args, cloud)}/{cloud.region}/{router}/{args['name']}"

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        router = resolve(cloud, _ROUTER, args["router"], project_of(args, cloud))
        assert router is not None
        others = [n for n in gateways(router, cloud) if old is None or n.id != old.id]
        if old is None:
            check_count(cloud, "NAT_GATEWAYS_PER_ROUTER", len(others), GATEWAYS_PER_ROUTER, region=cloud.region)
        if old is None and args.get("drainNatIps"):
            raise invalid("drainNatIps", args["drainNatIps"], "A new NAT gateway has nothing to drain.")
        for other in self._same_network(router, cloud, others):
            covers = (args["sourceSubnetworkIpRangesToNat"], other["sourceSubnetworkIpRangesToNat"])
            if any(c in _ALL for c in covers) and args["type"] == other["type"]:
                raise CloudError(
                    "invalid",
                    f"The subnetworks of '{self.new_id(args, cloud)}' are already covered by the NAT gateway "
                    f"'{other.id}': a subnetwork's range may use one gateway only.",
                )

    def _same_network(self, router: Resource, cloud: Cloud, others: list[Resource]) -> list[Resource]:
        """The other gateways of the router's network in this region, on whatever router."""
        routers = [r for r in cloud.all(tokens.ROUTER, region=cloud.region) if r["network"] == router["network"]]
        known = {n.id for n in others}
        more = [n for r in routers if r.id != router.id for n in gateways(r, cloud) if n.id not in known]
        return [*others, *more]

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "project": project_of(args, cloud),
            "router": str(args["router"]).rsplit("/", 1)[-1],
            "endpointTypes": args.get("endpointTypes") or ["ENDPOINT_TYPE_VM"],
            "minPortsPerVm": args.get("minPortsPerVm") or (32 if args.get("enableDynamicPortAllocation") else 64),
            "enableDynamicPortAllocation": bool(args.get("enableDynamicPortAllocation", False)),
            "enableEndpointIndependentMapping": bool(args.get("enableEndpointIndependentMapping", False)),
            "autoNetworkTier": args.get("autoNetworkTier") or "PREMIUM",
        }


def gateways(router: Resource, cloud: Cloud) -> list[Resource]:
    """The NAT gateways of a router."""
    name, project = router["name"], router["project"]
    return [
        n for n in cloud.all(tokens.ROUTER_NAT, region=router.region) if n["router"] == name and n["project"] == project
    ]
