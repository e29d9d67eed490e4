"""Boots that cannot be as short as the stack file says, and throughput that nobody gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra import catalog, machine_checks, parity
from infra.checks import region_faults
from infra.config import GcpRegion, RegionConfig
from tests.unit import test_other_clouds as other
from tests.unit.stack_data import DROP, faults, load

V100 = {"pools.types": ["p3.16xlarge"], "pools.onDemandTypes": ["p3.16xlarge"]}


def gcp(types: list[str], **changes: Any) -> GcpRegion:
    return other.gcp(pools=other.GCP["pools"] | {"types": types}, **changes)


def told(region: RegionConfig) -> list[str]:
    return [fault.line("x.yaml") for fault in region_faults(region, region.stack_name)]


def test_a_boot_that_is_shorter_than_the_copy_of_the_weights_can_ever_be_is_a_fault() -> None:
    slow = {
        **V100,
        "fallback.bootMinutes": 10,
        "storage.data": {"sizeGib": 1000, "iops": 3000, "throughputMbps": 125},
    }
    found = [line for line in faults(slow) if line.startswith("fallback")]
    # 141.1 GB at 125 MiB/s = 131.072 MB/s: 1,076.6 s, which are 18 minutes.
    assert found == [
        "fallback.bootMinutes = 10: can never do on p3.16xlarge: the 141 GB of weights alone take at least 18 minutes "
        "to scratch, at 131 MB/s (data volume (gp3))"
    ]
    assert not [line for line in faults(slow | {"fallback.bootMinutes": 18}) if line.startswith("fallback")]


def test_what_a_raised_quota_or_a_burst_could_make_true_is_no_fault() -> None:
    """Bandwidth of Azure's sizes is told of what goes out only, so nothing is impossible because of it."""
    h100 = catalog.machine("Standard_ND96isr_H100_v5")
    assert parity.staging(parity.node(h100), 1e6 / 1000).least_seconds is None
    g5 = parity.staging(parity.node(catalog.machine("g5.xlarge")), 100)
    assert g5.seconds == pytest.approx(320)  # 2.5 Gbit/s that it keeps up
    assert g5.least_seconds == pytest.approx(80)  # 10 Gbit/s on credit


def test_a_boot_that_only_a_burst_makes_true_is_advice() -> None:
    small = load({
        "model.name": "deepseek-r1-distill-qwen-14b",
        "model.tensorParallel": 1,
        "model.fit": DROP,
        "model.maxModelLen": 8192,
        "model.maxNumSeqs": 4,
        "pools.types": ["g6e.xlarge"],
        "pools.onDemandTypes": ["g6e.xlarge"],
        "network.zones": DROP,
        "storage": {"root": {"throughputMbps": 125}, "data": {"iops": 3000, "throughputMbps": 125}},
        "fallback.bootMinutes": 1,
    })  # fmt: skip
    (line,) = [line for line in machine_checks.advice(small) if line.startswith("fallback.bootMinutes")]
    # 29.5 GB at 2.5 Gbit/s; for a while the network gives 20.
    assert line == (
        "fallback.bootMinutes: 1, and on g6e.xlarge the 30 GB of weights alone take 1.6 minutes to scratch, "
        "at 312 MB/s (network)"
    )


def test_throughput_that_a_volume_does_not_reach_on_any_type_is_advice() -> None:
    data = {"data": {"sizeGib": 1000, "iops": 16000, "throughputMbps": 1000}}
    (line,) = [one for one in machine_checks.advice(gcp(["a2-highgpu-8g"], storage=data)) if "throughputMbps" in one]
    assert line == (
        "storage.data.throughputMbps: 1000 is what no machine type of the pools gets; pd-balanced of 1000 GiB reaches "
        "420 MiB/s on a2-highgpu-8g, by its size"
    )
    mixed = gcp(["a2-highgpu-8g", "a3-highgpu-8g"], storage=data)
    assert not [one for one in machine_checks.advice(mixed) if "throughputMbps" in one], "a3 takes Hyperdisk"
    assert not [one for one in machine_checks.advice(gcp(["a2-highgpu-8g"])) if "throughputMbps" in one], "the default"


def test_throughput_beyond_a_machines_ceiling_is_advice_where_it_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """No ceiling of a machine of GCP is in the data yet; the day there is one, it counts."""
    machine = catalog.machine("a3-highgpu-8g")
    ceiling = 800 * parity.MIB_PER_MB
    slower = replace(machine, disk_max_mbps=ceiling, disk_baseline_mbps=ceiling)
    region = gcp(["a3-highgpu-8g"], storage={"data": {"sizeGib": 1000, "iops": 16000, "throughputMbps": 1000}})
    monkeypatch.setattr(catalog, "machine", lambda name: slower)
    (line,) = [one for one in machine_checks.advice(region) if "throughputMbps" in one]
    assert line == (
        "storage.data.throughputMbps: 1000 is more than a3-highgpu-8g lets through, 800 MiB/s over all its disks; "
        "weights go from the bucket to its local disks, not through the volume"
    )


def test_azures_own_ceiling_is_a_fault_and_says_where_weights_are_fast() -> None:
    zoned = {"cidr": "10.40.0.0/16", "zones": ["1"]}
    region = other.azure(network=zoned, storage={"data": {"sizeGib": 1000, "iops": 16000, "throughputMbps": 1000}})
    (line,) = [one for one in told(region) if "throughputMbps" in one]
    assert "has to be at most 800: Standard_ND96asr_v4 reaches 800 MB/s over all its remote volumes" in line
