"""Tables of Log Analytics, data collection endpoints and data collection rules of the stand-in Azure.

Sources, by the name used below:
tables: https://learn.microsoft.com/azure/azure-monitor/logs/create-custom-table
structure: https://learn.microsoft.com/azure/azure-monitor/data-collection/data-collection-rule-structure
limits: https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits#data-collection-rules
names: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftinsights
"""

from __future__ import annotations

import re
import secrets as random_source
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.monitoring import WORKSPACE_TYPE
from sandbox.azure_native.regional import Regional, Use
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import length, matches, one_of, shown
from sandbox.values import UNKNOWN

ENDPOINT_TYPE: Final = "Microsoft.Insights/dataCollectionEndpoints"
CUSTOM: Final = "Custom-"
FLOWS_MAX: Final = 10  # limits
TRANSFORMATION_MAX: Final = 15_360  # limits: characters
_COLUMN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,44}")  # tables
_RESERVED: Final = frozenset(
    ("_resourceid", "id", "_subscriptionid", "tenantid", "type", "uniqueid", "title")
)  # tables
_TABLE_TYPES: Final = ("string", "int", "long", "real", "boolean", "dateTime", "guid", "dynamic")
_STREAM_TYPES: Final = ("string", "int", "long", "real", "boolean", "datetime", "dynamic")
TIME: Final = "TimeGenerated"


def _find_workspace(cloud: Cloud, group: object, name: object) -> Resource | None:
    return next(
        (
            w
            for w in cloud.all(tokens.WORKSPACE)
            if arm.same(w["resourceGroupName"], group) and arm.same(w["workspaceName"], name)
        ),
        None,
    )


@AZURE_NATIVE.kind
class Table(Regional):
    """A custom table, `..._CL`, or the settings of one of Azure's own.
    https://learn.microsoft.com/rest/api/loganalytics/tables/create-or-update"""

    token = tokens.TABLE
    namespace = "Microsoft.OperationalInsights"
    type_name = "tables"
    name_property = "tableName"
    name_rule = (r"[A-Za-z][A-Za-z0-9_]{0,62}", "1 to 63 letters, digits and underscores that begin with a letter")
    api_version = "2023-09-01"
    located = False
    taggable = False
    path = ("resourceGroupName", "workspaceName", "tableName")
    replace_on = path
    autoname = arm.copied_name("tableName")
    changes_on_update = ()

    def segments(self, args: Args) -> list[tuple[str, str]]:
        return [("workspaces", str(args["workspaceName"])), ("tables", str(args["tableName"]))]

    def check_parent(self, args: Args, cloud: Cloud) -> None:
        if _find_workspace(cloud, args["resourceGroupName"], args["workspaceName"]) is None:
            raise arm.parent_missing(f"{WORKSPACE_TYPE}/{args['workspaceName']}")

    def rules(self, args: Args) -> Iterable[Fault]:
        yield from one_of(args, "plan", ("Analytics", "Basic"))
        days, total = args.get("retentionInDays"), args.get("totalRetentionInDays")
        # tables; https://learn.microsoft.com/azure/azure-monitor/logs/data-retention-configure
        if isinstance(days, int) and days != -1 and not 4 <= days <= 730:
            yield Fault("retentionInDays", f"expected 4 to 730 days, or -1 for the workspace's; got {days}")
        if isinstance(total, int) and total != -1 and not 4 <= total <= 4383:
            yield Fault("totalRetentionInDays", f"expected 4 to 4383 days, or -1 for retentionInDays; got {total}")
        if isinstance(days, int) and isinstance(total, int) and -1 not in (days, total) and total < days:
            yield Fault("totalRetentionInDays", f"has to be retentionInDays ({days}) at least; got {total}")
        if args.get("plan") == "Basic" and isinstance(days, int) and days != -1:
            yield Fault("retentionInDays", "is fixed in the plan Basic: leave it out")
        yield from self._schema_faults(args)

    @staticmethod
    def _schema_faults(args: Args) -> Iterator[Fault]:
        name = args["tableName"]
        custom = isinstance(name, str) and name.endswith("_CL")
        if custom and args["schema"] is None:
            yield Fault("schema", "is required of a custom table")
        for path, given in args.at("schema.name"):
            if isinstance(name, str) and given != name:
                yield Fault(path, f"expected the table's name, {name}; got {shown(given)}")
        yield from one_of(args, "schema.columns[*].type", _TABLE_TYPES)
        seen: dict[str, str] = {}
        for path, column in args.at("schema.columns[*].name"):
            if not _COLUMN.fullmatch(str(column)):
                yield Fault(path, f"expected up to 45 letters, digits and _, a letter first; got {shown(column)}")
            elif str(column).lower() in _RESERVED:
                yield Fault(path, f"{column} is a reserved name of columns")
            if seen.setdefault(str(column).lower(), path) != path:
                yield Fault(path, f"is taken by {seen[str(column).lower()]}")
        columns = args["schema"].get("columns") if isinstance(args["schema"], dict) else UNKNOWN
        if custom and isinstance(columns, list):
            found = {c.get("name"): c.get("type") for c in columns if isinstance(c, dict)}
            known = UNKNOWN not in columns and UNKNOWN not in found
            if known and found.get(TIME) not in ("dateTime", UNKNOWN):
                yield Fault("schema.columns", f"has to have {TIME} of type dateTime")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        days = args.get("retentionInDays", -1)
        if days == -1:
            workspace = _find_workspace(cloud, args["resourceGroupName"], args["workspaceName"])
            days = workspace["retentionInDays"] if workspace else 30
        total = args.get("totalRetentionInDays", -1)
        return {
            **self.common_outputs(args),
            "plan": args.get("plan", "Analytics"),
            "provisioningState": "Succeeded",
            "retentionInDays": days,
            "totalRetentionInDays": days if total == -1 else total,
            "archiveRetentionInDays": 0 if total == -1 else total - days,
        }


@AZURE_NATIVE.kind
class DataCollectionEndpoint(Regional):
    """https://learn.microsoft.com/rest/api/monitor/data-collection-endpoints/create"""

    token = tokens.COLLECTION_ENDPOINT
    namespace = "Microsoft.Insights"
    type_name = "dataCollectionEndpoints"
    name_property = "dataCollectionEndpointName"
    name_rule = (r"[A-Za-z0-9](?:[A-Za-z0-9-]{1,42})[A-Za-z0-9]", "3 to 44 letters, digits and hyphens")  # names
    api_version = "2022-06-01"
    path = ("resourceGroupName", "dataCollectionEndpointName")
    replace_on = (*path, "location")
    autoname = arm.random_name("dataCollectionEndpointName")

    def rules(self, args: Args) -> Iterable[Fault]:
        yield from one_of(args, "kind", ("Linux", "Windows"))
        yield from one_of(args, "networkAcls.publicNetworkAccess", ("Enabled", "Disabled", "SecuredByPerimeter"))

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        location = self.location_of(args, cloud)
        host = _host(old) or f"{str(args['dataCollectionEndpointName']).lower()}-{random_source.token_hex(2)}"
        return {
            **self.common_outputs(args),
            "location": location,
            "etag": f'"{uuid.uuid4()}"',
            "provisioningState": "Succeeded",
            "immutableId": old["immutableId"] if old else f"dce-{random_source.token_hex(16)}",
            **{
                key: {"endpoint": f"https://{host}.{location}-1.{domain}.monitor.azure.com"}
                for key, domain in (
                    ("logsIngestion", "ingest"),
                    ("metricsIngestion", "metrics.ingest"),
                    ("configurationAccess", "handler.control"),
                )
            },
        }


def _host(old: Resource | None) -> str:
    return str(old["logsIngestion"]["endpoint"]).removeprefix("https://").split(".")[0] if old else ""


@AZURE_NATIVE.kind
class DataCollectionRule(Regional):
    """https://learn.microsoft.com/rest/api/monitor/data-collection-rules/create"""

    token = tokens.COLLECTION_RULE
    namespace = "Microsoft.Insights"
    type_name = "dataCollectionRules"
    name_property = "dataCollectionRuleName"
    name_rule = (r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", "1 to 64 letters, digits, hyphens, underscores and dots")  # names
    api_version = "2022-06-01"
    path = ("resourceGroupName", "dataCollectionRuleName")
    replace_on = (*path, "location")
    autoname = arm.random_name("dataCollectionRuleName")
    uses = (
        # A rule and its endpoint stand in one region, and so does the workspace (structure).
        Use(
            "dataCollectionEndpointId",
            tokens.COLLECTION_ENDPOINT,
            ENDPOINT_TYPE,
            code="InvalidPayload",
            in_use="DataCollectionEndpointInUse",
        ),
        Use(
            "destinations.logAnalytics[*].workspaceResourceId",
            tokens.WORKSPACE,
            WORKSPACE_TYPE,
            code="InvalidPayload",
            in_use="",
        ),
    )

    def rules(self, args: Args) -> Iterable[Fault]:
        yield from one_of(args, "kind", ("Linux", "Windows"))
        yield from length(args, "dataFlows", 1, FLOWS_MAX)
        yield from length(args, "dataFlows[*].transformKql", 1, TRANSFORMATION_MAX)
        for path, text in args.at("dataFlows[*].transformKql"):
            if not re.match(r"\s*source\b", str(text)):
                yield Fault(path, f"has to begin with source; got {shown(text)}")
        yield from one_of(args, "streamDeclarations.*.columns[*].type", _STREAM_TYPES)
        yield from matches(args, "dataFlows[*].outputStream", r"(Custom|Microsoft)-\w+", "Custom-... or Microsoft-...")
        yield from self._name_faults(args)

    @staticmethod
    def _name_faults(args: Args) -> Iterator[Fault]:
        """Streams and destinations that flows name have to be there."""
        declared = args["streamDeclarations"] if isinstance(args["streamDeclarations"], dict) else {}
        for name in declared:
            if not name.startswith(CUSTOM):
                yield Fault(f"streamDeclarations.{name}", f"names of streams of one's own begin with {CUSTOM}")
        given = args["destinations"] if isinstance(args["destinations"], dict) else {}
        listed = [
            entry for entries in given.values() for entry in (entries if isinstance(entries, list) else [entries])
        ]
        known = {entry.get("name") if isinstance(entry, dict) else UNKNOWN for entry in listed}
        for path, stream in args.at("dataFlows[*].streams[*]"):
            if str(stream).startswith(CUSTOM) and stream not in declared and args["streamDeclarations"] is not UNKNOWN:
                yield Fault(path, f"is not declared in streamDeclarations; got {shown(stream)}")
        for path, name in args.at("dataFlows[*].destinations[*]"):
            if name not in known and UNKNOWN not in known and args["destinations"] is not UNKNOWN:
                yield Fault(path, f"is the name of none of the destinations; got {shown(name)}")
        # structure: direct ingestion by a rule of no kind goes through an endpoint
        direct = any(str(stream).startswith(CUSTOM) for stream in declared) and not args["dataSources"]
        if direct and args["dataCollectionEndpointId"] is None:
            yield Fault("dataCollectionEndpointId", "is required for streams that are written to directly")

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        """The tables that a rule writes to are there, with the columns that arrive (error InvalidOutputTable)."""
        workspaces = {
            entry["name"]: entry["workspaceResourceId"]
            for entry in (args.get("destinations") or {}).get("logAnalytics") or []
        }
        for flow in args.get("dataFlows") or []:
            stream = flow.get("outputStream") or next(iter(flow.get("streams") or []), "")
            if not str(stream).startswith(CUSTOM):
                continue
            for name in flow.get("destinations") or []:
                found = arm.parse_id(workspaces.get(name))
                if found is None or found["subscription"] != cloud.account.lower():
                    continue
                wanted = f"{workspaces[name]}/tables/{str(stream).removeprefix(CUSTOM)}"
                if arm.find_by_id(cloud, tokens.TABLE, wanted) is None:
                    raise CloudError(
                        "InvalidPayload",
                        f"Data collection rule is invalid: InvalidOutputTable: Table for output stream '{stream}' is "
                        f"not available for destination '{name}'.",
                    )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            **self.common_outputs(args),
            "location": self.location_of(args, cloud),
            "etag": f'"{uuid.uuid4()}"',
            "provisioningState": "Succeeded",
            "immutableId": old["immutableId"] if old else f"dcr-{random_source.token_hex(16)}",
        }
