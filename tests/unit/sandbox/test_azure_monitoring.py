"""Logs, alerts and budgets of the stand-in Azure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.azure_native import tokens
from tests.support import azure_region as region
from tests.support.aws_region import refused
from tests.support.azure import faults
from tests.support.azure_region import Region, action_group, alert, budget, component, put, workspace


@pytest.mark.parametrize(
    ("token", "good", "path", "value", "expected"),
    [
        (tokens.WORKSPACE, workspace(), "workspaceName", "abc", "workspaceName: expected 4 to 63"),
        (tokens.WORKSPACE, workspace(), "sku.name", "Free", "sku.name: expected one of PerGB2018"),
        (tokens.WORKSPACE, workspace(), "retentionInDays", 7, "retentionInDays: expected 30 to 730"),
        (tokens.WORKSPACE, workspace(), "workspaceCapping.dailyQuotaGb", 0.01, "workspaceCapping.dailyQuotaGb: expec"),
        (tokens.COMPONENT, component(), "workspaceResourceId", None, "workspaceResourceId: is required"),
        (tokens.COMPONENT, component(), "retentionInDays", 31, "retentionInDays: expected one of 30, 60"),
        (tokens.COMPONENT, component(), "ingestionMode", "ApplicationInsights", "ingestionMode: expected one of LogAn"),
        (tokens.ACTION_GROUP, action_group(), "groupShortName", "thirteen-char", "groupShortName: expected a length"),
        (tokens.ACTION_GROUP, action_group(), "location", None, "location: is required"),
        (tokens.ACTION_GROUP, action_group(), "emailReceivers.0.emailAddress", "on-call", "emailReceivers[0].emailAdd"),
        (tokens.METRIC_ALERT, alert(), "location", "westus2", "location: expected global"),
        (tokens.METRIC_ALERT, alert(), "severity", 5, "severity: expected 0 to 4"),
        (tokens.METRIC_ALERT, alert(), "evaluationFrequency", "PT2M", "evaluationFrequency: expected one of PT1M"),
        (tokens.METRIC_ALERT, alert(), "evaluationFrequency", "PT15M", "windowSize: has to be as long as evaluationF"),
        (tokens.METRIC_ALERT, alert(), "scopes", ["spot"], "scopes[0]: expected the id of a resource"),
        (tokens.METRIC_ALERT, alert(), "criteria.odataType", "Single", "criteria.odataType: expected one of Microsoft"),
        (tokens.METRIC_ALERT, alert(), "criteria.allOf.0.operator", "Above", "criteria.allOf[0].operator: expected on"),
        (
            tokens.METRIC_ALERT,
            alert(),
            "criteria.allOf.0.skipMetricValidation",
            None,
            "criteria.allOf[0].skipMetricValidation: has to be true",
        ),
        (tokens.BUDGET, budget(), "amount", 0, "amount: expected an amount above 0"),
        (tokens.BUDGET, budget(), "timeGrain", "Weekly", "timeGrain: expected one of Monthly"),
        (tokens.BUDGET, budget(), "timePeriod.startDate", "2026-11-02", "timePeriod.startDate: expected the first of"),
        (tokens.BUDGET, budget(), "timePeriod.endDate", "2020-01-01", "timePeriod.endDate: expected a date after"),
        (tokens.BUDGET, budget(), "notifications.forecast.threshold", 1001, "notifications.forecast.threshold: expect"),
        (
            tokens.BUDGET,
            budget(),
            "notifications.forecast.contactGroups",
            ["people"],
            "notifications.forecast.contactGroups[0]: expected the id of an action group",
        ),
        (
            tokens.BUDGET,
            budget(),
            "notifications.forecast",
            {"enabled": True, "operator": "GreaterThan", "threshold": 1, "contactEmails": []},
            "notifications.forecast.contactEmails: expected somebody to tell",
        ),
        (tokens.BUDGET, budget(), "filter", {"and": [{}]}, "filter.and: expected two filters"),
    ],
)
def test_values_are_checked(token: str, good: dict[str, Any], path: str, value: Any, expected: str) -> None:
    head = path.split(".", 1)[0]
    found = faults(token, good, **{head: put(good, path, value).get(head)})
    assert [line for line in found if line.startswith(expected)], found


def test_a_budget_has_five_notifications_at_most() -> None:
    one = budget()["notifications"]["forecast"]
    found = faults(tokens.BUDGET, budget(), notifications={f"n{i}": one for i in range(6)})
    assert found == ["notifications: expected a length of 0 to 5, got 6"]


def test_a_budget_starts_in_its_first_period() -> None:
    cloud = Region(empty=True)
    cloud.create(tokens.ACTION_GROUP, **action_group())
    today = datetime.now(UTC)
    for start, told in (
        (f"{today.year - 1}-01-01", "within the current"),
        (f"{today.year + 2}-01-01", "twelve months"),
    ):
        with refused("400", told):
            cloud.create(tokens.BUDGET, **budget(timePeriod={"startDate": start}))
    made = cloud.create(tokens.BUDGET, **budget())
    assert made.id == f"{cloud.group.id}/providers/Microsoft.Consumption/budgets/spillway-azure-westus2"
    with refused("AlreadyExists", "budgets/spillway-azure-westus2"):
        cloud.create(tokens.BUDGET, **budget())


def test_alerts_and_budgets_tell_groups_that_are_there() -> None:
    cloud = Region()
    cloud.scale_set()
    with refused("BadRequest", "actionGroups/people referenced by"):
        cloud.create(tokens.METRIC_ALERT, **alert())
    with refused("400", "actionGroups/people does not exist"):
        cloud.create(tokens.BUDGET, **budget())


def test_an_alert_looks_at_something_that_is_there() -> None:
    cloud = Region()
    cloud.create(tokens.ACTION_GROUP, **action_group())
    with refused("ResourceNotFound", region.SCALE_SET_ID):
        cloud.create(tokens.METRIC_ALERT, **alert())


def test_insights_keep_their_key() -> None:
    cloud = Region()
    cloud.create(tokens.WORKSPACE, **workspace())
    made = cloud.create(tokens.COMPONENT, **component())
    assert made["connectionString"].startswith(f"InstrumentationKey={made['instrumentationKey']};IngestionEndpoint=")
    assert cloud.update(made, tags={"a": "b"})["connectionString"] == made["connectionString"]


def test_a_deleted_workspace_can_be_made_again_at_once() -> None:
    cloud = Region()
    cloud.delete(cloud.create(tokens.WORKSPACE, **workspace()))
    cloud.create(tokens.WORKSPACE, **workspace())
