"""What has changed since an earlier report of the same scenario: amounts, and the inputs and prices behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from cost.money import CENT
from cost.report import words
from cost.result import Assumption, Comparison, Option


@dataclass(frozen=True, slots=True)
class Moved:
    """An option then and now, USD a month, levelised. None: it was or is not there, or has no total."""

    title: str
    then: Decimal | None
    now: Decimal | None

    @property
    def change(self) -> Decimal | None:
        if self.then is None or self.now is None:
            return None
        # The earlier one is rounded, as report.json has it.
        return Decimal(words.exact(self.now)) - Decimal(words.exact(self.then))


@dataclass(frozen=True, slots=True)
class Changed:
    """An input or a unit price then and now, as text; an en dash where it was or is not there."""

    what: str
    unit: str
    then: str
    now: str


class Since:
    """An earlier comparison against this one."""

    def __init__(self, found: Comparison, earlier: Comparison) -> None:
        self.found, self.earlier = found, earlier

    def sentence(self) -> str:
        """When that was, and what was the cheapest then."""
        then, now = self.earlier, self.found
        text = f"The report of {then.today}, with prices {then.snapshot}, "
        if not then.best:
            return f"{text}had no option to choose."
        was = then.option(then.best)
        text += f"had {was.title} as the cheapest, at {words.usd(was.levelised_month, then.currency)} a month"
        if now.best == then.best:
            change = now.option(now.best).levelised_month - was.levelised_month
            told = f", {words.usd(change, now.currency, sign=True)} a month" if abs(change) >= CENT / 2 else ""
            return f"{text}; it still is{told}."
        return f"{text}; it is no more."

    def options(self) -> tuple[Moved, ...]:
        """Every option of either, in this report's order."""
        then = {one.name: one for one in self.earlier.options}
        now = {one.name: one for one in self.found.options}
        return tuple(
            Moved((now.get(name) or then[name]).title, _month(then.get(name)), _month(now.get(name)))
            for name in (*now, *(one for one in then if one not in now))
        )

    def inputs(self) -> tuple[Changed, ...]:
        """Assumptions with another value."""
        then = {one.key: one for one in self.earlier.assumptions}
        now = {one.key: one for one in self.found.assumptions}
        found = []
        for key in (*now, *(one for one in then if one not in now)):
            old, new = then.get(key), now.get(key)
            if old is None or new is None or Decimal(old.value) != Decimal(new.value):
                units = [one.unit for one in (new, old) if one is not None]
                found.append(Changed(key, units[0], _text(old), _text(new)))
        return tuple(found)

    def prices(self) -> tuple[Changed, ...]:
        """Unit prices of lines that are in both, and are others."""
        found: dict[Changed, None] = {}
        for title, what, unit, old, new in self._prices():
            if old != new:
                found[Changed(f"{title}: {what}", unit, words.small(old), words.small(new))] = None
        return tuple(found)

    def _prices(self) -> Iterator[tuple[str, str, str, Decimal, Decimal]]:
        """Rounded as report.json has them, from where the earlier ones are."""
        then = {one.name: one for one in self.earlier.options}
        for option in self.found.options:
            if option.name not in then:
                continue
            old = {(line.what, line.unit): line for line in then[option.name].lines}
            for line in option.lines:
                if earlier := old.get((line.what, line.unit)):
                    prices = (Decimal(words.exact(one.unit_price)) for one in (earlier, line))
                    yield option.title, line.what, line.unit, *prices  # type: ignore[misc]


def _month(option: Option | None) -> Decimal | None:
    if option is None or option.status not in ("priced", "partial"):
        return None
    return option.levelised_month


def _text(one: Assumption | None) -> str:
    return words.NONE if one is None else f"{Decimal(words.exact(Decimal(one.value))):,f}"
