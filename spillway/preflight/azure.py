"""Azure as a preflight asks it; read-only calls. Needs the extra `azure` (azure-identity, azure-mgmt-trafficmanager).

Names and profiles are asked with the SDK's own operations, what it has none for (the subscription, zones) with the same
client's pipeline: credentials, retries and throttling are the SDK's. Needs the role Reader on the subscription, and
Microsoft.Network/checkTrafficManagerNameAvailability/action.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from spillway.preflight.azure_checks import Availability, Profile, Subscription
from spillway.preflight.global_context import DnsZone
from spillway.preflight.model import Asker, Unanswered, Unreachable, once, understood

Json = Mapping[str, Any]
ARM: Final = "https://management.azure.com"
INSTALL: Final = "uv sync --extra azure, or pip install 'spillway[azure]'"
# https://learn.microsoft.com/rest/api/resources/subscriptions/get, .../providers/get, https://learn.microsoft.com/rest/api/dns/zones
_SUBSCRIPTIONS: Final = "2022-12-01"
_PROVIDERS: Final = "2021-04-01"
_ZONES: Final = "2018-05-01"
STACK_TAG: Final = "spillway-stack"
MAX_PAGES: Final = 100
_TYPE: Final = "Microsoft.Network/trafficManagerProfiles"


class AzureSubscription(Asker):
    """One subscription, asked with a TrafficManagerManagementClient."""

    stand_in = False

    def __init__(self, subscription: str, client: Any) -> None:
        super().__init__()
        self._subscription, self._client = subscription, client

    def _get(self, path: str, version: str) -> Json | None:
        """The body of an ARM resource; None when it is not there."""
        from azure.core.rest import HttpRequest

        with answered(f"GET {path}"):
            url = path if path.startswith("https://") else f"{ARM}{path}?api-version={version}"
            answer = self._client.send_request(HttpRequest("GET", url))
            if answer.status_code == 404:
                return None
            answer.raise_for_status()
        with understood("Azure"):
            body = answer.json()
            if not isinstance(body, dict):
                raise TypeError("no object")
            return body

    def _all(self, path: str, version: str) -> Iterator[Json]:
        following = path
        for _ in range(MAX_PAGES):
            body = self._get(following, version) or {}
            yield from body.get("value") or []
            if not (further := body.get("nextLink")):
                return
            following = str(further)
        raise Unanswered(f"Azure lists more than {MAX_PAGES} pages of {path}")

    @once
    def subscription(self) -> Subscription:
        try:
            found = self._get(f"/subscriptions/{self._subscription}", _SUBSCRIPTIONS)
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


@contextmanager
def answered(action: str) -> Iterator[None]:
    """Turns the SDK's errors into Unanswered and Unreachable."""
    from azure.core import exceptions

    try:
        yield
    except exceptions.ClientAuthenticationError as error:
        raise Unreachable(f"Azure: {_one_line(error)}; log in: `az login`") from None
    except exceptions.HttpResponseError as error:
        code = str(getattr(error.error, "code", "") or "")
        if error.status_code == 403 or code == "AuthorizationFailed":
            raise Unanswered(f"denied: {action}", f"allow {action} (role Reader) to whoever runs preflight") from None
        if error.status_code == 429:
            raise Unanswered("Azure throttles after several tries", "run it again") from None
        raise Unanswered(f"Azure: {_one_line(error)}") from None
    except (exceptions.ServiceRequestError, exceptions.ServiceResponseError) as error:
        raise Unreachable(f"Azure is out of reach: {_one_line(error)}; check network and proxy") from None


def _one_line(error: Exception) -> str:
    told = str(getattr(error, "message", "") or error)
    # A credential chain tells a paragraph for each of its ways; the first sentence says that none worked.
    return " ".join(told.split("\n")[0].split()).rstrip(".")


def connect(subscription: str) -> AzureSubscription:
    """The subscription, with the environment's credentials. Raises Unreachable without the extra."""
    try:
        from azure.identity import DefaultAzureCredential
        from azure.mgmt.trafficmanager import TrafficManagerManagementClient
    except ImportError:
        raise Unreachable(f"Azure: its SDK is not installed: {INSTALL}") from None
    # It logs a paragraph for each way to log in that did not work; the first line of its error says enough.
    logging.getLogger("azure.identity").setLevel(logging.CRITICAL)
    return AzureSubscription(subscription, TrafficManagerManagementClient(DefaultAzureCredential(), subscription))
