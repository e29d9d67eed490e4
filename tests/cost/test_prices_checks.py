"""Doubtful prices are flagged and kept; only a spot price above on-demand is rejected."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost.prices.checks import check
from cost.prices.snapshot import Price, Snapshot, Unpriced
from tests.cost.prices import row

REGIONS = ("asia-northeast1", "asia-southeast1", "europe-west4", "us-central1", "us-east4", "us-east5", "us-west1")
MONEY = st.integers(1, 10_000).map(lambda cents: Decimal(cents) / 100)


def test_the_wrong_price_of_most_regions_is_flagged_where_it_differs_and_never_dropped() -> None:
    """A catalogue has a3-megagpu-8g at 33.606 USD in six regions and at 78.372 in the seventh, and spot prices that
    are above a third price of another row. What is right cannot be told by counting."""
    gcp = {"sku": "a3-megagpu-8g", "provider": "gcp"}
    rows = [row(usd="33.606", region=region, **gcp) for region in REGIONS[:6]]
    checked = check([*rows, row(usd="78.372", region=REGIONS[6], **gcp)])
    assert [one.usd for one in checked if isinstance(one, Price)] == [Decimal("33.606")] * 6 + [Decimal("78.372")]
    odd = checked[-1]
    assert isinstance(odd, Price)
    assert odd.flagged("outlier") == "133% over the median of 7 regions (33.606 USD)"


@pytest.mark.parametrize("spot", ["38.7", "43.9"])
def test_a_spot_price_above_on_demand_is_another_things_price(spot: str) -> None:
    base = row("a3-highgpu-8g", "36.60", "us-central1", provider="gcp")
    _, gone = check([base, replace(base, market="spot", usd=Decimal(spot))])
    assert isinstance(gone, Unpriced)
    assert gone.reason.startswith(f"spot {spot} USD of 2026-06-01 is above on-demand 36.60 USD")


@given(base=MONEY, spot=MONEY)
def test_spot_beside_on_demand(base: Decimal, spot: Decimal) -> None:
    demand, other = check([row(usd=base), row(usd=spot, market="spot", zone="use1-az1")])
    assert demand == row(usd=base)
    assert isinstance(other, Unpriced) == (spot > base)
    if isinstance(other, Price):
        assert other.sold_out == (spot == base)


@given(st.lists(MONEY, min_size=1, max_size=12))
def test_flags_go_by_the_median_and_no_row_is_lost(money: list[Decimal]) -> None:
    rows = [row(usd=usd, region=f"region-{number}") for number, usd in enumerate(money)]
    checked = check(rows)
    assert [replace(one, flags=()) for one in checked if isinstance(one, Price)] == rows
    again = check(one for one in checked if isinstance(one, Price))
    assert again == checked
    if len(rows) < 4:
        assert not any(one.flags for one in checked if isinstance(one, Price))


def test_flags_that_are_told_by_people_stay() -> None:
    (one,) = check([row(flags=("rounded: to cents", "outlier: of another day"))])
    assert isinstance(one, Price)
    assert one.flags == ("rounded: to cents",)


def test_what_cannot_be_ordered_on_demand_is_a_list_price() -> None:
    rows = [
        row("a3-highgpu-1g", "11.06", "us-central1", provider="gcp"),
        row("a3-highgpu-8g", "88.49", "us-central1", provider="gcp"),
    ]
    assert [one.market for one in check(rows) if isinstance(one, Price)] == ["list", "on-demand"]


def test_the_shipped_snapshot_is_checked() -> None:
    snapshot = Snapshot.load()
    assert check(snapshot.rows) == list(snapshot.rows)
