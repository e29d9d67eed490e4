"""A global stack on Route 53: what its account is asked, what a person is told, and the stand-in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.dns.config import parse_global
from infra.dns.sections import GlobalStack
from infra.faults import ConfigError
from spillway.preflight.aws_region.facts import Identity
from spillway.preflight.deployed import Plans, foreseen
from spillway.preflight.global_context import Delegation, DnsZone, GlobalContext
from spillway.preflight.global_stand_in import StandInRoute53
from spillway.preflight.model import Row, Unanswered, run
from spillway.preflight.route53 import AwsRoute53
from spillway.preflight.route53_checks import CHECKS, Limit, LimitKind, Named
from tests.support.memory_cloud import MemoryCloud
from tests.unit.preflight.fake_account import ACCOUNT, NOW
from tests.unit.preflight.kept import keep
from tests.unit.preflight.stubs import Error, answering
from tests.unit.stack_data import STACKS

SERVERS = ("ns-1.awsdns-00.com", "ns-2.awsdns-00.net", "ns-3.awsdns-00.org", "ns-4.awsdns-00.co.uk")
ZONE = DnsZone("Z0123456789", "example.com", SERVERS)
BY_ID = {"name": "example.com", "id": "Z0123456789"}


def config(**changes: Any) -> GlobalStack:
    data: dict[str, Any] = {
        "zone": {"name": "example.com"},
        "route53": {"account": ACCOUNT},
        "services": [{"name": "llm.example.com", "policy": "priority"}],
        "members": [
            {"name": "aws-us-east-1", "stack": "aws-us-east-1", "priority": 1},
            {"name": "onprem-fra", "priority": 9, "endpoint": {
                "addresses": ["198.51.100.10"], "nearestAwsRegion": "eu-central-1", "residency": "eu"}},
        ],
    }  # fmt: skip
    return parse_global({**data, **changes}, "global", "stacks/Pulumi.global.yaml", STACKS)


@dataclass
class FakeRoute53:
    """See route53_checks.Route53Account."""

    stand_in: bool = False
    account: str = ACCOUNT
    zones: Sequence[DnsZone] = ()
    standing: Sequence[Named] = ()
    limits: dict[str, Limit] = field(default_factory=dict)

    def identity(self) -> Identity:
        return Identity(self.account, "arn:me")

    def zone(self, id: str) -> DnsZone | None:
        return next((zone for zone in self.zones if zone.id == id), None)

    def zones_named(self, name: str) -> Sequence[DnsZone]:
        return [zone for zone in self.zones if zone.name == name and not zone.private]

    def records(self, zone: str, names: tuple[str, ...]) -> Sequence[Named]:
        return [record for record in self.standing if record.name in names]

    def limit(self, kind: LimitKind, hosts: tuple[str, ...]) -> Limit:
        return self.limits.get(kind, Limit(200, 0))

    def record_limit(self, zone: str) -> Limit:
        return self.limits.get("records", Limit(10_000, 2))


@dataclass
class FakeParents:
    """See global_context.Parents; None: out of reach."""

    servers: tuple[str, ...] | None = SERVERS

    def delegation(self, zone: str) -> Delegation:
        if self.servers is None:
            raise Unanswered("DNS is out of reach: timed out", "dig")
        return Delegation("com", tuple(sorted(self.servers)))


def asked(
    account: Any, parents: FakeParents | None = None, stack: GlobalStack | None = None, *, real: bool = True
) -> dict[str, Row]:
    wanted = stack or config()
    plan = foreseen(wanted, STACKS, "stacks/Pulumi.global.yaml")
    context: Any = GlobalContext(
        "global", wanted, Plans(plan, plan), account, (parents or FakeParents()) if real else None, NOW
    )
    found = run(CHECKS, context)
    assert len({row.id for row in found}) == len(found)
    return {row.id: row for row in found}


def states(found: dict[str, Row]) -> dict[str, str]:
    return {id: row.state for id, row in found.items() if row.state not in ("ok", "note")}


# What a person is told


def test_a_zone_that_nobody_has_is_made_and_delegated_afterwards() -> None:
    found = asked(FakeRoute53(), FakeParents(()))
    assert states(found) == {}
    assert found["zone"].found == "example.com: `up` makes it"
    assert found["delegation"].state == "note"
    assert "until then nobody finds the zone" in found["delegation"].action
    assert found["limit.health-checks"].needed == "7: one per address, one per cloud"
    assert "limit.hosted-zones" in found


def test_a_second_zone_of_the_name_would_answer_nobody() -> None:
    found = asked(FakeRoute53(zones=[ZONE]))
    assert found["zone"].state == "failure"
    assert "zone: {name: example.com, id: Z0123456789}" in found["zone"].action
    own = DnsZone("Z1", "example.com", SERVERS, stack="global")
    assert states(asked(FakeRoute53(zones=[own]))) == {}
    assert "limit.hosted-zones" not in asked(FakeRoute53(zones=[own])), "it is there already"


@pytest.mark.parametrize(
    ("zones", "state", "told"),
    [
        ([ZONE], "ok", "Z0123456789: example.com"),
        ([], "failure", "not in this account"),
        ([DnsZone("Z0123456789", "example.org", SERVERS)], "failure", "is example.org"),
        ([DnsZone("Z0123456789", "example.com", SERVERS, private=True)], "failure", "private"),
    ],
)
def test_a_zone_by_id_is_there_public_and_of_that_name(zones: list[DnsZone], state: str, told: str) -> None:
    row = asked(FakeRoute53(zones=zones), stack=config(zone=BY_ID))["zone"]
    assert (row.state, told in row.found) == (state, True)


@pytest.mark.parametrize(
    ("servers", "state", "told"),
    [
        (SERVERS, "ok", ""),
        ((), "warning", "registrar"),
        (("ns.elsewhere.net",), "warning", "clients never ask this zone"),
        (SERVERS[:2], "warning", "exactly these"),
        ((*SERVERS, "ns.elsewhere.net"), "warning", "exactly these"),
        (None, "unknown", "dig"),
    ],
)
def test_the_parent_names_exactly_the_zones_own_servers(servers: tuple[str, ...] | None, state: str, told: str) -> None:
    row = asked(FakeRoute53(zones=[ZONE]), FakeParents(servers), config(zone=BY_ID))["delegation"]
    assert (row.state, told in row.action) == (state, True)


def test_a_name_that_is_delegated_elsewhere_before_the_zone_is_made_is_a_warning() -> None:
    row = asked(FakeRoute53(), FakeParents(("ns.elsewhere.net",)))["delegation"]
    assert (row.state, row.found) == ("warning", "com sends clients to ns.elsewhere.net")


def test_records_at_the_service_names_that_are_not_this_stacks_make_up_fail() -> None:
    def with_records(*records: Named) -> dict[str, str]:
        return states(asked(FakeRoute53(zones=[ZONE], standing=records), stack=config(zone=BY_ID)))

    name = "llm.example.com"
    assert with_records() == {}
    assert with_records(Named(name, "A", "failover", "first"), Named(name, "A", "failover", "after")) == {}
    assert with_records(Named(name, "TXT", "simple", "")) == {}
    assert with_records(Named(name, "CNAME", "simple", "")) == {f"record.{name}": "failure"}
    assert with_records(Named(name, "A", "failover", "mine")) == {f"record.{name}": "failure"}
    assert with_records(Named(name, "AAAA", "simple", "")) == {f"record.{name}.aaaa": "warning"}


def test_several_foreign_records_of_one_name_are_one_row() -> None:
    name = "llm.example.com"
    records = [Named(name, "A", "weighted", "a"), Named(name, "A", "weighted", "b")]
    row = asked(FakeRoute53(zones=[ZONE], standing=records), stack=config(zone=BY_ID))[f"record.{name}"]
    assert row.found == "weighted A, a; weighted A, b: there already"


def test_limits_count_what_others_use_and_all_that_this_stack_needs() -> None:
    checks = {"health checks": Limit(200, 199, own=5)}
    row = asked(FakeRoute53(limits=checks))["limit.health-checks"]
    assert row.request is not None
    assert (row.state, row.request.code, row.request.value) == ("failure", "L-ACB674F3", 201)
    assert row.request.region == "us-east-1"
    for own in (6, 7):  # 193 of others and the 7 needed are 200
        checks = {"health checks": Limit(200, 199, own=own)}
        assert asked(FakeRoute53(limits=checks))["limit.health-checks"].state == "ok"
    full = asked(FakeRoute53(limits={"hosted zones": Limit(500, 500)}))["limit.hosted-zones"]
    assert full.state == "failure"
    zone = FakeRoute53(zones=[ZONE], limits={"records": Limit(10_000, 9_999)})
    assert asked(zone, stack=config(zone=BY_ID))["limit.records-per-zone"].state == "failure"


def test_credentials_of_another_account_end_it() -> None:
    found = asked(FakeRoute53(account="999999999999"))
    assert list(found) == ["identity"]
    assert found["identity"].state == "failure"


def test_planned_regions_count_and_regions_without_a_file_do_not() -> None:
    members: list[dict[str, object]] = [
        {"name": "aws-us-east-1", "stack": "aws-us-east-1", "priority": 1},
        {"name": "aws-us-west-2", "stack": "aws-us-west-2", "priority": 2, "planned": True},
        {"name": "aws-ap-south-1", "stack": "aws-ap-south-1", "priority": 3, "planned": True},
    ]
    plan = foreseen(config(members=members), STACKS, "stacks/x.yaml")
    assert [probe.name for probe in plan.probes] == ["aws-us-east-1", "aws-us-west-2"]
    addresses = [address for probe in plan.probes for address in probe.endpoint.addresses]
    assert len(set(addresses)) == len(addresses), "nobody shares an address"
    with pytest.raises(ConfigError):
        foreseen(config(members=[{**members[2], "planned": True}, members[0]]), Path("/none"), "stacks/x.yaml")


# What Route 53 is asked

HOSTED = {"Id": "/hostedzone/Z0123456789", "Name": "example.com.", "CallerReference": "c", "ResourceRecordSetCount": 5,
          "Config": {"PrivateZone": False}}  # fmt: skip
GET = ("route53", "get_hosted_zone", {"Id": "Z0123456789"},
       {"HostedZone": HOSTED, "DelegationSet": {"NameServers": list(SERVERS)}})  # fmt: skip
TAGGED = ("route53", "list_tags_for_resource", {"ResourceType": "hostedzone", "ResourceId": "Z0123456789"},
          {"ResourceTagSet": {"Tags": [{"Key": "spillway:stack", "Value": "global"}]}})  # fmt: skip


def test_a_zone_comes_with_its_servers_and_its_stack() -> None:
    with answering(GET, TAGGED) as account:
        assert AwsRoute53(account).zone("Z0123456789") == DnsZone(
            "Z0123456789", "example.com", SERVERS, stack="global", records=5
        )
    with answering(("route53", "get_hosted_zone", None, Error("NoSuchHostedZone", status=404))) as account:
        assert AwsRoute53(account).zone("Z0123456789") is None


def test_zones_of_a_name_are_the_public_ones_of_exactly_that_name() -> None:
    def listed(id: str, name: str, private: bool = False) -> dict[str, Any]:
        return {"Id": f"/hostedzone/{id}", "Name": name, "CallerReference": "c", "Config": {"PrivateZone": private}}

    first = {"HostedZones": [listed("ZPRIVATE", "example.com.", True)], "IsTruncated": True, "MaxItems": "1",
             "NextDNSName": "example.com.", "NextHostedZoneId": "Z0123456789"}  # fmt: skip
    rest = {"HostedZones": [listed("Z0123456789", "example.com."), listed("ZX", "a.example.com.")],
            "IsTruncated": True, "MaxItems": "2", "NextDNSName": "x", "NextHostedZoneId": "y"}  # fmt: skip
    with answering(
        ("route53", "list_hosted_zones_by_name", {"DNSName": "example.com"}, first),
        ("route53", "list_hosted_zones_by_name", {"DNSName": "example.com.", "HostedZoneId": "Z0123456789"}, rest),
        GET,
        TAGGED,
    ) as account:
        assert [zone.id for zone in AwsRoute53(account).zones_named("example.com")] == ["Z0123456789"]


def test_the_records_of_a_name_are_read_to_their_end() -> None:
    def record(name: str, **more: Any) -> dict[str, Any]:
        return {"Name": name, "Type": "A", **more}

    pages = [
        {"ResourceRecordSets": [record("llm.example.com.", SetIdentifier="first", Failover="PRIMARY")],
         "IsTruncated": True, "MaxItems": "1", "NextRecordName": "llm.example.com.", "NextRecordType": "A",
         "NextRecordIdentifier": "x"},
        {"ResourceRecordSets": [record("llm.example.com.", SetIdentifier="x", Weight=0), record("z.example.com.")],
         "IsTruncated": False, "MaxItems": "1"},
    ]  # fmt: skip
    start = {"HostedZoneId": "Z1", "StartRecordName": "llm.example.com"}
    following = {"HostedZoneId": "Z1", "StartRecordName": "llm.example.com.", "StartRecordType": "A",
                 "StartRecordIdentifier": "x"}  # fmt: skip
    with answering(
        ("route53", "list_resource_record_sets", start, pages[0]),
        ("route53", "list_resource_record_sets", following, pages[1]),
    ) as account:
        assert AwsRoute53(account).records("Z1", ("llm.example.com",)) == [
            Named("llm.example.com", "A", "failover", "first"),
            Named("llm.example.com", "A", "weighted", "x"),
        ]


def check(id: str, **settings: Any) -> dict[str, Any]:
    about = {"Type": "HTTPS", **settings}
    return {"Id": id, "CallerReference": id, "HealthCheckConfig": about, "HealthCheckVersion": 1}


def test_health_checks_of_the_service_names_and_what_is_made_of_them_are_this_stacks() -> None:
    limit = {"Limit": {"Type": "MAX_HEALTH_CHECKS_BY_OWNER", "Value": 200}, "Count": 5}
    listed = [
        check("a" * 36, FullyQualifiedDomainName="llm.example.com"),
        check("b" * 36, FullyQualifiedDomainName="other.example.com"),
        check("c" * 36, Type="CALCULATED", ChildHealthChecks=["a" * 36]),
        check("d" * 36, Type="CALCULATED", ChildHealthChecks=["a" * 36, "b" * 36]),
        check("e" * 36, Type="CALCULATED", ChildHealthChecks=[]),
    ]
    answer = {"HealthChecks": listed, "Marker": "", "IsTruncated": False, "MaxItems": "100"}
    limit_call = ("route53", "get_account_limit", {"Type": "MAX_HEALTH_CHECKS_BY_OWNER"}, limit)
    with answering(limit_call, ("route53", "list_health_checks", {}, answer)) as account:
        assert AwsRoute53(account).limit("health checks", ("llm.example.com",)) == Limit(200, 5, 2)
    with answering(limit_call, ("route53", "list_health_checks", {}, Error("AccessDenied", status=403))) as account:
        assert AwsRoute53(account).limit("health checks", ("llm.example.com",)) == Limit(200, 5, 0)


def test_the_records_of_a_zone_of_this_stacks_making_are_its_own() -> None:
    limit = {"Limit": {"Type": "MAX_RRSETS_BY_ZONE", "Value": 10_000}, "Count": 44}
    wanted = {"Type": "MAX_RRSETS_BY_ZONE", "HostedZoneId": "Z0123456789"}
    with answering(("route53", "get_hosted_zone_limit", wanted, limit), GET, TAGGED) as account:
        assert AwsRoute53(account).record_limit("Z0123456789") == Limit(10_000, 44, 42)


def test_throttling_of_route_53_is_one_open_question() -> None:
    with (
        answering(("route53", "get_hosted_zone", None, Error("PriorRequestNotComplete"))) as account,
        pytest.raises(Unanswered, match="throttles"),
    ):
        AwsRoute53(account).zone("Z1")


# The stand-in


def test_the_stand_in_before_and_after_its_zone(tmp_path: Path) -> None:
    assert states(asked(StandInRoute53(tmp_path / "none", ACCOUNT), real=False)) == {}
    cloud = MemoryCloud()
    zone = cloud.create("aws:route53/zone:Zone", name="example.com", tags={"spillway:stack": "global"})
    health = cloud.create(
        "aws:route53/healthCheck:HealthCheck", type="HTTPS", ipAddress="203.0.113.9", fqdn="llm.example.com", port=443,
        requestInterval=10, failureThreshold=2,
    )  # fmt: skip
    cloud.create(
        "aws:route53/healthCheck:HealthCheck", type="CALCULATED", childHealthchecks=[health.id], childHealthThreshold=1
    )
    cloud.create(
        "aws:route53/record:Record", zoneId=zone.id, name="llm.example.com", type="A", ttl=10,
        records=["203.0.113.9"], setIdentifier="first", failoverRoutingPolicies=[{"type": "PRIMARY"}],
        healthCheckId=health.id,
    )  # fmt: skip
    keep(tmp_path, cloud)
    found = asked(StandInRoute53(tmp_path, ACCOUNT), real=False)
    assert states(found) == {}
    assert found["zone"].found == "example.com: this stack's"
    assert found["limit.health-checks"].found == "0 used by others, 2 by this stack, quota 200"
    assert found["records"].found == "llm.example.com: this stack's own"
    assert found["delegation"].state == "note"


def test_the_stand_ins_weather_limits_health_checks(tmp_path: Path) -> None:
    (tmp_path / "weather.yaml").write_text("quotas:\n  - {name: L-ACB674F3, value: 6}\n")
    row = asked(StandInRoute53(tmp_path, ACCOUNT), real=False)["limit.health-checks"]
    assert (row.state, row.request and row.request.value) == ("failure", 7)
