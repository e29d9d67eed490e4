"""What the keeper reads of one region, and what it sets there, whichever cloud it is on.

A target is set where an `up` with another target would set it: in the groups' minimum on AWS, in the fallback
function's settings on Azure and Google Cloud. Groups, alarms and the function then do the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from infra.function.settings import variable
from infra.keeper_fleet import RegionState
from infra.keeper_words import Error
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from infra.config import RegionConfig
    from rehearsal.fleet import Region

Say = Callable[[str], None]
TARGET, FLOOR = variable("target"), variable("floor")
WORDS: Final[tuple[tuple[Error, tuple[str, ...]], ...]] = (
    ("throttled", ("requestlimitexceeded", "throttl", "toomanyrequests", "ratelimitexceeded", "rate limit")),
    ("quota", ("quota", "vcpulimitexceeded", "maxspotinstancecountexceeded", "operationnotallowed", "limitexceeded")),
    (
        "capacity",
        (
            "insufficientinstancecapacity", "insufficient capacity", "not have sufficient", "unfulfillablecapacity",
            "no spot capacity", "resource_pool_exhausted", "exhausted", "stockout", "allocationfailed",
            "allocation failed", "overconstrained", "skunotavailable", "not have enough resources",
        ),
    ),
)  # fmt: skip
"""Parts of the codes and texts by which clouds refuse a launch, in lower case; the first kind that fits.
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html,
https://learn.microsoft.com/azure/virtual-machines/error-codes-spot,
https://learn.microsoft.com/troubleshoot/azure/virtual-machines/allocation-failure,
https://docs.cloud.google.com/compute/docs/troubleshooting/troubleshooting-vm-creation"""


class NotThere(SpillwayError):
    """The region's stack is not deployed."""


class Desk(Protocol):
    """One region. Methods raise `Unanswered` and `Unreachable` (spillway.preflight.model)."""

    def read(self) -> RegionState:
        """The region as its cloud tells it now, with its prices where the cloud knows them. Raises NotThere."""
        ...

    def write(self, spot: int, on_demand: int, say: Say) -> None:
        """Set the target. say: one line for each thing that was set, once it was."""
        ...


@dataclass(frozen=True, slots=True)
class Stack:
    """A region stack: its file, and what it makes."""

    config: RegionConfig
    region: Region

    @property
    def spot_group(self) -> str:
        assert self.region.spot is not None
        return self.region.spot.name

    @property
    def on_demand_group(self) -> str:
        return self.region.on_demand.name

    def place(self, zone: str) -> str:
        """A zone as the stack has it; the region where its groups are told none."""
        return zone or self.region.region


def refusal(texts: Iterable[str]) -> Error:
    """The kind of a refused launch, by the cloud's codes and words; `failed` for what none of them says."""
    told = " ".join(texts).lower()
    return next((kind for kind, words in WORDS if any(word in told for word in words)), "failed")


def sizes(values: dict[str, str], where: str) -> tuple[int, int]:
    """(spot, on-demand minimum) of a fallback function's settings. Raises SpillwayError, one line."""
    found = []
    for name in (TARGET, FLOOR):
        value = values.get(name, "")
        if not value.isascii() or not value.isdigit():
            told = repr(value) if name in values else "missing"
            raise SpillwayError(f"{where}: {name}: {told}; bring the stack up with this version first")
        found.append(int(value))
    target, floor = found
    if floor > target:
        raise SpillwayError(f"{where}: {FLOOR} = {floor}: above {TARGET} ({target})")
    return target - floor, floor
