"""Money is exact until it is printed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost.money import HOURS_PER_MONTH, HOURS_PER_YEAR, MONTHS_PER_YEAR, per_month, per_year, quantised, shown, usd

AMOUNTS = st.decimals(0, 10**9, places=9, allow_nan=False, allow_infinity=False)


@given(AMOUNTS)
def test_text_and_back(amount: Decimal) -> None:
    assert usd(f" {amount:f} ") == amount
    assert per_year(amount) == per_month(amount) * MONTHS_PER_YEAR
    assert abs(quantised(amount) - amount) <= Decimal("0.005")


def test_a_month_is_a_twelfth_of_a_year() -> None:
    assert HOURS_PER_MONTH * MONTHS_PER_YEAR == HOURS_PER_YEAR == 365 * 24


@pytest.mark.parametrize("text", ["", "dear", "-1", "NaN", "Infinity", "1e30", "1,5"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no amount"):
        usd(text)


def test_halves_are_rounded_as_a_workbook_does() -> None:
    assert [shown(Decimal(text)) for text in ("0.005", "0.015", "1234.5")] == ["0.01 USD", "0.02 USD", "1,234.50 USD"]
    assert quantised(Decimal("-0.005")) == Decimal("-0.01")
