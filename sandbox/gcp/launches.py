"""The instances that managed instance groups would get now, by machine type, zone and market, and why not.

Types by the rank of their selections, the lowest first, and among equals in their order
(https://docs.cloud.google.com/compute/docs/instance-groups/about-instance-flexibility); any zone that has them, unless
the group insists on being even
(https://docs.cloud.google.com/compute/docs/instance-groups/regional-mig-distribution-shape). A group whose size is 0
has what the region's fallback function would set at first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sandbox.gcp import group_rules, places, tokens
from sandbox.gcp.groups import templates_of, zones_of
from sandbox.kinds import Args, Cloud, Resource
from sandbox.launches import LAUNCHED, Attempt, Launch, fill, first_size

EXHAUSTED = "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"


def plan(cloud: Cloud, region: str) -> dict[str, list[Launch]]:
    """Group name -> launches, for all groups of a region, in the order they were made."""
    used: Counter[str] = Counter()
    return {str(g["name"]): _launches(g, cloud, region, used) for g in cloud.all(tokens.GROUP, region=region)}


def _launches(group: Resource, cloud: Cloud, region: str, used: Counter[str]) -> list[Launch]:
    args, name = Args(group.inputs), str(group["name"])
    template = templates_of(args, cloud)[0]
    market = group_rules.market(template)
    settings: list[Mapping[str, Any]] = [
        (f["serviceConfig"] or {}).get("environmentVariables") or {} for f in cloud.all(tokens.FUNCTION)
    ]
    wanted = int(group["targetSize"] or 0) or first_size(settings, name)

    def ask(zone: str, machine_type: str) -> Attempt | None:
        def refused(code: str, message: str) -> Attempt:
            return Attempt(zone, machine_type, market, code, message)

        if zone not in places.offered_zones(machine_type, region):
            return None
        machine = places.machine(machine_type)
        metrics: list[tuple[str, str | None]] = []
        if machine is not None:
            metric = machine.spot_quota if market == "spot" else machine.on_demand_quota
            metrics = [(metric, region), (machine.all_regions_quota, None)]
            for quota, where in metrics:
                limit = cloud.quota(quota, group_rules.DEFAULT_GPU_QUOTA, region=where)
                if used[quota] + machine.gpus > limit:
                    place = f"in region {where}" if where else "globally"
                    return refused(
                        "QUOTA_EXCEEDED",
                        f"Quota '{quota}' exceeded.  Limit: {limit:.1f} {place}; {used[quota]} in use.",
                    )
        if cloud.sold_out(zone, machine_type, market):
            return refused(
                EXHAUSTED, f"The zone '{zone}' does not have enough resources available: {machine_type}, {market}."
            )
        for quota, _ in metrics:
            used[quota] += machine.gpus if machine else 0
        return refused(LAUNCHED, f"{machine_type} in {zone} ({market})")

    even = (group["distributionPolicyTargetShape"] or "EVEN") == "EVEN"
    return list(fill(name, market, wanted, zones_of(args, cloud), _tiers(args, template), ask, even=even))


def _tiers(args: Args, template: Resource) -> list[list[str]]:
    """The types of each rank, or the template's own one."""
    selections = (args.get("instanceFlexibilityPolicy") or {}).get("instanceSelections") or []
    tiers: dict[int, list[str]] = {}
    for selection in selections:
        tiers.setdefault(int(selection.get("rank") or 0), []).extend(selection["machineTypes"])
    return [tiers[rank] for rank in sorted(tiers)] or [[str(template["machineType"])]]
