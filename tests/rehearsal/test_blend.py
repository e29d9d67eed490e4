"""A pool's blended price from recorded capacity: what adds up, what is named as mapped, and what is refused."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal import data
from rehearsal.blend import Blend, Cloud, PoolPrices, PoolSpec, blend
from rehearsal.fleet import load_stack_files
from rehearsal.prices import PriceList
from rehearsal.result import Source
from rehearsal.synthetic import Rates, markov
from rehearsal.trace import Trace
from rehearsal.windows import DAY, NEAR, resampled
from spillway.errors import SpillwayError
from tests.rehearsal.support import traced

ROOT = Path(__file__).parents[2]
PRICES = PoolPrices(2.0, 10.0, Source("prices", "a list"))
ZONES = ("us-central1-a", "us-central1-b")


def spec(cloud: Cloud = "gcp", target: int = 2, **more: Any) -> PoolSpec:
    return PoolSpec(cloud, "us-central1", "a-machine", target, **more)


def steady(*counts: int) -> Trace:
    return traced({zone: [count] * 288 for zone, count in zip(ZONES, counts, strict=False)}, step=600.0)


@cache
def recorded() -> Trace:
    return data.trace("gcp-h100-2025-10")


def month(pool: PoolSpec, trace: Trace, prices: PoolPrices | PriceList = PRICES, **more: Any) -> Blend:
    return blend(pool, trace, prices, **({"boot": 600.0, "runs": 2, "hours": 100.0} | more))


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_where_spot_is_always_given_it_is_all_that_is_paid(cloud: Cloud) -> None:
    found = month(spec(cloud), steady(4, 4))
    assert found.usd_per_hour.mean == pytest.approx(2.0, rel=0.02), "a minute or two until the groups are filled"
    assert found.share
    assert found.share.mean == pytest.approx(0.2, rel=0.02)
    assert found.spot.mean > 0.999
    assert found.availability.mean > 0.999
    assert found.interruptions_per_day.mean == found.on_demand.mean == 0


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_where_no_spot_is_given_on_demand_stands_in_and_at_most_as_much_as_it_may(cloud: Cloud) -> None:
    found = month(spec(cloud), steady(0, 0))
    assert found.on_demand.mean > 0.99
    assert found.usd_per_hour.mean == pytest.approx(10.0, rel=0.02)
    assert found.availability.mean > 0.99
    none = month(spec(cloud, target=3, floor=1, maximum=3), steady(0, 0))
    assert none.availability.mean > 0.99
    assert none.billed_spot.mean == 0


def test_a_pool_that_is_all_floor_asks_for_no_spot() -> None:
    found = month(spec("aws", floor=2), steady(4, 4))
    assert found.billed_spot.mean == 0
    assert found.usd_per_hour.mean == pytest.approx(10.0, rel=0.02)
    assert found.interruptions_per_day.mean == 0


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_shares_add_up_and_the_bill_is_that_of_the_hours(cloud: Cloud) -> None:
    found = month(spec(cloud, target=3, maximum=5), recorded(), runs=3, seed=4, hours=200.0)
    whole = found.spot.mean + found.on_demand.mean + found.nothing.mean
    assert whole == pytest.approx(1.0)
    assert found.usd_per_hour.mean == pytest.approx(found.billed_spot.mean * 2.0 + found.billed_on_demand.mean * 10.0)
    assert found.spot.mean <= found.billed_spot.mean + 0.01
    assert found.interruptions_per_day.mean > 0
    assert 0 < found.availability.p10 <= found.availability.p50 <= found.availability.p90 < 1
    assert found.below_target_hours.mean == pytest.approx((1 - found.availability.mean) * 730)
    assert found.nothing.mean <= 1 - found.availability.mean + 1e-9


def test_the_result_depends_on_the_seed_alone() -> None:
    alone = month(spec("aws"), recorded(), seed=3, hours=48.0)
    assert month(spec("aws"), recorded(), seed=3, hours=48.0, workers=2) == alone
    assert month(spec("aws"), recorded(), seed=5, hours=48.0) != alone
    told: list[str] = []
    month(spec("aws"), recorded(), seed=3, hours=24.0, progress=told.append)
    assert told == ["0", "1"]


def test_a_slower_boot_and_a_dearer_market_cost_what_they_should() -> None:
    quick = month(spec("aws"), recorded(), hours=300.0, boot=120.0)
    slow = month(spec("aws"), recorded(), hours=300.0, boot=1200.0)
    assert slow.nothing.mean > quick.nothing.mean
    dear = month(spec("aws"), recorded(), replace(PRICES, spot=4.0), hours=300.0, boot=120.0)
    assert dear.billed_spot == quick.billed_spot
    assert dear.usd_per_hour.mean > quick.usd_per_hour.mean


# --- where it is from -------------------------------------------------------------------------------------------------


def test_what_was_recorded_for_something_else_is_named_as_mapped() -> None:
    own = replace(spec(), machine="a3-highgpu-1g")
    assert not month(own, recorded(), hours=24.0).mapped
    other = month(spec(), recorded(), hours=24.0)
    assert other.mapped
    assert "recorded of a3-highgpu-1g: counts are taken as of a-machine" in other.sources[0].note
    assert other.zones == ("us-central1-a", "us-central1-b", "us-central1-c")
    elsewhere = month(replace(own, cloud="aws", region="us-east-1"), recorded(), hours=24.0)
    assert elsewhere.zones == ("us-central1-a", "us-central1-b", "us-central1-c"), "the region with the most zones"
    assert "us-central1-a, us-central1-b, us-central1-c for the zones of us-east-1" in elsewhere.sources[0].note
    chosen = month(replace(own, zones=("us-west1-b",)), recorded(), hours=24.0)
    assert chosen.zones == ("us-west1-b",)
    assert chosen.mapped


def test_a_synthetic_trace_is_called_one() -> None:
    found = month(spec(), markov(ZONES, 2.0, 600.0, 1, Rates()), hours=24.0)
    assert found.synthetic
    assert not found.mapped
    assert "synthetic" in found.sources[0].note
    assert json.loads(json.dumps(found.as_json()))["synthetic"] is True


def test_a_list_is_taken_by_the_pools_region_or_by_that_of_the_zones_that_stand_for_it() -> None:
    listed = data.price_list("gcp-h100-2025-10-23", "a3-highgpu-8g", 1)
    own = month(replace(spec(), machine="a3-highgpu-8g"), recorded(), listed, hours=24.0)
    assert not own.sources[1].mapped
    assert own.sources[1].origin.startswith("https://")
    assert own.share
    assert own.usd_per_hour.mean / own.share.mean == pytest.approx(82.53)
    other = month(PoolSpec("aws", "us-east-1", "p5.48xlarge", 2), recorded(), listed, hours=24.0)
    assert other.sources[1].mapped
    with pytest.raises(SpillwayError, match="no spot and on-demand price of a3-highgpu-8g in x, nor in nowhere1"):
        month(PoolSpec("gcp", "x", "m", 1), traced({"nowhere1-a": [1] * 200}, step=600.0), listed)


def test_a_deployed_region_gives_its_pool() -> None:
    fleet = load_stack_files(ROOT / "stacks")
    pool = PoolSpec.of(fleet.region("aws-us-east-1"))
    assert (pool.machine, pool.target, pool.maximum, pool.in_minutes) == ("p4d.24xlarge", 2, 6, 12)
    assert month(pool, steady(4, 4), hours=24.0).availability.mean > 0.99
    with pytest.raises(SpillwayError, match="tencent-ap-guangzhou: has no spot pool"):
        PoolSpec.of(fleet.region("tencent-ap-guangzhou"))


def test_no_cloud_sdk_comes_along() -> None:
    code = "import sys, rehearsal.blend; print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {"pulumi", "pulumi_aws", "boto3", "botocore", "azure", "tencentcloud"} & set(done.stdout.split())
    assert not loaded


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cloud": "tencent"}, "pool: cloud = tencent: has to be aws, azure or gcp"),
        ({"target": 0}, "pool: target = 0: has to be from 1 to 500"),
        ({"floor": 3}, "pool: floor = 3: has to be from 0 to 2"),
        ({"maximum": 1}, "pool: maximum = 1: has to be from 2 to 500"),
        ({"in_minutes": 1}, "pool: inMinutes = 1: has to be from 2 to 240"),
    ],
)
def test_a_pool_is_what_a_stack_file_may_say(change: dict[str, Any], told: str) -> None:
    with pytest.raises(SpillwayError) as caught:
        replace(spec(), **change)
    assert caught.value.lines == (told,)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"boot": -1.0}, "boot = -1: has to be from 0 to 6,600 s"),
        ({"boot": float("nan")}, "boot = nan"),
        ({"hours": 0.1}, "hours = 0.1: has to be from 1 to 8,760"),
        ({"runs": 0}, "runs: 0: expected 1 to 100,000"),
        ({"zones": ("mars",)}, "tiny: no zone mars"),
        ({"prices": PoolPrices({"us-central1-a": 1.0}, 2.0, PRICES.source)}, "pool: no spot price of us-central1-b"),
    ],
)
def test_what_cannot_be_played_is_told_in_a_line(more: dict[str, Any], told: str) -> None:
    pool = spec(zones=more.pop("zones", ()))
    prices = more.pop("prices", PRICES)
    with pytest.raises(SpillwayError, match=told):
        month(pool, steady(1, 1), prices, **more)
    with pytest.raises(SpillwayError, match="max_on_demand = 40: must be at most 20 on AWS"):
        month(spec("aws", maximum=40), steady(1, 1))
    with pytest.raises(SpillwayError, match="prices have to be numbers"):
        PoolPrices(float("inf"), 1.0, PRICES.source)


# --- months of days ---------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.3, 20.0))
def test_a_month_is_of_days_that_begin_at_their_own_time_of_day(seed: int, days: float) -> None:
    trace, seconds = recorded(), days * DAY
    found = resampled(trace, seconds, random.Random(seed))
    assert found.end == seconds
    assert found.times[0] == 0
    assert all(a < b < seconds for a, b in zip(found.times, found.times[1:], strict=False))
    assert found.zones == trace.zones
    rows = set(zip(*trace.counts, strict=True))
    assert {*zip(*found.counts, strict=True)} <= rows, "every round was recorded so"
    first = [
        index for index, row in enumerate(zip(*trace.counts, strict=True)) if row == tuple(r[0] for r in found.counts)
    ]
    times = [trace.times[index] % DAY for index in first]
    assert any(min(time, DAY - time) <= NEAR for time in times)
    assert found == resampled(trace, seconds, random.Random(seed))


def test_a_trace_shorter_than_a_day_is_told_again_and_again() -> None:
    trace = traced({"a": [1, 2, 3]}, step=600.0)
    found = resampled(trace, 3600.0, random.Random(0))
    assert found.times == (0.0, 600.0, 1200.0, 1800.0, 2400.0, 3000.0)
    assert sorted(found.counts[0][:3]) == [1, 2, 3]
