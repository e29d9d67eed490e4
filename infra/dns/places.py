"""Where the AWS regions are, for routing by distance; data with source and date in infra/data/places.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from infra.catalog import DATA


@dataclass(frozen=True, slots=True)
class Location:
    """Coordinates in degrees (WGS 84), and the nearest region of the Azure public cloud."""

    latitude: float
    longitude: float
    azure: str


@lru_cache(maxsize=1)
def _table() -> dict[str, Location]:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    data = yaml.load((DATA / "places.yaml").read_text("utf-8"), loader)
    return {
        name: Location(float(entry["latitude"]), float(entry["longitude"]), entry["azure"])
        for name, entry in data["regions"].items()
    }


def regions() -> tuple[str, ...]:
    """Every AWS region that the table knows, sorted."""
    return tuple(sorted(_table()))


def location(region: str) -> Location:
    """Where an AWS region is. Raises KeyError for one that the table does not know."""
    return _table()[region]
