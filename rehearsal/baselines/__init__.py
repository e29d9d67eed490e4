"""The published policies that the keeper is measured against, and bounds; each from its description, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rehearsal.baselines.hedge import CheapestFirst, Guarded, SpotHedge
from rehearsal.baselines.on_demand import OnDemand
from rehearsal.baselines.spread import EvenSpread, RoundRobin
from rehearsal.model import Policy, Setting

Make = Callable[[Setting, int], Policy]

BASELINES: Final[dict[str, Make]] = {
    "on-demand": lambda setting, seed: OnDemand(setting),
    "even-spread": lambda setting, seed: EvenSpread(setting, seed),
    "round-robin": lambda setting, seed: RoundRobin(setting, 0),
    "round-robin+1": lambda setting, seed: RoundRobin(setting, 1),
    "spothedge": lambda setting, seed: SpotHedge(setting, 0, seed),
    "spothedge+1": lambda setting, seed: SpotHedge(setting, 1, seed),
    "spothedge+2": lambda setting, seed: SpotHedge(setting, 2, seed),
    "spothedge+1-guarded": lambda setting, seed: Guarded(setting, 1, seed),
    "cheapest-first": lambda setting, seed: CheapestFirst(setting, 0),
    "cheapest-first+1": lambda setting, seed: CheapestFirst(setting, 1),
}
"""Name -> policy for a setting and a seed. +E: with E spot instances beyond the target."""
RANDOM: Final = frozenset(("even-spread", "spothedge", "spothedge+1", "spothedge+2", "spothedge+1-guarded"))
"""Those whose result depends on the seed."""
