"""Volumes, snapshots, images and capacity reservations."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from sandbox.aws import AWS, images, tokens
from sandbox.aws.ec2_reservations import offering, offering_id
from sandbox.kinds import Args, Resource
from tests.support.aws_region import Network, check_faults, network, refused
from tests.support.memory_cloud import MemoryCloud

VOLUME = {"availabilityZone": "us-east-1a", "size": 100, "type": "gp3"}
RESERVATION: dict[str, Any] = {
    "instanceType": "p4d.24xlarge",
    "instancePlatform": "Linux/UNIX",
    "availabilityZone": "us-east-1a",
    "instanceCount": 1,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"availabilityZone": "a"}, "availabilityZone: expected the name of an availability zone"),
        ({"size": None}, "size: size or snapshotId must be set"),
        ({"size": 0}, "size: expected 1 to 65,536 GiB for gp3"),
        ({"type": "ssd"}, "type: expected one of gp3"),
        ({"iops": 100}, "iops: expected 3,000 to 80,000"),
        ({"size": 20, "iops": 12000}, "iops: at most 500 IOPS per GiB for gp3: 10,000 for 20 GiB"),
        ({"throughput": 1000}, "throughput: at most 0.25 MiB/s per IOPS"),
        ({"multiAttachEnabled": True}, "multiAttachEnabled: is only for volumes of type io1 and io2"),
        ({"kmsKeyId": "key"}, "kmsKeyId: expected an ARN"),
    ],
)
def test_a_volume_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.VOLUME, VOLUME, change, expected)


def test_a_volume_has_the_performance_of_its_type() -> None:
    cloud = MemoryCloud()
    fast = cloud.create(tokens.VOLUME, **VOLUME)
    assert (fast["iops"], fast["throughput"]) == (3000, 125)
    old = cloud.create(tokens.VOLUME, availabilityZone="us-east-1a", size=1000)
    assert (old["type"], old["iops"]) == ("gp2", 3000)


def test_a_volume_is_in_a_zone_of_the_region_and_only_grows() -> None:
    cloud = MemoryCloud()
    with refused("InvalidZone.NotFound"):
        cloud.create(tokens.VOLUME, **{**VOLUME, "availabilityZone": "us-west-2a"})
    made = cloud.create(tokens.VOLUME, **VOLUME)
    with refused("InvalidParameterValue", "cannot be smaller"):
        cloud.update(made, size=50)
    assert cloud.update(made, size=200)["size"] == 200


def test_a_volume_holds_its_snapshot() -> None:
    cloud = MemoryCloud()
    snapshot = cloud.create(tokens.SNAPSHOT, volumeId=cloud.create(tokens.VOLUME, **VOLUME).id)
    assert snapshot["volumeSize"] == 100
    with refused("InvalidParameterValue", "smaller than snapshot"):
        cloud.create(tokens.VOLUME, **{**VOLUME, "size": 99}, snapshotId=snapshot.id)
    like_it = cloud.create(tokens.VOLUME, availabilityZone="us-east-1a", snapshotId=snapshot.id)
    assert like_it["size"] == 100


def test_a_snapshot_is_copied_to_another_region() -> None:
    cloud = MemoryCloud()
    snapshot = cloud.create(tokens.SNAPSHOT, volumeId=cloud.create(tokens.VOLUME, **VOLUME).id)
    west = cloud.in_region("us-west-2")
    inputs = {"sourceRegion": "us-east-1", "sourceSnapshotId": snapshot.id}
    copy = west.create(tokens.SNAPSHOT_COPY, **inputs, encrypted=True)
    assert (copy["volumeSize"], copy["encrypted"]) == (100, True)
    check_faults(tokens.SNAPSHOT_COPY, inputs, {"sourceRegion": "west"}, "sourceRegion: expected the name of a region")
    key = {"kmsKeyId": "arn:aws:kms:us-west-2:123456789012:key/k", "encrypted": False}
    check_faults(tokens.SNAPSHOT_COPY, inputs, key, "kmsKeyId: needs encrypted to be true")


def instance(net: Network, zone: int = 0) -> Resource:
    image = next(i for i in images.images(net.cloud) if i.architecture == "x86_64")
    return net.cloud.create(tokens.INSTANCE, ami=image.id, instanceType="t3.micro", subnetId=net.subnets[zone].id)


def test_a_volume_is_attached_once_in_its_own_zone() -> None:
    net = network()
    volume = net.cloud.create(tokens.VOLUME, **VOLUME)
    here, there = instance(net), instance(net, 1)
    inputs = {"deviceName": "/dev/sdf", "volumeId": volume.id}
    with refused("InvalidVolume.ZoneMismatch"):
        net.cloud.create(tokens.VOLUME_ATTACHMENT, **inputs, instanceId=there.id)
    net.cloud.create(tokens.VOLUME_ATTACHMENT, **inputs, instanceId=here.id)
    with refused("VolumeInUse"):
        net.cloud.create(tokens.VOLUME_ATTACHMENT, **{**inputs, "deviceName": "/dev/sdg"}, instanceId=here.id)
    with refused("VolumeInUse", here.id):
        net.cloud.delete(volume)


def test_a_device_name_is_used_once_per_instance() -> None:
    net = network()
    here = instance(net)
    for code in ("", "InvalidParameterValue"):
        volume = net.cloud.create(tokens.VOLUME, **VOLUME)
        inputs = {"deviceName": "/dev/sdf", "volumeId": volume.id, "instanceId": here.id}
        if code:
            with refused(code, "already in use"):
                net.cloud.create(tokens.VOLUME_ATTACHMENT, **inputs)
        else:
            net.cloud.create(tokens.VOLUME_ATTACHMENT, **inputs)
    good = {"deviceName": "/dev/sdf", "volumeId": volume.id, "instanceId": here.id}
    check_faults(tokens.VOLUME_ATTACHMENT, good, {"deviceName": "disk"}, "deviceName: expected a device name")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "x"}, "name: expected 3 to 128"),
        ({"architecture": "riscv"}, "architecture: expected one of arm64"),
        ({"virtualizationType": "kvm"}, "virtualizationType: expected one of hvm"),
        ({"bootMode": "bios"}, "bootMode: expected one of legacy-bios"),
        (
            {"rootDeviceName": "/dev/sda1", "ebsBlockDevices": [{"deviceName": "/dev/xvda"}]},
            "rootDeviceName: no entry of ebsBlockDevices",
        ),
    ],
)
def test_an_image_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.AMI, {"name": "node"}, change, expected)


def test_an_image_is_made_from_an_instance_and_copied() -> None:
    net = network()
    made = net.cloud.create(tokens.AMI_FROM_INSTANCE, name="baked", sourceInstanceId=instance(net).id)
    assert made["arn"] == f"arn:aws:ec2:us-east-1::image/{made.id}"
    with refused("InvalidAMIName.Duplicate"):
        net.cloud.create(tokens.AMI_FROM_INSTANCE, name="baked", sourceInstanceId=made["sourceInstanceId"])
    west = net.cloud.in_region("us-west-2")
    copy = west.create(tokens.AMI_COPY, name="baked", sourceAmiId=made.id, sourceAmiRegion="us-east-1")
    assert copy["architecture"] == made["architecture"]
    with refused("InvalidAMIID.NotFound"):
        west.create(tokens.AMI_COPY, name="other", sourceAmiId="ami-0123456789abcdef0", sourceAmiRegion="us-east-1")
    good = {"name": "baked", "sourceAmiId": made.id, "sourceAmiRegion": "us-east-1"}
    key = {"kmsKeyId": "arn:aws:kms:us-west-2:123456789012:key/k"}
    check_faults(tokens.AMI_COPY, good, key, "kmsKeyId: needs encrypted to be true")


def test_an_image_is_shared_with_one_kind_of_party_by_its_owner() -> None:
    cloud = MemoryCloud()
    token = "aws:ec2/amiLaunchPermission:AmiLaunchPermission"
    good = {"imageId": "ami-0123456789abcdef0", "accountId": "210987654321"}
    check_faults(token, good, {"group": "all"}, "group: conflicts with accountId")
    check_faults(token, good, {"accountId": "21"}, "accountId: expected an account id of 12 digits")
    public = next(i for i in images.images(cloud) if i.owner_id != cloud.account)
    with refused("InvalidAMIID.NotFound"):
        cloud.create(token, imageId=public.id, accountId="210987654321")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"instanceType": "p4"}, 'instanceType: "p4" is not an instance type of EC2'),
        ({"availabilityZone": "a"}, "availabilityZone: expected the name"),
        ({"instancePlatform": "Linux"}, "instancePlatform: expected one of Linux/UNIX"),
        ({"instanceCount": 0}, "instanceCount: expected 1 to 1,000"),
        ({"endDateType": "limited"}, "endDate: is required when endDateType is limited"),
        ({"endDate": "2027-01-01T00:00:00Z"}, "endDate: can only be set when endDateType is limited"),
        ({"endDateType": "limited", "endDate": "soon"}, "endDate: expected a time such as"),
        ({"instanceMatchCriteria": "any"}, "instanceMatchCriteria: expected one of open, targeted"),
        ({"tenancy": "host"}, "tenancy: expected one of default, dedicated"),
    ],
)
def test_a_capacity_reservation_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.CAPACITY_RESERVATION, RESERVATION, change, expected)


def test_a_reservation_needs_capacity_quota_and_a_zone_that_offers_the_type() -> None:
    cloud = MemoryCloud()
    with refused("Unsupported"):
        cloud.create(tokens.CAPACITY_RESERVATION, **{**RESERVATION, "availabilityZone": "us-east-1f"})
    with refused("InvalidParameterValue", "us-west-2a"):
        cloud.create(tokens.CAPACITY_RESERVATION, **{**RESERVATION, "availabilityZone": "us-west-2a"})
    cloud.set_quota("L-417A185B", 191)
    with refused("InstanceLimitExceeded", "vCPU limit of 191"):
        cloud.create(tokens.CAPACITY_RESERVATION, **{**RESERVATION, "instanceCount": 2})
    made = cloud.create(tokens.CAPACITY_RESERVATION, **RESERVATION)
    with refused("InstanceLimitExceeded"):
        cloud.update(made, instanceCount=2)
    cloud.sell_out("us-east-1b", "p4d.24xlarge", "on-demand")
    cloud.set_quota("L-417A185B", 960)
    with refused("InsufficientInstanceCapacity"):
        cloud.create(tokens.CAPACITY_RESERVATION, **{**RESERVATION, "availabilityZone": "us-east-1b"})


def test_an_offering_id_says_what_it_is() -> None:
    id = offering_id("p5.48xlarge", "us-east-1a", 2, 7, date(2027, 1, 4))
    assert offering(id) == {
        "instanceType": "p5.48xlarge",
        "availabilityZone": "us-east-1a",
        "instanceCount": 2,
        "capacityDurationHours": 168,
        "startDate": "2027-01-04T11:30:00Z",
        "endDate": "2027-01-11T11:30:00Z",
    }
    assert offering("cb-0123456789abcdef0") is None


def _offering(cloud: MemoryCloud, **arguments: Any) -> dict[str, Any]:
    find = AWS.invokes["aws:ec2/getCapacityBlockOffering:getCapacityBlockOffering"]
    return find(
        Args({"instanceType": "p4d.24xlarge", "capacityDurationHours": 24, "instanceCount": 1, **arguments}), cloud
    )


def test_a_capacity_block_is_bought_once_and_where_it_was_offered() -> None:
    cloud = MemoryCloud()
    found = _offering(cloud, startDateRange="2027-01-04T00:00:00Z")
    inputs = {"capacityBlockOfferingId": found["capacityBlockOfferingId"], "instancePlatform": "Linux/UNIX"}
    with refused("InvalidCapacityBlockOfferingId.NotFound"):
        cloud.in_region("us-west-2").create(tokens.CAPACITY_BLOCK, **inputs)
    block = cloud.create(tokens.CAPACITY_BLOCK, **inputs)
    assert (block["instanceType"], block["availabilityZone"]) == ("p4d.24xlarge", "us-east-1a")
    assert (block["startDate"], block["endDate"]) == ("2027-01-04T11:30:00Z", "2027-01-05T11:30:00Z")
    with refused("CapacityBlockOfferingNotAvailable"):
        cloud.create(tokens.CAPACITY_BLOCK, **inputs)


def test_capacity_blocks_come_in_days_and_weeks_for_types_that_have_them() -> None:
    cloud = MemoryCloud()
    for hours in (12, 25, 24 * 15, 24 * 189):
        with refused("InvalidParameterValue", "capacityDurationHours"):
            _offering(cloud, capacityDurationHours=hours)
    assert _offering(cloud, capacityDurationHours=24 * 182)["capacityDurationHours"] == 4368
    with refused("InvalidParameterValue", "is not sold as capacity block"):
        _offering(cloud, instanceType="g6e.48xlarge")
    with refused("InvalidParameterValue", "instanceCount"):
        _offering(cloud, instanceCount=65)
    for letter in "abcd":
        cloud.sell_out(f"us-east-1{letter}", "p4d.24xlarge", "on-demand")
    with refused("CapacityBlockOfferingNotAvailable"):
        _offering(cloud)
