"""What the checks of a Google Cloud region look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.gcp import names
from spillway.preflight.context import RegionContext
from spillway.preflight.gcp_region.facts import Account, Instance, Place
from spillway.preflight.model import Unanswered
from spillway.preflight.pool_quotas import Limit
from spillway.preflight.quota_requests import GcpQuotaRequest, QuotaRequest

if TYPE_CHECKING:
    from infra.config import GcpRegion  # noqa: F401  # named in a base class

COMPUTE: Final = "compute.googleapis.com"


class GcpContext(RegionContext["GcpRegion", Account]):
    """A Google Cloud region's stack file and project."""

    __slots__ = ()

    @property
    def bucket(self) -> str:
        """The model bucket's name."""
        return names.bucket_name(self.config.account, self.config.region)

    def request(self, limit: Limit, value: float, place: Place = "region") -> QuotaRequest:
        """A request for more of a quota, in this region or in all."""
        region = self.config.region if place == "region" else ""
        return GcpQuotaRequest(COMPUTE, limit.code, limit.name, region, value, self.config.account)

    def own_instances(self) -> tuple[Instance, ...]:
        """Those of this stack; none where nobody tells, which counts them as others'."""
        try:
            return tuple(self.account.instances(self.stack))
        except Unanswered:
            return ()
