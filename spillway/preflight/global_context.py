"""What the checks of a global stack look at: its file, the plans that it leads to, its zone and who delegates it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from spillway.preflight.deployed import Plans, Regions
from spillway.preflight.member_checks import FromHere, Prober

if TYPE_CHECKING:
    from infra.dns.plan import GlobalPlan
    from infra.dns.sections import GlobalStack
    from infra.faults import Fault

Account = TypeVar("Account")


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
    """One global stack: its file, the plans that it leads to, what its regions say, and whom to ask."""

    stack: str
    config: GlobalStack
    plans: Plans
    account: Account
    parents: Parents | None
    now: datetime
    prober: Prober = field(default_factory=FromHere)
    regions: Regions = field(default_factory=Regions)

    @property
    def plan(self) -> GlobalPlan:
        """The most that the stack can come to, planned members too: what has to fit the account's limits."""
        return self.plans.counted

    @property
    def up(self) -> GlobalPlan:
        """What `up` builds now."""
        return self.plans.up

    @property
    def refused(self) -> tuple[Fault, ...]:
        """Why `up` refuses the members."""
        return self.plans.refused

    @property
    def later(self) -> tuple[Fault, ...]:
        """What the provider cannot do once planned members join."""
        return self.plans.later
