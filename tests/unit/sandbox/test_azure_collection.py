"""Tables, data collection endpoints and rules of the stand-in Azure."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.azure_native import tokens
from tests.support.aws_region import refused
from tests.support.azure import faults
from tests.support.azure_region import (
    Region,
    collection_endpoint,
    collection_rule,
    put,
    table,
    workspace,
)

ID = {"name": "id", "type": "string"}
TIME = {"name": "TimeGenerated", "type": "dateTime"}


@pytest.mark.parametrize(
    ("token", "good", "path", "value", "expected"),
    [
        (tokens.TABLE, table(), "retentionInDays", 3, "retentionInDays: expected 4 to 730"),
        (tokens.TABLE, table(), "totalRetentionInDays", 20, "totalRetentionInDays: has to be retentionInDays (30)"),
        (tokens.TABLE, table(), "plan", "Basic", "retentionInDays: is fixed in the plan Basic"),
        (tokens.TABLE, table(), "plan", "Free", "plan: expected one of Analytics"),
        (tokens.TABLE, table(), "schema", None, "schema: is required of a custom table"),
        (tokens.TABLE, table(), "schema.name", "Other_CL", "schema.name: expected the table's name"),
        (tokens.TABLE, table(), "schema.columns", [ID, TIME], "schema.columns[0].name: id is a reserved name"),
        (tokens.TABLE, table(), "schema.columns", [TIME, TIME], "schema.columns[1].name: is taken by"),
        (tokens.TABLE, table(), "schema.columns", [{"name": "a-b", "type": "int"}, TIME], "schema.columns[0].name: ex"),
        (tokens.TABLE, table(), "schema.columns.0.type", "datetime", "schema.columns[0].type: expected one of string"),
        (tokens.TABLE, table(), "schema.columns.0.name", "time", "schema.columns: has to have TimeGenerated"),
        (tokens.COLLECTION_ENDPOINT, collection_endpoint(), "dataCollectionEndpointName", "a", "dataCollectionEndpoi"),
        (
            tokens.COLLECTION_ENDPOINT,
            collection_endpoint(),
            "networkAcls.publicNetworkAccess",
            "Yes",
            "networkAcls.publicNetworkAccess: expected one of Enabled",
        ),
        (tokens.COLLECTION_RULE, collection_rule(), "kind", "Direct", "kind: expected one of Linux, Windows"),
        (tokens.COLLECTION_RULE, collection_rule(), "dataFlows", [], "dataFlows: expected a length"),
        (tokens.COLLECTION_RULE, collection_rule(), "dataFlows.0.streams", ["Custom-X_CL"], "dataFlows[0].streams[0]"),
        (tokens.COLLECTION_RULE, collection_rule(), "dataFlows.0.destinations", ["x"], "dataFlows[0].destinations[0]"),
        (tokens.COLLECTION_RULE, collection_rule(), "dataFlows.0.transformKql", "where a", "dataFlows[0].transformKql"),
        (
            tokens.COLLECTION_RULE,
            collection_rule(),
            "dataCollectionEndpointId",
            None,
            "dataCollectionEndpointId: is re",
        ),
        (
            tokens.COLLECTION_RULE,
            collection_rule(),
            "streamDeclarations",
            {"Nodes": {"columns": [TIME]}},
            "streamDeclarations.Nodes: names of streams of one's own begin with Custom-",
        ),
    ],
)
def test_values_are_checked(token: str, good: dict[str, Any], path: str, value: Any, expected: str) -> None:
    head = path.split(".", 1)[0]
    assert faults(token, good) == []
    found = faults(token, good, **{head: put(good, path, value).get(head)})
    assert [line for line in found if line.startswith(expected)], found


def test_a_rule_needs_its_table_and_endpoint_and_keeps_its_immutable_id() -> None:
    cloud = Region()
    with refused("ParentResourceNotFound", "workspaces/spillway-westus2"):
        cloud.create(tokens.TABLE, **table())
    cloud.create(tokens.WORKSPACE, **workspace())
    with refused("InvalidPayload", "was not found"):
        cloud.create(tokens.COLLECTION_RULE, **collection_rule())
    endpoint = cloud.create(tokens.COLLECTION_ENDPOINT, **collection_endpoint())
    with refused("InvalidPayload", "InvalidOutputTable"):
        cloud.create(tokens.COLLECTION_RULE, **collection_rule())
    cloud.create(tokens.TABLE, **table())
    rule = cloud.create(tokens.COLLECTION_RULE, **collection_rule())
    changed = cloud.update(rule, **{**collection_rule(), "tags": {"team": "platform"}})
    assert changed["immutableId"] == rule["immutableId"]
    assert endpoint["logsIngestion"]["endpoint"].endswith(".westus2-1.ingest.monitor.azure.com")
    with refused("DataCollectionEndpointInUse", "is in use by"):
        cloud.delete(endpoint)
