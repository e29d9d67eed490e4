"""Machine images that a stack makes: registered, copied, baked from an instance, shared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import ec2_disks, formats, images, stamps, tokens, zones
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html
_NAME: Final = r"[a-zA-Z0-9()\[\] ./\-'@_]{3,128}"


def _arn(cloud: Cloud, id: str) -> str:
    """Images belong to a region and to no account in their ARN."""
    return f"arn:{formats.partition(cloud.region)}:ec2:{cloud.region}::image/{id}"


class _Image(Kind):
    """What the ways of making an image share."""

    id_prefix = "ami-"
    autoname = AutoName("name", 128)
    unique = ("name",)
    duplicate_code = "InvalidAMIName.Duplicate"
    not_found_code = "InvalidAMIID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from rules.matches(args, "name", _NAME, "3 to 128 letters, digits and ()[] ./-'@_")
        yield from rules.length(args, "description", 0, 255)
        yield from ec2_disks.check_mappings(
            args, "ebsBlockDevices", type_key="volumeType", ebs_key=None, default_type=None
        )

    def _outputs(self, id: str, cloud: Cloud, like: images.MachineImage | None) -> dict[str, Any]:
        return {
            "arn": _arn(cloud, id),
            "ownerId": cloud.account,
            "hypervisor": "xen",
            "imageType": "machine",
            "imageOwnerAlias": "",
            "platformDetails": "Linux/UNIX",
            "usageOperation": "RunInstances",
            "public": False,
            "manageEbsSnapshots": True,
            "architecture": like.architecture if like else "x86_64",
            "rootDeviceName": like.root_device if like else "/dev/sda1",
            "enaSupport": True,
            "virtualizationType": "hvm",
        }


@AWS.kind
class Ami(_Image):
    """aws_ami."""

    token = tokens.AMI
    replace_on = (
        "architecture",
        "bootMode",
        "ebsBlockDevices",
        "enaSupport",
        "ephemeralBlockDevices",
        "imageLocation",
        "imdsSupport",
        "kernelId",
        "name",
        "ramdiskId",
        "rootDeviceName",
        "sriovNetSupport",
        "tpmSupport",
        "uefiData",
        "virtualizationType",
    )
    sets = ("ebsBlockDevices", "ephemeralBlockDevices")
    defaults: ClassVar[Mapping[str, Any]] = {
        "architecture": "x86_64",
        "sriovNetSupport": "simple",
        "virtualizationType": "paravirtual",
    }
    references = (
        Ref("ebsBlockDevices[*].snapshotId", tokens.SNAPSHOTS, code="InvalidSnapshot.NotFound", blocks_delete=False),
    )

    def check(self, args: Args) -> Iterable[Fault]:
        yield from super().check(args)
        yield from rules.one_of(args, "architecture", ("arm64", "arm64_mac", "i386", "x86_64", "x86_64_mac"))
        yield from rules.one_of(args, "virtualizationType", ("hvm", "paravirtual"))
        yield from rules.one_of(args, "bootMode", ("legacy-bios", "uefi", "uefi-preferred"))
        yield from rules.one_of(args, "imdsSupport", ("v2.0",))
        yield from rules.one_of(args, "tpmSupport", ("v2.0",))
        devices = [d.get("deviceName") for d in args.get("ebsBlockDevices", []) if isinstance(d, Mapping)]
        root = args.get("rootDeviceName")
        if root is not None and devices and root not in devices:
            yield Fault("rootDeviceName", f"no entry of ebsBlockDevices has the device name {root}")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        out = self._outputs(id, cloud, None)
        for key in ("architecture", "rootDeviceName", "virtualizationType", "enaSupport"):
            if args[key] is not None:
                out[key] = args[key]
        root = out["rootDeviceName"]
        mapped = {d.get("deviceName"): d.get("snapshotId") for d in args.get("ebsBlockDevices", [])}
        out["rootSnapshotId"] = mapped.get(root) or ""
        return out


@AWS.kind
class AmiCopy(_Image):
    """aws_ami_copy."""

    token = tokens.AMI_COPY
    replace_on = ("sourceAmiId", "sourceAmiRegion", "encrypted", "kmsKeyId", "destinationOutpostArn", "name")
    sets = ("ebsBlockDevices", "ephemeralBlockDevices")
    defaults: ClassVar[Mapping[str, Any]] = {"encrypted": False}

    def check(self, args: Args) -> Iterable[Fault]:
        yield from super().check(args)
        yield from formats.ids(args, "sourceAmiId", "ami")
        for path, value in args.at("sourceAmiRegion"):
            if not zones.is_region(str(value)):
                yield Fault(path, f"expected the name of a region, got {rules.shown(value)}")
        yield from formats.arns(args, "kmsKeyId", "kms")
        if "kmsKeyId" in args and args.get("encrypted") is not True and not args.is_unknown("encrypted"):
            yield Fault("kmsKeyId", "needs encrypted to be true")

    @staticmethod
    def _source(args: Args, cloud: Cloud) -> images.MachineImage | None:
        region, wanted = args["sourceAmiRegion"], args["sourceAmiId"]
        if region == cloud.region:
            return images.find_image(wanted, cloud)
        made = [r for token in tokens.IMAGES for r in cloud.all(token, region=region) if r.id == wanted]
        if made:
            source = made[0]
            return images.MachineImage(
                id=source.id,
                name=str(source["name"]),
                region=source.region,
                owner_id=source.account,
                created=source.created_at,
                description=str(source["description"] or ""),
                architecture=str(source["architecture"]),
                root_device=str(source["rootDeviceName"]),
                root_gib=8,
            )
        return next((i for i in images.listed(region, cloud.account) if i.id == wanted), None)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if self._source(args, cloud) is None:
            raise CloudError("InvalidAMIID.NotFound", f"The image id '[{args['sourceAmiId']}]' does not exist")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        out = self._outputs(id, cloud, self._source(args, cloud))
        out["rootSnapshotId"] = old["rootSnapshotId"] if old else formats.hex_id("snap")
        return out


@AWS.kind
class AmiFromInstance(_Image):
    """aws_ami_from_instance."""

    token = tokens.AMI_FROM_INSTANCE
    replace_on = ("sourceInstanceId", "snapshotWithoutReboot", "name")
    write_only = ("snapshotWithoutReboot",)
    sets = ("ebsBlockDevices", "ephemeralBlockDevices")
    references = (Ref("sourceInstanceId", (tokens.INSTANCE,), code="InvalidInstanceID.NotFound", blocks_delete=False),)

    def check(self, args: Args) -> Iterable[Fault]:
        yield from super().check(args)
        yield from formats.ids(args, "sourceInstanceId", "i")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        instance = cloud.get(tokens.INSTANCE, args["sourceInstanceId"])
        like = images.find_image(str(instance["ami"]), cloud) if instance else None
        out = self._outputs(id, cloud, like)
        out["rootSnapshotId"] = old["rootSnapshotId"] if old else formats.hex_id("snap")
        return out


@AWS.kind
class AmiLaunchPermission(Kind):
    """aws_ami_launch_permission."""

    token = "aws:ec2/amiLaunchPermission:AmiLaunchPermission"
    replace_on = ("accountId", "group", "imageId", "organizationArn", "organizationalUnitArn")
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "imageId", "ami")
        yield from rules.matches(args, "accountId", formats.ACCOUNT_PATTERN, "an account id of 12 digits")
        yield from rules.one_of(args, "group", ("all",))
        yield from formats.arns(args, "organizationArn", "organizations", "organization/")
        yield from formats.arns(args, "organizationalUnitArn", "organizations", "ou/")
        yield from rules.exactly_one(args, "accountId", "group", "organizationArn", "organizationalUnitArn")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        image = images.find_image(args["imageId"], cloud)
        if image is None or image.owner_id != cloud.account:
            raise CloudError("InvalidAMIID.NotFound", f"The image id '[{args['imageId']}]' does not exist")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        keys = ("accountId", "group", "organizationArn", "organizationalUnitArn")
        return f"{next(args[key] for key in keys if key in args)}-{args['imageId']}"
