"""Instances and what they are launched with: interfaces, placement groups, keys."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandbox.aws import images, tokens
from sandbox.aws.ec2_interfaces import fingerprint
from sandbox.kinds import Resource
from tests.support.aws_region import IMAGE, Network, check_faults, network, refused
from tests.support.memory_cloud import MemoryCloud

GOOD: dict[str, Any] = {"ami": IMAGE, "instanceType": "t3.micro", "subnetId": "subnet-0123456789abcdef0"}
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl ops@example.com"


def image(cloud: MemoryCloud, architecture: str = "x86_64") -> images.MachineImage:
    return next(i for i in images.images(cloud) if i.architecture == architecture)


def launch(net: Network, zone: int = 0, **more: Any) -> Resource:
    inputs = {"ami": image(net.cloud).id, "instanceType": "t3.micro", "subnetId": net.subnets[zone].id, **more}
    return net.cloud.create(tokens.INSTANCE, **{key: value for key, value in inputs.items() if value is not None})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"ami": None}, "ami: is required unless launchTemplate gives it"),
        ({"instanceType": None}, "instanceType: is required unless launchTemplate gives it"),
        ({"ami": "ubuntu"}, "ami: expected an image id"),
        ({"instanceType": "t3.mikro"}, 'instanceType: "t3.mikro" is not an instance type of EC2; did you mean'),
        ({"subnetId": "subnet"}, "subnetId: expected an id that starts with subnet-"),
        ({"availabilityZone": "us-east-1x"}, "availabilityZone: expected the name of an availability zone"),
        ({"privateIp": "10.0.0"}, "privateIp: expected an IPv4 address"),
        ({"tenancy": "shared"}, "tenancy: expected one of default, dedicated, host"),
        ({"userData": "a", "userDataBase64": "YQ=="}, "userDataBase64: conflicts with userData"),
        ({"userData": "#" * 16385}, "userData: user data is limited to 16,384 bytes, got 16,385"),
        ({"userDataBase64": "%%"}, "userDataBase64: expected user data encoded in base64"),
        ({"userDataBase64": base64.b64encode(b"#" * 16385).decode()}, "userDataBase64: user data is limited to"),
        ({"launchTemplate": {}}, "launchTemplate.id: one of id, name"),
        ({"launchTemplate": {"id": "node"}}, "launchTemplate.id: expected an id that starts with lt-"),
        ({"metadataOptions": {"httpTokens": "on"}}, "metadataOptions.httpTokens: expected one of"),
        ({"rootBlockDevice": {"volumeType": "gp3", "iops": 1}}, "rootBlockDevice.iops: expected 3,000 to 80,000"),
        (
            {"ebsBlockDevices": [{"deviceName": "/dev/sdf"}] * 2},
            "ebsBlockDevices[1].deviceName: the device /dev/sdf is",
        ),
        (
            {"networkInterfaces": [{"deviceIndex": 0, "networkInterfaceId": "eni-0123456789abcdef0"}]},
            "subnetId: conflicts with networkInterfaces",
        ),
        (
            {"primaryNetworkInterface": {"networkInterfaceId": "eni-0123456789abcdef0"}},
            "subnetId: conflicts with primaryNetworkInterface",
        ),
        ({"placementGroup": "a", "placementGroupId": "pg-1"}, "placementGroupId: conflicts with placementGroup"),
        (
            {"instanceMarketOptions": {"marketType": "spot"}, "disableApiTermination": True},
            "disableApiTermination: term",
        ),
    ],
)
def test_an_instance_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.INSTANCE, GOOD, change, expected)


def test_an_instance_reads_like_one_of_aws() -> None:
    net = network()
    made = launch(net, associatePublicIpAddress=True)
    assert made["arn"] == f"arn:aws:ec2:us-east-1:123456789012:instance/{made.id}"
    assert (made["instanceState"], made["availabilityZone"], made["tenancy"]) == ("running", "us-east-1a", "default")
    assert made["privateIp"].startswith("10.16.0.")
    assert made["privateDns"] == f"ip-{made['privateIp'].replace('.', '-')}.ec2.internal"
    assert made["publicIp"].startswith("203.0.113.")
    assert made["rootBlockDevice"]["volumeId"].startswith("vol-")
    assert made["vpcSecurityGroupIds"] == [net.vpc["defaultSecurityGroupId"]]
    again = net.cloud.update(made, tags={"a": "b"})
    for key in ("privateIp", "publicIp", "primaryNetworkInterfaceId", "rootBlockDevice"):
        assert again[key] == made[key]


def test_an_instance_needs_a_subnet_where_there_is_no_default_vpc() -> None:
    with refused("MissingInput"):
        launch(network(), subnetId=None)


def test_an_instance_is_launched_from_an_image_that_exists_and_fits() -> None:
    net = network()
    with refused("InvalidAMIID.NotFound"):
        launch(net, ami=IMAGE)
    with refused("InvalidParameterValue", "architecture 'arm64' of the specified AMI"):
        launch(net, ami=image(net.cloud, "arm64").id)
    big = next(i for i in images.images(net.cloud) if i.root_gib == 60)
    with refused("InvalidBlockDeviceMapping", "expect size>= 60GB"):
        launch(net, ami=big.id, rootBlockDevice={"volumeSize": 8})


def test_a_zone_that_does_not_offer_the_type_refuses() -> None:
    net = network(zones="af")
    with refused("Unsupported", "not supported in your requested Availability Zone (us-east-1f)"):
        launch(net, 1, instanceType="p4d.24xlarge")
    launch(net, 0, instanceType="p4d.24xlarge")


def test_zone_and_subnet_agree() -> None:
    with refused("InvalidParameterValue", "not in the requested Availability Zone us-east-1b"):
        launch(network(), availabilityZone="us-east-1b")


def test_groups_and_addresses_are_of_the_subnets_network() -> None:
    net = network()
    other = network(net.cloud, "10.20")
    with refused("InvalidGroup.NotFound"):
        launch(net, vpcSecurityGroupIds=[other.group.id])
    with refused("InvalidParameterValue", "does not fall within"):
        launch(net, privateIp="10.16.1.9")


def test_an_interface_has_five_groups_at_most() -> None:
    net = network()
    groups = [net.cloud.create(tokens.SECURITY_GROUP, vpcId=net.vpc.id).id for _ in range(6)]
    with refused("SecurityGroupsPerInterfaceLimitExceeded"):
        launch(net, vpcSecurityGroupIds=groups)


def test_spot_and_on_demand_have_quotas_of_their_own() -> None:
    net = network()
    net.cloud.set_quota("L-417A185B", 96)
    launch(net, instanceType="p4d.24xlarge")
    with refused("VcpuLimitExceeded", "current vCPU limit of 96"):
        launch(net, instanceType="p4d.24xlarge")
    net.cloud.set_quota("L-7212CCBC", 0)
    with refused("MaxSpotInstanceCountExceeded"):
        launch(net, instanceType="p4d.24xlarge", instanceMarketOptions={"marketType": "spot"})
    launch(net)  # a T machine counts elsewhere


def test_a_sold_out_market_refuses_and_the_other_one_sells() -> None:
    net = network()
    net.cloud.sell_out("us-east-1a", "p4d.24xlarge", "spot")
    with refused("InsufficientInstanceCapacity", "no Spot capacity"):
        launch(net, instanceType="p4d.24xlarge", instanceMarketOptions={"marketType": "spot"})
    launch(net, instanceType="p4d.24xlarge")
    net.cloud.sell_out("us-east-1a", "p4d.24xlarge", "on-demand")
    with refused("InsufficientInstanceCapacity", "sufficient p4d.24xlarge capacity"):
        launch(net, instanceType="p4d.24xlarge")
    launch(net, 1, instanceType="p4d.24xlarge")


def test_a_bigger_machine_must_be_offered_too() -> None:
    net = network(zones="f")
    made = launch(net)
    with refused("Unsupported"):
        net.cloud.update(made, instanceType="p4d.24xlarge")


def test_a_spot_instance_says_so() -> None:
    made = launch(network(), instanceMarketOptions={"marketType": "spot"})
    assert made["instanceLifecycle"] == "spot"
    assert made["spotInstanceRequestId"].startswith("sir-")


def test_a_launch_template_fills_in_what_the_instance_leaves_out() -> None:
    net = network()
    template = net.cloud.create(
        tokens.LAUNCH_TEMPLATE,
        name="node",
        imageId=image(net.cloud).id,
        instanceType="t3.large",
        vpcSecurityGroupIds=[net.group.id],
    )
    made = launch(net, ami=None, instanceType=None, launchTemplate={"id": template.id})
    assert (made["instanceType"], made["vpcSecurityGroupIds"]) == ("t3.large", [net.group.id])
    with refused("InvalidLaunchTemplateId.VersionNotFound"):
        launch(net, launchTemplate={"id": template.id, "version": "7"})
    with refused("InvalidLaunchTemplateName.NotFoundException"):
        launch(net, launchTemplate={"name": "nodes"})


def test_a_template_without_a_type_is_not_enough() -> None:
    net = network()
    template = net.cloud.create(tokens.LAUNCH_TEMPLATE, name="node", imageId=image(net.cloud).id)
    with refused("MissingParameter", "InstanceType"):
        launch(net, ami=None, instanceType=None, launchTemplate={"id": template.id})


def test_a_protected_instance_is_not_terminated() -> None:
    net = network()
    made = launch(net, disableApiTermination=True)
    with refused("OperationNotPermitted"):
        net.cloud.delete(made)
    net.cloud.delete(net.cloud.update(made, disableApiTermination=None))


def test_an_instance_holds_its_subnet_and_its_groups() -> None:
    net = network()
    launch(net, vpcSecurityGroupIds=[net.group.id])
    for resource in (net.subnets[0], net.group):
        with refused("DependencyViolation"):
            net.cloud.delete(resource)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"subnetId": "net"}, "subnetId: expected an id that starts with subnet-"),
        ({"interfaceType": "ena"}, "interfaceType: expected one of interface, efa"),
        ({"privateIps": ["10.0.0"]}, "privateIps[0]: expected an IPv4 address"),
        ({"ipv4Prefixes": ["10.0.0.16/28"], "ipv4PrefixCount": 1}, "ipv4PrefixCount: conflicts with ipv4Prefixes"),
    ],
)
def test_a_network_interface_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.NETWORK_INTERFACE, {"subnetId": "subnet-0123456789abcdef0"}, change, expected)


def test_a_network_interface_has_addresses_of_its_subnet() -> None:
    net = network()
    made = net.cloud.create(tokens.NETWORK_INTERFACE, subnetId=net.subnets[1].id, privateIpsCount=2)
    assert len(set(made["privateIps"])) == 3
    assert all(address.startswith("10.16.1.") for address in made["privateIps"])
    assert made["macAddress"].count(":") == 5
    with refused("InvalidParameterValue", "does not fall within"):
        net.cloud.create(tokens.NETWORK_INTERFACE, subnetId=net.subnets[1].id, privateIp="10.16.2.4")


def test_a_network_interface_in_use_cannot_be_deleted() -> None:
    net = network()
    nic = net.cloud.create(tokens.NETWORK_INTERFACE, subnetId=net.subnets[0].id)
    made = launch(net, subnetId=None, networkInterfaces=[{"deviceIndex": 0, "networkInterfaceId": nic.id}])
    assert made["subnetId"] == net.subnets[0].id
    with refused("InvalidNetworkInterface.InUse"):
        net.cloud.delete(nic)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"strategy": "near"}, "strategy: expected one of cluster, partition, spread"),
        ({"partitionCount": 2}, "partitionCount: can only be set when strategy is partition"),
        ({"strategy": "partition", "partitionCount": 8}, "partitionCount: expected 1 to 7"),
        ({"spreadLevel": "rack"}, "spreadLevel: can only be set when strategy is spread"),
        ({"strategy": "spread", "spreadLevel": "row"}, "spreadLevel: expected one of host, rack"),
    ],
)
def test_a_placement_group_is_checked(change: dict[str, Any], expected: str) -> None:
    check_faults(tokens.PLACEMENT_GROUP, {"name": "close", "strategy": "cluster"}, change, expected)


def test_a_placement_group_is_unique_and_held_by_its_instances() -> None:
    net = network()
    group = net.cloud.create(tokens.PLACEMENT_GROUP, name="close", strategy="cluster")
    assert group.id == "close"
    assert group["placementGroupId"].startswith("pg-")
    with refused("InvalidPlacementGroup.Duplicate"):
        net.cloud.create(tokens.PLACEMENT_GROUP, name="close", strategy="cluster")
    launch(net, placementGroup="close")
    with refused("InvalidPlacementGroup.InUse"):
        net.cloud.delete(group)


def test_a_public_key_is_an_openssh_one() -> None:
    good = {"keyName": "ops", "publicKey": ED25519}
    for bad in ("", "ssh-dss AAAA", "ssh-ed25519 !!!", "ssh-ed25519 AAAA", ED25519.replace("ssh-ed25519 ", "ssh-rsa ")):
        check_faults(tokens.KEY_PAIR, good, {"publicKey": bad}, "publicKey: expected an OpenSSH public key")


def test_a_key_pair_has_the_fingerprint_that_ec2_shows() -> None:
    cloud = MemoryCloud()
    made = cloud.create(tokens.KEY_PAIR, keyName="ops", publicKey=ED25519)
    assert (made.id, made["keyType"]) == ("ops", "ed25519")
    assert made["fingerprint"] == "+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU="
    with refused("InvalidKeyPair.Duplicate"):
        cloud.create(tokens.KEY_PAIR, keyName="ops", publicKey=ED25519)


def test_an_rsa_fingerprint_is_the_md5_of_its_der_form() -> None:
    """The expected digest is `openssl rsa -pubin -pubout -outform DER | md5sum` of the same key."""
    rsa = (
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7GG24K4K0mgwCZ/Lptf5K37H1ANQ2BxGBc9gRw3l6Rl4mu7+0Ei7WtA5acYK4LVbAJZoy"
        "nMN8EUpTlSrLqyPPvU4I88Sv9ZvLhy9Xpjvrt0Vru4t7awtQLDvd9Qc8XFSGJ/4/iTsbnradoGsPGP4YOcdZffGgkKQQ4rJSL84OHQ=="
    )
    assert fingerprint(rsa) == ("rsa", "0d:b9:10:b5:ea:cb:34:b2:f2:92:c9:2b:ca:c4:f6:b5")
