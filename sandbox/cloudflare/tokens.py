"""Type tokens, for references between modules."""

from __future__ import annotations

from typing import Final

ZONE: Final = "cloudflare:index/zone:Zone"
ZONE_SETTING: Final = "cloudflare:index/zoneSetting:ZoneSetting"
ZONE_DNSSEC: Final = "cloudflare:index/zoneDnssec:ZoneDnssec"
DNS_RECORD: Final = "cloudflare:index/dnsRecord:DnsRecord"
LOAD_BALANCER: Final = "cloudflare:index/loadBalancer:LoadBalancer"
POOL: Final = "cloudflare:index/loadBalancerPool:LoadBalancerPool"
MONITOR: Final = "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor"
MONITOR_GROUP: Final = "cloudflare:index/loadBalancerMonitorGroup:LoadBalancerMonitorGroup"
