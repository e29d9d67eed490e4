"""A node.json that is none: each program says so in one line of its own, and ends as its unit expects."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from images.render import render_node_json
from tests.support.node.gate import config

GOOD = render_node_json(config())
BAD: dict[str, bytes | None] = {
    "missing": None,
    "empty": b"",
    "not JSON": b"cloud: aws",
    "not UTF-8": b'{"cloud": "\xff\xfe"}',
    "NUL": b"\0" * 64,
    "nested": b"[" * 2**20,
    "a list": b"[]",
    "other types": json.dumps({**json.loads(GOOD), "model": 7, "serving": [], "bootMinutes": "20"}).encode(),
    "unknown key": json.dumps({**json.loads(GOOD), "unknown\nkey": 1}).encode(),
    "absurd number": GOOD.replace('"bootMinutes": 20', '"bootMinutes": 1' + "0" * 5000).encode(),
}
PROGRAMS = {
    "spotwatch": 1,
    "telemetry": 1,
    "logs check": 255,  # 1 to 254 would be: nothing to do here
    "logs run": 255,
    "peers": 1,
    "ray head": 1,
    "ray worker": 1,
    "when ray-head": 1,  # passed over
    "when engine": 0,  # and this one is not: its check says what is wrong, time after time
    "lifecycle": 1,
    "stage": 1,
    "secrets": 1,
    "engine check": 1,
    "engine serve": 1,
    "engine argv": 1,
    "metadata vllm.service": 1,
    "front configure": 0,  # nginx comes up, so that /readyz can say so
}
"""Command line -> exit code. The gate and a drain go on without (test_gate_faults.py, test_drain.py)."""


@pytest.mark.parametrize("case", BAD)
def test_a_node_json_that_is_none_is_one_line_of_every_program(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    node, run = tmp_path / "node.json", tmp_path / "run"
    run.mkdir()
    if (content := BAD[case]) is not None:
        node.write_bytes(content)
    monkeypatch.setenv("SPILLWAY_NODE", str(node))
    monkeypatch.setenv("SPILLWAY_RUN", str(run))
    monkeypatch.setenv("SPILLWAY_SYSTEMCTL", "")
    monkeypatch.setattr("images.programs.front.self_signed", lambda _: False)
    monkeypatch.setattr("os.umask", lambda _: 0o022)  # of these tests' process
    for line, code in PROGRAMS.items():
        name, *_ = line.split()
        monkeypatch.setattr("sys.argv", line.split())
        monkeypatch.setattr("logging.root.handlers", [])
        assert importlib.import_module(f"images.programs.{name}").main() == code, line
        out, err = capfd.readouterr()
        told = [one for one in (out + err).splitlines() if str(node) in one]
        assert len(told) == 1, (line, out, err)
        assert len(told[0]) < 1000, line
        assert "Traceback" not in out + err, line
        assert f"{node}: : " not in told[0], line
