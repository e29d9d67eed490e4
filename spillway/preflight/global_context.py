"""What the checks of a global stack look at: its file, the plan that it leads to, and where delegation is looked up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from infra import stackfile
from infra.dns.plan import Endpoint, GlobalPlan, PlanError, build
from infra.faults import ConfigError, Fault, dotted
from spillway.preflight.member_checks import FromHere, Prober
from spillway.preflight.model import Row

if TYPE_CHECKING:
    from infra.dns.sections import GlobalStack

Account = TypeVar("Account")
FIRST_ADDRESS = 0xC6120000
"""198.18.0.0, of the benchmark network (RFC 2544): stands for addresses that no region has yet."""


@dataclass(frozen=True, slots=True)
class DnsZone:
    """A public zone. stack: its `spillway:stack` tag or label; ours: whether this stack made it, None when unknown.

    status, plan: of Cloudflare. records: how many it holds, -1 when nobody said.
    """

    id: str
    name: str
    name_servers: tuple[str, ...]
    stack: str = ""
    private: bool = False
    status: str = "active"
    plan: str = ""
    account: str = ""
    records: int = -1


@dataclass(frozen=True, slots=True)
class Delegation:
    """What the parent zone says: the name servers it names for the zone, none when it delegates nothing."""

    parent: str
    name_servers: tuple[str, ...]


class Parents(Protocol):
    """Asks a zone's parent. Raises model.Unanswered where the network does not let it."""

    def delegation(self, zone: str) -> Delegation: ...


@dataclass(frozen=True, slots=True)
class GlobalContext(Generic[Account]):
    """One global stack. plan: what it would build if every region of its file were deployed."""

    stack: str
    config: GlobalStack
    plan: GlobalPlan
    account: Account
    parents: Parents | None
    now: datetime
    prober: Prober = field(default_factory=FromHere)


def foreseen(config: GlobalStack, stacks: Path, file: str) -> GlobalPlan:
    """The plan with every member there, planned ones too: the most that the stack can come to.

    A region not deployed yet has one address per zone of its stack file; which ones does not matter for counting.
    Raises ConfigError for a file whose services are left without members.
    """
    endpoints: dict[str, Endpoint] = {}
    taken = 0
    for member in config.members:
        static = member.endpoint
        if static is not None:
            endpoints[member.name] = Endpoint.of_static(static)
            continue
        region = _region(stacks, str(member.stack))
        if region is None:
            continue
        zones, residency, cloud, name = region
        numbers = range(FIRST_ADDRESS + taken, FIRST_ADDRESS + taken + len(zones))
        taken += len(zones)
        endpoints[member.name] = Endpoint(
            hostname=None,
            addresses=tuple(".".join(str(n >> shift & 255) for shift in (24, 16, 8, 0)) for n in numbers),
            port=443,
            health_path="/readyz",
            cloud=cloud,
            region=name,
            nearest_aws_region=name,
            residency=residency,
        )
    try:
        return build(config, endpoints)
    except PlanError as error:
        raise ConfigError(fault.below(stackfile.GLOBAL_KEY).line(file) for fault in error.faults) from None


def _region(stacks: Path, stack: str) -> tuple[Sequence[str], str, str, str] | None:
    """(zones, residency, cloud, region) of a region stack's file; None without one, or with one that is faulty."""
    from infra.config import load_stack_file

    path = stacks / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        return None
    try:
        config = load_stack_file(path, stack)
    except ConfigError:
        return None
    return config.zones, config.residency, config.cloud, config.latency_region


def plan_faults(faults: Iterable[Fault]) -> Iterator[Row]:
    """What a provider cannot do of the plan, as rows: `up` is refused for it."""
    for number, fault in enumerate(faults):
        path = dotted((stackfile.GLOBAL_KEY, *fault.path))
        yield Row(f"fits.{number}", path, "failure", fault.allowed, "", "`up` is refused with this line")
