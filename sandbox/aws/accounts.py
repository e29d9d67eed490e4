"""Budgets and quota requests: what belongs to the account."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sandbox.aws import quotas
from sandbox.aws.formats import arn, arns
from sandbox.aws.messaging import TOPIC, is_email
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import name_of, new_uuid, tag_faults
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import between, conflicting, length, matches, one_of, requires, shown
from sandbox.values import UNKNOWN

BUDGET: Final = "aws:budgets/budget:Budget"

# https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_Budget.html
_TYPES: Final = (
    "USAGE", "COST", "RI_UTILIZATION", "RI_COVERAGE", "SAVINGS_PLANS_UTILIZATION", "SAVINGS_PLANS_COVERAGE",
)  # fmt: skip
_TIME_UNITS: Final = ("DAILY", "MONTHLY", "QUARTERLY", "ANNUALLY", "CUSTOM")
# https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_Notification.html
_COMPARISONS: Final = ("GREATER_THAN", "LESS_THAN", "EQUAL_TO")
_MOST_NOTIFICATIONS: Final = 10
_MOST_EMAILS: Final = 10
# https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/budgets_budget#cost-filter
_FILTERS: Final = (
    "AZ", "BillingEntity", "CostCategory", "InstanceType", "InstanceTypeFamily", "InvoicingEntity", "LegalEntityName",
    "LinkedAccount", "Operation", "PurchaseType", "Region", "RecordType", "Service", "TagKeyValue", "UsageType",
    "UsageTypeGroup",
)  # fmt: skip
_METRICS: Final = (
    "BlendedCost", "UnblendedCost", "AmortizedCost", "NetUnblendedCost", "NetAmortizedCost", "UsageQuantity",
    "NormalizedUsageAmount", "Hours",
)  # fmt: skip
_AMOUNT: Final = r"(\d*\.)?\d+"
_MOMENT: Final = r"\d{4}-\d{2}-\d{2}_\d{2}:\d{2}"
_FOREVER: Final = "2087-06-15_00:00"


@AWS.kind
class Budget(Kind):
    token = BUDGET
    replace_on = ("accountId", "name", "namePrefix")
    sets = (
        "notifications", "costFilters", "plannedLimits", "notifications[*].subscriberEmailAddresses",
        "notifications[*].subscriberSnsTopicArns",
    )  # fmt: skip
    write_only = ("namePrefix",)
    defaults: ClassVar[Mapping[str, Any]] = {"timePeriodEnd": _FOREVER}
    autoname = AutoName("name", 100)
    unique = ("name",)
    unique_scope = "account"
    duplicate_code = "DuplicateRecordException"
    references = (
        Ref(
            "notifications[*].subscriberSnsTopicArns[*]", (TOPIC,), by="arn", same_region=False,
            code="InvalidParameterException", blocks_delete=False,
        ),
    )  # fmt: skip
    regional = False
    not_found_code = "NotFoundException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from conflicting(args, "name", "namePrefix")
        yield from matches(
            args, "name", r"(?!.*/action/)[^:\\]{1,100}", r"1 to 100 characters without : and \ and without /action/"
        )
        yield from matches(args, "accountId", r"\d{12}", "an account id of 12 digits")
        yield from one_of(args, "budgetType", _TYPES)
        yield from one_of(args, "timeUnit", _TIME_UNITS)
        yield from _limit_faults(args)
        yield from _time_faults(args)
        yield from _filter_faults(args)
        yield from _notification_faults(args)
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args.get('accountId') or cloud.account}:{name_of(args)}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if args.get("accountId", cloud.account) != cloud.account:
            raise CloudError(
                "AccessDeniedException", f"Account {cloud.account} may not make budgets of {args['accountId']}"
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        account, name = id.split(":", 1)
        costs = {f"include{part}": True for part in _INCLUDED}
        first = datetime.now(UTC).strftime("%Y-%m-01_00:00")
        return {
            "name": name,
            "accountId": account,
            "arn": arn("budgets", "", account, f"budget/{name}", partition_of=cloud.region),
            "costTypes": {**costs, "useAmortized": False, "useBlended": False, **(args.get("costTypes") or {})},
            "timePeriodStart": args.get("timePeriodStart") or (old["timePeriodStart"] if old else first),
        }


_INCLUDED: Final = (
    "Credit", "Discount", "OtherSubscription", "Recurring", "Refund", "Subscription", "Support", "Tax", "Upfront",
)  # fmt: skip


def _limit_faults(args: Args) -> Iterator[Fault]:
    if "plannedLimits" in args:
        yield from conflicting(args, "plannedLimits", "limitAmount")
        yield from conflicting(args, "plannedLimits", "limitUnit")
        yield from conflicting(args, "plannedLimits", "autoAdjustData")
    yield from conflicting(args, "autoAdjustData", "limitAmount")
    yield from matches(args, "limitAmount", _AMOUNT, 'an amount as text, such as "60000" or "99.5"')
    yield from matches(args, "plannedLimits[*].amount", _AMOUNT, 'an amount as text, such as "60000" or "99.5"')
    yield from matches(args, "plannedLimits[*].startTime", _MOMENT, "a time such as 2026-12-01_00:00")
    yield from requires(args, "limitAmount", "limitUnit")
    yield from requires(args, "limitUnit", "limitAmount")
    kind, unit = args.get("budgetType"), args.get("limitUnit")
    if kind == "COST" and unit is not None and not re.fullmatch(r"[A-Z]{3}", unit):
        yield Fault("limitUnit", f"a cost budget's unit is a currency such as USD, got {shown(unit)}")
    if kind in _TYPES[2:] and unit is not None and unit != "PERCENTAGE":
        yield Fault("limitUnit", f"the unit of {kind} is PERCENTAGE, got {shown(unit)}")
    if kind in _TYPES[:2] and not any(key in args for key in ("limitAmount", "plannedLimits", "autoAdjustData")):
        yield Fault("limitAmount", "one of limitAmount, plannedLimits, autoAdjustData must be set")
    amount = args.get("limitAmount")
    if isinstance(amount, str) and re.fullmatch(_AMOUNT, amount):
        if float(amount) <= 0:
            yield Fault("limitAmount", f"expected more than 0, got {shown(amount)}")
        if kind in _TYPES[2:] and float(amount) != 100:
            yield Fault("limitAmount", f"the limit of {kind} is 100, got {shown(amount)}")
    if args.get("timeUnit") == "DAILY" and "plannedLimits" in args:
        yield Fault("plannedLimits", "are for monthly and quarterly budgets")
    yield from one_of(args, "autoAdjustData.autoAdjustType", ("HISTORICAL", "FORECAST"))
    yield from between(args, "autoAdjustData.historicalOptions.budgetAdjustmentPeriod", 1, 60)
    for path, data in args.at("autoAdjustData"):
        if data.get("autoAdjustType") == "HISTORICAL" and data.get("historicalOptions") is None:
            yield Fault(f"{path}.historicalOptions", "is required for HISTORICAL")


def _time_faults(args: Args) -> Iterator[Fault]:
    for key in ("timePeriodStart", "timePeriodEnd"):
        for path, text in args.at(key):
            try:
                datetime.strptime(text, "%Y-%m-%d_%H:%M")
            except ValueError:
                yield Fault(path, f"expected a time such as 2026-12-01_00:00, got {shown(text)}")
    start, end = args.get("timePeriodStart"), args.get("timePeriodEnd", _FOREVER)
    if start is not None and end is not None and start >= end:
        yield Fault("timePeriodEnd", f"must be after timePeriodStart ({start}), got {end}")
    if args.get("timeUnit") == "CUSTOM" and ("timePeriodStart" not in args or "timePeriodEnd" not in args):
        yield Fault("timeUnit", "CUSTOM needs timePeriodStart and timePeriodEnd to be set as well")


def _filter_faults(args: Args) -> Iterator[Fault]:
    if "costFilters" in args:
        yield from conflicting(args, "costFilters", "filterExpression")
    if "metrics" in args:
        yield from conflicting(args, "metrics", "costTypes")
    yield from one_of(args, "metrics", _METRICS)
    yield from one_of(args, "costFilters[*].name", _FILTERS)
    for path, wanted in args.at("costFilters[*]"):
        if not isinstance(wanted, Mapping):
            continue
        values = wanted.get("values")
        if values == []:
            yield Fault(f"{path}.values", "must not be empty")
        if wanted.get("name") == "TagKeyValue" and isinstance(values, list):
            for i, value in enumerate(values):
                # https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-create-filters.html
                if value is not UNKNOWN and not re.fullmatch(r"(user|aws(:[\w-]+)?):[^$]+\$.*", str(value)):
                    yield Fault(f"{path}.values[{i}]", f"expected a tag such as user:team$platform, got {shown(value)}")
    for path, costs in args.at("costTypes"):
        if costs.get("useAmortized") is True and costs.get("useBlended") is True:
            yield Fault(f"{path}.useBlended", "conflicts with useAmortized")


def _notification_faults(args: Args) -> Iterator[Fault]:
    base = "notifications"
    yield from length(args, base, 0, _MOST_NOTIFICATIONS)
    yield from one_of(args, f"{base}[*].comparisonOperator", _COMPARISONS)
    yield from one_of(args, f"{base}[*].notificationType", ("ACTUAL", "FORECASTED"))
    yield from one_of(args, f"{base}[*].thresholdType", ("PERCENTAGE", "ABSOLUTE_VALUE"))
    yield from arns(args, f"{base}[*].subscriberSnsTopicArns[*]", "sns")
    seen: list[object] = []
    for path, alert in args.at(f"{base}[*]"):
        if not isinstance(alert, Mapping):
            continue
        threshold = alert.get("threshold")
        if isinstance(threshold, int | float) and not 0 < threshold <= 15e12:
            yield Fault(
                f"{path}.threshold", f"expected more than 0 and at most 15,000,000,000,000, got {shown(threshold)}"
            )
        emails, topics = alert.get("subscriberEmailAddresses"), alert.get("subscriberSnsTopicArns")
        if emails in (None, []) and topics in (None, []):
            yield Fault(path, "needs at least one of subscriberEmailAddresses, subscriberSnsTopicArns")
        if isinstance(emails, list) and len(emails) > _MOST_EMAILS:
            yield Fault(
                f"{path}.subscriberEmailAddresses", f"expected at most {_MOST_EMAILS} addresses, got {len(emails)}"
            )
        if isinstance(topics, list) and len(topics) > 1:
            yield Fault(f"{path}.subscriberSnsTopicArns", f"expected at most one topic, got {len(topics)}")
        if alert.get("notificationType") == "FORECASTED" and args.get("timeUnit") == "DAILY":
            yield Fault(f"{path}.notificationType", "a daily budget has no forecast")
        key = [alert.get(k) for k in ("comparisonOperator", "notificationType", "threshold", "thresholdType")]
        if UNKNOWN not in key and json.dumps(key, default=str) in seen:
            yield Fault(path, "DuplicateRecordException: the same notification stands twice")
        seen.append(json.dumps(key, default=str))
    for path, address in args.at(f"{base}[*].subscriberEmailAddresses[*]"):
        if not is_email(address):
            yield Fault(path, f"expected an e-mail address, got {shown(address)}")


def all_quotas() -> dict[str, quotas.Quota]:
    """Quota code -> quota, of all that the stand-in knows."""
    return {value.code: value for value in vars(quotas).values() if isinstance(value, quotas.Quota)}


@AWS.kind
class ServiceQuota(Kind):
    """A request to raise a quota. AWS answers it later: the stand-in leaves it pending, and the weather sets quotas."""

    token = "aws:servicequotas/serviceQuota:ServiceQuota"
    replace_on = ("quotaCode", "serviceCode")
    taggable = False
    not_found_code = "NoSuchResourceException"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "quotaCode", r"[a-zA-Z][a-zA-Z0-9-]{0,127}", "a code such as L-417A185B")
        yield from matches(args, "serviceCode", r"[a-zA-Z][a-zA-Z0-9-]{0,62}", "a code such as ec2")
        yield from between(args, "value", 0, 1e10)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['serviceCode']}/{args['quotaCode']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        quota = all_quotas().get(args["quotaCode"])
        if quota is None:
            raise CloudError(
                "NoSuchResourceException", f"The quota {args['quotaCode']} of {args['serviceCode']} does not exist."
            )
        have = cloud.quota(quota.code, quota.default)
        if args["value"] < have:
            raise CloudError(
                "IllegalArgumentException",
                f"{quota.name}: the requested value {args['value']:g} must not be below the current {have:g}.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        quota = all_quotas().get(args["quotaCode"])
        have = cloud.quota(quota.code, quota.default) if quota else 0
        return {
            "arn": arn("servicequotas", cloud.region, cloud.account, id),
            "adjustable": True,
            "defaultValue": quota.default if quota else 0,
            "quotaName": quota.name if quota else "",
            "serviceName": "Amazon Elastic Compute Cloud (Amazon EC2)"
            if args["serviceCode"] == "ec2"
            else args["serviceCode"],
            "requestId": old["requestId"] if old else ("" if args["value"] == have else new_uuid().replace("-", "")),
            "requestStatus": "" if args["value"] == have else "PENDING",
        }
