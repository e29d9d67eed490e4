"""Launch templates: what one may say, its disks, its versions, and what the cloud knows better."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandbox.aws import AWS, images, tokens
from sandbox.aws.ec2_launch_template import version_of
from sandbox.kinds import Args
from sandbox.values import UNKNOWN
from tests.support.aws_region import IMAGE, check_faults, network, refused
from tests.support.memory_cloud import MemoryCloud

GOOD: dict[str, Any] = {"name": "spillway-node", "imageId": IMAGE, "instanceType": "p4d.24xlarge"}


def text(size: int) -> str:
    return base64.b64encode(b"#" * size).decode()


def disk(**ebs: Any) -> dict[str, Any]:
    return {
        "blockDeviceMappings": [{"deviceName": "/dev/sdf", "ebs": {"volumeType": "gp3", "volumeSize": 1000, **ebs}}]
    }


PRIMARY = {"deviceIndex": 0, "networkCardIndex": 0}
CR = "cr-0123456789abcdef0"
SPEC = "capacityReservationSpecification"
OPTIONS = "instanceMarketOptions"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "lt"}, "name: expected a name of 3 to 128"),
        ({"name": "spillway node"}, "name: expected a name of 3 to 128"),
        ({"description": "d" * 256}, "description: expected a length of 0 to 255"),
        ({"imageId": "spillway-vllm"}, "imageId: expected an image id"),
        ({"imageId": "ami-XYZ"}, "imageId: expected an image id"),
        (
            {"instanceType": "p4d.24xl"},
            'instanceType: "p4d.24xl" is not an instance type of EC2; did you mean p4d.24xlarge?',
        ),
        ({"instanceRequirements": {"vcpuCount": {"min": 8}}}, "instanceRequirements: conflicts with instanceType"),
        ({"ebsOptimized": True}, 'ebsOptimized: expected the string "true" or "false"'),
        ({"ebsOptimized": "yes"}, 'ebsOptimized: expected the string "true" or "false"'),
        ({"userData": "#cloud-config"}, "userData: expected user data encoded in base64"),
        ({"userData": text(16385)}, "userData: user data is limited to 16,384 bytes before encoding, got 16,385"),
        ({"updateDefaultVersion": True, "defaultVersion": 1}, "defaultVersion: conflicts with updateDefaultVersion"),
        (
            {"securityGroupNames": ["a"], "vpcSecurityGroupIds": ["sg-0123456789abcdef0"]},
            "vpcSecurityGroupIds: conflicts",
        ),
        ({"vpcSecurityGroupIds": ["nodes"]}, "vpcSecurityGroupIds[0]: expected an id that starts with sg-"),
        (
            {"instanceInitiatedShutdownBehavior": "halt"},
            "instanceInitiatedShutdownBehavior: expected one of stop, terminate",
        ),
        (
            {"privateDnsNameOptions": {"hostnameType": "x"}},
            "privateDnsNameOptions.hostnameType: expected one of ip-name",
        ),
        ({"maintenanceOptions": {"autoRecovery": "on"}}, "maintenanceOptions.autoRecovery: expected one of default"),
        ({"creditSpecification": {"cpuCredits": "standard"}}, "creditSpecification: is only for burstable types"),
        (
            {"hibernationOptions": {"configured": True}, "enclaveOptions": {"enabled": True}},
            "enclaveOptions.enabled: enclaves and hibernation",
        ),
        ({"iamInstanceProfile": {}}, "iamInstanceProfile.name: one of name, arn"),
        (
            {"iamInstanceProfile": {"name": "a", "arn": "arn:aws:iam::123456789012:instance-profile/a"}},
            "iamInstanceProfile.arn: conflicts with name",
        ),
        (
            {"iamInstanceProfile": {"arn": "arn:aws:iam::123456789012:role/a"}},
            "iamInstanceProfile.arn: expected an ARN such as arn:aws:iam",
        ),
    ],
)
def test_a_template_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.LAUNCH_TEMPLATE, GOOD, change, expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"httpTokens": "yes"}, "metadataOptions.httpTokens: expected one of optional, required"),
        ({"httpEndpoint": "on"}, "metadataOptions.httpEndpoint: expected one of enabled, disabled"),
        ({"httpPutResponseHopLimit": 0}, "metadataOptions.httpPutResponseHopLimit: expected 1 to 64"),
        ({"httpPutResponseHopLimit": 65}, "metadataOptions.httpPutResponseHopLimit: expected 1 to 64"),
        ({"instanceMetadataTags": "yes"}, "metadataOptions.instanceMetadataTags: expected one of enabled"),
        ({"httpProtocolIpv6": "yes"}, "metadataOptions.httpProtocolIpv6: expected one of enabled"),
    ],
)
def test_the_metadata_service_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.LAUNCH_TEMPLATE, GOOD, {"metadataOptions": change}, expected)


FIRST = "blockDeviceMappings[0]"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (disk(iops=2999), f"{FIRST}.ebs.iops: expected 3,000 to 80,000"),
        (disk(iops=80001), f"{FIRST}.ebs.iops: expected 3,000 to 80,000"),
        (disk(volumeSize=30, iops=16000), f"{FIRST}.ebs.iops: at most 500 IOPS per GiB for gp3: 15,000 for 30 GiB"),
        (disk(throughput=124), f"{FIRST}.ebs.throughput: expected 125 to 2,000"),
        (disk(iops=10000, throughput=2001), f"{FIRST}.ebs.throughput: expected 125 to 2,000"),
        (disk(iops=3900, throughput=1000), f"{FIRST}.ebs.throughput: at most 0.25 MiB/s per IOPS: 975 for 3,900 IOPS"),
        (disk(throughput=1000), f"{FIRST}.ebs.throughput: at most 0.25 MiB/s per IOPS: 750 for 3,000 IOPS"),
        (disk(volumeSize=65537), f"{FIRST}.ebs.volumeSize: expected 1 to 65,536"),
        (disk(volumeType="gp4"), f"{FIRST}.ebs.volumeType: expected one of gp3"),
        (disk(volumeType="gp2", iops=3000), f"{FIRST}.ebs.iops: cannot be set for volumes of type gp2"),
        (disk(volumeType="gp2", throughput=125), f"{FIRST}.ebs.throughput: can only be set for volumes of type gp3"),
        (disk(volumeType="io2"), f"{FIRST}.ebs.iops: is required for volumes of type io2"),
        (disk(volumeType="io1", iops=50001), f"{FIRST}.ebs.iops: at most 50 IOPS per GiB for io1"),
        (disk(volumeType="st1", volumeSize=100), f"{FIRST}.ebs.volumeSize: expected 125 to 16,384"),
        (disk(encrypted=True), f'{FIRST}.ebs.encrypted: expected the string "true" or "false"'),
        (disk(deleteOnTermination=False), f'{FIRST}.ebs.deleteOnTermination: expected the string "true" or "false"'),
        (disk(kmsKeyId="alias/disks"), f"{FIRST}.ebs.kmsKeyId: expected an ARN such as arn:aws:kms"),
        (
            disk(kmsKeyId="arn:aws:kms:us-east-1:123456789012:key/k", encrypted="false"),
            f"{FIRST}.ebs.kmsKeyId: needs encrypted to be true",
        ),
        (disk(snapshotId="snapshot"), f"{FIRST}.ebs.snapshotId: expected an id that starts with snap-"),
        (disk(volumeInitializationRate=200), f"{FIRST}.ebs.volumeInitializationRate: needs snapshotId"),
        (
            disk(volumeInitializationRate=301, snapshotId="snap-0123456789abcdef0"),
            f"{FIRST}.ebs.volumeInitializationRate: expected 100 to 300",
        ),
        ({"blockDeviceMappings": [{"ebs": {}}]}, f"{FIRST}.deviceName: is required"),
        ({"blockDeviceMappings": [{"deviceName": "root"}]}, f"{FIRST}.deviceName: expected a device name"),
        (
            {"blockDeviceMappings": [{"deviceName": "/dev/sda1"}, {"deviceName": "/dev/sda1"}]},
            "blockDeviceMappings[1].deviceName: the device /dev/sda1 is mapped twice",
        ),
        (
            {
                "blockDeviceMappings": [
                    {"deviceName": "/dev/sdf", "virtualName": "ephemeral0", "ebs": {"volumeSize": 1}}
                ]
            },
            f"{FIRST}.virtualName: conflicts with ebs",
        ),
        (
            {"blockDeviceMappings": [{"deviceName": "/dev/sdf", "virtualName": "nvme0"}]},
            f"{FIRST}.virtualName: expected ephemeral0",
        ),
    ],
)
def test_disks_are_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.LAUNCH_TEMPLATE, GOOD, change, expected)


@pytest.mark.parametrize(
    "change",
    [
        disk(iops=16000, throughput=1000),
        disk(iops=80000, throughput=2000),
        disk(volumeSize=1),
        disk(volumeSize=32, iops=16000, throughput=1000),
        disk(encrypted="true", deleteOnTermination="false"),
        {"userData": text(16384)},
        {"imageId": "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"},
        {"userData": UNKNOWN, "vpcSecurityGroupIds": [UNKNOWN], "imageId": UNKNOWN},
        {SPEC: {"capacityReservationPreference": "open"}},
        {OPTIONS: {"marketType": "spot"}},
        {OPTIONS: {"marketType": "capacity-block"}, SPEC: {"capacityReservationTarget": {"capacityReservationId": CR}}},
        {"instanceType": None, "instanceRequirements": {"vcpuCount": {"min": 96}, "memoryMib": {"min": 1}}},
    ],
)
def test_what_aws_takes_passes(change: dict[str, Any]) -> None:
    inputs = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    assert MemoryCloud().faults(tokens.LAUNCH_TEMPLATE, **inputs) == []


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ([{"resourceType": "instances"}], "tagSpecifications[0].resourceType: expected one of"),
        ([{"resourceType": "volume"}] * 2, "tagSpecifications[1].resourceType: volume is tagged twice"),
        (
            [{"resourceType": "volume", "tags": {"aws:x": "y"}}],
            "tagSpecifications[0].tags: tag keys that begin with aws:",
        ),
        (
            [{"resourceType": "volume", "tags": {str(i): "" for i in range(51)}}],
            "tagSpecifications[0].tags: expected at most 50 tags",
        ),
    ],
)
def test_tag_specifications_are_checked(specs: list[Any], expected: str) -> None:
    check_faults(tokens.LAUNCH_TEMPLATE, GOOD, {"tagSpecifications": specs}, expected)


def test_a_name_is_used_once_per_region() -> None:
    cloud = MemoryCloud()
    cloud.create(tokens.LAUNCH_TEMPLATE, **GOOD)
    with refused("InvalidLaunchTemplateName.AlreadyExistsException"):
        cloud.create(tokens.LAUNCH_TEMPLATE, **GOOD)
    cloud.in_region("us-west-2").create(tokens.LAUNCH_TEMPLATE, **GOOD)


def test_every_change_of_the_contents_is_a_version_and_tags_are_not() -> None:
    cloud = MemoryCloud()
    made = cloud.create(tokens.LAUNCH_TEMPLATE, **GOOD, updateDefaultVersion=True)
    assert (made["latestVersion"], made["defaultVersion"]) == (1, 1)
    made = cloud.update(made, tags={"team": "platform"})
    assert made["latestVersion"] == 1
    made = cloud.update(made, instanceType="p5.48xlarge")
    assert (made["latestVersion"], made["defaultVersion"]) == (2, 2)
    made = cloud.update(made, description="third")
    assert made["latestVersion"] == 3


def test_the_default_version_stays_unless_told_otherwise() -> None:
    cloud = MemoryCloud()
    made = cloud.update(cloud.create(tokens.LAUNCH_TEMPLATE, **GOOD), instanceType="p5.48xlarge")
    assert (made["latestVersion"], made["defaultVersion"]) == (2, 1)
    assert cloud.update(made, defaultVersion=2)["defaultVersion"] == 2
    with refused("InvalidLaunchTemplateId.VersionNotFound"):
        cloud.update(made, defaultVersion=9)


def test_versions_are_found_by_number_and_by_name() -> None:
    cloud = MemoryCloud()
    made = cloud.update(cloud.create(tokens.LAUNCH_TEMPLATE, **GOOD), instanceType="p5.48xlarge")
    assert [version_of(made, v) for v in ("$Latest", "$Default", None, "2", 1)] == [2, 1, 1, 2, 1]
    assert version_of(made, "3") is None
    assert version_of(made, "newest") is None


def test_what_a_template_names_exists() -> None:
    cloud = MemoryCloud()
    for change, code in (
        ({"vpcSecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"iamInstanceProfile": {"name": "node"}}, "InvalidParameterValue"),
        ({"keyName": "laptop"}, "InvalidKeyPair.NotFound"),
        ({"placement": {"groupName": "cluster"}}, "InvalidPlacementGroup.Unknown"),
        ({"networkInterfaces": [{**PRIMARY, "subnetId": "subnet-0123456789abcdef0"}]}, "InvalidSubnetID.NotFound"),
    ):
        with refused(code):
            cloud.create(tokens.LAUNCH_TEMPLATE, **{**GOOD, **change})


def test_groups_are_of_one_vpc() -> None:
    net = network()
    other = network(net.cloud, "10.20")
    with refused("InvalidGroup.NotFound", "does not exist in VPC"):
        net.cloud.create(tokens.LAUNCH_TEMPLATE, **GOOD, vpcSecurityGroupIds=[net.group.id, other.group.id])


def test_a_template_does_not_hold_its_group() -> None:
    net = network()
    net.cloud.create(tokens.LAUNCH_TEMPLATE, **GOOD, vpcSecurityGroupIds=[net.group.id])
    net.cloud.delete(net.group)


def test_the_zone_is_of_the_region_and_offers_the_type() -> None:
    cloud = MemoryCloud()
    with refused("InvalidParameterValue", "us-west-2a"):
        cloud.create(tokens.LAUNCH_TEMPLATE, **GOOD, placement={"availabilityZone": "us-west-2a"})
    with refused("Unsupported", "choosing us-east-1a, us-east-1b"):
        cloud.create(tokens.LAUNCH_TEMPLATE, **GOOD, placement={"availabilityZone": "us-east-1f"})


def test_the_region_offers_the_type() -> None:
    with refused("InvalidParameterValue", "do not exist in region eu-south-1"):
        MemoryCloud("eu-south-1").create(tokens.LAUNCH_TEMPLATE, **GOOD)


def test_a_known_image_fits_the_machine_and_its_disk() -> None:
    cloud = MemoryCloud()
    arm = next(i for i in images.images(cloud) if i.architecture == "arm64")
    with refused("InvalidParameterValue", "architecture 'arm64' of the specified AMI"):
        cloud.create(tokens.LAUNCH_TEMPLATE, **{**GOOD, "imageId": arm.id})
    ours = next(i for i in images.images(cloud) if i.root_gib == 60)
    root = [{"deviceName": ours.root_device, "ebs": {"volumeSize": 59, "volumeType": "gp3"}}]
    with refused("InvalidBlockDeviceMapping", "expect size>= 60GB"):
        cloud.create(tokens.LAUNCH_TEMPLATE, **{**GOOD, "imageId": ours.id}, blockDeviceMappings=root)


def test_a_name_may_be_made_from_a_prefix() -> None:
    cloud = MemoryCloud()
    kind, inputs = AWS.kinds[tokens.LAUNCH_TEMPLATE], Args({**GOOD, "name": None, "namePrefix": "node-"})
    name = kind.outputs("lt-1", inputs, cloud, None)["name"]
    assert name.startswith("node-")
    assert len(name) == len("node-") + 26
