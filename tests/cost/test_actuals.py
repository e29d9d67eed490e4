"""Bills against estimates: the parts of a difference add up to it, and bad files are told in one line."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as arrow
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet
from typer.testing import CliRunner

from cost.actuals import compare, variances
from cost.bills import Group, Item, Sum
from spillway import cost_actuals
from spillway.errors import SpillwayError

app = typer.Typer()
app.command()(cost_actuals.actuals)
GROUP = Group("AWS", "Compute", "Hours")
SPOT = Item("us-east-1", "p4d.24xlarge", "Dynamic")
BOUGHT = Item("us-east-1", "p4d.24xlarge", "Standard")


def row(**changed: Any) -> dict[str, Any]:
    return {
        "BilledCost": "100", "EffectiveCost": "100", "BillingCurrency": "USD", "ChargeCategory": "Usage",
        "ChargeClass": None, "ChargePeriodStart": "2026-10-01T00:00:00Z", "PricingQuantity": "10",
        "PricingUnit": "Hours", "ServiceCategory": "Compute", "ServiceName": "Amazon EC2", "ProviderName": "AWS",
        "RegionId": "us-east-1", "PricingCategory": "Standard",
        "SkuPriceDetails": json.dumps({"InstanceType": "p4d.24xlarge"}),
    } | changed  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    table = arrow.Table.from_pylist(rows)
    if path.suffix == ".csv":
        csv.write_csv(table, path)
    else:
        parquet.write_table(table, path)
    return path


def test_price_quantity_and_mix_are_told_apart() -> None:
    """Planned: 80 h spot at 8 and 20 h on demand at 22. Billed: 60 h at 9 and 60 h at 22."""
    (found,) = variances(
        {GROUP: {SPOT: Sum(Decimal(60), Decimal(540)), BOUGHT: Sum(Decimal(60), Decimal(1320))}},
        {GROUP: {SPOT: Sum(Decimal(80), Decimal(640)), BOUGHT: Sum(Decimal(20), Decimal(440))}},
    )
    assert found.estimate == 1080
    assert found.actual == 1860
    assert found.price == 60  # 60 h of spot at one dollar more
    assert found.quantity == Decimal("216")  # 20 h more at the planned mean of 10.8
    assert found.mix == 504  # 60 x 8 + 60 x 22 - 120 x 10.8
    assert found.unplanned == 0


def test_what_was_not_planned_is_neither_price_nor_mix() -> None:
    other = Item("us-west-2", "p5.48xlarge", "Standard")
    (found,) = variances(
        {GROUP: {SPOT: Sum(Decimal(80), Decimal(640)), other: Sum(Decimal(2), Decimal(110))}},
        {GROUP: {SPOT: Sum(Decimal(80), Decimal(640))}},
    )
    assert [found.price, found.quantity, found.mix, found.unplanned] == [
        Decimal(0),
        Decimal(0),
        Decimal(0),
        Decimal(110),
    ]


_amounts = st.decimals(0, 10_000, places=2)
_items = st.dictionaries(
    st.sampled_from([SPOT, BOUGHT, Item("us-west-2", "p5.48xlarge", "Dynamic")]),
    st.builds(Sum, st.decimals(0, 1000, places=1), _amounts),
    max_size=3,
)


@given(actual=_items, planned=_items)
@settings(max_examples=200, deadline=None)
def test_the_parts_add_up_to_the_difference(actual: dict[Item, Sum], planned: dict[Item, Sum]) -> None:
    for found in variances({GROUP: actual}, {GROUP: planned}):
        parts = found.price + found.quantity + found.mix + found.unplanned
        assert abs(parts - found.difference) < Decimal("1e-15") * (1 + found.actual + found.estimate)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_months_are_compared_where_both_have_them(tmp_path: Path, suffix: str) -> None:
    estimate = write(tmp_path / "estimate.parquet", [
        row(), row(ChargePeriodStart="2026-11-01T00:00:00Z"),
    ])  # fmt: skip
    bill = write(tmp_path / f"bill.{suffix}", [
        row(EffectiveCost="130", PricingQuantity="13", ChargePeriodStart="2026-10-05T07:00:00Z"),
        row(EffectiveCost="7", ChargePeriodStart="2026-09-30T00:00:00Z"),
        row(ChargeCategory="Tax", EffectiveCost="25", PricingQuantity=None),
    ])  # fmt: skip
    found = compare(bill, estimate)
    assert [(one.month, one.missing) for one in found.months] == [
        ("2026-09", "estimate"), ("2026-10", ""), ("2026-11", "bill"),
    ]  # fmt: skip
    (october,) = found.both
    assert october.sum("quantity") == 30
    assert october.other == {"Tax": Decimal(25)}


def test_an_estimate_agrees_with_itself(tmp_path: Path) -> None:
    path = write(tmp_path / "same.parquet", [row(), row(RegionId="eu-west-1", EffectiveCost="3.5")])
    found = compare(path, path)
    for name in ("difference", "price", "quantity", "mix", "unplanned"):
        assert found.months[0].sum(name) == 0


@pytest.mark.parametrize(("rows", "words"), [
    ([row(BillingCurrency="EUR")], "amounts in two currencies"),
    ([row(), row(BillingCurrency="EUR")], "row 2: BillingCurrency = EUR"),
    ([row(ChargePeriodStart="October")], "row 1: ChargePeriodStart = 'October'"),
    ([row(EffectiveCost="cheap")], "row 1: EffectiveCost = 'cheap'"),
    ([row(EffectiveCost="NaN")], "expected a finite number"),
    ([row(EffectiveCost="1e400")], "row 1: EffectiveCost = 1e400: expected 1e+15 at most"),
    ([row(PricingQuantity="9" * 60)], "row 1: PricingQuantity = 999"),
    ([row(BillingCurrency="")], "row 1: BillingCurrency: empty"),
])  # fmt: skip
def test_a_broken_row_is_told_with_its_number(tmp_path: Path, rows: list[dict[str, Any]], words: str) -> None:
    estimate = write(tmp_path / "estimate.parquet", [row()])
    with pytest.raises(SpillwayError) as error:
        compare(write(tmp_path / "bill.csv", rows), estimate)
    assert len(error.value.lines) == 1
    assert words in error.value.lines[0]


def test_a_file_of_another_kind_is_told_in_one_line(tmp_path: Path) -> None:
    estimate = write(tmp_path / "estimate.parquet", [row()])
    (tmp_path / "bill.csv").write_bytes(b"\x00\xff\x01,\n\n")
    for name, words in (("none.csv", "there is no such file"), ("bill.csv", "bill.csv: ")):
        with pytest.raises(SpillwayError) as error:
            compare(tmp_path / name, estimate)
        assert len(error.value.lines) == 1
        assert words in error.value.lines[0]
    table = arrow.Table.from_pylist([{"BilledCost": 1}])
    parquet.write_table(table, tmp_path / "few.parquet")
    with pytest.raises(SpillwayError, match="column EffectiveCost: missing"):
        compare(tmp_path / "few.parquet", estimate)


def test_one_option_of_an_estimate_is_compared_and_has_to_be_named(tmp_path: Path) -> None:
    estimate = write(tmp_path / "estimate.parquet", [
        row(x_Option="spot", EffectiveCost="60"), row(x_Option="on-demand", EffectiveCost="220"),
    ])  # fmt: skip
    bill = write(tmp_path / "bill.csv", [row(EffectiveCost="70")])
    assert compare(bill, estimate, option="spot").months[0].sum("difference") == 10
    assert compare(bill, estimate, option="on-demand").months[0].sum("difference") == -150
    for option, words in (
        (None, "holds 2 options; name one with --option: spot or on-demand"),
        ("sport", "there is spot or on-demand (did you mean spot?)"),
    ):
        with pytest.raises(SpillwayError) as error:
            compare(bill, estimate, option=option)
        (line,) = error.value.lines
        assert line.startswith(str(estimate))
        assert words in line
    plain = write(tmp_path / "plain.parquet", [row()])
    with pytest.raises(SpillwayError, match="leave --option out"):
        compare(bill, plain, option="spot")
    one = write(tmp_path / "one.parquet", [row(x_Option="spot", EffectiveCost="60")])
    assert compare(bill, one).months[0].sum("difference") == 10
    found = CliRunner().invoke(
        app, ["--focus", str(bill), "--estimate", str(estimate), "--option", "spot", "--json"]
    )  # fmt: skip
    assert json.loads(found.stdout)["months"][0]["difference"] == "10"


ESTIMATED = {"ProviderName": "aws", "ServiceName": "Compute"}
NETWORK = {"ServiceCategory": "Networking", "SkuPriceDetails": None}


def test_a_clouds_bill_meets_an_estimate_though_both_name_things_in_their_own_way(tmp_path: Path) -> None:
    """Names and units of AWS's own exports against those of cost/report/focus.py."""
    network, storage = NETWORK | {"ServiceName": "Network"}, NETWORK | {"ServiceCategory": "Storage"}
    estimate = write(tmp_path / "estimate.parquet", [
        row(**ESTIMATED, EffectiveCost="200"),
        row(**ESTIMATED | network, EffectiveCost="20", RegionId="*"),
        row(**ESTIMATED | network, EffectiveCost="30"),
        row(**ESTIMATED | network, EffectiveCost="6", PricingQuantity="1000", PricingUnit="NLCU-Hours"),
        row(**ESTIMATED | storage, EffectiveCost="40", PricingQuantity="1024", PricingUnit="MiBps-Months"),
    ])  # fmt: skip
    old = {"ProviderName": "AWS", "SkuPriceDetails": None, "x_UsageType": "USE2-BoxUsage:p4d.24xlarge"}
    vpc = NETWORK | {"ProviderName": "AWS", "ServiceName": "Amazon Virtual Private Cloud"}
    bill = write(tmp_path / "bill.parquet", [
        row(**old, EffectiveCost="220", PricingUnit="Hrs"),
        row(**vpc, EffectiveCost="25", PricingUnit="Hrs"),
        row(**vpc, EffectiveCost="25", PricingUnit="Hrs"),
        row(**vpc, EffectiveCost="3", PricingQuantity="500", PricingUnit="LCU-Hrs"),
        row(**vpc | {"ServiceCategory": "Storage"}, EffectiveCost="80", PricingQuantity="2", PricingUnit="GiBps-mo"),
    ])  # fmt: skip
    (month,) = compare(bill, estimate).months
    found = {(one.group.service, one.group.unit): one for one in month.groups}
    assert {one.group.provider for one in month.groups} == {"aws"}
    assert found["Compute", "hour"].price == 20
    assert found["Networking", "hour"].difference == 0
    assert found["Networking", "lcu-hour"].quantity == -3
    assert found["Storage", "mbps-month"].quantity == 40
    assert month.sum("unplanned") == 0


def test_a_machine_that_was_not_planned_is_no_other_name_of_one_that_was(tmp_path: Path) -> None:
    estimate = write(tmp_path / "estimate.parquet", [row(**ESTIMATED)])
    other = json.dumps({"InstanceType": "p5.48xlarge"})
    (month,) = compare(write(tmp_path / "bill.csv", [row(SkuPriceDetails=other, EffectiveCost="550")]), estimate).months
    assert [month.sum(name) for name in ("unplanned", "price", "quantity")] == [Decimal(550), Decimal(0), Decimal(-100)]


def test_the_command_prints_a_table_or_json_and_minds_its_limit(tmp_path: Path) -> None:
    estimate = str(write(tmp_path / "estimate.parquet", [row()]))
    bill = str(write(tmp_path / "bill.csv", [row(EffectiveCost="150", BilledCost="90")]))
    run = CliRunner().invoke
    table = run(app, ["--focus", bill, "--estimate", estimate])
    assert table.exit_code == 0
    assert "2026-10" in table.stdout
    assert "2026-10: mostly price, +50.00 USD" in table.stderr
    assert "mostly" not in run(app, ["--focus", estimate, "--estimate", estimate]).stderr
    told = run(app, ["--focus", bill, "--estimate", estimate, "--json", "--max-difference-percent", "20"])
    assert told.exit_code == 11
    assert json.loads(told.stdout)["months"][0]["price"] == "50"
    billed = run(app, ["--focus", bill, "--estimate", estimate, "--cost", "billed", "--json"])
    assert json.loads(billed.stdout)["months"][0]["difference"] == "-10"
    later = str(write(tmp_path / "later.csv", [row(ChargePeriodStart="2027-01-01T00:00:00Z")]))
    nothing = run(app, ["--focus", later, "--estimate", estimate, "--max-difference-percent", "20"])
    assert nothing.exit_code == 11
    assert "no month is in both" in nothing.stderr
    assert run(app, ["--focus", later, "--estimate", estimate]).exit_code == 0
