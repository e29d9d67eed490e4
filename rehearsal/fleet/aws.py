"""An AWS region out of its resources: auto scaling groups, their hooks, policies and alarms, target group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from infra.fallback import Expression, Step
from rehearsal.fleet import common
from rehearsal.fleet.alarms import Alarm, AlarmFallback, Metric, SimplePolicy, StepPolicy, alarm_rule
from rehearsal.fleet.model import Balancer, Choice, Hook, Market, Pool, Region, Signal
from rehearsal.fleet.resources import Reader, Resource, Stack

GROUP: Final = "aws:autoscaling/group:Group"
POLICY: Final = "aws:autoscaling/policy:Policy"
ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
HOOK: Final = "aws:autoscaling/lifecycleHook:LifecycleHook"
SCHEDULE: Final = "aws:autoscaling/schedule:Schedule"
SUBNET: Final = "aws:ec2/subnet:Subnet"
TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
TARGETS: Final = "aws:lb/targetGroup:TargetGroup"
BALANCER: Final = "aws:lb/loadBalancer:LoadBalancer"
TYPES: Final = (GROUP, POLICY, ALARM, HOOK, SCHEDULE, SUBNET, TEMPLATE, TARGETS, BALANCER)

# https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html
_STRATEGIES: Final[Mapping[str, Choice]] = {
    "price-capacity-optimized": "cheapest-capacity",
    "capacity-optimized": "any",
    "capacity-optimized-prioritized": "in-order",
    "prioritized": "in-order",
    "lowest-price": "cheapest-capacity",
}
_TRANSITIONS: Final = {
    "autoscaling:EC2_INSTANCE_LAUNCHING": "launching",
    "autoscaling:EC2_INSTANCE_TERMINATING": "terminating",
}
_RESULTS: Final = {"ABANDON": "ABANDON", "CONTINUE": "CONTINUE"}
_ORDER: Final = ("out", "late", "in", "load-out", "load-in")
_SIGNALS: Final[Mapping[str, Signal]] = {"QueuePerReplica": "queue", "CPUUtilization": "cpu"}
_MIX: Final = "mixedInstancesPolicy"
_SPECIFICATION: Final = f"{_MIX}.launchTemplate.launchTemplateSpecification"


def region(stack: Stack, top: Reader) -> Region:
    """The region. Raises SpillwayError, one line, for what cannot be read."""
    groups = stack.of_type(GROUP)
    if not groups:
        common.no_pools(stack, "auto scaling groups")
    kinds = {one.urn: _market(top.at("", one)) for one in groups}
    spots, on_demands = ([one for one in groups if kinds[one.urn] == kind] for kind in ("spot", "on-demand"))
    if len(on_demands) != 1 or len(spots) > 1:
        stack.refuse(stack.name, f"{len(spots)} spot and {len(on_demands)} on-demand groups; expected one of each")
    on_demand = _pool(stack, top.at("on_demand", on_demands[0]), "on-demand")
    spot = _pool(stack, top.at("spot", spots[0]), "spot") if spots else None
    blocks = tuple(
        _pool(stack, top.at(f"blocks[{number}]", one), "capacity-block")
        for number, one in enumerate(
            sorted((g for g in groups if kinds[g.urn] == "capacity-block"), key=lambda g: g.name)
        )
    )
    main = spots[0] if spots else on_demands[0]
    top.at("", on_demands[0]).note("floor", "minSize")
    top.at("", on_demands[0]).note("maximum", "maxSize")
    top.at("", main).note("target", "minSize, of both groups together")
    alarms = _alarms(stack, top, on_demand.name)
    fallback = AlarmFallback(
        tuple(a for a in alarms if a.policy.pool == on_demand.name),
        tuple(a for a in alarms if a.policy.pool != on_demand.name),
    )
    reader = top.at("", on_demands[0])
    reader.assume("rule", "the registered alarms are those that infra.fallback.aws_alarms writes for it")
    reader.assume("signal", "the metric that the load's alarms look at")
    # Whoever sets the groups' sizes alone leaves the alarms with the floor of the stack file (infra/keeper_fleet.py).
    floors = range(on_demand.minimum, -1, -1)
    rules = (alarm_rule(fallback.alarms, floor, on_demand.maximum) for floor in floors)
    rule = next((one for one in rules if one is not None), None)
    place = common.endpoint(stack, top.notes)
    return Region(
        stack=stack.name,
        cloud="aws",
        region=place.region,
        residency=place.residency,
        nearest_aws_region=place.nearest_aws_region,
        target=on_demand.minimum + (spot.minimum if spot else 0),
        floor=on_demand.minimum,
        maximum=on_demand.maximum,
        spot=spot,
        on_demand=on_demand,
        blocks=blocks,
        fallback=fallback,
        rule=rule,
        signal=_signal(fallback.load),
        hooks=_hooks(stack, top),
        node=_node(stack, top, main, spot is not None),
        balancer=_balancer(stack, top),
    )


def _market(group: Reader) -> Market:
    """Spot and on-demand as the share of on-demand says; a block's group has no mix."""
    share = f"{_MIX}.instancesDistribution.onDemandPercentageAboveBaseCapacity"
    if group.resource.get(_MIX) is None:
        return "capacity-block"
    value = group.resource.get(share)
    value = 100 if value is None else value  # as the API has it
    if value not in (0, 100):
        group.fault(share, "0 (all spot) or 100 (all on-demand)")
    return "spot" if value == 0 else "on-demand"


def _pool(stack: Stack, group: Reader, market: Market) -> Pool:
    choice: Choice = "in-order"
    reservation = closes = None
    if market == "capacity-block":
        template = _template(stack, group.resource, "launchTemplate")
        reader = group.at("", template)
        types: tuple[str, ...] = (reader.text("types", "instanceType"),)
        target = "capacityReservationSpecification.capacityReservationTarget.capacityReservationId"
        reservation = reader.text("reservation", target)
        for one in stack.of_type(SCHEDULE):
            if one.known("autoscalingGroupName") == group.resource.known("name"):
                closes = group.at("", one).text("closes", "startTime")
        group.note("choice", "launchTemplate")
    else:
        types = tuple(
            group.text("types", f"{_MIX}.launchTemplate.overrides[{number}].instanceType")
            for number in range(group.items(f"{_MIX}.launchTemplate.overrides"))
        )
        if not types:
            group.fault(f"{_MIX}.launchTemplate.overrides", "at least one machine type")
        key = "spotAllocationStrategy" if market == "spot" else "onDemandAllocationStrategy"
        choice = group.word("choice", f"{_MIX}.instancesDistribution.{key}", _STRATEGIES)
    subnets = stack.referred(group.resource, "vpcZoneIdentifiers", (SUBNET,))
    if not subnets:
        group.fault("vpcZoneIdentifiers", "subnets of this stack")
    zones = {group.at("", one).text("zones", "availabilityZone") for one in subnets}
    group.note("zones", "vpcZoneIdentifiers")
    if market != "capacity-block":
        group.note("types", f"{_MIX}.launchTemplate.overrides")
    minimum = group.whole("minimum", "minSize")
    # What the program asks for; the property that the cloud fills is the size that it has now.
    wanted = group.resource.inputs.get("desiredCapacity")
    group.note("initial", "minSize" if wanted is None else "desiredCapacity")
    size = group.resource.known("desiredCapacity")
    group.note("size", "desiredCapacity")
    group.note("market", f"{_MIX}.instancesDistribution" if market != "capacity-block" else "launchTemplate")
    return Pool(
        name=group.text("name", "name"),
        market=market,
        types=types,
        choice=choice,
        zones=tuple(sorted(zones)),
        minimum=minimum,
        maximum=group.whole("maximum", "maxSize"),
        initial=minimum if not isinstance(wanted, int | float) else int(wanted),
        reservation=reservation,
        closes=closes,
        size=int(size) if stack.kind != "plan" and isinstance(size, int | float) else None,
    )


def _template(stack: Stack, group: Resource, key: str) -> Resource:
    found = stack.referred(group, key, (TEMPLATE,))
    if not found:
        stack.refuse(f"{group.name}: {key}", "expected a launch template of this stack")
    return found[0]


def _hooks(stack: Stack, top: Reader) -> tuple[Hook, ...]:
    found = []
    for number, one in enumerate(sorted(stack.of_type(HOOK), key=_hook_key)):
        reader = top.at(f"hooks[{number}]", one)
        found.append(
            Hook(
                pool=reader.text("pool", "autoscalingGroupName"),
                name=reader.text("name", "name"),
                transition=reader.word("transition", "lifecycleTransition", _TRANSITIONS),
                timeout_seconds=reader.whole("timeout_seconds", "heartbeatTimeout", 1, default=3600),
                result=reader.word("result", "defaultResult", _RESULTS, default="ABANDON"),
            )
        )
    return tuple(found)


def _hook_key(one: Resource) -> tuple[str, str]:
    return str(one.known("autoscalingGroupName")), str(one.known("name"))


def _alarms(stack: Stack, top: Reader, on_demand: str) -> tuple[Alarm, ...]:
    """Alarms whose action is a scaling policy; those that only tell people are left out."""
    rows: list[tuple[Resource, Resource, str]] = []
    for one in stack.of_type(ALARM):
        policies = stack.referred(one, "alarmActions", (POLICY,))
        if len(policies) > 1:
            stack.refuse(f"{one.name}: alarmActions", f"{len(policies)} scaling policies; expected one")
        if policies:
            fallback = policies[0].known("autoscalingGroupName") == on_demand
            rows.append((one, policies[0], "alarms" if fallback else "load"))
    rows.sort(key=lambda row: _rank(_key(stack, row[0])))
    found: list[Alarm] = []
    counts = {"alarms": 0, "load": 0}
    for one, policy, kind in rows:
        found.append(_alarm(stack, one, policy, top.at(f"fallback.{kind}[{counts[kind]}]", one)))
        counts[kind] += 1
    return tuple(found)


def _rank(key: str) -> tuple[int, str]:
    return (_ORDER.index(key) if key in _ORDER else len(_ORDER), key)


def _key(stack: Stack, alarm: Resource) -> str:
    name = str(alarm.known("name") or alarm.name)
    return name.removeprefix(f"spillway-{stack.name}-").removeprefix("fallback-")


def _alarm(stack: Stack, one: Resource, policy: Resource, reader: Reader) -> Alarm:
    metrics: list[Metric] = []
    expressions: list[Expression] = []
    for number in range(reader.items("metricQueries")):
        key = f"metricQueries[{number}]"
        if one.get(f"{key}.expression") is None:
            metrics.append(_metric(reader.at(f"metrics[{len(metrics)}]"), key))
        else:
            line = reader.at(f"expressions[{len(expressions)}]")
            expressions.append(
                Expression(
                    id=line.text("id", f"{key}.id"),
                    expression=line.text("expression", f"{key}.expression"),
                    label=line.text("label", f"{key}.label", default=""),
                    returns_data=line.flag("returns_data", f"{key}.returnData", default=False),
                )
            )
    if not metrics:
        reader.fault("metricQueries", "metrics and the expressions over them")
    periods = reader.whole("periods", "evaluationPeriods", 1)
    reader.note("period_seconds", "metricQueries[0].metric.period")
    reader.note("key", "name")
    return Alarm(
        key=_key(stack, one),
        metrics=tuple(metrics),
        expressions=tuple(expressions),
        period_seconds=metrics[0].period_seconds,
        periods=periods,
        datapoints=reader.whole("datapoints", "datapointsToAlarm", 1, default=periods),
        threshold=reader.number("threshold", "threshold"),
        comparison=reader.text("comparison", "comparisonOperator"),
        missing=reader.text("missing", "treatMissingData", default="missing"),
        enabled=reader.flag("enabled", "actionsEnabled", default=True),
        policy=_policy(reader.at("policy", policy)),
    )


def _metric(reader: Reader, key: str) -> Metric:
    pooled = reader.resource.get(f"{key}.metric.dimensions.pool") is not None
    of = "pool" if pooled else "AutoScalingGroupName"
    return Metric(
        id=reader.text("id", f"{key}.id"),
        namespace=reader.text("namespace", f"{key}.metric.namespace"),
        name=reader.text("name", f"{key}.metric.metricName"),
        statistic=reader.text("statistic", f"{key}.metric.stat"),
        source=reader.text("source", f"{key}.metric.dimensions.{of}"),
        period_seconds=reader.whole("period_seconds", f"{key}.metric.period", 1),
    )


def _policy(reader: Reader) -> StepPolicy | SimplePolicy:
    kind = reader.text("adjustment_type", "policyType", default="SimpleScaling")
    if kind == "SimpleScaling":
        return SimplePolicy(
            pool=reader.text("pool", "autoscalingGroupName"),
            adjustment_type=reader.text("adjustment_type", "adjustmentType"),
            adjustment=reader.whole("adjustment", "scalingAdjustment", -(10**6)),
            cooldown_seconds=reader.whole("cooldown_seconds", "cooldown", default=300),
        )
    if kind != "StepScaling":
        reader.fault("policyType", "StepScaling or SimpleScaling")
    steps = []
    for number in range(reader.items("stepAdjustments")):
        key = f"stepAdjustments[{number}]"
        low, high = (_bound(reader, f"{key}.metricInterval{side}Bound") for side in ("Lower", "Upper"))
        steps.append(Step(reader.whole("steps", f"{key}.scalingAdjustment", -(10**6)), low, high))
    reader.note("steps", "stepAdjustments")
    return StepPolicy(
        pool=reader.text("pool", "autoscalingGroupName"),
        adjustment_type=reader.text("adjustment_type", "adjustmentType"),
        aggregation=reader.text("aggregation", "metricAggregationType", default="Average"),
        steps=tuple(sorted(steps, key=lambda step: float(step.lower or "-inf"))),
        warmup_seconds=reader.whole("warmup_seconds", "estimatedInstanceWarmup", default=0),
    )


def _bound(reader: Reader, key: str) -> str | None:
    """A step's bound as `infra.fallback.Step` has it; None where it is open."""
    return None if reader.resource.known(key) is None else f"{reader.number('steps', key):g}"


def _signal(load: tuple[Alarm, ...]) -> Signal:
    for alarm in load:
        for metric in alarm.metrics:
            if metric.name in _SIGNALS:
                return _SIGNALS[metric.name]
    return "none"


def _node(stack: Stack, top: Reader, group: Resource, spot: bool) -> Any:
    reader = top.at("node", group)
    grace = reader.whole("grace_seconds", "healthCheckGracePeriod", default=300)
    notice, source = common.SPOT_NOTICE["aws"]
    reader.assume("notice_seconds", "AWS gives two minutes" if spot else "there is no spot pool", source)
    template = _template(stack, group, _SPECIFICATION)
    return common.node(top.at("", template), "userData", grace, notice if spot else 0)


def _balancer(stack: Stack, top: Reader) -> Balancer:
    reader = top.at("balancer", stack.one(TARGETS, "target group"))
    front = top.at("balancer", stack.one(BALANCER, "load balancer"))
    front.note("addresses", "subnetMappings")
    return Balancer(
        protocol=reader.text("protocol", "healthCheck.protocol"),
        path=reader.text("path", "healthCheck.path"),
        port=reader.whole(
            "port", "port" if reader.resource.get("healthCheck.port") == "traffic-port" else "healthCheck.port"
        ),
        interval_seconds=reader.whole("interval_seconds", "healthCheck.interval", 1, default=30),
        timeout_seconds=reader.whole("timeout_seconds", "healthCheck.timeout", 1, default=10),
        healthy_threshold=reader.whole("healthy_threshold", "healthCheck.healthyThreshold", 1, default=5),
        unhealthy_threshold=reader.whole("unhealthy_threshold", "healthCheck.unhealthyThreshold", 1, default=2),
        drain_seconds=reader.whole("drain_seconds", "deregistrationDelay", default=300),
        addresses=front.items("subnetMappings"),
    )
