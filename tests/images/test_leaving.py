"""A node is taken away, on every cloud: notice, 503, drain, the engine's end, word to the cloud; nothing is lost."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from images import node
from images.node import Cloud
from tests.support.node.leaving import World, auto_scaling, stamps
from tests.support.node.metadata import Metadata

CLOUDS: tuple[Cloud, ...] = ("aws", "azure", "gcp", "tencent")
HOOKS = node.Hooks(launching="ready", terminating="drain")


async def traffic(world: World, until: asyncio.Event, tokens: int) -> list[str]:
    """Clients who come all the time; what became of each who was let in or not."""
    running: list[asyncio.Task[tuple[str, int]]] = []
    while not until.is_set():
        running.append(asyncio.create_task(world.request(tokens)))
        await asyncio.sleep(0.25)
    return [outcome for outcome, _ in await asyncio.gather(*running)]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_notice_empties_the_node_in_time_and_loses_nothing_that_was_accepted(tmp_path: Path, cloud: Cloud) -> None:
    async def leave() -> None:
        async with Metadata(cloud) as metadata, auto_scaling() as group:
            group.waiting = {"drain"}
            world = World(tmp_path, metadata, hooks=HOOKS if cloud == "aws" else None)
            world.environment = {"AWS_ENDPOINT_URL": group.url}
            async with world:
                assert world.client
                await world.start("spotwatch")
                await world.until("watching", name="notice")
                long = [asyncio.create_task(world.request(200)) for _ in range(4)]  # 4 s each: they outlast the notice
                over = asyncio.Event()
                clients = asyncio.create_task(traffic(world, over, 30))
                await asyncio.sleep(0.6)
                noticed = time.monotonic()
                metadata.notice(30)
                await world.client.until("draining", within=3.0)
                to_503 = time.monotonic() - noticed
                found = await world.until("stopped")
                took = time.monotonic() - noticed
                over.set()
                outcomes = await clients
                print(f"\n{cloud}: 503 after {to_503:.2f} s, left after {took:.1f} s")
                assert to_503 < 3.0
                assert took < 30
                assert [await one for one in long] == [("finished", 200)] * 4
                assert set(outcomes) == {"finished", "refused"}
                assert await world.engine_gone()
                assert found["cause"] == "spot"
                assert found["told"] == ["spot"]
                assert world.calls().count("stop --no-block vllm.service") == 1
                assert not [call for call in world.calls() if call.startswith("kill")]
                # the balancers had their time before the engine was asked to end
                assert 1.9 <= stamps(world, "stop")[0] - found["begun"] < 10
                completed = group.actions("CompleteLifecycleAction")
                if cloud == "aws":
                    assert [one["LifecycleHookName"] for one in completed] == ["drain"]
                    assert completed[0]["LifecycleActionResult"] == "CONTINUE"
                    assert completed[0]["InstanceId"] == "i-0123456789abcdef0"
                    assert completed[0]["signed"] == "True"
                else:
                    assert not group.asked
                assert metadata.approved == [one["EventId"] for one in metadata.events]
                await asyncio.sleep(2.5)  # the notice still stands, and nothing begins anew
                assert world.calls().count("stop --no-block vllm.service") == 1

    asyncio.run(leave())
