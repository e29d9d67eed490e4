"""The node of one pool: the machine profile of its scale set, and the user data that tells it who it is.

There is no launch template on Azure: the profile is a part of the scale set, so a node is a value here and no resource.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

import pulumi
import pulumi_azure_native as azure

from images import node as image_node
from images.render import render_user_data
from infra.azure import names
from infra.azure.common import Scope
from infra.azure.disks import performance
from infra.azure.lookups import MachineImage
from infra.node_config import node_config as shared_config

if TYPE_CHECKING:
    from infra.azure.sections import AzureDataDisk, AzureRootDisk
    from infra.config import AzureRegion

PoolKind = Literal["spot", "on-demand"]

DATA_LUN: Final = 0
"""The node finds its data volume by it: /dev/disk/azure/data/by-lun/0."""
ADMIN: Final = "spillway"
# https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-terminate-notification
NOTICE_MINUTES: Final = (5, 15)


def node_config(config: AzureRegion, pool: PoolKind, group: str, account: str, vault: str) -> image_node.NodeConfig:
    """What a node of the scale set `group` is told, from the stack file; account and vault by name."""
    return shared_config(
        config,
        pool,
        group,
        store=f"az://{account}",
        secrets=image_node.Secrets(
            certificate=names.secret_url(vault, config.secrets.certificate),
            api_keys=names.secret_url(vault, config.secrets.api_keys),
        ),
    )


@dataclass(frozen=True, slots=True)
class NodeArgs:
    """What the nodes of one pool are made from.

    machine_type: of the whole pool; a scale set has one, as instance mix has no GPU families
    (https://learn.microsoft.com/azure/virtual-machine-scale-sets/instance-mix-overview). zones: those that offer it; ()
    where the region offers it outside of zones. identity_id: what the
    node is. pool_id: the balancer's backend pool. logs: where its logs go, known once that stands; None: nowhere.
    """

    scope: Scope
    config: image_node.NodeConfig
    machine_type: str
    zones: Sequence[str]
    image: MachineImage
    identity_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    pool_id: pulumi.Input[str]
    root: AzureRootDisk
    data: AzureDataDisk
    logs: pulumi.Output[image_node.Logs] | None = None


def _user_data(config: image_node.NodeConfig) -> str:
    return base64.b64encode(render_user_data(config).encode()).decode()


class Node:
    """The nodes of one pool, as its scale set takes them."""

    machine_type: str
    zones: tuple[str, ...]
    group: str
    """The scale set, by name."""
    pool: Literal["spot", "on-demand", "capacity-block"]
    identity_id: pulumi.Input[str]
    profile: azure.compute.VirtualMachineScaleSetVMProfileArgs

    def __init__(self, args: NodeArgs) -> None:
        self.machine_type, self.zones = args.machine_type, tuple(sorted(args.zones))
        self.group, self.pool, self.identity_id = args.config.group, args.config.pool, args.identity_id
        spot = self.pool == "spot"
        self.profile = azure.compute.VirtualMachineScaleSetVMProfileArgs(
            priority="Spot" if spot else "Regular",
            # Deallocated machines would go on costing their disks and counting against the quota.
            # https://learn.microsoft.com/azure/virtual-machine-scale-sets/use-spot
            eviction_policy="Delete" if spot else None,
            billing_profile=azure.compute.BillingProfileArgs(max_price=-1) if spot else None,  # up to the ordinary one
            user_data=_user_data(args.config)
            if args.logs is None
            else args.logs.apply(lambda logs: _user_data(args.config.model_copy(update={"logs": logs}))),
            storage_profile=azure.compute.VirtualMachineScaleSetStorageProfileArgs(
                image_reference=azure.compute.ImageReferenceArgs(id=args.image.id),
                # Managed disks are always encrypted, with keys of the platform:
                # https://learn.microsoft.com/azure/virtual-machines/disk-encryption
                os_disk=azure.compute.VirtualMachineScaleSetOSDiskArgs(
                    create_option="FromImage",
                    caching="ReadOnly",
                    disk_size_gb=args.root.size_gib,
                    managed_disk=_managed("Premium_LRS"),
                ),
                data_disks=[data_disk(args.machine_type, self.zones, args.data)],
            ),
            os_profile=azure.compute.VirtualMachineScaleSetOSProfileArgs(
                computer_name_prefix=names.computer_prefix(self.pool),
                admin_username=ADMIN,
                linux_configuration=azure.compute.LinuxConfigurationArgs(
                    disable_password_authentication=True,
                    provision_vm_agent=True,  # it runs the health extension
                    ssh=azure.compute.SshConfigurationArgs(
                        public_keys=[
                            azure.compute.SshPublicKeyArgs(
                                path=f"/home/{ADMIN}/.ssh/authorized_keys", key_data=nobodys_key()
                            )
                        ]
                    ),
                ),
            ),
            network_profile=azure.compute.VirtualMachineScaleSetNetworkProfileArgs(
                network_interface_configurations=[
                    azure.compute.VirtualMachineScaleSetNetworkConfigurationArgs(
                        name="nic",
                        primary=True,
                        enable_accelerated_networking=True,
                        ip_configurations=[
                            azure.compute.VirtualMachineScaleSetIPConfigurationArgs(
                                name="ip",
                                primary=True,
                                # No public address: there is none unless one is asked for.
                                subnet=azure.compute.ApiEntityReferenceArgs(id=args.subnet_id),
                                load_balancer_backend_address_pools=[azure.compute.SubResourceArgs(id=args.pool_id)],
                            )
                        ],
                    )
                ]
            ),
            extension_profile=azure.compute.VirtualMachineScaleSetExtensionProfileArgs(
                extensions=[health_extension(args.config)]
            ),
            scheduled_events_profile=azure.compute.ScheduledEventsProfileArgs(
                terminate_notification_profile=azure.compute.TerminateNotificationProfileArgs(
                    enable=True, not_before_timeout=notice(args.config.drain)
                )
            ),
            # The serial log, without an account of one's own: what is left to look at where nobody can log in.
            # https://learn.microsoft.com/azure/virtual-machines/boot-diagnostics
            diagnostics_profile=azure.compute.DiagnosticsProfileArgs(
                boot_diagnostics=azure.compute.BootDiagnosticsArgs(enabled=True)
            ),
        )


def notice(drain: image_node.Drain) -> str:
    """How long Azure waits, at the longest, before it deletes a machine that the set gives up: an ISO 8601 duration.

    The node acknowledges the event as soon as it has drained. Raises ValueError for a drain that takes longer than any
    notice.
    """
    low, high = NOTICE_MINUTES
    minutes = max(low, math.ceil((drain.deregister_seconds + drain.drain_seconds) / 60))
    if minutes > high:
        raise ValueError(f"drain: takes {minutes} minutes, expected at most {high}")
    return f"PT{minutes}M"


def health_extension(config: image_node.NodeConfig) -> azure.compute.VirtualMachineScaleSetExtensionArgs:
    """Who tells the scale set how a node is: the answer of its own `/livez`.

    Binary states (handler 1.0), not rich ones: `/livez` then is the same plain 200 as on other clouds, and a node that
    answers nothing is unhealthy and repaired, where rich states call it Unknown. The grace is the set's own.
    https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-health-extension
    """
    return azure.compute.VirtualMachineScaleSetExtensionArgs(
        name="health",
        publisher="Microsoft.ManagedServices",
        type="ApplicationHealthLinux",
        type_handler_version="1.0",
        auto_upgrade_minor_version=True,
        settings={
            "protocol": "https",
            "port": config.serving.port,
            "requestPath": config.serving.live_path,
            "intervalInSeconds": 10,
            "numberOfProbes": 3,
        },
    )


def data_disk(
    machine_type: str, zones: Sequence[str], disk: AzureDataDisk
) -> azure.compute.VirtualMachineScaleSetDataDiskArgs:
    """The data volume.

    In zones Premium SSD v2 with what was asked for, and no more than the machine or the size of the disk lets through:
    beyond that it would be paid for and never seen. Outside of zones there is only Premium SSD, whose performance goes
    by its size.
    https://learn.microsoft.com/azure/virtual-machines/disks-deploy-premium-v2#limitations
    """
    if not zones:
        return azure.compute.VirtualMachineScaleSetDataDiskArgs(
            lun=DATA_LUN,
            create_option="Empty",
            caching="None",
            disk_size_gb=disk.size_gib,
            managed_disk=_managed("Premium_LRS"),
        )
    iops, mbps = performance(machine_type, disk)
    return azure.compute.VirtualMachineScaleSetDataDiskArgs(
        lun=DATA_LUN,
        create_option="Empty",
        caching="None",  # the only one of this type
        disk_size_gb=disk.size_gib,
        managed_disk=_managed("PremiumV2_LRS"),
        disk_iops_read_write=iops,
        disk_m_bps_read_write=mbps,
    )


def _managed(kind: str) -> azure.compute.VirtualMachineScaleSetManagedDiskParametersArgs:
    return azure.compute.VirtualMachineScaleSetManagedDiskParametersArgs(storage_account_type=kind)


# Ed25519: https://datatracker.ietf.org/doc/html/rfc8032#section-5.1
_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P


@lru_cache(maxsize=1)
def nobodys_key() -> str:
    """An SSH public key (Ed25519) whose private half nobody has or ever had, the same in every run.

    Azure makes no machine of a generalized image without a password or a key. A generated pair would need somebody to
    forget its half, and change with every plan or lie in a state file. This one is a point of the curve that a hash of
    a sentence names, so that its private half is as hard to find as that of a stranger's key, and everybody can check
    it. A specialized image would need neither, but all its machines would share one host key and one machine id.
    https://learn.microsoft.com/azure/virtual-machines/linux/mac-create-ssh-keys (Ed25519 is taken)
    """
    for number in range(256):
        digest = hashlib.sha256(f"Spillway: nobody logs in to a node; attempt {number}".encode()).digest()
        y = int.from_bytes(digest, "little") & ((1 << 255) - 1)
        if y < _P and _on_curve(y):
            point = y.to_bytes(32, "little")
            blob = b"".join(struct.pack(">I", len(part)) + part for part in (b"ssh-ed25519", point))
            return f"ssh-ed25519 {base64.b64encode(blob).decode()} nobody"
    raise AssertionError("half of all numbers are on the curve")


def _on_curve(y: int) -> bool:
    """Whether a point has this y: x^2 = (y^2 - 1) / (d y^2 + 1) has a root, by Euler's criterion."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    return square != 0 and pow(square, (_P - 1) // 2, _P) == 1
