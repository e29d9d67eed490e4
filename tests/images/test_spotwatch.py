"""The spot watcher with a metadata service that is not always there, and notices that are not always the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from images.node import Cloud, Drain
from images.programs import state
from images.programs.journal import Journal
from images.programs.leaving import mark
from images.programs.leaving.service import Service
from images.programs.spotwatch import Pace, Rebalance, Watch
from tests.support.node.gate import Node, config
from tests.support.node.leaving import World, auto_scaling
from tests.support.node.metadata import Fault, FaultKind, Metadata

CLOUDS: tuple[Cloud, ...] = ("aws", "azure", "gcp", "tencent")
SYSTEMCTL = '#!/bin/sh\necho "$*" >>@LOG@\n'


@dataclass
class Watched:
    metadata: Metadata
    watch: Watch
    log: Path

    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    async def until(self, done: Callable[[], Any], within: float = 60.0) -> None:
        end = time.monotonic() + within
        while not done():
            assert time.monotonic() < end, f"not within {within} s: {mark.read()} {self.calls()}"
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def watching(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cloud: Cloud,
    rebalance: Rebalance = "wait",
    pace: Pace | None = None,
    metadata: Metadata | None = None,
) -> AsyncIterator[Watched]:
    Node.make(tmp_path, "http://127.0.0.1:1", monkeypatch)
    systemctl, log = tmp_path / "systemctl", tmp_path / "calls"
    systemctl.write_text(SYSTEMCTL.replace("@LOG@", str(log)))
    systemctl.chmod(0o755)
    monkeypatch.setenv("SPILLWAY_SYSTEMCTL", str(systemctl))
    drain = Drain(notice_seconds=30, deregister_seconds=5, drain_seconds=15)
    async with metadata or Metadata(cloud) as service_at:
        service = Service(cloud, service_at.url)
        watch = Watch(
            config(cloud=cloud, drain=drain), service, Journal("spotwatch"), rebalance, pace or Pace(share=0.05)
        )
        stop = asyncio.Event()
        task = asyncio.create_task(watch.run(stop))
        try:
            yield Watched(service_at, watch, log)
        finally:
            stop.set()
            await task
            await service.close()


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("fault", ["down", "garbage", "redirect", "error", "hang"])
def test_a_notice_is_heard_once_the_metadata_service_is_back(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cloud: Cloud,
    fault: FaultKind,
) -> None:
    events: list[dict[str, Any]] = []

    def told(words: str) -> bool:
        events.extend(json.loads(line) for line in capsys.readouterr().out.splitlines())
        return any(one["event"] == "metadata service" and words in one["detail"] for one in events)

    async def hear() -> None:
        async with watching(tmp_path, monkeypatch, cloud) as seen:
            seen.metadata.fault = Fault(fault)
            await seen.until(lambda: told("no answer for"))
            assert not mark.exists()
            seen.metadata.notice(30)
            given = time.time()
            seen.metadata.fault = Fault()
            await seen.until(mark.exists)
            heard = time.time()
            await seen.until(seen.calls)
            assert seen.calls()[0] == "start --no-block spillway-drain@spot.service"
            deadline = mark.deadline(mark.read())
            assert deadline is not None
            # Clouds that say no more than `now` or a whole second are taken at their word from when they were heard.
            assert given + 24 <= deadline <= heard + 31
            await seen.until(lambda: told("answers again"))

    asyncio.run(hear())
    assert "error" not in {one["event"] for one in events}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_slow_metadata_service_delays_a_notice_by_no_more_than_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloud: Cloud
) -> None:
    async def hear() -> None:
        async with watching(tmp_path, monkeypatch, cloud, pace=Pace()) as seen:
            await asyncio.sleep(0.5)
            seen.metadata.fault = Fault("slow", seconds=0.8)
            before = len(seen.metadata.asked)
            seen.metadata.notice(30)
            await seen.until(mark.exists)
            # The look that is under way, and the one after it; Google's second source may be asked once more meanwhile.
            looks = Counter(one.path.partition("?")[0] for one in seen.metadata.asked[before:])
            assert max(looks.values(), default=0) <= 3, looks

    asyncio.run(hear())


def test_one_source_that_hangs_keeps_no_other_from_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hear() -> None:
        async with watching(tmp_path, monkeypatch, "aws") as seen:
            seen.metadata.fault = Fault("hang", path="rebalance")
            await asyncio.sleep(0.3)
            seen.metadata.notice(100)
            await seen.until(mark.exists)

    asyncio.run(hear())


def test_gcp_is_heard_by_whichever_question_gets_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hear(path: str) -> None:
        async with watching(tmp_path, monkeypatch, "gcp", pace=Pace(share=0.2)) as seen:
            await asyncio.sleep(0.3)
            seen.metadata.fault = Fault("hang", path=path)
            await asyncio.sleep(0.3)
            seen.metadata.notice()
            await seen.until(mark.exists)
        mark.take_back()
        state.remove("notice")

    asyncio.run(hear("wait_for_change"))
    asyncio.run(hear("preempted"))  # the one that waits was asked before


def test_rebalance_leaves_the_node_to_its_group_unless_it_is_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hear(rebalance: Rebalance) -> bool:
        async with watching(tmp_path, monkeypatch, "aws", rebalance) as seen:
            seen.metadata.rebalance()
            await seen.until(lambda: (state.read("notice") or {}).get("seen"))
            if rebalance == "drain":
                await seen.until(seen.calls)
                assert seen.calls()[0] == "start --no-block spillway-drain@rebalance.service"
            await asyncio.sleep(0.6)
            found = mark.read()
            assert found is None or (found["cause"], found["deadline"]) == ("rebalance", None)
            assert bool(seen.calls()) == bool(found)
            seen.metadata.notice(100)  # and then the interruption comes all the same
            await seen.until(lambda: (mark.read() or {}).get("cause") == "spot")
            assert mark.deadline(mark.read()) == pytest.approx(time.time() + 100, abs=10)
            await seen.until(lambda: any("spot" in call for call in seen.calls()))
            return found is not None

    assert asyncio.run(hear("wait")) is False
    mark.take_back()
    state.remove("notice")
    (tmp_path / "calls").unlink()
    assert asyncio.run(hear("drain")) is True


def test_maintenance_of_googles_host_is_left_for_when_there_is_just_time_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hear() -> None:
        async with watching(tmp_path, monkeypatch, "gcp") as seen:
            seen.metadata.maintenance()
            await seen.until(lambda: (state.read("notice") or {}).get("seen"))
            await asyncio.sleep(0.6)
            assert not mark.exists()
        before = state.read("notice") or {}
        # almost an hour later, in a program that has been started anew
        long_ago = {key: value - 3550 for key, value in before["seen"].items()}
        state.write("notice", state="noticed", seen=long_ago, handled=[])
        async with watching(tmp_path, monkeypatch, "gcp") as seen:
            seen.metadata.maintenance()
            await seen.until(mark.exists)
            found = mark.read() or {}
            assert found["cause"] == "terminate"
            assert found["deadline"] == pytest.approx(time.time() + 50, abs=5)

    asyncio.run(hear())


@pytest.mark.parametrize("stands", [True, False])
def test_a_node_that_outlives_its_notice_serves_again_when_the_notice_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stands: bool
) -> None:
    async def hear() -> None:
        async with watching(tmp_path, monkeypatch, "azure", pace=Pace(share=0.05, survive=1.5)) as seen:
            seen.metadata.event("Reboot", 0)
            await seen.until(mark.exists)
            assert mark.turn("stopped", "the node has left", deadline=time.time())
            if not stands:
                seen.metadata.clear()
            if stands:
                await asyncio.sleep(3)
                assert mark.exists()
                assert "start --no-block vllm.service" not in seen.calls()
            else:
                await seen.until(lambda: not mark.exists())
                await seen.until(lambda: "start --no-block vllm.service" in seen.calls())
                seen.metadata.event("Preempt", 30)  # and the next notice counts again
                await seen.until(mark.exists)

    asyncio.run(hear())


def test_an_azure_event_that_comes_earlier_than_it_said_shortens_the_drain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hear() -> None:
        async with watching(tmp_path, monkeypatch, "azure") as seen:
            seen.metadata.event("Redeploy", 600)
            await seen.until(mark.exists)
            first = mark.deadline(mark.read())
            assert first == pytest.approx(time.time() + 600, abs=4)
            seen.metadata.events[0].update(EventStatus="Started", NotBefore="")
            await seen.until(lambda: (mark.deadline(mark.read()) or 0) < time.time() + 10)
            assert len((mark.read() or {})["notices"]) == 1

    asyncio.run(hear())


def test_a_full_run_directory_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = mark.begin
    tries: list[int] = []

    def begin(*arguments: Any, **fields: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise OSError(28, os.strerror(28))
        return real(*arguments, **fields)

    monkeypatch.setattr(mark, "begin", begin)

    async def hear() -> None:
        async with watching(tmp_path, monkeypatch, "aws") as seen:
            seen.metadata.notice(100)
            await seen.until(mark.exists)

    asyncio.run(hear())
    assert "drain.json not written" in capsys.readouterr().out


def test_a_rebalance_that_is_followed_has_the_group_send_a_replacement_first(tmp_path: Path) -> None:
    async def leave() -> None:
        async with Metadata("aws") as metadata, auto_scaling() as group:
            world = World(tmp_path, metadata)
            world.environment = {"AWS_ENDPOINT_URL": group.url, "SPILLWAY_REBALANCE": "drain"}
            async with world:
                await world.start("spotwatch")
                await world.until("watching", name="notice")
                metadata.rebalance()
                await world.until("draining", within=6)
                end = time.monotonic() + 12
                while not group.actions("SetInstanceHealth") and time.monotonic() < end:
                    await asyncio.sleep(0.05)
                await world.until("stopped", within=20)
                (told,) = group.actions("SetInstanceHealth")
                assert told["HealthStatus"] == "Unhealthy"
                assert told["ShouldRespectGracePeriod"] == "false"

    asyncio.run(leave())


def test_a_setting_that_is_none_is_told_and_nobody_leaves_for_it(tmp_path: Path) -> None:
    async def hear() -> None:
        async with Metadata("aws") as metadata:
            world = World(tmp_path, metadata)
            world.environment = {"SPILLWAY_REBALANCE": "yes"}
            async with world:
                metadata.rebalance()
                await world.start("spotwatch")
                assert "expected wait or drain" in (await world.said("spotwatch", "bad setting"))["detail"]
                await world.said("spotwatch", "notice")
                await asyncio.sleep(0.5)
                assert world.document() is None

    asyncio.run(hear())
