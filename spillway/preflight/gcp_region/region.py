"""The preflight of one Google Cloud region: whom to ask, and all rows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from spillway.preflight.context import MAX_IMAGE_AGE_DAYS
from spillway.preflight.gcp_region.context import GcpContext
from spillway.preflight.gcp_region.facts import Account
from spillway.preflight.model import Row, Say, run

if TYPE_CHECKING:
    from infra.config import GcpRegion


def real(config: GcpRegion, profile: str | None) -> Account:
    """The project, with the environment's credentials. Raises Unreachable without the extra."""
    from spillway.preflight.gcp_region.account import connect

    return connect(config)


def stand_in(config: GcpRegion, directory: Path) -> Account:
    """The stand-in project of the stack in a sandbox's directory."""
    from spillway.preflight.gcp_region.stand_in import StandInProject

    return StandInProject(directory, config)


def rows(
    config: GcpRegion,
    account: Account,
    now: datetime,
    regions: tuple[str, ...],
    say: Say,
    image_age: int = MAX_IMAGE_AGE_DAYS,
    global_names: tuple[str, ...] = (),
) -> list[Row]:
    """The rows of one region stack. Raises Unreachable when nothing can be asked."""
    from spillway.preflight.gcp_region.checks import CHECKS

    return run(CHECKS, GcpContext(config, account, now, regions, image_age, global_names), say)
