"""An AWS region from its stack file: look up what the account holds for it, then build. Imports the SDK by steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi

from infra.aws.provider import provider

if TYPE_CHECKING:
    from infra.aws.region import Region
    from infra.config import AwsRegion


def build(config: AwsRegion) -> Region:
    """The region, registered. Raises NotFound, before anything but the provider is registered."""
    account = provider(config)  # the provider starts while the rest of the SDK is imported
    from infra.aws.lookups import (
        check_block,
        check_network,
        check_zones,
        find_block,
        find_checkers,
        find_image,
    )
    from infra.aws.region import Region, RegionArgs

    image = find_image(config.image, account)
    blocks = tuple(find_block(block, account) for block in config.pools.reservations.capacity_blocks)
    for block in blocks:
        check_block(block, config)
    check_network(config, account)
    check_zones(config, account)
    checkers = find_checkers(config.network, config.region, account)
    return Region(
        config.stack_name,
        RegionArgs(config, image, blocks, checkers),
        pulumi.ResourceOptions(providers={"aws": account}),
    )
