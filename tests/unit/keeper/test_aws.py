"""A region on AWS: moto's groups over the wire, and answers that moto does not give, recorded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from spillway.keeper.aws import AwsDesk
from spillway.keeper.desk import NotThere
from spillway.preflight.model import Unanswered
from tests.unit.keeper.conftest import stack

EAST = stack("aws-us-east-1")
SPOT, ON_DEMAND = EAST.spot_group, EAST.on_demand_group


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@pytest.fixture
def aws() -> Iterator[boto3.Session]:
    with mock_aws():
        session = boto3.Session(region_name="us-east-1")
        image = session.client("ec2").describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        autoscaling = session.client("autoscaling")
        autoscaling.create_launch_configuration(LaunchConfigurationName="node", ImageId=image, InstanceType="t2.micro")
        for name, least, most in ((SPOT, 2, 6), (ON_DEMAND, 0, 6)):
            autoscaling.create_auto_scaling_group(
                AutoScalingGroupName=name,
                LaunchConfigurationName="node",
                MinSize=least,
                MaxSize=most,
                AvailabilityZones=["us-east-1a", "us-east-1b"],
            )
        yield session


def desk(session: boto3.Session) -> AwsDesk:
    return AwsDesk(EAST, session.client("autoscaling"), session.client("ec2"))


def sizes(session: boto3.Session) -> dict[str, tuple[int, int]]:
    groups = session.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    return {one["AutoScalingGroupName"]: (one["MinSize"], one["DesiredCapacity"]) for one in groups}


def test_groups_are_read_and_their_minimum_is_set(aws: boto3.Session) -> None:
    one = desk(aws)
    state = one.read()
    assert (state.spot, state.on_demand, state.spot_size, state.on_demand_size) == (2, 0, 2, 0)
    assert [machine.market for machine in state.machines] == ["spot", "spot"]
    assert all(machine.ready and not machine.leaving for machine in state.machines)
    assert {machine.zone for machine in state.machines} <= {"us-east-1a", "us-east-1b"}
    said: list[str] = []
    one.write(4, 1, said.append)
    assert sizes(aws) == {SPOT: (4, 4), ON_DEMAND: (1, 1)}
    assert said == [f"{SPOT}: minimum 2 -> 4", f"{ON_DEMAND}: minimum 0 -> 1"]


def test_a_spot_group_goes_down_with_its_minimum_and_on_demand_stays_for_the_alarms(aws: boto3.Session) -> None:
    one = desk(aws)
    one.write(4, 2, lambda line: None)
    one.write(1, 0, lambda line: None)
    assert sizes(aws) == {SPOT: (1, 1), ON_DEMAND: (0, 2)}


def test_what_the_load_has_added_is_the_loads(aws: boto3.Session) -> None:
    aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName=SPOT, DesiredCapacity=5)
    desk(aws).write(1, 0, lambda line: None)
    assert sizes(aws)[SPOT] == (1, 5)


def test_what_raises_goes_before_what_lowers_and_the_same_again_sends_nothing(aws: boto3.Session) -> None:
    one = desk(aws)
    said: list[str] = []
    one.write(1, 2, said.append)
    assert said == [f"{ON_DEMAND}: minimum 0 -> 2", f"{SPOT}: minimum 2 -> 1"]
    one.write(1, 2, said.append)
    assert len(said) == 2


def test_a_region_without_its_groups_is_not_deployed() -> None:
    with mock_aws(), pytest.raises(NotThere, match=f"aws-us-east-1: not deployed: no auto scaling group {SPOT}"):
        desk(boto3.Session(region_name="us-east-1")).read()


def group(name: str, desired: int, *states: str) -> dict[str, Any]:
    instances = [
        {
            "InstanceId": f"i-{name[-4:]}{number}", "AvailabilityZone": "us-east-1a", "LifecycleState": state,
            "HealthStatus": "Healthy", "ProtectedFromScaleIn": False,
        }
        for number, state in enumerate(states)
    ]  # fmt: skip
    return {
        "AutoScalingGroupName": name, "MinSize": 0, "MaxSize": 6, "DesiredCapacity": desired, "DefaultCooldown": 300,
        "AvailabilityZones": ["us-east-1a"], "HealthCheckType": "EC2", "CreatedTime": datetime(2026, 1, 1, tzinfo=UTC),
        "Instances": instances,
    }  # fmt: skip


def activity(status: str, message: str = "", what: str = "Launching a new EC2 instance") -> dict[str, Any]:
    return {
        "ActivityId": "a", "AutoScalingGroupName": SPOT, "Cause": "below its desired capacity", "Description": what,
        "StartTime": datetime(2026, 1, 1, tzinfo=UTC), "StatusCode": status,
        **({"StatusMessage": message} if message else {}),
    }  # fmt: skip


def recorded(activities: list[dict[str, Any]], prices: list[dict[str, Any]] | None, *groups: dict[str, Any]) -> AwsDesk:
    """A desk that is answered so."""
    session = boto3.Session(region_name="us-east-1")
    autoscaling, ec2 = session.client("autoscaling"), session.client("ec2")
    stub = Stubber(autoscaling)
    stub.add_response("describe_auto_scaling_groups", {"AutoScalingGroups": list(groups)})
    if activities:
        stub.add_response("describe_scaling_activities", {"Activities": activities})
    stub.activate()
    asked = Stubber(ec2)
    if prices is None:
        asked.add_client_error("describe_spot_price_history", "UnauthorizedOperation", "not allowed", 403)
    else:
        asked.add_response("describe_spot_price_history", {"SpotPriceHistory": prices})
    asked.activate()
    return AwsDesk(EAST, autoscaling, ec2)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            "Could not launch Spot Instances. InsufficientInstanceCapacity - There is no Spot capacity available",
            "capacity",
        ),
        (
            "We currently do not have sufficient p4d.24xlarge capacity in the Availability Zone you requested",
            "capacity",
        ),
        ("Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded.", "quota"),
        ("You have requested more vCPU capacity than your current vCPU limit of 0 allows. VcpuLimitExceeded", "quota"),
        ("RequestLimitExceeded: Request limit exceeded.", "throttled"),
        ("The security group 'sg-0' does not exist. Launching EC2 instance failed.", "failed"),
    ],
)
def test_why_a_launch_failed_is_told_by_the_groups_last_activity(message: str, kind: str) -> None:
    one = recorded(
        [activity("PreInService"), activity("Failed", message), activity("Successful")],
        [],
        group(SPOT, 3, "InService", "Pending:Wait", "Terminating:Wait"),
        group(ON_DEMAND, 0),
    )
    state = one.read()
    assert state.refused == {"spot": kind}
    assert [(machine.ready, machine.leaving) for machine in state.machines] == [
        (True, False),
        (False, False),
        (False, True),
    ]


def test_a_group_that_launched_last_or_has_all_it_wants_refused_nothing() -> None:
    short = recorded([activity("Successful"), activity("Failed", "InsufficientInstanceCapacity")], [],
                     group(SPOT, 2, "InService"), group(ON_DEMAND, 0))  # fmt: skip
    assert short.read().refused == {}
    whole = recorded([], [], group(SPOT, 1, "InService"), group(ON_DEMAND, 0))
    assert whole.read().refused == {}


def test_the_price_of_spot_is_the_cheapest_that_the_group_may_launch_now() -> None:
    def row(machine: str, zone: str, usd: str) -> dict[str, Any]:
        return {"InstanceType": machine, "AvailabilityZone": zone, "SpotPrice": usd, "ProductDescription": "Linux/UNIX"}

    rows = [
        row("p4d.24xlarge", "us-east-1a", "8.19"),
        row("p4d.24xlarge", "us-east-1b", "7.88"),
        row("p4d.24xlarge", "us-east-1f", "2.47"),  # no zone of the stack
    ]
    state = recorded([], rows, group(SPOT, 0), group(ON_DEMAND, 0)).read()
    assert state.prices == {"spot": 7.88}


def test_prices_that_may_not_be_read_keep_nobody_from_the_rest() -> None:
    assert recorded([], None, group(SPOT, 0), group(ON_DEMAND, 0)).read().prices == {}


def test_an_account_that_may_not_is_told_which_action_it_needs() -> None:
    session = boto3.Session(region_name="us-east-1")
    autoscaling = session.client("autoscaling")
    stub = Stubber(autoscaling)
    stub.add_client_error("describe_auto_scaling_groups", "AccessDenied", "no", 403)
    stub.activate()
    with pytest.raises(Unanswered, match="denied: autoscaling:DescribeAutoScalingGroups"):
        AwsDesk(EAST, autoscaling, session.client("ec2")).read()
