"""User data: valid cloud-init, the same bytes each time, within the cloud's limit, no secret in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from images import node
from images.render import TEMPLATES, USER_DATA_MAX, UserDataTooLarge, render_user_data

# https://docs.cloud-init.io/en/latest/reference/modules.html; cloud-init passes over keys that it does not know.
KEYS = {"write_files"}


def config(**changes: Any) -> node.NodeConfig:
    values: dict[str, Any] = {
        "cloud": "aws",
        "region": "us-east-1",
        "stack": "aws-us-east-1",
        "pool": "spot",
        "group": "spillway-aws-us-east-1-spot",
        "hooks": node.Hooks(launching="ready", terminating="drain"),
        "serving": node.Serving(name="llm.example.com"),
        "model": node.Model(
            uri="s3://bucket/models/m/r/",
            name="m",
            revision="r",
            dtype="bfloat16",
            quantization=None,
            kv_cache_dtype="auto",
            tensor_parallel=8,
            pipeline_parallel=1,
            max_model_len=32768,
            max_num_seqs=32,
            gpu_memory_utilization=0.9,
        ),
        "limits": node.Limits(queue=100, ttft_p50_ms=10_000, error_rate=0.05),
        "drain": node.Drain(notice_seconds=120, deregister_seconds=15, drain_seconds=90),
        "boot_minutes": 20,
        "secrets": node.Secrets(certificate="spillway/certificate", api_keys="spillway/api-keys"),
    }
    return node.NodeConfig(**(values | changes))


def rendered(of: node.NodeConfig) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(render_user_data(of))
    return document


def files(of: node.NodeConfig) -> dict[str, dict[str, Any]]:
    return {entry["path"]: entry for entry in rendered(of)["write_files"]}


def test_user_data_is_cloud_config_with_known_keys_only() -> None:
    assert render_user_data(config()).startswith("#cloud-config\n")
    document = rendered(config())
    assert set(document) == KEYS
    for entry in document["write_files"]:
        assert set(entry) == {"path", "owner", "permissions", "content"}
        assert isinstance(entry["permissions"], str)  # unquoted, 0644 would be the number 420


def test_node_json_arrives_as_it_was_configured() -> None:
    wanted = config()
    content = files(wanted)["/etc/spillway/node.json"]["content"]
    assert node.NodeConfig.model_validate_json(content) == wanted
    assert json.loads(content)["drain"] == {"noticeSeconds": 120, "deregisterSeconds": 15, "drainSeconds": 90}


def test_text_that_yaml_or_a_shell_could_misread_stays_text() -> None:
    odd = config(serving=node.Serving(name="a: b # c\n- d\u00e9 {{ x }} $(reboot)"))
    content = files(odd)["/etc/spillway/node.json"]["content"]
    assert json.loads(content)["serving"]["name"] == odd.serving.name


def test_the_same_configuration_gives_the_same_bytes() -> None:
    assert render_user_data(config()) == render_user_data(config())


def test_pools_differ_in_user_data() -> None:
    assert render_user_data(config()) != render_user_data(config(pool="on-demand"))


def test_user_data_beyond_the_limit_is_refused_with_both_numbers() -> None:
    large = config(stack="x" * USER_DATA_MAX)
    with pytest.raises(UserDataTooLarge, match=r"has [\d,]+ bytes, the limit is 16,384"):
        render_user_data(large)


def test_the_ordinary_node_leaves_nearly_all_of_the_limit_free() -> None:
    assert len(render_user_data(config()).encode()) < USER_DATA_MAX / 4


def test_node_configuration_is_closed_and_strict() -> None:
    with pytest.raises(ValidationError):
        config(surprise=1)
    with pytest.raises(ValidationError):
        config(boot_minutes="20")
    with pytest.raises(ValidationError, match="notice is 120 s"):
        node.Drain(notice_seconds=120, deregister_seconds=40, drain_seconds=90)
    with pytest.raises(ValidationError):
        node.Disks(scratch="/mnt/scratch; reboot")


def test_every_template_is_in_use() -> None:
    assert {path.name for path in TEMPLATES.iterdir()} == {"user-data.yaml.j2"}
