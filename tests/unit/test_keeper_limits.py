"""Places that hold so many at most, alone or together with others."""

from __future__ import annotations

from collections import Counter

from infra.keeper import Held, Keeper, Memory, Observed, Place, Rules
from infra.keeper_plan import Option, Search

RULES = Rules(target=8, boot=1200.0)


def wanted(places: list[Place], rules: Rules = RULES, spot: float | None = 2.0) -> Counter[str]:
    """What is ordered for an empty fleet, by region."""
    prices = {place.name: spot for place in places} if spot is not None else {}
    step = Keeper(places, rules).step(
        Memory(), Observed(0.0, (), (), (), prices, {place.name: 9.0 + n for n, place in enumerate(places)})
    )
    region = {place.name: place.region for place in places}
    orders: Counter[str] = Counter()
    for order in step.launch:
        orders[region[order.zone]] += order.count
    return orders


def test_zones_that_share_a_limit_do_not_exceed_it_together() -> None:
    places = [Place(f"{r}{z}", r, "aws", 5, r) for r in ("east", "west", "north") for z in "ab"]
    orders = wanted(places)
    assert sum(orders.values()) >= 8
    assert max(orders.values()) <= 5


def test_a_limit_of_its_own_is_each_places_alone() -> None:
    places = [Place(f"east{z}", "east", "aws", 5) for z in "ab"]
    assert sum(wanted(places).values()) >= 8


def test_on_demand_is_bought_in_as_many_places_as_hold_the_target() -> None:
    places = [Place(r, r, "aws", 3) for r in ("east", "west", "north", "south")]
    orders = wanted(places, spot=None)
    assert sum(orders.values()) == 8
    assert orders["east"] == orders["west"] == 3  # the cheapest first
    assert wanted([Place(r, r, "aws") for r in ("east", "west")], spot=None) == {"east": 8}


def test_the_search_keeps_to_limits_in_every_step() -> None:
    places = {name: Place(name, name[0], "aws", 4, name[0]) for name in ("ea", "eb", "wa")}
    options = {(name, "spot"): Option(2.0, 0.02, 0.1, 100) for name in places}
    search = Search(options, places, {}, 6, 500.0, {})  # type: ignore[arg-type]
    plan = search.best([search.within((9, 9, 9))])
    assert plan[0] + plan[1] <= 4
    assert plan[2] <= 4
    assert sum(plan) >= 6
    assert not search.fits((2, 2, 0), 0, 1)
    assert search.fits((2, 1, 4), 1, 1)


def test_what_is_held_beyond_a_limit_is_given_up_only_once_others_serve() -> None:
    places = [Place(r, r, "aws", 2) for r in ("east", "west", "north", "south", "more")]
    held = [Held(number, "east", "spot", 0.0, True) for number in range(8)]
    prices = {place.name: 2.0 for place in places}
    seen = Observed(60.0, held, (), (), prices, dict.fromkeys(prices, 9.0))
    step = Keeper(places, RULES).step(Memory(), seen)
    assert step.end == ()
    assert sum(order.count for order in step.launch) >= 6
