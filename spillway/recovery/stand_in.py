"""What exists in a stand-in cloud, seen as the real one would show it: by tags, and through tagged parents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.recovery import aws_types, route53, stand_in_clouds
from spillway.recovery.model import STACK_TAG, Existing, Rules, Scope, strings

GLOBAL = "global"


class SandboxInventory:
    """The resources of one stand-in cloud in some accounts.

    It looks at tags, ids and properties only; the URN that the store keeps beside a resource is nothing a cloud knows.
    """

    def __init__(self, directory: Path, cloud: str, accounts: Collection[str], rules: Rules) -> None:
        self._directory, self._cloud, self._accounts, self._rules = directory, cloud, accounts, rules

    def existing(self, scope: Scope) -> list[Existing]:
        """See model.Inventory."""
        store = Store(self._directory)
        with store.transaction(write=False) as tx:
            rows = [r for r in tx.all(self._cloud) if not self._accounts or r.account in self._accounts]
        store.close()
        if self._cloud in stand_in_clouds.EXISTING:
            return stand_in_clouds.EXISTING[self._cloud]([r for r in rows if r.urn], scope)
        found = [self._tagged(r) for r in rows if r.urn and _tags(r).get(STACK_TAG) == scope.stack]
        names = {name: e.id for e, r in ((e, r) for e in found for r in rows if r.id == e.id) for name in _names(e, r)}
        for row in rows:
            properties = self._rules.children.get(row.token)
            if properties is None or not row.urn:
                continue
            parents = {names[v] for p in properties if (v := row.outputs.get(p)) in names}
            if parents:
                found.append(self._existing(row, frozenset(parents)))
        return self._with_records(found, rows, scope)

    @staticmethod
    def _with_records(found: list[Existing], rows: Sequence[Resource], scope: Scope) -> list[Existing]:
        """With what Route 53 would list of the zones that the stack has or names."""
        wanted = route53.zone_ids(scope) | {e.id for e in found if e.token == aws_types.ZONE}
        if not wanted:
            return found
        records = [_record(r) for r in rows if r.token == aws_types.RECORD and r.urn]
        apex = {r.id: aws_types.record_name(str(r["name"])) for r in rows if r.token == aws_types.ZONE}
        return route53.complete(found, [r for r in records if r.zone in wanted], apex, scope)

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


def _record(row: Resource) -> route53.Record:
    alias: Mapping[str, Any] = next(iter(row["aliases"] or []), {})
    zone = aws_types.zone_id(str(row["zoneId"]))
    inside = aws_types.zone_id(str(alias.get("zoneId", ""))) == zone
    return route53.Record(
        zone=zone,
        name=aws_types.record_name(str(row["fqdn"])),
        type=str(row["type"]),
        set=str(row["setIdentifier"] or ""),
        check=str(row["healthCheckId"] or ""),
        alias=aws_types.record_name(str(alias.get("name", ""))) if inside else "",
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
