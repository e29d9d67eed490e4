"""Which stacks a change touches: by its files, and by what git says of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway.errors import SpillwayError
from spillway.preview import git
from spillway.preview.review import Wanted, _chosen, kinds
from spillway.preview.touched import touched

STACKS = {
    "aws-us-east-1": "aws", "aws-us-west-2": "aws", "azure-eastus": "azure", "gcp-us-central1": "gcp",
    "global": "global", "ci-aws": "ci-aws",
}  # fmt: skip


@pytest.mark.parametrize(("paths", "stacks"), [
    (["stacks/Pulumi.aws-us-east-1.yaml"], ["aws-us-east-1"]),
    (["stacks/Pulumi.unknown.yaml"], []),
    (["stacks/README.md"], []),
    (["infra/aws/pools.py"], ["aws-us-east-1", "aws-us-west-2", "ci-aws"]),
    (["infra/azure/region.py", "infra/gcp/node.py"], ["azure-eastus", "gcp-us-central1"]),
    (["infra/dns/route53.py"], ["global"]),
    (["infra/ci/aws.py"], ["ci-aws"]),
    (["infra/fallback.py"], sorted(STACKS)),
    (["images/templates/user-data.yaml.j2"], sorted(STACKS)),
    (["uv.lock"], sorted(STACKS)),
    (["policy/stacks/azure-eastus.json"], ["azure-eastus"]),
    (["policy/stacks/schema.json"], []),
    (["policy/rules/rights.py"], sorted(STACKS)),
    (["docs/aws.md", "tests/unit/test_x.py", "README.md", "cost/plan/aws.py", "infra/keeper.py"], []),
    ([], []),
])  # fmt: skip
def test_paths_touch_the_stacks_that_are_made_of_them(paths: list[str], stacks: list[str]) -> None:
    assert list(touched(paths, STACKS)) == stacks


@given(st.lists(st.sampled_from(["infra/new/file.py", "stacks/Pulumi.global.yaml", "Pulumi.yaml", "docs/x.md"])))
def test_what_is_not_known_to_be_harmless_touches_all(paths: list[str]) -> None:
    found = touched(paths, STACKS)
    if "infra/new/file.py" in paths or "Pulumi.yaml" in paths:
        assert set(found) == set(STACKS)
    assert all(path in paths for path in found.values())


def run(root: Path, *arguments: str) -> None:
    subprocess.run(
        ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a branch that left main, which went on."""
    root = tmp_path / "checkout"
    (root / "stacks").mkdir(parents=True)
    run(tmp_path, "init", "-q", "-b", "main", str(root))
    for name in ("aws-us-east-1", "gcp-us-central1", "global"):
        (root / "stacks" / f"Pulumi.{name}.yaml").write_text("config: {}\n")
    (root / "Pulumi.yaml").write_text("name: spillway\n")
    run(root, "add", "-A")
    run(root, "commit", "-qm", "one")
    run(root, "checkout", "-qb", "change")
    (root / "stacks" / "Pulumi.aws-us-east-1.yaml").write_text("config: {a: 1}\n")
    run(root, "commit", "-qam", "two")
    run(root, "checkout", "-q", "main")
    (root / "stacks" / "Pulumi.global.yaml").write_text("config: {b: 1}\n")
    run(root, "commit", "-qam", "three")
    run(root, "checkout", "-q", "change")
    return root


def test_a_branch_is_compared_with_where_it_left_its_base(checkout: Path) -> None:
    commit = git.fork_point(checkout, "main")
    assert git.changed(checkout, commit) == ["stacks/Pulumi.aws-us-east-1.yaml"]


def test_files_that_are_not_committed_count(checkout: Path) -> None:
    (checkout / "stacks" / "Pulumi.azure-eastus.yaml").write_text("config: {}\n")
    (checkout / "stacks" / "Pulumi.gcp-us-central1.yaml").unlink()
    found = git.changed(checkout, git.fork_point(checkout, "main"))
    assert found == [f"stacks/Pulumi.{name}.yaml" for name in ("aws-us-east-1", "azure-eastus", "gcp-us-central1")]


def test_a_stack_whose_file_is_gone_is_told_and_not_previewed(checkout: Path) -> None:
    (checkout / "stacks" / "Pulumi.gcp-us-central1.yaml").unlink()
    commit = git.fork_point(checkout, "main")
    before = {name: name for name in git.stack_files(checkout, commit)}
    chosen, left_out = _chosen(Wanted(checkout, "sandbox", base="main"), kinds(checkout), before, commit)
    assert list(chosen) == ["aws-us-east-1"]
    assert "until `pulumi destroy`" in left_out["gcp-us-central1"]


def test_the_base_is_checked_out_beside_and_leaves_nothing(checkout: Path) -> None:
    commit = git.fork_point(checkout, "main")
    with git.checkout(checkout, commit) as base:
        assert (base / "stacks" / "Pulumi.aws-us-east-1.yaml").read_text() == "config: {}\n"
    assert not base.exists()
    told = subprocess.run(["git", "-C", str(checkout), "worktree", "list"], capture_output=True, text=True, check=True)
    assert len(told.stdout.splitlines()) == 1
    assert (checkout / "stacks" / "Pulumi.aws-us-east-1.yaml").read_text() == "config: {a: 1}\n"


def test_a_base_that_is_not_there_is_told_with_what_to_do(checkout: Path) -> None:
    with pytest.raises(SpillwayError, match="no such commit here; fetch it first"):
        git.fork_point(checkout, "origin/nowhere")
    run(checkout, "checkout", "-q", "--orphan", "alone")
    run(checkout, "commit", "-qm", "alone")
    with pytest.raises(SpillwayError, match="no commit in common"):
        git.fork_point(checkout, "main")


def test_names_of_stacks_are_checked_before_anything_runs(checkout: Path) -> None:
    with pytest.raises(SpillwayError, match=r"aws-us-east-2: no such stack.*did you mean aws-us-east-1"):
        _chosen(Wanted(checkout, "sandbox", ("aws-us-east-2",)), kinds(checkout), {}, "")


def test_without_a_base_every_stack_is_previewed(checkout: Path) -> None:
    chosen, _ = _chosen(Wanted(checkout, "sandbox"), kinds(checkout), {}, "")
    assert list(chosen) == ["aws-us-east-1", "gcp-us-central1", "global"]
