"""Each folder of tests/bad_stacks holds a bad stack file and the exact text that it is refused with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.ci.config import load_ci
from infra.config import ConfigError, load_stack_file
from infra.dns.config import load_global
from infra.stackfile import is_ci, stack_of

BAD = Path(__file__).parents[1] / "bad_stacks"
ROOT = BAD.parents[1]
CASES = sorted(folder.name for folder in BAD.iterdir() if folder.is_dir())
REGION_FILE = "Pulumi.aws-us-east-1.yaml"
GLOBAL_FILE = "Pulumi.global.yaml"


def stack_file(case: str) -> Path:
    """The bad file of a case: the global stack's where there is one, beside the regions that it names; else the AWS
    region's, or the only one."""
    known = [path for path in (BAD / case / GLOBAL_FILE, BAD / case / REGION_FILE) if path.exists()]
    return known[0] if known else next((BAD / case).glob("Pulumi.*.yaml"))


def test_there_are_at_least_ten_bad_stack_files() -> None:
    assert len(CASES) >= 10


@pytest.mark.parametrize("case", CASES)
def test_a_bad_stack_file_is_refused_with_exactly_the_text_beside_it(case: str) -> None:
    bad = stack_file(case)
    load: Callable[[Path], object] = load_global if bad.name == GLOBAL_FILE else load_stack_file
    load = load_ci if is_ci(stack_of(bad)) else load
    with pytest.raises(ConfigError) as refused:
        load(bad)
    assert list(refused.value.lines) == (BAD / case / "expected.txt").read_text().splitlines()


@pytest.mark.parametrize("case", CASES)
def test_every_line_of_an_error_names_the_file_and_is_one_printable_line(case: str) -> None:
    for line in (BAD / case / "expected.txt").read_text().splitlines():
        assert line.startswith(f"stacks/{stack_file(case).name}: ")
        assert line.isprintable()
        assert line.isascii()


def test_what_may_be_a_secret_is_never_shown() -> None:
    for case in ("secure-value", "secret-value"):
        text = (BAD / case / "expected.txt").read_text()
        assert "<not shown>" in text
        assert "v1:" not in text
        assert "sk-live" not in text


def test_a_sound_file_needs_neither_the_texts_of_errors_nor_any_sdk() -> None:
    program = (
        "import sys; from pathlib import Path; from infra.config import load_stack_file;"
        "load_stack_file(Path('stacks/Pulumi.aws-us-east-1.yaml'));"
        "print([m for m in ('pulumi', 'pulumi_aws', 'boto3', 'ruamel', 'difflib', 'infra.explain', 'infra.schema')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
