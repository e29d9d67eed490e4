"""A real AWS account and region as a preflight asks it; read-only calls. See facts.Account.

Needs, each for its own rows only (docs/preflight.md has the policy): sts:GetCallerIdentity,
servicequotas:ListServiceQuotas, servicequotas:ListAWSDefaultServiceQuotas, ec2:Describe*, ec2:GetSpotPlacementScores,
ec2:GetEbsDefaultKmsKeyId, autoscaling:DescribeAutoScalingGroups, elasticloadbalancing:DescribeLoadBalancers,
elasticloadbalancing:DescribeTargetGroups, elasticloadbalancing:DescribeTags, iam:GetRole, kms:DescribeKey,
kms:GetKeyPolicy, kms:ListGrants, s3:ListBucket, s3:ListAllMyBuckets, s3:GetBucketTagging, s3:GetObject,
secretsmanager:DescribeSecret, and, only for the content of the secrets, secretsmanager:GetSecretValue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import ClientError

from spillway.preflight.aws_calls import CONFIG, INVALID, answered, code_of, pages
from spillway.preflight.aws_region.answers import image_of, quota_of, stack_of
from spillway.preflight.aws_region.facts import (
    Bucket,
    Identity,
    Key,
    MachineImage,
    Market,
    NameKind,
    Owned,
    Quota,
    Reservation,
    Running,
    Score,
    Secret,
    SpotPrice,
    Zone,
)
from spillway.preflight.aws_region.names import NameHolders
from spillway.preflight.model import Asker, Unanswered, Unreachable, once

if TYPE_CHECKING:
    from infra.sections import Image

Json = Mapping[str, Any]

_EVERYWHERE: Final = "us-east-1"
"""A region that no account can disable."""
_SCALING_ROLE: Final = "AWSServiceRoleForAutoScaling"
_MARKETS: Final[Mapping[str, Market]] = {"spot": "spot", "capacity-block": "capacity-block"}
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CapacityReservation.html (State)
_GONE: Final = frozenset(("expired", "cancelled"))


class AwsAccount(Asker):
    """One account and region. `session` brings the credentials."""

    stand_in = False

    def __init__(self, session: boto3.Session, region: str) -> None:
        super().__init__()
        self._session, self.region = session, region
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str | None = None) -> Any:
        """The service's client, made once; tests put stubbed ones here."""
        key = (service, region or self.region)
        if key not in self._clients:
            with answered(service, key[1]):
                self._clients[key] = self._session.client(service, region_name=key[1], config=CONFIG)
        return self._clients[key]

    def _list(self, service: str, operation: str, items: str, **arguments: Any) -> list[Json]:
        with answered(service, self.region):
            return list(pages(self.client(service), operation, items, **arguments))

    # Who, and how much

    @once
    def identity(self) -> Identity:
        try:
            found = self._caller(self.region)
        except Unanswered as error:
            hint = "" if self.region in self._session.get_available_regions("ec2") else f"; is there a {self.region}?"
            raise Unreachable(f"AWS, {self.region}: {error.reason}{hint}") from None
        return Identity(found["Account"], found["Arn"])

    def _caller(self, region: str) -> Json:
        with answered("sts", region):
            try:
                found: Json = self.client("sts", region).get_caller_identity()
                return found
            except ClientError as error:
                if code_of(error) in INVALID and region != _EVERYWHERE:
                    # A region that is not enabled knows no credentials: valid ones are called invalid there.
                    # https://docs.aws.amazon.com/general/latest/gr/rande-manage.html
                    account = self._caller(_EVERYWHERE)["Account"]
                    raise Unreachable(
                        f"AWS: region {region} is not enabled for account {account}: "
                        f"aws account enable-region --region-name {region}"
                    ) from None
                raise

    @once
    def quotas(self, service: str) -> Sequence[Quota]:
        # The list of applied quotas leaves out those that were never changed in some regions: AWS's defaults fill in.
        # https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html
        applied = self._list("service-quotas", "list_service_quotas", "Quotas", ServiceCode=service)
        try:
            defaults = self._list("service-quotas", "list_aws_default_service_quotas", "Quotas", ServiceCode=service)
        except Unanswered:
            defaults = []
        found = {item["QuotaCode"]: quota_of(service, item) for item in [*defaults, *applied] if "Value" in item}
        return list(found.values())

    # Places

    @once
    def zones(self) -> Sequence[Zone]:
        found = self._list("ec2", "describe_availability_zones", "AvailabilityZones", AllAvailabilityZones=True)
        return [
            Zone(z["ZoneName"], z.get("ZoneId", ""), z.get("State", ""), z.get("OptInStatus") != "not-opted-in")
            for z in found
            if z.get("ZoneType", "availability-zone") == "availability-zone"
        ]

    @once
    def offerings(self, types: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
        filters = [{"Name": "instance-type", "Values": list(types)}]
        found = self._list(
            "ec2",
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType="availability-zone",
            Filters=filters,
        )
        return {name: frozenset(item["Location"] for item in found if item["InstanceType"] == name) for name in types}

    def sold_out(self, types: tuple[str, ...], zones: tuple[str, ...]) -> Sequence[tuple[str, str, Market]]:
        raise Unanswered("only a launch tells what is sold out")

    @once
    def running(self) -> Sequence[Running]:
        # What is shutting down still counts until it has stopped:
        # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-lifecycle.html
        filters = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        found = self._list("ec2", "describe_instances", "Reservations", Filters=filters)
        return [
            Running(
                id=one["InstanceId"],
                machine_type=one["InstanceType"],
                market=_MARKETS.get(one.get("InstanceLifecycle", ""), "on-demand"),
                zone=one.get("Placement", {}).get("AvailabilityZone", ""),
                vcpus=one.get("CpuOptions", {}).get("CoreCount", 0)
                * one.get("CpuOptions", {}).get("ThreadsPerCore", 1),
                stack=stack_of(one.get("Tags")),
                reservation=one.get("CapacityReservationId", ""),
            )
            for reservation in found
            for one in reservation.get("Instances") or []
        ]

    @once
    def images(self, image: Image) -> Sequence[MachineImage]:
        from infra.aws.lookups import image_filters

        filters = [{"Name": name, "Values": [value]} for name, value in image_filters(image).items()]
        # By tag only the account's own images are trusted: anybody can publish one with these tags.
        owners = {} if image.id is not None else {"Owners": ["self"]}
        found = self._list("ec2", "describe_images", "Images", Filters=filters, IncludeDeprecated=True, **owners)
        return sorted(map(image_of, found), key=lambda one: one.created, reverse=True)

    # Secrets

    @once
    def secret(self, name: str) -> Secret | None:
        with answered("secretsmanager", self.region):
            try:
                found = self.client("secretsmanager").describe_secret(SecretId=name)
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    return None
                raise
        stages = found.get("VersionIdsToStages") or {}
        has_value = any("AWSCURRENT" in labels for labels in stages.values())
        return Secret(name, has_value, stack_of(found.get("Tags")), found.get("DeletedDate"))

    def secret_value(self, name: str) -> str:
        """Not remembered: a key in memory is one more place where it may be found."""
        with answered("secretsmanager", self.region):
            found = self.client("secretsmanager").get_secret_value(SecretId=name)
        value = found.get("SecretString")
        if value is None:
            raise Unanswered("it is kept as bytes, not as text")
        return str(value)

    # The spot market

    @once
    def scores(self, types: tuple[str, ...], capacity: int, regions: tuple[str, ...]) -> Sequence[Score]:
        found: list[Json] = []
        for single in (False, True):
            found += self._list(
                "ec2",
                "get_spot_placement_scores",
                "SpotPlacementScores",
                InstanceTypes=list(types),
                TargetCapacity=capacity,
                TargetCapacityUnitType="units",
                SingleAvailabilityZone=single,
                RegionNames=list(regions),
            )
        return [Score(s["Region"], s.get("AvailabilityZoneId", ""), s["Score"]) for s in found]

    @once
    def spot_prices(self, types: tuple[str, ...]) -> Sequence[SpotPrice]:
        # With the present as start, each type and zone comes once, with the price in force.
        # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html (StartTime)
        found = self._list(
            "ec2",
            "describe_spot_price_history",
            "SpotPriceHistory",
            InstanceTypes=list(types),
            ProductDescriptions=["Linux/UNIX"],
            StartTime=datetime.now(UTC).replace(microsecond=0),
        )
        latest: dict[tuple[str, str], Json] = {}
        for item in found:
            key = (item["InstanceType"], item["AvailabilityZone"])
            if key not in latest or item["Timestamp"] > latest[key]["Timestamp"]:
                latest[key] = item
        return [SpotPrice(name, zone, item["SpotPrice"]) for (name, zone), item in latest.items()]

    # What counts against quotas

    @once
    def addresses(self) -> Sequence[Owned]:
        found = self._list("ec2", "describe_addresses", "Addresses")
        return [Owned(a.get("AllocationId", a.get("PublicIp", "")), stack_of(a.get("Tags"))) for a in found]

    @once
    def nat_gateways(self) -> Sequence[Owned]:
        places = {s["SubnetId"]: s["AvailabilityZone"] for s in self._list("ec2", "describe_subnets", "Subnets")}
        # https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html: these states count
        states = [{"Name": "state", "Values": ["pending", "available", "deleting"]}]
        found = self._list("ec2", "describe_nat_gateways", "NatGateways", Filters=states)
        return [Owned(g["NatGatewayId"], stack_of(g.get("Tags")), places.get(g.get("SubnetId", ""), "")) for g in found]

    @once
    def networks(self) -> Sequence[Owned]:
        return [Owned(v["VpcId"], stack_of(v.get("Tags"))) for v in self._list("ec2", "describe_vpcs", "Vpcs")]

    @once
    def internet_gateways(self) -> Sequence[Owned]:
        found = self._list("ec2", "describe_internet_gateways", "InternetGateways")
        return [Owned(g["InternetGatewayId"], stack_of(g.get("Tags"))) for g in found]

    @once
    def balancers(self) -> Sequence[Owned]:
        found = self._list("elbv2", "describe_load_balancers", "LoadBalancers")
        return [Owned(b["LoadBalancerName"], "") for b in found if b.get("Type") == "network"]

    @once
    def target_groups(self) -> Sequence[Owned]:
        return [Owned(t["TargetGroupName"], "") for t in self._list("elbv2", "describe_target_groups", "TargetGroups")]

    @once
    def holder(self, kind: NameKind, name: str) -> Owned | None:
        return NameHolders(self.client, self.region).holder(kind, name)

    @once
    def gp3_gib(self, besides: str) -> int:
        filters = [{"Name": "volume-type", "Values": ["gp3"]}]
        found = self._list("ec2", "describe_volumes", "Volumes", Filters=filters)
        return sum(v.get("Size", 0) for v in found if stack_of(v.get("Tags")) != besides)

    @once
    def reservations(self) -> Sequence[Reservation]:
        return [
            Reservation(
                id=r["CapacityReservationId"],
                owner=r.get("OwnerId", ""),
                machine_type=r["InstanceType"],
                zone=r.get("AvailabilityZone", ""),
                total=r.get("TotalInstanceCount", 0),
                available=r.get("AvailableInstanceCount", 0),
                state=r.get("State", ""),
                match=r.get("InstanceMatchCriteria", ""),
                block=r.get("ReservationType") == "capacity-block",
                end=r.get("EndDate"),
            )
            for r in self._list("ec2", "describe_capacity_reservations", "CapacityReservations")
            if r.get("State") not in _GONE
        ]

    # Roles, keys, the bucket

    @once
    def service_role(self, name: str) -> bool:
        with answered("iam", self.region):
            try:
                self.client("iam").get_role(RoleName=name)
            except ClientError as error:
                if code_of(error) in ("NoSuchEntity", "NoSuchEntityException"):
                    return False
                raise
        return True

    @once
    def default_key(self) -> Key:
        with answered("ec2", self.region):
            id = self.client("ec2").get_ebs_default_kms_key_id()["KmsKeyId"]
        with answered("kms", self.region):
            try:
                found = self.client("kms").describe_key(KeyId=id)["KeyMetadata"]
            except ClientError as error:
                if code_of(error) == "NotFoundException" and str(id).endswith("alias/aws/ebs"):
                    return Key(id, "none yet", "AWS", True)  # AWS makes it with the first encrypted volume
                raise
        manager, state = found.get("KeyManager", "CUSTOMER"), found.get("KeyState", "")
        scaling = True if manager == "AWS" else self._key_serves_scaling(found["KeyId"])
        return Key(id, state, manager, scaling)

    def _key_serves_scaling(self, key: str) -> bool | None:
        """Whether the key's policy or a grant names Auto Scaling's role; None when neither could be looked at."""
        unseen = 0
        try:
            with answered("kms", self.region):
                policy = self.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
            if _SCALING_ROLE in policy:
                return True
        except Unanswered:
            unseen += 1
        try:
            grants = self._list("kms", "list_grants", "Grants", KeyId=key)
            if any(_SCALING_ROLE in grant.get("GranteePrincipal", "") for grant in grants):
                return True
        except Unanswered:
            unseen += 1
        return None if unseen else False

    @once
    def bucket(self, name: str) -> Bucket:
        client = self.client("s3")
        with answered("s3", self.region):
            try:
                found = client.head_bucket(Bucket=name)
            except ClientError as error:
                code = code_of(error)
                if code in ("404", "NoSuchBucket", "NotFound"):
                    return Bucket("nobody")
                if code not in ("403", "301", "400", "AccessDenied", "Forbidden"):
                    raise
                return self._refused_bucket(name, error)
        return Bucket("this account", found.get("BucketRegion", self.region), self._bucket_stack(name))

    def _refused_bucket(self, name: str, refused: ClientError) -> Bucket:
        """403: somebody else's, or our own without the right to look; the list of our own buckets tells which."""
        own = self._list("s3", "list_buckets", "Buckets", Prefix=name)
        mine = next((bucket for bucket in own if bucket["Name"] == name), None)
        if mine is None:
            return Bucket("somebody else")
        return Bucket("this account", mine.get("BucketRegion", ""), self._bucket_stack(name))

    def _bucket_stack(self, name: str) -> str:
        with answered("s3", self.region):
            try:
                return stack_of(self.client("s3").get_bucket_tagging(Bucket=name).get("TagSet"))
            except ClientError as error:
                if code_of(error) == "NoSuchTagSet":
                    return ""
                raise

    @once
    def has_object(self, bucket: str, key: str) -> bool:
        with answered("s3", self.region):
            try:
                self.client("s3").head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if code_of(error) in ("404", "NoSuchKey", "NotFound"):
                    return False
                raise
        return True
