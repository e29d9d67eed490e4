"""Settings of checks that tests take again and again, and any that have a meaning."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from infra.dns.checkers import PROVIDERS, ROUTE53_REGIONS, CheckSettings

ROUTE53 = CheckSettings(provider="route53", interval_seconds=10, threshold=2, ttl_seconds=10)
TRAFFIC_MANAGER = CheckSettings(
    provider="traffic-manager", interval_seconds=10, threshold=2, timeout_seconds=5, ttl_seconds=10
)
CLOUDFLARE = CheckSettings(
    provider="cloudflare", interval_seconds=15, threshold=2, timeout_seconds=5, ttl_seconds=30, plan="business"
)
LAYERED = replace(CLOUDFLARE, proxied=True, failover_across_pools=True)

EXAMPLES = (
    ROUTE53,
    replace(ROUTE53, interval_seconds=30, threshold=3, check_regions=ROUTE53_REGIONS[:3]),
    TRAFFIC_MANAGER,
    CLOUDFLARE,
    replace(CLOUDFLARE, check_regions=("WEU", "EEU"), threshold=1, retries=1),
    replace(CLOUDFLARE, check_regions=("ALL_REGIONS",), plan="enterprise"),
    replace(CLOUDFLARE, proxied=True),
    LAYERED,
)


@st.composite
def any_settings(draw: st.DrawFn) -> CheckSettings:
    proxied = draw(st.booleans())
    return CheckSettings(
        provider=draw(st.sampled_from(PROVIDERS)),
        interval_seconds=draw(st.sampled_from([10, 15, 30, 60, 3600])),
        threshold=draw(st.integers(1, 10)),
        timeout_seconds=draw(st.one_of(st.none(), st.integers(1, 10))),
        ttl_seconds=draw(st.integers(0, 300)),
        proxied=proxied,
        failover_across_pools=proxied and draw(st.booleans()),
        retries=draw(st.integers(0, 3)),
        answer_seconds=draw(st.floats(0.01, 1)),
    )
