"""A global stack on Azure Traffic Manager: the subscription, the profiles' names, the zone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from infra.dns import traffic_profiles
from spillway.preflight import delegation
from spillway.preflight.global_context import DnsZone, GlobalContext
from spillway.preflight.model import Check, Row, State, count
from spillway.preflight.plan_checks import fitting

ENDPOINTS: Final = 200
"""Per profile: https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#azure-traffic-manager-limits"""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription; state Enabled, Warned, PastDue, Disabled or Deleted."""

    id: str
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A Traffic Manager profile. group: its resource group, in lower case."""

    name: str
    group: str
    relative_name: str
    stack: str


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a name under trafficmanager.net is free, and why not."""

    free: bool
    reason: str = ""


class AzureAccount(Protocol):
    """One subscription. Methods raise model.Unanswered and model.Unreachable."""

    stand_in: bool

    def subscription(self) -> Subscription: ...

    def registered(self, namespace: str) -> str:
        """Registration state of a resource provider: Registered, NotRegistered, Registering."""
        ...

    def available(self, relative_name: str) -> Availability: ...

    def profiles(self) -> Sequence[Profile]: ...

    def zone(self, id: str) -> DnsZone | None: ...

    def zones_named(self, name: str) -> Sequence[DnsZone]: ...


Context = GlobalContext[AzureAccount]


def identity(context: Context) -> Iterator[Row]:
    """The subscription is there and takes changes."""
    found, title = context.account.subscription(), "subscription"
    told = f"{found.id}, {found.name}: {found.state}"
    if found.state in ("Enabled", "Warned"):
        yield Row("identity", title, "ok", told, "Enabled")
    else:
        yield Row("identity", title, "failure", told, "Enabled", "it takes no changes: see Cost Management + Billing")


def providers(context: Context) -> Iterator[Row]:
    """Microsoft.Network is registered; registering asks for a right at the subscription itself."""
    namespace = "Microsoft.Network"
    state = context.account.registered(namespace)
    if state == "Registered":
        yield Row("provider", "resource provider", "ok", f"{namespace}: {state}", "Registered")
    else:
        action = f"az provider register --namespace {namespace}"
        yield Row("provider", "resource provider", "warning", f"{namespace}: {state}", "Registered", action)


def _profiles(context: Context) -> tuple[traffic_profiles.Profile, ...]:
    assert context.config.traffic_manager is not None
    return traffic_profiles.profiles(context.config.traffic_manager.name, context.config.zone.name, context.plan)


def _is_own(context: Context, profile: Profile) -> bool:
    assert context.config.traffic_manager is not None
    return profile.stack == context.stack or profile.group == context.config.traffic_manager.resource_group.lower()


def names(context: Context) -> Iterator[Row]:
    """Each profile's name under trafficmanager.net: free, or this stack's own."""
    own = {p.relative_name.lower() for p in context.account.profiles() if _is_own(context, p)}
    wanted = [profile.name for profile in _profiles(context)]
    taken = {}
    for name in wanted:
        if name not in own:
            found = context.account.available(name)
            if not found.free:
                taken[name] = found.reason or "taken"
    for name, why in taken.items():
        action = "choose another trafficManager.name: it is one namespace for all of Azure"
        title = f"{name}.{traffic_profiles.DNS_SUFFIX}"
        yield Row(f"name.{name}", title, "failure", why, "free, or this stack's", action)
    if not taken:
        held = sum(name in own for name in wanted)
        told = f"{len(wanted) - held} free, {held} held by this stack"
        yield Row("names", "names of the profiles", "ok", told, count(len(wanted), "name"))


def limits(context: Context) -> Iterator[Row]:
    """Profiles of the subscription, and endpoints of one profile."""
    needed, most = _profiles(context), traffic_profiles.PROFILES_MAX
    others = sum(not _is_own(context, profile) for profile in context.account.profiles())
    told = f"{others} used by others, {most} in all"
    state: State = "ok" if others + len(needed) <= most else "failure"
    action = "" if state == "ok" else "delete profiles, or ask Azure Support for more"
    yield Row("limit.profiles", "Traffic Manager profiles", state, told, str(len(needed)), action)
    largest = max(needed, key=lambda profile: len(profile.branches))
    if len(largest.branches) > ENDPOINTS:
        told, action = f"{len(largest.branches)} in {largest.name}", "spread the members over more services"
        yield Row("limit.endpoints", "endpoints of a profile", "failure", told, f"at most {ENDPOINTS}", action)


def _zone(context: Context) -> DnsZone | None:
    wanted = context.config.zone
    if wanted.id is not None:
        return context.account.zone(wanted.id)
    return next((zone for zone in context.account.zones_named(wanted.name) if _own(context, zone)), None)


def _own(context: Context, zone: DnsZone) -> bool:
    assert context.config.traffic_manager is not None
    group = f"/resourcegroups/{context.config.traffic_manager.resource_group.lower()}/"
    return zone.stack == context.stack or group in zone.id.lower()


def zone(context: Context) -> Iterator[Row]:
    """By id: there. To be created: no other one of that name in the subscription."""
    wanted, title = context.config.zone, "zone"
    if wanted.id is not None:
        if context.account.zone(wanted.id) is None:
            action = "correct zone.id; `az network dns zone list --query '[].id'` lists them"
            yield Row("zone", title, "failure", f"{wanted.id}: not there", f"zone {wanted.name}", action)
        else:
            yield Row("zone", title, "ok", f"{wanted.name}: there", f"zone {wanted.name}")
        return
    others = [found for found in context.account.zones_named(wanted.name) if not _own(context, found)]
    if others:
        action = f"take it: zone: {{name: {wanted.name}, id: {others[0].id}}}; a second one would answer nobody"
        told = f"{wanted.name} exists already: {', '.join(found.id for found in others)}"
        yield Row("zone", title, "failure", told, "one zone of that name", action)
    else:
        made = "this stack's" if _zone(context) is not None else "`up` makes it"
        yield Row("zone", title, "ok", f"{wanted.name}: {made}", "no other zone of that name")


def delegated(context: Context) -> Iterator[Row]:
    """What the parent zone says."""
    return delegation.against(context, _zone)


CHECKS: Final[tuple[Check[Context], ...]] = (
    Check("identity", "subscription", identity, decisive=True),
    fitting("Traffic Manager"),
    Check("provider", "resource provider", providers),
    Check("names", "names of the profiles", names),
    Check("limits", "limits", limits),
    Check("zone", "zone", zone),
    Check("delegation", "delegation", delegated),
)
