"""What an instance template may say: scheduling, accelerators, disks and network cards, each by the machine type.

The API refuses most of these when an instance is made, or when a group is; a template that no instance can come from is
refused here at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sandbox.gcp import places
from sandbox.gcp.links import name_of
from sandbox.kinds import Args, Fault
from sandbox.rules import between, one_of, shown
from sandbox.values import UNKNOWN, has_unknown

MODELS: Final = ("STANDARD", "SPOT", "FLEX_START", "RESERVATION_BOUND")
LOCAL_SSD: Final = "local-ssd"
LOCAL_SSD_GB: Final = (375, 3000, 3500, 7000, 14000)
"""VALID_SCRATCH_DISK_SIZES_GB in https://github.com/hashicorp/terraform-provider-google-beta/blob/main/google-beta/
services/compute/compute_instance_helpers.go; accelerator-optimized types take disks of 375 GB only."""
DISK_TYPES: Final = (
    "pd-standard", "pd-balanced", "pd-ssd", "pd-extreme", "hyperdisk-balanced", "hyperdisk-extreme", "hyperdisk-ml",
    "hyperdisk-throughput", "hyperdisk-balanced-high-availability", LOCAL_SSD,
)  # fmt: skip
# https://docs.cloud.google.com/compute/docs/instances/limit-vm-runtime#maximum_and_minimum_run_time
RUN_SECONDS: Final = (30, 120 * 86400)
# https://docs.cloud.google.com/compute/docs/instances/about-flex-start-vms#limitations
FLEX_SECONDS: Final = (600, 7 * 86400)
# https://docs.cloud.google.com/compute/docs/instances/create-use-spot (preemption notice): none, or two minutes
NOTICE_SECONDS: Final = (0, 120)
# https://docs.cloud.google.com/compute/docs/instances/setting-vm-host-options
HOST_ERROR_SECONDS: Final = (90, 330)
# https://docs.cloud.google.com/compute/docs/disks/hyperdisk-perf-limits and .../disks/hd-types/hyperdisk-balanced
SIZES_GB: Final[Mapping[str, tuple[int, int]]] = {
    "pd-standard": (10, 65536), "pd-balanced": (10, 65536), "pd-ssd": (10, 65536), "pd-extreme": (500, 65536),
    "hyperdisk-balanced": (4, 65536), "hyperdisk-extreme": (64, 65536), "hyperdisk-ml": (4, 65536),
    "hyperdisk-throughput": (2048, 32768),
}  # fmt: skip
_IOPS_TYPES: Final = ("hyperdisk-balanced", "hyperdisk-extreme", "pd-extreme", "hyperdisk-balanced-high-availability")
_THROUGHPUT_TYPES: Final = (
    "hyperdisk-balanced", "hyperdisk-ml", "hyperdisk-throughput", "hyperdisk-balanced-high-availability",
)  # fmt: skip
_MACHINE_TYPE: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+")
# https://docs.cloud.google.com/compute/docs/metadata/setting-custom-metadata#limitations
METADATA_VALUE_MAX: Final = 256 * 1024
METADATA_TOTAL_MAX: Final = 512 * 1024
_METADATA_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


def machine_type_faults(args: Args) -> Iterator[Fault]:
    """`a2-highgpu-8g`; the API takes no zone in a template's machine type."""
    for path, value in args.at("machineType"):
        if not isinstance(value, str) or not _MACHINE_TYPE.fullmatch(value):
            yield Fault(path, f"expected the name of a machine type such as a2-highgpu-8g, got {shown(value)}")


def machine_of(args: Args) -> places.Machine | None:
    """The machine type with GPUs that the template names."""
    name = args.get("machineType")
    return places.machine(name) if isinstance(name, str) else None


def scheduling_faults(args: Args) -> Iterator[Fault]:
    """https://docs.cloud.google.com/compute/docs/reference/rest/v1/instanceTemplates (properties.scheduling)"""
    machine = machine_of(args)
    accelerated = machine is not None or bool(args.get("guestAccelerators"))
    scheduling = args.get("scheduling")
    if scheduling is None:
        if args["scheduling"] is None and accelerated:
            yield Fault("scheduling.onHostMaintenance", "is required: TERMINATE, as instances with GPUs do not migrate")
        return
    yield from one_of(args, "scheduling.provisioningModel", MODELS)
    yield from one_of(args, "scheduling.onHostMaintenance", ("MIGRATE", "TERMINATE"))
    yield from one_of(args, "scheduling.instanceTerminationAction", ("STOP", "DELETE"))
    yield from between(args, "scheduling.hostErrorTimeoutSeconds", *HOST_ERROR_SECONDS, "seconds")
    for path, seconds in args.at("scheduling.hostErrorTimeoutSeconds"):
        if seconds % 30:
            yield Fault(path, f"expected a multiple of 30 seconds, got {seconds}")
    if not scheduling:
        yield Fault("scheduling", "expected a property of scheduling, got nothing")
    yield from _model_faults(scheduling)
    yield from _end_faults(args, scheduling)
    model = scheduling.get("provisioningModel") or ("SPOT" if scheduling.get("preemptible") else "STANDARD")
    if accelerated and scheduling.get("onHostMaintenance") != "TERMINATE":
        got = scheduling.get("onHostMaintenance") or "nothing"
        yield Fault(
            "scheduling.onHostMaintenance", f"expected TERMINATE, as instances with GPUs do not migrate; got {got}"
        )
    if machine is not None and model in MODELS and model not in machine.family.models:
        allowed = ", ".join(machine.family.models)
        yield Fault("scheduling.provisioningModel", f"{machine.name} comes as {allowed}, not as {model}")


def _model_faults(scheduling: Mapping[str, Any]) -> Iterator[Fault]:
    """Spot and Flex-start instances neither restart by themselves nor migrate
    (https://docs.cloud.google.com/compute/docs/instances/create-use-spot)."""
    model = scheduling.get("provisioningModel")
    preemptible = scheduling.get("preemptible", False)
    restart = scheduling.get("automaticRestart", True)
    if model == "SPOT" and not preemptible:
        yield Fault("scheduling.preemptible", "has to be true with provisioningModel SPOT")
    if model is not None and model != "SPOT" and preemptible:
        yield Fault("scheduling.preemptible", f"does not go with provisioningModel {model}")
    if (model in ("SPOT", "FLEX_START") or preemptible) and restart:
        why = f"provisioningModel {model}" if model else "preemptible"
        yield Fault("scheduling.automaticRestart", f"has to be false with {why} (left out, it is true)")
    if (model in ("SPOT", "FLEX_START") or preemptible) and scheduling.get("onHostMaintenance") == "MIGRATE":
        yield Fault("scheduling.onHostMaintenance", "has to be TERMINATE: such instances do not migrate")
    if model == "FLEX_START":
        if scheduling.get("maxRunDuration") is None:
            yield Fault("scheduling.maxRunDuration", "is required with provisioningModel FLEX_START")
        if scheduling.get("instanceTerminationAction") != "DELETE":
            yield Fault("scheduling.instanceTerminationAction", "has to be DELETE with provisioningModel FLEX_START")


def _end_faults(args: Args, scheduling: Mapping[str, Any]) -> Iterator[Fault]:
    """When and how an instance ends."""
    model = scheduling.get("provisioningModel")
    limits = FLEX_SECONDS if model == "FLEX_START" else RUN_SECONDS
    yield from between(args, "scheduling.maxRunDuration.seconds", *limits, "seconds")
    yield from between(args, "scheduling.gracefulShutdown.maxDuration.seconds", 1, 3600, "seconds")
    yield from one_of(args, "scheduling.preemptionNoticeDuration.seconds", NOTICE_SECONDS)
    if scheduling.get("preemptionNoticeDuration") is not None and model != "SPOT":
        yield Fault("scheduling.preemptionNoticeDuration", "is only for provisioningModel SPOT")
    if scheduling.get("maxRunDuration") is not None and scheduling.get("terminationTime") is not None:
        yield Fault("scheduling.terminationTime", "conflicts with maxRunDuration")
    ends = scheduling.get("maxRunDuration") is not None or scheduling.get("terminationTime") is not None
    action = scheduling.get("instanceTerminationAction")
    if action is not None and model not in ("SPOT", "FLEX_START", "RESERVATION_BOUND") and not ends:
        yield Fault(
            "scheduling.instanceTerminationAction",
            "needs provisioningModel SPOT, maxRunDuration or terminationTime: nothing else ends an instance",
        )
    if ends and action is None and model != "RESERVATION_BOUND":
        yield Fault("scheduling.instanceTerminationAction", "is required with maxRunDuration and terminationTime")
    stop = (scheduling.get("onInstanceStopAction") or {}).get("discardLocalSsd")
    if stop and action == "DELETE":
        yield Fault("scheduling.onInstanceStopAction", "does not go with instanceTerminationAction DELETE")


def accelerator_faults(args: Args) -> Iterator[Fault]:
    """Types with GPUs attached take none besides: what a template names must be what they have, and L4 and RTX ones
    may carry the virtual workstation's licence (https://docs.cloud.google.com/compute/docs/gpus). No other type than
    N1 takes any."""
    machine = machine_of(args)
    wanted = args.get("guestAccelerators") or []
    name = args.get("machineType")
    for i, entry in enumerate(wanted):
        kind, count = name_of(str(entry.get("type"))), entry.get("count")
        path = f"guestAccelerators[{i}]"
        if machine is not None:
            if kind.removesuffix("-vws") != machine.accelerator or count != machine.gpus:
                yield Fault(
                    path,
                    f"[{kind}, {machine.name}] features are not compatible for creating instance: the type comes "
                    f"with {machine.gpus} x {machine.accelerator}; leave guestAccelerators out",
                )
        elif isinstance(name, str) and not name.startswith("n1-"):
            yield Fault(path, f"[{kind}, {name}] features are not compatible for creating instance")
        elif count not in (1, 2, 4, 8):
            yield Fault(f"{path}.count", f"expected 1, 2, 4 or 8, got {count}")
    if len(wanted) > 1:
        yield Fault("guestAccelerators", f"expected one kind of accelerator, got {len(wanted)}")


def disk_faults(disks: Sequence[Any], machine: places.Machine | None, at: str = "disks") -> Iterator[Fault]:
    """Boot disk, data disks and local SSDs of a template or of an instance selection."""
    scratch, countable = 0, True
    for i, disk in enumerate(disks):
        path = f"{at}[{i}]"
        if not isinstance(disk, dict) or has_unknown(disk):
            use = disk.get("type", "PERSISTENT") if isinstance(disk, dict) else UNKNOWN
            scratch += use == "SCRATCH"
            countable = countable and use is not UNKNOWN
            continue
        if disk.get("boot") and i > 0:
            yield Fault(f"{path}.boot", "only the first disk can be the boot disk")
        scratch += disk.get("type") == "SCRATCH" or disk.get("diskType") == LOCAL_SSD
        yield from _one_disk(path, disk, boot=i == 0, machine=machine)
    names = [d["deviceName"] for d in disks if isinstance(d, dict) and isinstance(d.get("deviceName"), str)]
    if len(set(names)) != len(names):
        yield Fault(at, "device names must differ from each other")
    if machine is not None and countable:
        yield from _ssd_faults(at, scratch, machine)


def _ssd_faults(at: str, count: int, machine: places.Machine) -> Iterator[Fault]:
    """Local SSDs come with the machine type, or in the counts that it takes
    (https://docs.cloud.google.com/compute/docs/disks/local-ssd#choose_number_local_ssds)."""
    if machine.bundled_ssd:
        if count:
            yield Fault(
                at, f"{machine.name} comes with {machine.bundled_ssd} local SSDs: a template names none; got {count}"
            )
    elif count and count not in machine.attachable:
        allowed = ", ".join(map(str, machine.attachable)) or "no"
        yield Fault(at, f"{machine.name} takes {allowed} local SSDs of 375 GB, or none; got {count}")


def _one_disk(path: str, disk: Mapping[str, Any], *, boot: bool, machine: places.Machine | None) -> Iterator[Fault]:
    kind = disk.get("diskType")
    use = disk.get("type") or "PERSISTENT"
    size = disk.get("diskSizeGb")
    for key, allowed in (
        ("type", ("PERSISTENT", "SCRATCH")), ("mode", ("READ_WRITE", "READ_ONLY")), ("interface", ("NVME", "SCSI")),
        ("diskType", DISK_TYPES), ("architecture", ("X86_64", "ARM64")),
    ):  # fmt: skip
        if disk.get(key) is not None and disk[key] not in allowed:
            yield Fault(f"{path}.{key}", f"expected one of {', '.join(allowed)}; got {shown(disk[key])}")
    if use == "SCRATCH":
        yield from _scratch_faults(path, disk, boot=boot)
        return
    if kind == LOCAL_SSD:
        yield Fault(f"{path}.type", "has to be SCRATCH with diskType local-ssd")
        return
    sources = [key for key in ("source", "sourceImage", "sourceSnapshot") if disk.get(key) is not None]
    if len(sources) > 1:
        yield Fault(f"{path}.{sources[1]}", f"conflicts with {sources[0]}")
    if boot and not sources:
        yield Fault(f"{path}.sourceImage", "is required: a boot disk is made from an image, a snapshot or a disk")
    if "source" in sources:
        for key in ("diskSizeGb", "diskType", "diskName"):
            if disk.get(key) is not None:
                yield Fault(f"{path}.{key}", "does not go with source: the disk exists already")
    kind = str(kind or ("pd-standard" if "source" not in sources else ""))
    if kind in SIZES_GB and size is not None and not SIZES_GB[kind][0] <= size <= SIZES_GB[kind][1]:
        low, high = SIZES_GB[kind]
        yield Fault(f"{path}.diskSizeGb", f"expected {low:,} to {high:,} GB of {kind}, got {size:,}")
    if machine is not None and kind in DISK_TYPES:
        fitting = machine.family.boot if boot else machine.family.data
        if kind not in fitting:
            what = "boot disk" if boot else "data disk"
            yield Fault(
                f"{path}.diskType",
                f"[{kind}, {machine.name}] features are not compatible for creating instance; "
                f"as a {what} it takes {', '.join(fitting)}",
            )
    yield from _performance_faults(path, disk, kind)


def _scratch_faults(path: str, disk: Mapping[str, Any], *, boot: bool) -> Iterator[Fault]:
    if disk.get("diskType") != LOCAL_SSD:
        yield Fault(f"{path}.diskType", f"has to be local-ssd with type SCRATCH, got {shown(disk.get('diskType'))}")
    size = disk.get("diskSizeGb")
    if size not in LOCAL_SSD_GB:
        yield Fault(f"{path}.diskSizeGb", f"expected {', '.join(map(str, LOCAL_SSD_GB))} of a local SSD, got {size}")
    if size in LOCAL_SSD_GB[1:] and disk.get("interface") != "NVME":
        yield Fault(f"{path}.interface", f"has to be NVME for a local SSD of {size} GB")
    if boot or disk.get("boot"):
        yield Fault(f"{path}.boot", "a local SSD cannot be the boot disk")
    for key in ("sourceImage", "source", "sourceSnapshot", "provisionedIops", "provisionedThroughput"):
        if disk.get(key) is not None:
            yield Fault(f"{path}.{key}", "is not for local SSDs")
    if disk.get("autoDelete") is False:
        yield Fault(f"{path}.autoDelete", "a local SSD always goes with its instance")


def _performance_faults(path: str, disk: Mapping[str, Any], kind: str) -> Iterator[Fault]:
    """IOPS and MB/s are bought of some types only, and within limits that depend on each other
    (https://docs.cloud.google.com/compute/docs/disks/hd-types/hyperdisk-balanced)."""
    iops, throughput, size = (disk.get(k) for k in ("provisionedIops", "provisionedThroughput", "diskSizeGb"))
    if iops is not None and kind not in _IOPS_TYPES:
        yield Fault(f"{path}.provisionedIops", f"is not for {kind}: only for {', '.join(_IOPS_TYPES)}")
    if throughput is not None and kind not in _THROUGHPUT_TYPES:
        yield Fault(f"{path}.provisionedThroughput", f"is not for {kind}: only for {', '.join(_THROUGHPUT_TYPES)}")
    if kind != "hyperdisk-balanced":
        return
    most = min(160_000, 500 * size) if size else 160_000
    if iops is not None and not 3_000 <= iops <= max(most, 3_000):
        yield Fault(f"{path}.provisionedIops", f"expected 3,000 to {most:,} (500 per GB), got {iops:,}")
    if throughput is not None:
        low, high = max(140, (iops or 0) // 256), min(2_400, (iops or 160_000) // 4)
        if not low <= throughput <= high:
            yield Fault(
                f"{path}.provisionedThroughput",
                f"expected {low:,} to {high:,} MB/s (a 256th to a quarter of the IOPS), got {throughput:,}",
            )


def interface_faults(args: Args) -> Iterator[Fault]:
    """Network cards: gVNIC for machine types with GPUs since A3, RDMA only where a type has it
    (https://docs.cloud.google.com/compute/docs/networking/using-gvnic,
    https://docs.cloud.google.com/compute/docs/accelerator-optimized-machines#network-protocols)."""
    interfaces = args["networkInterfaces"]
    if interfaces is None:
        yield Fault("networkInterfaces", "is required: an instance has at least one")
        return
    if interfaces is UNKNOWN:
        return
    if not interfaces:
        yield Fault("networkInterfaces", "expected at least one, got none")
    machine = machine_of(args)
    rdma = 0
    for i, entry in enumerate(interfaces):
        if not isinstance(entry, dict):
            continue
        path = f"networkInterfaces[{i}]"
        kind = entry.get("nicType")
        if all(entry.get(key) is None for key in ("network", "subnetwork", "networkAttachment")):
            yield Fault(f"{path}.subnetwork", "is required: a network, a subnetwork or a network attachment")
        yield from _nic_faults(path, entry, kind, machine)
        rdma += kind in ("MRDMA", "IRDMA")
    if machine is not None and rdma > machine.rdma_nics:
        yield Fault("networkInterfaces", f"{machine.name} has {machine.rdma_nics} RDMA cards, got {rdma}")
    if interfaces and isinstance(interfaces[0], dict) and interfaces[0].get("nicType") in ("MRDMA", "IRDMA"):
        yield Fault("networkInterfaces[0].nicType", "the first interface cannot be an RDMA one")
    yield from one_of(args, "networkInterfaces[*].stackType", ("IPV4_ONLY", "IPV4_IPV6", "IPV6_ONLY"))
    yield from one_of(args, "networkInterfaces[*].accessConfigs[*].networkTier", ("PREMIUM", "STANDARD"))


def _nic_faults(path: str, entry: Mapping[str, Any], kind: Any, machine: places.Machine | None) -> Iterable[Fault]:
    known = ("GVNIC", "VIRTIO_NET", "MRDMA", "IRDMA", "IDPF")
    if kind is not None and kind is not UNKNOWN and kind not in known:
        yield Fault(f"{path}.nicType", f"expected one of {', '.join(known)}; got {shown(kind)}")
    if machine is None or kind is UNKNOWN:
        return
    if kind in ("MRDMA", "IRDMA") and not machine.rdma_nics:
        yield Fault(f"{path}.nicType", f"{machine.name} has no RDMA card; expected GVNIC")
    if machine.name.startswith(("a3-", "a4-", "g4-")) and kind in (None, "VIRTIO_NET"):
        got = kind or "nothing, which is VIRTIO_NET with images that do not say GVNIC"
        yield Fault(f"{path}.nicType", f"{machine.name} needs GVNIC, got {got}")


def metadata_faults(args: Args) -> Iterator[Fault]:
    """Keys of up to 128 characters, values of up to 256 KiB, 512 KiB in all."""
    if "metadataStartupScript" in args and "startup-script" in (args.get("metadata") or {}):
        yield Fault("metadataStartupScript", "conflicts with the metadata key startup-script")
    total = 0
    for path, metadata in args.at("metadata"):
        for key, value in metadata.items():
            if not _METADATA_KEY.fullmatch(key):
                yield Fault(path, f"expected a metadata key of 1 to 128 letters, digits, _ and -; got {shown(key)}")
            if isinstance(value, str):
                size = len(value.encode())
                total += size + len(key)
                if size > METADATA_VALUE_MAX:
                    yield Fault(path, f"expected at most {METADATA_VALUE_MAX:,} bytes, {key} has {size:,}")
    if total > METADATA_TOTAL_MAX:
        yield Fault("metadata", f"expected at most {METADATA_TOTAL_MAX:,} bytes in all, got {total:,}")
