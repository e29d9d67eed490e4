"""Packers for tests: one that only pretends, and Debian's real one with a builder of its own put in."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

PRETENDER = r'''#!{python}
"""Answers as Packer would. PRETEND: what for `init` and `build`."""
import json, os, pathlib, signal, sys, time

wanted = json.loads({wanted!r})
folder = pathlib.Path.cwd()
with open({log!r}, "a") as log:
    log.write(json.dumps({{"argv": sys.argv[1:], "files": sorted(path.name for path in folder.iterdir())}}) + "\n")
command = sys.argv[1]
if command == "version":
    print(wanted.get("version", "Packer v1.16.0"))
    sys.exit(0)
for line in wanted.get(command, {{}}).get("says", ["==> amazon-ebs.node: Creating temporary keypair..."]):
    print(line, flush=True)

def interrupted(number, frame):
    print("Cancelling build after receiving interrupt", flush=True)
    time.sleep(6)  # longer than others give a child
    print("==> amazon-ebs.node: Terminating the source AWS instance...", flush=True)
    with open({log!r}, "a") as log:
        log.write(json.dumps({{"argv": ["cleaned"], "files": []}}) + "\n")
    sys.exit(1)

signal.signal(signal.SIGINT, interrupted)
time.sleep(wanted.get(command, {{}}).get("seconds", 0))
if command == "build":
    manifest = wanted.get("manifest", {{"artifact_id": "us-east-1:ami-00000000000000001"}})
    if isinstance(manifest, str):
        (folder / "packer-manifest.json").write_text(manifest)
    elif manifest is not None:
        entry = {{"packer_run_uuid": "run", "build_time": 1790000000, **manifest}}
        (folder / "packer-manifest.json").write_text(json.dumps({{"builds": [entry], "last_run_uuid": "run"}}))
    if "components" in wanted:
        (folder / "components.txt").write_text(wanted["components"])
sys.exit(wanted.get(command, {{}}).get("code", 0))
'''


def pretend(folder: Path, **wanted: object) -> Path:
    """A packer that does as it is told; its folder goes on PATH. Calls are in `calls` of the same folder.

    version: what it says it is. init, build: {"says": lines, "code": exit code, "seconds": how long it takes}.
    manifest: entry, text, or None for no file. components: text of the builder's own list.
    """
    folder.mkdir(exist_ok=True)
    path = folder / "packer"
    path.write_text(PRETENDER.format(python=sys.executable, wanted=json.dumps(wanted), log=str(folder / "calls")))
    path.chmod(0o755)
    return path


def calls(folder: Path) -> list[dict[str, list[str]]]:
    """Every call of the pretender: argv and the files in its folder."""
    path = folder / "calls"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def on_path(folder: Path) -> str:
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def real(folder: Path, packer: str, files: Mapping[str, str], old: str, new: str) -> Path:
    """Debian's packer under the name of a new one: what `init` would bring, the builder, is put in then.

    files: HCL that replaces the cloud's. old, new: the name of its source in build.pkr.hcl.
    """
    folder.mkdir(exist_ok=True)
    texts = folder / "files"
    texts.mkdir()
    for name, text in files.items():
        (texts / name).write_text(text)
    path = folder / "packer"
    path.write_text(
        f"""#!/bin/sh
case "$1" in
  version) echo "Packer v1.16.0" ;;
  init)
        for file in *.pkr.hcl; do [ "$file" = build.pkr.hcl ] || rm "$file"; done
        cp {shlex.quote(str(texts))}/* . && sed -i 's/{old}/{new}/' build.pkr.hcl ;;
  *) exec {shlex.quote(packer)} "$@" ;;
esac
"""
    )
    path.chmod(0o755)
    return path
