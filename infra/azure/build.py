"""An Azure region from its stack file: look up what the subscription holds for it, then build. Imports the SDK by
steps."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pulumi

from infra.azure.provider import provider

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.azure.region import Region
    from infra.config import AzureRegion


def build(config: AzureRegion) -> Region:
    """The region, registered. Raises NotFound, before anything but the provider is registered."""
    account = provider(config)  # the provider starts while the rest of the SDK is imported
    from infra.azure import names
    from infra.azure.lookups import find_capacity, find_image, find_tenant
    from infra.azure.region import Region, RegionArgs
    from infra.function import package

    group = names.resource_group(config.stack_name)
    tenant = find_tenant(config.account, account)
    image = find_image(config, account)
    spot = find_capacity(names.scale_set(config.stack_name, "spot"), group, account)
    on_demand = find_capacity(names.scale_set(config.stack_name, "on-demand"), group, account)
    archive = package.archive("azure")
    return Region(
        config.stack_name,
        RegionArgs(
            config, image, tenant, spot, on_demand, archive, datetime.now(UTC).date(), publishing(config, archive)
        ),
        pulumi.ResourceOptions(providers={"azure-native": account}),
    )


def publishing(config: AzureRegion, archive: bytes) -> Callable[[pulumi.ResourceHookArgs], None]:
    """What happens when the function app has been made, and before it changes: its package is published, unless that
    stays the same."""

    def publish(args: pulumi.ResourceHookArgs) -> None:
        from infra.azure import names
        from infra.azure.publish import Publisher, PublishError, keep, stand_in
        from infra.azure.scaling import PACKAGE_TAG

        new, old = args.new_inputs or {}, args.old_inputs
        if old is not None and (new.get("tags") or {}).get(PACKAGE_TAG) == (old.get("tags") or {}).get(PACKAGE_TAG):
            return  # only settings change
        sandbox = stand_in(os.environ)
        if sandbox is not None:
            keep(sandbox, names.function_app(config.stack_name, config.account), archive)
            return
        publisher = Publisher(say=pulumi.log.info)
        try:
            publisher.publish(publisher.hosts(config), archive)
        except PublishError as error:
            why = f"the fallback function was not published: {error}; the next `up` tries again"
            raise PublishError(why) from None

    return publish
