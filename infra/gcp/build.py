"""A GCP region from its stack file: look up what the project holds for it, then build. Imports the SDK by steps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pulumi

from infra.gcp.provider import provider

if TYPE_CHECKING:
    from infra.config import GcpRegion
    from infra.gcp.region import Region

ARCHIVES: Final = Path(__file__).resolve().parents[2] / "build" / "function"
"""Where the function's archive is written before it goes up; git does not look there."""


def build(config: GcpRegion) -> Region:
    """The region, registered. Raises NotFound, before anything but the provider is registered."""
    account = provider(config)  # the provider starts while the rest of the SDK is imported
    from infra.function import package
    from infra.gcp.lookups import check_image, check_network, check_zones, find_image, find_project
    from infra.gcp.region import Region, RegionArgs

    image = find_image(config.image, account)
    check_image(image, config.storage.root)
    project = find_project(config.account, account)
    check_network(config, account)
    check_zones(config, account)
    archive = package.write("gcp", ARCHIVES)
    return Region(
        config.stack_name,
        RegionArgs(config, image, project, archive),
        pulumi.ResourceOptions(providers={"gcp": account}),
    )
