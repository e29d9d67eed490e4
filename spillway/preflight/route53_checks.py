"""A global stack on Route 53: the account, the zone, who finds it, and room for checks and records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from infra.dns.settings import check_settings
from spillway.preflight import delegation
from spillway.preflight.aws_region.facts import Identity
from spillway.preflight.global_context import DnsZone, GlobalContext
from spillway.preflight.model import Check, Row
from spillway.preflight.quota_requests import AwsQuotaRequest

HOME: Final = "us-east-1"
"""Route 53's quotas are raised there: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html"""

LimitKind = Literal["health checks", "hosted zones"]
CODES: Final = {"health checks": "L-ACB674F3", "hosted zones": "L-4EA4796A", "records per zone": "L-E209CC9F"}


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of the account (or zone), how much is used in all, and how much of that by this stack."""

    most: int
    used: int
    own: int = 0


@dataclass(frozen=True, slots=True)
class Named:
    """A record of the zone. routing: simple, weighted, failover, latency ...; set: its identifier, "" without one."""

    name: str
    type: str
    routing: str
    set: str


class Route53Account(Protocol):
    """The account of Route 53. Methods raise model.Unanswered and model.Unreachable."""

    stand_in: bool

    def identity(self) -> Identity: ...

    def zone(self, id: str) -> DnsZone | None: ...

    def zones_named(self, name: str) -> Sequence[DnsZone]:
        """Every public zone of exactly this name."""
        ...

    def records(self, zone: str, names: tuple[str, ...]) -> Sequence[Named]:
        """The records of these names in a zone."""
        ...

    def limit(self, kind: LimitKind, hosts: tuple[str, ...]) -> Limit:
        """hosts: the service names; health checks for them are this stack's own."""
        ...

    def record_limit(self, zone: str) -> Limit: ...


Context = GlobalContext[Route53Account]


def identity(context: Context) -> Iterator[Row]:
    """The credentials' account against the stack file's."""
    assert context.config.route53 is not None
    who, wanted = context.account.identity(), context.config.route53.account
    if who.account == wanted:
        yield Row("identity", "account", "ok", f"{who.account}, {who.arn}", wanted)
        return
    action = "use credentials of the stack file's account (AWS_PROFILE), or correct `route53.account` in the stack file"
    yield Row("identity", "account", "failure", f"{who.account}, {who.arn}", wanted, action)


def _zone(context: Context) -> DnsZone | None:
    """The zone that the stack will use, or uses; None when it will make it."""
    wanted = context.config.zone
    if wanted.id is not None:
        return context.account.zone(wanted.id)
    return next((zone for zone in context.account.zones_named(wanted.name) if zone.stack == context.stack), None)


def zone(context: Context) -> Iterator[Row]:
    """By id: there, public, of that name. To be created: no other one of that name."""
    wanted, title = context.config.zone, "zone"
    if wanted.id is not None:
        found = context.account.zone(wanted.id)
        needed = f"public zone {wanted.name}"
        if found is None:
            action = "correct zone.id; `aws route53 list-hosted-zones` lists the account's"
            yield Row("zone", title, "failure", f"{wanted.id}: not in this account", needed, action)
        elif found.name != wanted.name:
            yield Row("zone", title, "failure", f"{wanted.id}: is {found.name}", needed, "correct zone.name or zone.id")
        elif found.private:
            why = "clients outside its VPCs never see it: name a public zone"
            yield Row("zone", title, "failure", f"{wanted.id}: private", needed, why)
        else:
            yield Row("zone", title, "ok", f"{wanted.id}: {found.name}", needed)
        return
    others = [found for found in context.account.zones_named(wanted.name) if found.stack != context.stack]
    if others:
        # Two zones of a name are allowed, and only the one that the parent names is ever asked.
        ids = ", ".join(found.id for found in others)
        action = f"take it: zone: {{name: {wanted.name}, id: {others[0].id}}}; a second one would answer nobody"
        yield Row("zone", title, "failure", f"{wanted.name} exists already: {ids}", "one zone of that name", action)
    elif _zone(context) is None:
        yield Row("zone", title, "ok", f"{wanted.name}: `up` makes it", "no other zone of that name")
    else:
        yield Row("zone", title, "ok", f"{wanted.name}: this stack's", "no other zone of that name")


def delegated(context: Context) -> Iterator[Row]:
    """What the parent zone says."""
    return delegation.against(context, _zone)


def records(context: Context) -> Iterator[Row]:
    """Records that stand at the service names already, and would conflict with those of the stack: a name has records
    of one routing policy, and a CNAME stands alone
    (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-shared.html)."""
    found = _zone(context)
    if found is None:
        return
    names = tuple(service.name for service in context.config.services)
    standing = [r for r in context.account.records(found.id, names) if r.type in ("A", "AAAA", "CNAME")]
    # This stack's own are the two of a failover pair, see infra/dns/route53.py.
    foreign = [
        r for r in standing if r.type != "AAAA" and not (r.routing == "failover" and r.set in ("first", "after"))
    ]
    for name in dict.fromkeys(record.name for record in foreign):
        told = "; ".join(_described(record) for record in foreign if record.name == name)
        action = "delete it just before `up`, which is refused with InvalidChangeBatch while it stands"
        yield Row(f"record.{name}", f"record {name}", "failure", f"{told}: there already", "free", action)
    for name in dict.fromkeys(record.name for record in standing if record.type == "AAAA"):
        action = "clients with IPv6 go there and never fail over: delete it"
        yield Row(f"record.{name}.aaaa", f"record {name}", "warning", "AAAA: there already", "none", action)
    if not standing or (not foreign and all(r.type != "AAAA" for r in standing)):
        told = "this stack's own" if standing else "free"
        yield Row("records", "service names", "ok", f"{', '.join(names)}: {told}", "free, or this stack's")


def _described(record: Named) -> str:
    return f"{record.routing} {record.type}" + (f", {record.set}" if record.set else "")


def limits(context: Context) -> Iterator[Row]:
    """Health checks, hosted zones and records: used by others, plus all that this stack needs."""
    config, plan = context.config, context.plan
    hosts = tuple(service.name for service in config.services)
    probes = sum(len(probe.endpoint.addresses) for probe in plan.probes)
    clouds = {probe.endpoint.cloud for probe in plan.probes if probe.name not in plan.drained}
    why = f"{probes + len(clouds)}: one per address, one per cloud"
    yield _limited("health checks", context.account.limit("health checks", hosts), probes + len(clouds), why)
    if config.zone.id is None and _zone(context) is None:
        yield _limited("hosted zones", context.account.limit("hosted zones", hosts), 1, "1")
    from infra.dns.route53 import answers  # the SDK's import is paid only where it is needed

    ttl = int(check_settings(config).ttl_seconds)
    needed = sum(len(answers(service, ttl)) for service in plan.services)
    found = _zone(context)
    most = context.account.record_limit(found.id) if found is not None else Limit(10_000, 2)
    yield _limited("records per zone", most, needed, f"{needed} records")


def _limited(kind: str, limit: Limit, needed: int, why: str) -> Row:
    others = limit.used - limit.own
    told = f"{others:,} used by others, {limit.own:,} by this stack, quota {limit.most:,}"
    id = f"limit.{kind.replace(' ', '-')}"
    if others + needed <= limit.most:
        return Row(id, kind, "ok", told, why)
    request = AwsQuotaRequest("route53", CODES[kind], kind.capitalize(), HOME, others + needed)
    return Row(id, kind, "failure", told, why, f"{others + needed - limit.most:,} too few", request)


CHECKS: Final[tuple[Check[Context], ...]] = (
    Check("identity", "account", identity, decisive=True),
    Check("zone", "zone", zone),
    Check("delegation", "delegation", delegated),
    Check("records", "service names", records),
    Check("limits", "limits", limits),
)
