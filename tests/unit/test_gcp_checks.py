"""What the checks of a GCP stack file let through is built, and what they refuse would not be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from infra import catalog
from infra.checks import region_faults
from infra.machine_checks import advice
from sandbox.gcp import tokens
from tests.support.gcp_region import config
from tests.support.gcp_stack import Deployment

HERE = [machine.name for machine in catalog.machines("gcp") if catalog.zones(machine.name, "us-central1")]
SMALL = {
    "name": "deepseek-r1-distill-qwen-7b",
    "revision": "main",
    "tensorParallel": 1,
    "maxModelLen": 512,
    "maxNumSeqs": 1,
}
TAGS = st.dictionaries(
    st.text("abZ-_.:19", min_size=1, max_size=5) | st.sampled_from(["spillway-stack", "goog-x", "team"]),
    st.text("abZ-_. ", max_size=5),
    max_size=3,
)


def told(changes: dict[str, Any]) -> list[str]:
    """Faults of a region, each with the key that it is about."""
    region = config(changes)
    faults = region_faults(region, region.stack_name)
    return [f"{'.'.join(str(step) for step in fault.path)}: {fault.allowed}" for fault in faults]


NODES = st.fixed_dictionaries(
    {
        "gracePeriodMinutes": st.sampled_from([21, 60, 61]),
        "noticeSeconds": st.sampled_from([30, 120]),
        "drainSeconds": st.integers(1, 20),
        "deregisterSeconds": st.integers(0, 5),
    }
)
DISKS = st.fixed_dictionaries(
    {"sizeGib": st.sampled_from([32, 1000])},
    optional={
        "iops": st.sampled_from([3000, 16_000, 60_000, 160_000]),
        "throughputMbps": st.sampled_from([140, 750, 2400]),
    },
)
ZONES = st.lists(st.sampled_from([f"us-central1-{letter}" for letter in "abcf"]), min_size=1, max_size=4, unique=True)
PARTS: dict[str, st.SearchStrategy[Any]] = {
    "node": NODES,
    "storage": st.fixed_dictionaries({"data": DISKS}),
    "tags": TAGS,
    "network": st.fixed_dictionaries({"cidr": st.just("10.32.0.0/24"), "zones": ZONES}),
    "budget": st.integers(1, 6).map(
        lambda count: {"monthlyUsd": 100, "emails": [f"a{i}@example.com" for i in range(count)]}
    ),
}


@st.composite
def regions(draw: st.DrawFn) -> dict[str, Any]:
    """A sound region in which one or two sections are anything that they take for themselves."""
    plain = [name for name in HERE if "on-demand" in catalog.machine(name).usage_classes]
    one = st.sampled_from
    changes: dict[str, Any] = {"model": SMALL}
    pools: dict[str, Any] = {"target": 2, "floor": draw(st.integers(0, 2)), "max": 4}
    if draw(st.booleans()):
        pools["onDemandTypes"] = draw(st.lists(one(plain), min_size=1, max_size=11, unique=True))
    spot = HERE if "onDemandTypes" in pools or draw(st.booleans()) else plain
    pools["types"] = draw(st.lists(one(spot), min_size=1, max_size=8, unique=True))
    changed = draw(st.lists(one(sorted(PARTS)), max_size=2, unique=True))
    return changes | {"pools": pools} | {key: draw(PARTS[key]) for key in changed}


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(regions())
def test_what_the_checks_let_through_is_built(changes: dict[str, Any]) -> None:
    faults = told(changes)
    event("refused" if faults else "built")
    if not faults:
        deployment = Deployment()
        deployment.up(changes)
        assert len(deployment.cloud.all(tokens.GROUP)) == 2


@pytest.mark.parametrize("minutes", [30, 60])
def test_a_grace_of_up_to_an_hour_is_let_through(minutes: int) -> None:
    assert told({"node.gracePeriodMinutes": minutes}) == []


def test_numbers_that_were_not_given_do_nothing_wrong() -> None:
    assert told({"pools.types": ["a2-highgpu-8g"], "storage": {"data": {"sizeGib": 50}}}) == []


def test_numbers_are_of_use_where_one_type_takes_hyperdisk() -> None:
    numbers = {"sizeGib": 1000, "iops": 16_000, "throughputMbps": 1000}
    types = ["a2-highgpu-8g", "a3-highgpu-8g"]
    assert told({"pools.types": types, "storage": {"data": numbers}}) == []
    (iops, throughput) = told({"pools.types": types[:1], "storage": {"data": numbers}})
    assert iops.startswith("storage.data.iops: does nothing")
    assert throughput.startswith("storage.data.throughputMbps: does nothing")


def test_types_that_come_as_spot_only_need_on_demand_types_beside_them() -> None:
    assert told({"pools.types": ["a3-ultragpu-8g"], "pools.onDemandTypes": ["a3-highgpu-8g"]}) == []
    (fault,) = told({"pools.types": ["a3-highgpu-8g", "a3-ultragpu-8g"]})
    assert fault.startswith("pools.types.1: not sold as on-demand")


def test_the_sound_region_needs_no_advice() -> None:
    assert advice(config()) == ()
