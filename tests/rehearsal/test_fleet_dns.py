"""What a DNS provider is told of any plan reads back as that plan: tiers, weights, places, standbys, last resorts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings

from infra.dns import cloudflare_pools, traffic_profiles
from infra.dns.plan import GlobalPlan
from infra.dns.program import _service as service_output
from infra.dns.route53 import answers
from rehearsal.fleet import cloudflare, route53, traffic_manager
from rehearsal.fleet.answers import Answers
from rehearsal.fleet.model import Service
from rehearsal.fleet.resources import Resource, Stack
from rehearsal.fleet.world_files import services
from tests.support.global_plans import ZONE, Wanted, inputs, wanted

PREFIX = "spillway-llm"


def resource(type_: str, label: str, id_: str = "", /, **properties: Any) -> Resource:
    urn = f"urn:pulumi:global::spillway::{type_}::global-{label}"
    return Resource(urn, type_, id_ or label, (properties,))


def stack(rows: list[Resource], plan: GlobalPlan) -> Stack:
    outputs = {"services": {service.name: service_output(service) for service in plan.services}}
    return Stack("global", "export", "global.json", tuple(rows), outputs)


def read(found: Answers, plan: GlobalPlan) -> tuple[Service, ...]:
    return tuple(
        Service(one.name, one.policy, one.residency, found.tiers[one.name], found.fallbacks.get(one.name, ()))
        for one in plan.services
    )


def members(found: Answers) -> Mapping[str, int]:
    return {name: len(probed.addresses) for name, probed in found.members.items()}


def probed(plan: GlobalPlan) -> Mapping[str, int]:
    return {probe.name: len(probe.endpoint.addresses) for probe in plan.probes}


@given(wanted())
@settings(max_examples=40)
def test_route_53(asked: Wanted) -> None:
    plan = asked.plan()
    rows = [
        resource(route53.SERVICE, f"{answer.name}-{answer.set}", **inputs(answer, asked.ttl))
        for service in plan.services
        for answer in answers(service, asked.ttl)
    ]
    rows += [
        resource(
            route53.CHECK, f"{probe.name}-{address}", ipAddress=address, port=443, resourcePath="/readyz",
            requestInterval=10, failureThreshold=2,
        )
        for probe in plan.probes
        for address in probe.endpoint.addresses
    ]  # fmt: skip
    found = route53.read(stack(rows, plan), None)
    assert read(found, plan) == services("route53", ZONE, plan)
    assert members(found) == probed(plan)
    assert found.check.ttl_seconds == asked.ttl


@given(wanted(ranked=True))
@settings(max_examples=40)
def test_traffic_manager(asked: Wanted) -> None:
    plan = asked.plan()
    rows = []
    for profile in traffic_profiles.profiles(PREFIX, ZONE, plan):
        label = profile.label.replace(" ", "-")
        monitor = {
            "intervalInSeconds": 10, "timeoutInSeconds": 5, "toleratedNumberOfFailures": 1, "port": profile.port,
            "path": profile.health_path,
        }  # fmt: skip
        rows.append(
            resource(
                traffic_manager.SERVICE, label, profile.name, profileName=profile.name, monitorConfig=monitor,
                trafficRoutingMethod=profile.method, dnsConfig={"relativeName": profile.name, "ttl": 10},
            )
        )  # fmt: skip
        for branch in profile.branches:
            told = {
                "target": branch.target, "targetResourceId": branch.child, "weight": branch.weight,
                "priority": branch.priority, "endpointLocation": branch.location,
                "endpointStatus": "Enabled" if branch.enabled else "Disabled",
            }  # fmt: skip
            rows.append(
                resource(
                    traffic_manager.ENDPOINT, f"{label}-{branch.name}", profileName=profile.name,
                    endpointName=branch.name, **told,
                )
            )  # fmt: skip
    for service in plan.services:
        cname = f"{traffic_profiles.root(PREFIX, service)}.{traffic_profiles.DNS_SUFFIX}"
        rows.append(
            resource(
                traffic_manager.RECORD, service.name, zoneName=ZONE, cnameRecord={"cname": cname},
                relativeRecordSetName=service.name.removesuffix(f".{ZONE}"),
            )
        )  # fmt: skip
    found = traffic_manager.read(stack(rows, plan), None)
    assert read(found, plan) == services("traffic-manager", ZONE, plan)
    assert members(found) == probed(plan)


@given(wanted())
@settings(max_examples=40)
def test_cloudflare(asked: Wanted) -> None:
    plan = asked.plan()
    if any(cloudflare_pools.faults(plan, cloudflare_pools.ENTERPRISE)):
        return
    made = cloudflare_pools.render(plan)
    rows = [
        resource(
            cloudflare.MONITOR, str(monitor), path=monitor.path, interval=10, timeout=5, retries=0, consecutiveDown=2
        )
        for monitor in made.monitors
    ]
    for pool in made.pools:
        place = {"latitude": pool.place.latitude, "longitude": pool.place.longitude} if pool.place else {}
        origins = [
            {"name": origin.name, "address": origin.address, "port": pool.port, "weight": origin.weight}
            for origin in pool.origins
        ]
        rows.append(
            resource(
                cloudflare.POOL, pool.key, pool.key, monitor=str(pool.monitor), origins=origins, checkRegions=["WNAM"],
                **place,
            )
        )  # fmt: skip
    for balancer in made.balancers:
        steering = {"poolWeights": dict(balancer.weights)} if balancer.weights else None
        rows.append(
            resource(
                cloudflare.SERVICE, balancer.name, name=balancer.name, proxied=True, fallbackPool=balancer.fallback,
                defaultPools=list(balancer.pools), steeringPolicy=balancer.steering, randomSteering=steering,
            )
        )  # fmt: skip
    found = cloudflare.read(stack(rows, plan), None)
    assert read(found, plan) == services("cloudflare", ZONE, plan)
    assert members(found) == {name: count for name, count in probed(plan).items() if name in found.members}
