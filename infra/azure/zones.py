"""Which availability zones a region has, and which of them the nodes of a pool go to. Pure.

Zones are numbered per subscription: https://learn.microsoft.com/azure/reliability/availability-zones-overview
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra import catalog

if TYPE_CHECKING:
    from infra.config import AzureRegion

ALL: Final = ("1", "2", "3")

# availabilityZoneMappings of https://learn.microsoft.com/rest/api/resources/subscriptions/list-locations, recorded on
# 2026-08-21 in https://github.com/Azure/terraform-azurerm-avm-utl-regions, modules/cached-data/locations.tf.json. The
# zones of a public address are fixed: a region that gets zones keeps, in a stack that stands, the addresses it has.
ZONED: Final = frozenset((
    "australiaeast", "austriaeast", "belgiumcentral", "brazilsouth", "canadacentral", "centralindia", "centralus",
    "chilecentral", "denmarkeast", "eastasia", "eastus", "eastus2", "francecentral", "germanywestcentral",
    "indonesiacentral", "israelcentral", "italynorth", "japaneast", "japanwest", "koreacentral", "malaysiawest",
    "mexicocentral", "newzealandnorth", "northeurope", "norwayeast", "polandcentral", "qatarcentral",
    "southafricanorth", "southcentralus", "southeastasia", "spaincentral", "swedencentral", "switzerlandnorth",
    "uaenorth", "uksouth", "westeurope", "westus2", "westus3",
))  # fmt: skip


def region_zones(region: str) -> tuple[str, ...]:
    """All zones of a region, for what spans them; () where it has none."""
    return ALL if region in ZONED else ()


def pool_zones(config: AzureRegion, machine_type: str) -> tuple[str, ...]:
    """The zones for the nodes of one pool: those that are known to offer its machine type, of those that the file
    names. Where nobody told, the file's zones are believed, and without any the region chooses."""
    offered, wanted = catalog.zones(machine_type, config.region), config.network.zones
    if wanted is None:
        return offered
    return tuple(zone for zone in sorted(wanted) if not offered or zone in offered)
