"""Pools whose size a function sets (Azure, Google Cloud): what it is told stands in its environment, not in a group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from cost.plan.charges import Context, Count, Gap, number
from cost.plan.preview import Unknown

TARGET: Final = "SPILLWAY_TARGET"
FLOOR: Final = "SPILLWAY_FLOOR"
MAX: Final = "SPILLWAY_MAX"


def count(settings: Mapping[str, Any] | None, market: Literal["spot", "on-demand"], alone: Any) -> Count | Gap:
    """A pool's nodes. settings: of the function; None where there is none, and the group's own size `alone` holds."""
    if settings is None:
        size = number(alone, "nodes")
        return size if isinstance(size, Gap) else Count.of(size)
    found: list[Decimal] = []
    for key in (TARGET, FLOOR, MAX):
        value = number(settings.get(key), "nodes")
        if isinstance(value, Gap):
            return Gap("nodes", f"{key} of the fallback function: {value.reason}")
        found.append(value)
    target, floor, most = found
    if market == "spot":
        return Count.of(max(Decimal(0), target - floor), 0, 0)
    return Count.of(floor, max(target, floor), max(most, target, floor))


def named(rows: Any) -> dict[str, Any] | None:
    """Settings that come as a list of names and values."""
    if not isinstance(rows, list):
        return None
    found = {str(row.get("name")): row.get("value") for row in rows if isinstance(row, Mapping)}
    return found if TARGET in found else None


def first(found: Iterable[dict[str, Any] | None]) -> dict[str, Any] | None:
    return next((one for one in found if one is not None), None)


def target_of(context: Context) -> Any:
    """The target in the stack file, where the plan tells it: all of it on demand where a region has no spot pool."""
    pools = context.config.get("pools")
    told = pools.get("target") if isinstance(pools, Mapping) else None
    return None if isinstance(told, Unknown) else told
