"""A Tencent Cloud region from its stack file: look up what the account holds for it, then build."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

from infra.tencent.provider import provider

if TYPE_CHECKING:
    from infra.config import TencentRegion
    from infra.tencent.region import Region


def build(config: TencentRegion) -> Region:
    """The region, registered. Raises NotFound, before anything but the provider is registered."""
    account = provider(config)  # the provider starts while the rest of the SDK is imported
    from infra.tencent.lookups import check_image, check_network, find_app_id, find_image
    from infra.tencent.region import Region, RegionArgs

    app_id = find_app_id(config.account, account)
    image = find_image(config.image, account)
    check_image(image, config.storage.root)
    check_network(config, account)
    return Region(
        config.stack_name,
        RegionArgs(config, image, app_id),
        pulumi.ResourceOptions(providers={"tencentcloud": account}),
    )
