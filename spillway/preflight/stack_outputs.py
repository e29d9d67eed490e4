"""What other stacks have exported, by the engine that is installed: none is fetched or built for a question."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol

from spillway.preflight.model import Unanswered

if TYPE_CHECKING:
    from spillway.engine import Engine
    from spillway.recovery.pulumi import Outcome

SECONDS: Final = 60.0
"""A backend that has not answered by then is out of reach. A local one takes 0.2 s."""
_NO_STACK: Final = "no stack named"
"""https://github.com/pulumi/pulumi/blob/master/pkg/cmd/pulumi/stack/io.go (RequireStack)."""


class StackOutputs(Protocol):
    """Says what a stack exports; None where there is no such stack. Raises model.Unanswered when it cannot tell."""

    def of(self, stack: str) -> Mapping[str, Any] | None: ...


class EngineOutputs:
    """Asks the backend that `up` would ask, by `pulumi stack output`. Thread-safe."""

    def __init__(self, project: Path) -> None:
        """project: the folder with Pulumi.yaml."""
        self._project = project
        self._lock = Lock()
        self._engine: Engine | None = None

    def of(self, stack: str) -> Mapping[str, Any] | None:
        outcome = self._run("stack", "output", "--json", "--stack", stack)
        if outcome.code != 0:
            if any(_NO_STACK in line for line in outcome.errors):
                return None
            reason = (outcome.errors or [f"exit code {outcome.code}"])[0]
            raise Unanswered(reason, "`up` asks the same backend: `pulumi login`, or set what it asks for")
        try:
            outputs = json.loads(outcome.stdout)
        except ValueError:
            outputs = None
        if not isinstance(outputs, dict):
            raise Unanswered("the engine's answer to `pulumi stack output --json` is no JSON object")
        return outputs

    def _run(self, *arguments: str) -> Outcome:
        from spillway.recovery.pulumi import Outcome
        from spillway.subprocesses import run

        engine = self._found()
        command = ["pulumi", "-C", str(self._project), *arguments, "--non-interactive", "--color", "never"]
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            done = run(command, env=self._environment(engine), stdout=output, timeout=SECONDS)
            if done.timed_out:
                raise Unanswered(f"the backend gave no answer within {SECONDS:.0f} s", "check network and proxy")
            output.seek(0)
            return Outcome(done.code, output.read(), done.tail)

    def _found(self) -> Engine:
        from spillway.engine import find_engine

        with self._lock:
            self._engine = self._engine or find_engine()
            if self._engine is None:
                raise Unanswered("the Pulumi engine is not installed", "`spillway engine install`")
            return self._engine

    def _environment(self, engine: Engine) -> dict[str, str]:
        return {**engine.environment(os.environ), "PULUMI_SKIP_UPDATE_CHECK": "true"}


class SandboxOutputs(EngineOutputs):
    """The stacks of a sandbox, as they were left: its project is not written anew for a question."""

    def __init__(self, directory: Path) -> None:
        from sandbox.project import Project

        self._sandbox = Project(directory)
        super().__init__(self._sandbox.path)

    def of(self, stack: str) -> Mapping[str, Any] | None:
        return super().of(stack) if self._sandbox.has_stack(stack) else None

    def _environment(self, engine: Engine) -> dict[str, str]:
        return self._sandbox.environment(engine)
