"""The pointer: one value of a stack file replaced, every other byte left; all files, or none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra import stackfile
from infra.config import load_stack_file
from spillway.errors import SpillwayError
from spillway.models import pointer
from tests.unit.stack_data import STACKS

revisions = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
FILE = STACKS / "Pulumi.aws-us-east-1.yaml"


@settings(deadline=None, max_examples=20)
@given(revisions)
def test_only_the_revision_changes(revision: str) -> None:
    before = FILE.read_text()
    after = pointer.edited(before, revision, "x")
    assert after.replace(f'"{revision}"', "REV") == before.replace('"2025-01-20"', "REV")


@pytest.mark.parametrize(
    "line",
    ["revision: abc # note", "revision: 'abc'", 'revision:   "abc"   # note'],
)
def test_however_it_is_spelt(tmp_path: Path, line: str) -> None:
    path = tmp_path / FILE.name
    text = FILE.read_text()
    start = text.index("revision:")
    path.write_text(text[:start] + line + text[text.index("\n", start) :])
    pointer.switch({path: "aws-us-east-1"}, "2026-01-01")
    assert load_stack_file(path).model.revision == "2026-01-01"
    assert ("# note" in path.read_text()) == ("# note" in line)


def test_one_over_several_lines_is_left_to_people(tmp_path: Path) -> None:
    text = FILE.read_text().replace('revision: "2025-01-20"', "revision: >-\n        abc\n     ")
    with pytest.raises(SpillwayError, match="edit it by hand"):
        pointer.edited(text, "r2", "x")


def test_a_map_in_braces_and_windows_line_ends_stay(tmp_path: Path) -> None:
    path = tmp_path / FILE.name
    path.write_bytes(FILE.read_bytes().replace(b"\n", b"\r\n"))
    pointer.switch({path: "aws-us-east-1"}, "r2")
    assert path.read_bytes() == FILE.read_bytes().replace(b'"2025-01-20"', b'"r2"').replace(b"\n", b"\r\n")
    assert pointer.edited('config: {"spillway:region": {model: {name: m, revision: a}}} # c', "b", "x") == (
        'config: {"spillway:region": {model: {name: m, revision: "b"}}} # c'
    )


def test_all_files_change_or_none(tmp_path: Path) -> None:
    good, bad = tmp_path / "Pulumi.aws-us-east-1.yaml", tmp_path / "Pulumi.aws-us-west-2.yaml"
    shutil.copy(FILE, good)
    bad.write_text(FILE.read_text().replace("model:", "modell:"))
    before = (good.read_bytes(), bad.read_bytes())
    with pytest.raises(
        SpillwayError, match=r"stacks/Pulumi\.aws-us-west-2\.yaml: spillway:region\.model\.revision is not"
    ):
        pointer.switch({good: "aws-us-east-1", bad: "aws-us-west-2"}, "r2")
    assert (good.read_bytes(), bad.read_bytes()) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [good.name, bad.name], "no draft is left"


def test_a_revision_that_no_stack_file_may_name_is_refused(tmp_path: Path) -> None:
    shutil.copy(FILE, tmp_path)
    with pytest.raises(SpillwayError, match=r"stacks/Pulumi\.aws-us-east-1\.yaml: spillway:region\.model\.revision = "):
        pointer.switch({tmp_path / FILE.name: "aws-us-east-1"}, "../x")
    assert stackfile.read(tmp_path / FILE.name) == stackfile.read(FILE)
