"""One module a policy: what it may be told, how it looks, what it says."""

from __future__ import annotations

from typing import Any, Final

from policy.findings import Policy
from policy.rules import (
    budget,
    encryption,
    exposure,
    failover,
    fallback,
    ingress,
    metadata,
    protection,
    quotas,
    rights,
    tags,
)

POLICIES: Final[tuple[Policy[Any], ...]] = (
    budget.POLICY,
    tags.POLICY,
    encryption.POLICY,
    metadata.POLICY,
    exposure.POLICY,
    ingress.POLICY,
    rights.POLICY,
    protection.POLICY,
    fallback.POLICY,
    failover.POLICY,
    quotas.POLICY,
)
"""Every policy, in the order in which they are told."""
