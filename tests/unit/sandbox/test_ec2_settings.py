"""What an account sets once per region, and tags."""

from __future__ import annotations

import pytest

from sandbox.aws import AWS, images, tokens
from sandbox.aws.ec2_settings import ENCRYPTION_BY_DEFAULT, METADATA_DEFAULTS
from tests.support.aws_region import check_faults, network, refused
from tests.support.memory_cloud import MemoryCloud


def test_a_setting_exists_once_per_region() -> None:
    cloud = MemoryCloud()
    cloud.create(ENCRYPTION_BY_DEFAULT)
    with refused("AlreadyExists", "a setting of us-east-1 as a whole"):
        cloud.create(ENCRYPTION_BY_DEFAULT)
    cloud.in_region("us-west-2").create(ENCRYPTION_BY_DEFAULT)


def test_new_volumes_are_encrypted_where_that_is_the_default() -> None:
    cloud = MemoryCloud()
    inputs = {"availabilityZone": "us-east-1a", "size": 10}
    before = cloud.create(tokens.VOLUME, **inputs)
    cloud.create(ENCRYPTION_BY_DEFAULT)
    assert before["encrypted"] is False
    assert cloud.create(tokens.VOLUME, **inputs)["encrypted"] is True
    assert cloud.update(before, tags={"a": "b"})["encrypted"] is False


def test_instances_take_the_accounts_metadata_defaults() -> None:
    net = network()
    net.cloud.create(METADATA_DEFAULTS, httpTokens="required", httpPutResponseHopLimit=2)
    image = next(i for i in images.images(net.cloud) if i.architecture == "x86_64")
    made = net.cloud.create(tokens.INSTANCE, ami=image.id, instanceType="t3.micro", subnetId=net.subnets[0].id)
    options = made["metadataOptions"]
    assert (options["httpTokens"], options["httpPutResponseHopLimit"], options["httpEndpoint"]) == (
        "required",
        2,
        "enabled",
    )


TAGGABLE = [
    token
    for token, kind in sorted(AWS.kinds.items())
    if kind.taggable and type(kind).__module__.startswith(("sandbox.aws.ec2", "sandbox.aws.elb"))
]


@pytest.mark.parametrize("token", TAGGABLE)
def test_tags_are_checked_wherever_there_are_any(token: str) -> None:
    """https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html#tag-restrictions"""
    lines = MemoryCloud().faults(token, tags={"aws:mine": "x"})
    assert any(line.startswith("tags: tag keys that begin with aws:") for line in lines)
    lines = MemoryCloud().faults(token, tags={str(i): "" for i in range(51)})
    assert "tags: expected at most 50 tags, got 51" in lines


@pytest.mark.parametrize(
    ("token", "good", "change", "expected"),
    [
        (METADATA_DEFAULTS, {}, {"httpTokens": "yes"}, "httpTokens: expected one of optional, required, no-preference"),
        (
            METADATA_DEFAULTS,
            {},
            {"httpEndpoint": "on"},
            "httpEndpoint: expected one of disabled, enabled, no-preference",
        ),
        (METADATA_DEFAULTS, {}, {"httpPutResponseHopLimit": 0}, "httpPutResponseHopLimit: expected 1 to 64, or -1"),
        (
            "aws:ebs/snapshotBlockPublicAccess:SnapshotBlockPublicAccess",
            {"state": "block-all-sharing"},
            {"state": "blocked"},
            "state: expected one of block-all-sharing",
        ),
        (
            "aws:ec2/imageBlockPublicAccess:ImageBlockPublicAccess",
            {"state": "block-new-sharing"},
            {"state": "block-all-sharing"},
            "state: expected one of block-new-sharing, unblocked",
        ),
        (
            "aws:ebs/defaultKmsKey:DefaultKmsKey",
            {"keyArn": "arn:aws:kms:us-east-1:123456789012:key/k"},
            {"keyArn": "alias/aws/ebs"},
            "keyArn: expected an ARN such as arn:aws:kms",
        ),
    ],
)
def test_settings_are_checked(token: str, good: dict[str, str], change: dict[str, str], expected: str) -> None:
    check_faults(token, good, change, expected)
