"""What exists in a real Azure subscription of a region: what its resource group holds, and what the plan would make.

The group's list tells what carries the stack's tag, a GET of each planned id what is there already: the list may lag,
and it has neither parts nor role assignments, https://learn.microsoft.com/rest/api/resources/resources/list-by-resource-group
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from spillway.preflight.azure import AzureSubscription
from spillway.recovery import azure
from spillway.recovery.azure import Thing
from spillway.recovery.azure_types import BY_TOKEN, BY_TYPE, GROUP, IDENTITY, ROLE_ASSIGNMENT, Places, arm_key
from spillway.recovery.model import Scope

Json = Mapping[str, Any]

_RESOURCES: Final = "2021-04-01"
_IDENTITIES: Final = BY_TOKEN[IDENTITY].version
_ASSIGNMENTS: Final = BY_TOKEN[ROLE_ASSIGNMENT].version
INSIGHTS: Final = "/actiongroups/application insights smart detection"
"""Made by Application Insights itself, with a rule of failure anomalies, and none of the stack's:
https://learn.microsoft.com/azure/azure-monitor/alerts/proactive-failure-diagnostics"""


def things(ask: AzureSubscription, subscription: str, group: str, scope: Scope) -> Iterator[Thing]:
    """Everything of a region in one resource group that stands. group: its id. Raises preflight.model.Unanswered."""
    places = Places(scope, subscription)
    planned = {
        arm_key(id): (item.token, id) for item in scope.planned if item.token in BY_TOKEN and (id := places.of(item))
    }
    found: set[str] = set()
    for item in ask._all(f"{group}/resources", _RESOURCES):
        row, key = BY_TYPE.get(str(item["type"]).lower()), arm_key(str(item["id"]))
        tags = item.get("tags") or {}
        if key.endswith(INSIGHTS) or "/smartdetectoralertrules/" in key:
            continue  # whatever tags a policy gave it
        if row is None and tags.get(azure.STACK_TAG) != scope.stack:
            continue  # a disk, a smart detector: nobody's here
        found.add(key)
        # The plan's spelling where there is one: an import takes the names from its id, and they must not differ.
        id = planned.get(key, ("", str(item["id"])))[1]
        yield from _one(ask, row.token if row else str(item["type"]), id, tags)
    for key, (token, id) in planned.items():
        if key in found or not key.startswith(f"{arm_key(group)}/"):
            continue
        body = ask._get(id, BY_TOKEN[token].version)
        if body is not None:
            tags = body.get("tags") or {}
            principal = str((body.get("properties") or {}).get("principalId") or "")
            found.add(key)
            yield Thing(token, id, tags=tags, principal=principal)
    if any(item.token == ROLE_ASSIGNMENT for item in scope.planned) or any(
        token == ROLE_ASSIGNMENT for token, _ in scope.owned
    ):
        yield from _assignments(ask, group, found)


def _one(ask: AzureSubscription, token: str, id: str, tags: Mapping[str, str]) -> Iterator[Thing]:
    principal = ""
    if token == IDENTITY:
        body = ask._get(id, _IDENTITIES) or {}
        principal = str((body.get("properties") or {}).get("principalId") or "")
    yield Thing(token, id, tags=tags, principal=principal)


def _assignments(ask: AzureSubscription, group: str, found: set[str]) -> Iterator[Thing]:
    """Those at the group and below; those from above are none of this stack's.
    https://learn.microsoft.com/rest/api/authorization/role-assignments/list-for-resource-group"""
    path = f"{group}/providers/Microsoft.Authorization/roleAssignments"
    for item in ask._all(path, _ASSIGNMENTS):
        key = arm_key(str(item["id"]))
        if key.startswith(f"{arm_key(group)}/") and key not in found:
            principal = str((item.get("properties") or {}).get("principalId") or "")
            yield Thing(ROLE_ASSIGNMENT, str(item["id"]), principal=principal)


def is_region(scope: Scope) -> bool:
    """Whether the stack has anything that a region has, besides a resource group."""
    return any(token in BY_TOKEN and token != GROUP for token in scope.tokens())
