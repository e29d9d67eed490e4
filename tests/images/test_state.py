"""State files, journal lines and systemd's datagrams: what the node's programs tell each other and everybody else."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from images.check import sample
from images.programs import settings, state
from images.programs.journal import Journal
from images.programs.notify import notify, watchdog_seconds
from images.render import render_node_json

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPILLWAY_RUN", str(tmp_path))
    return tmp_path


def test_what_is_written_is_what_is_read(run: Path) -> None:
    state.write("stage", state="running", reason="two\nlines  in one", bytes=7, total=None)
    found = state.read("stage")
    assert found is not None
    assert found["reason"] == "two lines in one"
    assert (found["state"], found["bytes"], found["total"]) == ("running", 7, None)
    assert stat.S_IMODE((run / "stage.json").stat().st_mode) == 0o644
    assert [entry.name for entry in run.iterdir()] == ["stage.json"]
    state.remove("stage")
    state.remove("stage")
    assert state.read("stage") is None


def test_since_is_when_the_state_began_not_when_it_was_written() -> None:
    state.write("stage", state="running", bytes=1)
    first = state.read("stage")
    state.write("stage", state="running", bytes=2)
    second = state.read("stage")
    state.write("stage", state="ok", since=5)
    third = state.read("stage")
    assert first is not None
    assert second is not None
    assert third is not None
    assert first["since"] == second["since"]
    assert third["since"] == 5


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"state": 1}', b"\xff", b"[" * 100_000])
def test_a_file_that_holds_no_state_is_none(run: Path, content: bytes) -> None:
    (run / "stage.json").write_bytes(content)
    assert state.read("stage") is None
    with pytest.raises(ValueError, match="is "):
        state.parse(content)
    state.write("stage", state="ok")
    assert state.read("stage") is not None


def _write_for_ever(folder: str) -> None:
    os.environ["SPILLWAY_RUN"] = folder
    number = 0
    while True:
        number += 1
        state.write("stage", state="running", reason="x" * (number % 5000))


def test_a_reader_never_sees_half_a_file(run: Path) -> None:
    state.write("stage", state="running")
    writer = multiprocessing.get_context("spawn").Process(target=_write_for_ever, args=(str(run),), daemon=True)
    writer.start()
    try:
        reads = [state.read("stage") for _ in range(3000)]
    finally:
        writer.kill()
        writer.join()
    assert all(found is not None for found in reads)


def test_a_write_that_fails_leaves_what_was_there(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state.write("stage", state="ok")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        state.write("stage", state="failed")
    found = state.read("stage")
    assert found is not None
    assert found["state"] == "ok"
    assert [entry.name for entry in run.iterdir()] == ["stage.json"]


def test_a_secret_is_never_readable_for_others(run: Path) -> None:
    state.replace(run / "keys.json", b"[]", mode=0o640, group=os.getgid())
    assert stat.S_IMODE((run / "keys.json").stat().st_mode) == 0o640


def test_a_journal_line_is_json_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Journal("gate").tell("not ready", "warning", detail="a\nb", seconds=1.5, long="x" * 9000)
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    found = json.loads(line)
    assert (found["program"], found["event"], found["detail"], found["seconds"]) == ("gate", "not ready", "a b", 1.5)
    assert len(found["long"]) == 500


def _tell(program: str, writer: socket.socket, inode: int) -> int:
    environment = {**os.environ, "JOURNAL_STREAM": f"{os.fstat(writer.fileno()).st_dev}:{inode}"}
    command = [sys.executable, "-c", f"from images.programs.journal import Journal; j = Journal('gate'); {program}"]
    return subprocess.run(
        command, stdout=writer.fileno(), env=environment, cwd=ROOT, timeout=60, check=False
    ).returncode


@pytest.mark.parametrize("led", [True, False])
def test_a_line_has_its_priority_where_the_journal_reads_it(led: bool) -> None:
    reader, writer = socket.socketpair()
    with reader, writer:
        inode = os.fstat(writer.fileno()).st_ino if led else 1
        assert _tell("j.tell('x', 'warning')", writer, inode) == 0
        assert reader.recv(4096).decode() == "<4>" * led + '{"program": "gate", "event": "x"}\n'


def test_a_journal_that_does_not_read_stops_nobody_and_gets_whole_lines_later() -> None:
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        reader.settimeout(10)
        inode = os.fstat(writer.fileno()).st_ino
        heard: list[bytes] = []

        def listen() -> None:
            time.sleep(1.5)
            while part := reader.recv(4096):
                heard.append(part)

        thread = threading.Thread(target=listen)
        thread.start()
        lost = (
            "[j.tell(str(n) * 50) for n in range(900)]; import os, time; assert j.dropped; time.sleep(3); j.tell('end')"
        )
        assert _tell(lost, writer, inode) == 0
        writer.shutdown(socket.SHUT_WR)
        thread.join()
    lines = b"".join(heard).decode().splitlines()
    assert 0 < len(lines) < 900
    events = [json.loads(line.removeprefix("<6>"))["event"] for line in lines]
    assert events[-1] == "end"


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_systemd_gets_one_datagram_of_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    name = str(tmp_path / "n") if kind == "path" else f"@spillway-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if kind == "abstract" else name)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert notify(READY=1, STATUS="two\nlines\nMAINPID=1")
        assert receiver.recv(4096) == b"READY=1\nSTATUS=two lines MAINPID=1"


def test_without_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not notify(READY=1)
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    assert not notify(READY=1)


@pytest.mark.parametrize(
    ("usec", "pid", "seconds"),
    [("30000000", "own", 15.0), ("30000000", "", 15.0), ("30000000", "1", None), ("", "", None)],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(
    monkeypatch: pytest.MonkeyPatch, usec: str, pid: str, seconds: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert watchdog_seconds() == seconds


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "node.json: No such file or directory"),
        ("", "node.json: Invalid JSON"),
        ('{"cloud": "ibm"}', "node.json: cloud: Input should be 'aws'"),
        ("[" * 100_000, "node.json: Invalid JSON: recursion limit"),
    ],
)
def test_a_configuration_that_is_none_is_one_line(tmp_path: Path, content: str | None, told: str) -> None:
    if content is not None:
        (tmp_path / "node.json").write_text(content)
    with pytest.raises(settings.ConfigFault) as error:
        settings.load(tmp_path / "node.json")
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("key", ["bootMinutes", "drain.noticeSeconds", "limits.queue", "limits.ttftP50Ms"])
def test_a_number_that_no_float_holds_is_refused_before_a_program_reckons_with_it(tmp_path: Path, key: str) -> None:
    document = json.loads(render_node_json(sample("aws")))
    *folder, name = key.split(".")
    (document[folder[0]] if folder else document)[name] = 10**400
    (tmp_path / "node.json").write_text(json.dumps(document))
    with pytest.raises(settings.ConfigFault, match=rf"node\.json: {key}: Input should be less than") as error:
        settings.load(tmp_path / "node.json")
    assert "\n" not in str(error.value)
