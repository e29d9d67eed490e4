"""What a node costs where: the cloud's word, a list, and what stands in; nothing is free for want of a price."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.keeper_fleet import RegionState
from infra.keeper_words import Market
from spillway.errors import SpillwayError
from spillway.keeper.costs import LIVE, priced
from tests.unit.keeper.conftest import fleet

EAST, GCP = fleet().region("aws-us-east-1"), fleet().region("gcp-us-central1")
COLUMNS = "provider,region,instance_type,market,usd_per_hour,observed_on,source"


def state(prices: dict[Market, float] | None = None) -> RegionState:
    return RegionState(2, 0, 2, 0, (), prices=prices or {})


def listed(tmp_path: Path, *rows: str) -> str:
    path = tmp_path / "list.csv"
    path.write_text("\n".join([COLUMNS, *(f"{row},2026-11-01,test" for row in rows)]) + "\n")
    return str(path)


def test_spot_is_the_cheapest_that_may_be_launched_and_on_demand_the_first_type(tmp_path: Path) -> None:
    prices = listed(
        tmp_path,
        "aws,us-east-1,p4d.24xlarge,on-demand,22",
        "aws,us-east-1,p5.48xlarge,on-demand,55",
        "aws,us-east-1,p4d.24xlarge,spot,9",
        "aws,us-east-1,p5.48xlarge,spot,8",
    )
    found, told = priced([EAST], {EAST.stack: state()}, prices, None)
    assert found[EAST.stack].prices == {"spot": 8.0, "on-demand": 22.0}
    assert told[EAST.stack]["spot"].startswith("list.csv")


def test_what_the_cloud_says_now_goes_before_the_list_unless_it_says_that_there_is_none(tmp_path: Path) -> None:
    prices = listed(tmp_path, "aws,us-east-1,p4d.24xlarge,on-demand,22", "aws,us-east-1,p4d.24xlarge,spot,9")
    found, told = priced([EAST], {EAST.stack: state({"spot": 7.5})}, prices, None)
    assert found[EAST.stack].prices["spot"] == 7.5
    assert told[EAST.stack]["spot"] == LIVE
    found, _ = priced([EAST], {EAST.stack: state({"spot": 22.0})}, prices, None)
    assert found[EAST.stack].prices["spot"] == 9.0


def test_a_ratio_stands_in_where_the_list_has_no_spot_and_is_told(tmp_path: Path) -> None:
    prices = listed(tmp_path, "gcp,us-central1,a2-highgpu-8g,on-demand,30")
    found, told = priced([GCP], {GCP.stack: state()}, prices, 0.4)
    assert found[GCP.stack].prices == {"spot": 12.0, "on-demand": 30.0}
    assert "--spot-ratio" in told[GCP.stack]["spot"]
    found, told = priced([GCP], {GCP.stack: state()}, prices, None)
    assert found[GCP.stack].prices == {"on-demand": 30.0}
    assert "spot" not in told[GCP.stack]


def test_a_region_that_could_not_be_read_has_no_prices_and_an_unknown_list_is_told() -> None:
    assert priced([EAST], {}, "snapshot", None) == ({}, {})
    with pytest.raises(SpillwayError, match="prices = snapshots: neither a file nor known"):
        priced([EAST], {}, "snapshots", None)
