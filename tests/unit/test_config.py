"""The stack file's model: what is accepted, how lists and defaults arrive, and what each check refuses."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from infra import fallback, machine_checks, schema, stackfile
from infra.config import CLOUDS, REGION_KEY, ConfigError, json_schema, load_all, load_stack_file, parse_region
from infra.faults import MAX_VALUE, dotted, shown
from infra.sections import MAX_CAPACITY_BLOCKS
from tests.unit.stack_data import DROP, ROOT, SHIPPED, STACKS, faults, load, region


def test_all_shipped_stack_files_are_sound() -> None:
    regions = load_all(SHIPPED)
    assert {"aws-us-east-1", "aws-us-east-2", "aws-us-west-2"} <= set(regions)
    assert all(stack == region.stack_name for stack, region in regions.items())


def test_the_shipped_models_are_the_distilled_70b_in_16_bits_and_the_whole_671b_in_fp8() -> None:
    models = {stack: (one.model.name, one.model.dtype) for stack, one in load_all(SHIPPED).items()}
    assert models["aws-us-east-1"] == models["aws-us-west-2"] == ("deepseek-r1-distill-llama-70b", "bfloat16")
    assert models["aws-us-east-2"] == ("deepseek-r1", "fp8")


def test_shipped_stack_files_leave_nothing_idle_or_slow() -> None:
    advice = {stack: machine_checks.advice(one) for stack, one in load_all(SHIPPED).items()}
    assert advice == dict.fromkeys(advice, ())


def test_lists_become_tuples_and_the_model_is_frozen() -> None:
    one = load()
    assert one.pools.types == ("p4d.24xlarge", "p4de.24xlarge", "p5.48xlarge")
    with pytest.raises(ValidationError):
        one.pools.types = ()  # type: ignore[misc]  # that is the point


def test_zones_default_to_those_that_offer_a_machine_type() -> None:
    assert load({"network.zones": DROP}).zones == tuple(f"us-east-1{letter}" for letter in "abcdef")
    assert load({"network.zones": ["us-east-1c", "us-east-1b"]}).zones == ("us-east-1b", "us-east-1c")


def test_the_on_demand_pool_has_the_spot_types_unless_it_has_its_own() -> None:
    assert load({"pools.onDemandTypes": DROP}).on_demand_types == load().pools.types
    assert load().on_demand_types == ("p4d.24xlarge", "p5.48xlarge")
    assert load().all_types == ("p4d.24xlarge", "p4de.24xlarge", "p5.48xlarge")


def test_sections_with_defaults_may_be_left_out() -> None:
    one = load(dict.fromkeys(("fallback", "scaling", "storage", "node", "limits", "tags"), DROP))
    assert (one.storage.data.iops, one.storage.data.throughput_mbps) == (16_000, 1000)
    assert (one.fallback.out_minutes, one.scaling.signal, one.tags) == (2, "queue", {})


def test_the_engines_own_copy_of_the_settings_gives_the_same_model() -> None:
    through_json = json.loads(json.dumps(region()))
    assert parse_region(through_json, "aws-us-east-1", "x") == load()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_unquantised_weights_say_what_the_engine_computes_in(dtype: str) -> None:
    assert load({"model.dtype": dtype}).model.engine_dtype == dtype


def test_quantised_weights_leave_it_to_the_checkpoint() -> None:
    assert load({"model.dtype": "fp8"}).model.engine_dtype == "auto"


def test_a_model_of_ones_own_needs_its_architecture() -> None:
    own = {"model.name": "our-own-7b", "model.tensorParallel": 8}
    assert faults(own)[0].startswith("model.name = our-own-7b: unknown model")
    shape = {"paramsBillion": 7.0, "layers": 32, "hiddenSize": 4096, "attentionHeads": 32, "kvHeads": 8}
    shape |= {"headDim": 128, "vocabSize": 32_000, "maxPositions": 32_768}
    assert load(own | {"model.architecture": shape}).architecture.params_billion == 7
    half = shape | {"kvLoraRank": 512}
    assert "both kvLoraRank and qkRopeHeadDim" in faults(own | {"model.architecture": half})[0]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"region": "us-east-7"}, "region = us-east-7: unknown region"),
        ({"nearestAwsRegion": "us-east-2"}, "nearestAwsRegion = us-east-2: on AWS it is the region itself"),
        ({"pools.floor": 3}, "pools.floor = 3: has to be at most target (2)"),
        ({"pools.target": 7}, "pools.target = 7: has to be at most max (6)"),
        ({"pools.types": ["p5.48xlarge", "p5.48xlarge"]}, "pools.types[1] = p5.48xlarge: stands twice"),
        ({"model.tensorParallel": 3}, "model.tensorParallel = 3: does not divide"),
        ({"model.tensorParallel": 16}, "pools.types[0] = p4d.24xlarge: has 8 GPUs, and tensorParallel"),
        ({"model.pipelineParallel": 2}, "pools.types[0] = p4d.24xlarge: has 8 GPUs"),
        ({"model.maxModelLen": 200_000}, "model.maxModelLen = 200000: has to be at most 131072"),
        ({"model.fit.concurrency": 65}, "model.fit.concurrency = 65: has to be at most maxNumSeqs (64)"),
        ({"model.fit.contextTokens": 40_000}, "model.fit.contextTokens = 40000: has to be at most maxModelLen"),
        ({"model.fit": DROP}, "pools.types[0] = p4d.24xlarge: deepseek-r1-distill-llama-70b in bfloat16 does not fit"),
        ({"model.quantization": "fp8"}, "model.quantization = fp8: with dtype bfloat16 it has to be null"),
        ({"model.kvCacheDtype": "fp8"}, "pools.types[0] = p4d.24xlarge: A100 is sm_80: kvCacheDtype fp8 needs sm_89"),
        ({"model.name": "deepseek-r1"}, "model.dtype = bfloat16: the checkpoint of deepseek-r1 is stored in fp8"),
        ({"model.architecture": {}}, "model.architecture.paramsBillion: missing"),
        ({"network.cidr": "10.16.0.0/15"}, "network.cidr = 10.16.0.0/15: has to be a /16 to /24"),
        ({"network.cidr": "10.16.0.0/25"}, "network.cidr = 10.16.0.0/25: has to be a /16 to /24"),
        ({"network.cidr": "100.64.0.0/16"}, "network.cidr = 100.64.0.0/16: has to lie in a private range"),
        (
            {"network.cidr": "10.16.0.0/24", "pools.max": 5, "network.egress": "endpoints"},
            "network.cidr = 10.16.0.0/24: too",
        ),
        (
            {"network.zones": ["us-east-1a", "us-west-2a"]},
            "network.zones[1] = us-west-2a: has to be a zone of us-east-1",
        ),
        ({"network.zones": ["us-east-1e"]}, "pools.types[0] = p4d.24xlarge: not offered in network.zones (us-east-1e)"),
        ({"network.clients": ["1.2.3.4"]}, "network.clients[0] = 1.2.3.4: has to be an IPv4 network"),
        ({"storage.data": {"sizeGib": 32, "iops": 16_001}}, "storage.data.iops = 16001: has to be at most 16000"),
        ({"storage.root": {"throughputMbps": 751}}, "storage.root.throughputMbps = 751: has to be at most 750"),
        ({"storage.data": {"throughputMbps": 2001}}, "storage.data.throughputMbps = 2001: has to be from 125 to 2000"),
        ({"storage.data": {"sizeGib": 70_000}}, "storage.data.sizeGib = 70000: has to be from 32 to 65536"),
        ({"efa": True, "pools.types": ["g6e.xlarge"]}, "pools.types[0] = g6e.xlarge: has no Elastic Fabric Adapter"),
        ({"image": {}}, "image: has to have family and version"),
        ({"image": {"family": "spillway-vllm"}}, "image.version: missing; pin the version"),
        (
            {"image": {"family": "a-b", "newest": True, "version": "1"}},
            'image.version = "1": goes without newest: true',
        ),
        ({"image": {"id": "ami-0123456789abcdef0", "newest": True}}, "image.newest = true: goes without id"),
        ({"node.drainSeconds": 98}, "node.drainSeconds = 98: has to be at most 97"),
        ({"node.noticeSeconds": 121}, "node.noticeSeconds = 121: has to be from 30 to 120"),
        ({"fallback.inMinutes": 2}, "fallback.inMinutes = 2: has to be above outMinutes (2)"),
        ({"fallback.bootMinutes": 30}, "node.gracePeriodMinutes = 30: has to be above fallback.bootMinutes (30)"),
        ({"scaling.inCpuPercent": 65}, "scaling.inCpuPercent = 65: has to be below cpuPercent (65)"),
        ({"secrets.apiKeys": "spillway/aws-us-east-1/certificate"}, "secrets.apiKeys = <not shown>"),
        ({"tags": {"spillway:stack": "x"}}, "tags.spillway:stack: tags that begin with aws: or spillway:"),
        ({"tags": {"Name": "x"}}, "tags.Name: set by the stack itself"),
        ({"pools.max": 21}, "pools.max = 21: has to be at most 20: floor (0) and the 20 steps of a policy"),
        (
            {"pools.reservations": {"capacityBlocks": [f"cr-0123456789abcdef{i}" for i in range(3)]}},
            "pools.reservations.capacityBlocks = [cr-0123456789abcdef0, cr-0123456789abcdef1, ",
        ),
        ({"pools.reservations": {"preference": "only"}}, "pools.reservations.preference = only: needs at least one id"),
        (
            {
                "pools.onDemandTypes": ["g7e.48xlarge"],
                "pools.reservations": {"capacityBlocks": ["cr-0123456789abcdef0"]},
            },
            "pools.reservations.capacityBlocks: no machine type of the on-demand pool is sold in capacity blocks",
        ),
        (
            {"pools.nodesPerReplica": 2},
            "pools.nodesPerReplica = 2: has to be 1: replicas of several nodes are complete in the image "
            "(docs/image-multinode.md), and the pools of a region count single nodes in this release",
        ),
        (
            {"network.monitoring": ["0.0.0.0/0"]},
            "network.monitoring[0] = 0.0.0.0/0: has to lie in a private range, 10.0.0.0/8, 172.16.0.0/12 or",
        ),
        ({"network.monitoring": ["203.0.113.0/24"]}, "network.monitoring[0] = 203.0.113.0/24: has to lie in a private"),
        ({"network.monitoring": ["10.1.2.3/8"]}, "network.monitoring[0] = 10.1.2.3/8: has bits set beyond its prefix"),
        (
            {"network.monitoring": ["10.1.0.0/16", "10.1.0.0/16"]},
            "network.monitoring[1] = 10.1.0.0/16: stands twice; each network once",
        ),
        ({"model.loadFormat": "runai"}, "model.loadFormat = runai: has to be stage or stream"),
        (
            {"model.loadFormat": "stream", "model.quantization": "bitsandbytes", "model.dtype": "int4"},
            "model.loadFormat = stream: has to be stage: with quantization bitsandbytes",
        ),
        ({"logs.retentionDays": 31}, "logs.retentionDays = 31: has to be 1, 3, 5, 7, 14, 30,"),
        ({"budget.emails": []}, "budget.emails = []: has to have at least 1 entry"),
        ({"budget.emails": ["a@b.cd"] * 11}, "budget.emails = [a@b.cd"),
        ({"cloud": DROP}, "cloud: missing; aws"),
        ({"account": 123_456_789_012}, "account = 123456789012: has to be a 12-digit AWS account id in quotes"),
        (
            {"pools": None},
            "pools = null: has to be a map with types, onDemandTypes, target, floor, max, nodesPerReplica and "
            "reservations",
        ),
        ({"pools.types": "p5.48xlarge"}, "pools.types = p5.48xlarge: has to be a list"),
        ({"tags": ["a"]}, "tags = [a]: has to be a map"),
        ({"limits.errorRate": float("inf")}, "limits.errorRate = inf: has to be a finite number"),
    ],
)
def test_a_fault_is_told_by_its_key_and_what_is_allowed(changes: dict[str, Any], line: str) -> None:
    found = faults(changes)
    assert any(one.startswith(line) for one in found), found


@pytest.mark.parametrize("stack", ["aws-us-west-2", "us-east-1", "aws-us-east-1-b", ""])
def test_a_stack_has_the_name_of_its_cloud_and_region(stack: str) -> None:
    [line] = faults(stack=stack)
    assert line.startswith(f"region = us-east-1: the stack is named {stack}, but a stack is named <cloud>-<region>")


def test_fp8_runs_as_weight_only_on_a100_and_says_so() -> None:
    lines = machine_checks.advice(load({"model.dtype": "fp8"}))
    assert any(line.startswith("p4d.24xlarge: A100 stores fp8 but computes in 16 bits") for line in lines)
    assert not any(line.startswith("p5.48xlarge") for line in lines)


def test_gpus_that_stay_idle_are_advised_against_and_not_refused() -> None:
    wide = {"model.tensorParallel": 4, "pools.types": ["p5.48xlarge"], "pools.onDemandTypes": DROP}
    lines = machine_checks.advice(load(wide))
    assert lines[0].startswith("p5.48xlarge: 4 of 8 GPUs stay idle")


def test_volumes_within_the_instances_ceiling_pass_to_the_last_mebibyte() -> None:
    # p4d: 2375 MB/s are 2264 MiB/s.
    root = {"iops": 8000, "throughputMbps": 264}
    data = {"iops": 16_000, "throughputMbps": 2000}
    assert faults({"storage": {"root": root, "data": data}}) == []
    over = faults({"storage": {"root": root | {"throughputMbps": 265}, "data": data}})
    assert over[0].startswith("pools.types[0] = p4d.24xlarge: reaches 2375 MB/s (2264 MiB/s)")


def test_weights_have_to_fit_the_disk_that_they_are_staged_on() -> None:
    small = {"pools.types": ["g6e.xlarge"], "pools.onDemandTypes": DROP, "model.dtype": "fp4"}
    small |= {"model.tensorParallel": 1, "model.name": "llama-3.1-405b-instruct", "storage": {"data": {"iops": 3000}}}
    assert any("GB of NVMe, and the weights with room to stage take" in line for line in faults(small))


def test_faults_in_one_section_do_not_hide_those_of_others() -> None:
    found = faults(
        {"residency": "EU", "pools.floor": 3, "network.cidr": "8.8.8.0/24", "image": 3, "node.drainSeconds": 109}
    )
    assert [line.split(" = ")[0] for line in found] == [
        "residency",
        "image",
        "pools.floor",
        "node.drainSeconds",
        "network.cidr",
    ]


def test_a_section_at_fault_skips_only_the_checks_that_read_it() -> None:
    found = faults({"model.dtype": "bf16", "pools.types": ["p9.nano"], "fallback.inMinutes": 2})
    assert [line.split(" = ")[0] for line in found] == ["model.dtype", "fallback.inMinutes", "pools.types[0]"]


def test_overlapping_networks_are_refused_in_both_stacks(tmp_path: Path) -> None:
    for path in SHIPPED.glob("Pulumi.*.yaml"):
        shutil.copy(path, tmp_path / path.name)
    west = tmp_path / "Pulumi.aws-us-west-2.yaml"
    west.write_text(west.read_text().replace("10.17.0.0/16", "10.16.240.0/20"))
    for stack, other in (("aws-us-east-1", "aws-us-west-2"), ("aws-us-west-2", "aws-us-east-1")):
        with pytest.raises(ConfigError, match=rf"overlaps with \S+ of stacks/Pulumi.{other}.yaml"):
            load_stack_file(tmp_path / f"Pulumi.{stack}.yaml", stack)
    assert load_stack_file(tmp_path / "Pulumi.aws-us-east-2.yaml").stack_name == "aws-us-east-2"
    with pytest.raises(ConfigError) as error:
        load_all(tmp_path)
    assert len(error.value.lines) == 2


def test_a_broken_neighbour_does_not_stop_a_sound_stack(tmp_path: Path) -> None:
    shutil.copy(STACKS / "Pulumi.aws-us-east-1.yaml", tmp_path)
    (tmp_path / "Pulumi.aws-us-west-2.yaml").write_text("config: [")
    (tmp_path / "Pulumi.global.yaml").write_text("config:\n  spillway:global: {}\n")
    assert load_stack_file(tmp_path / "Pulumi.aws-us-east-1.yaml").region == "us-east-1"


def test_stacks_that_are_not_regions_are_left_out(tmp_path: Path) -> None:
    shutil.copy(STACKS / "Pulumi.aws-us-east-1.yaml", tmp_path)
    (tmp_path / "Pulumi.global.yaml").write_text("config:\n  spillway:global: {}\n")
    assert list(load_all(tmp_path)) == ["aws-us-east-1"]
    assert load_all(tmp_path / "nothing-here") == {}


def test_no_more_capacity_blocks_are_allowed_than_the_fallback_can_count() -> None:
    rule = fallback.Rule(floor=0, out_minutes=2, in_minutes=12, boot_minutes=20, max_on_demand=6)
    supply = {"GroupInServiceInstances", "GroupPendingInstances"}

    def metrics(alarm: fallback.Alarm, blocks: int) -> int:
        spot = ((metric.pool == "spot" and metric.metric_name in supply) for metric in alarm.metrics)
        return len(alarm.metrics) + blocks * sum(spot)

    most = []
    for alarm in fallback.aws_alarms(rule):
        most.append(max(blocks for blocks in range(20) if metrics(alarm, blocks) <= 10 or blocks == 0))
    assert min(most) == MAX_CAPACITY_BLOCKS


def test_the_committed_schema_is_fresh() -> None:
    committed = (ROOT / "infra/schema/stack.schema.json").read_text()
    assert committed == schema.text(json_schema()), "run: python -m infra.schema > infra/schema/stack.schema.json"


def test_every_shipped_stack_file_names_the_schema_for_editors() -> None:
    for path in SHIPPED.glob("Pulumi.*.yaml"):
        first = path.read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=../infra/schema/stack.schema.json"
        assert (path.parent / first.split("=")[1]).is_file()


def test_every_key_of_the_schema_has_a_description() -> None:
    definitions = json_schema()["$defs"]
    for name, definition in definitions.items():
        for key, field in definition["properties"].items():
            told = field.get("description") or definitions[field["$ref"].split("/")[-1]].get("description")
            assert told, f"{name}.{key}"


def test_the_schema_has_every_key_that_the_shipped_files_use() -> None:
    definitions = json_schema()["$defs"]

    def walk(value: Any, at: dict[str, Any]) -> None:
        options = [at, *at.get("anyOf", [])]
        for option in options:
            if "$ref" in option and isinstance(value, dict):
                properties = definitions[option["$ref"].split("/")[-1]]["properties"]
                assert set(value) <= set(properties)
                for key, inner in value.items():
                    walk(inner, properties[key])

    for path in SHIPPED.glob("Pulumi.*.yaml"):
        region = yaml.safe_load(path.read_text())["config"].get(REGION_KEY)
        if region is not None:
            walk(region, {"$ref": f"#/$defs/{CLOUDS[region['cloud']].__name__}"})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", '""'),
        ("2", '"2"'),
        ("true", '"true"'),
        ("a b", "a b"),
        ("a\nb", r'"a\nb"'),
        ("é", r'"\u00e9"'),
        (None, "null"),
        (True, "true"),
        (5.0, "5"),
        ([1, "x", None], "[1, x, null]"),
        (list(range(20)), "[0, 1, 2, 3, 4, 5, 6, 7, ...]"),
        ({}, "{}"),
        ({"a": 1}, "<a map of 1 key>"),
        pytest.param(10**5000, "<a very large number>", id="5001 digits"),
    ],
)
def test_values_are_shown_on_one_line_as_they_were_written(value: object, text: str) -> None:
    assert shown(value) == text


def test_long_values_are_cut() -> None:
    assert len(shown("x" * 500)) == MAX_VALUE


def test_paths_are_shown_with_dots_and_odd_keys_in_quotes() -> None:
    assert dotted(("spillway:region", "pools", "types", 1)) == "spillway:region.pools.types[1]"
    assert dotted(("a b", "c")) == '"a b".c'


def test_the_schema_bounds_the_entries_of_lists_as_the_models_do() -> None:
    definitions = json_schema()["$defs"]
    lists = [
        (f"{name}.{key}", option)
        for name, definition in definitions.items()
        for key, field in definition["properties"].items()
        for option in (field, *field.get("anyOf", []))
        if option.get("type") == "array"
    ]
    assert len(lists) > 20
    for where, field in lists:
        entry = field["items"]
        assert entry.get("pattern") or entry.get("enum") or entry["$ref"].startswith("#/$defs/"), where


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pools.target": 2.0}, "pools.target = 2.0: has to be a whole number from 0 to 500"),
        ({"model.revision": date(2025, 1, 20)}, "model.revision = 2025-01-20: has to be a commit hash"),
        ({"secrets.certificate": "spillway/ä"}, "spillway/ and up to 500 letters, digits and /_+=.@-"),
    ],
)
def test_a_value_is_shown_as_it_stands_in_the_file(changes: dict[str, Any], told: str) -> None:
    (line,) = faults(changes)
    assert told in line


@pytest.mark.parametrize(
    ("stack", "path", "value", "told"),
    [
        ("azure-eastus", "network.zones", [1], 'zones[0] = 1: has to be "1", "2" or "3", with its quotes'),
        ("azure-eastus", "network.cidr", "10.40.0.0/30", "/16 to /24: half of it is the nodes' subnet, the other half"),
        ("gcp-us-central1", "network.cidr", "10.32.0.0/30", "/16 to /24: it is the one subnetwork of the nodes"),
        ("tencent-ap-guangzhou", "network.cidr", "10.48.0.0/30", "a subnet of the nodes and one of balancers"),
        ("azure-eastus", "secrets.certificate", "spillway-cert_a", "up to 118 letters, digits and hyphens"),
        ("gcp-us-central1", "secrets.certificate", "spillway-" + "a" * 250, "spillway- and up to 246 letters, digits"),
    ],
)
def test_every_cloud_says_what_it_allows(stack: str, path: str, value: Any, told: str) -> None:
    data = stackfile.read(SHIPPED / f"Pulumi.{stack}.yaml")[REGION_KEY]
    section, key = path.split(".")
    data[section][key] = value
    with pytest.raises(ConfigError) as error:
        parse_region(data, stack, "x.yaml")
    assert told in error.value.lines[0]
