"""What in the answers of a service is news: shares never flap, switches show at once."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spillway.dns_members import Member
from spillway.dns_tally import WINDOW, Look, Tally, all_missed, percent

MEMBERS = [Member("a", ("192.0.2.1",)), Member("b", ("192.0.2.2", "192.0.2.3"))]
A, B, STRANGER = ("192.0.2.1",), ("192.0.2.2",), ("192.0.2.99",)


def look(at: float, *answers: tuple[str, ...], **health: str) -> Look:
    return Look(at, answers, 10, {f"192.0.2.{n[1:]}": word for n, word in health.items()})


def draws(chance: random.Random, share: float, count: int) -> list[tuple[str, ...]]:
    """Answers of a zone that leads to b with a share, and to a otherwise."""
    return [B if chance.random() < share else A for _ in range(count)]


def test_shares_are_of_the_latest_answers_and_strangers_are_named() -> None:
    tally = Tally(MEMBERS, window=4)
    assert tally.add(look(1, *[A] * 4)) == []
    assert tally.add(look(2, A, B, ("192.0.2.3",), STRANGER, n1="silent")) == ["a: silent", "b: answers",
                                                                              "192.0.2.99: answers"]  # fmt: skip
    rows = {row.name: row for row in tally.rows()}
    assert [rows[n].share for n in ("a", "b", "192.0.2.99")] == [0.25, 0.5, 0.25]
    assert rows["b"].since == 2
    assert rows["a"].health == "silent"


def test_a_round_without_answers_changes_nobodys_standing() -> None:
    tally = Tally(MEMBERS)
    tally.add(look(1, A))
    assert tally.add(Look(2, [], None, {}, faults=["silent"])) == []
    assert tally.leads() == "a 100%"


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.1, 0.3, 0.5]), per_round=st.sampled_from([2, 4, 16, 24]))
def test_a_canary_makes_no_news_however_few_are_asked(seed: int, share: float, per_round: int) -> None:
    chance, tally = random.Random(seed), Tally(MEMBERS)
    assert [tally.add(look(n, *draws(chance, share, per_round))) for n in range(300)] == [[]] * 300


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.0, 0.02, 0.1, 0.5]), before=st.integers(3, 60))
def test_who_led_is_gone_within_a_few_rounds_and_no_share_is_of_answers_from_before(
    seed: int, share: float, before: int
) -> None:
    chance, tally = random.Random(seed), Tally(MEMBERS)
    for n in range(before):
        tally.add(look(n, *draws(chance, share, 16)))
    for n in range(before, before + 5):
        lines = tally.add(look(n, *[B] * 16))
        if "a: answers no more" in lines:
            break
    else:
        raise AssertionError("nobody noticed")
    assert tally.leads() == "b 100%"
    assert {row.name: row.since for row in tally.rows()}["a"] == n


def test_of_a_switch_both_sides_are_told_at_once_with_the_new_shares() -> None:
    tally = Tally(MEMBERS)
    for n in range(10):
        assert tally.add(look(n, *[A] * 16)) == []
    assert sorted(tally.add(look(10, *[B] * 16))) == ["a: answers no more", "b: answers"]
    assert (tally.leads(), tally.count) == ("b 100%", 16)
    assert sorted(tally.add(look(11, *[A] * 16))) == ["a: answers", "b: answers no more"]


def test_a_tiny_share_is_missed_only_after_the_whole_window() -> None:
    tally = Tally(MEMBERS)
    tally.add(look(0, *[A] * 15, B))
    told = [tally.add(look(n, *[A] * 16)) for n in range(1, 40)]
    (round_,) = (n for n, lines in enumerate(told, 1) if lines)
    assert told[round_ - 1] == ["b: answers no more"]
    assert round_ * 16 == WINDOW
    assert tally.leads() == "a 100%"


def test_who_is_said_to_be_gone_is_said_to_be_back() -> None:
    tally = Tally(MEMBERS, window=20)
    tally.add(look(0, *[A] * 15, B))
    for n in range(1, 3):
        tally.add(look(n, *[A] * 16))
    assert tally.rows()[1].since == 2
    assert tally.add(look(3, *[A] * 15, B)) == ["b: answers"]


def test_name_servers_that_do_not_agree_make_no_news() -> None:
    """While a change travels some name servers lead here and some there, each always to the same."""
    tally = Tally(MEMBERS)
    assert [tally.add(look(n, *[A] * 8, *[B] * 8)) for n in range(50)] == [[]] * 50


@pytest.mark.parametrize(("heard", "of", "missed", "chance"), [(0, 0, 1, 1 / 2), (1, 1, 1, 1 / 3), (4, 4, 4, 1 / 126)])
def test_the_chance_of_silence_is_laplaces(heard: int, of: int, missed: int, chance: float) -> None:
    assert all_missed(heard, of, missed) == pytest.approx(chance)


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_longer_silence_is_never_likelier(heard: int, more: int, missed: int) -> None:
    of = heard + more
    one, next_ = all_missed(heard, of, missed), all_missed(heard, of, missed + 1)
    assert 0 <= next_ <= one * (1 + 1e-9)
    assert one <= 1 + 1e-9


@pytest.mark.parametrize(
    ("share", "says"), [(0, "0%"), (0.001, "<1%"), (0.02, "2%"), (0.98, "98%"), (0.999, ">99%"), (1, "100%")]
)
def test_a_share_is_never_rounded_to_nothing_or_to_everything(share: float, says: str) -> None:
    assert percent(share) == says
