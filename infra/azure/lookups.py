"""What a region needs to know of the subscription before it builds: the tenant, the baked image, and what
of the region stands by now.

Looked up first and waited for, so that what is missing is one clear line while nothing is registered yet, and so that
every answer is a plain value that a preview can show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_azure_native as azure

from infra import naming, standing
from infra.azure import names
from infra.azure.zones import pool_zones
from infra.faults import NotFound, reason

if TYPE_CHECKING:
    from infra.config import AzureRegion

IMAGE_KEY: Final = "spillway:region.image"
POOLS_KEY: Final = "spillway:region.pools"
ACCOUNT_KEY: Final = "spillway:region.account"

# https://learn.microsoft.com/azure/virtual-machines/azure-compute-gallery
_VERSION_ID: Final = re.compile(
    r"/subscriptions/(?P<subscription>[0-9a-f-]{36})/resourceGroups/(?P<resource_group>[^/]+)"
    r"/providers/Microsoft\.Compute/galleries/(?P<gallery>[^/]+)/images/(?P<family>[^/]+)/versions/(?P<version>[^/]+)"
)


@dataclass(frozen=True, slots=True)
class MachineImage:
    """A baked image: the id of one version in a compute gallery, or of the image definition, which means its newest."""

    id: str


def find_image(config: AzureRegion, provider: pulumi.ProviderResource) -> MachineImage:
    """The stack file's image, replicated to the region. Raises NotFound.

    Only `newest` follows later bakes: each machine then is of the version that is the newest when it is made. An image
    by id may lie in a build subscription, which the provider does not see: it is taken as it is.
    """
    image = config.image
    if image.id is not None:
        match = _VERSION_ID.fullmatch(image.id)
        if match is None:
            raise NotFound(f"{IMAGE_KEY}.id = {image.id}: expected /subscriptions/.../images/.../versions/...")
        parts = match.groupdict()
        if parts.pop("subscription") != config.account:
            return MachineImage(image.id)
        return _find_version(**parts, region=config.region, provider=provider)
    if image.family is None or (image.version is None and not image.newest):
        raise ValueError("image: expected an id, or family and version, or family and newest")
    if image.version is None or image.newest:
        return _find_definition(image.resource_group, image.gallery, image.family, provider)
    return _find_version(
        image.resource_group, image.gallery, image.family, image.version, region=config.region, provider=provider
    )


def _find_version(
    resource_group: str, gallery: str, family: str, version: str, *, region: str, provider: pulumi.ProviderResource
) -> MachineImage:
    wanted = f"{family} {version} in gallery {gallery} of {resource_group}"
    try:
        found = azure.compute.get_gallery_image_version(
            resource_group_name=resource_group,
            gallery_name=gallery,
            gallery_image_name=family,
            gallery_image_version_name=version,
            opts=pulumi.InvokeOptions(provider=provider),
        )
    except Exception as error:  # the SDK raises plain Exception for whatever the provider answers
        raise NotFound(f"{IMAGE_KEY}: cannot find {wanted}: {reason(error)}") from None
    profile = found.publishing_profile
    there = sorted(_programmatic(target.name) for target in (profile.target_regions if profile else None) or ())
    if _programmatic(region) not in there:
        raise NotFound(
            f"{IMAGE_KEY}: {wanted} is not replicated to {region}; it is in {', '.join(there) or 'no region'}"
        )
    return MachineImage(found.id)


def _find_definition(resource_group: str, gallery: str, family: str, provider: pulumi.ProviderResource) -> MachineImage:
    try:
        found = azure.compute.get_gallery_image(
            resource_group_name=resource_group,
            gallery_name=gallery,
            gallery_image_name=family,
            opts=pulumi.InvokeOptions(provider=provider),
        )
    except Exception as error:  # as above
        wanted = f"{family} in gallery {gallery} of {resource_group}"
        raise NotFound(f"{IMAGE_KEY}: cannot find {wanted}: {reason(error)}") from None
    return MachineImage(found.id)


@dataclass(frozen=True, slots=True)
class StandingPool:
    """A scale set as it is now. capacity: how many machines it is set to have. zones: fixed when it was made."""

    capacity: int
    zones: tuple[str, ...]


def find_pool(scale_set: str, group: str, provider: pulumi.ProviderResource) -> StandingPool | None:
    """A scale set as it is now, None where there is no set yet. Raises NotFound when nobody can tell.

    An update of a scale set sends all of its SKU, and Azure neither takes one without a capacity nor keeps the one it
    has (https://github.com/Azure/vm-scale-sets/issues/70). What the state remembers is not what the fallback function
    has set since, so an update that ignored changes of the capacity would send the 0 of the creation, and end every
    node.
    """
    try:
        found = azure.compute.get_virtual_machine_scale_set(
            resource_group_name=group, vm_scale_set_name=scale_set, opts=pulumi.InvokeOptions(provider=provider)
        )
    except Exception as error:  # as above
        if _is_absent(error):
            return None
        raise NotFound(f"{POOLS_KEY}: cannot see how many nodes {scale_set} has: {reason(error)}") from None
    return StandingPool(int(found.sku.capacity or 0) if found.sku else 0, tuple(found.zones or ()))


def check_zones(config: AzureRegion, pool: StandingPool | None, scale_set: str, machine_type: str) -> None:
    """Refuse zones that a scale set cannot have any more. Raises NotFound.

    More zones may be added to some, as far as the plan goes; a set without any keeps its disks and its balance, which
    zones change, and none can be taken away:
    https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-use-availability-zones
    """
    if pool is not None:
        standing.keep_zones(pool_zones(config, machine_type), pool.zones, f"the scale set {scale_set}", grows=True)


def check_network(config: AzureRegion, provider: pulumi.ProviderResource) -> None:
    """Refuse another CIDR than the standing network has. Raises NotFound.

    The address space could be changed, the subnet with nodes in it cannot:
    https://learn.microsoft.com/azure/virtual-network/virtual-network-manage-subnet#change-subnet-settings
    """
    network = naming.name(config.stack_name, "vnet")
    try:
        found = azure.network.get_virtual_network(
            resource_group_name=names.resource_group(config.stack_name),
            virtual_network_name=network,
            opts=pulumi.InvokeOptions(provider=provider),
        )
    except Exception as error:  # as above
        if _is_absent(error):
            return
        raise NotFound(f"{standing.CIDR_KEY}: cannot see the network {network}: {reason(error)}") from None
    there = found.address_space.address_prefixes if found.address_space else None
    standing.keep_cidr(config.network.cidr, there or (), f"the network {network}")


def _is_absent(error: Exception) -> bool:
    return re.search(r"\b(ResourceGroupNotFound|ResourceNotFound|NotFound)\b", str(error)) is not None


def find_tenant(subscription: str, provider: pulumi.ProviderResource) -> str:
    """The tenant that the subscription's vaults belong to. Raises NotFound, also when the provider works on another
    subscription than the stack file names."""
    names.subscription(subscription)
    try:
        found = azure.authorization.get_client_config(opts=pulumi.InvokeOptions(provider=provider))
    except Exception as error:  # as above
        raise NotFound(f"{ACCOUNT_KEY} = {subscription}: cannot log in to Azure: {reason(error)}") from None
    if found.subscription_id.lower() != subscription:
        raise NotFound(f"{ACCOUNT_KEY} = {subscription}: the provider works on {found.subscription_id}")
    tenant: str = found.tenant_id
    return tenant


def _programmatic(region: str) -> str:
    """`East US` and `eastus` are the same region to ARM."""
    return region.replace(" ", "").lower()
