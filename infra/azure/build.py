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

VAULT_DELETED: Final = "already exists in deleted state"
"""What a vault is refused with whose name a deleted one keeps."""
SPREADING: Final = ("RoleDefinitionDoesNotExist", "PrincipalNotFound")
"""What an assignment is refused with while its role or its principal is not known everywhere yet."""
SPREADING_TRIES: Final = 30
SPREADING_SECONDS: Final = (2.0, 10.0)
"""First wait and longest; five minutes in all: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting"""


def build(config: AzureRegion) -> Region:
    """The region, registered. Raises NotFound, before anything but the provider is registered."""
    account = provider(config)  # the provider starts while the rest of the SDK is imported
    from infra.azure import names
    from infra.azure.lookups import check_network, check_zones, find_image, find_pool, find_tenant
    from infra.azure.region import Hooks, Region, RegionArgs
    from infra.function import package

    group = names.resource_group(config.stack_name)
    tenant = find_tenant(config.account, account)
    image = find_image(config, account)
    check_network(config, account)
    spot, on_demand = (names.scale_set(config.stack_name, pool) for pool in ("spot", "on-demand"))
    spot_pool, on_demand_pool = find_pool(spot, group, account), find_pool(on_demand, group, account)
    check_zones(config, spot_pool, spot, config.pools.types[0])
    check_zones(config, on_demand_pool, on_demand, config.on_demand_types[0])
    archive = package.archive("azure")
    return Region(
        config.stack_name,
        RegionArgs(
            config=config,
            image=image,
            tenant=tenant,
            spot_capacity=spot_pool.capacity if spot_pool else 0,
            on_demand_capacity=on_demand_pool.capacity if on_demand_pool else 0,
            package=archive,
            today=datetime.now(UTC).date(),
            hooks=Hooks(publishing(config, archive), spreading, vault_refused(config)),
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


def vault_refused(config: AzureRegion) -> Callable[[pulumi.ErrorHookArgs], Awaitable[bool]]:
    """What is said when the name of the vault is taken, which is made before everything else of the region.

    A deleted vault keeps its name, and there is no data source of deleted ones. It is not recovered unasked, as that
    brings back its secrets and whoever may read them, nor purged, as they are gone then:
    https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
    """

    async def say(args: pulumi.ErrorHookArgs) -> bool:
        from infra.azure import names

        if VAULT_DELETED in args.errors[0]:
            vault, stack = names.vault(config.stack_name, config.account), config.stack_name
            where = f"--name {vault} --location {config.region}"
            pulumi.log.error(
                f"spillway:region: the vault {vault} of an earlier {stack} is deleted and keeps its name for 7 days; "
                f"nothing but the resource group was made. Without its secrets: `az keyvault purge {where}`, then `up`."
                f" With them: `az keyvault recover {where}`, `spillway recover {stack}`, then `up`"
            )
        return False

    return say
