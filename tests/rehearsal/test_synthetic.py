"""Traces that nobody recorded say so, are the same every time, and have the rates that were asked for."""

from __future__ import annotations

import itertools

import pytest

from rehearsal.synthetic import Rates, markov

ZONES = ("us-east1-a", "us-east1-b", "eu-west1-a")


def test_they_are_labelled_and_the_same_for_the_same_seed() -> None:
    first, again, other = (markov(ZONES, 2.0, 600.0, seed) for seed in (1, 1, 2))
    assert first.synthetic
    assert first.only(ZONES[:1]).window(0.0, 600.0).synthetic
    assert first == again
    assert first.sha256 != other.sha256
    assert (len(first.times), first.end) == (288, 172_800.0)
    assert markov(ZONES[:1], 2.0, 600.0, 1).counts[0] == first.counts[0], "a zone is the same in any company"


def test_zones_give_for_as_long_as_their_rates_say() -> None:
    trace = markov(("us-east1-a",), 400.0, 600.0, 5, Rates(up=6.0, down=2.0, empty=0.5, most=4))
    row = trace.counts[0]
    # Of two stretches that give one is followed by an empty one: 2 h of 14.
    assert row.count(0) / len(row) == pytest.approx(2 / 14, abs=0.03)
    assert set(row) == {0, 1, 2, 3, 4}


def test_an_outage_of_a_region_takes_all_its_zones_and_one_of_the_fleet_all_of_them() -> None:
    never = Rates(empty=0.0, region_up=10.0, region_down=5.0)
    east, east_too, west = markov(ZONES, 60.0, 600.0, 3, never).counts
    dark = [not count for count in east]
    assert any(dark)
    assert dark == [not count for count in east_too]
    assert dark != [not count for count in west]
    rows = markov(ZONES, 60.0, 600.0, 3, Rates(empty=0.0, fleet_up=10.0, fleet_down=5.0)).counts
    blank = [[not count for count in row] for row in rows]
    assert any(blank[0])
    assert all(a == b for a, b in itertools.pairwise(blank))


def test_rates_can_differ_by_zone_and_nonsense_is_refused() -> None:
    rows = markov(ZONES, 5.0, 600.0, 1, lambda zone: Rates(empty=0.0, most=1 if zone.startswith("us") else 16)).counts
    assert set(rows[0]) == set(rows[1]) == {1}
    assert len(set(rows[2])) > 2
    for wrong in ({"up": 0.0}, {"empty": 1.5}, {"most": 0}, {"region_up": -1.0}):
        with pytest.raises(ValueError, match="are needed"):
            Rates(**wrong)
