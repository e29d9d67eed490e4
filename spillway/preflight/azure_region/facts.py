"""What an Azure subscription tells of one region, as typed facts, and the protocol of whoever asks it.

Every method may raise model.Unanswered (that question stays open) or model.Unreachable (nothing can be asked).
`stack` of a fact is its `spillway-stack` tag, "" without one: what this stack made already is not counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from spillway.preflight.azure_checks import Availability, Subscription
from spillway.preflight.pool_quotas import Limit, Market
from spillway.preflight.stored_checks import Stored

if TYPE_CHECKING:
    from infra.azure.sections import AzureImage

Service = Literal["Microsoft.Compute", "Microsoft.Network"]


@dataclass(frozen=True, slots=True)
class Size:
    """A VM size in the region. zones: that have it. closed: why the subscription may not use it in the region, ""
    when it may. closed_zones: zones in which it may not. spot: whether it is sold as spot."""

    name: str
    zones: frozenset[str]
    closed: str = ""
    closed_zones: frozenset[str] = frozenset()
    spot: bool = True


@dataclass(frozen=True, slots=True)
class ScaleSet:
    """A scale set of the region and how many machines it is set to have."""

    name: str
    stack: str
    size: str
    capacity: int
    spot: bool


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that counts against a quota or holds a name. location: as ARM writes it, without blanks."""

    name: str
    stack: str
    location: str = ""


@dataclass(frozen=True, slots=True)
class ImageVersion:
    """A version of a gallery image. regions: replicated to. replica: its state here, "" where nobody told. latest:
    whether `latest` may mean it here. end: of its life, None when it has none."""

    id: str
    version: str
    state: str
    regions: tuple[str, ...]
    replica: str
    size_gib: int
    published: datetime | None
    latest: bool = True
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class ImageDefinition:
    """A gallery image, which has versions."""

    id: str
    generation: str
    architecture: str
    os_state: str


@dataclass(frozen=True, slots=True)
class DeletedVault:
    """What is left of a vault: where it was, and until when it keeps its name."""

    location: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Score:
    """A spot placement score: High, Medium, Low, or why there is none."""

    region: str
    size: str
    score: str


class Account(Stored, Protocol):
    """One subscription, asked about one region. Every answer is asked for once and remembered."""

    region: str

    def subscription(self) -> Subscription: ...

    def may(self, action: str) -> bool:
        """Whether the caller has an action at the subscription, by its roles; deny assignments are not looked at."""
        ...

    def providers(self) -> Mapping[str, str]:
        """Resource provider, in lower case -> registration state."""
        ...

    def sizes(self, names: tuple[str, ...]) -> Mapping[str, Size]:
        """Those of the sizes that the region lists."""
        ...

    def sold_out(self, names: tuple[str, ...], zones: tuple[str, ...]) -> Sequence[tuple[str, str, Market]]:
        """(size, zone, market) with no capacity now. Raises Unanswered where only a launch would tell."""
        ...

    def limits(self, service: Service) -> Sequence[Limit]:
        """Quotas of the region and what is used of them."""
        ...

    def scale_sets(self) -> Sequence[ScaleSet]: ...

    def addresses(self) -> Sequence[Thing]: ...

    def networks(self) -> Sequence[Thing]: ...

    def group(self, name: str) -> Thing | None: ...

    def definition(self, image: AzureImage) -> ImageDefinition | None:
        """The image definition that the stack file names by family."""
        ...

    def versions(self, image: AzureImage) -> Sequence[ImageVersion]:
        """The versions that the stack file's `image` means, newest first: one by version or id, all of a family with
        `newest`."""
        ...

    def storage_account(self, name: str) -> Thing | None:
        """The subscription's storage account of that name."""
        ...

    def storage_name(self, name: str) -> Availability: ...

    def flex_regions(self) -> frozenset[str]:
        """The regions that have Flex Consumption."""
        ...

    def app(self, name: str) -> Thing | None:
        """The subscription's web or function app of that name."""
        ...

    def app_name(self, name: str) -> Availability: ...

    def vault(self, name: str) -> Thing | None: ...

    def vault_name(self, name: str) -> Availability: ...

    def deleted_vault(self, name: str) -> DeletedVault | None:
        """The subscription's deleted vault of that name, None without one."""
        ...

    def scores(self, sizes: tuple[str, ...], count: int, regions: tuple[str, ...]) -> Sequence[Score]:
        """Spot placement scores for that many machines."""
        ...
