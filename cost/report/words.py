"""How a report of costs writes figures: rounded here and nowhere else, the currency beside them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from cost.money import CURRENCY, HOURS_PER_MONTH, quantised
from cost.prices.snapshot import STALE_DAYS
from cost.result import Basis, Group, Kind, Status
from spillway.axes import compact

NONE: Final = "–"
"""Where there is no figure."""
KINDS: Final[dict[Kind, str]] = {
    "api": "API", "onprem": "own hardware", "cloud": "cloud", "serverless": "by the second",
}  # fmt: skip
STATUSES: Final[dict[Status, str]] = {
    "priced": "all priced",
    "partial": "parts without a price",
    "unpriced": "no price",
    "infeasible": "cannot serve it",
}
GROUPS: Final[dict[Group, str]] = {
    "tokens": "tokens", "compute": "machines", "commitment": "commitment", "capital": "purchase", "resale": "resale",
    "power": "power", "space": "space", "network": "network", "storage": "storage", "support": "support",
    "staff": "staff", "spares": "spares", "licences": "licences", "tax": "tax", "insurance": "insurance",
    "monitoring": "monitoring",
}  # fmt: skip
"""A waterfall's bars, in this order."""
BASES: Final[dict[Basis, str]] = {"fixed": "whatever the traffic", "step": "by the node", "usage": "by use"}
READING: Final[tuple[tuple[str, str], ...]] = (
    ("Month, year", f"{HOURS_PER_MONTH} hours, and twelve times as many; prices are by the hour and without tax "
                    "unless a line says otherwise."),
    ("Levelised", "What a month costs if money itself costs the discount rate: what is paid ahead is spread over its "
                  "life as an annuity, running costs count as they come. Options are ranked by it."),
    ("Cash", "What leaves the account, in the month in which it does; resale comes back as a credit."),
    ("Amortised", "What the books show: what is paid ahead in equal parts over its life or term."),
    ("Remaining", "Cash less amortised: the book value of what outlives the period."),
    ("NPV", "Net present value of the cash, at the beginning of the first month; as a cost, so less is better."),
    ("P10, P50, P90", "Of all draws of the uncertain inputs a tenth, a half and nine tenths came to less."),
    ("Wins", "Share of the draws in which an option is the cheapest of those that could serve the traffic."),
    ("No price", "What has no price is listed with the reason. It is in no sum, and it is not zero."),
    ("Tokens", "Input and output together, cached input too."),
)  # fmt: skip
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MARKS: Final = {
    "stale": f"seen more than {STALE_DAYS} days before this report",
    "list": "a list price: it cannot be ordered on demand",
    "mapped": "of another place or machine, which stands for it",
}
"""What marks of prices say that give no reason of their own."""
UNCLAIMED: Final[tuple[str, ...]] = (
    "How good answers are: an API's model is another than one that is served here, and nothing weighs them.",
    "What a cloud or a vendor will bill: these are list prices and spot prices of a day; discounts that are negotiated "
    "are none of them unless the scenario states one.",
    "Engineering time for moving, beyond the staff that the scenario gives own hardware.",
    "What an hour without service costs.",
)
"""What a report does not claim."""


def usd(amount: Decimal | None, currency: str = CURRENCY, *, sign: bool = False) -> str:
    """`12,345 USD`, with cents below a hundred; an en dash for None. sign: `+12 USD` too."""
    return NONE if amount is None else f"{figure(amount, sign=sign)} {currency}"


def figure(amount: Decimal | None, *, sign: bool = False) -> str:
    """The same without its currency, for columns whose head has it."""
    if amount is None:
        return NONE
    places = 0 if abs(amount) >= 100 or not amount else 2
    return _signed(amount, f"{quantised(abs(amount), places):,}", sign)


def rate(amount: Decimal | None, currency: str = CURRENCY) -> str:
    """A price of one of something, or of a million tokens: `0.2785 USD`."""
    return NONE if amount is None else f"{small(amount)} {currency}"


def small(amount: Decimal | None) -> str:
    """Four significant digits at least, cents at least: unit prices differ far behind the point."""
    if amount is None:
        return NONE
    size = abs(amount)
    places = 2
    if size and size < 100:
        places = max(2, min(9, 3 - size.adjusted()))
    text = f"{quantised(size, places):,}"
    whole, _, behind = text.partition(".")
    return _signed(amount, f"{whole}.{behind.rstrip('0').ljust(2, '0')}")


def _signed(amount: Decimal, text: str, sign: bool = False) -> str:
    if not any(digit in text for digit in "123456789"):
        return text
    return f"{'−' if amount < 0 else '+' if sign else ''}{text}"


def exact(amount: Decimal, places: int = 12) -> str:
    """For programs: as many decimals as there are, twelve at most, no exponent."""
    rounded = quantised(amount, places) if amount.as_tuple().exponent < -places else amount  # type: ignore[operator]
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(amount: Decimal) -> str:
    """`1,460`, `0.35`: of anything but money."""
    return small(amount).removesuffix(".00")


def share(value: Decimal | None) -> str:
    """`41 %`; decimals where it is little, never 0 % or 100 % unless it is."""
    if value is None:
        return NONE
    percent = 100 * value
    for places in (0, 1, 2, 3):
        rounded = quantised(percent, places)
        if rounded == percent or (rounded not in (0, 100) and (places or abs(percent) >= 10)):
            return _signed(value, f"{abs(rounded)} %")
    return "< 0.001 %" if abs(percent) < 1 else "> 99.999 %"


def tokens(value: Decimal) -> str:
    """`50 million`, `2.59 billion`, `872,145`: in words, where a sentence has one."""
    for unit, name in ((Decimal(10**12), "trillion"), (Decimal(10**9), "billion"), (Decimal(10**6), "million")):
        if value >= unit:
            return f"{quantity(quantised(value / unit, 2))} {name}"
    return f"{quantised(value, 0):,}"


def times(value: Decimal) -> str:
    """`1.3`, `83`."""
    return f"{quantised(value, 0 if value >= 10 else 1):,}"


def short(amount: Decimal) -> str:
    """`1.2M`, `7.25k`: three digits, where there is little room."""
    return compact(float(f"{amount:.3g}"))


def count(number: int, noun: str, many: str = "") -> str:
    """`1 option`, `3 options`."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """`a, b and c`; of many the first and how many more."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def month(start: str, number: int) -> str:
    """`Jan 2027`: of month `number` from `start` on."""
    year, first = int(start[:4]), int(start[5:7])
    ahead = year * 12 + first - 1 + number
    return f"{MONTHS[ahead % 12]} {ahead // 12}"
