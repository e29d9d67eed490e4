"""What Spillway's pools would hold of spot and of on-demand, from the rehearsal (rehearsal/blend.py).

A blend of 60 months takes minutes, so those of the shipped scenarios lie in data/blends.json, by everything that they
depend on; any other is played over 12 months when it is asked for. Prices are none of it: the pools' rule does not look
at them, so a new price changes no share. `python -m cost.blends` plays the shipped ones again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from cost.arithmetic import Arithmetic, Number
from cost.models import DATA
from cost.result import SpotService
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from cost.scenario_options import CloudOption
    from rehearsal.blend import Blend

SHIPPED: Final = DATA / "blends.json"
TRACE: Final = "gcp-h100-2025-10"
RUNS: Final = 60
RUNS_NOW: Final = 12
"""Months of a blend that is not shipped: somebody waits for it."""
SEED: Final = 7
PLACES: Final = 6
"""Digits after the point that are kept of a share."""
SECONDS_PER_MINUTE: Final = 60
MOST_NODES: Final = 500
"""As many as rehearsal/blend.py plays (SIZE_MAX); a test holds the two together."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Node-hours billed for an hour of a node that is wanted, percentiles 10, 50 and 90 of each market by itself."""

    spot: tuple[Decimal, Decimal, Decimal]
    on_demand: tuple[Decimal, Decimal, Decimal]
    service: SpotService
    warnings: tuple[str, ...]

    def billed(self, n: Arithmetic, percentile: Number) -> tuple[Number, Number]:
        """(spot, on-demand) of a month that is as dear as `percentile` (0..1): the more it had of one market, the less
        of the other. Straight lines through the three percentiles."""
        return _through(n, self.spot, 1 - percentile), _through(n, self.on_demand, percentile)


def _through(n: Arithmetic, points: tuple[Decimal, Decimal, Decimal], at: Number) -> Number:
    low, middle, high = (n.of(one) for one in points)
    away = at - n.of(Decimal("0.5"))
    each = n.of(Decimal("0.4"))
    above, below = n.largest(away, n.of(0)) / each, n.smallest(away, n.of(0)) / each
    return n.largest(middle + above * (high - middle) + below * (middle - low), n.of(0))


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SHIPPED.read_text()) if SHIPPED.exists() else {}
    return found


def key(spec: CloudOption, target: int) -> str:
    """Everything that a blend depends on."""
    from rehearsal import data

    name = spec.trace or TRACE
    if name not in data.manifest()["traces"]:
        data.trace(name)  # which tells what there is
    sha = data.manifest()["traces"][name].sha256[:12]
    floor = min(spec.floor_nodes, target)
    return (
        f"{spec.provider} {spec.region} {spec.machine}, {target} nodes, {floor} always on demand, "
        f"boot {spec.boot_minutes:g} min, trace {name} {sha}, {RUNS} runs, seed {SEED}"
    )


def mix(spec: CloudOption, target: int, spot: Decimal, on_demand: Decimal) -> Mix:
    """The shares of a pool of `target` nodes and what it served, at these prices. Raises SpillwayError."""
    name = key(spec, target)
    told = _shipped().get(name) or _play(spec, target, RUNS_NOW)
    return _of(told, spot, on_demand)


@lru_cache(maxsize=64)
def _played(
    provider: str, region: str, machine: str, target: int, floor: int, boot: float, trace: str, runs: int
) -> str:
    from typing import cast

    from rehearsal import data
    from rehearsal.blend import Cloud, PoolPrices, PoolSpec, blend
    from rehearsal.result import Source

    if provider not in ("aws", "azure", "gcp"):
        raise SpillwayError(f"market = blend: there is no spot on {provider}; on-demand is what it sells")
    pool = PoolSpec(cast(Cloud, provider), region, machine, target, floor)
    # Any prices do: all zones cost alike, so that the shares that are read from it do not depend on them.
    prices = PoolPrices(1.0, 3.0, Source("prices", "none", "", "", ""))
    found = blend(pool, data.trace(trace), prices, boot=boot * SECONDS_PER_MINUTE, runs=runs, seed=SEED, workers=None)
    return json.dumps(_json(found, trace))


def _play(spec: CloudOption, target: int, runs: int) -> dict[str, Any]:
    floor = min(spec.floor_nodes, target)
    played = _played(
        spec.provider, spec.region, spec.machine, target, floor, spec.boot_minutes, spec.trace or TRACE, runs
    )  # fmt: skip
    found: dict[str, Any] = json.loads(played)
    return found


def _json(found: Blend, trace: str) -> dict[str, Any]:
    """What is kept of a blend; shares as texts of six digits."""
    three = {
        name: [f"{getattr(getattr(found, name), one):.{PLACES}f}" for one in ("p10", "p50", "p90")]
        for name in ("billed_spot", "billed_on_demand")
    }
    means = {
        name: f"{getattr(found, name).mean:.{PLACES}f}"
        for name in ("spot", "on_demand", "nothing", "interruptions_per_day", "below_target_hours")
    }
    notes = [f"{one.name}: {one.note}" for one in found.sources if one.mapped or one.synthetic]
    return {
        **three, **means, "target": found.spec.target, "runs": found.runs, "seed": found.seed, "trace": trace,
        "zones": list(found.zones), "mapped": notes, "synthetic": found.synthetic,
    }  # fmt: skip


def _of(told: dict[str, Any], spot: Decimal, dear: Decimal) -> Mix:
    from cost.arithmetic import EXACT

    by_spot = tuple(Decimal(one) for one in told["billed_spot"])
    by_demand = tuple(Decimal(one) for one in told["billed_on_demand"])
    assert len(by_spot) == 3
    assert len(by_demand) == 3

    def usd(percentile: str) -> Decimal:
        first = _through(EXACT, by_spot, 1 - Decimal(percentile)) * spot
        whole: Decimal = first + _through(EXACT, by_demand, Decimal(percentile)) * dear
        return whole

    middle, nodes = usd("0.5"), Decimal(told["target"])
    service = SpotService(
        middle, usd("0.1"), middle, usd("0.9"), Decimal(told["spot"]), Decimal(told["on_demand"]),
        Decimal(told["nothing"]), Decimal(told["interruptions_per_day"]) / nodes, Decimal(told["below_target_hours"]),
        told["runs"], told["seed"], told["trace"], tuple(told["mapped"]), told["synthetic"],
    )  # fmt: skip
    warnings = [f"mapped: {one}" for one in told["mapped"]]
    warnings.append(
        f"of {told['target']} nodes wanted, one or more were missing for {service.below_hours_month:.0f} h a month in "
        f"the rehearsal; {service.share_nothing:.1%} of all node-hours"
    )
    return Mix(by_spot, by_demand, service, tuple(warnings))


def shipped_text() -> str:
    """data/blends.json of the shipped scenarios, played anew."""
    from cost import scenario as scenarios
    from cost.arithmetic import EXACT
    from cost.cloud import CloudModel
    from cost.options import build
    from cost.prices.snapshot import Snapshot

    found: dict[str, Any] = {}
    snapshot = Snapshot.load()
    for name in scenarios.SHIPPED:
        one = scenarios.load(scenarios.find(name))
        for model in build(one, snapshot, snapshot.date):
            if isinstance(model, CloudModel) and model.mix is not None:
                target = int(model.nodes(EXACT, one.inputs, one.inputs["workload.tokensPerDay"]))
                found[key(model.spec, target)] = _play(model.spec, target, RUNS)
    return json.dumps(found, indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(shipped_text())
