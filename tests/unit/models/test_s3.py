"""S3 as boto3 and moto have it, and what S3 refuses."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from spillway.errors import SpillwayError
from spillway.models import s3
from spillway.models.store import BucketError
from tests.unit.models.behaviour import StoreBehaviour, sha

ACCOUNT = "123456789012"
REGION = "us-west-2"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        boto3.client("s3", region_name=REGION).create_bucket(
            Bucket="models-bucket", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield


class TestS3(StoreBehaviour):
    @pytest.fixture
    def store(self, aws: None) -> s3.S3Store:
        return s3.open_store("models-bucket", ACCOUNT, REGION, None, 4)

    @pytest.fixture
    def no_bucket(self, aws: None) -> s3.S3Store:
        return s3.open_store("no-such-bucket", ACCOUNT, REGION, None, 4)

    def test_more_objects_than_one_call_deletes(self, store: s3.S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(s3, "DELETE_AT_ONCE", 2)
        for number in range(5):
            store.put(f"models/m/r/{number}", b"x", sha(b"x"))
        store.delete(one.key for one in list(store.list("models/")))
        assert list(store.list("models/")) == []


def refusing(operation: str, code: str, status: int, message: str = "no") -> tuple[s3.S3Store, Stubber]:
    client = boto3.client("s3", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    stubber.add_client_error(operation, code, message, status)
    stubber.activate()
    return s3.S3Store(client, "b", ACCOUNT, REGION), stubber


@pytest.mark.parametrize(
    ("operation", "code", "status", "told"),
    [
        ("head_bucket", "403", 403, "s3://b: denied: s3:ListBucket; or the bucket is another account's"),
        ("head_bucket", "404", 404, "s3://b: not there; the stack's `up` makes it"),
        ("head_bucket", "SlowDown", 503, "s3://b: s3 throttles (SlowDown) after"),
        ("head_bucket", "ExpiredToken", 400, "AWS, us-west-2: the credentials have expired"),
    ],
)
def test_a_refusal_is_one_line(operation: str, code: str, status: int, told: str) -> None:
    store, _ = refusing(operation, code, status)
    with pytest.raises(SpillwayError) as caught:
        store.check()
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


def test_every_call_names_the_account_that_has_to_own_the_bucket() -> None:
    client = boto3.client("s3", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    own = {"Bucket": "b", "ExpectedBucketOwner": ACCOUNT}
    stubber.add_response("head_bucket", {}, own)
    stubber.add_response("list_objects_v2", {}, {**own, "Prefix": "models/"})
    stubber.add_response("head_object", {"ContentLength": 1}, {**own, "Key": "k"})
    stubber.add_client_error("delete_objects", "AccessDenied", "x", 403, expected_params={
        **own, "Delete": {"Objects": [{"Key": "k"}], "Quiet": True}})  # fmt: skip
    with stubber:
        store = s3.S3Store(client, "b", ACCOUNT, REGION)
        store.check()
        assert list(store.list("models/")) == []
        assert store.stat("k") is not None
        with pytest.raises(BucketError, match="denied"):
            store.delete(["k"])


def test_parts_are_sent_with_the_hash_that_s3_has_to_find_and_taken_over_by_it() -> None:
    import base64
    import hashlib

    data = b"a" * 10
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    client = boto3.client("s3", region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    own = {"Bucket": "b", "ExpectedBucketOwner": ACCOUNT}
    stubber.add_response(
        "list_multipart_uploads",
        {"Uploads": [{"Key": "k2", "UploadId": "no"}, {"Key": "k", "UploadId": "u", "Initiated": "2026-11-26"}]},
        {**own, "Prefix": "k"},
    )
    part = {"PartNumber": 1, "Size": 10, "ETag": '"kms, not md5"', "ChecksumSHA256": digest}
    upload = {**own, "Key": "k", "UploadId": "u"}
    stubber.add_response("list_parts", {"Parts": [part]}, upload)
    stubber.add_response(
        "upload_part", {"ETag": '"2"'}, {**upload, "PartNumber": 2, "Body": data, "ChecksumSHA256": digest}
    )
    wanted = [
        {"PartNumber": 1, "ETag": '"kms, not md5"', "ChecksumSHA256": digest},
        {"PartNumber": 2, "ETag": '"2"', "ChecksumSHA256": digest},
    ]
    stubber.add_response("complete_multipart_upload", {}, {**upload, "MultipartUpload": {"Parts": wanted}})
    with stubber:
        found = s3.S3Store(client, "b", ACCOUNT, REGION).upload("k", "sha")
        assert found.put(1, data) is False
        assert found.put(2, data) is True
        found.finish()
    stubber.assert_no_pending_responses()
