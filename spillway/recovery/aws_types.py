"""What AWS says about its types: which carry fixed names, which have no tags, which are one thing under two names.

Import ids and the ids in a state differ for some types, so ownership of those is judged by key
(https://www.pulumi.com/registry/packages/aws/api-docs/ec2/route/#import). Nothing has to be adopted of the types whose
create is a Put, or answers with what is there already: the next `up` overwrites them, so nothing doubles
(PutRolePolicy, PutScalingPolicy, PutLifecycleHook, PutTargets, PutBucket*, SetTopicAttributes, Subscribe). Those that
keep their parent from being deleted, or that are listed anyway, are adopted all the same:
https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html
https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutScalingPolicy.html
https://docs.aws.amazon.com/autoscaling/ec2/APIReference/API_PutLifecycleHook.html
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutTargets.html
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
"""

from __future__ import annotations

from typing import Final

from spillway.recovery.model import Key, Properties, Rules, text

VPC: Final = "aws:ec2/vpc:Vpc"
SUBNET: Final = "aws:ec2/subnet:Subnet"
INTERNET_GATEWAY: Final = "aws:ec2/internetGateway:InternetGateway"
ROUTE_TABLE: Final = "aws:ec2/routeTable:RouteTable"
ROUTE: Final = "aws:ec2/route:Route"
ASSOCIATION: Final = "aws:ec2/routeTableAssociation:RouteTableAssociation"
EIP: Final = "aws:ec2/eip:Eip"
NAT_GATEWAY: Final = "aws:ec2/natGateway:NatGateway"
VPC_ENDPOINT: Final = "aws:ec2/vpcEndpoint:VpcEndpoint"
SECURITY_GROUP: Final = "aws:ec2/securityGroup:SecurityGroup"
DEFAULT_SECURITY_GROUP: Final = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
INGRESS_RULE: Final = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS_RULE: Final = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
LAUNCH_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
GROUP: Final = "aws:autoscaling/group:Group"
ROLE: Final = "aws:iam/role:Role"
ROLE_POLICY: Final = "aws:iam/rolePolicy:RolePolicy"
INSTANCE_PROFILE: Final = "aws:iam/instanceProfile:InstanceProfile"
BUCKET: Final = "aws:s3/bucket:Bucket"
SECRET: Final = "aws:secretsmanager/secret:Secret"
LOAD_BALANCER: Final = "aws:lb/loadBalancer:LoadBalancer"
TARGET_GROUP: Final = "aws:lb/targetGroup:TargetGroup"
LISTENER: Final = "aws:lb/listener:Listener"
ALARM: Final = "aws:cloudwatch/metricAlarm:MetricAlarm"
LOG_GROUP: Final = "aws:cloudwatch/logGroup:LogGroup"
EVENT_RULE: Final = "aws:cloudwatch/eventRule:EventRule"
EVENT_TARGET: Final = "aws:cloudwatch/eventTarget:EventTarget"
TOPIC: Final = "aws:sns/topic:Topic"
SUBSCRIPTION: Final = "aws:sns/topicSubscription:TopicSubscription"
BUDGET: Final = "aws:budgets/budget:Budget"
ROUTE53: Final = "aws:route53/"
ZONE: Final = "aws:route53/zone:Zone"
HEALTH_CHECK: Final = "aws:route53/healthCheck:HealthCheck"
RECORD: Final = "aws:route53/record:Record"

_DESTINATIONS: Final = ("destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId")


def _joined(separator: str, *properties: str) -> Key:
    """The properties' values joined; None while one of them is unknown."""

    def key(values: Properties) -> str | None:
        parts = [text(values, name) for name in properties]
        return None if None in parts else separator.join(part for part in parts if part is not None)

    return key


def _route(values: Properties) -> str | None:
    table = text(values, "routeTableId")
    destination = next((d for name in _DESTINATIONS if (d := text(values, name))), None)
    return f"{table}_{destination}" if table and destination else None


def _association(values: Properties) -> str | None:
    """A subnet, or gateway, has one association: https://docs.aws.amazon.com/vpc/latest/userguide/subnet-route-tables.html"""
    return text(values, "subnetId") or text(values, "gatewayId")


def zone_id(value: str) -> str:
    """`/hostedzone/Z123` -> `Z123`, the form of a state and of an import."""
    return value.removeprefix("/hostedzone/")


def record_name(value: str) -> str:
    """A record's name as it is compared: lower case, no dot at the end, and `*` as itself.
    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html"""
    return value.lower().rstrip(".").replace("\\052", "*")


def record_id(zone: str, name: str, type: str, set: str | None) -> str:
    """`ZONEID_name_type_setIdentifier`, a record's natural id and what its import takes:
    https://www.pulumi.com/registry/packages/aws/api-docs/route53/record/#import"""
    return "_".join(filter(None, (zone_id(zone), record_name(name), type, set)))


def _record(values: Properties) -> str | None:
    """In a zone, name, type and set identifier are unique:
    https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html"""
    zone, name, type = text(values, "zoneId"), text(values, "name"), text(values, "type")
    return record_id(zone, name, type, text(values, "setIdentifier")) if zone and name and type else None


RULES: Final = Rules(
    keys={
        ROUTE: _route,
        ASSOCIATION: _association,
        SECURITY_GROUP: _joined("/", "vpcId", "name"),
        LAUNCH_TEMPLATE: _joined("", "name"),
        GROUP: _joined("", "name"),
        ROLE: _joined("", "name"),
        ROLE_POLICY: _joined(":", "role", "name"),
        INSTANCE_PROFILE: _joined("", "name"),
        BUCKET: _joined("", "bucket"),
        SECRET: _joined("", "name"),
        LOAD_BALANCER: _joined("", "name"),
        TARGET_GROUP: _joined("", "name"),
        ALARM: _joined("", "name"),
        LOG_GROUP: _joined("", "name"),
        EVENT_RULE: _joined("", "name"),
        EVENT_TARGET: _joined("/", "rule", "targetId"),
        TOPIC: _joined("", "name"),
        SUBSCRIPTION: _joined(" ", "topic", "protocol", "endpoint"),
        BUDGET: _joined("", "name"),
        RECORD: _record,
    },
    children={
        ROUTE: ("routeTableId",),
        ASSOCIATION: ("routeTableId", "subnetId"),
        ROLE_POLICY: ("role",),
        EVENT_TARGET: ("rule",),
        SUBSCRIPTION: ("topic",),
    },
    own_delete=frozenset({ASSOCIATION, ROLE_POLICY, EVENT_TARGET}),
    same={DEFAULT_SECURITY_GROUP: SECURITY_GROUP},
    # https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html: "You can't delete"
    built_in=frozenset({DEFAULT_SECURITY_GROUP}),
)
