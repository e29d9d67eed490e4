"""What the checks of an AWS region look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spillway.preflight.aws_region.facts import Account, Quota
from spillway.preflight.context import RegionContext
from spillway.preflight.quota_requests import AwsQuotaRequest, QuotaRequest

if TYPE_CHECKING:
    from infra.config import AwsRegion  # noqa: F401  # named in a base class


class AwsContext(RegionContext["AwsRegion", Account]):
    """An AWS region's stack file and account."""

    __slots__ = ()

    def deployed(self) -> bool:
        """Whether this stack's network exists: before the first `up`, what it makes is not missing yet."""
        return any(network.stack == self.stack for network in self.account.networks())

    def request(self, quota: Quota, value: float) -> QuotaRequest:
        """A request for more of a quota, in this region."""
        return AwsQuotaRequest(quota.service, quota.code, quota.name, self.config.region, value)
