"""Which stacks get a job: by the change, by what is deployed, and never what no pipeline may deploy."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spillway.ci.matrix import EXTRAS, Plan, plan, read_plan
from spillway.ci_cli import app
from spillway.errors import SpillwayError

STACKS = Path(__file__).parents[2] / "stacks"
NAMES = ("aws-us-east-1", "aws-us-west-2", "azure-eastus", "gcp-us-central1", "global", "global-traffic-manager",
         "tencent-ap-guangzhou")  # fmt: skip
ACCOUNTS = ("aws-us-east-1", "gcp-us-central1", "global")


def git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", *identity, "-C", str(root), *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of stack files, on a branch off main."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "infra" / "azure").mkdir(parents=True)
    (tmp_path / "Pulumi.yaml").write_text("name: spillway\nruntime: python\n")
    (tmp_path / "infra" / "azure" / "region.py").write_text("")
    for name in NAMES:
        shutil.copy(STACKS / f"Pulumi.{name}.yaml", tmp_path / "stacks")
    (tmp_path / "stacks" / "Pulumi.ci-aws.yaml").write_text("config:\n  spillway:ci: {cloud: aws}\n")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "base")
    git(tmp_path, "checkout", "-qb", "change")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + "# changed\n")
    git(root, "add", ".")
    git(root, "commit", "-qm", "change")


def stacks(found: Plan) -> list[str]:
    return [one.stack for one in found.jobs]


def test_only_touched_stacks_get_a_job_and_say_by_what(checkout: Path) -> None:
    touch(checkout, "infra/azure/region.py", "stacks/Pulumi.aws-us-west-2.yaml", "README.md")
    found = plan(checkout, "preview", base="main")
    assert {one.stack: one.path for one in found.jobs} == {
        "aws-us-west-2": "stacks/Pulumi.aws-us-west-2.yaml",
        "azure-eastus": "infra/azure/region.py",
    }


def test_a_change_of_documents_makes_no_job(checkout: Path) -> None:
    touch(checkout, "README.md")
    assert plan(checkout, "preview", base="main") == Plan((), {})


def test_a_stack_whose_file_is_gone_is_left_out_by_name(checkout: Path) -> None:
    git(checkout, "rm", "-q", "stacks/Pulumi.aws-us-west-2.yaml")
    git(checkout, "commit", "-qm", "gone")
    found = plan(checkout, "preview", base="main")
    assert stacks(found) == []
    assert "until `pulumi destroy`" in found.left_out["aws-us-west-2"]


def test_deployed_stacks_are_previewed_in_their_accounts_the_others_on_stand_ins(checkout: Path) -> None:
    found = {one.stack: one for one in plan(checkout, "preview", deployed=ACCOUNTS, backend="s3://state").jobs}
    assert {name for name, one in found.items() if one.on == "account"} == set(ACCOUNTS)
    assert found["aws-us-east-1"].logins == ("aws",)
    assert found["gcp-us-central1"].logins == ("aws", "gcp")  # the state is in S3
    assert found["gcp-us-central1"].extras == ("gcp",)
    assert found["global"].cloud == "aws"
    assert found["global-traffic-manager"].cloud == "azure"
    assert found["azure-eastus"].logins == ()
    assert found["azure-eastus"].extras == EXTRAS


def test_a_cloud_without_federation_is_previewed_on_stand_ins_though_it_is_deployed(checkout: Path) -> None:
    (job,) = plan(checkout, "preview", named=["tencent-ap-guangzhou"], deployed=["tencent-ap-guangzhou"]).jobs
    assert (job.on, job.logins) == ("sandbox", ())


def test_drift_is_looked_for_in_deployed_stacks_alone(checkout: Path) -> None:
    assert stacks(plan(checkout, "drift", deployed=ACCOUNTS)) == ["aws-us-east-1", "gcp-us-central1", "global"]
    assert stacks(plan(checkout, "drift")) == []


def test_regions_are_deployed_before_dns(checkout: Path) -> None:
    touch(checkout, "Pulumi.yaml")
    found = plan(checkout, "deploy", base="main", deployed=[*ACCOUNTS, "global-traffic-manager"])
    assert stacks(found) == ["aws-us-east-1", "gcp-us-central1", "global", "global-traffic-manager"]
    assert "not among the deployed stacks" in found.left_out["azure-eastus"]


def test_a_stack_that_is_named_is_deployed_the_first_time(checkout: Path) -> None:
    assert stacks(plan(checkout, "deploy", named=["azure-eastus"])) == ["azure-eastus"]


def test_the_roles_of_pipelines_are_deployed_by_no_pipeline(checkout: Path) -> None:
    found = plan(checkout, "deploy", named=["ci-aws"], deployed=["ci-aws"])
    assert stacks(found) == []
    assert "a person deploys it" in found.left_out["ci-aws"]


def test_a_name_that_is_none_is_told_with_the_one_that_was_meant(checkout: Path) -> None:
    with pytest.raises(SpillwayError, match=r"aws-us-esat-1: no such stack \(did you mean aws-us-east-1\?\)"):
        plan(checkout, "deploy", named=["aws-us-esat-1"])
    with pytest.raises(SpillwayError, match="azure-westus: no such stack"):
        plan(checkout, "drift", deployed=["azure-westus"])


def test_more_stacks_than_a_matrix_takes_are_refused(checkout: Path) -> None:
    for number in range(260):
        (checkout / "stacks" / f"Pulumi.aws-x{number}.yaml").write_text("config: {}\n")
    with pytest.raises(SpillwayError, match="a matrix has at most 256 jobs"):
        plan(checkout, "preview")


def test_the_command_writes_what_github_and_the_merging_job_read(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    touch(checkout, "stacks/Pulumi.aws-us-east-1.yaml")
    elsewhere = tmp_path_factory.mktemp("runner")
    output, out = elsewhere / "output", elsewhere / "results" / "stacks.json"
    output.write_text("earlier=1\n")
    done = CliRunner().invoke(
        app, ["matrix", "--base", "main", "--deployed", "aws-us-east-1, global", "--backend", "s3://b",
              "--github-output", str(output), "--out", str(out)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    lines = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert (lines["earlier"], lines["any"], lines["stacks"]) == ("1", "true", "aws-us-east-1")
    assert json.loads(lines["matrix"]) == {
        "include": [
            {"stack": "aws-us-east-1", "kind": "aws", "cloud": "aws", "on": "account", "extras": "aws",
             "logins": ["aws"], "touchedBy": "stacks/Pulumi.aws-us-east-1.yaml"}
        ]
    }  # fmt: skip
    assert read_plan(out.read_text(), "f") == ({"aws-us-east-1": "stacks/Pulumi.aws-us-east-1.yaml"}, {})


def test_several_names_in_one_field_of_a_form_are_several(checkout: Path) -> None:
    done = CliRunner().invoke(app, ["matrix", "--for", "deploy", "azure-eastus, aws-us-east-1 azure-eastus"])
    assert [one["stack"] for one in json.loads(done.output)["include"]] == ["aws-us-east-1", "azure-eastus"]


@pytest.mark.parametrize("text", ["", "[]", '{"include": 1}', '{"include": [{}]}', '{"include": [], "leftOut": []}'])
def test_a_list_of_stacks_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SpillwayError, match="is not what `spillway ci matrix` wrote"):
        read_plan(text, "stacks.json")
