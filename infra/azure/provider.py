"""The only provider of an Azure stack. By itself, so that it can start before the rest of the SDK is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi_azure_native as azure

if TYPE_CHECKING:
    from infra.config import AzureRegion


def provider(config: AzureRegion) -> azure.Provider:
    """No subscription but the one that the stack file names: whatever `az login` chose is not asked."""
    return azure.Provider(config.stack_name, subscription_id=config.account, location=config.region)
