"""The stack file of Tencent Cloud: one on-demand pool, and one clear line for whatever belongs to a spot pool."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from infra import catalog, gpu_support, sdks
from infra.config import ConfigError, TencentRegion, load_all, load_stack_file, parse_region
from infra.machine_checks import advice
from infra.tencent import names
from tests.support.tencent import STACK, config, data

ROOT = Path(__file__).parents[2]
FILE = "stacks/Pulumi.tencent-ap-guangzhou.yaml"


def lines(changes: dict[str, Any]) -> list[str]:
    """The lines that a stack file with changes by dotted key is refused with."""
    with pytest.raises(ConfigError) as refused:
        parse_region(data(changes), STACK, FILE)
    return list(refused.value.lines)


def test_the_shipped_file_is_sound_and_says_in_its_model_why_it_stands_apart() -> None:
    region = load_stack_file(ROOT / FILE)
    assert isinstance(region, TencentRegion)
    assert region.SPOT is False
    assert "outside the failover" in (TencentRegion.__doc__ or "")
    assert STACK in load_all(ROOT / "stacks")


def test_the_floor_is_the_target_without_being_said() -> None:
    assert config({"pools.target": 3}).pools.floor == 3
    assert config({"pools.target": 3, "pools.floor": 3}).pools.floor == 3


def test_a_faulty_target_is_told_once_and_not_for_the_floor_as_well() -> None:
    (line,) = lines({"pools.target": "two"})
    assert "pools.target = two" in line
    (line,) = lines({"pools.target": 900})
    assert "pools.target = 900" in line


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"model.loadFormat": "stream"}, "model.loadFormat = stream: has to be stage: the engine streams weights from"),
        ({"logs": {"ship": True}}, "logs = <a map of 1 key>: unknown key"),
        ({"pools.floor": 0}, "pools.floor = 0: has to be target (2), or left out"),
        ({"pools.floor": 3}, "pools.floor = 3: has to be at most target (2)"),
        ({"pools.onDemandTypes": ["GT4.41XLARGE948"]}, "pools.onDemandTypes = [GT4.41XLARGE948]: leave it out"),
        ({"fallback.outMinutes": 2}, "fallback.outMinutes = 2: leave it out"),
        ({"scaling.signal": "queue"}, "scaling.signal = queue: has to be cpu or none"),
        ({"scaling.signal": "cpu", "scaling.cpuMinutes": 13}, "cpuMinutes = 13: has to be 1 to 10, or a multiple"),
        ({"scaling.queuePerReplica": 5}, "scaling.queuePerReplica = 5: leave it out"),
        ({"node.gracePeriodMinutes": 60}, "node.gracePeriodMinutes = 60: leave it out"),
        ({"storage.data": {"sizeGib": 305}}, "storage.data.sizeGib = 305: has to be a multiple of 10"),
        ({"network.zones": ["ap-shanghai-4"]}, "has to be a zone of ap-guangzhou"),
        ({"network.zones": ["ap-guangzhou-4", "ap-guangzhou-7"]},
         "network.zones[1] = ap-guangzhou-7: offers none of the machine types; ap-guangzhou-3, ap-guangzhou-4 or "),
        ({"tags": {"k" * 128: "v"}}, "has to have at most 127 characters"),
        ({"tags": {"k": "v" * 256}}, "tags.k: its value has to have at most 255 characters"),
        ({"network.cidr": "10.48.0.0/24", "pools.max": 40}, "network.cidr = 10.48.0.0/24: too small"),
        ({"pools.types": ["GN10Xp.20XLARGE320"], "network.zones": None},
         "pools.types[0] = GN10Xp.20XLARGE320: V100 is sm_70: vLLM needs sm_75 or newer (CUDA 13 dropped Volta)"),
        ({"pools.types": ["GT4.41XLARGE94"]}, "unknown machine type (did you mean GT4.41XLARGE948?)"),
        ({"pools.types": ["GT4.41XLARGE948"] * 11}, "pools.types"),
        ({"region": "ap-chengdu", "network.zones": None}, "region = ap-chengdu"),
    ],
)  # fmt: skip
def test_what_has_no_place_here_is_told_with_its_reason(changes: dict[str, Any], told: str) -> None:
    assert any(told in line for line in lines(changes)), lines(changes)


def test_networks_of_clients_and_checkers_fit_into_one_security_group() -> None:
    clients = [f"198.51.{i}.0/24" for i in range(60)]
    asked = {"network.clients": clients, "network.checkers": ["route53", "cloudflare"]}
    both = len(catalog.checker_networks(config(asked).network, route53=True))
    if len(clients) + both + 2 > 100:
        (line,) = lines(asked)
        assert "network.clients" in line
        assert "a security group takes 100 rules" in line


def test_nobody_is_told_that_spot_wants_three_types() -> None:
    assert advice(config()) == ()


def test_every_listed_type_is_sold_on_demand_only_and_the_old_ones_are_there_to_be_refused() -> None:
    machines = catalog.machines("tencent")
    assert {machine.usage_classes for machine in machines} == {("on-demand",)}
    old = {m.name.split(".")[0] for m in machines if gpu_support.unsupported(m.compute_capability, "float16", "auto")}
    assert old == {"GN10Xp"}
    assert {m.gpu for m in machines if m.name.startswith("GT4.")} == {"A100-40GB"}
    assert catalog.zones("GT4.41XLARGE948", "ap-guangzhou") == ("ap-guangzhou-3", "ap-guangzhou-4", "ap-guangzhou-6")


def test_without_its_sdk_the_stack_file_gives_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    hidden = "tencentcloud_iac_pulumi"
    monkeypatch.setattr(sdks, "find_spec", lambda name: None if name == hidden else real(name))
    with pytest.raises(ConfigError) as refused:
        sdks.require("tencent", FILE, "spillway:region.cloud", "tencent")
    assert list(refused.value.lines) == [
        f"{FILE}: spillway:region.cloud = tencent: needs {hidden}, which is not installed; `make setup` installs it"
    ]


def test_names_keep_to_the_clouds_own_rules() -> None:
    assert names.pool_name(STACK) == "spillway-tencent-ap-guangzhou-on-demand"
    assert names.bucket_name("1250000000", "ap-guangzhou") == "spillway-models-ap-guangzhou-1250000000"
    assert names.image_name("spillway-vllm", "2026.11.1") == "spillway-vllm-2026-11-1"
    for wrong in (
        lambda: names.pool_name("tencent-" + "a" * 40),
        lambda: names.bucket_name("125", "ap-guangzhou"),
        lambda: names.bucket_name("1250000000", "guangzhou"),
        lambda: names.image_name("f" * 59, "2026.11.1"),
        lambda: names.tags(STACK, "node", {"qcs:a": "b"}),
        lambda: names.tags(STACK, "node", {"a": "b" * 256}),
    ):
        with pytest.raises(ValueError, match=r"expected|limit|reserved"):
            wrong()


@pytest.mark.parametrize("region", sorted(catalog.regions("tencent")))
def test_the_names_of_every_known_region_fit(region: str) -> None:
    assert len(names.pool_name(f"tencent-{region}")) <= names.GROUP_NAME_MAX
    assert len(names.bucket_name("1250000000", region)) <= names.BUCKET_NAME_MAX
    assert TencentRegion.model_validate(data({"region": region})).region == region
