"""Value rules of Auto Scaling groups: capacity, mixed instances policies, health, maintenance, hooks.

API: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CreateAutoScalingGroup.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sandbox.aws import quotas
from sandbox.aws.formats import arns, is_arn
from sandbox.aws.stamps import tag_fault
from sandbox.kinds import Args, Fault
from sandbox.rules import between, conflicting, exactly_one, length, matches, one_of, shown
from sandbox.values import UNKNOWN

# https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_EnableMetricsCollection.html
METRICS: Final = frozenset(
    {
        "GroupMinSize", "GroupMaxSize", "GroupDesiredCapacity", "GroupInServiceInstances", "GroupPendingInstances",
        "GroupStandbyInstances", "GroupTerminatingInstances", "GroupTotalInstances", "GroupInServiceCapacity",
        "GroupPendingCapacity", "GroupStandbyCapacity", "GroupTerminatingCapacity", "GroupTotalCapacity",
        "WarmPoolDesiredCapacity", "WarmPoolWarmedCapacity", "WarmPoolPendingCapacity", "WarmPoolTerminatingCapacity",
        "WarmPoolTotalCapacity", "GroupAndWarmPoolDesiredCapacity", "GroupAndWarmPoolTotalCapacity",
    }
)  # fmt: skip
PROCESSES: Final = (
    "Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh",
    "ReplaceUnhealthy", "ScheduledActions",
)  # fmt: skip
TERMINATION_POLICIES: Final = (
    "AllocationStrategy", "ClosestToNextInstanceHour", "Default", "NewestInstance", "OldestInstance",
    "OldestLaunchConfiguration", "OldestLaunchTemplate",
)  # fmt: skip
HEALTH_CHECKS: Final = ("EC2", "EBS", "ELB", "VPC_LATTICE")
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/allocation-strategies.html
SPOT_STRATEGIES: Final = (
    "lowest-price",
    "capacity-optimized",
    "capacity-optimized-prioritized",
    "price-capacity-optimized",
)
ON_DEMAND_STRATEGIES: Final = ("prioritized", "lowest-price")
TRANSITIONS: Final = ("autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING")
NAME: Final = r"[A-Za-z0-9\-_/ !-9;-~]{1,255}"
_DURATION: Final = re.compile(r"0|(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+")


def duration_seconds(text: str) -> float | None:
    """A Go duration such as `10m` or `1h30m` in seconds, None when it is none
    (https://pkg.go.dev/time#ParseDuration)."""
    if not _DURATION.fullmatch(text):
        return None
    unit = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
    return sum(float(n) * unit[u] for n, _, u in re.findall(r"(\d+(\.\d+)?)(ns|us|µs|ms|s|m|h)", text))


def group_faults(args: Args) -> Iterator[Fault]:
    """All value rules of a group."""
    yield from conflicting(args, "name", "namePrefix")
    yield from matches(args, "name", NAME, "1 to 255 printable characters without a colon")
    yield from length(args, "namePrefix", 1, 229)
    yield from exactly_one(args, "mixedInstancesPolicy", "launchTemplate", "launchConfiguration")
    yield from _capacity_faults(args)
    yield from conflicting(args, "vpcZoneIdentifiers", "availabilityZones")
    if all(args[key] is None or args[key] == [] for key in ("vpcZoneIdentifiers", "availabilityZones")):
        yield Fault("vpcZoneIdentifiers", "at least one Availability Zone or VPC Subnet is required")
    yield from template_faults(args, "launchTemplate", "id", "name")
    yield from mixed_faults(args)
    yield from _health_faults(args)
    yield from _choice_faults(args)
    yield from _maintenance_faults(args)
    yield from _refresh_faults(args)
    yield from reservation_faults(args)
    yield from hook_faults(args, "initialLifecycleHooks[*].")
    names = [name for _, name in args.at("initialLifecycleHooks[*].name")]
    yield from (
        Fault("initialLifecycleHooks", f"the name {shown(n)} stands twice")
        for n in sorted({n for n in names if names.count(n) > 1})
    )
    tags = args.get("tags", [])
    yield from length(args, "tags", 0, 50)
    keys = [tag.get("key") for tag in tags if isinstance(tag, Mapping)]
    for i, tag in enumerate(tags):
        yield from tag_fault(f"tags[{i}]", tag.get("key"), tag.get("value"))
        if tag.get("key") in keys[:i]:
            yield Fault(f"tags[{i}].key", f"the tag {shown(tag.get('key'))} stands twice")


def _capacity_faults(args: Args) -> Iterator[Fault]:
    for key in (
        "minSize",
        "maxSize",
        "desiredCapacity",
        "defaultCooldown",
        "healthCheckGracePeriod",
        "defaultInstanceWarmup",
    ):
        yield from between(args, key, 0, 2**31 - 1)
    low, high = args.get("minSize"), args.get("maxSize")
    if low is not None and high is not None and low > high:
        yield Fault("minSize", f"must be at most maxSize ({high}), got {low}")
    for path, text in args.at("waitForCapacityTimeout"):
        if duration_seconds(text) is None:
            yield Fault(path, f"expected a duration such as 10m, or 0 not to wait, got {shown(text)}")
    # https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-max-instance-lifetime.html: a day to a year, 0
    # switches it off
    if args.get("maxInstanceLifetime") != 0:
        yield from between(args, "maxInstanceLifetime", 86_400, 31_536_000, "seconds (or 0)")


def template_faults(args: Args, path: str, id_key: str, name_key: str) -> Iterator[Fault]:
    """A launch template named by id or by name, not both."""
    for where, template in args.at(path):
        if not isinstance(template, Mapping):
            continue
        given = [key for key in (id_key, name_key) if template.get(key) is not None]
        if not given:
            yield Fault(where, f"one of {id_key}, {name_key} must be set")
        elif len(given) == 2:
            yield Fault(f"{where}.{name_key}", f"conflicts with {id_key}")
        version = template.get("version")
        if (
            version is not None
            and version is not UNKNOWN
            and not re.fullmatch(r"\$Latest|\$Default|[1-9]\d*", str(version))
        ):
            yield Fault(f"{where}.version", f"expected a version number, $Latest or $Default; got {shown(version)}")
    yield from matches(
        args, f"{path}.{id_key}", r"lt-([0-9a-f]{8}|[0-9a-f]{17})", "a launch template id such as lt-0123456789abcdef0"
    )


def mixed_faults(args: Args) -> Iterator[Fault]:
    """Rules of a mixed instances policy
    (https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_InstancesDistribution.html)."""
    policy = "mixedInstancesPolicy"
    distribution = f"{policy}.instancesDistribution"
    yield from one_of(args, f"{distribution}.spotAllocationStrategy", SPOT_STRATEGIES)
    yield from one_of(args, f"{distribution}.onDemandAllocationStrategy", ON_DEMAND_STRATEGIES)
    yield from between(args, f"{distribution}.onDemandBaseCapacity", 0, 2**31 - 1)
    yield from between(args, f"{distribution}.onDemandPercentageAboveBaseCapacity", 0, 100, "percent")
    yield from between(args, f"{distribution}.spotInstancePools", 1, 20, "pools")
    for path, price in args.at(f"{distribution}.spotMaxPrice"):
        if price != "" and (not re.fullmatch(r"\d+(\.\d+)?", str(price)) or float(price) <= 0):
            yield Fault(path, f"expected a price in USD per hour such as 12.5, got {shown(price)}")
    for path, settings in args.at(distribution):
        if isinstance(settings, Mapping) and settings.get("spotInstancePools") is not None:
            strategy = settings.get("spotAllocationStrategy", "lowest-price")
            if strategy is not UNKNOWN and strategy != "lowest-price":
                yield Fault(f"{path}.spotInstancePools", f"is only for the strategy lowest-price, not {strategy}")
    yield from template_faults(
        args, f"{policy}.launchTemplate.launchTemplateSpecification", "launchTemplateId", "launchTemplateName"
    )
    yield from template_faults(
        args,
        f"{policy}.launchTemplate.overrides[*].launchTemplateSpecification",
        "launchTemplateId",
        "launchTemplateName",
    )
    yield from _override_faults(args, f"{policy}.launchTemplate.overrides")


def _override_faults(args: Args, path: str) -> Iterator[Fault]:
    overrides: Any = next((value for _, value in args.at(path)), [])
    if not isinstance(overrides, list):
        return
    # https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-quotas.html
    if len(overrides) > 40:
        yield Fault(path, f"expected at most 40 overrides, got {len(overrides)}")
    known = [(i, o) for i, o in enumerate(overrides) if isinstance(o, Mapping)]
    by_type = [i for i, o in known if o.get("instanceType") is not None]
    by_attribute = [i for i, o in known if o.get("instanceRequirements") is not None]
    if by_type and by_attribute:
        yield Fault(path, "overrides name either instance types or instance requirements, not both")
    seen: set[str] = set()
    for i, override in known:
        machine_type = override.get("instanceType")
        if machine_type is None and override.get("instanceRequirements") is None:
            yield Fault(f"{path}[{i}]", "one of instanceType, instanceRequirements must be set")
        if isinstance(machine_type, str):
            if quotas.instance_type(machine_type) is None:
                yield Fault(f"{path}[{i}].instanceType", f"EC2 has no instance type {shown(machine_type)}")
            if machine_type in seen:
                yield Fault(f"{path}[{i}].instanceType", f"duplicate instance type {machine_type} in overrides")
            seen.add(machine_type)
        weight = override.get("weightedCapacity")
        if weight is not None and weight is not UNKNOWN and not re.fullmatch(r"[1-9]\d{0,2}", str(weight)):
            yield Fault(
                f"{path}[{i}].weightedCapacity", f"expected a whole number from 1 to 999 as text, got {shown(weight)}"
            )
    weighted = [i for i, o in known if o.get("weightedCapacity") is not None]
    if weighted and len(known) == len(overrides) != len(weighted):
        yield Fault(path, "weightedCapacity must be given for all overrides or for none")


def _health_faults(args: Args) -> Iterator[Fault]:
    for path, value in args.at("healthCheckType"):
        for part in str(value).split(","):
            if part.strip() not in HEALTH_CHECKS:
                yield Fault(path, f"expected one of {', '.join(HEALTH_CHECKS)}; got {shown(value)}")


def _choice_faults(args: Args) -> Iterator[Fault]:
    yield from one_of(args, "enabledMetrics[*]", sorted(METRICS))
    yield from one_of(args, "metricsGranularity", ("1Minute",))
    yield from one_of(args, "suspendedProcesses[*]", PROCESSES)
    for path, value in args.at("terminationPolicies[*]"):
        if value not in TERMINATION_POLICIES and not is_arn(value, "lambda"):
            yield Fault(path, f"expected one of {', '.join(TERMINATION_POLICIES)} or a Lambda ARN; got {shown(value)}")
    yield from one_of(args, "desiredCapacityType", ("units", "vcpu", "memory-mib"))
    strategies = ("balanced-only", "balanced-best-effort", "reservations-then-balanced")
    yield from one_of(args, "availabilityZoneDistribution.capacityDistributionStrategy", strategies)
    yield from one_of(args, "instanceLifecyclePolicy.retentionTriggers.terminateHookAbandon", ("retain", "terminate"))
    yield from arns(args, "targetGroupArns[*]", "elasticloadbalancing", "targetgroup/")
    yield from arns(args, "serviceLinkedRoleArn", "iam", "role/")
    if "trafficSources" in args:
        yield from conflicting(args, "trafficSources", "targetGroupArns")
        yield from conflicting(args, "trafficSources", "loadBalancers")
    yield from one_of(args, "trafficSources[*].type", ("elb", "elbv2", "vpc-lattice"))
    yield from one_of(args, "warmPool.poolState", ("Stopped", "Running", "Hibernated"))
    yield from between(args, "warmPool.minSize", 0, 2**31 - 1)
    yield from between(args, "warmPool.maxGroupPreparedCapacity", -1, 2**31 - 1)


def _maintenance_faults(args: Args) -> Iterator[Fault]:
    """https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-maintenance-policy.html"""
    policy: Any = args.get("instanceMaintenancePolicy")
    if not isinstance(policy, Mapping):
        return
    low, high = policy.get("minHealthyPercentage"), policy.get("maxHealthyPercentage")
    if low == -1 and high == -1:
        return
    yield from between(
        args, "instanceMaintenancePolicy.minHealthyPercentage", 0, 100, "percent (both -1 to remove the policy)"
    )
    yield from between(
        args, "instanceMaintenancePolicy.maxHealthyPercentage", 100, 200, "percent (both -1 to remove the policy)"
    )
    if isinstance(low, int) and isinstance(high, int) and high - low > 100:
        yield Fault(
            "instanceMaintenancePolicy.maxHealthyPercentage",
            f"may be at most 100 above minHealthyPercentage ({low}), got {high}",
        )


def _refresh_faults(args: Args) -> Iterator[Fault]:
    """https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_RefreshPreferences.html"""
    preferences = "instanceRefresh.preferences"
    yield from one_of(args, "instanceRefresh.strategy", ("Rolling", "ReplaceRootVolume"))
    yield from between(args, f"{preferences}.minHealthyPercentage", 0, 100, "percent")
    yield from between(args, f"{preferences}.maxHealthyPercentage", 100, 200, "percent")
    yield from one_of(args, f"{preferences}.scaleInProtectedInstances", ("Refresh", "Ignore", "Wait"))
    yield from one_of(args, f"{preferences}.standbyInstances", ("Terminate", "Ignore", "Wait"))
    for key in ("checkpointDelay", "instanceWarmup"):
        yield from matches(args, f"{preferences}.{key}", r"\d+", "a number of seconds as text")
    points = [value for _, value in args.at(f"{preferences}.checkpointPercentages[*]")]
    if points != sorted(set(points)) or any(not 1 <= p <= 100 for p in points):
        yield Fault(
            f"{preferences}.checkpointPercentages", f"expected rising percentages from 1 to 100, got {shown(points)}"
        )
    for path, trigger in args.at("instanceRefresh.triggers[*]"):
        if trigger in ("launch_configuration", "launch_template", "mixed_instances_policy"):
            yield Fault(path, f"{trigger} always triggers a refresh and is not listed")


def reservation_faults(args: Args) -> Iterator[Fault]:
    """https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_CapacityReservationSpecification.html"""
    base = "capacityReservationSpecification"
    preferences = ("capacity-reservations-only", "capacity-reservations-first", "none", "default")
    yield from one_of(args, f"{base}.capacityReservationPreference", preferences)
    target = f"{base}.capacityReservationTarget"
    yield from matches(
        args,
        f"{target}.capacityReservationIds[*]",
        r"cr-([0-9a-f]{8}|[0-9a-f]{17})",
        "an id such as cr-0123456789abcdef0",
    )
    yield from arns(args, f"{target}.capacityReservationResourceGroupArns[*]", "resource-groups")
    for path, settings in args.at(base):
        if not isinstance(settings, Mapping) or settings.get("capacityReservationTarget") in (None, {}):
            continue
        preference = settings.get("capacityReservationPreference")
        if preference in ("none", "default"):
            yield Fault(f"{path}.capacityReservationTarget", f"targets are not for the preference {preference}")


def hook_faults(args: Args, prefix: str = "") -> Iterator[Fault]:
    """A lifecycle hook, alone or among a group's initial ones
    (https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html)."""
    yield from matches(args, f"{prefix}name", r"[A-Za-z0-9\-_/]{1,255}", "1 to 255 letters, digits, -, _ and /")
    yield from one_of(args, f"{prefix}lifecycleTransition", TRANSITIONS)
    yield from one_of(args, f"{prefix}defaultResult", ("ABANDON", "CONTINUE"))
    yield from between(args, f"{prefix}heartbeatTimeout", 30, 7200, "seconds")
    yield from length(args, f"{prefix}notificationMetadata", 1, 4000)
    yield from arns(args, f"{prefix}roleArn", "iam", "role/")
    for path, target in args.at(f"{prefix}notificationTargetArn"):
        if target != "" and not is_arn(target, "sns") and not is_arn(target, "sqs"):
            yield Fault(path, f"expected the ARN of an SNS topic or an SQS queue, got {shown(target)}")
