"""The pools of a plan, alike for every cloud: what the cost model reads out of groups, templates and functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cost.plan.charges import Count, Machines
from cost.plan.preview import Resource
from cost.plan.pricing import RULES
from policy.findings import Stack

GROUPS: Final = (
    "aws:autoscaling/group:Group",
    "azure-native:compute:VirtualMachineScaleSet",
    "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager",
    "tencentcloud:As/scalingGroup:ScalingGroup",
)


@dataclass(frozen=True, slots=True)
class Pool:
    """A group of nodes. market: spot or on-demand; count: as it is meant to be, without any spot, and at the most."""

    group: Resource
    market: str
    types: tuple[str, ...]
    count: Count


def pools(stack: Stack) -> Iterator[Pool]:
    """Every pool whose market and size the plan tells, in the plan's order."""
    for group in stack.side.of(*GROUPS):
        rule = RULES.get(group.type)
        found = rule(group, stack.context) if rule is not None else ()
        for one in found if isinstance(found, list | tuple) else ():
            if isinstance(one, Machines):
                yield Pool(group, one.market, one.types, one.count)
