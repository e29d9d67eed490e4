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

from spillway.errors import SpillwayError, WrongUsage
from spillway.options import Json, Profile, Stacks
from spillway.preflight.clouds import NotCovered, preflight_of
from spillway.preflight.context import MAX_IMAGE_AGE_DAYS
from spillway.preflight.model import Row, Say
from spillway.preflight.report import Report, all_ready, describe_all, width_of

if TYPE_CHECKING:
    from infra.config import RegionConfig

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
    if stack is None and not all_:
        raise WrongUsage("preflight: name one stack, or --all for every region stack")
    if stack is not None and all_:
        raise WrongUsage(f"preflight: {stack} and --all do not go together: one stack, or every region stack")
    from spillway.regions import every_region_stack, refuse_profile

    refuse_profile("preflight", sandbox, profile)
    wanted = every_region_stack(stacks) if all_ else [str(stack)]
    settings = _Settings(stacks, sandbox, profile, image_age, many=all_)
    with _progress(wanted) as say:
        if len(wanted) == 1:
            reports = [_report(wanted[0], settings, say)]
        else:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                reports = list(pool.map(lambda name: _report(name, settings, say), wanted))
    _print(reports, as_json=json_, many=all_)
    return 0 if all_ready(reports) else 1


class _Settings:
    """What the command line says, and what several stacks share."""

    def __init__(
        self, stacks: Path, sandbox: bool, profile: str | None, image_age: int | None, *, many: bool = False
    ) -> None:
        self.stacks, self.sandbox, self.profile, self.image_age = stacks, sandbox, profile, image_age
        self.many = many
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
    except NotCovered as error:
        if settings.many:
            return Report(stack, skipped=str(error), sandbox=settings.sandbox)
        return Report(stack, error=(f"{stack}: {error}",), sandbox=settings.sandbox)
    except SpillwayError as error:
        return Report(stack, error=error.lines, sandbox=settings.sandbox)
    return Report(stack, tuple(rows), sandbox=settings.sandbox)


def _rows(stack: str, settings: _Settings, say: Say) -> Sequence[Row]:
    from infra.config import load_stack_file
    from infra.stackfile import is_ci, is_global
    from spillway.regions import global_names, sandbox_directory

    path = settings.path(stack)
    if is_global(stack):
        from spillway.preflight.global_preflight import global_rows

        if settings.image_age is not None:
            raise SpillwayError(f"preflight: --image-age {settings.image_age} goes with a region: {stack} has no image")
        sandbox = sandbox_directory() if settings.sandbox else None
        return global_rows(path, stack, settings.now, sandbox, settings.profile, say)
    if is_ci(stack):
        raise NotCovered("preflight does not cover roles of pipelines: `pulumi preview` says what would be made")
    config = load_stack_file(path, stack)
    cloud = preflight_of(config)
    if settings.sandbox:
        account = cloud.stand_in(config, sandbox_directory())
    else:
        account = cloud.real(config, _profile(config, settings))
    age, names = settings.image_age or MAX_IMAGE_AGE_DAYS, global_names(settings.stacks, stack)
    return cloud.rows(config, account, settings.now, _regions(settings.stacks, config), say, age, names)


def _profile(config: RegionConfig, settings: _Settings) -> str | None:
    """The AWS profile; with `--all` it is for the AWS stacks among them."""
    if settings.profile is not None and config.cloud != "aws" and not settings.many:
        raise SpillwayError(f"preflight: --profile {settings.profile} goes with AWS, not with {config.stack_name}")
    return settings.profile


def _regions(stacks: Path, config: RegionConfig) -> tuple[str, ...]:
    """The regions of all sound stacks of the same cloud in a folder: what a placement score is compared with."""
    from infra.config import load_stack_file

    found = {config.region}
    for path in stacks.glob("Pulumi.*.yaml"):
        try:
            other = load_stack_file(path)
        except SpillwayError:  # another stack's fault is not this one's
            continue
        if other.cloud == config.cloud:
            found.add(other.region)
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
