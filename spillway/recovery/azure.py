"""Azure: what is the stack's own, by names that ARM has once, and by tags. Pure.

The id of an ARM resource is made of names, and the stack file and the program give all of them: nothing can be there
twice, but a second create is refused ("cannot create already existing resource":
https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/provider/provider.go). Whose it is, tags tell: of
what carries them directly, of its parts through it, of a record set through the profile that it leads to. Role
assignments have neither tags nor a parent: one is the stack's when its name is the GUID that the program makes of the
stack's own names (infra/azure/names.py), and its scope lies in the stack's own resource group.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from spillway.recovery.azure_types import (
    BY_TOKEN,
    ENDPOINT,
    GROUP,
    PARTS,
    PROFILE,
    RECORD_SET,
    ROLE_ASSIGNMENT,
    RULES,
    STORAGE,
    TAGGED,
    VAULT,
    ZONE,
    Places,
    arm_key,
)
from spillway.recovery.model import UNHANDLED, Existing, Scope

STACK_TAG: Final = "spillway-stack"
"""Azure takes no colon in tags of some types: infra/azure/names.py, infra/dns/traffic_profiles.py."""

OWN_RECORD_SETS: Final = 2
"""NS and SOA at the zone's name: https://learn.microsoft.com/azure/dns/dns-zones-records"""

THEIRS: Final = "the plan needs this name, and what is there is not of this stack: delete it, or choose another name"
NAMED: Final = "the zone that the stack file names by its id"
WHOLE_GROUP: Final = "in no plan; a resource group goes with all that is in it: see what that is, and delete it by hand"
FULL_ZONE: Final = (
    "in no plan, with record sets in it: see which zone the registrar names, then delete the other by hand"
)
POOLED: Final = "made by a pool, and ends with it"
HELD: Final = {
    STORAGE: "in no plan, and deleted for good with all weights in it: see what it holds, and delete it by hand",
    VAULT: "in no plan, and may hold secrets: see what it holds, and delete it by hand",
}
"""Why the next `up` must not delete what holds what nobody can make again."""
STRAY_ROLE: Final = "a role of this stack's identity that no plan has: delete it by hand unless somebody meant it"
# https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-instance-ids: what a set makes
POOL_TYPES: Final = (
    "microsoft.compute/disks",
    "microsoft.compute/virtualmachines",
    "microsoft.network/networkinterfaces",
)


@dataclass(frozen=True, slots=True)
class Thing:
    """One resource as ARM tells it. leads_to: the host name or the id of a profile that a record set answers with;
    nested: the id of the profile that an endpoint stands for; held: how many record sets a zone has; principal: the
    object id of an identity, or of whom a role is given to. A token without a colon is a type that nobody here knows,
    in ARM's words."""

    token: str
    id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    fqdn: str = ""
    leads_to: str = ""
    nested: str = ""
    held: int = 0
    principal: str = ""

    @property
    def key(self) -> str:
        return arm_key(self.id)


def complete(things: Sequence[Thing], scope: Scope) -> list[Existing]:
    """What is the stack's own of all that is there, and what is in its way."""
    return list(_complete(things, scope))


def _complete(things: Sequence[Thing], scope: Scope) -> Iterator[Existing]:
    own = {t.key for t in things if (t.token in TAGGED or ":" not in t.token) and t.tags.get(STACK_TAG) == scope.stack}
    profiles = {name for t in things if t.token == PROFILE and t.key in own for name in (t.key, t.fqdn.lower())}
    principals = {t.principal for t in things if t.principal and t.key in own}
    places = Places(scope, "")
    ids = [places.of(item) for item in scope.planned]
    planned = {RULES.key(item.token, item.inputs) for item in scope.planned} | {arm_key(id) for id in ids if id}
    planned -= {None}
    zones = {zone for values in scope.properties(RECORD_SET) if (zone := RULES.key(ZONE, values))}
    for thing in things:
        mine = _is_own(thing, own, profiles)
        one = _existing(thing)
        if ":" not in thing.token:
            if mine:
                yield _existing(thing, keep=POOLED if thing.token.lower() in POOL_TYPES else UNHANDLED)
        elif mine and thing.token == GROUP:
            yield _existing(thing, undeletable=WHOLE_GROUP)
        elif mine and thing.token == ZONE:
            if thing.key in zones and thing.key not in planned:
                yield _existing(thing, keep=NAMED)
            else:
                yield _existing(thing, undeletable=FULL_ZONE if thing.held > OWN_RECORD_SETS else None)
        elif thing.token == ROLE_ASSIGNMENT:
            yield from _role(thing, one, planned, own, principals)
        elif mine and thing.token != RECORD_SET and not _is_scoped(thing):
            yield _existing(thing, undeletable=HELD.get(thing.token))
        elif thing.key in planned:
            yield one if mine else _existing(thing, keep=THEIRS, problem=True)


def _role(
    thing: Thing, one: Existing, planned: Collection[str | None], own: Collection[str], principals: Collection[str]
) -> Iterator[Existing]:
    if thing.key in planned:
        inside = _group_key(thing) in own
        yield one if inside or thing.principal in principals else _existing(thing, keep=THEIRS, problem=True)
    elif thing.principal in principals:
        # A person may have given it, and nothing tells: it is said, and not deleted.
        yield _existing(thing, keep=STRAY_ROLE)


def _is_scoped(thing: Thing) -> bool:
    row = BY_TOKEN.get(thing.token)
    return row is not None and row.scoped


def _group_key(thing: Thing) -> str:
    return thing.key.partition("/")[0]


def _is_own(thing: Thing, own: Collection[str], profiles: Collection[str]) -> bool:
    if thing.token in TAGGED or ":" not in thing.token:
        return thing.key in own
    if thing.token == ENDPOINT:
        return _parent(thing) in own
    if thing.token in PARTS:
        return any(parent in own for parent in _parents(thing))
    if _is_scoped(thing):  # a budget, a role definition: of the group that it is for
        return _group_key(thing) in own
    return (
        bool(thing.leads_to) and {arm_key(thing.leads_to), thing.leads_to.lower().rstrip(".")} & set(profiles) != set()
    )


def _parent(thing: Thing) -> str:
    """The key of the profile of an endpoint, or of the zone of a record set."""
    return thing.key.rsplit("/", 2)[0]


def _parents(thing: Thing) -> list[str]:
    """The keys of all that a part lies in, the nearest first: of a container its account, too."""
    found, key = [], thing.key
    while (key := key.rsplit("/", 2)[0]).count("/") >= 4:  # GROUP/providers/NAMESPACE/KIND/NAME
        found.append(key)
    return found


def _existing(thing: Thing, **more: Any) -> Existing:
    parents: frozenset[str] = frozenset()
    if thing.token in (ENDPOINT, RECORD_SET):
        parents = frozenset({_parent(thing)})
    elif thing.token in PARTS:
        parents = frozenset(_parents(thing))
    elif _is_scoped(thing):
        parents = frozenset({_group_key(thing)})
    return Existing(
        thing.token,
        thing.id,
        thing.key,
        tags=thing.tags,
        refs=frozenset(filter(None, (thing.nested,))),
        parents=parents,
        **more,
    )
