"""EBS: what a volume may be, wherever one is described, and the volume, snapshot and attachment types."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import formats, stamps, tokens, zones
from sandbox.aws.ec2_settings import encrypts_by_default
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource


@dataclass(frozen=True, slots=True)
class VolumeLimits:
    """Sizes in GiB; IOPS range and IOPS per GiB where IOPS can be provisioned."""

    size: tuple[int, int]
    iops: tuple[int, int] | None = None
    iops_per_gib: int = 0
    iops_required: bool = False


# https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html; gp3 as of September 2025:
# https://aws.amazon.com/about-aws/whats-new/2025/09/amazon-ebs-size-provisioned-performance-gp3-volumes/
LIMITS: Final[Mapping[str, VolumeLimits]] = {
    "gp3": VolumeLimits((1, 65536), (3000, 80000), 500),
    "gp2": VolumeLimits((1, 16384)),
    "io1": VolumeLimits((4, 16384), (100, 64000), 50, iops_required=True),
    "io2": VolumeLimits((4, 65536), (100, 256000), 1000, iops_required=True),
    "st1": VolumeLimits((125, 16384)),
    "sc1": VolumeLimits((125, 16384)),
    "standard": VolumeLimits((1, 1024)),
}
GP3_THROUGHPUT: Final = (125, 2000)
GP3_MIBPS_PER_IOPS: Final = 0.25
GP3_BASELINE_IOPS: Final = 3000
INITIALIZATION_RATE: Final = (100, 300)
DEVICE: Final = r"(?:/dev/)?(?:sd[a-z]{1,2}\d{0,2}|xvd[a-z]{1,2}\d{0,2}|hd[a-z]\d{0,2}|nvme\d+n\d+)"


def check_volume(
    args: Args, *, type_key: str, size_key: str, default_type: str | None, path: str = ""
) -> Iterator[Fault]:
    """Type, size, IOPS and throughput of one volume and how they go together. `default_type` is the type in force when
    none is given (None: the image says, so only a given type is judged); `path` goes before the property names."""
    for fault in _check_volume(args, type_key, size_key, default_type):
        yield Fault(path + fault.path, fault.reason)


def _check_volume(args: Args, type_key: str, size_key: str, default_type: str | None) -> Iterator[Fault]:
    yield from rules.one_of(args, type_key, tuple(LIMITS))
    yield from formats.ids(args, "snapshotId", "snap")
    yield from formats.arns(args, "kmsKeyId", "kms")
    if args.get("encrypted") in (False, "false") and args.get("kmsKeyId"):
        yield Fault("kmsKeyId", "needs encrypted to be true")
    if "volumeInitializationRate" in args:
        yield from rules.between(args, "volumeInitializationRate", *INITIALIZATION_RATE, "MiB/s")
        yield from rules.requires(args, "volumeInitializationRate", "snapshotId")
    kind = args.get(type_key, None if args.is_unknown(type_key) else default_type)
    limits = LIMITS.get(kind) if isinstance(kind, str) else None
    size, iops, throughput = args.get(size_key), args.get("iops"), args.get("throughput")
    if limits is None:
        yield from rules.between(args, size_key, 1, 65536, "GiB")
        return
    yield from rules.between(args, size_key, *limits.size, f"GiB for {kind}")
    if iops is not None and limits.iops is None:
        yield Fault("iops", f"cannot be set for volumes of type {kind}")
    elif limits.iops is not None:
        yield from rules.between(args, "iops", *limits.iops, f"IOPS for {kind}")
        if limits.iops_required and "iops" not in args:
            yield Fault("iops", f"is required for volumes of type {kind}")
        if isinstance(iops, int) and isinstance(size, int) and iops > max(limits.iops_per_gib * size, _floor(kind)):
            most = limits.iops_per_gib * size
            yield Fault("iops", f"at most {limits.iops_per_gib} IOPS per GiB for {kind}: {most:,} for {size} GiB")
    if throughput is not None and kind != "gp3":
        yield Fault("throughput", f"can only be set for volumes of type gp3, this is {kind}")
    elif kind == "gp3":
        yield from rules.between(args, "throughput", *GP3_THROUGHPUT, "MiB/s")
        known = GP3_BASELINE_IOPS if "iops" not in args else iops
        if isinstance(throughput, int) and isinstance(known, int) and throughput > known * GP3_MIBPS_PER_IOPS:
            yield Fault("throughput", f"at most 0.25 MiB/s per IOPS: {known * GP3_MIBPS_PER_IOPS:g} for {known:,} IOPS")


def _floor(kind: object) -> int:
    """gp3 has 3,000 IOPS however small it is."""
    return GP3_BASELINE_IOPS if kind == "gp3" else 0


def check_mappings(
    args: Args, key: str, *, type_key: str, ebs_key: str | None, default_type: str | None
) -> Iterator[Fault]:
    """A list of block devices: names, no name twice, and each volume's rules. `ebs_key` names the nested block that
    describes the volume (launch templates), None when the mapping itself does (instances, images)."""
    seen: set[str] = set()
    for path, mapping in args.at(f"{key}[*]"):
        if not isinstance(mapping, Mapping):
            continue
        entry = Args(mapping)
        name = entry.get("deviceName")
        for fault in rules.matches(
            entry, "deviceName", DEVICE, "a device name such as /dev/sda1, /dev/xvda or /dev/sdf"
        ):
            yield Fault(f"{path}.{fault.path}", fault.reason)
        if "deviceName" not in entry:
            yield Fault(f"{path}.deviceName", "is required")
        if isinstance(name, str):
            if name in seen:
                yield Fault(f"{path}.deviceName", f"the device {name} is mapped twice")
            seen.add(name)
        volume = mapping.get(ebs_key) if ebs_key else mapping
        if isinstance(volume, Mapping):
            below = f"{path}.{ebs_key}." if ebs_key else f"{path}."
            yield from check_volume(
                Args(volume), type_key=type_key, size_key="volumeSize", default_type=default_type, path=below
            )


@AWS.kind
class Volume(Kind):
    """aws_ebs_volume. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html"""

    token = tokens.VOLUME
    id_prefix = "vol-"
    replace_on = (
        "availabilityZone",
        "encrypted",
        "kmsKeyId",
        "multiAttachEnabled",
        "outpostArn",
        "snapshotId",
        "volumeInitializationRate",
    )
    write_only = ("finalSnapshot", "volumeInitializationRate")
    defaults: ClassVar[Mapping[str, Any]] = {
        "type": "gp2",
        "multiAttachEnabled": False,
        "finalSnapshot": False,
    }
    references = (
        Ref("snapshotId", tokens.SNAPSHOTS, code="InvalidSnapshot.NotFound", blocks_delete=False),
        Ref("kmsKeyId", (tokens.KMS_KEY,), by="arn", code="InvalidKmsKeyId", blocks_delete=False),
    )
    not_found_code = "InvalidVolume.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.zone(args, "availabilityZone")
        yield from check_volume(args, type_key="type", size_key="size", default_type="gp2")
        if "size" not in args and "snapshotId" not in args:
            yield Fault("size", "size or snapshotId must be set")
        if args.get("multiAttachEnabled") is True and args.get("type", "gp2") not in ("io1", "io2"):
            yield Fault("multiAttachEnabled", "is only for volumes of type io1 and io2")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if args["availabilityZone"] not in zones.zone_names(cloud.region):
            raise CloudError("InvalidZone.NotFound", f"The zone '{args['availabilityZone']}' does not exist.")
        self._check_snapshot_fits(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        if isinstance(args["size"], int) and args["size"] < (old["size"] or 0):
            raise CloudError("InvalidParameterValue", "New size cannot be smaller than existing size")
        self._check_snapshot_fits(args, cloud)

    @staticmethod
    def _check_snapshot_fits(args: Args, cloud: Cloud) -> None:
        snapshot = find_snapshot(cloud, args["snapshotId"])
        if snapshot and isinstance(args["size"], int) and args["size"] < (snapshot["volumeSize"] or 0):
            raise CloudError(
                "InvalidParameterValue",
                f"Volume of size {args['size']}GB is smaller than snapshot '{snapshot.id}', expect size >= "
                f"{snapshot['volumeSize']}GB",
            )

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        for attachment in cloud.find(tokens.VOLUME_ATTACHMENT, volumeId=resource.id):
            raise CloudError("VolumeInUse", f"Volume {resource.id} is currently attached to {attachment['instanceId']}")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        kind = args["type"]
        snapshot = find_snapshot(cloud, args["snapshotId"])
        size = args.get("size") or (snapshot["volumeSize"] if snapshot else 0)
        out: dict[str, Any] = {
            "arn": ec2_arn(cloud, f"volume/{id}"),
            "createTime": old["createTime"] if old else stamps.now(),
            "size": size,
            "encrypted": bool(args["encrypted"]) or (bool(old["encrypted"]) if old else encrypts_by_default(cloud)),
        }
        if kind == "gp3":
            out |= {
                "iops": args.get("iops", GP3_BASELINE_IOPS),
                "throughput": args.get("throughput", GP3_THROUGHPUT[0]),
            }
        elif kind == "gp2":  # 3 IOPS per GiB, at least 100, at most 16,000
            out["iops"] = min(16000, max(100, 3 * size))
        return out


@AWS.kind
class VolumeAttachment(Kind):
    """aws_volume_attachment."""

    token = tokens.VOLUME_ATTACHMENT
    replace_on = ("deviceName", "instanceId", "volumeId")
    write_only = ("forceDetach", "skipDestroy", "stopInstanceBeforeDetaching")
    references = (
        Ref("instanceId", (tokens.INSTANCE,), code="InvalidInstanceID.NotFound", blocks_delete=False),
        Ref("volumeId", (tokens.VOLUME,), code="InvalidVolume.NotFound", delete_code="VolumeInUse"),
    )
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "instanceId", "i")
        yield from formats.ids(args, "volumeId", "vol")
        yield from rules.matches(args, "deviceName", DEVICE, "a device name such as /dev/sdf")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        volume, instance = cloud.get(tokens.VOLUME, args["volumeId"]), cloud.get(tokens.INSTANCE, args["instanceId"])
        if volume is None or instance is None:
            return
        if volume["availabilityZone"] != instance["availabilityZone"]:
            raise CloudError(
                "InvalidVolume.ZoneMismatch",
                f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'",
            )
        if cloud.find(self.token, volumeId=volume.id) and not volume["multiAttachEnabled"]:
            raise CloudError("VolumeInUse", f"{volume.id} is already attached to an instance")
        device = args["deviceName"]
        if cloud.find(self.token, instanceId=instance.id, deviceName=device):
            raise CloudError(
                "InvalidParameterValue",
                f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
            )

    def new_id(self, args: Args, cloud: Cloud) -> str:
        text = f"{args['deviceName']}-{args['instanceId']}-{args['volumeId']}-"
        return f"vai-{zlib.crc32(text.encode())}"


def find_snapshot(cloud: Cloud, id: object) -> Resource | None:
    """A snapshot by its id, made from a volume or copied."""
    if not isinstance(id, str):
        return None
    return next((s for token in tokens.SNAPSHOTS if (s := cloud.get(token, id)) is not None), None)


class _Snapshot(Kind):
    id_prefix = "snap-"
    write_only = ("permanentRestore", "temporaryRestoreDays")
    not_found_code = "InvalidSnapshot.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from rules.one_of(args, "storageTier", ("standard", "archive"))
        yield from rules.length(args, "description", 0, 255)
        yield from rules.between(args, "temporaryRestoreDays", 1, 180, "days")

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        for token in tokens.IMAGES:
            for image in cloud.all(token, region=resource.region):
                devices = image["ebsBlockDevices"] or []
                if resource.id == image["rootSnapshotId"] or any(d.get("snapshotId") == resource.id for d in devices):
                    raise CloudError(
                        "InvalidSnapshot.InUse", f"The snapshot {resource.id} is currently in use by {image.id}"
                    )

    def _outputs(self, id: str, cloud: Cloud, source: Resource | None, old: Resource | None) -> dict[str, Any]:
        return {
            "arn": f"arn:{formats.partition(cloud.region)}:ec2:{cloud.region}::snapshot/{id}",
            "ownerId": cloud.account,
            "volumeSize": old["volumeSize"] if old else (source["size"] or source["volumeSize"]) if source else 0,
            "encrypted": old["encrypted"] if old else bool(source["encrypted"]) if source else False,
            "kmsKeyId": old["kmsKeyId"] if old else (source["kmsKeyId"] or "") if source else "",
        }


@AWS.kind
class Snapshot(_Snapshot):
    """aws_ebs_snapshot."""

    token = tokens.SNAPSHOT
    replace_on = ("volumeId", "description", "outpostArn")
    defaults: ClassVar[Mapping[str, Any]] = {"storageTier": "standard"}
    references = (Ref("volumeId", (tokens.VOLUME,), code="InvalidVolume.NotFound", blocks_delete=False),)

    def check(self, args: Args) -> Iterable[Fault]:
        yield from super().check(args)
        yield from formats.ids(args, "volumeId", "vol")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return self._outputs(id, cloud, cloud.get(tokens.VOLUME, args["volumeId"]), old)


@AWS.kind
class SnapshotCopy(_Snapshot):
    """aws_ebs_snapshot_copy."""

    token = tokens.SNAPSHOT_COPY
    replace_on = (
        "sourceRegion",
        "sourceSnapshotId",
        "description",
        "encrypted",
        "kmsKeyId",
        "completionDurationMinutes",
    )
    defaults: ClassVar[Mapping[str, Any]] = {"storageTier": "standard"}
    references = (
        Ref(
            "sourceSnapshotId",
            tokens.SNAPSHOTS,
            code="InvalidSnapshot.NotFound",
            same_region=False,
            blocks_delete=False,
        ),
    )

    def check(self, args: Args) -> Iterable[Fault]:
        yield from super().check(args)
        yield from formats.ids(args, "sourceSnapshotId", "snap")
        for path, value in args.at("sourceRegion"):
            if not zones.is_region(str(value)):
                yield Fault(path, f"expected the name of a region, got {rules.shown(value)}")
        if "kmsKeyId" in args and args.get("encrypted") is False:
            yield Fault("kmsKeyId", "needs encrypted to be true")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        sources = [s for token in tokens.SNAPSHOTS for s in cloud.all(token) if s.id == args["sourceSnapshotId"]]
        out = self._outputs(id, cloud, sources[0] if sources else None, old)
        out |= {
            "encrypted": bool(args["encrypted"]) or out["encrypted"],
            "kmsKeyId": args["kmsKeyId"] or out["kmsKeyId"],
        }
        return out
