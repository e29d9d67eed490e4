"""How probes and answers will be timed, with what the stack file leaves out filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from infra.dns.checkers import CheckSettings
from infra.dns.limits import best
from infra.dns.sections import GlobalStack


def check_settings(config: GlobalStack) -> CheckSettings:
    """The probing as the provider will do it, with what the file leaves out filled in: the fastest that is allowed."""
    dns, check, cloudflare = config.dns, config.dns.check, config.cloudflare
    if dns.provider == "cloudflare" and cloudflare is not None:
        fastest = best(
            "cloudflare",
            plan=cloudflare.plan,
            proxied=cloudflare.proxied,
            failover_across_pools=cloudflare.failover_across_pools,
            check_regions=cloudflare.check_regions,
        )
    else:
        fastest = best(dns.provider)
    given: dict[str, Any] = {
        "interval_seconds": check.interval_seconds,
        "threshold": check.threshold,
        "timeout_seconds": check.timeout_seconds,
        "ttl_seconds": dns.ttl_seconds,
    }
    return replace(fastest, **{key: value for key, value in given.items() if value is not None})
