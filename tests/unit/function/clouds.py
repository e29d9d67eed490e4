"""Both clouds in memory, behind the SDKs: groups with nodes in phases, one stored object, metrics.

Answers are written and read by the SDKs' own models, requests are parsed by them; a field that they do not know is a
fault of the test.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from azure.core.credentials import AccessToken
from azure.mgmt.compute import models
from google.auth.credentials import AnonymousCredentials
from google.cloud import compute_v1

from infra.fallback import Observation
from infra.function.azure import AzureCloud
from infra.function.gcp import GcpCloud
from infra.function.retries import Budget
from infra.function.settings import AzureSettings, GcpSettings, Settings
from tests.unit.function.wire import Answer, Call, Wire

SPOT, ON_DEMAND = "region-spot", "region-on-demand"
COMMON: dict[str, Any] = {
    "spot_group": SPOT,
    "on_demand_group": ON_DEMAND,
    "target": 2,
    "floor": 0,
    "max": 6,
    "fallback_out_minutes": 2,
    "fallback_in_minutes": 12,
    "fallback_boot_minutes": 20,
    "scaling_signal": "none",
    "scaling_queue_per_replica": 20,
    "scaling_queue_minutes": 3,
    "scaling_cpu_percent": 65,
    "scaling_cpu_minutes": 5,
    "scaling_step": 2,
    "scaling_cooldown_seconds": 300,
    "scaling_in_queue_per_replica": 2,
    "scaling_in_cpu_percent": 30,
    "scaling_in_minutes": 30,
    "scaling_in_step": 1,
}
AZURE = AzureSettings(
    **COMMON,
    stack="azure-eastus",
    state="https://models.blob.core.windows.net/state/fallback.json",
    subscription="00000000-0000-4000-8000-000000000000",
    resource_group="spillway-azure-eastus",
    location="eastus",
    identity="11111111-0000-4000-8000-000000000000",
)
GCP = GcpSettings(
    **COMMON,
    stack="gcp-us-central1",
    state="gs://spillway-models/state/fallback.json",
    project="spillway-test",
    region="us-central1",
)


@dataclass
class Nodes:
    """One group. size: what the cloud aims at. Phases are numbers of nodes."""

    size: int = 0
    serving: int = 0
    booting: int = 0
    creating: int = 0
    leaving: int = 0
    refused: int = 0


@dataclass
class Fake:
    """What both clouds have in common. samples: load per minute, oldest first, None where no node reported."""

    groups: dict[str, Nodes] = field(default_factory=lambda: {SPOT: Nodes(), ON_DEMAND: Nodes()})
    stored: bytes | None = None
    generation: int = 1
    samples: list[float | None] = field(default_factory=list)
    metrics: list[tuple[str, float]] = field(default_factory=list)
    resizes: list[tuple[str, int]] = field(default_factory=list)
    cleared: list[tuple[str, list[str]]] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    time: float = 0.0

    def __post_init__(self) -> None:
        self.wire = Wire(self.handle)

    def handle(self, call: Call) -> Answer:
        raise NotImplementedError

    def cloud(self, settings: Settings) -> Any:
        raise NotImplementedError

    def budget(self) -> Budget:
        """Time that passes only by waiting."""

        def sleep(seconds: float) -> None:
            self.waits.append(seconds)
            self.time += seconds

        return Budget(clock=lambda: self.time, sleep=sleep)

    def show(self, seen: Observation, shrunk: bool = False) -> None:
        """Make the groups look like an observation. shrunk: sizes fall with the nodes, as on Azure."""
        spot = self.groups[SPOT]
        spot.serving, spot.booting = seen.in_service, seen.pending
        spot.size = max(seen.desired, seen.in_service + seen.pending)
        on_demand = self.groups[ON_DEMAND]
        on_demand.serving, on_demand.leaving = seen.on_demand_in_service, seen.on_demand_terminating
        on_demand.booting, on_demand.size = 0, seen.on_demand_desired
        if shrunk:
            spot.size = spot.serving + spot.booting
            on_demand.size = on_demand.serving

    def resize(self, name: str, size: int) -> None:
        self.resizes.append((name, size))
        self.groups[name].size = size

    def write(self, body: bytes, allowed: bool) -> Answer:
        if not allowed:
            return Answer(412, {"error": {"code": "ConditionNotMet", "message": "changed"}})
        self.stored, self.generation = body, self.generation + 1
        return Answer(200 if isinstance(self, GcpFake) else 201, None, {"ETag": f'"{self.generation}"'})


class Token:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


def strict(model: Any) -> Any:
    """The model itself, after a look at every key in it: Azure's models keep what they do not know."""
    if isinstance(model, list):
        return [strict(item) for item in model]
    fields = getattr(model, "_attr_to_rest_field", None)
    if fields is None:
        return model
    known = {field._rest_name: name for name, field in fields.items()}
    for key in model:
        assert key in known, f"{type(model).__name__} has no {key}"
        strict(getattr(model, known[key]))
    return model


class AzureFake(Fake):
    """Scale sets in pages of two VMs; capacity is what the set has, and who deletes a VM lowers it."""

    def cloud(self, settings: Settings) -> AzureCloud:
        assert isinstance(settings, AzureSettings)
        return AzureCloud(settings, self.budget(), Token())

    def handle(self, call: Call) -> Answer:
        if call.host.endswith(".blob.core.windows.net"):
            return self._blob(call)
        assert call.headers["authorization"] == "Bearer token"
        if call.host == "eastus.monitoring.azure.com":
            data = call.json["data"]["baseData"]
            assert call.path.endswith(f"/virtualMachineScaleSets/{ON_DEMAND}/metrics")
            assert data["namespace"] == "Spillway"
            self.metrics.append((data["metric"], data["series"][0]["sum"]))
            return Answer(200)
        assert call.host == "management.azure.com"
        assert "api-version" in call.query
        prefix = f"/subscriptions/{AZURE.subscription}/resourceGroups/{AZURE.resource_group}/providers/"
        _, _, rest = call.path.partition(f"{prefix}Microsoft.Compute/virtualMachineScaleSets/")
        name, _, action = rest.partition("/")
        nodes = self.groups[name]
        match call.method, action:
            case "GET", "":
                return Answer(200, self._set(name, nodes), {"ETag": '"1"'})
            case "GET", "virtualMachines":
                assert call.query["$expand"] == "instanceView"
                found = self._machines(nodes)
                start = int(call.query.get("$skiptoken", 0))
                page: dict[str, Any] = {"value": found[start : start + 2]}
                if start + 2 < len(found):
                    page["nextLink"] = f"https://{call.host}{call.path}?" + "&".join(
                        f"{key}={value}" for key, value in {**call.query, "$skiptoken": start + 2}.items()
                    )
                return Answer(200, page)
            case "PATCH", "":
                change = strict(models.VirtualMachineScaleSetUpdate(call.json))
                assert call.json == {"sku": {"capacity": change.sku.capacity}}
                self.resize(name, change.sku.capacity)
                return Answer(200, self._set(name, nodes), {"Azure-AsyncOperation": "https://management.azure.com/op"})
            case "POST", "delete":
                ids = strict(models.VirtualMachineScaleSetVMInstanceRequiredIDs(call.json)).instance_ids
                self.cleared.append((name, ids))
                nodes.refused -= len(ids)
                nodes.size -= len(ids)
                return Answer(202, None, {"Location": "https://management.azure.com/op"})
            case "GET", "providers/Microsoft.Insights/metrics":
                return self._load(call)
        raise AssertionError(f"unexpected: {call.method} {call.path}")

    @staticmethod
    def _set(name: str, nodes: Nodes) -> dict[str, Any]:
        body = {
            "id": f"/x/{name}",
            "name": name,
            "location": "eastus",
            "etag": '"1"',
            "sku": {"name": "Standard_ND96asr_v4", "tier": "Standard", "capacity": nodes.size},
            "properties": {"provisioningState": "Succeeded", "orchestrationMode": "Uniform"},
        }
        strict(models.VirtualMachineScaleSet(body))
        return body

    @staticmethod
    def _machines(nodes: Nodes) -> list[dict[str, Any]]:
        kinds: list[tuple[int, str, list[str], str | None]] = [
            (nodes.refused, "Failed", ["ProvisioningState/failed/AllocationFailed"], None),
            (nodes.leaving, "Deleting", ["ProvisioningState/deleting", "PowerState/running"], "HealthState/healthy"),
            (nodes.creating, "Creating", ["ProvisioningState/creating"], None),
            (
                nodes.booting,
                "Succeeded",
                ["ProvisioningState/succeeded", "PowerState/running"],
                "HealthState/unhealthy",
            ),
            (nodes.serving, "Succeeded", ["ProvisioningState/succeeded", "PowerState/running"], "HealthState/healthy"),
        ]
        found: list[dict[str, Any]] = []
        for number, state, codes, health in kinds:
            for _ in range(number):
                view: dict[str, Any] = {"statuses": [{"code": code, "level": "Info"} for code in codes]}
                if health:
                    view["vmHealth"] = {"status": {"code": health, "level": "Info"}}
                body = {
                    "location": "eastus",
                    "instanceId": str(len(found)),
                    "properties": {"provisioningState": state, "instanceView": view},
                }
                strict(models.VirtualMachineScaleSetVM(body))
                found.append(body)
        return found

    def _load(self, call: Call) -> Answer:
        start = call.query["timespan"].split("/")[0]
        first = int(time.mktime(time.strptime(start, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone)
        points = [
            {"timeStamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(first + 60 * index))}
            | ({} if value is None else {"average": value})
            for index, value in enumerate(self.samples)
        ]
        return Answer(200, {"value": [{"timeseries": [{"metadatavalues": [], "data": points}]}]})

    def _blob(self, call: Call) -> Answer:
        tag = {"ETag": f'"{self.generation}"'}
        if call.method == "GET":
            if self.stored is None:
                return Answer(404, b"<Error><Code>BlobNotFound</Code></Error>", {"x-ms-error-code": "BlobNotFound"})
            size = len(self.stored)
            span = {"Content-Range": f"bytes 0-{size - 1}/{size}", "Content-Type": "application/octet-stream"}
            return Answer(206, self.stored, {**tag, **span, "x-ms-blob-type": "BlockBlob"})
        assert call.method == "PUT"
        there = self.stored is not None
        if call.headers.get("if-none-match") == "*" and there:
            return Answer(409, b"", {"x-ms-error-code": "BlobAlreadyExists"})
        wanted = call.headers.get("if-match")
        if wanted is not None and wanted != tag["ETag"]:
            return Answer(412, b"", {"x-ms-error-code": "ConditionNotMet"})
        assert wanted or call.headers.get("if-none-match") == "*", "an unconditional write"
        return self.write(call.body, True)


class GcpFake(Fake):
    """Managed instance groups, which keep their target size."""

    def cloud(self, settings: Settings) -> GcpCloud:
        assert isinstance(settings, GcpSettings)
        return GcpCloud(settings, self.budget(), AnonymousCredentials())  # type: ignore[no-untyped-call]

    def handle(self, call: Call) -> Answer:
        if call.host == "storage.googleapis.com":
            return self._object(call)
        if call.host == "monitoring.googleapis.com":
            return self._monitoring(call)
        assert call.host == "compute.googleapis.com"
        prefix = f"/compute/v1/projects/{GCP.project}/regions/{GCP.region}/instanceGroupManagers/"
        _, _, rest = call.path.partition(prefix)
        name, _, action = rest.partition("/")
        nodes = self.groups[name]
        match call.method, action:
            case "GET", "":
                manager = compute_v1.InstanceGroupManager(name=name, target_size=nodes.size, region=GCP.region)
                return self._message(compute_v1.InstanceGroupManager, manager)
            case "POST", "listManagedInstances":
                found = compute_v1.RegionInstanceGroupManagersListInstancesResponse(
                    managed_instances=self._instances(nodes)
                )
                return self._message(compute_v1.RegionInstanceGroupManagersListInstancesResponse, found)
            case "POST", "resize":
                assert set(call.query) == {"size", "requestId"}
                self.resize(name, int(call.query["size"]))
                return self._message(compute_v1.Operation, compute_v1.Operation(name="operation-1"))
        raise AssertionError(f"unexpected: {call.method} {call.path}")

    @staticmethod
    def _message(kind: Any, message: Any) -> Answer:
        return Answer(
            200, kind.to_json(message, use_integers_for_enums=False).encode(), {"Content-Type": "application/json"}
        )

    @staticmethod
    def _instances(nodes: Nodes) -> list[compute_v1.ManagedInstance]:
        error = compute_v1.ManagedInstanceLastAttempt(
            errors=compute_v1.ManagedInstanceLastAttemptErrors(
                errors=[
                    compute_v1.Errors(code="ZONE_RESOURCE_POOL_EXHAUSTED", message="does not have enough resources")
                ]
            )
        )
        kinds: list[tuple[int, dict[str, Any], str]] = [
            (nodes.serving, {"current_action": "NONE", "instance_status": "RUNNING"}, "HEALTHY"),
            (nodes.booting, {"current_action": "VERIFYING", "instance_status": "RUNNING"}, "TIMEOUT"),
            (nodes.creating, {"current_action": "CREATING"}, ""),
            (nodes.leaving, {"current_action": "DELETING", "instance_status": "RUNNING"}, "HEALTHY"),
            (nodes.refused, {"current_action": "CREATING", "last_attempt": error}, ""),
        ]
        found: list[compute_v1.ManagedInstance] = []
        for number, values, health in kinds:
            checks = [compute_v1.ManagedInstanceInstanceHealth(detailed_health_state=health)] if health else []
            found += [compute_v1.ManagedInstance(**values, instance_health=checks) for _ in range(number)]
        return found

    def _object(self, call: Call) -> Answer:
        meta = {"name": "state/fallback.json", "bucket": "spillway-models", "generation": str(self.generation)}
        if call.method == "GET":
            if self.stored is None:
                return Answer(404, {"error": {"code": 404, "message": "No such object"}})
            if call.query.get("alt") == "media":
                assert call.query["ifGenerationMatch"] == str(self.generation)
                return Answer(200, self.stored, {"Content-Type": "application/json"})
            return Answer(200, meta)
        assert call.method == "POST"
        wanted = int(call.query["ifGenerationMatch"])
        if wanted != (0 if self.stored is None else self.generation):
            return Answer(412, {"error": {"code": 412, "message": "conditionNotMet"}})
        body = call.body.split(b"\r\n\r\n")[2].rsplit(b"\r\n--", 1)[0]
        self.write(body, True)
        return Answer(200, meta | {"generation": str(self.generation)})

    def _monitoring(self, call: Call) -> Answer:
        assert call.path == f"/v3/projects/{GCP.project}/timeSeries"
        if call.method == "POST":
            for series in call.json["timeSeries"]:
                kind = series["metric"]["type"].removeprefix("custom.googleapis.com/Spillway/")
                self.metrics.append((kind, series["points"][0]["value"]["doubleValue"]))
            return Answer(200, {})
        first = time.mktime(time.strptime(call.query["interval.startTime"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        scale = 0.01 if "cpu/utilization" in call.query["filter"] else 1.0
        points = [
            {
                "interval": {"endTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(first + 60 * (index + 1)))},
                "value": {"doubleValue": value * scale},
            }
            for index, value in enumerate(self.samples)
            if value is not None
        ]
        return Answer(200, {"timeSeries": [{"points": points[::-1]}]} if points else {})


SETTINGS: dict[str, Settings] = {"azure": AZURE, "gcp": GCP}
FAKES: dict[str, type[Fake]] = {"azure": AzureFake, "gcp": GcpFake}
