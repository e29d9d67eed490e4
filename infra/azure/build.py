"""An Azure region from its stack file: look up what the subscription holds for it, then build. Imports the SDK by
steps."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pulumi

from infra.azure.provider import provider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from infra.azure.region import Region
    from infra.config import AzureRegion

SPREADING: Final = ("RoleDefinitionDoesNotExist", "PrincipalNotFound")
"""What an assignment is refused with while its role or its principal is not known everywhere yet."""
SPREADING_TRIES: Final = 30
SPREADING_SECONDS: Final = (2.0, 10.0)
"""First wait and longest; five minutes in all: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting"""


def build(config: AzureRegion) -> Region:
    """The region, registered. Raises NotFound, before anything but the provider is registered."""
    account = provider(config)  # the provider starts while the rest of the SDK is imported
    from infra.azure import names
    from infra.azure.lookups import find_capacity, find_image, find_tenant
    from infra.azure.region import Hooks, Region, RegionArgs
    from infra.function import package

    group = names.resource_group(config.stack_name)
    tenant = find_tenant(config.account, account)
    image = find_image(config, account)
    archive = package.archive("azure")
    return Region(
        config.stack_name,
        RegionArgs(
            config=config,
            image=image,
            tenant=tenant,
            spot_capacity=find_capacity(names.scale_set(config.stack_name, "spot"), group, account),
            on_demand_capacity=find_capacity(names.scale_set(config.stack_name, "on-demand"), group, account),
            package=archive,
            today=datetime.now(UTC).date(),
            hooks=Hooks(publishing(config, archive), spreading),
        ),
        pulumi.ResourceOptions(providers={"azure-native": account}),
    )


def publishing(config: AzureRegion, archive: bytes) -> Callable[[pulumi.ResourceHookArgs], Awaitable[None]]:
    """What happens when the function app has been made, and before it changes: its package is published, unless that
    stays the same."""

    async def publish(args: pulumi.ResourceHookArgs) -> None:
        from infra.azure import names
        from infra.azure.publish import FOLDER, Publisher, PublishError, keep
        from infra.azure.scaling import PACKAGE_TAG

        new, old = args.new_inputs or {}, args.old_inputs
        if old is not None and (new.get("tags") or {}).get(PACKAGE_TAG) == (old.get("tags") or {}).get(PACKAGE_TAG):
            return  # only settings change
        if folder := os.environ.get(FOLDER):
            path = keep(Path(folder), names.function_app(config.stack_name, config.account), archive)
            pulumi.log.info(f"{FOLDER}: the fallback function's package is kept, not published: {path}")
            return
        loop = asyncio.get_running_loop()
        publisher = Publisher(say=lambda line: loop.call_soon_threadsafe(pulumi.log.info, line))
        try:
            # Minutes, in which the engine goes on asking the program for other things.
            await asyncio.to_thread(lambda: publisher.publish(publisher.hosts(config), archive))
        except PublishError as error:
            why = f"the fallback function was not published: {error}; the next `up` tries again"
            raise PublishError(why) from None

    return publish


async def spreading(args: pulumi.ErrorHookArgs) -> bool:
    """Whether a refused role assignment is tried once more: errors are newest first, one for each attempt."""
    tries = len(args.errors)
    if tries >= SPREADING_TRIES or not any(code in args.errors[0] for code in SPREADING):
        return False
    first, longest = SPREADING_SECONDS
    await asyncio.sleep(min(first * tries, longest))
    return True
