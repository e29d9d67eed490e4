"""What the checks of an Azure region look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.azure import names
from spillway.preflight.azure_region.facts import Account, Service
from spillway.preflight.context import RegionContext
from spillway.preflight.pool_quotas import Limit
from spillway.preflight.quota_requests import AzureQuotaRequest, QuotaRequest

if TYPE_CHECKING:
    from infra.config import AzureRegion  # noqa: F401  # named in a base class

SPOT: Final = "lowPriorityCores"
"""All sizes' spot vCPUs of a region together: https://learn.microsoft.com/azure/virtual-machines/quotas#spot-quota"""


class AzureContext(RegionContext["AzureRegion", Account]):
    """An Azure region's stack file and subscription."""

    __slots__ = ()

    @property
    def storage(self) -> str:
        """The storage account's name."""
        return names.storage_account(self.stack, self.config.account)

    @property
    def vault(self) -> str:
        """The key vault's name."""
        return names.vault(self.stack, self.config.account)

    def request(self, limit: Limit, value: float, service: Service = "Microsoft.Compute") -> QuotaRequest:
        """A request for more of a quota, in this region."""
        kind = "lowPriority" if limit.code == SPOT else "dedicated"
        if service == "Microsoft.Network":
            kind = "PublicIpAddresses"
        return AzureQuotaRequest(service, limit.code, limit.name, self.config.region, value, self.config.account, kind)
