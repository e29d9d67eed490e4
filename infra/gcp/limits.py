"""Limits of Google Cloud that checks of stack files and components both look at. Pure."""

from __future__ import annotations

from typing import Final

# https://docs.cloud.google.com/compute/docs/reference/rest/v1/regionInstanceGroupManagers (initialDelaySec)
GRACE_MAX: Final = 3600
"""Seconds that autohealing waits at most before it looks at a new node."""
# https://docs.cloud.google.com/compute/docs/instance-groups/configure-instance-flexibility
SELECTIONS_MAX: Final = 10
TYPES_PER_SELECTION: Final = 15
# https://docs.cloud.google.com/billing/docs/how-to/budgets-notification-recipients
CHANNELS_PER_BUDGET: Final = 5
# https://docs.cloud.google.com/vpc/docs/subnets#unusable-ip-addresses-in-every-subnet
SUBNET_RESERVED: Final = 4
