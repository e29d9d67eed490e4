"""Pricing of plans: what `pulumi preview --json --show-sames` of the shipped stacks costs, and what it says of gaps."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost.plan.charges import Charge, Context, Free, Use
from cost.plan.guards import EXIT, Guards, crossed
from cost.plan.preview import SECRET, UNKNOWN, Preview, parse
from cost.plan.pricing import PROVIDERS, RULES, Line, PlanCost, Row, price_plan
from cost.plan.telling import as_json, as_markdown, money
from cost.plan.use import KEYS
from cost.prices.snapshot import Price, Snapshot, Unpriced
from spillway.errors import SpillwayError

FOLDER = Path(__file__).parent / "plans"
STACKS = sorted(path.stem for path in FOLDER.glob("*.json"))
TODAY = date(2026, 11, 26)
Edit = Callable[[dict[str, Any]], None]


@cache
def text(name: str) -> str:
    return (FOLDER / f"{name}.json").read_text()


@cache
def snapshot() -> Snapshot:
    return Snapshot.load()


def plan(name: str, edit: Edit | None = None) -> Preview:
    if edit is None:
        return parse(text(name), f"{name}.json")
    data = copy.deepcopy(json.loads(text(name)))
    edit(data)
    return parse(json.dumps(data), f"{name}.json")


def cost(name: str, edit: Edit | None = None, **more: Any) -> PlanCost:
    return price_plan(plan(name, edit), snapshot(), TODAY, **more)


def states(data: dict[str, Any], type_: str, key: str = "newState") -> Iterator[dict[str, Any]]:
    for step in data["steps"]:
        if step.get(key, {}).get("type") == type_:
            yield step[key]


def row(found: PlanCost, name: str, type_: str = "") -> Row:
    return next(one for one in found.rows if one.name == name and type_ in one.type)


def line(found: PlanCost, name: str, what: str) -> Line:
    lines = (one for each in found.rows if each.name == name for one in (*each.after, *each.before))
    return next(one for one in lines if one.what == what)


def amount(one: Line) -> Decimal:
    assert one.amounts is not None
    return one.amounts.steady


@pytest.mark.parametrize("name", STACKS)
def test_every_type_that_spillway_makes_has_a_rule(name: str) -> None:
    assert [one.type for one in cost(name).rows if one.unknown] == []


@pytest.mark.parametrize("name", STACKS)
def test_every_gap_has_a_reason_of_its_own_and_every_use_is_a_key_of_the_usage_file(name: str) -> None:
    found = cost(name)
    for gap in found.unpriced:
        assert gap.reason
        assert not gap.reason.startswith("no price of aws"), f"{gap}: asks for a name that the snapshot does not have"
    for one in plan(name).after:
        rule = RULES[one.type]
        charged = rule(one, Context(name, "aws", "us-east-1", plan(name).after))
        for part in () if isinstance(charged, Free) else charged:
            assert not isinstance(part, Use) or part.key in KEYS
            assert isinstance(part, Use) or not isinstance(part, Charge) or part.sku


def test_names_of_prices_are_those_of_the_snapshot() -> None:
    """A price that somebody misspelt would be a gap for ever; every name is priced somewhere, or listed as unpriced."""
    known = {(row.provider, row.sku) for row in snapshot().rows}
    known |= {(gap.provider, gap.sku) for gap in snapshot().unpriced}
    missing = set()
    for name in STACKS:
        found = plan(name)
        for one in found.after:
            provider = PROVIDERS[one.type.partition(":")[0]]
            charged = RULES[one.type](one, Context(found.stack, provider, "us-east-1", found.after))
            for part in () if isinstance(charged, Free) else charged:
                if isinstance(part, Charge | Use) and (part.provider or provider, part.sku) not in known:
                    missing.add((provider, part.sku))
    assert missing <= {("tencent", "ssm.secret")}


def test_volumes_are_charged_for_what_is_beyond_the_base_of_gp3_on_every_node() -> None:
    found = cost("aws-us-east-1")
    pool = "aws-us-east-1-pools-spot"
    # Two nodes with 200 and 1,000 GiB, 16,000 IOPS and 1,000 MiB/s: by hand, at us-east-1's prices.
    assert amount(line(found, pool, "volume /dev/sda1, gp3")) == Decimal("32.00")
    assert amount(line(found, pool, "volume /dev/sdf, gp3")) == Decimal("160.00")
    assert amount(line(found, pool, "volume /dev/sdf, IOPS")) == Decimal("130.000")
    assert amount(line(found, pool, "volume /dev/sdf, throughput")) == Decimal("70.00")


def test_spot_is_the_median_of_the_cheapest_type_and_worst_is_the_target_on_demand() -> None:
    found = cost("aws-us-east-1")
    spot = line(found, "aws-us-east-1-pools-spot", "spot nodes")
    medians = []
    for name in ("p4d.24xlarge", "p4de.24xlarge", "p5.48xlarge"):
        rows = snapshot().spot_by_zone(provider="aws", region="us-east-1", sku=name)
        usd = sorted(one.usd for one in rows if not one.sold_out)
        medians.append(usd[(len(usd) - 1) // 2])
    assert amount(spot) == 2 * 730 * min(medians)
    assert spot.amounts is not None
    assert spot.amounts.worst == 0
    bought = line(found, "aws-us-east-1-pools-on-demand", "on-demand nodes")
    dearest = snapshot().find(provider="aws", region="us-east-1", sku="p5.48xlarge")
    assert isinstance(dearest, Price)
    assert bought.amounts is not None
    assert bought.amounts.steady == 0
    assert bought.amounts.worst == 2 * 730 * dearest.usd
    assert bought.amounts.ceiling == 6 * 730 * dearest.usd


def test_pools_that_a_function_sizes_are_priced_by_what_it_is_told() -> None:
    found = cost("gcp-us-central1")
    spot = line(found, "gcp-us-central1-pools-spot", "spot nodes")
    price = snapshot().find(provider="gcp", region="us-central1", sku="a2-highgpu-8g", market="spot")
    assert isinstance(price, Price)
    assert amount(spot) == 2 * 730 * price.usd

    def floor(data: dict[str, Any]) -> None:
        for state in states(data, "gcp:cloudfunctionsv2/function:Function"):
            state["inputs"]["serviceConfig"]["environmentVariables"]["SPILLWAY_FLOOR"] = "1"

    more = cost("gcp-us-central1", floor)
    assert amount(line(more, "gcp-us-central1-pools-spot", "spot nodes")) == 730 * price.usd
    bought = snapshot().find(provider="gcp", region="us-central1", sku="a2-highgpu-8g")
    assert isinstance(bought, Price)
    assert amount(line(more, "gcp-us-central1-pools-on-demand", "on-demand nodes")) == 730 * bought.usd


def test_spot_without_a_price_is_a_gap_and_its_bound_is_on_demand() -> None:
    found = cost("azure-eastus")
    spot = line(found, "azure-eastus-pools-spot", "spot nodes")
    assert spot.gap
    assert spot.amounts is not None
    assert spot.amounts.steady == 0
    bought = snapshot().find(provider="azure", region="eastus", sku="Standard_ND96asr_v4")
    assert isinstance(bought, Price)
    assert spot.amounts.high == 2 * 730 * bought.usd
    assert "spot nodes" in [gap.what for gap in found.unpriced]


def test_an_update_is_priced_on_both_sides() -> None:
    found = cost("aws-us-east-1.update")
    before = cost("aws-us-east-1")
    assert found.before == before.after
    updated = {one.name for one in found.rows if one.op == "update"}
    assert updated == {step["urn"].rsplit("::")[-1] for step in json.loads(text("aws-us-east-1.update"))["steps"]
                       if step["op"] == "update"}  # fmt: skip
    assert "aws-us-east-1-pools-spot" in updated
    # 13,000 IOPS beyond the base on two nodes, then 5,000 on three.
    iops = row(found, "aws-us-east-1-pools-spot")
    was = next(one for one in iops.before if one.what == "volume /dev/sdf, IOPS")
    will = next(one for one in iops.after if one.what == "volume /dev/sdf, IOPS")
    assert (amount(was), amount(will)) == (Decimal("130.000"), Decimal("75.000"))


@pytest.mark.parametrize("steps", ["one", "two"])
def test_a_replacement_counts_what_goes_and_what_comes(steps: str) -> None:
    def edit(data: dict[str, Any]) -> None:
        found = []
        for step in data["steps"]:
            if step["newState"]["type"] != "aws:ec2/natGateway:NatGateway":
                found.append(step)
            elif steps == "one":
                found.append(step | {"op": "replace", "oldState": step["newState"], "replaceReasons": ["subnetId"]})
            else:
                found.append(step | {"op": "create-replacement", "oldState": step["newState"]})
                found.append({"op": "delete-replaced", "urn": step["urn"], "oldState": step["newState"]})
        data["steps"] = found

    found = row(cost("aws-us-east-1", edit), "aws-us-east-1-network-nat-a", "natGateway")
    assert found.op == "replace"
    assert found.was == found.will
    assert found.was.steady == Decimal("32.850")


def test_what_is_deleted_costs_nothing_afterwards_and_is_no_gap() -> None:
    def edit(data: dict[str, Any]) -> None:
        for step in data["steps"]:
            step["op"], step["oldState"] = "delete", step.pop("newState")

    found = cost("azure-eastus", edit)
    assert found.after.worst == 0
    assert found.unpriced == ()
    assert found.delta.steady == -cost("azure-eastus").after.steady


@pytest.mark.parametrize(("value", "reason"), [
    (UNKNOWN, "known only after the deployment"), (SECRET, "hidden as a secret"), ("many", "no number"),
    (-1, "no count"), (None, "does not say"),
])  # fmt: skip
def test_a_size_that_nobody_knows_is_a_gap_and_no_zero(value: Any, reason: str) -> None:
    def edit(data: dict[str, Any]) -> None:
        for state in states(data, "aws:autoscaling/group:Group"):
            state["inputs"]["minSize"] = value

    found = cost("aws-us-east-1", edit)
    gaps = [gap.reason for gap in found.unpriced if gap.what == "nodes"]
    assert len(gaps) == 2
    assert all(reason in gap for gap in gaps)


def test_a_type_without_a_rule_is_listed_and_not_taken_for_free() -> None:
    def edit(data: dict[str, Any]) -> None:
        state = next(states(data, "aws:ec2/natGateway:NatGateway"))
        state["type"] = "aws:redshift/cluster:Cluster"

    found = cost("aws-us-east-1", edit)
    assert ("aws:redshift/cluster:Cluster", "unknown type: no rule knows what it costs") in [
        (gap.resource, gap.reason) for gap in found.unpriced
    ]


def test_use_counts_only_where_it_is_told() -> None:
    silent = cost("aws-us-east-1")
    told = cost("aws-us-east-1", use={"natGb": Decimal(200)})
    assert told.after.steady - silent.after.steady == 200 * Decimal("0.045")
    assert "natGb" in {one.use for _, one in silent.by_use}
    assert "natGb" not in {one.use for _, one in told.by_use}


def test_a_base_is_another_plans_new_state() -> None:
    def smaller(data: dict[str, Any]) -> None:
        for state in states(data, "aws:autoscaling/group:Group"):
            if state["inputs"]["name"].endswith("spot"):
                state["inputs"]["minSize"] = 1
        data["steps"] = [one for one in data["steps"] if "natGateway" not in one["newState"]["type"]]

    base = plan("aws-us-east-1", smaller)
    found = cost("aws-us-east-1", base=base)
    assert found.before == price_plan(base, snapshot(), TODAY).after
    assert row(found, "aws-us-east-1-network-nat-a", "natGateway").op == "create"
    assert row(found, "aws-us-east-1-pools-spot").op == "update"
    assert row(found, "aws-us-east-1-balancer-lb").op == "same"
    back = price_plan(base, snapshot(), TODAY, base=plan("aws-us-east-1"))
    assert row(back, "aws-us-east-1-network-nat-a", "natGateway").op == "delete"
    assert back.delta.steady == -found.delta.steady


@given(st.randoms(use_true_random=False))
@settings(max_examples=5, deadline=None)
def test_the_order_of_steps_changes_nothing(dice: random.Random) -> None:
    def shuffle(data: dict[str, Any]) -> None:
        dice.shuffle(data["steps"])

    found = cost("aws-us-east-1.update", shuffle)
    assert as_markdown([found]) == as_markdown([cost("aws-us-east-1.update")])
    assert as_json([found]) == as_json([cost("aws-us-east-1.update")])


@given(least=st.integers(0, 6), more=st.integers(0, 6))
@settings(max_examples=10, deadline=None)
def test_more_nodes_never_cost_less_in_any_case(least: int, more: int) -> None:
    def sized(count: int) -> Edit:
        def edit(data: dict[str, Any]) -> None:
            for state in states(data, "aws:autoscaling/group:Group"):
                if state["inputs"]["name"].endswith("spot"):
                    state["inputs"]["minSize"] = count

        return edit

    small, large = cost("aws-us-east-1", sized(least)).after, cost("aws-us-east-1", sized(least + more)).after
    for case in ("steady", "low", "high", "worst", "ceiling"):
        assert getattr(small, case) <= getattr(large, case)


@pytest.mark.parametrize("name", STACKS)
def test_low_steady_and_high_are_in_order_and_rows_add_up(name: str) -> None:
    found = cost(name)
    assert found.after.low <= found.after.steady <= found.after.high
    assert found.after.steady == sum((one.will.steady for one in found.rows), Decimal(0))
    assert json.loads(json.dumps(as_json([found])))["total"]["delta"]["worst"] == f"{found.delta.worst.normalize():f}"


@pytest.mark.parametrize(("broken", "words"), [
    ("{", "is no JSON"),
    ("[]", "holds no map"),
    ("{}", "steps: missing"),
    ('{"deployment": {}}', "is an exported state"),
    ('{"sequence": 1, "timestamp": 2, "preludeEvent": {}}\n{"sequence": 2, "timestamp": 2}', "event stream"),
    ('{"sequence": 1, "timestamp": 2, "preludeEvent": {}}', "one event of a stream"),
    ('{"steps": [{"op": "same"}], "changeSummary": {"same": 1}}', "steps[0]: expected a map with op and urn"),
    ('{"steps": [], "changeSummary": {"same": 12}}', "12 resources that stay the same are left out"),
    ('{"steps": [], "changeSummary": {"create": 0}}', "no resources at all"),
    ('{"steps": [{"op": "same", "urn": "urn:pulumi:a::p::t::n", "newState": 3}]}', "steps[0].newState: expected"),
    ('{"steps": [{"op": "create", "urn": "urn:pulumi:a::p::t::n"}, {"op": "create", "urn": "urn:pulumi:b::p::t::n"}]}',
     "resources of one stack, found those of 2"),
    ('{"diagnostics": [{"severity": "error", "message": "no\\n such zone"}], "steps": []}', "failed: no such zone"),
])  # fmt: skip
def test_what_is_no_plan_is_told_in_one_line(broken: str, words: str) -> None:
    with pytest.raises(SpillwayError) as error:
        parse(broken, "p.json")
    assert len(error.value.lines) == 1
    assert error.value.lines[0].startswith("p.json: ")
    assert words in error.value.lines[0]


def test_guard_rails_tell_what_was_crossed_in_the_order_of_their_exit_codes() -> None:
    found = [cost("aws-us-east-1.update"), cost("gcp-us-central1")]
    none = Guards()
    assert crossed(found, none) == []
    tight = Guards(Decimal(1), Decimal(1), Decimal(1), True, 0, False)
    told = [one.guard for one in crossed(found, tight)]
    assert list(dict.fromkeys(told)) == ["delta", "delta-percent", "budget", "unpriced"]
    assert [EXIT[one] for one in dict.fromkeys(told)] == [10, 11, 12, 13]
    wide = Guards(Decimal(10**9), Decimal(10**9), Decimal(10**9), False, 10**6, True)
    assert crossed(found, wide) == []
    old = [cost("aws-us-east-1", stale_days=1)]
    assert [one.guard for one in crossed(old, Guards(stale=True))] == ["stale"]


def test_a_stack_files_budget_is_held_against_the_worst_case_too() -> None:
    found = cost("aws-us-east-1")
    assert found.budget == 60000
    assert found.after.steady < 60000 < found.after.worst
    (told,) = crossed([found], Guards(own_budgets=True))
    assert "in the worst case" in told.words


def test_markdown_has_no_zero_for_what_has_no_price() -> None:
    told = as_markdown([cost("tencent-ap-guangzhou")])
    assert told.startswith("### tencent-ap-guangzhou: at least 64.97 USD a month (+64.97), without 7 things that have")
    assert "Without a price, in no sum" in told
    nodes = [one for one in told.splitlines() if "nodes" in one and one.startswith("|")]
    assert not any("| 0.00 |" in one for one in nodes)


def test_money_is_rounded_for_reading_only() -> None:
    assert money(Decimal("1234.5")) == "1,235"
    assert money(Decimal("0.005")) == "0.01"
    assert money(Decimal("-12.344"), signed=True) == "−12.34"
    assert money(Decimal("-0.001")) == "0.00"
    assert money(Decimal("7"), signed=True) == "+7.00"


def test_prices_that_do_not_exist_are_told_by_the_snapshot() -> None:
    gap = snapshot().find(provider="aws", region="us-east-1", sku="no.such")
    assert isinstance(gap, Unpriced)


def replaced(old: str, new: str) -> Edit:
    def edit(data: dict[str, Any]) -> None:
        changed = json.loads(json.dumps(data).replace(old, new))
        data.clear()
        data.update(changed)

    return edit


def test_a_type_that_nobody_has_a_price_of_is_told_beside_those_that_have_one() -> None:
    found = cost("aws-us-east-1", replaced("p5.48xlarge", "p9.48xlarge"))
    assert {one.what for one in found.unpriced} == {
        "spot nodes that are p9.48xlarge", "on-demand nodes that are p9.48xlarge",
    }  # fmt: skip
    assert cost("aws-us-east-1").unpriced == ()


@pytest.mark.parametrize("size", [10**30, 1e300, -1, float("nan"), "lots"])
def test_a_size_that_is_no_count_is_told_and_not_multiplied(size: object) -> None:
    def edit(data: dict[str, Any]) -> None:
        for one in states(data, "aws:autoscaling/group:Group"):
            one["inputs"]["minSize"] = size

    assert {one.what for one in cost("aws-us-east-1", edit).unpriced} == {"nodes"}


@pytest.mark.parametrize("told", [float("nan"), float("inf"), True, "60000"])
def test_a_budget_that_is_no_amount_is_none(told: object) -> None:
    def edit(data: dict[str, Any]) -> None:
        config = json.loads(data["config"]["spillway:region"])
        config["budget"]["monthlyUsd"] = told
        data["config"]["spillway:region"] = json.dumps(config)

    assert cost("aws-us-east-1", edit).budget is None
