"""The file for `pulumi import --file` (https://www.pulumi.com/docs/iac/cli/commands/pulumi_import/). Pure.

`name` is the entry's handle within the file, `logicalName` what the program calls the resource; `parent` and `provider`
are handles, of the file's entries or of its `nameTable` of URNs in the state. Components and explicit providers that
are not in the state yet are entries of their own; the engine registers them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from spillway.errors import SpillwayError
from spillway.recovery.model import PROVIDERS, RECOVERED, ROOT, Existing, Planned, name_of, strings, type_of
from spillway.recovery.state import State, provider_for

SECRET = "[secret]"  # how a preview shows a secret


def recovered_name(resource: Existing) -> str:
    """The logical name under which an orphan is taken in."""
    return RECOVERED + re.sub(r"[^A-Za-z0-9._-]+", "-", resource.id)


def recovered_urn(resource: Existing, state: State) -> str:
    """The URN that the engine gives an orphan: no parent but the stack."""
    root = next(urn for urn in state.live if type_of(urn) == ROOT)
    stack, project = root.split("::")[:2]
    return f"{stack}::{project}::{resource.token}::{recovered_name(resource)}"


def build(
    adopt: Sequence[tuple[Planned, Existing]], orphans: Sequence[Existing], plan: Iterable[Planned], state: State
) -> dict[str, Any]:
    """The file's content. Raises SpillwayError when a provider is missing that only an `up` can make."""
    file = _File(plan, state)
    for item, resource in adopt:
        entry = {"type": item.token, "logicalName": item.name, "id": resource.id}
        file.add(entry, item.parent, item.provider)
    for resource in orphans:
        entry = {"type": resource.token, "logicalName": recovered_name(resource), "id": resource.id}
        file.add(entry, None, file.provider(resource))
    return {"nameTable": file.table, "resources": file.entries}


class _File:
    def __init__(self, plan: Iterable[Planned], state: State) -> None:
        self.plan = {item.urn: item for item in plan}
        self.state = state
        self.table: dict[str, str] = {}
        self.entries: list[dict[str, Any]] = []
        self._handles: dict[str, str] = {}

    def add(self, entry: dict[str, Any], parent: str | None, provider: str | None) -> None:
        if parent is not None and type_of(parent) != ROOT:
            entry["parent"] = self._handle(parent)
        if provider is not None:
            entry["provider"] = self._handle(provider)
        entry["name"] = f"r{len(self.entries)}"
        self.entries.append(entry)

    def provider(self, resource: Existing) -> str | None:
        """The URN of the provider that manages an orphan."""
        known = [(r["urn"], r.get("inputs") or {}) for r in self.state.providers()]
        known += [(urn, item.inputs) for urn, item in self.plan.items() if item.token.startswith(PROVIDERS)]
        return provider_for(known, resource.token, resource.region)

    def _handle(self, urn: str) -> str:
        if urn not in self._handles:
            self._handles[urn] = handle = f"n{len(self._handles)}"
            if urn in self.state.live:
                self.table[handle] = urn
            else:
                self.entries.append(self._made(urn, handle))
        return self._handles[urn]

    def _made(self, urn: str, handle: str) -> dict[str, Any]:
        """The entry of a component or provider that the program makes and the state does not have."""
        item = self.plan.get(urn)
        if item is None:
            raise SpillwayError(f"{urn}: neither in the state nor in the plan; run `pulumi up` once and recover again")
        entry: dict[str, Any] = {"type": item.token, "name": handle, "logicalName": name_of(urn)}
        if item.custom and SECRET in set(strings(item.inputs)):
            raise SpillwayError(
                f"{name_of(urn)}: the provider is not in the state and has secret settings; "
                f"run `pulumi up --target '{urn}'` and recover again"
            )
        entry |= {"inputs": dict(item.inputs)} if item.custom else {"component": True}
        if item.parent is not None and type_of(item.parent) != ROOT:
            entry["parent"] = self._handle(item.parent)
        return entry


def imported_urns(adopt: Sequence[tuple[Planned, Existing]], orphans: Sequence[Existing], state: State) -> list[str]:
    """The URNs that an import of these gives, of those that the state now holds."""
    wanted = [item.urn for item, _ in adopt] + [recovered_urn(resource, state) for resource in orphans]
    return [urn for urn in wanted if urn in state.live]
