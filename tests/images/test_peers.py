"""A replica of several nodes: who starts what, who is missed and how fast, and that all of it ends together."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from images import node
from images.programs import ray, state, when
from images.programs.gating import judge
from images.programs.serving import command
from images.programs.serving.command import Refused
from images.programs.together import addresses
from images.programs.together.replica import SILENT, Member, Replica
from images.render import render_node_json
from tests.support.node.gate import config

ROOT = Path(__file__).parents[2]
# A systemctl with a notebook: the unit's invocation is a file, a restart is another invocation.
SYSTEMCTL = """#!/bin/bash
cd @FOLDER@ || exit 1
case "$1" in
show) printf 'ActiveState=active\\nInvocationID=%s\\n' "$(<invocation)" ;;
*) echo "$*" >>calls; [[ $1 == restart ]] && echo "$RANDOM$RANDOM" >invocation ;;
esac
exit 0
"""


def cluster(rank: int = 0, **changes: Any) -> node.Cluster:
    role = "head" if rank == 0 else "worker"
    return node.Cluster.model_validate({"role": role, "rank": rank, "head_address": "10.0.0.5", "nodes": 2} | changes)


def several(rank: int = 0, tensor: int = 8, pipeline: int = 2, **changes: Any) -> node.NodeConfig:
    model = config().model.model_copy(update={"tensor_parallel": tensor, "pipeline_parallel": pipeline})
    return config(model=model, cluster=cluster(rank, **changes))


# -- node.json


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"role": "worker"}, "has rank 0"),
        ({"rank": 2, "role": "worker"}, "rank 2 of 2 nodes"),
        ({"head_address": "8.8.8.8"}, "no private address"),
        ({"head_address": "head.example.com"}, "no IP address"),
        ({"nodes": 1}, "greater than or equal to 2"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        cluster(**changes)


def test_gpus_have_to_divide_over_the_nodes() -> None:
    with pytest.raises(ValidationError, match=r"8 GPUs .* over 3 nodes"):
        several(tensor=8, pipeline=1, nodes=3)


# -- what starts where


def test_ray_is_asked_for_by_name_on_the_head() -> None:
    words = command.argv(several(), {}, "http://127.0.0.1:8000")
    assert words[-2:] == ["--distributed-executor-backend", "ray"]
    assert words[words.index("--pipeline-parallel-size") + 1] == "2"


def test_without_ray_every_node_runs_vllm_and_the_head_alone_has_the_api() -> None:
    head, worker = (command.argv(several(rank, executor="native"), {}, "http://127.0.0.1:8000") for rank in (0, 1))
    common = ["--distributed-executor-backend", "mp", "--nnodes", "2", "--node-rank"]
    assert head[-len(common) - 5 :] == [*common, "0", "--master-addr", "10.0.0.5", "--master-port", "29501"]
    assert worker[-6:] == ["1", "--master-addr", "10.0.0.5", "--master-port", "29501", "--headless"]


def test_a_worker_of_ray_starts_no_engine_of_its_own() -> None:
    with pytest.raises(Refused, match="on a worker Ray starts"):
        command.argv(several(1), {}, "http://127.0.0.1:8000")


def test_units_run_where_they_belong() -> None:
    nodes = {
        "alone": config(),
        "ray 0": several(0),
        "ray 1": several(1),
        "native 0": several(0, executor="native"),
        "native 1": several(1, executor="native"),
    }
    found = {name: [role for role in when.ROLES if when.applies(each, role)] for name, each in nodes.items()}
    assert found == {
        "alone": ["engine"],
        "ray 0": ["ray-head", "engine", "peers"],
        "ray 1": ["ray-worker", "peers"],
        "native 0": ["engine", "peers"],
        "native 1": ["engine", "peers"],
    }


def test_ray_listens_on_the_private_address_and_has_no_dashboard() -> None:
    head, worker = ray.argv(cluster(0), "10.0.0.5", "ray"), ray.argv(cluster(1), "10.0.0.6", "ray")
    assert head[:4] == ["ray", "start", "--head", "--port=6379"]
    assert worker[:3] == ["ray", "start", "--address=10.0.0.5:6379"]
    assert "--include-dashboard=false" in head
    for words, address in ((head, "10.0.0.5"), (worker, "10.0.0.6")):
        assert {f"--node-ip-address={address}", "--disable-usage-stats", "--block"} < set(words)


def test_more_of_rays_options_come_last_and_are_split_as_a_shell_would() -> None:
    words = ray.argv(cluster(1), "10.0.0.6", "ray", {ray.ARGS: "--num-gpus=1 --resources='{\"a\": 1}'"})
    assert words[-2:] == ["--num-gpus=1", '--resources={"a": 1}']
    with pytest.raises(Refused, match=f"{ray.ARGS}: No closing quotation"):
        ray.argv(cluster(1), "10.0.0.6", "ray", {ray.ARGS: "'"})


def test_the_engine_is_told_which_ray_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "node.json").write_text(render_node_json(several(head_address="127.0.0.1")))
    (tmp_path / "vllm").write_text("#!/bin/bash\necho RAY=$RAY_ADDRESS\n")
    (tmp_path / "vllm").chmod(0o755)
    environment = {
        **os.environ, "SPILLWAY_RUN": str(tmp_path), "SPILLWAY_NODE": str(tmp_path / "node.json"),
        "SPILLWAY_VLLM": str(tmp_path / "vllm"), "PYTHONPATH": str(ROOT), "HOME": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "images.programs.engine", "serve"], env=environment, capture_output=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert b"RAY=127.0.0.1:6379" in done.stdout
    assert ray.address(cluster(head_address="fd00::5"), {}) == "[fd00::5]:6379"


def test_a_worker_waits_for_the_head_and_not_for_ever() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        waited: list[float] = []
        with pytest.raises(Refused, match=r"no Ray at the head 127\.0\.0\.1:\d+ for 0 s"):
            ray.wait_for_head("127.0.0.1", nobody.getsockname()[1], 0, waited.append)
        nobody.listen()
        assert ray.wait_for_head("127.0.0.1", nobody.getsockname()[1], 5) < 1


@pytest.mark.parametrize("address", ["8.8.8.8", "0.0.0.0", "224.0.0.1", "2001:4860:4860::8888", "head"])
def test_no_other_than_a_private_address_is_spoken_on(address: str) -> None:
    with pytest.raises(Refused, match="cluster: "):
        addresses.checked(address)


def test_vllm_nccl_and_gloo_are_told_the_interface_of_that_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(addresses.ADDRESS, "127.0.0.1")
    assert addresses.variables("10.0.0.5") == {
        "VLLM_HOST_IP": "127.0.0.1", "NCCL_SOCKET_IFNAME": "lo", "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip


# -- what the gate makes of it


def verdict(peers: dict[str, Any] | None, now: float = 1000.0) -> judge.Verdict:
    good = {"state": "ok", "reason": ""}
    secrets = {**good, "notAfter": 5000, "keys": 1}
    return judge.of_files(
        drain=None, draining=False, scratch=good, stage=good, secrets=secrets, peers=peers, keys=1, now=now,
        several=True,
    )  # fmt: skip


def test_a_node_of_several_is_not_ready_before_somebody_has_looked_for_the_others() -> None:
    assert verdict(None).reason == "peers"
    assert verdict({"state": "ok", "reason": "", "looked": 998.0}).ready
    stale = verdict({"state": "ok", "reason": "", "looked": 970.0})
    assert (stale.reason, stale.detail) == ("peers", "nobody has looked for the other nodes of this replica for 30 s")


# -- what the head concludes


def member(rank: int, heard: float, epoch: int = 7, engine: str = "a", **more: Any) -> Member:
    return Member(rank, heard, epoch, engine, **more)


def test_all_are_there_when_all_were_heard() -> None:
    replica = Replica(2, 7)
    replica.hear(member(0, 0))
    assert replica.document(0)["reason"] == "1 of 2 nodes of this replica are there; node 1 missing"
    replica.hear(member(1, 0))
    assert replica.document(1) == {"state": "ok", "reason": "", "expected": 2, "alive": 2}


def test_silence_breaks_the_replica_once() -> None:
    replica = Replica(2, 7)
    for rank in (0, 1):
        replica.hear(member(rank, 0))
    replica.hear(member(0, SILENT + 1))
    assert replica.look(SILENT + 1) == "no word from node 1 for 5 s"
    assert replica.look(SILENT + 2) == ""
    assert (replica.epoch, replica.document(SILENT + 1)["alive"]) == (8, 1)


@pytest.mark.parametrize(
    ("word", "why"),
    [
        (member(1, 1, engine="b"), "the engine of node 1 is another one"),
        (member(1, 1, engine=""), "the engine of node 1 is gone"),
        (member(1, 1, epoch=0, engine=""), "node 1 began anew"),
    ],
)
def test_another_engine_breaks_the_replica(word: Member, why: str) -> None:
    replica = Replica(2, 7)
    replica.hear(member(1, 0))
    assert replica.hear(word) == why
    assert replica.epoch == 8


def test_an_engine_that_starts_for_a_new_epoch_breaks_nothing() -> None:
    replica = Replica(2, 8)
    for word in (member(1, 0, epoch=7), member(1, 1, epoch=8, engine=""), member(1, 2, epoch=8, engine="b")):
        assert replica.hear(word) == ""
    assert replica.epoch == 8


def test_no_engine_starts_beside_one_of_an_earlier_epoch() -> None:
    replica = Replica(2, 7)
    for word in (member(0, 0), member(1, 0)):
        replica.hear(word)
    replica.hear(member(1, 1, engine=""))
    broken = replica.document(1)
    assert broken["state"] == "missing"
    assert broken["reason"] == "the engine of node 1 is gone; nodes 0, 1 of this replica may still run the old engine"
    replica.hear(member(0, 2, epoch=8, engine=""))
    assert replica.document(2)["reason"].endswith("; node 1 of this replica may still run the old engine")
    replica.hear(member(1, 2, epoch=8, engine=""))
    assert replica.document(2)["state"] == "ok"


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.floats(0, 100), st.sampled_from(["", "a", "b"]), st.integers(5, 9)), max_size=30
    )
)
def test_epochs_never_fall_and_the_count_is_right(words: list[tuple[int, float, str, int]]) -> None:
    replica, before, now = Replica(4, 7), 7, 0.0
    for rank, pause, engine, epoch in words:
        now += pause
        replica.hear(Member(rank, now, epoch, engine))
        replica.look(now)
        assert replica.epoch >= before
        before = replica.epoch
        document = replica.document(now)
        old = replica.broken and replica.behind()
        assert (document["state"] == "ok") == (document["alive"] == 4 and not replica.leaving() and not old)


# -- two nodes, as processes


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Two:
    """Head and worker with a folder each."""

    def __init__(self, tmp: Path) -> None:
        self.tmp, self.port = tmp, free_port()
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        for rank in (0, 1):
            (self.at(rank) / "run").mkdir(parents=True)
            (self.at(rank) / "invocation").write_text(f"first-{rank}\n")
            systemctl = self.at(rank) / "systemctl"
            systemctl.write_text(SYSTEMCTL.replace("@FOLDER@", str(self.at(rank))))
            systemctl.chmod(0o755)
            text = several(rank, executor="native", head_address="127.0.0.1")
            (self.at(rank) / "node.json").write_text(render_node_json(text))

    def at(self, rank: int) -> Path:
        return self.tmp / str(rank)

    def start(self, rank: int) -> None:
        environment = {
            **os.environ, "SPILLWAY_RUN": str(self.at(rank) / "run"), "SPILLWAY_NODE": str(self.at(rank) / "node.json"),
            "SPILLWAY_SYSTEMCTL": str(self.at(rank) / "systemctl"), "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        with (self.at(rank) / "log").open("ab") as log:
            self.processes[rank] = subprocess.Popen(
                [sys.executable, "-m", "images.programs.peers", "--port", str(self.port)],
                cwd=ROOT, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def kill(self, rank: int) -> None:
        self.processes[rank].kill()
        self.processes[rank].wait()

    def said(self, rank: int) -> dict[str, Any]:
        with contextlib.suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.at(rank) / "run/peers.json").read_text())
            return found
        return {}

    def calls(self, rank: int) -> list[str]:
        path = self.at(rank) / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def until(self, good: Callable[[], bool], within: float = 30.0) -> float:
        began = time.monotonic()
        while not good():
            assert time.monotonic() - began < within, [
                (self.said(rank), self.calls(rank), (self.at(rank) / "log").read_text()) for rank in self.processes
            ]
            time.sleep(0.05)
        return time.monotonic() - began

    def until_ok(self) -> None:
        self.until(lambda: all(self.said(rank).get("state") == "ok" for rank in (0, 1)))


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path)
    try:
        made.start(0)
        made.start(1)
        made.until_ok()
        yield made
    finally:
        for process in made.processes.values():
            process.kill()
            process.wait()


RESTART = "restart --no-block vllm.service"


def test_a_lost_node_is_missed_in_seconds_and_all_start_anew_together(two: Two) -> None:
    before = two.calls(0).count(RESTART)
    two.kill(1)
    seconds = two.until(lambda: two.said(0)["state"] == "missing", 15)
    assert seconds < SILENT + 5
    assert two.said(0)["reason"] == "1 of 2 nodes of this replica are there; node 1 missing"
    two.until(lambda: two.calls(0).count(RESTART) == before + 1)
    (two.at(1) / "run/peers.json").unlink()  # it comes back as another machine
    (two.at(1) / "invocation").write_text("\n")
    two.start(1)
    two.until_ok()
    assert two.said(0)["epoch"] == two.said(1)["epoch"]
    assert two.calls(0).count(RESTART) == before + 1


def test_an_engine_that_died_on_one_node_is_started_anew_on_all(two: Two) -> None:
    before = [two.calls(rank).count(RESTART) for rank in (0, 1)]
    time.sleep(2.5)
    (two.at(1) / "invocation").write_text("systemd-started-it-again\n")
    two.until(lambda: all(two.calls(rank).count(RESTART) == before[rank] + 1 for rank in (0, 1)))
    time.sleep(4)
    assert [two.calls(rank).count(RESTART) for rank in (0, 1)] == [count + 1 for count in before], "it goes on and on"
    two.until_ok()


def test_the_head_drains_by_the_deadline_of_a_member_that_leaves(two: Two) -> None:
    drain = {"state": "draining", "reason": "", "cause": "spot", "deadline": time.time() + 30}
    state.replace(two.at(1) / "run/drain.json", json.dumps(drain).encode())
    two.until(lambda: "start --no-block spillway-drain@spot.service" in two.calls(0), 10)
    found = json.loads((two.at(0) / "run/drain.json").read_text())
    assert (found["cause"], found["deadline"]) == ("spot", drain["deadline"])
    two.until(lambda: two.said(1)["reason"] == "node 1 of this replica leaves (spot)")


def test_a_pause_of_the_program_itself_restarts_nothing(two: Two) -> None:
    time.sleep(2.5)
    before = [len(two.calls(rank)) for rank in (0, 1)]
    two.kill(1)
    two.start(1)
    time.sleep(3)
    two.until_ok()
    assert [len(two.calls(rank)) for rank in (0, 1)] == before


def test_garbage_on_the_port_harms_nobody(two: Two) -> None:
    for text in (b"GET / HTTP/1.1\r\n\r\n", b'{"rank": 0}\n', b'{"rank": 9, "nodes": 2}\n', b"\xff" * 9000, b"[]\n"):
        with socket.create_connection(("127.0.0.1", two.port), 5) as one, contextlib.suppress(OSError):
            one.sendall(text)
            one.settimeout(5)
            assert one.recv(100) == b""
    two.until_ok()
    assert two.processes[0].poll() is None
