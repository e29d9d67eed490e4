"""Children end with the command that started them, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from spillway import subprocesses
from spillway.engine import REPOSITORY
from spillway.subprocesses import run, terminate_as_exit


def test_output_comes_line_by_line_and_the_last_lines_are_kept() -> None:
    seen: list[str] = []
    answer = run(["sh", "-c", "i=0; while [ $i -lt 60 ]; do echo $i; i=$((i+1)); done; exit 3"], on_line=seen.append)
    assert seen == [str(number) for number in range(60)]
    assert answer.code == 3
    assert not answer.ok
    assert answer.tail == tuple(str(number) for number in range(60 - subprocesses.TAIL_LINES, 60))


def test_standard_output_can_go_to_a_file(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        answer = run(["sh", "-c", "echo data; echo said >&2"], stdout=file)
    assert (tmp_path / "out").read_text(encoding="utf-8") == "data\n"
    assert answer.tail == ("said",)
    assert answer.ok


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert run(["printf", r"\377\n"]).tail == ("\ufffd",)


def test_a_program_that_does_not_exist_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        run(["/nonexistent/program"])


def test_a_timeout_ends_the_child_and_what_it_started(tmp_path: Path) -> None:
    began = time.monotonic()
    answer = run(["sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait"], timeout=0.5)
    assert answer.timed_out
    assert not answer.ok
    assert time.monotonic() - began < 30
    assert gone(int((tmp_path / "pid").read_text(encoding="utf-8")))


def test_a_child_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocesses, "GRACE_SECONDS", 0.3)
    assert run(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], timeout=0.3).code == -signal.SIGKILL


def test_an_error_in_the_listener_ends_the_child() -> None:
    pids: list[int] = []

    def listen(line: str) -> None:
        pids.append(int(line))
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        run(["sh", "-c", "echo $$; sleep 60"], on_line=listen)
    assert gone(pids[0])


def test_no_descriptors_and_no_processes_are_left() -> None:
    here = psutil.Process()
    run(["true"])
    before = here.num_fds()
    for _ in range(5):
        run(["true"], timeout=9)
    assert here.num_fds() == before
    assert not [child for child in here.children(recursive=True) if child.name() in {"sh", "true"}]


def test_the_end_of_the_child_is_not_held_up_by_what_watches_it() -> None:
    began = time.monotonic()
    assert run(["echo", "done"]).tail == ("done",)
    assert time.monotonic() - began < 2


def test_what_a_child_leaves_running_is_ended(tmp_path: Path) -> None:
    assert run(["sh", "-c", f"sleep 60 >/dev/null 2>&1 & echo $! > {tmp_path}/pid"]).ok
    assert gone(int((tmp_path / "pid").read_text(encoding="utf-8")))


def test_arguments_arrive_as_they_are() -> None:
    words = ["a b", "$HOME", "*", "'quoted'", "-n", ""]
    assert run([sys.executable, "-c", "import sys; print(sys.argv[1:])", *words]).tail == (str(words),)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("delay", [0.0, 0.002, 0.01, 0.05])
def test_a_signal_at_any_moment_leaves_no_child(tmp_path: Path, number: signal.Signals, delay: float) -> None:
    pid_file = tmp_path / "pid"
    program = (
        "import sys; from spillway.subprocesses import run, terminate_as_exit\n"
        "with terminate_as_exit():\n"
        "    run(['sh', '-c', 'echo $$ > \"$1.new\"; mv \"$1.new\" \"$1\"; sleep 60', 'x', sys.argv[1]])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(pid_file)], cwd=REPOSITORY, stderr=subprocess.DEVNULL
    )
    while not pid_file.exists():
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(number)
    assert process.wait(20) in {-number, 128 + number}
    assert gone(int(pid_file.read_text(encoding="utf-8")))


def test_a_signal_while_a_child_is_being_started_is_not_lost() -> None:
    went_on = []

    def start() -> None:
        with terminate_as_exit(), subprocesses._signals_held_back():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
            went_on.append(True)

    with pytest.raises(SystemExit, match=str(128 + signal.SIGTERM)):
        start()
    assert went_on


def test_handlers_are_as_before_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with terminate_as_exit():
        run(["true"])
    assert [signal.getsignal(number) for number in numbers] == before


def test_it_works_outside_the_main_thread() -> None:
    output: list[str] = []

    def work() -> None:
        with terminate_as_exit():
            run(["echo", "from a thread"], on_line=output.append)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert output == ["from a thread"]


def gone(pid: int, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False
