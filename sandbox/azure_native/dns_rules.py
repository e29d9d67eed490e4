"""Value rules of Azure DNS zones and record sets. Pure.

Sources, by the name used below:
names: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftnetwork
records: https://learn.microsoft.com/azure/dns/dns-zones-records
alias: https://learn.microsoft.com/azure/dns/dns-alias
limits: https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-dns-limits
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sandbox import rules
from sandbox.azure_native import arm
from sandbox.azure_native.traffic_manager_rules import PROFILE_TYPE, whole
from sandbox.kinds import Args, Fault
from sandbox.rules import shown
from sandbox.values import UNKNOWN

APEX: Final = "@"
TTL_MAX: Final = 2**31 - 1  # records, time-to-live: 1 to 2,147,483,647
RECORDS_MAX: Final = 20  # limits, records per record set
TXT_MAX: Final = 4096  # records, TXT: characters in all strings of one record
_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_ZONE: Final = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL}){{1,33}}")
_DOMAIN: Final = re.compile(rf"(?=.{{1,254}}$){_LABEL}(\.{_LABEL})*\.?")
_RELATIVE: Final = re.compile(rf"@|\*|(\*\.)?{_LABEL}(\.{_LABEL})*")


def _v4(value: object) -> bool:
    try:
        ipaddress.IPv4Address(value)
    except (ValueError, TypeError):
        return False
    return isinstance(value, str)


def _v6(value: object) -> bool:
    try:
        ipaddress.IPv6Address(value)
    except (ValueError, TypeError):
        return False
    return isinstance(value, str)


def _domain(value: object) -> bool:
    return isinstance(value, str) and bool(_DOMAIN.fullmatch(value)) and not _v4(value.rstrip("."))


def _number(high: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= high


def _hex(value: object) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"([0-9A-Fa-f]{2})+", value))


def _strings(value: object) -> bool:
    """Strings of up to 255 characters each, as RFC 1035 has them."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(s, str) and len(s) <= 255 for s in value)
        and sum(map(len, value)) <= TXT_MAX
    )


def _text(value: object) -> bool:
    return isinstance(value, str)


@dataclass(frozen=True, slots=True)
class Shape:
    """What one record of a type needs: field -> (what it has to be, in words; how to tell)."""

    property: str
    fields: dict[str, tuple[str, Callable[[object], bool]]]
    single: bool = False


SHAPES: Final = {
    "A": Shape("aRecords", {"ipv4Address": ("an IPv4 address", _v4)}),
    "AAAA": Shape("aaaaRecords", {"ipv6Address": ("an IPv6 address", _v6)}),
    "CAA": Shape(
        "caaRecords",
        {
            "flags": ("0 to 255", _number(255)),
            "tag": (
                "one of issue, issuewild, iodef, contactemail, contactphone, issuemail",
                lambda v: v in ("issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail"),
            ),
            "value": ("a string", _text),
        },
    ),
    "CNAME": Shape("cnameRecord", {"cname": ("a domain name", _domain)}, single=True),
    "DS": Shape(
        "dsRecords",
        {"algorithm": ("0 to 255", _number(255)), "keyTag": ("0 to 65,535", _number(65535))},
    ),
    "MX": Shape("mxRecords", {"exchange": ("a domain name", _domain), "preference": ("0 to 65,535", _number(65535))}),
    "NAPTR": Shape(
        "naptrRecords",
        {
            "order": ("0 to 65,535", _number(65535)),
            "preference": ("0 to 65,535", _number(65535)),
            "flags": ("a string", _text),
            "services": ("a string", _text),
            "regexp": ("a string", _text),
            "replacement": ("a string", _text),
        },
    ),
    "NS": Shape("nsRecords", {"nsdname": ("a domain name", _domain)}),
    "PTR": Shape("ptrRecords", {"ptrdname": ("a domain name", _domain)}),
    "SOA": Shape("soaRecord", {"email": ("a domain name", _domain)}, single=True),
    "SRV": Shape(
        "srvRecords",
        {
            "priority": ("0 to 65,535", _number(65535)),
            "weight": ("0 to 65,535", _number(65535)),
            "port": ("0 to 65,535", _number(65535)),
            "target": ("a domain name", _domain),
        },
    ),
    "TLSA": Shape(
        "tlsaRecords",
        {
            "usage": ("0 to 255", _number(255)),
            "selector": ("0 to 255", _number(255)),
            "matchingType": ("0 to 255", _number(255)),
            "certAssociationData": ("hex digits", _hex),
        },
    ),
    "TXT": Shape("txtRecords", {"value": (f"strings of up to 255, together {TXT_MAX:,} characters", _strings)}),
}
ALIAS_TYPES: Final = ("A", "AAAA", "CNAME")  # alias
ALIASES: Final = ("targetResource", "trafficManagementProfile")


def zone_faults(args: Args) -> Iterator[Fault]:
    """Two labels at least, no period at the end (names, dnsZones)."""
    yield from rules.matches(args, "zoneName", _ZONE.pattern, "a domain name of 2 to 34 labels without a final period")
    yield from arm.global_faults(args)
    yield from arm.tag_faults(args, most=arm.TAGS_MAX_SHORT, key=arm.DNS_TAG_KEY)
    for key in ("registrationVirtualNetworks", "resolutionVirtualNetworks"):
        if args.get(key) and args.get("zoneType", "Private") != "Private":
            yield Fault(key, "is only for zones of zoneType Private")


def record_set_faults(args: Args) -> Iterator[Fault]:
    """One record set: its name, TTL, and the records that fit its type."""
    yield from arm.group_name_faults(args)
    yield from rules.matches(args, "relativeRecordSetName", _RELATIVE.pattern, "@, a name relative to the zone, or *")
    if args["ttl"] is None:
        yield Fault("ttl", "is required")
    yield from whole(args, "ttl", 1, TTL_MAX, "seconds")
    kind = args.get("recordType")
    if kind is None:
        return
    shape = SHAPES.get(str(kind).upper())
    if shape is None:
        yield Fault("recordType", f"expected one of {', '.join(SHAPES)}; got {shown(kind)}")
        return
    for other in SHAPES.values():
        if other.property != shape.property and args[other.property] is not None:
            yield Fault(other.property, f"does not fit the record type {kind}, which has {shape.property}")
    yield from _name_faults(args, str(kind).upper())
    yield from _alias_faults(args, str(kind).upper(), shape)
    yield from _value_faults(args, shape)


def _name_faults(args: Args, kind: str) -> Iterator[Fault]:
    name = args.get("relativeRecordSetName")
    zone = args.get("zoneName")
    if isinstance(name, str) and isinstance(zone, str) and len(name) + len(zone) + 1 > 253:
        yield Fault("relativeRecordSetName", f"makes a name of more than 253 characters with {zone}")
    if kind == "CNAME" and name == APEX:
        # records, CNAME: it would have to stand alone, and NS and SOA are there; an alias A record set is the way
        yield Fault("relativeRecordSetName", "a CNAME record cannot be at the zone apex")
    if kind == "SOA" and name is not None and name != APEX:
        yield Fault("relativeRecordSetName", "an SOA record is at the zone apex (@) only")
    if kind == "NS" and isinstance(name, str) and name.startswith("*"):
        yield Fault("relativeRecordSetName", "wildcards are not supported for NS records")  # records, wildcard records


def _alias_faults(args: Args, kind: str, shape: Shape) -> Iterator[Fault]:
    given = [key for key in ALIASES if args[key] is not None]
    yield from rules.conflicting(args, *ALIASES)
    for key in given:
        if kind not in ALIAS_TYPES:
            yield Fault(key, f"an alias record set is of type {', '.join(ALIAS_TYPES)}, not {kind}")
        if args.get(shape.property):
            yield Fault(shape.property, f"conflicts with {key}: an alias record set has no records of its own")
        for path, value in args.at(f"{key}.id"):
            found = arm.parse_id(value)
            if found is None:
                yield Fault(path, f"expected the id of an Azure resource, got {shown(value)}")
            elif key == "trafficManagementProfile" and found["type"] != PROFILE_TYPE.lower():
                yield Fault(path, f"expected the id of a Traffic Manager profile, got {shown(value)}")
    if kind in ("CNAME", "SOA") and not given and args[shape.property] is None:
        yield Fault(shape.property, f"is required for the record type {kind}")


def _value_faults(args: Args, shape: Shape) -> Iterator[Fault]:
    pattern = shape.property if shape.single else f"{shape.property}[*]"
    if not shape.single:
        yield from rules.length(args, shape.property, 0, RECORDS_MAX)
    seen: list[Any] = []
    for path, record in args.at(pattern):
        for field, (what, fits) in shape.fields.items():
            value = record.get(field)
            if value is not UNKNOWN and not _unknown_inside(value) and not fits(value):
                yield Fault(f"{path}.{field}", f"expected {what}, got {shown(value)}")
        if record in seen:
            yield Fault(path, "is in the record set already")
        seen.append(record)


def _unknown_inside(value: object) -> bool:
    return isinstance(value, list) and any(item is UNKNOWN for item in value)
