"""What exists in a real AWS account and region, by tags: the inventory of `spillway recover`.

EC2 and Auto Scaling are asked themselves, as they answer at once, with states (a deleted NAT gateway stays listed for
an hour) and with what a resource was made with. IAM roles and budgets are found by name prefix and confirmed by tag:
the tagging API lists no roles
(https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html). The rest comes from the
tagging API, by ARN.

Needs: tag:GetResources, ec2:Describe*, autoscaling:DescribeAutoScalingGroups, iam:ListRoles, iam:ListRoleTags,
iam:ListRolePolicies, iam:ListInstanceProfiles, iam:ListInstanceProfileTags, events:ListTargetsByRule,
sns:ListSubscriptionsByTopic, budgets:ViewBudget, budgets:ListTagsForResource, sts:GetCallerIdentity.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.naming import region_prefix
from spillway.errors import SpillwayError
from spillway.recovery import aws_types as types
from spillway.recovery.aws_calls import pages, tags_of, told
from spillway.recovery.aws_route53 import Route53Inventory
from spillway.recovery.model import STACK_TAG, UNHANDLED, Existing, Inventory, Properties, Scope, accounts_of, strings

Json = Mapping[str, Any]

CONTROL_REGION: Final = "us-east-1"
"""Route 53 is global, with its endpoint here: https://docs.aws.amazon.com/general/latest/gr/r53.html"""
POOLED: Final = "made by a pool, and ends with it"


@dataclass(frozen=True, slots=True)
class Listing:
    """One EC2 call, the list in its answer, the resource's id and the parts of its key, if the type has a fixed name.

    filters: what is not there any more is left out.
    """

    operation: str
    items: str
    id: str
    token: str
    key: tuple[str, ...] = ()
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()


# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_Operations.html; the import ids are each type's id:
# https://www.pulumi.com/registry/packages/aws/api-docs/ec2/
EC2: Final = (
    Listing("describe_vpcs", "Vpcs", "VpcId", types.VPC),
    Listing("describe_subnets", "Subnets", "SubnetId", types.SUBNET),
    Listing("describe_internet_gateways", "InternetGateways", "InternetGatewayId", types.INTERNET_GATEWAY),
    Listing("describe_route_tables", "RouteTables", "RouteTableId", types.ROUTE_TABLE),
    Listing("describe_addresses", "Addresses", "AllocationId", types.EIP),
    Listing(
        "describe_nat_gateways",
        "NatGateways",
        "NatGatewayId",
        types.NAT_GATEWAY,
        filters=(("state", ("pending", "available")),),
    ),
    Listing(
        "describe_vpc_endpoints",
        "VpcEndpoints",
        "VpcEndpointId",
        types.VPC_ENDPOINT,
        filters=(("vpc-endpoint-state", ("pendingAcceptance", "pending", "available")),),
    ),
    Listing("describe_security_groups", "SecurityGroups", "GroupId", types.SECURITY_GROUP, ("VpcId", "GroupName")),
    Listing("describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId", types.INGRESS_RULE),
    Listing(
        "describe_launch_templates",
        "LaunchTemplates",
        "LaunchTemplateId",
        types.LAUNCH_TEMPLATE,
        ("LaunchTemplateName",),
    ),
)


@dataclass(frozen=True, slots=True)
class Arn:
    """How an ARN of the tagging API reads. `pattern` is of service and resource; its group `name` is the fixed name.

    imported: what the import takes, "arn" or "name".
    """

    pattern: str
    token: str
    imported: str


# ARN forms: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
# Import ids: the section Import of each type, https://www.pulumi.com/registry/packages/aws/api-docs/
ARNS: Final = (
    Arn(r"s3:(?P<name>[^/]+)", types.BUCKET, "name"),
    Arn(r"secretsmanager:secret:(?P<name>.+)-[A-Za-z0-9]{6}", types.SECRET, "arn"),
    Arn(r"elasticloadbalancing:loadbalancer/(?:net|app|gwy)/(?P<name>[^/]+)/[0-9a-f]+", types.LOAD_BALANCER, "arn"),
    Arn(r"elasticloadbalancing:targetgroup/(?P<name>[^/]+)/[0-9a-f]+", types.TARGET_GROUP, "arn"),
    Arn(r"elasticloadbalancing:listener/(?:net|app|gwy)/[^/]+/[0-9a-f]+/[0-9a-f]+", types.LISTENER, "arn"),
    Arn(r"cloudwatch:alarm:(?P<name>.+)", types.ALARM, "name"),
    Arn(r"logs:log-group:(?P<name>[^:]+)(?::\*)?", types.LOG_GROUP, "name"),
    Arn(r"events:rule/(?P<name>[^/]+)", types.EVENT_RULE, "name"),
    Arn(r"sns:(?P<name>[^:]+)", types.TOPIC, "arn"),
)
ELSEWHERE: Final = re.compile(r"(autoscaling|iam|budgets):.*|route53:(hostedzone|healthcheck)/.*")
"""Asked for by their own services."""
POOLS: Final = re.compile(r"ec2:(instance|volume|network-interface|spot-instances-request|fleet)/.+")
EC2_LISTED: Final = re.compile(
    r"ec2:(vpc|subnet|internet-gateway|route-table|elastic-ip|natgateway|vpc-endpoint|security-group|security-group-rule|"
    r"launch-template)/.+"
)
GATEWAY_ROUTES: Final = ("vpce-", "local")
"""Targets of routes that AWS itself keeps: a gateway endpoint's, and the network's own."""


def resource_of(arn: str) -> str:
    """`arn:aws:sns:us-east-1:123456789012:topic` -> `sns:topic`."""
    _, _, service, _, _, resource = arn.split(":", 5)
    return f"{service}:{resource}"


class AwsInventory:
    """One account and region. `session` brings the credentials; `account` is the id that they belong to."""

    def __init__(self, session: boto3.Session, region: str, account: str) -> None:
        self._session, self._region, self._account = session, region, account

    def client(self, service: str) -> Any:
        """The service's client in this region."""
        return self._session.client(service, region_name=self._region)

    def existing(self, scope: Scope) -> list[Existing]:
        """See model.Inventory. Raises SpillwayError in AWS's words when a call is refused."""
        tokens = scope.tokens()
        if tokens and all(token.startswith(types.ROUTE53) for token in tokens if token.startswith("aws:")):
            return []  # a global stack has nothing in a region
        stack = scope.stack
        found: list[Existing] = []
        parts: Sequence[Callable[[str], Iterable[Existing]]] = (
            self._ec2,
            self._groups,
            self._tagged,
            self._roles,
            self._instance_profiles,
            self._budgets,
        )
        for part in parts:
            try:
                found += part(stack)
            except (ClientError, BotoCoreError) as error:
                where = f"{self._account}, {self._region}"
                raise SpillwayError(f"listing what exists in {where}: {told(error)}") from None
        return found

    # EC2

    def _ec2(self, stack: str) -> Iterator[Existing]:
        client = self.client("ec2")
        for listing in EC2:
            filters = [{"Name": f"tag:{STACK_TAG}", "Values": [stack]}]
            filters += [{"Name": name, "Values": list(values)} for name, values in listing.filters]
            for item in pages(client, listing.operation, listing.items, Filters=filters):
                yield self._listed(listing, item)
                if listing.token == types.ROUTE_TABLE:
                    yield from self._table_parts(item)

    def _listed(self, listing: Listing, item: Json) -> Existing:
        token = listing.token
        if token == types.SECURITY_GROUP and item.get("GroupName") == "default":
            # A program adopts it, and nobody can delete it:
            # https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html
            token = types.DEFAULT_SECURITY_GROUP
        if token == types.INGRESS_RULE and item.get("IsEgress"):
            token = types.EGRESS_RULE
        key = "/".join(str(item.get(part)) for part in listing.key) or None
        refs = frozenset(strings(item)) - {item[listing.id]}
        return Existing(token, item[listing.id], key, tags_of(item.get("Tags")), self._region, refs)

    def _table_parts(self, table: Json) -> Iterator[Existing]:
        """Routes and associations: neither has tags, and both refuse a second create."""
        id = table["RouteTableId"]
        for route in table.get("Routes") or []:
            target = str(route.get("GatewayId") or "")
            if route.get("Origin") != "CreateRoute" or target.startswith(GATEWAY_ROUTES):
                continue
            names = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
            destination = next((route[name] for name in names if route.get(name)), None)
            if destination is not None:
                key = f"{id}_{destination}"  # the import id has this form, too
                yield Existing(types.ROUTE, key, key, region=self._region, parents=frozenset({id}))
        for association in table.get("Associations") or []:
            other = association.get("SubnetId") or association.get("GatewayId")
            if association.get("Main") or other is None:
                continue
            yield Existing(
                types.ASSOCIATION, f"{other}/{id}", other, region=self._region, parents=frozenset({id, other})
            )

    # Auto Scaling

    def _groups(self, stack: str) -> Iterator[Existing]:
        client = self.client("autoscaling")
        filters = [{"Name": f"tag:{STACK_TAG}", "Values": [stack]}]
        for group in pages(client, "describe_auto_scaling_groups", "AutoScalingGroups", Filters=filters):
            name = group["AutoScalingGroupName"]
            refs = {*str(group.get("VPCZoneIdentifier") or "").split(","), *(group.get("TargetGroupARNs") or [])} - {""}
            going = "is being deleted" if group.get("Status") else None
            yield Existing(
                types.GROUP, name, name, tags_of(group.get("Tags")), self._region, frozenset(refs), keep=going
            )

    # The tagging API

    def _tagged(self, stack: str) -> Iterator[Existing]:
        client = self.client("resourcegroupstaggingapi")
        filters = [{"Key": STACK_TAG, "Values": [stack]}]
        for item in pages(client, "get_resources", "ResourceTagMappingList", TagFilters=filters):
            arn, tags = item["ResourceARN"], tags_of(item.get("Tags"))
            resource = resource_of(arn)
            if ELSEWHERE.fullmatch(resource) or EC2_LISTED.fullmatch(resource):
                continue
            if POOLS.fullmatch(resource):
                yield Existing(resource.partition("/")[0], arn, None, tags, self._region, keep=POOLED)
                continue
            yield (found := self._by_arn(arn, resource, tags))
            yield from self._parts(found)

    def _by_arn(self, arn: str, resource: str, tags: Mapping[str, str]) -> Existing:
        for row in ARNS:
            match = re.fullmatch(row.pattern, resource)
            if match is not None:
                name = match.groupdict().get("name")
                id = arn if row.imported == "arn" else str(name)
                return Existing(row.token, id, name, tags, self._region)
        return Existing(resource, arn, None, tags, self._region, keep=UNHANDLED)

    def _parts(self, parent: Existing) -> Iterator[Existing]:
        """What a rule or a topic has of its own and would be listed nowhere else."""
        if parent.token == types.EVENT_RULE:
            for target in pages(self.client("events"), "list_targets_by_rule", "Targets", Rule=parent.id):
                id = f"{parent.id}/{target['Id']}"
                yield Existing(types.EVENT_TARGET, id, id, region=self._region, parents=frozenset({parent.id}))
        elif parent.token == types.TOPIC:
            listed = pages(self.client("sns"), "list_subscriptions_by_topic", "Subscriptions", TopicArn=parent.id)
            for subscription in listed:
                arn = subscription["SubscriptionArn"]
                if not arn.startswith("arn:"):  # "PendingConfirmation": Subscribe answers with the one that waits
                    continue
                key = f"{parent.id} {subscription['Protocol']} {subscription['Endpoint']}"
                yield Existing(types.SUBSCRIPTION, arn, key, region=self._region, parents=frozenset({parent.id}))

    # Found by name, confirmed by tag

    def _roles(self, stack: str) -> Iterator[Existing]:
        client = self.client("iam")
        for name, tags in self._named(client, stack, "list_roles", "Roles", "RoleName", "list_role_tags"):
            yield Existing(types.ROLE, name, name, tags)
            for policy in pages(client, "list_role_policies", "PolicyNames", RoleName=name):
                id = f"{name}:{policy}"
                yield Existing(types.ROLE_POLICY, id, id, parents=frozenset({name}))

    def _instance_profiles(self, stack: str) -> Iterator[Existing]:
        client, kind = self.client("iam"), ("list_instance_profiles", "InstanceProfiles", "InstanceProfileName")
        for name, tags in self._named(client, stack, *kind, "list_instance_profile_tags"):
            yield Existing(types.INSTANCE_PROFILE, name, name, tags)

    @staticmethod
    def _named(
        client: Any, stack: str, operation: str, items: str, property: str, tags_operation: str
    ) -> Iterator[tuple[str, Mapping[str, str]]]:
        """(name, tags) of what starts with the stack's prefix and carries its tag."""
        prefix = _prefix(stack)
        for item in pages(client, operation, items):
            name = item[property]
            if name.startswith(prefix):
                tags = tags_of(list(pages(client, tags_operation, "Tags", **{property: name})))
                if tags.get(STACK_TAG) == stack:
                    yield name, tags

    def _budgets(self, stack: str) -> Iterator[Existing]:
        client = self._session.client("budgets", region_name="us-east-1")  # its one endpoint
        for budget in pages(client, "describe_budgets", "Budgets", AccountId=self._account):
            name = budget["BudgetName"]
            if not name.startswith(_prefix(stack)):
                continue
            arn = f"arn:aws:budgets::{self._account}:budget/{name}"
            tags = tags_of(client.list_tags_for_resource(ResourceARN=arn).get("ResourceTags"))
            if tags.get(STACK_TAG) == stack:
                yield Existing(types.BUDGET, f"{self._account}:{name}", name, tags)


def _prefix(stack: str) -> str:
    try:
        return region_prefix(stack)
    except ValueError as error:
        raise SpillwayError(str(error)) from None


def inventories(providers: Iterable[Properties]) -> Sequence[Inventory]:
    """Per region and profile of the stack's AWS providers what is in the region, per profile what is in Route 53.

    Raises SpillwayError when the credentials are missing or lead to an account that the provider does not allow.
    """
    out: list[Inventory] = []
    seen: set[tuple[str, str]] = set()
    asked: set[str] = set()
    for settings in providers:
        region, profile = str(settings.get("region") or ""), str(settings.get("profile") or "")
        if (region, profile) in seen:
            continue
        seen.add((region, profile))
        try:
            session = boto3.Session(profile_name=profile or None, region_name=region or None)
            account = session.client("sts").get_caller_identity()["Account"]
        except (ClientError, BotoCoreError) as error:
            raise SpillwayError(f"AWS credentials for {region}: {told(error)}") from None
        allowed = accounts_of(settings)
        if allowed and account not in allowed:
            raise SpillwayError(f"AWS account {account}: the stack's provider allows {', '.join(allowed)} only")
        out.append(AwsInventory(session, session.region_name, account))
        if account not in asked:
            asked.add(account)
            out.append(Route53Inventory(session.client("route53", region_name=CONTROL_REGION), account))
    return out
