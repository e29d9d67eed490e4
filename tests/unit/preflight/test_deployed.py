"""A global stack is ready only when its regions are there, and is judged by what they say of themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.dns.config import load_global
from infra.dns.plan import NOT_DEPLOYED
from sandbox.clouds import VARIABLE
from spillway import engine
from spillway.cli import main
from spillway.preflight.deployed import assumed, plans, read
from spillway.preflight.stack_outputs import EngineOutputs
from tests.unit.preflight.fake_backend import FakeBackend, backend, endpoint
from tests.unit.stack_data import STACKS

EAST, WEST = ("203.0.113.1", "203.0.113.2"), ("203.0.113.9",)
GLOBALS = ("global", "global-cloudflare", "global-traffic-manager")


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    sandbox = tmp_path / "sandbox"
    monkeypatch.setenv(VARIABLE, str(sandbox))
    folder = tmp_path / "fake"
    folder.mkdir()
    return backend(folder, sandbox, monkeypatch)


@pytest.fixture
def regions(there: FakeBackend) -> FakeBackend:
    """Both regions that the example does not plan are up."""
    there.deploy("aws-us-east-1", endpoint(*EAST))
    there.deploy("aws-us-west-2", endpoint(*WEST, region="us-west-2"))
    return there


def edited(folder: Path, change: Callable[[Any], None], stack: str = "global") -> Path:
    """The example's stack files, with a change of the global one."""
    stacks = folder / "stacks"
    stacks.mkdir()
    for path in STACKS.glob("Pulumi.*.yaml"):
        (stacks / path.name).write_text(path.read_text())
    data = yaml.safe_load((stacks / f"Pulumi.{stack}.yaml").read_text())
    change(data["config"]["spillway:global"])
    (stacks / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump(data))
    return stacks


def preflight(
    capsys: pytest.CaptureFixture[str], stack: str = "global", stacks: Path = STACKS
) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code and rows by id."""
    code = main(["preflight", stack, "--sandbox", "--json", "--stacks", str(stacks)])
    out, err = capsys.readouterr()
    assert err == ""
    found = json.loads(out)
    assert len({row["id"] for row in found["rows"]}) == len(found["rows"])
    assert found["ready"] == (code == 0)
    return code, {row["id"]: row for row in found["rows"]}


def member(name: str, **more: Any) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for each in data["members"]:
            if each["name"] == name:
                each.pop("planned", None)
                each.update(more)

    return change


@pytest.mark.parametrize("stack", GLOBALS)
def test_regions_that_are_not_up_are_a_failure_each(
    stack: str, there: FakeBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    there.deploy("aws-us-east-1", endpoint(*EAST))
    code, rows = preflight(capsys, stack)
    row = rows["deployed.aws-us-west-2"]
    assert (code, row["state"], row["found"]) == (1, "failure", "not deployed")
    assert row["action"] == f"not deployed: {NOT_DEPLOYED}"
    assert rows["deployed.aws-us-east-1"]["found"] == "2 addresses"
    assert rows["deployed.aws-us-east-2"]["state"] == "ok", "planned: it need not be there"
    assert "zone" in rows, "the account is asked all the same"


@pytest.mark.parametrize("stack", GLOBALS)
def test_with_all_its_regions_up_a_global_stack_is_ready(
    stack: str, regions: FakeBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    code, rows = preflight(capsys, stack)
    assert (code, [row for row in rows.values() if row["state"] == "failure"]) == (0, [])
    assert "with 2 addresses of one member" in rows["objective"]["found"]


def test_stacks_that_a_sandbox_does_not_have_are_known_without_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(engine, "cache_root", lambda: tmp_path / "cache")
    _, rows = preflight(capsys)
    assert rows["deployed.aws-us-east-1"]["state"] == rows["deployed.aws-us-west-2"]["state"] == "failure"
    assert not (tmp_path / "none").exists(), "preflight makes nothing"


def test_a_stack_that_was_destroyed_is_not_deployed(regions: FakeBackend, capsys: pytest.CaptureFixture[str]) -> None:
    regions.deploy("aws-us-west-2", {})
    assert preflight(capsys)[1]["deployed.aws-us-west-2"]["found"] == "not deployed"


def test_a_stack_of_an_older_version_has_to_be_brought_up_again(
    regions: FakeBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    regions.deploy("aws-us-west-2", {"endpoint": {"addresses": list(WEST)}})
    code, rows = preflight(capsys)
    row = rows["deployed.aws-us-west-2"]
    assert (code, row["state"], row["action"]) == (1, "failure", "bring that stack up with this version first")
    assert row["found"].startswith("the output endpoint lacks ")


@pytest.mark.parametrize(
    "line",
    ["PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions", "could not open bucket: denied"],
)
def test_a_backend_that_does_not_say_is_one_open_question_with_its_reason(
    line: str, regions: FakeBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    regions.refuse(line)
    code, rows = preflight(capsys)
    assert code == 0
    assert [id for id in rows if id.startswith("deployed")] == ["deployed", "deployed.aws-us-east-2"]
    assert (rows["deployed"]["state"], rows["deployed"]["found"]) == (
        "unknown",
        f"aws-us-east-1, aws-us-west-2: {line}",
    )


def test_without_an_engine_nothing_is_installed_and_the_question_stays_open(
    regions: FakeBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, rows = preflight(capsys)
    assert code == 0
    assert rows["deployed"]["found"] == "aws-us-east-1, aws-us-west-2: the Pulumi engine is not installed"
    assert rows["deployed"]["action"] == "`spillway engine install`"


def test_a_planned_member_counts_for_limits_only_even_when_it_is_deployed(
    regions: FakeBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    before = preflight(capsys)[1]["limit.health-checks"]["needed"]
    regions.deploy("aws-us-east-2", endpoint(*(f"203.0.113.{n}" for n in range(20, 29)), region="us-east-2"))
    code, rows = preflight(capsys)
    assert (code, rows["deployed.aws-us-east-2"]["state"]) == (0, "note")
    assert "`up` leaves it out" in rows["deployed.aws-us-east-2"]["found"]
    assert "with 2 addresses" in rows["objective"]["found"]
    zones = 3
    counted = [int(text.split(":")[0]) for text in (before, rows["limit.health-checks"]["needed"])]
    assert counted[1] - counted[0] == 9 - zones, "its real addresses take the place of one per zone"


def test_a_drained_member_may_be_gone(there: FakeBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there.deploy("aws-us-east-1", endpoint(*EAST))
    stacks = edited(tmp_path, member("aws-us-west-2", drain=True))
    code, rows = preflight(capsys, stacks=stacks)
    assert (code, rows["deployed.aws-us-west-2"]["state"]) == (0, "ok")
    assert rows["deployed.aws-us-west-2"]["found"] == "not deployed; drained: left out"


def test_the_objective_is_held_with_the_real_number_of_addresses(
    regions: FakeBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One address that fails is retried in another pool; of two, the retry goes to the other one first."""
    stack = "global-cloudflare"
    stacks = edited(tmp_path, lambda data: data["dns"].update(objectiveSeconds=20), stack)
    code, rows = preflight(capsys, stack, stacks)
    row = rows["objective"]
    assert (code, row["state"], row["found"], row["needed"]) == (
        1,
        "failure",
        "23.1 s with 2 addresses of one member",
        "20 s",
    )
    assert "silent failures of 2 addresses" in row["action"]
    regions.deploy("aws-us-east-1", endpoint(EAST[0]))
    assert preflight(capsys, stack, stacks)[1]["objective"]["state"] == "ok"


def test_a_service_is_judged_by_the_residency_that_its_regions_tell(
    regions: FakeBackend, capsys: pytest.CaptureFixture[str]
) -> None:
    regions.deploy("aws-us-east-1", endpoint(*EAST, residency="eu"))
    regions.deploy("aws-us-west-2", endpoint(*WEST, residency="eu"))
    code, rows = preflight(capsys)
    row = rows["members.0"]
    assert (code, row["state"], row["check"]) == (1, "failure", "spillway:global.services[1]")
    assert row["found"].startswith("llm-us.example.com: only degraded members are left to answer")
    assert "zone" in rows


def test_two_members_at_one_address_are_refused(regions: FakeBackend, capsys: pytest.CaptureFixture[str]) -> None:
    regions.deploy("aws-us-west-2", endpoint(*EAST, region="us-west-2"))
    code, rows = preflight(capsys)
    assert (code, rows["members.0"]["state"]) == (1, "failure")
    assert "one place would be counted twice" in rows["members.0"]["found"]


def test_a_live_stack_keeps_its_provider(regions: FakeBackend, capsys: pytest.CaptureFixture[str]) -> None:
    regions.deploy("global", {"provider": "route53"})
    assert "provider-change" not in preflight(capsys)[1]
    regions.deploy("global", {"provider": "cloudflare"})
    code, rows = preflight(capsys)
    assert (code, rows["provider-change"]["found"]) == (1, "this stack answers by cloudflare")


def test_what_the_provider_refuses_only_once_planned_members_join_is_a_warning(
    regions: FakeBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(data: Any) -> None:
        data["services"] = [{"name": "llm.example.com", "policy": "weighted"}]
        data["members"] = [
            {"name": "aws-us-east-1", "stack": "aws-us-east-1", "priority": 1},
            {"name": "aws-us-west-2", "stack": "aws-us-west-2", "weight": 0, "planned": True},
            {"name": "standby", "weight": 0, "endpoint": {
                "addresses": ["198.51.100.10"], "nearestAwsRegion": "us-east-1", "residency": "us", "port": 8443}},
        ]  # fmt: skip

    stacks = edited(tmp_path, change, "global-cloudflare")
    code, rows = preflight(capsys, "global-cloudflare", stacks)
    assert (code, rows["fits-later.0"]["state"]) == (0, "warning")
    assert "share a pool at Cloudflare" in rows["fits-later.0"]["found"]
    stacks.joinpath("Pulumi.global-cloudflare.yaml").write_text(
        stacks.joinpath("Pulumi.global-cloudflare.yaml").read_text().replace("planned: true", "planned: false")
    )
    code, rows = preflight(capsys, "global-cloudflare", stacks)
    assert (code, rows["fits.0"]["state"], "zone" in rows) == (1, "failure", False)


def test_the_real_backend_is_asked_in_the_stack_files_project_for_each_stack_once(
    regions: FakeBackend, tmp_path: Path
) -> None:
    config = load_global(STACKS / "Pulumi.global.yaml")
    found = read(config, "global", EngineOutputs(tmp_path))
    asked = ["aws-us-east-1", "aws-us-east-2", "aws-us-west-2", "global"]
    assert regions.asked() == [
        f"-C {tmp_path} stack output --json --stack {stack} --non-interactive --color never" for stack in asked
    ]
    assert (found.absent, found.provider) == (frozenset({"aws-us-east-2"}), None)
    assert found.endpoints["aws-us-east-1"].addresses == EAST
    judged = plans(config, found, STACKS, "stacks/Pulumi.global.yaml")
    assert [probe.name for probe in judged.up.probes] == ["aws-us-east-1", "aws-us-west-2", "onprem-fra", "small-model"]
    assert "aws-us-east-2" in [probe.name for probe in judged.counted.probes]


def test_addresses_that_nobody_has_yet_are_nobodys_else(regions: FakeBackend, tmp_path: Path) -> None:
    config = load_global(STACKS / "Pulumi.global.yaml")
    first = assumed(config, STACKS)["aws-us-east-2"].addresses
    regions.deploy("aws-us-east-1", endpoint(*first))
    found = read(config, "global", EngineOutputs(tmp_path))
    assert not {*assumed(config, STACKS, found.endpoints)["aws-us-east-2"].addresses} & {*first}
