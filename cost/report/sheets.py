"""Sheets of values beside the live ones: break-even points, uncertainty, what has no price, sources, sign-off."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any, Final

from cost.result import Comparison

SIGNERS: Final = ("Prepared by", "Checked by (engineering)", "Checked by (finance)", "Approved by")


class Styles:
    """Formats of the workbook. Money is shown with two digits; what the cell holds is not rounded."""

    def __init__(self, book: Any) -> None:
        base = {"font_name": "Arial", "font_size": 10}
        self.text = book.add_format(base)
        self.title = book.add_format({**base, "bold": True, "font_size": 14})
        self.strong = book.add_format({**base, "bold": True})
        self.note = book.add_format({**base, "font_color": "#555555"})
        self.link = book.add_format({**base, "font_color": "#0B5394", "underline": 1})
        self.head = book.add_format({**base, "bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        self.money = book.add_format({**base, "num_format": "#,##0.00"})
        self.sum = book.add_format({**base, "num_format": "#,##0.00", "bold": True, "top": 1})
        self.fine = book.add_format({**base, "num_format": "#,##0.0000######"})
        self.count = book.add_format({**base, "num_format": "#,##0.###"})
        self.share = book.add_format({**base, "num_format": "0.0%"})
        self.input = book.add_format({**base, "num_format": "General", "bg_color": "#FFF2CC", "border": 1})
        self.line = book.add_format({**base, "bottom": 1})


def col(number: int) -> str:
    """The letters of a column, counted from 0."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def plain(value: Any) -> Any:
    """A text that no spreadsheet takes for a formula or a link: what files say is shown, never run."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) and value[:1] in "=+-@\t\r":
        return f"\u200b{value}"  # a space of no width: Excel shows the text as it is
    return value


def tables(sheet: Callable[[str], Any], styles: Styles, found: Comparison) -> None:
    """Every sheet of values, in the order in which they are read."""
    break_even(sheet("Break-even"), styles, found)
    uncertainty(sheet("Uncertainty"), styles, found)
    unpriced(sheet("Without a price"), styles, found)
    sources(sheet("Sources"), styles, found)
    sign_off(sheet("Sign-off"), styles, found)


def _table(sheet: Any, styles: Styles, row: int, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Writes a table; returns the row after it."""
    for column, text in enumerate(heads):
        sheet.write(row, column, text, styles.head)
    for values in rows:
        row += 1
        for column, value in enumerate(values):
            if value is None:
                continue
            if isinstance(value, str | date):
                sheet.write_string(row, column, str(plain(value)), styles.text)
            else:
                sheet.write_number(row, column, float(value), styles.money)
    return row + 2


def break_even(sheet: Any, styles: Styles, found: Comparison) -> None:
    sheet.set_column(0, 1, 26)
    sheet.set_column(2, 6, 20)
    sheet.write(0, 0, "Break-even points", styles.title)
    sheet.write(1, 0, "Values of the report; they do not follow when inputs change.", styles.note)
    rows = [
        (one.below, one.above, one.tokens_day, one.usd_day, "step" if one.step else "crossing",
         "yes" if one.feasible else "no", one.why)
        for pair in found.pairs
        for one in pair.crossings
    ]  # fmt: skip
    heads = (
        "Cheaper below", "Cheaper above", "Tokens a day", f"{found.currency} a day", "Kind", "Both can serve it",
        "Why not",
    )  # fmt: skip
    row = _table(sheet, styles, 3, heads, rows)
    _table(sheet, styles, row, ("Option", "Against", "In words"), ((one.a, one.b, one.words) for one in found.pairs))


def uncertainty(sheet: Any, styles: Styles, found: Comparison) -> None:
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, 9, 18)
    sheet.write(0, 0, "Uncertainty", styles.title)
    sheet.write(1, 0, "Values of the report; they do not follow when inputs change.", styles.note)
    row = 3
    if found.montecarlo is not None:
        drawn = found.montecarlo
        sheet.write(row, 0, f"Monte Carlo: {drawn.draws:,} draws, seed {drawn.seed}", styles.strong)
        heads = (
            "Option", "Cash P10", "Cash P50", "Cash P90", "Cash mean", "per million P10", "P50", "P90",
            "Cheapest in share of draws", "Above capacity in share",
        )  # fmt: skip
        rows = (
            (one.option, one.usd_p10, one.usd_p50, one.usd_p90, one.usd_mean, one.usd_million_p10, one.usd_million_p50,
             one.usd_million_p90, one.wins, one.above_capacity)
            for one in drawn.options
        )  # fmt: skip
        row = _table(sheet, styles, row + 1, heads, rows)
        row = _table(sheet, styles, row, ("Input", "Drawn from"), drawn.inputs)
    for tornado in found.tornados:
        sheet.write(
            row, 0, f"{tornado.option}: {found.currency} per million tokens, one input at a time", styles.strong
        )
        names = ("Input", "Unit", "Low", "Base", "High", "Result at low", "Result at high", "Width")
        rows_of = (
            (one.words, one.unit, one.low, one.base, one.high, one.low_usd, one.high_usd, one.width)
            for one in tornado.swings
        )
        row = _table(sheet, styles, row + 1, names, rows_of)


def unpriced(sheet: Any, styles: Styles, found: Comparison) -> None:
    sheet.set_column(0, 1, 34)
    sheet.set_column(2, 2, 110)
    sheet.write(0, 0, "Without a price", styles.title)
    sheet.write(1, 0, "In no sum. Nothing here counts as zero: it is missing from the totals.", styles.note)
    rows = ((one.option, one.what, one.reason) for one in found.unpriced)
    _table(sheet, styles, 3, ("Option", "What", "Why"), rows)


def sources(sheet: Any, styles: Styles, found: Comparison) -> None:
    sheet.set_column(0, 0, 100)
    sheet.set_column(1, 1, 14)
    sheet.set_column(2, 2, 60)
    sheet.write(0, 0, "Sources", styles.title)
    sheet.write(1, 0, f"Price snapshot {found.snapshot} of {found.snapshot_date}.", styles.note)
    used: dict[tuple[str, str], set[str]] = {}
    for option in found.options:
        for line in option.lines:
            day = line.observed.isoformat() if line.observed else ""
            used.setdefault((line.source, day), set()).add(option.name)
    for one in found.assumptions:
        day = one.observed.isoformat() if one.observed else ""
        used.setdefault((one.source, day), set()).add("assumptions")
    rows = ((source, day, ", ".join(sorted(names))) for (source, day), names in sorted(used.items()) if source)
    _table(sheet, styles, 3, ("Source", "Date", "Used by"), rows)


def sign_off(sheet: Any, styles: Styles, found: Comparison) -> None:
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 3, 30)
    sheet.write(0, 0, "Sign-off", styles.title)
    sheet.write(1, 0, f"{found.title}: {found.months} months from {found.start}, prices {found.snapshot}.", styles.note)
    for column, text in enumerate(("", "Name", "Date", "Signature")):
        sheet.write(3, column, text, styles.head)
    for row, text in enumerate(SIGNERS, start=4):
        sheet.set_row(row, 28)
        sheet.write(row, 0, text, styles.text)
        for column in (1, 2, 3):
            sheet.write_blank(row, column, None, styles.line)
    sheet.write(
        4 + len(SIGNERS) + 1, 0, "An estimate at list prices, without tax. It is no bill and no offer.", styles.note
    )
