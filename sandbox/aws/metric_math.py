"""The grammar of CloudWatch metric math, as far as an expression can be judged without data.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from sandbox.rules import shown

# name -> (fewest, most arguments)
FUNCTIONS: Final = {
    "ABS": (1, 1), "ANOMALY_DETECTION_BAND": (1, 2), "AVG": (1, 1), "CEIL": (1, 1), "DATAPOINT_COUNT": (1, 1),
    "DAY": (1, 1), "DB_PERF_INSIGHTS": (3, 4), "DIFF": (1, 1), "DIFF_TIME": (1, 1), "EPOCH": (1, 1), "FILL": (2, 2),
    "FIRST": (1, 1), "FLOOR": (1, 1), "HOUR": (1, 1), "IF": (2, 3), "INSIGHT_RULE_METRIC": (2, 2), "LAMBDA": (1, 10),
    "LAST": (1, 1), "LOG": (1, 1), "LOG10": (1, 1), "MAX": (1, 1), "METRICS": (0, 1), "METRIC_COUNT": (1, 1),
    "MIN": (1, 1), "MINUTE": (1, 1), "MONTH": (1, 1), "PERIOD": (1, 1), "RATE": (1, 1), "REMOVE_EMPTY": (1, 1),
    "RUNNING_SUM": (1, 1), "SEARCH": (2, 3), "SERVICE_QUOTA": (1, 1), "SLICE": (2, 3), "SORT": (3, 4), "STDDEV": (1, 1),
    "SUM": (1, 1), "TIME_SERIES": (1, 1), "YEAR": (1, 1), "DATE": (1, 1),
}  # fmt: skip
# "You can't create an alarm based on SEARCH", nor on these, which return several series or need a graph.
NOT_IN_ALARMS: Final = frozenset({"SEARCH", "SORT", "SLICE", "INSIGHT_RULE_METRIC_LIST"})
_CONSTANTS: Final = frozenset({"REPEAT", "LINEAR", "ASC", "DESC"})

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<operator>==|!=|<=|>=|&&|\|\||[-+*/^<>])|(?P<mark>[(),\[\]]))"
)
_WORD_OPERATORS: Final = frozenset({"AND", "OR"})


class _Parser:
    """Recursive descent over: operand (operator operand)*; knows nothing of precedence, which makes no fault."""

    def __init__(self, text: str, ids: Collection[str] | None, own: object) -> None:
        self.words: list[tuple[str, str]] = []
        self.at = 0
        self.ids = ids
        self.own = own
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise ValueError(f"cannot read the expression at {shown(text[position:].strip())}")
            self.words.append((str(match.lastgroup), match.group(str(match.lastgroup))))
            position = match.end()

    def peek(self) -> tuple[str, str]:
        return self.words[self.at] if self.at < len(self.words) else ("end", "the end")

    def take(self) -> tuple[str, str]:
        word = self.peek()
        self.at += 1
        return word

    def whole(self) -> None:
        self.expression()
        kind, word = self.peek()
        if kind != "end":
            raise ValueError(f"expected an operator before {shown(word)}")

    def expression(self) -> None:
        self.operand()
        while self.peek()[0] == "operator" or self.peek()[1] in _WORD_OPERATORS:
            self.take()
            self.operand()

    def operand(self) -> None:
        kind, word = self.take()
        if kind == "operator" and word in ("-", "+"):
            self.operand()
        elif kind in ("number", "text"):
            return
        elif word == "(":
            self.expression()
            self.expect(")")
        elif word == "[":
            self.arguments("]")
        elif kind == "name":
            self.named(word)
        else:
            raise ValueError(f"expected a number, an id or a function before {shown(word) if kind != 'end' else word}")

    def named(self, word: str) -> None:
        if self.peek()[1] == "(":
            self.take()
            if word not in FUNCTIONS:
                close = f"; functions are in upper case: {word.upper()}" if word.upper() in FUNCTIONS else ""
                raise ValueError(f"unknown function {word}{close}")
            if word in NOT_IN_ALARMS:
                raise ValueError(f"{word} returns several time series and cannot be alarmed on")
            count = self.arguments(")")
            low, high = FUNCTIONS[word]
            if not low <= count <= high:
                wanted = str(low) if low == high else f"{low} to {high}"
                raise ValueError(f"{word} takes {wanted} argument{'' if wanted == '1' else 's'}, got {count}")
        elif word in _CONSTANTS:
            return
        elif word == self.own:
            raise ValueError(f"the expression refers to its own id {word}")
        elif self.ids is not None and word not in self.ids:
            raise ValueError(f"no query has the id {word}")

    def arguments(self, end: str) -> int:
        """Comma-separated expressions up to the closing mark; how many there were."""
        count = 0
        if self.peek()[1] == end:
            self.take()
            return 0
        while True:
            self.expression()
            count += 1
            kind, word = self.take()
            if word == end and kind == "mark":
                return count
            if word != ",":
                raise ValueError(f"expected , or {end} before {shown(word) if kind != 'end' else word}")

    def expect(self, mark: str) -> None:
        kind, word = self.take()
        if word != mark:
            raise ValueError(f"expected {mark} before {shown(word) if kind != 'end' else word}")


def expression_fault(expression: str, ids: Collection[str] | None, own: object = None) -> str:
    """Why CloudWatch refuses an expression, or "". ids: the ids of all queries of the alarm, None when not all are
    known yet; own: the id of the expression's own query. Metrics Insights queries (SELECT ...) are not parsed."""
    if re.match(r"\s*SELECT\b", expression):
        return ""
    try:
        _Parser(expression, ids, own).whole()
    except ValueError as error:
        return str(error)
    return ""
