"""What `pulumi up` of a cloud's pipeline roles runs: read the stack file, build with that cloud's SDK, export."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from infra import sdks, stackfile
from infra.ci.common import Roles, export
from infra.ci.config import ABOUT, CI_KEY, load_ci, parse_ci
from infra.ci.sections import CiConfig
from infra.faults import ConfigError, NotFound

__all__ = ["ABOUT", "CI_KEY", "build_ci", "read_ci"]


def read_ci(held: Callable[[], object], stack: str, root: Path, stacks: str) -> CiConfig:
    """The settings as the engine holds them, checked; the file first, which says what is wrong where the engine only
    knows that it holds no object. Raises ConfigError."""
    path = root / stacks / f"Pulumi.{stack}.yaml"
    if path.is_file():  # --config-file may point elsewhere
        load_ci(path, stack)
    return parse_ci(held(), stack, stackfile.display_name(path), path.parent)


def build_ci(config: CiConfig, file: str) -> None:
    """Build the roles and export who pipelines are. Raises ConfigError."""
    sdks.require(config.cloud, file, f"{CI_KEY}.cloud", config.cloud)
    try:
        made: Roles = importlib.import_module(f"infra.ci.{config.cloud}").build(config)
    except NotFound as error:
        raise ConfigError([f"{file}: {error}"]) from None
    export(config, made)
