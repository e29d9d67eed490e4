"""The preflight of one Azure region: whom to ask, and all rows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from spillway.preflight.azure_region.context import AzureContext
from spillway.preflight.azure_region.facts import Account
from spillway.preflight.context import MAX_IMAGE_AGE_DAYS
from spillway.preflight.model import Row, Say, run

if TYPE_CHECKING:
    from infra.config import AzureRegion


def real(config: AzureRegion, profile: str | None) -> Account:
    """The subscription, with the environment's credentials. Raises Unreachable without the extra."""
    from spillway.preflight.azure_region.account import connect

    return connect(config)


def stand_in(config: AzureRegion, directory: Path) -> Account:
    """The stand-in subscription of the stack in a sandbox's directory."""
    from spillway.preflight.azure_region.stand_in import StandInSubscription

    return StandInSubscription(directory, config)


def rows(
    config: AzureRegion,
    account: Account,
    now: datetime,
    regions: tuple[str, ...],
    say: Say,
    image_age: int = MAX_IMAGE_AGE_DAYS,
    global_names: tuple[str, ...] = (),
) -> list[Row]:
    """The rows of one region stack. Raises Unreachable when nothing can be asked."""
    from spillway.preflight.azure_region.checks import CHECKS

    return run(CHECKS, AzureContext(config, account, now, regions, image_age, global_names), say)
