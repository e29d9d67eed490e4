"""The Traffic Manager component against a strict Azure in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi.runtime

from infra.dns.common import ExistingZone, ProviderArgs
from infra.dns.plan import Endpoint, GlobalPlan, build
from infra.dns.sections import GlobalStack
from infra.dns.settings import check_settings
from sandbox.azure_native import AZURE_NATIVE, tokens
from tests.support.azure import SUBSCRIPTION
from tests.support.memory_cloud import MemoryCloud
from tests.support.memory_engine import MemoryEngine

STACK = "global-traffic-manager"
_DELETED = (tokens.RECORD_SET, tokens.ENDPOINT, tokens.PROFILE, tokens.ZONE, tokens.RESOURCE_GROUP)


def stack(
    members: Sequence[Mapping[str, Any]], services: Sequence[Mapping[str, Any]], **more: Any
) -> tuple[GlobalStack, GlobalPlan]:
    """A stack file and its plan. Members have besides `at`: what to change of their Endpoint, and `number`: whose
    addresses they have, otherwise by their place."""
    config = GlobalStack.model_validate(
        {
            "zone": {"name": "example.com"},
            "dns": {"provider": "traffic-manager", **more.pop("dns", {})},
            "trafficManager": {"subscription": SUBSCRIPTION, "location": "westeurope", "name": "spillway-llm"},
            "services": [dict(service) for service in services],
            "members": [
                {
                    "stack": f"aws-us-east-{i}",
                    **({} if member.get("degraded") else {"priority": i}),
                    **{k: v for k, v in member.items() if k not in ("at", "number")},
                }
                for i, member in enumerate(members, start=1)
            ],
            **more,
        }
    )
    found = {
        str(member["name"]): endpoint(member.get("number", i), **member.get("at", {}))
        for i, member in enumerate(members, 1)
    }
    return config, build(config, found)


def endpoint(number: int, **more: Any) -> Endpoint:
    """Where a member answers: one address of its own, in Virginia, unless told otherwise. addresses: how many."""
    addresses = more.pop("addresses", 1)
    values: dict[str, Any] = {
        "hostname": None,
        "addresses": tuple(f"198.51.{number}.{host}" for host in range(1, addresses + 1)),
        "port": 443,
        "health_path": "/readyz",
        "cloud": "aws",
        "region": None,
        "nearest_aws_region": "us-east-1",
        "residency": "us",
        **more,
    }
    return Endpoint(**values)


class Deployment(MemoryEngine):
    """One stack in one subscription, brought up as often as wanted."""

    stack = STACK
    delete_first = True

    def __init__(self) -> None:
        super().__init__(MemoryCloud("global", SUBSCRIPTION, AZURE_NATIVE))
        self.exported: dict[str, Any] = {}

    def up(self, config: GlobalStack, plan: GlobalPlan, zone: ExistingZone | None = None) -> None:
        """Raises CloudError, as an AssertionError with its text, for what Azure would refuse."""

        def program() -> Any:
            from infra.dns.traffic_manager import TrafficManager

            args = ProviderArgs(STACK, config, plan, check_settings(config), zone)
            made = TrafficManager(STACK, args)
            return pulumi.Output.all(zone=made.zone, checks=made.checks, answers=made.answers).apply(
                self.exported.update
            )

        self.run(program)

    def _delete(self, keys: list[tuple[str, str]]) -> None:
        """What refers to others goes before them, whenever it was made: an endpoint may refer to a later profile."""
        for key in sorted(keys, key=lambda key: _DELETED.index(key[0])):
            self.cloud.delete(self.made.pop(key))

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        raise AssertionError(f"nothing is looked up here: {args.token}")

    def of(self, token: str) -> dict[str, dict[str, Any]]:
        """What stands, by its own name: the inputs it was asked for with."""
        return {str(r["name"]): r.inputs for (t, _), r in self.made.items() if t == token}
