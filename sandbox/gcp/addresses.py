"""Static addresses of a region."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox.gcp import links, tokens
from sandbox.gcp.api import (
    ComputeKind,
    Use,
    check_count,
    fingerprint,
    invalid,
    kept,
    label_faults,
    label_outputs,
    number,
    project_of,
    resolve,
)
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.public import next_address
from sandbox.rules import one_of

# https://docs.cloud.google.com/vpc/docs/quota; new projects start with 8
STATIC_ADDRESSES: Final = 8
_INTERNAL_PURPOSES: Final = (
    "GCE_ENDPOINT", "DNS_RESOLVER", "VPC_PEERING", "SHARED_LOADBALANCER_VIP", "IPSEC_INTERCONNECT",
    "PRIVATE_SERVICE_CONNECT",
)  # fmt: skip
IN_SUBNETWORK: Final = Use("subnetwork", (tokens.SUBNETWORK,))


@GCP.kind
class Address(ComputeKind):
    """https://docs.cloud.google.com/compute/docs/reference/rest/v1/addresses

    A regional external address serves a forwarding rule or an instance of the same region and network tier.
    """

    token = tokens.ADDRESS
    collection = "addresses"
    label = "address"
    regional = True
    replace_on = (
        "name", "address", "addressType", "description", "ipCollection", "ipVersion", "ipv6EndpointType", "network",
        "networkTier", "prefixLength", "purpose", "subnetwork", "project",
    )  # fmt: skip
    uses = (IN_SUBNETWORK, Use("network", (tokens.NETWORK,)))
    defaults: ClassVar[Mapping[str, Any]] = {"addressType": "EXTERNAL"}
    write_only = ("deletionPolicy",)
    changes_on_update = ("labelFingerprint",)

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from label_faults(args)
        yield from one_of(args, "addressType", ("EXTERNAL", "INTERNAL"))
        yield from one_of(args, "networkTier", ("PREMIUM", "STANDARD"))
        yield from one_of(args, "ipVersion", ("IPV4", "IPV6"))
        yield from one_of(args, "ipv6EndpointType", ("VM", "NETLB"))
        yield from one_of(args, "purpose", _INTERNAL_PURPOSES)
        internal = args.get("addressType", "EXTERNAL") == "INTERNAL"
        if args.is_unknown("addressType"):
            return
        if internal and "networkTier" in args:
            yield Fault("networkTier", "is only for addresses of type EXTERNAL")
        if not internal:
            for key in ("purpose", "network"):
                if key in args and args.get("ipVersion") != "IPV6":
                    yield Fault(key, "is only for addresses of type INTERNAL")
            if "subnetwork" in args and args.get("ipVersion") != "IPV6":
                yield Fault("subnetwork", "is only for addresses of type INTERNAL, or IPv6 ones")
            if "address" in args and args.get("ipVersion") != "IPV6":
                yield Fault("address", "an external address cannot be chosen: the API gives one out")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None and args["addressType"] == "EXTERNAL":
            have = [a for a in cloud.all(self.token, region=cloud.region) if a["addressType"] == "EXTERNAL"]
            check_count(cloud, "STATIC_ADDRESSES", len(have), STATIC_ADDRESSES, region=cloud.region)
        subnet = resolve(cloud, IN_SUBNETWORK, args["subnetwork"], project_of(args, cloud))
        wanted = args.get("address")
        if subnet is not None and wanted and ":" not in wanted:
            inside = ipaddress.IPv4Network(subnet["ipCidrRange"])
            if ipaddress.IPv4Address(wanted) not in inside:
                raise invalid("address", wanted, f"The address is not in the subnetwork's range {inside}.")

    def check_delete(self, resource: Resource, cloud: Cloud) -> None:
        """A forwarding rule holds its address, which it may name by its number."""
        for user in resource["users"] or []:
            raise CloudError(
                "resourceInUseByAnotherResource",
                f"The address resource '{resource.id}' is already being used by '{links.relative(user)}'",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        internal = args["addressType"] == "INTERNAL"
        address = kept(old, "address", "") or args.get("address") or self._next(args, cloud, internal)
        return {
            **self.common(id, args, cloud, old),
            **label_outputs(args),
            "address": address,
            "addressId": int(kept(old, "addressId", 0) or number()[:15]),
            "labelFingerprint": fingerprint(),
            "networkTier": args.get("networkTier") or "PREMIUM",
            "purpose": args.get("purpose") or ("GCE_ENDPOINT" if internal else ""),
            "prefixLength": args.get("prefixLength") or 0,
            "users": list(old["users"] or []) if old else [],
        }

    def _next(self, args: Args, cloud: Cloud, internal: bool) -> str:
        if not internal:
            return next_address(cloud, "gcp")
        subnet = resolve(cloud, IN_SUBNETWORK, args["subnetwork"], project_of(args, cloud))
        range_ = ipaddress.IPv4Network(subnet["ipCidrRange"] if subnet else "10.128.0.0/20")
        return str(range_[2 + cloud.sequence(f"internal-address:{range_}")])
