"""`spillway ci`: what pipelines run around `spillway preview` and `pulumi up`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from spillway.ci.gate import Looker, Region
    from spillway.ci.places import Place
    from spillway.dns_members import Member
    from spillway.preview.document import Document

HELP = "What pipelines run: which stacks, one comment, issues for drift, the gate between regions."
app = typer.Typer(no_args_is_help=True, help=HELP)


class Platform(StrEnum):
    github = "github"
    gitlab = "gitlab"
    azure = "azure"


class Purpose(StrEnum):
    preview = "preview"
    drift = "drift"
    deploy = "deploy"


Where = Annotated[
    Platform | None, typer.Option("--platform", help="Whose pull request it is; by the environment when left out.")
]
Repository = Annotated[
    str, typer.Option(help="GitHub: owner/name; GitLab: project; Azure: repository. By the environment when left out.")
]
Results = Annotated[
    list[Path], typer.Argument(help="Folders that `spillway preview --out` wrote, or folders of such folders.")
]
Expected = Annotated[
    Path | None, typer.Option(help="What `spillway ci matrix --out` wrote: a stack without a result is a row as well.")
]


@app.command()
def matrix(
    stack: Annotated[list[str] | None, typer.Argument(help="Only these stacks.")] = None,
    purpose: Annotated[Purpose, typer.Option("--for", help="What the jobs do.")] = Purpose.preview,
    base: Annotated[
        str | None, typer.Option(help="Branch or commit: the stacks that the change touches. All when left out.")
    ] = None,
    deployed: Annotated[
        str, typer.Option(help="Stacks that stand in accounts, with spaces between; others: stand-in clouds.")
    ] = "",
    backend: Annotated[str, typer.Option(help="Address of the state, whose cloud is logged in to as well.")] = "",
    out: Annotated[Path | None, typer.Option(help="File to write besides, for --expected of other commands.")] = None,
    github_output: Annotated[
        Path | None, typer.Option(help="Append matrix, stacks and any (true or false) to this file of GitHub.")
    ] = None,
) -> None:
    """Which stacks a change touches, one job each, as JSON for a matrix.

    For deployments: region stacks first, then those of DNS; never those of pipeline roles.
    """
    from spillway.ci.matrix import plan
    from spillway.outputs import whole
    from spillway.preview.command import _root

    found = plan(
        _root(), purpose.value, named=_words(stack or ()), base=base, deployed=_words([deployed]), backend=backend
    )
    text = json.dumps(found.json())
    for name, why in found.left_out.items():
        typer.echo(f"{name}: {why}", err=True)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole(out) as part:
            part.write_text(text + "\n")
    if github_output is not None:
        names = " ".join(one.stack for one in found.jobs)
        include = json.dumps({"include": found.json()["include"]})
        with github_output.open("a") as file:
            file.write(f"matrix={include}\nstacks={names}\nany={'true' if found.jobs else 'false'}\n")
    typer.echo(text)


def _words(texts: list[str] | tuple[()]) -> list[str]:
    """Names with spaces or commas between, each once: what people type into a field of a form."""
    return list(dict.fromkeys(name for text in texts for name in text.replace(",", " ").split()))


@app.command()
def merge(
    results: Results,
    out: Annotated[Path, typer.Option(help="Folder for comment.md, preview.json and preview.html.")],
    expected: Expected = None,
    fleet_budget: Annotated[float | None, typer.Option(min=0, help="USD a month that all stacks may cost.")] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 whatever was found.")] = False,
) -> None:
    """One document of the previews of single stacks. Exit code 1 when something is wrong in any."""
    from spillway.ci.merge import markdown
    from spillway.outputs import whole
    from spillway.preview.command import _show
    from spillway.preview.sheet import as_json, as_page

    found = _merged(results, expected, fleet_budget)
    sheet = json.dumps(as_json(found), indent=2) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("comment.md", markdown(found)),
        ("preview.json", sheet),
        ("preview.html", as_page(found)),
    ):
        with whole(out / name) as part:
            part.write_text(content)
    _show(found, out)
    if found.failed and not exit_zero:
        raise typer.Exit(1)


def _merged(results: list[Path], expected: Path | None, budget: float | None = None) -> Document:
    from spillway.ci.matrix import read_plan
    from spillway.ci.merge import merge as merged
    from spillway.ci.merge import read_all
    from spillway.ci.reading import whole

    documents, broken = read_all(results)
    jobs: Mapping[str, str] = {}
    left_out: Mapping[str, str] = {}
    if expected is not None:
        jobs, left_out = read_plan(whole(expected).decode("utf-8", "replace"), str(expected))
    elif not documents and not broken:
        raise SpillwayError(f"{results[0]}: has no preview.json (`spillway preview --out` writes it)")
    if budget is None and len(documents) == 1:
        limit = documents[0].budget
    else:
        limit = None if budget is None else Decimal(str(budget))
    return merged(documents, expected=jobs, left_out=left_out, broken=broken, budget=limit)


@app.command()
def comment(
    results: Results,
    platform: Where = None,
    repository: Repository = "",
    number: Annotated[int, typer.Option(min=0, help="Of the pull request; by the environment when left out.")] = 0,
    author: Annotated[str, typer.Option(help="GitHub: the login whose comment is edited.")] = "github-actions[bot]",
    expected: Expected = None,
    fork_run: Annotated[
        bool, typer.Option("--fork-run", help="GitHub: post what a fork's run left, checked and made harmless.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the comment and post nothing.")] = False,
) -> None:
    """Say the review in the one comment of a pull request that has its hidden marker.

    It is edited, never repeated; others with the marker are removed. A change that touches no stack makes no comment,
    and edits one that is there. Tokens: GITHUB_TOKEN, GITLAB_TOKEN, SYSTEM_ACCESSTOKEN.
    """
    from spillway.ci.merge import markdown
    from spillway.ci.places import Place, event
    from spillway.ci.places import platform as platform_of
    from spillway.ci.sticky import stick
    from spillway.ci.untrusted import Stale, belongs, defused, number_of, run_of
    from spillway.preview.markdown import LIMIT, MARKER
    from spillway.preview.secrets import Masker

    found = _merged(results, expected)
    if dry_run and platform is None and not fork_run:
        sys.stdout.write(Masker.of().text(markdown(found)))
        return
    place = Place(platform_of(os.environ, platform), os.environ, repository, number)
    if fork_run:
        if place.platform != "github":
            raise SpillwayError("--fork-run: is of GitHub, whose forks' runs may not comment themselves")
        sha, source = run_of(event(os.environ))
        place = Place("github", os.environ, repository, number_of(results[0]))
        api = place.api()
        try:
            belongs(api, place.project(), place.pull_request(), sha, source)
        except Stale as stale:
            typer.echo(stale.lines[0])
            return
        # Half of the room: what is made harmless grows.
        text = defused(markdown(found, LIMIT // 2), MARKER)
        if len(text) > LIMIT:
            raise SpillwayError("the fork's document is too long for a comment once it is made harmless")
    else:
        run = f"\n[This run, with the whole document as an artifact]({place.run})\n" if place.run else ""
        text = markdown(found, LIMIT - len(run)) + run
    text = Masker.of().text(text)  # was masked where it was made; this job has other secrets than that one
    if dry_run:
        sys.stdout.write(text)
        return
    if not fork_run and (newer := _moved_on(place)):
        typer.echo(newer)
        return
    conversation = place.conversation(place.api(), author)
    done = stick(conversation, text, MARKER, only_edit=not found.rows and not found.left_out)
    told = f"comment {done.action}" if done.action != "none" else "no stack is touched, and there is no comment"
    removed = f", {done.removed} more with its marker removed" if done.removed else ""
    typer.echo(f"{place.name}: {told}{removed}{': ' + done.url if done.url else ''}")


def _moved_on(place: Place) -> str:
    """Why the run's review is an old one; empty where it is not, or where the event does not tell its commit."""
    from spillway.ci import github
    from spillway.ci.places import event

    told = event(os.environ).get("pull_request") if place.platform == "github" else None
    sha = (told.get("head") or {}).get("sha") if isinstance(told, Mapping) else None
    if sha is None:
        return ""
    head, _, _ = github.at(place.api(), place.project(), place.pull_request())
    if head == sha:
        return ""
    return f"pull request {place.pull_request()} has moved on from {sha[:12]} to {head[:12]}: nothing is posted"


@app.command()
def drift(
    results: Results,
    platform: Where = None,
    repository: Repository = "",
    expected: Expected = None,
    label: Annotated[str, typer.Option(help="Of the issues; only who may write sets labels.")] = "spillway-drift",
) -> None:
    """An issue for each stack that drifted, of previews with --refresh; closed when the stack is clean again.

    With --expected, issues of stacks that are not looked at any more are closed. Exit code 1 when a stack could not be
    previewed.
    """
    from spillway.ci.drift import report
    from spillway.ci.places import Place
    from spillway.ci.places import platform as platform_of
    from spillway.preview.secrets import Masker

    found = _merged(results, expected)
    place: Place = Place(platform_of(os.environ, platform), os.environ, repository)
    tracker = place.tracker(place.api(), label)
    failed = False
    known = None if expected is None else [row.stack for row in found.rows]
    for one in report(found, tracker, run=place.run, known=known, mask=Masker.of().text):
        typer.echo(f"{one.stack}: {one.what}{' ' + one.url if one.url else ''}")
        failed = failed or one.failed
    if failed:
        raise typer.Exit(1)


@app.command()
def gate(
    stack: Annotated[str, typer.Argument(help="The region stack.")],
    before: Annotated[
        bool, typer.Option("--before", help="Ask whether the region may be touched: is anybody else ready?")
    ] = False,
    global_stack: Annotated[str, typer.Option("--global", help="The global stack, which says who serves.")] = "global",
    no_dns: Annotated[bool, typer.Option("--no-dns", help="There is no global stack yet: ask the region alone.")] = (
        False
    ),
    wait: Annotated[float, typer.Option(min=0, help="Minutes until the gate is given up.")] = 45.0,
    steady: Annotated[float, typer.Option(min=0, help="Seconds that all has to be well without a break.")] = 120.0,
    interval: Annotated[float, typer.Option(min=0.2, max=600, help="Seconds between two looks.")] = 10.0,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="On the stand-in clouds.")] = False,
) -> None:
    """Between two regions of a rollout: returns once the region is ready, by /readyz and by what DNS answers.

    Every address has to say ready, and every service that leads there has to be answered with members that are ready,
    for --steady seconds. With --before: whether somebody else could serve meanwhile. Exit code 1 otherwise.
    """
    from spillway.ci.gate import Patience, hold
    from spillway.ci.gate import before as may_be_touched

    if sandbox and no_dns:
        raise SpillwayError("--no-dns: not with --sandbox, where only members of a zone are looked at")
    found = _asked(stack, global_stack, no_dns, sandbox, before)
    if found is None:
        typer.echo(f"{stack}: may be touched: no service of {global_stack} leads there")
        return
    region, sources = found

    def say(line: str) -> None:
        typer.echo(line)
        sys.stdout.flush()

    if before:
        may_be_touched(region, sources, _probe, say)
    else:
        hold(region, sources, _probe, Patience(wait * 60, steady, interval), say)


@app.command()
def turn(
    stack: Annotated[str, typer.Argument(help="The stack of this job, which is named like it.")],
    of: Annotated[str, typer.Option(help="All stacks of the rollout in their order, with spaces between.")],
    repository: Repository = "",
) -> None:
    """GitHub: whether a stack is next in a rollout. Exit code 1 unless the job of every stack before it succeeded."""
    from spillway.ci import github
    from spillway.ci.gate import turn as why_not
    from spillway.ci.places import Place

    place = Place("github", os.environ, repository)
    jobs = github.jobs(place.api(), place.project(), os.environ.get("GITHUB_RUN_ID", ""))
    wrong = why_not(stack, _words([of]), jobs)
    if wrong:
        raise SpillwayError(*wrong)
    typer.echo(f"{stack}: is next")


def _probe(member: Member, host: str) -> Mapping[str, str]:
    from spillway.dns_ask import probe_all

    return probe_all([(one, member.port, member.health_path) for one in member.addresses], host)


def _asked(
    stack: str, global_stack: str, no_dns: bool, sandbox: bool, before: bool
) -> tuple[Region, Mapping[str, Looker]] | None:
    """The region and where to ask for each of its services; None before a region that no client is led to, and which
    perhaps does not stand yet, is touched. Raises SpillwayError."""
    from infra.config import load_stack_file
    from spillway.ci.gate import Region
    from spillway.dns_members import from_stack
    from spillway.dns_watch import sources
    from spillway.preview.command import _root

    stacks = _root() / "stacks"
    host = load_stack_file(stacks / f"Pulumi.{stack}.yaml", stack).service.name
    if no_dns:
        return Region(stack, _endpoint(stack), host), {}
    watched = from_stack(global_stack, sandbox=sandbox)
    name, lesser = _members(stacks, global_stack, stack)
    member = watched.members.get(name)
    if member is None:
        if before:
            return None
        if sandbox:
            raise SpillwayError(f"{stack}: is no member of {global_stack}, and stand-in clouds are asked by their zone")
        typer.echo(f"{stack}: is no member of {global_stack}: its addresses alone are asked")
        return Region(stack, _endpoint(stack), host), {}
    region = Region(stack, member, host, watched, lesser)
    found = sources(watched, sandbox=sandbox)
    return region, {name: found[name] for name in region.services}


def _members(stacks: Path, global_stack: str, stack: str) -> tuple[str, frozenset[str]]:
    """(what the stack is called as a member, which may be otherwise; the last resorts)."""
    from infra.dns.config import load_global

    path = stacks / f"Pulumi.{global_stack}.yaml"
    if not path.is_file():
        raise SpillwayError(f"--global {global_stack}: there is no {path}")
    members = load_global(path).members
    named = [one.name for one in members if one.stack == stack]
    return named[0] if named else stack, frozenset(one.name for one in members if one.degraded)


def _endpoint(stack: str) -> Member:
    """A region's own words of where it serves."""
    from rich.console import Console

    from spillway.dns_members import Watched, parse
    from spillway.engine import ensure_engine
    from spillway.recovery.pulumi import Stack

    engine = ensure_engine(Console(stderr=True))
    target = Stack(stack, ("pulumi",), engine.environment(os.environ), lambda text: None)
    told = target.must("reading its outputs", "stack", "output", "--json")
    try:
        endpoint = json.loads(told)["endpoint"]
    except (ValueError, KeyError, TypeError):
        raise SpillwayError(f"{stack}: has no output `endpoint`: bring it up first") from None
    watched: Watched = parse({"members": {stack: endpoint}}, f"outputs of {stack}")
    return watched.members[stack]
