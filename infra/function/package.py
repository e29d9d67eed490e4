"""The archive of the function: the rule, the loop, one cloud's adapter, its entry point and pinned requirements.

Same input, same bytes: entries are sorted, dated 1980 and stored, not deflated, so that no zlib's version shows. So the
digest in a deployment changes when the function does and at no other time.

Google builds from requirements.txt. Azure's Flex Consumption runs what lies in its deployment container as it is,
unless the tool that deploys asks for a remote build (https://learn.microsoft.com/azure/azure-functions/deployment-zip-push);
an archive with `wheels` carries its packages and needs none.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

from packaging.markers import Marker

Cloud = Literal["azure", "gcp"]

ROOT: Final = Path(__file__).resolve().parent.parent.parent
LOCK: Final = ROOT / "uv.lock"
PYTHON: Final = "3.12"
"""Of both runtimes: `python` 3.12 of Azure Functions, `python312` of Cloud Run functions."""
ENTRY: Final[dict[Cloud, str]] = {"azure": "fallback", "gcp": "fallback"}
"""Name of the function in the archive."""
PACKAGES: Final[dict[Cloud, tuple[str, ...]]] = {
    "azure": (
        "azure-core", "azure-functions", "azure-identity", "azure-mgmt-compute", "azure-storage-blob", "pydantic",
    ),
    "gcp": (
        "functions-framework", "google-auth", "google-cloud-compute", "google-cloud-storage", "pydantic", "requests",
    ),
}  # fmt: skip
"""What the function imports, and what the host runs it with. Both hosts have a copy of that of their own, of a version
that changes under the function: Google installs functions-framework where requirements.txt leaves it out, and advises
to name it (https://docs.cloud.google.com/run/docs/runtimes/python-dependencies); Azure's worker falls back on its
azure-functions, and looks into the archive's packages first
(https://github.com/Azure/azure-functions-python-worker/wiki/Python-Packages-Loading-Order-and-Sys-Path)."""
SITE: Final = ".python_packages/lib/site-packages"
"""Where Azure's Python worker looks (https://learn.microsoft.com/azure/azure-functions/functions-reference-python)."""

_SHARED: Final = ("__init__.py", "load.py", "loop.py", "retries.py", "settings.py")
_ENTRY_FILE: Final[dict[Cloud, tuple[str, str]]] = {
    "azure": ("azure_entry.py", "function_app.py"),
    "gcp": ("gcp_entry.py", "main.py"),
}
_TARGET: Final[dict[str, str]] = {
    "extra": "",
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": f"{PYTHON}.0",
    "python_version": PYTHON,
    "sys_platform": "linux",
}
_DATE: Final = (1980, 1, 1, 0, 0, 0)


class PackageError(ValueError):
    """One line: what is missing, and what to do."""


def requirements(cloud: Cloud, lock: Path = LOCK) -> str:
    """requirements.txt: everything that the function imports, directly or not, as the lock pins it, with hashes."""
    lines = [f"# Python {PYTHON} on Linux, from uv.lock"]
    for name, package in sorted(_closure(cloud, lock).items()):
        hashes = " ".join(f"--hash={value}" for value in sorted(_hashes(package)))
        lines.append(f"{name}=={package['version']} {hashes}".rstrip())
    return "\n".join(lines) + "\n"


def files(cloud: Cloud, wheels: Path | None = None, lock: Path = LOCK) -> dict[str, bytes]:
    """The archive's files by path. wheels: a folder with the requirements as wheels, to carry them along."""
    here = Path(__file__).resolve().parent
    source, root = _ENTRY_FILE[cloud]
    found = {
        "infra/__init__.py": (here.parent / "__init__.py").read_bytes(),
        "infra/fallback.py": (here.parent / "fallback.py").read_bytes(),
        **{f"infra/function/{name}": (here / name).read_bytes() for name in (*_SHARED, f"{cloud}.py")},
        root: (here / source).read_bytes(),
        "requirements.txt": requirements(cloud, lock).encode(),
    }
    if cloud == "azure":
        found["host.json"] = (here / "host.json").read_bytes()
    if wheels is not None:
        if cloud != "azure":
            raise PackageError("wheels: only for azure; Google builds from requirements.txt")
        found |= {f"{SITE}/{path}": content for path, content in _unpacked(cloud, wheels, lock)}
    return found


def archive(cloud: Cloud, wheels: Path | None = None, lock: Path = LOCK) -> bytes:
    """The zip. Raises PackageError."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as zipped:
        for path, content in sorted(files(cloud, wheels, lock).items()):
            entry = zipfile.ZipInfo(path, _DATE)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            zipped.writestr(entry, content)
    return target.getvalue()


def write(cloud: Cloud, folder: Path, wheels: Path | None = None) -> Path:
    """`fallback-<cloud>-<digest>.zip` in a folder, for a deployment that uploads files."""
    content = archive(cloud, wheels)
    path = folder / f"fallback-{cloud}-{hashlib.sha256(content).hexdigest()[:16]}.zip"
    if not path.exists() or path.read_bytes() != content:
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(content)
        part.replace(path)
    return path


def download(cloud: Cloud, folder: Path) -> None:
    """Fetch the requirements as wheels for the function's platform, each checked against the lock's hash, with pip."""
    folder.mkdir(parents=True, exist_ok=True)
    listing = folder / "requirements.txt"
    listing.write_text(requirements(cloud))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary", ":all:", "--python-version", PYTHON, "--implementation", "cp", "--abi", "cp312"]
    command += ["--abi", "abi3", "--abi", "none"]
    for platform in ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "any"):
        command += ["--platform", platform]
    done = subprocess.run([*command, "--dest", str(folder), "--requirement", str(listing)], check=False)
    if done.returncode:
        raise PackageError(f"pip download ended with {done.returncode}; see above")


def _closure(cloud: Cloud, lock: Path) -> dict[str, Mapping[str, Any]]:
    try:
        locked = tomllib.loads(lock.read_text())["package"]
    except FileNotFoundError:
        raise PackageError(f"{lock.name}: missing; the function's requirements are pinned by it") from None
    # A package may stand there once for each range of Pythons, when no version runs on all of them.
    packages = {item["name"]: item for item in locked if _holds(*item.get("resolution-markers", []))}
    found: dict[str, Mapping[str, Any]] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(name, "") for name in PACKAGES[cloud]]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        if name not in packages:
            raise PackageError(f"{lock.name}: does not pin {name}, which the {cloud} function needs")
        package = found[name] = packages[name]
        wanted = package.get("optional-dependencies", {}).get(extra, []) if extra else package.get("dependencies", [])
        for need in wanted:
            if "marker" not in need or _holds(need["marker"]):
                waiting += [(need["name"], ""), *((need["name"], more) for more in need.get("extra", []))]
    return found


def _holds(*markers: str) -> bool:
    """Whether any of the markers is true where the function runs; without any it is."""
    return not markers or any(Marker(marker).evaluate(dict(_TARGET)) for marker in markers)


def _hashes(package: Mapping[str, Any]) -> Iterator[str]:
    yield from (file["hash"] for file in (*package.get("wheels", []), *filter(None, [package.get("sdist")])))


def _unpacked(cloud: Cloud, folder: Path, lock: Path) -> Iterator[tuple[str, bytes]]:
    known = {value: name for name, package in _closure(cloud, lock).items() for value in _hashes(package)}
    missing = set(known.values())
    for wheel in sorted(folder.glob("*.whl")):
        content = wheel.read_bytes()
        name = known.get(f"sha256:{hashlib.sha256(content).hexdigest()}")
        if name is None:
            raise PackageError(f"{wheel.name}: not a file that uv.lock pins for the {cloud} function")
        missing.discard(name)
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            for entry in packed.namelist():
                path = _placed(entry)
                if path is not None:
                    yield path, packed.read(entry)
    if missing:
        raise PackageError(f"{folder}: no wheel of {', '.join(sorted(missing))}")


def _placed(entry: str) -> str | None:
    """Where a wheel's file goes below site-packages; None for folders, scripts and headers.

    https://packaging.python.org/specifications/binary-distribution-format/
    """
    first, _, rest = entry.partition("/")
    if entry.endswith("/"):
        return None
    if first.endswith(".data"):
        kind, _, path = rest.partition("/")
        return path if kind in ("purelib", "platlib") else None
    return entry


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m infra.function.package azure build/ --wheels build/wheels`"""
    parser = argparse.ArgumentParser(description="Make the fallback function's archive; prints its path.")
    parser.add_argument("cloud", choices=get_args(Cloud))
    parser.add_argument("folder", type=Path, help="where the archive goes")
    parser.add_argument("--wheels", type=Path, help="carry packages along; downloaded to this folder if it has none")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.wheels is not None and not any(chosen.wheels.glob("*.whl")):
            download(chosen.cloud, chosen.wheels)
        print(write(chosen.cloud, chosen.folder, chosen.wheels))  # noqa: T201
    except PackageError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
