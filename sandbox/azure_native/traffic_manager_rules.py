"""Value rules of Traffic Manager profiles and endpoints. Pure.

Sources, by the name used below:
monitoring: https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring
faqs: https://learn.microsoft.com/azure/traffic-manager/traffic-manager-faqs
methods: https://learn.microsoft.com/azure/traffic-manager/traffic-manager-routing-methods
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any, Final, Literal

from sandbox import rules
from sandbox.azure_native import arm, places
from sandbox.kinds import Args, Fault
from sandbox.rules import shown
from sandbox.values import UNKNOWN

PROFILE_TYPE: Final = "Microsoft.Network/trafficManagerProfiles"
DNS_SUFFIX: Final = "trafficmanager.net"
METHODS: Final = ("Performance", "Priority", "Weighted", "Geographic", "MultiValue", "Subnet")
SWITCH: Final = ("Enabled", "Disabled")
EndpointType = Literal["AzureEndpoints", "ExternalEndpoints", "NestedEndpoints"]
ENDPOINT_TYPES: Final[tuple[EndpointType, ...]] = ("AzureEndpoints", "ExternalEndpoints", "NestedEndpoints")
HEADERS_MAX: Final = 8  # monitoring, custom header settings
STATUS_RANGES_MAX: Final = 8  # monitoring, expected status code ranges
MAX_RETURN: Final = 10  # faqs, MultiValue
TTL_MAX: Final = 2**31 - 1  # faqs, how high or low can I set the TTL

_NAME: Final = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?"
"""https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftnetwork"""
_ENDPOINT_NAME: Final = r"[^<>*%&:\\?+/]{1,260}(?<![. ])"
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})+")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2: a token
_GEOGRAPHY: Final = re.compile(r"WORLD|GEO-[A-Z]{2,3}|[A-Z]{2}(-[A-Z0-9]{2,3})?")
"""World, regional grouping, country, state: https://learn.microsoft.com/azure/traffic-manager/traffic-manager-geographic-regions"""

_RESERVED_V4: Final = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.88.99.0/24 "
    "192.168.0.0/16 198.18.0.0/15 224.0.0.0/4 240.0.0.0/4"
)
_RESERVED_V6: Final = "::/127 ::ffff:0:0/96 64:ff9b:1::/48 fc00::/7 fe80::/10 ff00::/8"
_RESERVED: Final = tuple(map(ipaddress.ip_network, (*_RESERVED_V4.split(), *_RESERVED_V6.split())))
"""What RFC 1918, 6890, 3068, 2544 and 5771 set aside (faqs, what types of IP addresses). The documentation networks of
RFC 5737 are refused by Traffic Manager as well, and allowed here: all addresses of the stand-in clouds are theirs."""


def whole(args: Args, pattern: str, low: int, high: int, unit: str = "") -> Iterator[Fault]:
    """Whole numbers within [low, high]; the SDK takes any number where the API wants an integer."""
    for path, value in args.at(pattern):
        if isinstance(value, float) and not value.is_integer():
            yield Fault(path, f"expected a whole number, got {shown(value)}")
    yield from rules.between(args, pattern, low, high, unit)


def endpoint_type(value: object) -> EndpointType | None:
    """The type that `ExternalEndpoints`, `externalEndpoints` or the full `Microsoft.Network/...` name means."""
    if not isinstance(value, str):
        return None
    parts = value.split("/")
    if len(parts) > 1 and not arm.same("/".join(parts[:-1]), PROFILE_TYPE):
        return None
    return next((known for known in ENDPOINT_TYPES if arm.same(known, parts[-1])), None)


def address_of(target: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address a target is, None for a name."""
    try:
        return ipaddress.ip_address(target) if isinstance(target, str) else None
    except ValueError:
        return None


def record_type(kind: EndpointType, target: object) -> str | None:
    """What an endpoint is answered as: `IPv4Address`, `IPv6Address`, `DomainName`; None for a nested one, which depends
    on the child, and for what is not known yet."""
    if kind == "NestedEndpoints" or (kind == "ExternalEndpoints" and not isinstance(target, str)):
        return None
    address = address_of(target) if kind == "ExternalEndpoints" else None
    return "DomainName" if address is None else f"IPv{address.version}Address"


def profile_faults(args: Args) -> Iterator[Fault]:
    """Everything about a profile but its endpoints."""
    yield from rules.matches(
        args, "profileName", _NAME, "a profile name (1-63 letters, digits, hyphens, periods; alphanumeric at both ends)"
    )
    yield from arm.global_faults(args)
    yield from arm.tag_faults(args, key=arm.PLAIN_TAG_KEY)
    if args["trafficRoutingMethod"] is None:
        yield Fault("trafficRoutingMethod", f"is required: one of {', '.join(METHODS)}")
    yield from rules.one_of(args, "trafficRoutingMethod", METHODS)
    yield from rules.one_of(args, "profileStatus", SWITCH)
    yield from rules.one_of(args, "trafficViewEnrollmentStatus", SWITCH)
    yield from rules.one_of(args, "allowedEndpointRecordTypes[*]", ("DomainName", "IPv4Address", "IPv6Address", "Any"))
    yield from whole(args, "maxReturn", 1, MAX_RETURN)
    if "maxReturn" in args and args.get("trafficRoutingMethod", "MultiValue") != "MultiValue":
        yield Fault("maxReturn", "is only for the routing method MultiValue")
    yield from _dns_faults(args)
    yield from _monitor_faults(args)
    if args["type"] is not None and not args.is_unknown("type") and not arm.same(args["type"], PROFILE_TYPE):
        yield Fault("type", f"expected {PROFILE_TYPE}, got {shown(args['type'])}")


def _dns_faults(args: Args) -> Iterator[Fault]:
    config = args["dnsConfig"]
    if config is None:
        yield Fault("dnsConfig", "is required, with relativeName and ttl")
    if not isinstance(config, dict):
        return
    for key in ("relativeName", "ttl"):
        if config.get(key) is None:
            yield Fault(f"dnsConfig.{key}", "is required")
    yield from whole(args, "dnsConfig.ttl", 0, TTL_MAX, "seconds")
    for path, value in args.at("dnsConfig.relativeName"):
        if not re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", value) or len(value) + len(DNS_SUFFIX) + 1 > 253:
            yield Fault(path, f"expected DNS labels that make a name in front of .{DNS_SUFFIX}, got {shown(value)}")


def _monitor_faults(args: Args) -> Iterator[Fault]:
    config = args["monitorConfig"]
    if config is None:
        yield Fault("monitorConfig", "is required, with protocol and port")
    if not isinstance(config, dict):
        return
    for key in ("protocol", "port"):
        if config.get(key) is None:
            yield Fault(f"monitorConfig.{key}", "is required")
    monitor = Args(config)
    yield from rules.one_of(args, "monitorConfig.protocol", ("HTTP", "HTTPS", "TCP"))
    yield from whole(args, "monitorConfig.port", 1, 65535)
    yield from rules.one_of(args, "monitorConfig.intervalInSeconds", (10, 30))
    interval = monitor.get("intervalInSeconds", 30 if monitor["intervalInSeconds"] is None else None)
    longest = 9 if interval == 10 else 10
    yield from whole(args, "monitorConfig.timeoutInSeconds", 5, longest, f"seconds at an interval of {interval or 30}")
    yield from whole(args, "monitorConfig.toleratedNumberOfFailures", 0, 9)
    yield from header_faults(args, "monitorConfig.customHeaders")
    yield from _status_faults(args)
    protocol = monitor.get("protocol")
    if protocol in ("HTTP", "HTTPS") and config.get("path") is None:
        yield Fault("monitorConfig.path", f"is required with the protocol {protocol}")
    for path, value in args.at("monitorConfig.path"):
        if protocol == "TCP":
            yield Fault(path, "is not supported with the protocol TCP")
        elif not re.fullmatch(r"/[^\s#]{0,1023}", value):
            yield Fault(path, f"expected a path that begins with a slash, got {shown(value)}")
    if protocol == "TCP":
        for key in ("customHeaders", "expectedStatusCodeRanges"):
            if monitor.get(key):
                yield Fault(f"monitorConfig.{key}", "is not supported with the protocol TCP")


def _status_faults(args: Args) -> Iterator[Fault]:
    pattern = "monitorConfig.expectedStatusCodeRanges"
    yield from rules.length(args, pattern, 0, STATUS_RANGES_MAX)
    for path, value in args.at(f"{pattern}[*]"):
        low, high = value.get("min"), value.get("max")
        if low is None or high is None:
            yield Fault(path, "needs min and max")
        elif isinstance(low, int) and isinstance(high, int) and not 100 <= low <= high <= 999:
            yield Fault(path, f"expected status codes of 100 to 999, the smaller one as min; got {low} to {high}")


def header_faults(args: Args, pattern: str) -> Iterator[Fault]:
    """Up to eight pairs of a header name and a value; a name once."""
    yield from rules.length(args, pattern, 0, HEADERS_MAX)
    seen: set[str] = set()
    for path, header in args.at(f"{pattern}[*]"):
        name, value = header.get("name"), header.get("value")
        if name is not UNKNOWN and not (isinstance(name, str) and _HEADER_NAME.fullmatch(name)):
            yield Fault(f"{path}.name", f"expected the name of an HTTP header, got {shown(name)}")
        elif isinstance(name, str) and name.lower() in seen:
            yield Fault(f"{path}.name", f"{shown(name)} is given twice")
        if value is not UNKNOWN and not (isinstance(value, str) and re.fullmatch(r"\S(.*\S)?", value)):
            yield Fault(f"{path}.value", f"expected the value of an HTTP header, got {shown(value)}")
        seen.add(str(name).lower())


def endpoint_name_faults(args: Args, property: str) -> Iterator[Fault]:
    """1-260 characters that can stand in a path (the rules page names none for endpoints; this is ARM's own limit)."""
    yield from rules.matches(
        args, property, _ENDPOINT_NAME, "an endpoint name of up to 260 characters, without <>*%&:?+/\\"
    )


def endpoint_faults(args: Args, kind: EndpointType | None) -> Iterator[Fault]:
    """One endpoint of a type, None when the type is not known yet. Paths are relative to the endpoint."""
    yield from rules.one_of(args, "endpointStatus", SWITCH)
    yield from rules.one_of(args, "alwaysServe", SWITCH)
    # methods: both 1-1000; a standby is a disabled endpoint, not one of weight 0
    yield from whole(args, "weight", 1, 1000)
    yield from whole(args, "priority", 1, 1000)
    for key in ("minChildEndpoints", "minChildEndpointsIPv4", "minChildEndpointsIPv6"):
        yield from whole(args, key, 1 if key == "minChildEndpoints" else 0, 2**31 - 1)
    yield from places.region_faults(args, "endpointLocation")
    yield from rules.matches(args, "geoMapping[*]", _GEOGRAPHY.pattern, "a code such as WORLD, GEO-EU, DE or US-CA")
    yield from header_faults(args, "customHeaders")
    yield from _subnet_faults(args)
    if kind is not None:
        yield from _type_faults(args, kind)
    for path, target in args.at("target"):
        yield from _target_faults(path, target, kind)


def _type_faults(args: Args, kind: EndpointType) -> Iterator[Fault]:
    """What goes with which type of endpoint (https://learn.microsoft.com/rest/api/trafficmanager/endpoints/create-or-update)."""
    if kind == "ExternalEndpoints":
        if args["target"] is None:
            yield Fault("target", "is required for external endpoints: a host name or an IP address")
        if "targetResourceId" in args:
            yield Fault("targetResourceId", "is not for external endpoints")
    else:
        if args["targetResourceId"] is None:
            yield Fault("targetResourceId", f"is required for {kind}")
        for path, value in args.at("targetResourceId"):
            found = arm.parse_id(value)
            if found is None:
                yield Fault(path, f"expected the id of an Azure resource, got {shown(value)}")
            elif (found["type"] == PROFILE_TYPE.lower()) != (kind == "NestedEndpoints"):
                wanted = "a Traffic Manager profile" if kind == "NestedEndpoints" else "something other than a profile"
                yield Fault(path, f"{kind} point at {wanted}, got {shown(value)}")
    if kind != "NestedEndpoints":
        for key in ("minChildEndpoints", "minChildEndpointsIPv4", "minChildEndpointsIPv6"):
            if key in args:
                yield Fault(key, "is only for nested endpoints")
    elif args.get("alwaysServe") == "Enabled":
        # https://learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring#enable-or-disable-health-checks-preview
        yield Fault("alwaysServe", "is only for Azure and external endpoints")


def _target_faults(path: str, target: Any, kind: EndpointType | None) -> Iterator[Fault]:
    address = address_of(target)
    if address is None:
        if not _HOSTNAME.fullmatch(str(target)) or str(target).rsplit(".", 1)[-1].isdigit():
            yield Fault(path, f"expected a host name or an IP address without scheme and port, got {shown(target)}")
    elif kind not in ("ExternalEndpoints", None):
        yield Fault(path, f"IP addresses are only for external endpoints, got {shown(target)}")  # faqs
    elif any(address in net for net in _RESERVED if net.version == address.version):
        yield Fault(path, f"expected a public address, {target} is reserved")


def _subnet_faults(args: Args) -> Iterator[Fault]:
    """faqs, how can I specify IP addresses when using Subnet routing."""
    for path, subnet in args.at("subnets[*]"):
        if UNKNOWN in (subnet.get("first"), subnet.get("last"), subnet.get("scope")):
            continue
        if subnet_range(subnet) is None:
            yield Fault(
                path,
                "expected first and last, in this order, or first and scope (prefix length) with first at the start of "
                f"the range; got {shown(subnet)}",
            )


def subnet_range(subnet: dict[str, Any]) -> tuple[int, int, int] | None:
    """(IP version, first, last address as numbers) of one entry of `subnets`; None when it is not valid."""
    first, last, scope = (subnet.get(key) for key in ("first", "last", "scope"))
    start = address_of(first)
    if start is None or (last is None) == (scope is None):
        return None
    if last is not None:
        end = address_of(last)
        if end is None or end.version != start.version or int(end) < int(start):
            return None
        return start.version, int(start), int(end)
    try:
        net = ipaddress.ip_network(f"{first}/{scope}")
    except ValueError:
        return None
    return start.version, int(net[0]), int(net[-1])
