"""How one deployed region behaves over a trace: groups, fallback and balancer as the stack has them, on a clock that
others join.

clock = Clock()
play = RegionPlay(clock, fleet.region("gcp-us-central1"), capacity_of(trace), prices)
clock.at(3600.0, Order.SCENARIO, lambda: play.set_on_demand(1))
clock.at(0.0, Order.LOAD, look)                 # reads play.level: ready, receiving, refusing
clock.run(trace.end)
played = play.played()                          # instances with bills, levels, log, availability, cost
"""

from rehearsal.regions.blocks import Block
from rehearsal.regions.clock import Clock, Order
from rehearsal.regions.control import Look
from rehearsal.regions.nodes import Node, Place, Prices, RegionLevel
from rehearsal.regions.pace import PACES, Ground, Pace
from rehearsal.regions.play import RegionPlay, RegionPlayed, capacity_of

__all__ = [
    "PACES", "Block", "Clock", "Ground", "Look", "Node", "Order", "Pace", "Place", "Prices", "RegionLevel",
    "RegionPlay", "RegionPlayed", "capacity_of",
]  # fmt: skip
