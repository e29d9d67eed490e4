"""The clouds that have a stand-in, and where the stand-ins keep their state."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

from sandbox.kinds import Registry

DISTRIBUTIONS = {"aws": "pulumi-aws"}
"""Pulumi package -> the distribution on PyPI whose schema the stand-in enforces."""


def registry(package: str) -> Registry:
    """The registry of a cloud, with all its types loaded."""
    found: Registry = getattr(importlib.import_module(f"sandbox.{package.replace('-', '_')}"), package.upper())
    return found


def sandbox_dir() -> Path:
    """`$SPILLWAY_SANDBOX_DIR`, or `.sandbox/` in the working directory."""
    return Path(os.environ.get("SPILLWAY_SANDBOX_DIR") or ".sandbox").absolute()
