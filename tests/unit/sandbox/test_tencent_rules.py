"""What the stand-in Tencent Cloud refuses, as the provider and the cloud do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.differ import changes
from sandbox.kinds import Args, CloudError
from sandbox.tencentcloud import TENCENTCLOUD, tokens
from sandbox.tencentcloud.configurations import INTERNATIONAL
from tests.support import tencent
from tests.support.tencent import RIGHTS, TRUST, empty, everything, region

NET = region()
CONFIGURATION = NET.configuration_inputs()
LISTENER: dict[str, Any] = {"clbId": "lb-1", "listenerName": "tls", "protocol": "TCP", "port": 443, **tencent.CHECK}
INTERNAL = {"clbName": "lb", "networkType": "INTERNAL", "vpcId": "vpc-1", "subnetId": "subnet-1"}
GROUP = {"scalingGroupName": "g", "configurationId": "asc-1", "vpcId": "vpc-1", "subnetIds": ["subnet-1"],
         "minSize": 1, "maxSize": 2}  # fmt: skip
RULE = {"action": "ACCEPT", "cidrBlock": "0.0.0.0/0", "protocol": "TCP", "port": "443"}


@pytest.mark.parametrize(
    ("token", "inputs", "told"),
    [
        (tokens.VPC, {"name": "v", "cidrBlock": "8.8.0.0/16"}, "cidrBlock: expected a network in 10/8"),
        (tokens.VPC, {"name": "v" * 61, "cidrBlock": "10.0.0.0/16"}, "name: expected a length of 1 to 60"),
        (tokens.VPC, {"name": "v", "cidrBlock": "10.0.0.0/16", "tags": {"qcs:a": "b"}}, "tags: expected keys"),
        (tokens.SUBNET, {"name": "s", "vpcId": "v", "cidrBlock": "10.0.0.0/24", "availabilityZone": "ap-guangzhou-9"},
         "availabilityZone: expected a zone"),
        (tokens.ROUTE_ENTRY, {"routeTableId": "r", "destinationCidrBlock": "0.0.0.0/0", "nextType": "IGW",
                              "nextHub": "n"}, "nextType: expected one of"),
        (tokens.RULE_SET, {"securityGroupId": "s", "ingresses": [{**RULE, "protocol": "ALL"}]},
         "ingresses[0].port: with protocol ALL"),
        (tokens.RULE_SET, {"securityGroupId": "s", "egresses": [{**RULE, "sourceSecurityId": "sg-1"}]},
         "egresses[0]: exactly one of"),
        (tokens.RULE_SET, {"securityGroupId": "s", "ingresses": [{**RULE, "port": "443-"}]}, "ingresses[0].port"),
        (tokens.RULE_SET, {"securityGroupId": "s", "ingresses": [RULE] * 101}, "ingresses: expected at most 100"),
        (tokens.EIP, {"internetChargeType": "TRAFFIC_POSTPAID_BY_HOUR", "internetMaxBandwidthOut": 101},
         "internetMaxBandwidthOut: expected 1 to 100"),
        (tokens.NAT, {"name": "n", "vpcId": "v", "assignedEipSets": ["1.2.3.4"], "natProductVersion": 2,
                      "bandwidth": 100}, "bandwidth: expected one of 5000"),
        (tokens.BUCKET, {"bucket": "spillway-models"}, "bucket: expected up to 60"),
        (tokens.BUCKET, {"bucket": "b-1250000000", "acl": "authenticated-read"}, "acl: expected one of"),
        (tokens.BUCKET, {"bucket": "b-1250000000", "kmsId": "k"}, "kmsId: goes with encryptionAlgorithm KMS"),
        (tokens.SECRET, {"secretName": "spillway/certificate"}, "secretName: expected up to 128"),
        (tokens.ROLE, {"name": "r", "document": RIGHTS}, "document.statement[0].principal: is required"),
        (tokens.POLICY, {"name": "p", "document": TRUST}, "document.statement[0].resource: is required"),
        (tokens.POLICY, {"name": "p", "document": RIGHTS.replace("2.0", "1.0")}, 'document: expected an object with'),
        (tokens.POLICY, {"name": "p", "document": RIGHTS.replace("qcs::", "arn:")}, "document.statement[0].resource"),
        (tokens.CONFIGURATION, CONFIGURATION | {"instanceTypes": ["GT4.99XLARGE1"]}, "instanceTypes[0]: unknown"),
        (tokens.CONFIGURATION, CONFIGURATION | {"systemDiskType": "gp3"}, "systemDiskType: expected one of"),
        (tokens.CONFIGURATION, CONFIGURATION | {"dataDisks": [{"diskSize": 105}]}, "diskSize: expected a multiple"),
        (tokens.CONFIGURATION, CONFIGURATION | {"password": "Xy12345!"}, "password: conflicts with keepImageLogin"),
        (tokens.CONFIGURATION, CONFIGURATION | {"userData": "#cloud-config"}, "userData: expected base64"),
        (tokens.CONFIGURATION, CONFIGURATION | {"instanceChargeType": "SPOTPAID"}, "spotMaxPrice: is required"),
        (tokens.CONFIGURATION, CONFIGURATION | {"spotMaxPrice": "1.0"}, "spotMaxPrice: goes with"),
        (tokens.GROUP, GROUP | {"minSize": 3}, "minSize: expected at most maxSize"),
        (tokens.GROUP, GROUP | {"retryPolicy": "NEVER"}, "retryPolicy: expected one of"),
        (tokens.GROUP, GROUP | {"scalingGroupName": "g" * 56}, "scalingGroupName: expected up to 55"),
        (tokens.GROUP, GROUP | {"forwardBalancerIds": [
            {"loadBalancerId": "l", "listenerId": "l", "targetAttributes": [{"port": 443, "weight": 101}]}]},
         "weight: expected 0 to 100"),
        (tokens.HOOK, {"scalingGroupId": "g", "lifecycleHookName": "h", "lifecycleTransition": "INSTANCE_TERMINATING",
                       "heartbeatTimeout": 10}, "heartbeatTimeout: expected 30 to 7,200"),
        (tokens.SCALING_POLICY, {"scalingGroupId": "g", "policyName": "p", "period": 120}, "period: expected one of"),
        (tokens.BALANCER, INTERNAL | {"internetChargeType": "TRAFFIC_POSTPAID_BY_HOUR"},
         "internetChargeType: goes with networkType OPEN"),
        (tokens.BALANCER, {"clbName": "lb", "networkType": "OPEN", "eipAddressId": "eip-1"},
         "eipAddressId: goes with networkType INTERNAL"),
        (tokens.BALANCER, {"clbName": "lb", "networkType": "INTERNAL"}, "subnetId: is required"),
        (tokens.LISTENER, LISTENER | {"healthCheckType": "HTTPS"}, "healthCheckType: expected one of TCP, HTTP"),
        (tokens.LISTENER, LISTENER | {"healthCheckTimeOut": 5}, "healthCheckTimeOut: expected less than"),
        (tokens.LISTENER, LISTENER | {"healthCheckType": "TCP"}, "healthCheckHttpPath: goes with"),
        (tokens.LISTENER, LISTENER | {"scheduler": "IP_HASH"}, "scheduler: expected one of"),
    ],
)  # fmt: skip
def test_a_value_that_the_provider_refuses_is_a_fault(token: str, inputs: dict[str, Any], told: str) -> None:
    assert any(told in fault for fault in empty().faults(token, **inputs)), empty().faults(token, **inputs)


def test_spot_is_refused_on_the_international_site_and_sold_on_the_china_site() -> None:
    net = region()
    spot = {"instanceChargeType": "SPOTPAID", "spotInstanceType": "one-time", "spotMaxPrice": "100.0"}
    with pytest.raises(CloudError, match="SPOTPAID is not supported on the international site"):
        net.configuration(**spot)
    net.cloud.set_quota(INTERNATIONAL, 0)
    assert net.configuration(**spot)["instanceChargeType"] == "SPOTPAID"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"imageId": "img-00000000"}, "InvalidImageId.NotFound"),
        ({"imageId": "img-spw2011c"}, "InvalidImageState"),
        ({"imageId": "img-mmytdhbn"}, "InvalidParameterValue.KeepImageLogin"),
        ({"systemDiskSize": 50}, "InvalidParameterValue.SystemDiskSize"),
        ({"securityGroupIds": ["sg-00000000"]}, ""),
        ({"camRoleName": "nobody"}, "InvalidParameterValue.CamRoleName"),
    ],
)
def test_a_launch_configuration_names_what_exists_and_fits(more: dict[str, Any], code: str) -> None:
    with pytest.raises(CloudError) as refused:
        region().configuration(**more)
    assert refused.value.code.startswith(code)


def test_a_group_launches_only_what_one_of_its_zones_sells() -> None:
    net = region()
    only_in_7 = net.configuration(instanceTypes=["PNV4.7XLARGE116"])
    with pytest.raises(CloudError, match=r"none of PNV4\.7XLARGE116 is sold in ap-guangzhou-4, ap-guangzhou-6"):
        net.scaling_group(only_in_7)


def test_a_group_is_bound_to_a_listener_of_a_balancer_in_its_own_network() -> None:
    net = region()
    configuration, listener = net.configuration(), net.listener(net.balancer())
    other = net.cloud.create(tokens.VPC, name="other", cidrBlock="10.49.0.0/16")
    subnet = net.cloud.create(
        tokens.SUBNET, name="s", vpcId=other.id, availabilityZone="ap-guangzhou-4", cidrBlock="10.49.0.0/24"
    )
    with pytest.raises(CloudError, match="The balancer"):
        net.scaling_group(configuration, listener, vpcId=other.id, subnetIds=[subnet.id])
    with pytest.raises(CloudError, match="is not of the VPC"):
        net.scaling_group(configuration, subnetIds=[subnet.id])
    made = net.scaling_group(configuration, listener)
    with pytest.raises(CloudError):
        net.cloud.delete(configuration)
    with pytest.raises(CloudError):
        net.scaling_group(configuration, listener)
    assert made["instanceCount"] == 2


def test_a_groups_size_follows_its_bounds_and_is_its_own_otherwise() -> None:
    net = region()
    group = net.scaling_group(net.configuration(), desiredCapacity=None)
    assert group["desiredCapacity"] == 2
    assert net.cloud.update(group, minSize=3)["desiredCapacity"] == 3
    with pytest.raises(CloudError, match="not between 3 and 4"):
        net.cloud.update(group, minSize=3, desiredCapacity=1)


def test_an_address_serves_one_thing_and_stays_while_it_does() -> None:
    net = region()
    address = net.address()
    assert address["publicIp"].startswith("198.51.100.")
    balancer = net.balancer(eipAddressId=address.id)
    with pytest.raises(CloudError, match=f"bound to {balancer.id}"):
        net.cloud.create(tokens.NAT, name="nat", vpcId=net.vpc.id, assignedEipSets=[address["publicIp"]])
    with pytest.raises(CloudError):
        net.cloud.delete(address)
    with pytest.raises(CloudError, match="already exists"):
        net.balancer()


def test_subnets_lie_in_their_network_apart_from_each_other_and_in_the_region() -> None:
    net = region()
    common = {"name": "more", "vpcId": net.vpc.id}
    for cidr, zone, told in (
        ("10.99.0.0/24", "ap-guangzhou-4", "outside"),
        ("10.48.48.0/24", "ap-guangzhou-4", "overlaps"),
        ("10.48.0.0/24", "ap-shanghai-4", "lies elsewhere"),
    ):
        with pytest.raises(CloudError, match=told):
            net.cloud.create(tokens.SUBNET, **common, cidrBlock=cidr, availabilityZone=zone)


def test_a_gateway_with_a_route_and_a_network_with_a_subnet_are_in_use() -> None:
    cloud = everything()
    for token in (tokens.NAT, tokens.VPC, tokens.SUBNET, tokens.SECURITY_GROUP, tokens.EIP):
        with pytest.raises(CloudError):
            cloud.delete(cloud.all(token)[0])


def test_a_bucket_belongs_to_the_account_that_its_name_ends_in() -> None:
    with pytest.raises(CloudError, match="does not end in the account's APPID"):
        empty().create(tokens.BUCKET, bucket="spillway-models-1250000000")


def test_two_listeners_share_no_port_and_long_silence_needs_a_larger_instance() -> None:
    net = region()
    balancer = net.balancer()
    net.listener(balancer)
    with pytest.raises(CloudError, match="has a listener already"):
        net.listener(balancer)
    with pytest.raises(CloudError, match="at most 900"):
        net.listener(balancer, port=444, idleConnectTimeout=1200)


def test_images_are_found_by_name_and_those_of_others_are_told_apart_by_type() -> None:
    find = TENCENTCLOUD.invokes["tencentcloud:Images/getInstance:getInstance"]
    found = find(Args({"imageNameRegex": "^spillway-vllm-2026-11-1$", "imageTypes": ["PRIVATE_IMAGE"]}), empty())
    assert [image["imageId"] for image in found["images"]] == [tencent.IMAGE]
    assert find(Args({"imageNameRegex": "^nothing$"}), empty())["images"] == []
    public = find(Args({"imageTypes": ["PUBLIC_IMAGE"]}), empty())["images"]
    assert {image["imageType"] for image in public} == {"PUBLIC_IMAGE"}


def test_a_policy_in_another_order_is_the_same_policy() -> None:
    document = json.loads(RIGHTS)
    other = json.dumps(dict(reversed(document.items())), indent=1)
    kind = TENCENTCLOUD.kinds[tokens.POLICY]
    assert other != RIGHTS
    assert changes({"document": RIGHTS}, {"document": other}, documents=kind.json_properties) == {}
