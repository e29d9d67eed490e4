"""One record as Route 53 keeps it, and which records may stand side by side under one name and type.

The refusals are in the API's own words; every rule is of
https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html unless it names another source.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.aws.route53_names import as_stored, clean_zone_id, expanded, is_within, normalized
from sandbox.kinds import Resource

# Property of the provider -> the policy's name in this module and in messages.
POLICIES: Final = {
    "weightedRoutingPolicies": "weighted",
    "latencyRoutingPolicies": "latency",
    "failoverRoutingPolicies": "failover",
    "geolocationRoutingPolicies": "geolocation",
    "geoproximityRoutingPolicy": "geoproximity",
    "cidrRoutingPolicy": "cidr",
    "multivalueAnswerRoutingPolicy": "multivalue",
}
# https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html
_MOST: Final = {"weighted": 100, "latency": 100, "geolocation": 100, "multivalue": 100, "cidr": 100, "geoproximity": 30}
_SPOKEN: Final = {
    "latency": "non-latency RRSet",
    "geolocation": "non-GEO RRSet",
    "multivalue": "non multivalue answer rrset",
}


@dataclass(frozen=True, slots=True)
class Alias:
    """Where an alias record leads: a name in a hosted zone, of this account or of an AWS service."""

    name: str
    zone_id: str
    evaluate_target_health: bool


@dataclass(frozen=True, slots=True)
class RecordSet:
    """A record of a zone. `name` is full, in lower case, without a trailing dot; `policy` is "simple" or a value of
    POLICIES, and `place` what tells it from others of that policy: a weight, a region, PRIMARY, a location as JSON."""

    zone_id: str
    name: str
    type: str
    set_identifier: str
    policy: str
    place: str
    ttl: int | None
    values: tuple[str, ...]
    alias: Alias | None
    health_check_id: str
    resource_id: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What is unique in a zone: name, type and set identifier."""
        return self.name, self.type, self.set_identifier

    @property
    def weight(self) -> int:
        """The weight of a weighted record, 0 for others."""
        return int(self.place) if self.policy == "weighted" else 0


def policies_in(inputs: Mapping[str, Any]) -> list[str]:
    """The routing policy properties that are set, in their order; an empty list sets none."""
    return [key for key in POLICIES if inputs.get(key) is not None and inputs.get(key) != []]


def _block(value: Any) -> Mapping[str, Any]:
    block = value[0] if isinstance(value, list) else value
    return block if isinstance(block, Mapping) else {}


def _place(policy: str, block: Mapping[str, Any]) -> str:
    if policy == "weighted":
        return str(block.get("weight", 0))
    if policy == "latency":
        return str(block.get("region", ""))
    if policy == "failover":
        return str(block.get("type", ""))
    return json.dumps({k: v for k, v in block.items() if v not in (None, "", [])}, sort_keys=True)


def record_set(inputs: Mapping[str, Any], zone: str, resource_id: str = "") -> RecordSet:
    """The record that inputs of `aws:route53/record:Record` make in the zone of that name. All values are known."""
    used = [key for key in policies_in(inputs) if inputs[key] is not False]
    policy = POLICIES[used[0]] if used else "simple"
    aliases = inputs.get("aliases") or []
    alias = None
    if aliases:
        alias = Alias(
            normalized(str(aliases[0]["name"])),
            clean_zone_id(str(aliases[0]["zoneId"])),
            bool(aliases[0]["evaluateTargetHealth"]),
        )
    ttl = inputs.get("ttl")
    return RecordSet(
        zone_id=clean_zone_id(str(inputs["zoneId"])),
        name=expanded(str(inputs["name"]), zone),
        type=str(inputs["type"]),
        set_identifier=str(inputs.get("setIdentifier") or ""),
        policy=policy,
        place=_place(policy, _block(inputs[used[0]])) if used else "",
        ttl=None if ttl is None or alias else int(ttl),
        values=() if alias else tuple(str(v) for v in inputs.get("records") or []),
        alias=alias,
        health_check_id=str(inputs.get("healthCheckId") or ""),
        resource_id=resource_id,
    )


def stored_set(record: Resource, zone: str) -> RecordSet:
    """The record that a resource of the store stands for."""
    return record_set(record.inputs, zone, record.id)


def _described(record: RecordSet) -> str:
    """A record as the API's messages name it."""
    text = f"RRSet with DNS name {as_stored(record.name)}, type {record.type}"
    if record.set_identifier:
        text += f", SetIdentifier {record.set_identifier}"
    if record.policy == "latency":
        text += f", and Region Name={record.place}"
    elif record.policy == "geolocation":
        text += f", and routing to {record.place}"
    return text


def exists_message(record: RecordSet) -> str:
    identifier = f", set-identifier='{record.set_identifier}'" if record.set_identifier else ""
    return (
        f"Tried to create resource record set [name='{as_stored(record.name)}', type='{record.type}'{identifier}] "
        "but it already exists"
    )


def zone_faults(record: RecordSet, zone: str) -> Iterator[str]:
    """Why a record cannot lie in the zone of that name."""
    if not is_within(record.name, zone):
        yield f"{_described(record)} is not permitted in zone {zone}."
    elif record.type == "CNAME" and record.name == zone:
        yield f"RRSet of type CNAME with DNS name {as_stored(zone)} is not permitted at apex in zone {zone}."
    elif record.type in ("SOA", "DS") and (record.name == zone) != (record.type == "SOA"):
        where = "only permitted" if record.type == "SOA" else "not permitted"
        yield f"RRSet of type {record.type} with DNS name {as_stored(record.name)} is {where} at apex in zone {zone}."
    elif record.type == "NS" and record.name.startswith("*."):
        yield f"RRSet of type NS with DNS name {as_stored(record.name)} is not permitted: NS records have no wildcard."


def neighbour_faults(record: RecordSet, others: Iterable[RecordSet], zone: str) -> Iterator[str]:
    """Why a record cannot stand beside the others of its zone. `others` leaves out the record that it replaces."""
    same_name = [o for o in others if o.name == record.name]
    if record.type == "CNAME" and any(o.type != "CNAME" for o in same_name):
        yield (
            f"RRSet of type CNAME with DNS name {as_stored(record.name)} is not permitted as it conflicts with other "
            f"records with the same DNS name in zone {zone}."
        )
    elif record.type != "CNAME" and any(o.type == "CNAME" for o in same_name):
        yield (
            f"RRSet of type {record.type} with DNS name {as_stored(record.name)} is not permitted because a "
            f"conflicting RRSet of type CNAME with the same DNS name already exists in zone {zone}."
        )
    yield from _policy_faults(record, [o for o in same_name if o.type == record.type])


def _policy_faults(record: RecordSet, group: list[RecordSet]) -> Iterator[str]:
    """Others of the same name and type: one policy for all, and what each policy allows once."""
    if not group:
        return
    if record.policy == "simple":
        yield f"{_described(record)} cannot be created as other RRSets exist with the same name and type."
        return
    if any(o.policy != record.policy for o in group):
        what = _SPOKEN.get(record.policy, f"non-{record.policy} set")
        yield f"{_described(record)} cannot be created because a {what} exists with the same name and type."
        return
    most = _MOST.get(record.policy)
    if most is not None and len(group) >= most:
        yield f"{_described(record)} cannot be created: {most} {record.policy} records have the same name and type."
    if record.policy == "latency" and any(o.place == record.place for o in group):
        yield (
            f"{_described(record)} cannot be created because a latency RRSet with the same name, type and region "
            "already exists."
        )
    elif record.policy == "failover" and any(o.place == record.place for o in group):
        yield (
            f"{_described(record)} cannot be created because a {record.place.lower()} failover RRSet with the same "
            "name and type already exists."
        )
    elif record.policy in ("geolocation", "cidr", "geoproximity") and any(o.place == record.place for o in group):
        yield (
            f"{_described(record)} cannot be created because a {record.policy} RRSet with the same name, type and "
            "location already exists."
        )
    elif (
        record.policy == "weighted"
        and record.ttl is not None
        and any(o.ttl is not None and o.ttl != record.ttl for o in group)
    ):
        # https://github.com/aws/aws-sdk-go-v2/issues/518
        yield f"{_described(record)} cannot be created as weighted sets must contain the same TTL."
