"""A review from end to end: a checkout whose branch changes stack files, previewed by the real engine on stand-ins."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest

from cost.prices.snapshot import Snapshot
from spillway.preview.document import Document
from spillway.preview.markdown import as_markdown
from spillway.preview.review import Wanted, review
from spillway.preview.secrets import Masker
from tests.preview.test_touched import run

ROOT = Path(__file__).parents[2]
PROGRAM = ("infra", "images", "spillway", "cost", "rehearsal", "sandbox", "observability")
"""Packages that the program of a stack imports, or may."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Document:
    root = tmp_path_factory.mktemp("review") / "checkout"
    for name in PROGRAM:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "docs"))
    for name in ("Pulumi.yaml", "pyproject.toml", "uv.lock", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    (root / "stacks").mkdir()
    for name in ("gcp-us-central1", "tencent-ap-guangzhou"):
        shutil.copy(ROOT / "stacks" / f"Pulumi.{name}.yaml", root / "stacks")
    run(root.parent, "init", "-q", "-b", "main", str(root))
    run(root, "add", "-A")
    run(root, "commit", "-qm", "base")
    file = root / "stacks" / "Pulumi.gcp-us-central1.yaml"
    file.write_text(
        file.read_text().replace("sizeGib: 1000, iops", "sizeGib: 1500, iops").replace("target: 2", "target: 3")
    )
    broken = root / "stacks" / "Pulumi.tencent-ap-guangzhou.yaml"
    broken.write_text(broken.read_text().replace("target: 1", "target: none"))
    wanted = Wanted(root, "sandbox", base="HEAD", at_once=2)
    result = review(wanted, Snapshot.load(), date(2026, 11, 26), Masker(), None)
    listed = subprocess.run(["git", "-C", str(root), "worktree", "list"], capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == 1
    return result


def test_each_touched_stack_has_its_row_even_where_it_cannot_be_previewed(found: Document) -> None:
    assert [(row.stack, row.outcome) for row in found.rows] == [
        ("gcp-us-central1", "previewed"), ("tencent-ap-guangzhou", "failed"),
    ]  # fmt: skip
    assert "pools.target = none" in found.rows[1].errors[0]
    assert found.failed


def test_operations_are_those_that_the_change_makes_of_what_the_base_deploys(found: Document) -> None:
    row = found.rows[0]
    assert row.counts["create"] == row.counts["delete"] == 0
    assert row.counts["replace"] == 2  # a template of each pool
    assert all("no node ends" in one.lost for one in row.changes if one.op == "replace")
    changed = {diff.path for one in row.changes for diff in one.diffs}
    assert "disks[1].diskSizeGb" in changed
    assert "serviceConfig.environmentVariables.SPILLWAY_TARGET" in changed


def test_cost_and_tokens_are_those_of_both_sides(found: Document) -> None:
    row = found.rows[0]
    assert row.cost is not None
    assert row.cost.before.steady > 0
    assert row.cost.delta.steady > row.cost.before.steady * 2 / 5  # a third node, and half as much disk again
    assert row.per_million is not None
    assert row.per_million.usd is not None
    told = as_markdown(found)
    assert "per million tokens" in told
    assert "stand-in clouds" in told
