"""Where previews run: on stand-in clouds that hold the base, or on the accounts themselves, which are only read."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from infra.stackfile import is_global
from spillway.engine import Engine
from spillway.errors import SpillwayError
from spillway.preview import git
from spillway.preview.runs import UP, Runner, command

REVIEWS: Final = ".sandbox/reviews"
"""Below the checkout: a sandbox for each base commit, kept, since deploying it takes longer than previewing."""
KEPT: Final = 4
"""Of them, the latest."""
DEPLOYED: Final = "deployed.json"
Step = Callable[[str], None]


@dataclass
class Sandbox:
    """Stand-in clouds with the stacks of a commit on them. failed: stack -> why it could not be deployed there."""

    directory: Path
    root: Path
    engine: Engine
    failed: dict[str, str] = field(default_factory=dict)

    def deploy(self, stacks: Sequence[str], commit: str, at_once: int, step: Step) -> None:
        """`up` of the commit's own program for every stack that does not stand yet, region stacks first."""
        missing = [one for one in stacks if one not in self._standing()]
        if not missing:
            return
        with git.checkout(self.root, commit) as base:
            project = self._project(base)
            project.sync()
            environment = project.environment(self.engine)
            for group in ([one for one in missing if not is_global(one)], [one for one in missing if is_global(one)]):
                with ThreadPoolExecutor(max(1, at_once)) as threads:
                    list(threads.map(lambda stack: self._up(stack, project, environment, step), group))

    def _project(self, root: Path) -> Any:
        from sandbox.project import Project

        return Project(self.directory, root)

    def _up(self, stack: str, project: Any, environment: Mapping[str, str], step: Step) -> None:
        from sandbox.project import pulumi_command

        try:
            project.ensure_stack(stack, environment)
            line = [str(self.engine.pulumi), *pulumi_command([*UP, "--stack", stack], project)[1:]]
            code, text, told = command(line, environment)
            if code:
                lines = [line for line in (text + told).splitlines() if "error" in line.lower()]
                self.failed[stack] = " ".join((lines or ["pulumi up failed"])[-1].split())
        except SpillwayError as error:
            self.failed[stack] = error.lines[0]
        if stack not in self.failed:
            self._stands(stack)
        step(stack)

    def _standing(self) -> set[str]:
        path = self.directory / DEPLOYED
        return set(json.loads(path.read_text())) if path.exists() else set()

    def _stands(self, stack: str) -> None:
        from sandbox.clouds import write_whole

        with self._project(self.root)._lock():
            write_whole(self.directory / DEPLOYED, json.dumps(sorted({*self._standing(), stack})))

    def runner(self) -> Runner:
        """Previews of the checkout's program against what stands here."""
        from sandbox.project import pulumi_command

        project = self._project(self.root)
        project.sync()
        environment = project.environment(self.engine)

        def run(stack: str, arguments: Sequence[str]) -> tuple[int, str, str]:
            project.ensure_stack(stack, environment)
            return command([str(self.engine.pulumi), *pulumi_command(arguments, project)[1:]], environment)

        return run


def review_sandbox(root: Path, commit: str, engine: Engine) -> Sandbox:
    """The stand-in clouds of a base commit; those of long ago go."""
    folder = root / REVIEWS
    directory = folder / commit[: git.SHORT]
    if folder.is_dir():
        others = [one for one in folder.iterdir() if one.is_dir() and one != directory]
        for old in sorted(others, key=lambda one: one.stat().st_mtime, reverse=True)[KEPT - 1 :]:
            shutil.rmtree(old, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    os.utime(directory)
    return Sandbox(directory, root, engine)


def account_runner(root: Path, engine: Engine, environment: Mapping[str, str] | None = None) -> Runner:
    """Previews of a checkout's program against the accounts that the shell is logged in to. Reads only."""
    told = engine.environment(dict(os.environ if environment is None else environment))

    def run(stack: str, arguments: Sequence[str]) -> tuple[int, str, str]:
        return command([str(engine.pulumi), "-C", str(root), *arguments], told, root)

    return run


@contextmanager
def base_checkout(root: Path, commit: str) -> Iterator[Path]:
    """The files of a commit with the checkout's own virtual environment, for previews of before on the accounts."""
    with git.checkout(root, commit) as base:
        settings = yaml.safe_load((base / "Pulumi.yaml").read_text())
        venv = settings.get("runtime", {}).get("options", {}).get("virtualenv") if isinstance(settings, dict) else None
        if isinstance(venv, str) and not Path(venv).is_absolute() and (root / venv).exists():
            (base / venv).symlink_to((root / venv).resolve(), target_is_directory=True)
        yield base
