"""A whole Azure region on mocks."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pulumi
import pulumi.runtime

from infra.config import AzureRegion
from sandbox.azure_native import AZURE_NATIVE, tokens
from sandbox.kinds import Resource
from tests.support.azure import SUBSCRIPTION
from tests.support.memory_cloud import MemoryCloud
from tests.support.memory_engine import plain

STACK = "azure-westus2"
TENANT = "00000000-0000-4000-8000-000000000001"
REGION: dict[str, Any] = {
    "cloud": "azure",
    "region": "westus2",
    "account": SUBSCRIPTION,
    "nearestAwsRegion": "us-west-2",
    "residency": "us",
    "model": {
        "name": "deepseek-r1-distill-llama-70b",
        "revision": "2025-01-20",
        "tensorParallel": 8,
        "maxModelLen": 32768,
        "maxNumSeqs": 64,
    },
    "pools": {"types": ["Standard_ND96asr_v4"], "target": 2, "max": 6},
    "network": {"cidr": "10.40.0.0/16"},
    "image": {"family": "spillway-vllm", "version": "2026.11.1"},
    "service": {"name": "llm.example.com"},
    "secrets": {"certificate": "spillway-certificate", "apiKeys": "spillway-api-keys"},
    "budget": {"monthlyUsd": 60000, "emails": ["platform@example.com"]},
    "tags": {"team": "platform"},
}


def region(changes: dict[str, Any] | None = None) -> AzureRegion:
    """The region with values set by dotted key."""
    data = copy.deepcopy(REGION)
    for key, value in (changes or {}).items():
        *path, last = key.split(".")
        place = data
        for step in path:
            place = place.setdefault(step, {})
        place[last] = value
    return AzureRegion.model_validate(data)


def build(
    config: AzureRegion, opts: pulumi.ResourceOptions, *, spot_capacity: int = 0, package: bytes = b"PK"
) -> dict[str, Any]:
    """Register the region, with the image and the tenant that the stand-in has; its outputs."""
    from infra.azure.lookups import MachineImage
    from infra.azure.region import Region, RegionArgs

    args = RegionArgs(
        config=config,
        image=MachineImage(gallery_id(config)),
        tenant=TENANT,
        spot_capacity=spot_capacity,
        on_demand_capacity=0,
        package=package,
        today=datetime.now(UTC).date(),
    )
    made = Region(config.stack_name, args, opts)
    return {"endpoint": made.endpoint, "pools": made.pools, "image": made.image, "modelStore": made.model_store}


def gallery_id(config: AzureRegion) -> str:
    """The image version that a region by family and version means."""
    image = config.image
    return (
        f"/subscriptions/{config.account}/resourceGroups/{image.resource_group}/providers/Microsoft.Compute/galleries/"
        f"{image.gallery}/images/{image.family}/versions/{image.version}"
    )


class Made(pulumi.runtime.Mocks):
    """The components, made in a stand-in Azure in the order in which they are registered."""

    def __init__(self, changes: dict[str, Any] | None = None, **more: Any) -> None:
        self.by_name: dict[tuple[str, str], Resource] = {}
        self.exported: dict[str, Any] = {}
        self.requests: dict[tuple[str, str], Any] = {}
        monitor, config = _Recording(self), region(changes)
        self.cloud = MemoryCloud("global", config.account, AZURE_NATIVE)
        self.config, self.prefix = config, f"{config.stack_name}-"
        pulumi.runtime.set_mocks(self, project="spillway", stack=config.stack_name, preview=False, monitor=monitor)

        @pulumi.runtime.test  # type: ignore[untyped-decorator]
        def program() -> Any:
            outputs = build(config, pulumi.ResourceOptions(), **more)
            return pulumi.Output.all(**outputs).apply(self.exported.update)

        program()

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        if args.typ not in AZURE_NATIVE.kinds:
            return f"{args.name}-id", dict(args.inputs)
        made = self.cloud.create(args.typ, **plain(args.inputs))
        self.by_name[args.typ, args.name.removeprefix(self.prefix)] = made
        return made.id, {**made.outputs, "id": made.id}

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        raise AssertionError(f"components look nothing up, asked for {args.token}")

    def one(self, token: str, name: str | None = None) -> dict[str, Any]:
        """The inputs of one resource."""
        found = [r for (t, n), r in self.by_name.items() if t == token and name in (None, n)]
        assert len(found) == 1, sorted(n for t, n in self.by_name if t == token)
        return found[0].inputs

    def profile(self, pool: str = "spot") -> dict[str, Any]:
        profile: dict[str, Any] = self.one(tokens.SCALE_SET, f"pools-{pool}")["virtualMachineProfile"]
        return profile


class _Recording(pulumi.runtime.mocks.MockMonitor):
    """Keeps the requests, which say what inputs do not: protection and the like."""

    def __init__(self, made: Made) -> None:
        super().__init__(made)
        self._made = made

    def RegisterResource(self, request: Any) -> Any:
        self._made.requests[request.type, request.name.removeprefix(self._made.prefix)] = request
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]
