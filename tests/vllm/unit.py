"""vllm.service without systemd: what its unit says of start, stop and death, for the real program in its own session.

ExecStartPre before every start; Restart=always after RestartSec, whatever the exit code; KillMode=mixed: SIGTERM to the
main process alone, and SIGKILL to all that is left of the session once that has ended or TimeoutStopSec is over. The
figures come from images/rootfs. `systemctl` is a script that leaves its orders in a folder.
"""

from __future__ import annotations

import contextlib
import json
import os
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
UNIT: Final = tree.ROOTFS / tree.UNITS / "vllm.service"
TICK: Final = 0.05

SYSTEMCTL: Final = r"""#!/bin/bash
# What the node's programs ask of systemd: orders go to the stand-in, which tells the state of the unit in a file.
cd @FOLDER@ || exit 1
echo "$(date +%s.%N) $*" >>systemctl.log
unit=${*: -1}
# In one step, and each in a file of its own: two may come at once.
order() { echo "$1" >".order.$$" && mv ".order.$$" "order.$(date +%s%N)"; }
case "$1 $unit" in
"show "*) cat vllm.show ;;
"start vllm.service" | "stop vllm.service") order "$1" ;;
"kill vllm.service") order kill ;;
"restart vllm.service") order restart ;;
"start spillway-drain@"*)
    cause=${unit#*@}
    setsid nohup @PYTHON@ -m images.programs.drain "${cause%.service}" >>drain.log 2>&1 </dev/null & ;;
"reload nginx.service") kill -HUP "$(<nginx.pid)" ;;
esac
"""


def setting(name: str) -> str:
    """A value of the unit, as it stands in the image."""
    for line in UNIT.read_text().splitlines():
        if line.startswith(f"{name}="):
            return line.split("=", 1)[1]
    raise LookupError(f"{UNIT}: there is no {name}=")


@dataclass(frozen=True)
class Life:
    """One start of the engine. began, ended: of the monotonic clock. code: as subprocess has it."""

    pid: int
    began: float
    ended: float
    code: int


@dataclass
class Unit:
    """The unit: `with Unit(folder, environment, core) as unit` starts nothing yet.

    core: the CPU that it is kept to, None: all of them. program: what is started, `images.programs.engine` by default.
    """

    folder: Path
    environment: dict[str, str]
    core: int | None = None
    lives: list[Life] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    restart_seconds: float = field(default_factory=lambda: float(setting("RestartSec")))
    stop_seconds: float = field(default_factory=lambda: float(setting("TimeoutStopSec")))
    _began: float = 0.0
    _wanted: bool = False
    _stopping: float | None = None
    _next: float = 0.0
    _over: bool = False
    _thread: threading.Thread | None = None

    def __enter__(self) -> Unit:
        assert setting("Restart") == "always"
        assert setting("KillMode") == "mixed"
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
        subprocess.run([self.folder / "systemctl", word, "vllm.service"], check=True)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def members(self) -> dict[int, str]:
        """Processes of the unit and their names, zombies left out."""
        found: dict[int, str] = {}
        if self.process is None:
            return found
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            with contextlib.suppress(OSError, ValueError, IndexError):
                text = (entry / "stat").read_text()
                rest = text.rsplit(")", 1)[1].split()
                if int(rest[3]) == self.process.pid and rest[0] != "Z":
                    title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                    found[int(entry.name)] = title or text.split("(", 1)[1].rsplit(")", 1)[0]
        return found

    def log(self) -> str:
        path = self.folder / "vllm.log"
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
        path = self.folder / "vllm.show"
        if not path.exists() or path.read_text() != text:
            (self.folder / "vllm.show.new").write_text(text)
            (self.folder / "vllm.show.new").replace(path)

    def _run(self) -> None:
        while not self._over:
            self._obey()
            self._look()
            self._show()
            time.sleep(TICK)

    def _obey(self) -> None:
        for path in sorted(self.folder.glob("order.*")):
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
                self._next = 0.0
        elif word == "kill":
            self._sweep()

    def _look(self) -> None:
        now = time.monotonic()
        if self.process and self.process.poll() is not None:
            self._sweep()  # mixed: what is left of the control group goes at once
            self.lives.append(Life(self.process.pid, self._began, now, self.process.returncode))
            self.process, self._stopping = None, None
            self._next = now + self.restart_seconds
        elif self._stopping and now - self._stopping > self.stop_seconds:
            self._sweep()
        if self._wanted and self.process is None and now >= self._next:
            self._start()

    def _start(self) -> None:
        self._began = time.monotonic()
        with (self.folder / "vllm.log").open("ab") as log:
            common = {"cwd": ROOT, "env": self.environment, "stdout": log, "stderr": log, "stdin": subprocess.DEVNULL}
            command = [sys.executable, "-m", "images.programs.engine"]
            checked = subprocess.run([*command, "check"], timeout=120, check=False, **common)  # type: ignore[call-overload]
            if checked.returncode != 0:
                self.lives.append(Life(0, self._began, time.monotonic(), checked.returncode))
                self._next = time.monotonic() + self.restart_seconds
                return
            pin = ["taskset", "--cpu-list", str(self.core), "nice", "-n", "10"] if self.core is not None else []
            self.process = subprocess.Popen([*pin, *command, "serve"], start_new_session=True, **common)  # type: ignore[call-overload]

    def _sweep(self) -> None:
        for pid in self.members():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process and self._over:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)


def lines(path: Path) -> list[dict[str, object]]:
    """What a program told the journal."""
    found = path.read_text(errors="replace").splitlines() if path.exists() else []
    return [json.loads(line) for line in found if line.startswith("{")]
