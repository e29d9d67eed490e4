"""Where the nodes' access and audit logs go: a table of a Log Analytics workspace, which is written to through a data
collection endpoint and by a rule (https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview).

Only what `images/rootfs/etc/fluent-bit/redact.lua` lets through arrives; columns that are not named here are dropped.
The rule is of no kind: the kind Direct, with an endpoint of its own, is younger than the API that the provider speaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_azure_native as azure
from pulumi import ResourceOptions

from infra.azure import names
from infra.azure.common import Scope

TABLE: Final = "SpillwayNodes_CL"
STREAM: Final = f"Custom-{TABLE}"
"""Fluent Bit writes to the stream of its table's name: https://docs.fluentbit.io/manual/data-pipeline/outputs/azure_logs_ingestion"""
DESTINATION: Final = "nodes"
TIME: Final = "TimeGenerated"
RENAMED: Final[Mapping[str, str]] = {"id": "requestId"}
"""Names that no column may have: https://learn.microsoft.com/azure/azure-monitor/logs/create-custom-table"""
TEXTS: Final = (
    *("cloud", "region", "stack", "pool", "node", "kind"),
    *("time", "client", "key", "tls", "refused", "engineStatus", "engineHeaderSeconds", "engineSeconds"),
    *("id", "method", "path"),
    *("program", "event", "reason", "detail", "was", "cause", "name", "file", "host"),
    *("level", "source"),
    *("who", "text", "unit"),
)
NUMBERS: Final = (
    *("status", "bytesIn", "bytesOut", "seconds", "priority"),
    *("epoch", "files", "keys", "left", "minutes", "missed", "port", "rank"),
)
"""As real: numbers leave Lua with a decimal point or without."""
FREE_DAYS: Final = 30
"""https://learn.microsoft.com/azure/azure-monitor/logs/cost-logs#log-data-retention"""


def stream_columns() -> dict[str, str]:
    """What a node sends: name -> type, in the words of data collection rules."""
    return {TIME: "datetime", **dict.fromkeys(TEXTS, "string"), **dict.fromkeys(NUMBERS, "real")}


def table_columns() -> dict[str, str]:
    """What the table has: name -> type, in the words of tables."""
    return {
        RENAMED.get(name, name): "dateTime" if kind == "datetime" else kind for name, kind in stream_columns().items()
    }


def transformation() -> str:
    """From what is sent to what the table has.

    https://learn.microsoft.com/azure/azure-monitor/data-collection/data-collection-transformations-kql"""
    return "source | project-rename " + ", ".join(f"{new} = {old}" for old, new in RENAMED.items())


@dataclass(frozen=True, slots=True)
class LogsArgs:
    """group: the resource group's name, known once it stands."""

    scope: Scope
    group: pulumi.Input[str]
    retention_days: int


class Logs(pulumi.ComponentResource):
    """Workspace, table, endpoint and rule of the region's node logs."""

    endpoint: pulumi.Output[str]
    """Where nodes send to, https://..."""
    rule: pulumi.Output[str]
    """The rule's immutable id, which Azure gives it."""
    rule_id: pulumi.Output[str]
    """Where the right to send is given."""

    def __init__(self, name: str, args: LogsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:azure:Logs", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        workspace = azure.operationalinsights.Workspace(
            f"{name}-nodes",
            workspace_name=scope.name("nodes"),
            resource_group_name=args.group,
            location=scope.region,
            sku=azure.operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=FREE_DAYS,  # of what it has beside the table
            # No daily cap: it would drop the audit log of a busy day.
            features=azure.operationalinsights.WorkspaceFeaturesArgs(disable_local_auth=True),
            tags=scope.tags("logs"),
            opts=child,
        )
        table = azure.operationalinsights.Table(
            f"{name}-nodes",
            table_name=TABLE,
            workspace_name=workspace.name,
            resource_group_name=args.group,
            plan="Analytics",
            retention_in_days=args.retention_days,
            total_retention_in_days=args.retention_days,
            schema=azure.operationalinsights.SchemaArgs(
                name=TABLE,
                columns=[
                    azure.operationalinsights.ColumnArgs(name=column, type=kind)
                    for column, kind in table_columns().items()
                ],
            ),
            opts=child,
        )
        endpoint = azure.monitor.DataCollectionEndpoint(
            f"{name}-nodes",
            data_collection_endpoint_name=names.collection_endpoint(scope.stack),
            resource_group_name=args.group,
            location=scope.region,
            network_acls=azure.monitor.DataCollectionEndpointNetworkAclsArgs(public_network_access="Enabled"),
            tags=scope.tags("logs"),
            opts=child,
        )
        rule = azure.monitor.DataCollectionRule(
            f"{name}-nodes",
            data_collection_rule_name=scope.name("nodes"),
            resource_group_name=args.group,
            location=scope.region,
            data_collection_endpoint_id=endpoint.id,
            stream_declarations={
                STREAM: azure.monitor.StreamDeclarationArgs(
                    columns=[
                        azure.monitor.ColumnDefinitionArgs(name=column, type=kind)
                        for column, kind in stream_columns().items()
                    ]
                )
            },
            destinations=azure.monitor.DataCollectionRuleDestinationsArgs(
                log_analytics=[
                    azure.monitor.LogAnalyticsDestinationArgs(name=DESTINATION, workspace_resource_id=workspace.id)
                ]
            ),
            data_flows=[
                azure.monitor.DataFlowArgs(
                    streams=[STREAM],
                    destinations=[DESTINATION],
                    transform_kql=transformation(),
                    output_stream=STREAM,
                )
            ],
            tags=scope.tags("logs"),
            # It is refused while the table that it writes to is not there.
            opts=ResourceOptions(parent=self, depends_on=[table]),
        )
        self.endpoint = endpoint.logs_ingestion.apply(lambda ingestion: str(ingestion.endpoint) if ingestion else "")
        self.rule = rule.immutable_id
        self.rule_id = rule.id
        self.register_outputs({"endpoint": self.endpoint, "rule": self.rule})
