"""Two scale sets (Uniform orchestration) through Azure's own SDK, with the function's managed identity.

An eviction with policy Delete removes the VM and lowers the set's capacity with it, so both sets are refilled
(https://learn.microsoft.com/azure/virtual-machine-scale-sets/use-spot). A VM whose creation failed stays in the set,
counts towards its capacity and is never tried again: it is deleted.

Rights, on the two scale sets: Microsoft.Compute/virtualMachineScaleSets/{read, write, delete/action} and
virtualMachineScaleSets/virtualMachines/read, Microsoft.Insights/Metrics/{Read, Write} (Monitoring Metrics Publisher);
on the container of the state: Storage Blob Data Contributor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Literal, TypeVar

from azure.core import MatchConditions, PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
from azure.core.rest import HttpRequest
from azure.identity import ManagedIdentityCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.compute.models import (
    Sku,
    VirtualMachineScaleSetUpdate,
    VirtualMachineScaleSetVM,
    VirtualMachineScaleSetVMInstanceRequiredIDs,
)
from azure.storage.blob import BlobClient

from infra.function.loop import Group
from infra.function.retries import TRANSIENT, Budget, Busy, CloudError, Moved, retry_after
from infra.function.settings import NAMESPACE, AzureSettings

T = TypeVar("T")

ARM: Final = "https://management.azure.com"
METRICS_API: Final = "2023-10-01"
"""https://learn.microsoft.com/rest/api/monitor/metrics/list"""
INGEST_SCOPE: Final = "https://monitoring.azure.com/.default"
# Metric and namespace of each signal; the nodes send theirs to their own scale set, as custom metrics.
SIGNALS: Final = {
    "queue": ("QueuePerReplica", NAMESPACE),
    "cpu": ("Percentage CPU", "Microsoft.Compute/virtualMachineScaleSets"),
}
TIMEOUTS: Final[dict[str, Any]] = {"connection_timeout": 5, "read_timeout": 15}
"""Seconds of one call."""
RUNNING: Final = ("PowerState/running", "PowerState/starting")
STOPPED: Final = ("PowerState/stopped", "PowerState/deallocated")
HEALTHY: Final = "HealthState/healthy"


class AzureCloud:
    """`infra.function.loop.Cloud` for one region."""

    shrinks = True

    def __init__(
        self, settings: AzureSettings, budget: Budget, credential: TokenCredential | None = None, transport: Any = None
    ) -> None:
        self._settings, self._budget = settings, budget
        chosen = credential or ManagedIdentityCredential(client_id=settings.identity)
        once: dict[str, Any] = {"retry_policy": RetryPolicy.no_retries(), **TIMEOUTS}
        wire: dict[str, Any] = {} if transport is None else {"transport": transport}
        self._compute = ComputeManagementClient(chosen, settings.subscription, **once, **wire)
        self._state = BlobClient.from_blob_url(settings.state, chosen, retry_total=0, **TIMEOUTS, **wire)
        self._arm = _plain(ARM, chosen, f"{ARM}/.default", wire)
        self._ingest = _plain(f"https://{settings.location}.monitoring.azure.com", chosen, INGEST_SCOPE, wire)

    # --- Groups -----------------------------------------------------------------------------------------------------

    def group(self, name: str) -> Group:
        where = self._settings.resource_group
        found = self._call(f"{name}: get", lambda: self._compute.virtual_machine_scale_sets.get(where, name))
        machines = self._call(
            f"{name}: list instances",
            lambda: list(self._compute.virtual_machine_scale_set_vms.list(where, name, expand="instanceView")),
        )
        if found.sku is None or found.sku.capacity is None:
            raise CloudError(f"{name}: the scale set has no capacity")
        return count(int(found.sku.capacity), machines, found.etag)

    def resize(self, name: str, seen: Group, size: int, minute: int) -> None:
        # Capacity alone: whoever sends no name keeps the size of machine. Only a lower capacity can do harm if somebody
        # else has changed the set meanwhile, so only that is tied to what was seen.
        del minute
        tied: dict[str, Any] = {}
        if size < seen.size and seen.version:
            tied = {"etag": seen.version, "match_condition": MatchConditions.IfNotModified}
        change = VirtualMachineScaleSetUpdate(sku=Sku(capacity=size))
        self._call(
            f"{name}: {seen.size} -> {size}",
            # Accepted is enough: whether machines are to be had is seen by the next runs.
            lambda: self._compute.virtual_machine_scale_sets.begin_update(
                self._settings.resource_group, name, change, polling=False, **tied
            ),
        )

    def clear(self, name: str, instances: tuple[str, ...]) -> None:
        ids = VirtualMachineScaleSetVMInstanceRequiredIDs(instance_ids=list(instances))
        self._call(
            f"{name}: clear {', '.join(instances)}",
            lambda: self._compute.virtual_machine_scale_sets.begin_delete_instances(
                self._settings.resource_group, name, ids, polling=False
            ),
        )

    # --- Load -------------------------------------------------------------------------------------------------------

    def load(self, minutes: int, spot: Group, on_demand: Group) -> list[float | None]:
        """Each set's average, weighted with the nodes that serve in it."""
        end = datetime.now(UTC).replace(second=0, microsecond=0)
        start = end - timedelta(minutes=minutes)
        settings = self._settings
        sums: dict[datetime, tuple[float, int]] = {}
        for name, group in ((settings.spot_group, spot), (settings.on_demand_group, on_demand)):
            if not group.in_service:
                continue
            for at, average in self._averages(name, start, end):
                total, weight = sums.get(at, (0.0, 0))
                sums[at] = (total + average * group.in_service, weight + group.in_service)
        means = [sums.get(start + timedelta(minutes=index)) for index in range(minutes)]
        return [None if mean is None else mean[0] / mean[1] for mean in means]

    def _averages(self, name: str, start: datetime, end: datetime) -> Iterable[tuple[datetime, float]]:
        metric, namespace = SIGNALS[self._settings.scaling_signal]
        query = {
            "api-version": METRICS_API,
            "metricnames": metric,
            "metricnamespace": namespace,
            "timespan": f"{start:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}",
            "interval": "PT1M",
            "aggregation": "Average",
        }
        request = HttpRequest("GET", f"{ARM}{self._id(name)}/providers/Microsoft.Insights/metrics", params=query)
        try:
            answer = self._call(f"{name}: metric {metric}", partial(_json, self._arm, request))
        except NoMetric:
            return
        for found in answer.get("value", []):
            for series in found.get("timeseries", []):
                for point in series.get("data", []):
                    if point.get("average") is not None:
                        yield datetime.fromisoformat(point["timeStamp"]), float(point["average"])

    # --- State ------------------------------------------------------------------------------------------------------

    def recall(self) -> tuple[str | None, str | None]:
        def work() -> tuple[str | None, str | None]:
            try:
                found = self._state.download_blob(encoding="utf-8")
                return str(found.readall()), found.properties.etag
            except ResourceNotFoundError:
                return None, None

        return self._call("state: read", work)

    def save(self, text: str, version: str | None) -> None:
        tied: dict[str, Any] = {"overwrite": False}
        if version is not None:
            tied = {"overwrite": True, "etag": version, "match_condition": MatchConditions.IfNotModified}
        self._call("state: write", lambda: self._state.upload_blob(text.encode(), **tied))

    # --- Metrics ----------------------------------------------------------------------------------------------------

    def publish(self, values: Mapping[str, float], minute: int) -> None:
        """Custom metrics of the on-demand set.

        https://learn.microsoft.com/azure/azure-monitor/essentials/metrics-store-custom-rest-api
        """
        url = (
            f"https://{self._settings.location}.monitoring.azure.com{self._id(self._settings.on_demand_group)}/metrics"
        )
        for metric, value in values.items():
            point = {"dimValues": [self._settings.stack], "min": value, "max": value, "sum": value, "count": 1}
            data = {"metric": metric, "namespace": NAMESPACE, "dimNames": ["stack"], "series": [point]}
            body = {"time": _stamp(minute), "data": {"baseData": data}}
            self._call(f"metric {metric}", partial(_json, self._ingest, HttpRequest("POST", url, json=body)))

    def _id(self, name: str) -> str:
        settings = self._settings
        return (
            f"/subscriptions/{settings.subscription}/resourceGroups/{settings.resource_group}"
            f"/providers/Microsoft.Compute/virtualMachineScaleSets/{name}"
        )

    def _call(self, what: str, work: Callable[[], T]) -> T:
        def once() -> T:
            try:
                return work()
            except (ResourceModifiedError, ResourceExistsError) as error:
                raise _conflict(what, error) from error
            except HttpResponseError as error:
                raise _judged(what, error) from error
            except (ServiceRequestError, ServiceResponseError) as error:
                raise Busy(str(error)) from error
            except AzureError as error:
                raise CloudError(f"{what}: {error}") from error

        return self._budget.call(what, once)


class NoMetric(CloudError):
    """A metric that no node has ever sent: the API answers 400 until its namespace exists."""


Phase = Literal["ready", "booting", "creating", "failed", "leaving", "none"]
"""What a machine is to the rule; none: nothing."""


def phase(machine: VirtualMachineScaleSetVM) -> Phase:
    """Of a scale set's VM, whose instance view has to be expanded."""
    view, state = machine.instance_view, (machine.provisioning_state or "").lower()
    codes = {status.code for status in (view.statuses or []) if status.code} if view else set()
    if state == "deleting":
        return "leaving"
    if codes & set(RUNNING):
        health = view.vm_health.status.code if view and view.vm_health and view.vm_health.status else None
        return "ready" if health is not None and health.lower() == HEALTHY.lower() else "booting"
    if state == "failed" or codes & set(STOPPED):
        kept = machine.protection_policy is not None and machine.protection_policy.protect_from_scale_in
        return "failed" if machine.instance_id and not kept else "none"
    return "creating" if state == "creating" else "none"


def count(size: int, machines: Iterable[VirtualMachineScaleSetVM], version: str | None) -> Group:
    """A scale set's VMs by what they are to the rule. Their instance views have to be expanded."""
    found: Counter[Phase] = Counter()
    failed: list[str] = []
    for machine in machines:
        now = phase(machine)
        found[now] += 1
        if now == "failed" and machine.instance_id:
            failed.append(machine.instance_id)
    return Group(
        size, found["ready"], found["booting"], found["creating"], found["leaving"], len(failed), tuple(failed), version
    )


def _plain(host: str, credential: TokenCredential, scope: str, wire: Mapping[str, Any]) -> PipelineClient[Any, Any]:
    policies = [RetryPolicy.no_retries(), BearerTokenCredentialPolicy(credential, scope)]
    return PipelineClient(host, policies=policies, **TIMEOUTS, **wire)


def _json(client: PipelineClient[Any, Any], request: HttpRequest) -> dict[str, Any]:
    response = client.send_request(request)
    response.raise_for_status()
    return dict(response.json()) if response.content else {}


def _stamp(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _conflict(what: str, error: HttpResponseError) -> Exception:
    """412 and "already there" tell that somebody was first; other conflicts are the service being busy with the set."""
    code = error.error.code if error.error else getattr(error, "error_code", None)
    if error.status_code == 412 or code in ("BlobAlreadyExists", "ConditionNotMet", "PreconditionFailed"):
        return Moved(what)
    return CloudError(f"{what}: {_line(error)}", transient=True)


def _judged(what: str, error: HttpResponseError) -> Exception:
    if isinstance(error, ClientAuthenticationError):
        return CloudError(f"{what}: {_line(error)}")
    if error.status_code == 412:
        return Moved(what)
    if error.status_code in TRANSIENT:
        headers: Mapping[str, str] = getattr(error.response, "headers", None) or {}
        return Busy(f"{error.status_code} {_line(error)}", retry_after(headers.get("Retry-After")))
    if error.status_code == 400 and ": metric " in what:
        return NoMetric(f"{what}: {_line(error)}")
    return CloudError(f"{what}: {_line(error)}", transient=error.status_code == 409)


def _line(error: HttpResponseError) -> str:
    return str(error.message).splitlines()[0] if error.message else type(error).__name__
