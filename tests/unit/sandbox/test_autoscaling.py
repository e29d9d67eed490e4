"""Groups, scaling policies and what hangs on a group."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import tokens
from sandbox.kinds import CloudError, Resource
from sandbox.values import UNKNOWN
from tests.support.memory_cloud import MemoryCloud

GROUP = tokens.AUTOSCALING_GROUP
POLICY = "aws:autoscaling/policy:Policy"
HOOK = "aws:autoscaling/lifecycleHook:LifecycleHook"
SCHEDULE = "aws:autoscaling/schedule:Schedule"
LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
TYPES = ("p4d.24xlarge", "p4de.24xlarge", "p5.48xlarge")


@pytest.fixture
def cloud() -> MemoryCloud:
    cloud = MemoryCloud()
    for letter in "bc":
        cloud.stand_in(tokens.SUBNET, f"subnet-{letter * 8}", vpcId="vpc-1", availabilityZone=f"us-east-1{letter}")
    cloud.stand_in(tokens.SUBNET, "subnet-ffffffff", vpcId="vpc-2", availabilityZone="us-east-1b")
    cloud.stand_in(tokens.LAUNCH_TEMPLATE, "lt-0123456789abcdef0", name="node", latestVersion=3, imageId="ami-1")
    return cloud


def mixed(*types: str, version: str = "3", **distribution: Any) -> dict[str, Any]:
    return {
        "instancesDistribution": {"spotAllocationStrategy": "price-capacity-optimized", **distribution},
        "launchTemplate": {
            "launchTemplateSpecification": {"launchTemplateId": "lt-0123456789abcdef0", "version": version},
            "overrides": [{"instanceType": t} for t in types or TYPES],
        },
    }


def inputs(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "name": "pool",
        "minSize": 2,
        "maxSize": 6,
        "vpcZoneIdentifiers": ["subnet-bbbbbbbb", "subnet-cccccccc"],
        "mixedInstancesPolicy": mixed(),
        "waitForCapacityTimeout": "0",
    }
    return {k: v for k, v in {**base, **changes}.items() if v is not None}


def group(cloud: MemoryCloud, **changes: Any) -> Resource:
    return cloud.create(GROUP, **inputs(**changes))


def refusal(cloud: MemoryCloud, token: str, **values: Any) -> str:
    with pytest.raises(CloudError) as caught:
        cloud.create(token, **values)
    return str(caught.value)


def test_a_group_gets_its_arn_zones_and_the_defaults_of_the_api(cloud: MemoryCloud) -> None:
    made = group(cloud)
    assert made.id == "pool"
    assert made["arn"].startswith("arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:")
    assert made["arn"].endswith(":autoScalingGroupName/pool")
    assert made["availabilityZones"] == ["us-east-1b", "us-east-1c"]
    assert made["desiredCapacity"] == 2
    assert made["healthCheckType"] == "EC2"
    distribution = made["mixedInstancesPolicy"]["instancesDistribution"]
    assert distribution["onDemandPercentageAboveBaseCapacity"] == 100
    assert made["mixedInstancesPolicy"]["launchTemplate"]["launchTemplateSpecification"]["launchTemplateName"] == "node"


def test_the_arn_stays_through_an_update_and_desired_capacity_follows_the_bounds(cloud: MemoryCloud) -> None:
    made = group(cloud)
    changed = cloud.update(made, minSize=3)
    assert changed["arn"] == made["arn"]
    assert changed["desiredCapacity"] == 3


def test_a_group_with_unknown_values_passes_the_value_rules(cloud: MemoryCloud) -> None:
    policy = mixed()
    policy["launchTemplate"]["launchTemplateSpecification"]["launchTemplateId"] = UNKNOWN
    assert (
        cloud.faults(
            GROUP, **inputs(vpcZoneIdentifiers=UNKNOWN, mixedInstancesPolicy=policy, targetGroupArns=[UNKNOWN])
        )
        == []
    )


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"minSize": 7}, "minSize: must be at most maxSize (6)"),
        ({"minSize": -1}, "minSize: expected 0 to"),
        ({"launchTemplate": {"id": "lt-0123456789abcdef0"}}, "launchTemplate: conflicts with mixedInstancesPolicy"),
        ({"mixedInstancesPolicy": None}, "mixedInstancesPolicy: one of mixedInstancesPolicy, launchTemplate"),
        ({"vpcZoneIdentifiers": None}, "vpcZoneIdentifiers: at least one Availability Zone or VPC Subnet"),
        ({"availabilityZones": ["us-east-1b"]}, "availabilityZones: conflicts with vpcZoneIdentifiers"),
        ({"waitForCapacityTimeout": "10"}, "waitForCapacityTimeout: expected a duration"),
        ({"maxInstanceLifetime": 60}, "maxInstanceLifetime: expected 86,400 to 31,536,000"),
        ({"healthCheckType": "HTTP"}, "healthCheckType: expected one of EC2, EBS, ELB, VPC_LATTICE"),
        ({"enabledMetrics": ["GroupDesired"]}, "enabledMetrics[0]: expected one of"),
        ({"metricsGranularity": "5Minute"}, "metricsGranularity: expected one of 1Minute"),
        ({"suspendedProcesses": ["Sleep"]}, "suspendedProcesses[0]: expected one of"),
        ({"terminationPolicies": ["Cheapest"]}, "terminationPolicies[0]: expected one of"),
        ({"targetGroupArns": ["tg"]}, "targetGroupArns[0]: expected an ARN"),
        ({"desiredCapacityType": "gpus"}, "desiredCapacityType: expected one of"),
        ({"warmPool": {"poolState": "Cold"}}, "warmPool.poolState: expected one of"),
        (
            {"trafficSources": [{"identifier": "x"}], "loadBalancers": ["y"]},
            "loadBalancers: conflicts with trafficSources",
        ),
        (
            {"tags": [{"key": "aws:x", "value": "y", "propagateAtLaunch": True}]},
            "tags[0]: tag keys that begin with aws:",
        ),
        (
            {"tags": [{"key": "a", "value": "1", "propagateAtLaunch": True}] * 2},
            'tags[1].key: the tag "a" stands twice',
        ),
        (
            {"instanceMaintenancePolicy": {"minHealthyPercentage": 50, "maxHealthyPercentage": 200}},
            "instanceMaintenancePolicy.maxHealthyPercentage: may be at most 100 above",
        ),
        ({"instanceRefresh": {"strategy": "Canary"}}, "instanceRefresh.strategy: expected one of"),
        (
            {"instanceRefresh": {"strategy": "Rolling", "triggers": ["launch_template"]}},
            "instanceRefresh.triggers[0]: launch_template always triggers",
        ),
        (
            {"capacityReservationSpecification": {"capacityReservationPreference": "open"}},
            "capacityReservationSpecification.capacityReservationPreference: expected one of",
        ),
        (
            {
                "capacityReservationSpecification": {
                    "capacityReservationPreference": "none",
                    "capacityReservationTarget": {"capacityReservationIds": ["cr-0123456789abcdef0"]},
                }
            },
            "capacityReservationSpecification.capacityReservationTarget: targets are not for the preference none",
        ),
        (
            {"initialLifecycleHooks": [{"name": "ready", "lifecycleTransition": "LAUNCH"}]},
            "initialLifecycleHooks[0].lifecycleTransition: expected one of",
        ),
    ],
)
def test_a_group_that_the_api_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    assert any(line.startswith(fault) for line in cloud.faults(GROUP, **inputs(**changes))), cloud.faults(
        GROUP, **inputs(**changes)
    )


@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        (mixed(spotAllocationStrategy="cheapest"), "instancesDistribution.spotAllocationStrategy: expected one of"),
        (
            mixed(onDemandAllocationStrategy="random"),
            "instancesDistribution.onDemandAllocationStrategy: expected one of",
        ),
        (mixed(onDemandPercentageAboveBaseCapacity=101), "onDemandPercentageAboveBaseCapacity: expected 0 to 100"),
        (mixed(spotInstancePools=2), "spotInstancePools: is only for the strategy lowest-price"),
        (mixed(spotMaxPrice="free"), "spotMaxPrice: expected a price"),
        (mixed("p4d.24xlarge", "p4d.24xlarge"), "overrides[1].instanceType: duplicate instance type p4d.24xlarge"),
        (mixed("p99.48xlarge"), "overrides[0].instanceType: EC2 has no instance type"),
        (mixed(version="latest"), "launchTemplateSpecification.version: expected a version number"),
    ],
)
def test_a_mixed_instances_policy_that_the_api_refuses_is_a_fault(
    cloud: MemoryCloud, policy: dict[str, Any], fault: str
) -> None:
    faults = cloud.faults(GROUP, **inputs(mixedInstancesPolicy=policy))
    assert any(fault in line for line in faults), faults


def test_weights_are_given_for_all_overrides_or_for_none(cloud: MemoryCloud) -> None:
    policy = mixed()
    policy["launchTemplate"]["overrides"][0]["weightedCapacity"] = "2"
    assert any("all overrides or for none" in f for f in cloud.faults(GROUP, **inputs(mixedInstancesPolicy=policy)))
    policy["launchTemplate"]["overrides"][0]["weightedCapacity"] = "1000"
    assert any("from 1 to 999" in f for f in cloud.faults(GROUP, **inputs(mixedInstancesPolicy=policy)))


@pytest.mark.parametrize("desired", [1, 9])
def test_a_desired_capacity_that_is_asked_for_lies_within_the_bounds(cloud: MemoryCloud, desired: int) -> None:
    message = f"Desired capacity:{desired} must be between"
    with pytest.raises(CloudError, match=message):
        cloud.create(GROUP, **inputs(desiredCapacity=desired))
    made = cloud.create(GROUP, **inputs(desiredCapacity=3))
    with pytest.raises(CloudError, match=message):
        cloud.update(made, desiredCapacity=desired)


def test_a_capacity_that_nobody_asks_for_again_moves_with_the_bounds(cloud: MemoryCloud) -> None:
    made = cloud.create(GROUP, **inputs(desiredCapacity=2))
    assert cloud.update(made, minSize=3)["desiredCapacity"] == 3


def test_a_second_group_of_the_same_name_is_refused(cloud: MemoryCloud) -> None:
    group(cloud)
    assert "AlreadyExists" in refusal(cloud, GROUP, **inputs())


def test_a_template_that_does_not_exist_is_refused(cloud: MemoryCloud) -> None:
    policy = mixed()
    policy["launchTemplate"]["launchTemplateSpecification"]["launchTemplateId"] = "lt-0000000000000000f"
    assert "ValidationError" in refusal(cloud, GROUP, **inputs(mixedInstancesPolicy=policy))


def test_a_template_version_that_does_not_exist_is_refused(cloud: MemoryCloud) -> None:
    assert "Could not find the specified version 4" in refusal(
        cloud, GROUP, **inputs(mixedInstancesPolicy=mixed(version="4"))
    )


def test_a_template_without_an_image_is_refused(cloud: MemoryCloud) -> None:
    cloud.stand_in(tokens.LAUNCH_TEMPLATE, "lt-0123456789abcdef0", name="node", latestVersion=3)
    assert "must contain an ImageId" in refusal(cloud, GROUP, **inputs())


def test_a_template_that_asks_for_spot_does_not_go_into_a_mixed_policy(cloud: MemoryCloud) -> None:
    cloud.stand_in(
        tokens.LAUNCH_TEMPLATE, "lt-0123456789abcdef0", name="node", latestVersion=3, imageId="ami-1",
        instanceMarketOptions={"marketType": "spot"},
    )  # fmt: skip
    assert "Incompatible launch template" in refusal(cloud, GROUP, **inputs())


def test_subnets_of_two_vpcs_are_refused(cloud: MemoryCloud) -> None:
    assert "must be in one VPC" in refusal(
        cloud, GROUP, **inputs(vpcZoneIdentifiers=["subnet-bbbbbbbb", "subnet-ffffffff"])
    )


def test_a_subnet_of_another_region_is_refused(cloud: MemoryCloud) -> None:
    cloud.in_region("us-west-2").stand_in(
        tokens.SUBNET, "subnet-eeeeeeee", vpcId="vpc-9", availabilityZone="us-west-2a"
    )
    assert "ValidationError" in refusal(cloud, GROUP, **inputs(vpcZoneIdentifiers=["subnet-eeeeeeee"]))


def test_a_type_that_no_zone_of_the_group_offers_is_refused(cloud: MemoryCloud) -> None:
    cloud.stand_in(tokens.SUBNET, "subnet-aaaaaaaa", vpcId="vpc-1", availabilityZone="us-east-1e")
    told = refusal(cloud, GROUP, **inputs(vpcZoneIdentifiers=["subnet-aaaaaaaa"]))
    assert "is not supported in your requested Availability Zones (us-east-1e)" in told


def test_target_groups_take_instances_of_the_same_vpc(cloud: MemoryCloud) -> None:
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/pool/0123456789abcdef"
    cloud.stand_in(tokens.TARGET_GROUP, arn, arn=arn, targetType="ip", vpcId="vpc-1")
    assert "has targets of type ip" in refusal(cloud, GROUP, **inputs(targetGroupArns=[arn]))
    cloud.stand_in(tokens.TARGET_GROUP, arn, arn=arn, targetType="instance", vpcId="vpc-2")
    assert "is in vpc-2, the group in vpc-1" in refusal(cloud, GROUP, **inputs(targetGroupArns=[arn]))
    cloud.stand_in(tokens.TARGET_GROUP, arn, arn=arn, targetType="instance", vpcId="vpc-1")
    group(cloud, targetGroupArns=[arn])


def test_waiting_for_capacity_that_is_sold_out_fails_as_the_provider_does(cloud: MemoryCloud) -> None:
    for zone in ("us-east-1b", "us-east-1c"):
        cloud.sell_out(zone, "p5.48xlarge", "spot")
    spot = mixed("p5.48xlarge", onDemandPercentageAboveBaseCapacity=0)
    told = refusal(cloud, GROUP, **inputs(mixedInstancesPolicy=spot, waitForCapacityTimeout="10m"))
    assert "waiting for Auto Scaling Group (pool) capacity satisfied" in told
    assert "Failed: Could not launch Spot Instances. InsufficientInstanceCapacity" in told
    told = refusal(
        cloud,
        GROUP,
        **inputs(mixedInstancesPolicy=spot, waitForCapacityTimeout="5m", ignoreFailedScalingActivities=True),
    )
    assert "want at least 2 healthy instance(s) in Auto Scaling Group, have 0', timeout: 5m" in told
    group(cloud, mixedInstancesPolicy=spot, waitForCapacityTimeout="0")


def test_a_group_whose_instances_are_protected_is_deleted_only_by_force(cloud: MemoryCloud) -> None:
    made = group(cloud, protectFromScaleIn=True)
    with pytest.raises(CloudError, match="want exactly 0 healthy instance"):
        cloud.delete(made)
    cloud.delete(cloud.update(made, forceDelete=True))


def test_a_deleted_group_takes_its_policies_and_hooks_along(cloud: MemoryCloud) -> None:
    made = group(cloud)
    cloud.create(HOOK, name="ready", autoscalingGroupName="pool", lifecycleTransition=LAUNCHING)
    cloud.create(POLICY, **step({"scalingAdjustment": 1, "metricIntervalLowerBound": "0"}))
    cloud.delete(made)
    assert cloud.all(HOOK) == []
    assert cloud.all(POLICY) == []


def step(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    base = {
        "name": "out", "autoscalingGroupName": "pool", "policyType": "StepScaling",
        "adjustmentType": "ChangeInCapacity",
        "stepAdjustments": list(steps),
    }  # fmt: skip
    return {k: v for k, v in {**base, **changes}.items() if v is not None}


def interval(low: str | None, high: str | None, adjustment: int = 1) -> dict[str, Any]:
    bounds = {"metricIntervalLowerBound": low, "metricIntervalUpperBound": high}
    return {"scalingAdjustment": adjustment, **{k: v for k, v in bounds.items() if v is not None}}


def test_a_policy_gets_an_arn_that_names_group_and_policy(cloud: MemoryCloud) -> None:
    group(cloud)
    made = cloud.create(POLICY, **step(interval("0", "1"), interval("1", None, 2)))
    assert made["arn"].startswith("arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:")
    assert made["arn"].endswith(":autoScalingGroupName/pool:policyName/out")
    assert made["metricAggregationType"] == "Average"


def test_putting_a_policy_again_keeps_its_arn(cloud: MemoryCloud) -> None:
    group(cloud)
    first = cloud.create(POLICY, **step(interval("0", None)))
    assert cloud.create(POLICY, **step(interval("0", None, 2)))["arn"] == first["arn"]


def test_a_policy_of_a_group_that_does_not_exist_is_refused(cloud: MemoryCloud) -> None:
    assert "ValidationError" in refusal(cloud, POLICY, **step(interval("0", None)))


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ([interval("0", "2"), interval("1", None)], "overlaps with the step before it"),
        ([interval("0", "1"), interval("2", None)], "leaves a gap"),
        ([interval("2", "1")], "must be below the upper bound"),
        ([interval("-2", "0")], "with a negative lower bound there must be a step without a lower bound"),
        ([interval("0", "2")], "with a positive upper bound there must be a step without an upper bound"),
        ([interval("zero", None)], "expected a number as text"),
    ],
)
def test_step_adjustments_neither_overlap_nor_leave_a_gap(cloud: MemoryCloud, steps: list[Any], fault: str) -> None:
    assert any(fault in line for line in cloud.faults(POLICY, **step(*steps)))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"stepAdjustments": None}, "stepAdjustments: is required for policyType StepScaling"),
        ({"adjustmentType": None}, "adjustmentType: is required for policyType StepScaling"),
        ({"cooldown": 300}, "cooldown: is not for policyType StepScaling"),
        ({"scalingAdjustment": 1}, "scalingAdjustment: is not for policyType StepScaling"),
        ({"policyType": "SimpleScaling"}, "scalingAdjustment: is required for policyType SimpleScaling"),
        ({"policyType": "TargetTrackingScaling"}, "targetTrackingConfiguration: is required"),
        ({"policyType": "Magic"}, "policyType: expected one of"),
        ({"adjustmentType": "Double"}, "adjustmentType: expected one of"),
        ({"minAdjustmentMagnitude": 2}, "minAdjustmentMagnitude: is only for adjustmentType PercentChangeInCapacity"),
        (
            {"adjustmentType": "ExactCapacity", "stepAdjustments": [interval("0", None, -1)]},
            "stepAdjustments[0].scalingAdjustment",
        ),
        ({"metricAggregationType": "Median"}, "metricAggregationType: expected one of"),
    ],
)
def test_each_type_of_policy_takes_its_own_fields(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    faults = cloud.faults(POLICY, **step(interval("0", None), **changes) | {k: v for k, v in changes.items() if v})
    assert any(line.startswith(fault) for line in faults), faults


def test_target_tracking_takes_one_metric(cloud: MemoryCloud) -> None:
    base = {"name": "cpu", "autoscalingGroupName": "pool", "policyType": "TargetTrackingScaling"}
    predefined = {"predefinedMetricType": "ASGAverageCPUUtilization"}
    good = {"targetValue": 65, "predefinedMetricSpecification": predefined}
    assert cloud.faults(POLICY, **base, targetTrackingConfiguration=good) == []
    assert cloud.faults(POLICY, **base, targetTrackingConfiguration={"targetValue": 65})
    bad = {"targetValue": 1, "predefinedMetricSpecification": {"predefinedMetricType": "ALBRequestCountPerTarget"}}
    assert any("resourceLabel: is required" in f for f in cloud.faults(POLICY, **base, targetTrackingConfiguration=bad))


def test_two_groups_may_have_hooks_of_the_same_name(cloud: MemoryCloud) -> None:
    group(cloud)
    group(cloud, name="other")
    first = cloud.create(HOOK, name="ready", autoscalingGroupName="pool", lifecycleTransition=LAUNCHING)
    second = cloud.create(HOOK, name="ready", autoscalingGroupName="other", lifecycleTransition=LAUNCHING)
    assert (first.id, second.id) == ("ready", "other/ready")
    assert first["defaultResult"] == "ABANDON"
    assert first["heartbeatTimeout"] == 3600


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"heartbeatTimeout": 29}, "heartbeatTimeout: expected 30 to 7,200 seconds"),
        ({"heartbeatTimeout": 7201}, "heartbeatTimeout: expected 30 to 7,200 seconds"),
        ({"defaultResult": "RETRY"}, "defaultResult: expected one of ABANDON, CONTINUE"),
        ({"lifecycleTransition": "LAUNCHING"}, "lifecycleTransition: expected one of"),
        ({"name": "a b"}, "name: expected 1 to 255 letters"),
        ({"roleArn": "arn:aws:iam::123456789012:role/x"}, "roleArn: needs notificationTargetArn"),
        ({"notificationTargetArn": "arn:aws:s3:::x"}, "notificationTargetArn: expected the ARN of an SNS topic"),
    ],
)
def test_a_hook_that_the_api_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    base = {"name": "ready", "autoscalingGroupName": "pool", "lifecycleTransition": LAUNCHING}
    assert any(line.startswith(fault) for line in cloud.faults(HOOK, **{**base, **changes}))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"recurrence": "0 8 * *"}, "recurrence: expected five cron fields"),
        ({"timeZone": "Mars/Olympus"}, "timeZone: expected a time zone"),
        ({"minSize": 3, "maxSize": 2}, "minSize: must be at most maxSize"),
        ({"desiredCapacity": None}, "desiredCapacity: one of minSize"),
        ({"startTime": "tomorrow"}, "startTime: expected a UTC time"),
        ({"startTime": "2030-01-02T00:00:00Z", "endTime": "2030-01-01T00:00:00Z"}, "endTime: must be after startTime"),
    ],
)
def test_a_schedule_that_the_api_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    base = {
        "scheduledActionName": "night",
        "autoscalingGroupName": "pool",
        "recurrence": "0 8 * * 1-5",
        "desiredCapacity": 0,
    }
    assert cloud.faults(SCHEDULE, **base) == []
    given = {k: v for k, v in {**base, **changes}.items() if v is not None}
    assert any(line.startswith(fault) for line in cloud.faults(SCHEDULE, **given))


def test_a_schedule_in_the_past_is_refused(cloud: MemoryCloud) -> None:
    group(cloud)
    told = refusal(
        cloud,
        SCHEDULE,
        scheduledActionName="x",
        autoscalingGroupName="pool",
        desiredCapacity=0,
        startTime="2020-01-01T00:00:00Z",
    )
    assert "Given start time is in the past" in told


def test_a_tag_resource_writes_on_the_group(cloud: MemoryCloud) -> None:
    group(cloud)
    tag = cloud.create(
        "aws:autoscaling/tag:Tag",
        autoscalingGroupName="pool",
        tag={"key": "a", "value": "b", "propagateAtLaunch": True},
    )
    assert cloud.get(GROUP, "pool")["tags"] == [{"key": "a", "value": "b", "propagateAtLaunch": True}]  # type: ignore[index]
    cloud.delete(tag)
    assert cloud.get(GROUP, "pool")["tags"] == []  # type: ignore[index]


def test_attachments_and_notifications_name_what_exists(cloud: MemoryCloud) -> None:
    group(cloud)
    assert "ValidationError" in refusal(
        cloud, "aws:autoscaling/attachment:Attachment", autoscalingGroupName="pool",
        lbTargetGroupArn="arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/x/0123456789abcdef",
    )  # fmt: skip
    notification = "aws:autoscaling/notification:Notification"
    topic = "arn:aws:sns:us-east-1:123456789012:t"
    assert any(
        "notifications[0]: expected one of" in f
        for f in cloud.faults(notification, groupNames=["pool"], topicArn=topic, notifications=["LAUNCHED"])
    )
