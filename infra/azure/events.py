"""What people are told: on-demand that stays missing or stands in for spot, and a budget with alerts."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_azure_native as azure
from pulumi import ResourceOptions

from infra import naming
from infra.azure.common import Scope

# The fallback function's own metrics, of the on-demand scale set (infra/function/loop.py).
NAMESPACE: Final = "Spillway"
GAP: Final = "FallbackGap"
GLOBAL: Final = "global"

# percent of the amount, kind: https://learn.microsoft.com/azure/cost-management-billing/costs/tutorial-acm-create-budgets
ALERTS: Final = ((80, "Actual"), (100, "Actual"), (100, "Forecasted"))
# https://learn.microsoft.com/rest/api/monitor/metric-alerts/create-or-update
FREQUENCY: Final = "PT1M"
WINDOW: Final = "PT15M"
WARNING: Final = 2
"""Severity: 0 critical to 4 verbose."""


@dataclass(frozen=True, slots=True)
class EventsArgs:
    """Whom to tell what. group: the resource group's name, known once it stands. on_demand_group_id: the scale set that
    the fallback function's metrics belong to. first_month: any day of the month in which the budget begins; once it
    stands, its beginning stays."""

    scope: Scope
    group: pulumi.Input[str]
    on_demand_group_id: pulumi.Input[str]
    monthly_usd: int
    emails: Sequence[str]
    first_month: datetime.date


class Events(pulumi.ComponentResource):
    """Action group, alert on the gap and budget of one region."""

    action_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: EventsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:azure:Events", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        people = azure.monitor.ActionGroup(
            f"{name}-people",
            action_group_name=scope.name("people"),
            group_short_name=naming.PROJECT,  # up to 12 characters; mails begin with it
            resource_group_name=args.group,
            location=GLOBAL,
            enabled=True,
            email_receivers=[
                azure.monitor.MicrosoftCommonEmailReceiverArgs(
                    name=email, email_address=email, use_common_alert_schema=True
                )
                for email in sorted(set(args.emails))
            ],
            tags=scope.tags("events"),
            opts=child,
        )
        azure.monitor.MetricAlert(
            f"{name}-gap",
            rule_name=scope.name("gap"),
            description="Nodes that neither spot nor on-demand gives, for a quarter of an hour: capacity or quota",
            resource_group_name=args.group,
            location=GLOBAL,
            enabled=True,
            severity=WARNING,
            scopes=[args.on_demand_group_id],
            evaluation_frequency=FREQUENCY,
            window_size=WINDOW,
            auto_mitigate=True,  # it says as well when the gap is closed
            criteria=azure.monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                all_of=[
                    azure.monitor.MetricCriteriaArgs(
                        criterion_type="StaticThresholdCriterion",
                        name="gap",
                        metric_namespace=NAMESPACE,
                        metric_name=GAP,
                        # The least of the window: a gap that never closed in it.
                        time_aggregation="Minimum",
                        operator="GreaterThan",
                        threshold=0,
                        # Nobody has sent it yet when the rule is made.
                        # https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-troubleshoot-metric#define-an-alert-rule-on-a-custom-metric-that-isnt-emitted-yet
                        skip_metric_validation=True,
                    )
                ],
            ),
            actions=[azure.monitor.MetricAlertActionArgs(action_group_id=people.id)],
            tags=scope.tags("events"),
            opts=child,
        )
        azure.consumption.Budget(
            f"{name}-budget",
            budget_name=naming.region_prefix(scope.stack),
            # The group holds the whole region and nothing else. Known, but only once the group stands:
            scope=pulumi.Output.from_input(args.group).apply(lambda _: scope.group_id),
            category="Cost",
            time_grain="Monthly",
            amount=args.monthly_usd,
            time_period=azure.consumption.BudgetTimePeriodArgs(start_date=beginning(args.first_month)),
            notifications={
                f"{kind.lower()}-{percent}": azure.consumption.NotificationArgs(
                    enabled=True,
                    operator="GreaterThan",
                    threshold=percent,
                    threshold_type=kind,
                    contact_emails=sorted(set(args.emails)),
                )
                for percent, kind in ALERTS
            },
            # It begins in the month in which it was made, and cannot be moved afterwards.
            opts=ResourceOptions(parent=self, ignore_changes=["timePeriod"]),
        )
        self.action_group_id = people.id
        self.register_outputs({"actionGroupId": self.action_group_id})


def beginning(day: datetime.date) -> str:
    """The first moment of a day's month, as a budget's period has to begin."""
    return f"{day:%Y-%m}-01T00:00:00Z"
