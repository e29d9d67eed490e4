"""An Azure subscription behind the SDKs: Resource Manager by path, a vault, a storage account. Nothing is sent.

Answers of Compute are read by the SDK's own models; a field that they do not know is a fault of the test.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from azure.keyvault.secrets import SecretClient
from azure.mgmt.compute import ComputeManagementClient, models

from infra import stackfile
from infra.azure import names
from infra.config import AzureRegion, parse_region
from spillway.preflight.azure_region import region
from spillway.preflight.azure_region.account import RegionSubscription
from spillway.preflight.model import Row
from tests.unit.function.clouds import Token, strict
from tests.unit.function.wire import Answer, Call, Wire, connected

STACK = "azure-eastus"
SHIPPED = Path(__file__).parents[3] / "stacks"
NOW = datetime(2026, 11, 26, tzinfo=UTC)
SUBSCRIPTION = "00000000-0000-4000-8000-000000000000"
ARM = f"/subscriptions/{SUBSCRIPTION}"
SIZE = "Standard_ND96asr_v4"
FAMILY = "Standard NDASv4_A100 Family"
COMPUTE, NETWORK = f"{ARM}/providers/Microsoft.Compute", f"{ARM}/providers/Microsoft.Network"
SKUS = f"{COMPUTE}/skus"
USAGES = f"{COMPUTE}/locations/eastus/usages"
SCALE_SETS = f"{COMPUTE}/virtualMachineScaleSets"
NETWORK_USAGES = f"{NETWORK}/locations/eastus/usages"
ADDRESSES, NETWORKS = f"{NETWORK}/publicIPAddresses", f"{NETWORK}/virtualNetworks"
PERMISSIONS = f"{ARM}/providers/Microsoft.Authorization/permissions"
PROVIDERS = f"{ARM}/providers"
ACCOUNTS = f"{ARM}/providers/Microsoft.Storage/storageAccounts"
STORAGE_NAME = f"{ARM}/providers/Microsoft.Storage/checkNameAvailability"
VAULTS = f"{ARM}/providers/Microsoft.KeyVault/vaults"
VAULT_NAME = f"{ARM}/providers/Microsoft.KeyVault/checkNameAvailability"
DELETED = f"{ARM}/providers/Microsoft.KeyVault/deletedVaults"
APPS = f"{ARM}/providers/Microsoft.Web/sites"
FLEX = f"{ARM}/providers/Microsoft.Web/geoRegions"
APP_NAME = f"{ARM}/providers/Microsoft.Web/checkNameAvailability"
SCORES = f"{COMPUTE}/locations/eastus/placementScores/spot/generate"
GROUP = f"{ARM}/resourceGroups/spillway-{STACK}"
IMAGE = f"{ARM}/resourceGroups/spillway-images/providers/Microsoft.Compute/galleries/spillway/images/spillway-vllm"
VERSION = f"{IMAGE}/versions/2026.11.1"
ACCOUNT = names.storage_account(STACK, SUBSCRIPTION)
VAULT = names.vault(STACK, SUBSCRIPTION)
MANIFEST = "/models/deepseek-r1-distill-llama-70b/2025-01-20/manifest.json"
OWN = {"Spillway-Stack": STACK}


def config(changes: dict[str, Any] | None = None) -> AzureRegion:
    """The shipped region with values set by dotted key."""
    data = copy.deepcopy(stackfile.read(SHIPPED / f"Pulumi.{STACK}.yaml")[stackfile.REGION_KEY])
    for key, value in (changes or {}).items():
        *path, last = key.split(".")
        place = data
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    made = parse_region(data, STACK, "stacks/x.yaml")
    assert isinstance(made, AzureRegion)
    return made


def sku(name: str = SIZE, zones: tuple[str, ...] = (), *restrictions: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {
        "resourceType": "virtualMachines",
        "name": name,
        "family": "standardNDASv4_A100Family",
        "locations": ["EastUS"],
        "locationInfo": [{"location": "EastUS", "zones": list(zones)}],
        "capabilities": [{"name": "vCPUs", "value": "96"}, {"name": "LowPriorityCapable", "value": "True"}],
        "restrictions": list(restrictions),
        **more,
    }
    strict(models.ResourceSku(body))
    return body


def closed(zones: tuple[str, ...] = ()) -> dict[str, Any]:
    where = {"locations": ["eastus"], "zones": list(zones)}
    kind = "Zone" if zones else "Location"
    return {"type": kind, "values": ["eastus"], "restrictionInfo": where, "reasonCode": "NotAvailableForSubscription"}


def usage(name: str, limit: int, used: int = 0) -> dict[str, Any]:
    body = {"unit": "Count", "currentValue": used, "limit": limit, "name": {"value": name, "localizedValue": name}}
    strict(models.Usage(body))
    return body


def scale_set(capacity: int, *, spot: bool, tags: dict[str, str] | None = None) -> dict[str, Any]:
    body = {
        "id": f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/x",
        "name": "x",
        "location": "eastus",
        "tags": tags or {},
        "sku": {"name": SIZE, "tier": "Standard", "capacity": capacity},
        "properties": {"virtualMachineProfile": {"priority": "Spot" if spot else "Regular"}},
    }
    strict(models.VirtualMachineScaleSet(body))
    return body


def version(number: str = "2026.11.1", regions: tuple[str, ...] = ("East US",), **more: Any) -> dict[str, Any]:
    """more: size, state, replica, published, excluded, end."""
    publishing: dict[str, Any] = {
        "targetRegions": [{"name": name, "excludeFromLatest": False} for name in regions],
        "excludeFromLatest": more.get("excluded", False),
        "publishedDate": more.get("published", "2026-11-18T09:30:05+00:00"),
    }
    if "end" in more:
        publishing["endOfLifeDate"] = more["end"]
    properties: dict[str, Any] = {
        "publishingProfile": publishing,
        "provisioningState": more.get("state", "Succeeded"),
        "storageProfile": {"osDiskImage": {"sizeInGB": more.get("size", 60)}},
    }
    if "replica" in more:
        summary = [{"region": "East US", "state": more["replica"], "progress": 50}]
        properties["replicationStatus"] = {"aggregatedState": "InProgress", "summary": summary}
    body = {"id": f"{IMAGE}/versions/{number}", "name": number, "location": "eastus", "properties": properties}
    strict(models.GalleryImageVersion(body))
    return body


def definition(**more: Any) -> dict[str, Any]:
    properties = {
        "osType": "Linux", "osState": "Generalized", "hyperVGeneration": "V2", "architecture": "x64",
        "identifier": {"publisher": "spillway", "offer": "node", "sku": "vllm"}, **more,
    }  # fmt: skip
    body = {"id": IMAGE, "name": "spillway-vllm", "location": "eastus", "properties": properties}
    strict(models.GalleryImage(body))
    return body


def network_usage(name: str, limit: int, used: int = 0) -> dict[str, Any]:
    return {"name": {"value": name, "localizedValue": name}, "currentValue": used, "limit": limit, "unit": "Count"}


def thing(name: str, tags: dict[str, str] | None = None, location: str = "eastus") -> dict[str, Any]:
    return {"id": f"{GROUP}/providers/x/{name}", "name": name, "location": location, "tags": tags or {}}


# https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses
CHALLENGE = (
    f'Bearer authorization="https://login.microsoftonline.com/{SUBSCRIPTION}", resource="https://vault.azure.net"'
)
NOT_THERE: dict[str, Any] = {"error": {"code": "ResourceNotFound", "message": "The Resource was not found."}}


def denied(action: str = "x/read") -> Answer:
    told = f"The client 'me' does not have authorization to perform action '{action}' over scope '/subscriptions'."
    return Answer(403, {"error": {"code": "AuthorizationFailed", "message": told}})


@dataclass
class AzureSubscription:
    """A subscription that has everything a region needs, and nothing of the stack yet. answers: body or Answer of an
    ARM path. secrets: values of the vault by name."""

    answers: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str | Answer] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.wire = Wire(self._handle)
        registered = [
            {"namespace": f"Microsoft.{name}", "registrationState": "Registered"}
            for name in (
                "Compute", "Consumption", "Insights", "KeyVault", "ManagedIdentity", "Network", "OperationalInsights",
                "Storage", "Web",
            )
        ]  # fmt: skip
        self.answers = {
            ARM: {"subscriptionId": SUBSCRIPTION, "displayName": "Example", "state": "Enabled"},
            PERMISSIONS: {"value": [{"actions": ["*"], "notActions": []}]},
            PROVIDERS: {"value": registered},
            SKUS: {"value": [sku(), sku("Standard_D2s_v5")]},
            USAGES: {"value": [usage("cores", 5000), usage(FAMILY, 576), usage("lowPriorityCores", 576)]},
            SCALE_SETS: {"value": []},
            NETWORK_USAGES: {"value": [network_usage("StandardSkuPublicIpAddresses", 20, 3),
                                       network_usage("VirtualNetworks", 50, 8)]},
            ADDRESSES: {"value": [thing("a"), thing("b", location="westus")]},
            NETWORKS: {"value": [thing("n")]},
            ACCOUNTS: {"value": []},
            STORAGE_NAME: {"nameAvailable": True},
            APPS: {"value": []},
            FLEX: {"value": [{"name": "East US", "type": "Microsoft.Web/geoRegions"}]},
            APP_NAME: {"nameAvailable": True},
            VAULTS: {"value": []},
            VAULT_NAME: {"nameAvailable": True},
            DELETED: {"value": []},
            IMAGE: definition(),
            VERSION: version(),
            SCORES: {"placementScores": [
                {"sku": SIZE, "region": "eastus", "score": "Medium", "isQuotaAvailable": True}]},
            **self.answers,
        }  # fmt: skip

    def deploy(self) -> None:
        """What the stack makes, as far as a preflight looks."""
        self.answers |= {
            GROUP: thing(f"spillway-{STACK}", OWN),
            NETWORKS: {"value": [thing("n", OWN)]},
            ACCOUNTS: {"value": [thing(ACCOUNT, OWN)]},
            VAULTS: {"value": [thing(VAULT, OWN)]},
        }

    def _handle(self, call: Call) -> Answer:
        if call.host == f"{VAULT}.vault.azure.net" and "authorization" not in call.headers:
            return Answer(401, b"", {"WWW-Authenticate": CHALLENGE})
        assert call.headers["authorization"] == "Bearer token"
        if call.host == f"{VAULT}.vault.azure.net":
            return self._secret(call)
        if call.host == f"{ACCOUNT}.blob.core.windows.net":
            there = call.path in self.blobs
            return Answer(200 if there else 404, b"", {} if there else {"x-ms-error-code": "BlobNotFound"})
        assert call.host == "management.azure.com", call.host
        assert "api-version" in call.query
        assert call.method == "GET" or call.path in (STORAGE_NAME, VAULT_NAME, APP_NAME, SCORES), "only questions"
        matched = next((key for key in self.answers if key.lower() == call.path.lower()), None)
        answer = self.answers[matched] if matched is not None else Answer(404, NOT_THERE)
        return answer if isinstance(answer, Answer) else Answer(200, answer)

    def _secret(self, call: Call) -> Answer:
        name = call.path.split("/")[2]
        value = self.secrets.get(name)
        if isinstance(value, Answer):
            if call.path.endswith("/versions"):
                return Answer(200, {"value": [{"id": f"https://{call.host}/secrets/{name}/1",
                                               "attributes": {"enabled": True}}]})  # fmt: skip
            return value
        if value is None:
            return Answer(404, {"error": {"code": "SecretNotFound", "message": "not found"}})
        id = f"https://{call.host}/secrets/{name}/1"
        return Answer(200, {"value": value, "id": id, "attributes": {"enabled": True, "created": 1_790_000_000}})

    def account(self, wanted: AzureRegion) -> RegionSubscription:
        once: dict[str, Any] = {"retry_total": 0}
        return RegionSubscription(
            wanted,
            lambda subscription: ComputeManagementClient(Token(), subscription, **once),
            lambda url: SecretClient(url, Token(), **once),
        )

    @contextmanager
    def reached(self) -> Iterator[None]:
        with connected(self.wire), patch("azure.identity.DefaultAzureCredential", Token):
            yield

    def rows(self, changes: dict[str, Any] | None = None, **more: Any) -> dict[str, Row]:
        """The rows by id, of the shipped stack with `changes` of its file."""
        wanted = config(changes)
        with self.reached():
            made = region.rows(
                wanted, self.account(wanted), NOW, more.pop("regions", ("eastus",)), lambda _: None, **more
            )
        found = {row.id: row for row in made}
        assert len(found) == len(made), "ids are unique"
        return found
