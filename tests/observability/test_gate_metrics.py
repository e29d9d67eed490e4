"""What the gate shows of its node's files, for alerts that look ahead."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from images.programs import state
from images.programs.gate import Gate
from images.programs.gating.pace import Pace
from images.programs.gating.page import page


def shown(run: Path, monkeypatch: pytest.MonkeyPatch, **files: dict[str, Any]) -> dict[str, float]:
    monkeypatch.setenv("SPILLWAY_RUN", str(run))
    for name, content in files.items():
        state.write(name, **content)

    async def go() -> str:
        gate = Gate(Pace())
        gate.node.evaluate()
        return page(gate.node, gate.door)

    lines = [line.rsplit(" ", 1) for line in asyncio.run(go()).splitlines() if not line.startswith("#")]
    return {name.removeprefix("spillway_gate_"): float(value) for name, value in lines}


def test_when_the_certificate_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = round(time.time()) + 86400.0
    found = shown(tmp_path, monkeypatch, secrets={"state": "ok", "reason": "", "notAfter": ends, "keys": 2})
    assert found["certificate_expiry_timestamp_seconds"] == ends


def test_how_far_staging_is_and_why_a_node_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shown(
        tmp_path,
        monkeypatch,
        stage={"state": "running", "reason": "", "bytes": 10, "total": 40},
        drain={"state": "draining", "reason": "", "cause": "spot", "deadline": None},
    )
    assert (found["staged_bytes"], found["stage_bytes"]) == (10, 40)
    assert found['draining{cause="spot"}'] == 1


def test_what_is_not_known_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shown(tmp_path, monkeypatch, stage={"state": "failed", "reason": "", "bytes": "many"})
    assert not {"staged_bytes", "stage_bytes", "certificate_expiry_timestamp_seconds"} & set(found)
    assert found['draining{cause="none"}'] == 0
