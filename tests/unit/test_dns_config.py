"""The global stack's file: what it stands for, what is filled in, what is refused and in which words."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml

from infra.config import json_schema
from infra.dns import places as geography
from infra.dns.checks import NO_LATENCY
from infra.dns.config import load_global, most_addresses, parse_global
from infra.dns.limits import illegal
from infra.dns.settings import check_settings
from infra.faults import ConfigError
from infra.stackfile import GLOBAL_KEY
from tests.support import json_schema as validator
from tests.unit.global_data import FILES, faults, load, world
from tests.unit.stack_data import DROP, SHIPPED, STACKS

BAD = Path(__file__).parents[1] / "bad_stacks"
SCHEMA = json_schema()

OTHER_CLOUDS = ("azure-eastus", "gcp-us-central1")


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    """The shipped files, for tests that edit them."""
    return Path(shutil.copytree(STACKS, tmp_path / "stacks"))


@pytest.mark.parametrize("stack", FILES)
def test_every_shipped_global_stack_loads_and_names_its_provider(stack: str) -> None:
    config = load_global(SHIPPED / f"Pulumi.{stack}.yaml")
    assert config.dns.provider == ("route53" if stack == "global" else stack.removeprefix("global-"))


def test_the_shipped_global_stacks_have_the_same_services_and_members() -> None:
    first, *others = (load_global(SHIPPED / f"Pulumi.{stack}.yaml") for stack in FILES)
    for other in others:
        assert other.services == first.services
        assert other.members == first.members


@pytest.mark.parametrize(
    ("stack", "changes", "expected"),
    [
        ("global", {}, (10, 2, None, 10)),
        ("global", {"dns.ttlSeconds": 0}, (10, 2, None, 0)),
        ("global-cloudflare", {}, (10, 2, 5, 30)),
        ("global-cloudflare", {"cloudflare.plan": "business"}, (15, 2, 5, 30)),
        ("global-cloudflare", {"cloudflare.plan": "pro", "dns.objectiveSeconds": 3600}, (60, 2, 5, 30)),
        ("global-traffic-manager", {}, (10, 2, 5, 10)),
    ],
)
def test_what_the_file_leaves_out_is_the_fastest_that_the_provider_or_its_plan_takes(
    stack: str, changes: dict[str, Any], expected: tuple[int, ...]
) -> None:
    dns = {"provider": world(stack=stack)["dns"]["provider"], "objectiveSeconds": 300}
    settings = check_settings(load({"dns": dns} | changes, stack))
    found = settings.interval_seconds, settings.threshold, settings.timeout_seconds, settings.ttl_seconds
    assert found == expected
    assert list(illegal(settings)) == []


def test_what_the_file_says_is_taken_and_not_the_fastest() -> None:
    dns = {"provider": "traffic-manager", "ttlSeconds": 20, "objectiveSeconds": 600}
    dns["check"] = {"intervalSeconds": 30, "threshold": 4, "timeoutSeconds": 9}
    settings = check_settings(load({"dns": dns}, "global-traffic-manager"))
    assert (settings.interval_seconds, settings.threshold, settings.timeout_seconds) == (30, 4, 9)
    assert settings.ttl_seconds == 20


def test_the_check_regions_of_cloudflare_reach_the_budget() -> None:
    settings = check_settings(load({"cloudflare.checkRegions": ["WEU", "EEU"]}, "global-cloudflare"))
    assert settings.check_regions == ("WEU", "EEU")
    assert settings.proxied
    assert settings.failover_across_pools


def test_a_region_counts_an_address_per_zone_and_a_static_endpoint_those_that_it_has(stacks: Path) -> None:
    assert most_addresses(load(), STACKS) == 4, "us-east-1 offers the machine types in four zones"
    alone = {"members": [world()["members"][3]], "services": [{"name": "a.example.com", "policy": "priority"}]}
    assert most_addresses(load(alone), STACKS) == 1
    several = {**alone["members"][0], "endpoint": {**alone["members"][0]["endpoint"]}}
    others = {"members": [{"name": stack, "stack": stack, "priority": n} for n, stack in enumerate(OTHER_CLOUDS, 1)]}
    assert most_addresses(load({**alone, **others}, stacks=SHIPPED), SHIPPED) == 1, "one balancer, one address"
    several["endpoint"]["addresses"] = [f"198.51.100.{host}" for host in range(1, 8)]
    assert most_addresses(load({**alone, "members": [several]}), STACKS) == 7
    (stacks / "Pulumi.aws-us-east-1.yaml").write_text("config: [")
    (stacks / "Pulumi.aws-us-west-2.yaml").unlink()
    assert most_addresses(load(), stacks) >= 1, "what cannot be read is told where it is used"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"services.2": {"name": "onprem-fra.llm.example.com", "policy": "latency"}},
            "services[2].name = onprem-fra.llm.example.com: is where the records of member onprem-fra for "
            "llm.example.com stand: another name for one of them",
        ),
        (
            {"services.0.name": f"{'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 20}.example.com"},
            "has to be at most 210 characters: names of members come before it, and a name has 253",
        ),
        (
            {"services.0.policy": "latency", "members.3.endpoint.nearestAwsRegion": "me-west-1"},
            "members[3].endpoint.nearestAwsRegion = me-west-1: has to be a region that Route 53 takes for policy "
            "latency: the nearest one of the others",
        ),
        (
            {"members.0.stack": "global-cloudflare"},
            "members[0].stack = global-cloudflare: has to be a region's stack; that one is a global one",
        ),
        (
            {"members.3.endpoint.hostname": f"{'.'.join(['a' * 60] * 5)}.com"},
            "has to be at most 253 characters",
        ),
        (
            {
                "services": [{"name": "llm.example.com", "policy": "latency"}],
                "members.3.degraded": True,
                "members.3.priority": None,
                "members.3.weight": 0,
                "members.4.weight": 0,
            },
            "services[0]: llm.example.com: weight is 0 for onprem-fra and small-model, and nobody of the same rank has "
            "more",
        ),
        (
            {"dns.objectiveSeconds": 10**400, "members.0.alias": True},
            "members[0].alias = true: an alias to a balancer is kept for 60 s, always; detection comes on top of that, "
            "and the objective is 60 s: use A records on its static addresses",
        ),
        (
            {"dns.provider": "cloud-dns", "dns.check.intervalSeconds": float("inf")},
            "dns.provider = cloud-dns: has to be another: Cloud DNS does not check public addresses every 10 s: 30 s "
            "is the least",
        ),
    ],
)
def test_what_no_provider_could_do_is_refused_in_words(changes: dict[str, Any], told: str) -> None:
    lines = faults(changes)
    assert any(line.endswith(told) for line in lines), lines


def test_labels_of_members_are_free_where_the_provider_makes_no_records_of_them() -> None:
    for stack in FILES[1:]:
        assert faults({"services.2": {"name": "onprem-fra.llm.example.com", "policy": "priority"}}, stack) == []


def test_every_known_region_is_one_that_route_53_takes_for_latency_or_is_named_as_one_that_it_does_not() -> None:
    shape = botocore.session.get_session().get_service_model("route53").shape_for("ResourceRecordSetRegion")
    assert {name for name in geography.regions() if name not in shape.enum} == set(NO_LATENCY)


def test_a_region_whose_own_file_is_at_fault_is_not_told_as_a_service_without_members(stacks: Path) -> None:
    """Whoever mistypes aws-us-east-1's file is told so there; who answers is not known before it is mended."""
    for stack in ("aws-us-east-1", "aws-us-west-2"):
        path = stacks / f"Pulumi.{stack}.yaml"
        path.write_text(path.read_text().replace("config:", "confg:"))
    assert load(stacks=stacks).members[0].name == "aws-us-east-1"


def test_a_service_that_no_residency_admits_is_told_from_the_files_alone() -> None:
    assert faults({"services.1.residency": "jp"}) == [
        "services[1]: llm-us.example.com: no member is left to answer of residency jp; drained and planned ones do not"
    ]


def test_a_file_without_the_object_says_so_and_one_with_something_else_shows_it(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.global.yaml"
    for text, told in (
        ("config: {}\n", f"{GLOBAL_KEY}: missing; it holds the settings of the global stack"),
        (f"config:\n  {GLOBAL_KEY}: hello\n", f"{GLOBAL_KEY} = hello: has to be a map with zone, dns, "),
        (f"config:\n  {GLOBAL_KEY}:\n", f"{GLOBAL_KEY} = null: has to be a map with zone, dns, "),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError) as refused:
            load_global(path)
        assert refused.value.lines[0].startswith(f"stacks/Pulumi.global.yaml: {told}")


def test_a_stack_of_another_name_holds_no_global_settings() -> None:
    with pytest.raises(ConfigError, match="one that holds spillway:global is named global, or global- and a word"):
        parse_global(world(), "aws-us-east-1", "stacks/x.yaml")


# The schema is for editors. It may let pass what only several values together can say, and must let pass what loads.


@pytest.mark.parametrize("stack", FILES)
def test_the_schema_accepts_the_shipped_global_stacks(stack: str) -> None:
    assert validator.faults(SCHEMA, yaml.safe_load((SHIPPED / f"Pulumi.{stack}.yaml").read_text())) == []


REFUSED_BY_THE_SCHEMA = {
    "global-cloud-dns",
    "global-empty",
    "global-never-works",
    "global-region-key",
    "global-unknown-keys",
    "global-wrong-provider",
}


@pytest.mark.parametrize("case", sorted(folder.name for folder in BAD.glob("global-*")))
def test_the_schema_refuses_the_bad_global_stacks_where_one_value_alone_says_it(case: str) -> None:
    found = validator.faults(SCHEMA, yaml.safe_load((BAD / case / "Pulumi.global.yaml").read_text()))
    assert bool(found) == (case in REFUSED_BY_THE_SCHEMA), found


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"members.0.weight": "90"}, ".config.spillway:global.members[0].weight: type"),
        ({"members.0.weight": 256}, ".config.spillway:global.members[0].weight: maximum"),
        ({"members": []}, ".config.spillway:global.members: minItems"),
        ({"zone": DROP}, ".config.spillway:global: required"),
        ({"zone.name": "Example.com"}, ".config.spillway:global.zone.name: pattern"),
        ({"services.0.policy": "nearest"}, ".config.spillway:global.services[0].policy: enum"),
        ({"route53.account": 123456789012}, ".config.spillway:global.route53: anyOf"),
        ({"tags": {"a": 1}}, ".config.spillway:global.tags.a: type"),
        ({"regions": []}, ".config.spillway:global.regions: false"),
    ],
)
def test_the_schema_says_where_a_value_is_wrong(changes: dict[str, Any], where: str) -> None:
    assert where in validator.faults(SCHEMA, {"config": {GLOBAL_KEY: world(changes)}})
