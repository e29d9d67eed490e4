"""What people are told: interruptions, rebalances and failed launches on a topic, and a budget with alerts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

from infra import naming
from infra.aws.common import Scope, policy

# (percent of the limit, kind): https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-best-practices.html
ALERTS: Final = ((80, "ACTUAL"), (100, "ACTUAL"), (100, "FORECASTED"))


@dataclass(frozen=True, slots=True)
class EventsArgs:
    """Whom to tell what. groups: auto scaling groups by name; alarms: names of alarms that may publish."""

    scope: Scope
    groups: Sequence[str]
    alarms: Sequence[str]
    monthly_usd: int
    emails: Sequence[str]


class Events(pulumi.ComponentResource):
    """Topic, event rules and budget of one region."""

    topic_arn: pulumi.Output[str]

    def __init__(self, name: str, args: EventsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:aws:Events", name, None, opts)
        self._name = name
        self._args = args
        self._child = ResourceOptions(parent=self)
        scope = args.scope
        patterns: dict[str, tuple[str, dict[str, Any]]] = {
            # These two name the instance only, neither tags nor group, so a shared account's other spot instances show
            # up too.
            # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
            "interruption": (
                "Spot interruption warnings, two minutes ahead",
                {"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"]},
            ),
            "rebalance": (
                "Rebalance recommendations: an interruption is likely",
                {"source": ["aws.ec2"], "detail-type": ["EC2 Instance Rebalance Recommendation"]},
            ),
            # https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-event-reference.html
            "launch-failed": (
                "Launches that a pool could not make, with the reason (no capacity, or quota)",
                {
                    "source": ["aws.autoscaling"],
                    "detail-type": ["EC2 Instance Launch Unsuccessful"],
                    "detail": {"AutoScalingGroupName": list(args.groups)},
                },
            ),
        }
        rules = {label: scope.name(label) for label in patterns}
        topic_name = scope.name("events")
        # Not encrypted with alias/aws/sns: its key policy lets neither EventBridge nor CloudWatch in, and deliveries
        # would fail in silence. Messages hold instance ids and reasons, no secret; publishers must use TLS.
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-troubleshooting.html
        topic = aws.sns.Topic(f"{name}-events", name=topic_name, tags=scope.tags("events", "events"), opts=self._child)
        topic_policy = aws.sns.TopicPolicy(
            f"{name}-events",
            arn=topic.arn,
            policy=policy(self._topic_statements(scope.arn("sns", topic_name))),
            opts=self._child,
        )
        for label, (description, pattern) in patterns.items():
            rule = aws.cloudwatch.EventRule(
                f"{name}-{label}",
                name=rules[label],
                description=description,
                event_pattern=json.dumps(pattern),
                tags=scope.tags("events", label),
                opts=self._child,
            )
            aws.cloudwatch.EventTarget(
                f"{name}-{label}",
                rule=rule.name,
                target_id="topic",
                arn=topic.arn,
                opts=ResourceOptions(parent=self, depends_on=[topic_policy]),
            )
        self._budget()
        self.topic_arn = topic.arn
        self.register_outputs({"topicArn": self.topic_arn})

    def _topic_statements(self, topic: str) -> list[dict[str, Any]]:
        scope = self._args.scope
        alarms = [scope.arn("cloudwatch", f"alarm:{alarm}") for alarm in self._args.alarms]

        def publish(service: str) -> dict[str, Any]:
            return {
                "Sid": service,
                "Effect": "Allow",
                "Principal": {"Service": f"{service}.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": topic,
            }

        # Rules cannot be held to their ARN here: "You can't use Condition blocks in Amazon SNS topic policies for
        # EventBridge"; nothing would arrive, and only the rule's FailedInvocations would tell.
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html (Amazon SNS permissions)
        allowed = [publish("events")]
        if alarms:
            allowed.append(publish("cloudwatch") | {"Condition": {"ArnEquals": {"aws:SourceArn": alarms}}})
        return [
            *allowed,
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": topic,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ]

    def _budget(self) -> None:
        args, scope = self._args, self._args.scope
        aws.budgets.Budget(
            f"{self._name}-budget",
            name=naming.region_prefix(scope.stack),
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(args.monthly_usd),
            limit_unit="USD",
            # Counts only what carries the stack's tag, once `spillway:stack` is activated as a cost allocation tag.
            # https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html
            cost_filters=[
                aws.budgets.BudgetCostFilterArgs(
                    name="TagKeyValue", values=[f"user:{naming.PROJECT}:stack${scope.stack}"]
                )
            ],
            notifications=[
                aws.budgets.BudgetNotificationArgs(
                    comparison_operator="GREATER_THAN",
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    notification_type=kind,
                    subscriber_email_addresses=list(args.emails),
                )
                for percent, kind in ALERTS
            ],
            tags=scope.tags("events", "budget"),
            opts=self._child,
        )
