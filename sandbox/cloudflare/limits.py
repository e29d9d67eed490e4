"""What the stand-in account has bought: its plan, and what Load Balancing allows with it.

The plan is the weather's quota `plan`: 0 free, 1 pro, 2 business, 3 enterprise (the default: the fastest checks). Each
limit below is a quota of its own too, for whoever has other numbers in the contract:

    quotas:
      - {cloud: cloudflare, name: plan, value: 1}
      - {cloud: cloudflare, name: pools, value: 5}

Limits: https://developers.cloudflare.com/load-balancing/reference/limitations/. Intervals by plan:
https://developers.cloudflare.com/load-balancing/monitors/create-monitor/ (the other page names 15 s for all plans but
Enterprise; the stricter one wins).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sandbox.cloudflare import tokens
from sandbox.cloudflare.common import QUOTA, VALIDATION, account_of
from sandbox.kinds import Cloud, CloudError, Resource

PLANS: Final = ("free", "pro", "business", "enterprise")
ENTERPRISE: Final = 3
BUSINESS: Final = 2
MAX_INTERVAL: Final = 3600


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit by the name of its quota, with its value for free, pro, business and enterprise."""

    name: str
    values: tuple[int, int, int, int]

    def of(self, cloud: Cloud) -> int:
        """The account's value: the plan's, unless the weather says otherwise."""
        return int(cloud.quota(self.name, self.values[plan(cloud)]))


MIN_INTERVAL: Final = Limit("monitor-interval", (60, 60, 15, 10))
LOAD_BALANCERS: Final = Limit("load-balancers", (20, 20, 20, 1000))
POOLS: Final = Limit("pools", (20, 20, 20, 1000))
ENDPOINTS: Final = Limit("endpoints", (20, 20, 20, 2000))
"""Custom numbers for Enterprise."""
CHECK_REGIONS: Final = Limit("check-regions", (13, 13, 13, 13))
"""How many regions a pool may be probed from. Published is only that all data centres at once are Enterprise's; a
subscription may name fewer regions: https://developers.cloudflare.com/load-balancing/monitors/#health-monitor-regions."""
TRAFFIC_STEERING: Final = Limit("traffic-steering", (1, 1, 1, 1))
"""Whether the account bought Traffic steering; without it and without Enterprise only "off" and "random" are there:
https://developers.cloudflare.com/load-balancing/understand-basics/traffic-steering/steering-policies/standard-options/.
The stand-in account bought it, as any account has to that wants latency routing."""
AFFINITY_HEADERS: Final = Limit("affinity-headers", (1, 1, 1, 5))
"""Documented at sessionAffinityAttributes.headers."""
DNS_RECORDS: Final = Limit("dns-records", (200, 3500, 3500, 3500))
"""https://developers.cloudflare.com/dns/manage-dns-records/"""
RECORD_TTL: Final = Limit("record-ttl", (60, 60, 60, 30))
"""https://developers.cloudflare.com/dns/manage-dns-records/reference/ttl/"""
COMMENT: Final = Limit("record-comment", (100, 500, 500, 500))
RECORD_TAGS: Final = Limit("record-tags", (0, 20, 20, 20))
"""Both: https://developers.cloudflare.com/dns/manage-dns-records/reference/record-attributes/"""


def plan(cloud: Cloud) -> int:
    """The account's plan as an index into PLANS; a zone takes it over when it is made."""
    return max(0, min(ENTERPRISE, int(cloud.quota("plan", ENTERPRISE))))


def plan_name(cloud: Cloud) -> str:
    return PLANS[plan(cloud)]


def needs_plan(cloud: Cloud, least: int, what: str) -> None:
    """Raises CloudError when the account's plan is below `least`."""
    if plan(cloud) < least:
        raise CloudError(
            VALIDATION, f"{what} needs the {PLANS[least]} plan, this is {plan_name(cloud)}: validation failed"
        )


def check_interval(cloud: Cloud, interval: int) -> None:
    """Raises CloudError, in the API's words, for a monitor's interval that the plan does not allow."""
    least = MIN_INTERVAL.of(cloud)
    if not least <= interval <= MAX_INTERVAL:
        raise CloudError(
            VALIDATION,
            f"interval is not in range [{least}, {MAX_INTERVAL}]: validation failed ({plan_name(cloud)} plan)",
        )


def check_room(cloud: Cloud, token: str, account: str, limit: Limit) -> None:
    """Raises CloudError when the account has as many objects of a type as it may."""
    if len(in_account(cloud, token, account)) >= limit.of(cloud):
        refuse(cloud, limit.name, limit.of(cloud))


def check_monitors(cloud: Cloud, account: str) -> None:
    """Monitors: one and a half times the pools that the account may have."""
    allowed = POOLS.of(cloud) * 3 // 2
    if len(in_account(cloud, tokens.MONITOR, account)) >= allowed:
        refuse(cloud, "monitors", allowed)


def check_endpoints(cloud: Cloud, account: str, added: int, ignore: str | None = None) -> None:
    """Endpoints of all the account's pools together."""
    others = [p for p in in_account(cloud, tokens.POOL, account) if p.id != ignore]
    if sum(len(pool["origins"] or []) for pool in others) + added > ENDPOINTS.of(cloud):
        refuse(cloud, ENDPOINTS.name, ENDPOINTS.of(cloud))


def in_account(cloud: Cloud, token: str, account: str) -> list[Resource]:
    """The account's objects of a type, oldest first."""
    return [r for r in cloud.all(token) if account_of(r) == account]


def refuse(cloud: Cloud, what: str, allowed: int) -> None:
    """Raises the API's refusal of one object too many."""
    raise CloudError(QUOTA, f"quota exceeded: the {plan_name(cloud)} plan includes {allowed} {what.replace('-', ' ')}")
