"""Buckets and what stands on one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.aws.s3 import is_public
from sandbox.kinds import CloudError
from tests.support.memory_cloud import MemoryCloud

BUCKET = "aws:s3/bucket:Bucket"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
OWNERSHIP = "aws:s3/bucketOwnershipControls:BucketOwnershipControls"
ACL = "aws:s3/bucketAcl:BucketAcl"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
NOTIFICATION = "aws:s3/bucketNotification:BucketNotification"
REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


@pytest.fixture
def bucket(cloud: MemoryCloud) -> MemoryCloud:
    cloud.create(BUCKET, bucket="models")
    return cloud


def statement(**changes: Any) -> str:
    base = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::models/*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [{**base, **changes}]})


def rule(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {"id": "r", "status": "Enabled", "filter": {"prefix": ""}, "expiration": {"days": 90}}
    return {k: v for k, v in {**base, **changes}.items() if v is not None}


def test_a_bucket_gets_its_arn_and_domain_names(cloud: MemoryCloud) -> None:
    made = cloud.in_region("us-west-2").create(BUCKET, bucket="models")
    assert made["arn"] == "arn:aws:s3:::models"
    assert made["bucketRegionalDomainName"] == "models.s3.us-west-2.amazonaws.com"
    assert made["hostedZoneId"] == "Z3BJ6K6RIION7M"


@pytest.mark.parametrize(
    "name",
    ["ab", "a" * 64, "Models", "-models", "models-", "a..b", "192.168.5.4", "xn--models", "sthree-x", "amzn-s3-demo-x",
     "models-s3alias", "models--ol-s3", "models--x-s3", "under_score"],
)  # fmt: skip
def test_a_name_against_the_bucket_naming_rules_is_a_fault(cloud: MemoryCloud, name: str) -> None:
    assert any(line.startswith("bucket:") for line in cloud.faults(BUCKET, bucket=name))


def test_a_bucket_name_is_taken_in_all_regions(bucket: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="BucketAlreadyOwnedByYou"):
        bucket.in_region("us-west-2").create(BUCKET, bucket="models")


def test_a_bucket_with_objects_is_deleted_only_by_force(bucket: MemoryCloud) -> None:
    made = bucket.get(BUCKET, "models")
    assert made is not None
    bucket.create(OBJECT, bucket="models", key="manifest.json", content="{}")
    with pytest.raises(CloudError, match="BucketNotEmpty"):
        bucket.delete(made)
    bucket.delete(bucket.update(made, forceDestroy=True))
    assert bucket.all(OBJECT) == []


def test_a_deleted_bucket_takes_its_settings_along(bucket: MemoryCloud) -> None:
    bucket.create(VERSIONING, bucket="models", versioningConfiguration={"status": "Enabled"})
    bucket.create(BLOCK, bucket="models", blockPublicPolicy=True)
    bucket.delete(bucket.all(BUCKET)[0])
    assert bucket.all(VERSIONING) == bucket.all(BLOCK) == []


@pytest.mark.parametrize("token", [POLICY, BLOCK, VERSIONING, ENCRYPTION, LIFECYCLE, OWNERSHIP, OBJECT])
def test_a_setting_of_a_bucket_that_does_not_exist_is_refused(cloud: MemoryCloud, token: str) -> None:
    settings: dict[str, dict[str, Any]] = {
        POLICY: {"policy": statement(Effect="Deny")},
        VERSIONING: {"versioningConfiguration": {"status": "Enabled"}},
        ENCRYPTION: {"rules": [{"bucketKeyEnabled": True}]},
        LIFECYCLE: {"rules": [rule()]},
        OWNERSHIP: {"rule": {"objectOwnership": "ObjectWriter"}},
    }
    more = settings.get(token, {})
    with pytest.raises(CloudError, match="NoSuchBucket"):
        cloud.create(token, bucket="models", **more)


def test_putting_a_setting_twice_is_no_error(bucket: MemoryCloud) -> None:
    for _ in range(2):
        assert bucket.create(BLOCK, bucket="models", blockPublicPolicy=True).id == "models"


def test_a_public_policy_is_blocked_by_default(bucket: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="BlockPublicPolicy"):
        bucket.create(POLICY, bucket="models", policy=statement())
    bucket.create(BLOCK, bucket="models", blockPublicPolicy=False)
    bucket.create(POLICY, bucket="models", policy=statement())


@pytest.mark.parametrize(
    ("changes", "public"),
    [
        ({}, True),
        ({"Effect": "Deny"}, False),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": "arn:aws:iam::123456789012:root"}}, False),
        ({"Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}}, False),
        ({"Condition": {"StringLike": {"aws:PrincipalArn": "*"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}, True),
    ],
)
def test_a_policy_is_public_unless_a_condition_narrows_it(changes: dict[str, Any], public: bool) -> None:
    assert is_public(statement(**changes)) is public


def test_a_bucket_policy_speaks_of_its_own_bucket(cloud: MemoryCloud) -> None:
    found = cloud.faults(POLICY, bucket="models", policy=statement(Resource="arn:aws:s3:::other/*"))
    assert "Policy has invalid resource: arn:aws:s3:::other/* is not of bucket models" in found[0]


def test_versioning_cannot_be_undone(bucket: MemoryCloud) -> None:
    made = bucket.create(VERSIONING, bucket="models", versioningConfiguration={"status": "Enabled"})
    bucket.update(made, versioningConfiguration={"status": "Suspended"})
    with pytest.raises(CloudError, match="cannot be updated from 'Suspended' to 'Disabled'"):
        bucket.update(bucket.all(VERSIONING)[0], versioningConfiguration={"status": "Disabled"})
    assert bucket.faults(VERSIONING, bucket="models", versioningConfiguration={"status": "On"})


def test_a_bucket_with_object_lock_keeps_its_versions(cloud: MemoryCloud) -> None:
    cloud.create(BUCKET, bucket="locked", objectLockEnabled=True)
    with pytest.raises(CloudError, match="InvalidBucketState"):
        cloud.create(VERSIONING, bucket="locked", versioningConfiguration={"status": "Suspended"})


def test_another_account_as_expected_owner_is_refused(bucket: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="AccessDenied"):
        bucket.create(
            VERSIONING,
            bucket="models",
            expectedBucketOwner="210987654321",
            versioningConfiguration={"status": "Enabled"},
        )


@pytest.mark.parametrize(
    ("rules", "fault"),
    [
        ([], "rules: expected one rule, got 0"),
        ([{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES128"}}], "sseAlgorithm: expected one of"),
        (
            [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256", "kmsMasterKeyId": "k"}}],
            "a key is only for",
        ),
        ([{"blockedEncryptionTypes": ["SSE-S3"]}], "blockedEncryptionTypes[0]: expected one of"),
    ],
)
def test_an_encryption_that_s3_refuses_is_a_fault(cloud: MemoryCloud, rules: list[Any], fault: str) -> None:
    assert any(fault in line for line in cloud.faults(ENCRYPTION, bucket="models", rules=rules))


def test_the_key_of_an_encryption_must_exist(bucket: MemoryCloud) -> None:
    default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "alias/models"}
    with pytest.raises(CloudError, match=r"KMS\.NotFoundException"):
        bucket.create(ENCRYPTION, bucket="models", rules=[{"applyServerSideEncryptionByDefault": default}])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"status": "On"}, "status: expected one of Enabled, Disabled"),
        ({"expiration": None}, "at least one action needs to be specified"),
        ({"expiration": {"days": 0}}, "expiration.days: expected 1 to"),
        ({"expiration": {"days": 1, "date": "2030-01-01T00:00:00Z"}}, "one of date, days, expiredObjectDeleteMarker"),
        ({"expiration": {"date": "2030-01-01T12:00:00Z"}}, "expected a midnight in UTC"),
        ({"prefix": "a"}, "prefix: conflicts with filter"),
        ({"filter": {"prefix": "a", "objectSizeGreaterThan": 1}}, "belong into and"),
        ({"filter": {"and": {"prefix": "a"}}}, "needs at least two conditions"),
        (
            {"filter": {"and": {"objectSizeGreaterThan": 9, "objectSizeLessThan": 1}}},
            "must be more than objectSizeGreaterThan",
        ),
        ({"transitions": [{"days": 7, "storageClass": "STANDARD_IA"}]}, "greater than or equal to 30 for STANDARD_IA"),
        (
            {"transitions": [{"days": 90, "storageClass": "GLACIER"}]},
            "must be greater than 'Days' in the Transition action",
        ),
        ({"transitions": [{"days": 1, "storageClass": "COLD"}]}, "storageClass: expected one of"),
        (
            {"transitions": [{"days": 1, "date": "2030-01-01T00:00:00Z", "storageClass": "GLACIER"}]},
            "date: conflicts with days",
        ),
        ({"transitions": [{"days": d, "storageClass": "GLACIER"} for d in (1, 2)]}, "stands twice in one rule"),
        ({"noncurrentVersionExpiration": {"noncurrentDays": 0}}, "noncurrentDays: expected 1 to"),
        ({"noncurrentVersionExpiration": {"noncurrentDays": 1, "newerNoncurrentVersions": 101}}, "expected 1 to 100"),
        (
            {"filter": None, "noncurrentVersionExpiration": {"noncurrentDays": 1, "newerNoncurrentVersions": 2}},
            "filter: is required with newerNoncurrentVersions",
        ),
        (
            {
                "filter": {"tag": {"key": "a", "value": "b"}},
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 1},
            },
            "cannot be used with a filter by tags",
        ),
    ],
)
def test_a_lifecycle_rule_that_s3_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    found = cloud.faults(LIFECYCLE, bucket="models", rules=[rule(**changes)])
    assert any(fault in line for line in found), found


def test_ids_of_lifecycle_rules_are_unique(cloud: MemoryCloud) -> None:
    assert any("must be unique" in f for f in cloud.faults(LIFECYCLE, bucket="models", rules=[rule(), rule()]))


def test_acls_are_off_until_ownership_allows_them(bucket: MemoryCloud) -> None:
    assert bucket.faults(OWNERSHIP, bucket="models", rule={"objectOwnership": "Mine"})
    with pytest.raises(CloudError, match="AccessControlListNotSupported"):
        bucket.create(ACL, bucket="models", acl="private")
    bucket.create(OWNERSHIP, bucket="models", rule={"objectOwnership": "BucketOwnerPreferred"})
    bucket.create(ACL, bucket="models", acl="private")
    with pytest.raises(CloudError, match="BlockPublicAcls"):
        bucket.create(ACL, bucket="models", acl="public-read")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"content": "a", "contentBase64": "YQ=="}, "contentBase64: conflicts with content"),
        ({"contentBase64": "%"}, "contentBase64: expected base64 text"),
        ({"storageClass": "COLD"}, "storageClass: expected one of"),
        ({"key": ""}, "key: expected a key of 1 to 1,024 bytes"),
        ({"serverSideEncryption": "AES256", "kmsKeyId": "k"}, "kmsKeyId: a key is only for"),
        ({"objectLockMode": "GOVERNANCE"}, "objectLockMode: objectLockMode and objectLockRetainUntilDate"),
        ({"metadata": {"Upper": "x"}}, "metadata: metadata keys are in lower case"),
        ({"tags": {str(i): "x" for i in range(11)}}, "tags: expected at most 10 tags"),
    ],
)
def test_an_object_that_s3_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    found = cloud.faults(OBJECT, **{"bucket": "models", "key": "a", **changes})
    assert any(line.startswith(fault) for line in found), found


def test_an_object_has_an_etag_and_a_version_in_a_versioned_bucket(bucket: MemoryCloud) -> None:
    assert bucket.create(OBJECT, bucket="models", key="a", content="x")["versionId"] == ""
    bucket.create(VERSIONING, bucket="models", versioningConfiguration={"status": "Enabled"})
    made = bucket.create(OBJECT, bucket="models", key="b", content="hello")
    assert made["etag"] == "5d41402abc4b2a76b9719d911017c592"
    assert len(made["versionId"]) == 32


def test_notifications_go_to_queues_that_exist_and_do_not_overlap(bucket: MemoryCloud) -> None:
    arn = "arn:aws:sqs:us-east-1:123456789012:work"
    queue = {"queueArn": arn, "events": ["s3:ObjectCreated:*"]}
    with pytest.raises(CloudError, match="InvalidArgument"):
        bucket.create(NOTIFICATION, bucket="models", queues=[queue])
    both = [{**queue, "filterPrefix": "a"}, {**queue, "events": ["s3:ObjectCreated:Put"], "filterPrefix": "ab"}]
    assert any("overlap" in f for f in bucket.faults(NOTIFICATION, bucket="models", queues=both))
    assert bucket.faults(NOTIFICATION, bucket="models", queues=[{**queue, "events": ["s3:Created"]}])


def test_replication_needs_versions_on_both_sides(bucket: MemoryCloud) -> None:
    role = "arn:aws:iam::123456789012:role/copy"
    bucket.stand_in("aws:iam/role:Role", "copy", arn=role, name="copy")
    rules = [{"status": "Enabled", "destination": {"bucket": "arn:aws:s3:::copy"}}]
    with pytest.raises(CloudError, match="Versioning must be 'Enabled' on the bucket"):
        bucket.create(REPLICATION, bucket="models", role=role, rules=rules)
    bucket.create(VERSIONING, bucket="models", versioningConfiguration={"status": "Enabled"})
    with pytest.raises(CloudError, match="Destination bucket must exist"):
        bucket.create(REPLICATION, bucket="models", role=role, rules=rules)
