"""What any policy that keeps spares has to pay, whatever it knows: a floor for judging costs by.

    python -m rehearsal.spares                # the shipped trace at its prices, for N = 3; --json

Of two zones that are taken for themselves, one spare in a third covers either, two in one zone cover none. So N + E
instances are held in N + E zones of their own: at each moment in the cheapest of those that give, moves free, boots
instant, on demand where too few give. A causal policy pays more: it cannot move for nothing, and has to boot.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from rehearsal import data, prices
from rehearsal.model import Setting
from rehearsal.trace import Trace


def cheapest_apart(trace: Trace, setting: Setting, extra: int) -> float:
    """Share of all on demand, in its cheapest zone, of `target + extra` instances in zones of their own, all the time.

    Prices are those of the trace's first second.
    """
    spot = {zone.name: zone.spot[0][1] for zone in setting.zones}
    dear = min(zone.on_demand[0][1] for zone in setting.zones)
    wanted = setting.target + extra
    giving: dict[str, bool] = {}
    usd, since = 0.0, 0.0

    def until(at: float) -> float:
        held = sorted(spot[zone] for zone, yes in giving.items() if yes and zone in spot)[:wanted]
        return (sum(min(one, dear) for one in held) + dear * (wanted - len(held))) * (at - since)

    for at, index, count in trace.changes():
        if at > since:
            usd += until(at)
            since = at
        giving[trace.zones[index]] = count > 0
    usd += until(trace.end)
    return usd / (trace.end * setting.target * dear)


def main(arguments: Sequence[str] | None = None) -> None:
    made = argparse.ArgumentParser(prog="python -m rehearsal.spares", description=(__doc__ or "").partition("\n\n")[0])
    made.add_argument("--json", action="store_true", help="shares by the number of spares, as JSON on stdout")
    options = made.parse_args(arguments)
    trace = data.trace("gcp-h100-2025-10")
    known = data.price_list("gcp-h100-2025-10-23")
    setting = Setting(3, 600.0, 60.0, prices.priced(trace.zones, known))
    found = {extra: round(cheapest_apart(trace, setting, extra), 6) for extra in (0, 1, 2)}
    if options.json:
        print(json.dumps({"n": setting.target, "shares": found}))  # noqa: T201
        return
    for extra, share in found.items():
        print(f"3 + {extra} instances, each in a zone of its own: {share:.3f}")  # noqa: T201


if __name__ == "__main__":
    main()
