"""What exists in a stand-in cloud, seen as the real one would show it: by tags, and through tagged parents."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.recovery.model import STACK_TAG, Existing, Rules, strings

GLOBAL = "global"


class SandboxInventory:
    """The resources of one stand-in cloud in some accounts.

    It looks at tags, ids and properties only; the URN that the store keeps beside a resource is nothing a cloud knows.
    """

    def __init__(self, directory: Path, cloud: str, accounts: Collection[str], rules: Rules) -> None:
        self._directory, self._cloud, self._accounts, self._rules = directory, cloud, accounts, rules

    def existing(self, stack: str) -> list[Existing]:
        store = Store(self._directory)
        with store.transaction(write=False) as tx:
            rows = [r for r in tx.all(self._cloud) if not self._accounts or r.account in self._accounts]
        store.close()
        found = [self._tagged(r) for r in rows if r.urn and _tags(r).get(STACK_TAG) == stack]
        names = {name: e.id for e, r in ((e, r) for e in found for r in rows if r.id == e.id) for name in _names(e, r)}
        for row in rows:
            properties = self._rules.children.get(row.token)
            if properties is None or not row.urn:
                continue
            parents = {names[v] for p in properties if (v := row.outputs.get(p)) in names}
            if parents:
                found.append(self._existing(row, frozenset(parents)))
        return found

    def _tagged(self, row: Resource) -> Existing:
        return self._existing(row, frozenset())

    def _existing(self, row: Resource, parents: frozenset[str]) -> Existing:
        return Existing(
            token=row.token,
            id=row.id,
            key=self._rules.key(row.token, row.outputs),
            tags=_tags(row),
            region="" if row.region == GLOBAL else row.region,
            refs=frozenset(strings(row.inputs, skip=("tags", "tagsAll"))),
            parents=parents,
        )


def _names(found: Existing, row: Resource) -> set[str]:
    """By what a child may name its parent: id, ARN or fixed name."""
    return {str(name) for name in (found.id, found.key, row.outputs.get("arn")) if name}


def _tags(row: Resource) -> Mapping[str, str]:
    for properties in (row.outputs, row.inputs):
        for name in ("tagsAll", "tags"):
            tags: Any = properties.get(name)
            if isinstance(tags, dict) and tags:
                return tags
            if isinstance(tags, list) and tags:
                return {str(t.get("key")): str(t.get("value")) for t in tags}
    return {}
