"""Instances: single machines, launched on their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import ec2_disks, ec2_launch_rules, formats, images, launches, quotas, stamps, tokens, zones
from sandbox.aws.ec2_launch_template import check_image, too_small, unsupported_zone, vcpus_of, version_of
from sandbox.aws.ec2_security import check_groups_in_vpc
from sandbox.aws.ec2_settings import encrypts_by_default, metadata_defaults
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.public import next_address

_IMDS: Final = {
    "httpEndpoint": "enabled",
    "httpTokens": "optional",
    "httpPutResponseHopLimit": 1,
    "httpProtocolIpv6": "disabled",
    "instanceMetadataTags": "disabled",
}


def template_of(args: Args, cloud: Cloud, key: str = "launchTemplate") -> Resource | None:
    """The launch template that a block names by id or name, None when it names none."""
    reference = args.get(key)
    if not isinstance(reference, Mapping):
        return None
    if reference.get("id"):
        return cloud.get(tokens.LAUNCH_TEMPLATE, reference["id"])
    return next(iter(cloud.find(tokens.LAUNCH_TEMPLATE, name=reference.get("name"))), None)


def market_of(instance: Resource) -> str:
    """The market an instance was bought in: "spot" or "on-demand"."""
    return "spot" if instance["instanceLifecycle"] == "spot" else "on-demand"


def check_launchable(cloud: Cloud, machine_type: str, zone: str, market: str, *, own_id: str | None = None) -> None:
    """Refuse a launch as RunInstances does: a type that the zone does not offer, a quota used up, no capacity.

    market: "spot" or "on-demand". own_id: an instance that is being changed and does not count."""
    if not zones.is_offered(machine_type, zone):
        raise unsupported_zone(machine_type, zone)
    quota = quotas.vcpu_quota(machine_type, market)
    if quota is not None:
        used: Counter[str] = Counter()
        for instance in cloud.all(tokens.INSTANCE, region=cloud.region):
            taken = quotas.vcpu_quota(str(instance["instanceType"]), market_of(instance))
            if taken is not None and instance.id != own_id:
                used[taken.code] += vcpus_of(instance["instanceType"])
        for made in launches.plan(cloud, cloud.region).values():
            for launch in made:
                taken = quotas.vcpu_quota(launch.machine_type, launch.market) if launch.launched else None
                if taken is not None:
                    used[taken.code] += vcpus_of(launch.machine_type)
        limit = cloud.quota(quota.code, quota.default)
        if used[quota.code] + vcpus_of(machine_type) > limit:
            if market == "spot":
                raise CloudError("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
            raise CloudError(
                "VcpuLimitExceeded",
                f"You have requested more vCPU capacity than your current vCPU limit of {limit:g} allows for the "
                "instance bucket that the specified instance type belongs to. Please visit "
                "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
            )
    if cloud.sold_out(zone, machine_type, market):
        if market == "spot":
            raise CloudError(
                "InsufficientInstanceCapacity", "There is no Spot capacity available that matches your request."
            )
        raise CloudError(
            "InsufficientInstanceCapacity",
            f"We currently do not have sufficient {machine_type} capacity in the Availability Zone you requested "
            f"({zone}). Our system will be working on provisioning additional capacity.",
        )


@AWS.kind
class Instance(Kind):
    """aws_instance. https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html"""

    token = tokens.INSTANCE
    id_prefix = "i-"
    replace_on = (
        "ami",
        "associatePublicIpAddress",
        "availabilityZone",
        "cpuOptions",
        "ebsBlockDevices[*].deviceName",
        "ebsBlockDevices[*].encrypted",
        "ebsBlockDevices[*].kmsKeyId",
        "ebsBlockDevices[*].snapshotId",
        "ebsOptimized",
        "enclaveOptions",
        "ephemeralBlockDevices",
        "hibernation",
        "hostResourceGroupArn",
        "instanceMarketOptions",
        "keyName",
        "launchTemplate.id",
        "launchTemplate.name",
        "networkInterfaces",
        "placementGroup",
        "placementGroupId",
        "placementPartitionNumber",
        "primaryNetworkInterface",
        "privateIp",
        "rootBlockDevice.encrypted",
        "rootBlockDevice.kmsKeyId",
        "securityGroups",
        "subnetId",
        "tenancy",
    )
    sets = ("vpcSecurityGroupIds", "securityGroups", "secondaryPrivateIps", "ebsBlockDevices", "networkInterfaces")
    write_only = ("forceDestroy", "userDataReplaceOnChange", "getPasswordData", "volumeTags")
    defaults: ClassVar[Mapping[str, Any]] = {
        "getPasswordData": False,
        "sourceDestCheck": True,
        "userDataReplaceOnChange": False,
        "forceDestroy": False,
    }
    references = (
        Ref("subnetId", (tokens.SUBNET,), code="InvalidSubnetID.NotFound"),
        Ref("vpcSecurityGroupIds[*]", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound"),
        Ref(
            "launchTemplate.id", (tokens.LAUNCH_TEMPLATE,), code="InvalidLaunchTemplateId.NotFound", blocks_delete=False
        ),
        Ref(
            "launchTemplate.name",
            (tokens.LAUNCH_TEMPLATE,),
            by="name",
            code="InvalidLaunchTemplateName.NotFoundException",
            blocks_delete=False,
        ),
        Ref(
            "iamInstanceProfile",
            (tokens.INSTANCE_PROFILE,),
            by="name",
            code="InvalidParameterValue",
            blocks_delete=False,
        ),
        Ref("keyName", (tokens.KEY_PAIR,), by="keyName", code="InvalidKeyPair.NotFound", blocks_delete=False),
        Ref(
            "placementGroup",
            (tokens.PLACEMENT_GROUP,),
            by="name",
            code="InvalidPlacementGroup.Unknown",
            delete_code="InvalidPlacementGroup.InUse",
        ),
        Ref(
            "networkInterfaces[*].networkInterfaceId",
            (tokens.NETWORK_INTERFACE,),
            code="InvalidNetworkInterfaceID.NotFound",
            delete_code="InvalidNetworkInterface.InUse",
        ),
        Ref(
            "primaryNetworkInterface.networkInterfaceId",
            (tokens.NETWORK_INTERFACE,),
            code="InvalidNetworkInterfaceID.NotFound",
            delete_code="InvalidNetworkInterface.InUse",
        ),
    )
    not_found_code = "InvalidInstanceID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        if "launchTemplate" not in args:
            for key in ("ami", "instanceType"):
                if key not in args:
                    yield Fault(key, "is required unless launchTemplate gives it")
        yield from ec2_launch_rules.image(args, "ami")
        yield from ec2_launch_rules.all_launch(args)
        yield from formats.zone(args, "availabilityZone")
        yield from formats.ids(args, "subnetId", "subnet")
        yield from formats.addresses(args, "privateIp")
        yield from formats.addresses(args, "secondaryPrivateIps[*]")
        yield from rules.one_of(args, "tenancy", ("default", "dedicated", "host"))
        yield from rules.between(args, "placementPartitionNumber", 1, 7)
        yield from rules.conflicting(args, "hostId", "hostResourceGroupArn")
        yield from rules.conflicting(args, "placementGroup", "placementGroupId")
        yield from rules.conflicting(args, "ipv6Addresses", "ipv6AddressCount")
        yield from self._check_user_data(args)
        yield from self._check_interfaces(args)
        template = ec2_launch_rules.block(args, "launchTemplate")
        if template is not None:
            yield from ec2_launch_rules.below("launchTemplate", rules.exactly_one(template, "id", "name"))
            yield from formats.ids(args, "launchTemplate.id", "lt")
        yield from ec2_disks.check_mappings(
            args, "ebsBlockDevices", type_key="volumeType", ebs_key=None, default_type=None
        )
        root = ec2_launch_rules.block(args, "rootBlockDevice")
        if root is not None:
            yield from ec2_disks.check_volume(
                root, type_key="volumeType", size_key="volumeSize", default_type=None, path="rootBlockDevice."
            )

    @staticmethod
    def _check_user_data(args: Args) -> Iterator[Fault]:
        yield from rules.conflicting(args, "userData", "userDataBase64")
        yield from ec2_launch_rules.encoded_user_data(args, "userDataBase64")
        for path, value in args.at("userData"):
            size = len(str(value).encode())
            if size > ec2_launch_rules.USER_DATA_BYTES:
                yield Fault(path, f"user data is limited to {ec2_launch_rules.USER_DATA_BYTES:,} bytes, got {size:,}")

    @staticmethod
    def _check_interfaces(args: Args) -> Iterator[Fault]:
        given = next((k for k in ("networkInterfaces", "primaryNetworkInterface") if k in args), None)
        if given is not None:
            # The interfaces bring all of these along; the provider refuses them beside each other.
            for key in ("subnetId", "vpcSecurityGroupIds", "securityGroups", "associatePublicIpAddress", "privateIp"):
                if key in args:
                    yield Fault(key, f"conflicts with {given}")
        seen: set[int] = set()
        for path, index in args.at("networkInterfaces[*].deviceIndex"):
            if index in seen:
                yield Fault(path, f"device index {index} is given twice")
            seen.add(index)

    def replace_when(self, old: Args, new: Args) -> Iterator[str]:
        """New user data makes a new machine where userDataReplaceOnChange says so."""
        if new.get("userDataReplaceOnChange") is True:
            for key in ("userData", "userDataBase64"):
                if old[key] != new[key]:
                    yield key

    @staticmethod
    def effective(args: Args, cloud: Cloud) -> Args:
        """What is launched: the launch template's contents below the instance's own."""
        template = template_of(args, cloud)
        if template is None:
            return args
        inherited = {k: v for k, v in template.outputs.items() if v not in (None, "", [], {})}
        inherited["ami"] = inherited.get("imageId")
        profile = inherited.get("iamInstanceProfile") or {}
        inherited["iamInstanceProfile"] = profile.get("name") or str(profile.get("arn", "")).rsplit("/", 1)[-1] or None
        inherited["monitoring"] = (inherited.get("monitoring") or {}).get("enabled", False)
        for key in ("name", "tags", "tagsAll", "arn", "description", "networkInterfaces"):
            inherited.pop(key, None)
        nics = template["networkInterfaces"] or []
        if nics and "subnetId" not in args:
            inherited["subnetId"] = nics[0].get("subnetId")
            inherited["vpcSecurityGroupIds"] = nics[0].get("securityGroups")
            inherited["associatePublicIpAddress"] = nics[0].get("associatePublicIpAddress") == "true"
        return Args({**{k: v for k, v in inherited.items() if v is not None}, **args.values})

    @staticmethod
    def _market(whole: Args) -> str:
        options = whole.get("instanceMarketOptions", {})
        return "spot" if options and options.get("marketType", "spot") == "spot" else "on-demand"

    @staticmethod
    def _home(args: Args, whole: Args, cloud: Cloud) -> Resource | None:
        """The subnet an instance lives in."""
        nic = args.get("primaryNetworkInterface") or next(iter(args.get("networkInterfaces", [])), None)
        interface = cloud.get(tokens.NETWORK_INTERFACE, nic["networkInterfaceId"]) if nic else None
        subnet_id = interface["subnetId"] if interface else whole["subnetId"]
        return cloud.get(tokens.SUBNET, str(subnet_id)) if subnet_id else None

    def before_create(self, args: Args, cloud: Cloud) -> None:
        template = template_of(args, cloud)
        reference = args.get("launchTemplate", {})
        if template is not None and version_of(template, reference.get("version")) is None:
            raise CloudError(
                "InvalidLaunchTemplateId.VersionNotFound",
                f"Could not find launch template version {reference.get('version')} of {template.id}",
            )
        whole = self.effective(args, cloud)
        for key, name in (("ami", "ImageId"), ("instanceType", "InstanceType")):
            if whole[key] is None:
                raise CloudError("MissingParameter", f"The request must contain the parameter {name}")
        image = images.find_image(str(whole["ami"]), cloud)
        if image is None and not str(whole["ami"]).startswith("resolve:ssm:"):
            raise CloudError("InvalidAMIID.NotFound", f"The image id '[{whole['ami']}]' does not exist")
        if image is not None:
            check_image(image, str(whole["instanceType"]))
            size = args.get("rootBlockDevice", {}).get("volumeSize")
            if isinstance(size, int) and size < image.root_gib:
                raise too_small(image, size)
        home = self._home(args, whole, cloud)
        if home is None:
            raise CloudError("MissingInput", "No subnets found for the default VPC. Please specify a subnet.")
        zone = str(home["availabilityZone"])
        if whole["availabilityZone"] not in (None, zone):
            raise CloudError(
                "InvalidParameterValue",
                f"Subnet {home.id} is in {zone}, not in the requested Availability Zone {whole['availabilityZone']}",
            )
        check_groups_in_vpc(cloud, whole.get("vpcSecurityGroupIds", []), str(home["vpcId"]))
        check_launchable(cloud, str(whole["instanceType"]), zone, self._market(whole))
        address, inside = formats.network(args.get("privateIp", "")), formats.network(home["cidrBlock"])
        if address is not None and inside is not None and not address.subnet_of(inside):
            raise CloudError(
                "InvalidParameterValue", f"Address {args['privateIp']} does not fall within the subnet's address range"
            )

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        whole = self.effective(args, cloud)
        if whole["instanceType"] not in (None, old["instanceType"]):
            zone = str(old["availabilityZone"])
            check_launchable(cloud, str(whole["instanceType"]), zone, market_of(old), own_id=old.id)
        home = self._home(args, whole, cloud)
        if home is not None:
            check_groups_in_vpc(cloud, whole.get("vpcSecurityGroupIds", []), str(home["vpcId"]))

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        if resource["disableApiTermination"] and not resource.inputs.get("forceDestroy"):
            raise CloudError(
                "OperationNotPermitted",
                f"The instance '{resource.id}' may not be terminated. Modify its 'disableApiTermination' instance "
                "attribute and try again.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        whole = self.effective(args, cloud)
        home = self._home(args, whole, cloud)
        vpc = cloud.get(tokens.VPC, str(home["vpcId"])) if home else None
        private = args.get("privateIp") or (
            old["privateIp"] if old else formats.private_address(cloud, home) if home else ""
        )
        visible = whole.get("associatePublicIpAddress", bool(home and home["mapPublicIpOnLaunch"]))
        public = (old["publicIp"] if old else next_address(cloud, "aws")) if visible else ""
        spot = self._market(whole) == "spot"
        machine_type = str(whole["instanceType"] or "")
        default_group = [vpc["defaultSecurityGroupId"]] if vpc else []
        return {
            "arn": ec2_arn(cloud, f"instance/{id}"),
            "ami": whole["ami"],
            "instanceType": machine_type,
            "instanceState": "running",
            "instanceLifecycle": "spot" if spot else "",
            "spotInstanceRequestId": (old["spotInstanceRequestId"] if old else f"sir-{id[2:10]}") if spot else "",
            "subnetId": home.id if home else "",
            "availabilityZone": home["availabilityZone"] if home else "",
            "vpcSecurityGroupIds": whole.get("vpcSecurityGroupIds") or default_group,
            "associatePublicIpAddress": visible,
            "primaryNetworkInterfaceId": old["primaryNetworkInterfaceId"] if old else formats.hex_id("eni"),
            "privateIp": private,
            "privateDns": formats.private_dns(private, cloud.region),
            "publicIp": public,
            "publicDns": formats.public_dns(public, cloud.region) if vpc and vpc["enableDnsHostnames"] else "",
            "tenancy": whole.get("tenancy", "default"),
            "ebsOptimized": whole.get("ebsOptimized", True) in (True, "true"),
            "monitoring": whole.get("monitoring", False),
            "iamInstanceProfile": whole.get("iamInstanceProfile", ""),
            "keyName": whole.get("keyName", ""),
            "cpuOptions": self._cpu(whole, machine_type),
            "instanceInitiatedShutdownBehavior": whole.get(
                "instanceInitiatedShutdownBehavior", "terminate" if spot else "stop"
            ),
            "metadataOptions": {**_IMDS, **metadata_defaults(cloud), **whole.get("metadataOptions", {})},
            "rootBlockDevice": self._root(args, cloud, old),
            "disableApiTermination": whole.get("disableApiTermination", False),
        }

    @staticmethod
    def _cpu(whole: Args, machine_type: str) -> dict[str, Any]:
        cores = max(1, vcpus_of(machine_type) // 2)
        return {"coreCount": cores, "threadsPerCore": 2, **whole.get("cpuOptions", {})}

    @staticmethod
    def _root(args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        before = (old["rootBlockDevice"] if old else None) or {}
        given = args.get("rootBlockDevice", {})
        fast = given.get("volumeType", "gp3") == "gp3"
        baseline = {"iops": ec2_disks.GP3_BASELINE_IOPS, "throughput": ec2_disks.GP3_THROUGHPUT[0]}
        return {
            "deviceName": "/dev/sda1",
            "deleteOnTermination": True,
            "volumeId": before.get("volumeId") or formats.hex_id("vol"),
            "volumeSize": 8,
            "volumeType": "gp3",
            "encrypted": before.get("encrypted", encrypts_by_default(cloud)),
            **(baseline if fast else {}),
            **given,
        }
