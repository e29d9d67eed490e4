"""What policies are told for a stack, who goes before whom, and what the engine hands over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import analyzer_pb2

import policy
from cost.plan.preview import SECRET, UNKNOWN, Preview
from infra.faults import ConfigError
from policy import config, pack
from policy.rules import POLICIES
from policy.schema import PATH, json_schema
from sandbox.project import ROOT
from tests.support.json_schema import faults

NAMES = ("monthly-budget, required-tags, encryption-at-rest, imdsv2, no-public-node, open-ingress, least-privilege,"
         " deletion-protection, spot-with-fallback, dns-failover and quota-headroom")  # fmt: skip
SHIPPED = sorted((ROOT / "policy" / "stacks").glob("*.json"))


def levels(data: dict[str, Any]) -> dict[str, str]:
    return {name: told.level for name, told in config.parse(data, "file").items()}


def test_without_a_file_every_policy_is_mandatory() -> None:
    assert config.load("no-such-stack") == {}
    assert set(levels({}).values()) == {"mandatory"}
    assert list(levels({})) == [one.name for one in POLICIES]


def test_a_level_stands_alone_in_a_map_or_for_all() -> None:
    found = levels({"all": "advisory", "imdsv2": "disabled", "required-tags": {"enforcementLevel": "mandatory"}})
    assert (found["imdsv2"], found["required-tags"], found["open-ingress"]) == ("disabled", "mandatory", "advisory")
    assert set(levels({"all": {"enforcementLevel": "disabled"}}).values()) == {"disabled"}


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ({"imdsv3": "advisory"}, [f"file: imdsv3: unknown policy (did you mean imdsv2?); there are {NAMES}"]),
        ({"imdsv2": "loud"}, ["file: imdsv2 = loud: has to be advisory, mandatory or disabled, or a map"]),
        ({"imdsv2": 3}, ["file: imdsv2 = 3: has to be advisory, mandatory or disabled, or a map"]),
        ({"all": "loud"}, ["file: all = loud: has to be advisory, mandatory or disabled"]),
        (
            {"monthly-budget": {"monthlyUsd": "much"}, "open-ingress": {"port": [22]}},
            [
                "file: monthly-budget.monthlyUsd = much: has to be a number above 0",
                "file: open-ingress.port = [22]: unknown key (did you mean ports?)",
            ],
        ),
        ({"dns-failover": {"objectiveSeconds": 0}}, ["file: dns-failover.objectiveSeconds = 0: "]),
    ],
)
def test_faults_of_settings_are_a_line_each(data: dict[str, Any], lines: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        config.parse(data, "file")
    assert len(error.value.lines) == len(lines)
    for said, expected in zip(error.value.lines, lines, strict=True):
        assert said.startswith(expected)


def test_files_that_are_no_settings_are_told_by_name(tmp_path: Path) -> None:
    for text, words in (("{", "is no JSON"), ("[]", "has to be a map of policies"), ('{"x": 1}', "x: unknown policy")):
        (tmp_path / "one.json").write_text(text)
        with pytest.raises(ConfigError) as error:
            config.load("one", tmp_path)
        assert error.value.lines[0].startswith(f"policy/stacks/one.json: {words}")


def test_an_option_goes_before_the_stack_s_file_key_by_key() -> None:
    own: dict[str, Any] = {"imdsv2": "advisory", "open-ingress": {"ports": [443, 8443]}, "required-tags": "disabled"}
    given: dict[str, Any] = {"imdsv2": {"hopLimit": 2}, "open-ingress": "advisory", "required-tags": "mandatory"}
    assert config.merged(own, given) == {
        "imdsv2": {"enforcementLevel": "advisory", "hopLimit": 2},
        "open-ingress": {"ports": [443, 8443], "enforcementLevel": "advisory"},
        "required-tags": "mandatory",
    }


def test_a_plan_is_judged_by_its_stack_s_own_file_and_by_what_is_told() -> None:
    empty = Preview("plan.json", "aws-us-east-1", ())
    assert policy.check(empty) == []
    with pytest.raises(ConfigError, match="policy settings of aws-us-east-1: imdsv3"):
        policy.check(empty, {"imdsv3": "advisory"})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_settings_are_of_shipped_stacks_and_fit_the_schema(path: Path) -> None:
    assert (ROOT / "stacks" / f"Pulumi.{path.stem}.yaml").exists()
    assert faults(json_schema(), json.loads(path.read_text())) == []
    config.load(path.stem)


def test_the_committed_schema_is_the_current_one() -> None:
    assert json.loads(PATH.read_text()) == json.loads(json.dumps(json_schema()))


def test_the_page_of_policies_has_each_of_them_with_its_settings() -> None:
    lines = (ROOT / "docs" / "policy.md").read_text().splitlines()
    for one in POLICIES:
        (row,) = [line for line in lines if line.startswith(f"| `{one.name}`")]
        assert [key for key in config.properties(one) if f"`{key}`" not in row] == []


class Aborted(Exception):
    pass


class Context:
    def abort(self, code: grpc.StatusCode, words: str) -> None:
        raise Aborted(code, words)


@pytest.fixture
def servicer(monkeypatch: pytest.MonkeyPatch) -> pack.Servicer:
    monkeypatch.setattr(pack, "ENGINE", pack.Engine())
    policies = [one for policy in POLICIES for one in pack._as_pulumi(policy)]
    return pack.Servicer("spillway", "1.0.0", policies, pack._LEVELS["mandatory"])


def begin(servicer: pack.Servicer, stack: str = "gcp-us-central1", **values: str) -> None:
    servicer.ConfigureStack(analyzer_pb2.AnalyzerStackConfigureRequest(stack=stack, config=values), Context())


def configure(servicer: pack.Servicer, **given: tuple[int, dict[str, Any]]) -> Any:
    request = analyzer_pb2.ConfigureAnalyzerRequest()
    for name, (level, values) in given.items():
        row = request.policyConfig[name.replace("_", "-")]
        row.enforcementLevel = level
        row.properties.update(values)
    servicer.Configure(request, Context())
    return request


def test_the_engine_s_config_of_the_stack_is_what_rules_see(servicer: pack.Servicer) -> None:
    begin(servicer, **{"spillway:region": '{"budget": {"monthlyUsd": 7}}', "pulumi:tags": "plain"})
    assert pack.ENGINE.stack == "gcp-us-central1"
    assert pack.ENGINE.values == {"spillway:region": {"budget": {"monthlyUsd": 7}}, "pulumi:tags": "plain"}
    assert pack.ENGINE.told["monthly-budget"].settings.model_dump()["monthly_usd"] == 140_000


def test_what_the_engine_was_given_goes_before_the_file_of_the_stack(servicer: pack.Servicer) -> None:
    begin(servicer)
    request = configure(
        servicer,
        monthly_budget=(analyzer_pb2.MANDATORY, {"monthlyUsd": 5.0}),
        open_ingress=(analyzer_pb2.ADVISORY, {"ports": [443.0, 8443.0]}),
    )
    told = pack.ENGINE.told
    assert told["monthly-budget"].settings.model_dump()["monthly_usd"] == 5
    assert told["open-ingress"].settings.model_dump()["ports"] == (443, 8443)
    assert told["open-ingress"].level == "advisory"
    assert len(told["quota-headroom"].settings.model_dump()["quotas"]) == 6
    sent = {name: row.enforcementLevel for name, row in request.policyConfig.items()}
    assert sent == {one.name: analyzer_pb2.MANDATORY for one in POLICIES} | {"open-ingress": analyzer_pb2.ADVISORY}


def test_faults_of_settings_end_the_run_with_their_lines(
    servicer: pack.Servicer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begin(servicer)
    with pytest.raises(Aborted) as error:
        configure(servicer, open_ingress=(analyzer_pb2.MANDATORY, {"ports": ["ssh"]}))
    assert error.value.args[1].startswith("policy settings: open-ingress.ports[0] = ssh: has to be a whole number")
    (tmp_path / "bad.json").write_text('{"imdsv2": "loud"}')
    load = config.load
    monkeypatch.setattr(config, "load", lambda stack: load(stack, tmp_path))
    with pytest.raises(Aborted, match=r"policy/stacks/bad\.json: imdsv2 = loud"):
        begin(servicer, "bad")


def test_values_that_are_not_known_and_secrets_come_as_a_plan_has_them() -> None:
    wrapped = {
        "unknown": "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
        "deep": [{"flag": "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7", "port": 443}],
        "secret": {pack.SIGNATURE: pack.SECRET_SIGNATURE, "value": {"a": 1}},
    }
    known = {"unknown": UNKNOWN, "deep": [{"flag": UNKNOWN, "port": 443}], "secret": SECRET}
    assert pack.plain(wrapped) == known
