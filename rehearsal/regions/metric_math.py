"""CloudWatch metric math as far as alarms here use it, evaluated as documented; anything else is refused.

Source of every rule: docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
A time series is a mapping from minute to value; a minute without a value is missing.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from functools import cache, partial

Series = dict[int, float]
Value = float | Series
Term = Callable[[Mapping[str, Series]], Value]

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|([A-Za-z_]\w*)|(>=|<=|==|!=|&&|\|\||[-+*/^()<>,\[\]]))")
_BINARY: Mapping[str, tuple[int, Callable[[float, float], float]]] = {
    "OR": (1, lambda a, b: float(bool(a) or bool(b))),
    "AND": (2, lambda a, b: float(bool(a) and bool(b))),
    **{
        sign: (3, lambda a, b, compare=compare: float(compare(a, b)))  # type: ignore[misc]
        for sign, compare in {
            "==": operator.eq,
            "!=": operator.ne,
            "<=": operator.le,
            ">=": operator.ge,
            "<": operator.lt,
            ">": operator.gt,
        }.items()
    },
    "+": (4, operator.add),
    "-": (4, operator.sub),
    "*": (5, operator.mul),
    "/": (5, operator.truediv),
    "^": (7, operator.pow),
}
_SPELLED = {"&&": "AND", "||": "OR"}


class MetricMathError(Exception):
    """The expression is not metric math, or uses a part of it that is not evaluated here."""


def evaluate(expression: str, values: Mapping[str, Series]) -> Value:
    """The value of `expression` over the series in `values`, by id. Raises MetricMathError."""
    return parse(expression)(values)


@cache
def parse(expression: str) -> Term:
    """`expression` as a function of the series that it names. Raises MetricMathError."""
    return _Parser(expression).parse()


def names(expression: str) -> frozenset[str]:
    """The ids that `expression` names."""
    return frozenset(re.findall(r"\b[a-z]\w*", expression))


def _combine(apply: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Two series: in a minute in which only one has a value, the other is 0. A division by zero drops the point."""
    if not isinstance(left, dict) and not isinstance(right, dict):
        return apply(left, right)
    minutes = {*(left if isinstance(left, dict) else ()), *(right if isinstance(right, dict) else ())}
    result: Series = {}
    for minute in sorted(minutes):
        a = left.get(minute, 0.0) if isinstance(left, dict) else left
        b = right.get(minute, 0.0) if isinstance(right, dict) else right
        try:
            result[minute] = float(apply(a, b))
        except ZeroDivisionError:
            continue
    return result


class _Parser:
    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens: list[str] = []
        self.at = position = 0
        text = expression.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise MetricMathError(f"{expression!r}: unexpected {text[position:].strip()[:10]!r}")
            token = match.group(match.lastindex or 0)
            self.tokens.append(_SPELLED.get(token, token))
            position = match.end()

    def parse(self) -> Term:
        term = self.binary(0)
        if self.at < len(self.tokens):
            raise MetricMathError(f"{self.expression!r}: unexpected {self.tokens[self.at]!r}")
        return term

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if not token or (expected is not None and token != expected):
            raise MetricMathError(f"{self.expression!r}: expected {expected or 'a value'}, found {token or 'the end'}")
        self.at += 1
        return token

    def binary(self, least: int) -> Term:
        left = self.unary()
        while (token := self.peek()) in _BINARY and _BINARY[token][0] >= least:
            self.take()
            rank, apply = _BINARY[token]
            left = partial(_apply, apply, left, self.binary(rank + 1))
        return left

    def unary(self) -> Term:
        token = self.take()
        if token == "-":
            return partial(_apply, operator.mul, lambda values: -1.0, self.binary(6))
        if token == "(":
            term = self.binary(0)
            self.take(")")
            return term
        if token[0].isdigit():
            number = float(token)
            return lambda values: number
        if self.peek() == "(":
            return self.call(token)
        if not token[0].islower():
            raise MetricMathError(f"{self.expression!r}: expected a value, found {token}")
        return partial(_look_up, self.expression, token)

    def call(self, name: str) -> Term:
        self.take("(")
        terms = [self.binary(0)]
        while self.peek() == ",":
            self.take()
            terms.append(self.binary(0))
        self.take(")")
        if name == "IF" and len(terms) == 3:
            return lambda values: _choose(*(term(values) for term in terms))
        if name == "ABS" and len(terms) == 1:
            return lambda values: _combine(lambda a, _: abs(a), terms[0](values), 0.0)
        raise MetricMathError(f"{self.expression!r}: {name} with {len(terms)} arguments is not evaluated here")


def _apply(apply: Callable[[float, float], float], left: Term, right: Term, values: Mapping[str, Series]) -> Value:
    return _combine(apply, left(values), right(values))


def _look_up(expression: str, id: str, values: Mapping[str, Series]) -> Value:
    if id not in values:
        raise MetricMathError(f"{expression!r}: no metric or expression has the id {id!r}")
    return values[id]


def _choose(condition: Value, yes: Value, no: Value) -> Value:
    """IF: a true minute without a value in `yes` is 0, a false minute without a value in `no` is dropped."""
    if not isinstance(condition, dict):
        return yes if condition else no
    result: Series = {}
    for minute, holds in condition.items():
        if holds:
            result[minute] = yes.get(minute, 0.0) if isinstance(yes, dict) else yes
        elif not isinstance(no, dict):
            result[minute] = no
        elif minute in no:
            result[minute] = no[minute]
    return result
