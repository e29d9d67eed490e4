"""Capacity blocks: nodes that were paid in advance, which come and go at stated times.

The group of a block holds all that was bought for as long as it was bought, and goes to zero 45 minutes before the
block's end (infra/aws/pools.py), because EC2 ends what still runs half an hour before it
(docs.aws.amazon.com/autoscaling/ec2/userguide/launch-template-capacity-blocks.html). They count as on demand: nobody
takes them, and no on-demand scarcity concerns them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from rehearsal.fleet import Pool
from rehearsal.model import Market
from rehearsal.regions.clock import Order
from rehearsal.regions.groups import GroupPlay
from rehearsal.regions.nodes import Nodes
from rehearsal.regions.pace import Pace

CLOSES: Final = 45 * 60.0


@dataclass(frozen=True, slots=True)
class Block:
    """pool: the group. machine, zone: what was bought and where. count: nodes. begins, ends: seconds of the play; a
    block that began earlier begins below 0. usd: paid in advance for the whole of it; None: not known, then its nodes
    are billed nothing and whoever plays it says so."""

    pool: Pool
    machine: str
    zone: str
    count: int
    begins: float
    ends: float
    usd: float | None = None

    @property
    def key(self) -> str:
        """The machine as prices have it: a block's own."""
        return f"{self.machine} of {self.pool.name}"

    @property
    def usd_per_hour(self) -> float:
        """By node, so that the time in which the group holds them costs what was paid."""
        hours = (self.ends - CLOSES - self.begins) / 3600.0
        return 0.0 if self.usd is None or hours <= 0 else self.usd / self.count / hours


def prices_of(blocks: Sequence[Block]) -> dict[tuple[str, str, Market], tuple[tuple[float, float], ...]]:
    """What their nodes are billed by."""
    return {(block.key, block.zone, "on-demand"): ((0.0, block.usd_per_hour),) for block in blocks}


def block_group(nodes: Nodes, block: Block, pace: Pace, region: str) -> GroupPlay:
    """The block's group, which launches and ends on the clock."""
    pool = replace(block.pool, types=(block.key,), zones=(block.zone,), minimum=0, maximum=block.count)
    made = GroupPlay(nodes, pool, pace, ((block.key, block.zone),), prices_of([block]), region)
    nodes.reserved[block.key] = block.count
    clock, begin = nodes.clock, nodes.clock.now
    clock.at(begin + block.begins, Order.LAUNCH, lambda: made.resize(block.count, "the capacity block begins"))
    clock.at(begin + block.ends - CLOSES, Order.LAUNCH, lambda: made.resize(0, "the capacity block is about to end"))
    return made
