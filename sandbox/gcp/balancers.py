"""Regional backend services and forwarding rules: the external passthrough balancer, and what else they may be.

https://docs.cloud.google.com/load-balancing/docs/network/networklb-backend-service
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
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
    not_found,
    number,
    project_of,
    resolve,
)
from sandbox.gcp.network import IN_NETWORK
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.public import next_address
from sandbox.rules import between, conflicting, exactly_one, length, one_of, shown

# https://docs.cloud.google.com/load-balancing/docs/quotas
BACKEND_SERVICES: Final = 75
FORWARDING_RULES: Final = 75
BACKENDS_MAX: Final = 50
PORTS_MAX: Final = 5
PASSTHROUGH: Final = ("EXTERNAL", "INTERNAL")
_MANAGED: Final = ("EXTERNAL_MANAGED", "INTERNAL_MANAGED")
_PROTOCOLS: Final = ("HTTP", "HTTPS", "HTTP2", "TCP", "SSL", "UDP", "GRPC", "UNSPECIFIED", "H2C")
_AFFINITIES: Final = (
    "NONE", "CLIENT_IP", "CLIENT_IP_PORT_PROTO", "CLIENT_IP_PROTO", "GENERATED_COOKIE", "HEADER_FIELD", "HTTP_COOKIE",
    "CLIENT_IP_NO_DESTINATION", "STRONG_COOKIE_AFFINITY",
)  # fmt: skip
_PASSTHROUGH_AFFINITIES: Final = (
    "NONE", "CLIENT_IP", "CLIENT_IP_PROTO", "CLIENT_IP_PORT_PROTO", "CLIENT_IP_NO_DESTINATION",
)  # fmt: skip
_ONLY_MANAGED: Final = (
    "maxRate", "maxRatePerInstance", "maxRatePerEndpoint", "maxUtilization", "capacityScaler", "maxConnections",
    "maxConnectionsPerInstance", "maxConnectionsPerEndpoint",
)  # fmt: skip
"""Of a backend (backendServiceOnlyManagedFieldNames in https://github.com/hashicorp/terraform-provider-google-beta/
blob/main/google-beta/services/compute/resource_compute_region_backend_service.go, and the API's own)."""
_PROXY_ONLY: Final = (
    "enableCdn", "cdnPolicy", "circuitBreakers", "consistentHash", "outlierDetection", "iap", "portName",
    "affinityCookieTtlSec", "securityPolicy", "strongSessionAffinityCookie", "customMetrics", "tlsSettings",
)  # fmt: skip
OF_GROUP: Final = Use("backends[*].group", (tokens.GROUP,), collection="instanceGroups", bare=False, by_name=False)
OF_SERVICE: Final = Use("backendService", (tokens.REGION_BACKEND_SERVICE,))
OF_CHECK: Final = Use("healthChecks", (tokens.REGION_HEALTH_CHECK, tokens.HEALTH_CHECK), bare=False, by_name=False)


@GCP.kind
class RegionBackendService(ComputeKind):
    """https://docs.cloud.google.com/compute/docs/reference/rest/v1/regionBackendServices"""

    token = tokens.REGION_BACKEND_SERVICE
    collection = "backendServices"
    label = "backend_service"
    regional = True
    replace_on = ("name", "loadBalancingScheme", "network", "params", "haPolicy.fastIpMove", "project")
    sets = ("backends",)
    uses = (IN_NETWORK, OF_GROUP, OF_CHECK)
    write_only = ("deletionPolicy",)
    defaults: ClassVar[Mapping[str, Any]] = {"connectionDrainingTimeoutSec": 300, "loadBalancingScheme": "INTERNAL"}
    changes_on_update = ("fingerprint",)

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from one_of(args, "loadBalancingScheme", (*PASSTHROUGH, *_MANAGED, "INTERNAL_SELF_MANAGED"))
        yield from one_of(args, "protocol", _PROTOCOLS)
        yield from one_of(args, "sessionAffinity", _AFFINITIES)
        yield from between(args, "connectionDrainingTimeoutSec", 0, 3600, "seconds")
        yield from between(args, "timeoutSec", 1, 2**31 - 1, "seconds")
        yield from length(args, "backends", 0, BACKENDS_MAX)
        yield from one_of(
            args, "backends[*].balancingMode", ("UTILIZATION", "RATE", "CONNECTION", "CUSTOM_METRICS", "IN_FLIGHT")
        )
        yield from self._tracking_faults(args)
        yield from self._failover_faults(args)
        groups = [b.get("group") for b in args.get("backends") or []]
        if len(set(groups)) != len(groups):
            yield Fault("backends", "names a group twice")
        if args["haPolicy"] is None and args["healthChecks"] is None:
            yield Fault("healthChecks", "is required: the self link of one health check")
        if not args.is_unknown("loadBalancingScheme") and args.get("loadBalancingScheme", "INTERNAL") in PASSTHROUGH:
            yield from self._passthrough_faults(args)

    @staticmethod
    def _tracking_faults(args: Args) -> Iterator[Fault]:
        at = "connectionTrackingPolicy"
        yield from one_of(args, f"{at}.trackingMode", ("PER_CONNECTION", "PER_SESSION"))
        yield from one_of(
            args,
            f"{at}.connectionPersistenceOnUnhealthyBackends",
            ("DEFAULT_FOR_PROTOCOL", "NEVER_PERSIST", "ALWAYS_PERSIST"),
        )
        yield from between(args, f"{at}.idleTimeoutSec", 60, 57600, "seconds")
        policy = args.get(at) or {}
        affinity = args.get("sessionAffinity", "NONE")
        if policy.get("trackingMode") == "PER_SESSION" and affinity in ("NONE", "CLIENT_IP_PORT_PROTO"):
            yield Fault(f"{at}.trackingMode", f"PER_SESSION does not go with sessionAffinity {affinity}")
        persists = policy.get("connectionPersistenceOnUnhealthyBackends") == "ALWAYS_PERSIST"
        if persists and policy.get("trackingMode") == "PER_SESSION":
            yield Fault(f"{at}.connectionPersistenceOnUnhealthyBackends", "ALWAYS_PERSIST needs PER_CONNECTION")
        if "idleTimeoutSec" in policy and args.get("loadBalancingScheme", "INTERNAL") == "EXTERNAL":
            only = policy.get("trackingMode") == "PER_SESSION" or policy.get("enableStrongAffinity")
            if policy["idleTimeoutSec"] is not None and not only and policy["idleTimeoutSec"] != 60:
                yield Fault(f"{at}.idleTimeoutSec", "is 60 for external passthrough balancers and cannot be changed")

    @staticmethod
    def _failover_faults(args: Args) -> Iterator[Fault]:
        """https://docs.cloud.google.com/load-balancing/docs/network/networklb-failover-overview"""
        policy = args.get("failoverPolicy")
        if policy is not None:
            yield from between(args, "failoverPolicy.failoverRatio", 0, 1)
            if not any(value is not None for value in policy.values()):
                yield Fault("failoverPolicy", "expected a property of the policy, got nothing")
            if args.get("loadBalancingScheme", "INTERNAL") not in PASSTHROUGH:
                yield Fault("failoverPolicy", "is only for passthrough balancers (EXTERNAL, INTERNAL)")
        yield from conflicting(args, "haPolicy", "failoverPolicy")
        yield from conflicting(args, "haPolicy", "healthChecks")
        backends = args.get("backends") or []
        if backends and all(b.get("failover") for b in backends):
            yield Fault("backends", "expected at least one primary backend, every one has failover true")

    @staticmethod
    def _passthrough_faults(args: Args) -> Iterator[Fault]:
        """Packets pass as they are: no HTTP, no rates, and backends are counted by connections
        (https://docs.cloud.google.com/load-balancing/docs/backend-service#balancing-mode)."""
        scheme = args.get("loadBalancingScheme", "INTERNAL")
        protocol = args.get("protocol")
        if protocol is not None and protocol not in ("TCP", "UDP", "UNSPECIFIED"):
            yield Fault(
                "protocol", f"expected TCP, UDP or UNSPECIFIED with loadBalancingScheme {scheme}; got {protocol}"
            )
        for i, backend in enumerate(args.get("backends") or []):
            mode = backend.get("balancingMode")
            if mode != "CONNECTION":
                got = mode or "nothing, which is UTILIZATION"
                yield Fault(f"backends[{i}].balancingMode", f"expected CONNECTION with {scheme}; got {got}")
            for key in _ONLY_MANAGED:
                if backend.get(key) is not None:
                    yield Fault(f"backends[{i}].{key}", f"is not for balancers with loadBalancingScheme {scheme}")
        for key in _PROXY_ONLY:
            if args.get(key):
                yield Fault(key, f"is not for balancers with loadBalancingScheme {scheme}")
        affinity = args.get("sessionAffinity")
        if affinity is not None and affinity not in _PASSTHROUGH_AFFINITIES:
            yield Fault("sessionAffinity", f"expected one of {', '.join(_PASSTHROUGH_AFFINITIES)}; got {affinity}")
        policy = args.get("localityLbPolicy")
        if policy is not None and (scheme != "EXTERNAL" or policy not in ("MAGLEV", "WEIGHTED_MAGLEV")):
            yield Fault("localityLbPolicy", f"expected MAGLEV or WEIGHTED_MAGLEV of EXTERNAL ones only; got {policy}")
        if "network" in args and scheme == "EXTERNAL":
            yield Fault("network", "is only for loadBalancingScheme INTERNAL")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            check_count(
                cloud, "BACKEND_SERVICES", len(cloud.all(self.token, region=cloud.region)), BACKEND_SERVICES,
                region=cloud.region,
            )  # fmt: skip
        check = resolve(cloud, OF_CHECK, args["healthChecks"], project_of(args, cloud))
        scheme = args["loadBalancingScheme"]
        if check is not None and check.token == tokens.HEALTH_CHECK and scheme in ("EXTERNAL", *_MANAGED):
            why = f"A global health check is not allowed with loadBalancingScheme {scheme}: it has to be regional."
            raise invalid("healthChecks[0]", args["healthChecks"], why)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        passthrough = args["loadBalancingScheme"] in PASSTHROUGH
        return {
            **self.common(id, args, cloud, old),
            "fingerprint": fingerprint(),
            "generatedId": int(kept(old, "generatedId", 0) or number()[:15]),
            "protocol": args.get("protocol") or ("TCP" if passthrough else "HTTP"),
            "portName": args.get("portName") or ("" if passthrough else "http"),
            "sessionAffinity": args.get("sessionAffinity") or "NONE",
            "timeoutSec": args.get("timeoutSec") or 30,
            "logConfig": args["logConfig"] or {"enable": False},
        }


@GCP.kind
class ForwardingRule(ComputeKind):
    """https://docs.cloud.google.com/compute/docs/reference/rest/v1/forwardingRules"""

    token = tokens.FORWARDING_RULE
    collection = "forwardingRules"
    label = "forwarding_rule"
    regional = True
    replace_on = (
        "name", "ipAddress", "ipProtocol", "allPorts", "backendService", "description", "ipCollection", "ipVersion",
        "isMirroringCollector", "loadBalancingScheme", "network", "networkTier", "noAutomateDnsZone", "portRange",
        "ports", "serviceDirectoryRegistrations", "serviceLabel", "sourceIpRanges", "subnetwork", "project",
    )  # fmt: skip
    sets = ("ports",)
    uses = (OF_SERVICE, IN_NETWORK, Use("subnetwork", (tokens.SUBNETWORK,)))
    write_only = ("deletionPolicy", "recreateClosedPsc")
    defaults: ClassVar[Mapping[str, Any]] = {"loadBalancingScheme": "EXTERNAL", "recreateClosedPsc": False}
    changes_on_update = ("labelFingerprint",)

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from label_faults(args)
        yield from one_of(args, "loadBalancingScheme", (*PASSTHROUGH, *_MANAGED, ""))
        yield from one_of(args, "ipProtocol", ("TCP", "UDP", "ESP", "AH", "SCTP", "ICMP", "L3_DEFAULT"))
        yield from one_of(args, "networkTier", ("PREMIUM", "STANDARD"))
        yield from one_of(args, "ipVersion", ("IPV4", "IPV6"))
        yield from exactly_one(args, "backendService", "target")
        yield from self._port_faults(args)
        scheme = args.get("loadBalancingScheme", "EXTERNAL")
        if args.is_unknown("loadBalancingScheme"):
            return
        if scheme in ("INTERNAL", "INTERNAL_MANAGED") and "networkTier" in args:
            yield Fault("networkTier", f"is not for loadBalancingScheme {scheme}")
        if scheme == "EXTERNAL":
            for key in ("network", "allowGlobalAccess", "serviceLabel"):
                if args.get(key):
                    yield Fault(key, "is not for loadBalancingScheme EXTERNAL")
        if args.get("sourceIpRanges") and scheme != "EXTERNAL":
            yield Fault("sourceIpRanges", "is only for loadBalancingScheme EXTERNAL")
        if args.get("ipProtocol") == "L3_DEFAULT" and not args.get("allPorts") and not args.is_unknown("allPorts"):
            yield Fault("allPorts", "has to be true with ipProtocol L3_DEFAULT")

    @staticmethod
    def _port_faults(args: Args) -> Iterator[Fault]:
        """One of ports (up to five), portRange (contiguous) and allPorts."""
        yield from conflicting(args, "allPorts", "ports", "portRange")
        yield from length(args, "ports", 1, PORTS_MAX)
        if args["backendService"] is not None and all(args[k] is None for k in ("ports", "portRange", "allPorts")):
            yield Fault("ports", "one of ports, portRange and allPorts must be set")
        for path, port in args.at("ports[*]"):
            if not isinstance(port, str) or not port.isdigit() or not 1 <= int(port) <= 65535:
                yield Fault(path, f"expected a port from 1 to 65535, got {shown(port)}")
        for path, text in args.at("portRange"):
            match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", str(text))
            low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
            if not 1 <= low <= high <= 65535:
                yield Fault(path, f"expected a port or a range such as 443 or 8000-8080, got {shown(text)}")

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """`443` is `443-443` (PortRangeDiffSuppress), and an address by its link is one by its name."""
        inputs = super().comparable(inputs)
        inputs = links.rewrite(inputs, "ipAddress", lambda text: links.name_of(text) if "/addresses/" in text else text)
        return links.rewrite(inputs, "portRange", lambda text: text if "-" in text else f"{text}-{text}")

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if old is None:
            check_count(
                cloud, "FORWARDING_RULES", len(cloud.all(self.token, region=cloud.region)), FORWARDING_RULES,
                region=cloud.region,
            )  # fmt: skip
        scheme = args["loadBalancingScheme"]
        service = resolve(cloud, OF_SERVICE, args["backendService"], project_of(args, cloud))
        if service is not None:
            if service["loadBalancingScheme"] != scheme:
                why = f"Its loadBalancingScheme is {service['loadBalancingScheme']}, the forwarding rule's {scheme}."
                raise invalid("backendService", args["backendService"], why)
            protocol = args.get("ipProtocol") or "TCP"
            theirs = service["protocol"]
            if (protocol == "L3_DEFAULT") != (theirs == "UNSPECIFIED") or protocol not in (theirs, "L3_DEFAULT"):
                why = f"The backend service's protocol is {theirs}, the forwarding rule's {protocol}."
                raise invalid("IPProtocol", protocol, why)
        self._check_address(args, cloud, old)

    def _check_address(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        """A reserved address of the same region, type and tier, whose ports nobody else has."""
        wanted = args.get("ipAddress")
        if not wanted:
            return
        address = address_of(cloud, str(wanted), project_of(args, cloud))
        if address is None:
            if not _is_ip(str(wanted)):
                raise not_found(links.relative(str(wanted)))
            if args["loadBalancingScheme"] == "EXTERNAL":
                why = "Specified IP address does not belong to the project in this region: reserve it first."
                raise invalid("IPAddress", wanted, why)
            return
        if address.region != cloud.region:
            raise invalid("IPAddress", wanted, f"The address is in {address.region}, not in {cloud.region}.")
        internal = args["loadBalancingScheme"] in ("INTERNAL", "INTERNAL_MANAGED")
        if (address["addressType"] == "INTERNAL") != internal:
            why = f"The address is {address['addressType']}, the loadBalancingScheme {args['loadBalancingScheme']}."
            raise invalid("IPAddress", wanted, why)
        tier = args.get("networkTier") or "PREMIUM"
        if not internal and address["networkTier"] != tier:
            why = f"The network tier of the address is {address['networkTier']}, that of the forwarding rule {tier}."
            raise CloudError("badRequest", f"{why} They have to be the same.")
        for other in cloud.all(self.token, region=cloud.region):
            if other["ipAddress"] != address["address"] or (old is not None and other.id == old.id):
                continue
            if _protocol(args.values) == _protocol(other.outputs) and _ports(args.values) & _ports(other.outputs):
                raise CloudError(
                    "invalid",
                    f"Invalid value for field 'resource.IPAddress': '{address['address']}'. Specified IP address is "
                    f"in-use and would result in a conflict with '{other.id}'.",
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        project = project_of(args, cloud)
        service = resolve(cloud, OF_SERVICE, args["backendService"], project)
        address = address_of(cloud, str(args.get("ipAddress") or ""), project)
        external = args["loadBalancingScheme"] in ("EXTERNAL", "EXTERNAL_MANAGED")
        given = address["address"] if address else args.get("ipAddress")
        port = args.get("portRange")
        return {
            **self.common(id, args, cloud, old),
            **label_outputs(args, attributed=False),
            "ipAddress": given or kept(old, "ipAddress", "") or next_address(cloud, "gcp"),
            "backendService": service["selfLink"] if service else "",
            "ipProtocol": args.get("ipProtocol") or "TCP",
            "networkTier": args.get("networkTier") or ("PREMIUM" if external else ""),
            "portRange": f"{port}-{port}" if port and "-" not in str(port) else port or "",
            "forwardingRuleId": int(kept(old, "forwardingRuleId", 0) or number()[:15]),
            "labelFingerprint": fingerprint(),
            "ipVersion": args.get("ipVersion") or "IPV4",
            "baseForwardingRule": "",
            "serviceName": "",
        }

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        """An address tells who uses it."""
        self._mark(resource, cloud, add=True)

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        super().after_delete(resource, cloud)
        if resource.inputs.get("deletionPolicy") != "ABANDON":
            self._mark(resource, cloud, add=False)

    @staticmethod
    def _mark(resource: Resource, cloud: Cloud, *, add: bool) -> None:
        for address in cloud.all(tokens.ADDRESS, region=resource.region):
            if address["address"] == resource["ipAddress"]:
                others = [user for user in address["users"] or [] if user != resource["selfLink"]]
                address.outputs["users"] = [*others, resource["selfLink"]] if add else others
                cloud.put(address)


def address_of(cloud: Cloud, wanted: str, project: str) -> Resource | None:
    """The reserved address that a rule means: by number, by link or by name."""
    if not wanted:
        return None
    if _is_ip(wanted):
        return next((a for a in cloud.all(tokens.ADDRESS) if a["address"] == wanted), None)
    relative = links.relative(wanted)
    if "/" not in relative:
        relative = f"projects/{project}/regions/{cloud.region}/addresses/{relative}"
    elif relative.startswith("regions/"):
        relative = f"projects/{project}/{relative}"
    return next((a for a in cloud.all(tokens.ADDRESS) if a.id == relative), None)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text.split("/")[0])
    except ValueError:
        return False
    return True


def _protocol(values: Mapping[str, Any]) -> str:
    return str(values.get("ipProtocol") or "TCP")


def _ports(values: Mapping[str, Any]) -> set[int]:
    """The ports of a rule; all of them as one set."""
    if values.get("allPorts"):
        return set(range(1, 65536))
    found = {int(port) for port in values.get("ports") or [] if str(port).isdigit()}
    low, _, high = str(values.get("portRange") or "").partition("-")
    if low.isdigit():
        found |= set(range(int(low), int(high or low) + 1))
    return found
