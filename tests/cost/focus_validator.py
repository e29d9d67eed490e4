"""The official FOCUS validator, in an environment of its own: it wants Python 3.12 and an older pyarrow than ours.

    python -m tests.cost.focus_validator [FILE ...]   # makes the environment; of docs/reports/ when no file is given
    python -m tests.cost.focus_validator --lacks      # why it cannot be made here; nothing where it can

https://pypi.org/project/focus-validator/ 2.2.1 has the rules of FOCUS 1.2 with it. Below Python 3.12 pip chooses 1.0.0,
which knows no 1.2; with pyarrow 23 it cannot read Parquet. Its exit code is 0 whatever it finds, so its words are read.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VERSION: Final = "2.2.1"
PACKAGES: Final = (f"focus-validator=={VERSION}", "pyarrow<23")
FOCUS: Final = "1.2"
COMPLETE: Final = ".complete"
REPORTS: Final = Path(__file__).resolve().parents[2] / "docs" / "reports"
FALSE_FAILS: Final = frozenset({"InvoiceId-C-004-C", "InvoiceId-C-005-C"})
"""It takes both conditions (an invoice is there, none is there) for true, so one of the two fails on any file."""
WHOLE: Final = ("CostAndUsage-D-001-M", "CostAndUsage-D-002-M")
"""Rules of the whole data set: that columns are there, and that each is right. Without criteria of applicability they
are counted as skipped, since some columns are only wanted of providers that have such charges; what they found of the
others they say all the same. CostAndUsage-D-000-M is both together."""
SECONDS: Final = 900

_TOTAL: Final = re.compile(r"^Total: (\d+) \| Pass: (\d+) \| Fail: (\d+) \| Skipped: (\d+)", re.M)
_RULE: Final = re.compile(r"^\S+ ([A-Za-z]+-[A-Z]-\d+-[A-Z]): (PASS|FAIL|SKIPPED)\s+\((.*)\)$", re.M)


@dataclass(frozen=True)
class Found:
    """What it said of a file. failed: names of rules, without those that fail on any file; said: of each, its words."""

    total: int
    passed: int
    skipped: int
    failed: tuple[str, ...]
    said: dict[str, str]

    @property
    def faults(self) -> list[str]:
        """Lines; none where the file is right."""
        lines = [f"{name}: {self.said.get(name, '')}" for name in self.failed]
        if "CostAndUsage-D-000-M" not in self.said:
            lines.append("CostAndUsage-D-000-M, the whole data set, was not looked at")
        lines += [f"{name}: {self.said.get(name, 'not looked at')}" for name in WHOLE
                  if "AND passed" not in self.said.get(name, "")]  # fmt: skip
        return lines


def environment() -> Path:
    """Where it is, or would be."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "spillway" / "focus-validator" / VERSION


def there() -> bool:
    """Whether it is made."""
    return (environment() / COMPLETE).is_file()


def python() -> Path | None:
    """A Python 3.12 of this machine: on the path, or one of pyenv's."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    on_path = shutil.which("python3.12")
    for one in [*([Path(on_path)] if on_path else []), *sorted(root.glob("versions/3.12*/bin/python3.12"))]:
        # A shim of pyenv is there for a version that is not switched on too.
        asked = [str(one), "-c", "import sys, venv, ensurepip; print(sys.version_info[:2] == (3, 12))"]
        if subprocess.run(asked, capture_output=True, text=True, timeout=60).stdout.strip() == "True":
            return one
    return None


def lacks() -> str:
    """Why it cannot be made here; empty where it can, or is."""
    if there() or python() is not None:
        return ""
    return "the FOCUS validator wants Python 3.12 with venv, and none is on the path or among pyenv's versions"


def make() -> Path:
    """The environment, made where it is missing. Raises RuntimeError with what pip said."""
    where = environment()
    if there():
        return where
    interpreter = python()
    if interpreter is None:
        raise RuntimeError(lacks())
    shutil.rmtree(where, ignore_errors=True)
    where.parent.mkdir(parents=True, exist_ok=True)
    print(f"Making {where} with {interpreter}...", file=sys.stderr, flush=True)
    for command in (
        [str(interpreter), "-m", "venv", str(where)],
        [str(where / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        if done.returncode:
            raise RuntimeError("\n".join([" ".join(command), *done.stderr.splitlines()[-10:]]))
    (where / COMPLETE).touch()
    return where


def validate(file: Path) -> Found:
    """What it says of a file. Raises RuntimeError where it says nothing that can be read."""
    where = make()
    packages = next(where.glob("lib/python3.12/site-packages"))
    command = [str(where / "bin" / "focus-validator"), "--data-file", str(file.resolve()), "--validate-version", FOCUS,
               "--block-download"]  # fmt: skip
    # It looks for its rules in the folder that it is started in.
    done = subprocess.run(command, cwd=packages, capture_output=True, text=True, timeout=SECONDS)
    return read(done.stdout, done.stderr)


def read(text: str, errors: str = "") -> Found:
    """Its words, as values."""
    totals = _TOTAL.search(text)
    if totals is None:
        raise RuntimeError("\n".join(["the FOCUS validator came to no result", *errors.splitlines()[-10:]]))
    rules = {name: (state, words) for name, state, words in _RULE.findall(text)}
    failed = tuple(sorted(name for name, (state, _) in rules.items() if state == "FAIL" and name not in FALSE_FAILS))
    total, passed, fails, skipped = map(int, totals.groups())
    if fails != sum(state == "FAIL" for state, _ in rules.values()) or fails - len(failed) > 1:
        raise RuntimeError(f"the FOCUS validator counts {fails} fails, and names others than these: {failed}")
    return Found(total, passed, skipped, failed, {name: words for name, (_, words) in rules.items()})


def main(arguments: list[str]) -> int:
    """Exit code 1: a file is wrong, or the validator cannot be had."""
    if arguments == ["--lacks"]:
        print(lacks())
        return 0
    files = [Path(one) for one in arguments] or sorted(REPORTS.glob("*/focus.parquet"))
    wrong = not files
    for file in files:
        try:
            found = validate(file)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
        print(f"{file}: {found.passed} of {found.total} rules pass, {found.skipped} are not for such a file")
        for line in found.faults:
            print(f"  {line}")
        wrong = wrong or bool(found.faults)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
