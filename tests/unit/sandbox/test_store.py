"""The stand-in clouds' memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.errors import SpillwayError

TOKEN = "aws:ec2/vpc:Vpc"


def vpc(id: str, region: str = "us-east-1") -> Resource:
    return Resource(TOKEN, id, region, "1", {"cidrBlock": "10.0.0.0/16"}, {"arn": f"arn:{id}"})


def test_what_was_put_is_found_by_id_and_by_output(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.transaction(write=True) as tx:
        tx.put("aws", vpc("a"))
        tx.put("aws", vpc("b", "us-west-2"))
    with store.transaction(write=False) as tx:
        found = tx.get("aws", "1", "us-east-1", TOKEN, "a")
        assert found is not None
        assert found.inputs == {"cidrBlock": "10.0.0.0/16"}
        assert tx.get("aws", "1", "us-east-1", TOKEN, "b") is None
        assert [r.id for r in tx.by_output("aws", TOKEN, "arn", "arn:b")] == ["b"]
        assert [r.id for r in tx.all("aws", TOKEN, "us-west-2")] == ["b"]


def test_a_failed_call_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail() -> None:
        with store.transaction(write=True) as tx:
            tx.put("aws", vpc("a"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with store.transaction(write=False) as tx:
        assert tx.all("aws") == []


def test_numbers_of_a_counter_are_never_given_twice(tmp_path: Path) -> None:
    store = Store(tmp_path)
    taken: list[int] = []

    def take() -> None:
        for _ in range(25):
            with store.transaction(write=True) as tx:
                taken.append(tx.next("address"))

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(150))


def test_many_may_open_a_new_store_at_once(tmp_path: Path) -> None:
    for attempt in range(25):
        store = Store(tmp_path / str(attempt))
        failed: list[BaseException] = []

        def take(store: Store = store, failed: list[BaseException] = failed) -> None:
            try:
                with store.transaction(write=True) as tx:
                    tx.next("address")
            except SpillwayError as error:
                failed.append(error)

        threads = [threading.Thread(target=take) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []


def test_two_processes_write_at_once_and_a_killed_one_loses_only_what_it_had_not_finished(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sandbox.store import Store; from sandbox.kinds import Resource\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for i in range(10**6):\n"
        "    with store.transaction(write=True) as tx:\n"
        f"        tx.put('aws', Resource('{TOKEN}', f'{{sys.argv[2]}}-{{i}}', 'r', '1', {{}}, {{}}))\n"
        "    print(i, flush=True)\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path), name], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            while int(writer.stdout.readline()) < 20:
                pass
        time.sleep(0.05)
    finally:
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
    for writer, name in zip(writers, ("a", "b"), strict=True):
        assert writer.stdout is not None
        acknowledged = [int(line) for line in writer.stdout.read().split()]
        writer.wait()
        with Store(tmp_path).transaction(write=False) as tx:
            held = {r.id for r in tx.all("aws")}
        assert {f"{name}-{i}" for i in range((acknowledged or [20])[-1] + 1)} <= held
