"""`spillway recover`: state and cloud agree again after a killed `up`, a lost answer or a crash.

What can have happened: the update was killed and left its lock and pending operations, or the answer to a create never
arrived and nothing in the state knows of the resource. A plain `up` then makes a second one, or is refused because the
name is taken. So, in this order:

1. A lock whose holder is dead is cancelled (`pulumi cancel`), and the state refreshed, dropping pending creates
   (https://www.pulumi.com/docs/iac/cli/commands/pulumi_refresh/, --clear-pending-creates).
2. What exists is listed: everything tagged `spillway:stack=STACK`, and the untaggable parts of it that a second create
   would refuse. Nothing else is looked at, so another stack's resources are never touched. Types whose create is a Put
   need nothing: the next `up` overwrites them (the sources are in recovery/aws_types.py). DNS records are told by the
   stack's health checks that they lead to (recovery/route53.py), Cloudflare's objects by name and description
   (recovery/cloudflare.py), Azure's by tags and by ids made of names (recovery/azure.py), Google Cloud's by labels,
   fixed names and descriptions (recovery/gcp.py).
3. What the plan would create and what exists without being in the state are matched by fixed name, natural id or Name
   tag, and imported under the URN that the program gives them. A half-done replacement is finished: the old one waits
   for deletion, the new one takes its place.
4. What matches nothing is imported as `recovered-<id>`, so that the next `up` shows and makes its deletion.

It repeats until nothing more is found, and a second run finds nothing to do. Tags are listed with a delay of up to some
minutes after a create (https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/overview.html).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spillway.errors import SpillwayError
from spillway.recovery import cloudflare
from spillway.recovery.aws_types import RULES as AWS_RULES
from spillway.recovery.azure_types import RULES as AZURE_RULES
from spillway.recovery.gcp_types import RULES as GCP_RULES
from spillway.recovery.importfile import build, imported_urns, recovered_name, recovered_urn
from spillway.recovery.match import Decision, Left, decide, planned, unseen
from spillway.recovery.model import PROVIDERS, Existing, Inventory, Planned, Rules, Scope, accounts_of, name_of
from spillway.recovery.pulumi import Outcome, Say, Stack, refuse_living
from spillway.recovery.report import Report
from spillway.recovery.state import State, linked, put_in_place

ROUNDS = 6
"""Parts become known when their parents are: a stack is some levels deep, and one that needs more does not converge."""

if TYPE_CHECKING:
    from sandbox.project import Project

RULES: Mapping[str, Rules] = {
    "aws": AWS_RULES,
    "azure-native": AZURE_RULES,
    "cloudflare": cloudflare.RULES,
    "gcp": GCP_RULES,
}
Settings = Mapping[str, Any]
Inventories = Callable[[str, Sequence[Settings]], Sequence[Inventory]]
"""(cloud, settings of the stack's providers) -> where to look."""


def recover(stack: Stack, inventories: Inventories, say: Say, *, dry_run: bool = False, force: bool = False) -> Report:
    """Brings one stack's state and its cloud together; with `dry_run` only says what it would do.

    force: go on although the lock's holder may be alive. Raises SpillwayError when an update is running, and when the
    engine or the cloud refuses; what was done until then stays done, and a second run goes on from there.
    """
    report = Report(stack.name, dry_run=dry_run)
    report.pending = stack.state().pending_urns()
    if dry_run:
        locks = stack.locks()
        refuse_living(stack.name, locks, force=force)
        report.locks = [str(lock) for lock in locks]
    else:
        say("refreshing the state")
        stack.refresh(force=force)
    refused: dict[tuple[str, str], str] = {}
    for _ in range(ROUNDS):
        say("planning, and listing what exists")
        state = stack.state()
        plan = planned(stack.preview())
        decision = _decide(stack.name, plan, state, inventories, refused)
        if dry_run:
            return _foretold(report, decision, state)
        if not (decision.adopt or decision.orphans):
            break
        _take_in(stack, decision, plan, state, report, refused, say)
    report.left = decision.left
    report.left += [Left(e, "still found after the last round", problem=True) for _, e in decision.adopt]
    report.left += [Left(e, "still found after the last round", problem=True) for e in decision.orphans]
    report.deleting = [(r["type"], r["id"], name_of(r["urn"])) for r in stack.state().waiting()]
    return report


def _decide(
    name: str, plan: Sequence[Planned], state: State, inventories: Inventories, refused: Mapping[tuple[str, str], str]
) -> Decision:
    providers: dict[str, dict[str, Settings]] = {}
    known = [(r["type"], r["urn"], r.get("inputs") or {}) for r in state.providers()]
    for token, urn, inputs in [*known, *((i.token, i.urn, i.inputs) for i in plan if i.token.startswith(PROVIDERS))]:
        providers.setdefault(token.removeprefix(PROVIDERS), {})[urn] = inputs
    whole = Decision()
    scope = Scope(name, plan, state.owned(), state.ids())
    for cloud, settings in sorted(providers.items()):
        if cloud not in RULES:
            whole.left += unseen(plan, cloud)
            continue
        existing = [e for inventory in inventories(cloud, list(settings.values())) for e in inventory.existing(scope)]
        tried = [e for e in existing if (e.token, e.id) in refused]
        part = decide(plan, [e for e in existing if e not in tried], state, RULES[cloud])
        whole.adopt += part.adopt
        whole.orphans += part.orphans
        whole.left += part.left
        whole.left += [Left(e, f"cannot be imported: {refused[e.token, e.id]}", problem=True) for e in tried]
    return whole


def _foretold(report: Report, decision: Decision, state: State) -> Report:
    report.adopted = [(item.urn, resource) for item, resource in decision.adopt]
    report.deleting = [(r["type"], r["id"], name_of(r["urn"])) for r in state.waiting()]
    report.deleting += [(e.token, e.id, recovered_name(e)) for e in decision.orphans]
    report.left = decision.left
    return report


def _take_in(
    stack: Stack,
    decision: Decision,
    plan: Sequence[Planned],
    state: State,
    report: Report,
    refused: dict[tuple[str, str], str],
    say: Say,
) -> None:
    """Imports what was decided, all at once, and one by one what the engine refused in company."""
    successors = [pair for pair in decision.adopt if state.taken(pair[0].urn)]
    adopt = [pair for pair in decision.adopt if pair not in successors]
    strays = [*decision.orphans, *(resource for _, resource in successors)]
    say(f"importing {_count(len(adopt) + len(strays), 'resource')}")
    outcome = stack.imports(build(adopt, strays, plan, state))
    after = _sound(stack, outcome, state)
    if outcome.code != 0:
        singles: list[tuple[list[tuple[Planned, Existing]], list[Existing]]] = [([pair], []) for pair in adopt]
        singles += [([], [stray]) for stray in strays]
        for pairs, alone in singles:
            if imported_urns(pairs, alone, after):
                continue
            outcome = stack.imports(build(pairs, alone, plan, after))
            after = _sound(stack, outcome, after)
            if not imported_urns(pairs, alone, after):
                resource = pairs[0][1] if pairs else alone[0]
                refused[resource.token, resource.id] = "; ".join(outcome.errors)
    moves = {recovered_urn(resource, after): (item.urn, item.parent) for item, resource in successors}
    moves = {urn: place for urn, place in moves.items() if urn in after.live}
    if moves:
        say(f"putting {_count(len(moves), 'resource')} in the place of what the plan replaces")
        stack.write(put_in_place(after.exported, moves))
        after = stack.state()
    report.adopted += [
        (item.urn, resource)
        for item, resource in decision.adopt
        if after.id(item.urn) and not _refused(resource, refused)
    ]
    tied = linked(after.exported, imported_urns(decision.adopt, decision.orphans, after))
    if tied is not None:
        stack.write(tied)


def _sound(stack: Stack, outcome: Outcome, before: State) -> State:
    """The state after an import; that from before it when the import left one that the engine itself would refuse."""
    if outcome.code != 0 and outcome.broke_state:
        stack.write(before.exported)
    return stack.state()


def _refused(resource: Existing, refused: Mapping[tuple[str, str], str]) -> bool:
    return (resource.token, resource.id) in refused


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


# --- the command ---


def command(
    stack: Annotated[str, typer.Argument(help="The stack, such as aws-us-east-1.")],
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Recover on the stand-in clouds.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go on although the update that holds the lock may still be running.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")] = False,
) -> int:
    """Bring a stack's state and its cloud together after a killed `pulumi up`, a lost answer or a crash.

    Adopts what exists and is planned, marks for deletion what exists and is not; then `pulumi up` goes on. Uses the
    Pulumi project, login and credentials of the current directory. Exit code 0: the stack is consistent; 1: it is not.
    """
    from rich.console import Console

    def say(text: str) -> None:
        typer.echo(f"recover {stack}: {text}", err=True)

    target, inventories = (_sandboxed if sandbox else _real)(stack, say)
    if not (yes or dry_run):
        if not sys.stdin.isatty():
            raise SpillwayError("recover changes the stack's state: add --yes, or --dry-run to look only")
        foretold = recover(target, inventories, say, dry_run=True, force=force)
        foretold.print(Console(stderr=True))
        typer.confirm("Cancel a dead update's lock, refresh the state and do this?", abort=True, err=True)
    report = recover(target, inventories, say, dry_run=dry_run, force=force)
    if json_:
        typer.echo(json.dumps(report.describe(), indent=2))
    else:
        report.print(Console())
    return 0 if report.consistent else 1


def _sandboxed(name: str, say: Say) -> tuple[Stack, Inventories]:
    from sandbox.clouds import sandbox_dir
    from sandbox.project import Project

    return on_sandbox(Project(sandbox_dir()), name, say)


def on_sandbox(project: Project, name: str, say: Say) -> tuple[Stack, Inventories]:
    """A stack of a sandbox's shadow project, and what its stand-in clouds hold. Initialises the stack on first use."""
    from rich.console import Console

    from spillway.engine import ensure_engine
    from spillway.recovery.stand_in import SandboxInventory

    environment = project.environment(ensure_engine(Console(stderr=True)))
    project.sync()
    project.ensure_stack(name, environment)

    def inventories(cloud: str, settings: Sequence[Settings]) -> Sequence[Inventory]:
        accounts = {account for one in settings for account in accounts_of(one)}
        accounts |= {str(one[key]) for one in settings for key in ("subscriptionId", "project") if one.get(key)}
        return [SandboxInventory(project.directory, cloud, accounts, RULES[cloud])]

    return Stack(name, ("pulumi", "-C", str(project.path)), environment, say), inventories


def _real(name: str, say: Say) -> tuple[Stack, Inventories]:
    from rich.console import Console

    from spillway.engine import ensure_engine

    environment = ensure_engine(Console(stderr=True)).environment(os.environ)

    def inventories(cloud: str, settings: Sequence[Settings]) -> Sequence[Inventory]:
        if cloud == "azure-native":
            from spillway.recovery import azure_arm

            return azure_arm.inventories(settings)
        if cloud == "gcp":
            from spillway.recovery import gcp_api

            return gcp_api.inventories(settings)
        if cloud == "cloudflare":
            from spillway.recovery import cloudflare_api

            return cloudflare_api.inventories(settings)
        from spillway.recovery import aws

        return aws.inventories(settings)

    return Stack(name, ("pulumi",), environment, say), inventories
