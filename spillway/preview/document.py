"""What a review is told, as values: a headline, a row for each stack, details below. Same input, same document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, Literal

from cost.plan.preview import OPS, Change, Op, Preview
from cost.plan.pricing import Amounts, PlanCost, Row, total
from spillway.preview.diffs import Diff, diffs
from spillway.preview.secrets import Masker
from spillway.preview.serving import effect

Where = Literal["sandbox", "account"]
Outcome = Literal["previewed", "failed"]
WORST: Final[tuple[Op, ...]] = OPS
"""Operations, the worst first."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What the policy pack has against a stack. mandatory: it fails the preview; otherwise it is advice."""

    policy: str
    mandatory: bool
    resource: str
    message: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A resource that is not as before. component: the components that it is in, outermost first. lost: what serving
    loses by it. delta: USD a month, steady."""

    name: str
    type: str
    op: Op
    component: tuple[str, ...]
    diffs: tuple[Diff, ...]
    because: tuple[str, ...]
    lost: str
    delta: Decimal


@dataclass(frozen=True, slots=True)
class Refused:
    """A resource that the engine protects: the plan would replace or delete it."""

    name: str
    type: str
    lost: str


@dataclass(frozen=True, slots=True)
class PerMillion:
    """USD per million tokens with every replica of the target busy. why: where there is no figure."""

    usd: Decimal | None
    basis: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class StackRow:
    """One stack. touched: the file for which it was previewed; empty where all were asked for."""

    stack: str
    outcome: Outcome
    touched: str
    counts: Mapping[Op, int]
    cost: PlanCost | None
    changes: tuple[Changed, ...]
    violations: tuple[Violation, ...] | None
    """None: the policy pack was not asked."""
    refused: tuple[Refused, ...]
    errors: tuple[str, ...]
    per_million: PerMillion | None = None

    @property
    def worst(self) -> Op:
        return next((op for op in WORST if self.counts.get(op)), "same")

    @property
    def lacking(self) -> str:
        """What its steady bill leaves out that is most of it: a region without its nodes would look the cheapest."""
        gaps = self.cost.unpriced if self.cost else ()
        if gaps and self.cost is not None and not self.cost.after.steady:
            return "without any price"
        return (
            "without nodes" if any(gap.what.startswith("nodes") or gap.what.endswith(" nodes") for gap in gaps) else ""
        )

    @property
    def quiet(self) -> bool:
        """Nothing changes, nothing is wrong."""
        return self.outcome == "previewed" and self.worst == "same" and not self.refused and not self.blocked

    @property
    def blocked(self) -> bool:
        """A mandatory policy is violated."""
        return any(one.mandatory for one in self.violations or ())


@dataclass(frozen=True, slots=True)
class Failover:
    """Seconds within which clients leave a member that failed, of a global stack's settings in this change."""

    stack: str
    seconds: float
    objective: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """Everything. base, head: commits or words for them; budget: USD a month for all stacks together, None: not told;
    left_out: stack -> why it was not previewed."""

    title: str
    where: Where
    base: str
    head: str
    rows: tuple[StackRow, ...]
    failovers: tuple[Failover, ...] = ()
    budget: Decimal | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def priced(self) -> list[PlanCost]:
        return [row.cost for row in self.rows if row.cost is not None]

    @property
    def before(self) -> Amounts:
        return total([one.before for one in self.priced])

    @property
    def after(self) -> Amounts:
        return total([one.after for one in self.priced])

    @property
    def delta(self) -> Amounts:
        return self.after - self.before

    @property
    def failed(self) -> bool:
        """A stack could not be previewed, is refused by the engine, or violates a mandatory policy; or the fleet's
        budget is exceeded."""
        return self.over_budget or any(row.outcome == "failed" or row.blocked or row.refused for row in self.rows)

    @property
    def over_budget(self) -> bool:
        return self.budget is not None and self.after.steady > self.budget

    @property
    def worst(self) -> Op:
        """The worst operation of any stack."""
        return next((op for op in WORST if any(row.counts.get(op) for row in self.rows)), "same")


def row_of(
    plan: Preview,
    cost: PlanCost,
    masker: Masker,
    *,
    touched: str = "",
    violations: Sequence[Violation] | None = None,
    refused: Sequence[Refused] = (),
    per_million: PerMillion | None = None,
) -> StackRow:
    """A stack that was previewed. With a base plan the operations are against that: `cost` has them."""
    by_urn = {change.urn: change for change in plan.changes}
    changes = tuple(
        _changed(row, by_urn.get(row.urn), plan, masker)
        for row in sorted(cost.rows, key=_importance)
        if row.op != "same"
    )
    counts: dict[Op, int] = {op: cost.count(op) for op in OPS}
    told = None if violations is None else tuple(sorted((_masked(one, masker) for one in violations), key=_severity))
    return StackRow(
        plan.stack, "previewed", touched, counts, cost, changes, told, tuple(refused), (), per_million
    )  # fmt: skip


def failed_row(stack: str, errors: Sequence[str], masker: Masker, *, touched: str = "") -> StackRow:
    """A stack that could not be previewed, and why."""
    told = tuple(masker.text(line) for line in errors) or ("the engine says nothing of why",)
    return StackRow(stack, "failed", touched, {}, None, (), None, (), told)


def _masked(one: Violation, masker: Masker) -> Violation:
    return replace(one, resource=masker.text(one.resource), message=masker.text(one.message))


def _severity(one: Violation) -> tuple[bool, str, str, str]:
    return (not one.mandatory, one.policy, one.resource, one.message)


def _importance(row: Row) -> tuple[int, Decimal, str]:
    return (WORST.index(row.op), -abs(row.delta.steady), row.urn)


def _changed(row: Row, change: Change | None, plan: Preview, masker: Masker) -> Changed:
    if change is None:  # of the base, and gone
        return Changed(row.name, row.type, row.op, components(row.urn), (), (), "", row.delta.steady)
    return Changed(
        row.name,
        row.type,
        row.op,
        components(row.urn),
        diffs(change, masker) if row.op in ("update", "replace") else (),
        tuple(sorted(masker.text(one) for one in change.because)),
        effect(change, plan),
        row.delta.steady,
    )


def components(urn: str) -> tuple[str, ...]:
    """Types of the components that a resource is in: `spillway:aws:Region` -> Region."""
    parts = urn.split("::")
    types = parts[2].split("$")[:-1] if len(parts) > 3 else []
    return tuple(one.rsplit(":", 1)[-1] for one in types)
