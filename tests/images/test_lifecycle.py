"""The node in its auto scaling group: in service when ready, kept alive while it boots, replaced when beyond repair."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web

from images import node
from images.programs import lifecycle, state
from images.programs.journal import Journal
from images.programs.leaving import group, mark
from images.programs.leaving.service import Service
from tests.support.node.gate import Node, config
from tests.support.node.leaving import AutoScaling, World, api, auto_scaling
from tests.support.node.metadata import Fault, Metadata
from tests.support.node.stores import moto

HOOKS = node.Hooks(launching="ready", terminating="drain")
FAST = lifecycle.Pace(
    ready=0.02, target=0.03, launch_heartbeat=0.1, drain_heartbeat=0.1, live=0.03, dead=0.2, again=0.5, minute=0.01
)
"""Minutes are hundredths of seconds: half an hour without movement is 0.4 s at boot_minutes 20."""


@dataclass
class Gate:
    """What a gate answers."""

    ready: bool = False
    live: bool = True
    reason: str = "staging"
    down: bool = False
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        if self.down and request.transport:
            request.transport.abort()
        good = self.ready if request.path == "/readyz" else self.live
        body = {"reason": self.reason, "detail": "", "since": time.time()}
        return web.Response(text="ready\n") if good else web.json_response(body, status=503)


@dataclass
class Booting:
    """A node that boots in its group."""

    gate: Gate
    group: AutoScaling
    metadata: Metadata
    program: lifecycle.Lifecycle
    run: Path
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, done: Callable[[], Any], within: float = 8.0) -> None:
        end = time.monotonic() + within
        while not done():
            assert time.monotonic() < end, f"not within {within} s: {self.group.asked}"
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def booting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pace: lifecycle.Pace = FAST
) -> AsyncIterator[Booting]:
    gate = Gate()
    async with Metadata("aws") as metadata, auto_scaling() as fake, api(gate.handle) as url:
        made = Node.make(tmp_path, "http://127.0.0.1:1", monkeypatch)
        monkeypatch.setenv("SPILLWAY_METADATA", metadata.url)
        monkeypatch.setenv("SPILLWAY_GATE", url)
        monkeypatch.setenv("AWS_ENDPOINT_URL", fake.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        fake.waiting = {"ready"}
        service = Service("aws")
        program = lifecycle.Lifecycle(config(hooks=HOOKS), HOOKS, service, Journal("lifecycle"), pace)
        stop = asyncio.Event()
        task = asyncio.create_task(program.run(stop))
        try:
            yield Booting(gate, fake, metadata, program, made.run, stop)
        finally:
            stop.set()
            await task
            await service.close()


def test_the_node_is_in_service_once_it_is_ready_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def boot() -> None:
        async with booting(tmp_path, monkeypatch) as node_:
            await node_.until(lambda: node_.group.actions("RecordLifecycleActionHeartbeat"))
            assert not node_.group.actions("CompleteLifecycleAction")
            node_.gate.ready = True
            await node_.until(lambda: node_.program.in_service)
            await asyncio.sleep(0.3)
            (told,) = node_.group.actions("CompleteLifecycleAction")
            assert told["LifecycleHookName"] == "ready"
            assert told["LifecycleActionResult"] == "CONTINUE"
            assert told["AutoScalingGroupName"] == "spillway-aws-us-east-1-spot"
            assert told["InstanceId"] == "i-0123456789abcdef0"
            assert (state.read("lifecycle") or {})["state"] == "in-service"

    asyncio.run(boot())


def test_heartbeats_last_as_long_as_the_weights_come_and_end_when_nothing_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def boot() -> None:
        async with booting(tmp_path, monkeypatch) as node_:
            for count in range(12):  # 1.2 s: three times what a node may stand still
                state.write("stage", state="running", bytes=count, total=100)
                await asyncio.sleep(0.1)
            moving = len(node_.group.actions("RecordLifecycleActionHeartbeat"))
            assert moving >= 8
            await asyncio.sleep(0.6)
            still = len(node_.group.actions("RecordLifecycleActionHeartbeat"))
            await asyncio.sleep(0.4)
            assert len(node_.group.actions("RecordLifecycleActionHeartbeat")) == still
            assert not node_.group.actions("CompleteLifecycleAction")  # ABANDON is the hook's own
            state.write("stage", state="running", bytes=99, total=100)
            await node_.until(lambda: len(node_.group.actions("RecordLifecycleActionHeartbeat")) > still)
            node_.gate.ready = True
            await node_.until(lambda: node_.program.in_service)

    asyncio.run(boot())
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events.count("stuck") == 1


def test_an_api_that_throttles_is_asked_again_and_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def boot() -> None:
        async with booting(tmp_path, monkeypatch) as node_:
            node_.group.fault = "Throttling"
            node_.gate.ready = True
            await node_.until(lambda: len(node_.group.actions("CompleteLifecycleAction")) >= 2)
            assert not node_.program.in_service
            node_.group.fault = ""
            await node_.until(lambda: node_.program.in_service)

    asyncio.run(boot())
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events.count("launch hook not completed") == 1


def test_a_program_that_begins_anew_on_a_node_in_service_beats_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def boot() -> None:
        async with booting(tmp_path, monkeypatch) as node_:
            node_.group.waiting = set()  # /run was lost with the reboot; the group has forgotten the hook
            await node_.until(lambda: node_.program.in_service)
            await asyncio.sleep(0.4)
            assert len(node_.group.actions("RecordLifecycleActionHeartbeat")) <= 2

    asyncio.run(boot())


@pytest.mark.parametrize("how", ["says so", "nobody answers"])
def test_a_node_beyond_repair_asks_to_be_replaced_but_not_for_a_moment_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    async def live() -> None:
        async with booting(tmp_path, monkeypatch) as node_:
            node_.gate.ready = True
            await node_.until(lambda: node_.program.in_service)
            node_.gate.live = False
            await asyncio.sleep(0.1)
            node_.gate.live = True
            await asyncio.sleep(0.3)
            assert not node_.group.actions("SetInstanceHealth")
            node_.gate.live, node_.gate.down = False, how == "nobody answers"
            await node_.until(lambda: node_.group.actions("SetInstanceHealth"))
            told = node_.group.actions("SetInstanceHealth")[0]
            assert told["HealthStatus"] == "Unhealthy"
            assert told["ShouldRespectGracePeriod"] == "false"

    asyncio.run(live())


def test_a_node_that_boots_or_leaves_is_not_reported_whatever_livez_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def live() -> None:
        async with booting(tmp_path, monkeypatch) as node_:
            node_.gate.live = False
            await asyncio.sleep(0.5)
            node_.gate.ready = True
            mark.begin("manual", None)
            await node_.until(lambda: node_.program.in_service)
            await asyncio.sleep(0.5)
            assert not node_.group.actions("SetInstanceHealth")

    asyncio.run(live())


@pytest.mark.parametrize("kind", ["down", "garbage", "redirect", "error", "hang"])
def test_a_metadata_service_that_fails_gives_no_node_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    async def live() -> None:
        async with booting(tmp_path, monkeypatch) as node_:
            node_.gate.ready = True
            await node_.until(lambda: node_.program.in_service)
            node_.metadata.fault = Fault(kind)
            await asyncio.sleep(0.5)
            assert not mark.exists()
            node_.metadata.fault = Fault()
            node_.metadata.terminate()
            await node_.until(mark.exists)
            assert (mark.read() or {})["cause"] == "terminate"

    asyncio.run(live())


def test_heartbeats_keep_the_terminate_hook_open_and_a_drain_that_could_not_tell_is_told_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def leave() -> None:
        async with booting(tmp_path, monkeypatch) as node_:
            node_.gate.ready = True
            await node_.until(lambda: node_.program.in_service)
            node_.group.waiting = {"drain"}
            node_.metadata.terminate()
            await node_.until(mark.exists)

            def beats() -> list[dict[str, str]]:
                found = node_.group.actions("RecordLifecycleActionHeartbeat")
                return [one for one in found if one["LifecycleHookName"] == "drain"]

            await node_.until(lambda: len(beats()) >= 2)
            mark.turn("stopped", "the node has left")
            await node_.until(lambda: "drain" not in node_.group.waiting)
            told = node_.group.actions("CompleteLifecycleAction")[-1]
            assert (told["LifecycleHookName"], told["LifecycleActionResult"]) == ("drain", "CONTINUE")
            count = len(beats())
            await asyncio.sleep(0.3)
            assert len(beats()) == count

    asyncio.run(leave())


@pytest.mark.parametrize("killed", [False, True])
def test_a_node_that_its_group_gives_up_finishes_and_then_lets_go(tmp_path: Path, killed: bool) -> None:
    async def leave() -> None:
        async with Metadata("aws") as metadata, auto_scaling() as fake:
            fake.waiting = {"ready"}
            world = World(tmp_path, metadata, hooks=HOOKS)
            world.environment = {"AWS_ENDPOINT_URL": fake.url}
            async with world:
                await world.start("lifecycle")
                await world.until("in-service", name="lifecycle")
                fake.waiting = {"drain"}
                long = [asyncio.create_task(world.request(200)) for _ in range(3)]
                await asyncio.sleep(0.3)
                metadata.terminate()
                await world.until("draining")
                if killed:
                    await world.kill("lifecycle")
                    await world.start("lifecycle")
                found = await world.until("stopped")
                assert found["causes"] == ["terminate"]
                assert [await one for one in long] == [("finished", 200)] * 3
                await asyncio.sleep(2.5)
                assert not fake.waiting
                assert world.calls().count("stop --no-block vllm.service") == 1

    asyncio.run(leave())


@pytest.mark.parametrize(
    ("cloud", "program"),
    [("azure", "lifecycle"), ("gcp", "lifecycle"), ("tencent", "lifecycle"), ("tencent", "telemetry")],
)
def test_elsewhere_there_is_nothing_to_do(tmp_path: Path, cloud: Any, program: str) -> None:
    made = Node.make(tmp_path, "http://127.0.0.1:1")
    made.configure(cloud=cloud)
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-m", f"images.programs.{program}"],
        env={**os.environ, **made.environment, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout)["event"] == "nothing to do"


def test_an_unhealthy_instance_is_one_to_the_real_api_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto's group, which knows SetInstanceHealth and refuses instances that are not its own."""
    with moto() as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        scaling = boto3.client("autoscaling", region_name="us-east-1")
        ec2 = boto3.client("ec2", region_name="us-east-1")
        image = ec2.describe_images()["Images"][0]["ImageId"]
        scaling.create_launch_configuration(LaunchConfigurationName="l", ImageId=image, InstanceType="t3.micro")
        name = "spillway-aws-us-east-1-spot"
        scaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchConfigurationName="l",
            MinSize=1,
            MaxSize=1,
            AvailabilityZones=["us-east-1a"],
        )

        def instances() -> list[dict[str, Any]]:
            return list(scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]["Instances"])

        async def tell() -> None:
            async with Metadata("aws") as metadata:
                metadata.tree["instance-id"] = instances()[0]["InstanceId"]
                service = Service("aws", metadata.url)
                await group.AutoScaling(config(hooks=HOOKS), service).unhealthy()
                await service.close()

        asyncio.run(tell())
        assert [one["HealthStatus"] for one in instances()] == ["Unhealthy"]
