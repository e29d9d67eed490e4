"""A Tencent Cloud region against a strict cloud in memory: looked up, registered, then made, changed and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from infra.tencent.build import build
from infra.tencent.region import Region
from tests.support.memory_engine import MemoryEngine
from tests.support.tencent import STACK, config, empty


class Deployment(MemoryEngine):
    """One region in one account, brought up as often as wanted."""

    stack = STACK

    def __init__(self) -> None:
        super().__init__(empty())
        self.outputs: dict[str, Any] = {}

    def up(self, changes: Mapping[str, Any] | None = None) -> None:
        """Make the region with changes by dotted key; what the cloud refuses is raised, mostly as its own error."""

        def program() -> Any:
            region = build(config(changes))
            shown = {key: getattr(region, key) for key in ("endpoint", "pools", "image", "model_store")}
            assert isinstance(region, Region)
            return pulumi.Output.all(**shown).apply(lambda found: self.outputs.update(found))

        self.run(program)
