"""Where the Pulumi engine is: the CLI, its Python language host and the host's start script.

Looked for in this order: a suitable `pulumi` on PATH; the per-user cache; and, on `ensure_engine` only, the vendor's
own installer and a build from Go modules (`engine_sources`), both of which fill that cache. A warm look-up starts no
process: the cached engine is known by a marker written last, a `pulumi` on PATH is run once and remembered by path,
size and change time.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from filelock import FileLock, Timeout

from spillway.errors import SpillwayError
from spillway.subprocesses import terminate_as_exit

if TYPE_CHECKING:
    from rich.console import Console

# The version that the modules under tools/engine/ build, and the oldest one accepted on PATH: what the tests ran with.
VERSION = "3.259.0"
MINIMUM = (3, 259, 0)
BELOW = (4, 0, 0)

CLI = "pulumi"
LANGUAGE_HOST = "pulumi-language-python"
# The language host starts programs by this script, which it expects beside its own file:
# https://github.com/pulumi/pulumi/blob/v3.163.0/sdk/python/cmd/pulumi-language-python/main.go
HOST_SCRIPT = "pulumi-language-python-exec"
PROGRAMS = (CLI, LANGUAGE_HOST, HOST_SCRIPT)

REPOSITORY = Path(__file__).resolve().parent.parent
MODULES = REPOSITORY / "tools" / "engine"
MODULE_FILES = ("cli/go.mod", "cli/go.sum", "cli/tools.go", "host/go.mod", "host/go.sum", "host/tools.go")
BUILD_FLAGS = (
    "-mod=readonly",
    "-trimpath",
    "-buildvcs=false",
    f"-ldflags=-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={VERSION}",
)

MARKER = "engine.json"
PROBES = "path.json"
TEMPORARY = ".tmp-"
PROBE_SECONDS = 20.0


class PassedOver(Exception):
    """A way to get the engine did not work; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A usable engine: all three programs are there and the version is within the accepted range."""

    bin_dir: Path
    pulumi: Path
    host: Path
    version: str
    source: str  # "path", "installer" or "build"

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """`base` with a PATH on which this engine comes first.

        A PATH on which it already does is left as it is: moving, say, /usr/bin to the front would put the system's
        Python before that of a virtual environment.
        """
        environment = dict(base)
        before = environment.get("PATH", os.defpath)
        missing = [
            str(folder)
            for folder, program in ((self.bin_dir, self.pulumi), (self.host.parent, self.host))
            if not _is_first(program, before)
        ]
        environment["PATH"] = os.pathsep.join([*dict.fromkeys(missing), before])
        return environment

    @property
    def found(self) -> str:
        """How it was found, in words."""
        return {
            "path": "on PATH",
            "installer": "installed by the vendor's installer",
            "build": "built from Go modules",
        }[self.source]

    def describe(self) -> dict[str, str]:
        """For `--json`."""
        return {
            "version": self.version,
            "pulumi": str(self.pulumi),
            "languageHost": str(self.host),
            "source": self.source,
        }


def find_engine(*, path: str | None = None, root: Path | None = None) -> Engine | None:
    """The engine if there is one, without installing anything; None otherwise.

    path: the PATH to search, by default this process's; root: the cache, by default the user's.
    """
    root = root or cache_root()
    return engine_on_path(path, root)[0] or cached_engine(root)


def ensure_engine(console: Console, *, path: str | None = None, root: Path | None = None) -> Engine:
    """The engine, installed first if need be; says on `console` what it does.

    Safe to run in two processes at once (the second waits and takes what the first installed) and to interrupt at any
    time. Raises SpillwayError when every way failed; `console` has a line for each that says why.
    """
    root = root or cache_root()
    engine, reason = engine_on_path(path, root)
    engine = engine or cached_engine(root)
    if engine:
        _remove_leftovers_if_idle(root)
        return engine
    if reason:
        _say(console, f"Passed over: {reason}")
    with terminate_as_exit(), _lock(root, console):
        remove_leftovers(root)
        return cached_engine(root) or _install(console, root, path)


def _install(console: Console, root: Path, path: str | None) -> Engine:
    from spillway import engine_sources

    for source, install in (("installer", engine_sources.from_vendor), ("build", engine_sources.from_modules)):
        with temporary_directory(root) as scratch:
            try:
                install(scratch, engine_sources.Context(console=console, root=root, path=path))
                return _adopt(scratch, root, source)
            except PassedOver as why:
                _say(console, f"Passed over: {why}")
    raise SpillwayError(
        f"there is no Pulumi engine and every way to get one was passed over; put Pulumi {_text(MINIMUM)} or newer on "
        "PATH (https://www.pulumi.com/docs/iac/download-install/) or make one of those ways work"
    )


def _adopt(scratch: Path, root: Path, source: str) -> Engine:
    """Moves a finished engine from `scratch` to its place in the cache, in one step: marker first, then the rename."""
    programs = scratch / "bin"
    version, reason = _version_of(programs / CLI)
    if version is None:
        raise PassedOver(f"what it installed does not run: {reason}")
    marker = {
        "version": _text(version),
        "source": source,
        "sizes": {name: (programs / name).stat().st_size for name in PROGRAMS},
    }
    (scratch / MARKER).write_text(json.dumps(marker, indent=2) + "\n", encoding="utf-8")
    target = root / cache_key()
    if target.exists():  # incomplete, or its marker would have been accepted
        with temporary_directory(root) as rubbish:
            target.rename(rubbish / "old")
    scratch.rename(target)
    engine = cached_engine(root)
    if engine is None:
        raise SpillwayError(f"the engine in {target} is incomplete")
    return engine


# --- the cache ------------------------------------------------------------


def cache_root() -> Path:
    """Where engines are kept, one per version and build recipe: per user and outside the checkout, so built once."""
    return platformdirs.user_cache_path("spillway", appauthor=False) / "engine"


@cache
def cache_key() -> str:
    """`<version>-<hash>` of all that decides what the build gives: pinned modules, flags and the kind of machine."""
    digest = hashlib.sha256()
    for name in MODULE_FILES:
        file = MODULES / name
        digest.update(f"{name}\0".encode())
        digest.update(file.read_bytes() if file.is_file() else b"")
    digest.update(json.dumps([*BUILD_FLAGS, sys.platform, platform.machine()]).encode())
    return f"{VERSION}-{digest.hexdigest()[:12]}"


def cached_engine(root: Path) -> Engine | None:
    """The engine in the cache if its marker is there and every program has the size that the marker gives."""
    home = root / cache_key()
    programs = home / "bin"
    try:
        marker = json.loads((home / MARKER).read_text(encoding="utf-8"))
        for name, size in marker["sizes"].items():
            if (programs / name).stat().st_size != size:
                return None
        version, source = str(marker["version"]), str(marker["source"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Engine(programs, programs / CLI, programs / LANGUAGE_HOST, version, source)


@contextmanager
def temporary_directory(root: Path) -> Iterator[Path]:
    """A directory beside the engines (same file system, so that it can be renamed) that does not survive the block.

    One left behind by a killed process is swept by `remove_leftovers`.
    """
    scratch = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=root))
    scratch.chmod(0o755)
    try:
        yield scratch
    finally:
        remove_tree(scratch)


def remove_tree(folder: Path) -> None:
    """Deletes a directory that may hold read-only directories, as Go's module cache does. One that is gone is fine."""
    for here, folders, _ in os.walk(folder):
        for name in folders:
            inner = Path(here) / name
            if not inner.is_symlink():
                with suppress(OSError):
                    inner.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(root: Path) -> None:
    """Deletes what killed installations left. Only for the holder of the lock: nobody else has such a directory."""
    for leftover in root.glob(f"{TEMPORARY}*"):
        remove_tree(leftover)


def _remove_leftovers_if_idle(root: Path) -> None:
    if not any(root.glob(f"{TEMPORARY}*")):
        return
    with suppress(Timeout, OSError), FileLock(root / ".lock", timeout=0):
        remove_leftovers(root)


@contextmanager
def _lock(root: Path, console: Console) -> Iterator[None]:
    """One installation at a time per user. The kernel frees the lock when its holder dies, however that happens."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _say(console, "Another process is installing the engine; waiting for it.")
            lock.acquire(poll_interval=0.2)
    except OSError as error:
        raise SpillwayError(f"{root}: cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


# --- PATH -----------------------------------------------------------------


def engine_on_path(path: str | None, root: Path) -> tuple[Engine | None, str]:
    """The engine on PATH, or None and why the one there is not used ("" when there is none at all)."""
    found = shutil.which(CLI, path=path)
    if found is None:
        return None, ""
    pulumi = Path(found).absolute()
    host = _language_host(pulumi, path)
    if host is None:
        return None, f"{pulumi}: it has no {LANGUAGE_HOST} beside it or on PATH"
    if not _has_script(host, path):
        return None, f"{pulumi}: its {LANGUAGE_HOST} has no {HOST_SCRIPT} beside it"
    version, reason = _remembered_version(pulumi, root)
    if version is None:
        return None, f"{pulumi}: {reason}"
    if not MINIMUM <= version < BELOW:
        return None, f"{pulumi}: version {_text(version)}, needed is {_text(MINIMUM)} or newer, below {_text(BELOW)}"
    return Engine(pulumi.parent, pulumi, host, _text(version), "path"), ""


def _language_host(pulumi: Path, path: str | None) -> Path | None:
    """Beside the CLI, beside the file that a link to the CLI leads to, or on PATH."""
    for folder in dict.fromkeys((pulumi.parent, pulumi.resolve().parent)):
        if found := shutil.which(LANGUAGE_HOST, path=str(folder)):
            return Path(found)
    found = shutil.which(LANGUAGE_HOST, path=path)
    return Path(found).absolute() if found else None


def _has_script(host: Path, path: str | None) -> bool:
    folders = [str(folder) for folder in dict.fromkeys((host.parent, host.resolve().parent))]
    # Version managers put a shim of each program on PATH; there the script is seen on PATH only.
    return any(shutil.which(HOST_SCRIPT, path=where) for where in (os.pathsep.join(folders), path))


def _remembered_version(pulumi: Path, root: Path) -> tuple[tuple[int, int, int] | None, str]:
    """The version by running the program, or as remembered from the last run of the same file."""
    status = pulumi.stat()
    identity = [status.st_size, status.st_mtime_ns]
    memory = root / PROBES
    known: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        loaded = json.loads(memory.read_text(encoding="utf-8"))
        known = loaded if isinstance(loaded, dict) else {}
    entry = known.get(str(pulumi))
    if isinstance(entry, dict) and entry.get("file") == identity and (version := _parse(str(entry.get("version")))):
        return version, ""
    version, reason = _version_of(pulumi)
    if version is not None:
        known[str(pulumi)] = {"file": identity, "version": _text(version)}
        with suppress(OSError):  # a cache that cannot be written only costs time
            root.mkdir(parents=True, exist_ok=True)
            draft = root / f"{PROBES}.{os.getpid()}"
            draft.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
            draft.replace(memory)
    return version, reason


def _version_of(pulumi: Path) -> tuple[tuple[int, int, int] | None, str]:
    environment = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        answer = subprocess.run(
            [pulumi, "version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PROBE_SECONDS,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"`pulumi version` gave no answer within {PROBE_SECONDS:.0f} s"
    except OSError as error:
        return None, f"it cannot be run: {error.strerror or error}"
    if answer.returncode != 0:
        last = (answer.stderr.strip() or answer.stdout.strip() or "no output").splitlines()[-1]
        return None, f"`pulumi version` failed with exit code {answer.returncode}: {last}"
    version = _parse(answer.stdout)
    return version, "" if version else f"`pulumi version` did not print a version: {answer.stdout.strip()[:80]!r}"


def _parse(text: str) -> tuple[int, int, int] | None:
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _text(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _is_first(program: Path, path: str) -> bool:
    found = shutil.which(program.name, path=path)
    return found is not None and Path(found).absolute() == program.absolute()
