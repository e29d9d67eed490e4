"""Which disks a machine type takes: boot, data, and local SSDs where they do not come with the type. Pure.

Families differ: A2 has no Hyperdisk Balanced, A3 Ultra and A4 boot from nothing else, and local SSDs of A2 and G2 have
to be named in the template while those of A3 come along. Types that agree share a template's disks, others bring their
own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from infra import catalog

DATA_DEVICE: Final = "spillway-data"
"""What the boot script looks for: /dev/disk/by-id/google-spillway-data."""
LOCAL_SSD_GB: Final = 375
# https://docs.cloud.google.com/compute/docs/disks/hd-types/hyperdisk-balanced: IOPS up to 500 per GiB, throughput from
# a 256th to a quarter of them.
HYPERDISK: Final = "hyperdisk-balanced"
IOPS_MIN, IOPS_MAX, IOPS_PER_GIB = 3000, 160_000, 500
THROUGHPUT_MIN, THROUGHPUT_MAX = 140, 2400


class Root(Protocol):
    """The boot disk as the stack file says it, in GiB. A Hyperdisk has the performance that comes with it."""

    @property
    def size_gib(self) -> int: ...


class Data(Root, Protocol):
    """The data disk; throughput in MiB/s. Both numbers are bought of Hyperdisk; of others they follow from the size
    (https://docs.cloud.google.com/compute/docs/disks/performance)."""

    @property
    def iops(self) -> int: ...
    @property
    def throughput_mbps(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """Types of the two volumes, and how many local SSDs have to be named; 0 also where they come with the type."""

    boot: str
    data: str
    local_ssds: int


def layout(machine_type: str) -> Layout:
    """The disks of a machine type: it boots from the catalog's first choice, its data lie on Hyperdisk Balanced where
    it takes that, and it gets all local SSDs that may be attached.

    Raises NotInCatalog for an unknown type.
    """
    machine = catalog.machine(machine_type)
    if not machine.boot_disks or not machine.data_disks:
        raise catalog.NotInCatalog(f"{machine_type}: no machine type of GCP")
    attached = machine.nvme_count if machine.attached_nvme else 0
    data = HYPERDISK if HYPERDISK in machine.data_disks else machine.data_disks[0]
    return Layout(machine.boot_disks[0], data, attached)


def by_layout(types: Iterable[str]) -> dict[Layout, list[str]]:
    """Machine types that agree in their disks, in the order in which they come."""
    found: dict[Layout, list[str]] = {}
    for name in dict.fromkeys(types):
        found.setdefault(layout(name), []).append(name)
    return found


def disks(chosen: Layout, image: str, root: Root, data: Data, labels: dict[str, str]) -> list[dict[str, Any]]:
    """The disks of an instance, boot disk first, in the SDK's words for templates and for instance selections alike.

    Raises ValueError for a Hyperdisk whose numbers do not fit each other.
    """
    common = {"auto_delete": True, "mode": "READ_WRITE", "type": "PERSISTENT", "labels": labels}
    return [
        {**common, "boot": True, "source_image": image, "disk_type": chosen.boot, "disk_size_gb": root.size_gib},
        {**common, "boot": False, "device_name": DATA_DEVICE, **_data(chosen.data, data)},
        *(
            {
                "auto_delete": True,
                "boot": False,
                "type": "SCRATCH",
                "disk_type": "local-ssd",
                "disk_size_gb": LOCAL_SSD_GB,
                "interface": "NVME",
                "mode": "READ_WRITE",
            }
            for _ in range(chosen.local_ssds)
        ),
    ]


def iops_most(size_gib: int) -> int:
    """The most IOPS that a Hyperdisk of this size may have."""
    return min(IOPS_MAX, max(IOPS_MIN, IOPS_PER_GIB * size_gib))


def throughput_range(iops: int) -> tuple[int, int]:
    """The least and the most MiB/s that a Hyperdisk of these IOPS may have."""
    return max(THROUGHPUT_MIN, iops // 256), min(THROUGHPUT_MAX, iops // 4)


def _data(kind: str, volume: Data) -> dict[str, Any]:
    shape: dict[str, Any] = {"disk_type": kind, "disk_size_gb": volume.size_gib}
    if kind != HYPERDISK:
        return shape
    most = iops_most(volume.size_gib)
    if not IOPS_MIN <= volume.iops <= most:
        raise ValueError(f"data disk: {volume.iops:,} IOPS: expected {IOPS_MIN:,} to {most:,} at its size")
    low, high = throughput_range(volume.iops)
    if not low <= volume.throughput_mbps <= high:
        got = f"{volume.throughput_mbps:,} MiB/s"
        raise ValueError(f"data disk: {got}: expected {low:,} to {high:,} with {volume.iops:,} IOPS")
    return {**shape, "provisioned_iops": volume.iops, "provisioned_throughput": volume.throughput_mbps}
