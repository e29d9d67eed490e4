"""Recovery: whose lock may be cancelled, and what the engine's errors are."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from spillway.errors import SpillwayError
from spillway.recovery.pulumi import Lock, Outcome, refuse_living

LOCKED = (
    "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete the "
    "lock file with `pulumi cancel`.",
    "  file:///x/.pulumi/locks/organization/p/dev/6.json: created by ann@{host} (pid {pid}) at 2026-11-26",
)


def locked(host: str, pid: int) -> list[Lock]:
    return Outcome(255, "", tuple(line.format(host=host, pid=pid) for line in LOCKED)).locks


def test_a_lock_is_read_from_what_the_engine_says() -> None:
    assert locked("far", 7) == [Lock("ann", "far", 7, "2026-11-26")]
    assert Outcome(1, "error: something else", ()).locks == []
    assert Outcome(1, "", ("error: [409] Conflict: Another update is currently in progress.",)).locks != []


def test_a_dead_holder_on_this_machine_does_not_stop_recovery_and_a_far_one_does() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    refuse_living("dev", locked(socket.gethostname(), child.pid), force=False)
    refuse_living(
        "dev", locked(socket.gethostname(), os.getpid()), force=False
    )  # alive, but no pulumi: the id is reused
    with pytest.raises(SpillwayError, match=r"on another machine.*--force"):
        refuse_living("dev", locked("far", 1), force=False)
    refuse_living("dev", locked("far", 1), force=True)


def test_a_living_pulumi_on_this_machine_stops_recovery(tmp_path: Path) -> None:
    program = tmp_path / "pulumi"
    program.write_text("#!/bin/sh\nread line\n")
    program.chmod(0o755)
    child = subprocess.Popen([program], stdin=subprocess.PIPE)
    try:
        with pytest.raises(SpillwayError, match="an update is running"):
            refuse_living("dev", locked(socket.gethostname(), child.pid), force=False)
    finally:
        child.communicate()


def test_the_engines_errors_are_told_once_and_without_its_summary() -> None:
    outcome = Outcome(1, "Diagnostics:\n    error: update failed\n    error: bad thing\n", ("error: bad thing",))
    assert outcome.errors == ["bad thing"]
    assert Outcome(1, "error: update failed", ()).errors == ["update failed"]
    assert Outcome(1, "only\nthis\n", ()).errors == ["only", "this"]
