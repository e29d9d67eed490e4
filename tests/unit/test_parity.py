"""What a node gets of its disks and how long weights take: the smallest of documented limits, and never a guess."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import catalog, parity
from infra.azure.disks import performance
from infra.azure.sections import AzureDataDisk, AzureStorage
from infra.catalog import Machine
from infra.parity import Figure, Limit
from infra.sections import Storage
from tests.unit import test_other_clouds as other
from tests.unit.stack_data import load

EVERY = [machine for cloud in catalog.READERS for machine in catalog.machines(cloud)]
MIB = 1.048576
"""MB in a MiB."""

machines = st.sampled_from(EVERY)
sizes_gb = st.floats(0.1, 5000)


def times(name: str) -> list[float | None]:
    node = parity.node(catalog.machine(name))
    return [parity.staging(node, gb).seconds for gb in (140, 671)]


def volumes(name: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    node = parity.node(catalog.machine(name))
    assert node.root is not None
    assert node.data is not None
    root, data = ((v.size_gib, v.iops.value, v.mbps.value) for v in (node.root, node.data))
    return root, data


# --- by hand ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["p4d.24xlarge", "p5.48xlarge"])
def test_a_node_on_aws_by_hand(name: str) -> None:
    """One card of 100 Gbit/s, of 4 or of 32, and 100 Gbit/s from S3: 12,500 MB/s, at 85 MB/s a request."""
    assert volumes(name) == ((200, 3000, pytest.approx(250 * MIB)), (1000, 16_000, pytest.approx(1000 * MIB)))
    assert times(name) == [pytest.approx(140_000 / 12_500), pytest.approx(671_000 / 12_500)]
    assert times(name) == [pytest.approx(11.2), pytest.approx(53.68)]
    found = parity.staging(parity.node(catalog.machine(name)), 140)
    assert (found.binds, found.mbps, found.connections) == ("network", 12_500, 148)
    assert found.lower_bound, "nobody tells what its NVMe disks write"
    assert found.unknown == ("local NVMe",)


def test_a_node_on_azure_by_hand() -> None:
    """To the temporary disk, how fast nobody tells: at least what 24 Gbit/s of network take, 3,000 MB/s."""
    # P15: 256 GiB, 1,100 IOPS, 125 MB/s. Premium SSD v2 as asked for.
    assert volumes("Standard_ND96asr_v4") == ((256, 1100, 125), (1000, 16_000, 500))
    assert times("Standard_ND96asr_v4") == [pytest.approx(140_000 / 3000), pytest.approx(671_000 / 3000)]
    found = parity.staging(parity.node(catalog.machine("Standard_ND96asr_v4")), 140)
    assert (found.binds, found.lower_bound, found.connections) == ("network", True, None)


def test_a_node_on_gcp_by_hand() -> None:
    """pd-balanced: 3,000 + 6 x GiB IOPS, 140 + 0.28 x GiB MiB/s; 8 local SSDs write 1,400 MiB/s, 16 of them 3,120."""
    root = (200, 4200, pytest.approx(196 * MIB))
    assert volumes("a2-highgpu-8g") == (root, (1000, 9000, pytest.approx(420 * MIB)))
    assert times("a2-highgpu-8g") == [pytest.approx(95.37, abs=0.01), pytest.approx(457.08, abs=0.01)]
    assert volumes("a3-highgpu-8g") == (root, (1000, 16_000, pytest.approx(1000 * MIB)))
    assert times("a3-highgpu-8g") == [pytest.approx(42.79, abs=0.01), pytest.approx(205.10, abs=0.01)]
    found = parity.staging(parity.node(catalog.machine("a3-highgpu-8g")), 140)
    assert (found.binds, found.lower_bound) == ("local NVMe", False)


def test_a_machine_lets_through_less_than_its_volumes_have() -> None:
    """g5.xlarge keeps up 87.5 MB/s and 3,000 IOPS, and 437.5 and 15,000 for half an hour a day."""
    node = parity.node(catalog.machine("g5.xlarge"))
    assert node.data is not None
    assert (node.data.mbps.value, node.data.mbps.binds, node.data.mbps.most) == (87.5, "machine", 437.5)
    assert (node.data.iops.value, node.data.iops.most) == (3000, 15_000)
    assert node.data.asked_mbps == pytest.approx(1000 * MIB)
    assert node.together_mbps.value == 87.5


def test_root_and_data_share_what_the_machine_lets_through() -> None:
    """125 and 500 MB/s are each within the 612 of an ND H100 v5, and not both at once."""
    node = parity.node(catalog.machine("Standard_ND96isr_H100_v5"))
    assert (node.together_mbps.value, node.together_mbps.binds) == (612, "machine")


# --- the region ------------------------------------------------------------------------------------------------------


def test_a_storage_account_gives_less_in_regions_that_azure_does_not_list() -> None:
    h100 = catalog.machine("Standard_ND96isr_H100_v5")
    listed, elsewhere = (
        parity.staging(parity.node(h100, region=region), 140) for region in ("eastus", "polandcentral")
    )
    assert (listed.binds, listed.seconds) == ("network", 14)  # 80 Gbit/s
    assert (elsewhere.binds, elsewhere.seconds) == ("egress of the storage account", 22.4)  # 50 Gbit/s


def test_outside_of_zones_an_azure_volume_has_what_its_size_brings() -> None:
    node = parity.of_region(other.azure(), catalog.machine("Standard_ND96asr_v4"))
    assert node.data is not None
    assert (node.data.kind, node.data.iops.value, node.data.mbps.value) == ("Premium SSD", 5000, 200)
    zoned = other.azure(network={"cidr": "10.40.0.0/16", "zones": ["1"]})
    in_zone = parity.of_region(zoned, catalog.machine("Standard_ND96asr_v4")).data
    assert in_zone is not None
    assert in_zone.kind == "Premium SSD v2"


def test_a_stack_file_brings_its_own_volumes() -> None:
    region = load({"storage.data": {"sizeGib": 500, "iops": 4000, "throughputMbps": 300}})
    node = parity.of_region(region, catalog.machine("p4d.24xlarge"))
    assert node.data is not None
    assert (node.data.size_gib, node.data.iops.value) == (500, 4000)
    assert node.data.mbps.value == pytest.approx(300 * MIB)


def test_nodes_that_boot_at_once_share_what_is_the_accounts_and_nothing_else() -> None:
    h100 = catalog.machine("Standard_ND96isr_H100_v5")
    assert parity.staging(parity.node(h100, nodes=10), 140).seconds == pytest.approx(140_000 / 2500)
    p5 = catalog.machine("p5.48xlarge")
    assert parity.staging(parity.node(p5, nodes=3), 140).seconds == parity.staging(parity.node(p5), 140).seconds


# --- for all machines ------------------------------------------------------------------------------------------------


@given(machines, sizes_gb)
def test_no_time_is_shorter_than_any_single_limit_allows(machine: Machine, gb: float) -> None:
    node = parity.node(machine)
    found = parity.staging(node, gb)
    if found.seconds is None:
        assert not found.room
        return
    for limit in node.path:
        assert limit.value is None or found.seconds >= gb * 1000 / limit.value * (1 - 1e-9)
    if found.least_seconds is not None:
        assert 0 < found.least_seconds <= found.seconds * (1 + 1e-9)
    assert found.lower_bound == bool(found.unknown)
    assert found.binds not in found.unknown or found.lower_bound


@given(machines)
def test_no_volume_gets_more_than_it_has_or_than_its_machine_lets_through(machine: Machine) -> None:
    node = parity.node(machine)
    for volume in (node.root, node.data):
        assert volume is not None
        for figure, ceiling in (
            (volume.mbps, machine.disk_baseline_mbps),
            (volume.iops, machine.disk_baseline_iops),
        ):
            assert figure.value is None or figure.value > 0, "unknown is never 0"
            assert figure.value is None or ceiling is None or figure.value <= ceiling
            assert (figure.value is None) == (figure.binds is None)
            assert ceiling is not None or parity.MACHINE in figure.unknown
        if volume.asked_mbps is not None:
            assert volume.mbps.value is not None
            assert volume.mbps.value <= volume.asked_mbps


@given(machines, sizes_gb, sizes_gb)
def test_more_weights_never_take_less_time(machine: Machine, one: float, other_gb: float) -> None:
    node = parity.node(machine)
    less, more = (parity.staging(node, gb) for gb in sorted((one, other_gb)))
    if more.seconds is not None:
        assert less.seconds is not None
        assert less.seconds <= more.seconds
    assert less.room or not more.room


@given(machines, st.floats(0.5, 800), st.floats(0.5, 800))
def test_more_bandwidth_never_takes_more_time(machine: Machine, one: float, another: float) -> None:
    slow, fast = (
        parity.staging(parity.node(replace(machine, network_gbps=gbps, network_peak_gbps=gbps)), 100).seconds
        for gbps in sorted((one, another))
    )
    assert (slow is None) == (fast is None)
    assert slow is None or fast is None or fast <= slow


@given(machines, st.integers(1, 50), st.integers(1, 50))
def test_more_nodes_at_once_never_take_less_time(machine: Machine, one: int, another: int) -> None:
    few, many = (parity.staging(parity.node(machine, nodes=n), 100).seconds for n in sorted((one, another)))
    assert few is None or many is None or few <= many


@given(
    st.sampled_from(["Premium_LRS", "pd-balanced", "pd-ssd", "CLOUD_HSSD"]),
    st.integers(4, 32_767),
    st.integers(4, 32_767),
)
def test_a_larger_volume_is_never_slower(kind: str, one: int, another: int) -> None:
    small, large = (parity.by_size(kind, gib) for gib in sorted((one, another)))
    for less, more in ((small.iops, large.iops), (small.mbps, large.mbps)):
        assert less.value is not None
        assert more.value is not None
        assert less.value <= more.value


@given(
    st.sampled_from(catalog.machines("azure")),
    st.integers(32, 65_536),
    st.integers(3000, 80_000),
    st.integers(125, 1200),
)
def test_an_azure_volume_is_told_as_it_is_provisioned(machine: Machine, gib: int, iops: int, mbps: int) -> None:
    disk = AzureDataDisk.model_validate({"sizeGib": gib, "iops": iops, "throughputMbps": mbps})
    data = parity.node(machine, AzureStorage(data=disk)).data
    assert data is not None
    given_iops, given_mbps = performance(machine.name, disk)
    assert (data.iops.value, data.mbps.value) == (given_iops, given_mbps)


@given(st.sampled_from(catalog.machines("aws")), st.integers(125, 2000), st.integers(125, 2000))
def test_more_throughput_never_brings_less(machine: Machine, one: int, another: int) -> None:
    def mbps(throughput: int) -> float:
        volumes = {"data": {"sizeGib": 1000, "iops": 80_000, "throughputMbps": throughput}}
        data = parity.node(machine, Storage.model_validate(volumes)).data
        assert data is not None
        assert data.mbps.value is not None
        return data.mbps.value

    less, more = sorted((one, another))
    assert mbps(less) <= mbps(more) <= more * MIB


# --- unknown ---------------------------------------------------------------------------------------------------------


def test_the_smallest_of_limits_names_what_binds_and_what_is_unknown() -> None:
    known, unknown, unsure = Limit("a", 5, 6, "x"), Limit("b", None, None, ""), Limit("c", 7, None, "", sure=False)
    assert parity.smallest([known, unknown, unsure]) == Figure(5, "a", ("b", "c"), 6, "a", "x")
    assert parity.smallest([unknown]) == Figure(None, None, ("b",), None)
    assert parity.smallest([]) == Figure(None, None, (), None)


def test_where_nobody_tells_there_is_no_time_and_no_zero() -> None:
    nowhere = replace(
        catalog.machine("p4d.24xlarge"), cloud="elsewhere", network_gbps=None, network_peak_gbps=None, nvme_count=0
    )
    node = parity.node(nowhere)
    found = parity.staging(node, 140)
    assert (node.root, node.data) == (None, None)
    assert (found.seconds, found.least_seconds, found.mbps, found.connections) == (None, None, None, None)
    assert found.unknown == ("network", "object store", "data volume")


def test_a_network_of_which_only_the_peak_is_told_makes_a_lower_bound() -> None:
    found = parity.staging(parity.node(catalog.machine("p3.2xlarge")), 1)
    assert "network" in found.unknown
    assert found.lower_bound


def test_weights_without_room_have_no_time() -> None:
    found = parity.staging(parity.node(catalog.machine("g5.xlarge")), 671)
    assert (found.room, found.seconds, found.least_seconds) == (False, None, None)


# --- the data --------------------------------------------------------------------------------------------------------


def test_every_limit_has_its_source_and_the_file_its_date() -> None:
    data = parity.limits()
    assert data["observed"] == parity.observed()
    for cloud in catalog.READERS:
        assert data["network"][cloud]["source"].startswith("https://")
        for limit in data["stores"][cloud]["limits"]:
            assert limit["source"].startswith("https://")
            assert limit["scope"] in ("instance", "prefix", "account", "project")
    for one in (*data["volumes"].values(), *data["nvme"].values()):
        assert one["source"].startswith("https://")


def test_ceilings_of_persistent_disks_are_those_of_the_machines_file() -> None:
    told = json.loads((catalog.DATA / "gcp_machines.json").read_bytes())["diskTypes"]
    for kind in ("pd-balanced", "pd-ssd"):
        volume = parity.limits()["volumes"][kind]
        assert [volume["iops"][2], volume["mibps"][2]] == told[kind]


def test_azures_list_of_fast_accounts_names_regions_as_azure_does() -> None:
    (account,) = parity.limits()["stores"]["azure"]["limits"]
    assert account["regions"] == sorted(account["regions"])
    # China, Government and regions without GPU sizes are not in the catalog; the others are spelled as there.
    assert len(set(account["regions"]) & set(catalog.regions("azure"))) > 10


def test_one_interface_carries_no_more_than_its_card() -> None:
    """p5 has 32 cards of 100 Gbit/s, a3-highgpu-8g five of 200: a node has an address on the first."""
    assert catalog.machine("p5.48xlarge").network_gbps == 100
    assert catalog.machine("a3-highgpu-8g").network_gbps == 200
    for machine in EVERY:
        assert machine.network_peak_gbps is not None
        assert machine.network_gbps is None or machine.network_gbps <= machine.network_peak_gbps


def test_machine_types_come_by_cloud_family_and_size() -> None:
    names = [machine.name for machine in parity.in_order(reversed(EVERY))]
    assert len(names) == len(EVERY)
    assert (
        names.index("g5.xlarge") < names.index("g5.48xlarge") < names.index("g6.xlarge") < names.index("p4d.24xlarge")
    )
    assert names.index("p5.48xlarge") < names.index("Standard_ND96asr_v4") < names.index("a2-highgpu-1g")
    assert parity.family("Standard_ND96asr_v4") == "ND_v4"
    assert parity.family("a2-highgpu-8g") == "a2-highgpu"
    assert parity.family("GT4.41XLARGE948") == "GT4"
