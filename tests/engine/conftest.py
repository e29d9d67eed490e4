"""Fixtures for tests on the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.flat import PROGRAM, Flat
from tests.support.engine import EngineSandbox, copied_project


@pytest.fixture
def sandbox(tmp_path: Path) -> EngineSandbox:
    """The repository's project on an empty sandbox."""
    return EngineSandbox(tmp_path / "sandbox")


@pytest.fixture
def editable(tmp_path: Path) -> EngineSandbox:
    """A copy of the project, whose stack files a test may edit, on an empty sandbox."""
    return EngineSandbox(tmp_path / "sandbox", copied_project(tmp_path / "project"))


@pytest.fixture
def flat(tmp_path: Path) -> Flat:
    """A program that is a JSON document, on an empty sandbox."""
    return Flat(tmp_path / "sandbox", PROGRAM)
