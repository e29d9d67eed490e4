"""The floor of policies that keep spares: by hand on small traces, and below every policy that keeps one."""

from __future__ import annotations

import json

import pytest

from rehearsal import data, policies, prices, spares
from rehearsal.model import Setting, Zone
from rehearsal.spares import cheapest_apart
from rehearsal.trace import Trace
from rehearsal.world import play


def zone(name: str, spot: float) -> Zone:
    return Zone(name, name, "gcp", ((0.0, spot),), ((0.0, 10.0),))


def test_each_in_a_zone_of_its_own_and_the_rest_on_demand() -> None:
    # Zone a gives all the time, b in the second half, c never.
    trace = Trace("t", None, (0.0, 100.0), 200.0, ("a", "b", "c"), ((5, 5), (0, 5), (0, 0)), 100.0, (), "")
    setting = Setting(1, 0.0, 10.0, (zone("a", 1.0), zone("b", 2.0), zone("c", 0.5)))
    assert cheapest_apart(trace, setting, 0) == pytest.approx(0.1)
    # First half: one at 1 and one on demand; second half: 1 and 2.
    assert cheapest_apart(trace, setting, 1) == pytest.approx((11 + 3) / 2 / 10)


def test_a_program_reads_the_same_figures_as_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    spares.main([])
    lines = capsys.readouterr().out.splitlines()
    spares.main(["--json"])
    shares = json.loads(capsys.readouterr().out)["shares"]
    assert [line.rpartition(" ")[2] for line in lines] == [f"{share:.3f}" for share in shares.values()]
    assert shares["0"] < shares["1"] < shares["2"]


def test_the_keeper_pays_little_more_than_a_spare_costs() -> None:
    trace = data.trace("gcp-h100-2025-10")
    setting = Setting(3, 600.0, 600.0, prices.priced(trace.zones, data.price_list("gcp-h100-2025-10-23")))
    played = play(trace, policies.make("keeper", setting, 0), setting)
    all_on_demand = 3 * min(one.on_demand[0][1] for one in setting.zones) * trace.end / 3600
    share = played.cost() / all_on_demand
    assert cheapest_apart(trace, setting, 0) < share < cheapest_apart(trace, setting, 2)
