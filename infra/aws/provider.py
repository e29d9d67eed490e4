"""The only provider of an AWS stack. By itself, so that it can start before the rest of the SDK is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi_aws as aws

if TYPE_CHECKING:
    from infra.config import AwsRegion


def provider(config: AwsRegion) -> aws.Provider:
    """The stack file's region, and no account but the one that it names: the provider refuses any other."""
    return aws.Provider(config.stack_name, region=config.region, allowed_account_ids=[config.account])
