"""Rows of a preflight, how checks make them, and what an asker raises when the account does not answer.

A check is a pure function over a context whose account is asked lazily. It yields rows; when a question stays
unanswered (a denied action, throttling, a service out of reach) the check's row is `unknown` with the reason, and the
other checks go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from threading import RLock
from typing import Any, Concatenate, Final, Generic, Literal, ParamSpec, TypeVar

from spillway.errors import SpillwayError
from spillway.preflight.quota_requests import QuotaRequest

State = Literal["failure", "unknown", "warning", "note", "ok"]

SEVERITY: Final[tuple[State, ...]] = ("failure", "unknown", "warning", "note", "ok")
"""Most urgent first. Only `failure` makes the exit code 1."""


@dataclass(frozen=True, slots=True)
class Row:
    """One answer. `id` never changes between releases; texts may.

    action: what to do, and where. commands: the lines to type for it, one after the other.
    """

    id: str
    check: str
    state: State
    found: str
    needed: str = ""
    action: str = ""
    request: QuotaRequest | None = None
    commands: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "id": self.id,
            "check": self.check,
            "state": self.state,
            "found": self.found,
            "needed": self.needed,
            "action": self.advice(),
            "request": self.request.describe() if self.request else None,
        }

    def advice(self) -> str:
        """What to do in one line, the quota to request and the commands included."""
        action = ": ".join(part for part in (self.action, " && ".join(self.commands)) if part)
        return "; ".join(part for part in (self.request.text() if self.request else "", action) if part)


class Unanswered(Exception):
    """A question that this account does not answer now; `action` says what would help. One line each."""

    def __init__(self, reason: str, action: str = "") -> None:
        super().__init__(reason)
        self.reason, self.action = reason, action


class OutOfReach(Unanswered):
    """No answer came back: no network, a proxy, a time-out. Once the account has answered, one question stays open."""


class Unreachable(SpillwayError):
    """Nothing can be asked at all: no credentials, an expired token, no network, a region that is not enabled."""


@contextmanager
def understood(whose: str) -> Iterator[None]:
    """Turns an answer of another shape than documented into Unanswered: a proxy's page, a changed API, half a body."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        told = " ".join(str(error).split())
        raise Unanswered(
            f"{whose} answers in another form than documented ({type(error).__name__}: {told})", "check the proxy"
        ) from None


Context = TypeVar("Context")


@dataclass(frozen=True, slots=True)
class Check(Generic[Context]):
    """One check: `id` and `title` name the row that stands for it when its question stays unanswered.

    decisive: when it fails, nothing else is asked (the answers would be another account's).
    """

    id: str
    title: str
    ask: Callable[[Context], Iterable[Row]]
    decisive: bool = False


Say = Callable[[str], None]


def run(checks: Sequence[Check[Context]], context: Context, say: Say = lambda _: None) -> list[Row]:
    """The rows of all checks, in their order. Raises Unreachable when the account cannot be asked at all."""
    rows: list[Row] = []
    for check in checks:
        say(check.title)
        found = list(_answers(check, context))
        rows += found
        if check.decisive and any(row.state == "failure" for row in found):
            break
    return rows


def _answers(check: Check[Context], context: Context) -> Iterator[Row]:
    try:
        yield from check.ask(context)
    except Unanswered as error:
        yield Row(check.id, check.title, "unknown", error.reason, action=error.action)


@dataclass(slots=True)
class Memory:
    """What an asker was told already, so that checks may ask as if asking were free. Thread-safe."""

    told: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    lock: Any = field(default_factory=RLock)  # an answer may need another one


P = ParamSpec("P")
R = TypeVar("R")
Self = TypeVar("Self", bound="Asker")


class Asker:
    """Base of what asks an account: methods marked with `once` ask at most once for the same arguments."""

    def __init__(self) -> None:
        self._memory = Memory()


def once(method: Callable[Concatenate[Self, P], R]) -> Callable[Concatenate[Self, P], R]:
    """Remember the answer, or that there was none: a denied action is not tried a second time."""

    @wraps(method)
    def asked(self: Self, *args: P.args, **kwargs: P.kwargs) -> R:
        memory = self._memory
        key = (method.__name__, args, tuple(sorted(kwargs.items())))
        with memory.lock:
            if key not in memory.told:
                try:
                    memory.told[key] = method(self, *args, **kwargs), None
                except Unanswered as error:
                    memory.told[key] = None, error
            answer, refusal = memory.told[key]
        if refusal is not None:
            raise type(refusal)(refusal.reason, refusal.action)
        result: R = answer
        return result

    return asked  # type: ignore[return-value]  # wraps() keeps the name of self, which Callable has not


def count(number: float, noun: str) -> str:
    """`1 address`, `2 addresses`."""
    plural = f"{noun}es" if noun.endswith(("s", "x")) else f"{noun}s"
    return f"{number:,.10g} {noun if number == 1 else plural}"
