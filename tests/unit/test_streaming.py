"""Weights that the engine reads from the bucket by itself: no scratch is needed, and no disk is a limit."""

from __future__ import annotations

import pytest

from images.programs.serving import command
from infra import catalog, parity
from infra.checks import STREAMING
from infra.config import CLOUDS
from tests.unit.stack_data import faults

STREAM = {"model.loadFormat": "stream"}
V100 = {"pools.types": ["p3.16xlarge"], "pools.onDemandTypes": ["p3.16xlarge"]}
SLOW = {"sizeGib": 1000, "iops": 3000, "throughputMbps": 125}
SMALL = {"sizeGib": 40, "iops": 3000, "throughputMbps": 125}


def test_the_clouds_that_stream_are_those_whose_stores_the_node_streams_from() -> None:
    schemes = {"aws": "s3://", "azure": "az://", "gcp": "gs://", "tencent": "cos://"}
    assert set(schemes) == set(CLOUDS)
    assert {cloud for cloud, scheme in schemes.items() if scheme in command.STREAMED} == set(STREAMING)


@pytest.mark.parametrize("name", ["p4d.24xlarge", "a2-highgpu-8g", "Standard_ND96asr_v4"])
def test_a_streamed_model_has_room_anywhere_and_no_disk_on_its_way(name: str) -> None:
    node = parity.node(catalog.machine(name))
    staged, streamed = parity.staging(node, 20_000), parity.staging(node, 20_000, streamed=True)
    assert (staged.room, streamed.room) == (False, True)
    assert node.path[-1].name not in (streamed.binds, *streamed.unknown)


def test_a_volume_that_is_too_slow_or_too_small_for_staging_is_none_for_streaming() -> None:
    slow = {**V100, "fallback.bootMinutes": 10, "storage.data": SLOW}
    assert [line for line in faults(slow) if "minutes to scratch" in line]
    assert not [line for line in faults({**slow, **STREAM}) if "minutes" in line]
    small = {**V100, "storage.data": SMALL}
    assert [line for line in faults(small) if "room to stage" in line]
    assert not [line for line in faults({**small, **STREAM}) if "room to stage" in line]
