"""What comes first of two things at one time, and what a policy is told, when."""

from __future__ import annotations

import pytest

from rehearsal.model import Decision, Faults, Launch, Outcome, Setting, Zone
from rehearsal.world import play
from tests.rehearsal.support import Script, setting, traced


def test_the_youngest_goes_first_and_of_one_age_the_higher_id() -> None:
    trace = traced({"a": [3, 3, 2, 1, 0]})
    script = Script({0.0: Decision([Launch("a", "spot", 2)]), 10.0: Decision([Launch("a", "spot", 1)])})
    played = play(trace, script, setting(trace, boot=0.0))
    assert [(one.id, one.ended) for one in played.instances] == [(0, 40.0), (1, 30.0), (2, 20.0)]


def test_losses_in_two_zones_at_one_time_come_in_the_order_of_the_trace() -> None:
    trace = traced({"b": [1, 0], "a": [1, 0]})
    script = Script({0.0: Decision([Launch("a", "spot", 1), Launch("b", "spot", 1)])})
    play(trace, script, setting(trace))
    assert [loss.zone for view in script.views for loss in view.losses] == ["b", "a"]


def test_what_is_lost_in_the_moment_in_which_it_would_be_ready_never_served() -> None:
    trace = traced({"a": [1, 1, 0, 0]})
    script = Script({0.0: Decision([Launch("a", "spot", 1)])})
    played = play(trace, script, setting(trace, boot=20.0))
    assert [level.ready for level in played.levels] == [0]
    assert played.instances[0].ended == 20.0
    assert played.losses == 1


def test_what_is_ready_when_the_policy_is_asked_is_shown_as_ready() -> None:
    trace = traced({"a": [1] * 5})
    script = Script({0.0: Decision([Launch("a", "spot", 1)])})
    play(trace, script, setting(trace, boot=20.0))
    assert [(view.now, [one.ready for one in view.instances]) for view in script.views] == [
        (0.0, []),
        (10.0, [False]),  # told that it was launched
        (20.0, [True]),
    ]


def test_what_is_given_up_makes_room_for_what_is_launched_in_the_same_decision() -> None:
    trace = traced({"a": [1] * 4})
    table = {0.0: Decision([Launch("a", "spot", 1)]), 20.0: Decision([Launch("a", "spot", 1)], [(0, "older")])}
    played = play(trace, Script(table, asks=10.0), setting(trace))
    assert [(one.launched, one.ended, one.cause) for one in played.instances] == [
        (0.0, 20.0, "ended"),
        (20.0, 40.0, "horizon"),
    ]


def test_orders_for_one_zone_are_given_in_turn_until_nothing_is_left() -> None:
    trace = traced({"a": [3] * 3})
    script = Script({0.0: Decision([Launch("a", "spot", 2), Launch("a", "spot", 2), Launch("a", "on-demand", 2)])})
    played = play(trace, script, setting(trace))
    assert [(one.asked, one.given, one.error) for one in played.outcomes] == [
        (2, 2, None),
        (2, 1, "capacity"),
        (2, 2, None),
    ]
    assert (played.asked, played.refused) == (6, 1)


def test_capacity_that_comes_at_the_time_of_a_launch_is_there_for_it() -> None:
    trace = traced({"a": [0, 0, 2]})
    played = play(trace, Script({20.0: Decision([Launch("a", "spot", 2)])}, asks=10.0), setting(trace))
    assert [outcome.given for outcome in played.outcomes] == [2]


def test_a_refusal_is_known_after_its_time_and_a_launch_at_the_next_tick() -> None:
    trace = traced({"a": [1] * 8})
    script = Script({0.0: Decision([Launch("a", "spot", 1), Launch("a", "spot", 2)])})
    play(trace, script, setting(trace, boot=70.0), Faults(fail_seconds=33.0))
    assert [(view.now, view.outcomes) for view in script.views if view.outcomes] == [
        (10.0, (Outcome(0.0, "a", "spot", 1, 1, None),)),
        (40.0, (Outcome(0.0, "a", "spot", 2, 0, "capacity"),)),  # the first tick after 33 s
    ]


def test_with_notice_an_instance_drains_and_is_billed_to_its_end() -> None:
    trace = traced({"a": [1, 1, 1, 0, 1, 1, 1, 1]})
    table = {0.0: Decision([Launch("a", "spot", 1)]), 40.0: Decision([Launch("a", "spot", 1)])}
    script = Script(table, asks=10.0)
    played = play(trace, script, setting(trace, boot=10.0), Faults(notice=25.0))
    first, second = played.instances
    assert (first.noticed, first.ended, first.cause) == (30.0, 55.0, "lost")
    assert second.launched == 40.0  # what drains holds nothing of the zone
    assert [(level.at, level.ready) for level in played.levels] == [(0.0, 0), (10.0, 1), (30.0, 0), (50.0, 1)]
    told = [(loss.at, loss.age, loss.notice) for view in script.views for loss in view.losses]
    assert told == [(30.0, 30.0, True)]
    assert [[one.id for one in view.instances] for view in script.views if view.now in (20.0, 30.0)] == [[0], []]


def test_one_that_has_notice_can_be_given_up_before_its_end() -> None:
    trace = traced({"a": [1, 0, 0, 0, 0]})
    table = {0.0: Decision([Launch("a", "spot", 1)]), 10.0: Decision(end=[(0, "drained")])}
    played = play(trace, Script(table), setting(trace), Faults(notice=30.0))
    assert (played.instances[0].ended, played.instances[0].cause) == (10.0, "ended")


def test_one_that_has_notice_while_it_boots_is_never_ready() -> None:
    trace = traced({"a": [1, 0, 1, 1, 1]})
    played = play(trace, Script({0.0: Decision([Launch("a", "spot", 1)])}), setting(trace), Faults(notice=30.0))
    assert [level.ready for level in played.levels] == [0]
    assert played.instances[0].ended == 40.0


def test_a_policy_is_asked_once_a_tick_and_only_when_there_is_news() -> None:
    trace = traced({"a": [1] * 100, "b": [1, 0] * 50}, step=3.0)
    quiet = Script({})
    play(trace, quiet, setting(trace, tick=10.0))
    assert [view.now for view in quiet.views] == [0.0]  # capacity that nobody holds is nothing that anybody is told
    busy = Script({0.0: Decision([Launch("b", "spot", 1)])})
    play(trace, busy, setting(trace, tick=10.0, boot=1.0))
    assert [view.now for view in busy.views] == [0.0, 10.0]  # its boot at 1 s, its loss at 3 s and its launch in one


def test_a_policy_that_wants_to_be_woken_is_at_the_next_tick_from_then() -> None:
    trace = traced({"a": [1] * 10})
    script = Script({0.0: Decision(wake=32.0), 40.0: Decision(wake=40.0)})
    play(trace, script, setting(trace))
    assert [view.now for view in script.views] == [0.0, 40.0, 50.0]


@pytest.mark.parametrize(("later", "asked"), [(None, []), (70.0, [70.0]), (45.0, [50.0])])
def test_a_later_decisions_wish_takes_the_place_of_the_earlier_ones(later: float | None, asked: list[float]) -> None:
    trace = traced({"a": [1] * 10})
    zone = Zone("a", "a", "cloud", ((0.0, 1.0), (25.0, 2.0)), ((0.0, 3.0),))  # which asks it at 30 s
    script = Script({0.0: Decision(wake=60.0), 30.0: Decision(wake=later)})
    play(trace, script, Setting(1, 0.0, 10.0, (zone,)))
    assert [view.now for view in script.views] == [0.0, 30.0, *asked]


def test_prices_are_shown_as_they_are_and_a_new_one_is_news() -> None:
    trace = traced({"a": [1] * 6})
    zone = Zone("a", "a", "cloud", ((0.0, 1.0), (25.0, 2.0)), ((0.0, 3.0), (40.0, 3.0)))
    script = Script({})
    play(trace, script, Setting(1, 0.0, 10.0, (zone,)))
    assert [(view.now, view.spot["a"], view.on_demand["a"]) for view in script.views] == [
        (0.0, 1.0, 3.0),
        (30.0, 2.0, 3.0),
    ]


def test_time_before_the_first_boot_is_billed_and_does_not_count_for_availability() -> None:
    trace = traced({"a": [1] * 10})
    played = play(trace, Script({0.0: Decision([Launch("a", "spot", 1)])}), setting(trace, boot=40.0))
    assert (played.begin, played.availability, played.zero, played.deficit) == (40.0, 1.0, 0.0, 0.0)
    assert played.cost() == pytest.approx(100 / 3600)


def test_stretches_are_measured_over_levels_that_differ_and_mean_the_same() -> None:
    trace = traced({"a": [2] * 10})
    table = {0.0: Decision([Launch("a", "spot", 2)]), 30.0: Decision(end=[(0, "")]), 60.0: Decision(end=[(1, "")])}
    played = play(trace, Script(table, asks=10.0), setting(trace, target=2, boot=10.0))
    assert played.longest(lambda ready: ready < 2) == 70.0
    assert played.longest(lambda ready: ready == 0) == 40.0
    assert played.deficit == 30 * 1 + 40 * 2
    assert played.availability == pytest.approx(20 / 90)


def test_the_log_says_what_was_done_and_why() -> None:
    trace = traced({"a": [1, 1, 0]})
    script = Script({0.0: Decision([Launch("a", "spot", 2, "the target")])})
    played = play(trace, script, setting(trace), log=True)
    assert [(entry.at, entry.what, entry.why) for entry in played.log] == [
        (0.0, "a: 1 of 2 spot launched", "the target"),
        (20.0, "a: spot 0 is taken", "the zone gives 0"),
    ]
    assert play(trace, script, setting(trace)).log == []


@pytest.mark.parametrize(
    ("decision", "says"),
    [
        (Decision([Launch("a", "spot", 0)]), "0 instances in a"),
        (Decision([Launch("elsewhere", "spot", 1)]), "1 instances in elsewhere"),
        (Decision(end=[(7, "")]), "instance 7 does not live"),
    ],
)
def test_a_policy_that_orders_nonsense_is_a_fault_of_the_policy(decision: Decision, says: str) -> None:
    trace = traced({"a": [1, 1]})
    with pytest.raises(ValueError, match=says):
        play(trace, Script({0.0: decision}), setting(trace))


def test_a_setting_of_other_zones_and_prices_without_a_begin_are_refused() -> None:
    trace = traced({"a": [1, 1]})
    with pytest.raises(ValueError, match="the zones of the trace"):
        play(trace, Script({}), setting(traced({"b": [1, 1]})))
    for series in ((), ((5.0, 1.0),), ((0.0, 1.0), (0.0, 2.0))):
        zone = Zone("a", "a", "cloud", series, ((0.0, 3.0),))
        with pytest.raises(ValueError, match="prices have to begin at 0"):
            play(trace, Script({}), Setting(1, 0.0, 10.0, (zone,)))
    for wrong in ({"target": 0}, {"boot": -1.0}, {"tick": 0.0}):
        with pytest.raises(ValueError, match="are needed"):
            setting(trace, **wrong)
