"""What exists in the stand-in Azure and Cloudflare, seen as their APIs would show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sandbox.kinds import Resource
from spillway.recovery import azure, cloudflare
from spillway.recovery.model import Existing, Scope


def _azure(rows: Sequence[Resource], scope: Scope) -> list[Existing]:
    sets = [azure.arm_key(r.id) for r in rows if r.token == azure.RECORD_SET]
    things = []
    for row in rows:
        inside = f"{azure.arm_key(row.id)}/"
        things.append(
            azure.Thing(
                row.token,
                row.id,
                tags=row["tags"] or {},
                fqdn=str(_part(row["dnsConfig"], "fqdn")),
                leads_to=str(_part(row["cnameRecord"], "cname") or _part(row["targetResource"], "id")),
                nested=str(row["targetResourceId"] or ""),
                held=azure.OWN_RECORD_SETS + sum(key.startswith(inside) for key in sets),
            )
        )
    return azure.complete(things, scope)


def _part(block: Any, name: str) -> Any:
    return (block.get(name) if isinstance(block, Mapping) else None) or ""


def _cloudflare(rows: Sequence[Resource], scope: Scope) -> list[Existing]:
    wanted = (cloudflare.ZONE, cloudflare.MONITOR, cloudflare.POOL, cloudflare.BALANCER)
    known = {r.id for r in rows}
    things = []
    for row in rows:
        if row.token in wanted:
            refs = {row["monitor"], *(row["defaultPools"] or []), row["fallbackPool"]} & known
            things.append(cloudflare.Thing(row.token, row.id, row.id, row.outputs, frozenset(map(str, refs))))
    return cloudflare.complete(things, scope)


EXISTING: Final[Mapping[str, Callable[[Sequence[Resource], Scope], list[Existing]]]] = {
    "azure-native": _azure,
    "cloudflare": _cloudflare,
}
