"""Where the regions are, for routing by distance; data with source and date in infra/data/places.yaml (AWS) and
infra/data/cloud_places.yaml (the other clouds)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import yaml

from infra.catalog import DATA


@dataclass(frozen=True, slots=True)
class Location:
    """Coordinates in degrees (WGS 84), and the nearest region of the Azure public cloud."""

    latitude: float
    longitude: float
    azure: str


EARTH_KM: Final = 6371.0
"""Mean radius, in kilometres."""


def _load(name: str) -> Any:
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load((DATA / name).read_text("utf-8"), loader)


@lru_cache(maxsize=1)
def _elsewhere() -> dict[str, Any]:
    data: dict[str, Any] = _load("cloud_places.yaml")
    return data


@lru_cache(maxsize=1)
def _table() -> dict[str, Location]:
    data = _load("places.yaml")
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


def coordinates(cloud: str, region: str) -> tuple[float, float] | None:
    """Latitude and longitude of a region in degrees; None for one that the tables do not know."""
    if cloud == "aws":
        found = _table().get(region)
        return (found.latitude, found.longitude) if found else None
    entry = _elsewhere().get(cloud, {}).get(region)
    return (float(entry["at"][0]), float(entry["at"][1])) if entry else None


def kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance of two places (latitude and longitude in degrees) in kilometres: haversine on a sphere."""
    north, east, far_north, far_east = map(math.radians, (*one, *other))
    half = math.sin((far_north - north) / 2) ** 2
    half += math.cos(north) * math.cos(far_north) * math.sin((far_east - east) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(half))


def nearest_aws(place: tuple[float, float], among: tuple[str, ...]) -> tuple[str, float]:
    """The AWS region of `among` that is nearest to a place, and its distance in kilometres."""
    known = {name: coordinates("aws", name) for name in among}
    return min(((name, kilometres(place, at)) for name, at in known.items() if at), key=lambda found: found[1])
