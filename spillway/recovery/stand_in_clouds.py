"""What exists in the stand-in Azure, Google Cloud and Cloudflare, seen as their APIs would show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sandbox.kinds import Resource
from spillway.recovery import azure, azure_types, cloudflare, gcp, gcp_types
from spillway.recovery.model import Existing, Scope, strings

GLOBAL: Final = "global"


def _azure(rows: Sequence[Resource], scope: Scope) -> list[Existing]:
    sets = [azure_types.arm_key(r.id) for r in rows if r.token == azure_types.RECORD_SET]
    things = []
    for row in rows:
        inside = f"{azure_types.arm_key(row.id)}/"
        things.append(
            azure.Thing(
                row.token,
                row.id,
                tags=row["tags"] or {},
                fqdn=str(_part(row["dnsConfig"], "fqdn")),
                leads_to=str(_part(row["cnameRecord"], "cname") or _part(row["targetResource"], "id")),
                nested=str(row["targetResourceId"] or ""),
                principal=str(row["principalId"] or ""),
                held=azure.OWN_RECORD_SETS + sum(key.startswith(inside) for key in sets),
            )
        )
    return azure.complete(things, scope)


def _part(block: Any, name: str) -> Any:
    return (block.get(name) if isinstance(block, Mapping) else None) or ""


def _gcp(rows: Sequence[Resource], scope: Scope) -> list[Existing]:
    things = []
    for row in rows:
        if row.token in gcp_types.KNOWN:
            filtered = _part(row["budgetFilter"], "labels") or {}
            things.append(
                gcp.Thing(
                    row.token,
                    row.id,
                    row.outputs,
                    region="" if row.region == GLOBAL else row.region,
                    labels=row["labels"] if row.token not in gcp_types.MANY else (row["userLabels"] or filtered),
                    says=str(row["description"] or row["displayName"] or row["title"] or ""),
                    refs=frozenset(strings(row.inputs)) - {row.id},
                )
            )
    return gcp.complete(things, scope)


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
    "gcp": _gcp,
}
