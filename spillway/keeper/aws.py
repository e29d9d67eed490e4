"""A region on AWS: two auto scaling groups, their instances and activities, and what spot costs now.

Rights: autoscaling:DescribeAutoScalingGroups, autoscaling:DescribeScalingActivities, ec2:DescribeSpotPriceHistory; to
apply also autoscaling:UpdateAutoScalingGroup on the two groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from infra.keeper_fleet import Machine, RegionState
from infra.keeper_words import Error, Market
from spillway.keeper.desk import NotThere, Say, Stack, refusal
from spillway.preflight.aws_calls import CONFIG, answered, pages, session
from spillway.preflight.model import Unanswered

ACTIVITIES: Final = 20
"""The newest ones of a group: a group that finds no capacity writes one each time that it tries."""
FAILED: Final = ("Failed", "Cancelled")
LEAVING: Final = ("Terminating", "Terminated", "Detaching", "Detached", "EnteringStandby", "Standby")
"""https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-lifecycle.html"""
PRODUCT: Final = "Linux/UNIX"


class AwsDesk:
    """One region, with boto3 clients of `autoscaling` and `ec2`."""

    def __init__(self, stack: Stack, autoscaling: Any, ec2: Any) -> None:
        self._stack, self._autoscaling, self._ec2 = stack, autoscaling, ec2
        self._region = stack.region.region

    def _groups(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        names = (self._stack.spot_group, self._stack.on_demand_group)
        with answered("autoscaling", self._region):
            found = {
                group["AutoScalingGroupName"]: group
                for group in pages(
                    self._autoscaling,
                    "describe_auto_scaling_groups",
                    "AutoScalingGroups",
                    AutoScalingGroupNames=list(names),
                )
            }
        if missing := [name for name in names if name not in found]:
            raise NotThere(f"{self._stack.region.stack}: not deployed: no auto scaling group {missing[0]}")
        return found[names[0]], found[names[1]]

    def read(self) -> RegionState:
        spot, on_demand = self._groups()
        machines: list[Machine] = []
        refused: dict[Market, Error] = {}
        groups: tuple[tuple[Market, Mapping[str, Any]], ...] = (("spot", spot), ("on-demand", on_demand))
        for market, group in groups:
            own = [_machine(one, market) for one in group["Instances"]]
            machines += own
            there = sum(not one.leaving for one in own)
            if there < group["DesiredCapacity"] and (kind := self._refusal(group["AutoScalingGroupName"])):
                refused[market] = kind
        return RegionState(
            spot=spot["MinSize"],
            on_demand=on_demand["MinSize"],
            spot_size=spot["DesiredCapacity"],
            on_demand_size=on_demand["DesiredCapacity"],
            machines=tuple(machines),
            refused=refused,
            prices=self._prices(),
        )

    def _refusal(self, group: str) -> Error | None:
        """Why the group's last launch failed; None where the last one that is over did not."""
        with answered("autoscaling", self._region):
            told = self._autoscaling.describe_scaling_activities(AutoScalingGroupName=group, MaxRecords=ACTIVITIES)
        for activity in told["Activities"]:  # the newest first
            if activity["StatusCode"] in FAILED:
                return refusal((str(activity.get("StatusMessage") or ""),))
            if activity["StatusCode"] == "Successful" and "Launching" in str(activity.get("Description")):
                return None
        return None

    def _prices(self) -> dict[Market, float]:
        """The cheapest spot that the group may launch now. A price that cannot be read keeps nobody from the rest."""
        spot = self._stack.region.spot
        assert spot is not None
        try:
            with answered("ec2", self._region):
                rows = list(
                    pages(
                        self._ec2,
                        "describe_spot_price_history",
                        "SpotPriceHistory",
                        InstanceTypes=list(spot.types),
                        ProductDescriptions=[PRODUCT],
                        StartTime=datetime.now(UTC),  # with this, the price that holds now
                    )
                )
        except Unanswered:
            return {}
        launches = set(self._stack.region.launches(spot))
        usd = [float(row["SpotPrice"]) for row in rows if (row["InstanceType"], row["AvailabilityZone"]) in launches]
        return {"spot": min(usd)} if usd else {}

    def write(self, spot: int, on_demand: int, say: Say) -> None:
        """The groups' minimum, which lifts a smaller group at once. A spot group that is as large as its minimum goes
        down with it; what the load has added is the load's to take back, and on-demand is the alarms'."""
        changes = []
        for size, group in zip((spot, on_demand), self._groups(), strict=True):
            name, now, wanted = group["AutoScalingGroupName"], group["MinSize"], {"MinSize": size}
            if size == now:
                continue
            if name == self._stack.spot_group and group["DesiredCapacity"] == now:
                wanted["DesiredCapacity"] = size
            changes.append((size < now, name, now, wanted))
        for _, name, now, wanted in sorted(changes, key=lambda change: change[0]):
            with answered("autoscaling", self._region):
                self._autoscaling.update_auto_scaling_group(AutoScalingGroupName=name, **wanted)
            say(f"{name}: minimum {now} -> {wanted['MinSize']}")


def _machine(told: Mapping[str, Any], market: Market) -> Machine:
    state = str(told["LifecycleState"])
    leaving = state.startswith(LEAVING) or told.get("HealthStatus") == "Unhealthy"
    return Machine(told["InstanceId"], market, told["AvailabilityZone"], state == "InService", leaving)


def connect(stack: Stack, profile: str | None) -> AwsDesk:
    """With the environment's credentials. Raises Unreachable."""
    region = stack.region.region
    own = session(region, profile)
    with answered("autoscaling", region):
        return AwsDesk(stack, own.client("autoscaling", config=CONFIG), own.client("ec2", config=CONFIG))
