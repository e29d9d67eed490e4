"""`spillway preflight`: what the account will refuse, and what the fallback would run into, before `pulumi up`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spillway.errors import SpillwayError
from spillway.options import Json, Profile, Stacks
from spillway.preflight.context import MAX_IMAGE_AGE_DAYS, RegionContext
from spillway.preflight.facts import Account
from spillway.preflight.model import Row, Say, run
from spillway.preflight.report import Report, describe_all, width_of

if TYPE_CHECKING:
    from infra.config import AwsRegion

AT_ONCE = 8
"""Stacks asked at the same time; more would only make the account throttle."""


def command(
    stack: Annotated[str | None, typer.Argument(help="The stack, such as aws-us-east-1 or global.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every region stack of the folder, at the same time.")] = False,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Ask the stand-in clouds.")] = False,
    json_: Json = False,
    image_age: Annotated[
        int | None,
        typer.Option(
            "--image-age",
            min=1,
            max=3650,
            help=f"Days from which on a region's image is called old; {MAX_IMAGE_AGE_DAYS} when left out.",
        ),
    ] = None,
    profile: Profile = None,
    stacks: Stacks = Path("stacks"),
) -> int:
    """Say before `pulumi up` what the account will refuse, and what the fallback would run into later.

    Only asks, never changes anything. Exit code 0: nothing known speaks against `up`; 1: `up` or the fallback would
    fail, or nothing could be asked. Warnings and open questions do not fail.
    """
    if (stack is None) == (not all_):
        raise SpillwayError("preflight: name one stack, or --all for every region stack")
    from spillway.regions import every_region_stack, refuse_profile

    refuse_profile("preflight", sandbox, profile)
    wanted = every_region_stack(stacks) if all_ else [str(stack)]
    settings = _Settings(stacks, sandbox, profile, image_age)
    with _progress(wanted) as say:
        if len(wanted) == 1:
            reports = [_report(wanted[0], settings, say)]
        else:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                reports = list(pool.map(lambda name: _report(name, settings, say), wanted))
    _print(reports, as_json=json_, many=all_)
    return 0 if all(report.ready for report in reports) else 1


class _Settings:
    """What the command line says, and what several stacks share."""

    def __init__(self, stacks: Path, sandbox: bool, profile: str | None, image_age: int | None) -> None:
        self.stacks, self.sandbox, self.profile, self.image_age = stacks, sandbox, profile, image_age
        self.now = datetime.now(UTC)

    def path(self, stack: str) -> Path:
        """The stack's file. Raises SpillwayError when there is none."""
        path = self.stacks / f"Pulumi.{stack}.yaml"
        if not path.is_file():
            there = sorted(
                p.name.removeprefix("Pulumi.").removesuffix(".yaml") for p in self.stacks.glob("Pulumi.*.yaml")
            )
            raise SpillwayError(f"{path}: no such stack file; there are {', '.join(there) or 'none'}")
        return path


def _report(stack: str, settings: _Settings, say: Any) -> Report:
    """One stack's report. What keeps a stack from being asked at all is told in it, so that others go on."""
    try:
        rows = _rows(stack, settings, lambda text: say(stack, text))
    except SpillwayError as error:
        return Report(stack, error=error.lines, sandbox=settings.sandbox)
    return Report(stack, tuple(rows), sandbox=settings.sandbox)


def _rows(stack: str, settings: _Settings, say: Say) -> Sequence[Row]:
    from infra.config import load_stack_file
    from infra.stackfile import is_global
    from spillway.regions import global_names

    path = settings.path(stack)
    if is_global(stack):
        from spillway.preflight.global_preflight import global_rows
        from spillway.regions import sandbox_directory

        if settings.image_age is not None:
            raise SpillwayError(f"preflight: --image-age {settings.image_age} goes with a region: {stack} has no image")
        sandbox = sandbox_directory() if settings.sandbox else None
        return global_rows(path, stack, settings.now, sandbox, settings.profile, say)
    config = load_stack_file(path, stack)
    account = stand_in(config) if settings.sandbox else real(config, settings.profile)
    age = settings.image_age or MAX_IMAGE_AGE_DAYS
    names = global_names(settings.stacks, stack)
    return region_rows(config, account, settings.now, _regions(settings.stacks, config), age, say, names)


def region_rows(
    config: AwsRegion,
    account: Account,
    now: datetime,
    regions: tuple[str, ...],
    image_age: int,
    say: Say,
    global_names: tuple[str, ...] = (),
) -> list[Row]:
    """The rows of one region stack. Raises Unreachable when nothing can be asked."""
    from spillway.preflight.region_checks import CHECKS

    return run(CHECKS, RegionContext(config, account, now, regions, image_age, global_names), say)


def stand_in(config: AwsRegion) -> Account:
    """The stand-in account of the stack in the sandbox's directory."""
    from spillway.preflight.stand_in import StandInAccount
    from spillway.regions import sandbox_directory

    return StandInAccount(sandbox_directory(), config.region, config.account)


def real(config: AwsRegion, profile: str | None) -> Account:
    """The account that the environment's credentials lead to."""
    from spillway.preflight.aws import AwsAccount
    from spillway.preflight.aws_calls import session

    return AwsAccount(session(config.region, profile), config.region)


def _regions(stacks: Path, config: AwsRegion) -> tuple[str, ...]:
    """The regions of all sound AWS stacks of a folder: what a placement score is compared with."""
    from infra.config import load_stack_file

    found = {config.region}
    for path in stacks.glob("Pulumi.*.yaml"):
        try:
            found.add(load_stack_file(path).region)
        except SpillwayError:  # another stack's fault is not this one's
            continue
    return tuple(sorted(found))


@contextmanager
def _progress(stacks: Sequence[str]) -> Iterator[Any]:
    """What is being asked, on standard error, when that is a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda stack, text: None
        return
    with console.status(f"asking about {', '.join(stacks)}") as status:
        yield lambda stack, text: status.update(f"{stack}: {text}")


def _print(reports: Sequence[Report], *, as_json: bool, many: bool) -> None:
    for report in reports:
        for line in report.error:
            typer.echo(f"spillway: {line}", err=True)
    if as_json:
        typer.echo(json.dumps(describe_all(reports) if many else reports[0].describe(), indent=2))
        return
    from rich.console import Console

    console = Console()
    console.width = width_of(console)
    for before, report in zip([None, *reports], reports, strict=False):
        if before is not None and (before.rows or report.rows):
            console.print()
        if many or not report.error:
            report.print(console)
