"""The groups of nodes: a scale set of spot machines, and one of regular ones beside it.

No cloud falls back from spot to on-demand inside one group: a mix of priorities is a ratio only
(https://learn.microsoft.com/azure/virtual-machine-scale-sets/spot-priority-mix), so there are two. Both are made empty;
the fallback function alone sets how many nodes they have, by the stack file's target, floor and max. An update sends
back the number that was found before it (`lookups.find_pool`), as it cannot send none: a plan may show a change of
the capacity that is only the state catching up.

A new model of a scale set reaches the nodes that come after it, never those that serve: an upgrade that an `up` starts
would end working nodes, and where capacity is short they do not come back. One at a time and by hand:
`az vmss update-instances --resource-group ... --name ... --instance-ids ...`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_azure_native as azure
from pulumi import ResourceOptions

from infra.azure.checks import GRACE_MINUTES
from infra.azure.common import Scope
from infra.azure.node import Node

DELETE_TIMEOUT: Final = "30m"

_PROFILE: Final = "virtualMachineProfile"
# Fixed at creation, and Azure refuses them half way through an update; so a plan says that they replace the set (which
# its protection then stops). Zones are not among them: they may be added, and Azure says what else it does not take.
# https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-upgrade-scale-set#properties-with-restrictions-on-modification
FIXED: Final = (
    "orchestrationMode",
    "platformFaultDomainCount",
    "zoneBalance",
    f"{_PROFILE}.priority",
    f"{_PROFILE}.evictionPolicy",
    f"{_PROFILE}.osProfile.computerNamePrefix",
    f"{_PROFILE}.osProfile.adminUsername",
    f"{_PROFILE}.storageProfile.osDisk.createOption",
    f"{_PROFILE}.storageProfile.osDisk.managedDisk.storageAccountType",
)


@dataclass(frozen=True, slots=True)
class PoolsArgs:
    """What the pools are made from.

    group: the resource group's name, known once it stands. spot, on_demand: their nodes. grace_seconds: from launch
    until a node that is not alive is replaced; longer than a boot, 10 to 90 minutes. spot_capacity, on_demand_capacity:
    how many nodes they have now (`lookups.find_pool`), 0 at first. after: what has to stand before a node boots.
    """

    scope: Scope
    group: pulumi.Input[str]
    spot: Node
    on_demand: Node
    spot_capacity: int
    on_demand_capacity: int
    grace_seconds: int
    after: Sequence[pulumi.Resource]


class Pools(pulumi.ComponentResource):
    """Spot scale set and on-demand scale set."""

    spot_group: pulumi.Output[str]
    on_demand_group: pulumi.Output[str]
    spot_group_id: pulumi.Output[str]
    on_demand_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: PoolsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:azure:Pools", name, None, opts)
        low, high = GRACE_MINUTES
        if args.grace_seconds % 60 or not low * 60 <= args.grace_seconds <= high * 60:
            raise ValueError(f"pools: grace of {args.grace_seconds} s: expected whole minutes, {low} to {high}")
        if (args.spot.pool, args.on_demand.pool) != ("spot", "on-demand"):
            raise ValueError(f"pools: nodes of {args.spot.pool} and {args.on_demand.pool}: expected spot and on-demand")
        self._name, self._args = name, args
        spot = self._scale_set(args.spot, args.spot_capacity)
        on_demand = self._scale_set(args.on_demand, args.on_demand_capacity)
        self.spot_group, self.spot_group_id = spot.name, spot.id
        self.on_demand_group, self.on_demand_group_id = on_demand.name, on_demand.id
        self.register_outputs({"spotGroup": self.spot_group, "onDemandGroup": self.on_demand_group})

    def _scale_set(self, node: Node, capacity: int) -> azure.compute.VirtualMachineScaleSet:
        args, scope = self._args, self._args.scope
        return azure.compute.VirtualMachineScaleSet(
            f"{self._name}-{node.pool}",
            vm_scale_set_name=node.group,
            resource_group_name=args.group,
            location=scope.region,
            orchestration_mode="Uniform",
            sku=azure.compute.SkuArgs(name=node.machine_type, tier="Standard", capacity=capacity),
            zones=list(node.zones) or None,
            # As even as it can be had, but never refused or ended for the sake of symmetry: GPUs are scarce.
            zone_balance=False if node.zones else None,
            platform_fault_domain_count=1,  # spread as far as possible
            single_placement_group=False,  # no InfiniBand between nodes, each serves by itself
            overprovision=False,  # it would start more GPU machines than asked for, and end some of them
            upgrade_policy=azure.compute.UpgradePolicyArgs(mode="Manual"),
            scale_in_policy=azure.compute.ScaleInPolicyArgs(rules=["Default"], prioritize_unhealthy_vms=True),
            automatic_repairs_policy=azure.compute.AutomaticRepairsPolicyArgs(
                # By /livez alone: an overloaded, staging or draining node is unready without being ill.
                enabled=True,
                grace_period=f"PT{args.grace_seconds // 60}M",
                repair_action="Replace",
            ),
            identity=azure.compute.VirtualMachineScaleSetIdentityArgs(
                type="UserAssigned", user_assigned_identities=[node.identity_id]
            ),
            virtual_machine_profile=node.profile,
            tags=scope.tags("pools", pool=node.pool),
            opts=ResourceOptions(
                parent=self,
                protect=True,
                depends_on=list(args.after),
                # Changes of the capacity are not ignored: what is ignored is sent as the state has it, which is older
                # than what was found.
                replace_on_changes=list(FIXED),
                custom_timeouts=pulumi.CustomTimeouts(delete=DELETE_TIMEOUT),
            ),
        )
