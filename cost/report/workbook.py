"""report.xlsx: the model as a workbook whose results follow when a colleague changes an input or a price.

Inputs are named cells, prices cells with their source, and every line of every option a row of formulas by month:
quantity, unit price, cash, amortised. What a spreadsheet cannot do alone (break-even points, Monte Carlo, tornado) is
there as values, and says so. Every formula carries the value that the model has for it, so that viewers that do not
recompute show the figures of the report; tests recompute them with an engine that knows nothing of this program.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from cost.ledger import Ledger
from cost.money import HOURS_PER_MONTH
from cost.options import MILLION, OptionModel, build
from cost.report.cells import Cell, Recorder, Workings, defined
from cost.report.option_rows import FIRST, MONTHS_ROW, TOTAL, Made, Rows
from cost.report.sheets import Styles, plain, tables
from cost.result import Comparison, Option
from cost.totals import tokens

if TYPE_CHECKING:
    from cost.prices.snapshot import Snapshot
    from cost.scenario import Scenario

NAME_MOST: Final = 31
"""Characters of a sheet's name (https://support.microsoft.com/office/excel-specifications-and-limits)."""
_ZERO: Final = Decimal(0)


def write_workbook(scenario: Scenario, snapshot: Snapshot, comparison: Comparison, path: Path) -> Path:
    """The workbook of a comparison that was made of this scenario and snapshot. Raises OSError."""
    import xlsxwriter

    # What a scenario says is text, also where it begins with "="; formulas are written as such.
    options = {"default_date_format": "yyyy-mm-dd", "strings_to_formulas": False}
    book = xlsxwriter.Workbook(str(path), options)
    try:
        # The day of the report, so that the same report is the same file.
        at = datetime(comparison.today.year, comparison.today.month, comparison.today.day)
        book.set_properties({"title": comparison.title, "subject": f"Scenario {comparison.scenario}", "created": at})
        _Writer(book, scenario, snapshot, comparison).write()
    finally:
        book.close()
    return path


class _Writer:
    def __init__(self, book: Any, scenario: Scenario, snapshot: Snapshot, comparison: Comparison) -> None:
        self.book, self.scenario, self.snapshot, self.found = book, scenario, snapshot, comparison
        self.months = comparison.months
        self.n = Workings()
        self.inputs = self.n.inputs(scenario.inputs)
        self.styles = Styles(book)
        self.names: set[str] = set()

    def write(self) -> None:
        # In the order in which somebody reads; filled in the order in which formulas come about.
        order = ["Summary", "Inputs", "Prices"]
        sheets = {name: self._sheet(name) for name in order}
        models = {model.facts.name: model for model in build(self.scenario, self.snapshot, self.found.today)}
        made = [self._option(option, models[option.name]) for option in self.found.options if option.lines]
        tables(self._sheet, self.styles, self.found)
        workings = self._sheet("Workings")
        self._summary(sheets["Summary"], made)
        self._inputs(sheets["Inputs"])
        self._prices(sheets["Prices"])
        self._workings(workings)
        sheets["Summary"].activate()

    def _sheet(self, name: str) -> Any:
        """A sheet with a name of its own, which has no character that Excel refuses."""
        base = "".join("_" if one in "[]:*?/\\'" else one for one in name)[:NAME_MOST]
        unique, number = base, 2
        while unique.lower() in self.names:
            unique = f"{base[: NAME_MOST - 3]} {number}"
            number += 1
        self.names.add(unique.lower())
        return self.book.add_worksheet(unique)

    # --- an option: quantity, price, cash, amortised, by month --------------------------------------------------------

    def _option(self, option: Option, model: OptionModel) -> Made:
        self.n.doing = option.name
        ledger = Recorder(self.n, self.months, self.inputs["finance.discountRate"])
        model.run(self.inputs, cast(Ledger, ledger))  # its numbers are cells
        sheet = self._sheet(option.name)
        made = Made(option, f"'{sheet.get_name()}'")
        styles = self.styles
        sheet.write(0, 0, option.title, styles.title)
        sheet.write(1, 0, f"{option.status}. {option.why}".rstrip(". "), styles.note)
        sheet.set_column(0, 0, 44)
        sheet.set_column(1, 1, 14)
        sheet.set_column(2, 2, 30)
        sheet.set_column(TOTAL, TOTAL, 16)
        sheet.set_column(FIRST, FIRST + self.months, 13)
        sheet.freeze_panes(MONTHS_ROW + 1, FIRST)
        self._header(sheet)
        rows = Rows(self, sheet, list(ledger))
        rows.write(made)
        return made

    def _header(self, sheet: Any) -> None:
        year, month = int(self.found.start[:4]), int(self.found.start[5:7]) - 1
        for column, text in enumerate(("Line", "Unit", "Source", "Total")):
            sheet.write(MONTHS_ROW - 1, column, text, self.styles.head)
        sheet.write(MONTHS_ROW, 0, "Month, from 0", self.styles.note)
        for at in range(self.months):
            ahead = year * 12 + month + at
            sheet.write(MONTHS_ROW - 1, FIRST + at, f"{ahead // 12}-{ahead % 12 + 1:02d}", self.styles.head)
            sheet.write_number(MONTHS_ROW, FIRST + at, at, self.styles.note)

    def formula(self, sheet: Any, row: int, column: int, text: str, value: Decimal, style: Any) -> None:
        """A live formula with the value that it has."""
        sheet.write_formula(row, column, f"={text}", style, float(value))

    # --- the sheets before and after ----------------------------------------------------------------------------------

    def _summary(self, sheet: Any, made: Sequence[Made]) -> None:
        found, styles = self.found, self.styles
        sheet.set_column(0, 0, 38)
        sheet.set_column(1, 8, 17)
        sheet.write(0, 0, found.title, styles.title)
        sheet.write(1, 0, found.shows, styles.note)
        sheet.write(
            2, 0, f"{found.currency}, {found.months} months from {found.start}; a month has {HOURS_PER_MONTH} hours. "
            "Change yellow cells on Inputs and Prices: everything on this sheet follows.", styles.note,
        )  # fmt: skip
        heads = (
            "Option", "Status", f"Cash, {found.currency}", f"Amortised, {found.currency}", "Left in the books",
            f"Present value, {found.currency}", f"Levelised, {found.currency} a month",
            f"{found.currency} per million tokens", "Nodes, first month",
        )  # fmt: skip
        for column, text in enumerate(heads):
            sheet.write(4, column, text, styles.head)
        self.n.doing = "Summary"
        asked: Cell = tokens(self.n, self.inputs, self.months)
        asked = self.n.kept(asked)
        row = 5
        first = row
        for one in made:
            option = one.option
            sheet.write_url(row, 0, f"internal:{one.sheet}!A1", styles.link, option.title)
            sheet.write(row, 1, option.status, styles.text)
            cash, amortised = option.cash, option.amortised
            self.formula(sheet, row, 2, f"{one.sheet}!{one.cells['cash']}", cash, styles.money)
            self.formula(sheet, row, 3, f"{one.sheet}!{one.cells['amortised']}", amortised, styles.money)
            self.formula(sheet, row, 4, f"C{row + 1}-D{row + 1}", option.remaining, styles.money)
            self.formula(sheet, row, 5, f"{one.sheet}!{one.cells['npv']}", option.npv, styles.money)
            self.formula(sheet, row, 6, f"{one.sheet}!{one.cells['levelised']}", option.levelised_month, styles.money)
            text = f"G{row + 1}*{self.months}/{asked.text}*{MILLION}"
            self.formula(sheet, row, 7, text, option.usd_million or _ZERO, styles.fine)
            if option.nodes:
                sheet.write_number(row, 8, option.nodes[0], styles.count)
            row += 1
        for option in self.found.options:
            if not option.lines:
                sheet.write(row, 0, option.title, styles.text)
                sheet.write(row, 1, option.status, styles.text)
                sheet.write(row, 2, option.why, styles.note)
                row += 1
        sheet.write(row + 1, 0, "Cheapest (levelised)", styles.strong)
        usable = [at for at, one in enumerate(made, start=first) if one.option.serves]
        if usable:
            # As they are now: who can serve follows from more than a workbook holds.
            cells = ",".join(f"G{at + 1}" for at in usable)
            area = f"G{first + 1}:G{first + len(made)}"
            names = f"A{first + 1}:A{first + len(made)}"
            best = found.option(found.best).title
            sheet.write_formula(
                row + 1, 1, f"=INDEX({names},MATCH(MIN({cells}),{area},0))", styles.strong, best
            )  # fmt: skip
        sheet.write(row + 3, 0, f"Prices: snapshot {found.snapshot}. {found.stale}".strip(), styles.note)
        for at, text in enumerate(found.warnings):
            sheet.write(row + 4 + at, 0, text, styles.note)
        sheet.freeze_panes(5, 1)

    def _inputs(self, sheet: Any) -> None:
        styles = self.styles
        heads = ("Input", "Value", "Unit", "Low", "High", "Source", "Date", "Owner", "Name of the cell")
        for column, (text, width) in enumerate(zip(heads, (46, 18, 18, 14, 14, 60, 12, 20, 46), strict=True)):
            sheet.write(3, column, text, styles.head)
            sheet.set_column(column, column, width)
        sheet.write(0, 0, "Inputs", styles.title)
        sheet.write(1, 0, "Each yellow cell has a name, by which formulas call it.", styles.note)
        told = {one.key: one for one in self.found.assumptions}
        row = 4
        for key in self.scenario.inputs.keys():  # noqa: SIM118 (no mapping)
            value = Decimal(self.scenario.inputs[key])
            sheet.write(row, 0, key, styles.text)
            sheet.write_number(row, 1, float(value), styles.input)
            self.book.define_name(defined(key), f"=Inputs!$B${row + 1}")
            one = told.get(key)
            if one is not None:
                low, high = one.range or ("", "")
                told_of: tuple[Any, ...] = (one.unit, low, high, one.source, one.observed or "", one.owner)
                for column, shown in enumerate(told_of, start=2):
                    sheet.write(row, column, plain(shown), styles.text)
            sheet.write(row, 8, defined(key), styles.note)
            row += 1
        row += 1
        sheet.write(row, 0, "Assumptions that are no numbers, or stand in the formulas' form", styles.strong)
        for one in self.found.assumptions:
            if one.key in self.scenario.inputs:
                continue
            row += 1
            rest: tuple[Any, ...] = (one.key, one.value, one.unit, "", "", one.source, one.observed, one.owner)
            for column, shown in enumerate(rest):
                sheet.write(row, column, plain(shown or ""), styles.text)
        sheet.freeze_panes(4, 1)

    def _prices(self, sheet: Any) -> None:
        styles = self.styles
        sheet.write(0, 0, "Prices", styles.title)
        sheet.write(
            1, 0, f"Of snapshot {self.found.snapshot} and of the API price list, before any discount.", styles.note
        )
        heads = ("What", "Provider", "Region", "SKU", "Market", "Unit", self.found.currency, "Date", "Source", "Flags")
        for column, (text, width) in enumerate(zip(heads, (34, 12, 16, 26, 14, 16, 16, 12, 60, 40), strict=True)):
            sheet.write(self.n.first_row - 2, column, text, styles.head)
            sheet.set_column(column, column, width)
        for at, one in enumerate(self.n.prices, start=self.n.first_row - 1):
            charge = one.charge
            texts = (charge.what, charge.provider, charge.region, charge.sku, charge.market, charge.unit)
            for column, text in enumerate(texts):
                sheet.write(at, column, plain(text), styles.text)
            sheet.write_number(at, 6, float(one.usd), styles.input)
            sheet.write(at, 7, charge.observed.isoformat() if charge.observed else "", styles.text)
            sheet.write(at, 8, plain(charge.source), styles.text)
            sheet.write(at, 9, "; ".join(charge.flags), styles.text)
        sheet.freeze_panes(self.n.first_row - 1, 1)

    def _workings(self, sheet: Any) -> None:
        sheet.write(0, 0, "Workings", self.styles.title)
        sheet.write(1, 0, "Steps of formulas that would be too long to read in one cell.", self.styles.note)
        sheet.set_column(0, 0, 26)
        sheet.set_column(1, 1, 22)
        for at, (label, cell) in enumerate(self.n.cells, start=self.n.first_row - 1):
            sheet.write(at, 0, label, self.styles.note)
            self.formula(sheet, at, 1, cell.text, cell.value, self.styles.fine)
