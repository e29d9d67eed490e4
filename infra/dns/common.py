"""What every DNS provider's component is made from, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import pulumi

if TYPE_CHECKING:
    from infra.dns.budget import CheckSettings
    from infra.dns.plan import GlobalPlan
    from infra.dns.sections import GlobalStack

ZONE_KEY: Final = "spillway:global.zone.id"


@dataclass(frozen=True, slots=True)
class ExistingZone:
    """A zone that somebody else made, looked up before anything is registered."""

    id: str
    name: str
    name_servers: tuple[str, ...]

    def output(self) -> pulumi.Output[dict[str, Any]]:
        """As a component's `zone`."""
        return pulumi.Output.from_input({"id": self.id, "name": self.name, "nameServers": list(self.name_servers)})


@dataclass(frozen=True, slots=True)
class ProviderArgs:
    """The stack's name and file, checked; the plan made of it; how probes and answers are timed.

    zone: the existing zone that the file names; None: the stack makes one.
    """

    stack: str
    config: GlobalStack
    plan: GlobalPlan
    settings: CheckSettings
    zone: ExistingZone | None


def same_zone(found: str, wanted: str) -> bool:
    """Whether two zone names are one, however they are written: `Example.com.` is example.com."""
    return found.rstrip(".").lower() == wanted


class Outputs(Protocol):
    """What a provider's component has for the stack to export."""

    zone: pulumi.Output[dict[str, Any]]
    """{id, name, nameServers}."""
    checks: pulumi.Output[dict[str, Any]]
    """Member -> address -> id of what probes it."""
    answers: pulumi.Output[dict[str, Any]]
    """Service name -> what the provider answers from: a host name of its own, or the name itself."""
    clouds: pulumi.Output[dict[str, Any]]
    """Cloud -> id of the check that says whether any member there is healthy; empty where the provider has none."""
