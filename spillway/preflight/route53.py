"""Route 53 as a preflight asks it; read-only calls, all in us-east-1. See route53_checks.Route53Account.

Needs: sts:GetCallerIdentity, route53:GetHostedZone, route53:ListHostedZonesByName, route53:ListTagsForResource,
route53:ListResourceRecordSets, route53:GetAccountLimit, route53:GetHostedZoneLimit, route53:ListHealthChecks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from spillway.preflight.aws_calls import answered, code_of, pages
from spillway.preflight.aws_region.account import AwsAccount
from spillway.preflight.aws_region.facts import Identity
from spillway.preflight.global_context import DnsZone
from spillway.preflight.model import Asker, Unanswered, once
from spillway.preflight.route53_checks import HOME, Limit, LimitKind, Named
from spillway.recovery.model import STACK_TAG

Json = Mapping[str, Any]
_LIMITS: Final[Mapping[LimitKind, str]] = {
    "health checks": "MAX_HEALTH_CHECKS_BY_OWNER",
    "hosted zones": "MAX_HOSTED_ZONES_BY_OWNER",
}
# https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html
_ROUTINGS: Final = (
    ("Weight", "weighted"),
    ("Failover", "failover"),
    ("Region", "latency"),
    ("GeoLocation", "geolocation"),
    ("GeoProximityLocation", "geoproximity"),
    ("MultiValueAnswer", "multivalue"),
    ("CidrRoutingConfig", "CIDR"),
)


class AwsRoute53(Asker):
    """The account of `account`'s session."""

    stand_in = False

    def __init__(self, account: AwsAccount) -> None:
        super().__init__()
        self._account = account

    def identity(self) -> Identity:
        return self._account.identity()

    def _client(self) -> Any:
        return self._account.client("route53", HOME)

    @once
    def zone(self, id: str) -> DnsZone | None:
        with answered("route53", HOME):
            try:
                found = self._client().get_hosted_zone(Id=id)
            except ClientError as error:
                if code_of(error) == "NoSuchHostedZone":
                    return None
                raise
        servers = tuple(found.get("DelegationSet", {}).get("NameServers") or ())
        return self._zone(found["HostedZone"], servers)

    def _zone(self, item: Json, servers: tuple[str, ...]) -> DnsZone:
        return DnsZone(
            id=_plain_id(item["Id"]),
            name=_plain_name(item["Name"]),
            name_servers=servers,
            stack=self._stack(_plain_id(item["Id"])),
            private=bool(item.get("Config", {}).get("PrivateZone")),
            records=item.get("ResourceRecordSetCount", -1),
        )

    def _stack(self, zone: str) -> str:
        with answered("route53", HOME):
            told = self._client().list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone)
        tags = told["ResourceTagSet"].get("Tags") or []
        return next((str(tag.get("Value", "")) for tag in tags if tag.get("Key") == STACK_TAG), "")

    @once
    def zones_named(self, name: str) -> Sequence[DnsZone]:
        ids: list[str] = []
        start: dict[str, str] = {"DNSName": name}
        with answered("route53", HOME):
            while True:
                page = self._client().list_hosted_zones_by_name(**start)
                zones = page.get("HostedZones") or []
                # Sorted by reversed labels from the name asked for: the first other name ends the list.
                same = [zone for zone in zones if _plain_name(zone["Name"]) == name]
                ids += [_plain_id(z["Id"]) for z in same if not z.get("Config", {}).get("PrivateZone")]
                if len(same) < len(zones) or not page.get("IsTruncated"):
                    break
                start = {"DNSName": page["NextDNSName"], "HostedZoneId": page["NextHostedZoneId"]}
        return [zone for id in ids if (zone := self.zone(id)) is not None]

    @once
    def records(self, zone: str, names: tuple[str, ...]) -> Sequence[Named]:
        found: list[Named] = []
        for name in names:
            start: dict[str, str] = {"StartRecordName": name}
            with answered("route53", HOME):
                while True:
                    page = self._client().list_resource_record_sets(HostedZoneId=zone, **start)
                    sets = page.get("ResourceRecordSets") or []
                    same = [record for record in sets if _plain_name(record["Name"]) == name]
                    found += [Named(name, r["Type"], _routing(r), r.get("SetIdentifier", "")) for r in same]
                    if len(same) < len(sets) or not page.get("IsTruncated"):
                        break
                    start = {"StartRecordName": page["NextRecordName"], "StartRecordType": page["NextRecordType"]}
                    if page.get("NextRecordIdentifier"):
                        start["StartRecordIdentifier"] = page["NextRecordIdentifier"]
        return found

    @once
    def limit(self, kind: LimitKind, hosts: tuple[str, ...]) -> Limit:
        with answered("route53", HOME):
            found = self._client().get_account_limit(Type=_LIMITS[kind])
        own = self._own_checks(hosts) if kind == "health checks" and found["Count"] else 0
        return Limit(found["Limit"]["Value"], found["Count"], own)

    def _own_checks(self, hosts: tuple[str, ...]) -> int:
        """Checks that probe a service name, and CALCULATED ones made of nothing else. Tags would take a call per ten;
        when even the list is denied, all count as others'."""
        try:
            with answered("route53", HOME):
                checks = list(pages(self._client(), "list_health_checks", "HealthChecks"))
        except Unanswered:
            return 0
        own = {c["Id"] for c in checks if c["HealthCheckConfig"].get("FullyQualifiedDomainName", "").lower() in hosts}
        sums = [set(c["HealthCheckConfig"].get("ChildHealthChecks") or ()) for c in checks]
        return len(own) + sum(bool(children) and children <= own for children in sums)

    @once
    def record_limit(self, zone: str) -> Limit:
        with answered("route53", HOME):
            found = self._client().get_hosted_zone_limit(Type="MAX_RRSETS_BY_ZONE", HostedZoneId=zone)
        made_here = self.zone(zone)
        # In a zone of this stack's own, nearly all records are its own; NS and SOA stand in every zone.
        own = found["Count"] - 2 if made_here is not None and made_here.stack else 0
        return Limit(found["Limit"]["Value"], found["Count"], max(0, own))


def _plain_id(id: str) -> str:
    return id.rsplit("/", 1)[-1]


def _plain_name(name: str) -> str:
    return name.rstrip(".").lower().replace("\\052", "*")


def _routing(record: Json) -> str:
    return next((word for key, word in _ROUTINGS if record.get(key) is not None), "simple")
