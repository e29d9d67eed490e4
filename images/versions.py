"""What an image is made of (images/versions.yaml), and whether it goes together. `python -m images.versions [lock]`."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from images.node import Cloud

HERE: Final = Path(__file__).resolve().parent
FILE: Final = HERE / "versions.yaml"
REQUIREMENTS: Final = HERE / "requirements"
MACHINES: Final = HERE.parent / "infra" / "data"
UV_LOCK: Final = HERE.parent / "uv.lock"

CUDA_DRIVER: Final = {"12": "525.60.13", "13": "580.65.06"}
"""Least Linux driver by CUDA major: minor versions of a major run on it.
https://docs.nvidia.com/cuda/archive/13.0.0/cuda-toolkit-release-notes/ (table 2, and the version of 13.0.0)"""
FABRIC_MANAGER_RENAMED: Final = 580
"""From this driver on NVIDIA's repository calls it nvidia-fabricmanager, before nvidia-fabricmanager-<major>.
https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"""
OPEN_MODULES: Final = 75
"""Least compute capability of the open kernel modules, Turing.
https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/"""
LOCK_PLATFORM: Final = "x86_64-manylinux_2_28"
"""Older than Ubuntu 24.04's glibc (2.39)."""
NEWEST: Final = "newest"
"""What a signed repository has on the day; only where the repository keeps one version."""

WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~_-]{0,127}")
ADDRESS: Final = re.compile(r"https://[A-Za-z0-9./_~%=:+@-]{1,500}")
"""They stand in the bake scripts as they are, and the shell must not read anything else into them."""

Document = Mapping[str, Any]


@cache
def load() -> dict[str, Any]:
    """versions.yaml as it is. Raises ValueError when it is no YAML, or has not the parts that everything reads."""
    try:
        found = yaml.safe_load(FILE.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{FILE.name}: is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{FILE.name}: is no mapping")
    for name, kind in (("components", dict), ("keys", dict), ("architectures", list)):
        if not isinstance(found.get(name), kind):
            raise ValueError(f"{FILE.name}: has no {name}")
    return found


def number(version: str) -> tuple[int, ...]:
    """The numbers of a version without its epoch: 1:4.6.0-1 -> (4, 6, 0, 1)."""
    return tuple(int(part) for part in re.findall(r"\d+", version.split(":", 1)[-1]))


def capability(architecture: str) -> int:
    """sm_90 -> 90."""
    return int(architecture.removeprefix("sm_"))


def components(cloud: Cloud, document: Document | None = None) -> dict[str, dict[str, Any]]:
    """Name -> entry of what goes into this cloud's image."""
    entries = (document or load())["components"]
    return {name: entry for name, entry in entries.items() if cloud in entry.get("clouds", [cloud])}


def driver_minimum(cuda: str) -> str:
    """Least driver of a CUDA version. Raises KeyError for a major that is not known here."""
    return CUDA_DRIVER[cuda.split(".", 1)[0]]


def fabric_manager(driver: str) -> str:
    """Name of the package in NVIDIA's repository."""
    major = number(driver)[0]
    return "nvidia-fabricmanager" if major >= FABRIC_MANAGER_RENAMED else f"nvidia-fabricmanager-{major}"


def node_document(document: Document | None = None) -> dict[str, Any]:
    """/etc/spillway/versions.json: what the engine's start checks the machine against."""
    found = document or load()
    entries = found["components"]
    return {
        "vllm": entries["vllm"]["version"],
        "torch": entries["torch"]["version"],
        "cuda": entries["cuda"]["version"],
        "driver": entries["nvidia-driver"]["version"],
        "driverMinimum": driver_minimum(entries["cuda"]["version"]),
        "architectures": [capability(one) for one in found["architectures"]],
    }


def locked(name: str) -> dict[str, str]:
    """Package -> version of a lock in images/requirements. Raises OSError."""
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE))


def machines() -> dict[str, set[str]]:
    """Architecture -> clouds whose data has a machine with it."""
    found: dict[str, set[str]] = {}
    for path in sorted(MACHINES.glob("*_machines.json")):
        data = json.loads(path.read_text())
        used = {machine["gpu"] for machine in data["machines"].values()}
        for gpu in used:
            found.setdefault(data["architectures"][gpu], set()).add(path.name.split("_", 1)[0])
    return found


def check(document: Document | None = None) -> list[str]:
    """One line for each rule that is broken; [] when the components go together."""
    found = document or load()
    try:
        lines = [*_entries(found), *_gpu(found), *_architectures(found), *_locks(found)]
        return [" ".join(line.split()) for line in lines]
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        return [f"is not what images/versions.py expects: {type(error).__name__}: {error}"]


def _entries(found: Document) -> Iterator[str]:
    for name, entry in found["components"].items():
        for key in ("version", "date", "source", "verify"):
            if not entry.get(key):
                yield f"{name}: has no {key}"
        if not isinstance(entry.get("version"), str):
            yield f"{name}: version {entry.get('version')!r} is not text (YAML reads 1.10 as 1.1: quote it)"
        for key in ("version", "package"):
            if isinstance(text := entry.get(key), str) and not WORD.fullmatch(text):
                yield f"{name}: {key} {text!r} is no single word of a version or package"
        for key in ("source", "url"):
            if isinstance(text := entry.get(key), str) and not ADDRESS.fullmatch(text):
                yield f"{name}: {key} {text!r} is no https address"
        if not isinstance(entry.get("date"), datetime.date):
            yield f"{name}: date {entry.get('date')!r} is no date"
        if entry.get("verify") == "sha256" and not re.fullmatch(r"[0-9a-f]{64}", str(entry.get("sha256", ""))):
            yield f"{name}: is verified by sha256 and has none"
        if entry.get("version") == NEWEST and "repository key" not in str(entry.get("verify")):
            yield f"{name}: newest is only for signed repositories"
    for name, key in found["keys"].items():
        if not ADDRESS.fullmatch(str(key.get("url", ""))):
            yield f"keys: {name}: url {key.get('url')!r} is no https address"
        if not re.fullmatch(r"[0-9A-F]{40}", str(key.get("fingerprint", ""))):
            yield f"keys: {name}: fingerprint is not 40 hexadecimal digits"


def _gpu(found: Document) -> Iterator[str]:
    entries = found["components"]
    driver, cuda = entries["nvidia-driver"]["version"], entries["cuda"]["version"]
    major = cuda.split(".", 1)[0]
    if major not in CUDA_DRIVER:
        yield f"cuda: {cuda} is not known to images/versions.py (add the driver that it needs)"
    elif number(driver) < number(driver_minimum(cuda)):
        yield f"nvidia-driver: {driver} is too old for CUDA {cuda}, which needs {driver_minimum(cuda)} or newer"
    manager = entries["fabric-manager"]
    if manager["version"] != driver:
        yield f"fabric-manager: {manager['version']} is not the driver's version {driver}; NVSwitch needs the same"
    if manager["package"] != fabric_manager(driver):
        yield f"fabric-manager: with driver {driver} the package is {fabric_manager(driver)}, not {manager['package']}"
    dcgm, exporter = entries["dcgm"], entries["dcgm-exporter"]
    if number(dcgm["version"])[0] != 4 or not dcgm["package"].endswith(f"-cuda{major}"):
        yield f"dcgm: {dcgm['package']} {dcgm['version']} is not DCGM 4 for CUDA {major}"
    if number(dcgm["version"])[:3] != number(exporter["dcgm"]):
        yield f"dcgm-exporter: {exporter['version']} goes with DCGM {exporter['dcgm']}, not {dcgm['version']}"


def _architectures(found: Document) -> Iterator[str]:
    supported = {capability(one) for one in found["architectures"]}
    refused = set(found["refused"])
    for architecture, clouds in sorted(machines().items()):
        if capability(architecture) in supported:
            if architecture in refused:
                yield f"architectures: {architecture} is both supported and refused"
        elif architecture not in refused:
            where = ", ".join(sorted(clouds))
            yield f"architectures: vLLM {found['components']['vllm']['version']} has no {architecture} ({where} has it)"
    if supported and min(supported) < OPEN_MODULES:
        yield f"architectures: sm_{min(supported)} does not run on open kernel modules (sm_{OPEN_MODULES} or newer)"


def _locks(found: Document) -> Iterator[str]:
    entries = found["components"]
    try:
        engine, node = locked("vllm"), locked("node")
    except OSError as error:
        yield f"requirements: {error.filename}: {error.strerror}"
        return
    for name in ("vllm", "torch", "ray"):
        if engine.get(name) != entries[name]["version"]:
            yield f"{name}: {entries[name]['version']} here, {engine.get(name)} in requirements/vllm.txt"
    runtime, cuda = engine.get("nvidia-cuda-runtime", ""), entries["cuda"]["version"]
    if not runtime.startswith(f"{cuda}."):
        yield f"cuda: {cuda} here, torch brings nvidia-cuda-runtime {runtime or 'not at all'}"
    for name in ("vllm", "node"):
        yield from _lock_text(name)
    ours = dict(re.findall(r'^name = "([^"]+)"\nversion = "([^"]+)"', UV_LOCK.read_text(), re.MULTILINE))
    for name, version in node.items():
        if name in ours and ours[name] != version:
            yield f"requirements/node.txt: {name} {version}, the tests run with {ours[name]} (uv.lock)"


def _lock_text(name: str) -> Iterator[str]:
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    if re.search(r"^\s*(-i|--(extra-)?index-url|--find-links)\b|https?://", text, re.MULTILINE):
        yield f"requirements/{name}.txt: names an index, which is the machine's own business"
    for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]:
        if "--hash=sha256:" not in block:
            yield f"requirements/{name}.txt: {block.split()[0]} has no hash"


def lock() -> int:
    """Writes both locks anew from what the index has; the exit code of uv."""
    python = load()["os"]["python"]
    for name in ("node", "vllm"):
        target = REQUIREMENTS / f"{name}.txt"
        more = ["--constraints", str(_tested())] if name == "node" else []
        command = [
            "uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-header", "--no-annotate",
            "--python-platform", LOCK_PLATFORM, "--python-version", python, *more,
            str(REQUIREMENTS / f"{name}.in"), "--output-file", str(target),
        ]  # fmt: skip
        code = subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
        if code:
            return code
    return 0


def _tested() -> Path:
    """uv.lock's versions as constraints, so that the node has what the tests had."""
    pairs = re.findall(
        r'^name = "([^"]+)"\nversion = "([^"]+)"\nsource = \{ registry', UV_LOCK.read_text(), re.MULTILINE
    )
    target = HERE.parent / "build" / "node-constraints.txt"
    target.parent.mkdir(exist_ok=True)
    target.write_text("".join(f"{name}=={version}\n" for name, version in pairs))
    return target


def main() -> int:
    if sys.argv[1:] == ["lock"]:
        return lock()
    lines = check()
    for line in lines:
        print(f"images/versions.yaml: {line}", file=sys.stderr)  # noqa: T201
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
