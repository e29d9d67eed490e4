"""Which existing resource is which planned create, and what belongs to none. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spillway.recovery.model import (
    COMPONENT_TAG,
    NAME_TAG,
    UNHANDLED,
    UNKNOWN,
    Existing,
    Planned,
    Rules,
    name_of,
    text,
    type_of,
)
from spillway.recovery.state import State

REPLACE = "replace"
"""The one step that a preview's JSON has for a replacement, unless --show-replacement-steps asks for all three."""


UNSEEN = (
    "cannot be looked up: if `pulumi up` says that it is there already, `pulumi import {token} {name} ID` takes it in"
)


@dataclass(frozen=True, slots=True)
class Left:
    """Something that recovery leaves as it is. problem: the stack is not consistent because of it."""

    resource: Existing
    reason: str
    problem: bool = False


@dataclass(slots=True)
class Decision:
    """What to do about everything that exists and is not in the state."""

    adopt: list[tuple[Planned, Existing]] = field(default_factory=list)
    orphans: list[Existing] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


def planned(preview: Mapping[str, Any]) -> list[Planned]:
    """What a `pulumi preview --json` would make, in its order: dependencies come first."""
    out = []
    for step in preview.get("steps") or []:
        if step.get("op") not in ("create", REPLACE):
            continue
        new = step.get("newState") or {}
        provider = new.get("provider") or step.get("provider")
        out.append(
            Planned(
                urn=step["urn"],
                token=type_of(step["urn"]),
                custom=bool(new.get("custom")),
                inputs=new.get("inputs") or {},
                parent=new.get("parent"),
                provider=provider.rpartition("::")[0] if provider else None,
                dependencies={k: tuple(v or ()) for k, v in (new.get("propertyDependencies") or {}).items()},
                replaces=step["op"] == REPLACE,
            )
        )
    return out


def decide(plan: Sequence[Planned], existing: Sequence[Existing], state: State, rules: Rules) -> Decision:
    """Matches by key or Name tag, and only what was made with the same neighbours; the rest is orphaned."""
    return _Matcher(plan, existing, state, rules).decide()


def unseen(plan: Sequence[Planned], cloud: str, known: Collection[str] = ()) -> list[Left]:
    """The types of a plan of which nobody can tell here whether one is there already, each resource with what to do."""
    return [
        Left(Existing(item.token, item.name), UNSEEN.format(token=item.token, name=item.name))
        for item in plan
        if item.custom and item.token.partition(":")[0] == cloud and item.token not in known
    ]


class _Matcher:
    def __init__(self, plan: Sequence[Planned], existing: Sequence[Existing], state: State, rules: Rules) -> None:
        self.plan, self.state, self.rules = plan, state, rules
        self.free = [e for e in existing if not state.holds(rules, e.token, e.id, e.key, e.region)]
        self.chosen: dict[str, Existing] = {}
        self.inputs = {item.urn: item.inputs for item in plan}
        self.replaced = {item.urn for item in plan if item.replaces}
        self.tokens = {e.id: rules.canonical(e.token) for e in existing}
        for resource in state.resources:
            if resource.get("id"):
                self.tokens.setdefault(resource["id"], rules.canonical(resource["type"]))

    def decide(self) -> Decision:
        decision = Decision()
        for item in self.plan:
            if not item.custom:
                continue
            candidates = [e for e in self.free if e.keep is None and self._fits(item, e)]
            if not candidates:
                continue
            best = max(candidates, key=self._referrers)  # the first of equals
            self.free.remove(best)
            if item.replaces and (self.state.live.get(item.urn) or {}).get("protect"):
                reason = (
                    f"replaces {name_of(item.urn)}, which is protected: run `pulumi up --ignore-protect` or delete it"
                )
                decision.left.append(Left(best, reason, problem=True))
                continue
            self.chosen[item.urn] = best
            decision.adopt.append((item, best))
        self._rest(decision)
        known = self.rules.known
        for cloud in {token.partition(":")[0] for token in known or ()}:
            decision.left += unseen(self.plan, cloud, known or frozenset())
        return decision

    def _rest(self, decision: Decision) -> None:
        gone: set[str] = set()
        full: set[str] = set()
        for resource in self.free:
            if resource.keep is not None:
                problem = resource.problem or resource.keep == UNHANDLED
                decision.left.append(Left(resource, resource.keep, problem))
            elif resource.token in self.rules.built_in:
                decision.left.append(Left(resource, "comes and goes with what it is a part of"))
            elif resource.undeletable is not None:
                decision.left.append(Left(resource, resource.undeletable, problem=True))
                full |= {resource.id, *([resource.key] if resource.key else [])}
            elif not resource.parents:
                decision.orphans.append(resource)
                gone |= {resource.id, *([resource.key] if resource.key else [])}
        for resource in self.free:
            if resource.keep is None and resource.parents and resource.token not in self.rules.built_in:
                if resource.token in (self.rules.own_delete if resource.parents & gone else self.rules.exclusive):
                    decision.orphans.append(resource)
                elif not resource.parents & (gone | full):
                    decision.left.append(Left(resource, "part of a resource of the stack, and in no plan"))

    def _fits(self, item: Planned, candidate: Existing) -> bool:
        if self.rules.canonical(item.token) != self.rules.canonical(candidate.token):
            return False
        inputs = self._resolved(item)
        region = inputs.get("region")
        if region and candidate.region and region != candidate.region:
            return False
        key = self.rules.key(item.token, inputs)
        if key is not None and candidate.key is not None:
            return key == candidate.key
        tags = item.tags
        name = tags.get(NAME_TAG) or self.rules.label(item.token, inputs)
        return (
            name is not None
            and name == candidate.tags.get(NAME_TAG)
            and tags.get(COMPONENT_TAG) == candidate.tags.get(COMPONENT_TAG)
            and self._same_neighbours(item, candidate)
        )

    def _resolved(self, item: Planned) -> dict[str, Any]:
        """The inputs with ids and names filled in of what is adopted in the same go: a value that is not known fits
        nothing, and what it belongs to would be taken for an orphan."""
        out = dict(item.inputs)
        for name, urns in item.dependencies.items():
            if out.get(name) != UNKNOWN:
                continue
            if name in self.rules.copied:
                out[name] = next(filter(None, (self._copied(urn, name) for urn in urns)), UNKNOWN)
            elif len(urns) == 1:
                out[name] = self._id(urns[0]) or UNKNOWN
        return out

    def _copied(self, urn: str, name: str) -> str | None:
        """A property of another resource, as the plan or else the state has it."""
        planned = self.inputs.get(urn)
        return text(planned if planned is not None else (self.state.live.get(urn) or {}).get("inputs") or {}, name)

    def _id(self, urn: str) -> str | None:
        chosen = self.chosen.get(urn)
        if chosen is None and urn in self.replaced:
            return None  # the state's is the old one, which the plan does not want any more
        return chosen.id if chosen else self.state.id(urn)

    def _same_neighbours(self, item: Planned, candidate: Existing) -> bool:
        """False when the candidate was made with another resource than the one that is planned for the same place: a
        subnet in a network that is not the stack's any more is not the subnet that the plan wants."""
        for urn in {urn for urns in item.dependencies.values() for urn in urns}:
            wanted = self.rules.canonical(type_of(urn))
            those = {ref for ref in candidate.refs if self.tokens.get(ref) == wanted}
            siblings = {self._id(u) for urns in item.dependencies.values() for u in urns if type_of(u) == type_of(urn)}
            if those and not those & siblings:
                return False
        return True

    def _referrers(self, candidate: Existing) -> int:
        """How many other unowned resources were made with it."""
        id = self.rules.id_key(candidate.id)
        return sum(id in map(self.rules.id_key, e.refs) for e in self.free if e is not candidate)
