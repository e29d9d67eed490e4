"""Secrets Manager as boto3 and moto have it, and what it refuses."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from spillway.errors import SpillwayError
from spillway.secrets import aws
from spillway.secrets.store import Denied, NotThere, StoreError

ACCOUNT = "123456789012"
REGION = "us-west-2"
NAME = "spillway/aws-us-west-2/certificate"


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `up` leaves: a secret without a value."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        boto3.client("secretsmanager", region_name=REGION).create_secret(Name=NAME)
        yield


def test_empty_then_filled_then_filled_anew(container: None) -> None:
    store = aws.open_store(ACCOUNT, REGION, None)
    assert store.read(NAME).value is None
    first = store.write(NAME, "one", "certificate", None)
    held = store.read(NAME)
    assert (held.value, held.version) == ("one", first)
    assert held.pushed is not None
    assert store.write(NAME, "two", "certificate", None) != first
    assert store.read(NAME).value == "two"


def test_a_secret_that_up_has_not_made_is_told(container: None) -> None:
    store = aws.open_store(ACCOUNT, REGION, None)
    for call in (lambda: store.read("spillway/x"), lambda: store.write("spillway/x", "v", "api-keys", None)):
        with pytest.raises(NotThere, match="spillway/x: not in us-west-2; the stack's `up` makes it, then push again"):
            call()


def test_one_in_its_recovery_window_is_told_with_the_way_back(container: None) -> None:
    client = boto3.client("secretsmanager", region_name=REGION)
    client.put_secret_value(SecretId=NAME, SecretString="v")
    client.delete_secret(SecretId=NAME, RecoveryWindowInDays=7)
    store = aws.open_store(ACCOUNT, REGION, None)
    with pytest.raises(StoreError, match="restore-secret"):
        store.read(NAME)
    # moto lets it be written; AWS does not
    message = "You can't perform this operation on the secret because it was marked for deletion."
    with pytest.raises(StoreError, match="restore-secret"):
        refused("put_secret_value", "InvalidRequestException", message).write(NAME, "v", "api-keys", None)


def test_bytes_are_no_value_to_a_node(container: None) -> None:
    boto3.client("secretsmanager", region_name=REGION).put_secret_value(SecretId=NAME, SecretBinary=b"v")
    assert aws.open_store(ACCOUNT, REGION, None).read(NAME).value == ""


def test_nothing_reaches_another_account(container: None) -> None:
    store = aws.open_store("999999999999", REGION, None)
    with pytest.raises(
        StoreError, match="the credentials lead to account 123456789012, the stack file says 999999999999"
    ):
        store.write(NAME, "v", "certificate", None)
    assert aws.open_store(ACCOUNT, REGION, None).read(NAME).value is None


def refused(operation: str, code: str, message: str = "no", status: int = 400) -> aws.SecretsManager:
    def client(service: str) -> object:
        return boto3.client(service, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="x")

    asked, identity = client("secretsmanager"), client("sts")
    one, two = Stubber(asked), Stubber(identity)
    two.add_response(
        "get_caller_identity", {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/x", "UserId": "u"}, {}
    )
    one.add_client_error(operation, code, message, status)
    one.activate()
    two.activate()
    return aws.SecretsManager(asked, identity, ACCOUNT, REGION)


def test_a_denied_read_is_not_a_failed_push() -> None:
    message = "User: x is not authorized to perform: secretsmanager:GetSecretValue on resource: y"
    with pytest.raises(Denied, match=f"denied: {NAME}: secretsmanager:GetSecretValue"):
        refused("get_secret_value", "AccessDeniedException", message).read(NAME)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("ThrottlingException", "throttles"),
        ("ExpiredTokenException", "the credentials have expired"),
        ("LimitExceededException", "LimitExceededException"),
        ("AccessDeniedException", f"denied: {NAME}: secretsmanager:PutSecretValue"),
    ],
)
def test_a_refused_write_is_one_line_without_the_value(code: str, told: str) -> None:
    with pytest.raises(SpillwayError) as caught:
        refused("put_secret_value", code).write(NAME, "the-value-itself", "certificate", None)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "the-value-itself" not in str(caught.value)


def test_a_value_is_in_no_log_even_where_everything_is_logged(
    container: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("botocore").setLevel(logging.DEBUG)
    store = aws.open_store(ACCOUNT, REGION, None)
    store.write(NAME, "the-value-itself", "certificate", None)
    assert store.read(NAME).value == "the-value-itself"
    assert "the-value-itself" not in caplog.text
    assert "the-value-itself" not in repr(store.read(NAME))
