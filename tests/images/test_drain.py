"""The drain with something in its way: too little time, a second cause, its own end, an engine that does not end."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from images import node
from images.node import Cloud
from tests.support.node.leaving import AutoScaling, World, auto_scaling, stamps
from tests.support.node.metadata import Fault, Metadata

HOOKS = node.Hooks(launching="ready", terminating="drain")
QUICK = node.Drain(notice_seconds=30, deregister_seconds=1, drain_seconds=12)


@contextlib.asynccontextmanager
async def leaving(
    folder: Path, cloud: Cloud = "aws", **fields: Any
) -> AsyncIterator[tuple[World, Metadata, AutoScaling]]:
    async with Metadata(cloud) as metadata, auto_scaling() as group:
        group.waiting = {"drain"}
        world = World(folder, metadata, hooks=HOOKS if cloud == "aws" else None, **({"drain": QUICK} | fields))
        world.environment = {"AWS_ENDPOINT_URL": group.url}
        async with world:
            yield world, metadata, group


async def finished(process: asyncio.subprocess.Process, within: float = 20.0) -> int:
    return await asyncio.wait_for(process.wait(), within)


# --- Kill -9


def test_a_drain_that_is_killed_again_and_again_still_ends_and_loses_nothing(tmp_path: Path) -> None:
    async def leave() -> None:
        async with leaving(tmp_path) as (world, metadata, group):
            await world.start("spotwatch")
            await world.until("watching", name="notice")
            long = [asyncio.create_task(world.request(250)) for _ in range(3)]  # 5 s
            await asyncio.sleep(0.3)
            metadata.notice(30)
            began = time.monotonic()
            await world.until("draining")
            pid = tmp_path / "spillway-drain@spot.pid"
            killed = 0
            while (found := world.document()) and found["state"] != "stopped":
                assert time.monotonic() - began < 25
                await asyncio.sleep(0.9)
                if pid.exists() and killed < 3:
                    with contextlib.suppress(ProcessLookupError):
                        __import__("os").kill(int(pid.read_text()), 9)
                        killed += 1
            assert killed == 3
            assert [await one for one in long] == [("finished", 250)] * 3
            assert len(group.actions("CompleteLifecycleAction")) == 1

    asyncio.run(leave())


def test_a_spotwatch_and_a_gate_that_are_killed_in_a_drain_find_it_as_it_is(tmp_path: Path) -> None:
    async def leave() -> None:
        async with leaving(tmp_path) as (world, metadata, _):
            await world.start("spotwatch")
            await world.until("watching", name="notice")
            long = asyncio.create_task(world.request(200))
            await asyncio.sleep(0.3)
            metadata.notice(30)
            first = await world.until("draining")
            await world.kill("spotwatch")
            await world.kill("gate")
            (tmp_path / "gate.log").unlink()
            await world.start("gate", "--port", "0")
            await world.start("spotwatch")
            assert world.session
            async with world.session.get(f"{await world.listening('gate')}/readyz") as answer:
                assert answer.status == 503
                assert (await answer.json())["reason"] == "draining"
            assert await long == ("finished", 200)
            found = await world.until("stopped")
            # One that was killed before it had noted the notice reckons the deadline from it anew.
            assert found["begun"] == first["begun"]
            assert found["deadline"] == pytest.approx(first["deadline"], abs=1.0)
            await asyncio.sleep(2.5)
            assert world.document() == found

    asyncio.run(leave())


# --- Too little time


@pytest.mark.parametrize("cloud", ["aws", "azure"])
@pytest.mark.parametrize("engine", ["hangs", "works too long"])
def test_an_engine_that_does_not_end_is_killed_while_there_is_time_to_tell_the_cloud(
    tmp_path: Path, cloud: Cloud, engine: str
) -> None:
    options = "--token-ms 50 --shutdown-timeout 12" + (" --hang-on-term" if engine == "hangs" else "")

    async def leave() -> None:
        async with leaving(tmp_path, cloud, options=options) as (world, metadata, group):
            await world.start("spotwatch")
            await world.until("watching", name="notice")
            endless = asyncio.create_task(world.request(10_000))
            await asyncio.sleep(0.3)
            begun = time.time()
            metadata.notice(12)
            await world.until("stopped", within=14)
            assert time.time() - begun < 12.3
            outcome, _ = await endless
            assert outcome.startswith("lost: ")  # the connection broke; not a short answer that looks whole
            assert outcome != "lost: cut"
            killed = stamps(world, "kill")[0] - begun
            assert (7.8 if cloud == "aws" else 9.8) <= killed <= 12
            assert len(group.actions("CompleteLifecycleAction")) == (1 if cloud == "aws" else 0)
            assert len(metadata.approved) == (1 if cloud == "azure" else 0)

    asyncio.run(leave())


def test_a_second_cause_with_an_earlier_deadline_cuts_the_first_one_short(tmp_path: Path) -> None:
    calm = node.Drain(notice_seconds=120, deregister_seconds=60, drain_seconds=50)

    async def leave() -> None:
        async with leaving(tmp_path, drain=calm) as (world, metadata, group):
            await world.start("spotwatch")
            await world.until("watching", name="notice")
            manual = await world.start("drain", "manual")
            await world.until("draining")
            await asyncio.sleep(1.0)
            begun = time.monotonic()
            metadata.notice(20)
            found = await world.until("stopped", within=20)
            assert (
                time.monotonic() - begun < 5
            )  # nobody worked: 20 s leave no wait for the balancers, and none to finish
            assert await finished(manual) == 0
            assert found["causes"] == ["manual", "spot"]
            assert found["cause"] == "spot"
            end = time.monotonic() + 5
            while "spot" not in (world.document() or {})["told"] and time.monotonic() < end:
                await asyncio.sleep(0.05)
            assert len(group.actions("CompleteLifecycleAction")) == 1
            assert world.calls().count("stop --no-block vllm.service") == 1

    asyncio.run(leave())


def test_a_notice_that_is_past_already_leaves_what_there_is(tmp_path: Path) -> None:
    async def leave() -> None:
        async with leaving(tmp_path) as (world, metadata, _):
            metadata.notice(-3600)
            await world.start("spotwatch")
            begun = time.monotonic()
            found = await world.until("stopped", within=10)
            assert time.monotonic() - begun < 8
            assert found["deadline"] > found["begun"]

    asyncio.run(leave())


# --- Operators


def test_an_operators_drain_is_taken_back_by_deleting_the_file_and_undone_after_the_engine_has_ended(
    tmp_path: Path,
) -> None:
    patient = node.Drain(notice_seconds=60, deregister_seconds=3, drain_seconds=12)

    async def operate() -> None:
        async with leaving(tmp_path, drain=patient) as (world, _, group):
            assert world.client
            drain = await world.start("drain", "manual")
            await world.client.until("draining")
            (world.node.run / "drain.json").unlink()
            assert await finished(drain) == 0
            await world.client.until("ready")
            assert await world.request(3) == ("finished", 3)
            assert not [call for call in world.calls() if "stop" in call]
            drain = await world.start("drain", "manual")
            await world.until("stopped")
            assert await finished(drain) == 0
            assert await world.engine_gone()
            assert not group.asked  # nobody asked the cloud for anything
            undo = await world.start("drain", "--undo")
            assert await finished(undo) == 0
            await world.client.until("ready", within=15)

    asyncio.run(operate())


def test_an_undo_in_the_middle_of_the_engines_end_starts_it_again(tmp_path: Path) -> None:
    async def operate() -> None:
        async with leaving(tmp_path) as (world, _, _group):
            assert world.client
            long = asyncio.create_task(world.request(150))  # 3 s
            await asyncio.sleep(0.2)
            await world.start("drain", "manual")
            await world.until("stopping")
            await asyncio.sleep(0.8)
            undo = await world.start("drain", "--undo")
            assert await finished(undo) == 0
            assert await long == ("finished", 150)
            await world.client.until("ready", within=15)

    asyncio.run(operate())


def test_a_notice_that_somebody_overrules_is_left_alone(tmp_path: Path) -> None:
    patient = node.Drain(notice_seconds=60, deregister_seconds=6, drain_seconds=12)

    async def operate() -> None:
        async with leaving(tmp_path, drain=patient) as (world, metadata, _):
            assert world.client
            await world.start("spotwatch")
            await world.until("watching", name="notice")
            metadata.notice(120)
            await world.until("draining")
            await asyncio.sleep(0.5)
            (world.node.run / "drain.json").unlink()
            await world.client.until("ready")
            await world.client.stays("ready", 3.0)
            await world.kill("spotwatch")
            await world.start("spotwatch")  # it remembers
            await world.client.stays("ready", 3.0)

    asyncio.run(operate())


# --- A machine that shuts down without a notice


def test_a_shutdown_keeps_the_engine_until_nobody_is_sent_to_it_and_does_nothing_otherwise(tmp_path: Path) -> None:
    async def leave() -> None:
        async with leaving(tmp_path, "gcp") as (world, _, _group):
            assert world.client
            unit = await world.start("drain", "--shutdown", "30")  # a restart of the unit, not a shutdown
            assert await finished(unit) == 0
            assert world.document() is None
            (tmp_path / "shutdown").touch()
            begun = time.monotonic()
            unit = await world.start("drain", "--shutdown", "30")
            await world.client.until("draining")
            assert await world.request(3) == ("finished", 3)  # what the balancer still sends is served
            assert await finished(unit) == 0
            assert time.monotonic() - begun >= 1
            found = world.document() or {}
            assert (found["state"], found["cause"]) == ("stopping", "terminate")
            assert await world.request(3) == ("refused", 0)
            assert not await world.engine_gone()  # that is systemd's part, next
            assert not [call for call in world.calls() if call.startswith(("stop", "kill"))]

    asyncio.run(leave())


# --- What else is broken


def test_a_systemd_that_refuses_is_asked_until_it_does(tmp_path: Path) -> None:
    async def leave() -> None:
        async with leaving(tmp_path) as (world, metadata, group):
            assert world.client
            await world.start("spotwatch")
            await world.until("watching", name="notice")
            (tmp_path / "refuses").touch()
            metadata.notice(30)
            await world.client.until("draining", within=3.0)  # whatever systemd says
            await asyncio.sleep(3)
            (tmp_path / "refuses").unlink()
            await world.until("stopped", within=15)
            assert len(group.actions("CompleteLifecycleAction")) == 1
            told = [line for line in world.lines("spotwatch") if line["event"] == "drain not started"]
            assert len(told) == 1

    asyncio.run(leave())


def test_a_node_without_a_configuration_drains_by_what_fits_every_cloud(tmp_path: Path) -> None:
    async def leave() -> None:
        async with leaving(tmp_path) as (world, _, group):
            (world.folder / "node.json").write_text("{")
            drain = await world.start("drain", "terminate", "--deadline", str(time.time() + 25))
            await world.until("stopped", within=20)
            assert await finished(drain) == 0
            assert not group.asked
            assert await world.said("drain", "no configuration")
            assert await world.said("drain", "cloud not told")

    asyncio.run(leave())


@pytest.mark.parametrize("cloud", ["aws", "azure"])
def test_a_cloud_that_does_not_listen_holds_no_node_up(tmp_path: Path, cloud: Cloud) -> None:
    async def leave() -> None:
        async with leaving(tmp_path, cloud) as (world, metadata, group):
            group.fault = "hang"
            drain = await world.start("drain", "spot", "--deadline", str(time.time() + 29))
            await world.until("draining")
            metadata.fault = Fault("hang")
            found = await world.until("stopped", within=20)
            assert found["told"] == []
            assert await world.said("drain", "cloud not told")
            assert await finished(drain, 20) == 0
            # and the program, started again, tells it then
            group.fault, metadata.fault = "", Fault()
            again = await world.start("drain", "spot")
            assert await finished(again) == 0
            assert (world.document() or {})["told"] == ["spot"]

    asyncio.run(leave())


@pytest.mark.parametrize("argument", ["soon", "nan", "-1", "inf"])
def test_a_deadline_that_is_none_is_refused_before_anything_happens(tmp_path: Path, argument: str) -> None:
    async def ask() -> int:
        process = await asyncio.create_subprocess_exec(
            __import__("sys").executable, "-m", "images.programs.drain", "spot", f"--deadline={argument}",
            env={"SPILLWAY_RUN": str(tmp_path), "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        return await process.wait()

    assert asyncio.run(ask()) == 2
    assert not list(tmp_path.iterdir())
