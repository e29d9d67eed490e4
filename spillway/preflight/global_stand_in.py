"""The stand-in Route 53, Cloudflare and Azure as a preflight of a global stack sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sandbox.aws import quotas, route53_limits
from sandbox.aws.route53_names import clean_zone_id
from sandbox.azure_native import tokens as azure_tokens
from sandbox.cloudflare import tokens as cloudflare_tokens
from sandbox.kinds import Resource
from spillway.preflight.aws_region.facts import Identity
from spillway.preflight.azure_checks import Availability, Profile, Subscription
from spillway.preflight.cloudflare_checks import LoadBalancing, Token
from spillway.preflight.global_context import DnsZone
from spillway.preflight.model import once
from spillway.preflight.route53_checks import HOME, Limit, LimitKind, Named
from spillway.preflight.stand_in_store import StandInAsker, stack_of

APEX_RECORDS: Final = 2
"""NS and SOA, which every zone has from the start."""
_ROUTINGS: Final[Mapping[str, str]] = {
    "weightedRoutingPolicies": "weighted",
    "failoverRoutingPolicies": "failover",
    "latencyRoutingPolicies": "latency",
    "geolocationRoutingPolicies": "geolocation",
    "geoproximityRoutingPolicy": "geoproximity",
    "multivalueAnswerRoutingPolicy": "multivalue",
    "cidrRoutingPolicy": "CIDR",
}


class StandInRoute53(StandInAsker):
    """See route53_checks.Route53Account."""

    def __init__(self, directory: Path, account: str) -> None:
        super().__init__(directory, "aws", HOME, account)

    def identity(self) -> Identity:
        return Identity(self._account, "the stand-in AWS")

    @once
    def zone(self, id: str) -> DnsZone | None:
        return next((self._zone(zone) for zone in self._all(route53_limits.ZONE) if zone.id == id), None)

    @once
    def zones_named(self, name: str) -> Sequence[DnsZone]:
        zones = [zone for zone in self._all(route53_limits.ZONE) if _plain(zone["name"]) == name]
        return [self._zone(zone) for zone in zones if not zone["vpcs"]]

    def _zone(self, zone: Resource) -> DnsZone:
        return DnsZone(
            id=zone.id,
            name=_plain(zone["name"]),
            name_servers=tuple(zone["nameServers"] or ()),
            stack=stack_of(zone),
            private=bool(zone["vpcs"]),
            records=APEX_RECORDS + len(self._records(zone.id)),
        )

    def _records(self, zone: str) -> list[Resource]:
        return [r for r in self._all(route53_limits.RECORD) if clean_zone_id(str(r["zoneId"])) == zone]

    @once
    def records(self, zone: str, names: tuple[str, ...]) -> Sequence[Named]:
        return [
            Named(name, str(record["type"]), _routing(record), str(record["setIdentifier"] or ""))
            for record in self._records(zone)
            if (name := _plain(record["fqdn"] or record["name"])) in names
        ]

    @once
    def limit(self, kind: LimitKind, hosts: tuple[str, ...]) -> Limit:
        checks = kind == "health checks"
        quota = quotas.DNS_HEALTH_CHECKS if checks else quotas.HOSTED_ZONES
        found = self._all(route53_limits.HEALTH_CHECK if checks else route53_limits.ZONE)
        with self._cloud() as cloud:
            most = cloud.quota(quota.code, quota.default, region=HOME)
        probing = {r.id for r in found if str(r["fqdn"] or "").lower() in hosts}
        sums = [set(r["childHealthchecks"] or ()) for r in found] if checks else []
        own = len(probing) + sum(bool(children) and children <= probing for children in sums)
        return Limit(int(most), len(found), own if checks else 0)

    @once
    def record_limit(self, zone: str) -> Limit:
        quota = quotas.RECORDS_PER_HOSTED_ZONE
        with self._cloud() as cloud:
            most = cloud.quota(quota.code, quota.default, region=HOME)
        made_here = self.zone(zone)
        records = len(self._records(zone))
        return Limit(int(most), APEX_RECORDS + records, records if made_here is not None and made_here.stack else 0)


class StandInCloudflare(StandInAsker):
    """See cloudflare_checks.CloudflareAccount."""

    def __init__(self, directory: Path, account: str) -> None:
        from sandbox.clouds import registry

        super().__init__(directory, "cloudflare", "global", registry("cloudflare").account({}))
        self._owner = account

    @once
    def token(self) -> Token:
        return Token("active")

    @once
    def zone(self, id: str) -> DnsZone | None:
        return next((_cloudflare_zone(zone) for zone in self._all(cloudflare_tokens.ZONE) if zone.id == id), None)

    @once
    def zones_named(self, name: str) -> Sequence[DnsZone]:
        return [_cloudflare_zone(zone) for zone in self._all(cloudflare_tokens.ZONE) if zone["name"] == name]

    @once
    def records(self, zone: str, name: str) -> Sequence[str]:
        found = [r for r in self._all(cloudflare_tokens.DNS_RECORD) if r["zoneId"] == zone and r["name"] == name]
        return [str(r["type"]) for r in found if r["type"] in ("A", "AAAA", "CNAME")]

    @once
    def load_balancing(self, zone: str | None) -> LoadBalancing:
        balancers = [b for b in self._all(cloudflare_tokens.LOAD_BALANCER) if zone is None or b["zoneId"] == zone]
        pools = [pool for pool in self._all(cloudflare_tokens.POOL) if pool["accountId"] == self._owner]
        return LoadBalancing(
            bought=True,
            balancers=tuple(str(balancer["name"]) for balancer in balancers),
            pools=tuple((str(pool["name"]), len(pool["origins"] or [])) for pool in pools),
        )


class StandInAzure(StandInAsker):
    """See azure_checks.AzureAccount."""

    def __init__(self, directory: Path, subscription: str) -> None:
        super().__init__(directory, "azure-native", "global", subscription)

    @once
    def subscription(self) -> Subscription:
        return Subscription(self._account, "the stand-in Azure", "Enabled")

    @once
    def registered(self, namespace: str) -> str:
        return "Registered"

    @once
    def available(self, relative_name: str) -> Availability:
        with self._transaction() as tx:  # one namespace for all subscriptions
            taken = tx.all("azure-native", azure_tokens.PROFILE)
        names = {str((profile["dnsConfig"] or {}).get("relativeName", "")).lower() for profile in taken}
        if relative_name.lower() in names:
            return Availability(False, "another subscription's profile has it")
        return Availability(True)

    @once
    def profiles(self) -> Sequence[Profile]:
        return [
            Profile(
                name=str(profile["name"]),
                group=str(profile.inputs.get("resourceGroupName", "")).lower(),
                relative_name=str((profile["dnsConfig"] or {}).get("relativeName", "")),
                stack=stack_of(profile),
            )
            for profile in self._all(azure_tokens.PROFILE)
        ]

    @once
    def zone(self, id: str) -> DnsZone | None:
        found = self._all(azure_tokens.ZONE)
        return next((_azure_zone(zone) for zone in found if zone.id.lower() == id.lower()), None)

    @once
    def zones_named(self, name: str) -> Sequence[DnsZone]:
        return [_azure_zone(zone) for zone in self._all(azure_tokens.ZONE) if str(zone["name"]).lower() == name]


def _plain(name: Any) -> str:
    return str(name or "").rstrip(".").lower()


def _routing(record: Resource) -> str:
    return next((word for key, word in _ROUTINGS.items() if record[key]), "simple")


def _cloudflare_zone(zone: Resource) -> DnsZone:
    return DnsZone(
        id=zone.id,
        name=_plain(zone["name"]),
        name_servers=tuple(zone["nameServers"] or ()),
        status="active",  # the stand-in's answers whether or not a registrar knows it
        plan=str((zone["plan"] or {}).get("legacyId", "")),
        account=str((zone["account"] or {}).get("id", "")),
    )


def _azure_zone(zone: Resource) -> DnsZone:
    return DnsZone(
        id=zone.id,
        name=_plain(zone["name"]),
        name_servers=tuple(zone["nameServers"] or ()),
        stack=stack_of(zone),
        private=zone["zoneType"] == "Private",
    )
