"""A spot pool never stands alone: there is an on-demand pool, and something that fills it when spot goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from cost.plan.functions import named
from cost.plan.preview import Resource, Unknown
from policy.findings import Finding, Policy, Settings, Stack, get, rows, texts, yes
from policy.rules.pools import Pool, pools

APP: Final = "azure-native:web:WebApp"
FUNCTION: Final = "gcp:cloudfunctionsv2/function:Function"
JOB: Final = "gcp:cloudscheduler/job:Job"
SCALING: Final = "aws:autoscaling/policy:Policy"
ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
SPOT_GROUP, ON_DEMAND_GROUP = "SPILLWAY_SPOT_GROUP", "SPILLWAY_ON_DEMAND_GROUP"
EVERY_MINUTE: Final = ("* * * * *", "*/1 * * * *")


class WithFallback(Settings):
    """No settings of its own."""


def _whole(stack: Stack, settings: WithFallback) -> Iterator[Finding]:
    found = list(pools(stack))
    steady = [pool for pool in found if pool.market == "on-demand"]
    for spot in (pool for pool in found if pool.market == "spot"):
        if not steady:
            yield Finding(spot.group.urn, "a spot pool without an on-demand pool: when spot goes, nothing serves")
            continue
        least, most = spot.count.steady, max(_most(pool) for pool in steady)
        if most < least:
            yield Finding(
                steady[0].group.urn,
                f"takes at most {int(most)} nodes in place of {int(least)} on spot: allowed are {int(least)} or more",
            )
        yield from _FALLBACKS[spot.group.type](stack, spot, steady)


def _most(pool: Pool) -> Decimal:
    """Nodes that a pool may have. A group's own limit goes before what the cost model counts, which takes the fallback
    for granted."""
    most = get(pool.group, "maxSize")
    return Decimal(str(most)) if isinstance(most, int | float) else pool.count.ceiling


def _aws(stack: Stack, spot: Pool, steady: list[Pool]) -> Iterator[Finding]:
    """A scaling policy of the on-demand group that adds nodes, and an alarm that calls it."""
    groups = {pool.group.urn for pool in steady}
    names = {name for pool in steady if isinstance(name := get(pool.group, "name"), str)}
    adding = [one for one in stack.side.of(SCALING) if _is_of(one, groups, names) and _adds(one)]
    if not adding:
        yield Finding(steady[0].group.urn, "no scaling policy adds on-demand nodes when spot is missing")
        return
    called = _called(stack)
    if not any(one.urn in called or str(get(one, "arn")) in called for one in adding):
        yield Finding(
            adding[0].urn, "no alarm calls it, or the alarm's actions are off: on-demand nodes are never added"
        )


def _is_of(policy: Resource, groups: set[str], names: set[str]) -> bool:
    referred = policy.refers.get("autoscalingGroupName", ())
    return bool(groups & set(referred)) or str(get(policy, "autoscalingGroupName")) in names


def _adds(policy: Resource) -> bool:
    """Whether any step of it adds nodes, or sets how many there are."""
    if get(policy, "enabled") is False:
        return False
    if get(policy, "policyType") in ("TargetTrackingScaling", "PredictiveScaling"):
        return True
    if get(policy, "adjustmentType") == "ExactCapacity":
        return True
    amounts = [
        get(policy, "scalingAdjustment"),
        *(row.get("scalingAdjustment") for row in rows(get(policy, "stepAdjustments"))),
    ]
    return any(isinstance(one, Unknown) or (isinstance(one, int | float) and one > 0) for one in amounts)


def _called(stack: Stack) -> set[Any]:
    """URNs and ARNs of whatever an alarm calls."""
    found: set[Any] = set()
    for alarm in stack.side.of(ALARM):
        if get(alarm, "actionsEnabled") is not False:
            found.update(alarm.refers.get("alarmActions", ()))
            found.update(texts(get(alarm, "alarmActions") or []))
    return found


def _azure(stack: Stack, spot: Pool, steady: list[Pool]) -> Iterator[Finding]:
    apps = [(app, named(get(app, "siteConfig", "appSettings"))) for app in stack.side.of(APP)]
    told = [(app, settings) for app, settings in apps if settings is not None]
    yield from _functions(spot, steady, told, "vmScaleSetName")
    for app, _ in told:
        if get(app, "enabled") is False:
            yield Finding(app.urn, "enabled = false: the fallback function does not run")


def _gcp(stack: Stack, spot: Pool, steady: list[Pool]) -> Iterator[Finding]:
    found = [(one, get(one, "serviceConfig", "environmentVariables")) for one in stack.side.of(FUNCTION)]
    told = [(one, settings) for one, settings in found if isinstance(settings, Mapping) and SPOT_GROUP in settings]
    yield from _functions(spot, steady, told, "name")
    if not told:
        return
    jobs = stack.side.of(JOB)
    running = [job for job in jobs if not yes(get(job, "paused"))]
    if not running:
        yield Finding(told[0][0].urn, "no timer calls the fallback function, or it is paused")
    elif not any(get(job, "schedule") in EVERY_MINUTE for job in running):
        schedule = get(running[0], "schedule")
        yield Finding(
            running[0].urn, f"schedule = {schedule}: allowed is {EVERY_MINUTE[0]}, a look at the pools each minute"
        )


def _functions(
    spot: Pool, steady: list[Pool], told: Sequence[tuple[Resource, Mapping[str, Any]]], name: str
) -> Iterator[Finding]:
    """A function that knows both groups, and acts."""
    if not told:
        yield Finding(spot.group.urn, "no fallback function: when spot goes, no on-demand node is bought")
    for function, settings in told:
        for key, groups in ((SPOT_GROUP, [spot]), (ON_DEMAND_GROUP, steady)):
            named_ = settings.get(key)
            names = [get(pool.group, name) for pool in groups]
            if isinstance(named_, str) and all(isinstance(one, str) for one in names) and named_ not in names:
                yield Finding(function.urn, f"{key} = {named_}: allowed is the pool's group, {names[0]}")
        if str(settings.get("SPILLWAY_DRY_RUN", "false")).lower() == "true":
            yield Finding(
                function.urn, "SPILLWAY_DRY_RUN = true: it tells what it would do, and buys no on-demand node"
            )


def _none(stack: Stack, spot: Pool, steady: list[Pool]) -> Iterator[Finding]:
    yield Finding(spot.group.urn, "a spot pool where Spillway has no fallback: allowed is on-demand only")


_FALLBACKS: Final = {
    "aws:autoscaling/group:Group": _aws,
    "azure-native:compute:VirtualMachineScaleSet": _azure,
    "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager": _gcp,
    "tencentcloud:As/scalingGroup:ScalingGroup": _none,
}

POLICY: Final = Policy(
    "spot-with-fallback",
    "Spot with a fallback",
    "Where there is a spot pool there are an on-demand pool that can stand in for it and a fallback that makes it.",
    WithFallback,
    whole=_whole,
)
