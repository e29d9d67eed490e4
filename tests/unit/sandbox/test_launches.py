"""Which launches a group makes, and the reason for each."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import launches, tokens
from sandbox.launches import Launch
from tests.support.memory_cloud import MemoryCloud

ZONES = {"us-east-1b": "subnet-b", "us-east-1c": "subnet-c"}


@pytest.fixture
def cloud() -> MemoryCloud:
    cloud = MemoryCloud()
    for zone, subnet in ZONES.items():
        cloud.stand_in(tokens.SUBNET, subnet, vpcId="vpc-1", availabilityZone=zone)
    cloud.stand_in(
        tokens.LAUNCH_TEMPLATE, "lt-1", name="node", latestVersion=1, imageId="ami-1", instanceType="p5.48xlarge"
    )
    return cloud


def group(
    cloud: MemoryCloud,
    *types: str,
    name: str = "pool",
    desired: int = 2,
    weights: dict[str, str] | None = None,
    **more: Any,
) -> list[Launch]:
    distribution = {
        "onDemandPercentageAboveBaseCapacity": more.pop("on_demand", 0),
        "onDemandBaseCapacity": more.pop("base", 0),
        "spotAllocationStrategy": more.pop("strategy", "price-capacity-optimized"),
        "onDemandAllocationStrategy": more.pop("on_demand_strategy", "prioritized"),
    }
    overrides = [{"instanceType": t, **({"weightedCapacity": weights[t]} if weights else {})} for t in types]
    policy = {
        "instancesDistribution": distribution,
        "launchTemplate": {"launchTemplateSpecification": {"launchTemplateId": "lt-1"}, "overrides": overrides},
    }
    made = cloud.stand_in(
        tokens.AUTOSCALING_GROUP, name, name=name, desiredCapacity=desired, minSize=0,
        vpcZoneIdentifiers=list(ZONES.values()), mixedInstancesPolicy=policy, **more,
    )  # fmt: skip
    return launches.launches(made, cloud)


def places(made: list[Launch]) -> list[tuple[str, str]]:
    return [(launch.machine_type, launch.zone) for launch in made]


def test_launches_spread_over_the_zones(cloud: MemoryCloud) -> None:
    made = group(cloud, "p4d.24xlarge", desired=3)
    assert [launch.zone for launch in made] == ["us-east-1b", "us-east-1c", "us-east-1b"]
    assert {launch.market for launch in made} == {"spot"}
    assert launches.capacity(made) == 3


def test_the_same_question_has_the_same_answer(cloud: MemoryCloud) -> None:
    assert group(cloud, "p4d.24xlarge", "p5.48xlarge", desired=5) == group(
        cloud, "p4d.24xlarge", "p5.48xlarge", desired=5
    )


def test_a_sold_out_type_gives_way_to_the_next_one(cloud: MemoryCloud) -> None:
    for zone in ZONES:
        cloud.sell_out(zone, "p4d.24xlarge", "spot")
    made = group(cloud, "p4d.24xlarge", "p5.48xlarge", desired=1)
    assert places(made) == [("p5.48xlarge", "us-east-1b")]
    assert [a.outcome for a in made[0].attempts] == ["InsufficientInstanceCapacity", "launched"]


def test_a_sold_out_zone_gives_way_to_the_next_one(cloud: MemoryCloud) -> None:
    cloud.sell_out("us-east-1b", "p4d.24xlarge", "spot")
    assert places(group(cloud, "p4d.24xlarge")) == [("p4d.24xlarge", "us-east-1c")] * 2


def test_balanced_only_does_not_leave_its_zone(cloud: MemoryCloud) -> None:
    cloud.sell_out("us-east-1b", "p4d.24xlarge", "spot")
    made = group(
        cloud, "p4d.24xlarge", desired=1, availabilityZoneDistribution={"capacityDistributionStrategy": "balanced-only"}
    )
    assert made[0].outcome == "InsufficientInstanceCapacity"


def test_spot_sold_out_everywhere_leaves_on_demand_alone(cloud: MemoryCloud) -> None:
    for zone in ZONES:
        cloud.sell_out(zone, "p4d.24xlarge", "spot")
    made = group(cloud, "p4d.24xlarge")
    assert {launch.outcome for launch in made} == {"InsufficientInstanceCapacity"}
    assert "There is no Spot capacity available that matches your request" in made[0].reason
    assert all(launch.launched for launch in group(cloud, "p4d.24xlarge", name="od", on_demand=100))


def test_the_spot_quota_is_counted_in_vcpus_over_all_groups(cloud: MemoryCloud) -> None:
    cloud.set_quota("L-7212CCBC", 96 * 3)
    group(cloud, "p4d.24xlarge", name="first")
    made = group(cloud, "p4d.24xlarge", name="second")
    assert [launch.outcome for launch in made] == ["launched", "MaxSpotInstanceCountExceeded"]


def test_the_on_demand_quota_is_another_one(cloud: MemoryCloud) -> None:
    cloud.set_quota("L-417A185B", 96)
    made = group(cloud, "p4d.24xlarge", on_demand=100)
    assert [launch.outcome for launch in made] == ["launched", "VcpuLimitExceeded"]
    assert all(launch.launched for launch in group(cloud, "p4d.24xlarge", name="spot"))


def test_p5_spot_counts_against_its_own_quota(cloud: MemoryCloud) -> None:
    cloud.set_quota("L-C4BD4855", 0)
    made = group(cloud, "p5.48xlarge", "p4d.24xlarge", strategy="capacity-optimized-prioritized", desired=1)
    assert [a.outcome for a in made[0].attempts] == ["MaxSpotInstanceCountExceeded", "launched"]


def test_a_type_that_the_zone_does_not_offer_is_not_launched_there(cloud: MemoryCloud) -> None:
    class Nowhere:
        def zones(self, name: str, region: str) -> tuple[str, ...]:
            return ("us-east-1c",)

    made = cloud.get(tokens.AUTOSCALING_GROUP, group(cloud, "p4d.24xlarge", desired=1)[0].group)
    assert made is not None
    launch = launches.launches(made, cloud, Nowhere())[0]
    assert [a.outcome for a in launch.attempts] == ["Unsupported", "launched"]
    assert launch.zone == "us-east-1c"


@pytest.mark.parametrize(
    ("strategy", "first"),
    [
        ("price-capacity-optimized", "p4d.24xlarge"),
        ("lowest-price", "p4d.24xlarge"),
        ("capacity-optimized-prioritized", "p5.48xlarge"),
        ("capacity-optimized", "p5.48xlarge"),
    ],
)
def test_the_spot_strategy_orders_the_types(cloud: MemoryCloud, strategy: str, first: str) -> None:
    assert group(cloud, "p5.48xlarge", "p4d.24xlarge", desired=1, strategy=strategy)[0].machine_type == first


def test_on_demand_goes_by_priority_unless_it_is_told_to_go_by_price(cloud: MemoryCloud) -> None:
    assert group(cloud, "p5.48xlarge", "p4d.24xlarge", desired=1, on_demand=100)[0].machine_type == "p5.48xlarge"
    made = group(cloud, "p5.48xlarge", "p4d.24xlarge", desired=1, on_demand=100, on_demand_strategy="lowest-price")
    assert made[0].machine_type == "p4d.24xlarge"


def test_the_base_is_on_demand_and_the_percentage_rounds_up(cloud: MemoryCloud) -> None:
    markets = [launch.market for launch in group(cloud, "p4d.24xlarge", desired=4, base=1, on_demand=50)]
    assert markets == ["on-demand", "on-demand", "on-demand", "spot"]


def test_weights_count_as_units_of_capacity(cloud: MemoryCloud) -> None:
    made = group(cloud, "p5.48xlarge", "p4d.24xlarge", desired=4, weights={"p5.48xlarge": "4", "p4d.24xlarge": "1"})
    assert places(made) == [("p5.48xlarge", "us-east-1b")]
    assert launches.capacity(made) == 4


def test_a_group_with_a_template_launches_its_type_on_demand(cloud: MemoryCloud) -> None:
    made = cloud.stand_in(
        tokens.AUTOSCALING_GROUP, "plain", name="plain", desiredCapacity=1, vpcZoneIdentifiers=["subnet-b"],
        launchTemplate={"id": "lt-1", "version": "1"},
    )  # fmt: skip
    assert [(x.machine_type, x.market) for x in launches.launches(made, cloud)] == [("p5.48xlarge", "on-demand")]


def test_a_reservation_has_room_where_the_market_is_sold_out(cloud: MemoryCloud) -> None:
    for zone in ZONES:
        cloud.sell_out(zone, "p5.48xlarge", "on-demand")
    cloud.stand_in(
        tokens.CAPACITY_RESERVATION, "cr-1", instanceType="p5.48xlarge", availabilityZone="us-east-1c", instanceCount=1,
        instanceMatchCriteria="open",
    )  # fmt: skip
    made = group(cloud, "p5.48xlarge", on_demand=100)
    assert [(x.outcome, x.reservation) for x in made] == [("launched", "cr-1"), ("InsufficientInstanceCapacity", "")]


def test_reservations_only_launches_nothing_beside_them(cloud: MemoryCloud) -> None:
    only = {
        "capacityReservationPreference": "capacity-reservations-only",
        "capacityReservationTarget": {"capacityReservationIds": ["cr-2"]},
    }
    made = group(cloud, "p5.48xlarge", on_demand=100, desired=1, capacityReservationSpecification=only)
    assert made[0].outcome == "ReservationCapacityExceeded"


def test_a_suspended_group_launches_nothing(cloud: MemoryCloud) -> None:
    made = group(cloud, "p4d.24xlarge", suspendedProcesses=["Launch"])
    assert {launch.outcome for launch in made} == {"Suspended"}


def test_a_group_that_is_not_stored_yet_comes_last(cloud: MemoryCloud) -> None:
    cloud.set_quota("L-7212CCBC", 96 * 2)
    made = group(cloud, "p4d.24xlarge", name="new")
    stored = cloud.get(tokens.AUTOSCALING_GROUP, "new")
    assert stored is not None
    cloud.remove(tokens.AUTOSCALING_GROUP, "new")
    assert launches.capacity(made) == 2
    group(cloud, "p4d.24xlarge", name="old")
    assert launches.capacity(launches.launches(stored, cloud)) == 0
