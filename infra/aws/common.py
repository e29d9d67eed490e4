"""What the components of an AWS region share: who they belong to, and how a policy document is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra import naming


@dataclass(frozen=True, slots=True)
class Scope:
    """Stack, region and account of everything in a region, and the stack file's own tags."""

    stack: str
    region: str
    account: str
    extra_tags: Mapping[str, str] = field(default_factory=dict)

    def tags(self, component: str, label: str | None = None, *, pool: str | None = None) -> dict[str, str]:
        """Tags of one resource; `label` becomes `Name`, with the region's prefix."""
        full = None if label is None else naming.name(self.stack, label)
        return naming.tags(self.stack, component, self.extra_tags, pool=pool, label=full)

    def name(self, suffix: str) -> str:
        """A fixed resource name with the region's prefix."""
        return naming.name(self.stack, suffix)

    def arn(self, service: str, resource: str) -> str:
        """An ARN in this region and account."""
        return naming.arn(service, self.region, self.account, resource)

    def policy_arn(self, name: str) -> str:
        """The ARN of a managed policy of this account, which is in no region."""
        return f"arn:{naming.partition(self.region)}:iam::{self.account}:policy/{name}"

    def group_arn(self, group: str) -> str:
        """The ARN of an auto scaling group by name; its middle part is a UUID that AWS chooses, hence the star
        (https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2autoscaling.html)."""
        return self.arn("autoscaling", f"autoScalingGroup:*:autoScalingGroupName/{group}")


def policy(statements: Sequence[Mapping[str, Any]]) -> str:
    """A policy document as JSON text. Written from values known before anything exists, so that a preview shows it
    whole: one unknown ARN would hide the entire document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=None, separators=(",", ":"))
