"""Two regional managed instance groups through Google's own SDK, with the function's service account.

A group keeps its target size when spot VMs are taken away and goes on trying by itself, so nothing is refilled.

Rights: compute.instanceGroupManagers.get, .list and .update on the two groups, monitoring.timeSeries.list and .create,
storage.objects.get, .create and .delete on the one object of the state (to overwrite is to delete), and .list on its
bucket. infra/gcp/scaling.py gives them.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeVar

import google.auth
import requests
from google.api_core.exceptions import GoogleAPICallError, NotFound, PreconditionFailed, from_http_response
from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError, TransportError
from google.auth.transport.requests import AuthorizedSession
from google.cloud import compute_v1
from google.cloud.storage import Client as StorageClient  # type: ignore[import-untyped, unused-ignore]

from infra.function.loop import Group
from infra.function.retries import TRANSIENT, Budget, Busy, CloudError, Moved, retry_after
from infra.function.settings import NAMESPACE, GcpSettings

T = TypeVar("T")

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
MONITORING: Final = "https://monitoring.googleapis.com/v3"
CALL_SECONDS: Final = 15.0
CUSTOM: Final = f"custom.googleapis.com/{NAMESPACE}"
# Compute Engine tells some of its rate limits as 403: https://docs.cloud.google.com/compute/api-quota
LIMITED: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})

# https://docs.cloud.google.com/compute/docs/reference/rest/v1/regionInstanceGroupManagers/listManagedInstances
LEAVING: Final = frozenset({"DELETING", "ABANDONING", "STOPPING", "SUSPENDING"})
STEADY: Final = frozenset({"NONE", "VERIFYING", "REFRESHING"})
# https://docs.cloud.google.com/compute/docs/instances/instance-life-cycle: resources are acquired once it is staging.
LAUNCHED: Final = frozenset({"STAGING", "RUNNING", "REPAIRING"})


class GcpCloud:
    """`infra.function.loop.Cloud` for one region."""

    shrinks = False

    def __init__(self, settings: GcpSettings, budget: Budget, credentials: Credentials | None = None) -> None:
        self._settings, self._budget = settings, budget
        chosen = credentials or google.auth.default(scopes=[SCOPE])[0]
        self._groups = compute_v1.RegionInstanceGroupManagersClient(credentials=chosen)
        self._session: requests.Session = AuthorizedSession(chosen)  # type: ignore[no-untyped-call]
        bucket, _, name = settings.state.removeprefix("gs://").partition("/")
        self._state = StorageClient(project=settings.project, credentials=chosen).bucket(bucket).blob(name)

    # --- Groups -----------------------------------------------------------------------------------------------------

    def group(self, name: str) -> Group:
        found = self._call(
            f"{name}: get",
            lambda: self._groups.get(
                compute_v1.GetRegionInstanceGroupManagerRequest(**self._of(name)), retry=None, timeout=CALL_SECONDS
            ),
        )
        request = compute_v1.ListManagedInstancesRegionInstanceGroupManagersRequest(**self._of(name))
        instances = self._call(
            f"{name}: list instances",
            lambda: list(self._groups.list_managed_instances(request, retry=None, timeout=CALL_SECONDS)),
        )
        return count(int(found.target_size), instances)

    def resize(self, name: str, seen: Group, size: int, minute: int) -> None:
        request = compute_v1.ResizeRegionInstanceGroupManagerRequest(
            **self._of(name),
            size=size,
            # The same order of the same minute is one order, however often it is sent.
            request_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self._settings.stack}/{name}/{minute}/{size}")),
        )
        self._call(
            f"{name}: {seen.size} -> {size}",
            lambda: self._groups.resize_unary(request, retry=None, timeout=CALL_SECONDS),
        )

    def clear(self, name: str, instances: tuple[str, ...]) -> None:
        """Nothing to do: a group tries again by itself."""

    # --- Load -------------------------------------------------------------------------------------------------------

    def load(self, minutes: int, spot: Group, on_demand: Group) -> list[float | None]:
        """The mean over the nodes of both groups, each of which has a time series of its own."""
        del spot, on_demand
        settings = self._settings
        cpu = settings.scaling_signal == "cpu"
        metric = "compute.googleapis.com/instance/cpu/utilization" if cpu else f"{CUSTOM}/QueuePerReplica"
        label = 'metadata.user_labels."spillway-stack"' if cpu else "metric.labels.stack"
        end = datetime.now(UTC).replace(second=0, microsecond=0)
        start = end - timedelta(minutes=minutes)
        query = {
            "filter": f'metric.type="{metric}" AND resource.type="gce_instance" AND {label}="{settings.stack}"',
            "interval.startTime": _stamp(start),
            "interval.endTime": _stamp(end),
            "aggregation.alignmentPeriod": "60s",
            "aggregation.perSeriesAligner": "ALIGN_MEAN",
            "aggregation.crossSeriesReducer": "REDUCE_MEAN",
        }
        url = f"{MONITORING}/projects/{settings.project}/timeSeries"
        try:
            answer = self._call(f"metric {metric}", lambda: self._http("GET", url, params=query))
        except NotThere:
            return [None] * minutes
        means: list[float | None] = [None] * minutes
        for series in answer.get("timeSeries", []):
            for point in series["points"]:
                # An aligned point ends with its minute.
                index = round((datetime.fromisoformat(point["interval"]["endTime"]) - start).total_seconds() / 60) - 1
                if 0 <= index < minutes:
                    means[index] = float(point["value"]["doubleValue"]) * (100 if cpu else 1)
        return means

    # --- State ------------------------------------------------------------------------------------------------------

    def recall(self) -> tuple[str | None, str | None]:
        def work() -> tuple[str | None, str | None]:
            try:
                self._state.reload(retry=None, timeout=CALL_SECONDS)
                generation = int(self._state.generation)
                data = self._state.download_as_bytes(if_generation_match=generation, retry=None, timeout=CALL_SECONDS)
            except NotFound:
                return None, None
            except PreconditionFailed as error:
                raise Busy("written while it was read") from error
            return bytes(data).decode(errors="replace"), str(generation)

        return self._call("state: read", work)

    def save(self, text: str, version: str | None) -> None:
        self._call(
            "state: write",
            lambda: self._state.upload_from_string(
                text,
                content_type="application/json",
                if_generation_match=int(version or 0),  # 0: must not exist yet
                retry=None,
                timeout=CALL_SECONDS,
            ),
        )

    # --- Metrics ----------------------------------------------------------------------------------------------------

    def publish(self, values: Mapping[str, float], minute: int) -> None:
        """Custom metrics: https://docs.cloud.google.com/monitoring/custom-metrics/creating-metrics"""
        del minute  # points must be newer than the last one of their series, so they carry the time of writing
        settings = self._settings
        at = _stamp(datetime.now(UTC))
        series = [
            {
                "metric": {"type": f"{CUSTOM}/{name}", "labels": {"stack": settings.stack}},
                "resource": {"type": "global", "labels": {"project_id": settings.project}},
                "points": [{"interval": {"endTime": at}, "value": {"doubleValue": float(value)}}],
            }
            for name, value in values.items()
        ]
        url = f"{MONITORING}/projects/{settings.project}/timeSeries"
        self._call("metrics", lambda: self._http("POST", url, json={"timeSeries": series}))

    def _of(self, name: str) -> dict[str, str]:
        return {"project": self._settings.project, "region": self._settings.region, "instance_group_manager": name}

    def _http(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        response = self._session.request(method, url, timeout=CALL_SECONDS, **more)
        if response.status_code >= 400:
            raise from_http_response(response)  # type: ignore[no-untyped-call]
        return dict(response.json())

    def _call(self, what: str, work: Callable[[], T]) -> T:
        def once() -> T:
            try:
                return work()
            except PreconditionFailed as error:
                raise Moved(what) from error
            except GoogleAPICallError as error:
                raise _judged(what, error) from error
            except (TransportError, requests.RequestException) as error:
                raise Busy(str(error)) from error
            except GoogleAuthError as error:
                raise CloudError(f"{what}: {error}") from error

        return self._budget.call(what, once)


class NotThere(CloudError):
    """404: a custom metric that no node has ever sent does not exist."""


Phase = Literal["ready", "booting", "creating", "refused", "leaving", "none"]
"""What an instance is to the rule; none: nothing."""


def phase(instance: compute_v1.ManagedInstance) -> Phase:
    """Of a group's managed instance."""
    action, status = instance.current_action, instance.instance_status
    if action in LEAVING:
        return "leaving"
    if status in LAUNCHED:
        states = [health.detailed_health_state for health in instance.instance_health]
        ready = status == "RUNNING" and action in STEADY and bool(states) and set(states) == {"HEALTHY"}
        return "ready" if ready else "booting"
    if instance.last_attempt.errors.errors:
        return "refused"
    waits = status == "PROVISIONING" or (not status and action in ("CREATING", "RECREATING"))
    return "creating" if waits else "none"


def count(size: int, instances: Iterable[compute_v1.ManagedInstance]) -> Group:
    """A group's managed instances by what they are to the rule."""
    found = Counter(phase(instance) for instance in instances)
    return Group(size, found["ready"], found["booting"], found["creating"], found["leaving"], found["refused"])


def _judged(what: str, error: GoogleAPICallError) -> Exception:
    headers = getattr(error.response, "headers", None) or {}
    reasons = {str(item.get("reason")) for item in error.errors if isinstance(item, Mapping)} | {str(error.reason)}
    if error.code in TRANSIENT or (error.code == 403 and reasons & LIMITED):
        return Busy(f"{error.code} {error.message}", retry_after(headers.get("Retry-After")))
    if error.code == 404:
        return NotThere(f"{what}: {error.code} {error.message}")
    return CloudError(f"{what}: {error.code} {error.message}", transient=error.code == 409)


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
