"""Figures that were looked up or worked out once by hand, against what the shipped data and the model say of them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cost.models import DATA
from cost.prices.snapshot import Price, Snapshot, Unpriced
from cost.records import read
from cost.throughput import anchors

SNAPSHOT = Snapshot.load()


def usd(provider: str, region: str, sku: str, market: str = "on-demand") -> Decimal:
    found = SNAPSHOT.find(provider=provider, region=region, sku=sku, market=market)
    assert isinstance(found, Price), found
    return found.usd


@pytest.mark.parametrize(
    ("provider", "region", "sku", "market", "told"),
    [
        ("aws", "us-east-1", "p4d.24xlarge", "on-demand", "21.957642"),
        ("aws", "us-east-1", "p4de.24xlarge", "on-demand", "27.44705"),
        ("aws", "us-east-1", "p5.48xlarge", "on-demand", "55.04"),
        ("aws", "us-east-1", "p5.4xlarge", "on-demand", "6.88"),
        ("aws", "us-east-1", "p5en.48xlarge", "on-demand", "63.296"),
        ("aws", "us-east-1", "p6-b200.48xlarge", "on-demand", "113.9328"),
        ("aws", "us-east-1", "p6-b300.48xlarge", "on-demand", "142.416"),
        ("aws", "us-east-1", "g5.xlarge", "on-demand", "1.006"),
        ("aws", "us-east-1", "g6.xlarge", "on-demand", "0.8048"),
        ("aws", "us-east-1", "g6e.xlarge", "on-demand", "1.861"),
        ("aws", "us-east-1", "g6e.48xlarge", "on-demand", "30.13118"),
        ("aws", "us-east-1", "g7e.48xlarge", "on-demand", "33.14432"),
        ("azure", "eastus2", "Standard_ND96isr_H100_v5", "on-demand", "98.32"),
        ("azure", "eastus2", "Standard_ND96isr_H200_v5", "on-demand", "84.80"),
        ("azure", "eastus2", "Standard_NC40ads_H100_v5", "on-demand", "6.98"),
        ("azure", "eastus2", "Standard_NC24ads_A100_v4", "on-demand", "3.673"),
        ("azure", "eastus2", "Standard_ND96amsr_A100_v4", "on-demand", "32.77"),
        ("azure", "eastus2", "Standard_ND96isr_MI300X_v5", "on-demand", "48.00"),
        ("gcp", "us-central1", "a3-ultragpu-8g", "list", "84.8069"),
        ("gcp", "us-central1", "a4-highgpu-gpu-slice", "list", "16.11"),
        ("gcp", "us-central1", "a4-highgpu-gpu-slice", "calendar", "11.277"),
        ("gcp", "us-central1", "a4-highgpu-gpu-slice", "savings-3y", "7.0884"),
        ("gcp", "us-central1", "a4-highgpu-gpu-slice", "spot", "4.9542"),
    ],
)
def test_machines_by_the_hour(provider: str, region: str, sku: str, market: str, told: str) -> None:
    assert usd(provider, region, sku, market) == Decimal(told)


@pytest.mark.parametrize("sku", ["p5e.48xlarge", "trn2.48xlarge"])
def test_what_no_list_sells_on_demand_has_no_price(sku: str) -> None:
    found = SNAPSHOT.find(provider="aws", region="us-east-1", sku=sku)
    assert isinstance(found, Unpriced)
    assert found.reason


@pytest.mark.parametrize(
    ("region", "sku", "told", "off"),
    [
        ("us-east-1", "p4d.24xlarge", "6.29 12.50 14.11", "-71 -43 -36"),
        ("us-east-1", "p5.48xlarge", "14.25 14.58 14.87 47.21 55.04 55.04", "-74 -74 -73 -14 0 0"),
        ("us-east-1", "p5en.48xlarge", "19.17 19.91", "-70 -69"),
        ("us-east-1", "p6-b200.48xlarge", "19.09", "-83"),
        ("us-west-2", "p6-b200.48xlarge", "44.86 46.58", "-61 -59"),
    ],
)
def test_spot_is_as_many_prices_as_there_are_zones(region: str, sku: str, told: str, off: str) -> None:
    found = sorted(one.usd for one in SNAPSHOT.spot_by_zone(provider="aws", region=region, sku=sku))
    assert [f"{one:.2f}" for one in found] == told.split()
    base = usd("aws", "us-east-1", sku)
    assert [f"{100 * one / base - 100:.0f}" for one in found] == off.split()


def test_what_commitments_to_a_b200_save() -> None:
    slice_ = ("gcp", "us-central1", "a4-highgpu-gpu-slice")
    assert round(100 * usd(*slice_, "savings-3y") / usd(*slice_, "list") - 100) == -56
    assert round(100 * usd(*slice_, "calendar") / usd(*slice_, "list") - 100) == -30


def test_a_dear_region_is_flagged_with_how_dear_it_is() -> None:
    found = SNAPSHOT.find(provider="azure", region="brazilsouth", sku="Standard_ND96isr_H200_v5")
    assert isinstance(found, Price)
    assert (found.flagged("outlier") or "").startswith("54% over the median of")


@pytest.mark.parametrize(
    ("model", "isl", "told"),
    [
        ("70B", 1024, {1: (48, "20.6"), 8: (340, "22.0"), 32: (844, "32.7"), 64: (1432, "37.0"), 128: (1755, "59.1")}),
        ("70B", 4096, {32: (459, None)}),
        ("8B", 1024, {1: (205, None), 8: (1435, None), 32: (4085, None), 64: (5938, None), 128: (5562, None)}),
    ],
)  # fmt: skip
def test_the_measurement_of_our_own(model: str, isl: int, told: dict[int, tuple[int, str | None]]) -> None:
    record = read(DATA / "throughput" / "h200_vllm_0.26.0_2026-11-22.json")
    series = next(one for one in record.series if model in one.model)
    rows = {row.concurrency: row for row in series.rows if row.isl == isl}
    for concurrency, (rate, pause) in told.items():
        assert round(rows[concurrency].output_tok_s) == rate
        if pause is not None:
            assert abs(Decimal(str(rows[concurrency].tpot_mean_ms)) - Decimal(pause)) <= Decimal("0.05")


@pytest.mark.parametrize(
    ("slow", "fast", "low", "high"),
    [
        ("deepseek-r1-b200-1k-100", "deepseek-r1-b200-1k-42", "9.6", "9.7"),  # for 100 instead of 42 tokens/s a reader
        ("deepseek-r1-h100-1k-100", "deepseek-r1-h100-1k-42", "11.5", "11.6"),
        ("deepseek-r1-h100-1k-71", "deepseek-r1-b200-1k-71", "13.9", "14.1"),  # H100 to B200, for the same reader
        ("deepseek-r1-h100-1k-100", "deepseek-r1-b200-1k-100", "21.5", "21.7"),
        ("llama-3.3-70b-h200-20k", "llama-3.3-70b-h200", "10.2", "10.4"),  # twenty times the context
    ],
)
def test_how_far_published_figures_lie_apart(slow: str, fast: str, low: str, high: str) -> None:
    rates = [anchors()[one].tok_s for one in (slow, fast)]
    assert rates[0] is not None
    assert rates[1] is not None
    assert Decimal(low) < rates[1] / rates[0] < Decimal(high)


@pytest.mark.parametrize(("gpu", "off"), [("h200", -33), ("b200", -38), ("mi325x", -41)])
def test_what_interactive_readers_cost_in_throughput(gpu: str, off: int) -> None:
    busy, quick = (anchors()[f"llama-2-70b-{gpu}{end}"].tok_s for end in ("", "-interactive"))
    assert busy is not None
    assert quick is not None
    assert abs(100 * quick / busy - 100 - off) < 1  # anchors are rounded to whole tokens
