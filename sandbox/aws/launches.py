"""The launches a group would make for its desired capacity: which type, zone and market, and why not another.

The stand-in runs no machines; it answers what the real groups would come to under the current weather and quotas. The
answer is deterministic: groups in the order they were made, instances one after the other, each in the zone that has
the fewest so far (zones by name on a tie), and in the zone by the allocation strategy.

The stand-in knows only whether a pool (type and zone in one market) is sold out. Pools that are not sold out are
equally deep, so `price-capacity-optimized` and `lowest-price` go by price and `capacity-optimized` and
`...-prioritized` by the order of the overrides
(https://docs.aws.amazon.com/autoscaling/ec2/userguide/allocation-strategies.html). Prices are unknown here: the vCPUs
of a unit of capacity stand for them, ties by the order of the overrides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from sandbox.aws import quotas, tokens, zones
from sandbox.kinds import Cloud, Resource
from sandbox.launches import LAUNCHED, Attempt, Launch

NO_CAPACITY: Final = "InsufficientInstanceCapacity"
NOT_OFFERED: Final = "Unsupported"
SPOT_QUOTA: Final = "MaxSpotInstanceCountExceeded"
VCPU_QUOTA: Final = "VcpuLimitExceeded"
NO_RESERVATION: Final = "ReservationCapacityExceeded"
NO_ZONE: Final = "InvalidSubnet"

DEFAULT_SPOT_STRATEGY: Final = "lowest-price"


class Offers(Protocol):
    """What is needed of the machine catalog: the zones of a region that offer a type."""

    def zones(self, name: str, region: str) -> Sequence[str]: ...


@dataclass(slots=True)
class _Usage:
    """What is used up while the groups launch one after the other."""

    vcpus: Counter[str] = field(default_factory=Counter)
    reserved: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _Pool:
    machine_type: str
    weight: int
    priority: int
    template: Mapping[str, Any]


def launches(group: Resource, cloud: Cloud, catalog: Offers | None = None) -> list[Launch]:
    """The launches of one group, after those of all older groups of its account and region have taken their share of
    the quotas. `group` may be one that is not stored yet: it then comes last."""
    return plan(cloud, group.region, catalog, extra=group)[group.id]


def plan(
    cloud: Cloud, region: str, catalog: Offers | None = None, *, extra: Resource | None = None
) -> dict[str, list[Launch]]:
    """Group name -> launches, for all groups of a region."""
    groups = list(cloud.all(tokens.AUTOSCALING_GROUP, region=region))
    if extra is not None:
        known = [g.id for g in groups]
        if extra.id in known:
            groups[known.index(extra.id)] = extra
        else:
            groups.append(extra)
    usage = _Usage()
    for instance in cloud.all(tokens.INSTANCE, region=region):
        market = "spot" if instance["instanceMarketOptions"] or instance["spotInstanceRequestId"] else "on-demand"
        _take(usage, instance["instanceType"] or "", market)
    return {g.id: list(_launch_group(g, cloud, usage, catalog)) for g in groups}


def capacity(made: Iterable[Launch]) -> int:
    """Units of capacity that were launched."""
    return sum(launch.weight for launch in made if launch.launched)


def group_zones(group: Resource, cloud: Cloud) -> tuple[str, ...]:
    """The zones a group may launch in: those of its subnets, or the ones it names."""
    wanted = set(group["vpcZoneIdentifiers"] or [])
    found = {s["availabilityZone"] for s in cloud.all(tokens.SUBNET, region=group.region) if s.id in wanted}
    return tuple(sorted(z for z in found or set(group["availabilityZones"] or []) if z))


def _launch_group(group: Resource, cloud: Cloud, usage: _Usage, catalog: Offers | None) -> Iterator[Launch]:
    wanted = group["desiredCapacity"] if group["desiredCapacity"] is not None else group["minSize"] or 0
    suspended = set(group["suspendedProcesses"] or [])
    base, percentage = _on_demand_share(group, cloud)
    per_zone = Counter(dict.fromkeys(group_zones(group, cloud), 0))
    units = {"spot": 0, "on-demand": 0}
    number = 0
    while units["spot"] + units["on-demand"] < wanted:
        done = units["spot"] + units["on-demand"]
        market = _next_market(done, units["on-demand"], wanted, base, percentage)
        number += 1
        if "Launch" in suspended:
            launch = Launch(group.id, number, market, "Suspended", "the process Launch is suspended")
        else:
            launch = _launch_one(group, number, market, per_zone, cloud, usage, catalog)
        yield launch
        units[market] += launch.weight
        if launch.launched:
            per_zone[launch.zone] += 1


def _next_market(done: int, on_demand: int, wanted: int, base: int, percentage: int) -> str:
    """On-demand first up to its base, then by the percentage above it, rounded up in favour of on-demand
    (https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html)."""
    target = min(base, wanted) + -(-max(wanted - base, 0) * percentage // 100)
    return "on-demand" if on_demand < target else "spot"


def _on_demand_share(group: Resource, cloud: Cloud) -> tuple[int, int]:
    """(base, percentage above it). Without a mixed instances policy the template's market options decide for all."""
    policy = group["mixedInstancesPolicy"]
    if policy:
        distribution = policy.get("instancesDistribution") or {}
        percentage = distribution.get("onDemandPercentageAboveBaseCapacity")
        return distribution.get("onDemandBaseCapacity") or 0, 100 if percentage is None else percentage
    template = _template(group["launchTemplate"] or {}, group, cloud)
    options = (template["instanceMarketOptions"] if template else None) or {}
    return 0, 0 if options.get("marketType") == "spot" else 100


def _template(reference: Mapping[str, Any], group: Resource, cloud: Cloud) -> Resource | None:
    wanted_id = reference.get("id") or reference.get("launchTemplateId")
    wanted_name = reference.get("name") or reference.get("launchTemplateName")
    for template in cloud.all(tokens.LAUNCH_TEMPLATE, region=group.region):
        if template.id == wanted_id or (not wanted_id and wanted_name and template["name"] == wanted_name):
            return template
    return None


def _pools(group: Resource, cloud: Cloud) -> list[_Pool]:
    """The types a group may launch, in order of priority."""
    policy = group["mixedInstancesPolicy"]
    if not policy:
        template = _template(group["launchTemplate"] or {}, group, cloud)
        machine_type = template["instanceType"] if template else ""
        return [_Pool(machine_type, 1, 0, template.outputs if template else {})] if machine_type else []
    launch_template = policy.get("launchTemplate") or {}
    base = _template(launch_template.get("launchTemplateSpecification") or {}, group, cloud)
    pools = []
    for i, override in enumerate(launch_template.get("overrides") or []):
        own = _template(override.get("launchTemplateSpecification") or {}, group, cloud) or base
        machine_type = override.get("instanceType") or ""
        if machine_type:
            weight = int(override.get("weightedCapacity") or 1)
            pools.append(_Pool(machine_type, weight, i, own.outputs if own else {}))
    if not pools and base and base["instanceType"]:
        pools.append(_Pool(base["instanceType"], 1, 0, base.outputs))
    return pools


def _ordered(pools: list[_Pool], group: Resource, market: str) -> list[_Pool]:
    distribution = (group["mixedInstancesPolicy"] or {}).get("instancesDistribution") or {}
    if market == "spot":
        strategy = distribution.get("spotAllocationStrategy") or DEFAULT_SPOT_STRATEGY
        by_price = strategy in ("price-capacity-optimized", "lowest-price")
    else:
        by_price = distribution.get("onDemandAllocationStrategy") == "lowest-price"
    if not by_price:
        return sorted(pools, key=lambda p: p.priority)
    return sorted(pools, key=lambda p: (_vcpus(p.machine_type) / p.weight, p.priority))


def _vcpus(machine_type: str) -> int:
    found = quotas.instance_type(machine_type)
    return found.vcpus if found else 0


def _launch_one(
    group: Resource,
    number: int,
    market: str,
    per_zone: Counter[str],
    cloud: Cloud,
    usage: _Usage,
    catalog: Offers | None,
) -> Launch:
    pools = _ordered(_pools(group, cloud), group, market)
    if not pools:
        return Launch(group.id, number, market, "InvalidLaunchTemplate", "the launch template names no instance type")
    if not per_zone:
        return Launch(group.id, number, market, NO_ZONE, "the group has no subnet and no zone")
    balanced = (group["availabilityZoneDistribution"] or {}).get("capacityDistributionStrategy") == "balanced-only"
    order = sorted(per_zone, key=lambda z: (per_zone[z], z))
    attempts: list[Attempt] = []
    for zone in order[:1] if balanced else order:
        for pool in pools:
            attempt, reservation = _try(group, zone, pool, market, cloud, usage, catalog)
            attempts.append(attempt)
            if attempt.outcome == LAUNCHED:
                return Launch(
                    group.id, number, market, LAUNCHED, attempt.message, pool.machine_type, zone, pool.weight,
                    reservation, tuple(attempts),
                )  # fmt: skip
    # The first refusal that is not about the zone is what the group's activity history shows last.
    telling = next((a for a in reversed(attempts) if a.outcome != NOT_OFFERED), attempts[-1])
    return Launch(group.id, number, market, telling.outcome, telling.message, attempts=tuple(attempts))


def _try(
    group: Resource, zone: str, pool: _Pool, market: str, cloud: Cloud, usage: _Usage, catalog: Offers | None
) -> tuple[Attempt, str]:
    machine_type = pool.machine_type

    def refused(code: str, message: str) -> tuple[Attempt, str]:
        return Attempt(zone, machine_type, market, code, f"{message} Launching EC2 instance failed."), ""

    offered = zone in catalog.zones(machine_type, group.region) if catalog else zones.is_offered(machine_type, zone)
    if not offered:
        return refused(
            NOT_OFFERED,
            f"Your requested instance type ({machine_type}) is not supported in your requested Availability "
            f"Zone ({zone}). "
            "Please retry your request by not specifying an Availability Zone or choosing another one.",
        )
    quota = quotas.vcpu_quota(machine_type, market)
    reservation, must = _reservation(group, pool, zone, market, cloud, usage)
    in_block = reservation is not None and reservation.token == tokens.CAPACITY_BLOCK
    if quota is not None and not in_block:
        limit = cloud.quota(quota.code, quota.default, region=group.region)
        if usage.vcpus[quota.code] + _vcpus(machine_type) > limit:
            if market == "spot":
                return refused(
                    SPOT_QUOTA,
                    f"Could not launch Spot Instances. {SPOT_QUOTA} - Max spot instance count exceeded "
                    f"({quota.name}, {quota.code}: {limit:g} vCPUs, {usage.vcpus[quota.code]} in use).",
                )
            return refused(
                VCPU_QUOTA,
                f"You have requested more vCPU capacity than your current vCPU limit of {limit:g} allows for "
                "the instance bucket "
                f"that the specified instance type belongs to ({quota.name}, {quota.code}, "
                f"{usage.vcpus[quota.code]} in use).",
            )
    if must and reservation is None:
        return refused(NO_RESERVATION, f"No capacity reservation for {machine_type} in {zone} has room left.")
    if reservation is None and cloud.sold_out(zone, machine_type, market):
        if market == "spot":
            return refused(
                NO_CAPACITY,
                f"Could not launch Spot Instances. {NO_CAPACITY} - There is no Spot capacity available that "
                "matches your "
                f"request ({machine_type} in {zone}).",
            )
        return refused(
            NO_CAPACITY,
            f"We currently do not have sufficient {machine_type} capacity in the Availability Zone you "
            f"requested ({zone}). "
            "Our system will be working on provisioning additional capacity.",
        )
    _take(usage, machine_type, market)
    where = f"{machine_type} in {zone} ({market})"
    if reservation is not None:
        usage.reserved[reservation.id] += 1
        return Attempt(zone, machine_type, market, LAUNCHED, f"{where} in reservation {reservation.id}"), reservation.id
    return Attempt(zone, machine_type, market, LAUNCHED, where), ""


def _take(usage: _Usage, machine_type: str, market: str) -> None:
    quota = quotas.vcpu_quota(machine_type, market)
    if quota is not None:
        usage.vcpus[quota.code] += _vcpus(machine_type)


def _reservation(
    group: Resource, pool: _Pool, zone: str, market: str, cloud: Cloud, usage: _Usage
) -> tuple[Resource | None, bool]:
    """(the reservation a launch would run in, whether it may only run in one). The group's own preference goes before
    the launch template's (https://docs.aws.amazon.com/autoscaling/ec2/userguide/use-ec2-capacity-reservations.html).
    Spot runs in none."""
    if market == "spot":
        return None, False
    own = group["capacityReservationSpecification"] or {}
    preference = own.get("capacityReservationPreference") or "default"
    target = own.get("capacityReservationTarget") or {}
    wanted = list(target.get("capacityReservationIds") or [])
    if preference == "default":
        settings = pool.template.get("capacityReservationSpecification") or {}
        preference = settings.get("capacityReservationPreference") or "open"
        named = (settings.get("capacityReservationTarget") or {}).get("capacityReservationId")
        wanted = [named] if named else []
    must = preference == "capacity-reservations-only" or (bool(wanted) and preference != "capacity-reservations-first")
    if preference == "none":
        return None, False
    for token in tokens.CAPACITY_RESERVATIONS:
        for reservation in cloud.all(token, region=group.region):
            if wanted and reservation.id not in wanted:
                continue
            if not wanted and (reservation["instanceMatchCriteria"] or "open") != "open":
                continue
            if reservation["instanceType"] != pool.machine_type or reservation["availabilityZone"] != zone:
                continue
            if usage.reserved[reservation.id] < (reservation["instanceCount"] or 0):
                return reservation, must
    return None, must
