"""Traffic Manager and Azure DNS: what is the stack's own, by names that ARM has once, and by tags. Pure.

The id of an ARM resource is made of names, and the stack file and the program give all of them: nothing can be there
twice, but a second create is refused. Whose it is, tags tell: of groups, zones and profiles directly, of endpoints
through their profile, of a record set through the profile that it leads to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from spillway.recovery.model import Existing, Key, Properties, Rules, Scope, text

STACK_TAG: Final = "spillway-stack"
"""Azure takes no colon in tags of these types: infra/dns/traffic_profiles.py, `tags`."""
GROUP: Final = "azure-native:resources:ResourceGroup"
ZONE: Final = "azure-native:dns:Zone"
RECORD_SET: Final = "azure-native:dns:RecordSet"
PROFILE: Final = "azure-native:trafficmanager:Profile"
ENDPOINT: Final = "azure-native:trafficmanager:Endpoint"
TAGGED: Final = (GROUP, ZONE, PROFILE)

OWN_RECORD_SETS: Final = 2
"""NS and SOA at the zone's name: https://learn.microsoft.com/azure/dns/dns-zones-records"""

THEIRS: Final = "the plan needs this name, and what is there is not of this stack: delete it, or choose another name"
NAMED: Final = "the zone that the stack file names by its id"
WHOLE_GROUP: Final = "in no plan; a resource group goes with all that is in it: see what that is, and delete it by hand"
FULL_ZONE: Final = (
    "in no plan, with record sets in it: see which zone the registrar names, then delete the other by hand"
)


@dataclass(frozen=True, slots=True)
class Thing:
    """One resource as ARM tells it. leads_to: the host name or the id of a profile that a record set answers with;
    nested: the id of the profile that an endpoint stands for; held: how many record sets a zone has."""

    token: str
    id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    fqdn: str = ""
    leads_to: str = ""
    nested: str = ""
    held: int = 0

    @property
    def key(self) -> str:
        return arm_key(self.id)


def arm_key(id: str) -> str:
    """An id without its subscription, as ids are compared: ARM minds no case.
    https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules"""
    return id.lower().partition("/resourcegroups/")[2] if "/resourcegroups/" in id.lower() else id.lower()


def _named(kind: str, *names: str) -> Key:
    """`GROUP/providers/microsoft.network/KIND/...` of properties; a `{}` in `kind` stands for each of `names`."""

    def key(values: Properties) -> str | None:
        parts = [text(values, name) for name in ("resourceGroupName", *names)]
        if None in parts:
            return None
        group, *rest = parts
        return f"{group}/providers/microsoft.network/{kind.format(*rest)}".lower()

    return key


def _group(values: Properties) -> str | None:
    name = text(values, "resourceGroupName")
    return name.lower() if name else None


RULES: Final = Rules(
    keys={
        GROUP: _group,
        ZONE: _named("dnszones/{}", "zoneName"),
        RECORD_SET: _named("dnszones/{}/{}/{}", "zoneName", "recordType", "relativeRecordSetName"),
        PROFILE: _named("trafficmanagerprofiles/{}", "profileName"),
        ENDPOINT: _named("trafficmanagerprofiles/{}/{}/{}", "profileName", "endpointType", "endpointName"),
    },
    # An endpoint names the profile below: that one is refused to be deleted before.
    own_delete=frozenset({ENDPOINT}),
    exclusive=frozenset({ENDPOINT}),
    copied=frozenset({"resourceGroupName"}),
    id_key=arm_key,
)


def complete(things: Sequence[Thing], scope: Scope) -> list[Existing]:
    """What is the stack's own of all that is there, and what is in its way."""
    return list(_complete(things, scope))


def _complete(things: Sequence[Thing], scope: Scope) -> Iterator[Existing]:
    own = {t.key for t in things if t.token in TAGGED and t.tags.get(STACK_TAG) == scope.stack}
    profiles = {name for t in things if t.token == PROFILE and t.key in own for name in (t.key, t.fqdn.lower())}
    planned = {RULES.key(item.token, item.inputs) for item in scope.planned} - {None}
    zones = {zone for values in scope.properties(RECORD_SET) if (zone := RULES.key(ZONE, values))}
    for thing in things:
        mine = _is_own(thing, own, profiles)
        one = _existing(thing)
        if mine and thing.token == GROUP:
            yield _existing(thing, undeletable=WHOLE_GROUP)
        elif mine and thing.token == ZONE:
            if thing.key in zones and thing.key not in planned:
                yield _existing(thing, keep=NAMED)
            else:
                yield _existing(thing, undeletable=FULL_ZONE if thing.held > OWN_RECORD_SETS else None)
        elif mine and thing.token != RECORD_SET:
            yield one
        elif thing.key in planned:
            yield one if mine else _existing(thing, keep=THEIRS, problem=True)


def _is_own(thing: Thing, own: set[str], profiles: set[str]) -> bool:
    if thing.token in TAGGED:
        return thing.key in own
    if thing.token == ENDPOINT:
        return _parent(thing) in own
    return bool(thing.leads_to) and {arm_key(thing.leads_to), thing.leads_to.lower().rstrip(".")} & profiles != set()


def _parent(thing: Thing) -> str:
    """The key of the profile of an endpoint, or of the zone of a record set."""
    return thing.key.rsplit("/", 2)[0]


def _existing(thing: Thing, **more: Any) -> Existing:
    parts = thing.token in (ENDPOINT, RECORD_SET)
    return Existing(
        thing.token,
        thing.id,
        thing.key,
        tags=thing.tags,
        refs=frozenset(filter(None, (thing.nested,))),
        parents=frozenset({_parent(thing)}) if parts else frozenset(),
        **more,
    )
