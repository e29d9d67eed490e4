"""The group of nodes: on-demand only, over several machine types and all zones.

Nothing drives its size but the scaling group itself: it holds the target, and replaces a machine that the cloud finds
unreachable. With `scaling.signal: cpu` two alarm policies move it between target and max; there is no other signal of
load, as a policy takes built-in metrics of the machine and none of one's own (metric_name in
tencentcloud/services/as/resource_tc_as_scaling_policy.go of the provider).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pulumi
from pulumi import ResourceOptions
from tencentcloud_iac_pulumi import as_

from infra.tencent import names
from infra.tencent.common import Scope
from infra.tencent.node import Node

if TYPE_CHECKING:
    from infra.tencent.sections import TencentScaling

PORT: Final = 443
WEIGHT: Final = 10
"""Of every node alike: weighted round robin with equal weights; 0 to 100."""
HOOK_MIN: Final = 30
"""tencentcloud/services/as/resource_tc_as_lifecycle_hook.go of the provider (heartbeat_timeout): 30 to 7,200 s"""
SHORT_PERIOD: Final = 60
LONG_PERIOD: Final = 300
PERIODS_MAX: Final = 10
"""resource_tc_as_scaling_policy.go: periods of 60 or 300 s, 1 to 10 of them in a row."""


@dataclass(frozen=True, slots=True)
class PoolsArgs:
    """What the pool is made from.

    drain_seconds: from unready to the last answer given. balancer_id, listener_id: where nodes are put. after: what has
    to stand before a node boots.
    """

    scope: Scope
    target: int
    max: int
    on_demand: Node
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    balancer_id: pulumi.Input[str]
    listener_id: pulumi.Input[str]
    drain_seconds: int
    load: TencentScaling
    after: Sequence[pulumi.Resource] = ()


def periods(minutes: int) -> tuple[int, int]:
    """Minutes as an alarm's period in seconds and how many of them in a row. Raises ValueError for what is neither 1 to
    10 minutes nor a multiple of five up to 50."""
    if 1 <= minutes <= PERIODS_MAX:
        return SHORT_PERIOD, minutes
    count, rest = divmod(minutes * 60, LONG_PERIOD)
    if rest or not 1 <= count <= PERIODS_MAX:
        raise ValueError(f"{minutes} minutes: expected 1 to 10, or a multiple of 5 up to 50")
    return LONG_PERIOD, count


class Pools(pulumi.ComponentResource):
    """The on-demand group, the wait before it takes a node away, and what follows the load."""

    on_demand_group: pulumi.Output[str]
    """Name of the scaling group."""

    def __init__(self, name: str, args: PoolsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:tencent:Pools", name, None, opts)
        self._name, self._args = name, args
        scope = args.scope
        follows = args.load.signal == "cpu"
        group = as_.ScalingGroup(
            f"{name}-on-demand",
            scaling_group_name=names.pool_name(scope.stack),
            configuration_id=args.on_demand.configuration_id,
            vpc_id=args.vpc_id,
            subnet_ids=list(args.subnet_ids),
            # Spread over the zones; one that has none of a type is left out, and its share goes to the others.
            # https://www.tencentcloud.com/document/api/377/31016 (MultiZoneSubnetPolicy)
            multi_zone_subnet_policy="EQUALITY",
            min_size=args.target,
            max_size=args.max,
            desired_capacity=args.target,
            # A higher minimum takes the size along instead of being refused.
            desired_capacity_sync_with_max_min_size=True,
            default_cooldown=args.load.cooldown_seconds,
            forward_balancer_ids=[
                as_.ScalingGroupForwardBalancerIdArgs(
                    load_balancer_id=args.balancer_id,
                    listener_id=args.listener_id,
                    target_attributes=[as_.ScalingGroupForwardBalancerIdTargetAttributeArgs(port=PORT, weight=WEIGHT)],
                )
            ],
            # Machines that the cloud cannot reach are replaced. Never by the balancer's check: that looks at /readyz,
            # and an overloaded or draining node is unready without being dead.
            # https://www.tencentcloud.com/document/product/377/8553
            health_check_type="CVM",
            replace_monitor_unhealthy=True,
            replace_load_balancer_unhealthy=False,
            replace_mode="RECREATE",
            scaling_mode="CLASSIC_SCALING",
            termination_policies="OLDEST_INSTANCE",
            # GPUs may be sold out for hours; IMMEDIATE_RETRY gives up after a few attempts.
            # https://www.tencentcloud.com/document/api/377/31016 (RetryPolicy)
            retry_policy="INCREMENTAL_INTERVALS",
            tags=scope.tags("pools", pool="on-demand"),
            opts=ResourceOptions(
                parent=self,
                protect=True,
                depends_on=list(args.after),
                # The load sets it; a new target acts through the minimum.
                ignore_changes=["desiredCapacity"] if follows else [],
                custom_timeouts=pulumi.CustomTimeouts(delete="30m"),
            ),
        )
        # Between leaving the group and the end of the machine: requests in flight get the drain's time.
        as_.LifecycleHook(
            f"{name}-drain",
            scaling_group_id=group.id,
            lifecycle_hook_name=scope.name("drain"),
            lifecycle_transition="INSTANCE_TERMINATING",
            default_result="CONTINUE",
            heartbeat_timeout=max(HOOK_MIN, args.drain_seconds),
            opts=ResourceOptions(parent=self),
        )
        if follows:
            load = args.load
            self._policy(group, "out", "GREATER_THAN_OR_EQUAL_TO", load.cpu_percent, load.cpu_minutes, load.step)
            self._policy(group, "in", "LESS_THAN", load.in_cpu_percent, load.in_minutes, -load.in_step)
        self.on_demand_group = group.scaling_group_name
        self.register_outputs({"onDemandGroup": self.on_demand_group})

    def _policy(
        self, group: as_.ScalingGroup, label: str, operator: str, percent: float, minutes: int, step: int
    ) -> None:
        period, count = periods(minutes)
        as_.ScalingPolicy(
            f"{self._name}-{label}",
            scaling_group_id=group.id,
            policy_name=self._args.scope.name(f"cpu-{label}"),
            policy_type="SIMPLE",
            adjustment_type="CHANGE_IN_CAPACITY",
            adjustment_value=step,
            metric_name="CPU_UTILIZATION",
            statistic="AVERAGE",
            comparison_operator=operator,
            threshold=round(percent),
            period=period,
            continuous_time=count,
            cooldown=self._args.load.cooldown_seconds,
            opts=ResourceOptions(parent=self),
        )
