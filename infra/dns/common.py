"""What every DNS provider's component is made from, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pulumi

if TYPE_CHECKING:
    from infra.dns.budget import CheckSettings
    from infra.dns.plan import GlobalPlan
    from infra.dns.sections import GlobalStack


@dataclass(frozen=True, slots=True)
class ProviderArgs:
    """The stack's name and file, checked; the plan made of it; how probes and answers are timed."""

    stack: str
    config: GlobalStack
    plan: GlobalPlan
    settings: CheckSettings


class Outputs(Protocol):
    """What a provider's component has for the stack to export."""

    zone: pulumi.Output[dict[str, Any]]
    """{id, name, nameServers}."""
    checks: pulumi.Output[dict[str, Any]]
    """Member -> address -> id of what probes it."""
    answers: pulumi.Output[dict[str, Any]]
    """Service name -> what the provider answers from: a host name of its own, or the name itself."""
