"""Counts against the region's network quotas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from spillway.preflight.azure_region.context import AzureContext
from spillway.preflight.azure_region.facts import Thing
from spillway.preflight.model import Row, Unanswered
from spillway.preflight.pool_quotas import Limit, counted
from spillway.preflight.quota_requests import QuotaRequest

ADDRESSES: Final = ("StandardSkuPublicIpAddresses", "StandardPublicIPAddresses", "PublicIPAddresses")
"""Standard ones, as two APIs call them, and all: https://learn.microsoft.com/azure/quotas/networking-quota-requests"""
NETWORKS: Final = ("VirtualNetworks",)
BALANCER_AND_NAT: Final = 2


def addresses(context: AzureContext) -> Iterator[Row]:
    """Public addresses: the balancer's and the NAT gateway's. The nodes have none."""
    why = f"{BALANCER_AND_NAT} addresses: 1 for the balancer, 1 for NAT"
    yield from _counted(
        context, "addresses", "public addresses", ADDRESSES, context.account.addresses, BALANCER_AND_NAT, why
    )


def networks(context: AzureContext) -> Iterator[Row]:
    """Virtual networks."""
    yield from _counted(context, "networks", "virtual networks", NETWORKS, context.account.networks, 1, "1")


def _counted(
    context: AzureContext,
    id: str,
    title: str,
    codes: tuple[str, ...],
    ask: Callable[[], Sequence[Thing]],
    needed: int,
    why: str,
) -> Iterator[Row]:
    listed = {limit.code.lower(): limit for limit in context.account.limits("Microsoft.Network")}
    limits = [limits for code in codes if (limits := listed.get(code.lower())) is not None]
    if not limits:
        raise Unanswered(f"the region lists no quota {' or '.join(codes)}")
    own = sum(thing.stack == context.stack for thing in ask())

    def request(limit: Limit, value: float) -> QuotaRequest:
        return context.request(limit, value, "Microsoft.Network")

    # The one with the least room: each of them may refuse.
    tightest = min(limits, key=lambda limit: limit.most - limit.used)
    yield counted(id, title, tightest, own, needed, why, request)
