"""Runs the real Pulumi engine on a sandbox of its own, for tests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml
from rich.console import Console

from sandbox.kinds import Resource
from sandbox.project import ROOT, Project, pulumi_command
from sandbox.store import Store
from spillway.engine import ensure_engine


@dataclass
class Result:
    """One finished command."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout + self.stderr

    def ok(self) -> Result:
        """The result itself; fails the test with the command's output when the command failed."""
        assert self.code == 0, self.text
        return self

    def failed(self) -> Result:
        assert self.code != 0, self.text
        return self

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@dataclass
class EngineSandbox:
    """A sandbox directory with a project: the repository's own, or a small program."""

    directory: Path
    root: Path = ROOT
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.project = Project(self.directory, self.root)
        self.environment = self.project.environment(ensure_engine(Console(stderr=True)))
        self.project.sync()

    def pulumi(self, *arguments: str, stack: str, timeout: float = 300) -> Result:
        """`pulumi ARGUMENTS --stack STACK` in the shadow project, to its end."""
        self.project.sync()
        self.project.ensure_stack(stack, self.environment)
        done = subprocess.run(
            self.command(*arguments, stack=stack),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def command(self, *arguments: str, stack: str) -> list[str]:
        return pulumi_command([*arguments, "--non-interactive", "--color", "never", "--stack", stack], self.project)

    def start(self, *arguments: str, stack: str) -> subprocess.Popen[str]:
        """The same in a session of its own, so that `kill` reaches the CLI and all that it started."""
        self.project.sync()
        self.project.ensure_stack(stack, self.environment)
        return subprocess.Popen(
            self.command(*arguments, stack=stack),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @staticmethod
    def kill(process: subprocess.Popen[str]) -> None:
        """kill -9 of the whole session, and of the language hosts, which have groups of their own and would stay."""
        with suppress(psutil.NoSuchProcess):
            started = psutil.Process(process.pid).children(recursive=True)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            for child in started:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        process.communicate()

    def up(self, stack: str, *arguments: str) -> Result:
        return self.pulumi("up", "--yes", "--skip-preview", *arguments, stack=stack)

    def preview(self, stack: str, *arguments: str) -> Any:
        """The plan of `pulumi preview --json`."""
        return self.pulumi("preview", "--json", "--show-sames", *arguments, stack=stack).ok().json

    def resources(self, token: str | None = None) -> list[Resource]:
        """What the stand-in cloud holds."""
        with Store(self.directory).transaction(write=False) as tx:
            return tx.all("aws", token)

    def held(self) -> Counter[str]:
        """How many of each type the stand-in cloud holds, apart from what it made by itself (a VPC's defaults)."""
        return Counter(r.token for r in self.resources() if r.urn)

    def weather(self, text: str) -> None:
        """Write the weather file; an empty text is fair weather."""
        (self.directory / "weather.yaml").write_text(text)

    def edit_stack(self, stack: str, old: str, new: str) -> None:
        """Replace text in the project's own stack file (use with a copied project)."""
        path = self.root / "stacks" / f"Pulumi.{stack}.yaml"
        text = path.read_text()
        assert old in text, f"{old!r} is not in {path}"
        path.write_text(text.replace(old, new))


TWO_REGIONS = Path(__file__).parent / "two_regions" / "stacks"
"""Stack files of two regions that serve, a third that is planned, and the global stack over them: what most tests start
from, whatever else is shipped. The regions' files are the shipped ones."""


def copied_project(target: Path, stacks: Path = ROOT / "stacks") -> Path:
    """The repository's program with stack files of its own, for tests that edit them."""
    shutil.copytree(stacks, target / "stacks")
    settings = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    settings["main"] = str(ROOT / settings["main"])
    (target / "Pulumi.yaml").write_text(yaml.safe_dump(settings))
    return target


def changes(plan: dict[str, Any]) -> dict[str, int]:
    """The plan's summary without what stays the same."""
    return {op: n for op, n in (plan.get("changeSummary") or {}).items() if op != "same" and n}
