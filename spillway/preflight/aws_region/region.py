"""The preflight of one AWS region: whom to ask, and all rows."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from spillway.preflight.aws_region.context import AwsContext
from spillway.preflight.aws_region.facts import Account
from spillway.preflight.context import MAX_IMAGE_AGE_DAYS
from spillway.preflight.model import Row, Say, run

if TYPE_CHECKING:
    from infra.config import AwsRegion


def real(config: AwsRegion, profile: str | None) -> Account:
    """The account that the environment's credentials lead to."""
    from spillway.preflight.aws_calls import session
    from spillway.preflight.aws_region.account import AwsAccount

    return AwsAccount(session(config.region, profile), config.region)


def stand_in(config: AwsRegion, directory: Path) -> Account:
    """The stand-in account of the stack in a sandbox's directory."""
    from spillway.preflight.aws_region.stand_in import StandInAccount

    return StandInAccount(directory, config.region, config.account)


def rows(
    config: AwsRegion,
    account: Account,
    now: datetime,
    regions: tuple[str, ...],
    say: Say,
    image_age: int = MAX_IMAGE_AGE_DAYS,
    global_names: tuple[str, ...] = (),
) -> list[Row]:
    """The rows of one region stack. Raises Unreachable when nothing can be asked."""
    from spillway.preflight.aws_region.checks import CHECKS

    return run(CHECKS, AwsContext(config, account, now, regions, image_age, global_names), say)
