"""What one node of a deployed region gets for storage, as the stand-in clouds hold it: one line per volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from sandbox.store import Store

TEMPLATES: Final = {
    "aws": ("aws", "aws:ec2/launchTemplate:LaunchTemplate"),
    "azure": ("azure-native", "azure-native:compute:VirtualMachineScaleSet"),
    "gcp": ("gcp", "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate"),
}
"""Cloud -> the stand-in's package, and the type that says what a node is made of."""


def disks(directory: Path, stack: str) -> list[str]:
    """The volumes of a region's nodes, those that its pools share once."""
    cloud = stack.partition("-")[0]
    package, token = TEMPLATES[cloud]
    with Store(directory).transaction(write=False) as tx:
        made = [r.outputs for r in tx.all(package, token) if r.urn.startswith(f"urn:pulumi:{stack}::")]
    return list(dict.fromkeys(line for template in made for line in _LINES[cloud](template)))


def _aws(template: dict[str, Any]) -> Iterator[str]:
    for mapping in template.get("blockDeviceMappings") or []:
        ebs = mapping["ebs"]
        yield (
            f"{mapping['deviceName']}: {ebs['volumeType']} {ebs['volumeSize']} GiB, {ebs['iops']:,} IOPS, "
            f"{ebs['throughput']:,} MB/s"
        )
    yield "instance-store NVMe: RAID0 at boot"


def _azure(scale_set: dict[str, Any]) -> Iterator[str]:
    storage = scale_set["virtualMachineProfile"]["storageProfile"]
    root = storage["osDisk"]
    yield f"root: {root['managedDisk']['storageAccountType']} {root['diskSizeGB']} GiB"
    for disk in storage.get("dataDisks") or []:
        speed = ""
        if disk.get("diskIOPSReadWrite"):  # Premium SSD has no more than its size gives
            speed = f", {disk['diskIOPSReadWrite']:,} IOPS, {disk['diskMBpsReadWrite']:,} MB/s"
        yield f"data: {disk['managedDisk']['storageAccountType']} {disk['diskSizeGB']} GiB{speed}"
    yield "local NVMe: RAID0 at boot"


def _gcp(template: dict[str, Any]) -> Iterator[str]:
    kept = [disk for disk in template["disks"] if disk["type"] == "PERSISTENT"]
    for disk in kept:
        speed = ""
        if disk.get("provisionedIops"):
            speed = f", {disk['provisionedIops']:,} IOPS, {disk['provisionedThroughput']:,} MB/s"
        yield f"{'root' if disk['boot'] else 'data'}: {disk['diskType']} {disk['diskSizeGb']} GiB{speed}"
    scratch = [disk for disk in template["disks"] if disk["type"] == "SCRATCH"]
    if scratch:
        yield f"local NVMe: {len(scratch)} x {scratch[0]['diskSizeGb']} GiB, RAID0 at boot"


_LINES: Final[dict[str, Callable[[dict[str, Any]], Iterator[str]]]] = {"aws": _aws, "azure": _azure, "gcp": _gcp}
