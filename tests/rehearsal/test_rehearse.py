"""Whole rehearsals: what variants are held to, what conserves, what is told of where figures come from."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from io import StringIO

import pytest
from rich.console import Console

from rehearsal import measured, progress
from rehearsal.fleet import Fleet, Pool
from rehearsal.fleet_play import FleetPlay
from rehearsal.rehearse import chosen, rehearse
from rehearsal.result import Rehearsal
from spillway.errors import SpillwayError
from spillway.rehearse_cli import differences
from tests.rehearsal.scenarios import ROOT, fleet, happens, loaded, made, played, supplied

HOUR = 3600.0
RESERVATION = "cr-0123456789abcdef0"


@cache
def day() -> Rehearsal:
    """A day with a region dark in it, as deployed and with the keeper."""
    events = [{"at": "day 1 12:00", "for": "2h", "what": "dark", "region": "first"}]
    return rehearse(fleet(), loaded(events=events, repeat=2), workers=1)


def test_stacks_that_a_service_reaches_are_played_and_the_others_told() -> None:
    found = day()
    assert found.fleet == ("aws-us-east-1", "azure-eastus", "gcp-us-central1")
    assert found.left_out["aws-us-west-2"] == "no service of global reaches it"
    assert [one.kind for one in found.variants] == ["deployed", "keeper"]
    assert chosen(fleet(), loaded(stacks=["aws-us-west-2"]))[0] == ("aws-us-west-2",)
    with pytest.raises(
        SpillwayError, match=r"stacks: aws-us-esat-1: not in the fleet \(did you mean aws-us-east-1\?\)"
    ):
        chosen(fleet(), loaded(stacks=["aws-us-esat-1"]))


def test_whatever_is_mapped_or_taken_for_something_else_is_told() -> None:
    found = day()
    assert {source.what for source in found.sources if source.mapped} >= {
        "spot capacity of aws-us-east-1", "spot capacity of azure-eastus",
    }  # fmt: skip
    assert any(source.what == "prices" and source.date for source in found.sources)
    assert any("counts of" in line for line in found.warnings)
    assert any(path.startswith("azure-eastus.") for path, _ in found.assumptions)
    assert not any(path.startswith("aws-us-west-2.") for path, _ in found.assumptions)


def test_figures_of_a_fleet_are_those_of_its_regions() -> None:
    for one in day().variants:
        assert one.serving.target == 6
        assert one.money.total == pytest.approx(sum(region.money.total for region in one.regions))
        assert one.launches_per_day == pytest.approx(sum(region.launches for region in one.regions))
        hours = sum(region.spot_hours + region.on_demand_hours for region in one.regions)
        assert 0 < hours <= 24 * sum(region.maximum for region in fleet().regions)
        assert one.regret is not None
        assert one.regret.cost <= one.money.total, "a bound from below"
        for region in one.regions:
            ready = [nodes.spot + nodes.on_demand for nodes in region.nodes]
            assert max(ready) <= region.launches
            assert all(nodes.receiving <= nodes.spot + nodes.on_demand for nodes in region.nodes)


def test_variants_are_held_to_the_same_target_and_the_same_bill_on_demand() -> None:
    deployed, keeper = day().variants
    assert keeper.serving.target == deployed.serving.target
    assert keeper.money.on_demand_only == deployed.money.on_demand_only
    assert keeper.single_cheapest == deployed.single_cheapest
    assert keeper.cheapest_region == "aws-us-east-1"
    assert len(keeper.regions[0].targets) > 1 == len(deployed.regions[0].targets)


def test_a_dark_region_is_an_incident_and_the_services_switch() -> None:
    deployed = day().variants[0]
    told = [(one.where, one.place, one.what) for one in deployed.incidents]
    assert ("scenario", "aws-us-east-1", "dark") in told
    assert ("fallback", "aws-us-east-1", "no node is ready") in told
    away = [switch for service in deployed.services for switch in service.switches if switch.away]
    at = 12 * HOUR - 600
    assert any(switch.member == "aws-us-east-1" and at <= (switch.decided or 0) < at + 60 for switch in away)


def test_the_same_scenario_gives_the_same_rehearsal() -> None:
    events = [{"at": "day 1 12:00", "for": "2h", "what": "dark", "region": "first"}]
    assert rehearse(fleet(), loaded(events=events, repeat=2), workers=2) == day()


def test_a_variant_tells_how_far_it_is_where_it_is_played_here() -> None:
    parts: list[tuple[str, float]] = []
    whole: list[str] = []
    one = loaded(days=2, stacks=["gcp-us-central1"])
    rehearse(fleet(), one, progress=whole.append, part=lambda name, share: parts.append((name, share)))
    assert parts == [("deployed", 0.5), ("deployed", 1.0), ("keeper", 0.5), ("keeper", 1.0)]
    assert whole == ["deployed", "keeper"]


def test_a_bar_tells_of_parts_in_a_log_and_nothing_of_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.0)
    console = Console(file=StringIO(), width=200)
    with progress.Bar("Rehearsal", 2, console) as bar:
        bar.part("deployed", 0.5)
        bar.step("deployed")
        bar.step("keeper")
    assert isinstance(console.file, StringIO)
    lines = [line.partition(",")[0] for line in console.file.getvalue().splitlines()]
    assert lines == ["Rehearsal: 0.5 of 2", "Rehearsal: 1 of 2"]


def test_repetitions_spread_around_days_drawn_at_random() -> None:
    deployed, keeper = day().repeated
    assert (deployed.variant, deployed.runs, keeper.variant) == ("deployed", 2, "keeper")
    assert deployed.usd.p10 <= deployed.usd.p50 <= deployed.usd.p90
    assert deployed.usd.p10 < deployed.usd.p90
    assert (deployed.availability_gained, deployed.usd_more) == (None, None)
    assert keeper.availability_gained
    assert keeper.usd_more
    assert keeper.usd_more.mean == pytest.approx(keeper.usd.mean - deployed.usd.mean)
    assert keeper.availability_gained.low <= keeper.availability_gained.mean <= keeper.availability_gained.high
    assert "keeper against the deployed fleet on the same days" in next(differences(day()))


def test_changes_are_played_beside_the_deployed_fleet_and_ranked_apart() -> None:
    found = rehearse(fleet(), loaded(stacks=["aws-us-east-1"]), variants=("deployed", "changes"), workers=1)
    names = [one.name for one in found.variants]
    assert names[0] == "deployed"
    assert {"floor+1:aws-us-east-1", "target+1:aws-us-east-1"} <= {*names}
    assert len({one.serving.target for one in found.variants}) == 1
    more = next(one for one in found.variants if one.name == "target+1:aws-us-east-1")
    assert more.serving.availability >= found.variants[0].serving.availability
    assert more.regions[0].serving.target == 2, "held to what is deployed"


def test_requests_are_played_and_each_is_counted_once() -> None:
    found = rehearse(fleet(), loaded(load={"utilisation": 0.5}), variants=("deployed",))
    (load,) = found.variants[0].load
    assert load.service == "llm.example.com"
    assert load.arrived == pytest.approx(load.served + load.late + load.failed)
    assert load.served > 0.9 * load.arrived
    assert any(source.what.startswith("service rate") and source.mapped for source in found.sources)


def test_every_variant_is_asked_as_much_as_the_deployed_fleet() -> None:
    one = loaded(stacks=["aws-us-east-1"], load={"utilisation": 0.5})
    found = rehearse(fleet(), one, variants=("deployed", "changes"), workers=1)
    assert len({round(load.arrived, 3) for variant in found.variants for load in variant.load}) == 1


def test_spot_that_is_taken_is_an_incident_until_as_many_serve_again() -> None:
    (deployed,) = rehearse(fleet(), loaded(stacks=["gcp-us-central1"]), variants=("deployed",)).variants
    taken = [one for one in deployed.incidents if one.where == "spot"]
    assert sum(int(one.what.split()[0]) for one in taken if "taken" in one.what) == deployed.regions[0].preemptions
    assert all(one.until is None or one.until > one.at for one in taken)


def test_spot_that_is_not_to_be_had_is_an_incident_and_so_are_nodes_that_go_dark() -> None:
    told = [
        {"at": "day 1 00:10", "what": "spot", "count": 0, "zone": "us-east-1[b-d]"},
        {"at": "day 1 00:10", "what": "spot", "count": 4, "zone": "us-east-1a"},
        {"at": "day 1 06:10", "for": "2h", "what": "spot", "limit": 1, "zone": "us-east-1a"},
        {"at": "day 1 12:10", "for": "1h", "what": "dark", "region": "first"},
        {"at": "day 1 18:10", "for": "5m", "what": "spot", "limit": 0, "zone": "us-east-1a"},
    ]
    (deployed,) = rehearse(fleet(), loaded(events=told, stacks=["aws-us-east-1"]), variants=("deployed",)).variants
    assert [(one.at / HOUR, one.what, one.why) for one in deployed.incidents if one.where == "spot"] == [
        (6.0, "1 spot missing", "not to be had"),
        (6.0, "1 spot taken", "us-east-1a gives less"),
        (12.0, "2 spot gone", "us-east-1a dark"),
        (12.0, "2 spot missing", "not to be had"),
        (18.0, "2 spot taken", "us-east-1a gives less"),  # for less than a shortage has to last
    ]
    ends = [one.until / HOUR for one in deployed.incidents if one.what.endswith("spot missing") and one.until]
    assert ends == pytest.approx([8.0, 13.0], abs=0.1)


def test_a_region_that_is_all_on_demand_is_played_once_it_has_a_price() -> None:
    stacks = ["tencent-ap-guangzhou", "gcp-us-central1"]
    assert (
        "unpriced is not free"
        in rehearse(fleet(), loaded(stacks=stacks, prices="snapshot"), variants=("deployed",)).left_out[
            "tencent-ap-guangzhou"
        ]
    )
    rates = {"source": "our quote", "perType": {"GT4.41XLARGE948": 20.0}}
    found = rehearse(
        fleet(), loaded(stacks=stacks, prices="snapshot", onDemandPrices=rates), variants=("deployed", "keeper")
    )
    tencent = found.variants[0].regions[-1]
    assert (tencent.stack, tencent.serving.availability) == ("tencent-ap-guangzhou", 1.0)
    assert tencent.money.on_demand == pytest.approx(24 * 20.0)
    assert tencent.prices == ()


def test_no_region_that_can_be_played_is_one_line() -> None:
    with pytest.raises(SpillwayError, match=r"mine.yaml: no region can be played: tencent-ap-guangzhou: no on-demand"):
        rehearse(fleet(), loaded(stacks=["tencent-ap-guangzhou"], prices="snapshot"), variants=("deployed",))


def test_a_fleet_without_a_global_stack_is_regions_alone() -> None:
    alone = replace(fleet(), world=None)
    found = rehearse(alone, loaded(stacks=["gcp-us-central1"]), variants=("deployed",))
    assert found.variants[0].services == ()


def blocked(**told: object) -> FleetPlay:
    """aws-us-east-1 with a capacity block, and what the scenario says of it."""
    region = fleet().region("aws-us-east-1")
    pool = Pool("spillway-block", "capacity-block", (), "in-order", (), 0, 0, 0, reservation=RESERVATION)
    with_block = replace(region, blocks=(pool,))
    others = tuple(one for one in fleet().regions if one.stack != region.stack)
    whole: Fleet = replace(fleet(), regions=(with_block, *others))
    one = made(capacityBlocks={RESERVATION: told} if told else {})
    given = supplied(one, ("aws-us-east-1",))
    given.regions["aws-us-east-1"] = replace(given.regions["aws-us-east-1"], region=with_block)
    play = FleetPlay(whole, one, given, happens(one, given))
    play.run()
    return play


def test_a_capacity_block_comes_and_goes_and_costs_what_was_paid() -> None:
    play = blocked(
        machine="p5.48xlarge", zone="us-east-1a", count=3, begins="day 1 06:10", ends="day 1 18:55", usd=4000
    )
    region = play.plays["aws-us-east-1"]
    own = [node for node in region.nodes.all if node.machine == "p5.48xlarge of spillway-block"]
    assert [(node.launched, node.ended and round(node.ended / HOUR)) for node in own] == [(6 * HOUR, 18)] * 3
    without = blocked().plays["aws-us-east-1"].played().cost()
    assert region.played().cost() - without == pytest.approx(4000, rel=0.02)


def test_a_capacity_block_of_which_nothing_is_said_is_told() -> None:
    why = "the scenario says nothing of it in capacityBlocks, so it holds no node"
    assert blocked().warnings == [f"aws-us-east-1: capacity block {RESERVATION}: {why}"]


def test_a_capacity_block_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(SpillwayError, match=r"ends = day 1 06:30: its group goes to zero 45 min before its end"):
        blocked(machine="p5.48xlarge", zone="us-east-1a", count=1, begins="day 1 06:10", ends="day 1 06:30")


def test_a_boot_of_the_scenario_goes_before_the_stacks() -> None:
    play = played(("gcp-us-central1",), boot={"minutes": 10, "perStack": {"gcp-us-central1": 3}})
    assert play.plays["gcp-us-central1"].boot == 180.0


def test_serving_against_a_target_that_moves() -> None:
    ready = [[(0.0, 1.0), (50.0, 0.0), (60.0, 2.0)]]
    found = measured.serving(ready, [(0.0, 1.0), (80.0, 3.0)], 10.0, 100.0, 1)
    assert found.availability == pytest.approx(60 / 90)
    assert (found.zero, found.longest_zero, found.longest, found.deficit) == (10.0, 10.0, 20.0, 30.0)


def test_paths_of_a_scenario_begin_at_its_file() -> None:
    trace = "rehearsal/data/traces/gcp_h100_spot_2025-10_first_half.csv"
    one = loaded(trace=trace, stacks=["gcp-us-central1"])
    assert rehearse(fleet(), replace(one, folder=ROOT), variants=("deployed",)).variants[0].serving.target == 2
