"""What pipelines may do in an AWS account: the statements of their policies. Pure; the actions are in aws_actions."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from infra import naming
from infra.ci.aws_actions import CHANGES, CREATES, NETWORK, WRITES, read_actions
from infra.ci.sections import AwsCi

Statement = dict[str, Any]

LINKED: Final = ("autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com", "spot.amazonaws.com")
OWN_TAG: Final = f"{naming.PROJECT}:managed-by"
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: managed policies, without white space
POLICY_MAX: Final = 6144


@dataclass(frozen=True, slots=True)
class Account:
    """One account as policies name it."""

    id: str
    regions: tuple[str, ...]
    partition: str

    def arn(self, service: str, resource: str, *, region: str = "*") -> str:
        """An ARN of this account, in all regions unless it is of a service without any."""
        return f"arn:{self.partition}:{service}:{region}:{self.id}:{resource}"

    def iam(self, resource: str) -> str:
        """An ARN of IAM, which is in no region."""
        return self.arn("iam", resource, region="")

    @property
    def in_regions(self) -> dict[str, Any]:
        """The condition that a call goes to a region of the stacks."""
        return {"StringEquals": {"aws:RequestedRegion": list(self.regions)}}

    @property
    def models(self) -> list[str]:
        """The model buckets of the stacks."""
        return [naming.bucket_arn(naming.bucket_name(self.id, region), region) for region in self.regions]

    @property
    def node_roles(self) -> list[str]:
        """The roles of the stacks' nodes, and nobody else's."""
        return [self.iam(f"role/{naming.name(f'aws-{region}', 'node')}") for region in self.regions]

    @property
    def node_profiles(self) -> list[str]:
        """The instance profiles of the stacks' nodes."""
        return [self.iam(f"instance-profile/{naming.name(f'aws-{region}', 'node')}") for region in self.regions]

    def own(self, service: str) -> list[str]:
        """What of a service has the names that the stacks give."""
        begin = f"{naming.PROJECT}-aws-"
        return {
            "autoscaling": [self.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{begin}*")],
            "budgets": [self.arn("budgets", f"budget/{begin}*", region="")],
            "cloudwatch": [self.arn("cloudwatch", f"alarm:{begin}*")],
            "elasticloadbalancing": [
                self.arn("elasticloadbalancing", f"{kind}/{begin}*")
                for kind in ("loadbalancer/net", "listener/net", "targetgroup")
            ],
            "events": [self.arn("events", f"rule/{begin}*")],
            "logs": [self.arn("logs", f"log-group:/{naming.PROJECT}/aws-*")],
            "s3": self.models,
            "secretsmanager": [self.arn("secretsmanager", f"secret:{naming.PROJECT}/*")],
            "sns": [self.arn("sns", f"{begin}*")],
        }[service]


def own_arns(config: AwsCi) -> list[str]:
    """The pipelines' own roles and policies, and the identity providers: read to see drift, never changed."""
    here, prefix = account(config), naming.region_prefix(config.stack_name)
    return [here.iam(f"role/{prefix}-*"), here.iam(f"policy/{prefix}-*"), here.iam("oidc-provider/*")]


def account(config: AwsCi) -> Account:
    """The account of a stack file."""
    return Account(config.account, config.regions, naming.partition(config.region))


def _allow(sid: str, actions: Iterable[str], resources: Sequence[str] | str, **condition: Any) -> Statement:
    found: Statement = {"Sid": sid, "Effect": "Allow", "Action": sorted(set(actions)), "Resource": resources}
    return found | ({"Condition": condition} if condition else {})


def _of(service: str, names: str) -> list[str]:
    return [f"{service}:{name}" for name in names.split()]


def preview_statements(config: AwsCi) -> list[Statement]:
    """What previews read. Most of it knows no resources; what does is narrowed to the names of stacks."""
    here = account(config)
    narrow = {
        "iam": [*here.node_roles, *here.node_profiles, *own_arns(config)],
        "s3": here.models,
        "secretsmanager": here.own("secretsmanager"),
        "sns": here.own("sns"),
        "budgets": here.own("budgets"),
        "events": here.own("events"),
    }
    found = []
    actions = read_actions()
    rest = [action for action in actions if action.partition(":")[0] not in narrow]
    for service, resources in narrow.items():
        of_service = [action for action in actions if action.startswith(f"{service}:")]
        found.append(_allow(f"Read{service.capitalize()}", of_service, resources))
    return [_allow("Describe", rest, "*"), *found]


def state_statements(config: AwsCi, *, write: bool) -> list[Statement]:
    """Pulumi's states, where they are in this account's S3.

    https://www.pulumi.com/docs/iac/concepts/state-and-backends/#aws-s3 : a preview takes no lock, and writes nothing.
    """
    if config.state is None:
        return []
    bucket = naming.bucket_arn(config.state.bucket, config.region)
    verbs = ("GetObject", "PutObject", "DeleteObject") if write else ("GetObject",)
    found = [
        _allow("ListStates", ["s3:ListBucket"], bucket),
        _allow("States", [f"s3:{verb}" for verb in verbs], f"{bucket}/.pulumi/*"),
    ]
    if config.state.key is not None:
        uses = ("Decrypt", "Encrypt", "GenerateDataKey") if write else ("Decrypt",)
        found.append(_allow("StateKey", [f"kms:{use}" for use in uses], config.state.key))
    return found


def network_statements(config: AwsCi) -> list[Statement]:
    """Networks, addresses and launch templates: their ids are AWS's, so the stacks' own tag is what narrows them."""
    here = account(config)
    arns = [here.arn("ec2", f"{kind}/*") for kind in NETWORK.split()]
    made = {"aws:RequestedRegion": list(here.regions), f"aws:RequestTag/{OWN_TAG}": "pulumi"}
    has = {"aws:RequestedRegion": list(here.regions), f"aws:ResourceTag/{OWN_TAG}": "pulumi"}
    groups = here.arn("ec2", "security-group/*")
    return [
        _allow("MakeNetwork", _of("ec2", CREATES), arns, StringEquals=made),
        _allow("ChangeNetwork", _of("ec2", CHANGES), arns, StringEquals=has),
        _allow(
            "TagNetwork",
            ["ec2:CreateTags"],
            arns,
            StringEquals={**here.in_regions["StringEquals"], "ec2:CreateAction": sorted(_creating())},
        ),
        # A VPC's default group has no tag yet when the stack takes all rules out of it and tags it.
        _allow(
            "EmptyDefaultGroup",
            _of("ec2", "RevokeSecurityGroupEgress RevokeSecurityGroupIngress"),
            [groups],
            **here.in_regions,
        ),
        _allow("TagDefaultGroup", ["ec2:CreateTags"], [groups], StringEquals=made),
        private_dns(here),
    ]


def private_dns(here: Account) -> Statement:
    """What an interface endpoint with private DNS asks of whoever makes it: its zone is AWS's own.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html (CreateVpcEndpoint)
    """
    zones = f"arn:{here.partition}:route53:::hostedzone/*"
    return _allow("PrivateDns", ["route53:AssociateVPCWithHostedZone"], [zones, here.arn("ec2", "vpc/*")])


def _creating() -> set[str]:
    return {name for name in CREATES.split() if name.startswith(("Create", "Allocate", "Authorize"))}


def launch_statements(config: AwsCi) -> list[Statement]:
    """What a group asks of whoever makes it with a launch template: to be allowed to launch from that template.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-launch-template-permissions.html
    """
    here = account(config)
    kinds = ("instance", "launch-template", "network-interface", "security-group", "subnet", "volume")
    templates = here.arn("ec2", "launch-template/*")
    images = [f"arn:{here.partition}:ec2:{region}::image/*" for region in here.regions]
    return [
        _allow(
            "LaunchByTemplate",
            ["ec2:RunInstances"],
            [*(here.arn("ec2", f"{kind}/*") for kind in kinds), *images],
            ArnLike={"ec2:LaunchTemplate": templates},
            **here.in_regions,
        ),
        _allow(
            "TagLaunched",
            ["ec2:CreateTags"],
            [here.arn("ec2", f"{kind}/*") for kind in ("instance", "network-interface", "volume")],
            StringEquals={"ec2:CreateAction": "RunInstances"},
        ),
        _allow("PassNodeRole", ["iam:PassRole"], here.node_roles, StringEquals={"iam:PassedToService": _EC2}),
        _allow(
            "ServiceRoles",
            ["iam:CreateServiceLinkedRole"],
            here.iam("role/aws-service-role/*"),
            StringEquals={"iam:AWSServiceName": list(LINKED)},
        ),
    ]


_EC2: Final = "ec2.amazonaws.com"


def service_statements(config: AwsCi) -> list[Statement]:
    """Groups, balancers, alarms, logs, buckets, secrets' containers: by the names that the stacks give."""
    here = account(config)
    regional = {service for service in WRITES if service not in ("budgets", "s3")}
    return [
        _allow(
            f"Change{service.capitalize()}",
            _of(service, names),
            here.own(service),
            **(here.in_regions if service in regional else {}),
        )
        for service, names in WRITES.items()
    ]


def dns_statements(config: AwsCi) -> list[Statement]:
    """The records of the zones that the stack file names, and health checks, which have no names."""
    if not config.zones:
        return []
    here = account(config)
    return [
        _allow(
            "ChangeRecords",
            _of("route53", "ChangeResourceRecordSets ChangeTagsForResource UpdateHostedZoneComment"),
            [f"arn:{here.partition}:route53:::hostedzone/{zone}" for zone in config.zones],
        ),
        _allow("FollowChanges", ["route53:GetChange"], f"arn:{here.partition}:route53:::change/*"),
        _allow(
            "ChangeHealthChecks",
            _of("route53", "ChangeTagsForResource CreateHealthCheck DeleteHealthCheck UpdateHealthCheck"),
            f"arn:{here.partition}:route53:::healthcheck/*",
        ),
    ]


def grant_statements(config: AwsCi, node_boundary: str) -> list[Statement]:
    """The nodes' roles, if the file says so: only with the boundary, so that no role can be made that may do more.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html (delegating with boundaries)
    """
    if not config.grants:
        return []
    here = account(config)
    bounded = "CreateRole DeleteRolePolicy PutRolePermissionsBoundary PutRolePolicy"
    plain = "DeleteRole TagRole UntagRole UpdateRole UpdateRoleDescription"
    profile = "CreateInstanceProfile DeleteInstanceProfile TagInstanceProfile UntagInstanceProfile"
    both = "AddRoleToInstanceProfile RemoveRoleFromInstanceProfile"
    return [
        _allow(
            "NodeRights", _of("iam", bounded), here.node_roles, StringEquals={"iam:PermissionsBoundary": node_boundary}
        ),
        _allow("NodeRoles", _of("iam", plain), here.node_roles),
        _allow("NodeProfiles", _of("iam", f"{profile} {both}"), here.node_profiles),
    ]


def deploy_policies(config: AwsCi, node_boundary: str) -> dict[str, list[Statement]]:
    """The deploy role's policies beside the reads, by name; several, as one has at most 6,144 characters."""
    found = {
        "network": network_statements(config),
        "services": service_statements(config),
        "launches": launch_statements(config),
        "grants": grant_statements(config, node_boundary),
        "dns": dns_statements(config),
        "state-write": state_statements(config, write=True),
    }
    return {name: statements for name, statements in found.items() if statements}


def boundary_statements(config: AwsCi) -> list[Statement]:
    """The most that the deploy role can ever be given: the services of a region, in its regions, and of IAM the nodes'
    roles alone; of itself nothing but to be read."""
    here = account(config)
    services = ("autoscaling", "cloudwatch", "ec2", "elasticloadbalancing", "events", "logs", "secretsmanager", "sns")
    # What of S3 and of secrets may be read is in the names below.
    apart = ("s3:", "secretsmanager:")
    reads = sorted({f"{one.partition(':')[0]}:{_verb(one)}*" for one in read_actions() if not one.startswith(apart)})
    state = naming.bucket_arn(config.state.bucket, config.region) if config.state else None
    buckets = [*here.models, *([state, f"{state}/.pulumi/*"] if state else [])]
    return [
        _allow("Read", reads, "*"),
        _allow(
            "Regional", [f"{one}:*" for one in services], [here.arn(one, "*") for one in services], **here.in_regions
        ),
        _allow(
            "Images",
            ["ec2:RunInstances"],
            [f"arn:{here.partition}:ec2:{region}::image/*" for region in here.regions],
        ),
        private_dns(here),
        _allow("Buckets", ["s3:*"], buckets),
        _allow("Budgets", ["budgets:*"], here.own("budgets")),
        _allow("Dns", ["route53:*"], [f"arn:{here.partition}:route53:::{kind}/*" for kind in _DNS]),
        _allow("Nodes", ["iam:*"], [*here.node_roles, *here.node_profiles]),
        _allow("ServiceRoles", ["iam:CreateServiceLinkedRole"], here.iam("role/aws-service-role/*")),
        *(
            [_allow("StateKey", ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"], config.state.key)]
            if config.state and config.state.key
            else []
        ),
        {
            # Values of secrets are pushed by people; whoever deploys has no need of one.
            "Sid": "NoSecretValues",
            "Effect": "Deny",
            "Action": ["secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"],
            "Resource": "*",
        },
        {"Sid": "NotItself", "Effect": "Deny", "NotAction": ["iam:Get*", "iam:List*"], "Resource": own_arns(config)},
        {
            "Sid": "KeepBoundary",
            "Effect": "Deny",
            "Action": ["iam:DeleteRolePermissionsBoundary"],
            "Resource": "*",
        },
    ]


_DNS: Final = ("change", "healthcheck", "hostedzone")


def too_long(config: AwsCi) -> dict[str, int]:
    """Policies with more characters than IAM takes, by name: they grow with a file's stacks and zones."""
    documents = {
        "read": preview_statements(config),
        "boundary": boundary_statements(config),
        "node": node_boundary_statements(config),
        **deploy_policies(config, account(config).iam("policy/" + "x" * naming.NAME_MAX)),
    }
    sizes = {
        name: len(json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":")))
        for name, statements in documents.items()
    }
    return {name: size for name, size in sizes.items() if size > POLICY_MAX}


def _verb(action: str) -> str:
    name = action.partition(":")[2]
    return next(verb for verb in ("Describe", "Get", "List", "View") if name.startswith(verb))


def node_boundary_statements(config: AwsCi) -> list[Statement]:
    """The most that a node of any of the stacks can be given: what infra/aws/identity.py gives, for all of them."""
    here = account(config)
    return [
        _allow("Models", ["s3:GetObject", "s3:ListBucket"], [*here.models, *(f"{one}/*" for one in here.models)]),
        _allow(
            "Secrets", ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], here.own("secretsmanager")
        ),
        _allow(
            "Lifecycle",
            _of("autoscaling", "CompleteLifecycleAction RecordLifecycleActionHeartbeat SetInstanceHealth"),
            here.own("autoscaling"),
        ),
        _allow("Logs", ["logs:CreateLogStream", "logs:PutLogEvents"], here.own("logs")),
        # These know no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
        _allow(
            "Metrics", ["cloudwatch:PutMetricData"], "*", StringEquals={"cloudwatch:namespace": naming.PROJECT.title()}
        ),
        _allow(
            "SessionManager",
            [
                "ssm:UpdateInstanceInformation",
                *_of("ssmmessages", "CreateControlChannel CreateDataChannel OpenControlChannel OpenDataChannel"),
            ],
            "*",
        ),
    ]


def allows(statements: Iterable[Statement], action: str, resource: str) -> bool:
    """Whether an Allow statement covers an action on a resource, whatever its conditions ask."""
    return any(
        fnmatch.fnmatchcase(action, pattern) and fnmatch.fnmatchcase(resource, target)
        for pattern, target in _pairs(statements)
    )


def _pairs(statements: Iterable[Statement]) -> Iterator[tuple[str, str]]:
    for one in statements:
        if one["Effect"] == "Allow":
            resources = [one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"]
            actions = [one["Action"]] if isinstance(one["Action"], str) else one["Action"]
            yield from ((action, resource) for action in actions for resource in resources)
