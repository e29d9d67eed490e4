"""A global stack on Cloudflare: the token, the zone and its plan, and whether Load Balancing is there and has room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from infra import naming
from infra.dns import cloudflare_pools
from infra.dns.sections import Plan
from spillway.preflight import delegation
from spillway.preflight.global_context import DnsZone, GlobalContext
from spillway.preflight.model import Check, Row, count
from spillway.preflight.plan_checks import fitting

EXPIRES_SOON: Final = timedelta(days=21)
PLANS: Final[tuple[Plan, ...]] = ("free", "pro", "business", "enterprise")


@dataclass(frozen=True, slots=True)
class Token:
    """An API token: active, disabled or expired; expires: None when it never does."""

    status: str
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class LoadBalancing:
    """What the account has of Load Balancing. bought: None when this token may not see it.

    balancers: host names of the zone's load balancers. pools: name -> addresses of endpoints.
    """

    bought: bool | None
    balancers: tuple[str, ...] = ()
    pools: tuple[tuple[str, int], ...] = ()


class CloudflareAccount(Protocol):
    """The account of Cloudflare. Methods raise model.Unanswered and model.Unreachable."""

    stand_in: bool

    def token(self) -> Token: ...

    def zone(self, id: str) -> DnsZone | None: ...

    def zones_named(self, name: str) -> Sequence[DnsZone]:
        """Every zone of exactly this name that the token sees, of any account."""
        ...

    def records(self, zone: str, name: str) -> Sequence[str]:
        """The types of the DNS records of a name."""
        ...

    def load_balancing(self, zone: str | None) -> LoadBalancing: ...


Context = GlobalContext[CloudflareAccount]


def token(context: Context) -> Iterator[Row]:
    """The token works, and will for a while."""
    found = context.account.token()
    title = "API token"
    if found.status != "active":
        yield Row(
            "token",
            title,
            "failure",
            found.status or "not told",
            "active",
            "make another one: https://dash.cloudflare.com/profile/api-tokens",
        )
    elif found.expires is not None and found.expires - context.now < EXPIRES_SOON:
        told = f"expires on {found.expires:%Y-%m-%d %H:%M} UTC"
        yield Row("token", title, "warning", told, "21 days left", "roll it, here and in CI")
    else:
        until = f", until {found.expires:%Y-%m-%d}" if found.expires else ""
        yield Row("token", title, "ok", f"active{until}", "active")


def _zone(context: Context) -> DnsZone | None:
    wanted = context.config.zone
    if wanted.id is not None:
        return context.account.zone(wanted.id)
    return next((z for z in context.account.zones_named(wanted.name) if z.account in ("", _account(context))), None)


def _account(context: Context) -> str:
    assert context.config.cloudflare is not None
    return context.config.cloudflare.account


def _deployed(context: Context) -> bool:
    """Whether this stack has pools: zones of Cloudflare carry no tags that would tell whose they are."""
    zone = _zone(context)
    own = _own_pools(context)
    return any(name in own for name, _ in context.account.load_balancing(zone.id if zone else None).pools)


def zone(context: Context) -> Iterator[Row]:
    """There, in the right account, and active."""
    wanted, title = context.config.zone, "zone"
    found = _zone(context)
    if wanted.id is None:
        if found is None:
            yield Row("zone", title, "ok", f"{wanted.name}: `up` makes it", "no other zone of that name")
        elif _deployed(context):
            yield Row("zone", title, "ok", f"{wanted.name}: this stack's", "no other zone of that name")
        else:
            action = f"take it: zone: {{name: {wanted.name}, id: {found.id}}}; a second one is refused"
            told = f"{wanted.name} exists already: {found.id}"
            yield Row("zone", title, "failure", told, "no other zone of that name", action)
        return
    needed = f"active zone {wanted.name}"
    if found is None:
        action = "correct zone.id, or give the token Zone:Read for it"
        yield Row("zone", title, "failure", f"{wanted.id}: not seen by this token", needed, action)
    elif found.name != wanted.name:
        yield Row("zone", title, "failure", f"{wanted.id}: is {found.name}", needed, "correct zone.name or zone.id")
    elif found.account and found.account != _account(context):
        action = "correct cloudflare.account: load balancers use pools of their own account only"
        yield Row("zone", title, "failure", f"{wanted.id}: in account {found.account}", _account(context), action)
    elif found.status != "active":
        action = "finish its activation: the parent has to name its name servers"
        yield Row("zone", title, "warning", f"{wanted.id}: {found.status}", needed, action)
    else:
        yield Row("zone", title, "ok", f"{wanted.id}: {found.name}", needed)


def plan(context: Context) -> Iterator[Row]:
    """The plan bounds interval, TTL and check regions: with a lower one than the file says, `up` is refused."""
    assert context.config.cloudflare is not None
    wanted, found, title = context.config.cloudflare.plan, _zone(context), "plan"
    if found is None:
        if wanted != "free":
            action = "buy it right after `up` has made the zone, or make the zone first and name it by id"
            yield Row("plan", title, "warning", "a new zone starts as free", wanted, action)
        return
    if found.plan not in PLANS:
        yield Row("plan", title, "unknown", found.plan or "not told", wanted, "look at the zone's overview page")
    elif PLANS.index(found.plan) < PLANS.index(wanted):
        action = f"upgrade the zone, or write plan: {found.plan} (slower checks; the budget is computed anew)"
        yield Row("plan", title, "failure", found.plan, wanted, action)
    elif found.plan != wanted:
        yield Row("plan", title, "note", found.plan, wanted, f"plan: {found.plan} would allow faster checks")
    else:
        yield Row("plan", title, "ok", found.plan, wanted)


def load_balancing(context: Context) -> Iterator[Row]:
    """Bought, and with room for the stack's balancers, pools and endpoints."""
    assert context.config.cloudflare is not None
    zone = _zone(context)
    found = context.account.load_balancing(zone.id if zone is not None else None)
    title = "Load Balancing"
    if found.bought is False:
        action = "enable it: https://developers.cloudflare.com/load-balancing/get-started/enable-load-balancing/"
        yield Row("load-balancing", title, "failure", "not enabled", "enabled", action)
        return
    if found.bought is None:
        action = "check Traffic > Load Balancing in the dashboard; a token with Billing:Read could tell"
        yield Row("load-balancing", title, "warning", "no sign of a subscription", "enabled", action)
    else:
        yield Row("load-balancing", title, "ok", "enabled", "enabled")
    if (zone.plan if zone else context.config.cloudflare.plan) == "enterprise":
        return
    made = cloudflare_pools.render(context.plan)
    names = {balancer.name for balancer in made.balancers}
    own = _own_pools(context)
    others = [(name, size) for name, size in found.pools if name not in own]
    endpoints = [None for _, size in others for _ in range(size)]
    yield _room("load balancers", [name for name in found.balancers if name not in names], len(names))
    yield _room("pools", others, len(made.pools))
    yield _room("endpoints", endpoints, sum(len(pool.origins) for pool in made.pools))


def _own_pools(context: Context) -> set[str]:
    """The names of this stack's pools, as infra/dns/cloudflare.py gives them."""
    made = cloudflare_pools.render(context.plan)
    return {f"{naming.PROJECT}-{context.stack}-{pool.key}" for pool in made.pools}


def _room(what: str, others: Sequence[object], needed: int) -> Row:
    most = cloudflare_pools.QUOTAS[what]
    told = f"{len(others)} used by others, {most} in all"
    id = f"limit.{what.replace(' ', '-')}"
    if len(others) + needed <= most:
        return Row(id, what, "ok", told, str(needed))
    return Row(id, what, "failure", told, str(needed), "ask Cloudflare for more, or delete what is not used")


def records(context: Context) -> Iterator[Row]:
    """DNS records at the service names: a load balancer takes precedence over them
    (https://developers.cloudflare.com/load-balancing/load-balancers/dns-records/)."""
    found = _zone(context)
    if found is None:
        return
    clean = []
    for service in context.config.services:
        types = context.account.records(found.id, service.name)
        if types:
            told = f"{', '.join(sorted(set(types)))}: there already"
            action = "the load balancer takes precedence; delete it, or it answers again when the balancer goes"
            yield Row(f"record.{service.name}", f"record {service.name}", "note", told, "", action)
        else:
            clean.append(service.name)
    if clean:
        yield Row("records", "service names", "ok", f"{', '.join(clean)}: free", count(len(clean), "name"))


def delegated(context: Context) -> Iterator[Row]:
    """What the parent zone says."""
    return delegation.against(context, _zone)


CHECKS: Final[tuple[Check[Context], ...]] = (
    Check("token", "API token", token, decisive=True),
    fitting("Cloudflare"),
    Check("zone", "zone", zone),
    Check("plan", "plan", plan),
    Check("delegation", "delegation", delegated),
    Check("records", "service names", records),
    Check("load-balancing", "Load Balancing", load_balancing),
)
