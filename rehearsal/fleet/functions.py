"""An Azure or a Google Cloud region out of its resources: two groups, and the function that sizes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from infra.function.settings import PREFIX, AzureSettings, GcpSettings, Settings, SettingsError
from rehearsal.fleet import common
from rehearsal.fleet.model import (
    TIMER_SECONDS,
    Balancer,
    Choice,
    FunctionFallback,
    Node,
    Pool,
    Region,
)
from rehearsal.fleet.resources import UNKNOWN, Reader, Resource, Stack

SCALE_SET: Final = "azure-native:compute:VirtualMachineScaleSet"
APP: Final = "azure-native:web:WebApp"
AZURE_BALANCER: Final = "azure-native:network:LoadBalancer"
MANAGER: Final = "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager"
TEMPLATE: Final = "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate"
FUNCTION: Final = "gcp:cloudfunctionsv2/function:Function"
JOB: Final = "gcp:cloudscheduler/job:Job"
CHECK: Final = "gcp:compute/regionHealthCheck:RegionHealthCheck"
BACKEND: Final = "gcp:compute/regionBackendService:RegionBackendService"
FRONT: Final = "gcp:compute/forwardingRule:ForwardingRule"
TYPES: Final = (SCALE_SET, APP, AZURE_BALANCER, MANAGER, TEMPLATE, FUNCTION, JOB, CHECK, BACKEND, FRONT)

EMPTY: Final = "the group is made empty, and the function fills it"
_SCHEDULE: Final = re.compile(r"(\*|\*/([1-9]\d?)) \* \* \* \*")
_RULE_KEYS: Final = {
    "floor": "FLOOR",
    "out_minutes": "FALLBACK_OUT_MINUTES",
    "in_minutes": "FALLBACK_IN_MINUTES",
    "boot_minutes": "FALLBACK_BOOT_MINUTES",
    "max_on_demand": "MAX",
}


def azure(stack: Stack, top: Reader) -> Region:
    """An Azure region. Raises SpillwayError, one line, for what cannot be read."""
    if not stack.of_type(SCALE_SET):
        common.no_pools(stack, "scale sets")
    app = stack.one(APP, "fallback function")
    environment, keys = _app_settings(top.at("", app))
    settings = _settings(AzureSettings, top.at("", app), environment)
    _note_settings(top.at("", app), settings, keys)
    top.at("fallback", app).assume(
        "timer_seconds", "the package's own trigger: every minute (infra/function/azure_entry.py)"
    )
    top.at("fallback", app).assume("retry_seconds", "a timer of Azure Functions tries nothing again")
    top.at("fallback", app).assume("paused", "the trigger is part of the package and always on")
    sets = {
        "spot": _named_set(stack, settings.spot_group, "spot"),
        "on_demand": _named_set(stack, settings.on_demand_group, "on-demand"),
    }
    spot = _scale_set(top.at("spot", sets["spot"]), settings, spot=True)
    on_demand = _scale_set(top.at("on_demand", sets["on_demand"]), settings, spot=False)
    group = top.at("node", sets["spot"])
    grace = common.minutes(group, "grace_seconds", "automaticRepairsPolicy.gracePeriod")
    notice, source = common.SPOT_NOTICE["azure"]
    group.assume("notice_seconds", "Azure tells an eviction 30 s ahead", source)
    node = common.node(top.at("", sets["spot"]), "virtualMachineProfile.userData", grace, notice)
    balancer = top.at("balancer", stack.one(AZURE_BALANCER, "load balancer"))
    balancer.assume("timeout_seconds", common.AZURE_TIMEOUT)
    balancer.assume("drain_seconds", common.AZURE_NO_DRAIN)
    balancer.note("addresses", "frontendIPConfigurations")
    interval = balancer.whole("interval_seconds", "probes[0].intervalInSeconds", 1)
    threshold = balancer.whole("unhealthy_threshold", "probes[0].probeThreshold", 1, default=1)
    balancer.note("healthy_threshold", "probes[0].probeThreshold")
    front = Balancer(
        protocol=balancer.text("protocol", "probes[0].protocol").upper(),
        path=balancer.text("path", "probes[0].requestPath"),
        port=balancer.whole("port", "probes[0].port", 1),
        interval_seconds=interval,
        timeout_seconds=interval,
        healthy_threshold=threshold,
        unhealthy_threshold=threshold,
        drain_seconds=0,
        addresses=balancer.items("frontendIPConfigurations"),
    )
    fallback = _fallback(settings, TIMER_SECONDS, retry=None, paused=False)
    return _region(stack, top, "azure", settings, spot, on_demand, fallback, node, front)


def _named_set(stack: Stack, name: str, what: str) -> Resource:
    """A scale set by the name that the function knows: an output, or what the program gave it."""
    rows = (one for one in stack.of_type(SCALE_SET) if name in (one.known("vmScaleSetName"), one.known("name")))
    found = next(rows, None)
    if found is None:
        stack.refuse(stack.name, f"{what} scale set {name}: there is no such {SCALE_SET}")
    return found


def _app_settings(app: Reader) -> tuple[dict[str, str], dict[str, str]]:
    """Environment of the app by name, and under which property each stands."""
    found: dict[str, str] = {}
    keys: dict[str, str] = {}
    for number in range(app.items("siteConfig.appSettings")):
        key = f"siteConfig.appSettings[{number}]"
        name = app.text("fallback", f"{key}.name")
        if name.startswith(PREFIX):
            found[name], keys[name] = _variable(app, f"{key}.value"), key
    if not found:
        app.fault("siteConfig.appSettings", f"the function's environment ({PREFIX}*)")
    return found, keys


def _variable(reader: Reader, key: str) -> str:
    """A variable as the function gets it; one that is known only after the deployment stands for itself."""
    value = reader.resource.get(key)
    if value == UNKNOWN:
        return "not-known-yet"
    return reader.text("fallback", key)


def gcp(stack: Stack, top: Reader) -> Region:
    """A Google Cloud region. Raises SpillwayError, one line, for what cannot be read."""
    if not stack.of_type(MANAGER):
        common.no_pools(stack, "instance group managers")
    function = top.at("", stack.one(FUNCTION, "fallback function"))
    at = "serviceConfig.environmentVariables"
    told = function.resource.known(at)
    if not isinstance(told, Mapping):
        function.fault(at, f"the function's environment ({PREFIX}*)")
    environment = {name: _variable(function, f"{at}.{name}") for name in told if name.startswith(PREFIX)}
    keys = {name: f"{at}.{name}" for name in environment}
    settings = _settings(GcpSettings, function, environment)
    _note_settings(function, settings, keys)
    spot_group = common.by_name(stack, MANAGER, "name", settings.spot_group, "spot group")
    on_demand_group = common.by_name(stack, MANAGER, "name", settings.on_demand_group, "on-demand group")
    spot = _manager(top.at("spot", spot_group), settings, spot=True)
    on_demand = _manager(top.at("on_demand", on_demand_group), settings, spot=False)
    group = top.at("node", spot_group)
    grace = group.whole("grace_seconds", "autoHealingPolicies.initialDelaySec", default=0)
    templates = stack.referred(spot_group, "versions", (TEMPLATE,))
    if not templates:
        group.fault("versions", "an instance template of this stack")
    template = top.at("node", templates[0])
    told_notice = "scheduling.preemptionNoticeDuration.seconds"
    if template.resource.get(told_notice) is None:
        notice, source = common.SPOT_NOTICE["gcp"]
        template.assume("notice_seconds", "no preemption notice is asked for", source)
    else:
        notice = template.whole("notice_seconds", told_notice)
    node = common.node(top.at("", templates[0]), "metadata.user-data", grace, notice)
    seconds, retry, paused = _timer(stack, top)
    fallback = _fallback(settings, seconds, retry=retry, paused=paused)
    return _region(stack, top, "gcp", settings, spot, on_demand, fallback, node, _gcp_balancer(stack, top))


def _timer(stack: Stack, top: Reader) -> tuple[int, int | None, bool]:
    """Seconds between two calls, until a failed one is made again, and whether the timer is off."""
    job = top.at("fallback", stack.one(JOB, "timer of the fallback function"))
    schedule = job.text("timer_seconds", "schedule")
    found = _SCHEDULE.fullmatch(schedule)
    if found is None:
        job.fault("schedule", "every minute (* * * * *) or every few minutes (*/5 * * * *)")
    seconds = int(found[2] or 1) * 60
    retry: int | None = None
    if job.whole("retry_seconds", "retryConfig.retryCount", default=0):
        text = job.text("retry_seconds", "retryConfig.minBackoffDuration", default="5s")
        if not re.fullmatch(r"\d+s", text):
            job.fault("retryConfig.minBackoffDuration", "seconds such as 5s")
        retry = int(text[:-1])
    return seconds, retry, job.flag("paused", "paused", default=False)


def _gcp_balancer(stack: Stack, top: Reader) -> Balancer:
    check = top.at("balancer", stack.one(CHECK, "health check of the load balancer"))
    backend = top.at("balancer", stack.one(BACKEND, "backend service"))
    fronts = stack.of_type(FRONT)
    if not fronts:
        stack.one(FRONT, "forwarding rule")
    top.at("balancer", fronts[0]).note("addresses", "ipAddress")
    kinds = [kind for kind in ("https", "http", "tcp") if check.resource.get(f"{kind}HealthCheck") is not None]
    kind = kinds[0] if kinds else "https"
    check.note("protocol", f"{kind}HealthCheck")
    return Balancer(
        protocol=kind.upper(),
        path=check.text("path", f"{kind}HealthCheck.requestPath", default="/"),
        port=check.whole("port", f"{kind}HealthCheck.port", 1),
        interval_seconds=check.whole("interval_seconds", "checkIntervalSec", 1, default=5),
        timeout_seconds=check.whole("timeout_seconds", "timeoutSec", 1, default=5),
        healthy_threshold=check.whole("healthy_threshold", "healthyThreshold", 1, default=2),
        unhealthy_threshold=check.whole("unhealthy_threshold", "unhealthyThreshold", 1, default=2),
        drain_seconds=backend.whole("drain_seconds", "connectionDrainingTimeoutSec", default=300),
        addresses=len(fronts),
    )


def _settings(model: type[Any], reader: Reader, environment: Mapping[str, str]) -> Any:
    try:
        return model.read(environment)
    except SettingsError as error:
        reader.stack.refuse(reader.resource.name, f"environment: {error}")


def _note_settings(reader: Reader, settings: Settings, keys: Mapping[str, str]) -> None:
    """Which variable each figure of the function is."""
    for name, variable in _RULE_KEYS.items():
        for path in ("rule", "fallback.rule"):
            reader.note(f"{path}.{name}", keys[PREFIX + variable])
    queue = settings.scaling_signal == "queue"
    load = {
        "high": "SCALING_QUEUE_PER_REPLICA" if queue else "SCALING_CPU_PERCENT",
        "low": "SCALING_IN_QUEUE_PER_REPLICA" if queue else "SCALING_IN_CPU_PERCENT",
        "minutes": "SCALING_QUEUE_MINUTES" if queue else "SCALING_CPU_MINUTES",
        "in_minutes": "SCALING_IN_MINUTES",
        "step": "SCALING_STEP",
        "in_step": "SCALING_IN_STEP",
        "cooldown_seconds": "SCALING_COOLDOWN_SECONDS",
        "least": "TARGET",
        "most": "MAX",
    }
    for name, variable in load.items():
        reader.note(f"fallback.load.{name}", keys[PREFIX + variable])
    told = {"signal": "SCALING_SIGNAL", "target": "TARGET", "floor": "FLOOR", "maximum": "MAX"}
    for name, variable in told.items():
        reader.note(name, keys[PREFIX + variable])
    if PREFIX + "DRY_RUN" in keys:
        reader.note("fallback.dry_run", keys[PREFIX + "DRY_RUN"])
    else:
        reader.assume("fallback.dry_run", "the variable is left out, which means false")


def _fallback(settings: Settings, seconds: int, *, retry: int | None, paused: bool) -> FunctionFallback:
    return FunctionFallback(
        rule=settings.rule,
        load=settings.load_rule,
        timer_seconds=seconds,
        retry_seconds=retry,
        dry_run=settings.dry_run,
        paused=paused,
    )


def _sizes(pool: Reader, settings: Settings, *, spot: bool) -> tuple[int, int]:
    """Least and most nodes, which the function keeps to; the groups have no such limits."""
    environment = f"environment of the fallback function: {PREFIX}"
    low, high = ("TARGET - FLOOR", "MAX - FLOOR") if spot else ("FLOOR", "MAX")
    pool.note("minimum", environment + low)
    pool.note("maximum", environment + high)
    if spot:
        return settings.target - settings.floor, settings.max - settings.floor
    return settings.floor, settings.max


def _scale_set(pool: Reader, settings: Settings, *, spot: bool) -> Pool:
    wanted = "Spot" if spot else "Regular"
    if pool.text("market", "virtualMachineProfile.priority", default="Regular") != wanted:
        pool.fault("virtualMachineProfile.priority", f"{wanted}, as the fallback function takes it for")
    pool.assume("initial", EMPTY)
    pool.note("choice", "sku.name")
    pool.note("size", "sku.capacity")
    size = pool.resource.known("sku.capacity")
    minimum, maximum = _sizes(pool, settings, spot=spot)
    pool.note("name", "name")
    return Pool(
        name=settings.spot_group if spot else settings.on_demand_group,
        market="spot" if spot else "on-demand",
        types=(pool.text("types", "sku.name"),),
        choice="in-order",
        zones=tuple(sorted(pool.texts("zones", "zones", empty=True))),
        minimum=minimum,
        maximum=maximum,
        initial=0,
        size=int(size) if pool.stack.kind != "plan" and isinstance(size, int | float) else None,
    )


def _manager(pool: Reader, settings: Settings, *, spot: bool) -> Pool:
    at = "instanceFlexibilityPolicy.instanceSelections"
    count = pool.items(at)
    if not count:
        pool.fault(at, "at least one instance selection")
    order = sorted((pool.whole("choice", f"{at}[{n}].rank", default=0), n) for n in range(count))
    types = tuple(name for _, n in order for name in pool.texts("types", f"{at}[{n}].machineTypes"))
    ranked: Choice = "in-order" if len({rank for rank, _ in order}) == count and count > 1 else "any"
    ranked = "in-order" if len(types) == 1 else ranked
    pool.note("types", at)
    pool.assume("initial", EMPTY)
    pool.note("size", "targetSize")
    templates = pool.stack.referred(pool.resource, "versions", (TEMPLATE,))
    if not templates:
        pool.fault("versions", "an instance template of this stack")
    model = pool.at("", templates[0])
    wanted = "SPOT" if spot else "STANDARD"
    if model.text("market", "scheduling.provisioningModel", default="STANDARD") != wanted:
        model.fault("scheduling.provisioningModel", f"{wanted}, as the fallback function takes it for")
    size = pool.resource.known("targetSize")
    minimum, maximum = _sizes(pool, settings, spot=spot)
    return Pool(
        name=pool.text("name", "name"),
        market="spot" if spot else "on-demand",
        types=types,
        choice=ranked,
        zones=tuple(sorted(pool.texts("zones", "distributionPolicyZones"))),
        minimum=minimum,
        maximum=maximum,
        initial=0,
        size=int(size) if pool.stack.kind != "plan" and isinstance(size, int | float) else None,
    )


def _region(
    stack: Stack,
    top: Reader,
    cloud: str,
    settings: Settings,
    spot: Pool,
    on_demand: Pool,
    fallback: FunctionFallback,
    node: Node,
    balancer: Balancer,
) -> Region:
    place = common.endpoint(stack, top.notes)
    return Region(
        stack=stack.name,
        cloud=cloud,
        region=place.region,
        residency=place.residency,
        nearest_aws_region=place.nearest_aws_region,
        target=settings.target,
        floor=settings.floor,
        maximum=settings.max,
        spot=spot,
        on_demand=on_demand,
        blocks=(),
        fallback=fallback,
        rule=fallback.rule,
        signal=settings.scaling_signal,
        hooks=(),
        node=node,
        balancer=balancer,
    )
