"""A replica of two nodes on one machine, by either executor: a process tree and an address of loopback each.

`native`: vLLM's own --nnodes, tensor parallel over Gloo. `ray`: Ray's head and worker by their units, the two stages of
a pipeline. Tests run in this order, on one replica each.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import httpx
import pytest

from images.node import Cluster
from images.programs.gating.figures import TOKENS
from tests.vllm.environment import Engine
from tests.vllm.unit import ENGINE
from tests.vllm.world import BOOT_SECONDS, SOON, Ports, World, loopback

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm")]
RAY_HEAD: Final = "spillway-ray-head.service"
RAY_WORKER: Final = "spillway-ray-worker.service"


@dataclass
class Replica:
    head: World
    worker: World

    def epochs(self) -> list[int]:
        return [int((node.document("peers") or {}).get("epoch") or 0) for node in (self.head, self.worker)]

    def processes(self) -> set[int]:
        """Of all units of both nodes."""
        return {pid for node in (self.head, self.worker) for unit in node.units.values() for pid in unit.members()}

    def until_ready(self) -> float:
        """Seconds. The head answers a request then."""
        try:
            seconds = self.head.until(
                lambda: self.head.seen and self.head.seen[-1].status == 200,
                BOOT_SECONDS,
                "the replica does not get ready",
            )
        except AssertionError as fault:
            raise AssertionError(f"{fault}\n=== the worker\n{self.worker.troubles()}") from None
        assert self.head.chat(12).whole
        return seconds


@contextlib.contextmanager
def replica(engine: Engine, folder: Path, executor: Literal["native", "ray"]) -> Iterator[Replica]:
    """Both nodes, their units not started yet."""
    if engine.device != "cpu":
        pytest.skip("rung 5, two nodes on one machine: in the form for CPUs only; nodes would share GPUs")
    ports = Ports()
    head, worker = (
        Cluster(role="worker" if rank else "head", rank=rank, head_address=loopback(0), nodes=2, executor=executor)
        for rank in (0, 1)
    )
    with (
        World(folder / "head", engine, head, ports) as one,
        World(folder / "worker", engine, worker, ports) as two,
    ):
        yield Replica(one, two)


@pytest.fixture(scope="module")
def native(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with replica(engine, tmp_path_factory.mktemp("native"), "native") as made:
        made.head.start()
        made.worker.start()
        yield made


def test_two_nodes_make_tokens_together(native: Replica, report: list[str]) -> None:
    report.append(f"two nodes, --nnodes 2, tensor parallel 2: ready after {native.until_ready():.1f} s")
    assert native.head.chat(40).whole
    assert (native.head.document("peers") or {})["alive"] == 2
    for node in (native.head, native.worker):
        assert "--nnodes 2" in " ".join(node.unit.members().values())
        assert node.units[RAY_HEAD].passed_over
        assert node.units[RAY_WORKER].passed_over


def test_an_engine_killed_on_the_worker_ends_the_replica_as_a_whole_and_it_comes_back_as_a_whole(
    native: Replica, report: list[str]
) -> None:
    head, worker = native.head, native.worker
    epoch, start, warmed = max(native.epochs()), len(head.seen), len(head.events("gate", "engine warm"))
    lives = [len(node.unit.lives) for node in (head, worker)]
    old = native.processes()
    began = time.monotonic()
    worker.unit.order("kill")
    lost = head.until_says("peers", SOON)
    head.until(lambda: len(head.unit.lives) > lives[0], SOON, "the head's engine outlives the worker's")
    assert head.unit.lives[lives[0]].code == -signal.SIGKILL, "a drain would have waited for requests that cannot end"
    assert worker.unit.lives[lives[1]].code == -signal.SIGKILL
    head.until(lambda: min(native.epochs()) > epoch, SOON, "the nodes do not enter another epoch")
    assert head.chat(3).status in (502, 503)
    native.until_ready()
    report.append(
        f"engine of one node of two killed: /readyz 503 after {lost.at - began:.1f} s, "
        f"both killed, started anew and ready after {time.monotonic() - began:.1f} s"
    )
    reasons = head.reasons(start)
    assert "ready" not in reasons[reasons.index("peers") : -1], reasons
    assert len(head.events("gate", "engine warm")) == warmed + 1
    assert native.epochs()[0] == native.epochs()[1]
    assert not old & native.processes(), "a process of the old replica is in the new one"
    assert head.events("peers", "replica broken")[-1]["detail"] == "the engine of node 1 is gone"


def test_a_lost_node_is_told_before_the_engine_knows_and_all_start_anew(native: Replica, report: list[str]) -> None:
    head, worker = native.head, native.worker
    lives, start = len(head.unit.lives), len(head.seen)
    began = time.monotonic()
    worker.processes["peers"].kill()
    worker.processes["peers"].wait()
    worker.unit.order("kill")
    worker.unit.order("stop")
    health = httpx.get(f"{head.engine_url}/health", timeout=60, trust_env=False).status_code
    lost = head.until_says("peers", SOON)
    report.append(
        f"a node of two lost: /readyz 503 after {lost.at - began:.1f} s; vLLM's /health says {health} until then"
    )
    head.until(lambda: len(head.unit.lives) > lives + 1, SOON, "the head's engine is not killed, or does not wait")
    assert [life.code for life in head.unit.lives[lives : lives + 2]] == [-signal.SIGKILL, 1]
    refused = str(head.events("vllm", "does not start")[-1]["detail"])
    assert refused.startswith("cluster: 1 of 2 nodes of this replica are there; node 1 missing")
    assert not head.unit.alive()
    back = time.monotonic()
    worker.program("peers")
    worker.unit.order("start")
    native.until_ready()
    report.append(f"a node of two lost: ready {time.monotonic() - back:.1f} s after it came back")
    assert "peers" in head.reasons(start)
    assert native.epochs()[0] == native.epochs()[1]


@pytest.fixture(scope="module")
def by_ray(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    with replica(engine, tmp_path_factory.mktemp("ray"), "ray") as made:
        yield made


def stages(replica: Replica) -> list[int]:
    """Workers of vLLM among the processes of Ray's units, on head and worker."""
    units = (replica.head.units[RAY_HEAD], replica.worker.units[RAY_WORKER])
    return [sum("RayWorkerProc" in title or "VLLM::Worker" in title for title in u.members().values()) for u in units]


def test_ray_joins_two_nodes_and_the_stages_of_a_pipeline_make_tokens_together(
    by_ray: Replica, report: list[str]
) -> None:
    head, worker = by_ray.head, by_ray.worker
    began = time.monotonic()
    worker.start()
    worker.until(lambda: worker.units[RAY_WORKER].alive(), SOON, "the worker's Ray is not started")
    time.sleep(5)
    assert worker.events("spillway-ray-worker", "starts") == [], "it waits for the head, and starts no Ray of its own"
    head.start()
    worker.until(lambda: worker.events("spillway-ray-worker", "starts"), SOON, "the worker does not find the head")
    (found,) = worker.events("spillway-ray-worker", "head found")
    assert float(str(found["seconds"])) > 0
    by_ray.until_ready()
    report.append(f"two nodes, Ray, pipeline parallel 2: ready after {time.monotonic() - began:.1f} s")
    assert head.chat(40).whole
    assert head.scrape().totals[TOKENS] >= 40
    # Ray starts the engine's processes on the worker, one stage of two, where vLLM has no unit.
    assert worker.units[ENGINE].passed_over
    assert stages(by_ray) == [1, 1]
    assert (head.document("peers") or {})["alive"] == 2


def test_a_worker_of_ray_that_is_lost_ends_the_replica_as_a_whole_and_it_comes_back_as_a_whole(
    by_ray: Replica, report: list[str]
) -> None:
    head, worker = by_ray.head, by_ray.worker
    start, epoch, old = len(head.seen), max(by_ray.epochs()), by_ray.processes()
    lives = {name: len(head.units[name].lives) for name in (RAY_HEAD, ENGINE)}
    (main,) = (process.pid for process in [worker.units[RAY_WORKER].process] if process)
    began = time.monotonic()
    os.kill(main, signal.SIGKILL)
    lost = head.until_says("peers", SOON)
    for name, before in lives.items():
        head.until(lambda name=name, before=before: len(head.units[name].lives) > before, SOON, f"{name} lives on")  # type: ignore[misc]
    head.until(lambda: min(by_ray.epochs()) > epoch, SOON, "the nodes do not enter another epoch")
    by_ray.until_ready()
    report.append(
        f"worker of Ray killed: /readyz 503 after {lost.at - began:.1f} s, Ray and engine of both started anew "
        f"and ready after {time.monotonic() - began:.1f} s"
    )
    reasons = head.reasons(start)
    assert "ready" not in reasons[reasons.index("peers") : -1], reasons
    assert not old & by_ray.processes(), "a process of the old replica is in the new one"
    assert by_ray.epochs()[0] == by_ray.epochs()[1]
    assert stages(by_ray) == [1, 1]
