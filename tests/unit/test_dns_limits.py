"""What a DNS provider does not take, an objective that is missed, and settings that can never work."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.dns.budget import (
    CheckSettings,
    Wish,
    as_delivered,
    budget,
    faults,
    never_works,
    refusals,
)
from tests.support.check_settings import CLOUDFLARE, EXAMPLES, LAYERED, ROUTE53, TRAFFIC_MANAGER, any_settings

# --- what is refused


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_objective_is_refused_when_it_is_missed_by_however_little(example: CheckSettings) -> None:
    promise, path = budget(example).promise, ("dns", "objectiveSeconds")
    assert path in [fault.path for fault in faults(example, promise - 0.01)]
    assert path not in [fault.path for fault in faults(example, promise)]


def test_the_stack_files_defaults_are_fine() -> None:
    assert refusals(ROUTE53) == []
    assert refusals(TRAFFIC_MANAGER) == []
    assert refusals(LAYERED) == []


def test_a_missed_objective_is_one_sentence_that_says_what_would_do() -> None:
    [sentence] = refusals(replace(ROUTE53, threshold=3, ttl_seconds=60))
    assert sentence == (
        "dns.objectiveSeconds = 60: missed: 41.6 s to notice 95 % of silent failures + TTL 60 s = 101.6 s; "
        "would meet it: ttlSeconds 18"
    )
    [sentence] = refusals(as_delivered("traffic-manager"))
    assert sentence.endswith("would meet it: intervalSeconds 10, threshold 4, timeoutSeconds 5, ttlSeconds 10 together")
    [sentence] = refusals(ROUTE53, 10)
    assert "no settings of Route 53 meet it" in sentence


@settings(max_examples=60)
@given(example=any_settings(), objective=st.integers(5, 120))
def test_what_is_said_to_meet_the_objective_does(example: CheckSettings, objective: int) -> None:
    missed = [f for f in faults(example, objective) if f.path == ("dns", "objectiveSeconds")]
    assert bool(missed) is (budget(example).promise > objective)
    for fault in missed:
        _, _, advice = fault.allowed.partition("would meet it: ")
        together = advice.endswith(" together")
        names = {
            "intervalSeconds": "interval_seconds",
            "threshold": "threshold",
            "timeoutSeconds": "timeout_seconds",
            "ttlSeconds": "ttl_seconds",
            "retries": "retries",
        }
        parts = [part.split() for part in advice.removesuffix(" together").replace(" or ", ", ").split(", ") if part]
        changes = [{names[name]: int(value)} for name, value in parts]
        if together:
            changes = [{key: value for change in changes for key, value in change.items()}]
        for change in changes:
            changed = replace(example, **change)  # type: ignore[arg-type]
            assert refusals(changed, objective) == []


@pytest.mark.parametrize(
    ("given_settings", "line"),
    [
        (replace(ROUTE53, interval_seconds=12), "dns.check.intervalSeconds = 12: has to be 10 or 30 for Route 53"),
        (replace(ROUTE53, threshold=11), "dns.check.threshold = 11: has to be 1 to 10 for Route 53"),
        (
            replace(ROUTE53, timeout_seconds=3),
            "dns.check.timeoutSeconds = 3: has to be left out: Route 53's checkers wait 4 s for a connection and "
            "2 s for the answer, always",
        ),
        (
            replace(TRAFFIC_MANAGER, timeout_seconds=10),
            "dns.check.timeoutSeconds = 10: has to be 5 to 9 for Traffic Manager at an interval of 10 s",
        ),
        (replace(TRAFFIC_MANAGER, interval_seconds=15), "dns.check.intervalSeconds = 15: has to be 10 or 30"),
        (
            replace(CLOUDFLARE, interval_seconds=10),
            "dns.check.intervalSeconds = 10: has to be 15 to 3600 for Cloudflare (business)",
        ),
        (replace(CLOUDFLARE, ttl_seconds=10), "dns.ttlSeconds = 10: has to be 30 to 600 for Cloudflare (business)"),
        (
            replace(CLOUDFLARE, retries=2),
            "dns.check.intervalSeconds = 15: has to be above timeoutSeconds x (1 + 2 retries), 15 s",
        ),
        (
            replace(CLOUDFLARE, failover_across_pools=True),
            "cloudflare.failoverAcrossPools = true: needs proxied: true; an answer of DNS cannot try a request again",
        ),
        (
            replace(CLOUDFLARE, check_regions=("ALL_REGIONS",)),
            "cloudflare.checkRegions = [ALL_REGIONS]: takes ALL_REGIONS with plan enterprise only",
        ),
        (replace(CLOUDFLARE, plan="gold"), "cloudflare.plan = gold: has to be free, pro, business or enterprise"),
        (replace(ROUTE53, proxied=True), "cloudflare.proxied = true: goes with dns.provider cloudflare only"),
        (
            replace(ROUTE53, check_regions=("us-east-1", "eu-west-1")),
            "route53.checkRegions = [us-east-1, eu-west-1]: has to name three regions or more, or be left out for all",
        ),
        (
            replace(ROUTE53, check_regions=("us-east-1", "us-east-1", "eu-central-1")),
            "unknown region eu-central-1; known are us-east-1",
        ),
    ],
)
def test_a_value_that_the_provider_does_not_take_is_named_with_what_it_takes(
    given_settings: CheckSettings, line: str
) -> None:
    assert any(line in sentence for sentence in refusals(given_settings, 3600))


def test_a_plan_of_cloudflares_is_refused_and_not_ignored_where_it_means_nothing() -> None:
    for example in (ROUTE53, TRAFFIC_MANAGER):
        assert "cloudflare.plan = pro: goes with dns.provider cloudflare only" in refusals(replace(example, plan="pro"))


def test_enterprise_may_probe_every_10_seconds() -> None:
    assert refusals(replace(CLOUDFLARE, interval_seconds=10, plan="enterprise")) == []


def test_a_proxied_names_ttl_is_not_asked_for() -> None:
    assert refusals(replace(LAYERED, ttl_seconds=0)) == []


def test_what_has_no_meaning_is_no_settings_at_all() -> None:
    for change, said in (
        ({"provider": "bind"}, "provider = bind"),
        ({"interval_seconds": 0}, "interval_seconds = 0"),
        ({"threshold": 0}, "threshold = 0"),
        ({"ttl_seconds": -1}, "ttl_seconds = -1"),
        ({"timeout_seconds": float("nan")}, "timeout_seconds = nan"),
        ({"check_regions": ()}, "check_regions"),
    ):
        with pytest.raises(ValueError, match=said):
            replace(ROUTE53, **change)


# --- what can never work


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        (Wish(provider="route53", health_path="/health", expected_text="ok"), "empty body"),
        (Wish(provider="cloudflare", health_path="/health/?deep=1", expected_text="ok"), "empty body"),
        (Wish(provider="route53", alarm=(("Metrics", [{"Expression": "m1 - m2"}]),)), "metric-math"),
        (Wish(provider="route53", alarm=(("ExtendedStatistic", "p50"),)), "percentile"),
        (Wish(provider="route53", alarm=(("Period", 10),)), "60 s is the least"),
        (Wish(provider="cloud-dns", interval_seconds=10), "30 s is the least"),
        (Wish(provider="route53", alias_to_balancer=True), "kept for 60 s"),
        (Wish(provider="route53", record_types=("A", "CNAME")), "and A stand there"),
        (Wish(provider="route53", disabled_check=True), "healthy for ever"),
        (Wish(provider="route53", inverted_check=True), "healthy when its endpoint is gone"),
        (Wish(provider="traffic-manager", always_serve=True), "without being checked"),
    ],
)
def test_what_can_never_work_is_told_with_its_reason(wish: Wish, reason: str) -> None:
    [sentence] = never_works(wish)
    assert reason in sentence


def test_a_plain_check_with_a_token_on_readyz_works() -> None:
    assert never_works(Wish(provider="route53", expected_text="ready", record_types=("A", "A"))) == []
    assert never_works(Wish(provider="cloud-dns", interval_seconds=30)) == []
    assert never_works(Wish(provider="route53", alarm=(("MetricName", "TtftP50Ms"), ("Period", 60)))) == []
