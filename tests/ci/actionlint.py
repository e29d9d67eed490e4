"""actionlint, which knows what GitHub takes in a workflow file: on PATH, in the cache, or built from Go modules.

    python -m tests.ci.actionlint           # the program's path; built first where it is not there (a minute, once)
    python -m tests.ci.actionlint --lacks   # why there is none; nothing where it is there

Built from tools/actionlint/, whose go.sum has the hash of everything, with Go as the engine is (`make setup`).
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from spillway import engine
from spillway.engine_sources import Context, find_go, install_go, own_go
from spillway.errors import SpillwayError
from spillway.subprocesses import run

MODULE: Final = engine.REPOSITORY / "tools" / "actionlint"
VERSION: Final = "1.7.12"
PACKAGE: Final = "github.com/rhysd/actionlint/cmd/actionlint"
FLAGS: Final = (
    "-mod=readonly",
    "-trimpath",
    "-buildvcs=false",
    f"-ldflags=-s -w -X github.com/rhysd/actionlint.version={VERSION}",
)
SECONDS: Final = 900.0


def place() -> Path:
    """Where it is once it is built: for this recipe and kind of machine."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum", "tools.go"):
        digest.update((MODULE / name).read_bytes())
    digest.update("\0".join([*FLAGS, sys.platform, platform.machine()]).encode())
    return engine.cache_root().parent / "actionlint" / f"{VERSION}-{digest.hexdigest()[:12]}" / "actionlint"


def found() -> Path | None:
    """The one of this version that is there, without building anything."""
    if place().is_file():
        return place()
    other = shutil.which("actionlint")
    if other is None:
        return None
    told = subprocess.run([other, "-version"], capture_output=True, text=True, check=False, timeout=30).stdout
    return Path(other) if told.split("\n")[0].strip().removeprefix("v") == VERSION else None


def lacks() -> str:
    """Why there is none; empty where there is."""
    if found():
        return ""
    return f"actionlint {VERSION} is neither on PATH nor built (.venv/bin/python -m tests.ci.actionlint)"


def built() -> Path:
    """The program, built if need be. Raises SpillwayError, PassedOver where there is no Go and none to be had."""
    from rich.console import Console

    there = found()
    if there is not None:
        return there
    root = engine.cache_root()
    with engine._lock(root, Console(stderr=True)):
        there = found()
        if there is not None:
            return there
        context = Context(Console(stderr=True), root)
        go = find_go(context) or install_go(context)
        context.say(f"Building actionlint {VERSION} from Go modules with Go {go.version} ({go.origin}); once per user.")
        with engine.temporary_directory(root) as scratch:
            program = scratch / "actionlint"
            done = run([go.binary, "build", *FLAGS, "-o", program, PACKAGE], env=go.environment, cwd=MODULE,
                       timeout=SECONDS)  # fmt: skip
            if not done.ok:
                told = next((line for line in reversed(done.tail) if line.strip()), f"exit code {done.code}")
                raise SpillwayError(f"actionlint could not be built: {told}")
            place().parent.mkdir(parents=True, exist_ok=True)
            os.replace(program, place())  # noqa: PTH105 - whole, or not there
        if go.origin != "PATH":
            engine.remove_tree(own_go(root))
    return place()


def main() -> int:
    if "--lacks" in sys.argv[1:]:
        print(lacks())
        return 0
    try:
        print(built())
    except (SpillwayError, engine.PassedOver) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
