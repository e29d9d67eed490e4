"""Cloudflare: what is the stack's own, by the names of pools and load balancers, and by what descriptions say. Pure.

Nothing here has tags, but the program ends every description with the stack's name. Pools have names that are unique in
an account, load balancers in a zone; a monitor has none, so that one whose answer was lost is made a second time, and
is told by what it probes. A setting of a zone needs nothing: the next `up` writes it again
(https://developers.cloudflare.com/api/resources/zones/subresources/settings/methods/edit/).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from spillway.recovery.model import NAME_TAG, Existing, Properties, Rules, Scope, text

ZONE: Final = "cloudflare:index/zone:Zone"
MONITOR: Final = "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor"
POOL: Final = "cloudflare:index/loadBalancerPool:LoadBalancerPool"
BALANCER: Final = "cloudflare:index/loadBalancer:LoadBalancer"
PENDING: Final = ("pending", "initializing")
"""No registrar names Cloudflare's servers yet, so that nobody can be using the zone:
https://developers.cloudflare.com/dns/zone-setups/reference/domain-status/"""
HTTPS_PORT: Final = 443

THEIRS: Final = "the plan needs this name, and what is there is not of this stack: delete it, or rename the service"


@dataclass(frozen=True, slots=True)
class Thing:
    """One object. id: what the import takes. own_id: the object's own, as others name it. properties: named as the
    provider names them; refs: the own ids of the objects that it uses."""

    token: str
    id: str
    own_id: str
    properties: Properties
    refs: frozenset[str] = frozenset()


def bare_id(id: str) -> str:
    """`ACCOUNT/POOL` or `ZONE/BALANCER`, which an import takes, is `POOL` and `BALANCER` in a state:
    https://www.pulumi.com/registry/packages/cloudflare/api-docs/loadbalancerpool/#import"""
    return id.rpartition("/")[2]


def marked(description: object, stack: str) -> bool:
    """Whether a description ends as infra/dns/cloudflare.py has it end: `..., stack global of Spillway`."""
    return bool(re.search(rf"(^|[,;] )stack {re.escape(stack)} of Spillway$", str(description or ""), re.IGNORECASE))


def _zone(values: Properties) -> str | None:
    account = values.get("account")
    owner, name = (text(account, "id") if isinstance(account, dict) else None), text(values, "name")
    return f"{owner}/{name}" if owner and name else None


def _pool(values: Properties) -> str | None:
    account, name = text(values, "accountId"), text(values, "name")
    return f"{account}/{name}" if account and name else None


def _balancer(values: Properties) -> str | None:
    zone, name = text(values, "zoneId"), text(values, "name")
    return f"{zone}/{name}" if zone and name else None


def _probes(values: Properties) -> str | None:
    """`llm.example.com:443/readyz`, by which a monitor is known: host header, port and path."""
    header = values.get("header")
    hosts = header.get("Host") if isinstance(header, dict) else None
    host = hosts[0] if isinstance(hosts, list) and hosts else None
    path = text(values, "path")
    return f"{host}:{int(values.get('port') or HTTPS_PORT)}{path}" if isinstance(host, str) and path else None


RULES: Final = Rules(
    keys={ZONE: _zone, POOL: _pool, BALANCER: _balancer},
    labels={MONITOR: _probes},
    id_key=bare_id,
)


def complete(things: Sequence[Thing], scope: Scope) -> list[Existing]:
    """What is the stack's own of all that is there, and what is in its way."""
    return list(_complete(things, scope))


def _complete(things: Sequence[Thing], scope: Scope) -> Iterator[Existing]:
    planned = {(item.token, RULES.key(item.token, item.inputs)) for item in scope.planned}
    served = {
        t.properties.get("zoneId")
        for t in things
        if t.token == BALANCER and marked(t.properties.get("description"), scope.stack)
    }
    for thing in things:
        key = RULES.key(thing.token, thing.properties)
        wanted = key is not None and (thing.token, key) in planned
        if thing.token == ZONE:
            if wanted:
                ours = thing.properties.get("status") in PENDING or thing.own_id in served
                yield _existing(thing) if ours else _existing(thing, keep=_in_use(thing.own_id), problem=True)
        elif marked(thing.properties.get("description"), scope.stack):
            yield _existing(thing)
        elif wanted:
            yield _existing(thing, keep=THEIRS, problem=True)


def _in_use(zone: str) -> str:
    return f"serves already, and nothing says that this stack made it: if it is to be used, say zone.id: {zone}"


def _existing(thing: Thing, **more: Any) -> Existing:
    label = RULES.label(thing.token, thing.properties)
    return Existing(
        thing.token,
        thing.id,
        RULES.key(thing.token, thing.properties),
        tags={NAME_TAG: label} if label else {},
        refs=thing.refs,
        **more,
    )
