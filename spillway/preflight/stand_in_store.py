"""Looking into the stand-in clouds: the sandbox's store and its weather."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sandbox.cloud import CallCloud, WeatherFile
from sandbox.clouds import WEATHER, registry
from sandbox.kinds import Resource
from sandbox.store import CLOUDS, Store, Transaction
from spillway.preflight.model import Asker
from spillway.recovery.model import STACK_TAG

AZURE_STACK_TAG: Final = "spillway-stack"
"""Azure's tags take no colon: infra/dns/traffic_profiles.py."""


class StandInAsker(Asker):
    """Base of what asks one account of one stand-in cloud; `package` as in sandbox.clouds.DISTRIBUTIONS."""

    stand_in = True

    def __init__(self, directory: Path, package: str, region: str, account: str) -> None:
        super().__init__()
        self.directory, self.package, self.region, self._account = directory, package, region, account

    @contextmanager
    def _cloud(self) -> Iterator[CallCloud]:
        weather = WeatherFile(self.directory / WEATHER).now()
        with self._transaction() as tx:
            yield CallCloud(registry(self.package), tx, self.region, self._account, weather)

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with tempfile.TemporaryDirectory() as empty:
            # Opening a store makes its file: before the first deployment there is none, and looking must not make one.
            there = (self.directory / CLOUDS).exists()
            store = Store(self.directory if there else Path(empty))
            try:
                with store.transaction(write=False) as tx:
                    yield tx
            finally:
                store.close()

    def _all(self, *types: str) -> list[Resource]:
        with self._cloud() as cloud:
            return [r for token in types for r in cloud.all(token, region=cloud.region_of(token))]


def stack_of(resource: Resource) -> str:
    """The resource's `spillway:stack` tag, whichever way its type keeps tags."""
    for properties in (resource.outputs, resource.inputs):
        for name in ("tagsAll", "tags"):
            tags: Any = properties.get(name)
            if isinstance(tags, dict):
                stack = tags.get(STACK_TAG) or tags.get(AZURE_STACK_TAG)
                if stack:
                    return str(stack)
            if isinstance(tags, list):
                found = [t.get("value") for t in tags if isinstance(t, dict) and t.get("key") == STACK_TAG]
                if found:
                    return str(found[0])
    return ""
