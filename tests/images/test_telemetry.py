"""What a node reports is what its region's alarms and function read, and no outage of the cloud holds it up."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from images.node import Cloud
from images.programs import identity
from images.programs.journal import Journal
from images.programs.leaving.service import Service
from images.programs.reporting.figures import figures
from images.programs.reporting.senders import Dropped, Rest, sender
from images.programs.telemetry import Pace, Telemetry
from tests.support.node.gate import Node, config, serving
from tests.support.node.leaving import api
from tests.support.node.metadata import TOKEN, Metadata
from tests.support.node.stores import moto
from tests.support.node.vllm_stand_in import StandIn

PAGE = """\
# HELP spillway_gate_ready 1 when /readyz is 200.
spillway_gate_ready 1
spillway_gate_reason{reason="draining"} 0
spillway_gate_queue_requests 7.0
spillway_gate_ttft_p50_seconds 0.25
spillway_gate_error_ratio 0.02
"""
FIGURES = {"Ready": 1.0, "QueuePerReplica": 7.0, "TtftP50Ms": 250.0, "ErrorRate": 0.02}


class Taking:
    """A cloud's ingestion: keeps what comes, answers with `status`."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        self.hang = False

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((request.path, dict(request.headers), await request.json()))
        if self.hang:
            await asyncio.sleep(3600)
        return web.json_response({"error": {"message": "Too Many Requests"}}, status=self.status)


def test_a_page_of_the_gate_becomes_four_figures() -> None:
    assert figures(PAGE) == FIGURES


def test_what_is_not_known_is_no_zero_but_nobody_home_is_not_ready() -> None:
    assert figures(None) == {"Ready": 0.0}
    assert figures("spillway_gate_ready 0\n") == {"Ready": 0.0}


def test_a_draining_node_takes_no_part_in_the_mean_of_the_queue() -> None:
    found = figures(PAGE.replace('"draining"} 0', '"draining"} 1'))
    assert "QueuePerReplica" not in found


@given(st.text() | st.lists(st.sampled_from([*PAGE.splitlines(), "spillway_gate_ready NaN", "x"])).map("\n".join))
def test_no_page_makes_a_figure_that_a_cloud_refuses(text: str) -> None:
    assert all(0 <= value <= 1e12 for value in figures(text).values())


def test_the_gate_itself_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> str:
        async with StandIn() as engine:
            Node.make(tmp_path, engine.url, monkeypatch).booted()
            async with serving() as (_, client):
                await client.until("ready")
                return (await client.get("/metrics")).text

    assert figures(asyncio.run(ask()))["Ready"] == 1.0
    assert "QueuePerReplica" in figures(asyncio.run(ask()))


def test_cloudwatch_gets_the_samples_that_the_load_alarm_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    with moto() as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")

        async def report() -> None:
            to = sender(config(), Service("aws"))
            assert to
            await to.send(FIGURES)
            await to.close()

        asyncio.run(report())
        client = boto3.client("cloudwatch", region_name="us-east-1")
        # As infra/aws/scaling.py asks: Sum and SampleCount by stack and pool.
        dimensions = [{"Name": "stack", "Value": "aws-us-east-1"}, {"Name": "pool", "Value": "spot"}]
        found = client.get_metric_statistics(
            Namespace="Spillway",
            MetricName="QueuePerReplica",
            Dimensions=dimensions,
            StartTime=time.time() - 120,
            EndTime=time.time() + 60,
            Period=60,
            Statistics=["Sum", "SampleCount"],
        )["Datapoints"]
        assert [(point["Sum"], point["SampleCount"]) for point in found] == [(7.0, 1.0)]
        names = {metric["MetricName"] for metric in client.list_metrics(Namespace="Spillway")["Metrics"]}
        assert names == set(FIGURES)


def test_azure_gets_each_metric_at_the_scale_set_that_the_function_asks_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taking = Taking()

    async def report() -> None:
        async with Metadata("azure") as metadata, api(taking.handle) as url:
            monkeypatch.setenv("SPILLWAY_METADATA", metadata.url)
            monkeypatch.setenv("SPILLWAY_METRICS_ENDPOINT", url)
            service = Service("azure")
            to = sender(
                config(
                    cloud="azure",
                    region="eastus",
                    stack="azure-eastus",
                    pool="spot",
                    group="spillway-azure-eastus-spot",
                ),
                service,
            )
            assert to
            await to.send(FIGURES)
            await to.send({"Ready": 1.0})
            assert len(metadata.requests("identity/oauth2/token")) == 1  # kept
            assert "resource=https://monitoring.azure.com/" in metadata.requests("oauth2/token")[0].path
            await to.close()
            await service.close()

    asyncio.run(report())
    path, headers, body = taking.seen[1]
    assert path == (
        "/subscriptions/00000000-0000-0000-0000-00000000000a/resourceGroups/spillway-azure-eastus/providers/"
        "Microsoft.Compute/virtualMachineScaleSets/spillway-azure-eastus-spot/metrics"
    )
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert body["data"]["baseData"] == {
        "metric": "QueuePerReplica",
        "namespace": "Spillway",
        "dimNames": ["stack", "pool"],
        "series": [{"dimValues": ["azure-eastus", "spot"], "min": 7.0, "max": 7.0, "sum": 7.0, "count": 1}],
    }
    assert {one[2]["data"]["baseData"]["metric"] for one in taking.seen} == set(FIGURES)


def test_google_gets_time_series_of_the_instance_that_the_function_filters_by(monkeypatch: pytest.MonkeyPatch) -> None:
    taking = Taking()

    async def report() -> None:
        async with Metadata("gcp") as metadata, api(taking.handle) as url:
            monkeypatch.setenv("SPILLWAY_METADATA", metadata.url)
            monkeypatch.setenv("SPILLWAY_METRICS_ENDPOINT", url)
            service = Service("gcp")
            to = sender(config(cloud="gcp", region="us-central1", stack="gcp-us-central1"), service)
            assert to
            await to.send(FIGURES)
            await to.close()
            await service.close()

    asyncio.run(report())
    path, headers, body = taking.seen[0]
    assert path == "/v3/projects/project/timeSeries"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    by_type = {one["metric"]["type"]: one for one in body["timeSeries"]}
    assert set(by_type) == {f"custom.googleapis.com/Spillway/{name}" for name in FIGURES}
    queue = by_type["custom.googleapis.com/Spillway/QueuePerReplica"]
    assert queue["metric"]["labels"] == {"stack": "gcp-us-central1", "pool": "spot"}
    assert queue["resource"] == {
        "type": "gce_instance",
        "labels": {"project_id": "project", "instance_id": "1234567890123456789", "zone": "us-central1-a"},
    }
    assert queue["points"][0]["value"] == {"doubleValue": 7.0}


@pytest.mark.parametrize("cloud", ["azure", "gcp"])
@pytest.mark.parametrize("fault", ["throttled", "hang", "refused", "no metadata", "garbage"])
def test_points_that_do_not_arrive_are_dropped_and_the_next_minute_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cloud: Cloud, fault: str
) -> None:
    taking = Taking()

    async def report() -> None:
        async with Metadata(cloud) as metadata, api(taking.handle) as url, api(gate) as gate_at:
            monkeypatch.setenv("SPILLWAY_METADATA", metadata.url)
            monkeypatch.setenv("SPILLWAY_METRICS_ENDPOINT", "http://127.0.0.1:1" if fault == "refused" else url)
            monkeypatch.setenv("SPILLWAY_GATE", gate_at)
            taking.status, taking.hang = (429 if fault == "throttled" else 200), fault == "hang"
            metadata.fault.kind = {"no metadata": "down", "garbage": "garbage"}.get(fault, "none")  # type: ignore[assignment]
            service = Service(cloud)
            to = sender(config(cloud=cloud), service)
            assert to
            telemetry = Telemetry(config(cloud=cloud), to, Journal("telemetry"), Pace(send=1.0))
            begun = time.monotonic()
            for _ in range(3):
                await telemetry.minute()
            assert time.monotonic() - begun < 8
            assert (telemetry.sent, telemetry.dropped) == (0, 3)
            monkeypatch.setenv("SPILLWAY_METRICS_ENDPOINT", url)
            taking.status, taking.hang, metadata.fault.kind = 200, False, "none"
            await telemetry.minute()
            assert telemetry.sent == 1
            await to.close()
            await service.close()

    async def gate(_: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    asyncio.run(report())
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["event"] for one in events] == ["points dropped", "points arrive"]
    assert events[1]["missed"] == 3
    assert TOKEN not in json.dumps(events)


@pytest.mark.parametrize("ends", ["1" + "0" * 400, "NaN", "Infinity", "-Infinity", '"soon"', "null", "1e999"])
@pytest.mark.parametrize("cloud", ["azure", "gcp", "tencent"])
def test_a_token_that_ends_at_no_time_is_one_line(monkeypatch: pytest.MonkeyPatch, cloud: Cloud, ends: str) -> None:
    text = f'{{"access_token": "{TOKEN}", "expires_in": {ends}, "Code": "Success", "ExpiredTime": {ends}, '
    text += f'"TmpSecretId": "a", "TmpSecretKey": "{TOKEN}", "Token": "c"}}'

    async def ask() -> None:
        async with api(token) as url:
            monkeypatch.setenv("SPILLWAY_METADATA", url)
            if cloud == "tencent":
                await asyncio.to_thread(identity.TencentRole().keys)
                return
            service = Service(cloud)
            to = sender(config(cloud=cloud), service)
            assert isinstance(to, Rest)
            try:
                await to.bearer()
            finally:
                await to.close()
                await service.close()

    async def token(request: web.Request) -> web.Response:
        return web.Response(text="role" if request.path.endswith("/") else text, content_type="application/json")

    with pytest.raises((Dropped, identity.NoIdentity)) as found:
        asyncio.run(ask())
    assert "the metadata service" in str(found.value)
    assert TOKEN not in str(found.value)


def test_cloudwatch_that_throttles_drops_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    async def throttle(_: web.Request) -> web.Response:
        return web.Response(status=400, text='{"__type":"ThrottlingException","message":"Rate exceeded"}')

    async def report() -> None:
        async with api(throttle) as url:
            monkeypatch.setenv("AWS_ENDPOINT_URL", url)
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
            to = sender(config(), Service("aws"))
            assert to
            with pytest.raises(Dropped):
                await to.send(FIGURES)

    asyncio.run(report())


@given(st.floats(0, 4e9), st.integers(0, 99))
def test_a_node_has_its_own_second_of_every_minute(now: float, number: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPILLWAY_INSTANCE_ID", f"i-{number}")
        made = Telemetry(config(), None, Journal("telemetry"))  # type: ignore[arg-type]
    wait = made.wait(now)
    assert 0 < wait <= 60
    assert abs((now + wait) % 60 - made._phase) < 1e-3 or abs(abs((now + wait) % 60 - made._phase) - 60) < 1e-3
