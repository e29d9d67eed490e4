"""`spillway image test`: the rungs of the image's tests, each with what it needs, run as far as this machine can."""

from __future__ import annotations

import re
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from infra.faults import listed
from spillway.errors import SpillwayError
from spillway.subprocesses import run

ROOT: Final = Path(__file__).resolve().parent.parent
SECONDS: Final = 3600.0
NOTHING_COLLECTED: Final = 5
"""pytest's exit code when every module said that it cannot run here, too."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A set of tests. paths: globs below the repository."""

    number: int
    name: str
    paths: tuple[str, ...]


@dataclass(slots=True)
class Climbed:
    """How a rung went. reasons: why tests were skipped, each once, and which failed."""

    rung: int
    name: str
    state: Literal["verified", "failed", "skipped"]
    passed: int = 0
    skipped: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)


STATIC: Final = ("packer", "image_cli", "sbom", "tree", "check", "install", "versions", "static", "render")
"""Modules of tests/images that look at the rendered image; the others run the node's programs."""

RUNGS: Final = (
    Rung(1, "rendered and checked", tuple(f"tests/images/test_{name}*.py" for name in STATIC)),
    Rung(2, "programs against stand-ins", ("tests/images/test_*.py",)),
    Rung(3, "boot with systemd-nspawn", ("tests/boot/test_*nspawn*.py",)),
    Rung(4, "boot with QEMU", ("tests/boot/test_*qemu*.py",)),
    Rung(5, "the real engine", ("tests/vllm/test_*.py",)),
)


def climb(wanted: Sequence[int], *, quiet: bool = False) -> list[Climbed]:
    """Runs the rungs one after the other; a rung without tests or tools is skipped with its reason.

    quiet: pytest's output goes to standard error. Raises SpillwayError for a rung that there is none of.
    """
    numbers = [rung.number for rung in RUNGS]
    for number in wanted:
        if number not in numbers:
            raise SpillwayError(f"--rung {number}: has to be {listed(numbers)}")
    seen: set[Path] = set()
    results: list[Climbed] = []
    for rung in RUNGS:
        files = sorted({path for pattern in rung.paths for path in ROOT.glob(pattern)} - seen)
        seen.update(files)
        if not wanted or rung.number in wanted:
            results.append(_climb(rung, files, quiet))
    return results


def _climb(rung: Rung, files: Sequence[Path], quiet: bool) -> Climbed:
    result = Climbed(rung.number, rung.name, "skipped")
    if not files:
        result.reasons.append(f"there are no tests: {rung.paths[0]}")
        return result
    if find_spec("pytest") is None:
        result.reasons.append("pytest is not installed (it is in the dependency group dev)")
        return result
    stream = sys.stderr if quiet else sys.stdout
    with tempfile.TemporaryDirectory(prefix="spillway-rung-") as folder:
        report = Path(folder) / "report.xml"
        done = run(
            [sys.executable, "-m", "pytest", "-q", "-rs", f"--junitxml={report}", *files],
            cwd=ROOT,
            on_line=lambda line: print(line, file=stream, flush=True),
            timeout=SECONDS,
        )
        if report.is_file():
            _count(result, report)
    if done.timed_out:
        result.reasons.append(f"ended after {SECONDS / 60:.0f} minutes")
    if result.failed or done.timed_out or done.code not in (0, NOTHING_COLLECTED):
        result.state = "failed"
        result.reasons = result.reasons or [f"pytest ended with {done.code}"]
    elif result.passed:
        result.state = "verified"
    return result


def _count(result: Climbed, report: Path) -> None:
    for case in ElementTree.parse(report).iter("testcase"):
        skipped, bad = case.find("skipped"), [*case.iter("failure"), *case.iter("error")]
        if bad:
            result.failed += 1
            result.reasons.append(f"{case.get('name')}: {(bad[0].get('message') or '').splitlines()[0][:200]}")
        elif skipped is not None:
            result.skipped += 1
            # A module that skips itself has its reason in the text alone: ('path', line, 'Skipped: reason').
            told = re.search(r"'Skipped: (.*)'\)", skipped.text or "")
            why = told[1] if told else (skipped.get("message") or "").strip()
            if why and why not in result.reasons:
                result.reasons.append(why)
        else:
            result.passed += 1
