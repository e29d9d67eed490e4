"""The Pulumi commands that recovery runs on one stack, and what they say when they fail."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from spillway.errors import SpillwayError
from spillway.recovery.state import State
from spillway.subprocesses import run

Say = Callable[[str], None]

# "the stack is currently locked by 1 lock(s) ... created by USER@HOST (pid N) at TIME":
# https://github.com/pulumi/pulumi/blob/v3.163.0/pkg/backend/diy/lock.go
_HELD = re.compile(r"created by (?P<user>.*)@(?P<host>[^@\s]+) \(pid (?P<pid>\d+)\) at (?P<since>\S+)")
_LOCKED = "currently locked by"
_CONFLICT = "Another update is currently in progress"  # Pulumi Cloud's answer, HTTP 409
_ERROR = re.compile(r"^\s*error: (.+)$")


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds the stack, as far as the backend tells."""

    user: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host} (pid {self.pid}) since {self.since}" if self.host else self.user

    @property
    def here(self) -> bool:
        return self.host == socket.gethostname()

    @property
    def dead(self) -> bool:
        """True when the holder ran on this machine and is gone, be it that something else has its process id by now."""
        return self.here and not _is_pulumi(self.pid)


def _is_pulumi(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, and is another user's
    try:
        names = subprocess.run(["ps", "-o", "stat=,comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
    except OSError:
        return True  # without ps nobody can tell: the careful answer
    state, _, name = names.stdout.strip().partition(" ")
    return "pulumi" in name and not state.startswith("Z")  # a zombie was killed, its parent only has not noticed


_UNREADABLE = "failed to load checkpoint"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    stdout: str
    tail: tuple[str, ...]

    @property
    def errors(self) -> list[str]:
        """What the engine calls errors, in its words, each once."""
        lines = [*self.stdout.splitlines(), *self.tail]
        found = dict.fromkeys(m[1].strip() for line in lines if (m := _ERROR.match(line)))
        said = [line for line in found if line not in ("update failed", "preview failed", "import failed")]
        return said or list(found) or [line for line in lines if line.strip()][-3:]

    @property
    def broke_state(self) -> bool:
        """Whether the command wrote a state that does not hang together."""
        return "snapshot integrity" in "\n".join([self.stdout, *self.tail])

    @property
    def locks(self) -> list[Lock]:
        """The locks that kept the command from running."""
        text = "\n".join([self.stdout, *self.tail])
        if _CONFLICT in text:
            return [Lock("another update", "", 0, "")]
        if _LOCKED not in text:
            return []
        return [Lock(m["user"].split()[-1], m["host"], int(m["pid"]), m["since"]) for m in _HELD.finditer(text)]


class Stack:
    """One stack of one project: `prefix` is the start of a command line, `pulumi` or `pulumi -C DIRECTORY`."""

    def __init__(self, name: str, prefix: tuple[str, ...], environment: Mapping[str, str], say: Say) -> None:
        self.name, self._prefix, self._environment, self._say = name, prefix, dict(environment), say

    def run(self, *arguments: str) -> Outcome:
        """`pulumi ARGUMENTS --stack NAME`, to its end; raises nothing when it fails."""
        command = [*self._prefix, *arguments, "--non-interactive", "--color", "never"]
        if arguments[0] != "whoami":
            command += ["--stack", self.name]
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            done = run(command, env=self._environment, stdout=output)
            output.seek(0)
            return Outcome(done.code, output.read(), done.tail)

    def must(self, doing: str, *arguments: str) -> str:
        """The standard output of a command that has to succeed. Raises SpillwayError in the engine's words."""
        outcome = self.run(*arguments)
        if outcome.code != 0:
            raise failed(self.name, doing, outcome)
        return outcome.stdout

    # What recovery needs

    def state(self) -> State:
        """The state as it is, secrets encrypted. Raises SpillwayError when there is no such stack."""
        outcome = self.run("stack", "export")
        if outcome.code != 0 and _UNREADABLE in "\n".join(outcome.errors) and self._drop_half_written():
            outcome = self.run("stack", "export")
        if outcome.code != 0:
            raise failed(self.name, "reading the state", outcome)
        exported: Mapping[str, Any] = json.loads(outcome.stdout)
        return State(exported)

    def _drop_half_written(self) -> bool:
        """Removes attribute files of the state that a kill left empty; whether there were any.

        A file backend replaces the state itself at once, but writes the `.attrs` file beside it in place
        (https://github.com/google/go-cloud/blob/master/blob/fileblob/attrs.go), and cannot read the state while that
        is not JSON. It holds nothing but content type and checksum; without one the backend does well.
        """
        folder = self._folder("stacks")
        broken = [p for p in folder.glob(f"**/{self.name}.json*.attrs") if not _is_json(p)] if folder else []
        for path in broken:
            path.unlink(missing_ok=True)
            self._say(f"removed {path.name}, half written when the update was killed")
        return bool(broken)

    def _folder(self, kind: str) -> Path | None:
        """A folder of a file backend, `stacks` or `locks`; None for another backend."""
        url = str(json.loads(self.must("reading the backend", "whoami", "--json")).get("url") or "")
        if urlparse(url).scheme != "file":
            return None
        return Path(unquote(url.removeprefix("file://").partition("?")[0])).expanduser() / ".pulumi" / kind

    def write(self, exported: Mapping[str, Any]) -> None:
        """Replaces the state; the engine refuses one that does not hang together."""
        with tempfile.TemporaryDirectory(prefix="spillway-recover-") as folder:
            file = Path(folder) / "state.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps(exported), encoding="utf-8")
            self.must("writing the state", "stack", "import", "--file", str(file))

    def preview(self) -> Mapping[str, Any]:
        """The plan of `pulumi preview --json`. Raises SpillwayError when the program or a check fails."""
        outcome = self.run("preview", "--json")
        start = outcome.stdout.find("{")
        plan: Mapping[str, Any] = {}
        if start >= 0:
            try:
                plan = json.JSONDecoder().raw_decode(outcome.stdout[start:])[0]
            except ValueError:
                plan = {}
        if outcome.code != 0 or not plan:
            told = [
                " ".join(str(d.get("message", "")).split())
                for d in plan.get("diagnostics") or []
                if d.get("severity") == "error"
            ]
            told = [line.removeprefix("error: ") for line in told if line]
            raise SpillwayError(*(f"{self.name}: preview: {line}" for line in told or outcome.errors))
        return plan

    def imports(self, file: Mapping[str, Any]) -> Outcome:
        """`pulumi import` of a whole file. What it could take in stays in the state even when it fails."""
        with tempfile.TemporaryDirectory(prefix="spillway-recover-") as folder:
            path = Path(folder) / "import.json"
            path.write_text(json.dumps(file, indent=2), encoding="utf-8")
            options = ("--yes", "--skip-preview", "--protect=false", "--generate-code=false")
            return self.run("import", "--file", str(path), *options)

    def refresh(self, *, force: bool) -> None:
        """Brings the state to what the cloud says and drops pending creates.

        A lock whose holder died on this machine is cancelled first. Raises SpillwayError when the holder lives, or runs
        on another machine where nobody can tell (unless `force`).
        """
        options = ("--yes", "--skip-preview", "--clear-pending-creates")
        outcome = self.run("refresh", *options)
        if outcome.locks:
            refuse_living(self.name, outcome.locks, force=force)
            self._say(f"cancelling the update of {', '.join(map(str, outcome.locks))}")
            self.must("cancel", "cancel", "--yes")
            outcome = self.run("refresh", *options)
        if outcome.code != 0:
            raise failed(self.name, "refresh", outcome)

    def locks(self) -> list[Lock]:
        """The stack's locks without touching it; only a file backend shows them, others give none."""
        folder = self._folder("locks")
        if folder is None:
            return []
        found = []
        for file in sorted(folder.glob(f"**/{self.name}/*.json")):
            try:
                held = json.loads(file.read_text(encoding="utf-8"))
                found.append(Lock(held["username"], held["hostname"], int(held["pid"]), held["timestamp"]))
            except (OSError, ValueError, KeyError):
                continue  # released while we looked
        return found


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def refuse_living(stack: str, locks: list[Lock], *, force: bool) -> None:
    """Raises SpillwayError unless every lock's holder is known to be dead, or `force` is given."""
    if force:
        return
    for lock in locks:
        if lock.dead:
            continue
        if lock.here:
            raise SpillwayError(f"{stack}: an update is running: {lock}; wait for it or end it, then recover")
        raise SpillwayError(
            f"{stack}: locked by {lock}, on another machine; make sure that it has ended there, then add --force"
        )


def failed(stack: str, doing: str, outcome: Outcome) -> SpillwayError:
    """The engine's own lines, each with the stack and what was being done."""
    return SpillwayError(*(f"{stack}: {doing}: {line}" for line in outcome.errors or [f"exit code {outcome.code}"]))
