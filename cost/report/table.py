"""report.csv: a row for each line of each option, with where its price is from; then a row for each thing without one.

Amounts are of the period in the currency of their row, rounded to the cent, unit prices as they are; what has no price
has no amount, not zero. Every month by itself is in focus.parquet.
"""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Final

from cost.money import quantised
from cost.report import words
from cost.result import Comparison, Line, Option

HEADS: Final = (
    "option", "title", "kind", "status", "line", "group", "basis", "quantity_first_month", "unit", "unit_price",
    "currency", "cash", "amortised", "levelised_month", "list", "months", "provider", "region", "sku", "market",
    "price_observed", "price_source", "flags", "why_no_amount",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def text_of(found: Comparison) -> str:
    """The file's text, lines ended as RFC 4180 has them."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADS)
    for option in found.options:
        for line in option.lines:
            writer.writerow([_cell(one) for one in _line(found, option, line)])
        for gap in option.unpriced:
            writer.writerow([_cell(one) for one in _without(found, option, gap.what, gap.reason)])
        if option.why and not option.unpriced:
            writer.writerow([_cell(one) for one in _without(found, option, "", option.why)])
    return out.getvalue()


def _line(found: Comparison, option: Option, line: Line) -> tuple[object, ...]:
    return (
        option.name, option.title, option.kind, option.status, line.what, line.group, line.basis,
        words.exact(line.quantity), line.unit, words.exact(line.unit_price), found.currency, _cents(line.usd),
        _cents(sum(line.amortised, Decimal(0))), _cents(line.levelised), _cents(line.list_usd), found.months,
        line.provider, line.region, line.sku, line.market, line.observed or "", line.source, " | ".join(line.flags), "",
    )  # fmt: skip


def _without(found: Comparison, option: Option, what: str, why: str) -> tuple[object, ...]:
    empty = ("",) * 5
    return (
        option.name, option.title, option.kind, option.status, what, *empty, found.currency, *("",) * 4, found.months,
        *("",) * 7, why,
    )  # fmt: skip


def _cents(amount: Decimal) -> Decimal:
    rounded = quantised(amount)
    return rounded if rounded else Decimal("0.00")


def _cell(value: object) -> object:
    """Text of a scenario that a spreadsheet would take for a formula is kept from being one; numbers are no text.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    if isinstance(value, str) and value.startswith(_FORMULA) and not _number(value):
        return f"'{value}"
    return value


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
