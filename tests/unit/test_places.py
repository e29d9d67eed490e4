"""Where the AWS regions are: every region that anything here knows has a place that distances can be taken from."""

from __future__ import annotations

import json
import math

import pytest

from infra.catalog import DATA
from infra.dns import places


def kilometres(one: places.Location, other: places.Location) -> float:
    a, b, c, d = map(math.radians, (one.latitude, one.longitude, other.latitude, other.longitude))
    h = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 2 * 6371 * math.asin(math.sqrt(h))


def test_every_region_with_machines_is_known() -> None:
    regions = json.loads((DATA / "aws_offerings.json").read_text("utf-8"))["regions"]
    assert set(regions) <= set(places.regions())


@pytest.mark.parametrize("region", places.regions())
def test_a_region_is_somewhere_on_earth_near_an_azure_region(region: str) -> None:
    found = places.location(region)
    assert -90 <= found.latitude <= 90
    assert -180 <= found.longitude <= 180
    assert found.azure.isalnum()
    assert found.azure == found.azure.lower()


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("us-east-1", "us-west-2", 3450), ("eu-central-1", "eu-west-1", 1090), ("ap-southeast-1", "ap-southeast-2", 6300)],
)
def test_distances_are_those_of_the_map(one: str, other: str, distance: float) -> None:
    assert kilometres(places.location(one), places.location(other)) == pytest.approx(distance, rel=0.05)


def test_no_two_regions_are_in_the_same_place() -> None:
    found = [(places.location(region).latitude, places.location(region).longitude) for region in places.regions()]
    assert len(set(found)) == len(found)
