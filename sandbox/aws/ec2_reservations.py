"""Capacity that is paid for whether or not something runs in it: reservations, and capacity blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import ec2_launch_rules, formats, quotas, stamps, tokens, zones
from sandbox.aws.ec2_compute import check_launchable
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource

_PLATFORMS: Final = (
    "Linux/UNIX",
    "Linux with SQL Server Enterprise",
    "Linux with SQL Server Standard",
    "Linux with SQL Server Web",
    "RHEL with HA",
    "RHEL with HA and SQL Server Enterprise",
    "RHEL with HA and SQL Server Standard",
    "RHEL with SQL Server Enterprise",
    "RHEL with SQL Server Standard",
    "RHEL with SQL Server Web",
    "Red Hat Enterprise Linux",
    "SUSE Linux",
    "Ubuntu Pro",
    "Windows",
    "Windows with SQL Server",
    "Windows with SQL Server Enterprise",
    "Windows with SQL Server Standard",
    "Windows with SQL Server Web",
)
_EPOCH: Final = date(1970, 1, 1)


def _moment(value: object) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


@AWS.kind
class CapacityReservation(Kind):
    """aws_ec2_capacity_reservation.
    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateCapacityReservation.html"""

    token = tokens.CAPACITY_RESERVATION
    id_prefix = "cr-"
    replace_on = (
        "availabilityZone",
        "ebsOptimized",
        "ephemeralStorage",
        "instanceMatchCriteria",
        "instancePlatform",
        "instanceType",
        "outpostArn",
        "placementGroupArn",
        "tenancy",
    )
    defaults: ClassVar[Mapping[str, Any]] = {
        "ebsOptimized": False,
        "ephemeralStorage": False,
        "endDateType": "unlimited",
        "instanceMatchCriteria": "open",
        "tenancy": "default",
    }
    references = (Ref("placementGroupArn", (tokens.PLACEMENT_GROUP,), by="arn", code="InvalidPlacementGroup.Unknown"),)
    not_found_code = "InvalidCapacityReservationId.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from ec2_launch_rules.machine_type(args)
        yield from formats.zone(args, "availabilityZone")
        yield from rules.one_of(args, "instancePlatform", _PLATFORMS)
        yield from rules.one_of(args, "endDateType", ("limited", "unlimited"))
        yield from rules.one_of(args, "instanceMatchCriteria", ("open", "targeted"))
        yield from rules.one_of(args, "tenancy", ("default", "dedicated"))
        yield from rules.between(args, "instanceCount", 1, 1000)
        for path, value in args.at("endDate"):
            if _moment(value) is None:
                yield Fault(path, f"expected a time such as 2027-01-31T12:00:00Z, got {rules.shown(value)}")
        limited = args.get("endDateType", "unlimited") == "limited"
        if limited and "endDate" not in args:
            yield Fault("endDate", "is required when endDateType is limited")
        if not limited and not args.is_unknown("endDateType") and "endDate" in args:
            yield Fault("endDate", "can only be set when endDateType is limited")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        zone, machine_type = args["availabilityZone"], args["instanceType"]
        if zone not in zones.zone_names(cloud.region):
            raise CloudError("InvalidParameterValue", f"Invalid Availability Zone: [{zone}]")
        self._check_quota(args, cloud, None)
        check_launchable(cloud, machine_type, zone, "on-demand")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_quota(args, cloud, old)

    def _check_quota(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        """A reservation counts against the on-demand quota whether it is used or not.
        https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-capacity-reservations.html#capacity-reservations-limits"""
        found = quotas.instance_type(args["instanceType"])
        quota = quotas.vcpu_quota(args["instanceType"], "on-demand")
        if found is None or quota is None:
            return
        used = 0
        for other in cloud.all(self.token, region=cloud.region):
            theirs = quotas.instance_type(str(other["instanceType"]))
            same = theirs is not None and quotas.vcpu_quota(theirs.name, "on-demand") == quota
            if theirs is not None and same and (old is None or other.id != old.id):
                used += theirs.vcpus * int(other["instanceCount"])
        limit = cloud.quota(quota.code, quota.default)
        if used + found.vcpus * args["instanceCount"] > limit:
            raise CloudError(
                "InstanceLimitExceeded",
                f"You have requested more vCPU capacity than your current vCPU limit of {limit:g} allows for the "
                "instance bucket that the specified instance type belongs to.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"arn": ec2_arn(cloud, f"capacity-reservation/{id}"), "ownerId": cloud.account}


# A capacity block is bought by the id of an offering. The stand-in keeps no list of offerings: an offering's id says
# what it is, in 17 hex digits: machine type (2), zone (2), count (2), days (3), first day since 1970 (4), check (4).


def _block_types() -> list[str]:
    types = (quotas.instance_type(name) for name in quotas.instance_type_names())
    return sorted(t.name for t in types if t is not None and "capacity-block" in t.usage_classes)


def _all_zones() -> list[str]:
    return [zone for name in sorted(zones.regions()) for zone in zones.zone_names(name)]


def _check_group(body: str) -> str:
    return f"{int(body, 16) % 65521:04x}"


def offering_id(machine_type: str, zone: str, count: int, days: int, start: date) -> str:
    """The id of a capacity block offering. Raises ValueError for a type or zone that has none."""
    numbers = (_block_types().index(machine_type), _all_zones().index(zone), count)
    body = "".join(f"{n:02x}" for n in numbers) + f"{days:03x}{(start - _EPOCH).days:04x}"
    return f"cb-{body}{_check_group(body)}"


def offering(id: str) -> dict[str, Any] | None:
    """What an offering id stands for, None when there is no such offering."""
    digits = id.removeprefix("cb-")
    body, check = digits[:-4], digits[-4:]
    if len(digits) != 17 or not formats.is_id(id, "cb") or _check_group(body) != check:
        return None
    kind, zone, count, days, start = (int(body[a:b], 16) for a, b in ((0, 2), (2, 4), (4, 6), (6, 9), (9, 13)))
    first = datetime.combine(_EPOCH + timedelta(days=start), datetime.min.time(), UTC) + timedelta(hours=11, minutes=30)
    # Blocks begin and end at 11:30 UTC: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-capacity-blocks.html
    return {
        "instanceType": _block_types()[kind],
        "availabilityZone": _all_zones()[zone],
        "instanceCount": count,
        "capacityDurationHours": days * 24,
        "startDate": first.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "endDate": (first + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


@AWS.kind
class CapacityBlockReservation(Kind):
    """aws_ec2_capacity_block_reservation: a purchase. Deleting it gives nothing back, the provider only forgets it."""

    token = tokens.CAPACITY_BLOCK
    id_prefix = "cr-"
    replace_on = ("capacityBlockOfferingId", "instancePlatform")
    not_found_code = "InvalidCapacityReservationId.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "capacityBlockOfferingId", "cb")
        yield from rules.one_of(args, "instancePlatform", _PLATFORMS)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        found = offering(args["capacityBlockOfferingId"])
        if found is None or zones.region_of_zone(found["availabilityZone"]) != cloud.region:
            raise CloudError(
                "InvalidCapacityBlockOfferingId.NotFound",
                f"The Capacity Block offering '{args['capacityBlockOfferingId']}' does not exist",
            )
        if cloud.find(self.token, capacityBlockOfferingId=args["capacityBlockOfferingId"]):
            raise CloudError("CapacityBlockOfferingNotAvailable", "The Capacity Block offering has been sold.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        found = offering(args["capacityBlockOfferingId"]) or {}
        keys = ("availabilityZone", "instanceType", "instanceCount", "startDate", "endDate")
        return {
            **{key: found.get(key) for key in keys},
            "arn": ec2_arn(cloud, f"capacity-reservation/{id}"),
            "createdDate": old["createdDate"] if old else stamps.now(),
            "endDateType": "limited",
            "ebsOptimized": False,
            "reservationType": "capacity-block",
            "tenancy": "default",
        }


def _check_offering(args: Args, cloud: Cloud) -> Iterator[str]:
    hours, count = args["capacityDurationHours"], args.get("instanceCount", 1)
    # 1 to 14 days, then in weeks up to 182 days (the API's own model of CapacityDurationHours).
    days = hours / 24
    if days != int(days) or not (1 <= days <= 14 or (days <= 182 and days % 7 == 0)):
        yield f"capacityDurationHours: expected 24 to 336 in days, or weeks up to 4368, got {hours}"
    if not 1 <= count <= 64:
        yield f"instanceCount: expected 1 to 64, got {count}"
    if args["instanceType"] not in _block_types():
        yield f"instanceType: {args['instanceType']} is not sold as capacity block"


@AWS.invoke("aws:ec2/getCapacityBlockOffering:getCapacityBlockOffering")
def get_capacity_block_offering(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The first offering that fits: tomorrow, or on the first day asked for. CloudError when nothing can."""
    faults = list(_check_offering(args, cloud))
    if faults:
        raise CloudError("InvalidParameterValue", "; ".join(faults))
    machine_type, hours = args["instanceType"], args["capacityDurationHours"]
    home = zones.offered_zones(machine_type, cloud.region)
    offered = zones.zone_names(cloud.region) if home is None else home
    free = [zone for zone in offered if not cloud.sold_out(zone, machine_type, "on-demand")]
    if not free:
        raise CloudError(
            "CapacityBlockOfferingNotAvailable", f"no Capacity Block offering of {machine_type} in {cloud.region}"
        )
    wanted = _moment(args["startDateRange"])
    start = (wanted or datetime.now(UTC) + timedelta(days=1)).date()
    count = args.get("instanceCount", 1)
    id = offering_id(machine_type, free[0], count, hours // 24, start)
    found = offering(id) or {}
    return {
        "id": id,
        "capacityBlockOfferingId": id,
        "availabilityZone": found["availabilityZone"],
        "capacityDurationHours": hours,
        "currencyCode": "USD",
        "endDateRange": found["endDate"],
        "startDateRange": found["startDate"],
        "instanceCount": count,
        "instanceType": machine_type,
        "tenancy": "default",
        "upfrontFee": "",
        "region": cloud.region,
    }
