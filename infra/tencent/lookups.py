"""What a region needs to know of the account before it builds: its APPID, and the baked image.

Looked up first and waited for, so that what is missing is one clear line while nothing is registered yet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pulumi
from tencentcloud_iac_pulumi import images, user, vpc

from infra import naming, standing
from infra.faults import NotFound, reason
from infra.tencent import names

if TYPE_CHECKING:
    from infra.config import TencentRegion
    from infra.tencent.sections import TencentImage, TencentRootDisk

IMAGE_KEY: Final = "spillway:region.image"
ACCOUNT_KEY: Final = "spillway:region.account"
ROOT_KEY: Final = "spillway:region.storage.root.sizeGib"


@dataclass(frozen=True, slots=True)
class MachineImage:
    """A baked image. id: img-xxxxxxxx. size_gib: what a system disk has to have at least."""

    id: str
    size_gib: int


def find_app_id(account: str, provider: pulumi.ProviderResource) -> str:
    """The APPID of the stack file's account, which names of buckets and policies of COS take. Raises NotFound."""
    try:
        found = user.get_info(opts=pulumi.InvokeOptions(provider=provider))
    except Exception as error:  # the SDK raises plain Exception for whatever the provider answers
        raise NotFound(f"{ACCOUNT_KEY}: cannot find out who is logged in: {reason(error)}") from None
    if found.owner_uin != account:
        raise NotFound(f"{ACCOUNT_KEY} = {account}: the credentials belong to the account {found.owner_uin}")
    return str(found.app_id)


def image_query(image: TencentImage) -> dict[str, Any]:
    """The arguments of the images data source that find the image: an id, or a pattern of its name.

    Images carry no family and no version of their own, so both are in the name. Raises ValueError when the stack file
    gives neither id nor family and version.
    """
    if image.id is not None:
        return {"image_id": image.id}
    if image.family is None or (image.version is None and not image.newest):
        raise ValueError("image: expected an id, or family and version, or family and newest")
    if image.newest or image.version is None:
        return {"image_name_regex": f"^{image.family}-[0-9][0-9-]*$", "image_types": ["PRIVATE_IMAGE", "SHARED_IMAGE"]}
    name = names.image_name(image.family, image.version)
    return {"image_name_regex": f"^{name}$", "image_types": ["PRIVATE_IMAGE", "SHARED_IMAGE"]}


def find_image(image: TencentImage, provider: pulumi.ProviderResource) -> MachineImage:
    """The image in the account and region of the provider. Raises NotFound, also for one that is not ready.

    Only `newest` chooses by date: names are not unique, and a bake elsewhere must not change a plan.
    """
    query = image_query(image)
    wanted = ", ".join(f"{key}={value}" for key, value in query.items() if key != "image_types")
    try:
        found = images.get_instance(**query, opts=pulumi.InvokeOptions(provider=provider)).images
    except Exception as error:  # as above
        raise NotFound(f"{IMAGE_KEY}: cannot find an image with {wanted}: {reason(error)}") from None
    return _chosen(found, wanted, newest=image.newest)


def _chosen(found: Sequence[Any], wanted: str, *, newest: bool) -> MachineImage:
    ready = [one for one in found if one.image_state == "NORMAL"]
    if not found:
        raise NotFound(f"{IMAGE_KEY}: no image with {wanted} in this account and region")
    if not ready:
        raise NotFound(f"{IMAGE_KEY}: the image with {wanted} is {found[0].image_state}, not NORMAL")
    if len(ready) > 1 and not newest:
        ids = ", ".join(sorted(one.image_id for one in ready))
        raise NotFound(f"{IMAGE_KEY}: {len(ready)} images with {wanted}: {ids}; give one by id")
    one = max(ready, key=lambda image: (re.sub(r"[^0-9]", "", image.created_time), image.image_id))
    if not one.support_cloud_init:
        raise NotFound(f"{IMAGE_KEY}: {one.image_id} has no cloud-init, which a node learns from who it is")
    return MachineImage(one.image_id, one.image_size)


def check_image(image: MachineImage, root: TencentRootDisk) -> None:
    """Refuse an image that does not fit on the system disk. Raises NotFound."""
    if image.size_gib > root.size_gib:
        raise NotFound(f"{ROOT_KEY} = {root.size_gib}: the image {image.id} needs {image.size_gib} GiB")


def check_network(config: TencentRegion, provider: pulumi.ProviderResource) -> None:
    """Refuse another CIDR than the standing VPC has. Raises NotFound.

    https://www.tencentcloud.com/document/product/215/31805
    """
    name = naming.name(config.stack_name, "vpc")
    try:
        found = vpc.get_instances(name=name, opts=pulumi.InvokeOptions(provider=provider)).instance_lists
    except Exception as error:  # as above
        raise NotFound(f"{standing.CIDR_KEY}: cannot see the network {name}: {reason(error)}") from None
    # The API finds names by a part of them. Several are what a lost answer leaves.
    there = {one.cidr_block for one in found or () if one.name == name}
    standing.keep_cidr(config.network.cidr, there, f"the network {name}")
