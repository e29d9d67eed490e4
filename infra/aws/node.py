"""The node of one pool: its launch template, and the user data that tells it who it is."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

from images import node as image_node
from images.render import render_user_data
from infra import catalog
from infra.aws.common import Scope
from infra.aws.lookups import CapacityBlock, MachineImage
from infra.node_config import node_config as shared_config

if TYPE_CHECKING:
    from infra.config import AwsRegion
    from infra.sections import Disk

PoolKind = Literal["spot", "on-demand", "capacity-block"]

LAUNCH_HOOK: Final = "ready"
TERMINATE_HOOK: Final = "drain"
DATA_DEVICE: Final = "/dev/sdf"
"""Any name of the range for data volumes will do: on Nitro both volumes show up as NVMe, told apart at boot.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html"""


def node_config(config: AwsRegion, pool: PoolKind, group: str, bucket: str) -> image_node.NodeConfig:
    """What a node of `group` is told, from the stack file."""
    return shared_config(
        config,
        pool,
        group,
        store=f"s3://{bucket}",
        secrets=image_node.Secrets(certificate=config.secrets.certificate, api_keys=config.secrets.api_keys),
        hooks=image_node.Hooks(launching=LAUNCH_HOOK, terminating=TERMINATE_HOOK),
        logs=image_node.Logs() if config.logs.ship else None,
    )


@dataclass(frozen=True, slots=True)
class NodeArgs:
    """What the launch templates of one pool are made from.

    label: the `Name` tag of its instances and volumes.
    types: machine types of the pool, preferred first; of a capacity block, none. security_group_ids: on every
    interface.
    """

    scope: Scope
    label: str
    config: image_node.NodeConfig
    types: Sequence[str]
    image: MachineImage
    instance_profile_arn: pulumi.Input[str]
    security_group_ids: Sequence[pulumi.Input[str]]
    root: Disk
    data: Disk
    efa: bool = False
    block: CapacityBlock | None = None


@dataclass(frozen=True, slots=True)
class TemplateRef:
    """A launch template at one version."""

    id: pulumi.Output[str]
    version: pulumi.Output[str]
    """Number of the newest version. Never `$Latest`: with it an edit of the template shows in no plan of the group."""


class Node(pulumi.ComponentResource):
    """Launch template(s) of one pool: one, or with EFA one per machine type, whose numbers of network cards differ."""

    default: TemplateRef
    by_type: Mapping[str, TemplateRef]
    """Templates of their own, by machine type; empty without EFA."""

    def __init__(self, name: str, args: NodeArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:aws:Node", name, None, opts)
        self._args = args
        self._user_data = base64.b64encode(render_user_data(args.config).encode()).decode()
        group = args.config.group
        self.by_type = {}
        if args.block is not None:
            self.default = self._template(name, group)
        elif not args.types:
            raise ValueError(f"{group}: no machine types")
        elif args.efa:
            self.by_type = {
                kind: self._template(f"{name}-{_dashed(kind)}", f"{group}-{_dashed(kind)}", kind)
                for kind in dict.fromkeys(args.types)
            }
            self.default = self.by_type[args.types[0]]
        else:
            self.default = self._template(name, group)
        self.register_outputs({"templateId": self.default.id, "templateVersion": self.default.version})

    def _template(self, resource: str, name: str, machine_type: str | None = None) -> TemplateRef:
        args = self._args
        block = args.block
        kind = machine_type if block is None else block.machine_type
        interfaces = efa_interfaces(kind, args.security_group_ids) if args.efa and kind is not None else None
        tags = args.scope.tags("node", args.label, pool=args.config.pool)
        template = aws.ec2.LaunchTemplate(
            resource,
            name=name,
            description=f"{args.config.pool} nodes of {args.scope.stack}",
            update_default_version=True,  # for people who launch by hand; the group names its version
            image_id=args.image.id,
            instance_type=None if block is None else block.machine_type,  # else the group's overrides say it
            user_data=self._user_data,
            ebs_optimized="true",
            instance_initiated_shutdown_behavior="terminate",
            monitoring=aws.ec2.LaunchTemplateMonitoringArgs(enabled=True),  # CPU every minute, not every five
            iam_instance_profile=aws.ec2.LaunchTemplateIamInstanceProfileArgs(arn=args.instance_profile_arn),
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                http_put_response_hop_limit=1,  # vLLM runs as a unit, not in a container: no hop to allow for
            ),
            block_device_mappings=[
                _volume(args.image.root_device, args.root),
                _volume(DATA_DEVICE, args.data),
            ],
            # Security groups go on the interfaces where there are any; EC2 refuses both.
            vpc_security_group_ids=None if args.efa else list(args.security_group_ids),
            network_interfaces=interfaces,
            instance_market_options=(
                None if block is None else aws.ec2.LaunchTemplateInstanceMarketOptionsArgs(market_type="capacity-block")
            ),
            capacity_reservation_specification=(
                None
                if block is None
                else aws.ec2.LaunchTemplateCapacityReservationSpecificationArgs(
                    capacity_reservation_target=(
                        aws.ec2.LaunchTemplateCapacityReservationSpecificationCapacityReservationTargetArgs(
                            capacity_reservation_id=block.id
                        )
                    )
                )
            ),
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
                for kind in ("instance", "volume", "network-interface")
            ],
            tags=tags,
            opts=ResourceOptions(parent=self),
        )
        return TemplateRef(template.id, template.latest_version.apply(str))


def _dashed(machine_type: str) -> str:
    return machine_type.replace(".", "-")


def _volume(device: str, disk: Disk) -> aws.ec2.LaunchTemplateBlockDeviceMappingArgs:
    return aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
        device_name=device,
        ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
            volume_type="gp3",
            volume_size=disk.size_gib,
            iops=disk.iops,
            throughput=disk.throughput_mbps,
            encrypted="true",
            delete_on_termination="true",
        ),
    )


def efa_interfaces(
    machine_type: str, security_group_ids: Sequence[pulumi.Input[str]]
) -> list[aws.ec2.LaunchTemplateNetworkInterfaceArgs]:
    """The interfaces of an EFA node: one ordinary primary, and an EFA-only one on every card that takes it.

    Card 0 carries the ordinary interface (EFA-only cannot be primary) and, as device 1, an EFA one where that card
    supports it; each further card carries one as device 0. No public address anywhere: EC2 refuses to give one to an
    instance with several interfaces. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-acc-inst-types.html
    Raises ValueError for a machine type without EFA.
    """
    machine = catalog.machine(machine_type)
    if machine.efa == 0:
        raise ValueError(f"{machine_type} has no EFA; expected efa: false, or machine types with EFA only")
    cards = range(machine.efa_first_card, machine.efa_first_card + machine.efa)
    if cards.stop > machine.network_cards:
        raise ValueError(f"{machine_type}: {machine.efa} EFA on {machine.network_cards} network cards")
    layout = [(0, 0, "interface"), *((card, 1 if card == 0 else 0, "efa-only") for card in cards)]
    return [
        aws.ec2.LaunchTemplateNetworkInterfaceArgs(
            network_card_index=card,
            device_index=device,
            interface_type=kind,
            security_groups=list(security_group_ids),
            delete_on_termination="true",
        )
        for card, device, kind in layout
    ]
