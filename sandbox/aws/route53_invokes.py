"""Data sources of Route 53: zones, their records, delegation sets."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from sandbox.aws import route53_limits as limits
from sandbox.aws.invokes import tagged
from sandbox.aws.registry import AWS
from sandbox.aws.route53_names import as_stored, clean_delegation_set_id, clean_zone_id, normalized
from sandbox.aws.route53_sets import RecordSet, stored_set
from sandbox.aws.route53_zones import (
    APEX_RECORDS,
    APEX_TYPES,
    caller_reference,
    is_private,
    records_of,
    require_zone,
    zone_name,
    zone_vpcs,
)
from sandbox.kinds import Args, Cloud, CloudError, Resource

# https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html
_NS_TTL: Final = 172_800
_SOA_TTL: Final = 900


def own_records(zone: Resource) -> list[RecordSet]:
    """The NS and SOA record that every zone has from the start."""
    name = zone_name(zone)
    servers = tuple(f"{server}." for server in zone["nameServers"])
    soa = f"{zone['primaryNameServer']}. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
    return [
        RecordSet(zone.id, name, "NS", "", "simple", "", _NS_TTL, servers, None, ""),
        RecordSet(zone.id, name, "SOA", "", "simple", "", _SOA_TTL, (soa,), None, ""),
    ]


def all_records(cloud: Cloud, zone: Resource) -> list[RecordSet]:
    """Every record of a zone in the API's order: by name with the labels reversed, then by type."""
    name = zone_name(zone)
    made = [stored_set(record, name) for record in records_of(cloud, zone.id)]
    taken = {record.key for record in made}
    found = [record for record in own_records(zone) if record.key not in taken] + made
    return sorted(found, key=lambda r: (r.name.split(".")[::-1], r.type, r.set_identifier))


@AWS.invoke("aws:route53/getZone:getZone")
def get_zone(args: Args, cloud: Cloud) -> dict[str, Any]:
    """One zone, by id or by name. Raises CloudError when none or several match."""
    zone_id, name, vpc_id = args.get("zoneId"), args.get("name"), args.get("vpcId")
    if zone_id and name:
        raise CloudError("InvalidArgument", "only one of `zone_id` or `name` may be set")
    private = bool(args.get("privateZone", bool(vpc_id)))
    if vpc_id and not private:
        raise CloudError("InvalidArgument", "`vpc_id` can only be set for private zones")
    if zone_id:
        zone = require_zone(cloud, zone_id)
    else:
        found = [z for z in cloud.all(limits.ZONE) if is_private(z) == private]
        if name:
            found = [z for z in found if zone_name(z) == normalized(name)]
        if vpc_id:
            found = [z for z in found if any(v == vpc_id for v, _ in zone_vpcs(cloud, z))]
        found = [z for z in found if tagged(z.outputs, args.get("tags") or {})]
        if not found:
            raise CloudError("NotFound", "no matching Route 53 Hosted Zone found")
        if len(found) > 1:
            raise CloudError(
                "TooManyResults",
                "multiple Route 53 Hosted Zones matched; use additional constraints to reduce matches to a single "
                "Route 53 Hosted Zone",
            )
        zone = found[0]
    apex = {t for r in records_of(cloud, zone.id) if (t := r["type"]) in APEX_TYPES and r["fqdn"] == zone_name(zone)}
    return {
        "id": zone.id,
        "zoneId": zone.id,
        "arn": zone["arn"],
        "callerReference": caller_reference(zone),
        "comment": zone["comment"],
        "enableAcceleratedRecovery": bool(zone["enableAcceleratedRecovery"]),
        "linkedServiceDescription": "",
        "linkedServicePrincipal": "",
        "name": zone_name(zone),
        "nameServers": zone["nameServers"],
        "primaryNameServer": zone["primaryNameServer"],
        "privateZone": is_private(zone),
        "resourceRecordSetCount": len(records_of(cloud, zone.id)) + APEX_RECORDS - len(apex),
        "tags": zone["tagsAll"] or zone["tags"] or {},
        **({"vpcId": vpc_id} if vpc_id else {}),
    }


@AWS.invoke("aws:route53/getZones:getZones")
def get_zones(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The ids of all zones of the account."""
    return {"id": cloud.region, "ids": [zone.id for zone in cloud.all(limits.ZONE)]}


@AWS.invoke("aws:route53/getDelegationSet:getDelegationSet")
def get_delegation_set(args: Args, cloud: Cloud) -> dict[str, Any]:
    found = cloud.get(limits.DELEGATION_SET, clean_delegation_set_id(args.get("id") or ""))
    if found is None:
        raise CloudError(
            "NoSuchDelegationSet", f"A reusable delegation set with the ID {args.get('id')} does not exist."
        )
    return {
        "id": found.id,
        "arn": found["arn"],
        "callerReference": caller_reference(found),
        "nameServers": found["nameServers"],
    }


@AWS.invoke("aws:route53/getRecords:getRecords")
def get_records(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The records of a zone whose names, written as the API writes them, match a regular expression."""
    zone = require_zone(cloud, args["zoneId"])
    pattern = args.get("nameRegex") or ""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise CloudError("InvalidArgument", f"expected nameRegex to be a regular expression: {error}") from None
    found = [record for record in all_records(cloud, zone) if compiled.search(as_stored(record.name))]
    return {
        "zoneId": clean_zone_id(args["zoneId"]),
        "nameRegex": pattern,
        "resourceRecordSets": [_described(record) for record in found],
    }


def _described(record: RecordSet) -> dict[str, Any]:
    """A record in the words of the API, which the data source passes on."""
    out: dict[str, Any] = {
        "name": as_stored(record.name),
        "type": record.type,
        "setIdentifier": record.set_identifier or None,
        "ttl": record.ttl,
        "healthCheckId": record.health_check_id or None,
        "multiValueAnswer": True if record.policy == "multivalue" else None,
        "weight": record.weight if record.policy == "weighted" else None,
        "region": record.place if record.policy == "latency" else None,
        "failover": record.place if record.policy == "failover" else None,
        "resourceRecords": [{"value": _value(record.type, value)} for value in record.values],
    }
    block = json.loads(record.place) if record.place.startswith("{") else {}
    if record.policy == "geolocation":
        out["geolocation"] = {f"{key}Code": block.get(key) for key in ("continent", "country", "subdivision")}
    elif record.policy == "cidr":
        out["cidrRoutingConfig"] = block
    elif record.policy == "geoproximity":
        coordinates = block.get("coordinates") or [None]
        out["geoproximityLocation"] = {**block, "coordinates": coordinates[0]}
    if record.alias is not None:
        out["aliasTarget"] = {
            "dnsName": as_stored(record.alias.name),
            "hostedZoneId": record.alias.zone_id,
            "evaluateTargetHealth": record.alias.evaluate_target_health,
        }
    return {key: value for key, value in out.items() if value is not None}


def _value(record_type: str, value: str) -> str:
    """The provider puts texts between quotation marks on their way to the API."""
    return f'"{value}"' if record_type in ("TXT", "SPF") else value
