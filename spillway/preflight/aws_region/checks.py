"""All checks of an AWS region, in the order in which they are asked."""

from __future__ import annotations

from typing import Final

from spillway.preflight.aws_region import capacity_checks, image_checks, network_checks, secret_checks, storage_checks
from spillway.preflight.aws_region.context import AwsContext
from spillway.preflight.model import Check

CHECKS: Final[tuple[Check[AwsContext], ...]] = (
    Check("identity", "account", network_checks.identity, decisive=True),
    Check("zones", "availability zones", capacity_checks.zones),
    Check("offerings", "machine types in the zones", capacity_checks.offerings),
    Check("quota.on-demand", "on-demand vCPUs", capacity_checks.on_demand_quota),
    Check("quota.spot", "spot vCPUs", capacity_checks.spot_quota),
    Check("reservations", "capacity reservations", capacity_checks.reservations),
    Check("image", "image", image_checks.image),
    Check("addresses", "Elastic IPs", network_checks.addresses),
    Check("nat", "NAT gateways", network_checks.nat_gateways),
    Check("vpcs", "VPCs", network_checks.networks),
    Check("balancers", "load balancers", network_checks.balancers),
    Check("names", "fixed names", network_checks.names),
    Check("gp3", "gp3 storage", network_checks.storage_quota),
    Check("key", "default EBS key", storage_checks.default_key),
    Check("roles", "service-linked roles", storage_checks.service_roles),
    Check("bucket", "model bucket", storage_checks.bucket),
    Check("weights", "weights", storage_checks.weights),
    Check("certificate", "certificate", secret_checks.certificate),
    Check("api-keys", "API keys", secret_checks.api_keys),
    Check("sold-out", "sold out now", capacity_checks.sold_out),
    Check("spot-price", "spot market", capacity_checks.spot_prices),
    Check("placement", "spot placement score", capacity_checks.scores),
)
