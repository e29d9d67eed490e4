"""Clients of AWS' SDK, with the instance's role."""

from __future__ import annotations

import os
from typing import Any

from images.programs import identity


class NoCredentials(Exception):
    """The metadata service gave none; the message is one line."""


def client(service: str, region: str, attempts: int) -> Any:
    """A client with bounded calls. Raises NoCredentials, so that a metadata service which was down once is asked again.

    A client that is made without credentials never has any.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    identity.quiet()
    identity.point_sdks("aws")
    # One second and one attempt otherwise: https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html
    os.environ.setdefault("AWS_METADATA_SERVICE_TIMEOUT", "2")
    os.environ.setdefault("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "2")
    config = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": attempts})
    session = boto3.Session(region_name=region)
    try:
        if session.get_credentials() is None:
            raise NoCredentials("the metadata service gives no credentials of the instance's role")
        return session.client(service, config=config)
    except BotoCoreError as error:
        raise NoCredentials(" ".join(str(error).split())) from None
