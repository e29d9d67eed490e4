"""AWS clients that answer from a list, by botocore's Stubber: it checks every request and answer against the API's own
model, so that a mistyped parameter or a shape that AWS does not have fails the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.stub import Stubber

from spillway.preflight.aws_region.account import AwsAccount

REGION = "us-east-1"


@dataclass(frozen=True)
class Error:
    """An answer that is an error; `message` as AWS words it."""

    code: str
    message: str = ""
    status: int = 400


def session(region: str = REGION) -> boto3.Session:
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=region)


@contextmanager
def answering(
    *calls: tuple[str, str, dict[str, Any] | None, dict[str, Any] | Error], region: str = REGION
) -> Iterator[AwsAccount]:
    """An account that expects exactly these calls per service, in this order: (service, operation, parameters or None
    for any, answer). A service may name its region: `sts@us-east-1`."""
    account = AwsAccount(session(region), region)
    stubbers: dict[str, Stubber] = {}
    for service, operation, parameters, answer in calls:
        if service not in stubbers:
            name, _, where = service.partition("@")
            client = session().client(name, region_name=where or region)
            account._clients[name, where or region] = client
            stubbers[service] = Stubber(client)
        stubber = stubbers[service]
        if isinstance(answer, Error):
            stubber.add_client_error(operation, answer.code, answer.message, answer.status, expected_params=parameters)
        else:
            stubber.add_response(operation, answer, parameters)
    for stubber in stubbers.values():
        stubber.activate()
    yield account
    for stubber in stubbers.values():
        stubber.assert_no_pending_responses()
