"""What belongs to a project or a billing account: enabled services and budgets."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sandbox.gcp import links, tokens
from sandbox.gcp.api import GcpKind, project_number, project_of
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, conflicting, length, matches, one_of, shown

CHANNELS_MAX: Final = 5
_ACCOUNT: Final = r"(billingAccounts/)?[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}"


@GCP.kind
class ProjectService(GcpKind):
    """https://docs.cloud.google.com/service-usage/docs/reference/rest/v1/services

    Enabling what is enabled is no error.
    """

    token = tokens.PROJECT_SERVICE
    label = "service"
    replace_on = ("service", "project")
    write_only = ("disableDependentServices", "disableOnDestroy", "checkIfServiceHasUsageOnDestroy", "deletionPolicy")

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(
            args,
            "service",
            r"[a-z0-9-]+(\.[a-z0-9-]+)*\.(googleapis\.com|com|app)",
            "a service such as compute.googleapis.com",
        )

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{project_of(args, cloud)}/{args['service']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        """Idempotent."""

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"project": project_of(args, cloud)}


@GCP.kind
class Budget(GcpKind):
    """https://docs.cloud.google.com/billing/docs/reference/budget/rest/v1/billingAccounts.budgets

    A budget reports, it never stops anything.
    """

    token = tokens.BUDGET
    label = "budget"
    replace_on = ("billingAccount",)
    sets = ("budgetFilter.projects", "budgetFilter.resourceAncestors")
    write_only = ("deletionPolicy",)

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from matches(args, "billingAccount", _ACCOUNT, "a billing account such as 012345-6789AB-CDEF01")
        yield from length(args, "displayName", 0, 60)
        yield from one_of(args, "ownershipScope", ("OWNERSHIP_SCOPE_UNSPECIFIED", "ALL_USERS", "BILLING_ACCOUNT"))
        yield from self._amount_faults(args)
        for path, percent in args.at("thresholdRules[*].thresholdPercent"):
            if not isinstance(percent, int | float) or percent < 0:
                yield Fault(path, f"expected a share of 1.0, such as 0.8; got {shown(percent)}")
        yield from one_of(args, "thresholdRules[*].spendBasis", ("CURRENT_SPEND", "FORECASTED_SPEND"))
        yield from self._filter_faults(args)
        rule = args.get("allUpdatesRule")
        if rule is not None and not rule.get("pubsubTopic") and not rule.get("monitoringNotificationChannels"):
            yield Fault("allUpdatesRule", "expected pubsubTopic or monitoringNotificationChannels")
        yield from length(args, "allUpdatesRule.monitoringNotificationChannels", 0, CHANNELS_MAX)
        yield from matches(args, "allUpdatesRule.pubsubTopic", r"projects/[^/]+/topics/[^/]+", "projects/p/topics/t")
        yield from one_of(args, "allUpdatesRule.schemaVersion", ("1.0",))

    @staticmethod
    def _amount_faults(args: Args) -> Iterator[Fault]:
        amount = args.get("amount")
        last, own = (amount or {}).get("lastPeriodAmount"), (amount or {}).get("specifiedAmount")
        if amount is not None and bool(last) == (own is not None):
            yield Fault("amount", "expected one of specifiedAmount and lastPeriodAmount")
        yield from matches(args, "amount.specifiedAmount.units", r"\d{1,15}", "whole units as text, such as 5000")
        yield from matches(args, "amount.specifiedAmount.currencyCode", r"[A-Z]{3}", "a currency such as USD")
        yield from between(args, "amount.specifiedAmount.nanos", 0, 999_999_999)

    @staticmethod
    def _filter_faults(args: Args) -> Iterator[Fault]:
        at = "budgetFilter"
        # The API answers with project numbers: an id would be a difference at every preview.
        yield from matches(args, f"{at}.projects[*]", r"projects/\d+", "projects/ and the project's number")
        yield from one_of(args, f"{at}.calendarPeriod", ("MONTH", "QUARTER", "YEAR", "CALENDAR_PERIOD_UNSPECIFIED"))
        treatments = ("INCLUDE_ALL_CREDITS", "EXCLUDE_ALL_CREDITS", "INCLUDE_SPECIFIED_CREDITS")
        yield from one_of(args, f"{at}.creditTypesTreatment", treatments)
        filter_ = args.get(at)
        if filter_ is None:
            return
        for fault in conflicting(Args(filter_), "calendarPeriod", "customPeriod"):
            yield Fault(f"{at}.{fault.path}", fault.reason)
        specified = filter_.get("creditTypesTreatment") == "INCLUDE_SPECIFIED_CREDITS"
        if specified != bool(filter_.get("creditTypes")):
            yield Fault(
                f"{at}.creditTypes", "goes with creditTypesTreatment INCLUDE_SPECIFIED_CREDITS, and only with it"
            )
        yield from length(args, f"{at}.labels", 0, 1)

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return links.rewrite(inputs, "billingAccount", lambda account: account.removeprefix("billingAccounts/"))

    def new_id(self, args: Args, cloud: Cloud) -> str:
        account = str(args["billingAccount"]).removeprefix("billingAccounts/")
        return f"billingAccounts/{account}/budgets/{uuid.uuid4()}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self.check_state(args, cloud, None)

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        for channel in (args.get("allUpdatesRule") or {}).get("monitoringNotificationChannels") or []:
            if cloud.get(tokens.NOTIFICATION_CHANNEL, channel) is None:
                raise CloudError("invalidArgument", f"The notification channel '{channel}' does not exist.")
        for project in (args.get("budgetFilter") or {}).get("projects") or []:
            if project.removeprefix("projects/") != project_number(cloud.account):
                raise CloudError("invalidArgument", f"The project '{project}' is not in the billing account.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"name": id.rsplit("/", 1)[-1]}
