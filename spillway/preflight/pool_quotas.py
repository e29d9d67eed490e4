"""What a region's pools may launch at worst, against quotas that count by kind of machine. Pure.

For clouds whose quotas have a fixed name for each kind: vCPUs of a family on Azure, GPUs of a model on Google Cloud.
AWS's are found by what their names say: aws_region/vcpus.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from spillway.preflight.model import Row, count
from spillway.preflight.quota_requests import QuotaRequest

if TYPE_CHECKING:
    from infra.config import RegionBase

Market = Literal["spot", "on-demand"]
MARKETS: tuple[Market, ...] = ("spot", "on-demand")


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota: how it is called, how much there is, and how much of it is used, by this stack too."""

    code: str
    name: str
    most: float
    used: float = 0


def types_of(config: RegionBase, market: Market) -> tuple[str, ...]:
    """Machine types of a pool, preferred first."""
    return config.pools.types if market == "spot" else config.on_demand_types


def replicas(config: RegionBase, market: Market) -> tuple[int, int]:
    """(wanted, at most) of a pool. The fallback may have to stand in for everything, so on-demand wants the maximum."""
    pools = config.pools
    return (pools.target - pools.floor, pools.max - pools.floor) if market == "spot" else (pools.max, pools.max)


@dataclass(frozen=True, slots=True)
class Share:
    """A quota as one pool meets it. each: units that one replica of `largest` takes. own: used by this stack."""

    market: Market
    limit: Limit
    unit: str
    types: tuple[str, ...]
    largest: str
    each: int
    wanted: int
    most: int
    own: float = 0

    @property
    def others(self) -> float:
        """Units that are used by others."""
        return max(0.0, self.limit.used - self.own)

    @property
    def free(self) -> float:
        """Units left for this stack, what it has already included."""
        return self.limit.most - self.others

    @property
    def needed(self) -> float:
        """Units of the pool at its largest."""
        return self.most * self.each

    @property
    def fits(self) -> int:
        """Replicas for which there is room."""
        return max(0, int(self.free // self.each))


def shares(
    config: RegionBase,
    market: Market,
    unit: str,
    limit_of: Callable[[str], Limit | None],
    each_of: Callable[[str], int],
    own: Mapping[str, float],
) -> tuple[list[Share], tuple[str, ...]]:
    """A pool's shares by quota, and the types for which there is none. own: used by this stack, by quota."""
    wanted, most = replicas(config, market)
    by_code: dict[str, tuple[Limit, list[str]]] = {}
    without: list[str] = []
    for name in types_of(config, market):
        limit = limit_of(name)
        if limit is None:
            without.append(name)
        else:
            by_code.setdefault(limit.code, (limit, []))[1].append(name)
    found = []
    for limit, names in by_code.values():
        largest = max(names, key=each_of)
        share = Share(
            market, limit, unit, tuple(names), largest, each_of(largest), wanted, most, own.get(limit.code, 0)
        )
        found.append(share)
    return found, tuple(without)


def share_rows(found: Sequence[Share], request: Callable[[Limit, float], QuotaRequest]) -> Iterator[Row]:
    """A row for each quota of one pool. A pool whose types count against several quotas fails only when all of them
    together hold too few replicas: one that is short may be made up for by another."""
    fits = sum(share.fits for share in found)
    for share in found:
        yield _row(share, fits, request(share.limit, share.needed + share.others))


def _row(share: Share, fits: int, request: QuotaRequest) -> Row:
    market, unit = share.market, share.unit
    value = f"{share.limit.most:g} {unit}" + (f", {share.others:g} used by others" if share.others else "")
    needed = f"{share.needed:g} {unit}: {share.most} x {share.largest} ({share.each})"
    id, title = f"quota.{market}.{share.limit.code.replace(' ', '')}", f"{market} {unit}: {', '.join(share.types)}"
    if share.free >= share.needed:
        return Row(id, title, "ok", value, needed)
    if fits >= share.most:
        return Row(id, title, "warning", value, needed, "the pool's other types have room", request)
    if market == "on-demand":
        why = f"the fallback is sure of {fits} of {count(share.most, 'replica')} on-demand when spot is gone"
        return Row(id, title, "failure", value, needed, why, request)
    if fits >= share.wanted:
        why = f"enough for the {share.wanted} wanted now, on-demand stands in above {fits}"
        return Row(id, title, "warning", value, needed, why, request)
    why = f"the spot pool gets {fits} of the {share.wanted} wanted, on-demand pays for the rest"
    return Row(id, title, "failure", value, needed, why, request)


def counted(
    id: str,
    title: str,
    limit: Limit,
    own: float,
    needed: float,
    why: str,
    request: Callable[[Limit, float], QuotaRequest],
) -> Row:
    """One row for things that are simply counted: what others use, plus what the stack needs in all, against the quota.
    own: what the stack has already made, which is a part of what it needs."""
    others = max(0.0, limit.used - own)
    told = f"{others:g} used by others, {own:g} by this stack, quota {limit.most:g}"
    if others + needed <= limit.most:
        return Row(id, title, "ok", told, why)
    missing = f"{others + needed - limit.most:g} too few"
    return Row(id, title, "failure", told, why, missing, request(limit, others + needed))
