"""What an AWS account tells of one region, as typed facts, and the protocol of whoever asks it.

Every method may raise model.Unanswered (that question stays open) or model.Unreachable (nothing can be asked).
`stack` of a fact is its `spillway:stack` tag, "" without one: what this stack made already is not counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from infra.sections import Image

Market = Literal["spot", "on-demand", "capacity-block"]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: the account's id, and the caller's ARN."""

    account: str
    arn: str


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota of Service Quotas with its applied value. `service` is the service code such as ec2."""

    service: str
    code: str
    name: str
    value: float
    adjustable: bool = True


@dataclass(frozen=True, slots=True)
class Zone:
    """An availability zone. id: the same place in every account (use1-az6). opted: needs no opt-in, or has it."""

    name: str
    id: str
    state: str
    opted: bool


@dataclass(frozen=True, slots=True)
class Running:
    """A running or pending instance. vcpus: as EC2 tells, for types that the catalog does not know."""

    id: str
    machine_type: str
    market: Market
    zone: str
    vcpus: int
    stack: str
    reservation: str = ""


@dataclass(frozen=True, slots=True)
class MachineImage:
    """An image. root_gib: size of its root snapshot. deprecated: when it will be, None when never."""

    id: str
    name: str
    owner: str
    state: str
    architecture: str
    root_device: str
    root_type: str
    root_gib: int
    created: datetime
    deprecated: datetime | None
    ena: bool


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret without its value. deleted: when it was scheduled for deletion. has_value: a version is AWSCURRENT."""

    name: str
    has_value: bool
    stack: str
    deleted: datetime | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """A Spot placement score, 1 to 10. zone_id: "" for the score of a whole region."""

    region: str
    zone_id: str
    score: int


@dataclass(frozen=True, slots=True)
class SpotPrice:
    """The latest spot price of a type in a zone, in USD per hour (text, as the API gives it)."""

    machine_type: str
    zone: str
    usd: str


@dataclass(frozen=True, slots=True)
class Owned:
    """Something that counts against a quota or holds a name. zone: of a NAT gateway."""

    id: str
    stack: str
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A capacity reservation or capacity block. end: None when it has none. block: a capacity block for ML."""

    id: str
    owner: str
    machine_type: str
    zone: str
    total: int
    available: int
    state: str
    match: str
    block: bool
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Key:
    """The default EBS key. manager: AWS or CUSTOMER. scaling: whether Auto Scaling's role may use it, None: unknown."""

    id: str
    state: str
    manager: str
    scaling: bool | None


BucketOwner = Literal["nobody", "this account", "somebody else"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """The model bucket's name: who holds it, in which region, and which stack made it."""

    owner: BucketOwner
    region: str = ""
    stack: str = ""


NameKind = Literal["launch template", "auto scaling group", "load balancer", "target group", "role"]


class Account(Protocol):
    """One AWS account, asked about one region. Every answer is asked for once and remembered."""

    region: str
    stand_in: bool
    """The sandbox's: it knows what is sold out, and has no market, no scores and no time of its own."""

    def identity(self) -> Identity: ...

    def quotas(self, service: str) -> Sequence[Quota]:
        """The quotas of a service: applied values, and AWS's defaults for those never changed."""
        ...

    def zones(self) -> Sequence[Zone]: ...

    def offerings(self, types: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        """Machine type -> the zones of the region that offer it."""
        ...

    def sold_out(self, types: tuple[str, ...], zones: tuple[str, ...]) -> Sequence[tuple[str, str, Market]]:
        """(type, zone, market) with no capacity now. Raises Unanswered where only a launch would tell."""
        ...

    def running(self) -> Sequence[Running]: ...

    def images(self, image: Image) -> Sequence[MachineImage]:
        """The images that the stack file's `image` finds, newest first, by the same filters as the program."""
        ...

    def secret(self, name: str) -> Secret | None: ...

    def secret_value(self, name: str) -> str:
        """The current value. Never shown; Unanswered when it may not be read, which least privilege asks for."""
        ...

    def scores(self, types: tuple[str, ...], capacity: int, regions: tuple[str, ...]) -> Sequence[Score]:
        """Spot placement scores for that many instances, of each region and of each of their zones."""
        ...

    def spot_prices(self, types: tuple[str, ...]) -> Sequence[SpotPrice]: ...

    def addresses(self) -> Sequence[Owned]: ...

    def nat_gateways(self) -> Sequence[Owned]: ...

    def networks(self) -> Sequence[Owned]: ...

    def internet_gateways(self) -> Sequence[Owned]: ...

    def balancers(self) -> Sequence[Owned]:
        """Network load balancers; stack: "" (their tags are asked for by name only)."""
        ...

    def target_groups(self) -> Sequence[Owned]: ...

    def holder(self, kind: NameKind, name: str) -> Owned | None:
        """Who holds a fixed name, None when it is free."""
        ...

    def gp3_gib(self, besides: str) -> int:
        """GiB of all gp3 volumes that do not carry this stack's tag."""
        ...

    def reservations(self) -> Sequence[Reservation]: ...

    def service_role(self, name: str) -> bool:
        """Whether a service-linked role exists."""
        ...

    def default_key(self) -> Key: ...

    def bucket(self, name: str) -> Bucket: ...

    def has_object(self, bucket: str, key: str) -> bool: ...
