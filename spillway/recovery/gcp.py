"""Google Cloud: what is the stack's own, by labels, by names that a project has once, and by descriptions. Pure.

Names are fixed, and begin with the stack's: nothing can be there twice in a project and region, but a second create is
refused. What carries labels is the stack's by its label alone. Networks, rules, groups, checks and accounts carry none
(https://docs.cloud.google.com/compute/docs/labeling-resources): under a name that the plan needs, one is taken in; one
that no plan needs goes only when its own description says whose it is, as infra/gcp/ has them end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from spillway.recovery.gcp_types import BUCKET, LABELLED, MANY, ROUTER_NAT, RULES, SECRET
from spillway.recovery.model import NAME_TAG, Existing, Properties, Scope

STACK_LABEL: Final = "spillway-stack"
"""infra/gcp/names.py, `labels`."""

THEIRS: Final = "the plan needs this name, and what is there is not of this stack: delete it, or choose another name"
NAMED_ALIKE: Final = "named as this stack's are, in no plan, and nothing else says whose it is: delete it by hand"
HELD: Final = {
    BUCKET: "in no plan, and may hold weights: see what it holds, and delete it by hand",
    SECRET: "in no plan, and deleted for good with all its versions: see what uses it, and delete it by hand",
}
"""Why the next `up` must not delete what holds what nobody can make again."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One resource. id: what the import takes. properties: those that name it, named as the provider names them.
    region: "" for global ones. says: its description, title or display name. refs: ids of what it uses."""

    token: str
    id: str
    properties: Properties
    region: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    says: str = ""
    refs: frozenset[str] = frozenset()

    @property
    def key(self) -> str | None:
        return RULES.key(self.token, self.properties)


def marked(says: str, stack: str) -> bool:
    """Whether a description ends as those of infra/gcp/ do: `Nodes of gcp-us-central1`, `... in gcp-us-central1`."""
    return bool(re.search(rf"\b(of|in) {re.escape(stack)}\.?$", says))


def prefixed(name: str, stack: str) -> bool:
    """Whether a name is one of those that infra/gcp/names.py gives this stack's resources, and no other stack's."""
    return name.startswith(f"spillway-{stack}-")


def complete(things: Sequence[Thing], scope: Scope) -> list[Existing]:
    """What is the stack's own of all that is there, and what is in its way."""
    return list(_complete(things, scope))


def _complete(things: Sequence[Thing], scope: Scope) -> Iterator[Existing]:
    planned = {(item.token, RULES.key(item.token, item.inputs)) for item in scope.planned}
    names = {(item.token, item.inputs.get("name")) for item in scope.planned}
    owned = {(token, RULES.key(token, values)) for token, values in scope.owned}
    routers = {t.id for t in things if t.token != ROUTER_NAT and (t.token, t.key) in planned | owned}
    for thing in things:
        place = (thing.token, thing.key)
        # The name of a gateway's router may be known only once the router is in the state.
        wanted = thing.key is not None and (place in planned or _planned_gateway(thing, names, routers))
        if thing.token in LABELLED:
            if thing.labels.get(STACK_LABEL) == scope.stack:
                yield _existing(thing, undeletable=HELD.get(thing.token))
            elif wanted:
                yield _existing(thing, keep=THEIRS, problem=True)
        elif wanted or place in owned:
            yield _existing(thing)
        elif thing.token == ROUTER_NAT:
            continue  # goes with its router
        elif marked(thing.says, scope.stack):
            yield _existing(thing)
        elif prefixed(str(thing.key), scope.stack):
            yield _existing(thing, keep=NAMED_ALIKE)


def _planned_gateway(thing: Thing, names: set[tuple[str, Any]], routers: set[str]) -> bool:
    router = thing.id.rpartition("/")[0]
    named = (thing.token, thing.properties.get("name")) in names
    return thing.token == ROUTER_NAT and named and router in routers


def _existing(thing: Thing, **more: Any) -> Existing:
    label = RULES.label(thing.token, thing.properties) if thing.token in MANY else None
    return Existing(
        thing.token,
        thing.id,
        thing.key,
        tags={NAME_TAG: label} if label else {},
        region=thing.region,
        refs=thing.refs,
        parents=frozenset({thing.id.rpartition("/")[0]}) if thing.token == ROUTER_NAT else frozenset(),
        **more,
    )
