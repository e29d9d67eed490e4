"""Which zones an Azure region has, and where the nodes of a pool go."""

from __future__ import annotations

import pytest

from infra import catalog
from infra.azure.zones import ZONED, pool_zones, region_zones
from sandbox.azure_native import places
from tests.support.azure_components import region


def test_program_and_stand_in_know_the_same_regions_with_zones() -> None:
    assert {name for name in places.locations() if places.zones(name)} == ZONED
    assert region_zones("westus2") == places.zones("westus2")
    assert region_zones("westus") == ()


def test_every_zone_that_offers_a_machine_is_one_that_its_region_has() -> None:
    for machine in catalog.machines("azure"):
        for place in catalog.offered_in(machine.name):
            assert set(catalog.zones(machine.name, place)) <= set(region_zones(place)), (machine.name, place)


@pytest.mark.parametrize(
    ("place", "wanted", "expected"),
    [
        ("westus2", None, ("3",)),
        ("westus2", ["1", "3"], ("3",)),
        ("eastus", None, ()),
        ("eastus", ["2", "1"], ("1", "2")),
    ],
)
def test_nodes_go_where_their_machine_is_offered_or_where_the_file_says(
    place: str, wanted: list[str] | None, expected: tuple[str, ...]
) -> None:
    config = region({"region": place, "network.zones": wanted})
    assert pool_zones(config, "Standard_ND96asr_v4") == expected
