"""The sandbox's own Pulumi project: real program, stand-in providers, own backend, home and passphrase.

Pulumi writes into stack files (an encryption salt, normalised numbers and dates), so the sandbox works on copies in a
shadow project whose `main:` is the checkout's real `infra/`. The user's login, stacks and cloud credentials are out of
reach.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml
from filelock import FileLock

from infra.stackfile import refuse_documents
from sandbox.clouds import DISTRIBUTIONS, claim, write_whole
from spillway.engine import Engine
from spillway.errors import NoSuchCommand, SpillwayError

ROOT = Path(__file__).resolve().parents[1]
PASSPHRASE = "sandbox"
_SALT = re.compile(r"^encryptionsalt:.*$", re.M)
_DROPPED = re.compile(r"^(PULUMI_|AWS_|ARM_|AZURE_|GOOGLE_|GCLOUD_|CLOUDSDK_|TENCENTCLOUD_|CLOUDFLARE_)")
_PATH_OPTIONS = {
    "--policy-pack", "--policy-pack-config", "--plan", "--save-plan", "--file", "--import-file", "--out",
    "--config-file", "--event-log", "--profiling", "--generate-resources",
}  # fmt: skip
_IMPORT_PATH_OPTIONS = {*_PATH_OPTIONS, "-f", "-o"}
"""With `pulumi import` these are --file and --out; elsewhere -f is --skip-preview, --force or --follow."""
_VALUE_OPTIONS = {"-C", "--cwd", "-s", "--stack", "--color", "-v", "--verbose", "--tracing", "--memprofilerate"}
"""Options of every command that take the next word as their value."""
_CONFIG_CHANGES = {"set", "set-all", "rm", "rm-all", "cp", "refresh"}


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
        """Write the shadow project: Pulumi.yaml from the real one, and a copy of every stack file.

        Raises SpillwayError when the directory is no sandbox and not empty.
        """
        settings = yaml.safe_load((self.root / "Pulumi.yaml").read_text())
        settings["main"] = str(self.root / settings.get("main", "."))
        options = settings["runtime"].setdefault("options", {})
        options["virtualenv"] = sys.prefix
        settings["stackConfigDir"] = "stacks"
        settings["plugins"] = {
            "providers": [{"name": name, "path": str(ROOT / "sandbox" / "plugins")} for name in DISTRIBUTIONS]
        }
        settings.pop("backend", None)
        claim(self.directory)
        with self._lock():
            self.stacks.mkdir(parents=True, exist_ok=True)
            self.backend.mkdir(parents=True, exist_ok=True)
            write_whole(self.path / "Pulumi.yaml", yaml.safe_dump(settings, sort_keys=False))
            self._sync_stacks()

    def _lock(self) -> FileLock:
        """Two commands at once: one's copy of a stack file must not lose the salt that the other's engine writes."""
        return FileLock(self.directory / ".lock")

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
            write_whole(copy, text + (salt.group(0) + "\n" if salt else ""))
        write_whole(known, json.dumps(sorted(now)))

    def environment(self, engine: Engine, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """The variables for a command in the sandbox: the caller's without anything that leads to an account."""
        kept = {k: v for k, v in (base if base is not None else os.environ).items() if not _DROPPED.match(k)}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # program and plugins start anew each time: a second without bytecode
        environment = engine.environment(kept)
        environment["PATH"] = os.pathsep.join([str(Path(sys.prefix) / "bin"), environment["PATH"]])
        environment.update(
            PULUMI_BACKEND_URL=f"file://{quote(str(self.backend))}",
            PULUMI_HOME=str(self.directory / "home"),
            PULUMI_CONFIG_PASSPHRASE=PASSPHRASE,
            PULUMI_SKIP_UPDATE_CHECK="true",
            PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION="true",
            SPILLWAY_SANDBOX_DIR=str(self.directory),
            SPILLWAY_PUBLISH_TO=str(self.directory / "functions"),  # there is no Functions app to take a package
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
        with self._lock():
            if self.has_stack(stack):  # two at once: the other one made it
                return
            result = subprocess.run(command, env=dict(environment), capture_output=True, text=True)
        if result.returncode != 0:
            raise SpillwayError(*(line for line in result.stderr.strip().splitlines() if line.strip()))


def pulumi_command(arguments: Sequence[str], project: Project) -> list[str]:
    """A `pulumi ...` command line as it runs in the shadow project; paths keep meaning what they mean here."""
    words = _words(arguments)
    options = _IMPORT_PATH_OPTIONS if words[:1] == ["import"] else _PATH_OPTIONS
    out = ["pulumi", "-C", str(project.path)]
    expect_path = False
    for argument in arguments:
        option, separator, value = argument.partition("=")
        if expect_path:
            argument, expect_path = _absolute(argument), False
        elif option in options and separator:
            argument = f"{option}={_absolute(value)}"
        elif argument in options:
            expect_path = True
        elif words[:2] == ["stack", "graph"] and argument is arguments[-1] and argument in words[2:]:
            argument = _absolute(argument)
        out.append(argument)
    return out


def command_line(arguments: Sequence[str], project: Project, engine: Engine) -> tuple[str, list[str], dict[str, str]]:
    """(program, arguments, environment) of a command as it runs in the sandbox; a stack's first use makes it.

    Raises SpillwayError for a command that is not there, and as `prepare` does.
    """
    environment = project.environment(engine)
    project.sync()
    line = list(arguments)
    if line[0] == "pulumi":
        prepare(line[1:], project, environment)
        line = pulumi_command(line[1:], project)
    program = shutil.which(line[0], path=environment["PATH"])
    if program is None:
        raise NoSuchCommand(f"{line[0]}: no such command")
    return program, line, environment


def _absolute(value: str) -> str:
    """The paths of an option; Pulumi takes several, with commas between them."""
    return ",".join(str(Path(part).absolute()) if part not in ("", "-") else part for part in value.split(","))


def _words(arguments: Sequence[str]) -> list[str]:
    """A command line without its options: the command, its sub-command and what they are about."""
    words, skip = [], False
    for argument in arguments:
        if skip or argument.startswith("-"):
            skip = not skip and argument in _VALUE_OPTIONS
        else:
            words.append(argument)
    return words


def stack_of(arguments: Sequence[str]) -> str | None:
    """The stack that the arguments of `pulumi` name: `--stack NAME`, `-s NAME` or `stack select NAME`.

    Without organization and project (`organization/spillway/NAME`); None when none is named.
    """
    name = ""
    for i, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument in ("--stack", "-s"):
            name = "".join(arguments[i + 1 : i + 2])
        elif argument.startswith("--stack="):
            name = argument.removeprefix("--stack=")
        elif argument.startswith("-s"):
            name = argument.removeprefix("-s").removeprefix("=")
    words = _words(arguments)
    if words[:2] == ["stack", "select"] and words[2:]:
        name = words[2]
    return name.rsplit("/", 1)[-1] or None


def prepare(arguments: Sequence[str], project: Project, environment: Mapping[str, str]) -> None:
    """What has to be before `pulumi ARGUMENTS` runs: its stack.

    Raises SpillwayError for a stack without a stack file, and for a change of a copied stack file, which would be lost.
    """
    stack, words = stack_of(arguments), _words(arguments)
    own = stack is not None and not (project.root / "stacks" / f"Pulumi.{stack}.yaml").exists()
    elsewhere = any(argument.startswith("--config-file") for argument in arguments)
    if words[:1] == ["config"] and _CONFIG_CHANGES.intersection(words[1:2]) and not (own or elsewhere):
        raise SpillwayError(
            f"pulumi config {words[1]}: the sandbox works on copies of the stack files, and this change would be lost; "
            f"edit stacks/Pulumi.{stack or 'STACK'}.yaml"
        )
    if stack is not None and not own and not elsewhere:
        refuse_documents(project.root / "stacks" / f"Pulumi.{stack}.yaml")
    if stack is not None and words[:2] not in (["stack", "init"], ["stack", "rm"]):
        project.ensure_stack(stack, environment)
