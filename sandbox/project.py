"""The sandbox's own Pulumi project: real program, stand-in providers, own backend, home and passphrase.

Pulumi writes into stack files (an encryption salt, normalised numbers and dates), so the sandbox works on copies in a
shadow project whose `main:` is the checkout's real `infra/`. The user's login, stacks and cloud credentials are out of
reach.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from sandbox.clouds import DISTRIBUTIONS
from spillway.engine import Engine
from spillway.errors import SpillwayError

ROOT = Path(__file__).resolve().parents[1]
PASSPHRASE = "sandbox"
_SALT = re.compile(r"^encryptionsalt:.*$", re.M)
_DROPPED = re.compile(r"^(PULUMI_|AWS_|ARM_|AZURE_|GOOGLE_|GCLOUD_|CLOUDSDK_|TENCENTCLOUD_|CLOUDFLARE_)")
_PATH_OPTIONS = (
    "--policy-pack", "--policy-pack-config", "--plan", "--save-plan", "--file", "-f", "--import-file", "--out", "-o",
    "--config-file", "--event-log", "--profile", "--logtostderr-file",
)  # fmt: skip


@dataclass(frozen=True)
class Project:
    """A sandbox directory and what lies in it."""

    directory: Path
    root: Path = ROOT

    @property
    def path(self) -> Path:
        """The shadow project."""
        return self.directory / "project"

    @property
    def stacks(self) -> Path:
        return self.path / "stacks"

    @property
    def backend(self) -> Path:
        return self.directory / "backend"

    def name(self) -> str:
        """The project's name, as Pulumi.yaml says."""
        return str(yaml.safe_load((self.root / "Pulumi.yaml").read_text())["name"])

    def sync(self) -> None:
        """Write the shadow project: Pulumi.yaml from the real one, and a copy of every stack file."""
        settings = yaml.safe_load((self.root / "Pulumi.yaml").read_text())
        settings["main"] = str(self.root / settings.get("main", "."))
        options = settings["runtime"].setdefault("options", {})
        options["virtualenv"] = sys.prefix
        settings["stackConfigDir"] = "stacks"
        settings["plugins"] = {
            "providers": [{"name": name, "path": str(ROOT / "sandbox" / "plugins")} for name in DISTRIBUTIONS]
        }
        settings.pop("backend", None)
        self.stacks.mkdir(parents=True, exist_ok=True)
        self.backend.mkdir(parents=True, exist_ok=True)
        _write(self.path / "Pulumi.yaml", yaml.safe_dump(settings, sort_keys=False))
        self._sync_stacks()

    def _sync_stacks(self) -> None:
        """Copies keep the salt that the engine wrote into them; a file gone from the checkout goes here too."""
        known = self.path / "copied.json"
        before = set(json.loads(known.read_text())) if known.exists() else set()
        now = {path.name: path for path in sorted((self.root / "stacks").glob("Pulumi.*.yaml"))}
        for name in before - set(now):
            (self.stacks / name).unlink(missing_ok=True)
        for name, source in now.items():
            copy = self.stacks / name
            text = _SALT.sub("", source.read_text(errors="replace")).rstrip() + "\n"
            salt = _SALT.search(copy.read_text(errors="replace")) if copy.exists() else None
            _write(copy, text + (salt.group(0) + "\n" if salt else ""))
        _write(known, json.dumps(sorted(now)))

    def environment(self, engine: Engine, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables for a command in the sandbox: the caller's without anything that leads to an account."""
        kept = {k: v for k, v in (base if base is not None else os.environ).items() if not _DROPPED.match(k)}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # program and plugins start anew each time: a second without bytecode
        environment = engine.environment(kept)
        environment["PATH"] = os.pathsep.join([str(Path(sys.prefix) / "bin"), environment["PATH"]])
        environment.update(
            PULUMI_BACKEND_URL=f"file://{self.backend}",
            PULUMI_HOME=str(self.directory / "home"),
            PULUMI_CONFIG_PASSPHRASE=PASSPHRASE,
            PULUMI_SKIP_UPDATE_CHECK="true",
            PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION="true",
            SPILLWAY_SANDBOX_DIR=str(self.directory),
            AWS_EC2_METADATA_DISABLED="true",
        )
        return environment

    def has_stack(self, stack: str) -> bool:
        return (self.backend / ".pulumi" / "stacks" / self.name() / f"{stack}.json").exists()

    def ensure_stack(self, stack: str, environment: Mapping[str, str]) -> None:
        """Create the stack in the sandbox's backend when it is not there yet.

        Raises SpillwayError when no stack file has that name, or the engine refuses it.
        """
        if self.has_stack(stack):
            return
        if not (self.stacks / f"Pulumi.{stack}.yaml").exists():
            names = sorted(
                p.name.removeprefix("Pulumi.").removesuffix(".yaml") for p in self.stacks.glob("Pulumi.*.yaml")
            )
            raise SpillwayError(
                f"stacks/Pulumi.{stack}.yaml: no such stack file; there are {', '.join(names) or 'none'}"
            )
        command = ["pulumi", "-C", str(self.path), "stack", "init", stack, "--non-interactive", "--no-select"]
        result = subprocess.run(command, env=dict(environment), capture_output=True, text=True)
        if result.returncode != 0 and not self.has_stack(stack):  # two at once: the other one made it
            raise SpillwayError(*(line for line in result.stderr.strip().splitlines() if line.strip()))


def pulumi_command(arguments: Sequence[str], project: Project) -> list[str]:
    """A `pulumi ...` command line as it runs in the shadow project; paths keep meaning what they mean here."""
    out = ["pulumi", "-C", str(project.path)]
    expect_path = False
    for argument in arguments:
        option, separator, value = argument.partition("=")
        if expect_path:
            argument, expect_path = str(Path(argument).absolute()), False
        elif option in _PATH_OPTIONS and separator:
            argument = f"{option}={Path(value).absolute()}"
        elif argument in _PATH_OPTIONS:
            expect_path = True
        out.append(argument)
    return out


def stack_of(arguments: Sequence[str]) -> str | None:
    """The value of --stack or -s in a command line."""
    for i, argument in enumerate(arguments):
        if argument in ("--stack", "-s") and i + 1 < len(arguments):
            return arguments[i + 1]
        for prefix in ("--stack=", "-s="):
            if argument.startswith(prefix):
                return argument.removeprefix(prefix)
    return None


def _write(path: Path, text: str) -> None:
    """Write only what changed, whole or not at all: another command may be reading."""
    if path.exists() and path.read_text(errors="replace") == text:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)
