"""What region stacks export: the same keys on every cloud, and sizes that add up to the target."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra import outputs
from infra.config import load_stack_file
from infra.dns.plan import Endpoint
from infra.stackfile import may_be_region, stack_of

STACKS = Path(__file__).parents[2] / "stacks"
REGIONS = sorted(path for path in STACKS.glob("Pulumi.*.yaml") if may_be_region(stack_of(path)))


@pytest.mark.parametrize("path", REGIONS, ids=lambda path: path.name)
def test_a_regions_pools_hold_the_target_together(path: Path) -> None:
    config = load_stack_file(path)
    told = outputs.pools(config, "spot" if config.SPOT else None, "on-demand")
    assert set(told) == {"target", "floor", "max", "spot", "onDemand", "capacityBlocks"}
    assert set(told["spot"]) == set(told["onDemand"]) == {"name", "types", "size"}
    assert told["spot"]["size"] + told["onDemand"]["size"] == told["target"] == config.pools.target
    assert told["onDemand"]["size"] >= told["floor"]
    assert bool(told["spot"]["types"]) == bool(told["spot"]["name"]) == config.SPOT
    assert told["onDemand"]["types"] == list(config.on_demand_types)


def test_capacity_blocks_are_told_as_they_are() -> None:
    blocks = [{"name": "group", "reservation": "cr-1"}]
    config = load_stack_file(STACKS / "Pulumi.aws-us-east-1.yaml")
    assert outputs.pools(config, "a", "b", blocks)["capacityBlocks"] == blocks
    assert outputs.pools(config, "a", "b")["capacityBlocks"] == []


@pytest.mark.parametrize("path", REGIONS, ids=lambda path: path.name)
def test_the_global_stack_reads_every_clouds_endpoint(path: Path) -> None:
    config = load_stack_file(path)
    told = outputs.endpoint(config, None, ["203.0.113.7"])
    read = Endpoint.from_output(told)
    assert (read.cloud, read.region, read.residency) == (config.cloud, config.region, config.residency)
    assert (read.port, read.health_path, read.addresses) == (443, "/readyz", ("203.0.113.7",))
    assert read.nearest_aws_region == config.latency_region
