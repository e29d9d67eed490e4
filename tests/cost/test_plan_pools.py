"""Pools of a plan that are neither spot nor its fallback: capacity blocks, and regions that hold all on demand."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

from cost.plan import aws
from cost.plan.pricing import PlanCost
from cost.plan.telling import as_json, as_markdown
from cost.prices.snapshot import Price
from tests.cost.test_plan import cost, line, row, snapshot, states

BLOCK = "aws-us-east-1-pools-block-0123"


def usd(provider: str, region: str, sku: str) -> Decimal:
    found = snapshot().find(provider=provider, region=region, sku=sku)
    assert isinstance(found, Price)
    return found.usd


def with_block(data: dict[str, Any]) -> None:
    """The plan with a group and a template for a capacity block of three, as infra/aws/pools.py makes them."""
    for type_ in (aws.TEMPLATE, aws.GROUP):
        step = next(one for one in data["steps"] if one["newState"]["type"] == type_ and "spot" in one["urn"])
        new = copy.deepcopy(step)
        urn = step["urn"].rpartition("::")[0] + f"::{BLOCK}"
        new["urn"] = new["newState"]["urn"] = urn
        inputs = new["newState"]["inputs"]
        if type_ == aws.TEMPLATE:
            template = urn
            inputs["instanceMarketOptions"] = {"marketType": "capacity-block"}
        else:
            inputs.pop("mixedInstancesPolicy")
            inputs |= {"minSize": 0, "desiredCapacity": 3, "maxSize": 3, "launchTemplate": {"id": "?"}}
            new["newState"]["propertyDependencies"] = {"launchTemplate": [template]}
        data["steps"].append(new)
    data["changeSummary"]["create"] += 2


def test_nodes_of_a_capacity_block_are_a_gap_and_their_disks_are_charged() -> None:
    plain, found = cost("aws-us-east-1"), cost("aws-us-east-1", with_block)
    gaps = [(gap.resource, gap.what, gap.reason) for gap in found.unpriced if gap.resource == BLOCK]
    assert gaps == [(BLOCK, "nodes of a capacity block", "paid in advance, at a price of the offer that was accepted")]
    block = row(found, BLOCK, "group")
    spot = row(found, "aws-us-east-1-pools-spot", "autoscaling")
    disks = {one.what: one.amounts.steady for one in block.after if one.amounts is not None}
    of_two = {one.what: one.amounts.steady for one in spot.after if one.amounts is not None and one.what in disks}
    assert "volume /dev/sdf, IOPS" in disks
    assert disks == {what: amount * 3 / 2 for what, amount in of_two.items()}
    assert found.after.worst - plain.after.worst == block.will.worst == block.will.steady > 0
    # What was paid for ahead is no fallback's to replace.
    bought = line(found, "aws-us-east-1-pools-on-demand", "on-demand nodes")
    assert bought.amounts == line(plain, "aws-us-east-1-pools-on-demand", "on-demand nodes").amounts


def test_what_rests_on_old_prices_is_told_though_the_snapshot_is_not_old() -> None:
    found = cost("aws-us-east-1")
    assert not found.stale
    amount, days = found.old
    old = [one for each in found.rows for one in each.after if one.old]
    assert days == max(one.old for one in old) > 180
    assert "spot nodes" in {one.what for one in old}  # the dearest thing of all
    assert found.after.steady / 2 < amount < found.after.steady
    words = f"rest on prices older than 180 days, the oldest seen {days} days ago"
    assert words in as_markdown([found])
    assert as_json([found])["stacks"][0]["old"]["oldestDays"] == days
    fresh = cost("aws-us-east-1", stale_days=10_000)
    assert fresh.old == (Decimal(0), 0)
    assert "rest on prices" not in as_markdown([fresh])


def test_answers_to_the_internet_are_by_use_and_told_at_the_price_beyond_what_is_free() -> None:
    for name, usd_gb in (("aws-us-east-1", "0.09"), ("azure-eastus", "0.087"), ("gcp-us-central1", "0.12")):
        (told,) = (one for _, one in cost(name).by_use if one.use == "egressGb")
        assert told.unit_price == Decimal(usd_gb)
        spread = cost(name, use={"egressGb": Decimal(1000)}).after.steady - cost(name).after.steady
        free = 100 if name.startswith("azure") else 0
        assert spread == (1000 - free) * Decimal(usd_gb)


def test_what_is_told_of_a_stack_counts_once_though_several_resources_are_of_the_kind() -> None:
    """Two secrets, two workspaces, two addresses: `secretReads: 1000000` are those of all of them."""
    for name, key, told, usd in (
        ("aws-us-east-1", "secretReads", 1_000_000, "5"),  # 0.05 for 10,000
        ("azure-eastus", "logsGb", 100, "218.5"),  # 2.30 beyond the first five, which are free once
        ("tencent-ap-guangzhou", "egressGb", 1000, "120"),
    ):
        plain, found = cost(name), cost(name, use={key: Decimal(told)})
        assert found.after.steady - plain.after.steady == Decimal(usd)
        bearers = [one for each in found.rows for one in each.after if one.use == key]
        assert len(bearers) == 2
        assert sum("counted with" in one.note for one in bearers) == 1
        assert len([one for _, one in plain.by_use if one.use == key]) == 1


def same_in_steady_and_worst(found: PlanCost, name: str, price: Decimal, count: int) -> None:
    nodes = line(found, name, "on-demand nodes")
    assert nodes.amounts is not None
    assert nodes.amounts.steady == 730 * count * price
    assert nodes.amounts.worst >= nodes.amounts.steady
    assert not any(one.what == "spot nodes" for each in found.rows for one in each.after)


def test_a_region_that_holds_all_on_demand_costs_its_target() -> None:
    def without_spot(data: dict[str, Any]) -> None:
        data["steps"] = [one for one in data["steps"] if not one["urn"].endswith("pools-spot")]
        for state in states(data, aws.GROUP):
            state["inputs"]["minSize"] = 2

    found = cost("aws-us-east-1", without_spot)
    name = "aws-us-east-1-pools-on-demand"
    first = line(found, name, "on-demand nodes").sku
    same_in_steady_and_worst(found, name, usd("aws", "us-east-1", first), 2)

    def without_function(data: dict[str, Any]) -> None:
        data["steps"] = [
            one for one in data["steps"]
            if not one["urn"].endswith("pools-spot") and "cloudfunctionsv2" not in one["newState"]["type"]
        ]  # fmt: skip
        for state in states(data, "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager"):
            state["inputs"]["targetSize"] = 3

    found = cost("gcp-us-central1", without_function)
    same_in_steady_and_worst(found, "gcp-us-central1-pools-on-demand", usd("gcp", "us-central1", "a2-highgpu-8g"), 3)
