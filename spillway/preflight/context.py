"""What the checks of a region look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from spillway.preflight.facts import Account, Quota
from spillway.preflight.model import QuotaRequest

if TYPE_CHECKING:
    from infra.config import AwsRegion

MAX_IMAGE_AGE_DAYS = 60
"""Driver, CUDA and vLLM fixes come monthly; two bakes late is worth a word."""


@dataclass(frozen=True, slots=True)
class RegionContext:
    """The stack file, the account, the time, and the regions of all AWS stacks beside it (for placement scores)."""

    config: AwsRegion
    account: Account
    now: datetime
    regions: tuple[str, ...]
    max_image_age_days: int = MAX_IMAGE_AGE_DAYS
    global_names: tuple[str, ...] = ()
    """Names of the global stacks beside it that this region is a member of."""

    @property
    def stack(self) -> str:
        """The stack's name."""
        return self.config.stack_name

    def deployed(self) -> bool:
        """Whether this stack's network exists: before the first `up`, what it makes is not missing yet."""
        return any(network.stack == self.stack for network in self.account.networks())

    def request(self, quota: Quota, value: float) -> QuotaRequest:
        """A request for more of a quota, in this region."""
        return QuotaRequest(quota.service, quota.code, quota.name, self.config.region, value)
