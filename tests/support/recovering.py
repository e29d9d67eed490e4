"""`spillway recover` in tests on the real engine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter

from sandbox.project import ROOT
from spillway.recover import on_sandbox, recover
from spillway.recovery.report import Report
from tests.support.engine import EngineSandbox


def recovered(sandbox: EngineSandbox, stack: str = "one", *, dry_run: bool = False, force: bool = False) -> Report:
    target, inventories = on_sandbox(sandbox.project, stack, lambda text: print(text, file=sys.stderr))
    return recover(target, inventories, target._say, dry_run=dry_run, force=force)


def fault(kind: str, token: str, **more: object) -> str:
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f'faults:\n  - {{operation: create, type: "{token}", kind: {kind}{extra}}}\n'


def managed(sandbox: EngineSandbox, stack: str = "one") -> Counter[str]:
    """How many of each type the state knows."""
    exported = sandbox.pulumi("stack", "export", stack=stack).ok().json["deployment"]
    assert not exported.get("pending_operations")
    return Counter(r["type"] for r in exported["resources"] if r["custom"] and not r["type"].startswith("pulumi:"))


def wait_for(sandbox: EngineSandbox, token: str, seconds: float = 60) -> None:
    """Until the stand-in cloud holds one of a type."""
    end = time.monotonic() + seconds
    while not sandbox.resources(token):
        assert time.monotonic() < end, f"no {token} after {seconds} s"
        time.sleep(0.05)


def command(sandbox: EngineSandbox, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`spillway recover ARGUMENTS --sandbox` as a person runs it."""
    return subprocess.run(
        [sys.executable, "-m", "spillway.cli", "recover", *arguments, "--sandbox"],
        cwd=ROOT,
        env={**os.environ, "SPILLWAY_SANDBOX_DIR": str(sandbox.directory)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
