"""Route 53: the service names as a tree of records, and a health check for each address of each member.

Answers come from A records with a short TTL on static addresses. What chooses between them are alias records to names
of the same zone, which take their target's TTL, unlike an alias to a balancer with its fixed 60 s:
https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-alias-common.html
How Route 53 walks such a tree, and that it leaves a branch without a healthy record:
https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-complex-configs.html

    llm.example.com                      failover, the only record: to the first tier
      _from-priority-1.llm.example.com   failover: PRIMARY -> this tier, SECONDARY -> _from- the next one
        _priority-1.llm.example.com      weighted or latency: one alias per member of the tier
          aws-us-east-1.llm.example.com  one A record per address, each with its own health check (through one more
                                         alias, to a name with the TTL in it)

Records are changed one after the other, and in no certain order, so the tiers are a linked list: when one comes or
goes, one record changes where it leads, and at any moment every tier that stays is reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

from infra import naming
from infra.dns.common import ZONE_KEY, ExistingZone, ProviderArgs, same_zone
from infra.dns.plan import Place, Probe, ServicePlan, Tier
from infra.dns.sections import GlobalStack
from infra.faults import NotFound, reason

CONTROL_REGION: Final = "us-east-1"
"""Route 53 is global; its control plane, and the metrics of its health checks, are in this region."""
EQUAL_WEIGHT: Final = 1


def provider(stack: str, config: GlobalStack) -> aws.Provider:
    """The only provider of the stack; no account but the one that the file names."""
    assert config.route53 is not None
    return aws.Provider(stack, region=CONTROL_REGION, allowed_account_ids=[config.route53.account])


def existing_zone(config: GlobalStack, account: aws.Provider) -> ExistingZone | None:
    """The hosted zone that the stack file names by id, if it does. Raises NotFound."""
    wanted = config.zone
    if wanted.id is None:
        return None
    try:
        found = aws.route53.get_zone(zone_id=wanted.id, opts=pulumi.InvokeOptions(provider=account))
    except Exception as error:  # the SDK raises plain Exception for whatever the provider answers
        raise NotFound(f"{ZONE_KEY} = {wanted.id}: cannot find that hosted zone: {reason(error)}") from None
    if not same_zone(found.name, wanted.name):
        raise NotFound(f"{ZONE_KEY} = {wanted.id}: is the zone {found.name}, and zone.name is {wanted.name}")
    if found.private_zone:
        raise NotFound(f"{ZONE_KEY} = {wanted.id}: is a private zone; clients outside would never see it")
    return ExistingZone(wanted.id, wanted.name, tuple(found.name_servers))


@dataclass(frozen=True, slots=True)
class Answer:
    """One record of the tree. name: its full name; set: its identifier among the records of that name.

    One of weight, failover and latency chooses it, or none where it is the only one of its name and `set` is None;
    exactly one of alias and address is what it answers.
    """

    name: str
    set: str | None
    weight: int | None = None
    failover: str | None = None
    latency: str | None = None
    alias: str | None = None
    address: str | None = None
    member: str | None = None
    """Whose health check guards the address."""


def answers(service: ServicePlan, ttl_seconds: int) -> list[Answer]:
    """The records of one service name, targets before the aliases to them."""
    return list(_service(service, ttl_seconds))


def _service(service: ServicePlan, ttl_seconds: int) -> Iterator[Answer]:
    for place in service.places:
        # Records of one name have one TTL, and are updated one after the other: another TTL is another name.
        leaf = f"_ttl-{ttl_seconds}.{_member(service, place)}"
        for address in place.endpoint.addresses:
            yield Answer(leaf, address, weight=EQUAL_WEIGHT, address=address, member=place.name)
        yield Answer(_member(service, place), None, alias=leaf)
    following = None
    for tier in reversed(service.tiers):
        yield from _tier(service, tier, _node(service, tier))
        # Failover also for the last tier, and for the service's name with its one record: records of one name must not
        # change their kind, as old and new ones stand side by side for a moment while a tier comes or goes.
        link = f"_from-{tier.label}.{service.name}"
        yield Answer(link, "first", failover="PRIMARY", alias=_node(service, tier))
        if following is not None:
            yield Answer(link, "after", failover="SECONDARY", alias=following)
        following = link
    yield Answer(service.name, "first", failover="PRIMARY", alias=following)


def _node(service: ServicePlan, tier: Tier) -> str:
    return f"_{tier.label}.{service.name}"


def _member(service: ServicePlan, place: Place) -> str:
    return f"{place.name}.{service.name}"


def _tier(service: ServicePlan, tier: Tier, name: str) -> Iterator[Answer]:
    """The records under `name` that choose between the members of one tier."""
    if tier.choice == "weighted":
        for place in tier.places:
            yield Answer(name, place.name, weight=place.weight, alias=_member(service, place))
        return
    # One latency record per AWS region and name is all that Route 53 takes: members that share the nearest region share
    # its record, by weight. https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-latency.html
    regions: dict[str, list[Place]] = {}
    for place in tier.places:
        regions.setdefault(place.endpoint.nearest_aws_region, []).append(place)
    for region, places in regions.items():
        target = _member(service, places[0])
        if len(places) > 1:
            target = f"_{region}.{service.name}"
            for place in places:
                yield Answer(target, place.name, weight=place.weight, alias=_member(service, place))
        yield Answer(name, region, latency=region, alias=target)


class Route53(pulumi.ComponentResource):
    """Zone, health checks and records of the global stack. Needs `opts.provider`; exports nothing."""

    zone: pulumi.Output[dict[str, Any]]
    """{id, name, nameServers}."""
    checks: pulumi.Output[dict[str, Any]]
    """Member -> address -> id of its health check."""
    answers: pulumi.Output[dict[str, Any]]
    """Service name -> itself: the zone's own records answer."""
    clouds: pulumi.Output[dict[str, Any]]
    """Cloud -> id of the check that says whether any of its members is healthy."""

    def __init__(self, name: str, args: ProviderArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:dns:Route53", name, None, opts)
        self._name, self._args = name, args
        self._child = ResourceOptions(parent=self)
        zone_id = self._zone()
        checks = {
            probe.name: {address: self._check(probe, address) for address in probe.endpoint.addresses}
            for probe in args.plan.probes
        }
        self._records(zone_id, checks)
        self.checks = pulumi.Output.from_input(
            {member: {address: check.id for address, check in found.items()} for member, found in checks.items()}
        )
        self.answers = pulumi.Output.from_input({service.name: service.name for service in args.plan.services})
        self.clouds = pulumi.Output.from_input(self._clouds(checks))
        self.register_outputs({"zone": self.zone, "checks": self.checks, "clouds": self.clouds})

    def _tags(self, component: str, label: str) -> dict[str, str]:
        return naming.tags(self._args.stack, component, self._args.config.tags, label=label)

    def _zone(self) -> pulumi.Input[str]:
        wanted = self._args.config.zone
        found = self._args.zone
        if found is not None:
            self.zone = found.output()
            return found.id
        zone = aws.route53.Zone(
            f"{self._name}-zone",
            name=wanted.name,
            comment=f"Made by the stack {self._args.stack} of Spillway.",
            # Lets records be changed within 60 minutes when the control plane's own region is gone; only a zone that
            # had it before has it then. https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/accelerated-recovery.html
            enable_accelerated_recovery=True,
            force_destroy=False,
            tags=self._tags("zone", wanted.name),
            # A zone made again gets other name servers, and the delegation at the registrar points to the old ones.
            opts=ResourceOptions(parent=self, protect=True),
        )
        self.zone = pulumi.Output.from_input(
            {"id": zone.zone_id, "name": wanted.name, "nameServers": zone.name_servers}
        )
        return zone.zone_id  # type: ignore[no-any-return]  # the SDK is not followed

    def _check(self, probe: Probe, address: str) -> aws.route53.HealthCheck:
        endpoint, text = probe.endpoint, self._args.config.dns.check.expected_text
        return aws.route53.HealthCheck(
            f"{self._name}-{probe.name}-{address}",
            type="HTTPS" if text is None else "HTTPS_STR_MATCH",
            search_string=text,
            ip_address=address,
            fqdn=probe.host,  # Host header and SNI; the address alone decides where the probe goes
            enable_sni=True,
            port=endpoint.port,
            resource_path=endpoint.health_path,
            request_interval=self._args.settings.interval_seconds,
            failure_threshold=self._args.settings.threshold,
            tags=self._tags("check", f"{probe.name} {address}"),
            opts=self._child,
        )

    def _records(self, zone_id: pulumi.Input[str], checks: Mapping[str, Mapping[str, aws.route53.HealthCheck]]) -> None:
        for service in self._args.plan.services:
            made: dict[str, list[pulumi.Resource]] = {}
            for answer in answers(service, int(self._args.settings.ttl_seconds)):
                health = checks[answer.member][answer.address] if answer.member and answer.address else None
                record = aws.route53.Record(
                    "-".join(filter(None, (self._name, answer.name, answer.set))),
                    zone_id=zone_id,
                    name=answer.name,
                    type="A",
                    set_identifier=answer.set,
                    ttl=self._args.settings.ttl_seconds if answer.address else None,
                    records=[answer.address] if answer.address else None,
                    health_check_id=health.id if health else None,
                    aliases=[
                        aws.route53.RecordAliasArgs(name=answer.alias, zone_id=zone_id, evaluate_target_health=True)
                    ]
                    if answer.alias
                    else None,
                    weighted_routing_policies=_one(aws.route53.RecordWeightedRoutingPolicyArgs, weight=answer.weight),
                    failover_routing_policies=_one(aws.route53.RecordFailoverRoutingPolicyArgs, type=answer.failover),
                    latency_routing_policies=_one(aws.route53.RecordLatencyRoutingPolicyArgs, region=answer.latency),
                    # An alias to a name that is not there yet is refused; and one goes before its target does.
                    opts=ResourceOptions(parent=self, depends_on=made.get(answer.alias or "", [])),
                )
                made.setdefault(answer.name, []).append(record)

    def _clouds(self, checks: Mapping[str, Mapping[str, aws.route53.HealthCheck]]) -> dict[str, pulumi.Output[str]]:
        """One CALCULATED check per cloud: healthy while any address of any member there is that is not drained."""
        children: dict[str, list[pulumi.Input[str]]] = {}
        for probe in self._args.plan.probes:
            if probe.name not in self._args.plan.drained:
                ids = [check.id for check in checks[probe.name].values()]
                children.setdefault(probe.endpoint.cloud, []).extend(ids)
        return {
            cloud: aws.route53.HealthCheck(
                f"{self._name}-{cloud}",
                type="CALCULATED",
                child_healthchecks=ids,
                child_health_threshold=1,
                tags=self._tags("check", f"any of {cloud}"),
                opts=self._child,
            ).id
            for cloud, ids in children.items()
        }


def _one(kind: Any, **value: Any) -> list[Any] | None:
    """A routing policy, which the API has as a list of at most one; None without a value."""
    return None if None in value.values() else [kind(**value)]
