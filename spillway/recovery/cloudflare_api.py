"""What exists in a real Cloudflare account of a global stack: its zone, monitors, pools and load balancers.

Read-only calls with the token of CLOUDFLARE_API_TOKEN, which needs Zone:Read, Load Balancers:Read and Load Balancing:
Monitors and Pools:Read. https://developers.cloudflare.com/fundamentals/api/reference/permissions/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from spillway.errors import SpillwayError
from spillway.preflight.cloudflare import CloudflareApi, connect
from spillway.preflight.model import Unanswered
from spillway.recovery import cloudflare
from spillway.recovery.cloudflare import Thing
from spillway.recovery.model import Existing, Inventory, Properties, Scope, text

Json = Mapping[str, Any]

_POOLS: Final = "Load Balancing: Monitors and Pools:Read"
_BALANCERS: Final = "Load Balancers:Read"


class CloudflareInventory:
    """The accounts that a stack's plan and state name; `connect` makes the API of one."""

    def __init__(self, connect: Callable[[str], CloudflareApi] = connect) -> None:
        self._connect = connect

    def existing(self, scope: Scope) -> list[Existing]:
        """See model.Inventory. Raises SpillwayError when Cloudflare does not answer."""
        try:
            return cloudflare.complete([t for a in _accounts(scope) for t in self._things(a, scope)], scope)
        except Unanswered as error:
            told = "; ".join(filter(None, (error.reason, error.action)))
            raise SpillwayError(f"listing what exists in Cloudflare: {told}") from None

    def _things(self, account: str, scope: Scope) -> Iterator[Thing]:
        api = self._connect(account)
        zones = {z for values in scope.properties(cloudflare.BALANCER) if (z := text(values, "zoneId"))}
        for name in sorted({n for values in scope.properties(cloudflare.ZONE) if (n := text(values, "name"))}):
            for item in api._pages("/zones", "Zone:Read", name=name, **{"account.id": account}):
                zones.add(item["id"])
                properties = {"name": item["name"], "status": item.get("status"), "account": {"id": account}}
                yield Thing(cloudflare.ZONE, item["id"], item["id"], properties)
        for item in _list(api, f"/accounts/{account}/load_balancers/monitors", _POOLS):
            names = ("description", "header", "port", "path")
            yield _thing(cloudflare.MONITOR, account, item, {n: item.get(n) for n in names})
        for item in _list(api, f"/accounts/{account}/load_balancers/pools", _POOLS):
            properties = {"accountId": account, "name": item["name"], "description": item.get("description")}
            yield _thing(cloudflare.POOL, account, item, properties, item.get("monitor"))
        for zone in sorted(zones):
            for item in _list(api, f"/zones/{zone}/load_balancers", _BALANCERS):
                properties = {"zoneId": zone, "name": item["name"], "description": item.get("description")}
                pools = (*(item.get("default_pools") or []), item.get("fallback_pool"))
                yield _thing(cloudflare.BALANCER, zone, item, properties, *pools)


def _list(api: CloudflareApi, path: str, permission: str) -> list[Json]:
    return api._ask(path, permission).get("result") or []


def _thing(token: str, container: str, item: Json, properties: Properties, *refs: object) -> Thing:
    id = str(item["id"])
    return Thing(token, f"{container}/{id}", id, properties, frozenset(str(ref) for ref in refs if ref))


def _accounts(scope: Scope) -> list[str]:
    found = {text(v, "accountId") for t in (cloudflare.POOL, cloudflare.MONITOR) for v in scope.properties(t)}
    found |= {text(v["account"], "id") for v in scope.properties(cloudflare.ZONE) if isinstance(v.get("account"), dict)}
    return sorted(account for account in found if account)


def inventories(providers: Sequence[Properties]) -> Sequence[Inventory]:
    """One for all: a provider's settings say nothing but the token, which comes from the environment."""
    return [CloudflareInventory()] if providers else []
