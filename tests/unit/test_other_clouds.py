"""The stack files of Azure and Google Cloud as models: the same keys as on AWS, each cloud's own formats."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from infra.checks import region_faults
from infra.config import AzureRegion, GcpRegion

COMMON: dict[str, Any] = {
    "residency": "us",
    "model": {
        "name": "deepseek-r1-distill-llama-70b", "revision": "2025-01-20", "maxModelLen": 32768, "maxNumSeqs": 64,
        "fit": {"contextTokens": 8192, "concurrency": 32},
    },
    "service": {"name": "llm.example.com"},
    "secrets": {"certificate": "spillway-certificate", "apiKeys": "spillway-api-keys"},
    "budget": {"monthlyUsd": 60000, "emails": ["platform@example.com"]},
    "image": {"family": "spillway-vllm", "version": "2026.11.1"},
    "network": {"cidr": "10.32.0.0/16"},
}  # fmt: skip
AZURE = COMMON | {
    "cloud": "azure",
    "region": "eastus",
    "account": "00000000-0000-4000-8000-000000000000",
    "nearestAwsRegion": "us-east-1",
    "pools": {"types": ["Standard_ND96asr_v4"], "target": 2, "max": 6},
}
GCP = COMMON | {
    "cloud": "gcp",
    "region": "us-central1",
    "account": "example-project",
    "nearestAwsRegion": "us-east-2",
    "pools": {"types": ["a2-highgpu-8g", "a2-ultragpu-8g"], "target": 2, "max": 6},
}


def azure(**changes: Any) -> AzureRegion:
    return AzureRegion.model_validate(AZURE | changes)


def gcp(**changes: Any) -> GcpRegion:
    return GcpRegion.model_validate(GCP | changes)


def test_a_sound_region_has_no_faults() -> None:
    assert region_faults(azure(), "azure-eastus") == []
    assert region_faults(gcp(), "gcp-us-central1") == []


def test_a_stack_is_named_by_cloud_and_region_and_latency_by_the_nearest_aws_region() -> None:
    assert (azure().stack_name, azure().latency_region) == ("azure-eastus", "us-east-1")
    assert (gcp().stack_name, gcp().latency_region) == ("gcp-us-central1", "us-east-2")


def test_zones_are_those_of_the_file_or_all_that_are_known_to_offer_a_type() -> None:
    assert azure().zones == (), "nobody told in which zones of eastus: the region chooses"
    assert azure(region="westus2").zones == ("3",)
    assert gcp().zones[:1] == ("us-central1-a",)
    assert gcp(network=COMMON["network"] | {"zones": ["us-central1-c", "us-central1-a"]}).zones == (
        "us-central1-a",
        "us-central1-c",
    )


@pytest.mark.parametrize(
    ("region", "stack", "told"),
    [
        (azure(region="eastus9"), "azure-eastus9", "unknown region"),
        (azure(region="japaneast"), "azure-japaneast", "not offered in japaneast; offered in eastus"),
        (gcp(pools=GCP["pools"] | {"types": ["p4d.24xlarge"]}), "gcp-us-central1", "unknown machine type"),
        (gcp(pools=GCP["pools"] | {"onDemandTypes": ["a3-highgpu-1g"]}), "gcp-us-central1", "not sold as on-demand"),
        (gcp(network={"cidr": "10.32.0.0/16", "zones": ["us-central1-x"]}), "gcp-us-central1", "not offered in"),
        (gcp(image={"family": "spillway-vllm"}), "gcp-us-central1", "pin the version"),
        (azure(secrets={"certificate": "spillway-a", "apiKeys": "spillway-a"}), "azure-eastus", "has to differ"),
    ],
)  # fmt: skip
def test_what_several_values_say_together_is_checked_on_every_cloud(region: Any, stack: str, told: str) -> None:
    assert any(told in fault.allowed for fault in region_faults(region, stack)), region_faults(region, stack)


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (AzureRegion, AZURE | {"account": "123456789012"}),
        (AzureRegion, AZURE | {"efa": True}),
        (AzureRegion, AZURE | {"network": COMMON["network"] | {"zones": ["eastus-1"]}}),
        (AzureRegion, AZURE | {"node": {"noticeSeconds": 120}}),
        (AzureRegion, AZURE | {"image": {"family": "spillway-vllm", "version": "2026.11"}}),
        (AzureRegion, AZURE | {"secrets": {"certificate": "spillway/a/b", "apiKeys": "spillway-b"}}),
        (GcpRegion, GCP | {"account": "Example"}),
        (GcpRegion, GCP | {"node": {"noticeSeconds": 60}}),
        (GcpRegion, GCP | {"network": COMMON["network"] | {"egress": "endpoints"}}),
        (GcpRegion, GCP | {"pools": GCP["pools"] | {"reservations": {}}}),
    ],
)
def test_what_another_cloud_has_is_refused(model: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(changes)
