"""`spillway models`: revisions of weights in the model bucket of every region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from infra.node_config import revision_prefix
from infra.sections import WORDS, ModelName, Revision
from spillway.errors import SpillwayError
from spillway.options import Json, Profile, Stack, Stacks

if TYPE_CHECKING:
    from infra.config import RegionConfig
    from spillway.models.work import Keeping, Listed, Open, Put

app = typer.Typer(no_args_is_help=True, help="Revisions of weights, in every region's model bucket.")

PARALLEL: Final = 8

Model = Annotated[str | None, typer.Option(help="The model's name; the stack files' when left out.")]
Parallel = Annotated[int, typer.Option(min=1, max=64, help="Parts on their way at once, over all regions.")]
Prune = Annotated[
    bool, typer.Option("--prune", help="Delete revisions older than the last three that no stack file names.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Sandbox = Annotated[bool, typer.Option("--sandbox", help="The stand-in clouds' buckets.")]


class _Command:
    """What every command begins with. names: the stacks asked for, none for all; needed: some it cannot do without."""

    def __init__(
        self,
        name: str,
        stacks: Path,
        names: list[str] | None,
        sandbox: bool,
        profile: str | None,
        parallel: int,
        needed: Sequence[str] = (),
    ) -> None:
        from spillway.models.stores import OPENERS, open_store
        from spillway.regions import asked_sandbox, chosen, within_reach

        directory = asked_sandbox("models", sandbox, profile)
        self.name, self.stacks, self._all = name, stacks, not names
        self.regions = within_reach("models", chosen(stacks, names or []), OPENERS, (*(names or ()), *needed))
        self.open: Open = lambda config: open_store(config, directory, profile, parallel)

    def model(self, given: str | None) -> str:
        """The model meant. Raises SpillwayError when the stack files name several."""
        if given is not None:
            return _formed("--model", given, ModelName)
        names = sorted({config.model.name for config in self.regions})
        if len(names) > 1:
            raise SpillwayError(f"models {self.name}: the stack files name {', '.join(names)}: say which with --model")
        return names[0]

    def serving(self, model: str) -> list[RegionConfig]:
        """The regions that a revision of this model goes to: those chosen; else those that serve the model; else, for a
        model that nobody serves yet, all."""
        own = [config for config in self.regions if config.model.name == model]
        return own if self._all and own else self.regions

    def keeping(self, prune: bool) -> Keeping:
        """What may never be deleted: what any stack file of the folder names. Raises SpillwayError for a faulty one."""
        from infra.config import load_all
        from spillway.models.work import Keeping

        every = load_all(self.stacks).values()
        return Keeping(frozenset((one.model.name, one.model.revision) for one in every), prune)


def _code(results: Sequence[Put]) -> int:
    """0 when something was done and nothing failed."""
    return 0 if all(one.ok for one in results) and any(not one.skipped for one in results) else 1


def _formed(option: str, value: str, form: Any) -> str:
    """A value in the form that stack files want. Raises SpillwayError."""
    from pydantic import TypeAdapter, ValidationError

    try:
        formed: str = TypeAdapter(form).validate_python(value)
    except ValidationError as error:
        words = WORDS[error.errors()[0]["ctx"]["pattern"]]
        raise SpillwayError(f"{option} {value}: has to be {words}") from None
    return formed


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="Folder of the weights, such as a snapshot of the Hugging Face hub.")],
    revision: Annotated[
        str | None,
        typer.Option("--revision", help="Name of the revision; a snapshot folder's commit when left out."),
    ] = None,
    model: Model = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out files of this pattern, such as 'original/*'; may be repeated.")
    ] = None,
    stack: Stack = None,
    parallel: Parallel = PARALLEL,
    prune: Prune = False,
    dry_run: DryRun = False,
    sandbox: Sandbox = False,
    json_: Json = False,
    profile: Profile = None,
    stacks: Stacks = Path("stacks"),
) -> int:
    """Upload a folder as a revision to the bucket of every region that serves the model.

    In parts, several at once; a push that broke off goes on where it was, and what is there already is not sent again.
    The manifest comes last. A revision is fixed: other files need another name. A region that was never deployed is
    skipped unless it is named. Exit code 1 when a region failed, or every one was skipped.
    """
    from spillway.models import folder as folders
    from spillway.models import manifest, view, work
    from spillway.models.transfer import FolderSource

    command = _Command("push", stacks, stack, sandbox, profile, parallel)
    name = command.model(model)
    found_revision = revision or folders.revision_of(folder)
    if found_revision is None:
        raise SpillwayError(f"models push: {folder} is not named by a commit: say the revision with --revision")
    _formed("--revision", found_revision, Revision)
    keeping = command.keeping(prune)
    found = folders.scan(folder, exclude or ())
    with view.progress("hashing", {str(folder): sum(one.size for one in found)}, json_) as report:
        files = folders.hash_all(found, parallel, lambda count: report(str(folder), count))
    wanted = manifest.make(name, found_revision, files, datetime.now(UTC))
    targets = command.serving(name)
    totals = {config.stack_name: wanted.bytes for config in targets}
    with view.progress("to", totals, json_ or dry_run) as report:
        results = work.put(
            targets,
            wanted,
            lambda _: FolderSource(folder),
            command.open,
            parallel,
            keeping,
            report,
            dry_run,
            skip_absent=not stack,
        )
    told = {"model": name, "revision": found_revision, "files": len(files), "bytes": wanted.bytes, "dryRun": dry_run}
    view.puts(results, told, json_)
    return _code(results)


@app.command()
def sync(
    from_: Annotated[str, typer.Option("--from", help="The region stack to copy from.")],
    revision: Annotated[
        str | None, typer.Option("--revision", help="Which revision; the one that the source's stack file names.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model's name; as the source's stack file when left out.")
    ] = None,
    stack: Stack = None,
    parallel: Parallel = PARALLEL,
    prune: Prune = False,
    dry_run: DryRun = False,
    sandbox: Sandbox = False,
    json_: Json = False,
    profile: Profile = None,
    stacks: Stacks = Path("stacks"),
) -> int:
    """Copy a revision from one region's bucket to the others, also between clouds.

    Parts stream through this machine's memory and are hashed on the way; the copy is visible only when the hashes are
    those of the manifest. A region that was never deployed is skipped unless it is named. Exit code 1 when a region
    failed, or every one was skipped.
    """
    from spillway.models import revisions, view, work
    from spillway.models.transfer import StoreSource
    from spillway.regions import region_stacks

    there = region_stacks(stacks)
    if from_ not in there:
        raise SpillwayError(f"--from {from_}: no region stack of {stacks}; there are {', '.join(there) or 'none'}")
    command = _Command("sync", stacks, [from_, *stack] if stack else None, sandbox, profile, parallel, [from_])
    origin = next(config for config in command.regions if config.stack_name == from_)
    name = _formed("--model", model, ModelName) if model else origin.model.name
    targets = [config for config in command.serving(name) if config is not origin]
    if not targets:
        raise SpillwayError(f"models sync: there is no region beside {from_} to copy {name} to")
    wanted_revision = _formed("--revision", revision, Revision) if revision else origin.model.revision
    keeping = command.keeping(prune)
    store = command.open(origin)
    store.check()
    wanted = revisions.read_manifest(store, name, wanted_revision)
    if wanted is None:
        raise SpillwayError(
            f"{store.where}: {name} {wanted_revision} is not there, or not whole: `spillway models list`"
        )
    source = StoreSource(store, revision_prefix(name, wanted_revision))
    with view.progress("to", {one.stack_name: wanted.bytes for one in targets}, json_ or dry_run) as report:
        results = work.put(
            targets,
            wanted,
            lambda _: source,
            command.open,
            parallel,
            keeping,
            report,
            dry_run,
            skip_absent=not stack,
        )
    told = {"from": from_, "model": name, "revision": wanted_revision, "files": len(wanted.files)}
    view.puts(results, {**told, "bytes": wanted.bytes, "dryRun": dry_run}, json_)
    return _code(results)


@app.command("list")
def list_(
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    stack: Stack = None,
    sandbox: Sandbox = False,
    json_: Json = False,
    profile: Profile = None,
    stacks: Stacks = Path("stacks"),
) -> int:
    """Show the revisions in every region's bucket, whether they are whole, and which one the stack file names.

    Exit code 1 when a bucket could not be looked into.
    """
    from spillway.models import view, work

    command = _Command("list", stacks, stack, sandbox, profile, PARALLEL)
    if model is not None:
        _formed("--model", model, ModelName)
    found = work.listing(command.regions, command.open, model)
    view.listing(found, model, sandbox, json_)
    return 1 if any(one.failed for one in found) else 0


@app.command()
def verify(
    revision: Annotated[
        str | None, typer.Option("--revision", help="Which revision; the one that each stack file names.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model's name; each stack file's when left out.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only sizes, and the hashes noted at the push: nothing is read.")
    ] = False,
    stack: Stack = None,
    parallel: Parallel = PARALLEL,
    sandbox: Sandbox = False,
    json_: Json = False,
    profile: Profile = None,
    stacks: Stacks = Path("stacks"),
) -> int:
    """Read every file of a revision again and compare its hash with the manifest's.

    Everything passes through this machine: clouds charge for that, so better run it in the region. Exit code 1 when a
    copy is not what its manifest says.
    """
    from spillway.models import view, work

    command = _Command("verify", stacks, stack, sandbox, profile, parallel)
    if model is not None:
        _formed("--model", model, ModelName)
    if revision is not None:
        _formed("--revision", revision, Revision)

    def which(config: RegionConfig) -> tuple[str, str]:
        return model or config.model.name, revision or config.model.revision

    totals = _totals(command, which) if not quick and not json_ else {}
    with view.progress("reading", totals, json_) as report:
        results = work.verify(command.regions, which, command.open, parallel, report, quick)
    view.verified(results, {"sandbox": sandbox, "quick": quick}, json_)
    return 0 if all(result.ok for result in results) else 1


def _totals(command: _Command, which: Callable[[RegionConfig], tuple[str, str]]) -> dict[str, int]:
    """Bytes to read by stack, for the bars; none where that cannot be asked (verify itself will say why)."""
    from spillway.models import revisions

    totals = {}
    for config in command.regions:
        try:
            listed = revisions.read_manifest(command.open(config), *which(config))
        except SpillwayError:
            listed = None
        totals[config.stack_name] = listed.bytes if listed else 0
    return totals


@app.command()
def rollback(
    to: Annotated[
        str | None, typer.Option("--to", help="The revision to name; the newest before the present one when left out.")
    ] = None,
    model: Model = None,
    stack: Stack = None,
    dry_run: DryRun = False,
    sandbox: Sandbox = False,
    json_: Json = False,
    profile: Profile = None,
    stacks: Stacks = Path("stacks"),
) -> int:
    """Let the stack files name an earlier revision: the one pointer that nodes are told by.

    Only when every region's bucket holds it whole; all stack files change, or none. `pulumi up` then deploys it.
    """
    from spillway.models import pointer, view, work

    command = _Command("rollback", stacks, stack, sandbox, profile, PARALLEL)
    name = command.model(model)
    regions = [config for config in command.regions if config.model.name == name]
    if not regions:
        raise SpillwayError(f"--model {name}: no stack file that was chosen names it")
    if to is not None:
        _formed("--to", to, Revision)
    found = work.listing(regions, command.open, name)
    lines = [f"{one.stack}: {one.error}" for one in found if one.error]
    if lines:
        raise SpillwayError(*lines, "no stack file was changed")
    target = to or _earlier(found)
    lines = [line for one in found if (line := _unfit(one, name, target))]
    if lines:
        raise SpillwayError(*lines, "no stack file was changed")
    changes = {config.stack_name: config.model.revision for config in regions}
    if not dry_run:
        moved = [one for one, now in changes.items() if now != target]
        pointer.switch({stacks / f"Pulumi.{one}.yaml": one for one in moved}, target)
    view.switched(name, changes, target, dry_run, sandbox, json_)
    return 0


def _earlier(found: Sequence[Listed]) -> str:
    """The newest whole revision from before the present one, the same in every region. Raises SpillwayError."""
    choices: dict[str, list[str]] = {}
    for one in found:
        present = next((r for r in one.revisions if r.revision == one.named and r.manifest is not None), None)
        older = [
            r.revision
            for r in one.revisions  # newest first
            if r.state == "complete" and r.revision != one.named and (present is None or r.created <= present.created)
        ]
        choices.setdefault(older[0] if older else "", []).append(one.stack)
    if len(choices) == 1 and "" not in choices:
        return next(iter(choices))
    if [*choices] == [""]:
        raise SpillwayError("models rollback: no bucket holds a whole revision from before the present one; see --to")
    told = "; ".join(f"{revision or 'none'} in {', '.join(names)}" for revision, names in sorted(choices.items()))
    raise SpillwayError(f"models rollback: the revision before is not the same everywhere ({told}): say it with --to")


def _unfit(one: Listed, model: str, target: str) -> str:
    """Why a region cannot serve a revision; empty when it can."""
    there = next((r for r in one.revisions if r.revision == target), None)
    if there is None:
        return f"{one.stack}: {one.where} has no {model} {target}; `spillway models sync` or `push` brings it"
    if there.state != "complete":
        return f"{one.stack}: {model} {target} is {there.state}: {there.fault}"
    return ""
