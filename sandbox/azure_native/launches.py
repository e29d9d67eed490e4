"""The machines that scale sets would get now, by size, zone and market, and why not.

A scale set has one size; with zones it takes any of them that has machines, unless it insists on balance
(https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-zone-balancing). One whose
capacity is 0 has what the region's fallback function would set at first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from sandbox.azure_native import machines, tokens
from sandbox.azure_native.places import normal
from sandbox.kinds import Cloud, CloudError, Resource
from sandbox.launches import LAUNCHED, Attempt, Launch, fill, first_size


def plan(cloud: Cloud, region: str) -> dict[str, list[Launch]]:
    """Scale set name -> launches, for all scale sets of a region, in the order they were made."""
    used: Counter[str] = Counter()
    sets = [s for s in cloud.all(tokens.SCALE_SET) if normal(str(s["location"])) == region]
    return {str(s["name"]): _launches(s, cloud, region, used) for s in sets}


def _launches(scale_set: Resource, cloud: Cloud, region: str, used: Counter[str]) -> list[Launch]:
    name, spot = str(scale_set["name"]), machines.is_spot(scale_set)
    market = "spot" if spot else "on-demand"
    sku = scale_set["sku"] or {}
    wanted = int(sku.get("capacity") or 0) or first_size(_settings(cloud), name)
    zones = [f"{region}-{zone}" for zone in scale_set["zones"] or ()] or [region]

    def ask(zone: str, size: str) -> Attempt:
        try:
            machines.refuse_not_offered(size, region, [zone.removeprefix(f"{region}-")] if zone != region else [])
            _refuse_beyond_quota(cloud, region, size, spot, used)
            machines.refuse_sold_out(
                cloud, region, size, [zone.removeprefix(f"{region}-")] if zone != region else [], spot=spot
            )
        except CloudError as error:
            return Attempt(zone, size, market, error.code, error.message)
        found = machines.size(size)
        for quota in machines.quotas_of(found, spot) if found else ():
            used[quota] += found.vcpus if found else 0
        return Attempt(zone, size, market, LAUNCHED, f"{size} in {zone} ({market})")

    return list(fill(name, market, wanted, zones, [[str(sku["name"])]], ask, even=bool(scale_set["zoneBalance"])))


def _refuse_beyond_quota(cloud: Cloud, region: str, size: str, spot: bool, used: Counter[str]) -> None:
    """Like machines.refuse_beyond_quota, of machines that come one by one. Raises CloudError."""
    found = machines.size(size)
    for quota, most in machines.quotas_of(found, spot).items() if found else ():
        limit = cloud.quota(quota, most, region=region)
        if found is not None and used[quota] + found.vcpus > limit:
            raise CloudError(
                "OperationNotAllowed",
                f"Operation could not be completed as it results in exceeding approved {quota} Cores quota: current "
                f"limit {limit:g}, current usage {used[quota]}, additional required {found.vcpus}.",
            )


def _settings(cloud: Cloud) -> list[Mapping[str, Any]]:
    """The settings of every function app, as they were sent: no answer tells them again."""
    listed = [app.inputs.get("siteConfig") or {} for app in cloud.all(tokens.WEB_APP)]
    return [{s.get("name"): s.get("value") for s in config.get("appSettings") or ()} for config in listed]
