"""Launch templates and their versions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sandbox import rules
from sandbox.aws import ec2_disks, ec2_launch_rules, formats, images, quotas, stamps, tokens, zones
from sandbox.aws.ec2_security import check_groups_in_vpc
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource

_TAGGABLE: Final = ("elastic-gpu", "instance", "network-interface", "spot-instances-request", "volume")
_NOT_IN_VERSION: Final = frozenset(
    ("name", "namePrefix", "tags", "region", "defaultVersion", "updateDefaultVersion", "description")
)


def unsupported_zone(machine_type: str, zone: str) -> CloudError:
    """EC2's refusal of a machine type that a zone does not offer, with the zones that do."""
    offered = zones.offered_zones(machine_type, zones.region_of_zone(zone) or "") or ()
    choice = f" or choosing {', '.join(offered)}" if offered else ""
    return CloudError(
        "Unsupported",
        f"Your requested instance type ({machine_type}) is not supported in your requested Availability Zone ({zone}). "
        f"Please retry your request by not specifying an Availability Zone{choice}.",
    )


def check_image(image: images.MachineImage, machine_type: str) -> None:
    """Raises CloudError when the image's architecture is not the machine's."""
    found = quotas.instance_type(machine_type)
    if found is not None and image.architecture not in found.architectures:
        raise CloudError(
            "InvalidParameterValue",
            f"The architecture '{','.join(found.architectures)}' of the specified instance type does not match the "
            f"architecture '{image.architecture}' of the specified AMI. Specify an instance type and an AMI that have "
            "matching architectures, and try again.",
        )


def too_small(image: images.MachineImage, size: int) -> CloudError:
    """EC2's refusal of a root volume that does not hold the image."""
    return CloudError(
        "InvalidBlockDeviceMapping",
        f"Volume of size {size}GB is smaller than snapshot '{images.snapshot_id(image)}', expect size>= "
        f"{image.root_gib}GB",
    )


@AWS.kind
class LaunchTemplate(Kind):
    """aws_launch_template. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html

    EC2 itself looks at most of the contents only when something is launched. The sandbox judges them here, where the
    mistake is made. A capacity reservation or image is taken by its form alone: both are commonly made elsewhere.
    """

    token = tokens.LAUNCH_TEMPLATE
    id_prefix = "lt-"
    replace_on = ("name", "namePrefix")
    sets = ("vpcSecurityGroupIds", "securityGroupNames", "networkInterfaces[*].securityGroups", "licenseSpecifications")
    write_only = ("namePrefix", "updateDefaultVersion")
    autoname = AutoName("name", 128)
    unique = ("name",)
    duplicate_code = "InvalidLaunchTemplateName.AlreadyExistsException"
    changes_on_update = ("latestVersion", "defaultVersion")
    references = (
        Ref("vpcSecurityGroupIds[*]", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound", blocks_delete=False),
        Ref(
            "networkInterfaces[*].securityGroups[*]",
            tokens.SECURITY_GROUPS,
            code="InvalidGroup.NotFound",
            blocks_delete=False,
        ),
        Ref("networkInterfaces[*].subnetId", (tokens.SUBNET,), code="InvalidSubnetID.NotFound", blocks_delete=False),
        Ref(
            "iamInstanceProfile.name",
            (tokens.INSTANCE_PROFILE,),
            by="name",
            code="InvalidParameterValue",
            blocks_delete=False,
        ),
        Ref(
            "iamInstanceProfile.arn",
            (tokens.INSTANCE_PROFILE,),
            by="arn",
            code="InvalidParameterValue",
            blocks_delete=False,
        ),
        Ref("keyName", (tokens.KEY_PAIR,), by="keyName", code="InvalidKeyPair.NotFound", blocks_delete=False),
        Ref(
            "placement.groupName",
            (tokens.PLACEMENT_GROUP,),
            by="name",
            code="InvalidPlacementGroup.Unknown",
            blocks_delete=False,
        ),
    )
    not_found_code = "InvalidLaunchTemplateId.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from rules.matches(
            args, "name", r"[a-zA-Z0-9().\-/_]{3,128}", "a name of 3 to 128 letters, digits and ().-/_"
        )
        yield from rules.length(args, "description", 0, 255)
        yield from rules.conflicting(args, "updateDefaultVersion", "defaultVersion")
        yield from rules.between(args, "defaultVersion", 1, 10000)
        yield from rules.conflicting(args, "instanceType", "instanceRequirements")
        yield from rules.conflicting(args, "securityGroupNames", "vpcSecurityGroupIds")
        yield from formats.tri_state(args, "ebsOptimized")
        yield from ec2_launch_rules.image(args, "imageId")
        yield from ec2_launch_rules.encoded_user_data(args, "userData")
        yield from ec2_launch_rules.all_launch(args)
        yield from ec2_launch_rules.placement(args)
        yield from ec2_launch_rules.profile(args)
        yield from ec2_launch_rules.interfaces(args)
        yield from ec2_launch_rules.requirements(args)
        yield from self._check_devices(args)
        yield from self._check_tags(args)

    @staticmethod
    def _check_devices(args: Args) -> Iterator[Fault]:
        key = "blockDeviceMappings"
        for name in ("deleteOnTermination", "encrypted"):
            yield from formats.tri_state(args, f"{key}[*].ebs.{name}")
        # Without a type the image's own mapping decides, where there is one.
        yield from ec2_disks.check_mappings(args, key, type_key="volumeType", ebs_key="ebs", default_type=None)
        yield from rules.matches(args, f"{key}[*].virtualName", r"ephemeral\d{1,2}", "ephemeral0, ephemeral1, ...")
        for path, mapping in args.at(f"{key}[*]"):
            if not isinstance(mapping, Mapping):
                continue
            given = [name for name in ("ebs", "virtualName", "noDevice") if Args(mapping).get(name)]
            if len(given) > 1:
                yield Fault(
                    f"{path}.{given[1]}", f"conflicts with {given[0]}: a device is one of ebs, virtualName, noDevice"
                )

    @staticmethod
    def _check_tags(args: Args) -> Iterator[Fault]:
        yield from rules.one_of(args, "tagSpecifications[*].resourceType", _TAGGABLE)
        seen: set[str] = set()
        for path, value in args.at("tagSpecifications[*].resourceType"):
            if value in seen:
                yield Fault(path, f"{value} is tagged twice")
            seen.add(value)
        yield from stamps.tag_faults(args, "tagSpecifications[*].tags")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._check_placed(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_placed(args, cloud)
        wanted, latest = args.get("defaultVersion"), self._latest(old, args)
        if wanted is not None and wanted > latest:
            raise CloudError(
                "InvalidLaunchTemplateId.VersionNotFound",
                f"Could not find the specified version {wanted} for the launch template with ID {old.id}.",
            )

    def _check_placed(self, args: Args, cloud: Cloud) -> None:
        zone = next((z for _, z in args.at("placement.availabilityZone")), None)
        machine_type = args.get("instanceType")
        if zone is not None:
            if zone not in zones.zone_names(cloud.region):
                raise CloudError("InvalidParameterValue", f"Invalid availability zone: [{zone}]")
            if machine_type and not zones.is_offered(machine_type, zone):
                raise unsupported_zone(machine_type, zone)
        elif machine_type and zones.offered_zones(machine_type, cloud.region) == ():
            raise CloudError(
                "InvalidParameterValue",
                f"The following supplied instance types do not exist in region {cloud.region}: [{machine_type}]",
            )
        self._check_image(args, cloud)
        # All groups of a template are of one VPC, or nothing can be launched with it.
        groups = list(args.get("vpcSecurityGroupIds", []))
        for interface in args.get("networkInterfaces", []):
            if isinstance(interface, Mapping):
                groups += [g for g in interface.get("securityGroups") or [] if g not in groups]
        networks = {g["vpcId"] for id in groups for t in tokens.SECURITY_GROUPS if (g := cloud.get(t, id)) is not None}
        for vpc_id in sorted(map(str, networks))[:1]:
            check_groups_in_vpc(cloud, groups, vpc_id)

    @staticmethod
    def _check_image(args: Args, cloud: Cloud) -> None:
        """What goes wrong at every launch from an image that the stand-in knows."""
        image = images.find_image(args.get("imageId", ""), cloud)
        if image is None:
            return
        check_image(image, args.get("instanceType", ""))
        for mapping in args.get("blockDeviceMappings", []):
            size = (mapping.get("ebs") or {}).get("volumeSize")
            if mapping.get("deviceName") == image.root_device and isinstance(size, int) and size < image.root_gib:
                raise too_small(image, size)

    @staticmethod
    def _contents(values: Mapping[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in values.items() if k not in _NOT_IN_VERSION and v is not None}

    def _latest(self, old: Resource, args: Args) -> int:
        """A change of the contents, or of the version's description, makes a new version."""
        same = self._contents(old.inputs) == self._contents(args.values)
        same = same and old.inputs.get("description") == args.values.get("description")
        return int(old["latestVersion"]) + (0 if same else 1)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        latest = self._latest(old, args) if old else 1
        default = old["defaultVersion"] if old else 1
        if args.get("updateDefaultVersion") is True:
            default = latest
        return {
            "arn": ec2_arn(cloud, f"launch-template/{id}"),
            "name": old["name"] if old else stamps.name_of(args),
            "latestVersion": latest,
            "defaultVersion": args.get("defaultVersion", default),
        }


def version_of(template: Resource, version: object) -> int | None:
    """The number that a version given as `$Latest`, `$Default`, empty or a number stands for; None where it is none."""
    latest = int(template["latestVersion"] or 1)
    if version in (None, "", "$Default"):
        return int(template["defaultVersion"] or 1)
    if version == "$Latest":
        return latest
    text = str(version)
    return int(text) if text.isdigit() and 1 <= int(text) <= latest else None


def vcpus_of(machine_type: object) -> int:
    """The vCPUs of a machine type, 0 for one that EC2 does not have."""
    found = quotas.instance_type(machine_type) if isinstance(machine_type, str) else None
    return found.vcpus if found else 0
