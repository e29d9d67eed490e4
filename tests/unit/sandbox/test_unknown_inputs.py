"""Values that only the deployment will tell are the rule in a first preview; no value rule may trip over them."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import AWS
from sandbox.kinds import Args
from sandbox.values import UNKNOWN

GROUP = {"protocol": "tcp", "fromPort": 443, "toPort": 443}
TARGETS = {"enableUnhealthyConnectionTermination": True, "unhealthyDrainingInterval": UNKNOWN}
REQUESTS = {"predefinedMetricType": "ALBRequestCountPerTarget", "resourceLabel": UNKNOWN}


@pytest.mark.parametrize(
    ("token", "inputs"),
    [
        (
            "aws:ec2/vpcEndpoint:VpcEndpoint",
            {"vpcId": UNKNOWN, "serviceName": "com.amazonaws.us-east-1.sts", "vpcEndpointType": UNKNOWN},
        ),
        ("aws:ec2/natGateway:NatGateway", {"connectivityType": UNKNOWN, "subnetId": UNKNOWN}),
        ("aws:ec2/natGateway:NatGateway", {"availabilityMode": UNKNOWN, "vpcId": UNKNOWN}),
        (
            "aws:ec2/flowLog:FlowLog",
            {"vpcId": UNKNOWN, "trafficType": "ALL", "logDestinationType": UNKNOWN, "logDestination": UNKNOWN},
        ),
        (
            "aws:lb/loadBalancer:LoadBalancer",
            {"loadBalancerType": UNKNOWN, "subnetMappings": [{"subnetId": UNKNOWN, "allocationId": UNKNOWN}]},
        ),
        (
            "aws:autoscaling/schedule:Schedule",
            {"scheduledActionName": "a", "autoscalingGroupName": "g", "recurrence": "0 0 * * *", "maxSize": UNKNOWN},
        ),
        ("aws:ec2/securityGroup:SecurityGroup", {"ingress": [{**GROUP, "cidrBlocks": UNKNOWN}]}),
        (
            "aws:ec2/launchTemplate:LaunchTemplate",
            {"blockDeviceMappings": [{"deviceName": "/dev/sdb", "ebs": UNKNOWN}]},
        ),
        (
            "aws:ec2/launchTemplate:LaunchTemplate",
            {"blockDeviceMappings": [{"deviceName": UNKNOWN, "noDevice": UNKNOWN}]},
        ),
        (
            "aws:lb/targetGroup:TargetGroup",
            {"port": 1, "protocol": "TCP", "vpcId": UNKNOWN, "targetHealthStates": [TARGETS]},
        ),
        (
            "aws:autoscaling/policy:Policy",
            {
                "autoscalingGroupName": UNKNOWN,
                "policyType": "TargetTrackingScaling",
                "targetTrackingConfiguration": {"targetValue": 1, "predefinedMetricSpecification": REQUESTS},
            },
        ),
        (
            "aws:autoscaling/policy:Policy",
            {
                "autoscalingGroupName": UNKNOWN,
                "policyType": "TargetTrackingScaling",
                "targetTrackingConfiguration": {
                    "targetValue": 1,
                    "customizedMetricSpecification": {"metrics": UNKNOWN},
                },
            },
        ),
    ],
)
def test_what_is_not_known_yet_is_no_fault(token: str, inputs: dict[str, Any]) -> None:
    assert list(AWS.kinds[token].check(Args(inputs))) == []


def test_an_event_of_a_bucket_that_is_none_is_a_fault_and_no_crash() -> None:
    queues = [{"events": ["x"], "queueArn": UNKNOWN, "id": i} for i in "ab"]
    assert list(
        AWS.kinds["aws:s3/bucketNotification:BucketNotification"].check(Args({"bucket": "b", "queues": queues}))
    )
