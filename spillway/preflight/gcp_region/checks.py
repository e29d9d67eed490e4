"""All checks of a Google Cloud region, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from spillway.preflight import stored_checks
from spillway.preflight.gcp_region import account_checks, capacity_checks, image_checks, network_checks
from spillway.preflight.gcp_region.context import GcpContext
from spillway.preflight.model import Check, Row


def weights(context: GcpContext) -> Iterator[Row]:
    """The revision's manifest in the stack's bucket."""
    return stored_checks.weights(context, f"gs://{context.bucket}")


CHECKS: Final[tuple[Check[GcpContext], ...]] = (
    Check("identity", "project", account_checks.identity, decisive=True),
    Check("billing", "billing account", account_checks.billing),
    Check("rights", "rights for `up`", account_checks.rights),
    Check("services", "APIs", account_checks.services),
    Check("zones", "zones", capacity_checks.zones),
    Check("offerings", "machine types in the zones", capacity_checks.offerings),
    Check("quota.on-demand", "on-demand GPUs", capacity_checks.on_demand_quota),
    Check("quota.spot", "spot GPUs", capacity_checks.spot_quota),
    Check("quota.GPUS_ALL_REGIONS", "GPUs of all regions", capacity_checks.all_regions),
    Check("quota.cpus", "vCPUs", capacity_checks.cpus),
    Check("disk", "disk space", network_checks.disk_space),
    Check("image", "image", image_checks.image),
    Check("addresses", "static addresses", network_checks.addresses),
    Check("networks", "networks", network_checks.networks),
    Check("names", "names of secrets", account_checks.secret_names),
    Check("bucket", "buckets", account_checks.buckets),
    Check("weights", "weights", weights),
    Check("certificate", "certificate", stored_checks.certificate),
    Check("api-keys", "API keys", stored_checks.api_keys),
    Check("sold-out", "sold out now", capacity_checks.sold_out),
    Check("placement", "spot obtainability", capacity_checks.advice),
)
