"""What the volumes of a node are provisioned for, and what the size of the machine lets through of it. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from infra import catalog

if TYPE_CHECKING:
    from infra.azure.sections import AzureDataDisk

# https://learn.microsoft.com/azure/virtual-machines/disks-types#premium-ssd-v2
IOPS: Final = (3_000, 80_000)
FREE_IOPS_GIB: Final = 6
IOPS_PER_GIB: Final = 500
MBPS: Final = (125, 1_200)
MBPS_PER_IOPS: Final = 0.25


def own_performance(disk: AzureDataDisk) -> tuple[int, int]:
    """(IOPS, MB/s) of a Premium SSD v2 disk: as asked, within what its size allows; at least what comes with it."""
    by_size = max(IOPS[0], IOPS[0] + IOPS_PER_GIB * (disk.size_gib - FREE_IOPS_GIB))
    iops = max(IOPS[0], min(disk.iops, by_size, IOPS[1]))
    return iops, _throughput(disk, iops, MBPS[1])


def performance(machine_type: str, disk: AzureDataDisk) -> tuple[int, int]:
    """The same within the machine's ceiling too: beyond that it would be paid for and never seen."""
    machine = catalog.machine(machine_type)
    own, _ = own_performance(disk)
    iops = max(IOPS[0], min(own, machine.disk_max_iops or IOPS[1]))
    return iops, _throughput(disk, iops, math.floor(machine.disk_max_mbps or MBPS[1]))


def _throughput(disk: AzureDataDisk, iops: int, most: int) -> int:
    return max(MBPS[0], min(disk.throughput_mbps, math.floor(iops * MBPS_PER_IOPS), MBPS[1], most))
