"""`preview.json` back to the document that it was written of: the same text, page and JSON come of it.

What a run of somebody else's code left may hold anything, so values are checked before they are used: no number that
takes gigabytes to print, no name that is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cost.plan.preview import Op
from cost.plan.pricing import Amounts, Line, PlanCost, Row
from cost.prices.snapshot import STALE_DAYS
from spillway.errors import SpillwayError
from spillway.preview.diffs import Diff
from spillway.preview.document import (
    Changed,
    Document,
    Failover,
    PerMillion,
    Refused,
    StackRow,
    Violation,
    Where,
)
from spillway.preview.sheet import VERSION

NAME: Final = "preview.json"
BIGGEST: Final = 32 * 2**20
"""Bytes: 2,000 resources take 3 MB."""
NUMBER: Final = r"^-?[0-9]{1,18}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?$"
STACK: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"

Name = Annotated[str, Field(pattern=STACK)]
Texts = tuple[str, ...]


def _decimal(value: Any) -> Any:
    return value if isinstance(value, str) else None  # a number of JSON was rounded


class _Part(BaseModel):
    """Unknown keys are of a later version that says the same in the known ones."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


_Text = Annotated[str, BeforeValidator(_decimal), Field(pattern=NUMBER)]


class _Amounts(_Part):
    steady: _Text
    low: _Text
    high: _Text
    worst: _Text
    ceiling: _Text

    def value(self) -> Amounts:
        return Amounts(*(Decimal(one) for one in (self.steady, self.low, self.high, self.worst, self.ceiling)))


class _Line(_Part):
    what: str = ""
    note: str = ""
    sku: str = ""
    monthly: _Amounts | None = None
    quantity: _Text | None = None
    unit: str = ""
    unit_price: _Text | None = Field(None, alias="unitPrice")
    source: str = ""
    observed: date | None = None
    flags: Texts = ()
    gap: str = Field("", alias="priceNotFound")
    use: str = Field("", alias="byUse")
    market: str = ""
    old: int = Field(0, alias="oldDays", ge=0, le=100_000)

    def value(self) -> Line:
        return Line(
            self.what, None if self.monthly is None else self.monthly.value(), _number(self.quantity), self.unit,
            _number(self.unit_price), self.note, self.gap, self.use, self.sku, self.market, self.source, self.observed,
            self.flags, self.old,
        )  # fmt: skip


class _Resource(_Part):
    urn: str
    type: str
    operation: Op
    free: str = ""
    unknown: bool = False
    before: tuple[_Line, ...] = ()
    after: tuple[_Line, ...] = ()

    def value(self) -> Row:
        before, after = tuple(one.value() for one in self.before), tuple(one.value() for one in self.after)
        return Row(self.urn, self.type, self.operation, before, after, self.free, self.unknown)


class _Snapshot(_Part):
    id: str
    age_days: int = Field(alias="ageDays", ge=-100_000, le=100_000)
    stale: bool


class _Old(_Part):
    limit_days: int = Field(STALE_DAYS, alias="limitDays", ge=0, le=100_000)


class _Cost(_Part):
    stack: Name
    file: str
    base: str | None = None
    snapshot: _Snapshot
    budget: _Text | None = Field(None, alias="budgetMonthly")
    before: _Amounts
    after: _Amounts
    resources: tuple[_Resource, ...]
    use: Mapping[str, _Text] = Field(default_factory=dict)
    old: _Old = Field(default_factory=_Old)

    def value(self) -> PlanCost:
        return PlanCost(
            self.stack, self.file, self.base or "", tuple(one.value() for one in self.resources), self.before.value(),
            self.after.value(), _number(self.budget), self.snapshot.id, self.snapshot.age_days, self.snapshot.stale,
            {key: Decimal(value) for key, value in self.use.items()},
            self.old.limit_days,
        )  # fmt: skip


class _Property(_Part):
    path: str
    before: str | None
    after: str | None
    replaces: bool = False


class _Change(_Part):
    name: str
    type: str
    operation: Op
    component: Texts
    because: Texts
    lost: str
    delta: _Text = Field(alias="deltaMonthly")
    properties: tuple[_Property, ...]

    def value(self) -> Changed:
        diffs = tuple(Diff(one.path, one.before, one.after, one.replaces) for one in self.properties)
        return Changed(
            self.name, self.type, self.operation, self.component, diffs, self.because, self.lost, Decimal(self.delta)
        )  # fmt: skip


class _Violation(_Part):
    policy: str
    mandatory: bool
    resource: str
    message: str


class _Refused(_Part):
    name: str
    type: str
    lost: str


class _PerMillion(_Part):
    usd: _Text | None
    basis: str
    why: str = ""


class _Stack(_Part):
    stack: Name
    outcome: Literal["previewed", "failed"]
    touched: str | None = Field(None, alias="touchedBy")
    operations: Mapping[Op, Annotated[int, Field(ge=0, le=1_000_000)]]
    errors: Texts
    refused: tuple[_Refused, ...]
    policy: tuple[_Violation, ...] | None
    per_million: _PerMillion | None = Field(None, alias="perMillionTokens")
    changes: tuple[_Change, ...]
    cost: _Cost | None

    def value(self) -> StackRow:
        if (self.cost is None) != (self.outcome == "failed") or (self.outcome == "failed" and not self.errors):
            raise ValueError("a stack that was previewed has a cost, one that failed has errors")
        told = self.per_million
        cost = None if self.cost is None else self.cost.value()
        return StackRow(
            self.stack, self.outcome, self.touched or "", dict(self.operations), cost,
            tuple(one.value() for one in self.changes),
            None if self.policy is None
            else tuple(Violation(one.policy, one.mandatory, one.resource, one.message) for one in self.policy),
            tuple(Refused(one.name, one.type, one.lost) for one in self.refused), self.errors,
            None if told is None else PerMillion(_number(told.usd), told.basis, told.why),
        )  # fmt: skip


class _Failover(_Part):
    stack: Name
    seconds: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
    objective: Annotated[float, Field(alias="objectiveSeconds", ge=0, le=1e9, allow_inf_nan=False)]
    why: str = ""


class _Sheet(_Part):
    version: Literal[1]
    title: str
    where: Where
    base: str
    head: str
    budget: _Text | None = Field(None, alias="budgetMonthly")
    failover: tuple[_Failover, ...]
    left_out: Mapping[Name, str] = Field(alias="leftOut")
    notes: Texts
    stacks: tuple[_Stack, ...]

    def value(self) -> Document:
        return Document(
            self.title, self.where, self.base, self.head, tuple(one.value() for one in self.stacks),
            tuple(Failover(one.stack, one.seconds, one.objective, one.why) for one in self.failover),
            _number(self.budget), dict(self.left_out), self.notes,
        )  # fmt: skip


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def document(text: str | bytes, file: str) -> Document:
    """What a `preview.json` says. Raises SpillwayError: file, key, what is allowed."""
    assert VERSION == 1, "a new version of the sheet needs a new reader"
    try:
        return _Sheet.model_validate_json(text).value()
    except ValidationError as error:
        raise SpillwayError(*_faults(error, file)) from None
    except ValueError as error:
        raise SpillwayError(f"{file}: {error}") from None


def _faults(error: ValidationError, file: str) -> Sequence[str]:
    lines = []
    for one in error.errors(include_url=False, include_input=False)[:5]:
        key = ".".join(str(step) for step in one["loc"])
        told = " ".join(one["msg"].split())
        lines.append(f"{file}: {key}: {told}" if key else f"{file}: {told}")
    return lines


def read(path: Path) -> Document:
    """A file, or a folder with a `preview.json`. Raises SpillwayError."""
    return document(whole(path / NAME if path.is_dir() else path), str(path))


def whole(path: Path, biggest: int = BIGGEST) -> bytes:
    """A regular file's bytes, no link's and no pipe's. Raises SpillwayError."""
    try:
        if path.is_symlink() or not path.is_file():
            raise SpillwayError(f"{path}: {'is no regular file' if path.exists() else 'there is no such file'}")
        size = path.stat().st_size
        if size > biggest:
            raise SpillwayError(f"{path}: {size} bytes, allowed are {biggest}")
        return path.read_bytes()
    except OSError as error:
        raise SpillwayError(f"{path}: cannot be read: {error.strerror}") from None
