"""What a region needs to know of the project before it builds: the baked image, the project's number, and who pays.

Looked up first and waited for, so that what is missing is one clear line while nothing is registered yet, and so that
every answer is a plain value that a preview can show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_gcp as gcp

from infra import naming, standing
from infra.faults import NotFound, reason
from infra.gcp import names

if TYPE_CHECKING:
    from infra.config import GcpRegion
    from infra.gcp.disks import Root
    from infra.gcp.sections import GcpImage

IMAGE_KEY: Final = "spillway:region.image"
ACCOUNT_KEY: Final = "spillway:region.account"
ROOT_KEY: Final = "spillway:region.storage.root.sizeGib"


@dataclass(frozen=True, slots=True)
class MachineImage:
    """A baked image. id: projects/<project>/global/images/<name>. size_gib: what a boot disk has to have at least."""

    id: str
    size_gib: int


@dataclass(frozen=True, slots=True)
class Project:
    """A project's number, which budgets know it by, and the billing account that pays for it (012345-6789AB-CDEF01)."""

    number: str
    billing_account: str


def image_query(image: GcpImage) -> dict[str, str]:
    """The arguments of getImage that find the image: a name, or a family whose newest image is taken.

    Only `newest` chooses by date: a bake elsewhere must not change a plan. Raises ValueError when the stack file gives
    neither id nor family and version.
    """
    if image.id is not None:
        _, project, _, _, name = image.id.split("/")  # projects/<project>/global/images/<name>
        return {"name": name, "project": project}
    if image.family is None or (image.version is None and not image.newest):
        raise ValueError("image: expected an id, or family and version, or family and newest")
    where = {} if image.project is None else {"project": image.project}
    if image.newest or image.version is None:
        return {**where, "family": image.family}
    return {**where, "name": names.image_name(image.family, image.version)}


def find_image(image: GcpImage, provider: pulumi.ProviderResource) -> MachineImage:
    """The image in the provider's project, or in the one that the stack file names. Raises NotFound."""
    query: dict[str, Any] = image_query(image)
    try:
        found = gcp.compute.get_image(**query, opts=pulumi.InvokeOptions(provider=provider))
    except Exception as error:  # the SDK raises plain Exception for whatever the provider answers
        wanted = ", ".join(f"{key}={value}" for key, value in query.items())
        raise NotFound(f"{IMAGE_KEY}: cannot find an image with {wanted}: {reason(error)}") from None
    # The id, not the self link: the latter names a version of the API.
    return MachineImage(found.id, found.disk_size_gb)


def check_image(image: MachineImage, root: Root) -> None:
    """Refuse an image that does not fit on the root disk. Raises NotFound."""
    if image.size_gib > root.size_gib:
        raise NotFound(
            f"{ROOT_KEY} = {root.size_gib}: the image {image.id.rsplit('/', 1)[-1]} needs {image.size_gib} GiB"
        )


def find_project(project: str, provider: pulumi.ProviderResource) -> Project:
    """The stack file's project. Raises NotFound when it is not there, or when nobody pays for it."""
    try:
        found = gcp.organizations.get_project(project_id=project, opts=pulumi.InvokeOptions(provider=provider))
    except Exception as error:  # as above
        raise NotFound(f"{ACCOUNT_KEY}: cannot find the project {project}: {reason(error)}") from None
    if not found.billing_account:
        raise NotFound(f"{ACCOUNT_KEY}: the project {project} has no billing account; nothing can be built in it")
    return Project(found.number, found.billing_account.removeprefix("billingAccounts/"))


def check_network(config: GcpRegion, provider: pulumi.ProviderResource) -> None:
    """Refuse another CIDR than the standing subnetwork has, unless it is a wider one around it, which Google Cloud
    takes in place: https://docs.cloud.google.com/vpc/docs/create-modify-vpc-networks#expand-subnet. Raises NotFound."""
    name = names.name(config.stack_name, "nodes")
    try:
        found = gcp.compute.get_subnetwork(
            name=name, region=config.region, project=config.account, opts=pulumi.InvokeOptions(provider=provider)
        )
    except Exception as error:  # as above
        if standing.is_absent(error):
            return
        raise NotFound(f"{standing.CIDR_KEY}: cannot see the subnetwork {name}: {reason(error)}") from None
    standing.keep_cidr(config.network.cidr, [found.ip_cidr_range], f"the subnetwork {name}", grows=True)


def check_zones(config: GcpRegion, provider: pulumi.ProviderResource) -> None:
    """Refuse other zones than the standing groups have. Raises NotFound.

    Both groups are made with the same ones, so the first tells. Zones of a group are chosen when it is made:
    https://docs.cloud.google.com/compute/docs/instance-groups/distributing-instances-with-regional-instance-groups
    """
    group = names.pool_name(config.stack_name, naming.POOLS[0])
    try:
        found = gcp.compute.get_region_instance_group_manager(
            name=group, region=config.region, project=config.account, opts=pulumi.InvokeOptions(provider=provider)
        )
    except Exception as error:  # as above
        if standing.is_absent(error):
            return
        raise NotFound(f"{standing.ZONES_KEY}: cannot see the group {group}: {reason(error)}") from None
    # Links where the API has them: .../zones/us-central1-a
    there = [zone.rsplit("/", 1)[-1] for zone in found.distribution_policy_zones or ()]
    if there:  # a group that nobody told about has all of the region
        standing.keep_zones(config.zones, there, f"the group {group}")
