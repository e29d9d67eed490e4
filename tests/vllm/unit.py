"""Units of a node without systemd: what images/rootfs says of start, stop and death, for the real programs.

ExecCondition and ExecStartPre before every start; Restart=always after RestartSec, whatever the exit code;
KillMode=mixed: SIGTERM to the main process alone, and SIGKILL to all that is left of the unit once that has ended or
TimeoutStopSec is over. In place of a control group: the main process's session, and whoever descends from it.
`systemctl` is a script that leaves its orders in a folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from images import tree
from images.programs.serving import leftovers

ROOT: Final = Path(__file__).resolve().parents[2]
UNITS: Final = tree.ROOTFS / tree.UNITS
ENGINE: Final = "vllm.service"
TICK: Final = 0.05
ENGINE_NICE: Final = 0 if os.geteuid() == 0 else 10
PROGRAMS_NICE: Final = -10
"""A tenth of the weight lies between them, as between CPUWeight= of gate and engine: decoding starves the others."""
KIN_EVERY: Final = 1.0
"""Seconds between looks at who belongs to the unit: an orphan of another session is known by what was seen before."""

SYSTEMCTL: Final = r"""#!/bin/bash
# What the node's programs ask of systemd: orders go to the stand-in, which tells the state of the unit in a file.
cd @FOLDER@ || exit 1
echo "$(date +%s.%N) $*" >>systemctl.log
verb=$1
shift
# In one step, and each in a file of its own: two may come at once.
order() { echo "$1" >".order.$$" && mv ".order.$$" "order.$2.$(date +%s%N)"; }
for unit in "$@"; do
    case "$verb $unit" in
    *" --"*) ;;
    "show "*) [[ -e $unit.show ]] && cat "$unit.show" ;;
    "start spillway-drain@"*)
        cause=${unit#*@}
        setsid nohup @PYTHON@ -m images.programs.drain "${cause%.service}" >>drain.log 2>&1 </dev/null & ;;
    "reload nginx.service") kill -HUP "$(<nginx.pid)" ;;
    "start "* | "stop "* | "kill "* | "restart "*) [[ -e $unit.show ]] && order "$verb" "$unit" ;;
    esac
done
exit 0
"""


def settings(unit: str, name: str) -> list[str]:
    """Values of a unit, as they stand in the image."""
    text = (UNITS / unit).read_text()
    return [line.split("=", 1)[1] for line in text.splitlines() if line.startswith(f"{name}=")]


def setting(unit: str, name: str) -> str:
    (found,) = settings(unit, name)
    return found


PREFIXES: Final = "!+-@:"


@dataclass(frozen=True)
class Command:
    """may_fail: systemd goes on when it fails, and when there is no such program (`-`)."""

    words: tuple[str, ...]
    may_fail: bool


def commands(unit: str, name: str) -> list[Command]:
    """What a unit runs: Python by this interpreter, and other programs where this machine has them."""
    found: list[Command] = []
    for line in settings(unit, name):
        bare = line.lstrip(PREFIXES)
        words = [word.replace("%n", unit) for word in shlex.split(bare)]
        may_fail = "-" in line[: len(line) - len(bare)]
        if Path(words[0]).name == "python":
            words[0] = sys.executable
        elif may_fail and shutil.which(words[0]) is None:
            continue
        found.append(Command(tuple(words), may_fail))
    return found


@dataclass(frozen=True)
class Life:
    """One start of the engine. began, ended: of the monotonic clock. code: as subprocess has it."""

    pid: int
    began: float
    ended: float
    code: int


@dataclass
class Unit:
    """A unit: `with Unit(folder, environment, core) as unit` starts nothing yet.

    core: the CPU that it is kept to, None: all of them. passed_over: by its ExecCondition it is not for this node.
    """

    folder: Path
    environment: dict[str, str]
    core: int | None = None
    name: str = ENGINE
    lives: list[Life] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    passed_over: bool = False
    fault: Exception | None = None
    """Of this stand-in itself, which then does nothing more."""
    _kin: dict[int, str] = field(default_factory=dict)
    _looked: float = 0.0
    _began: float = 0.0
    _wanted: bool = False
    _stopping: float | None = None
    _next: float = 0.0
    _over: bool = False
    _thread: threading.Thread | None = None

    def __enter__(self) -> Unit:
        assert setting(self.name, "Restart") == "always"
        assert setting(self.name, "KillMode") == "mixed"
        self.restart_seconds = float(setting(self.name, "RestartSec"))
        self.stop_seconds = float(setting(self.name, "TimeoutStopSec"))
        systemctl = self.folder / "systemctl"
        systemctl.write_text(SYSTEMCTL.replace("@FOLDER@", str(self.folder)).replace("@PYTHON@", sys.executable))
        systemctl.chmod(0o755)
        self._show()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        assert self._thread is not None
        self._thread.join(10)
        self._sweep()
        leftovers.clean_shared_memory()  # what a killed engine leaves, and no other start cleans here

    # -- what tests ask

    def order(self, word: str) -> None:
        """start, stop or kill."""
        subprocess.run([self.folder / "systemctl", word, self.name], check=True)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def members(self) -> dict[int, str]:
        """Processes of the unit and their names, zombies left out."""
        main = self.process.pid if self.process else 0
        table = processes()
        # Who was seen in it and still is the same process, who is in its session, and their descendants.
        found = {
            pid for pid, one in table.items() if self._kin.get(pid) == one.started or (main and one.session == main)
        }
        grown = True
        while grown:
            more = {pid for pid, one in table.items() if one.parent in found} - found
            found |= more
            grown = bool(more)
        self._kin = {pid: table[pid].started for pid in found}
        return {pid: title(pid) for pid in found if not table[pid].dead}

    def log(self) -> str:
        path = self.folder / f"{self.name.removesuffix('.service')}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def calls(self) -> list[tuple[float, str]]:
        """(unix seconds, arguments) of every order to systemctl that was no question."""
        path = self.folder / "systemctl.log"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [(float(line.split(" ", 1)[0]), line.split(" ", 1)[1]) for line in lines]
        return [(when, what) for when, what in found if not what.startswith("show")]

    # -- systemd's part

    def _show(self) -> None:
        if self.alive():
            told = "deactivating" if self._stopping else "active"
        else:
            told = "activating" if self._wanted else "inactive"
        invocation = f"{self.process.pid}-{self._began:.3f}" if self.process else ""
        text = f"LoadState=loaded\nActiveState={told}\nResult=success\nInvocationID={invocation}\n"
        path = self.folder / f"{self.name}.show"
        if not path.exists() or path.read_text() != text:
            new = self.folder / f".{self.name}.show"
            new.write_text(text)
            new.replace(path)

    def _run(self) -> None:
        try:
            while not self._over:
                self._obey()
                self._look()
                self._show()
                time.sleep(TICK)
        except Exception as fault:
            self.fault = fault  # whoever waits for the unit raises it

    def _obey(self) -> None:
        for path in sorted(self.folder.glob(f"order.{self.name}.*")):
            word = path.read_text().strip()
            path.unlink()
            self._do(word)

    def _do(self, word: str) -> None:
        if word == "start" and not self._wanted:
            self._wanted, self._next = True, 0.0
        elif word in ("stop", "restart"):
            self._wanted = word == "restart"
            if self.process and self.alive() and self._stopping is None:
                self._stopping = time.monotonic()
                self.process.send_signal(signal.SIGTERM)
            if word == "restart" and not self.alive():
                self._reap()
                self._next = 0.0
        elif word == "kill":
            self._sweep()

    def _look(self) -> None:
        now = time.monotonic()
        if self.process and now - self._looked > KIN_EVERY:
            self._looked = now
            self.members()
        if self._stopping and self.alive() and now - self._stopping > self.stop_seconds:
            self._sweep()
        self._reap()
        if self._wanted and self.process is None and now >= self._next:
            self._start()

    def _reap(self) -> None:
        """Of a main process that has ended."""
        if self.process and self.process.poll() is not None:
            ended = time.monotonic()
            self._sweep()  # mixed: what is left of the control group goes at once
            self.lives.append(Life(self.process.pid, self._began, ended, self.process.returncode))
            self.process, self._stopping = None, None
            self._next = ended + self.restart_seconds

    def _start(self) -> None:
        self._began = time.monotonic()
        with (self.folder / f"{self.name.removesuffix('.service')}.log").open("ab") as log:
            common = {"cwd": ROOT, "env": self.environment, "stdout": log, "stderr": log, "stdin": subprocess.DEVNULL}
            for name in ("ExecCondition", "ExecStartPre"):
                for command in commands(self.name, name):
                    checked = subprocess.run(command.words, timeout=300, check=False, **common)  # type: ignore[call-overload]
                    if checked.returncode == 0 or command.may_fail:
                        continue
                    if name == "ExecCondition":
                        self._wanted, self.passed_over = False, True
                    else:
                        self.lives.append(Life(0, self._began, time.monotonic(), checked.returncode))
                        self._next = time.monotonic() + self.restart_seconds
                    return
            pin = ["taskset", "--cpu-list", str(self.core)] if self.core is not None else []
            (command,) = commands(self.name, "ExecStart")
            self.process = subprocess.Popen(
                [*pin, *nice(ENGINE_NICE), *command.words], start_new_session=True, **common
            )  # type: ignore[call-overload]
            weigh(self.process.pid, ENGINE_NICE)

    def _sweep(self) -> None:
        # More than once: who is killed last may have had a child meanwhile.
        for _ in range(3):
            found = self.members()
            if self.process and self.process.poll() is None:
                found.setdefault(self.process.pid, "")
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(TICK)
            if not self.members():
                break
        if self.process and self._over:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(30)


@dataclass(frozen=True)
class Process:
    """As /proc/PID/stat has it (https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html); started in clock ticks."""

    parent: int
    session: int
    started: str
    dead: bool


def processes() -> dict[int, Process]:
    """All of this machine."""
    found: dict[int, Process] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                rest = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                found[int(entry.name)] = Process(int(rest[1]), int(rest[3]), rest[19], rest[0] in "ZX")
    return found


def title(pid: int) -> str:
    """Command line of a process, or its name."""
    entry = Path("/proc") / str(pid)
    with contextlib.suppress(OSError):
        found = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        return found or (entry / "comm").read_text().strip()
    return ""


def nice(level: int) -> list[str]:
    """A prefix. Only root may go ahead of others; in between is what the units' CPUWeight= says."""
    return ["nice", "-n", str(level)] if os.geteuid() == 0 or level > 0 else []


def weigh(pid: int, level: int) -> None:
    """The same for the session as a whole: between sessions that alone counts, where the kernel groups by them
    (https://man7.org/linux/man-pages/man7/sched.7.html, "The autogroup feature")."""
    with contextlib.suppress(OSError):
        (Path("/proc") / str(pid) / "autogroup").write_text(str(level))


def lines(path: Path) -> list[dict[str, object]]:
    """What a program told the journal."""
    found = path.read_text(errors="replace").splitlines() if path.exists() else []
    return [json.loads(line) for line in found if line.startswith("{")]
