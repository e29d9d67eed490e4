"""Commands that work on region stacks, as a person runs them in the sandbox: a folder of files, and what is told."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from spillway.cli import main
from tests.unit.stack_data import STACKS

Run = Callable[..., tuple[int, str, str]]


def two_regions(folder: Path) -> Path:
    """Stack files of two regions and a global stack; us-east-2 is left out."""
    folder.mkdir()
    for name in ("aws-us-east-1", "aws-us-west-2", "global"):
        shutil.copy(STACKS / f"Pulumi.{name}.yaml", folder)
    return folder


def runner(command: str, stacks: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`spillway COMMAND ... --sandbox` on the folder: exit code, standard output, standard error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main([command, *arguments, "--stacks", str(stacks), "--sandbox"])
        return (code, *capsys.readouterr())

    return call
