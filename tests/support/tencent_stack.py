"""A Tencent Cloud region against a strict cloud in memory: looked up, registered, then made, changed and deleted.

Pulumi's mocks hand every registration over in order; here each becomes the call that the engine would make, and what is
no longer registered is deleted at the end, as `pulumi up` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pulumi
import pulumi.runtime

from infra.tencent.build import build
from infra.tencent.region import Region
from sandbox.kinds import Args, CloudError, Resource
from sandbox.tencentcloud import TENCENTCLOUD
from tests.support.tencent import STACK, config, empty


class Deployment(pulumi.runtime.Mocks):
    """One region in one account, brought up as often as wanted."""

    def __init__(self) -> None:
        self.cloud = empty()
        self.made: dict[tuple[str, str], Resource] = {}
        self.providers: list[dict[str, Any]] = []
        self.outputs: dict[str, Any] = {}
        self._seen: list[tuple[str, str]] = []
        self._replaced: list[Resource] = []

    def up(self, changes: Mapping[str, Any] | None = None) -> None:
        """Make the region with changes by dotted key; what the cloud refuses is raised, mostly as its own error."""

        def program() -> Any:
            region = build(config(changes))
            shown = {key: getattr(region, key) for key in ("endpoint", "pools", "image", "model_store")}
            assert isinstance(region, Region)
            return pulumi.Output.all(**shown).apply(lambda found: self.outputs.update(found))

        self.run(program)

    def run(self, program: Callable[[], Any]) -> None:
        """Register what a program makes."""
        self._seen, self._replaced = [], []
        asyncio.set_event_loop(asyncio.new_event_loop())
        pulumi.runtime.set_mocks(self, project="spillway", stack=STACK, preview=False)
        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]
        for resource in reversed(self._replaced):
            self.cloud.delete(resource)
        self._delete([key for key in self.made if key not in self._seen])

    def destroy(self) -> None:
        """Everything goes, what refers to others before them."""
        self._delete(list(self.made))

    def _delete(self, keys: list[tuple[str, str]]) -> None:
        for key in reversed([key for key in self.made if key in keys]):
            self.cloud.delete(self.made.pop(key))

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        kind = TENCENTCLOUD.kinds.get(args.typ)
        if kind is None:
            if args.typ.startswith("pulumi:providers:"):
                self.providers.append(dict(args.inputs))
            return f"{args.name}-id", dict(args.inputs)
        key, inputs = (args.typ, args.name), plain(args.inputs)
        assert key not in self._seen, f"{key} is registered twice"
        self._seen.append(key)
        old = self.made.get(key)
        if old is not None and any(old.inputs.get(p) != inputs.get(p) for p in kind.replace_on):
            self._replaced.append(self.made.pop(key))
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
            return dict(TENCENTCLOUD.invokes[args.token](Args(plain(args.args)), self.cloud)), []
        except CloudError as error:
            return {}, [("", str(error))]

    def all(self, token: str) -> dict[str, dict[str, Any]]:
        """Inputs by logical name, without the stack's."""
        return {n.removeprefix(f"{STACK}-"): r.inputs for (t, n), r in self.made.items() if t == token}

    def one(self, token: str) -> dict[str, Any]:
        found = self.all(token)
        assert len(found) == 1, sorted(found)
        return next(iter(found.values()))


def plain(value: Any) -> Any:
    """Whole numbers as such: mocks hand them over as floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if item is not None}
    return [plain(item) for item in value] if isinstance(value, list) else value
