"""Stack files of pipeline roles: what is refused, in one line each, and whose tokens a file names."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from infra import schema, stackfile
from infra.ci.config import load_ci
from infra.ci.sections import Github
from infra.ci.subjects import bound, github, issuers
from infra.config import json_schema
from infra.faults import ConfigError
from spillway.regions import region_stacks
from tests.support.json_schema import faults as schema_faults
from tests.support.pipeline_roles import CLOUDS, GITLAB, STACKS, config, data, faults


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_shipped_file_is_sound_and_fits_the_schema(cloud: str) -> None:
    path = STACKS / f"Pulumi.ci-{cloud}.yaml"
    assert load_ci(path).stack_name == stackfile.stack_of(path)
    assert schema_faults(json_schema(), {"config": {stackfile.CI_KEY: data(cloud)}}) == []


@pytest.mark.parametrize(
    ("cloud", "changes", "told"),
    [
        ("aws", {"cloud": "gpc"}, "cloud = gpc: has to be aws, azure or gcp (did you mean gcp?)"),
        ("aws", {"cloud": None}, "cloud: missing; aws, azure or gcp"),
        ("aws", {"account": 123456789012}, "account = 123456789012: has to be a 12-digit AWS account id in quotes"),
        ("aws", {"acount": "1"}, 'acount = "1": unknown key (did you mean account?)'),
        ("aws", {"github": None}, "github: missing; github or gitlab has to say whose pipelines get the roles"),
        ("aws", {"github.repository": "spillway"}, "github.repository = spillway: has to be a repository as"),
        ("aws", {"github.repository": "*/spillway"}, "github.repository = */spillway: has to be a repository"),
        ("aws", {"github.branch": "*"}, "github.branch = *: has to be one branch"),
        ("aws", {"github.environments": ["pro*"]}, "github.environments[0] = pro*: has to be an environment"),
        ("aws", {"github.environments": []}, "github.environments = []: has to have at least 1"),
        ("aws", {"github.environments": ["a", "a"]}, "github.environments = [a, a]: has an environment twice"),
        ("aws", {"github.ownerId": 7}, "github.repositoryId: missing; an immutable subject claim has ownerId and"),
        ("aws", {"gitlab": {"project": "solo"}}, "gitlab.project = solo: has to be a project with its groups"),
        ("aws", {"gitlab": {**GITLAB, "url": "http://x.io"}}, "gitlab.url = http://x.io: has to be GitLab's address"),
        ("aws", {"existingProviders": ["gitlab"]}, "existingProviders[0] = gitlab: there is no section gitlab"),
        ("aws", {"stacks": []}, "stacks = []: has to have at least 1"),
        ("aws", {"stacks": ["gcp-us-central1"]}, "stacks[0] = gcp-us-central1: is no stack of aws"),
        ("aws", {"stacks": ["aws-us-east-1"] * 2}, "stacks[1] = aws-us-east-1: stands twice in the list"),
        ("aws", {"state": {"bucket": "UP"}}, "state.bucket = UP: has to be a bucket"),
        ("aws", {"state.key": "alias/x"}, "state.key = alias/x: has to be the ARN of a KMS key"),
        ("aws", {"zones": ["example.com"]}, "zones[0] = example.com: has to be the id of a hosted zone"),
        ("aws", {"tags": {"aws:x": "y"}}, 'tags.aws:x = y: keys that start with spillway: or aws: are reserved'),
        ("aws", {"stacks": [f"aws-us-east-{n}" for n in range(10)] + [f"aws-eu-west-{n}" for n in range(10)]},
         "stacks: the policy "),
        ("aws", {"stacks": ["aws-here"]}, "stacks[0] = aws-here: is no stack of a region, such as aws-us-east-1"),
        ("azure", {"stacks": ["azure-east-us"]}, "stacks[0] = azure-east-us: is no stack of a region"),
        ("gcp", {"stacks": ["gcp-here"]}, "stacks[0] = gcp-here: is no stack of a region, such as gcp-us-central1"),
        ("azure", {"github.environments": ["a.b", "A-b"]}, "github.environments = [a.b, A-b]: two of them make"),
        ("azure", {"tags": {"microsoft": "y"}}, "tags.microsoft = y: keys that start with"),
        ("gcp", {"tags": {"team": "x"}}, "tags = <a map of 1 key>: unknown key"),
        ("gcp", {"github.branch": "b" * 100}, "github: the subject claim repo:example-org/spillway:ref:refs/heads/b"),
        ("gcp", {"state": {"bucket": {"secure": "x"}}}, "state.bucket.secure = <not shown>: encrypted values are not"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line(cloud: str, changes: dict[str, Any], told: str) -> None:
    found = faults(cloud, changes)
    assert any(line.startswith(told) for line in found), found


def test_several_faults_are_told_at_once() -> None:
    found = faults("aws", {"account": "1", "github.branch": "*", "stacks": ["gcp-us-central1"]})
    assert [line.split(" = ")[0] for line in found] == ["account", "github.branch", "stacks[0]"]


def copied(tmp_path: Path, stack: str, old: str = "", new: str = "") -> Path:
    for path in STACKS.glob("Pulumi.*.yaml"):
        shutil.copy(path, tmp_path)
    made = tmp_path / f"Pulumi.{stack}.yaml"
    made.write_text(made.read_text().replace(old, new))
    return made


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("aws-us-west-2", "aws-us-wset-2", "stacks[2] = aws-us-wset-2: no such stack: there is no "
         "stacks/Pulumi.aws-us-wset-2.yaml (did you mean aws-us-west-2?)"),
        ("123456789012", "210987654321", "stacks[0] = aws-us-east-1: its account is 123456789012, that of "
         "the roles 210987654321"),
        ("spillway:ci:", "spillway:cci:", "config.spillway:cci: unknown key (did you mean spillway:ci?)"),
        ("spillway:ci:", "spillway:region:", "spillway:ci: missing; it holds the settings of a cloud's pipeline roles"),
    ],
)  # fmt: skip
def test_a_file_is_checked_against_those_beside_it(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_ci(copied(tmp_path, "ci-aws", old, new))
    lines = [
        line.removeprefix("stacks/Pulumi.ci-aws.yaml: ").removeprefix("spillway:ci.") for line in refused.value.lines
    ]
    assert any(line.startswith(told) for line in lines), lines


def test_a_stack_is_named_after_its_cloud(tmp_path: Path) -> None:
    path = copied(tmp_path, "ci-aws").rename(tmp_path / "Pulumi.ci-gcp.yaml")
    with pytest.raises(ConfigError, match="the stack is named ci-gcp; one that holds the roles of aws is named ci-aws"):
        load_ci(path)


def test_names_tell_the_kinds_of_stacks_apart() -> None:
    assert [name for name in ("ci", "ci-aws", "cia-x", "global", "aws-us-east-1") if stackfile.is_ci(name)] == [
        "ci",
        "ci-aws",
    ]
    assert stackfile.own_key("ci-aws") == stackfile.CI_KEY
    assert not {name for name in region_stacks(STACKS) if not stackfile.may_be_region(name)}


def test_a_broken_file_of_roles_is_no_broken_region(tmp_path: Path) -> None:
    from infra.config import load_all

    copied(tmp_path, "ci-aws").write_text("config: [")
    assert "ci-aws" not in region_stacks(tmp_path)
    assert "aws-us-east-1" in load_all(tmp_path)


def test_deploys_are_bound_to_environments_and_previews_to_pull_requests_and_the_branch() -> None:
    wanted = config("aws", {"github.environments": ["production", "staging"], "github.branch": "trunk"})
    base = "repo:example-org/spillway"
    assert bound(wanted, "deploy") == (f"{base}:environment:production", f"{base}:environment:staging")
    assert bound(wanted, "preview") == (f"{base}:pull_request", f"{base}:ref:refs/heads/trunk")


def test_with_numbers_only_the_immutable_claim_is_trusted() -> None:
    hub = Github.model_validate({"repository": "octo/hub", "ownerId": 5, "repositoryId": 7})
    issuer = github(hub)
    texts = [one.text for one in (*issuer.preview, *issuer.deploy)]
    assert texts == [
        "repo:octo@5/hub@7:pull_request",
        "repo:octo@5/hub@7:ref:refs/heads/main",
        "repo:octo@5/hub@7:environment:production",
    ]
    assert issuer.condition.startswith("assertion.repository_id == '7' && ")


def test_on_gitlab_only_the_protected_branch_deploys() -> None:
    wanted = config("aws", {"gitlab": GITLAB, "github": None})
    (issuer,) = issuers(wanted)
    base = "project_path:example-group/spillway:ref_type:branch:ref"
    assert [one.text for one in issuer.deploy] == [f"{base}:main"]
    assert [one.text for one in issuer.preview] == [f"{base}:main", f"{base}:*"]
    assert bound(wanted, "preview", patterns=False) == (f"{base}:main",)


def test_no_claim_leaves_the_owner_open() -> None:
    wanted = config("aws", {"gitlab": GITLAB})
    for issuer in issuers(wanted):
        for one in (*issuer.preview, *issuer.deploy):
            assert "*" not in one.text.removesuffix(":*")
            assert one.text.startswith(("repo:example-org/spillway:", "project_path:example-group/spillway:"))


def test_the_schema_has_one_kind_of_object_in_a_file() -> None:
    found = json_schema()["properties"]["config"]
    assert found["oneOf"] == [{"required": [key]} for key in stackfile.STACK_KEYS]
    assert schema.text(json_schema())


def test_no_name_leads_to_a_stack_of_roles() -> None:
    from infra.dns.config import parse_global

    world = stackfile.read(STACKS / "Pulumi.global.yaml")[stackfile.GLOBAL_KEY]
    for member in world["members"]:
        if member.get("stack") == "aws-us-east-1":
            member["stack"] = "ci-aws"
    with pytest.raises(ConfigError) as refused:
        parse_global(world, "global", "stacks/Pulumi.global.yaml", STACKS)
    why = "has to be a region's stack; that one holds roles of pipelines"
    assert f"stacks/Pulumi.global.yaml: spillway:global.members[0].stack = ci-aws: {why}" in refused.value.lines


def test_networks_of_regions_are_not_compared_with_roles() -> None:
    from infra.checks import neighbours

    found = neighbours(STACKS / "Pulumi.aws-us-east-1.yaml")
    assert not {*found.unread, *found.regions} & {f"ci-{cloud}" for cloud in CLOUDS}
