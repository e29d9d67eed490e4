"""Regions, availability zones and which zone offers which machine type, for the stand-in AWS.

The zones are data with a source and a date (`data/zones.yaml`); the offerings come from the project's machine catalog,
so that the sandbox refuses exactly what a stack file is told to avoid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

_DATA: Final = Path(__file__).with_name("data") / "zones.yaml"


@dataclass(frozen=True, slots=True)
class Region:
    """One region: its partition (aws, aws-cn, aws-us-gov), zone names -> zone ids, balancer type -> hosted zone id."""

    name: str
    partition: str
    zones: Mapping[str, str]
    balancers: Mapping[str, str]


@lru_cache(maxsize=1)
def regions() -> Mapping[str, Region]:
    """All regions by name. Read once, on first use: the plugin must start fast."""
    import yaml  # a fifth of the time that importing all types takes

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with _DATA.open(encoding="utf-8") as file:
        data = yaml.load(file, loader)
    return {
        name: Region(name, entry["partition"], entry["zones"], entry.get("balancers", {}))
        for name, entry in data["regions"].items()
    }


def region(name: str) -> Region | None:
    """The region of that name, None when there is none."""
    return regions().get(name)


def is_region(name: str) -> bool:
    return name in regions()


def zone_names(region_name: str) -> tuple[str, ...]:
    """The availability zones of a region in order; empty for an unknown region."""
    found = region(region_name)
    return tuple(found.zones) if found else ()


def zone_id(zone: str) -> str | None:
    """`use1-az6` for `us-east-1a`; None when there is no such zone."""
    for candidate in regions().values():
        if zone in candidate.zones:
            return candidate.zones[zone]
    return None


def zone_of_id(identifier: str) -> str | None:
    """`us-east-1a` for `use1-az6`; None when there is no such zone id."""
    for candidate in regions().values():
        for name, value in candidate.zones.items():
            if value == identifier:
                return name
    return None


def region_of_zone(zone: str) -> str | None:
    """`us-east-1` for `us-east-1a`; None when there is no such zone."""
    return next((r.name for r in regions().values() if zone in r.zones), None)


def balancer_zone_id(region_name: str, balancer_type: str) -> str:
    """The Route 53 hosted zone of the region's load balancers: `application`, `network` or `gateway` (as network)."""
    found = region(region_name)
    if found is None:
        return ""
    return found.balancers.get("application" if balancer_type == "application" else "network", "")


def _catalog() -> Any | None:
    """The project's machine catalog, None where the sandbox is installed without it."""
    try:
        return import_module("infra.catalog")
    except ModuleNotFoundError as error:
        if error.name in ("infra", "infra.catalog"):
            return None
        raise


@lru_cache(maxsize=512)
def machine(name: str) -> Any | None:
    """The catalog's entry of a machine type, None when the catalog does not list it."""
    catalog = _catalog()
    if catalog is None:
        return None
    try:
        return catalog.machine(name)
    except LookupError:
        return None


@lru_cache(maxsize=512)
def offered_zones(machine_type: str, region_name: str) -> tuple[str, ...] | None:
    """The zones of a region that offer a machine type; None when the catalog does not list the type, so that nobody can
    tell (types outside the catalog are taken to be offered everywhere)."""
    catalog = _catalog()
    if catalog is None or machine(machine_type) is None:
        return None
    try:
        return tuple(catalog.zones(machine_type, region_name))
    except LookupError:
        return ()


def is_offered(machine_type: str, zone: str) -> bool:
    """Whether a zone offers a machine type, as `describe-instance-type-offerings` says."""
    home = region_of_zone(zone)
    zones = offered_zones(machine_type, home) if home else ()
    return zones is None or zone in zones
