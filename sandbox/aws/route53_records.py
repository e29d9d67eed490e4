"""Records of hosted zones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import quotas
from sandbox.aws import route53_limits as limits
from sandbox.aws.registry import AWS
from sandbox.aws.route53_aliases import alias_faults
from sandbox.aws.route53_names import clean_zone_id, expanded, name_fault, normalized
from sandbox.aws.route53_sets import (
    POLICIES,
    RecordSet,
    exists_message,
    neighbour_faults,
    policies_in,
    record_set,
    stored_set,
    zone_faults,
)
from sandbox.aws.route53_values import TYPES, value_fault, values_fault
from sandbox.aws.route53_zones import APEX_RECORDS, APEX_TYPES, records_of, require_zone, zone_name
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import shown
from sandbox.values import UNKNOWN

_CONTINENTS: Final = ("AF", "AN", "AS", "EU", "OC", "NA", "SA")
MAX_TTL: Final = 2**31 - 1
MAX_SET_IDENTIFIER: Final = 128
MAX_WEIGHT: Final = 255
MAX_BIAS: Final = 99
LATITUDE: Final = r"[-+]?[0-9]{1,2}(\.[0-9]{0,2})?"
LONGITUDE: Final = r"[-+]?[0-9]{1,3}(\.[0-9]{0,2})?"
# Types that routing policies take: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html
_NOT_ROUTED: Final = ("SOA", "NS", "DS")
_NOT_MULTIVALUE: Final = (*_NOT_ROUTED, "CNAME")


@AWS.kind
class Record(Kind):
    """aws_route53_record. https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html

    Another name or zone is another record. Another type or set identifier is the same resource: the provider deletes
    the old record and makes the new one in one change batch, and the resource keeps the id it was made with
    (https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/route53/record.go).

    A record that aliases lead to can be deleted, and leaves them without an answer: the API documents no refusal, and
    the provider's own way to empty a zone deletes in the order of names
    (https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/route53/zone.go)."""

    token = limits.RECORD
    replace_on = ("name", "zoneId")
    sets = ("records", "geoproximityRoutingPolicy.coordinates")
    write_only = ("allowOverwrite",)
    defaults: ClassVar[Mapping[str, Any]] = {"allowOverwrite": False}
    references = (
        Ref(
            "healthCheckId",
            (limits.HEALTH_CHECK,),
            same_region=False,
            code="NoSuchHealthCheck",
            # https://docs.aws.amazon.com/Route53/latest/APIReference/API_DeleteHealthCheck.html: records do not keep a
            # health check from being deleted.
            blocks_delete=False,
        ),
    )
    regional = False
    taggable = False
    not_found_code = "NoSuchHostedZone"

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        out = dict(inputs)
        name, zone = out.get("name"), out.get("zoneId")
        if isinstance(name, str):
            out["name"] = normalized(name)
        if isinstance(zone, str):
            out["zoneId"] = clean_zone_id(zone)
        aliases = out.get("aliases")
        if isinstance(aliases, list):
            out["aliases"] = [
                {**a, "name": normalized(a["name"])} if isinstance(a, dict) and isinstance(a.get("name"), str) else a
                for a in aliases
            ]
        return out

    def check(self, args: Args) -> Iterable[Fault]:
        for path, value in args.at("name"):
            reason = name_fault(value) if value else ""
            if reason:
                yield Fault(path, f"{reason}, got {shown(value)}")
        yield from rules.length(args, "zoneId", 1, 32 + len("/hostedzone/"))
        yield from rules.one_of(args, "type", TYPES)
        yield from _content_faults(args)
        yield from _policy_faults(args)
        yield from _place_faults(args)
        yield from rules.length(args, "healthCheckId", 1, 64)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        parts = [str(args["zoneId"]), str(args["name"]).lower(), str(args["type"])]
        if args.get("setIdentifier"):
            parts.append(str(args["setIdentifier"]))
        id = "_".join(parts)
        # A record that was given another type or set identifier kept its first id, which the store knows it by.
        taken = cloud.get(self.token, id)
        if taken is not None and self._set_of(Args(taken.inputs), cloud) != self._set_of(args, cloud):
            return f"{id}_{cloud.sequence('route53/renamed-record')}"
        return id

    @staticmethod
    def _set_of(args: Args, cloud: Cloud) -> tuple[str, str, str]:
        return record_set(args.values, zone_name(require_zone(cloud, args["zoneId"]))).key

    def before_create(self, args: Args, cloud: Cloud) -> None:
        zone = require_zone(cloud, args["zoneId"])
        wanted = record_set(args.values, zone_name(zone))
        others = [stored_set(r, zone_name(zone)) for r in records_of(cloud, zone.id)]
        if not args["allowOverwrite"] and (wanted.key in {o.key for o in others} or _is_apex(wanted, zone)):
            raise CloudError("InvalidChangeBatch", f"[{exists_message(wanted)}]")
        limits.check_room(
            cloud,
            quotas.RECORDS_PER_HOSTED_ZONE,
            len({o.key for o in others if not _is_apex(o, zone)} - {wanted.key}) + APEX_RECORDS,
            "InvalidChangeBatch",
            "[Number of records limit of {limit} exceeded.]",
        )
        _check_set(wanted, [o for o in others if o.key != wanted.key], zone, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        zone = require_zone(cloud, args["zoneId"])
        name = zone_name(zone)
        wanted, before = record_set(args.values, name), stored_set(old, name)
        others = [stored_set(r, name) for r in records_of(cloud, zone.id) if r.id != old.id]
        moved = wanted.key != before.key
        if moved and not args["allowOverwrite"] and (wanted.key in {o.key for o in others} or _is_apex(wanted, zone)):
            raise CloudError("InvalidChangeBatch", f"[{exists_message(wanted)}]")
        _check_set(wanted, [o for o in others if o.key != wanted.key], zone, cloud)

    def after_create(self, resource: Resource, cloud: Cloud) -> None:
        """With allowOverwrite a record takes the place of another: there is one record then, and both resources that
        made it read that one."""
        zone = require_zone(cloud, resource["zoneId"])
        wanted = stored_set(resource, zone_name(zone))
        for other in records_of(cloud, zone.id):
            if other.id != resource.id and stored_set(other, zone_name(zone)).key == wanted.key:
                cloud.remove(self.token, other.id)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        name = zone_name(require_zone(cloud, args["zoneId"]))
        return {
            "name": normalized(args["name"]),
            "fqdn": expanded(args["name"], name),
            "aliases": [{**a, "name": normalized(a["name"])} for a in args.get("aliases") or []],
        }


def _is_apex(record: RecordSet, zone: Resource) -> bool:
    return record.type in APEX_TYPES and record.name == zone_name(zone)


def _check_set(wanted: RecordSet, others: list[RecordSet], zone: Resource, cloud: Cloud) -> None:
    """Raises CloudError InvalidChangeBatch with everything that is wrong with the record in its zone."""
    name = zone_name(zone)
    messages = [
        *zone_faults(wanted, name),
        *neighbour_faults(wanted, others, name),
        *alias_faults(wanted, zone, name, others, cloud),
        *_cidr_faults(wanted, cloud),
    ]
    if messages:
        raise CloudError("InvalidChangeBatch", f"[{', '.join(messages)}]")


def _cidr_faults(wanted: RecordSet, cloud: Cloud) -> Iterator[str]:
    if wanted.policy != "cidr":
        return
    block = json.loads(wanted.place)
    collection, location = str(block.get("collectionId", "")), str(block.get("locationName", ""))
    if cloud.get(limits.CIDR_COLLECTION, collection) is None:
        yield f"The CIDR collection {collection} does not exist"
    elif location != "*" and cloud.get(limits.CIDR_LOCATION, f"{collection},{location}") is None:
        yield f"The CIDR location {location} does not exist in collection {collection}"


def _content_faults(args: Args) -> Iterator[Fault]:
    """Values with a TTL, or an alias without one."""
    aliases, records = args["aliases"], args["records"]
    has_alias = aliases is UNKNOWN or bool(aliases)
    has_records = records is UNKNOWN or bool(records)
    if not has_alias and not has_records:
        yield Fault("records", "one of aliases, records must be set")
    if has_alias and has_records and aliases is not UNKNOWN and records is not UNKNOWN:
        yield Fault("aliases", "conflicts with records: only one of aliases, records may be set")
    if isinstance(aliases, list) and len(aliases) > 1:
        yield Fault("aliases", f"expected one alias at most, got {len(aliases)}")
    if isinstance(aliases, list) and aliases:
        if "ttl" in args:
            yield Fault("ttl", "conflicts with aliases: an alias has the TTL of its target")
        if args.get("multivalueAnswerRoutingPolicy") is True:
            yield Fault("multivalueAnswerRoutingPolicy", "conflicts with aliases: multivalue answers are no aliases")
    if isinstance(records, list) and records and "ttl" not in args:
        yield Fault("ttl", "is required with records")
    yield from rules.between(args, "ttl", 0, MAX_TTL, "seconds")
    yield from rules.length(args, "aliases[*].name", 1, 1024)
    yield from rules.length(args, "aliases[*].zoneId", 1, 32)
    for path, value in args.at("aliases[*].name"):
        reason = name_fault(value) if isinstance(value, str) and value else ""
        if reason:
            yield Fault(path, f"{reason}, got {shown(value)}")
    record_type = args.get("type")
    if isinstance(records, list) and records and record_type in TYPES:
        reason = values_fault(record_type, [str(v) for v in records])
        if reason:
            yield Fault("records", reason)
        seen: set[str] = set()
        for path, value in args.at("records[*]"):
            reason = value_fault(record_type, str(value)) or ("is given twice" if value in seen else "")
            seen.add(value)
            if reason:
                yield Fault(path, f"{reason}, got {shown(value)}")


def _policy_faults(args: Args) -> Iterator[Fault]:
    """One routing policy and a set identifier, or neither."""
    used = policies_in(args.values)
    known = [key for key in used if args[key] is not UNKNOWN]
    for key in known[1:]:
        yield Fault(key, f"conflicts with {known[0]}: a record has one routing policy")
    yield from rules.length(args, "setIdentifier", 1, MAX_SET_IDENTIFIER)
    if known and "setIdentifier" not in args:
        yield Fault(known[0], "needs setIdentifier to be set as well")
    routed = [key for key in used if args[key] is not False]
    if "setIdentifier" in args and not routed:
        yield Fault("setIdentifier", f"needs a routing policy: one of {', '.join(POLICIES)}")
    record_type = args.get("type")
    for key in known:
        if args[key] is False:
            continue
        refused = _NOT_MULTIVALUE if key == "multivalueAnswerRoutingPolicy" else _NOT_ROUTED
        if record_type in refused:
            yield Fault(key, f"is not supported by records of type {record_type}")
        if isinstance(args[key], list) and len(args[key]) > 1:
            yield Fault(key, f"expected one routing policy at most, got {len(args[key])}")


def _place_faults(args: Args) -> Iterator[Fault]:
    yield from rules.between(args, "weightedRoutingPolicies[*].weight", 0, MAX_WEIGHT)
    yield from rules.one_of(args, "latencyRoutingPolicies[*].region", limits.LATENCY_REGIONS)
    yield from rules.one_of(args, "failoverRoutingPolicies[*].type", ("PRIMARY", "SECONDARY"))
    yield from _failover_faults(args)
    yield from rules.one_of(args, "geolocationRoutingPolicies[*].continent", _CONTINENTS)
    yield from rules.matches(
        args, "geolocationRoutingPolicies[*].country", r"[A-Z]{2}|\*", "a country code such as DE or *"
    )
    yield from rules.matches(args, "geolocationRoutingPolicies[*].subdivision", r"[A-Z0-9]{1,3}", "a state such as CA")
    for path, block in args.at("geolocationRoutingPolicies[*]"):
        yield from _geolocation_faults(path, block)
    yield from rules.between(args, "geoproximityRoutingPolicy.bias", -MAX_BIAS, MAX_BIAS)
    yield from rules.one_of(args, "geoproximityRoutingPolicy.awsRegion", limits.LATENCY_REGIONS)
    coordinates = "geoproximityRoutingPolicy.coordinates"
    yield from rules.matches(args, f"{coordinates}[*].latitude", LATITUDE, "degrees with two decimals, as in 49.22")
    yield from rules.matches(args, f"{coordinates}[*].longitude", LONGITUDE, "degrees with two decimals, as in -74.01")
    for pattern, most in ((f"{coordinates}[*].latitude", 90), (f"{coordinates}[*].longitude", 180)):
        for path, value in args.at(pattern):
            if re.fullmatch(LONGITUDE, str(value)) and abs(float(value)) > most:
                yield Fault(path, f"expected -{most} to {most} degrees, got {shown(value)}")
    for path, block in args.at("geoproximityRoutingPolicy"):
        given = [k for k in ("awsRegion", "coordinates", "localZoneGroup") if block.get(k) not in (None, "", [])]
        if len(given) != 1:
            yield Fault(path, "expected one of awsRegion, coordinates, localZoneGroup, and only one")
        if isinstance(block.get("coordinates"), list) and len(block["coordinates"]) > 1:
            yield Fault(f"{path}.coordinates", "expected one pair of coordinates")
    yield from rules.matches(
        args, "cidrRoutingPolicy.locationName", r"[0-9A-Za-z_\-*]{1,16}", "1 to 16 letters, digits, - and _, or *"
    )


def _failover_faults(args: Args) -> Iterator[Fault]:
    """A PRIMARY that is always healthy never fails over: without an alias the API refuses it
    (https://github.com/kubernetes-sigs/external-dns/issues/2362), with one its reference demands that the alias takes
    over its target's health (https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html)."""
    if "healthCheckId" in args:
        return
    for path, kind in args.at("failoverRoutingPolicies[*].type"):
        if kind != "PRIMARY":
            continue
        aliases = args["aliases"]
        if isinstance(args["records"], list) and args["records"]:
            yield Fault(path, "a PRIMARY record that is no alias needs healthCheckId")
        elif isinstance(aliases, list) and any(
            isinstance(a, Mapping) and a.get("evaluateTargetHealth") is False for a in aliases
        ):
            yield Fault(path, "a PRIMARY alias needs evaluateTargetHealth, or healthCheckId: it would never fail over")


def _geolocation_faults(path: str, block: Mapping[str, Any]) -> Iterator[Fault]:
    given = {k: v for k, v in block.items() if v not in (None, "")}
    if not given:
        yield Fault(path, "one of continent, country must be set")
    if "continent" in given and ("country" in given or "subdivision" in given):
        yield Fault(f"{path}.continent", "conflicts with country and subdivision")
    if "subdivision" in given and given.get("country") not in ("US", "UA", UNKNOWN):
        yield Fault(f"{path}.subdivision", "needs country to be US")
