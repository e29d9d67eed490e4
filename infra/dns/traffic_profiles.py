"""The plan as a tree of Traffic Manager profiles. Pure.

    <service>             Priority: its tiers, by their rank
      <tier>              Weighted or Performance: the members of one rank
        <region>          Weighted: members that share an Azure region, in a tier by latency
          <member>          Weighted: its addresses, probed; one for all services

A profile has one way to choose and one way to probe, so each level and each member has its own, and parents only hand
on their children's health (https://learn.microsoft.com/azure/traffic-manager/traffic-manager-nested-profiles). Nesting
costs nothing; addresses are probed once, however many services share a member. Levels never come and go with the number
of tiers or addresses: a profile whose endpoints change their kind would be refused half-way through an update.

Only at the apex of the zone is there one flat profile: an alias record set takes no nested endpoints there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from infra.dns import places
from infra.dns.plan import GlobalPlan, Place, Probe, ServicePlan, Tier
from infra.dns.sections import GlobalStack
from infra.faults import Fault, listed

Method = Literal["Priority", "Weighted", "Performance"]

DNS_SUFFIX: Final = "trafficmanager.net"
NAME_MAX: Final = 63
"""Of a profile and of a DNS label, and a profile's relative name is one:
https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftnetwork"""
_DIGEST: Final = 8
PROFILES_MAX: Final = 200
"""https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-traffic-manager-limits"""
# https://learn.microsoft.com/azure/traffic-manager/traffic-manager-routing-methods: weights and priorities
WEIGHT_MAX: Final = 1000
LAST_PRIORITY: Final = 1000
READY_PATH: Final = "/readyz"
HTTPS_PORT: Final = 443
# https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations: a DNS zone takes fewer
# tags than others, and no name with spaces, special characters or a digit at its start
TAGS_MAX: Final = 15
_TAG_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_RESERVED_TAGS: Final = ("azure", "microsoft", "windows", "spillway-")


@dataclass(frozen=True, slots=True)
class Branch:
    """One endpoint of a profile: an address or host name (`target`), or a profile below (`child`, its name).

    enabled: an endpoint of weight 0 would be refused, so a standby is a disabled one: somebody has to enable it, it
    does not answer by itself when all others are down. location: the Azure region that latency is measured to.
    """

    name: str
    target: str | None = None
    child: str | None = None
    weight: int | None = None
    priority: int | None = None
    enabled: bool = True
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile. label: what it stands for, unique in the stack. name: in Azure, and before `.trafficmanager.net`.

    port, health_path, host: how its own addresses are probed. A parent probes nothing; they must be set all the same.
    """

    label: str
    name: str
    method: Method
    branches: tuple[Branch, ...]
    port: int = HTTPS_PORT
    health_path: str = READY_PATH
    host: str | None = None

    @property
    def fqdn(self) -> str:
        return f"{self.name}.{DNS_SUFFIX}"


def profile_name(prefix: str, label: str) -> str:
    """`spillway-llm`, `aws-us-east-1` -> `spillway-llm-aws-us-east-1-0a1b2c3d`, at most 63 characters.

    The digest is of the whole label: what is cut or replaced in the readable part never makes two labels one name.
    """
    digest = hashlib.sha256(label.encode()).hexdigest()[:_DIGEST]
    readable = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
    room = NAME_MAX - len(prefix) - _DIGEST - 2
    return "-".join(part for part in (prefix, readable[: max(room, 0)].strip("-"), digest) if part)


def profiles(prefix: str, zone: str, plan: GlobalPlan) -> tuple[Profile, ...]:
    """All profiles of a plan, children before their parents. `prefix` begins their names; `zone` is the zone's name.

    Raises KeyError for a member whose nearest AWS region has no Azure region; `faults` tells that before.
    """
    found = [_member(prefix, probe) for probe in plan.probes if _is_nested(probe, zone, plan)]
    for service in plan.services:
        if service.name == zone:
            found.append(_flat(prefix, service))
        else:
            found.extend(_service(prefix, service))
    return tuple(found)


def root(prefix: str, service: ServicePlan) -> str:
    """The name of the profile that answers for a service."""
    return profile_name(prefix, service.name)


def _member_label(name: str) -> str:
    return f"member {name}"


def _is_nested(probe: Probe, zone: str, plan: GlobalPlan) -> bool:
    """Whether a member has a profile of its own: a service below the apex has it, or it is drained and only probed."""
    serving = [s.name for s in plan.services if any(place.name == probe.name for place in s.places)]
    return serving != [zone]


def _member(prefix: str, probe: Probe) -> Profile:
    endpoint = probe.endpoint
    targets = endpoint.addresses or ((endpoint.hostname,) if endpoint.hostname else ())
    # Names and addresses must not stand in one profile, not even while one replaces the other: each has its own
    # (https://learn.microsoft.com/azure/traffic-manager/traffic-manager-faqs, endpoint addressing types).
    label = _member_label(probe.name) if endpoint.addresses else f"{_member_label(probe.name)} by name"
    return Profile(
        label=label,
        name=profile_name(prefix, label),
        method="Weighted",
        branches=tuple(Branch(target, target=target, weight=1) for target in targets),
        port=endpoint.port,
        health_path=endpoint.health_path,
        host=probe.host,
    )


def _child(prefix: str, place: Place) -> str:
    label = _member_label(place.name) if place.endpoint.addresses else f"{_member_label(place.name)} by name"
    return profile_name(prefix, label)


def _service(prefix: str, service: ServicePlan) -> Iterator[Profile]:
    branches = []
    for tier in service.tiers:
        yield from _tier(prefix, service, tier)
        child = profile_name(prefix, _tier_label(service, tier))
        branches.append(Branch(tier.label, child=child, priority=_priority(tier)))
    yield Profile(service.name, root(prefix, service), "Priority", tuple(branches))


def _tier_label(service: ServicePlan, tier: Tier) -> str:
    return f"{service.name} {tier.label}"


POLICY_PRIORITY: Final = {"weighted": 200, "latency": 300}
"""Beyond every priority that a member may have in the stack file."""


def _priority(tier: Tier) -> int:
    """By what the tier is and not by its place: no two endpoints may share a priority, and they are updated one after
    the other, so a tier that comes or goes must not move the others, nor meet one of another policy on its way out."""
    if tier.degraded:
        return LAST_PRIORITY
    if tier.label in POLICY_PRIORITY:
        return POLICY_PRIORITY[tier.label]
    return int(tier.label.removeprefix("priority-"))


def _tier(prefix: str, service: ServicePlan, tier: Tier) -> Iterator[Profile]:
    label = _tier_label(service, tier)
    if tier.choice == "weighted":
        yield Profile(label, profile_name(prefix, label), "Weighted", _weighted(prefix, tier.places))
        return
    # Members in one Azure region would get even shares, whatever their weight:
    # https://learn.microsoft.com/azure/traffic-manager/traffic-manager-routing-methods#performance-traffic-routing-method
    branches = []
    for location, members in _by_location(tier.places).items():
        below = f"{label} {location}"
        yield Profile(below, profile_name(prefix, below), "Weighted", _weighted(prefix, members))
        branches.append(Branch(location, child=profile_name(prefix, below), location=location))
    yield Profile(label, profile_name(prefix, label), "Performance", tuple(branches))


def _by_location(members: Sequence[Place]) -> Mapping[str, list[Place]]:
    found: dict[str, list[Place]] = {}
    for place in members:
        found.setdefault(places.location(place.endpoint.nearest_aws_region).azure, []).append(place)
    return found


def _weighted(prefix: str, members: Sequence[Place]) -> tuple[Branch, ...]:
    """One branch per member. Where all have weight 0, which only members of one region in a tier by latency may, all
    answer alike."""
    idle = not any(place.weight for place in members)
    return tuple(
        Branch(
            place.name,
            child=_child(prefix, place),
            weight=max(place.weight, 1),
            enabled=idle or place.weight > 0,
        )
        for place in members
    )


def _flat(prefix: str, service: ServicePlan) -> Profile:
    """The one tier of a service at the apex, address by address; a member's weight is shared by its addresses."""
    tier = service.tiers[0]
    first = tier.places[0].endpoint
    shares = {place.name: place.weight / len(place.endpoint.addresses) for place in tier.places}
    most = max(shares.values()) or 1
    branches = tuple(
        Branch(
            f"{place.name}-{address}",
            target=address,
            weight=max(round(shares[place.name] / most * WEIGHT_MAX), 1),
            enabled=place.weight > 0 or tier.choice == "latency",
            location=places.location(place.endpoint.nearest_aws_region).azure,
        )
        for place in tier.places
        for address in place.endpoint.addresses
    )
    return Profile(
        label=service.name,
        name=root(prefix, service),
        method="Weighted" if tier.choice == "weighted" else "Performance",
        branches=branches,
        port=first.port,
        health_path=first.health_path,
        host=service.name,
    )


def faults(config: GlobalStack, plan: GlobalPlan) -> Iterator[Fault]:
    """What Traffic Manager cannot express, as paths below `spillway:global`."""
    assert config.traffic_manager is not None
    yield from _tag_faults(config)
    unplaced = False
    for number, member in enumerate(config.members):
        region = next((p.endpoint.nearest_aws_region for p in plan.probes if p.name == member.name), None)
        if region is not None and region not in places.regions():
            unplaced = True
            why = f"{member.name}: no Azure region is known near {region}; infra/data/places.yaml has those that are"
            yield Fault(("members", number), why)
    for number, service in enumerate(config.services):
        if service.name == config.zone.name:
            yield from _apex_faults(number, next(s for s in plan.services if s.name == service.name))
    if not unplaced:
        count = len(profiles(config.traffic_manager.name, config.zone.name, plan)) if _flat_fits(config, plan) else 0
        if count > PROFILES_MAX:
            why = f"makes {count} profiles with these members, and a subscription has at most {PROFILES_MAX}"
            yield Fault(("services",), why)


def _flat_fits(config: GlobalStack, plan: GlobalPlan) -> bool:
    return not any(service.name == config.zone.name and list(_apex_faults(0, service)) for service in plan.services)


def _apex_faults(number: int, service: ServicePlan) -> Iterator[Fault]:
    """At the apex only an alias record set can answer, and it takes one profile of external addresses
    (https://learn.microsoft.com/azure/dns/dns-alias, note on Traffic Manager profiles)."""
    named = [place.name for place in service.places if not place.endpoint.addresses]
    probes = {(place.endpoint.port, place.endpoint.health_path) for place in service.places}
    if len(service.tiers) > 1:
        why = f"can have one tier in Azure DNS, and has {len(service.tiers)}"
    elif named:
        why = f"needs addresses, and {listed(named, 'and')} has none"
    elif len(probes) > 1:
        ways = listed((f"{port}{health}" for port, health in sorted(probes)), "and")
        why = f"has its members probed alike in Azure, and here they are at {ways}"
    else:
        return
    instead = f"give it a name below the zone, such as llm.{service.name}"
    yield Fault(("services", number, "name"), f"the zone's own name {why}: {instead}", service.name)


def _tag_faults(config: GlobalStack) -> Iterator[Fault]:
    for key in config.tags:
        if not _TAG_KEY.fullmatch(key):
            yield Fault(("tags", key), "has to be letters, digits, _ . or -, and a letter first: Azure takes no other")
        elif key.lower().startswith(_RESERVED_TAGS):
            yield Fault(("tags", key), f"must not begin with {listed(_RESERVED_TAGS)}")
    own = len(tags("", "", {}))
    if len(config.tags) + own > TAGS_MAX:
        why = f"at most {TAGS_MAX - own} here: a DNS zone of Azure takes {TAGS_MAX}, and {own} are the stack's own"
        yield Fault(("tags",), why, len(config.tags))


def tags(stack: str, component: str, extra: Mapping[str, str]) -> dict[str, str]:
    """The tags of one resource. Hyphens where AWS tags have colons: Traffic Manager and zones refuse those."""
    return {
        **extra,
        "spillway-stack": stack,
        "spillway-component": component,
        "spillway-managed-by": "pulumi",
    }
