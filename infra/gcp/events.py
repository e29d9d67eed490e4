"""What people are told: preemptions and failed launches by e-mail, and a budget with alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_gcp as gcp
from pulumi import ResourceOptions

from infra import naming
from infra.gcp.common import Scope
from infra.gcp.limits import CHANNELS_PER_BUDGET

# (share of the limit, basis); the same steps as on the other clouds
ALERTS: Final = ((0.8, "CURRENT_SPEND"), (1.0, "CURRENT_SPEND"), (1.0, "FORECASTED_SPEND"))
# https://docs.cloud.google.com/billing/docs/reference/budget/rest/v1/billingAccounts.budgets (displayName)
BUDGET_NAME_MAX: Final = 60
# https://docs.cloud.google.com/logging/docs/alerting/log-based-alerts: one notification per kind in this time, so that
# a morning without capacity does not fill a mailbox.
RATE_LIMIT: Final = "3600s"
AUTO_CLOSE: Final = "1800s"
"""The shortest that an incident stays open without a new entry."""


@dataclass(frozen=True, slots=True)
class EventsArgs:
    """Whom to tell what.

    groups: instance groups by name, with which the names of their instances begin. project_number: of `scope.account`.
    billing_account: what pays for the project; its currency has to be US dollars.
    """

    scope: Scope
    groups: Sequence[str]
    monthly_usd: int
    emails: Sequence[str]
    project_number: str
    billing_account: str


def log_filters(groups: Sequence[str]) -> dict[str, tuple[str, str]]:
    """label -> (what it tells, filter of the log entries): Compute Engine's own audit logs, which cannot be turned off.

    https://docs.cloud.google.com/compute/docs/logging/audit-logging,
    https://docs.cloud.google.com/compute/docs/instances/create-use-spot#detect-preemption
    """
    instances = " OR ".join(f'"/instances/{group}-"' for group in groups)
    ours = f'resource.type="gce_instance" AND protoPayload.resourceName:({instances})'
    return {
        "interruption": (
            "Spot preemptions",
            f'log_id("cloudaudit.googleapis.com/system_event") AND {ours} AND '
            'protoPayload.methodName="compute.instances.preempted"',
        ),
        "launch-failed": (
            "Launches that a pool could not make, with the reason (no capacity, or quota)",
            f'log_id("cloudaudit.googleapis.com/activity") AND {ours} AND '
            'protoPayload.methodName:"compute.instances.insert" AND severity>=ERROR',
        ),
    }


@dataclass(frozen=True, slots=True)
class LogAlertArgs:
    """Entries of the log that people are told of. component: what the alert belongs to. label: ends its name.
    channels: names of notification channels."""

    scope: Scope
    component: str
    label: str
    description: str
    filter: str
    channels: Sequence[pulumi.Input[str]]


def log_alert(name: str, args: LogAlertArgs, opts: ResourceOptions) -> gcp.monitoring.AlertPolicy:
    """An alert on log entries: it needs no metric, which would have to exist before."""
    return gcp.monitoring.AlertPolicy(
        name,
        display_name=args.scope.name(args.label),
        combiner="OR",
        conditions=[
            gcp.monitoring.AlertPolicyConditionArgs(
                display_name=args.description,
                condition_matched_log=gcp.monitoring.AlertPolicyConditionConditionMatchedLogArgs(filter=args.filter),
            )
        ],
        alert_strategy=gcp.monitoring.AlertPolicyAlertStrategyArgs(
            notification_rate_limit=gcp.monitoring.AlertPolicyAlertStrategyNotificationRateLimitArgs(period=RATE_LIMIT),
            auto_close=AUTO_CLOSE,
        ),
        documentation=gcp.monitoring.AlertPolicyDocumentationArgs(
            content=f"{args.description} of {args.scope.stack}.", mime_type="text/markdown"
        ),
        notification_channels=args.channels,
        user_labels=args.scope.labels(args.component),
        opts=opts,
    )


class Events(pulumi.ComponentResource):
    """Notification channels, alerts on log entries, and the budget of one region."""

    channels: Sequence[pulumi.Output[str]]
    """Names of the notification channels, one per address, for other alerts."""

    def __init__(self, name: str, args: EventsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:gcp:Events", name, None, opts)
        if not 1 <= len(args.emails) <= CHANNELS_PER_BUDGET:
            raise ValueError(
                f"{len(args.emails)} addresses: expected 1 to {CHANNELS_PER_BUDGET}, which is what a budget notifies"
            )
        self._name = name
        self._args = args
        self._child = child = ResourceOptions(parent=self)
        scope = args.scope
        self.channels = [
            gcp.monitoring.NotificationChannel(
                f"{name}-{email}",
                display_name=f"{scope.stack}: {email}",
                type="email",
                labels={"email_address": email},
                user_labels=scope.labels("events"),
                opts=child,
            ).name
            for email in dict.fromkeys(args.emails)
        ]
        for label, (description, text) in log_filters(args.groups).items():
            log_alert(f"{name}-{label}", LogAlertArgs(scope, "events", label, description, text, self.channels), child)
        self._budget()
        self.register_outputs({"channels": self.channels})

    def _budget(self) -> None:
        args, scope = self._args, self._args.scope
        gcp.billing.Budget(
            f"{self._name}-budget",
            billing_account=args.billing_account,
            display_name=naming.name(scope.stack, "budget", BUDGET_NAME_MAX),
            amount=gcp.billing.BudgetAmountArgs(
                specified_amount=gcp.billing.BudgetAmountSpecifiedAmountArgs(
                    currency_code="USD", units=str(args.monthly_usd)
                )
            ),
            # Counts only what carries the stack's label; network traffic and requests carry none.
            # https://docs.cloud.google.com/billing/docs/how-to/budgets#budget-scope
            budget_filter=gcp.billing.BudgetBudgetFilterArgs(
                projects=[f"projects/{args.project_number}"],
                labels={f"{naming.PROJECT}-stack": scope.stack},
                calendar_period="MONTH",
                credit_types_treatment="INCLUDE_ALL_CREDITS",
            ),
            threshold_rules=[
                gcp.billing.BudgetThresholdRuleArgs(threshold_percent=share, spend_basis=basis)
                for share, basis in ALERTS
            ],
            all_updates_rule=gcp.billing.BudgetAllUpdatesRuleArgs(
                monitoring_notification_channels=self.channels,
                # The billing account's own administrators are told as well.
                disable_default_iam_recipients=False,
            ),
            opts=self._child,
        )
