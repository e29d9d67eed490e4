"""Quotas, offerings, reservations and the spot market: what a person is told for an account of a given kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway.preflight.aws_region.facts import Quota, Reservation, Score, SpotPrice, Zone
from tests.unit.preflight.fake_account import ACCOUNT, NOW, STACK, FakeAccount, rows, running, states
from tests.unit.stack_data import load

ON_DEMAND_P = "quota.on-demand.L-417A185B"
SPOT_P4 = "quota.spot.L-7212CCBC"
SPOT_P5 = "quota.spot.L-C4BD4855"


def test_a_prepared_account_has_nothing_against_up() -> None:
    assert states(rows()) == {}


def test_a_new_account_without_gpu_quota_fails_on_both_markets_and_says_what_to_request() -> None:
    found = rows(FakeAccount(values={"L-417A185B": 0, "L-7212CCBC": 0, "L-C4BD4855": 0}))
    assert states(found) == {ON_DEMAND_P: "failure", SPOT_P4: "failure", SPOT_P5: "failure"}
    row = found[ON_DEMAND_P]
    assert row.needed == "1152 vCPUs: 6 x p5.48xlarge (192)"
    assert row.request is not None
    assert row.request.command() == (
        "aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-417A185B "
        "--desired-value 1152 --region us-east-1"
    )
    assert row.request.console() == (
        "https://us-east-1.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/L-417A185B"
    )
    assert "sure of 0 of 6 replicas" in row.action


def test_what_others_run_is_asked_for_on_top_and_what_this_stack_runs_is_not() -> None:
    others = running("p5.48xlarge", 1) + running("p4d.24xlarge", 2, "spot")
    own = running("p5.48xlarge", 3, stack=STACK) + running("p5.48xlarge", 2, "spot", STACK)
    found = rows(FakeAccount(instances=[*others, *own]))
    request = found[ON_DEMAND_P].request
    assert request is not None
    assert (found[ON_DEMAND_P].state, request.value) == ("failure", 1152 + 192)
    assert found[ON_DEMAND_P].found == "1152 vCPUs, 192 used by others"
    assert (found[SPOT_P4].state, found[SPOT_P4].found) == ("warning", "576 vCPUs, 192 used by others")
    assert found[SPOT_P5].state == "ok"


def test_machines_in_capacity_blocks_and_of_other_families_use_no_quota_of_the_pools() -> None:
    others = running("p5.48xlarge", 4, "capacity-block") + running("g6e.48xlarge", 4) + running("m7i.large", 50)
    assert states(rows(FakeAccount(instances=others))) == {}


def test_an_unused_reservation_of_others_takes_on_demand_quota_and_a_named_one_does_not() -> None:
    other = reservation("cr-0ffffffffffffffff", available=1)
    assert rows(FakeAccount(reserved=[other]))[ON_DEMAND_P].found == "1152 vCPUs, 192 used by others"
    mine = {"pools.reservations": {"capacityReservations": [other.id]}}
    assert rows(FakeAccount(reserved=[other]), mine)[ON_DEMAND_P].found == "1152 vCPUs"
    block = replace(other, block=True)  # has a quota of its own
    assert rows(FakeAccount(reserved=[block]))[ON_DEMAND_P].found == "1152 vCPUs"
    shared = replace(other, owner="999999999999")
    assert rows(FakeAccount(reserved=[shared]))[ON_DEMAND_P].found == "1152 vCPUs"


def test_reservations_only_need_no_more_quota_than_they_hold() -> None:
    held = reservation("cr-0ffffffffffffffff", total=2, available=2)
    only = {"pools.reservations": {"capacityReservations": [held.id], "preference": "only"}}
    found = rows(FakeAccount(values={"L-417A185B": 384}, reserved=[held]), only)
    assert (found[ON_DEMAND_P].state, found[ON_DEMAND_P].needed) == ("ok", "384 vCPUs: 2 x p5.48xlarge (192)")


def test_a_spot_quota_that_holds_the_target_but_not_the_maximum_is_a_warning() -> None:
    found = rows(FakeAccount(values={"L-7212CCBC": 96, "L-C4BD4855": 192}))
    assert states(found) == {SPOT_P4: "warning", SPOT_P5: "warning"}
    assert found[SPOT_P4].action == "enough for the 2 wanted now, on-demand stands in above 2"


def test_one_family_short_of_spot_quota_is_a_warning_while_the_other_holds_the_pool() -> None:
    assert states(rows(FakeAccount(values={"L-C4BD4855": 0}))) == {SPOT_P5: "warning"}


def test_a_quota_whose_use_may_not_be_seen_is_told_as_far_as_it_goes() -> None:
    for method, wanted in (("running", {ON_DEMAND_P, SPOT_P4, SPOT_P5}), ("reservations", {ON_DEMAND_P})):
        found = rows(FakeAccount(denied=frozenset({method})))
        assert set(states(found, "unknown")) == wanted
        assert found[ON_DEMAND_P].found == f"1152 vCPUs; what others use is not known (denied: {method})"
        short = rows(FakeAccount(denied=frozenset({method}), values={"L-417A185B": 96}))
        assert short[ON_DEMAND_P].state == "failure", "too little, whoever uses it"


def test_a_pool_with_floor_at_max_needs_no_spot_quota() -> None:
    changes = {"pools.floor": 2, "pools.target": 2, "pools.max": 2}
    account = FakeAccount(values={"L-417A185B": 384, "L-7212CCBC": 0, "L-C4BD4855": 0})
    assert states(rows(account, changes)) == {}


def test_a_family_without_a_quota_of_its_name_is_compared_with_the_closest_and_never_called_certain() -> None:
    config = load({"pools.types": ["p4d.24xlarge", "p5.48xlarge"]})
    config = config.model_copy(update={"pools": config.pools.model_copy(update={"types": ("p6-b200.48xlarge",)})})
    row = rows(config=config)[SPOT_P5]
    assert (row.state, row.needed) == ("warning", "1152 vCPUs: 6 x p6-b200.48xlarge (192)")
    assert "no quota names this family" in row.action
    short = rows(FakeAccount(values={"L-C4BD4855": 96}), config=config)[SPOT_P5]
    assert (short.state, short.request is not None) == ("warning", True)
    own = Quota("ec2", "L-0000P6", "All P6 Spot Instance Requests", 0)
    found = rows(FakeAccount(more_quotas=(own,)), config=config)
    assert found["quota.spot.L-0000P6"].state == "failure", "a name of its own is certain"
    assert SPOT_P5 not in found


def test_a_family_that_no_quota_comes_near_is_an_open_question() -> None:
    account = FakeAccount()
    account.quotas = lambda service: [q for q in FakeAccount().quotas(service) if "Spot" not in q.name]  # type: ignore[method-assign]
    found = rows(account)
    assert found["quota.spot.p4d.24xlarge"].state == "unknown"
    assert "Service Quotas console of us-east-1" in found["quota.spot.p4d.24xlarge"].action


@given(value=st.integers(0, 4000), others=st.integers(0, 10), most=st.integers(2, 12))
def test_what_is_asked_for_is_always_enough_and_never_asked_for_without_need(
    value: int, others: int, most: int
) -> None:
    changes = {"pools.max": most}
    instances = running("p5.48xlarge", others)
    row = rows(FakeAccount(values={"L-417A185B": value}, instances=instances), changes)[ON_DEMAND_P]
    enough = value >= 192 * (most + others)
    assert (row.state == "ok") == enough
    assert (row.request is None) == enough
    if row.request:
        granted = FakeAccount(values={"L-417A185B": row.request.value}, instances=instances)
        assert rows(granted, changes)[ON_DEMAND_P].state == "ok"


# Zones and offerings


def test_a_zone_that_the_account_does_not_have_is_named_with_those_that_it_has() -> None:
    here = [Zone(f"us-east-1{letter}", "", "available", letter != "c") for letter in "abc"]
    found = rows(FakeAccount(zone_list=here))
    assert found["zones"].found == "us-east-1d: not in this account"
    assert found["zones"].action.endswith("us-east-1 has us-east-1a, us-east-1b")
    assert found["zones.opt-in"].found == "us-east-1c: not opted in"
    assert states(found)["zones"] == states(found)["zones.opt-in"] == "failure"


def test_an_impaired_zone_is_a_warning() -> None:
    ill = [Zone(f"us-east-1{letter}", "", "impaired" if letter == "a" else "available", True) for letter in "abcd"]
    assert states(rows(FakeAccount(zone_list=ill))) == {"zones.state": "warning"}


def test_types_that_no_configured_zone_offers_are_named_and_a_pool_without_any_fails() -> None:
    offered = {"p4d.24xlarge": frozenset({"us-east-1f"}), "p5.48xlarge": frozenset({"us-east-1f"})}
    found = rows(FakeAccount(offered=offered))
    assert found["offerings.p4d.24xlarge"].action == "us-east-1f would offer it"
    assert found["offerings.p4de.24xlarge"].action == "take it out of the stack file"
    assert {id for id, state in states(found).items() if state == "failure"} == {
        "offerings.spot",
        "offerings.on-demand",
    }


# The market


def test_a_type_without_a_spot_price_in_the_zones_has_no_spot_market() -> None:
    prices = [
        SpotPrice("p4d.24xlarge", "us-east-1a", "11.57"),
        SpotPrice("p4d.24xlarge", "us-east-1b", "9.2"),
        SpotPrice("p5.48xlarge", "us-east-1f", "20"),
    ]
    found = rows(FakeAccount(prices=prices))
    assert found["spot-price.p4d.24xlarge"].found == "9.20 USD/h in us-east-1b, up to 11.57"
    assert states(found) == {"spot-price.p4de.24xlarge": "warning", "spot-price.p5.48xlarge": "warning"}


def test_scores_are_a_rank_among_the_stacks_regions_and_never_a_failure() -> None:
    scores = [
        Score("us-east-1", "", 3), Score("us-west-2", "", 7), Score("us-east-2", "", 3),
        Score("us-east-1", "use1-az1", 1), Score("us-east-1", "use1-az2", 4), Score("us-west-2", "usw2-az1", 9),
        Score("us-east-1", "use1-az6", 9),
    ]  # fmt: skip
    found = rows(FakeAccount(score_list=scores), regions=("us-east-1", "us-east-2", "us-west-2"))
    row = found["placement"]
    assert row.found == "3 of 10: rank 2 of 3 (us-west-2 7, us-east-1 3, us-east-2 3)"
    assert (row.state, "relative" in row.action) == ("note", True)
    assert found["placement.zones"].found == "us-east-1b 4, us-east-1a 1", "zones of the stack only"


def test_the_last_of_several_regions_with_hardly_a_chance_is_a_warning() -> None:
    scores = [Score("us-east-1", "", 1), Score("us-west-2", "", 7)]
    assert states(rows(FakeAccount(score_list=scores), regions=("us-east-1", "us-west-2"))) == {"placement": "warning"}


def test_with_fewer_than_three_types_no_score_is_asked_for() -> None:
    account = FakeAccount()
    found = rows(account, {"pools.types": ["p4d.24xlarge", "p5.48xlarge"]})
    assert found["placement"].found == "not asked: 2 types in the pool"
    assert "scores" not in account.asked


def test_sold_out_is_a_note_and_only_the_stand_in_can_say_it() -> None:
    gone: Any = [("p4d.24xlarge", "us-east-1a", "spot"), ("p4d.24xlarge", "us-east-1b", "spot")]
    found = rows(FakeAccount(stand_in=True, gone=gone))
    assert found["sold-out.spot"].state == "note"
    assert found["sold-out.spot"].found == "p4d.24xlarge in us-east-1a, us-east-1b"
    assert "sold-out.spot" not in rows(FakeAccount(gone=gone))
    assert not any(id.startswith(("spot-price", "placement")) for id in found)


# Reservations


def reservation(id: str, **changes: Any) -> Reservation:
    return replace(
        Reservation(id, ACCOUNT, "p5.48xlarge", "us-east-1a", 1, 1, "active", "open", False, None), **changes
    )


RESERVATION = "cr-0123456789abcdef0"
NAMED = {"pools.reservations": {"capacityReservations": [RESERVATION]}}
BLOCK = {"pools.reservations": {"capacityBlocks": [RESERVATION]}}


@pytest.mark.parametrize(
    ("change", "file", "state", "told"),
    [
        ({}, NAMED, "ok", ""),
        ({"machine_type": "g6e.48xlarge"}, NAMED, "failure", "no pool of the stack launches this type"),
        ({"zone": "us-east-1f"}, NAMED, "failure", "no subnet in its zone"),
        ({"state": "unsupported"}, NAMED, "failure", "gives no capacity"),
        ({"block": True}, NAMED, "failure", "pools.reservations.capacityBlocks"),
        ({"end": NOW + timedelta(days=2)}, NAMED, "warning", "2.0 days left"),
        ({"end": NOW - timedelta(hours=1)}, NAMED, "failure", "0.0 days left"),
        ({"end": NOW + timedelta(days=30)}, NAMED, "ok", ""),
        ({"block": True, "state": "scheduled", "end": NOW + timedelta(days=30)}, BLOCK, "note", "until it starts"),
        ({"block": True, "end": NOW + timedelta(days=30)}, BLOCK, "ok", ""),
        ({}, BLOCK, "failure", "pools.reservations.capacityReservations"),
    ],
)
def test_a_named_reservation_has_to_fit_and_to_last(
    change: dict[str, Any], file: dict[str, Any], state: str, told: str
) -> None:
    row = rows(FakeAccount(reserved=[reservation(RESERVATION, **change)]), file)[f"reservation.{RESERVATION}"]
    assert row.state == state
    assert told in row.action


def test_a_reservation_that_the_account_does_not_have_fails() -> None:
    row = rows(FakeAccount(), NAMED)[f"reservation.{RESERVATION}"]
    assert (row.state, row.found) == ("failure", "not in this account and region")
