"""Budgets. https://learn.microsoft.com/azure/cost-management-billing/costs/tutorial-acm-create-budgets

Rules without a source are those of the API reference: https://learn.microsoft.com/rest/api/consumption/budgets/create-or-update
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.identity import refuse_missing_scope, scope_faults
from sandbox.azure_native.monitoring import ACTION_GROUP_TYPE
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Resource
from sandbox.rules import length, matches, one_of, shown

_GRAINS: Final = ("Monthly", "Quarterly", "Annually", "BillingMonth", "BillingQuarter", "BillingAnnual")
_MONTHS: Final = {"Monthly": 1, "Quarterly": 3, "Annually": 12}
NOTIFICATIONS_MAX: Final = 5
CONTACTS_MAX: Final = 50
_FIRST: Final = datetime(2017, 6, 1, tzinfo=UTC)


def _moment(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _months(moment: datetime) -> int:
    return moment.year * 12 + moment.month


def _period_faults(args: Args) -> Iterator[Fault]:
    start: datetime | None = None
    for path, value in args.at("timePeriod.startDate"):
        start = _moment(value)
        if start is None or start.day != 1 or start < _FIRST:
            yield Fault(path, f"expected the first of a month since June 2017, such as 2026-11-01; got {shown(value)}")
    for path, value in args.at("timePeriod.endDate"):
        end = _moment(value)
        if end is None or (start is not None and end <= start):
            yield Fault(path, f"expected a date after the start, got {shown(value)}")


def _notification_faults(args: Args) -> Iterator[Fault]:
    yield from length(args, "notifications", 0, NOTIFICATIONS_MAX)
    yield from one_of(args, "notifications[*].operator", ("EqualTo", "GreaterThan", "GreaterThanOrEqualTo"))
    yield from one_of(args, "notifications[*].thresholdType", ("Actual", "Forecasted"))
    yield from length(args, "notifications[*].contactEmails", 0, CONTACTS_MAX)
    for path, value in args.at("notifications[*].threshold"):
        if not isinstance(value, int | float) or not 0 < value <= 1000:
            yield Fault(path, f"expected more than 0 and at most 1,000 percent, got {shown(value)}")
    for path, value in args.at("notifications[*].contactEmails[*]"):
        if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]+", str(value)):
            yield Fault(path, f"expected an e-mail address, got {shown(value)}")
    for path, notification in args.at("notifications[*]"):
        if isinstance(notification, dict):
            contacts = [notification.get(key) for key in ("contactEmails", "contactGroups", "contactRoles")]
            if all(value in (None, []) for value in contacts):
                yield Fault(f"{path}.contactEmails", "expected somebody to tell: an address, a group or a role")
    for path, value in args.at("notifications[*].contactGroups[*]"):
        found = arm.parse_id(value)
        if found is None or found["type"] != ACTION_GROUP_TYPE.lower():
            yield Fault(path, f"expected the id of an action group, got {shown(value)}")


@AZURE_NATIVE.kind
class Budget(Kind):
    """A budget tells; it stops nothing."""

    token = tokens.BUDGET
    regional = False
    delete_before_replace = True
    taggable = False
    replace_on = ("scope", "budgetName")
    autoname = arm.random_name("budgetName")
    changes_on_update = ("eTag",)
    not_found_code = "404"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from scope_faults(args, "scope")
        yield from matches(args, "budgetName", r"[\w-]{1,63}", "1 to 63 letters, digits, hyphens and underscores")
        yield from one_of(args, "category", ("Cost",))
        yield from one_of(args, "timeGrain", _GRAINS)
        for path, amount in args.at("amount"):
            if not isinstance(amount, int | float) or amount <= 0:
                yield Fault(path, f"expected an amount above 0, got {shown(amount)}")
        yield from _period_faults(args)
        yield from _notification_faults(args)
        for key in ("dimensions", "tags"):
            yield from one_of(args, f"filter.{key}.operator", ("In",))
            yield from one_of(args, f"filter.and[*].{key}.operator", ("In",))
        for path, value in args.at("filter"):
            if isinstance(value, dict) and isinstance(value.get("and"), list) and len(value["and"]) < 2:
                yield Fault(f"{path}.and", "expected two filters at least; one stands in dimensions or tags")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['scope']}/providers/Microsoft.Consumption/budgets/{args['budgetName']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        refuse_missing_scope(cloud, str(args["scope"]))
        id = self.new_id(args, cloud)
        if arm.find_by_id(cloud, self.token, id) is not None:
            raise arm.already_exists(id)
        start, today = _moment(args["timePeriod"]["startDate"]), datetime.now(UTC)
        grain = _MONTHS.get(str(args["timeGrain"]), 1)
        if start is not None and _months(today) - _months(start) >= grain:
            raise CloudError(
                "400",
                f"Start date {start:%Y-%m-%d} is invalid: a past one has to be within the current time grain period.",
            )
        if start is not None and _months(start) - _months(today) > 12:
            raise CloudError("400", f"Start date {start:%Y-%m-%d} is more than twelve months ahead.")
        self._refuse_groups(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._refuse_groups(args, cloud)

    @staticmethod
    def _refuse_groups(args: Args, cloud: Cloud) -> None:
        for _, id in args.at("notifications[*].contactGroups[*]"):
            found = arm.parse_id(id)
            mine = found is not None and found["subscription"] == cloud.account.lower()
            if mine and arm.find_by_id(cloud, tokens.ACTION_GROUP, id) is None:
                raise CloudError("400", f"The action group {id} does not exist.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "scope": args["scope"],
            "name": id.rsplit("/", 1)[-1],
            "type": "Microsoft.Consumption/budgets",
            "eTag": f'"{uuid.uuid4().hex[:16]}"',
            "currentSpend": {"amount": 0, "unit": "USD"},
            "azureApiVersion": "2024-08-01",
        }
