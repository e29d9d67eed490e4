"""The failover budget: published vectors, computed against voted, what no setting may do, and what it costs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from math import comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.dns.budget import (
    FAILURES,
    PROVIDERS,
    CheckSettings,
    Failure,
    as_dict,
    best,
    budget,
    compared,
    faults,
    moved,
    refusals,
    simulate,
)
from infra.dns.checkers import (
    CLOUDFLARE_REGIONS,
    ROUTE53_REGIONS,
    Detector,
    Quorum,
    agreed,
    agreed_at,
    detector,
    places,
)
from tests.bench.budget import measure
from tests.support.check_settings import CLOUDFLARE, EXAMPLES, LAYERED, ROUTE53, TRAFFIC_MANAGER, any_settings

# --- what is published


@pytest.mark.parametrize(("threshold", "refused", "blackhole"), [(1, 9.7, 13.6), (2, 19.8, 27.6), (3, 29.9, 41.6)])
def test_route53_notices_as_its_documented_rules_say(threshold: int, refused: float, blackhole: float) -> None:
    found = budget(replace(ROUTE53, threshold=threshold))
    assert found.row("refused").detection.p95 == pytest.approx(refused, abs=0.05)
    assert found.row("error").detection.p95 == pytest.approx(refused, abs=0.05)
    assert found.row("blackhole").detection.p95 == pytest.approx(blackhole, abs=0.05)
    assert found.promise == pytest.approx(blackhole + 10, abs=0.05)


def test_an_endpoint_that_accepts_and_never_answers_costs_two_seconds_a_probe() -> None:
    found = budget(ROUTE53)
    assert found.row("hang").detection.p95 - found.row("refused").detection.p95 == pytest.approx(2 * 2)


def test_traffic_manager_follows_its_documented_timeline() -> None:
    """Interval 30, 3 tolerated failures, timeout 10: the fourth probe, 30 s apart each, and 10 s to give it up."""
    detection = budget(CheckSettings(provider="traffic-manager", interval_seconds=30, threshold=4, timeout_seconds=10))
    row = detection.row("blackhole").detection
    assert row.worst == 30 + 3 * 30 + 10
    assert row.median == pytest.approx(15 + 3 * 30 + 10)
    assert budget(TRAFFIC_MANAGER).row("blackhole").detection.worst == 25


def test_cloudflare_waits_for_the_majority_of_data_centers_and_regions() -> None:
    assert places(CLOUDFLARE) == (Quorum(3, 2), Quorum(3, 2))
    assert places(replace(CLOUDFLARE, check_regions=("WEU",))) == (Quorum(3, 2), Quorum(1, 1))
    assert places(replace(CLOUDFLARE, check_regions=("WEU", "EEU"))) == (Quorum(3, 2), Quorum(2, 1))
    assert places(replace(CLOUDFLARE, check_regions=("ALL_REGIONS",))) == (Quorum(3, 2), Quorum(13, 7))


def test_cloudflare_retries_cost_a_timeout_each_and_only_where_there_is_no_answer() -> None:
    once, thrice = (
        budget(replace(CLOUDFLARE, interval_seconds=60)),
        budget(replace(CLOUDFLARE, interval_seconds=60, retries=2)),
    )
    for silent in ("blackhole", "hang"):
        assert thrice.row(silent).detection.p95 - once.row(silent).detection.p95 == pytest.approx(10)
    assert thrice.row("refused") == once.row("refused")


def test_a_proxied_name_has_nothing_to_propagate_and_dns_alone_has_its_ttl() -> None:
    assert budget(CLOUDFLARE).row("hang").propagation.worst == 30
    assert budget(replace(CLOUDFLARE, proxied=True)).row("hang").propagation.worst == 0


def test_failover_across_pools_retries_connections_and_leaves_the_rest_to_the_monitors() -> None:
    plain, layered = budget(replace(CLOUDFLARE, proxied=True)), budget(LAYERED)
    assert layered.row("refused").total.worst == pytest.approx(0.1)
    assert layered.row("blackhole").total.worst == 19  # the connection is given up, and tried elsewhere
    for failure in ("error", "hang"):
        assert layered.row(failure).detection == plain.row(failure).detection


@pytest.mark.parametrize(("regions", "needed"), [(8, 14), (6, 10), (4, 7), (3, 5)])
def test_route53_calls_a_member_down_when_18_percent_or_less_say_healthy(regions: int, needed: int) -> None:
    checkers = 2 * regions
    assert places(replace(ROUTE53, check_regions=ROUTE53_REGIONS[:regions])) == (Quorum(checkers, needed),)
    assert (checkers - needed) / checkers <= 0.18 < (checkers - needed + 1) / checkers


# --- computed and voted


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.provider}-{e.interval_seconds}-{e.threshold}")
@pytest.mark.parametrize("failure", FAILURES)
def test_what_is_computed_is_what_single_checkers_vote(example: CheckSettings, failure: Failure) -> None:
    row = budget(example).row(failure)
    for clients, computed in ((False, row.detection), (True, row.total)):
        voted = simulate(example, failure, 20_000, seed=5, clients=clients)
        near = 0.01 * (example.interval_seconds + clients * example.cache_seconds)
        assert voted.median == pytest.approx(computed.median, abs=2 * near)
        assert voted.p95 == pytest.approx(computed.p95, abs=2 * near)
        assert voted.worst <= computed.worst + 1e-9


def test_a_simulation_with_the_same_seed_says_the_same() -> None:
    assert simulate(ROUTE53, "blackhole", 500, seed=1) == simulate(ROUTE53, "blackhole", 500, seed=1)
    assert simulate(ROUTE53, "blackhole", 500, seed=1) != simulate(ROUTE53, "blackhole", 500, seed=2)
    with pytest.raises(ValueError, match="failures = 0"):
        simulate(ROUTE53, "blackhole", 0)


@given(of=st.integers(1, 40), data=st.data(), x=st.floats(0, 1))
def test_the_binomial_sum_is_the_beta_distribution(of: int, data: st.DataObject, x: float) -> None:
    needed = data.draw(st.integers(1, of))
    quorum = Quorum(of, needed)
    # The density of an order statistic, integrated (midpoints): n C(n-1, k-1) t^(k-1) (1-t)^(n-k).
    cells = 400
    steps = ((i + 0.5) * x / cells for i in range(cells))
    density = of * comb(of - 1, needed - 1)
    area = sum(density * t ** (needed - 1) * (1 - t) ** (of - needed) for t in steps) * x / cells
    assert quorum.share(x) == pytest.approx(area, abs=2e-3)


@given(probability=st.floats(0.001, 0.999), who=st.sampled_from([places(e) for e in EXAMPLES]))
def test_bisection_finds_the_moment_again(probability: float, who: tuple[Quorum, ...]) -> None:
    assert agreed(who, agreed_at(who, probability)) == pytest.approx(probability, abs=1e-9)


@given(example=any_settings(), failure=st.sampled_from(FAILURES), parts=st.integers(0, 40))
def test_the_share_that_moved_is_the_mean_over_the_ttl(example: CheckSettings, failure: Failure, parts: int) -> None:
    found = detector(example, failure)
    seconds = (found.worst + found.cache) * parts / 40
    cells = 1000
    backs = ((i + 0.5) / cells * found.cache for i in range(cells))
    mean = sum(found.detected(seconds - back) for back in backs) / cells
    assert moved(example, failure, seconds) == pytest.approx(mean, abs=5e-3)


# --- what holds for any settings


@given(example=any_settings())
def test_worst_is_never_better_than_p95_nor_that_than_the_median(example: CheckSettings) -> None:
    for row in budget(example).rows:
        for part in (row.detection, row.propagation, row.total):
            assert 0 <= part.median <= part.p95 <= part.worst
        assert row.total.p95 <= row.promise + 1e-9 or row.total.p95 <= row.detection.worst + row.propagation.worst
        assert row.detection.worst + row.propagation.worst == pytest.approx(row.total.worst)


@given(example=any_settings(), failure=st.sampled_from(FAILURES))
def test_more_failures_longer_intervals_and_slower_probes_never_notice_sooner(
    example: CheckSettings, failure: Failure
) -> None:
    before = budget(example).row(failure)
    longer = (
        replace(example, threshold=example.threshold + 1),
        replace(example, interval_seconds=example.interval_seconds * 1.5),
        replace(example, answer_seconds=example.answer_seconds + 0.3),
        replace(example, timeout_seconds=example.timeout + 2),
        replace(example, ttl_seconds=example.ttl_seconds + 20),
        replace(example, retries=example.retries + 1),
    )
    for changed in longer:
        after = budget(changed).row(failure)
        for name in ("median", "p95", "worst"):
            assert getattr(after.detection, name) >= getattr(before.detection, name) - 1e-6
            assert getattr(after.total, name) >= getattr(before.total, name) - 1e-6


@given(example=any_settings(), failure=st.sampled_from(FAILURES))
def test_clients_only_ever_move_away(example: CheckSettings, failure: Failure) -> None:
    row = budget(example).row(failure)
    times = [row.total.worst * step / 50 for step in range(51)]
    shares = [moved(example, failure, seconds) for seconds in times]
    assert all(a <= b + 1e-9 for a, b in pairwise(shares))
    assert moved(example, failure, row.total.worst) == 1
    assert moved(example, failure, -1) == 0


@given(example=any_settings(), failure=st.sampled_from(FAILURES), probability=st.floats(0.01, 0.99))
def test_the_time_after_which_a_share_moved_is_the_time_of_that_share(
    example: CheckSettings, failure: Failure, probability: float
) -> None:
    found: Detector = detector(example, failure)
    if found.at_most > found.spread + found.after:  # otherwise many clients move at one moment
        assert found.moved(found.moved_at(probability)) == pytest.approx(probability, abs=1e-3)


# --- as an output, and what it costs


def test_the_output_is_plain_rounded_and_always_the_same() -> None:
    found = as_dict(budget(ROUTE53), 60)
    assert found["failures"]["blackhole"]["detection"] == {"median": 26.4, "p95": 27.6, "worst": 28.1}
    assert found["failures"]["blackhole"]["p95PlusTtl"] == found["promiseSeconds"] == 37.6
    assert (found["objectiveSeconds"], found["met"]) == (60, True)
    assert json.dumps(found) == json.dumps(as_dict(budget(ROUTE53), 60))
    assert set(found["failures"]) == set(FAILURES)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_row_says_what_is_assumed(example: CheckSettings) -> None:
    found = budget(example)
    assert all(row.assumed for row in found.rows)
    assert all(source.startswith("https://") for source in found.sources)


def test_every_provider_can_be_looked_at_beside_the_others() -> None:
    entries = compared()
    assert {entry.budget.settings.provider for entry in entries} == set(PROVIDERS)
    for entry in entries:
        assert not [f for f in faults(entry.budget.settings, 10_000) if "retries" not in f.allowed], entry


def test_the_fastest_settings_are_accepted() -> None:
    for provider in PROVIDERS:
        for plan in ("free", "enterprise") if provider == "cloudflare" else (None,):
            assert refusals(best(provider, plan=plan), 300) == []
    assert best("cloudflare", plan="enterprise").interval_seconds == 10
    assert len(CLOUDFLARE_REGIONS) == 13


def test_a_preview_does_not_notice_the_budget_and_a_simulation_is_quick() -> None:
    figures = measure()
    assert figures["dns_budget_simulation_s"] < 2
    assert figures["dns_budget_output_ms"] < 50


def test_no_engine_and_no_stand_in_is_needed() -> None:
    code = "import sys, infra.dns.budget; print([m for m in sys.modules if m.split('.')[0] in ('pulumi', 'sandbox')])"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("provider", ["route53", "traffic-manager", "cloudflare"])
def test_clients_have_left_a_member_when_the_last_of_its_addresses_is_out(provider: Any) -> None:
    one = best(provider, plan="enterprise" if provider == "cloudflare" else None)
    four = replace(one, addresses=4)
    alone, together = (budget(settings).row("blackhole").detection for settings in (one, four))
    assert alone.median < together.median < together.worst == alone.worst
    voted = simulate(four, "blackhole", 20_000)
    assert voted.median == pytest.approx(together.median, abs=0.15)
    assert voted.p95 == pytest.approx(together.p95, abs=0.15)


def test_a_retry_within_the_pool_finds_the_addresses_that_failed_with_the_first() -> None:
    four = replace(LAYERED, addresses=4)
    assert budget(LAYERED).row("blackhole").detection.worst == 19
    assert budget(four).row("blackhole").detection.p95 > 19
    assert any("same pool first" in sentence for sentence in budget(four).row("blackhole").documented)
