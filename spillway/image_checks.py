"""`spillway image validate`: every check with what it needs, and with the reason where it was passed over."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from images import bake as source
from images import check, hcl, sbom
from images.node import Cloud
from spillway import image_build, image_stacks
from spillway.errors import SpillwayError
from spillway.subprocesses import run as start

if TYPE_CHECKING:
    from images.bake import Bake, Rendered

State = Literal["verified", "failed", "skipped"]

NEEDS: Final = {
    "shell": "bash, shellcheck",
    "user data": "cloud-init",
    "units": "systemd-analyze",
    "security": "systemd-analyze",
    "nginx": "nginx, openssl",
}
"""What the static rung's checks call."""
MODERN: Final = (1, 7, 0)
"""From here on a packer has plugins of their own versions."""
LEGACY_CLOUDS: Final[tuple[Cloud, ...]] = ("aws", "azure", "gcp")
"""Whose builders are inside of Debian's Packer."""
VALIDATE_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Result:
    """One check of one or more clouds. reason: why it was skipped, or what it does not prove."""

    check: str
    clouds: tuple[str, ...]
    needs: str
    state: State
    reason: str = ""
    findings: tuple[str, ...] = ()


def run(clouds: Sequence[Cloud], stacks: Path | None) -> list[Result]:
    """All checks of the clouds. Raises SpillwayError for stack files that cannot be read."""
    configs = image_stacks.regions_if_any(stacks)
    bakes: dict[Cloud, Bake] = {}
    faults: list[str] = []
    for cloud in clouds:
        try:
            bakes[cloud] = image_stacks.bake_of(cloud, configs, example=True)
        except SpillwayError as error:
            faults += error.lines
    results = _static(clouds)
    rendered: dict[Cloud, Rendered] = {}
    for cloud, bake in bakes.items():
        try:
            rendered[cloud] = source.prepare(bake)
        except ValueError as error:
            faults.append(f"{cloud}: {error}")
    results.append(_result("rendering", clouds, "", faults, "archive, tags within the clouds' limits, HCL"))
    results.append(_each("sbom", list(rendered), "", lambda cloud: sbom.faults(_sbom(bakes[cloud])), "CycloneDX 1.6"))
    try:
        results.append(
            _each("hcl", list(rendered), "python-hcl2", lambda cloud: hcl.check(rendered[cloud].hcl), _plugins())
        )
    except hcl.Missing as error:
        results.append(Result("hcl", tuple(clouds), "python-hcl2", "skipped", str(error)))
    results.append(_packer(bakes, list(rendered)))
    return results


def _plugins() -> str:
    return "options of " + ", ".join(f"{one['name']} {one['version']}" for one in source.pins()["plugins"].values())


def _sbom(bake: Bake) -> dict[str, object]:
    return sbom.document(bake.family, bake.cloud, sbom.components(bake.cloud))


def _result(name: str, clouds: Sequence[Cloud], needs: str, faults: Sequence[str], about: str = "") -> Result:
    return Result(name, tuple(clouds), needs, "failed" if faults else "verified", about, tuple(faults))


def _each(
    name: str, clouds: Sequence[Cloud], needs: str, judge: Callable[[Cloud], Sequence[str]], about: str
) -> Result:
    faults = [f"{cloud}: {line}" for cloud in clouds for line in judge(cloud)]
    return _result(name, clouds, needs, faults, about)


def _static(clouds: Sequence[Cloud]) -> list[Result]:
    """The checks of the file tree, by name over all clouds."""
    found = {cloud: check.run(cloud) for cloud in clouds}
    results: list[Result] = []
    for one in check.CHECKS:
        name = one.__name__.replace("_", " ")
        mine = [(cloud, entry) for cloud, entries in found.items() for entry in entries if entry.check == name]
        passed_over = [entry.message for _, entry in mine if entry.level == "skipped"]
        faults = [f"{cloud}: {entry.subject}: {entry.message}" for cloud, entry in mine if entry.level == "fault"]
        needs = NEEDS.get(name, "")
        if passed_over and not faults:
            results.append(Result(name, tuple(clouds), needs, "skipped", passed_over[0]))
        else:
            about = " ".join((one.__doc__ or "").split("\n")[0].split())
            results.append(_result(name, clouds, needs, faults, about))
    named = {result.check for result in results}
    stray = [(cloud, entry) for cloud, entries in found.items() for entry in entries if entry.check not in named]
    if stray:
        lines = [f"{cloud}: {entry}" for cloud, entry in stray if entry.level == "fault"]
        results.append(
            _result("others", clouds, "", lines, "; ".join(e.message for _, e in stray if e.level != "fault"))
        )
    return results


def _packer(bakes: dict[Cloud, Bake], clouds: Sequence[Cloud]) -> Result:
    name, needs = "packer validate", "packer"
    try:
        packer = image_build.find()
    except SpillwayError as error:
        return Result(name, tuple(clouds), needs, "skipped", error.lines[0])
    modern = packer.version >= MODERN
    mine = [cloud for cloud in clouds if modern or cloud in LEGACY_CLOUDS]
    faults: list[str] = []
    for cloud in mine:
        with tempfile.TemporaryDirectory(prefix="spillway-packer-") as name_:
            source.write(bakes[cloud], Path(name_), modern=modern)
            done = start([packer.path, "validate", "."], cwd=Path(name_) / "packer", timeout=VALIDATE_SECONDS)
        said = [line.strip() for line in done.tail if line.strip()]
        if not done.ok and any("issing plugins" in line or "packer init" in line for line in said):
            why = f"Packer {packer} has not the pinned plugins: `packer init` in a rendered folder gets them"
            return Result(name, tuple(clouds), needs, "skipped", why)
        if not done.ok:
            lines = [line for line in said if line.startswith(("Error", "* ", "on ", "An argument"))] or said
            faults += [f"{cloud}: {line}" for line in lines]
    if modern:
        return _result(name, mine, needs, faults, f"Packer {packer} with the pinned plugins")
    about = f"Packer {packer} on a copy without what it does not know; it proves the old plugins' schema"
    return _result(name, mine, needs, faults, about)
