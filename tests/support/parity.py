"""Whether alarms and step policies, as registered, decide what `infra.fallback.decide` decides.

`differences` takes resources in wire form, recorded with mocks or listed by `pulumi stack export`, runs them and the
rule through the same worlds, and says where they part.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from infra.fallback import Observation, Rule
from tests.support.alarms import GroupState, read_region
from tests.support.two_pools import ByAlarms, ByRule, Minute, World, run

PLENTY = 99


def worlds(rule: Rule) -> dict[str, World]:
    """The situations the rule is for: two spot nodes (one where no more may be bought), boots as the rule expects."""
    spot, boot = min(2, rule.max_on_demand - rule.floor), rule.boot_minutes
    lost, part, whole = boot, 4 * boot, 7 * boot
    flap = rule.in_minutes // 2 + 1
    base = World(
        minutes=9 * boot + 5 * rule.in_minutes,
        spot_wanted=lambda _: spot,
        spot_market=lambda m: PLENTY if m < lost else 0,
        floor=rule.floor,
        boot=boot,
        spot_boot=boot,
        warmup=boot,
        spot_running=spot,
    )
    found = {
        "first boot": replace(base, spot_running=0, spot_market=lambda _: PLENTY),
        "first boot, no spot to be had": replace(base, spot_running=0, spot_market=lambda _: 0),
        "all spot lost for good": base,
        "all spot lost, back in two parts": replace(
            base, spot_market=lambda m: PLENTY if m < lost or m >= whole else 1 if m >= part else 0
        ),
        "one lost, the other during the order's boot": replace(
            base, spot_market=lambda m: spot if m < lost else spot - 1 if m < lost + boot // 2 else 0
        ),
        "one lost, the other when on-demand serves": replace(
            base, spot_market=lambda m: spot if m < lost else spot - 1 if m < whole else 0
        ),
        "one lost while the other flaps": replace(
            base, spot_boot=1, spot_market=lambda m: spot if m < lost or (m // flap) % 2 else spot - 1
        ),
        "spot back for a minute at a time": replace(
            base, spot_boot=1, spot_market=lambda m: spot if m < lost or m % 7 == 0 else 0
        ),
        "spot lost again in every boot": replace(
            base, spot_market=lambda m: spot if m < lost or (m - lost) % boot else 0
        ),
        "one lost for good, the other in every boot": replace(
            base, spot_market=lambda m: spot if m < lost else spot - 1 if (m - lost) % boot else 0
        ),
        "target raised while short": replace(base, spot_wanted=lambda m: spot if m < lost + 5 else spot + 2),
        "target lowered while on-demand serves": replace(base, spot_wanted=lambda m: spot if m < part else 0),
        "more lost than may be bought": replace(
            base, spot_wanted=lambda _: rule.max_on_demand + 3, spot_running=rule.max_on_demand + 3
        ),
        "no on-demand either, for a while": replace(
            base,
            spot_market=lambda m: PLENTY if m < lost or m >= whole else 0,
            on_demand_market=lambda m: rule.floor if m < part else PLENTY,
        ),
        "no on-demand at all, spot back": replace(
            base, spot_market=lambda m: 0 if lost <= m < part else PLENTY, on_demand_market=lambda _: rule.floor
        ),
        "half of on-demand to be had, half of spot back": replace(
            base,
            spot_market=lambda m: spot if m < lost else spot - 1 if m >= part else 0,
            on_demand_market=lambda _: rule.floor + 1,
        ),
    }
    return found | {f"{name}, metrics a minute late": replace(world, lag=1) for name, world in found.items()}


def differences(resources: Iterable[Mapping[str, Any]], rule: Rule, spot: str, on_demand: str) -> Iterator[str]:
    """One line per world in which the alarms decide otherwise than the rule; none when they are the same.

    resources: {type, inputs, outputs} each. spot, on_demand: names of the groups. Raises RegistrationError.
    """
    kept = list(resources)

    def alarms() -> ByAlarms:
        return ByAlarms(read_region(kept, [on_demand]), spot, on_demand)

    for name, world in worlds(rule).items():
        if parted := first_difference(run(world, ByRule(rule)), run(world, alarms())):
            yield f"{name}: {parted}"
    for silent in ("spot", "on-demand", "both"):
        for steady in (
            Observation(0, 2, 1, 0, rule.floor + 1, rule.floor + 1),  # spot half there, on-demand for the other half
            Observation(0, 2, 0, 1, rule.floor + 2, rule.floor + 2),  # spot half booting, on-demand for all of it
        ):
            if moved := after_silence(alarms(), rule, silent, steady):
                yield f"nothing to do, but no metrics of {silent}: {moved}"


def first_difference(by_rule: list[Minute], by_alarms: list[Minute]) -> str:
    """Where two runs of one world part; empty when they never do."""
    for left, right in zip(by_rule, by_alarms, strict=True):
        if left.ordered != right.ordered:
            return f"minute {left.seen.minute}: rule {left.ordered}, alarms {right.ordered}, both saw {left.seen}"
    return ""


def after_silence(control: ByAlarms, rule: Rule, silent: str, steady: Observation) -> str:
    """What the alarms do after groups stop publishing while nothing changes; in math, missing counts as 0."""
    for minute in range(3 * rule.in_minutes + 2 * rule.late_minutes):
        heard = minute < rule.in_minutes
        seen = replace(steady, minute=minute)
        control.publish(seen, spot=heard or silent == "on-demand", on_demand=heard or silent == "spot")
        group = GroupState(seen.on_demand_desired)
        control.region.minute(minute, {control.on_demand: group})
        if group.desired != seen.on_demand_desired:
            return f"{seen.on_demand_desired} -> {group.desired} in minute {minute}"
    return ""
