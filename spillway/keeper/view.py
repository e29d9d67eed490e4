"""What `spillway keeper plan` tells: edits as a table, and all of it for a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from infra.keeper_fleet import Edit, FleetPlan, FleetRules, FleetStep
from spillway.keeper.apply import Applied
from spillway.keeper.fleet import Seen


def describe(
    seen: Seen,
    step: FleetStep,
    rules: FleetRules,
    prices: Mapping[str, Mapping[str, str]],
    done: Sequence[Applied] | None,
) -> dict[str, Any]:
    """For `--json`. USD per hour, shares of one, nodes."""
    return {
        "source": seen.source,
        "availability": rules.availability,
        "fleets": [_fleet(plan) for plan in step.plans],
        "edits": [_edit(edit) for edit in step.edits],
        "applied": None if done is None else [
            {"stack": one.edit.stack, "set": list(one.lines), "fault": one.fault or None} for one in done
        ],
        "regions": {
            stack: {
                "spot": {"target": state.spot, "size": state.spot_size},
                "onDemand": {"minimum": state.on_demand, "size": state.on_demand_size},
                "serving": sum(one.ready and not one.leaving for one in state.machines),
                "refused": dict(state.refused),
                "usdPerHour": dict(state.prices),
                "pricesFrom": dict(prices.get(stack, {})),
            }
            for stack, state in seen.states.items()
        },
        "leftOut": left_out(seen, step),
        "unread": dict(seen.unread),
    }  # fmt: skip


def _fleet(plan: FleetPlan) -> dict[str, Any]:
    told = plan.plan
    return {
        "name": plan.fleet,
        "stacks": list(plan.stacks),
        "target": plan.target,
        "serving": plan.serving,
        "booting": plan.booting,
        "usdPerHour": round(plan.usd, 4),
        "plan": None if told is None else {
            "nodes": {f"{zone} {market}": count for (zone, market), count in sorted(told.wanted.items())},
            "usdPerHour": round(told.price, 4),
            "shareBelowTarget": round(told.short, 6),
            "usdPerHourBelowTarget": round(told.worth, 4),
        },
        "why": plan.why or None,
    }  # fmt: skip


def _edit(edit: Edit) -> dict[str, Any]:
    before, after = ({"spot": pair[0], "onDemandMinimum": pair[1]} for pair in (edit.before, edit.after))
    return {
        "stack": edit.stack, "before": before, "after": after, "why": edit.why, "usdPerHour": round(edit.usd, 4),
    }  # fmt: skip


def left_out(seen: Seen, step: FleetStep) -> dict[str, str]:
    """Stacks that the keeper does not move, and why."""
    return seen.left_out | {stack: why for plan in step.plans for stack, why in plan.left_out.items()}


def show(seen: Seen, step: FleetStep, rules: FleetRules, prices: Mapping[str, Mapping[str, str]]) -> None:
    """The fleets, the edits, and what has to be known beside them."""
    from spillway import tables

    typer.echo(f"Read from {seen.source}.")
    for plan in step.plans:
        typer.echo(_line(plan, rules))
    if step.edits:
        typer.echo()
        table = tables.plain("Stack", "Spot", "On-demand minimum", "USD/h", "Why")
        for edit in step.edits:
            sizes = (_change(edit.before[0], edit.after[0]), _change(edit.before[1], edit.after[1]))
            tables.add(table, "", edit.stack, *sizes, f"{edit.usd:+.2f}", edit.why)
        tables.show(table)
    else:
        typer.echo("Nothing to set.")
    notes = [
        f"{stack}: could not be read, and is taken to be as at the last look: {w}" for stack, w in seen.unread.items()
    ]
    notes += [f"{stack}: left as it is: {why}" for stack, why in left_out(seen, step).items()]
    stands_in: dict[str, list[str]] = {}
    for stack, whys in prices.items():
        for market, why in whys.items():
            stands_in.setdefault(why, []).append(f"{stack} {market}")
    notes += [f"price of {', '.join(where)}: {why}" for why, where in stands_in.items()]
    if notes:
        typer.echo()
    for note in notes:
        typer.echo(note)


def _change(before: int, after: int) -> str:
    return str(before) if before == after else f"{before} -> {after}"


def _line(plan: FleetPlan, rules: FleetRules) -> str:
    now = f"{plan.fleet}: target {plan.target}; {plan.serving} serving, {plan.booting} booting, {plan.usd:.2f} USD/h"
    if plan.plan is None:
        return f"{now}; left as it is: {plan.why}"
    short = f"{plan.plan.short:.2%} of the time below the target expected, {1 - rules.availability:.2%} allowed"
    return f"{now}. Plan beyond the floors: {plan.plan.price:.2f} USD/h, {short}."
