"""Regions straight from stack files: what they would make, without an engine, an account or anything deployed.

What `infra/` writes by a pure function (names, the fallback's rule and its alarms, settings of the function, zones) is
asked of it. A few constants stand in modules that import a cloud's SDK, of which a process has one at most, and are
repeated here; tests/rehearsal/test_fleet.py holds them against what the engine deploys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from infra.azure import names as azure_names
from infra.azure.zones import pool_zones
from infra.config import AzureRegion, GcpRegion, RegionConfig, TencentRegion
from infra.function.settings import GcpSettings, Settings, environment, variable
from infra.gcp import names as gcp_names
from infra.gcp.disks import by_layout
from infra.tencent import names as tencent_names
from rehearsal.fleet import common, files_aws, tencent
from rehearsal.fleet.alarms import Alarm, Metric, SimplePolicy
from rehearsal.fleet.files_base import CHECK_SECONDS, Writer, balancer, drain, node, say_pools, told
from rehearsal.fleet.functions import EMPTY
from rehearsal.fleet.model import TIMER_SECONDS, Balancer, FunctionFallback, Hook, Node, NoFallback, Pool, Region
from rehearsal.fleet.resources import Notes

# infra/gcp/scaling.py
RETRY_SECONDS: Final = 5
# infra/gcp/node.py
GCP_NOTICE, GCP_SHUTDOWN = 120, 30
# infra/tencent/network.py, infra/tencent/pools.py
TENCENT_PROBE_PORT: Final = 8080
TENCENT_HOOK_LEAST, SHORT_PERIOD, LONG_PERIOD, PERIODS_MOST = 30, 60, 300, 10


def region(config: RegionConfig, file: str, notes: Notes) -> Region:
    """The region that a stack file makes; where its figures come from goes into `notes`."""
    top = Writer(file, notes, config.stack_name)
    top.say(
        stack="region", cloud="cloud", region="region", residency="residency", target="pools.target",
        floor="pools.floor", maximum="pools.max", signal="scaling.signal", fallback="fallback", rule="fallback",
        nearest_aws_region="region" if config.CLOUD == "aws" else "nearestAwsRegion",
    )  # fmt: skip
    for path in ("rule", "fallback.rule"):
        top.at(path).say(
            floor="pools.floor", out_minutes="fallback.outMinutes", in_minutes="fallback.inMinutes",
            boot_minutes="fallback.bootMinutes", max_on_demand="pools.max",
        )  # fmt: skip
    top.at("node").say(**common.CONFIG_KEYS)
    top.assume(balancer=f"the same for every region (infra/{config.CLOUD}/balancer.py)")
    return common.complete(_MAKERS[config.CLOUD](config, top), notes, file)


# --- Azure and Google Cloud ------------------------------------------------------------------------------------------


def _settings(config: AzureRegion | GcpRegion, spot: str, on_demand: str) -> Settings:
    """The function's settings as the stack's program renders them; where it is does not matter here."""
    variables = environment(
        stack=config.stack_name, pools=config.pools, fallback=config.fallback, scaling=config.scaling,
        dry_run=config.fallback.dry_run,
    )  # fmt: skip
    more = {"spot_group": spot, "on_demand_group": on_demand, "state": "-", "project": "-", "region": config.region}
    return GcpSettings.read(variables | {variable(key): value for key, value in more.items()})


def _by_function(
    config: AzureRegion | GcpRegion,
    top: Writer,
    pools: tuple[Pool, Pool],
    retry: int | None,
    nodes: Node,
    front: Balancer,
) -> Region:
    spot, on_demand = pools
    settings = _settings(config, spot.name, on_demand.name)
    queue = "QueuePerReplica" if config.scaling.signal == "queue" else "CpuPercent"
    minutes = "queueMinutes" if config.scaling.signal == "queue" else "cpuMinutes"
    top.at("fallback.load").say(
        high=f"scaling.{queue[0].lower()}{queue[1:]}", low=f"scaling.in{queue}", minutes=f"scaling.{minutes}",
        in_minutes="scaling.inMinutes", step="scaling.step", in_step="scaling.inStep",
        cooldown_seconds="scaling.cooldownSeconds", least="pools.target - pools.floor", most="pools.max - pools.floor",
    )  # fmt: skip
    where = f"infra/{config.CLOUD}/scaling.py"
    top.at("fallback").assume(
        timer_seconds=f"every minute ({where})", retry_seconds=f"as {where} has it", paused=f"as {where} has it"
    )
    top.at("fallback").say(dry_run="fallback.dryRun")
    for name in ("spot", "on_demand"):
        top.at(name).assume(initial=EMPTY)
    top.assume(hooks="this cloud's groups have none")
    return Region(
        **told(config),
        spot=spot,
        on_demand=on_demand,
        blocks=(),
        fallback=FunctionFallback(
            settings.rule, settings.load_rule, TIMER_SECONDS, retry, config.fallback.dry_run, paused=False
        ),
        rule=settings.rule,
        hooks=(),
        node=nodes,
        balancer=front,
    )


def _azure(config: AzureRegion, top: Writer) -> Region:
    stack, sizes = config.stack_name, config.pools
    say_pools(top, config)
    kinds = (config.pools.types[0], config.on_demand_types[0])
    zones = [tuple(sorted(pool_zones(config, kind))) for kind in kinds]
    pools = (
        Pool(
            azure_names.scale_set(stack, "spot"), "spot", kinds[:1], "in-order", zones[0], sizes.target - sizes.floor,
            sizes.max - sizes.floor, 0,
        ),
        Pool(
            azure_names.scale_set(stack, "on-demand"), "on-demand", kinds[1:], "in-order", zones[1], sizes.floor,
            sizes.max, 0,
        ),
    )  # fmt: skip
    notice, source = common.SPOT_NOTICE["azure"]
    nodes = node(config, top, notice, config.node.grace_period_minutes * 60, f"Azure tells it so ({source})")
    top.at("balancer").assume(timeout_seconds=common.AZURE_TIMEOUT, drain_seconds=common.AZURE_NO_DRAIN)
    front = balancer(config, 0, timeout_seconds=CHECK_SECONDS)
    return _by_function(config, top, pools, None, nodes, front)


def _gcp(config: GcpRegion, top: Writer) -> Region:
    stack, sizes = config.stack_name, config.pools
    say_pools(top, config)
    # Types that have their disks in common share a selection.
    spot_types = tuple(name for group in by_layout(sizes.types).values() for name in group)
    pools = (
        Pool(
            gcp_names.pool_name(stack, "spot"), "spot", spot_types, "any" if len(spot_types) > 1 else "in-order",
            config.zones, sizes.target - sizes.floor, sizes.max - sizes.floor, 0,
        ),
        Pool(
            gcp_names.pool_name(stack, "on-demand"), "on-demand", config.on_demand_types, "in-order", config.zones,
            sizes.floor, sizes.max, 0,
        ),
    )  # fmt: skip
    asked = config.node.notice_seconds > GCP_SHUTDOWN
    nodes = node(config, top, GCP_NOTICE if asked else GCP_SHUTDOWN, config.node.grace_period_minutes * 60)
    top.at("balancer").say(drain_seconds="node.deregisterSeconds + node.drainSeconds")
    return _by_function(config, top, pools, RETRY_SECONDS, nodes, balancer(config, drain(config)))


# --- Tencent Cloud ---------------------------------------------------------------------------------------------------


def _tencent(config: TencentRegion, top: Writer) -> Region:
    sizes, load = config.pools, config.scaling
    say_pools(top, config)
    top.assume(spot=tencent.NO_SPOT, fallback=tencent.NO_SPOT, rule=tencent.NO_SPOT)
    top.at("on_demand").say(minimum="pools.target", initial="pools.target")
    name = tencent_names.pool_name(config.stack_name)
    pool = Pool(
        name, "on-demand", config.on_demand_types, "in-order", config.zones, sizes.target, sizes.max, sizes.target
    )
    top.say(hooks="node.drainSeconds")
    hook = Hook(name, "drain", "terminating", max(TENCENT_HOOK_LEAST, drain(config)), "CONTINUE")
    nodes = node(config, top, 0, 0, tencent.NO_SPOT)
    top.at("node").assume(grace_seconds=tencent.NO_GRACE)
    top.at("balancer").assume(drain_seconds=tencent.NO_DRAIN)
    alarms = []
    if load.signal == "cpu":
        for key, comparison, percent, minutes, step in (
            ("load-out", "GreaterThanOrEqualToThreshold", load.cpu_percent, load.cpu_minutes, load.step),
            ("load-in", "LessThanThreshold", load.in_cpu_percent, load.in_minutes, -load.in_step),
        ):
            short = minutes <= PERIODS_MOST
            period, count = (SHORT_PERIOD, minutes) if short else (LONG_PERIOD, minutes * 60 // LONG_PERIOD)
            metric = Metric("load", "QCE/CVM", "CPU_UTILIZATION", "AVERAGE", name, period)
            policy = SimplePolicy(name, "ChangeInCapacity", step, load.cooldown_seconds)
            alarms.append(
                Alarm(
                    key, (metric,), (), period, count, count, float(round(percent)), comparison, "notBreaching", True,
                    policy,
                )
            )  # fmt: skip
    return Region(
        **told(config),
        spot=None,
        on_demand=pool,
        blocks=(),
        fallback=NoFallback(tuple(alarms)),
        rule=None,
        hooks=(hook,),
        node=nodes,
        balancer=balancer(config, 0, protocol="HTTP", port=TENCENT_PROBE_PORT),
    )


_MAKERS: Final[dict[str, Callable[[Any, Writer], Region]]] = {
    "aws": files_aws.region,
    "azure": _azure,
    "gcp": _gcp,
    "tencent": _tencent,
}
