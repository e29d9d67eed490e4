"""What `up` of a global stack is refused for before any provider is asked; the same for every provider."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from infra import stackfile
from infra.dns import budget
from infra.dns.plan import NOT_DEPLOYED
from infra.dns.settings import check_settings
from infra.faults import Fault, dotted
from spillway.preflight.global_context import GlobalContext
from spillway.preflight.model import Check, Row, State, count

REFUSED: Final = "`up` is refused with this line"
JOIN: Final = "write drain: true in place of planned: true, and take that away once it is ready"

PROVIDER_CHANGE: Final = "provider-change"
"""The row that says that a live stack keeps its provider."""


def deployed(context: GlobalContext[Any]) -> Iterator[Row]:
    """One row per member that is a region stack, and one for all of those that nobody can tell about."""
    regions = context.regions
    for member in context.config.members:
        id, title = f"deployed.{member.name}", f"member {member.name}"
        own = f"{member.stack}: " if member.stack != member.name else ""
        needed = "" if member.planned or member.drain else "deployed"
        endpoint = regions.endpoints.get(member.name)
        if endpoint is not None and not member.planned:
            yield Row(id, title, "ok", f"{own}{count(len(endpoint.addresses), 'address')}", needed)
        elif endpoint is not None:
            yield Row(id, title, "note", f"{own}deployed, and planned: true: `up` leaves it out", "", JOIN)
        elif member.name in regions.absent:
            missing = not (member.planned or member.drain)
            state: State = "failure" if missing else "ok"
            why = "" if missing else "; planned: left out" if member.planned else "; drained: left out"
            action = f"not deployed: {NOT_DEPLOYED}" if missing else ""
            yield Row(id, title, state, f"{own}not deployed{why}", needed, action)
        elif member.name in regions.faulty and not member.planned:
            action = "bring that stack up with this version first"
            yield Row(id, title, "failure", f"{own}{regions.faulty[member.name]}", "an endpoint", action)
    planned = {member.name for member in context.config.members if member.planned}
    asked = {name: error for name, error in regions.unread.items() if name not in planned}
    if asked:
        reasons = list(dict.fromkeys(error.reason for error in asked.values()))
        told = f"{', '.join(asked)}: {'; '.join(reasons)}"
        yield Row("deployed", "region stacks", "unknown", told, "deployed", next(iter(asked.values())).action)


def answering(context: GlobalContext[Any]) -> Iterator[Row]:
    """Who answers for which service, with the endpoints that are known, and who answers for the stack already."""
    for number, fault in enumerate(context.refused):
        yield _row(f"members.{number}", fault, "failure", REFUSED)
    before, wanted = context.regions.provider, context.config.dns.provider
    if before not in (None, wanted):
        action = "change the provider with a second global stack: docs/dns.md, Changing the provider"
        yield Row(PROVIDER_CHANGE, "DNS provider", "failure", f"this stack answers by {before}", wanted, action)


def objective(context: GlobalContext[Any]) -> Iterator[Row]:
    """The objective, held with as many addresses as the largest member has: all of them have to be noticed."""
    objective = context.config.dns.objective_seconds
    most = max((len(probe.endpoint.addresses) for probe in context.up.probes), default=1) or 1
    settings = replace(check_settings(context.config), addresses=most)
    promise = budget.budget(settings).promise
    told = f"{promise:.1f} s with {count(most, 'address')} of one member"
    missed = [f for f in budget.faults(settings, objective) if f.path == ("dns", "objectiveSeconds")]
    action = f"{REFUSED}: {missed[0].allowed}" if missed else ""
    yield Row("objective", "failover objective", "failure" if missed else "ok", told, f"{objective:g} s", action)


def fits(context: GlobalContext[Any]) -> Iterator[Row]:
    """What the provider cannot do of the plan: now, and once planned members join."""
    from infra.dns.program import beyond_provider

    for number, fault in enumerate(beyond_provider(context.config, context.up)):
        yield _row(f"fits.{number}", fault, "failure", REFUSED)
    for number, fault in enumerate(context.later):
        yield _row(f"fits-later.{number}", fault, "warning", "`up` is refused with this line once planned members join")


def _row(id: str, fault: Fault, state: State, action: str) -> Row:
    return Row(id, dotted((stackfile.GLOBAL_KEY, *fault.path)), state, fault.allowed, "", action)


DEPLOYED: Final[tuple[Check[Any], ...]] = (
    Check("deployed", "region stacks", deployed),
    Check("members", "members", answering),
    Check("objective", "failover objective", objective),
)


def fitting(provider: str) -> Check[Any]:
    """What `provider` cannot do; decisive, as nothing can be counted of a plan that cannot be rendered."""
    return Check("fits", f"the plan at {provider}", fits, decisive=True)
