"""What Route 53 knows by list: its regions, health checkers' places, and the quotas of an account.

Route 53 is one service for all regions; its quotas are looked up and raised in us-east-1
(https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DNSLimitations.html).
"""

from __future__ import annotations

from typing import Final

from sandbox.aws.quotas import Quota
from sandbox.kinds import Cloud, CloudError

ZONE: Final = "aws:route53/zone:Zone"
RECORD: Final = "aws:route53/record:Record"
HEALTH_CHECK: Final = "aws:route53/healthCheck:HealthCheck"
DELEGATION_SET: Final = "aws:route53/delegationSet:DelegationSet"
QUERY_LOG: Final = "aws:route53/queryLog:QueryLog"
KEY_SIGNING_KEY: Final = "aws:route53/keySigningKey:KeySigningKey"
DNSSEC: Final = "aws:route53/hostedZoneDnsSec:HostedZoneDnsSec"
ZONE_ASSOCIATION: Final = "aws:route53/zoneAssociation:ZoneAssociation"
VPC_AUTHORIZATION: Final = "aws:route53/vpcAssociationAuthorization:VpcAssociationAuthorization"
CIDR_COLLECTION: Final = "aws:route53/cidrCollection:CidrCollection"
CIDR_LOCATION: Final = "aws:route53/cidrLocation:CidrLocation"
TRAFFIC_POLICY: Final = "aws:route53/trafficPolicy:TrafficPolicy"
TRAFFIC_POLICY_INSTANCE: Final = "aws:route53/trafficPolicyInstance:TrafficPolicyInstance"

HOME: Final = "us-east-1"
"""The region of Route 53's control plane, where its quotas, query logs and signing keys live."""

# https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
CHECKER_REGIONS: Final = (
    "us-east-1", "us-west-1", "us-west-2", "eu-west-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1",
    "sa-east-1",
)  # fmt: skip

_COMMERCIAL: Final = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "ca-west-1", "mx-central-1", "sa-east-1",
    "eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2",
    "af-south-1", "me-south-1", "me-central-1", "il-central-1", "ap-east-1", "ap-east-2", "ap-south-1", "ap-south-2",
    "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6",
    "ap-southeast-7", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "cn-north-1", "cn-northwest-1",
    "us-gov-east-1", "us-gov-west-1", "eusc-de-east-1",
)  # fmt: skip
LATENCY_REGIONS: Final = _COMMERCIAL
"""Regions that a latency record may name: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html"""
ALL_REGIONS: Final = (
    *_COMMERCIAL, "us-iso-east-1", "us-iso-west-1", "us-isob-east-1", "us-isob-west-1", "us-isof-south-1",
    "us-isof-east-1", "eu-isoe-west-1",
)  # fmt: skip
"""Regions of CloudWatch alarms and of VPCs, those of other partitions among them:
https://docs.aws.amazon.com/Route53/latest/APIReference/API_AlarmIdentifier.html, API_VPC.html"""

ZONES_PER_DELEGATION_SET: Final = 100


def check_room(cloud: Cloud, quota: Quota, have: int, code: str, message: str) -> None:
    """Refuse one more when the account's quota is used up. Raises CloudError `code` with `message`, in which `{limit}`
    stands for the quota."""
    limit = cloud.quota(quota.code, quota.default, region=HOME)
    if have + 1 > limit:
        raise CloudError(code, message.format(limit=f"{limit:g}"))
