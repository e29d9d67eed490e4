"""A program of AWS resources in which every policy finds something, and one of each that it leaves alone."""

from __future__ import annotations

import json
from typing import Any

TAGS = {"spillway:stack": "dev", "spillway:component": "test", "spillway:managed-by": "pulumi"}

PLANTED = "planted-secret"


def _policy(action: str, resource: str) -> str:
    statement = {"Sid": "Anything", "Effect": "Allow", "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


def program() -> dict[str, Any]:
    """name -> resource; names say what is wrong with it."""
    group = {
        "name": "spot-alone",
        "minSize": 2,
        "maxSize": 6,
        "vpcZoneIdentifiers": ["${public-subnet.id}"],
        "mixedInstancesPolicy": {
            "instancesDistribution": {
                "onDemandBaseCapacity": 0,
                "onDemandPercentageAboveBaseCapacity": 0,
                "spotAllocationStrategy": "price-capacity-optimized",
            },
            "launchTemplate": {
                "launchTemplateSpecification": {"launchTemplateId": "${open-template.id}", "version": "1"},
                "overrides": [{"instanceType": "p5.48xlarge"}],
            },
        },
        "tags": [{"key": key, "value": value, "propagateAtLaunch": True} for key, value in TAGS.items()],
    }
    return {
        "untagged-vpc": {"type": "aws:ec2/vpc:Vpc", "inputs": {"cidrBlock": "10.0.0.0/16"}},
        "public-subnet": {
            "type": "aws:ec2/subnet:Subnet",
            "inputs": {
                "vpcId": "${untagged-vpc.id}",
                "cidrBlock": "10.0.1.0/24",
                "availabilityZone": "us-east-1a",
                "mapPublicIpOnLaunch": True,
                "tags": TAGS,
            },
        },
        "group": {
            "type": "aws:ec2/securityGroup:SecurityGroup",
            "inputs": {"vpcId": "${untagged-vpc.id}", "name": "dev", "description": "Test", "tags": TAGS},
        },
        "open-ssh": {
            "type": "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            "inputs": {
                "securityGroupId": "${group.id}", "ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
                "cidrIpv4": "0.0.0.0/0", "tags": TAGS,
            },
        },
        "clients": {
            "type": "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            "inputs": {
                "securityGroupId": "${group.id}", "ipProtocol": "tcp", "fromPort": 443, "toPort": 443,
                "cidrIpv4": "0.0.0.0/0", "tags": TAGS,
            },
        },
        "secretive": {
            "type": "aws:iam/role:Role",
            "inputs": {
                "name": "secretive", "assumeRolePolicy": TRUST, "tags": {**TAGS, "spillway:stack": {"secret": PLANTED}}
            },
        },
        "hidden": {
            "type": "aws:iam/rolePolicy:RolePolicy",
            "inputs": {
                "name": "hidden", "role": "${secretive.name}", "policy": {"secret": _policy(f"{PLANTED}:*", "*")}
            },
        },
        "role": {"type": "aws:iam/role:Role", "inputs": {"name": "dev", "assumeRolePolicy": TRUST, "tags": TAGS}},
        "everything": {
            "type": "aws:iam/rolePolicy:RolePolicy",
            "inputs": {"name": "everything", "role": "${role.name}", "policy": _policy("s3:*", "*")},
        },
        "boundary": {
            "type": "aws:iam/policy:Policy",
            "inputs": {"name": "boundary", "policy": _policy("s3:*", "*"), "tags": TAGS},
            "wants": ["arn"],
        },
        "bounded": {
            "type": "aws:iam/role:Role",
            "inputs": {
                "name": "bounded", "assumeRolePolicy": TRUST, "permissionsBoundary": "${boundary.arn}", "tags": TAGS
            },
        },
        "granted": {
            "type": "aws:iam/policy:Policy",
            "inputs": {"name": "granted", "policy": _policy("s3:*", "*"), "tags": TAGS},
        },
        "open-template": {
            "type": "aws:ec2/launchTemplate:LaunchTemplate",
            "inputs": {
                "name": "dev",
                "imageId": "ami-042cddaa0be0d80b1",
                "metadataOptions": {"httpTokens": "optional", "httpEndpoint": "enabled"},
                "blockDeviceMappings": [{"deviceName": "/dev/sda1", "ebs": {"volumeSize": 100, "encrypted": "false"}}],
                "tagSpecifications": [{"resourceType": kind, "tags": TAGS} for kind in ("instance", "volume")],
                "tags": TAGS,
            },
        },
        "spot-alone": {"type": "aws:autoscaling/group:Group", "inputs": group},
        "unprotected-zone": {
            "type": "aws:route53/zone:Zone",
            "inputs": {"name": "example.com", "comment": "Test", "tags": TAGS},
        },
        "slow-check": {
            "type": "aws:route53/healthCheck:HealthCheck",
            "inputs": {
                "type": "HTTPS", "ipAddress": "203.0.113.2", "port": 443, "resourcePath": "/readyz",
                "requestInterval": 30, "failureThreshold": 3, "tags": TAGS,
            },
        },
        "long-ttl": {
            "type": "aws:route53/record:Record",
            "inputs": {
                "zoneId": "${unprotected-zone.id}", "name": "llm.example.com", "type": "A", "ttl": 300,
                "records": ["203.0.113.2"], "setIdentifier": "one", "weightedRoutingPolicies": [{"weight": 1}],
                "healthCheckId": "${slow-check.id}",
            },
        },
        **{
            f"address-{number}": {"type": "aws:ec2/eip:Eip", "inputs": {"domain": "vpc", "tags": TAGS}}
            for number in range(6)
        },
    }  # fmt: skip
