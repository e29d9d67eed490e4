"""The only provider of a GCP stack. By itself, so that it can start before the rest of the SDK is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi_gcp as gcp

if TYPE_CHECKING:
    from infra.config import GcpRegion


def provider(config: GcpRegion) -> gcp.Provider:
    """The stack file's region and project; nothing is taken from the environment or from gcloud's own settings."""
    return gcp.Provider(
        config.stack_name,
        project=config.account,
        region=config.region,
        # A person's own credentials carry no project, and the API of budgets wants one to count its calls against:
        # https://www.pulumi.com/registry/packages/gcp/api-docs/billing/budget/
        billing_project=config.account,
        user_project_override=True,
    )
