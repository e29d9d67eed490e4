"""Secrets, keys and parameters."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.aws import secrets as secrets_kinds
from sandbox.kinds import CloudError
from tests.support.memory_cloud import MemoryCloud

SECRET = "aws:secretsmanager/secret:Secret"
VERSION = "aws:secretsmanager/secretVersion:SecretVersion"
SECRET_POLICY = "aws:secretsmanager/secretPolicy:SecretPolicy"
KEY = "aws:kms/key:Key"
ALIAS = "aws:kms/alias:Alias"
PARAMETER = "aws:ssm/parameter:Parameter"


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


def document(action: str, principal: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_secrets_arn_ends_with_six_random_characters(cloud: MemoryCloud) -> None:
    made = cloud.create(SECRET, name="spillway/key")
    prefix, suffix = made["arn"].rsplit("-", 1)
    assert prefix == "arn:aws:secretsmanager:us-east-1:123456789012:secret:spillway/key"
    assert len(suffix) == 6
    assert made.id == made["arn"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "a b"}, "name: expected letters"),
        ({"name": "x" * 513}, "name: expected a length of 1 to 512"),
        ({"recoveryWindowInDays": 3}, "recoveryWindowInDays: expected 7 to 30"),
        ({"description": "x" * 2049}, "description: expected a length of 0 to 2048"),
        ({"replicas": [{"region": "moon-1"}]}, "replicas[0].region: expected the name of an AWS region"),
        ({"replicas": [{"region": "us-west-2"}] * 2}, "replicas[1].region: us-west-2 is listed twice"),
        ({"policy": document("s3:GetObject", "*")}, "policy: MalformedPolicyDocument"),
    ],
)
def test_a_secret_that_secrets_manager_refuses_is_a_fault(
    cloud: MemoryCloud, changes: dict[str, Any], fault: str
) -> None:
    found = cloud.faults(SECRET, **{"name": "spillway/key", **changes})
    assert any(line.startswith(fault) for line in found), found


def test_a_second_secret_of_the_same_name_is_refused(cloud: MemoryCloud) -> None:
    cloud.create(SECRET, name="a")
    with pytest.raises(CloudError, match="ResourceExistsException"):
        cloud.create(SECRET, name="a")
    cloud.in_region("us-west-2").create(SECRET, name="a")


def test_a_name_stays_taken_during_the_recovery_window(cloud: MemoryCloud) -> None:
    cloud.delete(cloud.create(SECRET, name="a", recoveryWindowInDays=7))
    with pytest.raises(CloudError, match="already scheduled for deletion"):
        cloud.create(SECRET, name="a")


def test_a_name_is_free_after_the_recovery_window(cloud: MemoryCloud) -> None:
    cloud.delete(cloud.create(SECRET, name="a"))
    left = cloud.all(secrets_kinds.SCHEDULED)[0]
    left.outputs["until"] = "2020-01-01T00:00:00+00:00"
    cloud.put(left)
    cloud.create(SECRET, name="a")
    assert cloud.all(secrets_kinds.SCHEDULED) == []


def test_a_secret_without_a_recovery_window_is_gone_at_once(cloud: MemoryCloud) -> None:
    cloud.delete(cloud.create(SECRET, name="a", recoveryWindowInDays=0))
    assert cloud.all(secrets_kinds.SCHEDULED) == []
    cloud.create(SECRET, name="a")


def test_a_secrets_key_must_exist_in_its_region(cloud: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="InvalidParameterException"):
        cloud.create(SECRET, name="a", kmsKeyId="alias/none")
    key = cloud.in_region("us-west-2").create(KEY)
    with pytest.raises(CloudError, match="is not in us-east-1"):
        cloud.create(SECRET, name="a", kmsKeyId=key["arn"])
    own = cloud.create(KEY)
    cloud.create(ALIAS, name="alias/own", targetKeyId=own.id)
    cloud.create(SECRET, name="a", kmsKeyId="alias/own")


def test_a_replica_is_not_in_the_secrets_own_region(cloud: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="Invalid replica region"):
        cloud.create(SECRET, name="a", replicas=[{"region": "us-east-1"}])


def test_a_version_has_one_value_and_a_secret(cloud: MemoryCloud) -> None:
    assert cloud.faults(VERSION, secretId="a")
    assert cloud.faults(VERSION, secretId="a", secretString="x", secretBinary="eA==")
    assert cloud.faults(VERSION, secretId="a", secretBinary="%")
    assert cloud.faults(VERSION, secretId="a", secretString="x" * 65_537)
    with pytest.raises(CloudError, match="ResourceNotFoundException"):
        cloud.create(VERSION, secretId="a", secretString="x")


def test_a_new_version_becomes_the_current_one(cloud: MemoryCloud) -> None:
    secret = cloud.create(SECRET, name="a")
    first = cloud.create(VERSION, secretId=secret.id, secretString="1")
    second = cloud.create(VERSION, secretId="a", secretString="2")
    assert second["versionStages"] == ["AWSCURRENT"]
    assert cloud.get(VERSION, first.id)["versionStages"] == ["AWSPREVIOUS"]  # type: ignore[index]
    cloud.delete(secret)
    assert cloud.all(VERSION) == []


def test_a_public_policy_on_a_secret_is_refused_when_asked_to(cloud: MemoryCloud) -> None:
    secret = cloud.create(SECRET, name="a")
    text = document("secretsmanager:GetSecretValue", "*")
    with pytest.raises(CloudError, match="PublicPolicyException"):
        cloud.create(SECRET_POLICY, secretArn=secret.id, policy=text, blockPublicPolicy=True)
    cloud.create(SECRET_POLICY, secretArn=secret.id, policy=text)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"deletionWindowInDays": 6}, "deletionWindowInDays: expected 7 to 30"),
        ({"keyUsage": "SIGN"}, "keyUsage: expected one of"),
        ({"keyUsage": "SIGN_VERIFY"}, "keyUsage: SIGN_VERIFY is not for SYMMETRIC_DEFAULT"),
        ({"customerMasterKeySpec": "AES_256"}, "customerMasterKeySpec: expected one of"),
        ({"customerMasterKeySpec": "RSA_2048", "enableKeyRotation": True}, "enableKeyRotation: only symmetric"),
        ({"enableKeyRotation": True, "rotationPeriodInDays": 30}, "rotationPeriodInDays: expected 90 to 2,560"),
        ({"rotationPeriodInDays": 90}, "rotationPeriodInDays: needs enableKeyRotation"),
    ],
)
def test_a_key_that_kms_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    found = cloud.faults(KEY, **changes)
    assert any(line.startswith(fault) for line in found), found


def test_a_key_policy_keeps_the_account_in(cloud: MemoryCloud) -> None:
    locked = document("kms:Decrypt", {"AWS": "arn:aws:iam::123456789012:root"})
    with pytest.raises(CloudError, match="will not allow you to update the key policy"):
        cloud.create(KEY, policy=locked)
    cloud.create(KEY, policy=locked, bypassPolicyLockoutSafetyCheck=True)
    made = cloud.create(KEY)
    assert made["arn"] == f"arn:aws:kms:us-east-1:123456789012:key/{made.id}"
    assert "Enable IAM User Permissions" in made["policy"]


def test_a_disabled_key_is_not_used(cloud: MemoryCloud) -> None:
    key = cloud.create(KEY, isEnabled=False)
    with pytest.raises(CloudError, match="is disabled"):
        cloud.create(SECRET, name="a", kmsKeyId=key.id)


def test_an_alias_names_a_key_once(cloud: MemoryCloud) -> None:
    assert cloud.faults(ALIAS, name="models", targetKeyId="x")
    assert cloud.faults(ALIAS, name="alias/aws/models", targetKeyId="x")
    with pytest.raises(CloudError, match="NotFoundException"):
        cloud.create(ALIAS, name="alias/models", targetKeyId="6f9a3c1e-0000-4000-8000-000000000000")
    key = cloud.create(KEY)
    assert cloud.create(ALIAS, name="alias/models", targetKeyId=key["arn"])["targetKeyArn"] == key["arn"]
    with pytest.raises(CloudError, match="AlreadyExistsException"):
        cloud.create(ALIAS, name="alias/models", targetKeyId=key.id)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "/aws/x"}, 'name: names that begin with "aws" or "ssm"'),
        ({"name": "a/b"}, "name: a name with a hierarchy begins with /"),
        ({"name": "/a" * 16}, "name: expected at most 15 levels"),
        ({"name": "a b"}, "name: expected 1 to 1,011"),
        ({"type": "Text"}, "type: expected one of"),
        ({"value": "x" * 4097}, "value: expected 1 to 4,096 bytes"),
        ({"insecureValue": "x"}, "insecureValue: conflicts with value"),
        ({"keyId": "alias/x"}, "keyId: is for the type SecureString"),
        ({"allowedPattern": "^[0-9]+$"}, "value: must match allowedPattern"),
        ({"tier": "Huge"}, "tier: expected one of"),
    ],
)
def test_a_parameter_that_ssm_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    found = cloud.faults(PARAMETER, **{"name": "/spillway/a", "type": "String", "value": "x", **changes})
    assert any(line.startswith(fault) for line in found), found


def test_a_parameter_counts_its_versions_and_keeps_its_tier(cloud: MemoryCloud) -> None:
    made = cloud.create(PARAMETER, name="/a", type="String", value="1", tier="Advanced")
    assert made["arn"] == "arn:aws:ssm:us-east-1:123456789012:parameter/a"
    assert made["version"] == 1
    made = cloud.update(made, value="2")
    assert made["version"] == 2
    with pytest.raises(CloudError, match="cannot be downgraded"):
        cloud.update(made, tier="Standard")
    with pytest.raises(CloudError, match="ParameterAlreadyExists"):
        cloud.create(PARAMETER, name="/a", type="String", value="1")
