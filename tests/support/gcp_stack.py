"""The components of a GCP region against a strict Google Cloud in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from infra.gcp import names
from infra.gcp.region import Region
from sandbox.gcp import GCP
from tests.support.gcp import PROJECT, REGION
from tests.support.gcp_region import STACK, build, config
from tests.support.memory_cloud import MemoryCloud
from tests.support.memory_engine import MemoryEngine


class Deployment(MemoryEngine):
    """One region in one project, brought up as often as wanted."""

    stack = STACK

    def __init__(self, region: str = REGION) -> None:
        super().__init__(MemoryCloud(region, PROJECT, GCP))

    def up(self, changes: Mapping[str, Any] | None = None, *, look: Callable[[Region], Any] | None = None) -> None:
        """Make the region with changes by dotted key; what the cloud refuses is raised, mostly as its own error."""

        def program() -> Any:
            region = build(config({"region": self.cloud.region, **(changes or {})}))
            return look(region) if look is not None else None

        self.run(program)


def granted(deployment: Deployment, label: str) -> dict[str, list[dict[str, Any]]]:
    """All that a service account of the region was given, by the type of what gives it."""
    region = deployment.cloud.region
    member = f"serviceAccount:{names.account_id(region, label)}@{PROJECT}.iam.gserviceaccount.com"
    found: dict[str, list[dict[str, Any]]] = {}
    for (token, _), resource in deployment.made.items():
        if resource.inputs.get("member") == member:
            found.setdefault(token, []).append(resource.inputs)
    return found
