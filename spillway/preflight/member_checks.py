"""Whether the places that a global stack names by address are ready to be sent requests.

A check that was just made counts as healthy until its checkers say otherwise
(https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html), so a
member that is not ready when `up` runs is answered for up to half a minute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from infra.dns.plan import Probe
from spillway.preflight.model import Check, Row, State

if TYPE_CHECKING:
    from spillway.preflight.global_context import GlobalContext

READY = "ready"
DRAIN = "keep it drained (drain: true) until it is ready; a new check counts as healthy until it is proven otherwise"


class Prober(Protocol):
    """Says of each address what it answers at its health path, `ready` or why not."""

    def said(self, probe: Probe) -> Mapping[str, str]: ...


class FromHere:
    """Asks from this machine, as the providers' checkers ask."""

    def said(self, probe: Probe) -> Mapping[str, str]:
        from spillway.dns_ask import probe_all

        endpoint = probe.endpoint
        return probe_all([(a, endpoint.port, endpoint.health_path) for a in endpoint.addresses], probe.host)


class InStandIn:
    """What the stand-in clouds' weather says."""

    def __init__(self, directory: Path) -> None:
        from sandbox.dns.health import Live

        self._live = Live(directory)

    def said(self, probe: Probe) -> Mapping[str, str]:
        found = {address: self._live.behaviour(address) for address in probe.endpoint.addresses}
        return {address: READY if word == "up" else word for address, word in found.items()}


def ready(context: GlobalContext[Any]) -> Iterator[Row]:
    """One row per static member with addresses; a region's own are its load balancer's, which `up` reads."""
    static = {member.name for member in context.config.members if member.endpoint and member.endpoint.addresses}
    for probe in context.plan.probes:
        if probe.name not in static:
            continue
        said = context.prober.said(probe)
        drained = probe.name in context.plan.drained
        waiting: Sequence[str] = [f"{address} {word}" for address, word in said.items() if word != READY]
        state: State = "ok" if not waiting else "note" if drained else "warning"
        found = ", ".join(waiting) or f"{', '.join(said)} ready"
        needed = f"200 at {probe.endpoint.health_path}"
        yield Row(f"member.{probe.name}", f"member {probe.name}", state, found, needed, DRAIN if waiting else "")


MEMBERS: Check[Any] = Check("members", "members", ready)
"""The same for every provider."""
