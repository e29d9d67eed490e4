"""What a Google Cloud project tells of one region, as typed facts, and the protocol of whoever asks it.

Every method may raise model.Unanswered (that question stays open) or model.Unreachable (nothing can be asked).
`stack` of a fact is its `spillway-stack` label, "" without one: what this stack made already is not counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from spillway.preflight.pool_quotas import Limit, Market
from spillway.preflight.stored_checks import Stored

if TYPE_CHECKING:
    from infra.gcp.sections import GcpImage

Place = Literal["region", "project"]


@dataclass(frozen=True, slots=True)
class Project:
    """A project; state ACTIVE or DELETE_REQUESTED. number: "" where only Compute Engine knew it."""

    id: str
    number: str
    state: str


@dataclass(frozen=True, slots=True)
class Billing:
    """Who pays for the project, "" when nobody does. budgets: whether the caller may make budgets there, None where
    that is not told."""

    account: str
    budgets: bool | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance, whatever its state: it holds its quota."""

    name: str
    machine_type: str
    spot: bool


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that counts against a quota or holds a name."""

    name: str
    stack: str


@dataclass(frozen=True, slots=True)
class MachineImage:
    """An image. status: READY when it can be used. deprecated: ACTIVE, DEPRECATED, OBSOLETE or DELETED. features:
    of the guest, such as GVNIC."""

    id: str
    name: str
    status: str
    architecture: str
    size_gib: int
    created: datetime | None
    deprecated: str
    features: frozenset[str]


BucketOwner = Literal["nobody", "this project", "somebody else"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """The model bucket's name: who holds it, where (in lower case), and which stack made it."""

    owner: BucketOwner
    location: str = ""
    stack: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """What Compute Engine says of getting instances now. obtainability: 0 to 1. uptime_seconds: how long they are
    estimated to stay, 0 where that is not told. shards: (zone, machine type, number)."""

    obtainability: float
    uptime_seconds: float
    shards: tuple[tuple[str, str, int], ...]


class Account(Stored, Protocol):
    """One project, asked about one region. Every answer is asked for once and remembered."""

    region: str

    def project(self) -> Project: ...

    def billing(self) -> Billing: ...

    def granted(self, permissions: tuple[str, ...]) -> frozenset[str]:
        """Those of the permissions that the caller has on the project."""
        ...

    def enabled(self, services: tuple[str, ...]) -> frozenset[str]:
        """Those of the services (APIs) that are enabled in the project."""
        ...

    def zones(self) -> Mapping[str, str]:
        """Zone of the region -> UP or DOWN."""
        ...

    def offerings(self, types: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        """Machine type -> the zones of the region that offer it."""
        ...

    def sold_out(self, types: tuple[str, ...], zones: tuple[str, ...]) -> Sequence[tuple[str, str, Market]]:
        """(type, zone, market) with no capacity now. Raises Unanswered where only a launch would tell."""
        ...

    def limits(self, place: Place) -> Mapping[str, Limit]:
        """Quotas of the region, or of the project in all regions, by metric, with what is used of them."""
        ...

    def instances(self, stack: str) -> Sequence[Instance]:
        """The instances that a stack has."""
        ...

    def addresses(self) -> Sequence[Thing]:
        """Static external addresses of the region."""
        ...

    def networks(self) -> Sequence[Thing]:
        """Networks, which take no labels: stack is always ""."""
        ...

    def image(self, image: GcpImage) -> MachineImage | None:
        """The image that the stack file's `image` finds, as the program finds it."""
        ...

    def bucket(self, name: str) -> Bucket: ...

    def holder(self, secret: str) -> Thing | None:
        """The secret of that name, without its value."""
        ...

    def advice(self, types: tuple[str, ...], zones: tuple[str, ...], count: int) -> Advice | None:
        """For that many Spot VMs of any of the types, in any of the zones; None when nothing is recommended."""
        ...
