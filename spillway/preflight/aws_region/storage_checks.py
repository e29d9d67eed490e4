"""The model bucket and its weights, the key that encrypts disks, and the roles of services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from infra import naming
from infra.node_config import model_prefix
from spillway.preflight.aws_region.context import AwsContext
from spillway.preflight.model import Row
from spillway.preflight.secret_checks import where

SERVICE_ROLES: Final[Mapping[str, str]] = {
    "AWSServiceRoleForAutoScaling": "autoscaling.amazonaws.com",
    "AWSServiceRoleForEC2Spot": "spot.amazonaws.com",
    "AWSServiceRoleForElasticLoadBalancing": "elasticloadbalancing.amazonaws.com",
}
"""https://docs.aws.amazon.com/autoscaling/ec2/userguide/autoscaling-service-linked-role.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/service-linked-roles-spot-instance-requests.html,
https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/elb-service-linked-roles.html"""


def bucket(context: AwsContext) -> Iterator[Row]:
    """The model bucket's name. Names are global: somebody else may have taken it."""
    config = context.config
    name = naming.bucket_name(config.account, config.region)
    found = context.account.bucket(name)
    title, id = "model bucket", "bucket"
    if found.owner == "nobody":
        yield Row(id, title, "ok", f"{name}: free", "free, or this stack's")
    elif found.owner == "somebody else":
        action = "another account holds the name; ask AWS Support, or use another account for this stack"
        yield Row(id, title, "failure", f"{name}: taken by another account", "free, or this stack's", action)
    elif found.region and found.region != config.region:
        action = "delete it there: the name holds the region that it belongs to"
        yield Row(id, title, "failure", f"{name}: in {found.region}", config.region, action)
    elif found.stack != context.stack:
        whose = f"of stack {found.stack}" if found.stack else "without this stack's tag"
        action = f"tag it spillway:stack={context.stack} and run `spillway recover {context.stack}`, or delete it"
        yield Row(id, title, "failure", f"{name}: yours already, {whose}", "free, or this stack's", action)
    else:
        yield Row(id, title, "ok", f"{name}: this stack's", "free, or this stack's")


def weights(context: AwsContext) -> Iterator[Row]:
    """The revision's manifest, written last when weights are copied: without it no node gets ready."""
    config = context.config
    prefix = model_prefix(config)
    name, key = naming.bucket_name(config.account, config.region), f"{prefix}manifest.json"
    title, id = "weights", "weights"
    push = (f"spillway models push FOLDER --stack {context.stack}{where(context)}",)
    found = context.account.bucket(name)
    if found.owner != "this account":
        yield Row(id, title, "note", "no bucket yet", key, "after the first `up`, which makes it", commands=push)
    elif context.account.has_object(name, key):
        yield Row(id, title, "ok", f"s3://{name}/{key}", "manifest.json")
    else:
        action = "nodes stay unready until the weights are there, the manifest last"
        yield Row(id, title, "warning", f"s3://{name}/{key}: not there", "manifest.json", action, commands=push)


def service_roles(context: AwsContext) -> Iterator[Row]:
    """Service-linked roles: made at first use, by callers who may."""
    if context.account.stand_in:
        return  # its caller is an administrator, who may make them
    missing = [name for name in SERVICE_ROLES if not context.account.service_role(name)]
    if not missing:
        yield Row("roles", "service-linked roles", "ok", f"{len(SERVICE_ROLES)} there", "made at first use")
    for name in missing:
        # Without the spot role, a group's first spot launch needs iam:CreateServiceLinkedRole of whoever made it.
        action = f"aws iam create-service-linked-role --aws-service-name {SERVICE_ROLES[name]}"
        yield Row(
            f"role.{name}",
            f"role {name}",
            "warning",
            "not there yet",
            "made at first use, with iam:CreateServiceLinkedRole",
            action,
        )


def default_key(context: AwsContext) -> Iterator[Row]:
    """The key that encrypts volumes. One of your own has to let Auto Scaling's role use it, or every launch fails
    (https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html)."""
    key, title = context.account.default_key(), "default EBS key"
    if key.state not in ("Enabled", "none yet"):
        action = "enable it, or set another default key: every launch fails while disks cannot be encrypted"
        yield Row("key", title, "failure", f"{key.id}: {key.state}", "Enabled", action)
    elif key.manager == "AWS":
        yield Row("key", title, "ok", f"{key.id}, kept by AWS", "usable by Auto Scaling")
    elif key.scaling:
        yield Row("key", title, "ok", f"{key.id}, your own; Auto Scaling's role may use it", "usable by Auto Scaling")
    else:
        told = "its policy and grants do not name" if key.scaling is False else "cannot see whether its policy names"
        action = "let the role use the key and grant it, or every launch fails"
        yield Row("key", title, "warning", f"{key.id}: {told} AWSServiceRoleForAutoScaling", "usable by it", action)
