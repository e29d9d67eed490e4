"""A third arithmetic: numbers that are formulas of a workbook, with the value that the formula has now.

The formulas of the model run once more (cost/arithmetic.py), and what comes out are texts such as
`workload.tokensPerDay*POWER(1+workload.growthPerMonth,5)`. What gets long goes to a cell of the sheet of workings and
is referred to from then on, so that no formula is longer than a person reads, and none is computed twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from cost.arithmetic import EXACT, Inputs
from cost.ledger import Charge

LONG: Final = 110
"""Characters of a formula that goes to a cell of its own."""
_SUM, _PRODUCT, _ATOM = 1, 2, 3
"""How tightly a formula's last operation binds."""


class Cell:
    """A formula without its equals sign, and its value."""

    __slots__ = ("_book", "binds", "text", "value")

    def __init__(self, book: Workings, text: str, value: Decimal, binds: int = _ATOM) -> None:
        self._book, self.text, self.value, self.binds = book, text, value, binds

    def _within(self, binds: int) -> str:
        return self.text if self.binds >= binds else f"({self.text})"

    def _made(self, text: str, value: Decimal, binds: int) -> Cell:
        return self._book.short(Cell(self._book, text, value, binds))

    def _of(self, other: Any) -> Cell:
        return other if isinstance(other, Cell) else self._book.of(other)

    def __add__(self, other: Any) -> Cell:
        one = self._of(other)
        if not one.value and one.text == "0":
            return self
        if not self.value and self.text == "0":
            return one
        return self._made(f"{self.text}+{one.text}", self.value + one.value, _SUM)

    def __radd__(self, other: Any) -> Cell:
        return self._of(other) + self

    def __sub__(self, other: Any) -> Cell:
        one = self._of(other)
        return self._made(f"{self.text}-{one._within(_PRODUCT)}", self.value - one.value, _SUM)

    def __rsub__(self, other: Any) -> Cell:
        return self._of(other) - self

    def __mul__(self, other: Any) -> Cell:
        one = self._of(other)
        if one.text == "1":
            return self
        if self.text == "1":
            return one
        text = f"{self._within(_PRODUCT)}*{one._within(_PRODUCT)}"
        return self._made(text, self.value * one.value, _PRODUCT)

    def __rmul__(self, other: Any) -> Cell:
        return self._of(other) * self

    def __truediv__(self, other: Any) -> Cell:
        one = self._of(other)
        text = f"{self._within(_PRODUCT)}/{one._within(_ATOM)}"
        return self._made(text, self.value / one.value, _PRODUCT)

    def __rtruediv__(self, other: Any) -> Cell:
        return self._of(other) / self

    def __neg__(self) -> Cell:
        return self._made(f"-{self._within(_ATOM)}", -self.value, _SUM)

    def __repr__(self) -> str:
        return f"{self.text} [{self.value}]"


@dataclass(frozen=True, slots=True)
class Priced:
    """A price that a formula uses, in a cell of its own."""

    charge: Charge
    usd: Decimal
    cell: str


class Workings:
    """The arithmetic, and the cells that it filled on the way. sheet, prices: names of those sheets."""

    def __init__(self, sheet: str = "Workings", prices: str = "Prices", first_row: int = 4) -> None:
        self.sheet, self.prices_sheet, self.first_row = sheet, prices, first_row
        self.cells: list[tuple[str, Cell]] = []
        """(what for, formula) in the order of their making; none refers to a later one."""
        self.prices: list[Priced] = []
        self.doing = ""
        """What is being worked out: the label of cells that are made."""
        self._at: dict[str, Cell] = {}
        self._priced: dict[tuple[Any, ...], Cell] = {}

    # --- the arithmetic ---

    def of(self, value: Decimal | int) -> Cell:
        number = Decimal(value)
        text = f"{number:f}" if number == number.to_integral_value() else f"{_seventeen(number):f}"
        return Cell(self, text, number, _ATOM if number >= 0 else _SUM)

    def price(self, usd: Decimal, charge: Charge) -> Cell:
        """A price of the snapshot: a cell that a colleague may change."""
        key = (charge.provider, charge.region, charge.sku, charge.market, charge.what, charge.unit, usd)
        if key not in self._priced:
            name = f"{self.prices_sheet}!$G${len(self.prices) + self.first_row}"
            self.prices.append(Priced(charge, usd, name))
            self._priced[key] = Cell(self, name, Decimal(usd))
        return self._priced[key]

    def ceil(self, value: Cell) -> Cell:
        # A spreadsheet's floats make 3.0000000000000004 of three thirds of nine.
        return self._function(f"ROUNDUP(ROUND({value.text},9),0)", EXACT.ceil(value.value))

    def largest(self, one: Any, other: Any) -> Cell:
        a, b = self._cell(one), self._cell(other)
        return self._function(f"MAX({a.text},{b.text})", max(a.value, b.value))

    def smallest(self, one: Any, other: Any) -> Cell:
        a, b = self._cell(one), self._cell(other)
        return self._function(f"MIN({a.text},{b.text})", min(a.value, b.value))

    def power(self, base: Any, exponent: Any) -> Cell:
        a, b = self._cell(base), self._cell(exponent)
        if b.text == "0":
            return self.of(1)
        return self._function(f"POWER({a.text},{b.text})", EXACT.power(a.value, b.value))

    def exp(self, value: Any) -> Cell:
        a = self._cell(value)
        return self._function(f"EXP({a.text})", EXACT.exp(a.value))

    def less(self, one: Any, other: Any) -> Cell:
        a, b = self._cell(one), self._cell(other)
        return self._function(f"IF({a.text}<{b.text},1,0)", EXACT.less(a.value, b.value))

    # --- cells ---

    def _cell(self, value: Any) -> Cell:
        return value if isinstance(value, Cell) else self.of(value)

    def _function(self, text: str, value: Decimal) -> Cell:
        return self.short(Cell(self, text, value))

    def short(self, cell: Cell) -> Cell:
        """The cell itself, or a reference to where it went when it is long."""
        if len(cell.text) <= LONG:
            return cell
        return self.kept(cell)

    def kept(self, cell: Cell) -> Cell:
        """A reference to a cell that holds this formula."""
        if (found := self._at.get(cell.text)) is None:
            self.cells.append((self.doing, cell))
            found = Cell(self, f"{self.sheet}!$B${len(self.cells) - 1 + self.first_row}", cell.value)
            self._at[cell.text] = found
        return found

    def inputs(self, inputs: Inputs) -> Inputs:
        """The same inputs as names of cells."""
        return Inputs({key: Cell(self, defined(key), Decimal(inputs[key])) for key in tuple(inputs.keys())})


def defined(key: str) -> str:
    """The name of an input's cell: letters, digits, dots and underscores, none of which looks like a cell's address
    (https://support.microsoft.com/office/names-in-formulas-fc2935f9-115d-4bef-a370-3aa8bb4c91f1)."""
    return "".join(one if one.isalnum() or one in "._" else "_" for one in key)


def _seventeen(value: Decimal) -> Decimal:
    """Seventeen digits are all that a float has."""
    return Decimal(repr(float(value)))


@dataclass(slots=True)
class Entry:
    """What was charged to a line in one month. life: months; None of what runs."""

    quantity: Cell
    price: Cell
    life: Cell | None = None


class Recorder:
    """A ledger that keeps formulas: by line, by month."""

    def __init__(self, n: Workings, months: int, rate: Cell) -> None:
        self.n, self.months, self.rate = n, months, rate
        self.lines: dict[tuple[Charge, bool, bool], dict[int, Entry]] = {}
        """(charge, paid ahead, paid back at the end) -> month -> entry."""

    def running(self, charge: Charge, month: int, quantity: Any, price: Any) -> None:
        self._add(charge, month, quantity, price, None, False)

    def ahead(
        self, charge: Charge, month: int, quantity: Any, price: Any, life_months: Any, *, at_end: bool = False
    ) -> None:
        self._add(charge, month, quantity, price, life_months, at_end)

    def _add(self, charge: Charge, month: int, quantity: Any, price: Any, life: Any, at_end: bool) -> None:
        n = self.n
        cells = [n._cell(one) for one in (quantity, price)]
        own = self.lines.setdefault((charge, life is not None, at_end), {})
        new = Entry(cells[0], cells[1], None if life is None else n._cell(life))
        old = own.get(month)
        if old is not None:  # charged twice in a month, as tiers of one price are not: the sum at the mean price
            quantity = old.quantity + new.quantity
            new = Entry(quantity, (old.quantity * old.price + new.quantity * new.price) / quantity, new.life)
        own[month] = new

    def __iter__(self) -> Iterator[tuple[Charge, bool, bool, dict[int, Entry]]]:
        for (charge, ahead, at_end), entries in self.lines.items():
            yield charge, ahead, at_end, entries
