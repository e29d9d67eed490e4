"""`spillway catalog --storage`: what it prints for people and programs, and the page that is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from infra import catalog
from spillway import catalog_cli, catalog_storage
from spillway.errors import SpillwayError
from spillway.regions import region_stacks
from tests.unit.stack_data import ROOT, SHIPPED

app = typer.Typer()
app.command("catalog")(catalog_cli.catalog)


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["--storage", "--stacks", str(SHIPPED), *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def rows(*arguments: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(run("--json", *arguments))["rows"]}


def line_of(output: str, name: str) -> list[str]:
    (line,) = [line for line in output.splitlines() if line.startswith(f"{name} ")]
    return line.split()


def test_every_machine_type_of_every_cloud_has_a_row() -> None:
    every = {machine.name for cloud in catalog.READERS for machine in catalog.machines(cloud)}
    assert set(rows()) == every
    named = {line.split()[0] for line in run().splitlines() if line}
    assert every <= named


@pytest.mark.parametrize("cloud", list(catalog.READERS))
def test_one_cloud_alone(cloud: str) -> None:
    assert {row["cloud"] for row in rows("--cloud", cloud).values()} == {cloud}
    assert set(rows("--cloud", cloud)) == {machine.name for machine in catalog.machines(cloud)}


@pytest.mark.parametrize("stack", ["", *region_stacks(SHIPPED)])
def test_people_read_it_in_120_columns(stack: str) -> None:
    output = run(*(("--stack", stack) if stack else ()))
    assert max(len(line) for line in output.splitlines()) <= 120


def test_a_row_says_sizes_rates_times_and_what_binds() -> None:
    output = run("--cloud", "aws", "--type", "p")
    assert line_of(output, "p4d.24xlarge") == [
        "p4d.24xlarge", "200/3k/262", "1000/16k/1049", "8000/?/?", "≥11", "s", "c", "≥54", "s", "c", "148"
    ]  # fmt: skip
    assert line_of(output, "p3.8xlarge") == [
        "p3.8xlarge", "200/3k/262", "1000/16k/875*", "on", "data", "2.7", "min", "a", "12.8", "min", "a", "11"
    ]  # fmt: skip
    assert "a: the machine's ceiling over all its disks" in output
    assert "c: the machine's network" in output


def test_a_stack_file_has_its_own_machine_types_volumes_and_model() -> None:
    found = rows("--stack", "azure-eastus")
    assert set(found) == {"Standard_ND96asr_v4"}
    (row,) = found.values()
    assert (row["region"], row["data"]["kind"]) == ("eastus", "Premium SSD")
    assert [round(one["gb"]) for one in row["staging"]] == [140, 671, 141]
    assert "its own model last: deepseek-r1-distill-llama-70b" in " ".join(run("--stack", "azure-eastus").split())


def test_programs_get_null_for_what_is_unknown_and_never_zero() -> None:
    for row in rows().values():
        for one in row["staging"]:
            assert one["seconds"] is None or one["seconds"] > 0
            assert one["connections"] is None or one["connections"] > 0
        for part in ("root", "data", "scratch"):
            for key in ("iops", "mbps"):
                assert row[part][key]["value"] is None or row[part][key]["value"] > 0
        assert all(limit["value"] is None or limit["value"] > 0 for limit in row["path"])
    p4d = rows("--type", "p4d.24xlarge")["p4d.24xlarge"]
    assert p4d["scratch"]["mbps"]["value"] is None
    assert p4d["staging"][0]["lower_bound"] is True


def test_a_region_narrows_it_and_brings_its_own_limits() -> None:
    found = rows("--region", "us-central1")
    assert {row["cloud"] for row in found.values()} == {"gcp"}
    assert {row["region"] for row in rows("--cloud", "azure", "--region", "eastus").values()} == {"eastus"}


def test_an_azure_region_of_which_nobody_tells_zones_has_premium_ssd() -> None:
    offered = rows("--cloud", "azure", "--region", "eastus")
    kinds = {name: row["data"]["kind"] for name, row in offered.items()}
    for name, kind in kinds.items():
        assert kind == ("Premium SSD v2" if catalog.zones(name, "eastus") else "Premium SSD")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--cloud", "azzure"], r"--cloud azzure: has to be aws, azure, gcp or tencent \(did you mean azure\?\)"),
        (["--stack", "aws-us-esat-1"], "--stack aws-us-esat-1: no region stack of .*did you mean aws-us-east-1"),
        (["--stack", "azure-eastus", "--cloud", "gcp"], "--stack azure-eastus is on azure; leave --cloud out"),
        (["--stack", "azure-eastus", "--region", "eastus"], "--region goes without --stack"),
        (["--stack", "azure-eastus", "--type", "N"], "--type goes without --stack"),
        (["--type", "z9"], "no machine type beginning with z9 is offered on any cloud"),
        (["--region", "nowhere"], "--region nowhere: unknown region"),
    ],
)
def test_bad_options_are_one_line(arguments: list[str], told: str) -> None:
    with pytest.raises(SpillwayError, match=told):
        run(*arguments)


def test_a_stack_without_the_storage_table_is_refused() -> None:
    with pytest.raises(SpillwayError, match="--stack goes with --storage"):
        CliRunner().invoke(app, ["--stack", "azure-eastus"], catch_exceptions=False)


def test_other_clouds_are_listed_without_the_storage_table_as_well() -> None:
    done = CliRunner().invoke(app, ["--cloud", "gcp", "--type", "a3", "--stacks", str(SHIPPED)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "a3-highgpu-8g" in done.output


def test_the_table_of_the_page_is_fresh() -> None:
    page = (ROOT / "docs/storage.md").read_text()
    assert page == catalog_storage.updated(page), "run: python -m spillway.catalog_storage docs/storage.md"


def test_a_page_without_markers_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has to hold"):
        catalog_storage.updated("# no table here\n")
