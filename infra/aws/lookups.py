"""What a region needs to know of the account before it builds: the baked image, and capacity blocks that were bought.

Looked up first and waited for, so that what is missing is one clear line while nothing is registered yet, and so that
every answer is a plain value that a preview can show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
import pulumi_aws as aws

from infra import cidr, naming, standing
from infra.faults import NotFound, reason

if TYPE_CHECKING:
    from infra.config import AwsRegion
    from infra.sections import Image, Network

FAMILY_TAG: Final = "spillway:family"
VERSION_TAG: Final = "spillway:version"
BLOCKS_KEY: Final = "spillway:region.pools.reservations.capacityBlocks"

CHECKERS_KEY: Final = "spillway:region.network.checkers"


@dataclass(frozen=True, slots=True)
class MachineImage:
    """A baked image. root_device: the name of its root volume, which differs between distributions."""

    id: str
    root_device: str


@dataclass(frozen=True, slots=True)
class CapacityBlock:
    """A capacity block for ML: type, zone and size are fixed by the purchase. end: RFC 3339, UTC."""

    id: str
    machine_type: str
    zone: str
    count: int
    end: str


def image_filters(image: Image) -> dict[str, str]:
    """The filters of DescribeImages that find the image: its id, or family and version, or the family alone.

    Raises ValueError when the stack file gives neither.
    """
    if image.id is not None:
        return {"image-id": image.id}
    if image.family is None or (image.version is None and not image.newest):
        raise ValueError("image: expected an id, or family and version, or family and newest")
    filters = {f"tag:{FAMILY_TAG}": image.family, "state": "available"}
    if image.version is not None and not image.newest:
        filters[f"tag:{VERSION_TAG}"] = image.version
    return filters


def find_image(image: Image, provider: pulumi.ProviderResource) -> MachineImage:
    """The image in the provider's region and account. Raises NotFound.

    Only `newest` chooses by date. Otherwise two images of one family and version are refused: a bake elsewhere must not
    change a plan.
    """
    filters = image_filters(image)
    try:
        found = aws.ec2.get_ami(
            # An image by id may be shared from a build account; by tag only the account's own is trusted: anybody can
            # publish an image with these tags.
            owners=None if image.id is not None else ["self"],
            most_recent=image.newest,
            filters=[aws.ec2.GetAmiFilterArgs(name=key, values=[value]) for key, value in filters.items()],
            opts=pulumi.InvokeOptions(provider=provider),
        )
    except Exception as error:  # the SDK raises plain Exception for whatever the provider answers
        wanted = ", ".join(f"{key}={value}" for key, value in filters.items())
        raise NotFound(f"spillway:region.image: cannot find an image with {wanted}: {reason(error)}") from None
    return MachineImage(found.id, found.root_device_name)


def find_checkers(network: Network, region: str, provider: pulumi.ProviderResource) -> dict[str, str]:
    """The prefix lists of the health checkers that `network.clients` leaves out, by name. Raises NotFound.

    AWS keeps the list of Route 53's checkers:
    https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html
    """
    if "route53" not in network.checkers or cidr.is_open(network.clients):
        return {}
    name = f"com.amazonaws.{region}.route53-healthchecks"
    try:
        found = aws.ec2.get_managed_prefix_list(name=name, opts=pulumi.InvokeOptions(provider=provider))
    except Exception as error:  # as above
        raise NotFound(f"{CHECKERS_KEY}: cannot find the prefix list {name}: {reason(error)}") from None
    return {"route53": found.id}


def check_network(config: AwsRegion, provider: pulumi.ProviderResource) -> None:
    """Refuse another CIDR than the standing VPC has; AWS changes no VPC's first one. Raises NotFound.

    https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
    """
    try:
        found = aws.ec2.get_vpc(
            tags={"spillway:stack": config.stack_name}, opts=pulumi.InvokeOptions(provider=provider)
        )
    except Exception as error:  # as above
        # Several are what a lost answer leaves, and `spillway recover`, which plans first, is for that.
        if standing.is_absent(error) or "multiple" in str(error):
            return
        raise NotFound(f"{standing.CIDR_KEY}: cannot see the VPC of {config.stack_name}: {reason(error)}") from None
    standing.keep_cidr(config.network.cidr, [found.cidr_block], f"the network {found.id}")


def check_zones(config: AwsRegion, provider: pulumi.ProviderResource) -> None:
    """Refuse to take a zone away from a standing region; more may be added. Raises NotFound.

    The network load balancer has an address in each zone, and the provider replaces one that loses a subnet
    (https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/elbv2/load_balancer.go), whose name
    is taken until the old one goes. Groups and balancer have the same zones, so the first group tells.
    """
    group = naming.pool_name(config.stack_name, naming.POOLS[0])
    try:
        found = aws.autoscaling.get_group(name=group, opts=pulumi.InvokeOptions(provider=provider))
    except Exception as error:  # as above
        if standing.is_absent(error):
            return
        raise NotFound(f"{standing.ZONES_KEY}: cannot see the group {group}: {reason(error)}") from None
    if found.availability_zones:
        why = "the load balancer has an address in each, and would be replaced by another with other addresses"
        standing.keep_zones(config.zones, found.availability_zones, f"the group {group}", grows=True, why=why)


def find_block(reservation: str, provider: pulumi.ProviderResource) -> CapacityBlock:
    """A capacity block by the id of its reservation. Raises NotFound."""
    try:
        found = aws.ec2.get_capacity_block_reservation(id=reservation, opts=pulumi.InvokeOptions(provider=provider))
    except Exception as error:  # as above
        raise NotFound(f"{BLOCKS_KEY}: cannot find the capacity block {reservation}: {reason(error)}") from None
    return CapacityBlock(
        reservation, found.instance_type, found.availability_zone, found.instance_count, found.end_date
    )


def check_block(block: CapacityBlock, config: AwsRegion) -> None:
    """Refuse a block that the region has no subnet for, or whose machines the model was not checked against.

    Both are known only from the account, and here nothing is registered yet. Raises NotFound.
    """
    if block.zone not in config.zones:
        zones = ", ".join(config.zones)
        raise NotFound(f"{BLOCKS_KEY} = {block.id}: is in {block.zone}; has to be in one of the stack's zones: {zones}")
    if block.machine_type not in config.all_types:
        types = ", ".join(config.all_types)
        raise NotFound(
            f"{BLOCKS_KEY} = {block.id}: holds {block.machine_type}; has to be one of the pools' types: {types}"
        )
