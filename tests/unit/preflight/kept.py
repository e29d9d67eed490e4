"""What a cloud in memory holds, put into a sandbox's store as the plugin would have put it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sandbox.cloud import GLOBAL
from sandbox.store import Store
from tests.support.memory_cloud import MemoryCloud


def keep(directory: Path, cloud: MemoryCloud) -> None:
    """Account-wide types lie in the region `global` there; a cloud in memory does not tell them apart."""
    store = Store(directory)
    with store.transaction(write=True) as tx:
        for resource in cloud.state.resources.values():
            kind = cloud.registry.kinds.get(resource.token)
            everywhere = kind is not None and not kind.regional
            tx.put(cloud.registry.package, replace(resource, region=GLOBAL) if everywhere else resource)
    store.close()
