"""All checks of an Azure region, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spillway.preflight import stored_checks
from spillway.preflight.azure_region import account_checks, capacity_checks, image_checks, network_checks
from spillway.preflight.azure_region.context import AzureContext
from spillway.preflight.model import Check, Row


def weights(context: AzureContext) -> Iterator[Row]:
    """The revision's manifest in the stack's storage account."""
    return stored_checks.weights(context, f"az://{context.storage}")


CHECKS: Final[tuple[Check[AzureContext], ...]] = (
    Check("identity", "subscription", account_checks.identity, decisive=True),
    Check("rights", "rights for `up`", account_checks.rights),
    Check("providers", "resource providers", account_checks.providers),
    Check("offerings", "sizes in region and zones", capacity_checks.sizes),
    Check("quota.on-demand", "on-demand vCPUs", capacity_checks.on_demand_quota),
    Check("quota.spot", "spot vCPUs", capacity_checks.spot_quota),
    Check("image", "image", image_checks.image),
    Check("addresses", "public addresses", network_checks.addresses),
    Check("networks", "virtual networks", network_checks.networks),
    Check("group", "resource group", account_checks.group),
    Check("vault", "key vault", account_checks.vault),
    Check("bucket", "storage accounts", account_checks.storage),
    Check("flex", "Flex Consumption", account_checks.flex),
    Check("app", "function app", account_checks.app),
    Check("weights", "weights", weights),
    Check("certificate", "certificate", stored_checks.certificate),
    Check("api-keys", "API keys", stored_checks.api_keys),
    Check("sold-out", "sold out now", capacity_checks.sold_out),
    Check("placement", "spot placement score", capacity_checks.scores),
)
