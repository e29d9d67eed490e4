"""Calls to AWS: sessions, pages, and what an error means to whoever asked.

Three kinds of errors: nothing can be asked at all (model.Unreachable: no or expired credentials, no network, a region
that is not enabled), one question stays open (model.Unanswered: denied, throttled, out of reach), and errors that are
an answer (`NoSuchEntity`), which the caller handles by their code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import boto3
from botocore import exceptions
from botocore.config import Config

from spillway.preflight.model import Unanswered, Unreachable

TRIES: Final = 8
# Adaptive: slows down when throttled, so that several stacks at once get through
# (https://boto3.amazonaws.com/v1/documentation/api/latest/guide/retries.html#adaptive-retry-mode).
CONFIG: Final = Config(
    retries={"mode": "adaptive", "total_max_attempts": TRIES},
    connect_timeout=5,
    read_timeout=20,
    user_agent_extra="spillway",
)

DENIED: Final = frozenset(
    ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized")
)
EXPIRED: Final = frozenset(("ExpiredToken", "ExpiredTokenException", "RequestExpired"))
INVALID: Final = frozenset(
    (
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "AuthFailure",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
    )
)
THROTTLED: Final = frozenset(
    (
        "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException",
        "RequestThrottled", "RequestThrottledException", "SlowDown", "EC2ThrottledException", "PriorRequestNotComplete",
    )
)  # fmt: skip
_ACTIONS: Final = {
    "HeadObject": "s3:GetObject",
    "HeadBucket": "s3:ListBucket",
    "ListBuckets": "s3:ListAllMyBuckets",
    "GetBucketTagging": "s3:GetBucketTagging",
}
"""IAM actions that are not called as the operation is
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html, API_HeadObject.html, API_ListBuckets.html)."""
_PREFIXES: Final = {"elbv2": "elasticloadbalancing", "service-quotas": "servicequotas", "route53": "route53"}


def session(region: str, profile: str | None = None) -> boto3.Session:
    """A session in the stack file's region. Raises Unreachable for a profile that does not exist."""
    try:
        return boto3.Session(region_name=region, profile_name=profile)
    except exceptions.ProfileNotFound as error:
        raise Unreachable(f"AWS: {one_line(error)}; `aws configure list-profiles` lists them") from None


def one_line(error: object) -> str:
    """Any error's text on one line."""
    return " ".join(str(error).split())


def code_of(error: exceptions.ClientError) -> str:
    """The error code of the API; of a HEAD request the HTTP status, as it has no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def action_of(error: exceptions.ClientError, service: str) -> str:
    """The IAM action that was denied: as the message names it, else by service and operation."""
    named = re.search(r"perform: ([a-z0-9-]+:[A-Za-z]+)", one_line(error))
    if named:
        return named[1]
    operation = str(error.operation_name)
    return _ACTIONS.get(operation, f"{_PREFIXES.get(service, service)}:{operation}")


@contextmanager
def answered(service: str, region: str) -> Iterator[None]:
    """Turns botocore's errors into Unanswered and Unreachable; ClientErrors that are an answer have to be caught
    inside."""
    try:
        yield
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.NoAuthTokenError,
    ) as error:
        raise Unreachable(
            f"AWS, {region}: {one_line(error)}; set AWS_PROFILE or log in (`aws sso login`, `aws configure`)"
        ) from None
    except (
        exceptions.SSOError,
        exceptions.TokenRetrievalError,
        exceptions.UnauthorizedSSOTokenError,
        exceptions.LoginError,
    ) as error:
        raise Unreachable(f"AWS, {region}: {one_line(error)}; run `aws sso login` or `aws login`") from None
    except exceptions.ClientError as error:
        raise _meaning(error, service, region) from None
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        raise Unanswered(
            f"{service} in {region} is out of reach: {one_line(error)}", "check network and proxy"
        ) from None
    except exceptions.BotoCoreError as error:
        raise Unanswered(f"{service} in {region}: {one_line(error)}") from None


def _meaning(error: exceptions.ClientError, service: str, region: str) -> Exception:
    code = code_of(error)
    if code in EXPIRED:
        return Unreachable(f"AWS, {region}: the credentials have expired ({code}); log in again (`aws sso login`)")
    if code in INVALID:
        return Unreachable(f"AWS, {region}: the credentials are not valid there ({code})")
    if code in DENIED or code == "403":
        action = action_of(error, service)
        return Unanswered(f"denied: {action}", f"allow {action} to whoever runs preflight")
    if code in THROTTLED:
        return Unanswered(f"{service} throttles ({code}) after {TRIES} tries", "run it again")
    return Unanswered(f"{service}: {one_line(error)}")


def pages(client: Any, operation: str, items: str, **arguments: Any) -> Iterator[Any]:
    """Every item of a listing call, over all its pages."""
    if not client.can_paginate(operation):
        yield from getattr(client, operation)(**arguments).get(items) or []
        return
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(items) or []
