"""What AWS is asked, and what its answers mean. Requests and answers pass botocore's own model of the API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import ANY

from infra.sections import Image
from spillway.preflight.aws_region.facts import Bucket, Identity, Key, Owned, Score, SpotPrice
from spillway.preflight.model import Unanswered
from tests.unit.preflight.stubs import Error, answering

TAGS = [{"Key": "Name", "Value": "x"}, {"Key": "spillway:stack", "Value": "aws-us-east-1"}]
WHO = {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/me", "UserId": "AIDA"}


def test_who_asks() -> None:
    with answering(("sts", "get_caller_identity", {}, WHO)) as account:
        assert account.identity() == Identity("123456789012", "arn:aws:iam::123456789012:user/me")
        assert account.identity() == account.identity(), "asked once"


def test_quotas_are_the_applied_ones_over_all_pages_and_aws_defaults_for_the_rest() -> None:
    def quota(code: str, value: float) -> dict[str, Any]:
        return {"QuotaCode": code, "QuotaName": f"name of {code}", "Value": value, "Adjustable": True}

    with answering(
        ("service-quotas", "list_service_quotas", {"ServiceCode": "ec2"},
         {"Quotas": [quota("L-1", 192)], "NextToken": "more"}),
        ("service-quotas", "list_service_quotas", {"ServiceCode": "ec2", "NextToken": "more"},
         {"Quotas": [quota("L-2", 5), {"QuotaCode": "L-9", "QuotaName": "broken",
                                       "ErrorReason": {"ErrorCode": "DEPENDENCY_ACCESS_DENIED_ERROR"}}]}),
        ("service-quotas", "list_aws_default_service_quotas", {"ServiceCode": "ec2"},
         {"Quotas": [quota("L-1", 0), quota("L-3", 7)]}),
    ) as account:  # fmt: skip
        found = {quota.code: quota.value for quota in account.quotas("ec2")}
    assert found == {"L-1": 192, "L-2": 5, "L-3": 7}


def test_defaults_that_may_not_be_listed_leave_the_applied_quotas() -> None:
    with answering(
        ("service-quotas", "list_service_quotas", None, {"Quotas": []}),
        ("service-quotas", "list_aws_default_service_quotas", None, Error("AccessDeniedException")),
    ) as account:
        assert account.quotas("ebs") == []


def test_zones_are_availability_zones_with_their_opt_in() -> None:
    def zone(name: str, opt: str, kind: str = "availability-zone") -> dict[str, Any]:
        return {"ZoneName": name, "ZoneId": "id", "State": "available", "OptInStatus": opt, "ZoneType": kind}

    listed = [zone("us-east-1a", "opt-in-not-required"), zone("us-east-1-bos-1a", "not-opted-in", "local-zone"),
              zone("us-east-1x", "not-opted-in")]  # fmt: skip
    with answering(
        ("ec2", "describe_availability_zones", {"AllAvailabilityZones": True}, {"AvailabilityZones": listed})
    ) as account:
        assert [(z.name, z.opted) for z in account.zones()] == [("us-east-1a", True), ("us-east-1x", False)]


def test_offerings_are_asked_by_zone_for_the_pools_types() -> None:
    def offer(name: str, zone: str) -> dict[str, Any]:
        return {"InstanceType": name, "Location": zone, "LocationType": "availability-zone"}

    wanted = {
        "LocationType": "availability-zone",
        "Filters": [{"Name": "instance-type", "Values": ["p4d.24xlarge", "p5.48xlarge"]}],
    }
    listed = [offer("p4d.24xlarge", "us-east-1a"), offer("p4d.24xlarge", "us-east-1b")]
    with answering(("ec2", "describe_instance_type_offerings", wanted, {"InstanceTypeOfferings": listed})) as account:
        assert account.offerings(("p4d.24xlarge", "p5.48xlarge")) == {
            "p4d.24xlarge": {"us-east-1a", "us-east-1b"},
            "p5.48xlarge": frozenset(),
        }


def test_running_instances_tell_market_size_and_stack() -> None:
    def instance(id: str, **more: Any) -> dict[str, Any]:
        cpu = {"CoreCount": 48, "ThreadsPerCore": 2}
        return {"InstanceId": id, "InstanceType": "p4d.24xlarge", "CpuOptions": cpu,
                "Placement": {"AvailabilityZone": "us-east-1a"}, **more}  # fmt: skip

    pages = [
        instance("i-1", InstanceLifecycle="spot", Tags=TAGS),
        instance("i-2"),
        instance("i-3", InstanceLifecycle="capacity-block", CapacityReservationId="cr-1"),
    ]
    filters = {"Filters": [{"Name": "instance-state-name", "Values": ["pending", "running"]}]}
    with answering(("ec2", "describe_instances", filters, {"Reservations": [{"Instances": pages}]})) as account:
        found = [(one.market, one.vcpus, one.stack, one.reservation) for one in account.running()]
    assert found == [
        ("spot", 96, "aws-us-east-1", ""), ("on-demand", 96, "", ""), ("capacity-block", 96, "", "cr-1"),
    ]  # fmt: skip


IMAGE = {
    "ImageId": "ami-0123456789abcdef0",
    "Name": "spillway-vllm-2026.11.1",
    "OwnerId": "123456789012",
    "State": "available",
    "Architecture": "x86_64",
    "RootDeviceName": "/dev/sda1",
    "RootDeviceType": "ebs",
    "CreationDate": "2026-11-18T09:30:05.000Z",
    "DeprecationTime": "2027-11-18T09:30:05.000Z",
    "EnaSupport": True,
    "BlockDeviceMappings": [
        {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 60}},
        {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 500}},
    ],
}


def test_an_image_by_version_is_looked_for_as_the_program_does_and_among_own_images_only() -> None:
    wanted = {
        "Filters": [
            {"Name": "tag:spillway:family", "Values": ["spillway-vllm"]},
            {"Name": "state", "Values": ["available"]},
            {"Name": "tag:spillway:version", "Values": ["2026.11.1"]},
        ],
        "IncludeDeprecated": True,
        "Owners": ["self"],
    }
    older = {**IMAGE, "ImageId": "ami-1", "CreationDate": "2026-01-18T09:30:05.000Z"}
    with answering(("ec2", "describe_images", wanted, {"Images": [older, IMAGE]})) as account:
        image = Image.model_validate({"family": "spillway-vllm", "version": "2026.11.1"})
        newest, _ = account.images(image)
    assert (newest.id, newest.root_gib, newest.ena) == ("ami-0123456789abcdef0", 60, True)
    assert newest.created == datetime(2026, 11, 18, 9, 30, 5, tzinfo=UTC)
    assert newest.deprecated == datetime(2027, 11, 18, 9, 30, 5, tzinfo=UTC)


def test_an_image_by_id_may_be_anybodys() -> None:
    wanted = {"Filters": [{"Name": "image-id", "Values": ["ami-0123456789abcdef0"]}], "IncludeDeprecated": True}
    with answering(("ec2", "describe_images", wanted, {"Images": []})) as account:
        assert account.images(Image.model_validate({"id": "ami-0123456789abcdef0"})) == []


def test_a_secret_tells_whether_it_has_a_current_value() -> None:
    there = {"Name": "s", "Tags": TAGS, "VersionIdsToStages": {"v" * 32: ["AWSCURRENT"]}}
    empty = {"Name": "s", "DeletedDate": datetime(2026, 11, 1, tzinfo=UTC)}
    gone = Error("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    with answering(
        ("secretsmanager", "describe_secret", {"SecretId": "full"}, there),
        ("secretsmanager", "describe_secret", {"SecretId": "empty"}, empty),
        ("secretsmanager", "describe_secret", {"SecretId": "none"}, gone),
    ) as account:
        full, bare = account.secret("full"), account.secret("empty")
        assert full is not None
        assert bare is not None
        assert (full.has_value, full.stack, bare.has_value) == (True, "aws-us-east-1", False)
        assert bare.deleted == datetime(2026, 11, 1, tzinfo=UTC)
        assert account.secret("none") is None


def test_a_value_is_read_as_text_or_not_at_all() -> None:
    with answering(
        ("secretsmanager", "get_secret_value", {"SecretId": "s"}, {"SecretString": "text"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "s"}, {"SecretBinary": b"bytes"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "s"}, Error(
            "AccessDeniedException",
            "User: arn:aws:iam::123456789012:user/me is not authorized to perform: secretsmanager:GetSecretValue on "
            "resource: s because no identity-based policy allows it",
        )),
    ) as account:  # fmt: skip
        assert account.secret_value("s") == "text"
        with pytest.raises(Unanswered, match="kept as bytes"):
            account.secret_value("s")
        with pytest.raises(Unanswered, match=r"^denied: secretsmanager:GetSecretValue$"):
            account.secret_value("s")


def test_placement_scores_are_asked_for_regions_and_for_zones_with_the_same_types() -> None:
    types = ["p4d.24xlarge", "p4de.24xlarge", "p5.48xlarge"]

    def question(single: bool) -> dict[str, Any]:
        return {"InstanceTypes": types, "TargetCapacity": 2, "TargetCapacityUnitType": "units",
                "SingleAvailabilityZone": single, "RegionNames": ["us-east-1", "us-west-2"]}  # fmt: skip

    with answering(
        ("ec2", "get_spot_placement_scores", question(False),
         {"SpotPlacementScores": [{"Region": "us-east-1", "Score": 3}, {"Region": "us-west-2", "Score": 7}]}),
        ("ec2", "get_spot_placement_scores", question(True),
         {"SpotPlacementScores": [{"Region": "us-east-1", "AvailabilityZoneId": "use1-az1", "Score": 9}]}),
    ) as account:  # fmt: skip
        assert account.scores(tuple(types), 2, ("us-east-1", "us-west-2")) == [
            Score("us-east-1", "", 3), Score("us-west-2", "", 7), Score("us-east-1", "use1-az1", 9),
        ]  # fmt: skip


def test_too_many_questions_for_scores_in_a_day_leave_the_score_open() -> None:
    refused = Error("MaxConfigLimitExceeded", "You have exceeded your maximum allowed Spot placement configurations.")
    with (
        answering(("ec2", "get_spot_placement_scores", None, refused)) as account,
        pytest.raises(Unanswered, match="maximum allowed Spot placement configurations"),
    ):
        account.scores(("a", "b", "c"), 1, ("us-east-1",))


def test_of_several_spot_prices_the_latest_counts() -> None:
    def price(usd: str, hour: int) -> dict[str, Any]:
        return {"InstanceType": "p4d.24xlarge", "AvailabilityZone": "us-east-1a", "SpotPrice": usd,
                "ProductDescription": "Linux/UNIX", "Timestamp": datetime(2026, 11, 26, hour, tzinfo=UTC)}  # fmt: skip

    wanted = {"InstanceTypes": ["p4d.24xlarge"], "ProductDescriptions": ["Linux/UNIX"], "StartTime": ANY}
    listed = {"SpotPriceHistory": [price("9.1", 3), price("9.9", 5), price("8.0", 1)]}
    with answering(("ec2", "describe_spot_price_history", wanted, listed)) as account:
        assert account.spot_prices(("p4d.24xlarge",)) == [SpotPrice("p4d.24xlarge", "us-east-1a", "9.9")]


def test_what_counts_against_quotas_is_counted_with_its_stack() -> None:
    nat = {"NatGatewayId": "nat-1", "SubnetId": "subnet-1", "Tags": TAGS}
    states = {"Filters": [{"Name": "state", "Values": ["pending", "available", "deleting"]}]}
    with answering(
        ("ec2", "describe_addresses", {},
         {"Addresses": [{"AllocationId": "e-1", "Tags": TAGS}, {"PublicIp": "1.2.3.4"}]}),
        ("ec2", "describe_subnets", {}, {"Subnets": [{"SubnetId": "subnet-1", "AvailabilityZone": "us-east-1b"}]}),
        ("ec2", "describe_nat_gateways", states, {"NatGateways": [nat]}),
        ("ec2", "describe_vpcs", {}, {"Vpcs": [{"VpcId": "vpc-1"}]}),
        ("ec2", "describe_internet_gateways", {}, {"InternetGateways": [{"InternetGatewayId": "igw-1"}]}),
        ("ec2", "describe_volumes", {"Filters": [{"Name": "volume-type", "Values": ["gp3"]}]},
         {"Volumes": [{"Size": 100, "Tags": TAGS}, {"Size": 30}]}),
        ("elbv2", "describe_load_balancers", {}, {"LoadBalancers": [
            {"LoadBalancerName": "n", "Type": "network"}, {"LoadBalancerName": "a", "Type": "application"}]}),
        ("elbv2", "describe_target_groups", {}, {"TargetGroups": [{"TargetGroupName": "t"}]}),
    ) as account:  # fmt: skip
        assert account.addresses() == [Owned("e-1", "aws-us-east-1"), Owned("1.2.3.4", "")]
        assert account.nat_gateways() == [Owned("nat-1", "aws-us-east-1", "us-east-1b")]
        assert (account.networks(), account.internet_gateways()) == ([Owned("vpc-1", "")], [Owned("igw-1", "")])
        assert account.gp3_gib("aws-us-east-1") == 30
        assert account.balancers() == [Owned("n", "")]
        assert account.target_groups() == [Owned("t", "")]


def test_reservations_leave_out_what_is_over() -> None:
    def reservation(id: str, state: str, **more: Any) -> dict[str, Any]:
        return {"CapacityReservationId": id, "OwnerId": "1", "InstanceType": "p5.48xlarge", "State": state,
                "AvailabilityZone": "us-east-1a", "TotalInstanceCount": 2, "AvailableInstanceCount": 1,
                **more}  # fmt: skip

    end = datetime(2026, 12, 1, 11, 30, tzinfo=UTC)
    listed = [
        reservation("cr-1", "active"),
        reservation("cr-2", "expired"),
        reservation("cr-3", "scheduled", ReservationType="capacity-block", EndDate=end),
    ]
    with answering(("ec2", "describe_capacity_reservations", {}, {"CapacityReservations": listed})) as account:
        assert [(r.id, r.block, r.end) for r in account.reservations()] == [("cr-1", False, None), ("cr-3", True, end)]


# Names


@pytest.mark.parametrize(
    ("kind", "service", "operation", "parameters", "answer", "free"),
    [
        ("launch template", "ec2", "describe_launch_templates", {"LaunchTemplateNames": ["node"]},
         {"LaunchTemplates": [{"LaunchTemplateId": "lt-1", "Tags": TAGS}]},
         Error("InvalidLaunchTemplateName.NotFoundException")),
        ("auto scaling group", "autoscaling", "describe_auto_scaling_groups", {"AutoScalingGroupNames": ["node"]},
         {"AutoScalingGroups": [{"AutoScalingGroupName": "n", "MinSize": 0, "MaxSize": 1, "DesiredCapacity": 0,
                                 "DefaultCooldown": 1, "AvailabilityZones": ["a"], "HealthCheckType": "EC2",
                                 "CreatedTime": datetime(2026, 1, 1, tzinfo=UTC), "Tags": TAGS}]},
         {"AutoScalingGroups": []}),
        ("role", "iam", "get_role", {"RoleName": "node"},
         {"Role": {"RoleName": "n", "Arn": "arn:aws:iam::123456789012:role/n", "Path": "/", "RoleId": "A" * 16,
                   "CreateDate": datetime(2026, 1, 1, tzinfo=UTC), "Tags": TAGS}},
         Error("NoSuchEntity", status=404)),
    ],
)  # fmt: skip
def test_who_holds_a_name(
    kind: Any, service: str, operation: str, parameters: dict[str, Any], answer: dict[str, Any], free: Any
) -> None:
    with answering((service, operation, parameters, answer)) as account:
        holder = account.holder(kind, "node")
        assert holder is not None
        assert holder.stack == "aws-us-east-1"
    with answering((service, operation, parameters, free)) as account:
        assert account.holder(kind, "node") is None


@pytest.mark.parametrize(
    ("kind", "operation", "items", "arn"),
    [
        ("load balancer", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
        ("target group", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    ],
)
def test_balancers_and_target_groups_have_their_tags_elsewhere(kind: Any, operation: str, items: str, arn: str) -> None:
    tags = {"TagDescriptions": [{"ResourceArn": "arn:x", "Tags": TAGS}]}
    with answering(
        ("elbv2", operation, {"Names": ["node"]}, {items: [{arn: "arn:x"}]}),
        ("elbv2", "describe_tags", {"ResourceArns": ["arn:x"]}, tags),
    ) as account:
        assert account.holder(kind, "node") == Owned("arn:x", "aws-us-east-1")
    code = items.removesuffix("s") + "NotFound"
    with answering(("elbv2", operation, {"Names": ["node"]}, Error(code))) as account:
        assert account.holder(kind, "node") is None


# Roles, keys, the bucket

ROLE = {"Role": {"RoleName": "r", "Arn": "arn:aws:iam::123456789012:role/r", "Path": "/", "RoleId": "A" * 16,
                 "CreateDate": datetime(2026, 1, 1, tzinfo=UTC)}}  # fmt: skip


def test_service_linked_roles_are_there_or_not() -> None:
    with answering(
        ("iam", "get_role", {"RoleName": "AWSServiceRoleForEC2Spot"}, ROLE),
        ("iam", "get_role", {"RoleName": "AWSServiceRoleForAutoScaling"}, Error("NoSuchEntity", status=404)),
    ) as account:
        assert account.service_role("AWSServiceRoleForEC2Spot")
        assert not account.service_role("AWSServiceRoleForAutoScaling")


def key_calls(*calls: Any, id: str = "arn:aws:kms:us-east-1:123456789012:key/k", manager: str = "CUSTOMER") -> Any:
    about = {"KeyMetadata": {"KeyId": "k", "KeyManager": manager, "KeyState": "Enabled"}}
    default: Any = ("ec2", "get_ebs_default_kms_key_id", {}, {"KmsKeyId": id})
    return answering(default, ("kms", "describe_key", {"KeyId": id}, about), *calls)


def test_the_default_key_and_whether_auto_scaling_may_use_it() -> None:
    role = "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    denied = Error("AccessDeniedException")
    policy = ("kms", "get_key_policy", {"KeyId": "k", "PolicyName": "default"})
    grants = ("kms", "list_grants", {"KeyId": "k"})
    nothing: dict[str, list[Any]] = {"Grants": []}
    for answers, scaling in (
        ([(*policy, {"Policy": f'{{"AWS": "{role}"}}'})], True),
        ([(*policy, {"Policy": "{}"}), (*grants, {"Grants": [{"GranteePrincipal": role}]})], True),
        ([(*policy, {"Policy": "{}"}), (*grants, nothing)], False),
        ([(*policy, denied), (*grants, nothing)], None),
    ):
        with key_calls(*answers) as account:
            assert account.default_key().scaling is scaling
    with key_calls(manager="AWS", id="alias/aws/ebs") as account:
        assert account.default_key() == Key("alias/aws/ebs", "Enabled", "AWS", True)


def test_awss_own_key_may_not_be_made_yet() -> None:
    with answering(
        ("ec2", "get_ebs_default_kms_key_id", {}, {"KmsKeyId": "alias/aws/ebs"}),
        ("kms", "describe_key", {"KeyId": "alias/aws/ebs"}, Error("NotFoundException")),
    ) as account:
        assert account.default_key() == Key("alias/aws/ebs", "none yet", "AWS", True)


HEAD = ("s3", "head_bucket", {"Bucket": "b"})
TAGGING = ("s3", "get_bucket_tagging", {"Bucket": "b"})


@pytest.mark.parametrize(
    ("calls", "bucket"),
    [
        ([(*HEAD, Error("404", status=404))], Bucket("nobody")),
        ([(*HEAD, {"BucketRegion": "us-east-1"}), (*TAGGING, {"TagSet": TAGS})],
         Bucket("this account", "us-east-1", "aws-us-east-1")),
        ([(*HEAD, {"BucketRegion": "eu-west-1"}), (*TAGGING, Error("NoSuchTagSet", status=404))],
         Bucket("this account", "eu-west-1", "")),
        ([(*HEAD, Error("403", "Forbidden", 403)), ("s3", "list_buckets", {"Prefix": "b"}, {"Buckets": []})],
         Bucket("somebody else")),
        ([(*HEAD, Error("403", "Forbidden", 403)),
          ("s3", "list_buckets", {"Prefix": "b"},
           {"Buckets": [{"Name": "b2"}, {"Name": "b", "BucketRegion": "us-east-1"}]}),
          (*TAGGING, {"TagSet": TAGS})], Bucket("this account", "us-east-1", "aws-us-east-1")),
    ],
)  # fmt: skip
def test_whose_the_buckets_name_is(calls: list[Any], bucket: Bucket) -> None:
    with answering(*calls) as account:
        assert account.bucket("b") == bucket


def test_a_forbidden_bucket_without_the_right_to_list_ones_own_stays_open() -> None:
    with (
        answering(
            (*HEAD, Error("403", "Forbidden", 403)), ("s3", "list_buckets", None, Error("AccessDenied"))
        ) as account,
        pytest.raises(Unanswered, match=r"^denied: s3:ListAllMyBuckets$"),
    ):
        account.bucket("b")


def test_an_object_is_there_missing_or_not_to_be_seen() -> None:
    head = ("s3", "head_object", {"Bucket": "b", "Key": "k"})
    with answering((*head, {})) as account:
        assert account.has_object("b", "k")
    with answering((*head, Error("404", "Not Found", 404))) as account:
        assert not account.has_object("b", "k")
    with (
        answering((*head, Error("403", "Forbidden", 403))) as account,
        pytest.raises(Unanswered, match=r"^denied: s3:GetObject$"),
    ):
        account.has_object("b", "k")
