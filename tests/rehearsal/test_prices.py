"""Price lists, prices that change, and one line on what is wrong with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cost.prices.snapshot import Snapshot
from rehearsal import data, prices
from rehearsal.model import Market
from rehearsal.trace import Trace
from spillway.errors import SpillwayError
from tests.rehearsal.support import traced

HEAD = ",".join(prices.COLUMNS) + "\n"
LINE = "gcp,us-east4,a3-highgpu-8g,spot,14.80,2025-10-23,a catalog\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "p.csv"
    path.write_text(text)
    return path


def test_a_list_is_read_by_region_and_market_for_one_machine(tmp_path: Path) -> None:
    other = LINE.replace("8g", "4g").replace("14.80", "7")
    path = written(tmp_path, HEAD + LINE + LINE.replace("spot,14.80", "on-demand,80") + other)
    assert prices.read(path, "a3-highgpu-8g", 8) == {("us-east4", "spot"): 1.85, ("us-east4", "on-demand"): 10.0}
    assert prices.read(path, "a3-highgpu-4g") == {("us-east4", "spot"): 7.0}
    with pytest.raises(SpillwayError, match="prices 2 machines; say which: a3-highgpu-4g, a3-highgpu-8g"):
        prices.read(path)
    with pytest.raises(SpillwayError, match="has no machine p5; has a3-highgpu-4g, a3-highgpu-8g"):
        prices.read(path, "p5")
    with pytest.raises(SpillwayError, match="0 instances in a machine; 1 to 1024"):
        prices.read(path, "a3-highgpu-8g", 0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: has no column provider; needed are provider, region"),
        (HEAD, "has no prices"),
        (HEAD.replace("market", "kind") + LINE, "line 1: has no column market"),
        (HEAD + "gcp,us-east4\n", "line 2: 2 values, the first line has 7"),
        (HEAD + LINE.replace("spot", "preemptible"), "line 2: market: 'preemptible' is none of spot, on-demand"),
        (HEAD + LINE.replace("us-east4", ""), "line 2: region: is empty"),
        (HEAD + LINE + "\n" + LINE, "line 4: us-east4 spot a3-highgpu-8g: has a price in an earlier line"),
        *(
            (
                HEAD + LINE.replace("14.80", wrong),
                f"line 2: usd_per_hour: '{wrong}' is no price (above 0, 100,000 at most)",
            )
            for wrong in ("", "free", "0", "-1", "nan", "inf", "1e9", "١٤")
        ),
    ],
)
def test_a_list_that_is_wrong_is_one_line_with_the_place(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SpillwayError, match=re.escape(says)) as error:
        prices.read(path)
    assert len(error.value.lines) == 1
    assert error.value.lines[0].startswith(f"{path}: ")


def test_a_file_that_is_no_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpillwayError, match="cannot be read: No such file"):
        prices.read(tmp_path / "none.csv")
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpillwayError, match="is no CSV in UTF-8"):
        prices.read(tmp_path / "p.csv")


def test_zones_have_the_prices_of_their_regions_and_a_zone_without_is_named() -> None:
    listed = data.price_list("gcp-h100-2025-10-23")
    zones = prices.priced(("us-east4-a", "asia-south2-b"), listed)
    assert [(zone.region, zone.cloud, zone.spot) for zone in zones] == [
        ("us-east4", "gcp", ((0.0, 14.85 / 8),)),
        ("asia-south2", "gcp", ((0.0, 69.91 / 8),)),
    ]
    with pytest.raises(SpillwayError, match=r"no spot price of a3-highgpu-8g in us-south1 \(us-south1-a\); has asia-"):
        prices.priced(("us-south1-a",), listed)


def test_a_file_of_a_snapshot_is_a_list_of_its_regions_prices() -> None:
    shipped = Snapshot.load().path
    found = prices.price_list(shipped / "gcp-machines.csv", "a3-highgpu-8g", 8)
    assert found.usd["us-central1", "on-demand"] == pytest.approx(88.49 / 8, abs=0.01)
    assert found.usd["us-central1", "spot"] < found.usd["us-central1", "on-demand"]
    assert {market for _, market in found.usd} == {"spot", "on-demand"}
    with pytest.raises(SpillwayError, match=r"aws-spot.csv: has no price of a whole region by the hour"):
        prices.machines(shipped / "aws-spot.csv")


def test_a_uniform_ratio_makes_all_zones_alike() -> None:
    zones = prices.uniform(("a", "b"), 3.0)
    assert [(zone.spot, zone.on_demand) for zone in zones] == [(((0.0, 1.0),), ((0.0, 3.0),))] * 2
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SpillwayError, match="is no ratio of on-demand to spot"):
            prices.uniform(("a",), wrong)


def series(tmp_path: Path, text: str, trace: Trace) -> dict[tuple[str, Market], prices.Series]:
    return prices.read_series(written(tmp_path, text), trace)


def test_prices_that_change_hold_from_their_time_on(tmp_path: Path) -> None:
    trace = traced({"a": [1, 1]})
    text = "seconds,zone,market,usd_per_hour\n-50,a,spot,1\n-10,a,spot,2\n5,a,spot,3\n0,a,on-demand,9\n0,x,spot,7\n"
    found = series(tmp_path, text, trace)
    assert found == {("a", "spot"): ((0.0, 2.0), (5.0, 3.0)), ("a", "on-demand"): ((0.0, 9.0),)}
    listed = prices.PriceList("list", {("a", "on-demand"): 4.0}, "m", 1, {"a": "aws"}, ("2025-10-23",))
    (zone,) = prices.priced(("a",), listed, {("a", "spot"): found["a", "spot"]})
    assert (zone.spot, zone.on_demand, zone.cloud) == (((0.0, 2.0), (5.0, 3.0)), ((0.0, 4.0),), "aws")
    assert prices.cut(found["a", "spot"], 3.0) == ((0.0, 2.0), (2.0, 3.0))
    assert prices.cut(found["a", "spot"], 8.0) == ((0.0, 3.0),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("zone,market,usd_per_hour\na,spot,1\n", "line 1: has neither a column observed_at nor seconds"),
        ("seconds,zone,market,usd_per_hour\n5,a,spot,1\n", "a spot: the first price is 5 s after the trace's start"),
        ("seconds,zone,market,usd_per_hour\n0,a,spot,1\n0,a,spot,2\n", "line 3: a spot: is not after the price before"),
        ("seconds,zone,market,usd_per_hour\nsoon,a,spot,1\n", "line 2: seconds: 'soon' is no number of seconds"),
        ("observed_at,zone,market,usd_per_hour\n2025-10-04T00:00:00Z,a,spot,1\n", "is dated and tiny is not"),
    ],
)
def test_a_series_that_is_wrong_is_one_line_with_the_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SpillwayError, match=re.escape(says)):
        series(tmp_path, text, traced({"a": [1, 1]}))


def test_a_dated_series_meets_a_dated_trace(tmp_path: Path) -> None:
    trace = data.trace("gcp-h100-2025-10")
    head = "observed_at,zone,market,usd_per_hour\n"
    text = head + "2025-10-04T00:00:00Z,us-east4-a,spot,1\n2025-10-04T00:20:00Z,us-east4-a,spot,2\n"
    assert series(tmp_path, text, trace) == {("us-east4-a", "spot"): ((0.0, 1.0), (600.0, 2.0))}
    for wrong, says in (("today", "is no time such as"), ("2025-10-04T00:00:00", "has no offset and no Z")):
        with pytest.raises(SpillwayError, match=says):
            series(tmp_path, f"{head}{wrong},us-east4-a,spot,1\n", trace)
