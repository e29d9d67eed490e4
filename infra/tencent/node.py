"""The node of the pool: its launch configuration, and the user data that tells it who it is."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
from pulumi import ResourceOptions
from tencentcloud_iac_pulumi import as_

from images import node as image_node
from images.render import render_user_data
from infra import catalog
from infra.node_config import node_config as shared_config
from infra.tencent.common import Scope
from infra.tencent.network import PROBE_PORT

if TYPE_CHECKING:
    from infra.config import TencentRegion
    from infra.tencent.lookups import MachineImage
    from infra.tencent.sections import TencentDataDisk, TencentRootDisk

TYPES_MAX: Final = 10
"""instance_types in tencentcloud/services/as/resource_tc_as_scaling_config.go of the provider. User data may have 16 KB
there, which is the template's own limit as well."""


def node_config(config: TencentRegion, group: str, bucket: str) -> image_node.NodeConfig:
    """What a node of `group` is told, from the stack file."""
    shared = shared_config(
        config,
        "on-demand",
        group,
        store=f"cos://{bucket}",
        secrets=image_node.Secrets(certificate=config.secrets.certificate, api_keys=config.secrets.api_keys),
    )
    return shared.model_copy(update={"serving": shared.serving.model_copy(update={"probe_port": PROBE_PORT})})


@dataclass(frozen=True, slots=True)
class NodeArgs:
    """What the launch configuration is made from. types: machine types of the pool, preferred first."""

    scope: Scope
    config: image_node.NodeConfig
    types: Sequence[str]
    image: MachineImage
    role_name: pulumi.Input[str]
    security_group_ids: Sequence[pulumi.Input[str]]
    root: TencentRootDisk
    data: TencentDataDisk


class Node(pulumi.ComponentResource):
    """Launch configuration of the pool. Edited in place: nodes that stand keep theirs, new ones get the edited one."""

    configuration_id: pulumi.Output[str]

    def __init__(self, name: str, args: NodeArgs, opts: ResourceOptions | None = None) -> None:
        """Raises ValueError without machine types, with too many, and for one that is not sold on demand."""
        super().__init__("spillway:tencent:Node", name, None, opts)
        scope, group = args.scope, args.config.group
        if not 1 <= len(args.types) <= TYPES_MAX:
            raise ValueError(f"{group}: {len(args.types)} machine types: expected 1 to {TYPES_MAX}")
        for one in args.types:
            if "on-demand" not in catalog.machine(one).usage_classes:
                raise ValueError(f"{group}: {one} is not sold on demand")
        tags = scope.tags("node", pool="on-demand")
        configuration = as_.ScalingConfig(
            name,
            configuration_name=scope.name("on-demand"),
            image_id=args.image.id,
            instance_types=list(args.types),
            instance_charge_type="POSTPAID_BY_HOUR",
            # In the order of the file, never one that it does not name.
            disk_type_policy="ORIGINAL",
            system_disk_type=args.root.type,
            system_disk_size=args.root.size_gib,
            data_disks=[
                as_.ScalingConfigDataDiskArgs(
                    disk_type=args.data.type, disk_size=args.data.size_gib, delete_with_instance=True
                )
            ],
            public_ip_assigned=False,
            internet_max_bandwidth_out=0,
            security_group_ids=list(args.security_group_ids),
            cam_role_name=args.role_name,
            # No password and no key: nobody logs in. Without it the cloud would set a password and mail it.
            keep_image_login=True,
            # The monitor measures the CPU. The agents for remote commands and for host security stay off: the first is
            # a way in, and both are software on the node that the image does not have.
            enhanced_monitor_service=True,
            enhanced_security_service=False,
            enhanced_automation_tools_service=False,
            user_data=base64.b64encode(render_user_data(args.config).encode()).decode(),
            instance_name_settings=as_.ScalingConfigInstanceNameSettingsArgs(
                instance_name=group, instance_name_style="UNIQUE"
            ),
            instance_tags=tags,
            tags=tags,
            opts=ResourceOptions(parent=self),
        )
        self.configuration_id = configuration.id
        self.register_outputs({"configurationId": self.configuration_id})
