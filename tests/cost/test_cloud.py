"""Rented machines: the bill of a node, extras, commitments, spot by zone, the pools' blend, GPUs by the second."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost.arithmetic import EXACT, Arrays
from cost.cloud import _worth
from cost.extras import ROWS
from cost.money import HOURS_PER_MONTH
from cost.prices.snapshot import Price, Snapshot
from cost.result import Option
from cost.serverless import up_share
from spillway.errors import SpillwayError
from tests.cost.worked import API, CLOUD, OWN, SERVERLESS, SNAPSHOT, made, repriced, worked

P4D: dict[str, Any] = {
    "machine": "p4d.24xlarge", "throughput": {"tokensPerSecondPerGpu": 500.0, "derate": 1.0}, "nodes": 1,
}  # fmt: skip
# An A100 of 40 GB holds a 70B model in FP8 over eight of them, with its cache in 16 bits.


def cloud(snapshot: Snapshot = SNAPSHOT, **changes: Any) -> Option:
    sections = {
        key: changes.pop(key) for key in ("workload", "serving", "period", "finance", "model") if key in changes
    }
    return worked({**CLOUD, **changes}, snapshot=snapshot, **sections).option("cloud")


def machines(option: Option) -> Decimal:
    return sum((line.usd for line in option.lines if line.group in ("compute", "commitment")), Decimal(0))


def committed(market: str, usd: str, sku: str = "p5.48xlarge") -> Snapshot:
    row = next(one for one in SNAPSHOT.rows if (one.sku, one.market) == (sku, "on-demand"))
    return replace(SNAPSHOT, rows=(*SNAPSHOT.rows, replace(row, market=market, usd=Decimal(usd))))


@pytest.mark.parametrize(("usd", "bill"), [("21.957642", 577_047), ("32.78", 861_458)])
def test_one_p4d_for_three_years(usd: str, bill: int) -> None:
    assert round(machines(cloud(repriced("p4d.24xlarge", usd), **P4D))) == bill


def test_every_line_has_a_source_and_a_day() -> None:
    for line in cloud().lines:
        assert line.source
        assert line.observed is not None
        assert line.provider


def test_disks_are_charged_beyond_what_gp3_has_for_nothing() -> None:
    disk = {"sizeGib": 500, "iops": 16_000, "throughputMbps": 1000}
    lines = {line.what: line for line in cloud(**P4D, data=disk, period={"months": 1}).lines}
    assert lines["data volume"].usd == 40
    assert lines["data volume, IOPS"].usd == 65
    assert lines["data volume, throughput"].usd == 35
    assert "boot volume, IOPS" not in lines
    assert lines["boot volume, throughput"].usd == 125 * Decimal("0.04")


def test_egress_is_charged_by_tier() -> None:
    # 1e11 output tokens a day of 250 bytes, in a month of 730 h: 760 TB
    heavy = {"tokensPerDay": 4e11, "inputTokens": 300, "outputTokens": 100}
    found = cloud(nodes=10_000, workload=heavy, period={"months": 1})
    tiers = [line for line in found.lines if line.what.startswith("egress")]
    assert [line.unit_price for line in tiers] == [Decimal(usd) for usd in ("0.09", "0.085", "0.07", "0.05")]
    assert [line.quantity for line in tiers[:3]] == [10_240, 40_960, 102_400]
    assert round(sum(line.quantity for line in tiers)) == round(10**11 * 250 / Decimal(10**9) * HOURS_PER_MONTH / 24)


def test_what_has_no_price_is_told_and_is_in_no_sum() -> None:
    gaps = [row for row in SNAPSHOT.rows if row.sku != "ebs.gp3.storage"]
    found = cloud(replace(SNAPSHOT, rows=tuple(gaps)))
    assert found.status == "partial"
    assert [gap.what for gap in found.unpriced] == ["boot volume"]
    assert not [line for line in found.lines if line.what == "boot volume"]
    assert found.cash < cloud().cash


def test_a_machine_without_a_price_has_no_total() -> None:
    found = cloud(**{**P4D, "machine": "p5e.48xlarge"})
    assert (found.status, found.lines, found.usd_million) == ("unpriced", (), None)
    assert "capacity block" in found.why


def test_every_cloud_is_asked_for_the_same_things() -> None:
    assert {row.group for rows in ROWS.values() for row in rows} == {"storage", "network"}
    for rows in ROWS.values():
        assert {row.what.split(",")[0] for row in rows} >= {
            "boot volume", "load balancer", "NAT gateway", "egress to the internet", "model store", "DNS health checks",
        }  # fmt: skip


def test_spot_is_the_mean_of_the_zones_that_have_any() -> None:
    found = cloud(market="spot")
    line = next(one for one in found.lines if one.group == "compute")
    rows = SNAPSHOT.spot_by_zone(provider="aws", region="us-east-1", sku="p5.48xlarge")
    there = [row.usd for row in rows if not row.sold_out]
    assert line.unit_price == sum(there) / len(there)
    assert any("sold out" in flag for flag in line.flags)
    assert "a price, not a service" in found.warnings[0]
    assert found.levelised_month < cloud().levelised_month


def test_spot_alone_is_never_the_best() -> None:
    found = worked({**CLOUD, "name": "spot", "market": "spot"}, CLOUD, draws=200)
    assert found.best == "cloud"
    assert found.montecarlo is not None
    assert [one.wins for one in found.montecarlo.options] == [0, 1]


def test_spot_that_is_sold_out_everywhere_has_no_price() -> None:
    rows = tuple(
        replace(row, flags=("sold-out: equals the on-demand price",)) if row.market == "spot" else row
        for row in SNAPSHOT.rows
    )
    found = cloud(replace(SNAPSHOT, rows=rows), market="spot")
    assert found.status == "unpriced"
    assert "sold out in every zone" in found.why


def test_a_commitment_that_is_paid_ahead_costs_more_than_its_hours_when_money_costs() -> None:
    monthly = cloud(committed("reserved-3y", "30"), market="reserved-3y", nodes=1)
    ahead = cloud(committed("reserved-3y-upfront", "30"), market="reserved-3y-upfront", nodes=1)
    assert machines(monthly) == machines(ahead) == 30 * 26_280
    line = next(one for one in ahead.lines if one.group == "commitment")
    assert line.cash[0] == 30 * 26_280
    assert line.timing == "begin"
    assert sum(line.amortised) - line.usd < Decimal("1e-15")
    assert ahead.levelised_month > monthly.levelised_month
    assert ahead.npv > monthly.npv


def test_a_commitment_covers_what_is_needed_long_enough_and_on_demand_the_rest() -> None:
    snapshot = committed("reserved-1y", "27.52")  # half of on demand: worth it for a node that is there 12 hours
    hours = [1.0] * 13 + [3.0] * 11
    found = cloud(snapshot, market="reserved-1y", scaling="hourly", workload={"tokensPerDay": 1e10, "hourly": hours})
    term = next(line for line in found.lines if line.group == "commitment")
    dear = next(line for line in found.lines if line.group == "compute")
    # five nodes for eleven hours, of which two are needed all day: the three others are cheaper on demand
    assert found.nodes[0] == 5
    assert term.quantity == 2 * HOURS_PER_MONTH
    assert dear.quantity == 3 * HOURS_PER_MONTH * 11 / 24
    cheap = committed("reserved-1y", "20")  # worth it for nine hours
    every = cloud(cheap, market="reserved-1y", scaling="hourly", workload={"tokensPerDay": 1e10, "hourly": hours})
    assert [line.quantity for line in every.lines if line.group == "commitment"] == [5 * HOURS_PER_MONTH]
    assert not [line for line in every.lines if line.group == "compute"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 8), min_size=24, max_size=24), st.integers(0, 23),
    st.decimals("0.1", "1.5", places=2),
)  # fmt: skip
def test_a_node_more_in_any_hour_never_makes_committed_capacity_cheaper(
    day: list[int], hour: int, ratio: Decimal
) -> None:
    def bill(nodes: list[int]) -> Decimal:
        rows: list[tuple[int, Any]] = [(1, Decimal(one)) for one in sorted(nodes, reverse=True)]
        held = _worth(EXACT, rows, ratio * 24, Decimal(1))
        rest: Decimal = held * ratio * 24 + sum(max(Decimal(0), one - held) for _, one in rows)
        return rest

    more = list(day)
    more[hour] += 1
    assert bill(more) >= bill(day)


def test_the_blend_pays_for_what_the_pools_were_billed() -> None:
    found = worked(
        {**CLOUD, "name": "blend", "machine": "p5en.48xlarge", "market": "blend", "nodes": 2,
         "throughput": {"anchor": "llama-3.3-70b-h200", "derate": 0.5}},
        model={"name": "llama-3.3-70b-instruct", "dtype": "fp8"},
    ).option("blend")  # fmt: skip
    service = found.service
    assert service is not None
    spot, dear = (line for line in found.lines if line.group == "compute")
    assert {spot.market, dear.market} == {"spot", "on-demand"}
    assert (spot.unit_price, dear.unit_price) < (Decimal(25), Decimal("63.3"))
    hours = 2 * HOURS_PER_MONTH
    assert abs((spot.cash[0] + dear.cash[0]) / hours - service.usd_hour) < Decimal("1e-12")
    assert service.usd_hour_p10 <= service.usd_hour_p50 <= service.usd_hour_p90 < Decimal("63.296")
    assert abs(service.share_spot + service.share_on_demand + service.share_nothing - 1) < Decimal("0.001")
    assert service.interruptions_day > 0
    assert service.below_hours_month > 0
    assert service.mapped  # recorded of another machine in another cloud
    dearer = worked(
        {**CLOUD, "name": "blend", "machine": "p5en.48xlarge", "market": "blend", "nodes": 2, "percentile": 0.9,
         "throughput": {"anchor": "llama-3.3-70b-h200", "derate": 0.5}},
        model={"name": "llama-3.3-70b-instruct", "dtype": "fp8"},
    ).option("blend")  # fmt: skip
    assert dearer.cash > found.cash


def test_too_many_nodes_for_a_rehearsal_leave_the_other_options_alone() -> None:
    from cost.blends import MOST_NODES
    from rehearsal.blend import SIZE_MAX

    assert MOST_NODES == SIZE_MAX
    found = worked(
        {**CLOUD, "name": "blend", "machine": "p5en.48xlarge", "market": "blend", "nodes": 501,
         "throughput": {"anchor": "llama-3.3-70b-h200", "derate": 0.5}},
        {**CLOUD, "machine": "p5en.48xlarge", "throughput": {"anchor": "llama-3.3-70b-h200", "derate": 0.5}},
        model={"name": "llama-3.3-70b-instruct", "dtype": "fp8"},
    )  # fmt: skip
    assert found.option("blend").status == "infeasible"
    assert "takes 500 at most" in found.option("blend").why
    assert found.option("cloud").status in ("priced", "partial")


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"machine": "p5.48xlarg"}, "made.yaml: options.cloud.machine: unknown machine type p5.48xlarg (did you mean"),
     ({"machine": "a3-highgpu-8g"}, "made.yaml: options.cloud.machine = a3-highgpu-8g: is of gcp, and provider is aws"),
     ({"region": "us-esat-1"}, "made.yaml: options.cloud.region = us-esat-1: unknown region of aws (did you mean us-")],
)  # fmt: skip
def test_an_unknown_machine_or_region_is_one_line(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SpillwayError) as error:
        cloud(**changes)
    (line,) = error.value.lines
    assert line.startswith(told)


@pytest.mark.parametrize(
    ("option", "told"),
    [({**API, "model": "deepseek-v9"}, "options.api: API model deepseek-v9: genai-prices has none of deepseek"),
     ({**API, "provider": "deepsek"}, "options.api: API provider deepsek: genai-prices has no such provider (did you"),
     ({**OWN, "system": "hgx-h10"}, "options.own.system = hgx-h10: unknown system (did you mean hgx-h100?)"),
     ({**SERVERLESS, "gpu": "h1000"}, "options.seconds.gpu = h1000: unknown GPU (did you mean h100?)"),
     ({**CLOUD, "market": "blend", "trace": "gcp-h100"}, "options.cloud: traces: no 'gcp-h100'"),
     ({**CLOUD, "throughput": {"anchor": "x", "derate": 1.0}}, "options.cloud.throughput.anchor = x: unknown anchor")],
)  # fmt: skip
def test_whatever_an_option_names_in_vain_is_one_line(option: dict[str, Any], told: str) -> None:
    with pytest.raises(SpillwayError) as error:
        worked(option)
    (line,) = error.value.lines
    assert line.startswith("made.yaml: " + told)


def test_all_of_them_are_told_at_once() -> None:
    with pytest.raises(SpillwayError) as error:
        worked({**API, "model": "deepseek-v9"}, {**OWN, "system": "hgx-h10"})
    assert len(error.value.lines) == 2


def test_a_node_that_stays_pays_what_long_use_costs() -> None:
    row = next(one for one in SNAPSHOT.rows if (one.sku, one.market) == ("p5.48xlarge", "on-demand"))
    longer = replace(row, usd=Decimal(40), from_quantity=Decimal(96))
    tiered = replace(SNAPSHOT, rows=(*SNAPSHOT.rows, longer))
    prices = [
        next(line for line in cloud(tiered, scaling=one).lines if line.group == "compute").unit_price
        for one in ("peak", "hourly")
    ]
    assert prices == [40, Decimal("55.04")]


def test_blocks_of_days_are_told() -> None:
    found = cloud(committed("capacity-block", "31"), market="capacity-block", nodes=1)
    assert machines(found) == 31 * 26_280
    assert any("booked ahead" in text for text in found.warnings)


def test_a_commitment_that_outlives_the_period_is_told() -> None:
    snapshot = committed("reserved-3y", "30")
    told = cloud(snapshot, market="reserved-3y", period={"months": 48}).warnings
    assert "the last commitment of 36 months goes on for 24 after the period" in told
    assert not [line for line in cloud(snapshot, market="reserved-3y").warnings if "commitment" in line]


def test_a_model_that_does_not_fit_says_why() -> None:
    found = cloud(machine="g6e.xlarge", throughput={"tokensPerSecondPerGpu": 100.0, "derate": 1.0})
    assert found.status == "infeasible"
    assert "GiB on each of 1 GPUs" in found.why


# --- by the second ---


def test_serverless_is_free_without_traffic_and_a_whole_day_with_enough() -> None:
    few = worked(SERVERLESS, workload={"tokensPerDay": 400.0}).option("seconds")
    many = worked(SERVERLESS, workload={"tokensPerDay": 4e8}).option("seconds")
    # one request a day: a cold start, its ten seconds and a minute of waiting, on four GPUs
    assert few.levelised_month == pytest.approx(Decimal((120 + 70) * 4) * Decimal("0.001097") * HOURS_PER_MONTH / 24,
                                                rel=Decimal("0.01"))  # fmt: skip
    seconds = next(iter(many.lines)).quantity
    assert seconds % 1 == pytest.approx(0, abs=Decimal("1e-6")) or seconds > 0
    assert seconds / (4 * 3600 * HOURS_PER_MONTH) >= Decimal("0.999")


def test_it_wins_below_a_rate_and_loses_above() -> None:
    node = {**CLOUD, "nodes": 1}
    found = worked(SERVERLESS, node, workload={"tokensPerDay": 1e6}, snapshot=repriced("p5.48xlarge", "12"))
    (pair,) = found.pairs
    (crossing,) = [one for one in pair.crossings if one.feasible]
    assert (crossing.below, crossing.above) == ("seconds", "cloud")
    assert "seconds below" in pair.words
    assert f"({crossing.tokens_day / 400:,.0f} requests/day)" in pair.words


@settings(max_examples=60, deadline=None)
@given(
    st.floats(1e-6, 5), st.floats(1.01, 20), st.floats(0.1, 600), st.floats(1, 600), st.integers(1, 6)
)  # fmt: skip
def test_more_requests_never_cost_less_even_where_an_instance_more_is_needed(
    rate: float, factor: float, cold: float, hold: float, instances: int
) -> None:
    n = Arrays()
    one = instances * float(up_share(n, rate / instances, cold, hold))
    assert instances * float(up_share(n, rate * factor / instances, cold, hold)) >= one - 1e-12
    assert (instances + 1) * float(up_share(n, rate / (instances + 1), cold, hold)) >= one - 1e-12


def test_up_share_is_the_renewal_formula_in_both_arithmetics() -> None:
    import numpy as np

    dice = np.random.default_rng(1)
    cold, hold, rate = 90.0, 70.0, 0.01
    up = down = 0.0
    for _ in range(40_000):  # cycles: a cold start, then as long as gaps stay below `hold`, then until the next request
        up += cold
        while (gap := float(dice.exponential(1 / rate))) < hold:
            up += gap
        up += hold
        down += gap - hold
    exact = up_share(EXACT, Decimal("0.01"), Decimal(90), Decimal(70))
    assert float(exact) == pytest.approx(float(up_share(Arrays(), rate, cold, hold)), rel=1e-12)
    assert up / (up + down) == pytest.approx(float(exact), rel=0.01)


def test_prices_of_the_past_are_flagged_by_age() -> None:
    from datetime import date

    from cost.compare import compare

    found = compare(made(CLOUD), SNAPSHOT, today=date(2028, 1, 1), draws=0)
    assert "days old" in found.stale
    assert all("stale" in line.flags for line in found.option("cloud").lines)
    assert not worked(CLOUD).stale


def test_the_price_of_a_serverless_option_is_flagged_by_age_too() -> None:
    for observed, flags in (("2026-05-07", ("stale",)), ("2026-11-01", ())):
        (line,) = worked({**SERVERLESS, "observed": observed}).option("seconds").lines
        assert line.flags == flags


def test_traffic_by_the_hour_takes_fewer_node_hours_than_the_peak_all_day() -> None:
    hours = [1.0] * 12 + [9.0] * 12
    busy = {"tokensPerDay": 2e9, "hourly": hours}
    peak, hourly = (machines(cloud(scaling=one, workload=busy)) for one in ("peak", "hourly"))
    assert hourly < peak * Decimal("0.8")


def test_list_prices_are_told() -> None:
    row = SNAPSHOT.find(provider="gcp", region="us-central1", sku="a3-highgpu-4g", market="list")
    assert isinstance(row, Price)
    given: dict[str, Any] = {"provider": "gcp", "region": "us-central1", "machine": "a3-highgpu-4g"}
    assert cloud(**given).status == "unpriced"
    listed = cloud(**given, market="list")
    assert any("cannot be ordered on demand" in text for text in listed.warnings)
    assert next(line for line in listed.lines if line.group == "compute").unit_price == row.usd


def test_steps_are_where_a_node_more_is_needed() -> None:
    found = cloud(workload={"tokensPerDay": 1e8})
    jumps = [
        (a, b) for a, b in pairwise(found.curve) if a.nodes is not None and b.nodes is not None and b.nodes > a.nodes
    ]
    assert jumps
    for before, after in jumps:
        assert after.tokens_day / before.tokens_day < Decimal("1.0001")
        assert after.usd_day > before.usd_day
