"""Regions and zones of the stand-in Google Cloud, and what its machine types are, from the project's own data files, so
that the sandbox refuses exactly what a stack file is told to avoid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

_DATA: Final = Path(__file__).parents[2] / "infra" / "data"


@dataclass(frozen=True, slots=True)
class Family:
    """What the types of one family have in common: disk types for boot and data disks, provisioning models."""

    name: str
    boot: tuple[str, ...]
    data: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine type with GPUs attached. bundled_ssd: disks that are always there; attachable: counts allowed."""

    name: str
    family: Family
    vcpus: int
    accelerator: str
    gpus: int
    bundled_ssd: int
    attachable: tuple[int, ...]
    rdma_nics: int
    nics: int
    on_demand_quota: str
    spot_quota: str
    all_regions_quota: str


def _read(name: str) -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads((_DATA / name).read_bytes())
    return data


@lru_cache(maxsize=1)
def _offerings() -> Mapping[str, Any]:
    """Read once, on first use: the plugin must start fast."""
    return _read("gcp_offerings.json")


@lru_cache(maxsize=1)
def machines() -> Mapping[str, Machine]:
    """All machine types with GPUs by name."""
    data = _read("gcp_machines.json")
    families = {
        name: Family(name, tuple(row["boot"]), tuple(row["data"]), tuple(row["models"]))
        for name, row in data["families"].items()
    }
    found = {}
    for name, row in data["machines"].items():
        quota = data["quotas"][row["quota"]]
        found[name] = Machine(
            name=name,
            family=families[row["family"]],
            vcpus=row["vcpus"],
            accelerator=row["accelerator"],
            gpus=row["gpus"],
            bundled_ssd=row["localSsd"].get("bundled", 0),
            attachable=tuple(row["localSsd"].get("attach", ())),
            rdma_nics=row["nics"][1],
            nics=row["nics"][0],
            on_demand_quota=quota["onDemand"],
            spot_quota=quota["spot"],
            all_regions_quota=quota["allRegions"],
        )
    return found


def machine(name: str) -> Machine | None:
    """The machine type with GPUs of that name; None for every other one."""
    return machines().get(name)


def is_region(name: object) -> bool:
    return isinstance(name, str) and name in _offerings()["zones"]


def regions() -> tuple[str, ...]:
    return tuple(_offerings()["zones"])


def zones(region: str) -> tuple[str, ...]:
    """The zones of a region in order; empty for an unknown one."""
    return tuple(f"{region}-{letter}" for letter in _offerings()["zones"].get(region, ""))


def default_zones(region: str) -> tuple[str, ...]:
    """The zones that a regional group takes when it names none: three of the region's
    (https://docs.cloud.google.com/compute/docs/instance-groups/regional-migs#selectingzones)."""
    return zones(region)[:3]


def offered_zones(machine_type: str, region: str) -> tuple[str, ...]:
    """The zones of a region that offer a machine type with GPUs; all of them for types nobody has listed."""
    if machine_type not in _offerings()["offerings"]:
        return zones(region)
    return tuple(f"{region}-{letter}" for letter in _offerings()["offerings"][machine_type].get(region, ""))
