"""A Tencent Cloud region out of its resources: one on-demand scaling group."""

from __future__ import annotations

from typing import Final

from rehearsal.fleet import common
from rehearsal.fleet.alarms import Alarm, Metric, SimplePolicy
from rehearsal.fleet.model import Balancer, Hook, NoFallback, Pool, Region
from rehearsal.fleet.resources import Reader, Stack

GROUP: Final = "tencentcloud:As/scalingGroup:ScalingGroup"
CONFIGURATION: Final = "tencentcloud:As/scalingConfig:ScalingConfig"
HOOK: Final = "tencentcloud:As/lifecycleHook:LifecycleHook"
POLICY: Final = "tencentcloud:As/scalingPolicy:ScalingPolicy"
SUBNET: Final = "tencentcloud:Subnet/instance:Instance"
LISTENER: Final = "tencentcloud:Clb/listener:Listener"
BALANCER: Final = "tencentcloud:Clb/instance:Instance"
TYPES: Final = (GROUP, CONFIGURATION, HOOK, POLICY, SUBNET, LISTENER, BALANCER)

NO_SPOT: Final = "there is no spot pool"
NO_GRACE: Final = "a scaling group knows no grace"
NO_DRAIN: Final = "a node drains in the group's hook, the listener knows no delay"
_COMPARISONS: Final = {
    "GREATER_THAN_OR_EQUAL_TO": "GreaterThanOrEqualToThreshold",
    "GREATER_THAN": "GreaterThanThreshold",
    "LESS_THAN": "LessThanThreshold",
    "LESS_THAN_OR_EQUAL_TO": "LessThanOrEqualToThreshold",
}
_TRANSITIONS: Final = {"INSTANCE_LAUNCHING": "launching", "INSTANCE_TERMINATING": "terminating"}
_RESULTS: Final = {"ABANDON": "ABANDON", "CONTINUE": "CONTINUE"}
_ADJUSTMENTS: Final = {"CHANGE_IN_CAPACITY": "ChangeInCapacity", "EXACT_CAPACITY": "ExactCapacity"}


def region(stack: Stack, top: Reader) -> Region:
    """The region. Raises SpillwayError, one line, for what cannot be read."""
    if not stack.of_type(GROUP):
        common.no_pools(stack, "a scaling group")
    group = top.at("on_demand", stack.one(GROUP, "scaling group"))
    configurations = stack.referred(group.resource, "configurationId", (CONFIGURATION,))
    if not configurations:
        group.fault("configurationId", "a launch configuration of this stack")
    template = top.at("on_demand", configurations[0])
    subnets = stack.referred(group.resource, "subnetIds", (SUBNET,))
    if not subnets:
        group.fault("subnetIds", "subnets of this stack")
    zones = {group.at("", one).text("zones", "availabilityZone") for one in subnets}
    group.note("zones", "subnetIds")
    size = group.resource.known("instanceCount")
    group.note("size", "instanceCount")
    wanted = group.resource.inputs.get("desiredCapacity")
    minimum = group.whole("minimum", "minSize")
    group.note("initial", "minSize" if wanted is None else "desiredCapacity")
    pool = Pool(
        name=group.text("name", "scalingGroupName"),
        market="on-demand",
        types=template.texts("types", "instanceTypes"),
        choice="in-order",
        zones=tuple(sorted(zones)),
        minimum=minimum,
        maximum=group.whole("maximum", "maxSize"),
        initial=int(wanted) if isinstance(wanted, int | float) else minimum,
        size=int(size) if stack.kind != "plan" and isinstance(size, int | float) else None,
    )
    main = top.at("", group.resource)
    main.note("target", "minSize")
    main.note("floor", "minSize")
    main.note("maximum", "maxSize")
    main.assume("rule", NO_SPOT)
    main.assume("signal", "the metric that the scaling policies look at")
    main.assume("fallback", NO_SPOT)
    node = top.at("node", group.resource)
    node.assume("grace_seconds", NO_GRACE)
    node.assume("notice_seconds", NO_SPOT)
    load = _load(stack, top, pool.name)
    place = common.endpoint(stack, top.notes)
    return Region(
        stack=stack.name,
        cloud="tencent",
        region=place.region,
        residency=place.residency,
        nearest_aws_region=place.nearest_aws_region,
        target=pool.minimum,
        floor=pool.minimum,
        maximum=pool.maximum,
        spot=None,
        on_demand=pool,
        blocks=(),
        fallback=NoFallback(load),
        rule=None,
        signal="cpu" if load else "none",
        hooks=_hooks(stack, top, pool.name),
        node=common.node(top.at("", configurations[0]), "userData", 0, 0),
        balancer=_balancer(stack, top),
    )


def _hooks(stack: Stack, top: Reader, pool: str) -> tuple[Hook, ...]:
    found = []
    for number, one in enumerate(sorted(stack.of_type(HOOK), key=lambda one: one.name)):
        reader = top.at(f"hooks[{number}]", one)
        reader.note("pool", "scalingGroupId")
        name = reader.text("name", "lifecycleHookName")
        found.append(
            Hook(
                pool=pool,
                name=name.removeprefix(f"spillway-{stack.name}-"),
                transition=reader.word("transition", "lifecycleTransition", _TRANSITIONS),
                timeout_seconds=reader.whole("timeout_seconds", "heartbeatTimeout", 1, default=300),
                result=reader.word("result", "defaultResult", _RESULTS, default="CONTINUE"),
            )
        )
    return tuple(found)


def _load(stack: Stack, top: Reader, pool: str) -> tuple[Alarm, ...]:
    """Policies that follow the CPU, upward first; each is its own alarm."""
    rows = sorted(stack.of_type(POLICY), key=lambda one: -float(one.known("adjustmentValue") or 0))
    found = []
    for number, one in enumerate(rows):
        reader = top.at(f"fallback.load[{number}]", one)
        period = reader.whole("period_seconds", "period", 1)
        periods = reader.whole("periods", "continuousTime", 1)
        up = reader.whole("policy.adjustment", "adjustmentValue", -(10**6))
        reader.assume("enabled", "a scaling policy is always on")
        reader.assume("missing", "the cloud does not tell; without data nothing is done")
        found.append(
            Alarm(
                key="load-out" if up > 0 else "load-in",
                metrics=(
                    Metric(
                        "load", "QCE/CVM", reader.text("metrics[0].name", "metricName"),
                        reader.text("metrics[0].statistic", "statistic"), pool, period,
                    ),
                ),
                expressions=(),
                period_seconds=period,
                periods=periods,
                datapoints=periods,
                threshold=reader.number("threshold", "threshold"),
                comparison=reader.word("comparison", "comparisonOperator", _COMPARISONS),
                missing="notBreaching",
                enabled=True,
                policy=SimplePolicy(
                    pool=pool,
                    adjustment_type=reader.word("policy.adjustment_type", "adjustmentType", _ADJUSTMENTS),
                    adjustment=up,
                    cooldown_seconds=reader.whole("policy.cooldown_seconds", "cooldown", default=300),
                ),
            )
        )  # fmt: skip
    return tuple(found)


def _balancer(stack: Stack, top: Reader) -> Balancer:
    reader = top.at("balancer", stack.one(LISTENER, "listener of the load balancer"))
    reader.assume("drain_seconds", NO_DRAIN)
    top.at("balancer", stack.one(BALANCER, "load balancer")).note("addresses", "eipAddressId")
    return Balancer(
        protocol=reader.text("protocol", "healthCheckType"),
        path=reader.text("path", "healthCheckHttpPath", default="/"),
        port=reader.whole("port", "healthCheckPort", 1),
        interval_seconds=reader.whole("interval_seconds", "healthCheckIntervalTime", 1, default=5),
        timeout_seconds=reader.whole("timeout_seconds", "healthCheckTimeOut", 1, default=2),
        healthy_threshold=reader.whole("healthy_threshold", "healthCheckHealthNum", 1, default=3),
        unhealthy_threshold=reader.whole("unhealthy_threshold", "healthCheckUnhealthNum", 1, default=3),
        drain_seconds=0,
        addresses=1,
    )
