"""Options that several commands have, worded once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Stack = Annotated[
    list[str] | None, typer.Option("--stack", help="Only this region stack; may be repeated. All when left out.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]
Profile = Annotated[str | None, typer.Option(help="AWS profile; the default is the one of the environment.")]
Stacks = Annotated[Path, typer.Option(help="Folder of stack files.")]
