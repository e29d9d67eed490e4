"""What exists in a real Azure subscription of a stack: its resource group, and what is in it.

Of a global stack the zone, profiles and record sets, of a region what recovery/azure_region.py asks for. Read-only
calls with the extra `azure`; the role Reader on the resource group, and on that of the zone, is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from spillway.errors import SpillwayError
from spillway.preflight.azure import AzureSubscription, connect
from spillway.preflight.model import Unanswered
from spillway.recovery import azure, azure_region
from spillway.recovery import azure_types as types
from spillway.recovery.azure import Thing
from spillway.recovery.model import Existing, Inventory, Properties, Scope, text

Json = Mapping[str, Any]

# https://learn.microsoft.com/rest/api/resources/resource-groups/get, /rest/api/trafficmanager/profiles, /rest/api/dns
_GROUPS: Final = "2021-04-01"
_PROFILES: Final = "2022-04-01"
_DNS: Final = "2018-05-01"


class ArmInventory:
    """One subscription; `ask` brings the credentials."""

    def __init__(self, subscription: str, ask: AzureSubscription) -> None:
        self._subscription, self._ask = subscription, ask

    def existing(self, scope: Scope) -> list[Existing]:
        """See model.Inventory. Raises SpillwayError when Azure does not answer."""
        try:
            return azure.complete(list(self._things(scope)), scope)
        except Unanswered as error:
            told = "; ".join(filter(None, (error.reason, error.action)))
            raise SpillwayError(f"listing what exists in the subscription {self._subscription}: {told}") from None

    def _things(self, scope: Scope) -> Iterator[Thing]:
        tokens = scope.tokens()
        for (name,) in _known(scope, types.GROUP, "resourceGroupName"):
            path = f"/subscriptions/{self._subscription}/resourceGroups/{name}"
            found = self._ask._get(path, _GROUPS)
            if found is None:
                continue
            yield Thing(types.GROUP, path, tags=found.get("tags") or {})
            if azure_region.is_region(scope):
                yield from azure_region.things(self._ask, self._subscription, path, scope)
            if types.PROFILE in tokens or not azure_region.is_region(scope):
                for profile in self._ask._all(f"{path}/providers/Microsoft.Network/trafficmanagerprofiles", _PROFILES):
                    yield from _profile(path, profile)
        for group, zone in sorted(
            {*_known(scope, types.ZONE, "resourceGroupName", "zoneName")}
            | {*_known(scope, types.RECORD_SET, "resourceGroupName", "zoneName")}
        ):
            yield from self._zone(group, zone, scope)

    def _zone(self, group: str, name: str, scope: Scope) -> Iterator[Thing]:
        path = f"/subscriptions/{self._subscription}/resourceGroups/{group}/providers/Microsoft.Network/dnsZones/{name}"
        found = self._ask._get(path, _DNS)
        if found is None:
            return
        held = int((found.get("properties") or {}).get("numberOfRecordSets") or 0)
        yield Thing(types.ZONE, path, tags=found.get("tags") or {}, held=held)
        names = ("resourceGroupName", "zoneName", "recordType", "relativeRecordSetName")
        for there, zone, kind, relative in _known(scope, types.RECORD_SET, *names):
            if (there, zone) == (group, name):
                record = self._ask._get(f"{path}/{kind}/{relative}", _DNS)
                if record is not None:
                    properties = record.get("properties") or {}
                    alias = properties.get("CNAMERecord") or {}
                    leads_to = alias.get("cname") or (properties.get("targetResource") or {}).get("id") or ""
                    yield Thing(types.RECORD_SET, f"{path}/{kind}/{relative}", leads_to=str(leads_to))


def _profile(group: str, item: Json) -> Iterator[Thing]:
    """A profile and its endpoints, with the ids that an import takes: the kind of an endpoint as the program writes it,
    or the import would be replaced (https://www.pulumi.com/registry/packages/azure-native/api-docs/trafficmanager/endpoint/#import)."""
    properties = item.get("properties") or {}
    path = f"{group}/providers/Microsoft.Network/trafficmanagerprofiles/{item['name']}"
    fqdn = str((properties.get("dnsConfig") or {}).get("fqdn") or "")
    yield Thing(types.PROFILE, path, tags=item.get("tags") or {}, fqdn=fqdn)
    for endpoint in properties.get("endpoints") or []:
        kind = str(endpoint["type"]).rpartition("/")[2]
        nested = str((endpoint.get("properties") or {}).get("targetResourceId") or "")
        yield Thing(types.ENDPOINT, f"{path}/{kind[:1].upper()}{kind[1:]}/{endpoint['name']}", nested=nested)


def _known(scope: Scope, token: str, *names: str) -> list[tuple[str, ...]]:
    """The values of these properties of everything of a type, where all are known; each once."""
    found = (tuple(text(values, name) or "" for name in names) for values in scope.properties(token))
    return sorted({values for values in found if all(values)})


def inventories(providers: Sequence[Properties]) -> Sequence[Inventory]:
    """One per subscription of the stack's Azure providers. Raises SpillwayError without the SDK."""
    subscriptions = sorted({str(p["subscriptionId"]) for p in providers if p.get("subscriptionId")})
    return [ArmInventory(one, connect(one)) for one in subscriptions]
