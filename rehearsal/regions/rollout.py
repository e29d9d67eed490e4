"""New nodes for old in one group, as a new image or launch template reaches nodes that run.

One at a time, the successor first:

- AWS: an instance refresh with a minimum healthy percentage of 100 and a maximum of 200
  https://docs.aws.amazon.com/autoscaling/ec2/userguide/instance-refresh-overview.html
- Google Cloud: a rolling update with a surge
  https://docs.cloud.google.com/compute/docs/instance-groups/rolling-out-updates-to-managed-instance-groups
- Azure: a rolling upgrade of the scale set with MaxSurge
  https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-maxsurge

Assumed on all of them: without capacity it is tried again once a minute, which no page tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rehearsal.regions.clock import Order
from rehearsal.regions.nodes import Node

if TYPE_CHECKING:
    from rehearsal.regions.groups import GroupPlay

RETRY_SECONDS: Final = 60.0


class Rollout:
    """Replaces the nodes that a group has when it begins; a later one takes over what is left of an earlier."""

    def __init__(self, group: GroupPlay, why: str) -> None:
        self.group, self.why = group, why
        self.old = [node for node in group.own if node.phase != "leaving"]
        self.successor: Node | None = None

    def begin(self) -> None:
        self.group.on_arrival = self._look
        self._look()

    def _look(self) -> None:
        """Something of the group got ready or ended."""
        if self.group.on_arrival != self._look:
            return
        self.old = [node for node in self.old if node.phase not in ("leaving", "ended") and node.noticed is None]
        successor = self.successor
        if successor is not None and successor.phase == "in service":
            self.successor = None
            # Where another was lost meanwhile, the successor stands in for that one.
            if self.old and self.group.staying > self.group.desired:
                self.group.nodes.leave(self.old.pop(0), self.why)
                self._look()
                return
        elif successor is not None and successor.phase != "booting":
            self.successor = None
        if not self.old:
            self._end()
        elif self.successor is None:
            self.successor = self.group.launch_beside(self.why)
            if self.successor is None:
                self._again()

    def _again(self) -> None:
        clock = self.group.nodes.clock
        clock.at(clock.now + RETRY_SECONDS, Order.LAUNCH, self._look)

    def _end(self) -> None:
        self.group.on_arrival = None
        self.group.nodes.tell(f"{self.group.pool.name}: every node is a new one", self.why)
        self.group.launch_missing()
