"""The node of one pool: its instance template, and the user data that tells it who it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pulumi
import pulumi_gcp as gcp
from pulumi import ResourceOptions

from images import node as image_node
from images.render import render_user_data
from infra import catalog
from infra.gcp import names
from infra.gcp.common import Scope
from infra.gcp.disks import Data, Root, by_layout, disks, layout
from infra.naming import Pool
from infra.node_config import node_config as shared_config

if TYPE_CHECKING:
    from infra.config import GcpRegion
    from infra.gcp.lookups import MachineImage

# https://docs.cloud.google.com/compute/docs/instances/create-use-spot
NOTICE_SECONDS: Final = 120
"""The notice ahead of a preemption; there is this one or none."""
SHUTDOWN_SECONDS: Final = 30
"""What there is without a notice."""

_SPOT: Final[Mapping[str, Any]] = {
    "provisioning_model": "SPOT",
    "preemptible": True,
    "automatic_restart": False,
    "on_host_maintenance": "TERMINATE",
    # Stopped, it would go on paying for its disks, and come back with empty local SSDs; its group makes another one.
    "instance_termination_action": "DELETE",
}
_STANDARD: Final[Mapping[str, Any]] = {
    "provisioning_model": "STANDARD",
    "preemptible": False,
    "automatic_restart": True,
    # https://docs.cloud.google.com/compute/docs/gpus/gpu-host-maintenance: instances with GPUs cannot migrate.
    "on_host_maintenance": "TERMINATE",
}


def scheduling(pool: Pool, notice_seconds: int) -> dict[str, Any]:
    """How instances of a pool are had and how they end; a template has one provisioning model, and so has a group.

    A spot node that counts on more than the shutdown's own 30 s asks for a notice.
    """
    if pool == "on-demand":
        return dict(_STANDARD)
    notice = {"preemption_notice_duration": {"seconds": NOTICE_SECONDS}} if notice_seconds > SHUTDOWN_SECONDS else {}
    return {**_SPOT, **notice}


def node_config(config: GcpRegion, pool: Pool, group: str, bucket: str) -> image_node.NodeConfig:
    """What a node of `group` is told, from the stack file."""
    return shared_config(
        config,
        pool,
        group,
        store=f"gs://{bucket}",
        secrets=image_node.Secrets(certificate=config.secrets.certificate, api_keys=config.secrets.api_keys),
        logs=image_node.Logs() if config.logs.ship else None,
    )


@dataclass(frozen=True, slots=True)
class NodeArgs:
    """What the instance template of one pool is made from.

    types: machine types of the pool, preferred first. tags: network tags that firewall rules know nodes by.
    """

    scope: Scope
    pool: Pool
    config: image_node.NodeConfig
    types: Sequence[str]
    image: MachineImage
    account_email: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    tags: Sequence[str]
    root: Root
    data: Data


@dataclass(frozen=True, slots=True)
class Selection:
    """Machine types with the same disks. disks: None where they are the template's own."""

    types: tuple[str, ...]
    disks: list[dict[str, Any]] | None


def selections(args: NodeArgs) -> tuple[Selection, ...]:
    """The pool's types by the disks they take, in order of first mention; the first type's disks are the template's.

    https://docs.cloud.google.com/compute/docs/instance-groups/about-instance-flexibility
    """
    own = layout(args.types[0])
    return tuple(
        Selection(tuple(types), None if chosen == own else _disks(args, types[0]))
        for chosen, types in by_layout(args.types).items()
    )


def _disks(args: NodeArgs, machine_type: str) -> list[dict[str, Any]]:
    labels = args.scope.labels("node", pool=args.pool)
    return disks(layout(machine_type), args.image.id, args.root, args.data, labels)


def content(args: NodeArgs) -> dict[str, Any]:
    """All of the template but its name and the links to what else is in the stack; plain values, in the SDK's words.

    Raises ValueError without machine types, and for one that does not come as what the pool is made of.
    """
    if not args.types:
        raise ValueError(f"{args.config.group}: no machine types")
    for name in args.types:
        allowed = catalog.machine(name).usage_classes
        if args.pool not in allowed:
            raise ValueError(f"{args.config.group}: {name} does not come as {args.pool}, only as {', '.join(allowed)}")
    return {
        "description": f"{args.pool} nodes of {args.scope.stack}",
        "instance_description": f"{args.pool} node of {args.scope.stack}",
        "machine_type": args.types[0],
        "can_ip_forward": False,
        "disks": _disks(args, args.types[0]),
        "scheduling": scheduling(args.pool, args.config.drain.notice_seconds),
        "metadata": {
            "user-data": render_user_data(args.config),
            "block-project-ssh-keys": "true",
            "serial-port-enable": "false",
        },
        "tags": list(args.tags),
        "labels": args.scope.labels("node", pool=args.pool),
        # Secure Boot stays off: NVIDIA's driver is signed for it in some builds only.
        # https://docs.cloud.google.com/compute/docs/gpus/install-drivers-gpu#secure-boot
        "shielded_instance_config": {
            "enable_secure_boot": False,
            "enable_vtpm": True,
            "enable_integrity_monitoring": True,
        },
    }


class Node(pulumi.ComponentResource):
    """Instance template of one pool, and which types may stand in for its own."""

    template: pulumi.Output[str]
    """Self link."""
    selections: Sequence[Selection]

    def __init__(self, name: str, args: NodeArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:gcp:Node", name, None, opts)
        scope = args.scope
        plain = content(args)
        self.selections = selections(args)
        # Machine types beside the first one change the group, not the template, so they are not in its name.
        template = gcp.compute.RegionInstanceTemplate(
            name,
            name=names.template_name(scope.stack, args.pool, plain),
            region=scope.region,
            **plain,
            # gVNIC: the only card that A3 and later take, and the faster one before. No access config, no public
            # address. https://docs.cloud.google.com/compute/docs/networking/using-gvnic
            network_interfaces=[
                gcp.compute.RegionInstanceTemplateNetworkInterfaceArgs(subnetwork=args.subnet_id, nic_type="GVNIC")
            ],
            # Rights are the account's roles; scopes would only narrow them once more.
            # https://docs.cloud.google.com/compute/docs/access/service-accounts#scopes_best_practice
            service_account=gcp.compute.RegionInstanceTemplateServiceAccountArgs(
                email=args.account_email, scopes=["cloud-platform"]
            ),
            opts=ResourceOptions(parent=self),
        )
        self.template = template.self_link
        self.register_outputs({"template": self.template})
