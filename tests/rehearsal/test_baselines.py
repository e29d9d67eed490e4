"""The published policies, rule by rule, and what they reach on the recorded half."""

from __future__ import annotations

from collections import Counter

import pytest

from rehearsal import data, prices
from rehearsal.baselines import BASELINES, RANDOM
from rehearsal.baselines.hedge import CheapestFirst, Guarded, SpotHedge
from rehearsal.baselines.spread import EvenSpread, RoundRobin
from rehearsal.model import Decision, Held, Loss, Outcome, Policy, Setting, View
from rehearsal.world import play
from tests.rehearsal.support import held, seen, zoned

ZONES = ("a", "b", "c", "d")
PRICES = {"a": 4.0, "b": 1.0, "c": 2.0, "d": 3.0}


def task(target: int = 3, zones: tuple[str, ...] = ZONES) -> Setting:
    return Setting(target, 120.0, 30.0, zoned(zones, PRICES))


def shown(now: float, own: list[Held], target: int = 3, **more: object) -> View:
    return seen(now, target, own, PRICES, **more)


def launched(decision: Decision, market: str = "spot") -> Counter[str]:
    found: Counter[str] = Counter()
    for order in decision.launch:
        found[order.zone] += order.count if order.market == market else 0
    return +found


def refusal(zone: str, asked: int = 1, given: int = 0) -> Outcome:
    return Outcome(0.0, zone, "spot", asked, given, "capacity" if given < asked else None)


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_spothedge_wants_the_target_and_the_extra_at_once_and_backs_up_to_the_target(extra: int) -> None:
    decision = SpotHedge(task(), extra, seed=1).decide(shown(0.0, []))
    assert launched(decision).total() == 3 + extra
    assert launched(decision, "on-demand") == {"a": 3}
    assert decision.wake == 30.0


@pytest.mark.parametrize(
    ("extra", "ready", "backup"), [(0, 0, 3), (0, 2, 1), (0, 3, 0), (1, 3, 1), (1, 4, 0), (2, 1, 3)]
)
def test_on_demand_is_what_of_spot_and_extra_is_not_ready_and_at_most_the_target(
    extra: int, ready: int, backup: int
) -> None:
    own = [held(index, ZONES[index % 4], ready=index < ready) for index in range(3 + extra)]
    assert launched(SpotHedge(task(), extra, 1).decide(shown(900.0, own)), "on-demand").total() == backup


def test_on_demand_goes_when_spot_is_ready_and_what_still_boots_goes_first() -> None:
    own = [held(index, ZONES[index]) for index in range(2)] + [held(2, "c", ready=False)]
    own += [
        held(3, "a", "on-demand", 0.0),
        held(4, "a", "on-demand", 10.0),
        held(5, "a", "on-demand", 20.0, ready=False),
    ]
    decision = SpotHedge(task(), 0, 1).decide(shown(900.0, own))
    assert [number for number, _ in decision.end] == [5, 4]
    assert not decision.launch
    assert decision.wake is None


def test_a_zone_that_gives_less_is_left_until_it_gives_all() -> None:
    policy = SpotHedge(task(), 0, 1)
    policy.decide(shown(0.0, [], outcomes=(refusal("a", 2, 1), refusal("b"))))
    assert policy.active == {"c", "d"}
    policy.decide(shown(30.0, [], outcomes=(refusal("a", 1, 1),)))
    assert policy.active == {"a", "c", "d"}
    policy.decide(shown(60.0, [], losses=(Loss(60.0, 1, "c", 60.0, False),)))
    assert policy.active == {"a", "d"}


def test_an_on_demand_refusal_says_nothing_of_a_zones_spot() -> None:
    policy = SpotHedge(task(), 0, 1)
    policy.decide(shown(0.0, [], outcomes=(Outcome(0.0, "a", "on-demand", 3, 0, "capacity"),)))
    assert policy.active == set(ZONES)


@pytest.mark.parametrize(
    ("zones", "gone", "left"),
    [
        (("a", "b", "c", "d"), "abc", 4),  # one is left, of more than three
        (("a", "b", "c", "d"), "ab", 2),
        (("a", "b", "c"), "ab", 1),  # of three the last one is stayed with
        (("a", "b", "c"), "abc", 3),
    ],
)
def test_when_too_few_zones_are_left_all_are_good_again(zones: tuple[str, ...], gone: str, left: int) -> None:
    policy = SpotHedge(task(zones=zones), 0, 1)
    policy.decide(shown(0.0, [], outcomes=tuple(refusal(zone) for zone in gone)))
    assert len(policy.active) == left


def test_missing_spot_goes_to_a_zone_that_holds_none_and_only_then_to_any() -> None:
    for seed in range(20):
        policy = SpotHedge(task(), 0, seed)
        own = [held(0, "a"), held(1, "b")]
        decision = policy.decide(shown(0.0, own, outcomes=(refusal("d"),)))
        assert launched(decision) == {"c": 1}
    many = SpotHedge(task(target=9), 0, 1).decide(shown(0.0, [], target=9))
    assert set(launched(many)) == set(ZONES)
    chosen = {zone for seed in range(40) for zone in launched(SpotHedge(task(1), 0, seed).decide(shown(0.0, [], 1)))}
    assert chosen == set(ZONES)


def test_more_spot_than_is_wanted_is_placed_anew() -> None:
    own = [held(index, zone, launched=float(index)) for index, zone in enumerate("aaaabb")]
    decision = SpotHedge(task(), 0, 3).decide(shown(900.0, own))
    kept = Counter(one.zone for one in own if one.id not in dict(decision.end)) + launched(decision)
    assert kept.total() == 3
    assert max(kept.values()) == 1, "the plan of three places each in a zone of its own"
    assert 0 not in dict(decision.end) or "a" not in kept, "the oldest of a zone is the one that stays"


def test_the_guarded_variant_holds_the_target_on_demand_from_99_percent_down_until_a_boot_after_spot_is_back() -> None:
    policy = Guarded(task(), 0, 1)
    full = [held(index, ZONES[index]) for index in range(3)]
    policy.decide(shown(0.0, []))
    policy.decide(shown(120.0, full))
    two = policy.decide(shown(10_000.0, full[:2], losses=(Loss(10_000.0, 2, "c", 1.0, False),)))
    assert launched(two, "on-demand") == {"a": 1}
    assert two.wake == 10_030.0, "while the target is not ready it looks every tick"
    forced = policy.decide(shown(10_120.0, full[:2]))
    assert policy.low
    assert launched(forced, "on-demand") == {"a": 3}
    backed = [*full, *(held(3 + index, "a", "on-demand") for index in range(3))]
    still = policy.decide(shown(10_150.0, backed))
    assert not still.end, "spot is back, and the share is not"
    assert still.wake
    above = policy.decide(shown(still.wake, backed))
    assert not policy.low
    assert not above.end
    assert above.wake == still.wake + 120.0
    assert sorted(number for number, _ in policy.decide(shown(above.wake, backed)).end) == [3, 4, 5]


def test_cheapest_first_takes_the_cheapest_zone_that_holds_none_then_the_cheapest() -> None:
    assert launched(CheapestFirst(task(), 0).decide(shown(0.0, []))) == {"b": 1, "c": 1, "d": 1}
    own = [held(index, zone) for index, zone in enumerate(ZONES)]
    assert launched(CheapestFirst(task(6), 0).decide(shown(0.0, own, 6))) == {"b": 2}
    policy = CheapestFirst(task(), 0)
    assert launched(policy.decide(shown(0.0, [], outcomes=(refusal("b"),)))) == {"c": 1, "d": 1, "a": 1}


def test_cheapest_first_starts_over_with_less_than_two_good_zones_however_few_there_are() -> None:
    policy = CheapestFirst(task(zones=("a", "b", "c")), 0)
    policy.decide(shown(0.0, [], outcomes=(refusal("a"), refusal("b"))))
    assert policy.active == {"a", "b", "c"}


def test_even_spread_never_leaves_a_zone_and_never_goes_on_demand() -> None:
    first = EvenSpread(task(6), 1).decide(shown(0.0, [], 6))
    assert sorted(launched(first).values()) == [1, 1, 2, 2]
    chosen = {zone for seed in range(40) for zone in launched(EvenSpread(task(1), seed).decide(shown(0.0, [], 1)))}
    assert chosen == set(ZONES), "which zones have one more is no matter of their names"
    policy = EvenSpread(task(8), 1)
    own = [held(index, zone) for index, zone in enumerate("bbccdd")]
    again = policy.decide(shown(30.0, own, 8, outcomes=(refusal("a", 2),)))
    assert launched(again) == {"a": 2}
    assert again.wake == 60.0


def test_round_robin_goes_on_to_the_next_zone_with_every_one_that_is_missing() -> None:
    policy = RoundRobin(task(), 1)
    assert launched(policy.decide(shown(0.0, []))) == {"a": 1, "b": 1, "c": 1, "d": 1}
    own = [held(0, "a"), held(1, "b")]
    assert launched(policy.decide(shown(30.0, own))) == {"a": 1, "b": 1}
    assert launched(policy.decide(shown(60.0, own))) == {"c": 1, "d": 1}
    assert not policy.decide(shown(90.0, [held(index, "a") for index in range(4)])).launch


def test_on_demand_holds_the_target_in_the_cheapest_zone() -> None:
    policy = BASELINES["on-demand"](task(), 0)
    view = shown(0.0, [], on_demand={"a": 3.0, "b": 2.0, "c": 2.5, "d": 4.0})
    assert launched(policy.decide(view), "on-demand") == {"b": 3}
    assert policy.decide(shown(30.0, [held(index, "b", "on-demand") for index in range(3)])) == Decision()


# What each reaches on the recorded half with the prices of its time: N = 3, boot 600 s, tick 60 s.
REACHED = {
    "all": {
        "on-demand": (1.0, 1.0),
        "cheapest-first": (0.982, 0.388),
        "cheapest-first+1": (0.9962, 0.485),
        "round-robin+1": (0.9999, 0.732),
    },
    "us-central1": {"cheapest-first+1": (0.975, 0.394)},
    "hard": {"cheapest-first+1": (0.996, 0.889)},
}
HARD = ("us-west1-a", "us-west1-b", "europe-west3-c")


@pytest.mark.parametrize("name", REACHED)
def test_what_they_reach_on_the_recorded_half(name: str) -> None:
    whole = data.trace("gcp-h100-2025-10")
    chosen = HARD if name == "hard" else [zone for zone in whole.zones if name == "all" or zone.startswith(name)]
    trace = whole.only(chosen)
    zones = prices.priced(trace.zones, data.price_list("gcp-h100-2025-10-23"))
    setting = Setting(3, 600.0, 60.0, zones)
    all_on_demand = 3 * min(zone.on_demand[0][1] for zone in zones) * trace.end / 3600
    for policy, (availability, share) in REACHED[name].items():
        played = play(trace, BASELINES[policy](setting, 0), setting)
        assert played.availability == pytest.approx(availability, abs=0.0006), policy
        assert played.cost() / all_on_demand == pytest.approx(share, abs=0.002), policy


def test_only_what_is_called_random_depends_on_its_seed() -> None:
    trace = data.trace("gcp-h100-2025-10").window(0.0, 86_400.0)
    setting = Setting(3, 600.0, 60.0, prices.priced(trace.zones, data.price_list("gcp-h100-2025-10-23")))

    def cost(policy: Policy) -> float:
        return play(trace, policy, setting).cost()

    differ = {name for name, make in BASELINES.items() if len({cost(make(setting, seed)) for seed in range(3)}) > 1}
    assert differ == RANDOM
