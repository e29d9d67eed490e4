"""A stand-in cloud in memory, for tests of one kind at a time: the `Cloud` protocol plus the few steps around a kind
that the plugin's core takes (references, uniqueness, defaults, side effects), with nothing of the wire or the store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws import AWS
from sandbox.kinds import Args, CloudError, Kind, Registry, Resource
from sandbox.values import UNKNOWN, select


@dataclass
class _State:
    resources: dict[tuple[str, str], Resource] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    quotas: dict[str, float] = field(default_factory=dict)
    dry: set[tuple[str, str, str]] = field(default_factory=set)
    made: int = 0


class MemoryCloud:
    """`MemoryCloud()` is an empty account seen from us-east-1; `.in_region(name)` is the same account elsewhere."""

    def __init__(
        self,
        region: str = "us-east-1",
        account: str = "123456789012",
        registry: Registry = AWS,
        state: _State | None = None,
    ) -> None:
        self.region = region
        self.account = account
        self.registry = registry
        self.state = state if state is not None else _State()

    def in_region(self, region: str) -> MemoryCloud:
        return MemoryCloud(region, self.account, self.registry, self.state)

    # What rules ask for.

    def get(self, token: str, id: str) -> Resource | None:
        return self.state.resources.get((token, id))

    def all(self, token: str, *, region: str | None = None) -> list[Resource]:
        return [
            r for (t, _), r in self.state.resources.items() if t == token and (region is None or r.region == region)
        ]

    def find(self, token: str, **outputs: Any) -> list[Resource]:
        return [
            r
            for r in self.all(token, region=self.region)
            if all((r.id if k == "id" else r[k]) == v for k, v in outputs.items())
        ]

    def put(self, resource: Resource) -> None:
        self.state.resources[resource.token, resource.id] = resource

    def remove(self, token: str, id: str) -> None:
        self.state.resources.pop((token, id), None)

    def quota(self, name: str, default: float, *, region: str | None = None) -> float:
        return self.state.quotas.get(name, default)

    def sold_out(self, zone: str, machine_type: str, market: str) -> bool:
        return (zone, machine_type, market) in self.state.dry

    def sequence(self, name: str) -> int:
        self.state.counters[name] += 1
        return self.state.counters[name] - 1

    # What a test does.

    def set_quota(self, name: str, value: float) -> None:
        self.state.quotas[name] = value

    def sell_out(self, zone: str, machine_type: str, market: str) -> None:
        self.state.dry.add((zone, machine_type, market))

    def faults(self, token: str, /, **inputs: Any) -> list[str]:
        """`path: reason` of every value rule that the inputs break."""
        return [f"{fault.path}: {fault.reason}" for fault in self._kind(token).check(Args(inputs))]

    def create(self, token: str, /, **inputs: Any) -> Resource:
        """Check and create; a value fault is an AssertionError, a refusal of the cloud a CloudError."""
        kind = self._kind(token)
        self._named(kind, inputs)
        faults = self.faults(token, **inputs)
        assert not faults, faults
        args = Args({**kind.defaults, **inputs})
        self._references(kind, args)
        self._unique(kind, args, None)
        kind.before_create(args, self)
        id = kind.new_id(args, self)
        outputs = {**args.values, **kind.outputs(id, args, self, None)}
        resource = Resource(
            token,
            id,
            self.region,
            self.account,
            dict(inputs),
            outputs,
            urn=f"urn:test::{token}::{id}",
        )
        self.put(resource)
        kind.after_create(resource, self)
        return self._stored(resource)

    def update(self, old: Resource, /, **changes: Any) -> Resource:
        """Update in place: `changes` on top of the old inputs, None takes a property away."""
        kind = self._kind(old.token)
        inputs = {k: v for k, v in {**old.inputs, **changes}.items() if v is not None}
        faults = self.faults(old.token, **inputs)
        assert not faults, faults
        args = Args({**kind.defaults, **inputs})
        self._references(kind, args)
        self._unique(kind, args, old)
        kind.before_update(old, args, self)
        outputs = {**args.values, **kind.outputs(old.id, args, self, old)}
        resource = Resource(old.token, old.id, old.region, old.account, inputs, outputs, urn=old.urn)
        self.put(resource)
        kind.after_create(resource, self)  # the core calls it after an update too
        return self._stored(resource)

    def delete(self, resource: Resource) -> None:
        kind = self._kind(resource.token)
        resource = self._stored(resource)
        kind.before_delete(resource, self)
        for other, code in self._referring(resource):
            raise CloudError(code, f"{resource.id} has a dependent object: {other.id}")
        self.remove(resource.token, resource.id)
        kind.after_delete(resource, self)

    def stand_in(self, token: str, id: str, /, **outputs: Any) -> Resource:
        """Put something there without asking its kind: the neighbour of the type under test."""
        resource = Resource(token, id, self.region, self.account, {}, outputs)
        self.put(resource)
        return resource

    def _kind(self, token: str) -> Kind:
        return self.registry.kinds[token]

    def _stored(self, resource: Resource) -> Resource:
        return self.state.resources[resource.token, resource.id]

    def _named(self, kind: Kind, inputs: dict[str, Any]) -> None:
        if kind.autoname and inputs.get(kind.autoname.property) is None:
            self.state.made += 1
            inputs[kind.autoname.property] = f"test{kind.autoname.separator}{self.state.made:07x}"

    def _references(self, kind: Kind, args: Args) -> None:
        for ref in kind.references:
            for path, value in select(args.values, ref.path):
                if value is UNKNOWN or value == "" or (ref.accept and ref.accept(value)):
                    continue
                found = self._targets(ref.tokens, ref.by, value)
                if not any(r.region == self.region or not ref.same_region for r in found):
                    raise CloudError(ref.code, f"{path}: {value} does not exist")

    def _targets(self, tokens: tuple[str, ...], by: str, value: Any) -> list[Resource]:
        return [r for token in tokens for r in self.all(token) if (r.id if by == "id" else r[by]) == value]

    def _unique(self, kind: Kind, args: Args, old: Resource | None) -> None:
        if not kind.unique:
            return
        wanted = [args[key] for key in kind.unique]
        for other in self.all(kind.token, region=self.region if kind.unique_scope == "region" else None):
            if (old is None or other.id != old.id) and [other[key] for key in kind.unique] == wanted:
                raise CloudError(kind.duplicate_code, f"{wanted} already exists")

    def _referring(self, resource: Resource) -> list[tuple[Resource, str]]:
        found = []
        for other in self.state.resources.values():
            kind = self.registry.kinds.get(other.token)
            for ref in kind.references if kind else ():
                if not ref.blocks_delete or resource.token not in ref.tokens:
                    continue
                mine = resource.id if ref.by == "id" else resource[ref.by]
                if any(value == mine for _, value in select(other.inputs, ref.path)):
                    found.append((other, ref.delete_code))
        return found
