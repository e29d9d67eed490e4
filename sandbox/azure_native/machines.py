"""Machine sizes of the stand-in Azure: the project's own data, so that the sandbox refuses exactly what a stack file is
told to avoid. Sizes outside of it are taken to be offered everywhere.

vCPU quotas: https://learn.microsoft.com/azure/virtual-machines/quotas. Those of GPU families are 0 in a new
subscription; the stand-in's subscription is one that asked for them, as any that wants to run this must.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.places import normal
from sandbox.kinds import Cloud, CloudError, Resource

_DATA: Final = Path(__file__).resolve().parents[2] / "infra" / "data"
FAMILY_CORES: Final = 1152
SPOT_CORES: Final = 1152
REGIONAL_CORES: Final = 2304
SPOT: Final = "lowPriorityCores"
REGIONAL: Final = "cores"


@dataclass(frozen=True, slots=True)
class Size:
    """One size. temp_gib: of the temporary disk; nvme_gib: of all local NVMe disks together."""

    name: str
    vcpus: int
    family: str
    temp_gib: int
    nvme_gib: int
    data_disks: int
    nics: int


@lru_cache(maxsize=1)
def _sizes() -> Mapping[str, Size]:
    """By name in lower case. Read once, on first use: the plugin must start fast; empty where the data is not
    installed."""
    data = _read("azure_machines.json")
    return {
        name.lower(): Size(
            name,
            row["vcpus"],
            data["quotas"][row["quota"]]["onDemand"],
            row["temp"],
            row["nvme"][0] * row["nvme"][1],
            row["dataDisks"],
            row["nics"],
        )
        for name, row in data.get("machines", {}).items()
    }


@lru_cache(maxsize=1)
def _offerings() -> Mapping[str, Mapping[str, str]]:
    found: Mapping[str, Mapping[str, str]] = _read("azure_offerings.json").get("offerings", {})
    return found


def _read(name: str) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads((_DATA / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return data


def size(name: object) -> Size | None:
    """A size by its name in any case; None for one that the data does not list."""
    return _sizes().get(str(name).lower())


def is_size_name(name: object) -> bool:
    """`Standard_ND96asr_v4`: https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions"""
    return isinstance(name, str) and re.fullmatch(r"(?:Standard|Basic)_[A-Za-z0-9_-]+", name, re.IGNORECASE) is not None


def offered_in(name: object) -> tuple[str, ...] | None:
    """The regions that offer a size; None when nobody can tell."""
    found = size(name)
    return tuple(_offerings().get(found.name, {})) if found else None


def offered_zones(name: object, location: str) -> tuple[str, ...] | None:
    """The zones of a region that offer a size; None when nobody can tell."""
    found = size(name)
    listed = _offerings().get(found.name, {}).get(normal(location)) if found else None
    return tuple(listed) if listed else None


def refuse_not_offered(name: str, location: str, wanted: list[str]) -> None:
    """Raises CloudError for a size that the region, or one of the zones, does not have."""
    regions = offered_in(name)
    if regions is not None and normal(location) not in regions:
        raise CloudError(
            "InvalidParameter",
            f"The requested VM size {name} is not available in the current region. The sizes available in the current "
            f"region can be listed with `az vm list-skus --location {location}`. Find out more on the available VM "
            "sizes in each region at https://aka.ms/azure-regions.",
        )
    here = offered_zones(name, location)
    for zone in wanted:
        if here is not None and zone not in here:
            raise CloudError(
                "SkuNotAvailable",
                f"The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {name}' is "
                f"currently not available in location '{location}' zone '{zone}'; it is in zones {', '.join(here)}. "
                "Please try another size or deploy to a different location or different zone. See "
                "https://aka.ms/azureskunotavailable for details.",
            )


def is_spot(scale_set: Resource | Mapping[str, Any]) -> bool:
    profile = scale_set["virtualMachineProfile"] or {}
    return profile.get("priority") in ("Spot", "Low")


def cores_used(cloud: Cloud, location: str, quota: str, without: str = "") -> int:
    """vCPUs of the scale sets of a region that count against a quota."""
    total = 0
    for scale_set in cloud.all(tokens.SCALE_SET):
        if normal(str(scale_set["location"])) != location or arm.same(scale_set.id, without):
            continue
        sku = scale_set["sku"] or {}
        found = size(sku.get("name"))
        if found is not None and quota in quotas_of(found, is_spot(scale_set)):
            total += found.vcpus * int(sku.get("capacity") or 0)
    return total


def quotas_of(found: Size, spot: bool) -> dict[str, float]:
    """The quotas that a machine counts against, with what the stand-in's subscription has of each."""
    return {SPOT: SPOT_CORES} if spot else {found.family: FAMILY_CORES, REGIONAL: REGIONAL_CORES}


def refuse_beyond_quota(cloud: Cloud, location: str, name: str, count: int, *, spot: bool, own_id: str) -> None:
    """Raises CloudError when `count` machines of a size are more than the quotas leave."""
    found = size(name)
    if found is None or count == 0:
        return
    need = found.vcpus * count
    for quota, most in quotas_of(found, spot).items():
        limit = cloud.quota(quota, most, region=location)
        used = cores_used(cloud, location, quota, without=own_id)
        if used + need > limit:
            raise CloudError(
                "OperationNotAllowed",
                f"Operation could not be completed as it results in exceeding approved {quota} Cores quota. Additional "
                f"details - Deployment Model: Resource Manager, Location: {location}, Current Limit: {limit:g}, "
                f"Current Usage: {used}, Additional Required: {need}, (Minimum) New Limit Required: {used + need}.",
            )


def refuse_sold_out(cloud: Cloud, location: str, name: str, wanted: list[str], *, spot: bool) -> None:
    """Raises CloudError when no zone that would do has machines of this size. The weather's zones are written
    `eastus-1`, and `eastus` for machines outside of zones."""
    market = "spot" if spot else "on-demand"
    places = [f"{location}-{zone}" for zone in wanted] or [location]
    if not all(cloud.sold_out(place, name, market) for place in places):
        return
    if wanted and not spot:
        raise CloudError(
            "ZonalAllocationFailed",
            "Allocation failed. We do not have sufficient capacity for the requested VM size in this zone. Read more "
            "about improving likelihood of allocation success at http://aka.ms/allocation-guidance",
        )
    raise CloudError(
        "SkuNotAvailable" if spot else "AllocationFailed",
        f"The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: {name}' is "
        "currently not "
        f"available in location '{location}'. Please try another size or deploy to a different location or different "
        "zone.",
    )
