"""Where the nodes' access and audit logs go: one log group of CloudWatch Logs, made here so that it has a retention.

The nodes' agent makes streams in it, never the group (images/programs/logs.py). docs/observability.md has what leaves.
Encrypted by CloudWatch Logs itself: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/data-protection.html
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

from infra.aws.common import Scope


def group_name(stack: str) -> str:
    """The log group of a stack's nodes, as the agent names it."""
    return f"/spillway/{stack}/nodes"


@dataclass(frozen=True, slots=True)
class LogsArgs:
    """retention_days: one of the numbers that CloudWatch Logs knows."""

    scope: Scope
    retention_days: int


class Logs(pulumi.ComponentResource):
    """The log group of the region's nodes."""

    ready: pulumi.Resource
    """What has to stand before a node boots."""

    def __init__(self, name: str, args: LogsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:aws:Logs", name, None, opts)
        self.ready = aws.cloudwatch.LogGroup(
            f"{name}-nodes",
            name=group_name(args.scope.stack),
            retention_in_days=args.retention_days,
            log_group_class="STANDARD",
            tags=args.scope.tags("logs", "nodes"),
            opts=ResourceOptions(parent=self),
        )
        self.register_outputs({})
