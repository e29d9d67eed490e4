"""The catalog: machine types, zones and models, against what AWS and the models' authors publish."""

from __future__ import annotations

import re

import pytest

from infra import catalog, fit
from infra.sections import Architecture

P_TYPES = [
    # type, vCPU, GPU, GPUs, MiB in all GPUs, EFA, NVMe GB, EBS MB/s and IOPS, regions
    ("p4d.24xlarge", 96, "A100", 8, 327_680, 4, 8000, 2375, 80_000, 13),
    ("p4de.24xlarge", 96, "A100", 8, 655_360, 4, 8000, 2375, 80_000, 6),
    ("p5.4xlarge", 16, "H100", 1, 81_920, 1, 3800, 1250, 32_500, 10),
    ("p5.48xlarge", 192, "H100", 8, 655_360, 32, 30_400, 10_000, 260_000, 13),
    ("p5e.48xlarge", 192, "H200", 8, 1_155_072, 32, 30_400, 10_000, 260_000, 7),
    ("p5en.48xlarge", 192, "H200", 8, 1_155_072, 16, 30_400, 12_500, 400_000, 11),
    ("p6-b200.48xlarge", 192, "B200", 8, 1_466_872, 8, 30_400, 12_500, 400_000, 7),
    ("p6-b300.48xlarge", 192, "B300", 8, 2_200_320, 16, 30_400, 12_500, 400_000, 6),
    ("g6e.48xlarge", 192, "L40S", 8, 366_208, 4, 7600, 7500, 240_000, 12),
    ("g7e.48xlarge", 192, "RTX PRO 6000", 8, 786_432, 4, 15_200, 12_500, 400_000, 11),
]


@pytest.mark.parametrize("row", P_TYPES, ids=lambda row: row[0])
def test_a_machine_type_is_what_aws_describes(row: tuple[str, int, str, int, int, int, int, int, int, int]) -> None:
    name, vcpus, gpu, gpus, memory, efa, nvme, mbps, iops, regions = row
    machine = catalog.machine(name)
    assert (machine.vcpus, machine.gpu, machine.gpus) == (vcpus, gpu, gpus)
    assert machine.gpus * machine.gpu_memory_mib == memory
    assert (machine.efa, machine.nvme_gb) == (efa, nvme)
    assert (machine.disk_max_mbps, machine.disk_max_iops) == (mbps, iops)
    assert len(catalog.offered_in(name)) == regions


def test_zones_are_those_that_offer_the_type() -> None:
    assert catalog.zones("p4d.24xlarge", "us-east-1") == ("us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d")
    assert catalog.zones("p4de.24xlarge", "us-east-1") == ("us-east-1b", "us-east-1c")
    assert catalog.zones("p4d.24xlarge", "eu-west-1") == ("eu-west-1c",)
    assert catalog.zones("p5e.48xlarge", "us-east-1") == ()
    assert catalog.zones("no.such", "us-east-1") == ()


def test_an_unknown_machine_type_is_told_with_the_nearest_known_one() -> None:
    with pytest.raises(catalog.NotInCatalog, match=re.escape("p5.48xlarg (did you mean p5.48xlarge?)")):
        catalog.machine("p5.48xlarg")


def test_an_unknown_model_is_told_with_the_nearest_known_one() -> None:
    with pytest.raises(catalog.NotInCatalog, match="did you mean deepseek-r1"):
        catalog.architecture("deepseek-r2")


@pytest.mark.parametrize("machine", catalog.machines(), ids=lambda machine: machine.name)
def test_every_machine_is_consistent(machine: catalog.Machine) -> None:
    assert machine.cloud == "aws"
    assert re.fullmatch(r"sm_\d{2,3}", machine.gpu_architecture)
    assert machine.compute_capability == int(machine.gpu_architecture[3:])
    assert (machine.disk_baseline_mbps or 0) <= (machine.disk_max_mbps or 0)
    assert (machine.disk_baseline_iops or 0) <= (machine.disk_max_iops or 0)
    assert machine.efa + machine.efa_first_card <= max(machine.network_cards, machine.efa)
    assert {"on-demand", "spot"} <= set(machine.usage_classes)
    assert (machine.quota_family == "P") == machine.name.startswith("p")
    assert re.fullmatch(r"L-[0-9A-F]{8}", machine.on_demand_quota)
    assert machine.spot_quota != machine.on_demand_quota


@pytest.mark.parametrize("region", catalog.regions())
def test_zones_lie_in_their_region(region: str) -> None:
    for machine in catalog.machines():
        for zone in catalog.zones(machine.name, region):
            assert re.fullmatch(re.escape(region) + "[a-h]", zone)


@pytest.mark.parametrize("name", catalog.models())
def test_every_model_is_a_valid_architecture_with_a_source(name: str) -> None:
    raw = catalog._models()[name]
    shape = Architecture.model_validate(raw["architecture"])
    assert shape == catalog.architecture(name)
    assert raw["source"].startswith("https://")
    assert catalog.native_dtype(name) in fit.WEIGHT_BYTES
    assert shape.attention_heads % shape.kv_heads == 0
    assert (shape.kv_lora_rank is None) == (shape.qk_rope_head_dim is None)


@pytest.mark.parametrize(
    ("name", "bytes_per_token"),
    [
        ("llama-3.1-8b-instruct", 131_072),
        ("llama-3.1-70b-instruct", 327_680),
        ("qwen2.5-72b-instruct", 327_680),
        ("llama-3.1-405b-instruct", 516_096),
        ("deepseek-r1", 70_272),
    ],
)
def test_the_kv_cache_of_a_token_is_what_is_published(name: str, bytes_per_token: int) -> None:
    shape = catalog.architecture(name)
    assert fit.kv_bytes_per_token(shape, "auto", 1, shape.layers) == bytes_per_token


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_every_cloud_tells_the_same_of_its_machines(cloud: str) -> None:
    for machine in catalog.machines(cloud):
        assert machine.cloud == cloud
        assert catalog.machine(machine.name) is machine, "a name says the cloud"
        assert machine.gpus >= 1
        assert machine.gpu_memory_mib >= 16_000
        assert machine.gpu_architecture.startswith("sm_")
        assert set(machine.usage_classes) <= {"on-demand", "spot", "capacity-block"}
        for region in catalog.offered_in(machine.name):
            assert region in catalog.regions(cloud)


def test_zones_are_written_as_each_cloud_writes_them() -> None:
    assert catalog.zones("a2-highgpu-8g", "us-central1")[0] == "us-central1-a"
    assert catalog.zones("Standard_ND96asr_v4", "westus2") == ("3",)
    assert catalog.zones("Standard_ND96asr_v4", "eastus") == (), "offered there, and nobody told in which zones"
    assert "eastus" in catalog.offered_in("Standard_ND96asr_v4")


def test_a_machine_of_another_cloud_is_none_of_this_one() -> None:
    assert catalog.is_machine("p4d.24xlarge")
    assert not catalog.is_machine("p4d.24xlarge", "gcp")
    assert catalog.is_machine("a3-highgpu-8g", "gcp")


def test_local_disks_that_have_to_be_attached_are_told_apart_from_those_that_come_with_the_type() -> None:
    attached, bundled = catalog.machine("a2-highgpu-8g"), catalog.machine("a2-ultragpu-8g")
    assert (attached.nvme_count, attached.attached_nvme) == (8, True)
    assert (bundled.nvme_count, bundled.attached_nvme) == (8, False)
