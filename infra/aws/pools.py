"""The groups of nodes: spot first, on-demand beside it, and one small group per capacity block.

No cloud falls back from spot to on-demand inside one group, so there are two, and `scaling.py` moves capacity between
them.

A new launch template version reaches a pool as its nodes are replaced, never by an instance refresh that an `up`
starts: a refresh ends working nodes, and where capacity is short they do not come back. To roll out at once, with no
node ended before its successor is in service (when there is no capacity the refresh stalls and nothing is lost):
`aws autoscaling start-instance-refresh --auto-scaling-group-name ... --preferences
MinHealthyPercentage=100,MaxHealthyPercentage=200`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

from infra import fallback, naming
from infra.aws.common import Scope
from infra.aws.lookups import CapacityBlock
from infra.aws.node import LAUNCH_HOOK, TERMINATE_HOOK, Node, TemplateRef
from infra.aws.scaling import BLOCK_METRICS

if TYPE_CHECKING:
    from infra.sections import Reservations

# https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html (HeartbeatTimeout)
HEARTBEAT_MIN: Final = 30
TERMINATE_MAX: Final = 110
"""Below the 120 s between notice and interruption, with a margin for the call itself."""

# EC2 ends what still runs 30 minutes before a block's end; the group goes to zero before that, with time to drain.
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/launch-template-capacity-blocks.html
BLOCK_CLOSES: Final = timedelta(minutes=45)

_PREFERENCE: Final[dict[str, Literal["capacity-reservations-first", "capacity-reservations-only", "none"]]] = {
    "open": "capacity-reservations-first",
    "only": "capacity-reservations-only",
    "none": "none",
}


@dataclass(frozen=True, slots=True)
class PoolsArgs:
    """What the pools are made from.

    target, floor, max: replicas, as in the stack file. spot, on_demand: their nodes; types: preferred first.
    grace_seconds: longer than a boot. notice_seconds: what a spot interruption leaves. after: what has to stand before
    a node boots.
    """

    scope: Scope
    target: int
    floor: int
    max: int
    spot: Node
    spot_types: Sequence[str]
    on_demand: Node
    on_demand_types: Sequence[str]
    blocks: Sequence[tuple[CapacityBlock, Node]]
    reservations: Reservations
    subnet_ids: Mapping[str, pulumi.Input[str]]
    target_group_arn: pulumi.Input[str]
    grace_seconds: int
    notice_seconds: int
    after: Sequence[pulumi.Resource]


class Pools(pulumi.ComponentResource):
    """Spot group, on-demand group, a group per capacity block, and their lifecycle hooks."""

    spot_group: pulumi.Output[str]
    on_demand_group: pulumi.Output[str]
    block_groups: Sequence[pulumi.Output[str]]

    def __init__(self, name: str, args: PoolsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:aws:Pools", name, None, opts)
        if not 0 <= args.floor <= args.target <= args.max:
            sizes = f"floor {args.floor}, target {args.target}, max {args.max}"
            raise ValueError(f"pools: {sizes}: expected 0 <= floor <= target <= max")
        self._name = name
        self._args = args
        stack = args.scope.stack
        distribution = aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs
        self.spot_group = self._group(
            "spot",
            naming.pool_name(stack, "spot"),
            "spot",
            # No desired size: it starts at the minimum, then load moves it, and a larger minimum lifts it. So a new
            # target acts on a live pool, and no update sends a size that a policy has changed meanwhile.
            # https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_UpdateAutoScalingGroup.html
            min_size=args.target - args.floor,
            max_size=args.max - args.floor,
            capacity_rebalance=True,
            enabled_metrics=fallback.enabled_metrics("spot"),
            mixed_instances_policy=_mixed(
                args.spot,
                args.spot_types,
                distribution(
                    on_demand_base_capacity=0,
                    on_demand_percentage_above_base_capacity=0,  # the default is 100: all on-demand
                    spot_allocation_strategy="price-capacity-optimized",
                ),
            ),
        )
        self.on_demand_group = self._group(
            "on-demand",
            naming.pool_name(stack, "on-demand"),
            "on-demand",
            min_size=args.floor,
            max_size=args.max,  # enough to stand in for all spot at the highest load
            enabled_metrics=fallback.enabled_metrics("on-demand"),
            capacity_reservation_specification=_reservation(args.reservations),
            mixed_instances_policy=_mixed(
                args.on_demand,
                args.on_demand_types,
                distribution(
                    on_demand_allocation_strategy="prioritized",
                    on_demand_base_capacity=0,
                    on_demand_percentage_above_base_capacity=100,
                ),
            ),
        )
        self.block_groups = [self._block(block, node) for block, node in args.blocks]
        self.register_outputs({"spotGroup": self.spot_group, "onDemandGroup": self.on_demand_group})

    def _block(self, block: CapacityBlock, node: Node) -> pulumi.Output[str]:
        """A group of its own: mixed instances policies are refused with capacity blocks, and a group takes one block.

        It holds all that was bought for as long as it was bought. Before the block starts its launches fail,
        harmlessly.
        """
        args = self._args
        label = block.id.removeprefix("cr-")
        if block.zone not in args.subnet_ids:
            zones = ", ".join(sorted(args.subnet_ids))
            raise ValueError(f"capacity block {block.id} is in {block.zone}; the stack has subnets in {zones}")
        group = self._group(
            f"block-{label}",
            naming.block_name(args.scope.stack, block.id),
            "capacity-block",
            subnets=[args.subnet_ids[block.zone]],
            min_size=0,
            desired_capacity=block.count,
            max_size=block.count,
            enabled_metrics=BLOCK_METRICS,
            launch_template=aws.autoscaling.GroupLaunchTemplateArgs(id=node.default.id, version=node.default.version),
        )
        aws.autoscaling.Schedule(
            f"{self._name}-block-{label}-closes",
            scheduled_action_name="block-closes",
            autoscaling_group_name=group,
            start_time=closing_time(block.end),
            desired_capacity=0,
            min_size=-1,  # -1: unchanged
            max_size=-1,
            opts=ResourceOptions(parent=self),
        )
        return group

    def _group(
        self,
        label: str,
        name: str,
        pool: str,
        *,
        enabled_metrics: Sequence[str],
        subnets: Sequence[pulumi.Input[str]] | None = None,
        **more: Any,
    ) -> pulumi.Output[str]:
        """An auto scaling group with everything that all pools have in common; returns its name."""
        args = self._args
        hooks = {
            # A node is in service once its own gate says ready. ABANDON: one that never gets there is ended and
            # replaced. The node extends the time by heartbeats as long as it makes progress.
            LAUNCH_HOOK: ("autoscaling:EC2_INSTANCE_LAUNCHING", args.grace_seconds, "ABANDON"),
            TERMINATE_HOOK: (
                "autoscaling:EC2_INSTANCE_TERMINATING",
                max(HEARTBEAT_MIN, min(args.notice_seconds - 10, TERMINATE_MAX)),
                "CONTINUE",
            ),
        }
        group = aws.autoscaling.Group(
            f"{self._name}-{label}",
            name=name,
            vpc_zone_identifiers=list(args.subnet_ids.values()) if subnets is None else subnets,
            target_group_arns=[args.target_group_arn],
            # EC2 status checks and the node's own SetInstanceHealth. Never ELB: that looks at /readyz, and an
            # overloaded or draining node is unready without being ill.
            health_check_type="EC2",
            # Counts from InService, so after the launch hook: a node that reports its own failure within it has to pass
            # ShouldRespectGracePeriod=false.
            # https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_SetInstanceHealth.html
            health_check_grace_period=args.grace_seconds,
            # Without it `up` waits for nodes that are in service, and fails where there is no capacity: then the
            # fallback would not exist when it is needed.
            wait_for_capacity_timeout="0",
            # Rebalancing zones ends working nodes for the sake of symmetry; where GPUs are scarce they stay where they
            # are.
            # https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-suspend-resume-processes.html
            suspended_processes=["AZRebalance"],
            metrics_granularity="1Minute",
            enabled_metrics=list(enabled_metrics),
            # The first nodes are launched together with the group, before any hook resource could exist.
            initial_lifecycle_hooks=[
                aws.autoscaling.GroupInitialLifecycleHookArgs(
                    name=hook, lifecycle_transition=transition, heartbeat_timeout=seconds, default_result=result
                )
                for hook, (transition, seconds, result) in hooks.items()
            ],
            tags=[
                aws.autoscaling.GroupTagArgs(key=key, value=value, propagate_at_launch=True)
                for key, value in args.scope.tags("pools", label, pool=pool).items()
            ],
            **more,
            opts=ResourceOptions(
                parent=self,
                protect=True,
                depends_on=list(args.after),
                # desiredCapacity belongs to policies and alarms once the group exists: an unrelated update must not
                # reset it. initialLifecycleHooks act at creation only; later changes come through the LifecycleHook
                # resources below.
                ignore_changes=["desiredCapacity", "initialLifecycleHooks"],
                # The group is emptied first: deregistration, then the end of machines that take minutes to shut down;
                # the provider's own limit of 10 minutes is close to that.
                custom_timeouts=pulumi.CustomTimeouts(delete="30m"),
            ),
        )
        for hook, (transition, seconds, result) in hooks.items():
            # Same names as the initial hooks, which no update reaches. PutLifecycleHook creates or updates, so this
            # takes them over instead of failing.
            # https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html
            aws.autoscaling.LifecycleHook(
                f"{self._name}-{label}-{hook}",
                name=hook,
                autoscaling_group_name=group.name,
                lifecycle_transition=transition,
                heartbeat_timeout=seconds,
                default_result=result,
                opts=ResourceOptions(parent=self),
            )
        group_name: pulumi.Output[str] = group.name
        return group_name


def _mixed(
    node: Node,
    types: Sequence[str],
    distribution: aws.autoscaling.GroupMixedInstancesPolicyInstancesDistributionArgs,
) -> aws.autoscaling.GroupMixedInstancesPolicyArgs:
    """A mixed instances policy over `types`; with EFA each type brings its own launch template."""

    def specification(
        template: TemplateRef,
    ) -> aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideLaunchTemplateSpecificationArgs:
        return aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideLaunchTemplateSpecificationArgs(
            launch_template_id=template.id, version=template.version
        )

    return aws.autoscaling.GroupMixedInstancesPolicyArgs(
        instances_distribution=distribution,
        launch_template=aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateArgs(
            launch_template_specification=(
                aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateLaunchTemplateSpecificationArgs(
                    launch_template_id=node.default.id, version=node.default.version
                )
            ),
            overrides=[
                aws.autoscaling.GroupMixedInstancesPolicyLaunchTemplateOverrideArgs(
                    instance_type=kind,
                    launch_template_specification=specification(node.by_type[kind]) if kind in node.by_type else None,
                )
                for kind in types
            ],
        ),
    )


def _reservation(
    reservations: Reservations,
) -> aws.autoscaling.GroupCapacityReservationSpecificationArgs | None:
    """How the on-demand group uses capacity reservations; None leaves the account's default (open ones match).

    Raises ValueError for ids together with `none`, which would pay for reservations and keep away from them.
    https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CapacityReservationSpecification.html
    """
    ids = reservations.capacity_reservations
    if reservations.preference == "open" and not ids:
        return None
    if reservations.preference == "none" and ids:
        raise ValueError("reservations: capacityReservations with preference none; expected open or only")
    return aws.autoscaling.GroupCapacityReservationSpecificationArgs(
        capacity_reservation_preference=_PREFERENCE[reservations.preference],
        capacity_reservation_target=(
            aws.autoscaling.GroupCapacityReservationSpecificationCapacityReservationTargetArgs(
                capacity_reservation_ids=list(ids)
            )
            if ids
            else None
        ),
    )


def closing_time(end: str) -> str:
    """When a block's group goes to zero, in UTC, from the block's end (RFC 3339)."""
    closes = datetime.fromisoformat(end.replace("Z", "+00:00")) - BLOCK_CLOSES
    return closes.strftime("%Y-%m-%dT%H:%M:%SZ")
