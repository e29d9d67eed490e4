"""A sound GCP region to change in tests, and its component without the look-ups before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi import ResourceOptions

from infra.config import GcpRegion
from infra.function import package
from infra.gcp.build import ARCHIVES
from infra.gcp.lookups import MachineImage, Project
from infra.gcp.region import Region, RegionArgs
from sandbox.gcp.api import project_number
from sandbox.gcp.invokes import BILLING_ACCOUNT
from tests.support.gcp import PROJECT

STACK = "gcp-us-central1"
IMAGE = MachineImage("projects/spillway-test/global/images/spillway-vllm-2026-11-1", 60)
CONFIG: dict[str, Any] = {
    "cloud": "gcp",
    "region": "us-central1",
    "account": "spillway-test",
    "nearestAwsRegion": "us-east-2",
    "residency": "us",
    "model": {
        "name": "deepseek-r1-distill-llama-70b", "revision": "2025-01-20", "maxModelLen": 32768, "maxNumSeqs": 64,
        "fit": {"contextTokens": 8192, "concurrency": 32},
    },
    "pools": {"types": ["a2-highgpu-8g", "a2-ultragpu-8g", "a3-highgpu-8g"], "target": 2, "floor": 1, "max": 6},
    "network": {"cidr": "10.32.0.0/16"},
    "image": {"family": "spillway-vllm", "version": "2026.11.1"},
    "service": {"name": "llm.example.com"},
    "secrets": {"certificate": "spillway-certificate", "apiKeys": "spillway-api-keys"},
    "budget": {"monthlyUsd": 60000, "emails": ["platform@example.com", "finance@example.com"]},
    "tags": {"team": "platform"},
}  # fmt: skip


def config(changes: Mapping[str, Any] | None = None) -> GcpRegion:
    """A sound region with values set by dotted key."""
    data = {key: dict(value) if isinstance(value, dict) else value for key, value in CONFIG.items()}
    for key, value in (changes or {}).items():
        *path, last = key.split(".")
        place = data
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    return GcpRegion.model_validate(data)


def build(config: GcpRegion, opts: ResourceOptions | None = None) -> Region:
    """The region as the program builds it, with what the stand-in's project holds for it."""
    project = Project(project_number(PROJECT), BILLING_ACCOUNT)
    return Region(config.stack_name, RegionArgs(config, IMAGE, project, package.write("gcp", ARCHIVES)), opts)
