"""`spillway catalog`: what it lists, for people and for programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from spillway.catalog_cli import catalog
from spillway.cli import main
from spillway.errors import SpillwayError
from tests.unit.stack_data import SHIPPED, STACKS

app = typer.Typer()
app.command("catalog")(catalog)


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["--stacks", str(STACKS), *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def rows(*arguments: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(run("--json", *arguments))["rows"]}


def test_the_types_of_a_region_come_with_their_zones() -> None:
    found = rows("--region", "us-east-1", "--type", "p4")
    assert found["p4de.24xlarge"]["offered_in"] == {"us-east-1": ["us-east-1b", "us-east-1c"]}
    assert set(found) == {"p4d.24xlarge", "p4de.24xlarge"}


def test_every_model_of_the_stack_files_is_tried_on_every_type() -> None:
    found = rows()
    r1, distilled = "deepseek-r1 fp8", "deepseek-r1-distill-llama-70b bfloat16"
    assert found["p5en.48xlarge"]["models"][r1]["fits"]
    assert not found["p5.48xlarge"]["models"][r1]["fits"]
    assert found["p4d.24xlarge"]["models"][distilled]["fits"]
    assert not found["g5.xlarge"]["models"][distilled]["fits"]
    assert found["p3dn.24xlarge"]["models"][distilled]["why"].startswith("sm_70: vLLM needs sm_75")


def test_models_are_listed_with_their_weights_and_cache() -> None:
    found = rows("--models")
    assert found["deepseek-r1"]["kv_bytes_per_token"] == 70_272
    assert found["llama-3.1-70b-instruct"]["weights_gb"] == pytest.approx(141.1)


def test_the_table_is_not_cut_in_a_pipe() -> None:
    lines = run("--type", "p", "--region", "us-east-2").splitlines()
    [line] = [line for line in lines if "p5en.48xlarge" in line]
    assert "8 H200" in line
    assert "a b c" in line
    assert "yes, TP 8" in line
    assert "…" not in line
    assert "deepseek-r1-distill-llama-70b" in run("--models")


def test_an_unknown_region_or_type_is_one_line() -> None:
    with pytest.raises(SpillwayError, match=r"--region us-esat-1: unknown region \(did you mean us-east-1\?\)"):
        run("--region", "us-esat-1")
    with pytest.raises(SpillwayError, match="no machine type beginning with z9 is offered in us-east-1"):
        run("--type", "z9", "--region", "us-east-1")


def test_a_faulty_stack_file_is_a_warning_beside_the_table_that_its_faults_lead_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(SHIPPED / "Pulumi.aws-us-east-2.yaml", tmp_path)
    (tmp_path / "Pulumi.aws-us-east-1.yaml").write_text("configg: {}\n")
    for cloud in ("aws", "gcp"):
        assert main(["catalog", "--cloud", cloud, "--stacks", str(tmp_path)]) == 0
        out, err = capsys.readouterr()
        assert "deepseek-r1 fp8" in out
        begin = "spillway: warning: stacks/Pulumi.aws-us-east-1.yaml: configg: unknown top-level key"
        assert err.splitlines()[0].startswith(begin)


def test_without_stack_files_the_types_are_listed_all_the_same(tmp_path: Path) -> None:
    assert rows("--stacks", str(tmp_path / "none"))["p4d.24xlarge"]["models"] == {}
