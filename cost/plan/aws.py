"""Charges of AWS resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from cost.plan.charges import (
    Charge,
    Charged,
    Context,
    Count,
    Found,
    Free,
    Gap,
    Machines,
    Rule,
    Use,
    always,
    free,
    hourly,
    monthly,
    number,
    numbers,
)
from cost.plan.preview import Resource, Unknown

GROUP: Final = "aws:autoscaling/group:Group"
TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
SUBNET: Final = "aws:ec2/subnet:Subnet"
GP3_IOPS: Final = 3_000
GP3_MIBPS: Final = 125
"""What a gp3 volume has without paying for it (https://aws.amazon.com/ebs/pricing/)."""
DETAILED_METRICS: Final = 7
"""Metrics that an instance with detailed monitoring sends (https://aws.amazon.com/cloudwatch/pricing/, example 1)."""

_VPC = free("https://aws.amazon.com/vpc/pricing/: no charge for a VPC, its subnets, routes and security groups")
_IAM = free("https://aws.amazon.com/iam/: offered at no additional charge")
_ASG = free("https://aws.amazon.com/ec2/autoscaling/pricing/: no charge beyond its instances and alarms")
_BUCKET = free("https://aws.amazon.com/s3/pricing/: settings of a bucket are not charged")


def group(resource: Resource, context: Context) -> Found:
    """An auto scaling group: its nodes, their volumes, their metrics."""
    kind = market(resource, context)
    if isinstance(kind, Gap):
        return [kind]
    sizes = numbers([resource.get("minSize"), resource.get("maxSize")], "nodes")
    if isinstance(sizes, Gap):
        return [sizes]
    template = _template(resource, context)
    types = _types(resource, template)
    found: list[Charged]
    if kind == "capacity-block":
        # All that was bought, for as long as it was bought: `maxSize` is the block's size. Disks are charged beside it.
        count = Count.of(sizes[1])
        found = [Gap("nodes of a capacity block", "paid in advance, at a price of the offer that was accepted")]
    else:
        count = _count(context, kind, sizes[0], sizes[1])
        found = [Machines(kind, types, _zones(resource, context), count, kind == "on-demand")]
        if not types:
            found = [Gap("nodes", "the plan does not say of which machine type")]
    if template is not None:
        found += _volumes(template, count)
        if template.get("monitoring", "enabled") is True:
            found.append(Charge(
                "detailed monitoring", "ec2.detailed-monitoring", count.times(DETAILED_METRICS),
                quantity=f"{DETAILED_METRICS} metrics for each node",
            ))  # fmt: skip
    return found


def market(resource: Resource, context: Context) -> Any:
    """spot, on-demand or capacity-block; a Gap where the plan does not say."""
    template = _template(resource, context)
    told = template.get("instanceMarketOptions", "marketType") if template else None
    if told == "capacity-block":
        return "capacity-block"
    share = resource.get(
        "mixedInstancesPolicy", "instancesDistribution", "onDemandPercentageAboveBaseCapacity"
    )  # fmt: skip
    if told == "spot" or share == 0:
        return "spot"
    if isinstance(share, Unknown):
        return Gap("nodes", "whether they are spot is known only after the deployment")
    return "on-demand"


def _count(context: Context, kind: str, least: Decimal, most: Decimal) -> Count:
    """A group's nodes by case: the fallback keeps the sum of both minima served, on demand if need be."""
    if kind == "spot":
        return Count.of(least, 0, 0)
    spot = Decimal(0)
    for other in context.side.of(GROUP):
        if market(other, context) == "spot" and isinstance(size := number(other.get("minSize"), ""), Decimal):
            spot += size
    return Count.of(least, least + spot, max(most, least + spot))


def _template(resource: Resource, context: Context) -> Resource | None:
    for key in ("mixedInstancesPolicy", "launchTemplate"):
        if (found := context.side.referred(resource, key, TEMPLATE)) is not None:
            return found
    # A deployed stack: the group has the template's id.
    for path in (("mixedInstancesPolicy", "launchTemplate", "launchTemplateSpecification"), ("launchTemplate",)):
        for key, own in (("launchTemplateId", "id"), ("id", "id"), ("launchTemplateName", "name")):
            told = resource.get(*path, key)
            for one in context.side.of(TEMPLATE) if isinstance(told, str) else ():
                if one.get(own) == told:
                    return one
    return None


def _types(resource: Resource, template: Resource | None) -> tuple[str, ...]:
    told = resource.get("mixedInstancesPolicy", "launchTemplate", "overrides")
    rows = told if isinstance(told, list) else []
    types = [row.get("instanceType") for row in rows if isinstance(row, Mapping)]
    if not types and template is not None:
        types = [template.get("instanceType")]
    return tuple(one for one in types if isinstance(one, str) and one)


def _zones(resource: Resource, context: Context) -> tuple[str, ...]:
    subnets = [context.side.by_urn.get(urn) for urn in resource.refers.get("vpcZoneIdentifiers", ())]
    zones = [one.get("availabilityZone") for one in subnets if one is not None and one.type == SUBNET]
    return tuple(sorted({zone for zone in zones if isinstance(zone, str)}))


def _volumes(template: Resource, count: Count) -> list[Charged]:
    """Every volume of every node: size, and what it has beyond gp3's own IOPS and throughput."""
    told = template.get("blockDeviceMappings")
    found: list[Charged] = []
    for row in told if isinstance(told, list) else ():
        disk = row.get("ebs") if isinstance(row, Mapping) else None
        if not isinstance(disk, Mapping):
            continue
        name = f"volume {row.get('deviceName', '')}".strip()
        kind = disk.get("volumeType", "gp2")
        if kind != "gp3":
            found.append(Gap(name, f"volumes of type {kind} are not priced here; Spillway makes gp3"))
            continue
        have = numbers([disk.get("volumeSize"), disk.get("iops", GP3_IOPS), disk.get("throughput", GP3_MIBPS)], name)
        if isinstance(have, Gap):
            found.append(have)
            continue
        size, iops, mibps = have[0], max(Decimal(0), have[1] - GP3_IOPS), max(Decimal(0), have[2] - GP3_MIBPS)
        each = "for each node"
        found.append(Charge(f"{name}, gp3", "ebs.gp3.storage", count.times(size), quantity=f"{size} GiB {each}"))
        if iops:
            text = f"{iops:,} above {GP3_IOPS:,} {each}"
            found.append(Charge(f"{name}, IOPS", "ebs.gp3.iops", count.times(iops), quantity=text))
        if mibps:
            text = f"{mibps:,} MiB/s above {GP3_MIBPS} {each}"
            found.append(Charge(f"{name}, throughput", "ebs.gp3.throughput", count.times(mibps), quantity=text))
    return found


def alarm(resource: Resource, context: Context) -> Found:
    """Each metric that an alarm looks at is charged (https://aws.amazon.com/cloudwatch/pricing/)."""
    queries = resource.get("metricQueries")
    rows = queries if isinstance(queries, list) else []
    metrics = sum(isinstance(row, Mapping) and bool(row.get("metric")) for row in rows) or 1
    return [monthly("alarm", "cloudwatch.alarm", metrics, quantity=f"{metrics} metrics")]


def balancer(resource: Resource, context: Context) -> Found:
    """A network load balancer."""
    kind = resource.get("loadBalancerType")
    if kind != "network":
        return [Gap("load balancer", f"of type {kind}, which is not priced here; Spillway makes network ones")]
    return [
        hourly("load balancer", "nlb.hour"),
        # An LCU holds 1 GB an hour of TLS-free TCP traffic (https://aws.amazon.com/elasticloadbalancing/pricing/).
        Use("load balancer, traffic", "nlb.nlcu", "balancerGb"),
        Use("traffic to the internet", "egress.internet", "egressGb"),
    ]


def endpoint(resource: Resource, context: Context) -> Found:
    """A VPC endpoint: of the gateway kind free, of the interface kind by the hour and zone."""
    kind = resource.get("vpcEndpointType")
    if kind in (None, "Gateway"):
        return Free("https://docs.aws.amazon.com/vpc/latest/privatelink/gateway-endpoints.html: no additional charge")
    subnets = resource.get("subnetIds")
    count = len(subnets) if isinstance(subnets, list) else 1
    return [
        hourly("VPC endpoint", "endpoint.interface.hour", count),
        Use("VPC endpoint, data", "endpoint.interface.data", "endpointGb"),
    ]


def check(resource: Resource, context: Context) -> Found:
    """A Route 53 health check of an address outside of AWS's own, and its extras; calculated ones have no extras."""
    kind = resource.get("type")
    if kind in ("CALCULATED", "RECOVERY_CONTROL"):
        return [monthly("calculated health check", "route53.check.calculated", region="*")]
    extras: list[str] = []
    if isinstance(kind, str) and kind.startswith("HTTPS"):
        extras.append("https")
    if resource.get("requestInterval") == 10:
        extras.append("fast")
    if isinstance(kind, str) and kind.endswith("STR_MATCH"):
        extras.append("string-match")
    if resource.get("measureLatency") is True:
        extras.append("latency")
    found: list[Charged] = [monthly("health check", "route53.check.other", region="*")]
    for extra in extras:
        found.append(monthly(f"health check, {extra}", f"route53.check.{extra}.other", region="*"))
    return found


def _policies(names: Sequence[str], rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names, rule)


RULES: Final[Mapping[str, Rule]] = {
    GROUP: group,
    TEMPLATE: free("https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-launch-templates.html: no charge"),
    "aws:autoscaling/lifecycleHook:LifecycleHook": _ASG,
    "aws:autoscaling/policy:Policy": _ASG,
    "aws:autoscaling/schedule:Schedule": _ASG,
    "aws:budgets/budget:Budget": free("https://aws.amazon.com/aws-cost-management/aws-budgets/pricing/: no charge"
                                      " for budgets without actions"),
    "aws:cloudwatch/eventRule:EventRule": free("https://aws.amazon.com/eventbridge/pricing/: no charge for events of"
                                               " AWS services"),
    "aws:cloudwatch/eventTarget:EventTarget": free("https://aws.amazon.com/eventbridge/pricing/: no charge for events"
                                                   " of AWS services"),
    "aws:cloudwatch/logGroup:LogGroup": always(
        Use("logs, taken in", "cloudwatch.logs.ingest", "logsGb"),
        Use("logs, kept", "cloudwatch.logs.storage", "logsKeptGib"),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": alarm,
    "aws:ec2/eip:Eip": always(hourly("public IPv4 address", "ipv4.hour")),
    "aws:ec2/natGateway:NatGateway": always(
        hourly("NAT gateway", "nat.hour"), Use("NAT gateway, data", "nat.data", "natGb")
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": endpoint,
    "aws:lb/loadBalancer:LoadBalancer": balancer,
    **_policies(
        ("aws:lb/listener:Listener", "aws:lb/targetGroup:TargetGroup"),
        free("https://aws.amazon.com/elasticloadbalancing/pricing/: charged with the load balancer"),
    ),
    **_policies(
        (
            "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "aws:ec2/internetGateway:InternetGateway",
            "aws:ec2/route:Route", "aws:ec2/routeTable:RouteTable",
            "aws:ec2/routeTableAssociation:RouteTableAssociation", "aws:ec2/securityGroup:SecurityGroup", SUBNET,
            "aws:ec2/vpc:Vpc", "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "aws:ec2/placementGroup:PlacementGroup",
            "aws:ec2/defaultRouteTable:DefaultRouteTable", "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl",
        ),
        _VPC,
    ),
    **_policies(
        (
            "aws:iam/instanceProfile:InstanceProfile", "aws:iam/role:Role", "aws:iam/rolePolicy:RolePolicy",
            "aws:iam/policy:Policy", "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        ),
        _IAM,
    ),
    "aws:s3/bucket:Bucket": always(
        Use("objects", "s3.standard.storage", "modelGib"), Use("reads of objects", "s3.get", "modelReads")
    ),
    **_policies(
        (
            "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
            "aws:s3/bucketOwnershipControls:BucketOwnershipControls", "aws:s3/bucketPolicy:BucketPolicy",
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            "aws:s3/bucketVersioning:BucketVersioning",
        ),
        _BUCKET,
    ),
    "aws:secretsmanager/secret:Secret": always(
        monthly("secret", "secretsmanager.secret"), Use("reads of the secret", "secretsmanager.requests", "secretReads")
    ),
    "aws:secretsmanager/secretVersion:SecretVersion": free("https://aws.amazon.com/secrets-manager/pricing/: charged"
                                                           " with the secret"),
    "aws:sns/topic:Topic": always(Use("messages", "sns.publish", "messages")),
    "aws:sns/topicPolicy:TopicPolicy": free("https://aws.amazon.com/sns/pricing/: charged by the message"),
    "aws:sns/topicSubscription:TopicSubscription": free("https://aws.amazon.com/sns/pricing/: charged by the message"),
    "aws:route53/healthCheck:HealthCheck": check,
    "aws:route53/zone:Zone": always(
        monthly("hosted zone", "route53.zone", region="*"),
        Use("DNS queries", "route53.queries", "dnsQueries", region="*"),
    ),
    "aws:route53/record:Record": free("https://aws.amazon.com/route53/pricing/: up to 10,000 records are in the zone's"
                                      " price"),
    "aws:route53/hostedZoneDnsSec:HostedZoneDnsSec": free("https://aws.amazon.com/route53/pricing/"),
}  # fmt: skip
"""By type. What is missing here is listed as unknown, never taken for free."""
