"""Which vCPU quota a machine type counts against, by the quota's own name, and what a stack may launch at worst. Pure.

EC2 counts running vCPUs by family, on-demand and spot apart (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-limits.html,
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-on-demand-instances.html#ec2-on-demand-instances-limits). The
names say which families: "Running On-Demand P instances", "All P4, P3 and P2 Spot Instance Requests". Families join
and leave these lists (P5 got a spot quota of its own), so the account's own names go before any code known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from infra import catalog
from spillway.preflight.aws_region.facts import Quota, Reservation, Running

if TYPE_CHECKING:
    from infra.config import AwsRegion

PoolMarket = Literal["spot", "on-demand"]

_NAMES: Final = {
    "on-demand": re.compile(r"Running On-Demand (?P<families>.+?) (?:instances|Instances|hosts)"),
    "spot": re.compile(r"All (?P<families>.+?) Spot Instance Requests"),
}
_TYPE: Final = re.compile(r"(?P<letters>[a-z]+)(?P<generation>\d+)")
_HIGH_MEMORY: Final = "u-"


def families(quota_name: str, market: PoolMarket) -> tuple[str, ...]:
    """The families that a vCPU quota's name lists, in lower case; empty when it is no vCPU quota of that market.

    "All P4, P3 and P2 Spot Instance Requests" -> ("p4", "p3", "p2"); "Running On-Demand Standard (A, C, D, H, I, M, R,
    T, Z) instances" -> ("a", "c", ...).
    """
    match = _NAMES[market].fullmatch(quota_name)
    if match is None or quota_name.endswith("hosts"):
        return ()
    text = match["families"]
    inner = re.search(r"\((.+)\)", text)
    words = re.split(r",\s*(?:and\s+)?|\s+and\s+", inner[1] if inner else text)
    return tuple(word.strip().lower() for word in words if word.strip())


@dataclass(frozen=True, slots=True)
class Match:
    """The quota of a family and market. certain: its name or AWS's published code says so."""

    quota: Quota
    certain: bool


def quota_of(machine_type: str, market: PoolMarket, quotas: Iterable[Quota]) -> Match | None:
    """The vCPU quota that a machine type counts against, None when no quota of the account says.

    In this order: a name that lists family and generation (P5), a name that lists the family (P), the code that the
    catalog knows, and, not certain, the quota of the closest generation (P6 where only P5 and P4 have names).
    """
    split = _TYPE.match(machine_type)
    if split is None or machine_type.startswith(_HIGH_MEMORY):
        return None
    letters, generation = split["letters"], int(split["generation"])
    known = [(quota, listed) for quota in quotas if (listed := families(quota.name, market))]
    for word in (
        f"{letters}{generation}",
        letters,
        letters[:1] if letters[:1] in _LETTERS.get(letters, "") else letters,
    ):
        found = [quota for quota, listed in known if word in listed]
        if found:
            return Match(min(found, key=lambda quota: quota.value), certain=True)
    if catalog.is_machine(machine_type):
        machine = catalog.machine(machine_type)
        code = machine.spot_quota if market == "spot" else machine.on_demand_quota
        for quota, _ in known:
            if quota.code == code:
                return Match(quota, certain=True)
    near = [
        (abs(int(word[len(letters) :]) - generation), -int(word[len(letters) :]), quota)
        for quota, listed in known
        for word in listed
        if word.startswith(letters) and word[len(letters) :].isdigit()
    ]
    return Match(min(near, key=lambda entry: entry[:2])[2], certain=False) if near else None


_LETTERS: Final = {"gr": "g", "im": "i", "is": "i"}
"""Families that count with another letter: gr6 is a G, im4gn and is4gen are an I
(https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html)."""


def vcpus(machine_type: str) -> int:
    """vCPUs of a machine type of the catalog."""
    return catalog.machine(machine_type).vcpus


@dataclass(frozen=True, slots=True)
class Demand:
    """What one pool may launch from one quota: `replicas` machines of its largest type there.

    wanted, most: replicas of the whole pool, in fair weather and at most. types: the pool's types in this quota.
    """

    market: PoolMarket
    quota: Quota
    certain: bool
    types: tuple[str, ...]
    wanted: int
    most: int

    @property
    def largest(self) -> str:
        """The type with the most vCPUs; the first of the file on a tie."""
        return max(self.types, key=vcpus)

    @property
    def needed(self) -> int:
        """vCPUs when all of the pool at its largest is of the largest type here."""
        return self.most * vcpus(self.largest)


def demands(
    config: AwsRegion, market: PoolMarket, quotas: Sequence[Quota], reserved: Sequence[Reservation] = ()
) -> tuple[list[Demand], tuple[str, ...]]:
    """What a pool may launch by quota, and the types for which the account names no quota.

    Spot: target - floor replicas are wanted, max - floor are the most. On-demand: the fallback may have to stand in for
    all of them, so max are wanted as well. With reservations only, the pool launches no more than they hold.
    """
    pools = config.pools
    types = pools.types if market == "spot" else config.on_demand_types
    wanted, most = (pools.target - pools.floor, pools.max - pools.floor) if market == "spot" else (pools.max, pools.max)
    if market == "on-demand" and pools.reservations.preference == "only":
        held = sum(r.total for r in reserved if r.id in pools.reservations.capacity_reservations)
        wanted, most = min(wanted, held), min(most, held)
    by_quota: dict[str, tuple[Match, list[str]]] = {}
    without: list[str] = []
    for name in types:
        match = quota_of(name, market, quotas)
        if match is None:
            without.append(name)
        else:
            by_quota.setdefault(match.quota.code, (match, []))[1].append(name)
    found = [
        Demand(market, match.quota, match.certain, tuple(names), wanted, most) for match, names in by_quota.values()
    ]
    return found, tuple(without)


def used(
    quota: Quota,
    market: PoolMarket,
    running: Iterable[Running],
    reserved: Iterable[Reservation],
    quotas: Sequence[Quota],
    config: AwsRegion,
    account: str,
) -> int:
    """vCPUs of the quota that others use: all but this stack's own instances and its own reservations.

    An on-demand reservation counts whether it is used or not
    (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-capacity-reservations.html#capacity-reservations-limits);
    capacity blocks do not count.
    """
    total = 0
    for instance in running:
        if instance.market == market and instance.stack != config.stack_name:
            match = quota_of(instance.machine_type, market, quotas)
            if match is not None and match.quota.code == quota.code:
                total += _size(instance)
    if market == "spot":
        return total
    own = config.pools.reservations.capacity_reservations
    for reservation in reserved:
        if reservation.block or reservation.id in own or reservation.owner != account:
            continue
        match = quota_of(reservation.machine_type, market, quotas)
        if match is not None and match.quota.code == quota.code and catalog.is_machine(reservation.machine_type):
            total += reservation.available * vcpus(reservation.machine_type)
    return total


def _size(instance: Running) -> int:
    return vcpus(instance.machine_type) if catalog.is_machine(instance.machine_type) else instance.vcpus
