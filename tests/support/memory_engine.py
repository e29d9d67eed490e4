"""A program against a strict cloud in memory: registered, then made, changed and deleted in it.

Pulumi's mocks hand every registration over in order; here each becomes the call that the engine would make, and what is
no longer registered is deleted at the end, as `pulumi up` does.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pulumi
import pulumi.runtime

from sandbox.kinds import Args, CloudError, Resource
from tests.support.memory_cloud import MemoryCloud


class MemoryEngine(pulumi.runtime.Mocks):
    """One stack in one account, brought up as often as wanted."""

    stack: ClassVar[str]
    delete_first: ClassVar[bool] = False
    """Whether a replaced resource goes before its successor comes."""

    def __init__(self, cloud: MemoryCloud) -> None:
        self.cloud = cloud
        self.made: dict[tuple[str, str], Resource] = {}
        self.providers: list[dict[str, Any]] = []
        self._seen: list[tuple[str, str]] = []
        self._replaced: list[Resource] = []

    def run(self, program: Callable[[], Any]) -> None:
        """Register what a program makes; what the cloud refuses is raised, mostly as its own error."""
        self._seen, self._replaced = [], []
        asyncio.set_event_loop(asyncio.new_event_loop())
        pulumi.runtime.set_mocks(self, project="spillway", stack=self.stack, preview=False)
        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
        for resource in reversed(self._replaced):
            self.cloud.delete(resource)
        self._delete([key for key in self.made if key not in self._seen])

    def destroy(self) -> None:
        """Everything goes."""
        self._delete(list(self.made))

    def _delete(self, keys: list[tuple[str, str]]) -> None:
        """What refers to others goes before them."""
        for key in reversed([key for key in self.made if key in keys]):
            self.cloud.delete(self.made.pop(key))

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        kind = self.cloud.registry.kinds.get(args.typ)
        if kind is None:
            if args.typ.startswith("pulumi:providers:"):
                self.providers.append(dict(args.inputs))
            return f"{args.name}-id", dict(args.inputs)
        key, inputs = (args.typ, args.name), plain(args.inputs)
        assert key not in self._seen, f"{key} is registered twice"
        self._seen.append(key)
        old = self.made.get(key)
        if old is not None and any(old.inputs.get(p) != inputs.get(p) for p in kind.replace_on):
            self.made.pop(key)
            if self.delete_first:
                self.cloud.delete(old)
            else:
                self._replaced.append(old)
            old = None
        if old is None:
            self.made[key] = self.cloud.create(args.typ, **inputs)
        elif old.inputs != inputs:
            gone = {name: None for name in old.inputs if name not in inputs}
            self.made[key] = self.cloud.update(old, **{**gone, **inputs})
        resource = self.made[key]
        return resource.id, {**resource.outputs, "id": resource.id}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        try:
            return dict(self.cloud.registry.invokes[args.token](Args(plain(args.args)), self.cloud)), []
        except CloudError as error:
            return {}, [("", str(error))]

    def all(self, token: str) -> dict[str, dict[str, Any]]:
        """Inputs by logical name, without the stack's."""
        return {n.removeprefix(f"{self.stack}-"): r.inputs for (t, n), r in self.made.items() if t == token}

    def one(self, token: str, name: str | None = None) -> dict[str, Any]:
        """The inputs of the only resource of a type, or of the one of that logical name."""
        found = self.all(token)
        if name is not None:
            return found[name]
        assert len(found) == 1, sorted(found)
        return next(iter(found.values()))


def plain(value: Any) -> Any:
    """Whole numbers as such: mocks hand them over as floats. A file is what is in it, as for the engine."""
    if isinstance(value, pulumi.FileAsset):
        return {"path": value.path, "hash": hashlib.sha256(Path(value.path).read_bytes()).hexdigest()}
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if item is not None}
    return [plain(item) for item in value] if isinstance(value, list) else value
