"""What the endpoints of one Traffic Manager profile must be together, and how profiles may be nested.

Sources, by the name used below:
faqs: https://learn.microsoft.com/azure/traffic-manager/traffic-manager-faqs
methods: https://learn.microsoft.com/azure/traffic-manager/traffic-manager-routing-methods
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.traffic_manager_rules import EndpointType, endpoint_type, record_type, subnet_range
from sandbox.kinds import Args, Cloud, CloudError, Resource

# https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-traffic-manager-limits
PROFILES_MAX: Final = 200
ENDPOINTS_MAX: Final = 200
LEVELS_MAX: Final = 10  # faqs, how many layers of nesting


@dataclass(frozen=True, slots=True)
class Member:
    """One endpoint of a profile, written in the profile or a resource of its own (then with its outputs)."""

    kind: EndpointType
    name: str
    inputs: Args
    outputs: dict[str, Any]

    @property
    def target(self) -> str:
        """What has to be there once only: the address, name or resource that it points at."""
        return str(self.inputs["target"] if self.kind == "ExternalEndpoints" else self.inputs["targetResourceId"])

    @property
    def priority(self) -> int | None:
        given = self.inputs["priority"] or self.outputs.get("priority")
        return int(given) if given else None


def bad(message: str) -> CloudError:
    """Traffic Manager refuses everything with the same code."""
    return CloudError("BadRequest", message)


def inline_members(endpoints: object) -> list[Member]:
    """The endpoints written in a profile, in order; what has no type yet is left out."""
    members = []
    for values in endpoints if isinstance(endpoints, list) else ():
        kind = endpoint_type(values.get("type"))
        if kind is not None:
            members.append(Member(kind, str(values.get("name")), Args(values), {}))
    return members


def standing(cloud: Cloud, profile_id: str) -> list[Resource]:
    """The endpoints of a profile that are resources of their own."""
    return [e for e in cloud.all(tokens.ENDPOINT) if arm.inside(e.id, profile_id)]


def members_of(cloud: Cloud, profile: Resource, without: str = "") -> list[Member]:
    """All endpoints of a profile, but the one with the id `without`."""
    members = inline_members(profile.inputs.get("endpoints"))
    for resource in standing(cloud, profile.id):
        kind = endpoint_type(resource.inputs["endpointType"])
        if kind is not None and not arm.same(resource.id, without):
            members.append(Member(kind, str(resource["name"]), Args(resource.inputs), resource.outputs))
    return members


def find_profile(cloud: Cloud, group: object, name: object) -> Resource | None:
    return next(
        (
            p
            for p in cloud.all(tokens.PROFILE)
            if arm.same(p.inputs["resourceGroupName"], group) and arm.same(p["name"], name)
        ),
        None,
    )


def judge(cloud: Cloud, profile_id: str, settings: Args, members: Sequence[Member]) -> None:
    """Raises CloudError BadRequest for the first rule that the endpoints of a profile break together."""
    if len(members) > ENDPOINTS_MAX:
        raise bad(f"A profile can have at most {ENDPOINTS_MAX} endpoints.")
    _once("name", (m.name for m in members))
    _once("target", (m.target for m in members))
    _judge_priorities(members)
    method = settings["trafficRoutingMethod"]
    if method == "Performance":
        for member in members:
            if member.kind != "AzureEndpoints" and not member.inputs["endpointLocation"]:
                # methods, performance: external and nested endpoints need their location
                raise bad(f"The 'endpointLocation' must be specified for endpoint '{member.name}'.")
    elif method == "Geographic":
        _judge_geography(members)
    elif method == "Subnet":
        _judge_subnets(members)
    _judge_addressing(method, settings, members)
    _judge_aliases(cloud, profile_id, members)
    for member in members:
        if member.kind == "NestedEndpoints":
            _judge_nesting(cloud, profile_id, method, member)


def _once(what: str, values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value.lower() in seen:
            raise bad(f"The {what} '{value}' is used by more than one endpoint of the profile.")
        seen.add(value.lower())


def _judge_priorities(members: Sequence[Member]) -> None:
    """methods, priority: endpoints cannot share a value; where it is left out the order decides."""
    _once("priority", (str(m.priority) for m in members if m.priority))
    inline = [m for m in members if not m.outputs]
    if any(m.priority for m in inline) and not all(m.priority for m in inline):
        raise bad("If the priority is specified, it must be specified on all endpoints.")


def _judge_geography(members: Sequence[Member]) -> None:
    """methods, geographic: every endpoint has a region, and a region one endpoint."""
    for member in members:
        if not member.inputs["geoMapping"]:
            raise bad(f"The 'geoMapping' must be specified for endpoint '{member.name}'.")
    _once("geographic region", (code for m in members for code in m.inputs["geoMapping"]))


def _judge_subnets(members: Sequence[Member]) -> None:
    """faqs, subnet routing: no overlap; one endpoint without ranges is the fallback, a second one could never be."""
    taken: list[tuple[tuple[int, int, int], str]] = []
    for member in members:
        for subnet in member.inputs["subnets"] or ():
            found = subnet_range(subnet)
            if found is None:
                continue
            for (version, first, last), other in taken:
                if found[0] == version and found[1] <= last and first <= found[2]:
                    raise bad(f"The subnets of endpoints '{other}' and '{member.name}' overlap.")
            taken.append((found, member.name))
    fallback = [m.name for m in members if not m.inputs["subnets"]]
    if len(fallback) > 1:
        raise bad(f"Only one endpoint may have no subnets, '{fallback[0]}' and '{fallback[1]}' have none.")


def _judge_addressing(method: object, settings: Args, members: Sequence[Member]) -> None:
    """faqs: one addressing type in a profile; MultiValue takes IPv4 and IPv6 and nothing else, and is no parent."""
    kinds = {m.name: record_type(m.kind, m.inputs["target"]) for m in members}
    if method == "MultiValue":
        for member in members:
            if kinds[member.name] not in ("IPv4Address", "IPv6Address"):
                raise bad(f"MultiValue profiles take external endpoints with IP addresses, '{member.name}' is not one.")
    elif len(found := {k for k in kinds.values() if k}) > 1:
        raise bad(f"The endpoints of a profile must have one addressing type, found {', '.join(sorted(found))}.")
    allowed = settings["allowedEndpointRecordTypes"] or ["Any"]
    for name, kind in kinds.items():
        if kind and "Any" not in allowed and kind not in allowed:
            raise bad(f"The profile allows endpoints of {', '.join(allowed)}, '{name}' is {kind}.")


_ALIAS_NEEDS: Final = {"A": "IPv4Address", "AAAA": "IPv6Address"}


def alias_target(inputs: dict[str, Any]) -> str | None:
    """The id that an alias record set points at."""
    for key in ("targetResource", "trafficManagementProfile"):
        if isinstance(inputs.get(key), dict) and inputs[key].get("id"):
            return str(inputs[key]["id"])
    return None


def check_alias(record: str, members: Sequence[Member]) -> None:
    """An A or AAAA alias takes a profile whose endpoints are all external, with addresses of its family
    (https://learn.microsoft.com/azure/dns/dns-alias, note on Traffic Manager profiles)."""
    needed = _ALIAS_NEEDS.get(record)
    for member in members if needed else ():
        if member.kind != "ExternalEndpoints" or record_type(member.kind, member.inputs["target"]) != needed:
            raise bad(
                f"A DNS alias record set of type {record} needs a profile with external endpoints of {needed} only, "
                f"endpoint '{member.name}' is not one."
            )


def _judge_aliases(cloud: Cloud, profile_id: str, members: Sequence[Member]) -> None:
    for record in cloud.all(tokens.RECORD_SET):
        if arm.same(alias_target(record.inputs), profile_id):
            check_alias(str(record.inputs["recordType"]).upper(), members)


def _judge_nesting(cloud: Cloud, profile_id: str, method: object, member: Member) -> None:
    target = member.target
    if arm.same(target, profile_id):
        raise bad(f"The nested endpoint '{member.name}' points at its own profile.")
    found = arm.parse_id(target)
    if found is None or found["subscription"] != cloud.account.lower():
        return  # a profile of another subscription, which this one may read but not know
    child = arm.find_by_id(cloud, tokens.PROFILE, target)
    if child is None:
        raise bad(f"The target resource '{target}' of endpoint '{member.name}' could not be found.")
    below = _levels_below(cloud, child, {profile_id.lower()}, member.name)
    levels = _levels_above(cloud, profile_id) + 1 + below
    if levels > LEVELS_MAX:
        raise bad(f"Profiles can be nested up to {LEVELS_MAX} levels, endpoint '{member.name}' makes {levels}.")


def children_of(cloud: Cloud, profile: Resource) -> list[Resource]:
    """The profiles nested in a profile."""
    targets = [m.target for m in members_of(cloud, profile) if m.kind == "NestedEndpoints"]
    return [child for t in targets if (child := arm.find_by_id(cloud, tokens.PROFILE, t)) is not None]


def parents_of(cloud: Cloud, profile_id: str) -> list[Resource]:
    """The profiles that a profile is nested in."""
    return [
        parent
        for parent in cloud.all(tokens.PROFILE)
        if any(m.kind == "NestedEndpoints" and arm.same(m.target, profile_id) for m in members_of(cloud, parent))
    ]


def _levels_below(cloud: Cloud, profile: Resource, seen: set[str], name: str) -> int:
    """How many profiles a chain from this one down has, itself included."""
    if profile.id.lower() in seen:
        raise bad(f"The nested endpoint '{name}' makes a loop.")
    path = seen | {profile.id.lower()}
    return 1 + max((_levels_below(cloud, child, path, name) for child in children_of(cloud, profile)), default=0)


def _levels_above(cloud: Cloud, profile_id: str) -> int:
    """How many profiles a chain above this one has."""
    return max((1 + _levels_above(cloud, parent.id) for parent in parents_of(cloud, profile_id)), default=0)


def next_priority(members: Sequence[Member]) -> int:
    """What an endpoint without a priority gets: the place behind all others."""
    return max((m.priority or 0 for m in members), default=0) + 1
