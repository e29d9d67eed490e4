"""The disks of a scale set's machines.

Sources, by the name used below:
premium: https://learn.microsoft.com/azure/virtual-machines/disks-deploy-premium-v2
disks: https://learn.microsoft.com/azure/virtual-machines/disks-types
ephemeral: https://learn.microsoft.com/azure/virtual-machines/ephemeral-os-disks
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from sandbox.azure_native import machines
from sandbox.azure_native.places import zones
from sandbox.azure_native.regional import nothing
from sandbox.kinds import Args, Fault
from sandbox.rules import between, one_of
from sandbox.values import UNKNOWN

PROFILE: Final = "virtualMachineProfile"
_UNCACHED: Final = ("PremiumV2_LRS", "UltraSSD_LRS")


def profile_of(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    found = inputs.get(PROFILE)
    return found if isinstance(found, Mapping) else {}


def deep(value: object, *keys: str) -> Any:
    """A value inside of maps; None when a step is missing, UNKNOWN when one is not known yet."""
    for key in keys:
        if value is UNKNOWN:
            return UNKNOWN
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def os_disk_faults(args: Args) -> Iterator[Fault]:
    at = f"{PROFILE}.storageProfile.osDisk"
    disk = deep(args.values, PROFILE, "storageProfile", "osDisk")
    if not isinstance(disk, Mapping):
        return
    yield from one_of(args, f"{at}.createOption", ("FromImage",))  # the only one of scale sets
    yield from one_of(args, f"{at}.caching", ("None", "ReadOnly", "ReadWrite"))
    yield from between(args, f"{at}.diskSizeGB", 1, 4095, "GiB")
    for path, kind in args.at(f"{at}.managedDisk.storageAccountType"):
        if kind in _UNCACHED:
            yield Fault(path, f"{kind} is not for OS disks")  # premium, disks
    yield from one_of(args, f"{at}.diffDiskSettings.option", ("Local",))
    placement = deep(disk, "diffDiskSettings", "placement")
    yield from one_of(args, f"{at}.diffDiskSettings.placement", ("CacheDisk", "ResourceDisk", "NvmeDisk"))
    if disk.get("diffDiskSettings") is None:
        return
    if disk.get("caching") not in ("ReadOnly", UNKNOWN):
        yield Fault(f"{at}.caching", "has to be ReadOnly for an ephemeral OS disk")  # ephemeral
    if deep(args.values, PROFILE, "evictionPolicy") == "Deallocate":
        yield Fault(f"{at}.diffDiskSettings", "does not go with evictionPolicy Deallocate")  # ephemeral
    size = machines.size(deep(args.values, "sku", "name"))
    room = {"ResourceDisk": size.temp_gib, "NvmeDisk": size.nvme_gib}.get(str(placement)) if size else None
    need = disk.get("diskSizeGB")
    if size is not None and room is not None and (room == 0 or (isinstance(need, int) and need > room)):
        yield Fault(
            f"{at}.diffDiskSettings.placement", f"{size.name} has {room:,} GiB there, the OS disk {need or 'any'}"
        )


def data_disk_faults(args: Args) -> Iterator[Fault]:
    at = f"{PROFILE}.storageProfile.dataDisks"
    yield from between(args, f"{at}[*].lun", 0, 63)
    yield from one_of(args, f"{at}[*].createOption", ("Empty", "FromImage"))
    yield from one_of(args, f"{at}[*].caching", ("None", "ReadOnly", "ReadWrite"))
    yield from between(args, f"{at}[*].diskSizeGB", 1, 65_536, "GiB")
    size = machines.size(deep(args.values, "sku", "name"))
    for path, listed in args.at(at):
        if size is not None and isinstance(listed, list) and len(listed) > size.data_disks:
            yield Fault(path, f"expected at most {size.data_disks} for {size.name}, got {len(listed)}")
    seen: dict[object, str] = {}
    for path, disk in args.at(f"{at}[*]"):
        if not isinstance(disk, Mapping):
            continue
        lun = disk.get("lun")
        if lun is not UNKNOWN and seen.setdefault(lun, path) != path:
            yield Fault(f"{path}.lun", f"{lun} is that of {seen[lun]}")
        if disk.get("createOption") == "Empty" and disk.get("diskSizeGB") is None:
            yield Fault(f"{path}.diskSizeGB", "is required for an empty disk")
        yield from _performance_faults(args, path, disk)


def _performance_faults(args: Args, path: str, disk: Mapping[str, Any]) -> Iterator[Fault]:
    """IOPS and MB/s are set on Premium SSD v2 and Ultra Disks only, which have no host cache."""
    kind = deep(disk, "managedDisk", "storageAccountType")
    iops, mbps, gib = disk.get("diskIOPSReadWrite"), disk.get("diskMBpsReadWrite"), disk.get("diskSizeGB")
    if kind is UNKNOWN:
        return
    if kind not in _UNCACHED:
        for key, value in (("diskIOPSReadWrite", iops), ("diskMBpsReadWrite", mbps)):
            if value is not None:
                yield Fault(f"{path}.{key}", f"is only for {' and '.join(_UNCACHED)}")
        return
    if disk.get("caching") not in (None, "None", UNKNOWN):
        yield Fault(f"{path}.caching", f"has to be None for {kind}")  # premium
    ultra = deep(args.values, "additionalCapabilities", "ultraSSDEnabled")
    if kind == "UltraSSD_LRS" and ultra is not True and ultra is not UNKNOWN:
        # https://learn.microsoft.com/azure/virtual-machines/disks-enable-ultra-ssd
        yield Fault(f"{path}.managedDisk.storageAccountType", "needs additionalCapabilities.ultraSSDEnabled")
    if kind != "PremiumV2_LRS":
        return
    # disks, Premium SSD v2: 3,000 IOPS and 125 MB/s are free, 500 IOPS more for each GiB beyond 6, 80,000 at most; 0.25
    # MB/s for each IOPS, 1,200 at most.
    most_iops = min(80_000, max(3_000, 3_000 + 500 * (gib - 6))) if isinstance(gib, int) else 80_000
    if isinstance(iops, int | float) and not 3_000 <= iops <= most_iops:
        yield Fault(f"{path}.diskIOPSReadWrite", f"expected 3,000 to {most_iops:,} for {gib} GiB, got {iops:,}")
    most_mbps = min(1_200, max(125, int(iops * 0.25))) if isinstance(iops, int | float) else 1_200
    if iops is None:
        most_mbps = 750  # of the 3,000 IOPS that it has then
    if isinstance(mbps, int | float) and not 125 <= mbps <= most_mbps:
        yield Fault(f"{path}.diskMBpsReadWrite", f"expected 125 to {most_mbps:,} MB/s, got {mbps:,}")
    location = args.get("location")
    if nothing(args["zones"]) and isinstance(location, str) and zones(location):
        yield Fault(f"{path}.managedDisk.storageAccountType", f"{kind} is only for machines in a zone")  # premium
