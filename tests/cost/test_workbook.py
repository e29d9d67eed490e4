"""report.xlsx, recomputed by an engine that knows nothing of this program: as it is, and after inputs have changed."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml

from cost.compare import compare
from cost.prices.snapshot import Snapshot
from cost.report.cells import Workings, defined
from cost.report.workbook import write_workbook
from cost.result import Comparison
from cost.scenario import Scenario, parse

TODAY = date(2026, 11, 26)

# Growth that needs another system; a life shorter than the period, so that systems are replaced and sold; a commitment
# paid ahead; tiers of egress; a price trend; an instance that comes and goes.
TEXT = """
title: A workbook's test
shows: Every kind of option in a short period.
owner: tests
period: { months: 15, start: "2027-01" }
workload:
  { tokensPerDay: 900000000, inputTokens: 3000, outputTokens: 1000, cacheHitShare: 0.4, profile: office,
    growthPerMonth: 0.07 }
model: { name: deepseek-r1-distill-llama-70b, dtype: fp8, concurrency: 32 }
serving: { latency: server, spareNodes: 1 }
finance: { discountRate: 0.08, apiPriceTrend: -0.2, cloudPriceTrend: -0.1 }
options:
  - { kind: api, name: api, provider: deepseek, model: deepseek-v4-flash }
  - kind: onprem
    name: own
    system: hgx-h200
    throughput: { anchor: ANCHOR, derate: 0.5 }
    capexPerNode: 300000
    residualShare: 0.15
    lifeYears: 1
    networkShare: 0.1
    staffFte: 0.25
    staffFtePerNode: 0.05
  - kind: cloud
    name: rented
    provider: aws
    region: us-east-1
    machine: p5en.48xlarge
    market: on-demand
    scaling: hourly
    throughput: { anchor: ANCHOR, derate: 0.5 }
    data: { sizeGib: 1000, iops: 16000, throughputMbps: 1000 }
"""
INPUTS = {
    "workload.tokensPerDay": "2500000000", "workload.cacheHitShare": "0.1", "finance.discountRate": "0.13",
    "options.own.capexPerNode": "412345.67", "options.own.lifeYears": "1.1", "options.own.usdPerKwh": "0.21",
    "options.rented.discount": "0.07", "finance.cloudPriceTrend": "0.05",
}  # fmt: skip


def scenario(text: str) -> Scenario:
    data, options = parse(yaml.safe_load(text), "test.yaml")
    return Scenario("test", "test.yaml", text, data, options)


def texts() -> str:
    from cost import throughput

    known = throughput.anchors()
    name = next(one for one in known if "70b" in one.lower() and "h200" in one.lower())
    return TEXT.replace("ANCHOR", name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scenario, Comparison, Path]:
    one = scenario(texts())
    found = compare(one, Snapshot.load(), today=TODAY, draws=50, bands=False)
    path = tmp_path_factory.mktemp("book") / "report.xlsx"
    return one, found, write_workbook(one, Snapshot.load(), found, path)


@pytest.fixture(scope="module")
def engine(made: tuple[Scenario, Comparison, Path]) -> Callable[[dict[str, str]], dict[tuple[str, str], float]]:
    """Recomputes the workbook with other values of named cells; gives the summary's numbers by row title and column."""
    import formulas

    path = made[2]
    model = formulas.ExcelModel().loads(str(path)).finish()
    sheet = openpyxl.load_workbook(path)
    names = {name: one.attr_text.replace("$", "") for name, one in sheet.defined_names.items()}
    titles = {row: sheet["Summary"].cell(row, 1).value for row in range(6, 6 + len(made[1].options))}

    def run(changed: dict[str, str]) -> dict[tuple[str, str], float]:
        file = f"[{path.name}]"
        cells = {
            f"'{file}{names[defined(key)].split('!')[0].upper()}'!{names[defined(key)].split('!')[1]}": float(value)
            for key, value in changed.items()
        }
        solved = model.calculate(inputs=cells)
        found: dict[tuple[str, str], float] = {}
        for row, title in titles.items():
            for column in "CDFGH":
                value: Any = solved[f"'{file}SUMMARY'!{column}{row}"].value[0, 0]
                found[str(title), column] = float(value)
        return found

    return run


def summary(found: Comparison) -> dict[tuple[str, str], Decimal]:
    values: dict[tuple[str, str], Decimal] = {}
    for one in found.options:
        assert one.usd_million is not None
        sums = zip("CDFGH", (one.cash, one.amortised, one.npv, one.levelised_month, one.usd_million), strict=True)
        values |= {(one.title, column): value for column, value in sums}
    return values


def agree(here: dict[tuple[str, str], float], there: dict[tuple[str, str], Decimal]) -> None:
    assert here.keys() == there.keys()
    for key, value in there.items():
        assert here[key] == pytest.approx(float(value), abs=0.005, rel=0), key


def test_the_workbook_comes_to_the_models_figures_to_the_cent(
    made: tuple[Scenario, Comparison, Path], engine: Callable[[dict[str, str]], dict[tuple[str, str], float]]
) -> None:
    agree(engine({}), summary(made[1]))


def test_a_changed_input_changes_the_workbook_as_it_changes_the_model(
    engine: Callable[[dict[str, str]], dict[tuple[str, str], float]],
) -> None:
    data = yaml.safe_load(texts())
    options = {one["name"]: one for one in data["options"]}
    for key, value in INPUTS.items():
        where, _, name = key.rpartition(".")
        part = options[where.removeprefix("options.")] if where.startswith("options.") else data[where]
        part[name] = float(value) if "." in value else int(value)
    other = scenario(yaml.safe_dump(data))
    for key, value in INPUTS.items():
        assert other.inputs[key] == Decimal(value)
    agree(engine(INPUTS), summary(compare(other, Snapshot.load(), today=TODAY, draws=0, bands=False)))


def test_money_without_a_price_of_its_own_is_worked_out_too(
    engine: Callable[[dict[str, str]], dict[tuple[str, str], float]],
) -> None:
    data = yaml.safe_load(texts())
    data["finance"]["discountRate"] = 0
    found = compare(scenario(yaml.safe_dump(data)), Snapshot.load(), today=TODAY, draws=0, bands=False)
    agree(engine({"finance.discountRate": "0"}), summary(found))


def test_every_formula_carries_its_value_and_none_is_longer_than_excel_takes(
    made: tuple[Scenario, Comparison, Path],
) -> None:
    live, cached = openpyxl.load_workbook(made[2]), openpyxl.load_workbook(made[2], data_only=True)
    count = 0
    for sheet in live:
        for row in sheet.iter_rows():
            for cell in row:
                if isinstance(cell.value, str) and cell.value.startswith("="):
                    count += 1
                    assert len(cell.value) < 8192
                    assert cached[sheet.title][cell.coordinate].value is not None, (sheet.title, cell.coordinate)
    assert count > 500
    first = cached["Summary"]["C6"].value
    assert first == pytest.approx(float(made[1].options[0].cash))


def test_every_input_and_price_has_a_cell_that_formulas_use(made: tuple[Scenario, Comparison, Path]) -> None:
    book = openpyxl.load_workbook(made[2])
    named = set(book.defined_names)
    assert named == {defined(key) for key in made[0].inputs.keys()}  # noqa: SIM118
    text = "\n".join(
        cell.value
        for sheet in book
        for row in sheet.iter_rows()
        for cell in row
        if isinstance(cell.value, str) and cell.value.startswith("=")
    )
    for key in ("workload.tokensPerDay", "options.own.capexPerNode", "options.rented.priceFactor"):
        assert defined(key) in text
    prices = [row[0].value for row in book["Prices"].iter_rows(min_row=4, min_col=7, max_col=7) if row[0].value]
    for row in range(4, 4 + len(prices)):
        assert re.search(rf"Prices!\$G\${row}\b", text), row


def test_the_book_has_what_finance_signs(made: tuple[Scenario, Comparison, Path]) -> None:
    names = openpyxl.load_workbook(made[2]).sheetnames
    for name in ("Summary", "Inputs", "Prices", "Break-even", "Uncertainty", "Without a price", "Sources", "Sign-off"):
        assert name in names


def test_names_of_cells_are_names_to_excel() -> None:
    assert defined("options.aws-on-demand.priceFactor") == "options.aws_on_demand.priceFactor"


def test_formulas_keep_the_order_of_their_operations() -> None:
    n = Workings()
    one, two, three = n.of(5), n.of(3), n.of(2)
    assert ((one - (two - three)).text, (one - (two - three)).value) == ("5-(3-2)", Decimal(4))
    assert ((one + two) * three).text == "(5+3)*2"
    assert (one / (two / three)).text == "5/(3/2)"
    assert (one / (two * three)).text == "5/(3*2)"
    assert (-(one + two)).text == "-(5+3)"
    assert (1 - one).text == "1-5"
    assert n.ceil(one / two).value == 2


def test_what_a_scenario_says_is_text_and_never_a_formula(tmp_path: Path) -> None:
    said = "=HYPERLINK(1)"
    one = scenario(texts().replace("name: rented", f"name: rented\n    title: '{said}'"))
    path = tmp_path / "said.xlsx"
    write_workbook(one, Snapshot.load(), compare(one, Snapshot.load(), today=TODAY, draws=0, bands=False), path)
    with zipfile.ZipFile(path) as book:
        sheets = "".join(book.read(name).decode() for name in book.namelist() if "/worksheets/sheet" in name)
        assert said in book.read("xl/sharedStrings.xml").decode()
    assert "<f>" in sheets
    assert not re.search(r"<f>[^<]*HYPERLINK", sheets)
