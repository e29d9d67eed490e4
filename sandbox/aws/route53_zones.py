"""Hosted zones, the name servers they get, and the VPCs of private ones."""

from __future__ import annotations

import hashlib
import secrets as random_source
import string
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import formats, quotas, stamps, tokens
from sandbox.aws import route53_limits as limits
from sandbox.aws.registry import AWS
from sandbox.aws.route53_names import (
    clean_delegation_set_id,
    clean_zone_id,
    is_within,
    name_fault,
    normalized,
)
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import shown

_IDENTIFIER: Final = string.ascii_uppercase + string.digits
_PER_DOMAIN: Final = 512
# Public zones: one server out of 512 under each of four top-level domains. Private zones: always the first of each.
# https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html
_DOMAINS: Final = (("com", 0, 77), ("net", 512, 151), ("org", 1024, 211), ("co.uk", 1536, 293))
APEX_RECORDS: Final = 2
"""Every zone has its NS and SOA record from the start, and keeps them."""
APEX_TYPES: Final = ("NS", "SOA")


def identifier(prefix: str) -> str:
    """An id of a hosted zone (`Z...`) or a delegation set (`N...`): the prefix and 20 capital letters and digits."""
    return prefix + "".join(random_source.choice(_IDENTIFIER) for _ in range(20))


def name_servers(number: int) -> list[str]:
    """Four name servers under four top-level domains; none of two numbers that differ by less than 512 are the same."""
    servers = []
    for domain, base, start in _DOMAINS:
        index = (start + number * 37) % _PER_DOMAIN
        servers.append(f"ns-{base + index}.awsdns-{index // 8:02d}.{domain}")
    return servers


def private_name_servers() -> list[str]:
    return [f"ns-{base}.awsdns-00.{domain}" for domain, base, _ in _DOMAINS]


def find_zone(cloud: Cloud, zone_id: object) -> Resource | None:
    """The zone of an id, with or without the API's `/hostedzone/` before it."""
    return cloud.get(limits.ZONE, clean_zone_id(zone_id)) if isinstance(zone_id, str) else None


def require_zone(cloud: Cloud, zone_id: object) -> Resource:
    """Raises CloudError NoSuchHostedZone when there is no such zone."""
    zone = find_zone(cloud, zone_id)
    if zone is None:
        raise CloudError("NoSuchHostedZone", f"No hosted zone found with ID: {zone_id}")
    return zone


def zone_name(zone: Resource) -> str:
    return normalized(str(zone["name"]))


def is_private(zone: Resource) -> bool:
    return bool(zone["vpcs"])


def zone_vpcs(cloud: Cloud, zone: Resource) -> set[tuple[str, str]]:
    """(VPC, region) of everything associated with a private zone, in the zone itself or by an association."""
    own = {(str(v["vpcId"]), str(v.get("vpcRegion") or "")) for v in zone["vpcs"] or []}
    return own | {
        (str(a["vpcId"]), str(a["vpcRegion"] or ""))
        for a in cloud.all(limits.ZONE_ASSOCIATION)
        if clean_zone_id(str(a["zoneId"])) == zone.id
    }


def require_vpc(cloud: Cloud, vpc_id: str, region: str) -> None:
    """Raises CloudError InvalidVPCId when the account has no such VPC in the region."""
    if not any(vpc.id == vpc_id for vpc in cloud.all(tokens.VPC, region=region)):
        raise CloudError("InvalidVPCId", f"The VPC: {vpc_id} in region {region} that you provided is not valid.")


def check_vpc_free(cloud: Cloud, name: str, vpc_id: str, own: str) -> None:
    """A VPC sees one private zone of a name. Raises CloudError ConflictingDomainExists."""
    for zone in cloud.all(limits.ZONE):
        if zone.id != own and zone_name(zone) == name and any(v == vpc_id for v, _ in zone_vpcs(cloud, zone)):
            raise CloudError(
                "ConflictingDomainExists",
                f"The VPC {vpc_id} has already been associated with the hosted zone {zone.id} with the same domain "
                "name.",
            )


def _with_regions(vpcs: Iterable[Mapping[str, Any]], cloud: Cloud) -> list[dict[str, str]]:
    return [{"vpcId": v["vpcId"], "vpcRegion": v.get("vpcRegion") or cloud.region} for v in vpcs]


@AWS.kind
class Zone(Kind):
    """aws_route53_zone. https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateHostedZone.html

    A name may have any number of zones: each has four name servers of its own, and the internet asks those that the
    registrar or the parent zone names. What is refused is two zones of one name, or of parent and child, with name
    servers in common, which only a reusable delegation set can bring about."""

    token = limits.ZONE
    replace_on = ("name", "delegationSetId")
    sets = ("vpcs",)
    write_only = ("forceDestroy",)
    defaults: ClassVar[Mapping[str, Any]] = {
        "comment": "Managed by Pulumi",
        "forceDestroy": False,
        "enableAcceleratedRecovery": False,
    }
    autoname = AutoName("name", 1024)
    references = (
        Ref(
            "delegationSetId",
            (limits.DELEGATION_SET,),
            same_region=False,
            code="NoSuchDelegationSet",
            delete_code="DelegationSetInUse",
        ),
    )
    regional = False
    not_found_code = "NoSuchHostedZone"

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        name = inputs.get("name")
        return {**inputs, "name": normalized(name)} if isinstance(name, str) else inputs

    def check(self, args: Args) -> Iterable[Fault]:
        for path, value in args.at("name"):
            reason = name_fault(value) if isinstance(value, str) else "expected a domain name"
            if reason:
                yield Fault(path, f"{reason}, got {shown(value)}")
        yield from rules.length(args, "comment", 0, 256)
        yield from rules.length(args, "delegationSetId", 0, 32)
        yield from rules.conflicting(args, "vpcs", "delegationSetId")
        if args["vpcs"] == []:
            yield Fault("vpcs", "expected at least one VPC; a public zone has no vpcs at all")
        yield from formats.ids(args, "vpcs[*].vpcId", "vpc")
        yield from rules.one_of(args, "vpcs[*].vpcRegion", limits.ALL_REGIONS)
        # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/accelerated-recovery.html
        if args.get("enableAcceleratedRecovery") is True and args["vpcs"] is not None and args["vpcs"] != []:
            yield Fault("enableAcceleratedRecovery", "is only for public hosted zones: this one has vpcs")
        yield from stamps.tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return identifier("Z")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        limits.check_room(
            cloud,
            quotas.HOSTED_ZONES,
            len(cloud.all(self.token)),
            "TooManyHostedZones",
            "The account has reached its limit of {limit} hosted zones.",
        )
        name = normalized(args["name"])
        vpcs = _with_regions(args.get("vpcs") or [], cloud)
        if "." not in name and not vpcs:
            raise CloudError(
                "InvalidDomainName", f"{name} is a top-level domain: a public zone needs a name below one."
            )
        for vpc in vpcs:
            require_vpc(cloud, vpc["vpcId"], vpc["vpcRegion"])
            check_vpc_free(cloud, name, vpc["vpcId"], "")
        wanted = args.get("delegationSetId")
        if wanted:
            self._check_delegation(cloud, name, clean_delegation_set_id(wanted))

    def _check_delegation(self, cloud: Cloud, name: str, set_id: str) -> None:
        users = [z for z in cloud.all(self.token) if clean_delegation_set_id(z["delegationSetId"] or "") == set_id]
        if len(users) >= limits.ZONES_PER_DELEGATION_SET:
            raise CloudError(
                "TooManyHostedZones", f"The delegation set {set_id} has {len(users)} hosted zones already."
            )
        for zone in users:
            if is_within(zone_name(zone), name) or is_within(name, zone_name(zone)):
                raise CloudError(
                    "ConflictingDomainExists",
                    f"The delegation set {set_id} serves {zone_name(zone)} already: zones of the same name, or of "
                    "parent and child, cannot share a name server.",
                )

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        before = {(v["vpcId"], v["vpcRegion"]) for v in old["vpcs"] or []}
        after = {(v["vpcId"], v["vpcRegion"]) for v in _with_regions(args.get("vpcs") or [], cloud)}
        if after and not before:
            raise CloudError(
                "PublicZoneVPCAssociation", f"The hosted zone {old.id} is public; a VPC cannot be associated."
            )
        if before and not after:
            raise CloudError("LastVPCAssociation", f"The last VPC of the private hosted zone {old.id} must stay.")
        for vpc_id, region in sorted(after - before):
            require_vpc(cloud, vpc_id, region)
            check_vpc_free(cloud, zone_name(old), vpc_id, old.id)

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        if resource["forceDestroy"]:
            return
        # An apex NS or SOA record under management is the zone's own, and no obstacle.
        others = [r for r in records_of(cloud, resource.id) if not _is_apex(r, resource)]
        others += [
            i for i in cloud.all(limits.TRAFFIC_POLICY_INSTANCE) if clean_zone_id(str(i["hostedZoneId"])) == resource.id
        ]
        if others or signing_keys(cloud, resource.id):
            raise CloudError(
                "HostedZoneNotEmpty",
                "The specified hosted zone contains non-required resource record sets and so cannot be deleted."
                if others
                else "The specified hosted zone has DNSSEC signing enabled or key-signing keys and cannot be deleted.",
            )

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for record in records_of(cloud, resource.id):
            cloud.remove(limits.RECORD, record.id)
        for token, key in (
            (limits.DNSSEC, "hostedZoneId"),
            (limits.KEY_SIGNING_KEY, "hostedZoneId"),
            (limits.TRAFFIC_POLICY_INSTANCE, "hostedZoneId"),
            (limits.QUERY_LOG, "zoneId"),
            (limits.ZONE_ASSOCIATION, "zoneId"),
            (limits.VPC_AUTHORIZATION, "zoneId"),
        ):
            for other in cloud.all(token):
                if clean_zone_id(str(other[key])) == resource.id:
                    cloud.remove(token, other.id)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        vpcs = _with_regions(args.get("vpcs") or [], cloud)
        shared = cloud.get(limits.DELEGATION_SET, clean_delegation_set_id(args.get("delegationSetId") or ""))
        if old is not None:
            servers, primary = list(old["nameServers"]), old["primaryNameServer"]
        else:
            servers = private_name_servers() if vpcs else name_servers(cloud.sequence("route53/name-servers"))
            if shared is not None:
                servers = list(shared["nameServers"])
            primary = servers[0]
        return {
            "name": normalized(args["name"]),
            "zoneId": id,
            "arn": formats.arn("route53", "", "", f"hostedzone/{id}", partition_of=cloud.region),
            "nameServers": sorted(servers),
            "primaryNameServer": primary,
            "delegationSetId": clean_delegation_set_id(args.get("delegationSetId") or ""),
            "vpcs": vpcs,
        }


def records_of(cloud: Cloud, zone_id: str) -> list[Resource]:
    """The records of a zone that somebody made, oldest first: all but its own NS and SOA."""
    return [r for r in cloud.all(limits.RECORD) if clean_zone_id(str(r["zoneId"])) == zone_id]


def _is_apex(record: Resource, zone: Resource) -> bool:
    return record["type"] in APEX_TYPES and normalized(str(record["fqdn"])) == zone_name(zone)


def signing_keys(cloud: Cloud, zone_id: str) -> list[Resource]:
    """The key-signing keys of a zone."""
    return [k for k in cloud.all(limits.KEY_SIGNING_KEY) if clean_zone_id(str(k["hostedZoneId"])) == zone_id]


@AWS.kind
class DelegationSet(Kind):
    """aws_route53_delegation_set: four name servers for several zones.
    https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateReusableDelegationSet.html"""

    token = limits.DELEGATION_SET
    replace_on = ("referenceName",)
    write_only = ("referenceName",)
    regional = False
    taggable = False
    not_found_code = "NoSuchDelegationSet"

    def check(self, args: Args) -> Iterable[Fault]:
        # The provider appends 37 characters of its own to make a caller reference of at most 128.
        yield from rules.length(args, "referenceName", 0, 91)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return identifier("N")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        limits.check_room(
            cloud,
            quotas.DELEGATION_SETS,
            len(cloud.all(self.token)),
            "LimitsExceeded",
            "The account has reached its limit of {limit} reusable delegation sets.",
        )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        servers = old["nameServers"] if old else name_servers(cloud.sequence("route53/name-servers"))
        return {
            "arn": formats.arn("route53", "", "", f"delegationset/{id}", partition_of=cloud.region),
            "nameServers": sorted(servers),
        }


def caller_reference(resource: Resource) -> str:
    """The unique text that the provider made the resource with, as the API tells it: stable for one resource."""
    digest = hashlib.sha256(resource.id.encode()).hexdigest()
    return f"terraform-2026{int(digest[:14], 16) % 10**14:014d}00000001"
