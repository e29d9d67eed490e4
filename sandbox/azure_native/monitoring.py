"""Log Analytics, Application Insights, action groups and metric alerts. https://learn.microsoft.com/azure/azure-monitor/"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.places import GLOBAL, is_location, normal
from sandbox.azure_native.regional import TENANT, Regional, Use, iso_minutes, now
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, length, matches, one_of, shown
from sandbox.values import UNKNOWN

WORKSPACE_TYPE: Final = "Microsoft.OperationalInsights/workspaces"
ACTION_GROUP_TYPE: Final = "Microsoft.Insights/actionGroups"
# https://learn.microsoft.com/rest/api/monitor/metric-alerts/create-or-update
_FREQUENCIES: Final = ("PT1M", "PT5M", "PT15M", "PT30M", "PT1H")
_WINDOWS: Final = (*_FREQUENCIES, "PT6H", "PT12H", "P1D")
CRITERIA_MAX: Final = 5
_CRITERIA: Final = (
    "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
    "Microsoft.Azure.Monitor.MultipleResourceMultipleMetricCriteria",
    "Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria",
)
_RETENTIONS: Final = (30, 60, 90, 120, 180, 270, 365, 550, 730)
"""https://learn.microsoft.com/azure/azure-monitor/logs/data-retention-configure: of Application Insights."""
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


@AZURE_NATIVE.kind
class Workspace(Regional):
    """A deleted one can be had again for 14 days: creating it under its name recovers it
    (https://learn.microsoft.com/azure/azure-monitor/logs/delete-workspace)."""

    token = tokens.WORKSPACE
    namespace = "Microsoft.OperationalInsights"
    type_name = "workspaces"
    name_property = "workspaceName"
    name_rule = (
        r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
        "4 to 63 letters, digits and hyphens that neither begin nor end with a hyphen",
    )
    api_version = "2023-09-01"
    path = ("resourceGroupName", "workspaceName")
    replace_on = (*path, "location")
    autoname = arm.random_name("workspaceName")
    changes_on_update = ("etag", "modifiedDate")

    def rules(self, args: Args) -> Iterable[Fault]:
        # https://learn.microsoft.com/azure/azure-monitor/logs/cost-logs: the others cannot be chosen any more
        yield from one_of(args, "sku.name", ("PerGB2018", "CapacityReservation", "LACluster"))
        yield from between(args, "retentionInDays", 30, 730, "days")
        for path, quota in args.at("workspaceCapping.dailyQuotaGb"):
            if not isinstance(quota, int | float) or (quota != -1 and quota < 0.023):
                yield Fault(path, f"expected 0.023 GB at least, or -1 for no limit; got {shown(quota)}")
        for key in ("publicNetworkAccessForIngestion", "publicNetworkAccessForQuery"):
            yield from one_of(args, key, ("Enabled", "Disabled"))

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            **self.common_outputs(args),
            "location": self.location_of(args, cloud),
            "etag": f'"{uuid.uuid4()}"',
            "provisioningState": "Succeeded",
            "customerId": old["customerId"] if old else str(uuid.uuid4()),
            "createdDate": old["createdDate"] if old else now(),
            "modifiedDate": now(),
            "sku": args["sku"] or {"name": "PerGB2018"},
            "retentionInDays": args.get("retentionInDays", 30),
            "publicNetworkAccessForIngestion": args.get("publicNetworkAccessForIngestion", "Enabled"),
            "publicNetworkAccessForQuery": args.get("publicNetworkAccessForQuery", "Enabled"),
            "workspaceCapping": {"quotaNextResetTime": now(), "dataIngestionStatus": "RespectQuota", "dailyQuotaGb": -1}
            | (args["workspaceCapping"] or {}),
        }


@AZURE_NATIVE.kind
class Component(Regional):
    """Application Insights, based on a workspace: without one it can be made no more since 29 February 2024
    (https://learn.microsoft.com/azure/azure-monitor/app/create-workspace-resource)."""

    token = tokens.COMPONENT
    namespace = "Microsoft.Insights"
    type_name = "components"
    name_property = "resourceName"
    name_rule = (
        r"[^%&\\?/]{0,259}[^%&\\?/. ]",
        "1 to 260 characters without %&\\?/, with no period or space at the end",
    )
    api_version = "2020-02-02"
    path = ("resourceGroupName", "resourceName")
    replace_on = (*path, "location")
    autoname = arm.random_name("resourceName")
    uses = (Use("workspaceResourceId", tokens.WORKSPACE, WORKSPACE_TYPE, same_location=False, in_use=""),)

    def rules(self, args: Args) -> Iterable[Fault]:
        if args["workspaceResourceId"] is None:
            yield Fault("workspaceResourceId", "is required: the id of a Log Analytics workspace")
        yield from one_of(args, "applicationType", ("web", "other"))
        yield from one_of(args, "ingestionMode", ("LogAnalytics",))
        yield from one_of(args, "retentionInDays", _RETENTIONS)
        yield from between(args, "samplingPercentage", 0, 100, "percent")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        location = self.location_of(args, cloud)
        key = old["instrumentationKey"] if old else str(uuid.uuid4())
        app = old["appId"] if old else str(uuid.uuid4())
        return {
            **self.common_outputs(args),
            "location": location,
            "etag": f'"{uuid.uuid4()}"',
            "provisioningState": "Succeeded",
            "creationDate": old["creationDate"] if old else now(),
            "tenantId": TENANT,
            "instrumentationKey": key,
            "appId": app,
            "applicationId": args["resourceName"],
            "applicationType": args.get("applicationType", "web"),
            "ingestionMode": "LogAnalytics",
            "retentionInDays": args.get("retentionInDays", 90),
            "connectionString": (
                f"InstrumentationKey={key};IngestionEndpoint=https://{location}-0.in.applicationinsights.azure.com/;"
                f"LiveEndpoint=https://{location}.livediagnostics.monitor.azure.com/;ApplicationId={app}"
            ),
        }


@AZURE_NATIVE.kind
class ActionGroup(Regional):
    """Whom an alert tells. https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups"""

    token = tokens.ACTION_GROUP
    namespace = "Microsoft.Insights"
    type_name = "actionGroups"
    name_property = "actionGroupName"
    name_rule = (r"[^:<>+/&%\\?|]{0,259}[^:<>+/&%\\?|. ]", "1 to 260 characters without :<>+/&%\\?|")
    api_version = "2024-10-01-preview"
    located = False
    path = ("resourceGroupName", "actionGroupName")
    replace_on = (*path, "location")
    autoname = arm.random_name("actionGroupName")
    changes_on_update = ()

    def rules(self, args: Args) -> Iterable[Fault]:
        if args["location"] is None:
            yield Fault("location", "is required: global, or a region")
        for path, value in args.at("location"):
            if normal(str(value)) != GLOBAL and not is_location(value):
                yield Fault(path, f"expected global, or a region; got {shown(value)}")
        yield from length(args, "groupShortName", 1, 12)
        yield from length(args, "emailReceivers", 0, 1000)
        for path, value in args.at("emailReceivers[*].emailAddress"):
            if not _EMAIL.fullmatch(str(value)):
                yield Fault(path, f"expected an e-mail address, got {shown(value)}")
        for path, value in args.at("webhookReceivers[*].serviceUri"):
            if not re.match(r"https?://[^/\s]+", str(value)):
                yield Fault(path, f"expected an address of http or https, got {shown(value)}")
        yield from matches(args, "smsReceivers[*].countryCode", r"[0-9]{1,3}", "a country calling code without +")
        names: dict[str, str] = {}
        for kind in (
            "emailReceivers",
            "smsReceivers",
            "webhookReceivers",
            "azureFunctionReceivers",
            "armRoleReceivers",
        ):
            for path, name in args.at(f"{kind}[*].name"):
                if names.setdefault(str(name), path) != path:
                    yield Fault(path, f"is taken by {names[str(name)]}")

    def location_inside(self, args: Args, cloud: Cloud) -> str:
        return normal(str(args["location"]))

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            **self.common_outputs(args),
            "location": normal(str(args["location"])),
            "enabled": args.get("enabled", True),
        }


def _criteria_faults(args: Args) -> Iterator[Fault]:
    yield from one_of(args, "criteria.odataType", _CRITERIA)
    yield from length(args, "criteria.allOf", 1, CRITERIA_MAX)
    yield from one_of(
        args, "criteria.allOf[*].criterionType", ("StaticThresholdCriterion", "DynamicThresholdCriterion")
    )
    yield from one_of(
        args,
        "criteria.allOf[*].operator",
        ("Equals", "GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual", "GreaterOrLessThan"),
    )
    yield from one_of(args, "criteria.allOf[*].timeAggregation", ("Average", "Count", "Minimum", "Maximum", "Total"))
    names: dict[object, str] = {}
    for path, criterion in args.at("criteria.allOf[*]"):
        if not isinstance(criterion, dict):
            continue
        name = criterion.get("name")
        if name is not UNKNOWN and names.setdefault(name, path) != path:
            yield Fault(f"{path}.name", f"is taken by {names[name]}")
        namespace = criterion.get("metricNamespace")
        own = isinstance(namespace, str) and not namespace.lower().startswith(("microsoft.", "azure."))
        if own and criterion.get("skipMetricValidation") not in (True, UNKNOWN):
            # https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-troubleshoot-metric#define-an-alert-rule-on-a-custom-metric-that-isnt-emitted-yet
            yield Fault(
                f"{path}.skipMetricValidation", "has to be true for a metric of one's own that nobody has emitted yet"
            )


@AZURE_NATIVE.kind
class MetricAlert(Regional):
    """https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-types#metric-alerts"""

    token = tokens.METRIC_ALERT
    namespace = "Microsoft.Insights"
    type_name = "metricAlerts"
    name_property = "ruleName"
    name_rule = (r"[^*#&+:<>?@%{}\\/]{0,259}[^*#&+:<>?@%{}\\/. ]", "1 to 260 characters without *#&+:<>?@%{}\\/")
    api_version = "2018-03-01"
    located = False
    path = ("resourceGroupName", "ruleName")
    replace_on = (*path, "location")
    autoname = arm.random_name("ruleName")
    changes_on_update = ("lastUpdatedTime",)
    uses = (
        Use(
            "actions[*].actionGroupId",
            tokens.ACTION_GROUP,
            ACTION_GROUP_TYPE,
            same_location=False,
            code="BadRequest",
            in_use="",
        ),
    )

    def rules(self, args: Args) -> Iterable[Fault]:
        yield from arm.global_faults(args)
        yield from between(args, "severity", 0, 4)
        yield from one_of(args, "evaluationFrequency", _FREQUENCIES)
        yield from one_of(args, "windowSize", _WINDOWS)
        often, window = iso_minutes(args.get("evaluationFrequency")), iso_minutes(args.get("windowSize"))
        if often is not None and window is not None and window < often:
            yield Fault(
                "windowSize", f"has to be as long as evaluationFrequency at least: {args['evaluationFrequency']}"
            )
        yield from length(args, "scopes", 1, 5000)
        for path, scope in args.at("scopes[*]"):
            if arm.parse_id(scope) is None:
                yield Fault(path, f"expected the id of a resource, got {shown(scope)}")
        several = isinstance(args["scopes"], list) and len(args["scopes"]) > 1
        for key in ("targetResourceType", "targetResourceRegion"):
            if several and args[key] is None:
                yield Fault(key, "is required for several scopes")
        yield from _criteria_faults(args)

    def location_inside(self, args: Args, cloud: Cloud) -> str:
        return GLOBAL

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        for scope in args["scopes"]:
            found = arm.parse_id(scope)
            if found is None or found["subscription"] != cloud.account.lower():
                continue
            known = [t for t, k in AZURE_NATIVE.kinds.items() if _type_of(k) == found["type"]]
            if known and not any(arm.find_by_id(cloud, token, scope) for token in known):
                raise CloudError("ResourceNotFound", f"The scope '{scope}' of the alert does not exist.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            **self.common_outputs(args),
            "location": GLOBAL,
            "autoMitigate": args.get("autoMitigate", True),
            "lastUpdatedTime": now(),
        }


def _type_of(kind: object) -> str | None:
    """The ARM type of a kind that lies directly in a group."""
    return f"{kind.namespace}/{kind.type_name}".lower() if isinstance(kind, Regional) else None
