"""The real engine on a node: ready, serving, killed, drained. Tests run in this order, on one node."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from images.programs.gating.figures import TOKENS
from images.programs.serving import leftovers
from tests.vllm import tiny
from tests.vllm.environment import Engine
from tests.vllm.world import BOOT_SECONDS, DRAIN, SOON, Reply, World, many

pytestmark = [pytest.mark.vllm, pytest.mark.xdist_group("vllm")]


@pytest.fixture(scope="module")
def world(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("node"), engine) as made:
        yield made


@pytest.fixture(scope="module")
def booted(world: World, report: list[str]) -> World:
    """Ready for the first time."""
    began = time.monotonic()
    world.start()
    listens: list[float] = []

    def ready() -> bool:
        if not listens and world.events("gate", "engine listens"):
            listens.append(time.monotonic() - began)
        return bool(world.seen) and world.seen[-1].status == 200

    seconds = world.until(ready, BOOT_SECONDS, "the node does not get ready")
    report.append(f"start to /health 200: {listens[0]:.1f} s, to ready: {seconds:.1f} s")
    return world


def test_the_node_is_ready_only_after_the_engine_has_made_a_token(booted: World) -> None:
    assert booted.reasons()[-3:] == ["starting", "warming", "ready"] or booted.reasons()[-2:] == ["starting", "ready"]
    (warm,) = booted.events("gate", "engine warm")
    assert warm["detail"] == "it made a token"
    assert booted.metric('spillway_gate_engine_polls_total{what="token-warm-up",result="ok"}') == 1
    # Nobody but the gate has asked for anything yet.
    assert booted.scrape().totals[TOKENS] >= 1
    order = [line["event"] for line in booted.events("gate", "engine listens") + booted.events("gate", "engine warm")]
    assert order == ["engine listens", "engine warm"]


def test_the_engine_was_started_with_the_nodes_options(booted: World) -> None:
    (process,) = (title for pid, title in booted.unit.members().items() if pid == booted.unit.process.pid)  # type: ignore[union-attr]
    assert f"--served-model-name {tiny.NAME}" in process
    assert f"--shutdown-timeout {DRAIN.drain_seconds}" in process
    answer = httpx.get(f"{booted.engine_url}/v1/models", timeout=60, trust_env=False).json()
    assert [(one["id"], one["max_model_len"]) for one in answer["data"]] == [(tiny.NAME, 1024)]


def test_a_chat_completion_streams_through_tls(booted: World, report: list[str]) -> None:
    reply = booted.chat(120)
    assert (reply.status, reply.error, reply.whole) == (200, "", True)
    spread = reply.arrivals[-1] - reply.arrivals[0]
    assert len(reply.arrivals) > 10
    assert reply.arrivals[0] - reply.began < (reply.arrivals[-1] - reply.began) / 2, "it came in one piece at the end"
    report.append(
        f"first token after {(reply.arrivals[0] - reply.began) * 1000:.0f} ms, "
        f"then {119 / spread:.0f} tokens/s in one stream"
    )


@pytest.mark.parametrize("key", [None, "x" * 40])
def test_without_a_key_that_is_known_nothing_reaches_the_engine(booted: World, key: str | None) -> None:
    before = booted.scrape().totals
    answer = booted.post({"model": tiny.NAME, "messages": [{"role": "user", "content": "hello"}]}, key=key)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert booted.scrape().totals == before


def test_what_the_engine_refuses_is_the_clients_fault_and_no_error_of_the_node(booted: World) -> None:
    answer = booted.post({"model": tiny.NAME, "prompt": "x" * 2000, "max_tokens": 1}, path="/v1/completions")
    assert answer.status_code == 400, answer.text
    assert booted.post({"model": "another", "prompt": "x"}, path="/v1/completions").status_code == 404
    time.sleep(1.5)  # a poll or more of the gate
    assert booted.readyz().reason == "ready"
    assert booted.metric('spillway_gate_circuit{state="closed"}') == 1


def median_bucket(buckets: dict[float, float]) -> tuple[float, float]:
    """The bounds of the bucket with the median."""
    half, below = max(buckets.values()) / 2, 0.0
    for bound in sorted(buckets):
        if buckets[bound] >= half:
            return below, bound
        below = bound
    raise AssertionError("an empty histogram")


def test_the_gate_and_the_engine_agree_on_queue_first_tokens_and_errors(booted: World, report: list[str]) -> None:
    pairs: list[tuple[float, float, float | None, float | None]] = []
    # Four run at once (maxNumSeqs), so eight wait, and then fewer.
    with many(lambda: booted.chat(150), 12) as replies:
        end = time.monotonic() + 900
        while len(replies) < 12 and time.monotonic() < end:
            truth = booted.scrape()
            pairs.append(
                (truth.waiting, truth.running, booted.metric("spillway_gate_queue_requests"),
                 booted.metric("spillway_gate_running_requests"))
            )  # fmt: skip
            time.sleep(0.3)
    assert [reply.error for reply in replies] == [""] * 12
    assert all(reply.whole for reply in replies)
    assert max(waiting for waiting, *_ in pairs) >= 4, pairs
    assert max(told or 0 for _, _, told, _ in pairs) >= 4, pairs
    assert max(running for _, running, *_ in pairs) == 4
    assert max(told or 0 for *_, told in pairs) == 4
    with many(lambda: booted.chat(3), 12):
        pass
    booted.until(lambda: booted.metric("spillway_gate_running_requests") == 0, SOON, "the gate does not see the end")
    time.sleep(1.5)
    truth = booted.scrape()
    assert (booted.metric("spillway_gate_queue_requests"), truth.waiting) == (0, 0)
    told = booted.metric("spillway_gate_ttft_p50_seconds")
    assert told is not None
    assert booted.metric("spillway_gate_error_ratio") == 0
    assert booted.readyz().reason == "ready"
    # The engine counts since its start, the gate of the last minute, give or take a poll of either.
    now = time.monotonic()
    earlier = [one.ttft for at, one in booted.scrapes if abs(now - 60 - at) < 4] or [dict.fromkeys(truth.ttft, 0.0)]
    bounds = [median_bucket({bound: truth.ttft[bound] - past[bound] for bound in truth.ttft}) for past in earlier]
    low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
    report.append(f"median time to first token of the last minute: gate {told:.3f} s, engine {low:g} to {high:g} s")
    assert low <= told <= high


def worker(world: World) -> int:
    """The process that computes."""
    found = world.unit.members()
    main = world.unit.process.pid if world.unit.process else 0
    names = {pid: title for pid, title in found.items() if pid != main and "VLLM::" in title}
    for wanted in (r"VLLM::Worker", r"VLLM::EngineCore"):
        for pid, title in names.items():
            if re.search(wanted, title):
                return pid
    raise AssertionError(f"there is no worker: {found}")


def test_a_killed_engine_is_noticed_restarted_and_proven_again(booted: World, report: list[str]) -> None:
    warmed = len(booted.events("gate", "engine warm"))
    lives, start = len(booted.unit.lives), len(booted.seen)
    pid = worker(booted)
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    lost = booted.until_says("engine", SOON)
    booted.until(lambda: len(booted.unit.lives) > lives, 2 * SOON, "the launcher of a killed engine does not end")
    life = booted.unit.lives[lives]
    report.append(
        f"worker killed: /readyz 503 after {lost.at - began:.1f} s, launcher gone after {life.ended - began:.1f} s "
        f"with exit code {life.code}"
    )
    assert life.code == 0, (
        "the engine does not end with 0 any more: Restart=always is for that, and is right for others too"
    )
    assert booted.unit.members() == {} or booted.unit.alive(), "a worker has outlived the unit"
    refused = booted.chat(3)
    assert refused.status in (502, 503), refused
    ready = booted.until_says("ready", BOOT_SECONDS)
    report.append(f"worker killed: ready again after {ready.at - began:.1f} s")
    assert "ready" not in booted.reasons(start)[booted.reasons(start).index("engine") : -1]
    assert len(booted.events("gate", "engine warm")) == warmed + 1
    assert booted.events("gate", "engine warm")[-1]["detail"] == "it made a token"
    assert booted.scrape().totals[TOKENS] >= 1
    assert booted.chat(5).whole


def test_a_killed_engine_leaves_no_shared_memory_behind(booted: World) -> None:
    killed = booted.unit.lives[-1]
    offset = time.time() - time.monotonic()
    used = leftovers.in_use()
    left = [
        entry.name
        for entry in leftovers.SHM.glob("psm_*")
        if entry.name not in used and killed.began <= entry.stat().st_mtime - offset <= killed.ended
    ]
    assert left == []


def test_a_spot_notice_drains_the_node_and_loses_nothing_that_was_accepted(booted: World, report: list[str]) -> None:
    one = booted.chat(60)
    speed = 59 / (one.arrivals[-1] - one.arrivals[0])
    # Four run at once and each is slower for it: about six seconds, longer than the balancers are waited for.
    tokens = max(40, min(900, int(speed * 3)))
    metadata = booted.metadata()
    booted.program("spotwatch")
    booted.until(
        lambda: (booted.document("notice") or {}).get("state") == "watching", SOON, "spot watcher does not watch"
    )
    late: list[Reply] = []
    over = threading.Event()

    def clients() -> None:
        while not over.is_set():
            late.append(booted.chat(8))
            over.wait(0.2)

    with many(lambda: booted.chat(tokens), 4) as long:
        time.sleep(1.5)
        assert long == [], "requests that were to outlast the notice are over already"
        beside = threading.Thread(target=clients, daemon=True)
        beside.start()
        time.sleep(1.0)
        began = time.monotonic()
        httpx.post(
            f"{metadata}/stand-in/notice", json={"seconds": DRAIN.notice_seconds}, trust_env=False
        ).raise_for_status()
        draining = booted.until_says("draining", SOON)
        booted.until(
            lambda: (booted.document("drain") or {}).get("state") == "stopped", 3 * SOON, "the drain does not end"
        )
        took = time.monotonic() - began
        over.set()
        beside.join(900)
    life = booted.unit.lives[-1]
    stopped = [when for when, what in booted.unit.calls() if what == "stop --no-block vllm.service"]
    kills = [what for _, what in booted.unit.calls() if what.startswith("kill")]
    report.append(
        f"notice to 503: {draining.at - began:.2f} s, to the end of the drain: {took:.1f} s "
        f"({life.ended - began:.1f} s to the engine's exit, code {life.code}), "
        f"{len(long)} requests of {tokens} tokens in flight and {len(late)} that came meanwhile"
    )
    assert [reply.error for reply in long] == [""] * 4
    assert all(reply.whole for reply in long)
    # Who came during the wait for the balancers was served or refused in words, and never let in and dropped.
    assert {reply.status for reply in late} <= {200, 502, 503}
    assert all(reply.whole for reply in late if reply.accepted), [r for r in late if r.accepted and not r.whole]
    assert any(reply.accepted for reply in late)
    assert any(reply.status == 503 for reply in late)
    assert len(stopped) == 1
    assert kills == []
    assert not booted.unit.alive()
    assert booted.reasons()[-1] == "draining"
