"""Where one option becomes cheaper than another: every crossing of every pair, by traffic.

With one option of fixed cost F a day and one that costs p for each token, of which the first saves all but v:

    T* = F / (p - v)        tokens a day, and only if T* is within what the first can serve

Cost steps by whole nodes, so that two options may cross many times: at a step, or between two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Any

from cost.arithmetic import Arrays, Inputs
from cost.options import MILLION
from cost.result import Crossing, Pair
from cost.steady import TOKENS, Curve, decimal, usd_day

EQUAL = 1e-9
"""Costs that differ by less, relatively, are the same."""
HALVINGS = 60


def break_even(
    fixed_usd_day: Decimal, other_usd_million: Decimal, own_usd_million: Decimal = Decimal(0)
) -> Decimal | None:
    """T* in tokens a day; None where the option with the fixed cost never gets cheaper."""
    saved = other_usd_million - own_usd_million
    return fixed_usd_day / saved * MILLION if saved > 0 else None


def pairs(found: list[Curve], inputs: Inputs, request_tokens: int) -> tuple[Pair, ...]:
    """Every two options, in their order. request_tokens: of a request, by which traffic is told in requests, too, where
    GPUs by the second are one of the two."""
    return tuple(_pair(a, b, inputs, request_tokens) for a, b in combinations(found, 2))


def _pair(a: Curve, b: Curve, inputs: Inputs, request_tokens: int) -> Pair:
    import numpy as np

    names = (a.model.facts.name, b.model.facts.name)
    limit = min(a.limit, b.limit)
    there = a.at <= limit
    if not there.any():
        small = names[0] if a.limit <= b.limit else names[1]
        return Pair(*names, (), "", f"{small} serves {limit:,.0f} tokens/day at most: too few to compare it")
    crossings = list(_crossings(a, b, there, inputs))
    signs = np.sign(_difference(a, b))[there]
    signs = signs[signs != 0]
    always = ""
    if not crossings and signs.size:
        always = names[0] if signs[0] < 0 else names[1]
    beyond = _beyond(a, b, limit, inputs)
    if beyond is not None:
        crossings.append(beyond)
    by_second = "serverless" in (a.model.facts.kind, b.model.facts.kind)

    def traffic(tokens: Decimal) -> str:
        told = f"{tokens:,.0f} tokens/day"
        return f"{told} ({tokens / request_tokens:,.0f} requests/day)" if by_second else told

    return Pair(*names, tuple(crossings), always, _words(names, crossings, always, limit, traffic))


def _difference(a: Curve, b: Curve) -> Any:
    import numpy as np

    found = a.usd - b.usd
    return np.where(np.abs(found) <= EQUAL * np.maximum(a.usd, b.usd), 0.0, found)


def _crossings(a: Curve, b: Curve, there: Any, inputs: Inputs) -> Iterator[Crossing]:
    """Changes of who is cheaper. Points lie in pairs: below and above each edge; between edges nothing steps."""
    import numpy as np

    difference = _difference(a, b)[there]
    at = a.at[there]
    index = np.flatnonzero(difference)  # where they are equal nothing changes yet
    for left, right in pairwise(index.tolist()):
        if (difference[left] < 0) == (difference[right] < 0):
            continue
        step = right == left + 1 and left % 2 == 0
        tokens = float(at[right]) if step else _meet(a, b, float(at[left]), float(at[right]), inputs)
        usd = max(float(a.usd[there][left]), float(b.usd[there][left])) if step else _usd(a, tokens, inputs)
        below, above = (a, b) if difference[left] < 0 else (b, a)
        yield _crossing(below, above, tokens, usd, step, min(a.limit, b.limit))


def _crossing(below: Curve, above: Curve, tokens: float, usd: float, step: bool, limit: float) -> Crossing:
    share = None if limit == float("inf") else decimal(tokens / limit, 6)
    return Crossing(
        below.model.facts.name, above.model.facts.name, decimal(tokens, 9), decimal(usd, 9), bool(step), True, share
    )  # fmt: skip


def _usd(curve: Curve, tokens: float, inputs: Inputs) -> float:
    import numpy as np

    found = usd_day(curve.model, Arrays(), inputs.for_arrays({TOKENS: np.array([tokens])}))
    return float(np.broadcast_to(found, (1,))[0])


def _meet(a: Curve, b: Curve, low: float, high: float, inputs: Inputs) -> float:
    """Where they cost the same between two points without a step. Straight lines meet at the first try."""

    def difference(tokens: float) -> float:
        return _usd(a, tokens, inputs) - _usd(b, tokens, inputs)

    at_low, at_high = difference(low), difference(high)
    for _ in range(HALVINGS):
        if at_low == at_high:
            break
        middle = low - at_low * (high - low) / (at_high - at_low)  # regula falsi, halved where it is stuck (Illinois)
        here = difference(middle)
        if abs(here) <= EQUAL * 1e-3 * max(_usd(a, middle, inputs), 1e-12) or high - low <= high * 1e-12:
            return middle
        if (here < 0) == (at_low < 0):
            low, at_low, at_high = middle, here, at_high / 2
        else:
            high, at_high, at_low = middle, here, at_low / 2
    return (low + high) / 2


def _beyond(a: Curve, b: Curve, limit: float, inputs: Inputs) -> Crossing | None:
    """Where the lines would cross if the limited option could serve more: told, so that nobody plans with it."""
    small, other = (a, b) if a.limit <= b.limit else (b, a)
    if limit == float("inf") or limit >= float(a.at[-1]):
        return None
    at = limit * (1 - 1e-6)
    near = limit * (1 - 2e-6)
    own, rate = _usd(small, at, inputs), (_usd(small, at, inputs) - _usd(small, near, inputs)) / (at - near)
    theirs = _usd(other, at, inputs)
    slope = (theirs - _usd(other, near, inputs)) / (at - near)
    if own <= theirs or slope <= rate * (1 + EQUAL) or slope <= 0:
        return None
    tokens = at + (own - theirs) / (slope - rate)
    if other.limit < tokens:
        return None
    name = small.model.facts.name
    times = tokens / limit
    why = f"infeasible because above capacity: that is {times:.1%} of the {limit:,.0f} tokens/day that {name} can serve"
    return Crossing(
        other.model.facts.name, name, decimal(tokens, 9), decimal(own + (tokens - at) * rate, 9), False, False,
        decimal(times, 6), why,
    )  # fmt: skip


def _words(
    names: tuple[str, str], crossings: list[Crossing], always: str, limit: float, traffic: Callable[[Decimal], str]
) -> str:
    real = [one for one in crossings if one.feasible]
    unreal = [one for one in crossings if not one.feasible]
    if real:
        first, last = real[0], real[-1]
        begin, end = traffic(first.tokens_day), traffic(last.tokens_day)
    if len(real) == 1:
        told = f"{first.below} below {begin}, {first.above} above"
    elif real and first.below == last.above:
        told = f"{first.below}, but for traffic between {begin} and {end}, where {first.above} is cheaper"
        told += f" in places ({len(real)} changes)" if len(real) > 2 else ""
    elif real:
        told = (
            f"{first.below} below {begin}, {last.above} above {end}; between them it changes {len(real)} times with "
            "the steps"
        )
    elif always:
        other = names[1] if always == names[0] else names[0]
        told = f"{always} is cheaper than {other} at any traffic"
        told += " that both can serve" if limit < float("inf") else ""
    else:
        told = f"{names[0]} and {names[1]} cost the same"
    if unreal:
        told += f"; {unreal[0].above} would be cheaper from {traffic(unreal[0].tokens_day)} on: {unreal[0].why}"
    return told
