"""The groups of nodes: spot first, on-demand beside it, each over several machine types and all zones.

A template has one provisioning model and so has its group; nothing in Google Cloud falls back from one to the other, so
there are two, and the fallback function moves capacity between them.

A new template reaches a pool as its nodes are replaced, never by a rollout that an `up` starts: a rollout ends working
nodes, and where capacity is short they do not come back. To roll out at once, with no node ended before its successor
stands: `gcloud compute instance-groups managed rolling-action replace GROUP --region REGION --max-unavailable 0`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_gcp as gcp
from pulumi import ResourceOptions

from infra.gcp import names
from infra.gcp.common import Scope
from infra.gcp.limits import GRACE_MAX, SELECTIONS_MAX, TYPES_PER_SELECTION
from infra.gcp.node import Node, Selection
from infra.naming import Pool

PORT: Final = 443
LIVE_PATH: Final = "/livez"


@dataclass(frozen=True, slots=True)
class PoolsArgs:
    """What the pools are made from.

    spot, on_demand: their nodes. on_demand_types: preferred first. zones: full names. grace_seconds: longer than a
    boot. after: what has to stand before a node boots.
    """

    scope: Scope
    spot: Node
    on_demand: Node
    on_demand_types: Sequence[str]
    zones: Sequence[str]
    grace_seconds: int
    after: Sequence[pulumi.Resource]


@dataclass(frozen=True, slots=True)
class Choice:
    """One instance selection: its name, machine types of the same disks, and rank, the lowest first."""

    name: str
    selection: Selection
    rank: int


def equal_choices(selections: Sequence[Selection]) -> list[Choice]:
    """Spot: any type, wherever there is most of it; all of one rank, so that capacity decides."""
    parts = [
        Selection(selection.types[start : start + TYPES_PER_SELECTION], selection.disks)
        for selection in selections
        for start in range(0, len(selection.types), TYPES_PER_SELECTION)
    ]
    return _limited([Choice(f"types-{i}", part, 1) for i, part in enumerate(parts, 1)])


def ranked_choices(selections: Sequence[Selection], types: Sequence[str]) -> list[Choice]:
    """On-demand: the stack file's order, one rank for each type."""
    disks = {name: selection.disks for selection in selections for name in selection.types}
    return _limited([Choice(name, Selection((name,), disks[name]), i) for i, name in enumerate(types, 1)])


def _limited(choices: list[Choice]) -> list[Choice]:
    if len(choices) > SELECTIONS_MAX:
        raise ValueError(f"{len(choices)} instance selections, the limit is {SELECTIONS_MAX}: name fewer machine types")
    return choices


class Pools(pulumi.ComponentResource):
    """Spot group, on-demand group, and the check that finds nodes that are dead."""

    spot_group: pulumi.Output[str]
    """Name of the instance group manager."""
    on_demand_group: pulumi.Output[str]
    instance_groups: Mapping[Pool, pulumi.Output[str]]
    """Self link of each pool's instance group, which is what a balancer takes."""

    def __init__(self, name: str, args: PoolsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:gcp:Pools", name, None, opts)
        if args.grace_seconds > GRACE_MAX:
            raise ValueError(f"grace period of {args.grace_seconds:,} s: expected at most {GRACE_MAX:,} s on GCP")
        if not args.zones:
            raise ValueError("pools: no zones: expected at least one")
        self._name = name
        self._args = args
        # By itself, not the balancer's: an overloaded or draining node is unready without being dead.
        # https://docs.cloud.google.com/compute/docs/instance-groups/autohealing-instances-in-migs
        live = gcp.compute.HealthCheck(
            f"{name}-live",
            name=args.scope.name("live"),
            description="Whether a node lives; its group replaces it when not",
            check_interval_sec=10,
            timeout_sec=5,
            healthy_threshold=1,
            unhealthy_threshold=6,  # a minute: longer than the gate takes to restart
            https_health_check=gcp.compute.HealthCheckHttpsHealthCheckArgs(port=PORT, request_path=LIVE_PATH),
            opts=ResourceOptions(parent=self),
        )
        spot = self._group("spot", args.spot, equal_choices(args.spot.selections), live)
        chosen = ranked_choices(args.on_demand.selections, args.on_demand_types)
        on_demand = self._group("on-demand", args.on_demand, chosen, live)
        self.spot_group, self.on_demand_group = spot.name, on_demand.name
        self.instance_groups = {"spot": spot.instance_group, "on-demand": on_demand.instance_group}
        self.register_outputs({"spotGroup": self.spot_group, "onDemandGroup": self.on_demand_group})

    def _group(
        self, pool: Pool, node: Node, choices: Sequence[Choice], live: gcp.compute.HealthCheck
    ) -> gcp.compute.RegionInstanceGroupManager:
        args, scope = self._args, self._args.scope
        name = names.pool_name(scope.stack, pool)
        manager = gcp.compute.RegionInstanceGroupManager
        return manager(
            f"{self._name}-{pool}",
            name=name,
            description=f"{pool} nodes of {scope.stack}",
            region=scope.region,
            base_instance_name=name,
            # No target size: the provider then makes the group with 0, the fallback function sets it from there, and
            # no update sends one. https://github.com/hashicorp/terraform-provider-google-beta/blob/main/google-beta/
            # services/compute/resource_compute_region_instance_group_manager.go (ForceSendFields)
            # GPUs may not be there for hours: `up` would wait for them, and fail, and the fallback not exist yet.
            wait_for_instances=False,
            versions=[gcp.compute.RegionInstanceGroupManagerVersionArgs(instance_template=node.template)],
            distribution_policy_zones=sorted(args.zones),
            # Wherever there is capacity. Balance would keep a group below its size for the sake of symmetry.
            # https://docs.cloud.google.com/compute/docs/instance-groups/regional-mig-distribution-shape
            distribution_policy_target_shape="ANY",
            instance_flexibility_policy=gcp.compute.RegionInstanceGroupManagerInstanceFlexibilityPolicyArgs(
                instance_selections=[
                    gcp.compute.RegionInstanceGroupManagerInstanceFlexibilityPolicyInstanceSelectionArgs(
                        name=choice.name,
                        machine_types=list(choice.selection.types),
                        rank=choice.rank,
                        disks=_selection_disks(choice.selection),
                    )
                    for choice in choices
                ]
            ),
            auto_healing_policies=gcp.compute.RegionInstanceGroupManagerAutoHealingPoliciesArgs(
                health_check=live.self_link,
                initial_delay_sec=args.grace_seconds,
            ),
            instance_lifecycle_policy=gcp.compute.RegionInstanceGroupManagerInstanceLifecyclePolicyArgs(
                default_action_on_failure="REPAIR",
                # A node that is made anew is made from the newest template, and wherever there is room for it: by
                # default a preempted instance is tried again in its own zone, which has just run out.
                force_update_on_repair="YES",
                on_repair=gcp.compute.RegionInstanceGroupManagerInstanceLifecyclePolicyOnRepairArgs(
                    allow_changing_zone="YES"
                ),
            ),
            update_policy=gcp.compute.RegionInstanceGroupManagerUpdatePolicyArgs(
                type="OPPORTUNISTIC",
                minimal_action="REPLACE",
                instance_redistribution_type="NONE",
                # Of a rollout that somebody starts: nothing ends before its successor stands. Fixed numbers are 0 or at
                # least the number of zones.
                # https://docs.cloud.google.com/compute/docs/instance-groups/rolling-out-updates-to-managed-instance-groups
                max_surge_fixed=len(set(args.zones)),
                max_unavailable_fixed=0,
            ),
            opts=ResourceOptions(
                parent=self,
                protect=True,
                depends_on=list(args.after),
                # Also when a refresh or an import has brought it into the state.
                ignore_changes=["targetSize"],
                # The group ends its instances first; draining and shutting down take minutes.
                custom_timeouts=pulumi.CustomTimeouts(delete="30m"),
            ),
        )


def _selection_disks(
    selection: Selection,
) -> list[gcp.compute.RegionInstanceGroupManagerInstanceFlexibilityPolicyInstanceSelectionDiskArgs] | None:
    if selection.disks is None:
        return None
    label = gcp.compute.RegionInstanceGroupManagerInstanceFlexibilityPolicyInstanceSelectionDiskLabelArgs
    return [
        gcp.compute.RegionInstanceGroupManagerInstanceFlexibilityPolicyInstanceSelectionDiskArgs(
            # The one place where labels are a list.
            labels=[label(key=key, value=value) for key, value in sorted(labels.items())] if labels else None,
            **disk,
        )
        for labels, disk in ((disk.get("labels"), _without(disk, "labels")) for disk in selection.disks)
    ]


def _without(values: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != key}
