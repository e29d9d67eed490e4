"""CloudWatch metric math as far as alarms here use it, evaluated as documented; anything else is refused.

Source of every rule: docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
A time series is a mapping from minute to value; a minute without a value is missing.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping

Series = dict[int, float]
Value = float | Series

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
    return _Parser(expression, values).parse()


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
    def __init__(self, expression: str, values: Mapping[str, Series]) -> None:
        self.expression, self.values = expression, values
        self.tokens: list[str] = []
        position = 0
        text = expression.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise MetricMathError(f"{expression!r}: unexpected {text[position:].strip()[:10]!r}")
            token = match.group(match.lastindex or 0)
            self.tokens.append(_SPELLED.get(token, token))
            position = match.end()
        self.at = 0

    def parse(self) -> Value:
        value = self.binary(0)
        if self.at < len(self.tokens):
            raise MetricMathError(f"{self.expression!r}: unexpected {self.tokens[self.at]!r}")
        return value

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        token = self.peek()
        if not token or (expected is not None and token != expected):
            raise MetricMathError(f"{self.expression!r}: expected {expected or 'a value'}, found {token or 'the end'}")
        self.at += 1
        return token

    def binary(self, least: int) -> Value:
        left = self.unary()
        while (token := self.peek()) in _BINARY and _BINARY[token][0] >= least:
            self.take()
            rank, apply = _BINARY[token]
            left = _combine(apply, left, self.binary(rank + 1))
        return left

    def unary(self) -> Value:
        token = self.take()
        if token == "-":
            return _combine(operator.mul, -1.0, self.binary(6))
        if token == "(":
            value = self.binary(0)
            self.take(")")
            return value
        if token[0].isdigit():
            return float(token)
        if self.peek() == "(":
            return self.call(token)
        if token in self.values:
            return self.values[token]
        raise MetricMathError(f"{self.expression!r}: no metric or expression has the id {token!r}")

    def call(self, name: str) -> Value:
        self.take("(")
        arguments = [self.binary(0)]
        while self.peek() == ",":
            self.take()
            arguments.append(self.binary(0))
        self.take(")")
        if name == "IF" and len(arguments) == 3:
            return _choose(*arguments)
        if name == "ABS" and len(arguments) == 1:
            return _combine(lambda a, _: abs(a), arguments[0], 0.0)
        raise MetricMathError(f"{self.expression!r}: {name} with {len(arguments)} arguments is not evaluated here")


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
