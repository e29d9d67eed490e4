"""One sender per cloud: a minute's figures, once. Whatever goes wrong is one line, and the points are gone.

Names, namespaces, dimensions and resources are those that `infra/aws/scaling.py` and `infra/function` read.
"""

from __future__ import annotations

import asyncio
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import aiohttp

from images.node import NodeConfig
from images.programs.leaving import sdk
from images.programs.leaving.service import Service, Unavailable

ENDPOINT: Final = "SPILLWAY_METRICS_ENDPOINT"
"""Environment variable with the place where Azure's or Google's points go, for tests; AWS' SDK has AWS_ENDPOINT_URL."""
UNITS: Final = {"QueuePerReplica": "Count", "TtftP50Ms": "Milliseconds", "ErrorRate": "None", "Ready": "Count"}
CALL_SECONDS: Final = 10.0
RENEW: Final = 300.0
"""Seconds before its end at which a token is replaced."""


class Dropped(Exception):
    """The points did not arrive; the message is one line."""


class Sender(Protocol):
    """What takes a minute's figures."""

    async def send(self, figures: Mapping[str, float]) -> None:
        """Raises Dropped."""
        ...

    async def close(self) -> None: ...


class CloudWatch:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html"""

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self._client: Any = None

    async def send(self, figures: Mapping[str, float]) -> None:
        try:
            await asyncio.to_thread(self._put, dict(figures), datetime.now(UTC))
        except ImportError as error:
            raise Dropped(str(error)) from None

    async def close(self) -> None:
        if self._client is not None:
            await asyncio.to_thread(self._client.close)

    def _put(self, figures: dict[str, float], at: datetime) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        config = self._config
        dimensions = [{"Name": "stack", "Value": config.stack}, {"Name": "pool", "Value": config.pool}]
        data = [
            {"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "Value": value, "Unit": UNITS[name]}
            for name, value in figures.items()
        ]
        try:
            if self._client is None:
                # One attempt: the next minute has newer figures.
                self._client = sdk.client("cloudwatch", config.region, attempts=1)
            self._client.put_metric_data(Namespace=config.metrics_namespace, MetricData=data)
        except ClientError as error:
            found = error.response.get("Error", {})
            raise Dropped(f"{found.get('Code')}: {found.get('Message')}") from None
        except (BotoCoreError, sdk.NoCredentials) as error:
            raise Dropped(" ".join(str(error).split())) from None


class Rest(ABC):
    """Points over HTTP with a token of the metadata service, which is kept until shortly before its end."""

    def __init__(self, config: NodeConfig, service: Service) -> None:
        self.config, self.service = config, service
        self._session: aiohttp.ClientSession | None = None
        self._token, self._until = "", 0.0

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def bearer(self) -> str:
        """Raises Dropped."""
        if time.monotonic() > self._until:
            try:
                token, seconds = await self.token()
            except Unavailable as error:
                raise Dropped(f"no token: the metadata service {error}") from None
            except (KeyError, TypeError, ValueError, OverflowError):
                raise Dropped("no token: the metadata service answers with something else") from None
            if not math.isfinite(seconds):
                raise Dropped("no token: the metadata service says no time at which it ends")
            self._token, self._until = token, time.monotonic() + max(0.0, seconds - RENEW)
        return self._token

    @abstractmethod
    async def token(self) -> tuple[str, float]:
        """Token and its seconds. Raises Unavailable, KeyError, TypeError, ValueError, OverflowError."""

    async def known(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """A value of the metadata service. Raises Dropped."""
        try:
            found = await self.service.text(path, query)
        except Unavailable as error:
            raise Dropped(f"the metadata service {error}") from None
        if not found:
            raise Dropped(f"the metadata service has no {path}")
        return found

    async def post(self, url: str, body: Any) -> None:
        """Raises Dropped."""
        headers = {"Authorization": f"Bearer {await self.bearer()}"}
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS), trust_env=True)
        try:
            async with self._session.post(url, json=body, headers=headers, allow_redirects=False) as answer:
                if answer.status < 300:
                    return
                said = " ".join((await answer.content.read(2048)).decode("utf-8", "replace").split())
                if answer.status in (401, 403):
                    self._until = 0.0  # rights that were just given are in the next token
                raise Dropped(f"HTTP {answer.status} {said[:300]}".rstrip())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Dropped(" ".join(str(error).split()) or type(error).__name__) from None


class AzureMonitor(Rest):
    """Custom metrics of the node's own scale set.

    https://learn.microsoft.com/azure/azure-monitor/essentials/metrics-store-custom-rest-api
    """

    _resource = ""

    async def token(self) -> tuple[str, float]:
        query = {"api-version": "2018-02-01", "resource": "https://monitoring.azure.com/"}
        found = (await self.service.get("/metadata/identity/oauth2/token", query, CALL_SECONDS)).json()
        return str(found["access_token"]), float(found["expires_in"])

    async def resource(self) -> str:
        """The scale set's id. Raises Dropped."""
        if not self._resource:
            where = {"api-version": "2021-02-01", "format": "text"}
            subscription = await self.known("/metadata/instance/compute/subscriptionId", where)
            group = await self.known("/metadata/instance/compute/resourceGroupName", where)
            self._resource = (
                f"/subscriptions/{subscription}/resourceGroups/{group}"
                f"/providers/Microsoft.Compute/virtualMachineScaleSets/{self.config.group}"
            )
        return self._resource

    async def send(self, figures: Mapping[str, float]) -> None:
        config = self.config
        base = os.environ.get(ENDPOINT) or f"https://{config.region}.monitoring.azure.com"
        url = f"{base.rstrip('/')}{await self.resource()}/metrics"
        at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        faults: list[Dropped] = []
        for name, value in figures.items():  # the API takes one metric at a time
            point = {"dimValues": [config.stack, config.pool], "min": value, "max": value, "sum": value, "count": 1}
            data = {
                "metric": name,
                "namespace": config.metrics_namespace,
                "dimNames": ["stack", "pool"],
                "series": [point],
            }
            try:
                await self.post(url, {"time": at, "data": {"baseData": data}})
            except Dropped as error:
                faults.append(error)
        if faults:
            raise faults[0]


class GoogleMonitoring(Rest):
    """Custom metrics of the instance.

    https://docs.cloud.google.com/monitoring/custom-metrics/creating-metrics
    """

    _labels: Mapping[str, str] | None = None

    async def token(self) -> tuple[str, float]:
        path = "/computeMetadata/v1/instance/service-accounts/default/token"
        found = (await self.service.get(path, None, CALL_SECONDS)).json()
        return str(found["access_token"]), float(found["expires_in"])

    async def labels(self) -> Mapping[str, str]:
        """Of the resource gce_instance. Raises Dropped."""
        if self._labels is None:
            zone = await self.known("/computeMetadata/v1/instance/zone")
            self._labels = {
                "project_id": await self.known("/computeMetadata/v1/project/project-id"),
                "instance_id": await self.known("/computeMetadata/v1/instance/id"),
                "zone": zone.rpartition("/")[2],
            }
        return self._labels

    async def send(self, figures: Mapping[str, float]) -> None:
        config, labels = self.config, await self.labels()
        at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        series = [
            {
                "metric": {
                    "type": f"custom.googleapis.com/{config.metrics_namespace}/{name}",
                    "labels": {"stack": config.stack, "pool": config.pool},
                },
                "resource": {"type": "gce_instance", "labels": dict(labels)},
                "metricKind": "GAUGE",
                "valueType": "DOUBLE",
                "points": [{"interval": {"endTime": at}, "value": {"doubleValue": float(value)}}],
            }
            for name, value in figures.items()
        ]
        base = (os.environ.get(ENDPOINT) or "https://monitoring.googleapis.com").rstrip("/")
        await self.post(f"{base}/v3/projects/{labels['project_id']}/timeSeries", {"timeSeries": series})


def sender(config: NodeConfig, service: Service) -> Sender | None:
    """The one of the node's cloud; None where nodes have no right to report, as on Tencent Cloud."""
    match config.cloud:
        case "aws":
            return CloudWatch(config)
        case "azure":
            return AzureMonitor(config, service)
        case "gcp":
            return GoogleMonitoring(config, service)
        case "tencent":
            return None
