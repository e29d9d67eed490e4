"""Azure as a preflight asks it; read-only calls. Needs the extra `azure` (azure-identity, azure-mgmt-trafficmanager).

Names and profiles are asked with the SDK's own operations, what it has none for (the subscription, zones) with the same
client's pipeline: credentials, retries and throttling are the SDK's. Needs the role Reader on the subscription, and
Microsoft.Network/checkTrafficManagerNameAvailability/action.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from spillway.preflight.azure_calls import INSTALL, ArmAsker, Json, answered, hush
from spillway.preflight.azure_checks import Availability, Profile, Subscription
from spillway.preflight.global_context import DnsZone
from spillway.preflight.model import OutOfReach, Unanswered, Unreachable, once, understood

# https://learn.microsoft.com/rest/api/resources/subscriptions/get, .../providers/get, https://learn.microsoft.com/rest/api/dns/zones
_SUBSCRIPTIONS: Final = "2022-12-01"
_PROVIDERS: Final = "2021-04-01"
_ZONES: Final = "2018-05-01"
STACK_TAG: Final = "spillway-stack"
_TYPE: Final = "Microsoft.Network/trafficManagerProfiles"


class AzureSubscription(ArmAsker):
    """One subscription, asked with a TrafficManagerManagementClient."""

    stand_in = False

    @once
    def subscription(self) -> Subscription:
        try:
            found = self._get(f"/subscriptions/{self._subscription}", _SUBSCRIPTIONS)
        except OutOfReach as error:
            raise Unreachable(f"{error.reason}; {error.action}") from None
        except Unanswered as error:
            raise Unreachable(f"Azure: subscription {self._subscription}: {error.reason}") from None
        if found is None:
            raise Unreachable(
                f"Azure: subscription {self._subscription} is not seen by these credentials; "
                "correct trafficManager.subscription, or `az login --tenant ...`"
            )
        return Subscription(self._subscription, str(found.get("displayName", "")), str(found.get("state", "")))

    @once
    def registered(self, namespace: str) -> str:
        found = self._get(f"/subscriptions/{self._subscription}/providers/{namespace}", _PROVIDERS)
        return str((found or {}).get("registrationState", "NotRegistered"))

    @once
    def available(self, relative_name: str) -> Availability:
        from azure.mgmt.trafficmanager.models import CheckTrafficManagerRelativeDnsNameAvailabilityParameters

        question = CheckTrafficManagerRelativeDnsNameAvailabilityParameters(name=relative_name, type=_TYPE)
        with answered("checkTrafficManagerNameAvailability"):
            found = self._client.profiles.check_traffic_manager_relative_dns_name_availability(question)
        told = " ".join(str(found.message or found.reason or "").split())
        return Availability(bool(found.name_available), told)

    @once
    def profiles(self) -> Sequence[Profile]:
        with answered("Microsoft.Network/trafficManagerProfiles/read"):
            found = list(self._client.profiles.list_by_subscription())
        with understood("Azure"):
            return [_profile(one) for one in found]

    @once
    def zone(self, id: str) -> DnsZone | None:
        found = self._get(id, _ZONES)
        with understood("Azure"):
            return _zone(found) if found is not None else None

    @once
    def zones_named(self, name: str) -> Sequence[DnsZone]:
        path = f"/subscriptions/{self._subscription}/providers/Microsoft.Network/dnsZones"
        with understood("Azure"):
            return [_zone(item) for item in self._all(path, _ZONES) if str(item.get("name", "")).lower() == name]


def _profile(one: Any) -> Profile:
    settings = one.properties.dns_config
    return Profile(
        name=str(one.name),
        group=_group(str(one.id)),
        relative_name=str((settings.relative_name if settings else "") or ""),
        stack=str((one.tags or {}).get(STACK_TAG, "")),
    )


def _zone(item: Json) -> DnsZone:
    properties = item.get("properties") or {}
    return DnsZone(
        id=str(item["id"]),
        name=str(item["name"]).lower(),
        name_servers=tuple(properties.get("nameServers") or ()),
        stack=str((item.get("tags") or {}).get(STACK_TAG, "")),
        private=properties.get("zoneType") == "Private",
        records=int(properties.get("numberOfRecordSets", -1)),
    )


def _group(id: str) -> str:
    """The resource group in an ARM id, in lower case: ARM keeps letters as they were given and compares without."""
    parts = id.lower().split("/")
    return parts[parts.index("resourcegroups") + 1] if "resourcegroups" in parts else ""


def connect(subscription: str) -> AzureSubscription:
    """The subscription, with the environment's credentials. Raises Unreachable without the extra."""
    try:
        from azure.identity import DefaultAzureCredential
        from azure.mgmt.trafficmanager import TrafficManagerManagementClient
    except ImportError:
        raise Unreachable(f"Azure: its SDK is not installed: {INSTALL}") from None
    hush()
    return AzureSubscription(subscription, TrafficManagerManagementClient(DefaultAzureCredential(), subscription))
