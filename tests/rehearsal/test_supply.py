"""Whose capacity and whose prices stand for a region's, and that every output is told."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from rehearsal import data, price_book, supply
from rehearsal.price_book import Given
from rehearsal.supply import Supply
from spillway.errors import SpillwayError
from tests.rehearsal.scenarios import FILE, ROOT, STACKS, fleet, made, supplied

DAY = 86_400.0


def at(series: list[tuple[float, int]], second: float) -> int:
    return next(count for since, count in reversed(series) if since <= second)


def recorded(zone: str, second: float) -> int:
    trace = data.trace("gcp-h100-2025-10")
    row = trace.counts[trace.zones.index(zone)]
    return next(count for time, count in zip(reversed(trace.times), reversed(row), strict=True) if time <= second)


def test_zones_that_were_recorded_stand_for_themselves_and_others_give_nothing() -> None:
    given = supplied(made())
    gcp = given.regions["gcp-us-central1"]
    assert gcp.stands["us-central1-a"] == ("us-central1-a",)
    assert gcp.capacity["us-central1-f"] == [(0.0, 0)]
    for second in (0.0, 7_000.0, 50_000.0):
        assert at(gcp.capacity["us-central1-b"], second) == recorded("us-central1-b", second)
    assert any("us-central1-f" in line for line in given.warnings)


def test_other_regions_take_the_nearest_recorded_one_that_is_free_and_say_so() -> None:
    given = supplied(made())
    assert given.regions["aws-us-east-1"].stands["us-east-1a"] == ("us-east4-a",)
    assert given.regions["aws-us-east-1"].stands["us-east-1c"] == ()
    assert given.regions["azure-eastus"].stands == {"eastus": ("us-east5-a",)}
    mapped = {source.what for source in given.sources if source.mapped}
    assert {"spot capacity of aws-us-east-1", "spot capacity of azure-eastus"} <= mapped
    assert any("azure-eastus: its spot capacity is mapped from us-east5" in line for line in given.warnings)


def test_a_region_that_is_thought_up_takes_none_from_the_others() -> None:
    before = supplied(made())
    both = [fleet().region(stack) for stack in ("aws-us-east-1", "aws-us-east-2", "azure-eastus", "gcp-us-central1")]
    after = supply.supply(made(), both, ROOT, file=FILE, added=["aws-us-east-2"])
    assert after.regions["azure-eastus"].stands == before.regions["azure-eastus"].stands
    assert after.regions["aws-us-east-2"].stands["us-east-2a"] != ("us-east5-a",)


def test_a_mapping_of_the_scenario_goes_before_the_rule() -> None:
    given = supplied(made(mapping={"azure-eastus": {"eastus": "us-east4"}}))
    assert given.regions["azure-eastus"].stands == {"eastus": ("us-east4-a", "us-east4-b")}
    series = given.regions["azure-eastus"].capacity["eastus"]
    assert at(series, 20_000) == recorded("us-east4-a", 20_000) + recorded("us-east4-b", 20_000)


@pytest.mark.parametrize(
    ("mapping", "line"),
    [
        ({"azure-eastus": {"eastus2": "us-east4"}}, r"mapping.azure-eastus.eastus2 = us-east4: the spot pool does not"),
        ({"azure-eastus": {"eastus": "us-esat4"}}, r"no zone or region of the trace \(did you mean us-east4\?\)"),
        ({"aws-us-west-2": {"us-west-2a": "us-east4"}}, r"mapping.aws-us-west-2: is not played"),
    ],
)
def test_a_mapping_that_leads_nowhere_is_refused(mapping: dict[str, dict[str, str]], line: str) -> None:
    with pytest.raises(SpillwayError, match=line):
        supplied(made(mapping=mapping))


def test_several_recorded_machines_may_make_one_node() -> None:
    series = supplied(made(machine={"perNode": 8})).regions["gcp-us-central1"].capacity["us-central1-a"]
    assert at(series, 30_000) == recorded("us-central1-a", 30_000) // 8


def test_a_trace_that_is_shorter_than_the_play_begins_anew_at_the_same_hour() -> None:
    given = supplied(made(days=14))
    series = given.regions["gcp-us-central1"].capacity["us-central1-a"]
    for second in (3_000.0, 40_000.0, 3 * DAY):
        assert at(series, second + 7 * DAY) == at(series, second) == recorded("us-central1-a", second)
    assert any("its first 7 are played 2.0 times in a row" in line for line in given.warnings)


def test_a_start_moves_the_trace_and_the_date() -> None:
    given = supplied(made(start="2d 3h"))
    assert f"{given.begin:%Y-%m-%d %H:%M}" == "2025-10-06 03:10"
    series = given.regions["gcp-us-central1"].capacity["us-central1-a"]
    assert at(series, 10_000) == recorded("us-central1-a", 2 * DAY + 3 * 3600 + 10_000)


def test_days_may_be_drawn_at_random_and_are_the_same_for_one_seed() -> None:
    def drawn(seed: int) -> object:
        regions = [fleet().region("gcp-us-central1")]
        found = supply.supply(made(days=3), regions, ROOT, file=FILE, dice=random.Random(seed))
        return found.regions["gcp-us-central1"].capacity

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_synthetic_trace_has_the_fleets_own_zones_and_is_told() -> None:
    given = supplied(made(trace=None, synthetic={"upHours": 3, "regionUpHours": 12}))
    assert given.trace.synthetic
    assert any(source.synthetic for source in given.sources)
    assert "spot capacity is synthetic: nobody recorded it" in given.warnings
    assert any(count for series in given.regions["azure-eastus"].capacity.values() for _, count in series)


def test_what_has_no_price_is_not_played_for_nothing() -> None:
    one = made(prices="gcp-h100-2025-10-23")
    given = supplied(one)
    assert set(given.regions) == {"gcp-us-central1"}
    assert "unpriced is not free" in given.left_out["aws-us-east-1"]
    assert given.regions["gcp-us-central1"].region.on_demand.types == ("a3-highgpu-8g",)
    assert any("a2-highgpu-8g and a2-ultragpu-8g has no" in line for line in given.warnings)


def test_prices_that_stand_in_for_others_are_told() -> None:
    rates = {"source": "our quote", "ratio": 0.5}
    given = supplied(made(prices="snapshot", spotPrices=rates))
    spot = given.regions["azure-eastus"].prices["Standard_ND96asr_v4", "eastus", "spot"]
    on_demand = given.regions["azure-eastus"].prices["Standard_ND96asr_v4", "eastus", "on-demand"]
    assert spot[0][1] == pytest.approx(on_demand[0][1] / 2)
    assert any(source.name == "spot at 0.5 of on demand (our quote)" for source in given.sources)


def test_the_nearest_region_of_the_cloud_stands_in_for_an_on_demand_price() -> None:
    book = price_book.read("snapshot", ROOT)
    found = book.find("aws", "ca-central-1", "p4d.24xlarge", "on-demand", None, Given())
    assert found is not None
    assert found.usd == pytest.approx(21.957642)
    assert "in us-east-1: the list has none of ca-central-1" in found.why


def test_a_spot_price_that_equals_on_demand_is_none(tmp_path: Path) -> None:
    rows = ["provider,region,instance_type,market,usd_per_hour,observed_on,source"]
    rows += [f"aws,us-east-1,p4d.24xlarge,{market},20,2026-01-01,x" for market in ("spot", "on-demand")]
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    book = price_book.read("list.csv", tmp_path)
    assert book.find("aws", "us-east-1", "p4d.24xlarge", "spot", None, Given()) is None


def test_names_of_lists_and_traces_that_are_none_are_refused() -> None:
    with pytest.raises(SpillwayError, match=r"prices = snapshots: neither a file nor known \(did you mean snapshot"):
        supplied(made(prices="snapshots"))
    with pytest.raises(SpillwayError, match=r"mine.yaml: trace = gcp-h100: neither a file nor recorded"):
        supplied(made(trace="gcp-h100"))


# --- prices that move -------------------------------------------------------------------------------------------------

HEAD = "seconds,zone,market,usd_per_hour"


def moving(tmp_path: Path, *rows: str, head: str = HEAD, dice: random.Random | None = None, **keys: Any) -> Supply:
    (tmp_path / "moved.csv").write_text("\n".join([head, *rows]) + "\n")
    one = made(priceSeries="moved.csv", **keys)
    return supply.supply(one, [fleet().region(stack) for stack in STACKS], tmp_path, file=FILE, dice=dice)


def usd(given: Supply, zone: str, machine: str = "a2-highgpu-8g") -> tuple[tuple[float, float], ...]:
    return given.regions["gcp-us-central1"].prices[machine, zone, "spot"]


def test_prices_of_a_file_go_before_the_lists_and_hold_until_the_next(tmp_path: Path) -> None:
    plain = supplied(made())
    given = moving(tmp_path, "0,us-central1-a,spot,5", "3600,us-central1-a,spot,7", "0,mars-a,spot,1")
    assert usd(given, "us-central1-a") == ((0.0, 5.0), (3600.0, 7.0))
    assert usd(given, "us-central1-b") == usd(plain, "us-central1-b"), "the list's"
    (told,) = (source for source in given.sources if source.name == "moved.csv")
    assert told.what == "prices of us-central1-a spot"
    assert "not played: mars-a spot" in told.note


def test_a_type_may_have_a_series_of_its_own(tmp_path: Path) -> None:
    rows = ("0,us-central1-a,spot,5,", "0,us-central1-a,spot,9,a2-ultragpu-8g")
    given = moving(tmp_path, *rows, head=f"{HEAD},instance_type")
    assert usd(given, "us-central1-a") == ((0.0, 5.0),)
    assert usd(given, "us-central1-a", "a2-ultragpu-8g") == ((0.0, 9.0),)


def test_a_start_cuts_the_prices_as_it_does_the_trace_and_a_lap_brings_them_back(tmp_path: Path) -> None:
    rows = ("0,us-central1-a,spot,5", "90000,us-central1-a,spot,7")
    assert usd(moving(tmp_path, *rows, start="1d", days=1), "us-central1-a") == ((0.0, 5.0), (3600.0, 7.0))
    assert usd(moving(tmp_path, *rows, days=14), "us-central1-a") == (
        (0.0, 5.0), (90_000.0, 7.0), (7 * DAY, 5.0), (7 * DAY + 90_000, 7.0),
    )  # fmt: skip


def test_dated_prices_meet_the_traces_dates(tmp_path: Path) -> None:
    rows = ("2025-10-04T00:00:00Z,us-central1-a,spot,5", "2025-10-04T01:10:00Z,us-central1-a,spot,7")
    given = moving(tmp_path, *rows, head=HEAD.replace("seconds", "observed_at"))
    assert usd(given, "us-central1-a")[1] == (3600.0, 7.0), "its first round is of 00:10"


def test_days_that_are_drawn_bring_their_prices_along(tmp_path: Path) -> None:
    """A price that says how many spot nodes its zone gave at that time, says so of the days that are drawn."""
    trace = data.trace("gcp-h100-2025-10")
    counts = trace.counts[trace.zones.index("us-central1-a")]
    rows = [f"{time:.0f},us-central1-a,spot,{1 + count}" for time, count in zip(trace.times, counts, strict=True)]
    given = moving(tmp_path, *rows, days=3, dice=random.Random(4))
    capacity, prices = given.regions["gcp-us-central1"].capacity["us-central1-a"], usd(given, "us-central1-a")
    assert [(at, count + 1.0) for at, count in capacity] == list(prices)
    assert len(prices) > 3


def test_a_type_that_only_the_series_prices_is_launched(tmp_path: Path) -> None:
    given = moving(tmp_path, "0,us-central1-a,on-demand,5", "0,us-east-1a,spot,3", prices="gcp-h100-2025-10-23")
    assert "a2-highgpu-8g" in given.regions["gcp-us-central1"].region.on_demand.types
    assert "unpriced is not free" in given.left_out["aws-us-east-1"], "its on-demand types have no price"


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (
            "0,us-west-9a,spot,5",
            r"mine.yaml: priceSeries = moved.csv: prices nothing that is played; it has us-west-9a",
        ),
        ("60,us-central1-a,spot,5", r"moved.csv: us-central1-a spot: the first price is 60 s after the trace's start"),
        ("0,us-central1-a,spot,free", r"moved.csv: line 2: usd_per_hour: 'free' is no price"),
    ],
)
def test_prices_that_say_nothing_are_refused(tmp_path: Path, row: str, line: str) -> None:
    with pytest.raises(SpillwayError, match=line):
        moving(tmp_path, row)


def test_a_series_that_is_not_there_is_refused() -> None:
    with pytest.raises(SpillwayError, match=r"mine.yaml: priceSeries = moved.csv: there is no such file"):
        supplied(made(priceSeries="moved.csv"))
