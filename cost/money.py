"""Money: decimals in US dollars, exact until they are printed; the one length of a month and of a year.

Rates are per hour. A month is 730 hours (a year of 8,760 through twelve), as in the clouds' calculators and in other
estimators: https://github.com/infracost/infracost/issues/1556
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final

CURRENCY: Final = "USD"
HOURS_PER_MONTH: Final = Decimal(730)
HOURS_PER_YEAR: Final = Decimal(8_760)
MONTHS_PER_YEAR: Final = Decimal(12)
CENT: Final = Decimal("0.01")
MAX_USD: Final = Decimal(10) ** 12
"""Above any figure of a scenario: what is larger is a slip of the decimal point."""


def usd(value: str | int | Decimal) -> Decimal:
    """A finite amount that is not negative, of the text of a file. Raises ValueError with what is allowed.

    No float: 0.1 is none of theirs.
    """
    text = value.strip() if isinstance(value, str) else value
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{value!r} is no amount such as 21.957642") from None
    if not found.is_finite() or not 0 <= found <= MAX_USD:
        raise ValueError(f"{value!r} is no amount from 0 to {MAX_USD:,.0f}")
    return found


def quantised(amount: Decimal, places: int = 2) -> Decimal:
    """Rounded for output, halves away from zero as a workbook's ROUND does."""
    return amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def shown(amount: Decimal, places: int = 2, currency: str = CURRENCY) -> str:
    """`1,234.50 USD`: rounded, with its currency."""
    return f"{quantised(amount, places):,} {currency}"


def per_month(per_hour: Decimal) -> Decimal:
    """Of something that is there all month."""
    return per_hour * HOURS_PER_MONTH


def per_year(per_hour: Decimal) -> Decimal:
    """Of something that is there all year."""
    return per_hour * HOURS_PER_YEAR


def tiered(quantity: Decimal, tiers: Sequence[tuple[Decimal, Decimal]]) -> Decimal:
    """What a quantity costs where each part of it has the price of its tier.

    tiers: (from quantity, price of one), ascending, the first from 0.
    """
    if not tiers or tiers[0][0] != 0:
        raise ValueError("the first tier has to begin at 0")
    total = Decimal(0)
    for index, (begin, price) in enumerate(tiers):
        end = tiers[index + 1][0] if index + 1 < len(tiers) else None
        if end is not None and end <= begin:
            raise ValueError("tiers have to ascend")
        inside = (quantity if end is None else min(quantity, end)) - begin
        if inside > 0:
            total += inside * price
    return total
