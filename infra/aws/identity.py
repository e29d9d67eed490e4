"""Who a node is: one role with exactly the rights it uses, and the empty containers of its secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

from infra import naming
from infra.aws.common import Scope, policy


@dataclass(frozen=True, slots=True)
class IdentityArgs:
    """What a node may touch.

    model_prefix: folder in `bucket`, `models/<name>/<revision>/`. secrets: label -> name. groups: names of the auto
    scaling groups whose nodes carry the role. log_group: by name; None where logs stay on the nodes. boundary: name of
    the managed policy that bounds the role, if any.
    """

    scope: Scope
    bucket: str
    model_prefix: str
    secrets: Mapping[str, str]
    groups: Sequence[str]
    metrics_namespace: str
    log_group: str | None = None
    boundary: str | None = None


def node_statements(args: IdentityArgs) -> list[dict[str, Any]]:
    """The statements of the node's policy, in full; every ARN is known before the resource exists."""
    scope = args.scope
    bucket = naming.bucket_arn(args.bucket, scope.region)
    prefix = args.model_prefix
    logs = [] if args.log_group is None else [_logs_statement(scope, args.log_group)]
    return [
        *logs,
        {
            "Sid": "ReadModel",
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": f"{bucket}/{prefix}*",
        },
        {
            "Sid": "ListModel",
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": bucket,
            "Condition": {"StringLike": {"s3:prefix": [prefix, f"{prefix}*"]}},
        },
        {
            # Secrets Manager adds a hyphen and six characters to the name; six question marks match nothing longer.
            # https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_iam-policies.html
            "Sid": "ReadSecrets",
            "Effect": "Allow",
            "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
            "Resource": [scope.arn("secretsmanager", f"secret:{name}-??????") for name in args.secrets.values()],
        },
        {
            # SetInstanceHealth is how a node whose own /livez fails asks to be replaced; nothing else judges its
            # liveness.
            "Sid": "OwnLifecycle",
            "Effect": "Allow",
            "Action": [
                "autoscaling:CompleteLifecycleAction",
                "autoscaling:RecordLifecycleActionHeartbeat",
                "autoscaling:SetInstanceHealth",
            ],
            "Resource": [scope.group_arn(group) for group in args.groups],
        },
        {
            # PutMetricData knows no resources, only the namespace can be held fast.
            # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/iam-cw-condition-keys-namespace.html
            "Sid": "Metrics",
            "Effect": "Allow",
            "Action": ["cloudwatch:PutMetricData"],
            "Resource": "*",
            "Condition": {"StringEquals": {"cloudwatch:namespace": args.metrics_namespace}},
        },
        {
            # The least that Session Manager works with; these actions know no resources.
            # https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
            "Sid": "SessionManager",
            "Effect": "Allow",
            "Action": [
                "ssm:UpdateInstanceInformation",
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            "Resource": "*",
        },
    ]


def _logs_statement(scope: Scope, group: str) -> dict[str, Any]:
    """What Fluent Bit asks of a group that stands (https://docs.fluentbit.io/manual/data-pipeline/outputs/cloudwatch);
    neither making a group nor setting a retention. The ARN ends in `:*` for actions on the group and on its streams:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html"""
    return {
        "Sid": "Logs",
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": scope.arn("logs", f"log-group:{group}:*"),
    }


class Identity(pulumi.ComponentResource):
    """Role, instance profile and secret containers of the region's nodes."""

    instance_profile_arn: pulumi.Output[str]
    rights: Sequence[pulumi.Resource]
    """What has to stand before a node boots."""

    def __init__(self, name: str, args: IdentityArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:aws:Identity", name, None, opts)
        child = ResourceOptions(parent=self)
        scope = args.scope
        role = aws.iam.Role(
            f"{name}-node",
            name=scope.name("node"),
            description=f"Nodes of {scope.stack}",
            assume_role_policy=policy(
                [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]
            ),
            permissions_boundary=None if args.boundary is None else scope.policy_arn(args.boundary),
            tags=scope.tags("identity", "node"),
            opts=child,
        )
        rights = aws.iam.RolePolicy(
            f"{name}-node", name="node", role=role.name, policy=policy(node_statements(args)), opts=child
        )
        profile = aws.iam.InstanceProfile(
            f"{name}-node", name=scope.name("node"), role=role.name, tags=scope.tags("identity", "node"), opts=child
        )
        for label, secret in args.secrets.items():
            aws.secretsmanager.Secret(
                f"{name}-{label}",
                name=secret,
                description=f"{label} of {scope.stack}; filled by `spillway secrets push`, never by the stack",
                # Deleted at once: a name in the recovery window cannot be used again for days, just when a region is
                # being rebuilt, and the values are pushed from where they are kept.
                recovery_window_in_days=0,
                tags=scope.tags("identity", label),
                # Protected: another name is another, empty secret, and the value of this one would go with it.
                opts=ResourceOptions(parent=self, protect=True),
            )
        self.instance_profile_arn = profile.arn
        self.rights = [rights, profile]
        self.register_outputs({"instanceProfileArn": self.instance_profile_arn})
