"""Networks and subnetworks. Routers and their NAT are in routers.py."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.gcp import links, tokens
from sandbox.gcp.api import (
    NAME,
    NAME_WORDS,
    ComputeKind,
    Use,
    check_count,
    fingerprint,
    invalid,
    kept,
    number,
    project_of,
    resolve,
)
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, matches, one_of, shown

# https://docs.cloud.google.com/vpc/docs/quota
NETWORKS: Final = 15
SUBNETWORKS: Final = 275
SECONDARY_RANGES_MAX: Final = 170
IN_NETWORK: Final = Use("network", (tokens.NETWORK,))
_AUTO_RANGE: Final = ipaddress.IPv4Network("10.128.0.0/9")
"""What networks with automatic subnetworks take (https://docs.cloud.google.com/vpc/docs/subnets#ip-ranges)."""
# https://docs.cloud.google.com/vpc/docs/subnets#prohibited-ranges
_PROHIBITED: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
                 "199.36.153.4/30", "199.36.153.8/30")
)  # fmt: skip
_PURPOSES: Final = (
    "PRIVATE", "REGIONAL_MANAGED_PROXY", "GLOBAL_MANAGED_PROXY", "PRIVATE_SERVICE_CONNECT", "PEER_MIGRATION",
    "PRIVATE_NAT",
)  # fmt: skip
_PROXY: Final = ("REGIONAL_MANAGED_PROXY", "GLOBAL_MANAGED_PROXY", "INTERNAL_HTTPS_LOAD_BALANCER")


@GCP.kind
class Network(ComputeKind):
    """https://docs.cloud.google.com/compute/docs/reference/rest/v1/networks"""

    token = tokens.NETWORK
    collection = "networks"
    label = "network"
    # ForceNew in https://github.com/hashicorp/terraform-provider-google-beta/blob/main/google-beta/services/compute/
    # resource_compute_network.go; so for all types, each in its own file there.
    replace_on = (
        "name", "autoCreateSubnetworks", "description", "internalIpv6Range", "networkProfile", "params", "project",
    )  # fmt: skip
    defaults: ClassVar[Mapping[str, Any]] = {
        "autoCreateSubnetworks": True,
        "deleteDefaultRoutesOnCreate": False,
        "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL",
        "deleteBgpAlwaysCompareMed": False,
    }
    write_only = ("deleteDefaultRoutesOnCreate", "deletionPolicy")

    def faults(self, args: Args) -> Iterable[Fault]:
        # https://docs.cloud.google.com/vpc/docs/mtu
        yield from between(args, "mtu", 1300, 8896, "bytes")
        yield from one_of(args, "routingMode", ("REGIONAL", "GLOBAL"))
        yield from one_of(
            args, "networkFirewallPolicyEnforcementOrder", ("BEFORE_CLASSIC_FIREWALL", "AFTER_CLASSIC_FIREWALL")
        )
        yield from one_of(args, "bgpBestPathSelectionMode", ("LEGACY", "STANDARD"))
        if args.get("bgpBestPathSelectionMode") != "STANDARD":
            for key in ("bgpAlwaysCompareMed", "bgpInterRegionCost"):
                if key in args and not args.is_unknown("bgpBestPathSelectionMode"):
                    yield Fault(key, "needs bgpBestPathSelectionMode STANDARD")
        if "internalIpv6Range" in args and args.get("enableUlaInternalIpv6", False) is False:
            yield Fault("internalIpv6Range", "needs enableUlaInternalIpv6")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            check_count(cloud, "NETWORKS", len(cloud.all(self.token)), NETWORKS)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        numeric = kept(old, "numericId", number())
        return {
            "project": project_of(args, cloud),
            "selfLink": links.self_link(id),
            "networkId": numeric,
            "numericId": numeric,
            "gatewayIpv4": "",
            "mtu": args.get("mtu") or 1460,
            "routingMode": args.get("routingMode") or "REGIONAL",
            "bgpBestPathSelectionMode": args.get("bgpBestPathSelectionMode") or "LEGACY",
        }


@GCP.kind
class Subnetwork(ComputeKind):
    """https://docs.cloud.google.com/compute/docs/reference/rest/v1/subnetworks"""

    token = tokens.SUBNETWORK
    collection = "subnetworks"
    label = "subnetwork"
    regional = True
    replace_on = (
        "name", "network", "description", "externalIpv6Prefix", "internalIpv6Prefix", "params",
        "reservedInternalRange", "resolveSubnetMask", "project",
    )  # fmt: skip
    uses = (IN_NETWORK,)
    write_only = ("deletionPolicy", "sendSecondaryIpRangeIfEmpty")
    changes_on_update = ("fingerprint",)

    def faults(self, args: Args) -> Iterable[Fault]:
        if args["ipCidrRange"] is None and args["ipCollection"] is None and args["reservedInternalRange"] is None:
            yield Fault("ipCidrRange", "is required: an IPv4 network such as 10.16.0.0/20")
        for path, text in args.at("ipCidrRange"):
            yield from _range_faults(path, text)
        for path, text in args.at("secondaryIpRanges[*].ipCidrRange"):
            yield from _range_faults(path, text)
        yield from matches(args, "secondaryIpRanges[*].rangeName", NAME, NAME_WORDS)
        ranges = args.get("secondaryIpRanges") or []
        if len(ranges) > SECONDARY_RANGES_MAX:
            yield Fault("secondaryIpRanges", f"expected at most {SECONDARY_RANGES_MAX} ranges, got {len(ranges)}")
        names = [entry["rangeName"] for entry in ranges]
        if len(set(names)) != len(names):
            yield Fault("secondaryIpRanges", "range names must differ from each other")
        yield from one_of(args, "purpose", _PURPOSES)
        yield from one_of(args, "role", ("ACTIVE", "BACKUP"))
        yield from one_of(args, "stackType", ("IPV4_ONLY", "IPV4_IPV6", "IPV6_ONLY"))
        yield from one_of(args, "ipv6AccessType", ("EXTERNAL", "INTERNAL"))
        if args.get("purpose") in _PROXY:
            for key in ("privateIpGoogleAccess", "logConfig"):
                if args.get(key):
                    yield Fault(key, f"is not for subnetworks with purpose {args.get('purpose')}")
        elif "role" in args and not args.is_unknown("purpose"):
            yield Fault("role", "is only for subnetworks of managed proxies")
        yield from self._log_faults(args)

    @staticmethod
    def _log_faults(args: Args) -> Iterator[Fault]:
        yield from one_of(
            args, "logConfig.aggregationInterval",
            ("INTERVAL_5_SEC", "INTERVAL_30_SEC", "INTERVAL_1_MIN", "INTERVAL_5_MIN", "INTERVAL_10_MIN",
             "INTERVAL_15_MIN"),
        )  # fmt: skip
        yield from between(args, "logConfig.flowSampling", 0, 1)
        yield from one_of(
            args, "logConfig.metadata", ("EXCLUDE_ALL_METADATA", "INCLUDE_ALL_METADATA", "CUSTOM_METADATA")
        )

    def replace_when(self, old: Args, new: Args) -> Iterable[str]:
        """A range may grow in place; any other change makes a new subnetwork (IsShrinkageIpCidr in the provider)."""
        before, after = old.get("ipCidrRange"), new.get("ipCidrRange")
        if before and after and before != after:
            try:
                grows = ipaddress.IPv4Network(before).subnet_of(ipaddress.IPv4Network(after))
            except ValueError:
                return ()
            return () if grows else ("ipCidrRange",)
        return ()

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        network = resolve(cloud, IN_NETWORK, args["network"], project_of(args, cloud))
        assert network is not None
        if old is None:
            check_count(cloud, "SUBNETWORKS", len(cloud.all(self.token)), SUBNETWORKS)
        taken = [
            (subnet, text)
            for subnet in cloud.all(self.token)
            if subnet["network"] == network["selfLink"] and (old is None or subnet.id != old.id)
            for text in subnet_ranges(subnet)
        ]
        wanted = [text for _, text in args.at("ipCidrRange")]
        wanted += [text for _, text in args.at("secondaryIpRanges[*].ipCidrRange")]
        for index, text in enumerate(wanted):
            range_ = ipaddress.IPv4Network(text)
            for subnet, other in taken:
                if range_.overlaps(ipaddress.IPv4Network(other)):
                    why = f"Range conflicts with existing IP range of subnetwork '{subnet.id}' ({other})."
                    raise CloudError("invalidResourceUsage", f"Invalid IPCidrRange: {text} conflicts. {why}")
            for other in wanted[:index]:
                if range_.overlaps(ipaddress.IPv4Network(other)):
                    raise CloudError("invalid", f"Invalid IPCidrRange: {text} conflicts with {other} of the same one.")
            if network["autoCreateSubnetworks"] and range_.overlaps(_AUTO_RANGE):
                raise invalid("ipCidrRange", text, "Auto mode networks keep 10.128.0.0/9 for themselves.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        network = resolve(cloud, IN_NETWORK, args["network"], project_of(args, cloud))
        text = args.get("ipCidrRange")
        return {
            **self.common(id, args, cloud, old),
            "network": network["selfLink"] if network else args["network"],
            "subnetworkId": int(kept(old, "subnetworkId", 0) or number()[:15]),
            "gatewayAddress": str(ipaddress.IPv4Network(text)[1]) if text else "",
            "fingerprint": fingerprint(),
            "purpose": args.get("purpose") or "PRIVATE",
            "stackType": args.get("stackType") or "IPV4_ONLY",
            "privateIpGoogleAccess": bool(args.get("privateIpGoogleAccess", False)),
            "privateIpv6GoogleAccess": args.get("privateIpv6GoogleAccess") or "DISABLE_GOOGLE_ACCESS",
            "state": "",
        }


def subnet_ranges(subnet: Resource) -> list[str]:
    """The primary and the secondary ranges of a subnetwork."""
    secondary = [entry.get("ipCidrRange") for entry in subnet["secondaryIpRanges"] or []]
    return [text for text in (subnet["ipCidrRange"], *secondary) if text]


def _range_faults(path: str, text: Any) -> Iterator[Fault]:
    """IPv4 ranges of /4 to /29, outside what is prohibited (https://docs.cloud.google.com/vpc/docs/subnets)."""
    try:
        network = ipaddress.IPv4Network(text)
    except (ValueError, TypeError) as error:
        yield Fault(path, f"expected an IPv4 network such as 10.16.0.0/20, got {shown(text)} ({error})")
        return
    if not 4 <= network.prefixlen <= 29:
        yield Fault(path, f"expected a prefix of /4 to /29, got {text}")
    for other in _PROHIBITED:
        if network.overlaps(other):
            yield Fault(path, f"overlaps {other}, which no subnetwork may use; got {text}")
