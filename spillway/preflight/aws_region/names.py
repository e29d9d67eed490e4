"""Who holds the fixed names that a stack will use, each kind asked in its own service's way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from spillway.preflight.aws_calls import answered, code_of, pages
from spillway.preflight.aws_region.answers import stack_of
from spillway.preflight.aws_region.facts import NameKind, Owned

_FREE = frozenset(
    (
        "InvalidLaunchTemplateName.NotFoundException",
        "InvalidLaunchTemplateId.NotFound",
        "LoadBalancerNotFound",
        "LoadBalancerNotFoundException",
        "TargetGroupNotFound",
        "TargetGroupNotFoundException",
        "NoSuchEntity",
        "NoSuchEntityException",
    )
)


class NameHolders:
    """Asks one region. `client` makes a service's client."""

    def __init__(self, client: Callable[[str], Any], region: str) -> None:
        self._client, self._region = client, region

    def holder(self, kind: NameKind, name: str) -> Owned | None:
        """Who holds the name, None when it is free. Raises model.Unanswered."""
        services = {
            "launch template": ("ec2", self._launch_template),
            "auto scaling group": ("autoscaling", self._group),
            "load balancer": ("elbv2", self._balancer),
            "target group": ("elbv2", self._target_group),
            "role": ("iam", self._role),
        }
        service, ask = services[kind]
        with answered(service, self._region):
            try:
                return ask(name)
            except ClientError as error:
                if code_of(error) in _FREE:
                    return None
                raise

    def _launch_template(self, name: str) -> Owned | None:
        found = self._client("ec2").describe_launch_templates(LaunchTemplateNames=[name])["LaunchTemplates"]
        return Owned(found[0]["LaunchTemplateId"], stack_of(found[0].get("Tags"))) if found else None

    def _group(self, name: str) -> Owned | None:
        client = self._client("autoscaling")
        found = list(pages(client, "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=[name]))
        return Owned(name, stack_of(found[0].get("Tags"))) if found else None

    def _balancer(self, name: str) -> Owned | None:
        found = self._client("elbv2").describe_load_balancers(Names=[name])["LoadBalancers"]
        return self._balanced(found[0]["LoadBalancerArn"]) if found else None

    def _target_group(self, name: str) -> Owned | None:
        found = self._client("elbv2").describe_target_groups(Names=[name])["TargetGroups"]
        return self._balanced(found[0]["TargetGroupArn"]) if found else None

    def _balanced(self, arn: str) -> Owned:
        told = self._client("elbv2").describe_tags(ResourceArns=[arn])["TagDescriptions"]
        return Owned(arn, stack_of(told[0].get("Tags")) if told else "")

    def _role(self, name: str) -> Owned | None:
        found = self._client("iam").get_role(RoleName=name)["Role"]
        return Owned(found["Arn"], stack_of(found.get("Tags")))
