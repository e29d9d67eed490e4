"""A replica of two nodes on one machine: vLLM's own `--nnodes`, tensor parallel over Gloo, a process tree each."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from images.node import Cluster
from tests.vllm.environment import Engine
from tests.vllm.world import BOOT_SECONDS, World, free_port

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm")]


@pytest.fixture(scope="module")
def nodes(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, World]]:
    if engine.device != "cpu":
        pytest.skip("two nodes on one machine: in the form for CPUs only")
    port = free_port()
    head, worker = (
        Cluster(role="worker" if rank else "head", rank=rank, head_address="127.0.0.1", nodes=2, executor="native")
        for rank in (0, 1)
    )
    folder = tmp_path_factory.mktemp("nodes")
    with World(folder / "head", engine, head, port) as one, World(folder / "worker", engine, worker, port) as two:
        one.unit.order("start")
        two.unit.order("start")
        yield one, two


def test_two_nodes_make_tokens_together(nodes: tuple[World, World], report: list[str]) -> None:
    head, worker = nodes
    began = time.monotonic()
    head.until(lambda: head.seen and head.seen[-1].status == 200, BOOT_SECONDS, "two nodes do not get ready")
    report.append(f"two nodes, --nnodes 2, tensor parallel 2: ready after {time.monotonic() - began:.1f} s")
    assert head.chat(40).whole
    assert (head.document("peers") or {})["alive"] == 2
    assert worker.unit.alive()
    assert "peers" in head.reasons() or "starting" in head.reasons()


def test_a_lost_node_is_told_before_the_engine_knows_and_all_start_anew(
    nodes: tuple[World, World], report: list[str]
) -> None:
    head, worker = nodes
    lives, start = len(head.unit.lives), len(head.seen)
    began = time.monotonic()
    worker.processes["peers"].kill()
    worker.unit.order("kill")
    time.sleep(2.5)  # half of what the head waits for a word
    health = httpx.get(f"{head.engine_url}/health", timeout=10, trust_env=False).status_code
    lost = head.until_says("peers", 20)
    report.append(
        f"a node of two lost: /readyz 503 after {lost.at - began:.1f} s; /health had said {health} after 2.5 s"
    )
    head.until(lambda: len(head.unit.lives) > lives, 60, "the head's engine runs on without the other node")
    worker.program("peers")
    ready = head.until_says("ready", BOOT_SECONDS)
    report.append(f"a node of two lost: both ready again after {ready.at - began:.1f} s")
    assert "peers" in head.reasons(start)
    assert head.chat(5).whole
