"""Shell scripts that pass for `pulumi`, its language host and `go`, so that search and build run in milliseconds."""

from __future__ import annotations

import io
import stat
from pathlib import Path

from rich.console import Console

from spillway.engine import CLI, HOST_SCRIPT, LANGUAGE_HOST, VERSION


def script(file: Path, body: str) -> Path:
    """An executable shell script."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n" + body + "\n", encoding="utf-8")
    file.chmod(0o755)
    return file


def fake_pulumi(folder: Path, version: str = f"v{VERSION}") -> Path:
    """A `pulumi` that knows its version and keeps count of its runs in `<file>.runs`."""
    return script(folder / CLI, f'echo run >> "$0.runs"\necho "{version}"')


def fake_engine(folder: Path, version: str = f"v{VERSION}") -> Path:
    """A folder with all three programs; returns the CLI."""
    script(folder / LANGUAGE_HOST, "exit 0")
    script(folder / HOST_SCRIPT, "exit 0")
    return fake_pulumi(folder, version)


def runs(program: Path) -> int:
    """How often a fake was run."""
    log = program.with_name(program.name + ".runs")
    return len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0


def fake_go(folder: Path, *, version: str = "go1.26.8", build: str = "", listing: str = "") -> Path:
    """A `go` whose builds are scripts.

    Each run appends its arguments and what matters of its environment to `<folder>/go.log`. `build` is shell code that
    runs before a build writes its program, `listing` before `go list` answers.
    """
    sources = folder / "modules"
    script(sources / "python" / "cmd" / HOST_SCRIPT, "exit 0").chmod(0o444)
    return script(
        folder / "go",
        f"""
echo "$$ CGO_ENABLED=$CGO_ENABLED GOFLAGS=$GOFLAGS GOTOOLCHAIN=$GOTOOLCHAIN GOOS=$GOOS $*" >> "{folder}/go.log"
case "$1 $2" in
"env GOVERSION") echo {version} ;;
"list -deps")
    echo "go: downloading example.com/module v1.0.0" >&2
    {listing}
    echo "fmt "; echo "example.com/module v1.0.0" ;;
"list -m") echo "{sources}" ;;
"build -v")
    while [ "$1" != -o ]; do shift; done
    echo example.com/module >&2
    {build}
    printf '#!/bin/sh\\necho v{VERSION}\\n' > "$2"
    chmod 755 "$2" ;;
esac""",
    )


def go_log(go: Path) -> list[str]:
    """The runs of a fake Go, one line each, without those that only asked for its version."""
    log = go.with_name("go.log")
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [line for line in lines if "env GOVERSION" not in line]


def silent() -> Console:
    """A console that keeps what it is told; read it with `told`."""
    return Console(file=io.StringIO(), width=400)


def told(console: Console) -> str:
    """What was printed on a `silent` console."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def is_executable(file: Path) -> bool:
    """Whether everybody may run the file."""
    return stat.S_IMODE(file.stat().st_mode) & 0o111 == 0o111
