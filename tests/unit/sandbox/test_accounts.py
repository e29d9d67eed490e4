"""Budgets and quota requests."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.kinds import CloudError
from tests.support.memory_cloud import MemoryCloud

BUDGET = "aws:budgets/budget:Budget"
QUOTA = "aws:servicequotas/serviceQuota:ServiceQuota"
TOPIC = "arn:aws:sns:us-east-1:123456789012:events"


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


def alert(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "comparisonOperator": "GREATER_THAN", "threshold": 80, "thresholdType": "PERCENTAGE",
        "notificationType": "ACTUAL",
        "subscriberEmailAddresses": ["ops@example.com"],
    }  # fmt: skip
    return {k: v for k, v in {**base, **changes}.items() if v is not None}


def budget(**changes: Any) -> dict[str, Any]:
    base = {"name": "spillway", "budgetType": "COST", "timeUnit": "MONTHLY", "limitAmount": "60000", "limitUnit": "USD"}
    return {k: v for k, v in {**base, **changes}.items() if v is not None}


def test_a_budget_is_known_by_account_and_name(cloud: MemoryCloud) -> None:
    made = cloud.create(BUDGET, **budget(notifications=[alert()]))
    assert made.id == "123456789012:spillway"
    assert made["arn"] == "arn:aws:budgets::123456789012:budget/spillway"
    assert made["timePeriodEnd"] == "2087-06-15_00:00"
    assert made["costTypes"]["includeCredit"] is True
    with pytest.raises(CloudError, match="DuplicateRecordException"):
        cloud.in_region("us-west-2").create(BUDGET, **budget())


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "a:b"}, "name: expected 1 to 100"),
        ({"budgetType": "MONEY"}, "budgetType: expected one of"),
        ({"timeUnit": "HOURLY"}, "timeUnit: expected one of"),
        ({"limitAmount": "60,000"}, "limitAmount: expected an amount as text"),
        ({"limitAmount": "-5"}, "limitAmount: expected an amount as text"),
        ({"limitAmount": "0"}, "limitAmount: expected more than 0"),
        ({"limitUnit": None}, "limitAmount: needs limitUnit"),
        ({"limitAmount": None}, "limitUnit: needs limitAmount"),
        ({"limitAmount": None, "limitUnit": None}, "limitAmount: one of limitAmount, plannedLimits, autoAdjustData"),
        ({"limitUnit": "dollars"}, "limitUnit: a cost budget's unit is a currency"),
        (
            {"budgetType": "RI_UTILIZATION", "limitUnit": "PERCENTAGE"},
            "limitAmount: the limit of RI_UTILIZATION is 100",
        ),
        ({"plannedLimits": []}, "limitAmount: conflicts with plannedLimits"),
        ({"timePeriodStart": "2026-11"}, "timePeriodStart: expected a time such as"),
        ({"timePeriodStart": "2027-01-01_00:00", "timePeriodEnd": "2026-01-01_00:00"}, "timePeriodEnd: must be after"),
        ({"timeUnit": "CUSTOM"}, "timeUnit: CUSTOM needs timePeriodStart and timePeriodEnd"),
        ({"costFilters": [{"name": "Team", "values": ["a"]}]}, "costFilters[0].name: expected one of"),
        ({"costFilters": [{"name": "Region", "values": []}]}, "costFilters[0].values: must not be empty"),
        (
            {"costFilters": [{"name": "TagKeyValue", "values": ["team=a"]}]},
            "costFilters[0].values[0]: expected a tag such as",
        ),
        (
            {"costTypes": {"useAmortized": True, "useBlended": True}},
            "costTypes.useBlended: conflicts with useAmortized",
        ),
        ({"notifications": [alert(threshold=0)]}, "notifications[0].threshold: expected more than 0"),
        ({"notifications": [alert(comparisonOperator=">")]}, "notifications[0].comparisonOperator: expected one of"),
        ({"notifications": [alert(thresholdType="PERCENT")]}, "notifications[0].thresholdType: expected one of"),
        ({"notifications": [alert(subscriberEmailAddresses=None)]}, "notifications[0]: needs at least one of"),
        (
            {"notifications": [alert(subscriberEmailAddresses=["ops"])]},
            "notifications[0].subscriberEmailAddresses[0]: expected an e-mail",
        ),
        (
            {"notifications": [alert(subscriberSnsTopicArns=[TOPIC, TOPIC + "2"])]},
            "notifications[0].subscriberSnsTopicArns: expected at most one",
        ),
        ({"notifications": [alert(), alert()]}, "notifications[1]: DuplicateRecordException"),
        ({"notifications": [alert(threshold=i + 1) for i in range(11)]}, "notifications: expected a length of 0 to 10"),
        (
            {"timeUnit": "DAILY", "notifications": [alert(notificationType="FORECASTED")]},
            "notifications[0].notificationType: a daily",
        ),
    ],
)
def test_a_budget_that_aws_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    found = cloud.faults(BUDGET, **budget(**changes))
    assert any(line.startswith(fault) for line in found), found


def test_a_budgets_topic_must_exist_in_any_region(cloud: MemoryCloud) -> None:
    told = budget(notifications=[alert(subscriberSnsTopicArns=[TOPIC])])
    with pytest.raises(CloudError, match="InvalidParameterException"):
        cloud.create(BUDGET, **told)
    cloud.in_region("us-west-2").stand_in("aws:sns/topic:Topic", TOPIC, arn=TOPIC)
    cloud.create(BUDGET, **told)


def test_a_budget_of_another_account_is_refused(cloud: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="AccessDeniedException"):
        cloud.create(BUDGET, **budget(accountId="210987654321"))


def test_a_quota_request_waits_for_its_answer(cloud: MemoryCloud) -> None:
    made = cloud.create(QUOTA, serviceCode="ec2", quotaCode="L-417A185B", value=4000)
    assert made.id == "ec2/L-417A185B"
    assert made["requestStatus"] == "PENDING"
    assert made["quotaName"] == "Running On-Demand P instances"
    with pytest.raises(CloudError, match="must not be below the current"):
        cloud.create(QUOTA, serviceCode="ec2", quotaCode="L-417A185B", value=1)
    with pytest.raises(CloudError, match="NoSuchResourceException"):
        cloud.create(QUOTA, serviceCode="ec2", quotaCode="L-00000000", value=1)
