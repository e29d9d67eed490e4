"""From a checkout to a document: which stacks, previewed where, priced and judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from cost.plan.preview import Preview
from cost.plan.pricing import price_plan
from cost.prices.snapshot import Snapshot
from infra import stackfile
from infra.faults import ConfigError, did_you_mean, listed
from spillway.errors import SpillwayError
from spillway.preview import facts, git
from spillway.preview.document import Document, StackRow, Where, failed_row, row_of
from spillway.preview.facts import Judge
from spillway.preview.places import account_runner, base_checkout, review_sandbox
from spillway.preview.runs import Ran, Runner, preview_all
from spillway.preview.secrets import Masker
from spillway.preview.touched import touched

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What is asked for. stacks: by name; empty: those that the change touches, all of them without a base.

    base: a branch or commit; None: what is deployed. use: by stack, of a usage file. refresh: look at the clouds first.
    """

    root: Path
    where: Where
    stacks: tuple[str, ...] = ()
    base: str | None = None
    at_once: int = 1
    refresh: bool = False
    budget: Decimal | None = None
    use: Callable[[str], Mapping[str, Decimal]] = lambda stack: {}
    all: bool = False


def review(
    wanted: Wanted, snapshot: Snapshot, today: date, masker: Masker, judge: Judge | None, tell: Tell = lambda text: None
) -> Document:
    """The whole document. A stack that fails is a row; raises SpillwayError for what concerns them all."""
    from rich.console import Console

    from spillway.engine import ensure_engine

    here = kinds(wanted.root)
    commit = git.fork_point(wanted.root, wanted.base) if wanted.base else ""
    before = _kinds_of(git.stack_files(wanted.root, commit)) if commit else dict(here)
    chosen, left_out = _chosen(wanted, here, before, commit)
    engine = ensure_engine(Console(stderr=True))
    base_plans: dict[str, Preview] = {}
    notes: list[str] = []
    options = ("--refresh",) if wanted.refresh else ()
    done = lambda stack: tell(f"previewed {stack}")  # noqa: E731
    if not chosen:
        ran: list[Ran] = []
    elif wanted.where == "sandbox":
        runner = _sandbox_runner(wanted, chosen, before, commit, engine, tell, notes)
        ran = preview_all(list(chosen), runner, wanted.at_once, done, options)
    else:
        if commit:
            with base_checkout(wanted.root, commit) as base:
                old = [stack for stack in chosen if stack in before]
                found = preview_all(old, account_runner(base, engine), wanted.at_once, lambda stack: None)
                base_plans = {one.stack: one.plan for one in found if one.plan is not None}
                notes += [
                    f"{one.stack}: its base could not be previewed, so its change is against what is deployed."
                    for one in found
                    if one.plan is None
                ]
        ran = preview_all(list(chosen), account_runner(wanted.root, engine), wanted.at_once, done, options)
    rows = [
        _row(one, chosen[one.stack], base_plans.get(one.stack), wanted, snapshot, today, masker, judge) for one in ran
    ]
    head = git.head(wanted.root) if commit else "the checkout"
    base_words = f"{wanted.base} ({commit[: git.SHORT]})" if commit else "what is deployed"
    return Document(
        "Preview of infrastructure changes", wanted.where, base_words, head, tuple(rows),
        facts.failovers([row.stack for row in rows], wanted.root / "stacks"), wanted.budget, left_out,
        tuple(masker.text(note) for note in notes),
    )  # fmt: skip


def kinds(root: Path) -> dict[str, str]:
    """Stack -> kind, of every stack file of a checkout. Raises SpillwayError where there is none."""
    texts = {
        stackfile.stack_of(path): path.read_text(errors="replace") for path in (root / "stacks").glob("Pulumi.*.yaml")
    }
    if not texts:
        raise SpillwayError(f"{root / 'stacks'}: has no stack files (Pulumi.<stack>.yaml)")
    return _kinds_of(texts)


def _kinds_of(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: _kind(name) for name in sorted(texts)}


def _kind(name: str) -> str:
    if stackfile.is_global(name):
        return "global"
    return name if name.startswith("ci-") else name.partition("-")[0]


def _chosen(
    wanted: Wanted, here: Mapping[str, str], before: Mapping[str, str], commit: str
) -> tuple[dict[str, str], dict[str, str]]:
    """(stack -> what touches it, stack -> why it is left out)."""
    if wanted.stacks:
        for name in wanted.stacks:
            if name not in here:
                raise SpillwayError(f"{name}: no such stack{did_you_mean(name, here)}; there are {listed(here, 'and')}")
        return dict.fromkeys(sorted(wanted.stacks), ""), {}
    if not commit or wanted.all:
        return dict.fromkeys(here, ""), {}
    found = touched(git.changed(wanted.root, commit), {**before, **here})
    gone = {
        name: "its stack file is gone: what stands of it stays, and costs, until `pulumi destroy`"
        for name in found
        if name not in here
    }
    return {name: path for name, path in found.items() if name in here}, gone


def _sandbox_runner(
    wanted: Wanted, chosen: Mapping[str, str], before: Mapping[str, str], commit: str, engine: object, tell: Tell,
    notes: list[str],
) -> Runner:  # fmt: skip
    from sandbox.clouds import sandbox_dir
    from spillway.engine import Engine
    from spillway.preview.places import Sandbox

    assert isinstance(engine, Engine)
    if not commit:
        return Sandbox(sandbox_dir(), wanted.root, engine).runner()
    place = review_sandbox(wanted.root, commit, engine)
    needed = [name for name in before if name in chosen or name in _members(wanted.root, chosen)]
    place.deploy(needed, commit, wanted.at_once, lambda stack: tell(f"deployed {stack} of the base"))
    notes += [f"{stack} of the base could not be deployed: {why}" for stack, why in sorted(place.failed.items())]
    return place.runner()


def _members(root: Path, chosen: Mapping[str, str]) -> set[str]:
    """Region stacks that the global stacks among these read."""
    found: set[str] = set()
    for name in chosen:
        if not stackfile.is_global(name):
            continue
        try:
            config = stackfile.read(root / "stacks" / f"Pulumi.{name}.yaml")
        except ConfigError:
            continue  # told by its own preview
        told = config.get(stackfile.GLOBAL_KEY)
        members = told.get("members") if isinstance(told, Mapping) else None
        for one in members if isinstance(members, list) else ():
            if isinstance(one, Mapping) and isinstance(one.get("stack"), str):
                found.add(one["stack"])
    return found


def _row(
    ran: Ran, path: str, base: Preview | None, wanted: Wanted, snapshot: Snapshot, today: date, masker: Masker,
    judge: Judge | None,
) -> StackRow:  # fmt: skip
    if ran.plan is None:
        return failed_row(ran.stack, ran.errors, masker, touched=path)
    try:
        cost = price_plan(ran.plan, snapshot, today, base=base, use=wanted.use(ran.stack))
        violations = None if judge is None else judge(ran.plan)
        per_million = facts.per_million(ran.text, ran.plan, cost)
    except SpillwayError as error:
        return failed_row(ran.stack, error.lines, masker, touched=path)
    refused = facts.refused(ran.refused, ran.plan)
    return row_of(
        ran.plan, cost, masker, touched=path, violations=violations, refused=refused, per_million=per_million
    )  # fmt: skip


def errors_of(rows: Sequence[StackRow]) -> list[str]:
    """One line for each stack that could not be previewed."""
    return [f"{row.stack}: {row.errors[0]}" for row in rows if row.outcome == "failed"]
