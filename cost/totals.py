"""Sums over the period, for exact decimals and for arrays."""

from __future__ import annotations

from cost.arithmetic import Arithmetic, Inputs, Number
from cost.ledger import Sums
from cost.options import DAYS_PER_MONTH, MILLION, tokens_of


def tokens(n: Arithmetic, inputs: Inputs, months: int) -> Number:
    """Tokens of the whole period."""
    total: Number = n.of(0)
    for month in range(months):
        total = total + tokens_of(n, inputs, month) * n.of(DAYS_PER_MONTH)
    return total


def million(n: Arithmetic, inputs: Inputs, ledger: Sums) -> Number:
    """Levelised USD per million tokens of the period."""
    return ledger.levelised / tokens(n, inputs, ledger.months) * MILLION


def most(n: Arithmetic, inputs: Inputs, months: int) -> Number:
    """Tokens a day of the busiest month."""
    return n.largest(tokens_of(n, inputs, 0), tokens_of(n, inputs, months - 1))
