"""`spillway dns budget`: how long until clients have left a member that failed, and whether that is soon enough."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from infra.dns import budget as model
from infra.dns.limits import PLANS, limits
from infra.faults import did_you_mean, listed, shown
from spillway.errors import SpillwayError

OPTIONS: Final[dict[tuple[str | int, ...], str]] = {
    ("dns", "check", "intervalSeconds"): "--interval",
    ("dns", "check", "threshold"): "--threshold",
    ("dns", "check", "timeoutSeconds"): "--timeout",
    ("dns", "ttlSeconds"): "--ttl",
    ("cloudflare", "plan"): "--plan",
    ("cloudflare", "proxied"): "--proxied",
    ("cloudflare", "failoverAcrossPools"): "--failover-across-pools",
}
LOOKED_AT: Final = (
    ("dns", "objectiveSeconds"),
    ("dns", "check", "intervalSeconds"),
    ("dns", "check", "threshold"),
    ("dns", "check", "timeoutSeconds"),
)
"""Keys whose faults are this command's own to tell: options may stand in their place."""
MAX_FAILURES: Final = 10_000_000
FAILURES: Final = 100_000
"""Of a member with one address; each address is simulated, so that more of them take no longer."""
MAX_ADDRESSES: Final = 20
"""As many as a member may have in a stack file."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to compute: settings, the objective in seconds, and where both come from."""

    settings: model.CheckSettings
    objective: float
    origin: str


def budget(
    stack: Annotated[str, typer.Option(help="The global stack whose file says provider and settings.")] = "global",
    stacks: Annotated[Path, typer.Option(help="Folder of stack files.")] = Path("stacks"),
    provider: Annotated[
        str | None, typer.Option(help="route53, cloudflare or traffic-manager at its fastest, instead of a stack.")
    ] = None,
    interval: Annotated[float | None, typer.Option(help="Seconds between probes, instead of the stack's.")] = None,
    threshold: Annotated[int | None, typer.Option(help="Failures in a row, instead of the stack's.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait for an answer; not for Route 53.")] = None,
    ttl: Annotated[float | None, typer.Option(help="Seconds that clients keep an answer.")] = None,
    plan: Annotated[str | None, typer.Option(help=f"Cloudflare's plan: {listed(PLANS)}.")] = None,
    proxied: Annotated[
        bool | None, typer.Option("--proxied/--dns-only", help="Cloudflare: requests pass through it, or DNS alone.")
    ] = None,
    failover_across_pools: Annotated[
        bool | None,
        typer.Option(
            "--failover-across-pools/--no-failover-across-pools",
            help="Cloudflare, proxied: a request that finds no connection is tried on the next pool.",
        ),
    ] = None,
    addresses: Annotated[
        int | None, typer.Option(help="Addresses of the member, each probed by itself; else the stack's most.")
    ] = None,
    objective: Annotated[
        float | None,
        typer.Option(help="Seconds within which clients have left a silent member; else the stack's or 60."),
    ] = None,
    failures: Annotated[
        int | None, typer.Option(help="Failures to simulate, of each kind; else 100,000 / addresses.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the simulation; the same seed gives the same numbers.")] = model.SEED,
    compare: Annotated[bool, typer.Option("--compare", help="The providers beside each other, at their best.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,
) -> None:
    """How long until clients have left a member that failed. Exit code 1 when the objective is missed.

    Computed from what the providers document of their checks, once exactly and once by simulated checkers that vote.
    With --interval, --threshold and the like: what it would be, had the stack these settings.
    """
    if failures is not None and not 1 <= failures <= MAX_FAILURES:
        raise SpillwayError(f"--failures {failures}: has to be 1 to {MAX_FAILURES}")
    if addresses is not None and not 1 <= addresses <= MAX_ADDRESSES:
        raise SpillwayError(f"--addresses {addresses}: has to be 1 to {MAX_ADDRESSES}")
    asked = _asked(stack, stacks, provider, plan, proxied, failover_across_pools)
    changes = {
        "interval_seconds": interval,
        "threshold": threshold,
        "timeout_seconds": timeout,
        "ttl_seconds": ttl,
        "plan": plan,
        "proxied": proxied,
        "failover_across_pools": failover_across_pools,
        "addresses": addresses,
    }
    asked = _changed(asked, {name: value for name, value in changes.items() if value is not None}, objective)
    _refuse(asked)
    found = model.budget(asked.settings)
    failures = failures or FAILURES // asked.settings.addresses
    simulated = {f: model.simulate(asked.settings, f, failures, seed) for f in model.FAILURES}
    if as_json:
        answer = {"origin": asked.origin} | model.as_dict(found, asked.objective)
        answer["simulated"] = {"failures": failures, "seed": seed} | {
            failure: {name: round(getattr(values, name), 1) for name in values.__slots__}
            for failure, values in simulated.items()
        }
        if compare:
            answer["compared"] = [
                {"name": ": ".join(filter(None, (entry.name, entry.variant)))}
                | model.as_dict(entry.budget, asked.objective)
                for entry in model.compared()
            ]
        typer.echo(json.dumps(answer, indent=2))
    else:
        from spillway import dns_budget_view as view

        view.show(found, asked.objective, asked.origin, simulated, failures, seed, model.compared() if compare else ())
    if not found.meets(asked.objective):
        raise typer.Exit(1)


def _asked(
    stack: str,
    stacks: Path,
    provider: str | None,
    plan: str | None,
    proxied: bool | None,
    failover_across_pools: bool | None,
) -> Asked:
    """The provider at its best, or what the stack's file says."""
    if provider is None:
        return of_stack(stack, stacks)
    for name in model.PROVIDERS:
        if name == provider:
            settings = model.best(
                name, plan=plan, proxied=bool(proxied), failover_across_pools=bool(failover_across_pools)
            )
            return Asked(settings, model.OBJECTIVE_SECONDS, "options")
    hint = did_you_mean(provider, model.PROVIDERS)
    raise SpillwayError(f"--provider {provider}: has to be {listed(model.PROVIDERS)}{hint}")


def of_stack(stack: str, stacks: Path) -> Asked:
    """Settings and objective of a global stack's file.

    What only concerns the budget is not refused here, so that a file that misses its objective can be looked at.
    """
    from infra import stackfile
    from infra.dns.checks import check
    from infra.dns.config import most_addresses
    from infra.dns.sections import GlobalStack
    from infra.dns.settings import check_settings
    from infra.faults import ConfigError
    from infra.validation import validate

    path = stacks / f"Pulumi.{stack}.yaml"
    name = stackfile.display_name(path)
    if not path.exists():
        raise SpillwayError(f"{path}: there is no such file; --provider computes without one")
    data = stackfile.read(path)
    if stackfile.GLOBAL_KEY not in data:
        raise SpillwayError(f"{name}: {stackfile.GLOBAL_KEY}: missing; only a global stack has a failover budget")
    config, faults = validate(GlobalStack, data[stackfile.GLOBAL_KEY])
    if not faults:
        faults = [fault for fault in check.faults(config) if fault.path not in LOOKED_AT]
    if faults:
        raise ConfigError(fault.below(stackfile.GLOBAL_KEY).line(name) for fault in faults)
    settings = replace(check_settings(config), addresses=most_addresses(config, stacks))
    return Asked(settings, config.dns.objective_seconds, name)


def _changed(asked: Asked, changes: dict[str, Any], objective: float | None) -> Asked:
    """With the options' values in place of the stack's; a value without any meaning is one clear line."""
    settings = asked.settings
    if changes.get("proxied") is False and "ttl_seconds" not in changes and settings.proxied:
        changes["ttl_seconds"] = max(model.SHORT_TTL, limits(settings.provider, settings.plan).ttls[0])
        changes.setdefault("failover_across_pools", False)
    try:
        settings = replace(settings, **changes)
    except ValueError as error:
        field, _, why = str(error).partition(" = ")
        options = {"interval_seconds": "--interval", "timeout_seconds": "--timeout", "ttl_seconds": "--ttl"}
        value, _, allowed = why.partition(": ")
        option = options.get(field, f"--{field.replace('_', '-')}")
        raise SpillwayError(f"{option} {value}: {allowed.replace('must', 'has to', 1)}") from None
    wanted = asked.objective if objective is None else objective
    if not 0 < wanted <= 86_400:
        raise SpillwayError(f"--objective {wanted:g}: has to be above 0 and at most 86400 s")
    origin = f"{asked.origin}, changed by options" if changes and asked.origin != "options" else asked.origin
    return Asked(settings, wanted, origin)


def _refuse(asked: Asked) -> None:
    """SpillwayError when the provider would not take the settings; one that only misses the objective is shown."""
    lines = []
    for fault in model.illegal(asked.settings):
        if asked.origin.endswith("options") and fault.path in OPTIONS:
            lines.append(f"{OPTIONS[fault.path]} {shown(fault.value)}: {fault.allowed}")
        else:
            lines.append(fault.below("spillway:global").line(asked.origin))
    if lines:
        raise SpillwayError(*lines)
