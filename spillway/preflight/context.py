"""What the checks of a region look at, on every cloud."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from infra.config import RegionBase

MAX_IMAGE_AGE_DAYS: Final = 60
"""Driver, CUDA and vLLM fixes come monthly; two bakes late is worth a word."""

Config = TypeVar("Config", bound="RegionBase", covariant=True)
Account = TypeVar("Account", covariant=True)


@dataclass(frozen=True, slots=True)
class RegionContext(Generic[Config, Account]):
    """The stack file, whom to ask, the time, and the regions of all stacks of the cloud (for placement scores)."""

    config: Config
    account: Account
    now: datetime
    regions: tuple[str, ...] = ()
    max_image_age_days: int = MAX_IMAGE_AGE_DAYS
    global_names: tuple[str, ...] = ()
    """Names of the global stacks beside it that this region is a member of."""

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.config.stack_name
