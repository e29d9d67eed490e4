"""Draws of the inputs that are not known exactly; the same for a seed, whatever their order in the file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Final

from cost.arithmetic import Inputs
from cost.cloud import CloudModel
from cost.options import OptionModel
from cost.scenario import Scenario, Uncertain

Z95: Final = 1.6448536269514722
"""Standard normal, 95th percentile."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One uncertain input, or several that one draw moves together. words: what it is; told: its distribution.

    zones: of spot, factors of the mean price that are equally likely; factor: draws multiply the input's own value."""

    key: str
    keys: tuple[str, ...]
    words: str
    told: str
    shape: str
    low: float
    high: float
    factor: bool
    zones: tuple[float, ...] = ()

    def values(self, inputs: Inputs, key: str, drawn: Any) -> Any:
        """The values of one of the keys."""
        return drawn * float(inputs[key]) if self.factor else drawn

    def draw(self, inputs: Inputs, count: int, seed: int) -> Any:
        """Factors or values. The stream depends on the seed and the key alone."""
        import numpy as np

        dice = np.random.default_rng([seed, zlib.crc32(self.key.encode())])
        if self.zones:
            return dice.choice(np.array(self.zones), count)
        if self.shape == "uniform":
            return dice.uniform(self.low, self.high, count)
        if self.shape == "lognormal":
            middle = (np.log(self.low) + np.log(self.high)) / 2
            sigma = (np.log(self.high) - np.log(self.low)) / (2 * Z95)
            return np.exp(dice.normal(middle, sigma, count))
        mode = 1.0 if self.factor else float(inputs[self.keys[0]])
        return dice.triangular(self.low, min(max(mode, self.low), self.high), self.high, count)


def spreads(scenario: Scenario, models: list[OptionModel]) -> tuple[Spread, ...]:
    """Of the file, and of spot by itself: which zone, and how lucky a month. Sorted by key."""
    found = [_of_file(scenario, one) for one in scenario.data.uncertain]
    taken = {key for one in found for key in one.keys}
    for model in models:
        if not isinstance(model, CloudModel):
            continue
        name = model.facts.name
        factor, luck = f"{model.key}.priceFactor", f"{model.key}.percentile"
        if model.spec.market in ("spot", "blend") and len(model.spots) > 1 and factor not in taken:
            mean = sum(float(one.usd) for one in model.spots) / len(model.spots)
            zones = tuple(sorted(float(one.usd) / mean for one in model.spots))
            if model.spec.market == "spot":  # of a blend the zones' prices meet in one bill
                told = f"one of {len(zones)} zones, each as likely"
                words = f"zone of spot, {name}"
                found.append(Spread(factor, (factor,), words, told, "uniform", zones[0], zones[-1], True, zones))
        if model.mix is not None and luck not in taken:
            told = "uniform over the rehearsed months"
            found.append(Spread(luck, (luck,), f"how dear a month, {name}", told, "uniform", 0.05, 0.95, False))
    return tuple(sorted((one for one in found), key=lambda one: one.key))


def _of_file(scenario: Scenario, one: Uncertain) -> Spread:
    keys = tuple(scenario.inputs.matching(one.key))
    what = " of its value" if one.factor else ""
    ends = "percentiles 5 and 95" if one.shape == "lognormal" else one.shape
    rate = 1.0
    if scenario.data.exchange and not one.factor and _in_currency(scenario, keys[0]):
        rate = scenario.data.exchange.usd
    told = f"{one.low:g} to {one.high:g}{what}, {ends}"
    words = one.words or one.key.removeprefix("options.")
    return Spread(one.key, keys, words, told, one.shape, one.low * rate, one.high * rate, one.factor)


def _in_currency(scenario: Scenario, key: str) -> bool:
    """Whether an amount of the file is money."""
    unit = next(one.unit for one in scenario.assumptions if one.key == key)
    return unit.startswith(scenario.data.currency)


def drawn(found: tuple[Spread, ...], inputs: Inputs, count: int, seed: int) -> dict[str, Any]:
    """Arrays by key. Where two spreads name a key, the later by name counts."""
    values: dict[str, Any] = {}
    for one in found:
        draws = one.draw(inputs, count, seed)
        for key in one.keys:
            values[key] = one.values(inputs, key, draws)
    return _within(values)


def _within(values: dict[str, Any]) -> dict[str, Any]:
    """A lognormal has no end: shares stay shares, ratios at least one."""
    import numpy as np

    ends = {"derate": (0.01, 1.0), "cacheHitShare": (0.0, 1.0), "highestUtilisation": (0.05, 1.0), "pue": (1.0, 5.0),
            "burst": (1.0, 100.0), "loadFactor": (0.0, 1.0), "discount": (0.0, 1.0), "lifeYears": (1.0, 15.0),
            "percentile": (0.0, 1.0), "residualShare": (0.0, 1.0)}  # fmt: skip
    for key, array in values.items():
        limits = ends.get(key.rpartition(".")[2])
        if limits is not None:
            values[key] = np.clip(array, *limits)
    return values
