"""The registered alarms and step policies decide what `infra.fallback.decide` decides.

`tests.support.parity.differences` does the comparing and takes any list of resources; here it gets what the program
registers for each shipped stack file. Rules that no stack file has are written by tests.support.wire, which a test here
holds to the program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra import naming
from infra.fallback import Observation, Rule, State, decide
from tests.support import wire
from tests.support.alarms import ALARM, GROUP, POLICY, GroupState, StepPolicy, read_region
from tests.support.mutants import MUTANTS
from tests.support.parity import PLENTY, differences, first_difference, worlds
from tests.support.registered import ROOT, registered, stack_config
from tests.support.two_pools import ByAlarms, ByRule, Minute, World, run

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pulumi_aws")
STACKS = sorted(path.stem.removeprefix("Pulumi.") for path in Path(ROOT, "stacks").glob("Pulumi.aws-*.yaml"))
RULE = Rule(floor=0, out_minutes=2, in_minutes=12, boot_minutes=20, max_on_demand=6)
QUICK = Rule(floor=0, out_minutes=2, in_minutes=5, boot_minutes=8, max_on_demand=4)
"""The same rule with shorter times, where many worlds are run."""


@cache
def program(stack: str) -> list[dict[str, Any]]:
    return registered(stack_config(stack))


def rule_of(stack: str) -> Rule:
    """The rule as the stack file says it."""
    config = stack_config(stack)
    times = config.fallback
    return Rule(config.pools.floor, times.out_minutes, times.in_minutes, times.boot_minutes, config.pools.max)


def names(stack: str) -> tuple[str, str]:
    return naming.pool_name(stack, "spot"), naming.pool_name(stack, "on-demand")


def alarms_of(rule: Rule) -> ByAlarms:
    return ByAlarms(read_region(wire.resources(rule)), wire.SPOT, wire.ON_DEMAND)


def bought(trace: list[Minute]) -> list[tuple[int, int]]:
    """(minute, on-demand desired) at the start and wherever it changed."""
    found: list[tuple[int, int]] = []
    for entry in trace:
        if not found or found[-1][1] != entry.ordered:
            found.append((entry.seen.minute, entry.ordered))
    return found


# --- What the program registers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", STACKS)
def test_the_registered_alarms_decide_what_the_rule_decides(stack: str) -> None:
    assert list(differences(program(stack), rule_of(stack), *names(stack))) == []


@pytest.mark.parametrize("stack", STACKS)
def test_a_normal_first_boot_buys_no_on_demand(stack: str) -> None:
    rule, (spot, on_demand) = rule_of(stack), names(stack)
    alarms = ByAlarms(read_region(program(stack), [on_demand]), spot, on_demand)
    assert bought(run(worlds(rule)["first boot"], alarms)) == [(0, rule.floor)]


@pytest.mark.parametrize("stack", STACKS)
def test_no_on_demand_goes_before_spot_is_in_service(stack: str) -> None:
    """Both lost at 60, one back at 180, the other at 260, boots of 20 minutes: nothing is shed for what still boots."""
    rule, (spot, on_demand) = rule_of(stack), names(stack)
    alarms = ByAlarms(read_region(program(stack), [on_demand]), spot, on_demand)
    world = World(
        minutes=400,
        spot_wanted=lambda _: 2,
        spot_market=lambda m: 2 if m < 60 or m >= 260 else 1 if m >= 180 else 0,
        spot_running=2,
        floor=rule.floor,
    )
    trace = run(world, alarms)
    served_by = [(entry.seen.in_service, entry.ordered - rule.floor) for entry in trace if entry.seen.minute >= 61]
    assert all(spot_serving + ordered >= 2 for spot_serving, ordered in served_by)
    assert min(entry.serving for entry in trace if entry.seen.minute >= 61 + 21) == 2 + rule.floor
    assert sum(entry.serving < entry.target for entry in trace) <= 23


@pytest.mark.parametrize("stack", STACKS)
def test_what_is_registered_is_what_the_rule_exports(stack: str) -> None:
    """So that the worlds below, whose alarms are written from the exports, speak of the program."""
    spot, on_demand = names(stack)
    as_exported = {wire.SPOT: spot, wire.ON_DEMAND: on_demand}

    def essence(resources: list[dict[str, Any]], group_names: Mapping[str, str]) -> dict[str, Any]:
        region = read_region(resources, [name for name in (wire.ON_DEMAND, on_demand) if _has(resources, name)])
        policies = {
            arn: replace(policy, arn="", group=group_names.get(policy.group, policy.group))
            for arn, policy in region.policies.items()
        }
        return {
            alarm.name.rsplit("fallback-", 1)[-1]: (
                {
                    (
                        query.id,
                        query.expression,
                        group_names.get(query.group, query.group),
                        query.metric_name,
                        query.returns,
                    )
                    for query in alarm.queries
                },
                alarm.breaches,
                alarm.threshold,
                (alarm.evaluation_periods, alarm.datapoints_to_alarm, alarm.missing),
                [policies[arn] for arn in alarm.actions if arn in policies],
            )
            for alarm in region.alarms
        }

    assert essence(program(stack), {}) == essence(wire.resources(rule_of(stack)), as_exported)


def _has(resources: list[dict[str, Any]], group: str) -> bool:
    return any(item["type"] == GROUP and item["inputs"].get("name") == group for item in resources)


@pytest.mark.parametrize("stack", STACKS)
def test_the_group_can_hold_what_the_alarms_order_and_never_falls_below_the_floor(stack: str) -> None:
    rule, (_, on_demand) = rule_of(stack), names(stack)
    region = read_region(program(stack), [on_demand])
    group = region.groups[on_demand]
    assert (group.min_size, group.max_size) == (rule.floor, rule.max_on_demand)
    for policy in region.policies.values():
        assert policy.warmup_seconds == rule.boot_minutes * 60
        assert all(step.adjustment <= group.max_size for step in policy.steps)


def test_a_capacity_block_that_serves_is_not_bought_again() -> None:
    """Blocks count as supply: one spot node of two is lost for good, and a block's node serves in its place."""
    stack = STACKS[0]
    config, block = stack_config(stack), "cr-0123456789abcdef0"
    reservations = config.pools.reservations.model_copy(update={"capacity_blocks": (block,)})
    pools = config.pools.model_copy(update={"reservations": reservations})
    resources = registered(config.model_copy(update={"pools": pools}))
    spot, on_demand = names(stack)
    for serving, ordered in ((0, 1), (1, 0)):
        control = ByAlarms(read_region(resources, [on_demand]), spot, on_demand)
        group = GroupState(desired=config.pools.floor)
        for minute in range(5):
            control.publish(Observation(minute, 2, 1, 0, config.pools.floor, config.pools.floor))
            control.region.metrics.publish(
                naming.block_name(stack, block),
                minute,
                {"GroupInServiceInstances": serving, "GroupPendingInstances": 0},
            )
            control.region.minute(minute, {on_demand: group})
        assert group.desired == config.pools.floor + ordered


# --- The comparison can fail ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_fault_in_the_alarms_is_noticed(fault: str) -> None:
    resources = MUTANTS[fault](wire.resources(QUICK))
    assert next(differences(resources, QUICK, wire.SPOT, wire.ON_DEMAND), None) is not None


def test_without_a_fault_nothing_is_noticed() -> None:
    assert list(differences(wire.resources(QUICK), QUICK, wire.SPOT, wire.ON_DEMAND)) == []


@pytest.mark.parametrize("fault", ["booting spot counts as missing", "pools swapped", "gives back after 1 minute"])
def test_a_fault_in_what_the_program_registers_is_noticed(fault: str) -> None:
    stack = STACKS[0]
    resources = [item for item in program(stack) if item["type"] in (ALARM, POLICY, GROUP)]
    assert next(differences(MUTANTS[fault](resources), rule_of(stack), *names(stack)), None) is not None


# --- Whatever happens -----------------------------------------------------------------------------------------------

rules = st.builds(
    lambda floor, out, back, boot, extra: Rule(floor, out, back, boot, floor + extra),
    st.integers(0, 2),
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(2, 8),
    st.integers(1, 6),
)


@st.composite
def schedules(draw: st.DrawFn, most: int) -> Any:
    """A number of nodes that changes now and then."""
    changes = draw(st.lists(st.tuples(st.integers(1, 25), st.integers(0, most)), min_size=1, max_size=6))
    values = [nodes for length, nodes in changes for _ in range(length)]
    return lambda minute: values[min(minute, len(values) - 1)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Rule, World]:
    """Any rule in any world, in which a node takes longer to terminate than its metrics are late."""
    rule, lag = draw(rules), draw(st.integers(0, 2))
    return rule, World(
        minutes=120,
        spot_wanted=draw(schedules(4)),
        spot_market=draw(schedules(5)),
        on_demand_market=draw(st.one_of(st.just(lambda minute: PLENTY), schedules(6))),
        floor=rule.floor,
        boot=draw(st.integers(1, 10)),
        spot_boot=draw(st.integers(1, 10)),
        leave=lag + draw(st.integers(1, 3)),
        lag=lag,
        warmup=rule.boot_minutes,
        pick=draw(st.sampled_from(["serving first", "booting first"])),
        spot_running=draw(st.integers(0, 4)),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases())
def test_in_any_world_alarms_and_rule_order_the_same_in_every_minute(case: tuple[Rule, World]) -> None:
    rule, world = case
    assert first_difference(run(world, ByRule(rule)), run(world, alarms_of(rule))) == ""


counts = st.integers(0, 5)
stretches = st.lists(
    st.tuples(st.integers(1, 12), counts, counts, counts, counts, st.sampled_from([0, 0, 0, 1])), min_size=1, max_size=9
)
"""How long, and the counts of an observation but for the on-demand desired size."""


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules, st.integers(0, 2), stretches)
def test_on_any_sequence_of_counts_alarms_and_rule_ask_for_the_same(
    rule: Rule, extra: int, sequence: list[tuple[int, int, int, int, int, int]]
) -> None:
    """Counts that no region shows, in any order; only the on-demand size follows the decisions. A scale-out is in
    progress for as long as the alarm that ordered looks back: nodes boot for longer than that."""
    rule = replace(rule, in_minutes=rule.in_minutes + rule.out_minutes)
    control, state, size, minute = alarms_of(rule), State(), min(rule.floor + extra, rule.max_on_demand), 0
    raised = -rule.out_minutes
    for length, desired, in_service, pending, serving, terminating in sequence:
        for _ in range(length):
            seen = Observation(minute, desired, in_service, pending, size, min(serving, size), terminating)
            decision = decide(rule, state, seen)
            group = GroupState(size, size - seen.on_demand_in_service, scaling_out=minute - raised < rule.out_minutes)
            assert control.minute(minute, seen, group) == decision.on_demand_desired, (seen, decision)
            raised = minute if decision.on_demand_desired > size else raised
            state, size, minute = decision.state, decision.on_demand_desired, minute + 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cases(), st.dictionaries(st.integers(0, 119), st.integers(0, 6), max_size=3))
def test_the_alarms_shed_nothing_that_serving_needs_even_where_a_person_changes_the_size(
    case: tuple[Rule, World], by_hand: dict[int, int]
) -> None:
    rule, world = case
    sizes = {minute: min(rule.floor + more, rule.max_on_demand) for minute, more in by_hand.items()}
    for entry in run(replace(world, by_hand=sizes, lag=0), alarms_of(rule)):
        seen = entry.seen
        if entry.ordered < seen.on_demand_desired:
            assert entry.ordered == seen.on_demand_desired - 1 >= rule.floor
            assert entry.serving > entry.target or seen.on_demand_in_service == 0
            assert seen.on_demand_terminating == 0


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_metrics_that_are_late_make_no_second_purchase(lag: int) -> None:
    world = World(
        minutes=120,
        spot_wanted=lambda _: 3,
        spot_market=lambda m: 3 if m < 30 else 1,
        spot_running=3,
        lag=lag,
    )
    assert bought(run(world, alarms_of(RULE))) == [(0, 0), (31 + lag, 2)]


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_metrics_that_are_late_shed_no_second_node(lag: int) -> None:
    """One of two spot nodes comes back and stays the only one: of two on-demand nodes one goes, and not a second."""
    world = World(
        minutes=300,
        spot_wanted=lambda _: 2,
        spot_market=lambda m: 2 if m < 30 else 1 if m >= 100 else 0,
        spot_running=2,
        lag=lag,
        leave=lag + 2,
    )
    trace = run(world, alarms_of(RULE))
    assert bought(trace) == [(0, 0), (31 + lag, 2), (131 + lag, 1)]
    assert min(entry.serving for entry in trace[60:]) == 2


def test_a_group_that_has_never_published_is_neither_bought_for_nor_shed() -> None:
    for spot, on_demand in ((True, False), (False, True), (False, False)):
        control, group = alarms_of(RULE), GroupState(desired=3)
        for minute in range(60):
            seen = Observation(minute, 4, 0, 0, 3, 3)
            control.publish(seen, spot=spot, on_demand=on_demand)
            control.region.minute(minute, {wire.ON_DEMAND: group})
        assert group.desired == 3


# --- Where the documentation leaves room ----------------------------------------------------------------------------


class NewestPoint(StepPolicy):
    """Should a policy choose its step by the newest point of the window, not by all of them."""

    def adjustment(self, points: list[float], threshold: float) -> int | None:
        return super().adjustment(points[-1:], threshold)


class Otherwise(ByAlarms):
    """Auto Scaling with other answers: `vague` names what it does not do though this evaluator does."""

    vague: frozenset[str] = frozenset()

    def minute(self, minute: int, seen: Observation | None, group: GroupState) -> int:
        if "refuse a scale-in during a scale-out" in self.vague:
            group.scaling_out = False
        if "leave warming nodes out" in self.vague:
            group.warming = 0
        if "count terminating nodes" in self.vague:
            group.terminating = 0
        return super().minute(minute, seen, group)


@pytest.mark.parametrize(
    "vague",
    [
        {"choose by the whole window"},
        {"refuse a scale-in during a scale-out"},
        {"leave warming nodes out"},
        {"count terminating nodes"},
        {
            "choose by the whole window",
            "refuse a scale-in during a scale-out",
            "leave warming nodes out",
            "count terminating nodes",
        },
    ],
    ids=lambda vague: " and ".join(sorted(vague)) if len(vague) == 1 else "nothing of it",
)
def test_the_goals_hold_whatever_auto_scaling_does_where_its_documentation_is_vague(vague: set[str]) -> None:
    def alarms() -> ByAlarms:
        region = read_region(wire.resources(QUICK))
        if "choose by the whole window" in vague:
            region.policies = {arn: NewestPoint(*_fields(policy)) for arn, policy in region.policies.items()}
        control = Otherwise(region, wire.SPOT, wire.ON_DEMAND)
        control.vague = frozenset(vague)
        return control

    traces = {name: run(world, alarms()) for name, world in worlds(QUICK).items()}
    for late in ("", ", metrics a minute late"):
        assert bought(traces["first boot" + late]) == [(0, 0)]
        assert [size for _, size in bought(traces["all spot lost for good" + late])] == [0, 2]
        assert [size for _, size in bought(traces["all spot lost, back in two parts" + late])] == [0, 2, 1, 0]
        assert [size for _, size in bought(traces["one lost, the other during the order's boot" + late])] == [0, 1, 2]
        assert len(bought(traces["spot back for a minute at a time" + late])) == 2
        assert len(bought(traces["one lost while the other flaps" + late])) == 2
    for name, trace in traces.items():
        for entry in trace:
            if entry.ordered < entry.seen.on_demand_desired and not name.endswith("late"):
                assert entry.serving > entry.target or entry.seen.on_demand_in_service == 0, name


def _fields(policy: StepPolicy) -> list[Any]:
    return [getattr(policy, name) for name in policy.__dataclass_fields__]
