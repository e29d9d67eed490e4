"""What AWS's errors mean: everything ends in one line, or one question stays open."""

from __future__ import annotations

import pytest

from spillway.preflight.model import Unanswered, Unreachable
from tests.unit.preflight.stubs import Error, answering
from tests.unit.preflight.test_aws import WHO


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Error("ExpiredToken", "The security token included in the request is expired", 403),
         "AWS, us-east-1: the credentials have expired (ExpiredToken); log in again (`aws sso login`)"),
        (Error("InvalidClientTokenId", "The security token included in the request is invalid.", 403),
         "AWS, us-east-1: the credentials are not valid there (InvalidClientTokenId)"),
        (Error("SignatureDoesNotMatch", "", 403),
         "AWS, us-east-1: the credentials are not valid there (SignatureDoesNotMatch)"),
    ],
)  # fmt: skip
def test_credentials_that_do_not_work_end_everything_in_one_line(error: Error, told: str) -> None:
    with answering(("sts", "get_caller_identity", {}, error)) as account, pytest.raises(Unreachable) as caught:
        account.identity()
    assert caught.value.lines == (told,)


def test_a_region_that_is_not_enabled_is_told_from_credentials_that_are_wrong() -> None:
    with (
        answering(
            ("sts", "get_caller_identity", {}, Error("InvalidClientTokenId", "", 403)),
            ("sts@us-east-1", "get_caller_identity", {}, WHO),
            region="ap-east-1",
        ) as account,
        pytest.raises(Unreachable) as caught,
    ):
        account.identity()
    assert caught.value.lines == (
        "AWS: region ap-east-1 is not enabled for account 123456789012: "
        "aws account enable-region --region-name ap-east-1",
    )


def test_expired_credentials_in_the_middle_end_everything_too() -> None:
    with (
        answering(("ec2", "describe_vpcs", {}, Error("RequestExpired"))) as account,
        pytest.raises(Unreachable, match="expired"),
    ):
        account.networks()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Error("UnauthorizedOperation", "You are not authorized to perform this operation. User: arn:x is not "
               "authorized to perform: ec2:DescribeVpcs because no identity-based policy allows it"),
         "denied: ec2:DescribeVpcs"),
        (Error("UnauthorizedOperation", "You are not authorized to perform this operation."),
         "denied: ec2:DescribeVpcs"),
        (Error("RequestLimitExceeded", "Request limit exceeded.", 503),
         "ec2 throttles (RequestLimitExceeded) after 8 tries"),
        (Error("InternalError", "An internal\nerror has occurred", 500),
         "ec2: An error occurred (InternalError) when calling the DescribeVpcs operation: "
         "An internal error has occurred"),
    ],
)  # fmt: skip
def test_an_error_of_one_call_leaves_one_question_open_and_is_remembered(error: Error, told: str) -> None:
    with answering(("ec2", "describe_vpcs", {}, error)) as account:
        for _ in range(2):
            with pytest.raises(Unanswered) as caught:
                account.networks()
            assert caught.value.reason == told
