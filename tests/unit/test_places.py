"""Where the regions are: every region that anything here knows has a place that distances can be taken from."""

from __future__ import annotations

import json
import math

import pytest

from infra import catalog, machine_checks, stackfile
from infra.catalog import DATA
from infra.config import REGION_KEY, parse_region
from infra.dns import places
from tests.unit.stack_data import SHIPPED


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


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp", "tencent"])
def test_every_region_of_every_cloud_has_coordinates(cloud: str) -> None:
    for region in catalog.regions(cloud):
        found = places.coordinates(cloud, region)
        assert found is not None, region
        assert -60 < found[0] < 75
        assert -180 <= found[1] <= 180
    assert places.coordinates(cloud, "mars") is None


def test_regions_of_several_clouds_in_one_city_are_in_one_place() -> None:
    pairs = [
        ("azure", "germanywestcentral", "eu-central-1"), ("gcp", "us-east4", "us-east-1"),
        ("gcp", "us-east5", "us-east-2"),
        ("tencent", "ap-singapore", "ap-southeast-1"), ("gcp", "asia-northeast2", "ap-northeast-3"),
        ("azure", "westus2", "us-west-2"), ("gcp", "southamerica-east1", "sa-east-1"), ("azure", "eastus", "us-east-1"),
    ]  # fmt: skip
    for cloud, region, nearest in pairs:
        place = places.coordinates(cloud, region)
        assert place is not None
        name, distance = places.nearest_aws(place, catalog.regions("aws"))
        assert (name, distance < 350) == (nearest, True), region


@pytest.mark.parametrize(
    ("stack", "named", "told"),
    [
        ("azure-eastus", "ap-southeast-2", ("ap-southeast-2 is 15,", "us-east-1 2")),
        ("gcp-us-central1", "eu-west-1", ("eu-west-1 is 6,", "us-east-2 1,")),
        ("tencent-ap-guangzhou", "us-west-2", ("us-west-2 is 10,", "ap-east-1 1")),
        ("azure-eastus", "us-east-2", ()),
        ("gcp-us-central1", "us-east-1", ()),
    ],
)
def test_a_nearest_region_that_is_far_is_told_with_the_one_that_is_near(
    stack: str, named: str, told: tuple[str, ...]
) -> None:
    data = stackfile.read(SHIPPED / f"Pulumi.{stack}.yaml")[REGION_KEY]
    region = parse_region({**data, "nearestAwsRegion": named}, stack, "x.yaml")
    lines = [line for line in machine_checks.advice(region) if line.startswith("nearestAwsRegion: ")]
    assert len(lines) == (1 if told else 0)
    assert all(part in lines[0] for part in told)
