"""How the spot pool's size follows the load: the simple scaling policies of `infra/aws/scaling.py` as a pure rule.

Up by `step` when the mean per replica was at or above `high` in each of the last `minutes`; down by `in_step` when it
was below `low` in each of the last `in_minutes`. A minute without a sample counts for neither. As with simple scaling
there is a cooldown, and no step while a node still boots: a boot of 20 minutes would otherwise be answered with new
nodes every few minutes.
https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-scaling-cooldowns.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

LATE_MINUTES: Final = 5
"""Newest minutes that may still be without sample because metrics arrive late, and are then left out."""


@dataclass(frozen=True, slots=True)
class LoadRule:
    """high, low: requests waiting per replica, or CPU in percent. least, most: spot nodes, both included."""

    high: float
    low: float
    minutes: int
    in_minutes: int
    step: int
    in_step: int
    cooldown_seconds: int
    least: int
    most: int

    @property
    def window(self) -> int:
        """Minutes of samples that a decision needs, late ones included."""
        return max(self.minutes, self.in_minutes) + LATE_MINUTES

    def clamp(self, size: int) -> int:
        """`size` within what the stack file allows: a larger minimum lifts it."""
        return min(max(size, self.least), self.most)


def follow(
    rule: LoadRule, samples: Sequence[float | None], wanted: int, minute: int, busy: int | None
) -> tuple[int, str]:
    """The spot pool's size after this minute, and why.

    samples: mean per replica and minute, oldest first, None where no node reported. wanted: the size now. busy: the
    last minute with a step or a booting spot node; the cooldown runs from its end.
    """
    if rule.least == rule.most:
        return rule.clamp(wanted), "the target does not follow the load"
    heard = list(samples)
    for _ in range(LATE_MINUTES):
        if heard and heard[-1] is None:
            heard.pop()
    over = _all(heard, rule.minutes, lambda value: value >= rule.high)
    under = _all(heard, rule.in_minutes, lambda value: value < rule.low)
    if not over and not under:
        return wanted, "load within its marks" if heard else "no samples of the load"
    size = rule.clamp(wanted + (rule.step if over else -rule.in_step))
    if size == wanted:
        return wanted, "load asks for more than the most" if over else "load asks for less than the least"
    if busy is not None and (minute - busy) * 60 < max(rule.cooldown_seconds, 1):
        return wanted, "cooldown, or a node still boots"
    mark = f"at or above {rule.high:g} for {rule.minutes}" if over else f"below {rule.low:g} for {rule.in_minutes}"
    return size, f"load {mark} min: spot {wanted} -> {size}"


def _all(samples: list[float | None], minutes: int, breaches: Callable[[float], bool]) -> bool:
    last = samples[-minutes:]
    return len(last) == minutes and all(value is not None and breaches(value) for value in last)
