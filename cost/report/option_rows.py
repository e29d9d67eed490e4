"""The rows of an option's sheet: quantity, unit price, cash, amortised, present value, levelised; by line and month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Protocol

from cost.arithmetic import Inputs
from cost.ledger import Charge, recovery
from cost.report.cells import Cell, Entry, Workings, defined
from cost.report.sheets import Styles, col, plain
from cost.result import Comparison, Option

FIRST: Final = 4
"""Column of the first month."""
TOTAL: Final = 3
MONTHS_ROW: Final = 4
"""Row (from 0) with the numbers of the months, on which formulas lean."""
_ZERO: Final = Decimal(0)


@dataclass
class Made:
    """Where an option's results are."""

    option: Option
    sheet: str
    cells: dict[str, str] = field(default_factory=dict)


class Writer(Protocol):
    """What the rows need of the workbook."""

    n: Workings
    inputs: Inputs
    found: Comparison
    styles: Styles
    months: int

    def formula(self, sheet: Any, row: int, column: int, text: str, value: Decimal, style: Any) -> None:
        """Writes a live formula with the value that it has."""


class Rows:
    """The rows of an option's sheet."""

    def __init__(self, writer: Writer, sheet: Any, lines: list[tuple[Charge, bool, bool, dict[int, Entry]]]) -> None:
        self.w, self.sheet, self.lines = writer, sheet, lines
        self.at = MONTHS_ROW + 2
        self.months = writer.months
        self.last = col(FIRST + self.months - 1)
        self.first = col(FIRST)
        self.span = f"${self.first}${MONTHS_ROW + 1}:${self.last}${MONTHS_ROW + 1}"

    def write(self, made: Made) -> None:
        quantities = self._block("Quantity", [self._cells(entries, "quantity") for *_, entries in self.lines])
        prices = self._block("Unit price", [self._cells(entries, "price") for *_, entries in self.lines], fine=True)
        cash = self._cash(quantities, prices)
        amortised = self._amortised(quantities, prices, cash)
        made.cells["cash"] = f"${col(TOTAL)}${cash.total + 1}"
        made.cells["amortised"] = f"${col(TOTAL)}${amortised.total + 1}"
        made.cells["npv"] = self._present(cash, made.option)
        made.cells["levelised"] = self._levelised(quantities, prices, cash, made.option)

    def _cells(self, entries: Mapping[int, Entry], name: str) -> list[Cell]:
        zero = self.w.n.of(0)
        return [getattr(entries[month], name) if month in entries else zero for month in range(self.months)]

    def _head(self, text: str) -> None:
        self.sheet.write(self.at, 0, text, self.w.styles.strong)
        self.at += 1

    def _names(self, row: int, charge: Charge, unit: str) -> None:
        styles = self.w.styles
        self.sheet.write(row, 0, charge.what, styles.text)
        self.sheet.write(row, 1, unit, styles.note)
        self.sheet.write(row, 2, plain(charge.source), styles.note)

    def _block(self, title: str, cells: Sequence[Sequence[Cell]], *, fine: bool = False) -> Block:
        """Formulas of every line and month as the model has them."""
        self._head(title)
        found = Block(self.at, [[cell.value for cell in line] for line in cells])
        style = self.w.styles.fine if fine else self.w.styles.count
        for (charge, *_), line in zip(self.lines, cells, strict=True):
            self._names(self.at, charge, f"{self.w.found.currency} / {charge.unit}" if fine else charge.unit)
            for month, cell in enumerate(line):
                if cell.text.lstrip("-").replace(".", "", 1).isdigit():
                    self.sheet.write_number(self.at, FIRST + month, float(cell.value), style)
                else:
                    self.w.formula(self.sheet, self.at, FIRST + month, cell.text, cell.value, style)
            self.at += 1
        self.at += 1
        return found

    def _product(self, quantities: Block, prices: Block, line: int) -> str:
        one, two = quantities.row + line + 1, prices.row + line + 1
        return f"${self.first}${one}:${self.last}${one}*${self.first}${two}:${self.last}${two}"

    def _cash(self, quantities: Block, prices: Block) -> Block:
        self._head(f"Cash, {self.w.found.currency}")
        found = Block(self.at, [])
        for line, (charge, ahead, at_end, entries) in enumerate(self.lines):
            self._names(self.at, charge, self.w.found.currency)
            usd = [q * p for q, p in zip(quantities.values[line], prices.values[line], strict=True)]
            values = list(usd)
            life = _life(entries)
            if ahead and at_end and life is not None:
                values = [_ZERO] * self.months
                for month, amount in enumerate(usd):
                    if (paid := month + int(life.value) - 1) < self.months:
                        values[paid] += amount
            for month, value in enumerate(values):
                here = col(FIRST + month)
                text = f"{here}{quantities.row + line + 1}*{here}{prices.row + line + 1}"
                if ahead and at_end and life is not None:
                    product = self._product(quantities, prices, line)
                    text = f"SUMPRODUCT(({self.span}+{life.text}-1={here}${MONTHS_ROW + 1})*{product})"
                self.w.formula(self.sheet, self.at, FIRST + month, text, value, self.w.styles.money)
            self._sum(values)
            found.values.append(values)
            self.at += 1
        found.total = self._totals(found, "Cash, all lines")
        return found

    def _amortised(self, quantities: Block, prices: Block, cash: Block) -> Block:
        self._head(f"Amortised, {self.w.found.currency}")
        found = Block(self.at, [])
        for line, (charge, ahead, _, entries) in enumerate(self.lines):
            self._names(self.at, charge, self.w.found.currency)
            life = _life(entries)
            values = list(cash.values[line])
            if ahead and life is not None:
                values = [_ZERO] * self.months
                for month in range(self.months):
                    usd = quantities.values[line][month] * prices.values[line][month]
                    for at in range(month, min(self.months, month + int(life.value))):
                        values[at] += usd / life.value
            for month, value in enumerate(values):
                here = col(FIRST + month)
                text = f"{here}{cash.row + line + 1}"
                if ahead and life is not None:
                    now = f"{here}${MONTHS_ROW + 1}"
                    product = self._product(quantities, prices, line)
                    text = f"SUMPRODUCT(({self.span}<={now})*({self.span}+{life.text}>{now})*{product})/{life.text}"
                self.w.formula(self.sheet, self.at, FIRST + month, text, value, self.w.styles.money)
            self._sum(values)
            found.values.append(values)
            self.at += 1
        found.total = self._totals(found, "Amortised, all lines")
        return found

    def _sum(self, values: Iterable[Decimal]) -> None:
        text = f"SUM({self.first}{self.at + 1}:{self.last}{self.at + 1})"
        self.w.formula(self.sheet, self.at, TOTAL, text, sum(values, _ZERO), self.w.styles.money)

    def _totals(self, block: Block, title: str) -> int:
        row, last = self.at, block.row + len(block.values)
        self.sheet.write(row, 0, title, self.w.styles.strong)
        sums = [sum(column, _ZERO) for column in zip(*block.values, strict=True)] or [_ZERO] * self.months
        for month, value in enumerate(sums):
            here = col(FIRST + month)
            text = f"SUM({here}{block.row + 1}:{here}{last})"
            self.w.formula(self.sheet, row, FIRST + month, text, value, self.w.styles.sum)
        text = f"SUM({self.first}{row + 1}:{self.last}{row + 1})"
        self.w.formula(self.sheet, row, TOTAL, text, sum(sums, _ZERO), self.w.styles.sum)
        self.at += 2
        return row

    def _present(self, cash: Block, option: Option) -> str:
        """Each line's cash over (1 + r)^years: of its month's beginning where it is paid ahead, else of its end."""
        self._head(f"Present value, {self.w.found.currency}")
        rate = defined("finance.discountRate")
        parts = []
        for line, (charge, ahead, at_end, _) in enumerate(self.lines):
            begin = ahead and not at_end
            row = cash.row + line + 1
            exponent = f"({self.span}+{0 if begin else 1})/12"
            text = f"SUMPRODUCT(${self.first}${row}:${self.last}${row}/(1+{rate})^({exponent}))"
            discount = self.w.inputs["finance.discountRate"].value
            value = sum(
                (usd / (1 + discount) ** (Decimal(month + (not begin)) / 12)
                 for month, usd in enumerate(cash.values[line]) if usd),
                _ZERO,
            )  # fmt: skip
            self._names(self.at, charge, self.w.found.currency)
            self.w.formula(self.sheet, self.at, TOTAL, text, value, self.w.styles.money)
            parts.append(self.at)
            self.at += 1
        return self._column_sum(parts, "Present value, all lines", option.npv)

    def _levelised(self, quantities: Block, prices: Block, cash: Block, option: Option) -> str:
        """Capital at what the money costs over its life; the mean month of the period."""
        self._head(f"Levelised, {self.w.found.currency} a month")
        parts = []
        for line, (charge, ahead, at_end, entries) in enumerate(self.lines):
            self._names(self.at, charge, self.w.found.currency)
            life = _life(entries)
            if ahead and life is not None:
                self.w.n.doing = f"{option.name}, {charge.what}"
                monthly: Cell = recovery(self.w.n, self.w.inputs["finance.discountRate"], life, at_end=at_end)
                left = f"({self.months}-{self.span})"
                # min(life, months left), element by element: MIN takes a range as one.
                within = f"({life.text}+{left}-ABS({life.text}-{left}))/2"
                text = f"SUMPRODUCT({self._product(quantities, prices, line)}*{within})*{_atom(monthly)}/{self.months}"
                value = sum(
                    (quantities.values[line][month] * prices.values[line][month]
                     * min(life.value, Decimal(self.months - month)) for month in range(self.months)),
                    _ZERO,
                ) * monthly.value / self.months  # fmt: skip
            else:
                text = f"{col(TOTAL)}{cash.row + line + 1}/{self.months}"
                value = sum(cash.values[line], _ZERO) / self.months
            self.w.formula(self.sheet, self.at, TOTAL, text, value, self.w.styles.money)
            parts.append(self.at)
            self.at += 1
        return self._column_sum(parts, "Levelised, all lines", option.levelised_month)

    def _column_sum(self, rows: Sequence[int], title: str, value: Decimal) -> str:
        self.sheet.write(self.at, 0, title, self.w.styles.strong)
        text = f"SUM({col(TOTAL)}{rows[0] + 1}:{col(TOTAL)}{rows[-1] + 1})" if rows else "0"
        self.w.formula(self.sheet, self.at, TOTAL, text, value, self.w.styles.sum)
        cell = f"${col(TOTAL)}${self.at + 1}"
        self.at += 2
        return cell


@dataclass
class Block:
    """Rows of one kind: the first of them, and the values."""

    row: int
    values: list[list[Decimal]]
    total: int = 0


def _life(entries: Mapping[int, Entry]) -> Cell | None:
    return next((one.life for one in entries.values() if one.life is not None), None)


def _atom(cell: Cell) -> str:
    return cell.text if cell.text.replace("$", "").replace("!", "").isalnum() else f"({cell.text})"
