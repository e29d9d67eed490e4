"""DNS records.

https://developers.cloudflare.com/dns/manage-dns-records/reference/dns-record-types/,
https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/create/
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.cloudflare import limits, tokens
from sandbox.cloudflare.common import HOST, Object, address_fault, ids, now, within, words
from sandbox.cloudflare.registry import CLOUDFLARE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Ref, Resource
from sandbox.rules import shown

BY_CONTENT: Final = ("A", "AAAA", "CNAME", "MX", "NS", "OPENPGPKEY", "PTR", "TXT")
BY_DATA: Final = (
    "CAA", "CERT", "DNSKEY", "DS", "HTTPS", "LOC", "NAPTR", "SMIMEA", "SRV", "SSHFP", "SVCB", "TLSA", "URI",
)  # fmt: skip
PROXIABLE: Final = ("A", "AAAA", "CNAME")
"""https://developers.cloudflare.com/dns/proxy-status/limitations/#proxy-eligibility"""
NEEDS_PRIORITY: Final = ("MX", "URI")
"""SRV has it in its data."""
AUTOMATIC: Final = 1
MIN_TTL: Final = 30
MAX_TTL: Final = 86400
_RELATIVE: Final = r"@|(\*\.|\*$)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?)*"
_DATA_RANGES: Final = {
    **dict.fromkeys(("algorithm", "protocol", "digestType", "matchingType", "selector", "usage"), (0, 255)),
    **dict.fromkeys(("keyTag", "type", "priority", "order", "preference", "port", "weight"), (0, 65535)),
    "altitude": (-100000, 42849672.95),
    **dict.fromkeys(("size", "precisionHorz", "precisionVert"), (0, 90000000)),
    "latDegrees": (0, 90),
    "longDegrees": (0, 180),
    **dict.fromkeys(("latMinutes", "longMinutes"), (0, 59)),
    **dict.fromkeys(("latSeconds", "longSeconds"), (0, 59.999)),
}
_NEEDED_DATA: Final = {
    "CAA": ("flags", "tag", "value"),
    "SRV": ("priority", "weight", "port", "target"),
    "TLSA": ("usage", "selector", "matchingType", "certificate"),
    "DS": ("keyTag", "algorithm", "digestType", "digest"),
    "SSHFP": ("algorithm", "type", "fingerprint"),
    "HTTPS": ("priority", "target"),
    "SVCB": ("priority", "target"),
    "URI": ("target", "weight"),
}


def full_name(name: str, zone: str) -> str:
    """The record's whole name: "@" is the zone, and what does not end in the zone's name gets it appended."""
    lower = name.rstrip(".").lower()
    if lower in ("@", ""):
        return zone
    return lower if within(lower.removeprefix("*."), zone) else f"{lower}.{zone}"


@CLOUDFLARE.kind
class DnsRecord(Object):
    """cloudflare_dns_record. A load balancer of the same name is no conflict: it goes first while it is enabled
    (https://developers.cloudflare.com/load-balancing/load-balancers/dns-records/#priority-order)."""

    token = tokens.DNS_RECORD
    replace_on = ("zoneId", "type")
    sets = ("tags",)
    references = (Ref("zoneId", (tokens.ZONE,), code="7003", blocks_delete=False),)
    defaults: ClassVar[Mapping[str, Any]] = {"proxied": False}

    def check(self, args: Args) -> Iterable[Fault]:
        yield from ids(args, "zoneId")
        yield from words(args, "type", (*BY_CONTENT, *BY_DATA))
        yield from rules.matches(args, "name", _RELATIVE, '"@", a name in the zone or a whole name, in Punycode')
        yield from rules.length(args, "name", 1, 253)
        yield from rules.conflicting(args, "content", "data")
        yield from rules.between(args, "priority", 0, 65535)
        yield from rules.matches(args, "tags[*]", r"[^:]{1,32}:.{0,100}", "a tag of the form name:value")
        for key, (low, high) in _DATA_RANGES.items():
            yield from rules.between(args, f"data.{key}", low, high)
        yield from rules.one_of(args, "data.latDirection", ("N", "S"))
        yield from rules.one_of(args, "data.longDirection", ("E", "W"))
        yield from self._check_ttl(args)
        kind = args.get("type")
        if isinstance(kind, str):
            yield from self._check_type(args, kind)
        if kind not in (None, *PROXIABLE):
            for path, value in args.at("proxied"):
                if value is True:
                    yield Fault(path, f"only {', '.join(PROXIABLE)} records can be proxied, this is {kind}")
        for path, value in args.at("settings.flattenCname"):
            if value is True and (args.get("proxied") is True or kind not in (None, "CNAME")):
                yield Fault(
                    path, "goes with CNAME records that are not proxied only: proxied ones always are flattened"
                )
        for key in ("ipv4Only", "ipv6Only"):
            for path, value in args.at(f"settings.{key}"):
                if value is True and args.get("proxied", False) is False:
                    yield Fault(path, "goes with proxied records only")
        yield from rules.conflicting(
            Args({k: v or None for k, v in (args.get("settings") or {}).items()}), "ipv4Only", "ipv6Only"
        )

    @staticmethod
    def _check_ttl(args: Args) -> Iterator[Fault]:
        for path, ttl in args.at("ttl"):
            if ttl != AUTOMATIC and not MIN_TTL <= ttl <= MAX_TTL:
                yield Fault(path, f"expected 1 (automatic) or {MIN_TTL} to {MAX_TTL:,} seconds, got {shown(ttl)}")
            elif ttl != AUTOMATIC and args.get("proxied") is True:
                yield Fault(path, "must be set to 1 when proxied is true")

    def _check_type(self, args: Args, kind: str) -> Iterator[Fault]:
        if kind in BY_DATA:
            if args["data"] is None:
                yield Fault("data", f"is required for {kind} records")
            data = args.get("data")
            for key in _NEEDED_DATA.get(kind, ()) if isinstance(data, dict) else ():
                if data.get(key) is None:
                    yield Fault(f"data.{key}", f"is required for {kind} records")
        elif kind in BY_CONTENT:
            if args["content"] is None:
                yield Fault("content", f"is required for {kind} records")
            for path, value in args.at("content"):
                why = content_fault(kind, value)
                if why:
                    yield Fault(path, f"content for {kind} record {why}; got {shown(value)}")
                elif args.get("proxied") is True and kind in ("A", "AAAA"):
                    unreachable = address_fault(value)
                    if unreachable:
                        yield Fault(path, f"cannot be proxied: {unreachable}")
        if kind in NEEDS_PRIORITY and args["priority"] is None:
            yield Fault("priority", f"is required for {kind} records")
        if kind not in ("MX", "SRV", "URI") and "priority" in args:
            yield Fault("priority", f"goes with MX, SRV and URI records only, this is {kind}")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        here = [r for r in cloud.all(self.token) if r["zoneId"] == args["zoneId"]]
        if len(here) >= limits.DNS_RECORDS.of(cloud):
            raise CloudError("81045", f"Record quota exceeded: the zone has {limits.DNS_RECORDS.of(cloud)} records")
        self._check_state(args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud, old.id)

    def _check_state(self, args: Args, cloud: Cloud, ignore: str | None) -> None:
        zone = cloud.get(tokens.ZONE, args["zoneId"])
        least = limits.RECORD_TTL.of(cloud)
        if args["ttl"] not in (AUTOMATIC,) and args["ttl"] < least:
            # https://github.com/timothymiller/cloudflare-ddns/issues/179
            raise CloudError("9021", f"TTL must be between {least} and {MAX_TTL} seconds, or 1 for Automatic.")
        if len(args.get("tags") or []) > limits.RECORD_TAGS.of(cloud):
            raise CloudError("9300", f"DNS record has {len(args['tags'])} tags, exceeding the quota of the plan.")
        if len(args.get("comment") or "") > limits.COMMENT.of(cloud):
            raise CloudError("9301", f"Comment is longer than the {limits.COMMENT.of(cloud)} characters of the plan.")
        if zone is None:
            return
        name = full_name(args["name"], zone["name"])
        if args["type"] == "CNAME" and str(args["content"]).rstrip(".").lower() == name:
            raise CloudError("9039", "CNAME content cannot reference itself.")
        if args["type"] == "NS" and name == zone["name"] and zone["type"] == "full":
            raise CloudError("81056", "NS records at the zone apex are Cloudflare's own.")
        neighbours = [
            other
            for other in cloud.all(self.token)
            if other.id != ignore
            and other["zoneId"] == args["zoneId"]
            and full_name(other["name"], zone["name"]) == name
        ]
        self._check_neighbours(args, neighbours)

    @staticmethod
    def _check_neighbours(args: Args, neighbours: list[Resource]) -> None:
        """https://developers.cloudflare.com/dns/manage-dns-records/troubleshooting/records-with-same-name/; codes:
        https://github.com/cloudflare/terraform-provider-cloudflare/issues/1247, https://github.com/favonia/cloudflare-ddns/issues/990,
        https://github.com/jeessy2/ddns-go/issues/1378"""
        kind = args["type"]
        for other in neighbours:
            same = other["type"] == kind and _meaning(other.inputs) == _meaning(args.values)
            if same:
                raise CloudError("81058", "An identical record already exists.")
            if kind == "CNAME" and other["type"] in PROXIABLE:
                raise CloudError("81053", "An A, AAAA, or CNAME record with that host already exists.")
            if kind in ("A", "AAAA") and other["type"] == "CNAME":
                raise CloudError("81054", "A CNAME record with that host already exists.")
            if "NS" in (kind, other["type"]) and kind != other["type"] and {kind, other["type"]} & {*PROXIABLE}:
                raise CloudError("81056", "NS records cannot share a host with A, AAAA, or CNAME records.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        out: dict[str, Any] = {**self.stamps(old), "proxiable": args["type"] in PROXIABLE, "meta": "{}"}
        if args.get("comment"):
            kept = old is not None and old["comment"] == args["comment"]
            out["commentModifiedOn"] = old["commentModifiedOn"] if kept and old else now()
        if args.get("tags"):
            kept = old is not None and old["tags"] == args["tags"]
            out["tagsModifiedOn"] = old["tagsModifiedOn"] if kept and old else now()
        if "content" not in args and isinstance(args["data"], dict):
            out["content"] = " ".join(str(v) for v in args["data"].values() if v is not None)
        if args["type"] == "CNAME":
            given = args.get("settings") or {}
            out["settings"] = {"ipv4Only": False, "ipv6Only": False, "flattenCname": False, **given}
        return out


def content_fault(kind: str, value: object) -> str | None:
    """What is wrong with a record's content, None when it fits its type."""
    if not isinstance(value, str) or not value.strip():
        return "has to say something"
    if kind in ("A", "AAAA"):
        wanted = ipaddress.IPv4Address if kind == "A" else ipaddress.IPv6Address
        try:
            wanted(value)
        except ValueError:
            return f"must be a valid {'IPv4' if kind == 'A' else 'IPv6'} address"
    elif kind in ("CNAME", "MX", "NS", "PTR"):
        name = value.rstrip(".").lower()
        if kind == "MX" and value == ".":
            return None  # RFC 7505: no mail
        if _is_address(name) or not re.fullmatch(HOST, name):
            return "must be a full host name"
    elif kind == "TXT" and len(value.encode()) > 2048:
        # https://developers.cloudflare.com/dns/manage-dns-records/reference/dns-record-types/#txt
        return "must be at most 2,048 characters"
    return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _meaning(inputs: Mapping[str, Any]) -> str:
    """What makes two records of one name and type the same."""
    content = inputs.get("content")
    text = content.rstrip(".").lower() if isinstance(content, str) and inputs.get("type") != "TXT" else content
    return json.dumps([text, inputs.get("data")], sort_keys=True, default=str)
