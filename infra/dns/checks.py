"""What only several values of the global stack's file can say together: zone and names, members and services, limits.

How fast the chosen settings are, and which of them the provider refuses, is `infra/dns/budget.py`'s to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel

from infra.dns.plan import address_fault, selection_faults
from infra.dns.sections import GlobalStack
from infra.faults import Fault, did_you_mean, listed
from infra.stackfile import is_ci, is_global
from infra.validation import CheckList

check: Final[CheckList[GlobalStack]] = CheckList()

SECTIONS: Final = {"route53": "route53", "cloudflare": "cloudflare", "traffic-manager": "traffic_manager"}
"""Provider -> attribute of its section."""
ZONE_IDS: Final = {
    # https://docs.aws.amazon.com/Route53/latest/APIReference/API_HostedZone.html
    "route53": (r"Z[A-Z0-9]{1,31}", "a hosted zone id such as Z0123456789ABCDEFGHIJ"),
    "cloudflare": (r"[0-9a-f]{32}", "a Cloudflare zone id of 32 hex digits"),
    "traffic-manager": (
        r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft\.Network/dns[zZ]ones/[^/]+",
        "an Azure DNS zone's id, /subscriptions/.../resourceGroups/.../providers/Microsoft.Network/dnsZones/...",
    ),
}
HOSTNAME_ROUTING: Final = ("cloudflare", "traffic-manager")
"""Providers that can route to a host name. In Route 53 it would be a CNAME, which cannot share a name with A records:
https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html"""
MAX_NAME: Final = 253
LONGEST_PREFIX: Final = len("_ttl-3600.") + 32 + len(".")
"""TTL and member come before the service's name in the records of Route 53, see infra/dns/route53.py."""
NO_LATENCY: Final = ("me-west-1", "sa-west-1")
"""Regions that are announced, and that Route 53 does not take in latency records yet:
https://docs.aws.amazon.com/Route53/latest/APIReference/API_ResourceRecordSet.html (Region)"""


@check("dns")
def _section(stack: GlobalStack) -> Iterator[Fault]:
    wanted = stack.dns.provider
    attribute = SECTIONS[wanted]
    if attribute in stack.__dict__ and getattr(stack, attribute) is None:
        model = _model_of(attribute)
        keys = listed((f.alias or name for name, f in model.model_fields.items() if f.is_required()), "and")
        alias = GlobalStack.model_fields[attribute].alias or attribute
        yield Fault((alias,), f"missing; dns.provider is {wanted}, which needs at least {keys}")


def _model_of(attribute: str) -> type[BaseModel]:
    from infra import explain

    model = explain.model_of(GlobalStack.model_fields[attribute].annotation)
    assert model is not None
    return model


@check("dns", "zone")
def _zone(stack: GlobalStack) -> Iterator[Fault]:
    zone = stack.zone
    if zone.id is None:
        return
    pattern, words = ZONE_IDS[stack.dns.provider]
    if not re.fullmatch(pattern, zone.id):
        yield Fault(("zone", "id"), f"has to be {words}: dns.provider is {stack.dns.provider}", zone.id)
    elif stack.dns.provider == "traffic-manager" and zone.id.rsplit("/", 1)[1] != zone.name:
        yield Fault(("zone", "id"), f"is the id of {zone.id.rsplit('/', 1)[1]}, and zone.name is {zone.name}", zone.id)


@check("services", "zone")
def _names(stack: GlobalStack) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, service in enumerate(stack.services):
        path = ("services", number, "name")
        if service.name != stack.zone.name and not service.name.endswith(f".{stack.zone.name}"):
            yield Fault(path, f"has to lie in the zone, {stack.zone.name}", service.name)
        if len(service.name) > MAX_NAME - LONGEST_PREFIX:
            most = MAX_NAME - LONGEST_PREFIX
            why = f"has to be at most {most} characters: names of members come before it, and a name has {MAX_NAME}"
            yield Fault(path, why, service.name)
        if service.name in seen:
            yield Fault(path, "stands twice; each name once", service.name)
        seen.add(service.name)


@check("services", "members", "dns")
def _labels(stack: GlobalStack) -> Iterator[Fault]:
    """In Route 53 a member's records stand at <member>.<service>, where no other service can have its own."""
    if stack.dns.provider != "route53":
        return
    labels = {
        f"{member.name}.{service.name}": (member, service) for service in stack.services for member in stack.members
    }
    for number, service in enumerate(stack.services):
        if service.name in labels:
            member, other = labels[service.name]
            why = f"is where the records of member {member.name} for {other.name} stand: another name for one of them"
            yield Fault(("services", number, "name"), why, service.name)


@check("members")
def _members(stack: GlobalStack) -> Iterator[Fault]:
    names: set[str] = set()
    stacks: set[str] = set()
    for number, member in enumerate(stack.members):
        path = ("members", number)
        if member.name in names:
            yield Fault((*path, "name"), "stands twice; each member has its own name", member.name)
        names.add(member.name)
        if member.name.endswith("-"):
            yield Fault((*path, "name"), "must not end in a hyphen: it is a label of a host name", member.name)
        if (member.stack is None) == (member.endpoint is None):
            given = "both are" if member.stack else "none is"
            yield Fault(path, f"{member.name}: has to have stack or endpoint, one of them, and {given} given")
        if member.stack is not None and is_global(member.stack):
            yield Fault((*path, "stack"), "has to be a region's stack; that one is a global one", member.stack)
        if member.stack is not None and is_ci(member.stack):
            yield Fault((*path, "stack"), "has to be a region's stack; that one holds roles of pipelines", member.stack)
        if member.stack in stacks:
            yield Fault((*path, "stack"), "stands twice; each region is one member", member.stack)
        stacks.update([member.stack] if member.stack else ())
        if member.planned and member.stack is None:
            yield Fault((*path, "planned"), "goes with stack: an endpoint that is given exists", True)
        if member.planned and member.drain:
            yield Fault((*path, "drain"), "goes without planned: what is not deployed has nothing to drain", True)
        if member.degraded and member.priority is not None:
            yield Fault((*path, "priority"), "goes without degraded: that is the last tier by itself", member.priority)


@check("members", "services")
def _priorities(stack: GlobalStack) -> Iterator[Fault]:
    for service in stack.services:
        if service.policy != "priority":
            continue
        for number, member in enumerate(stack.members):
            named = service.members is None or member.name in service.members
            if named and member.priority is None and not member.degraded:
                why = f"missing; {service.name} has policy priority: lowest first, gaps leave room (10, 20, 30)"
                yield Fault(("members", number, "priority"), why)


@check("members", "dns")
def _endpoints(stack: GlobalStack) -> Iterator[Fault]:
    for number, member in enumerate(stack.members):
        endpoint, path = member.endpoint, ("members", number, "endpoint")
        if endpoint is None:
            continue
        for place, address in enumerate(endpoint.addresses):
            why = address_fault(address)
            if why:
                yield Fault((*path, "addresses", place), why, address)
            elif address in endpoint.addresses[:place]:
                yield Fault((*path, "addresses", place), "stands twice; each address once", address)
        if endpoint.hostname is not None and len(endpoint.hostname) > MAX_NAME:
            yield Fault((*path, "hostname"), f"has to be at most {MAX_NAME} characters", endpoint.hostname)
        if not endpoint.addresses and endpoint.hostname is None:
            yield Fault((*path, "addresses"), "missing; the static public IPv4 addresses of the endpoint")
        elif not endpoint.addresses and stack.dns.provider not in HOSTNAME_ROUTING:
            why = (
                "goes without addresses only where the provider routes to names "
                f"({listed(HOSTNAME_ROUTING)}): give the static addresses of its balancer in addresses"
            )
            yield Fault((*path, "hostname"), why, endpoint.hostname)


@check("members")
def _regions(stack: GlobalStack) -> Iterator[Fault]:
    from infra.dns import places

    for number, member in enumerate(stack.members):
        region = member.endpoint.nearest_aws_region if member.endpoint else None
        if region is not None and region not in places.regions():
            hint = did_you_mean(region, places.regions())
            why = f"unknown AWS region{hint}; known are those of infra/data/places.yaml"
            yield Fault(("members", number, "endpoint", "nearestAwsRegion"), why, region)


@check("members", "services", "dns")
def _latency(stack: GlobalStack) -> Iterator[Fault]:
    if stack.dns.provider != "route53" or all(service.policy != "latency" for service in stack.services):
        return
    for number, member in enumerate(stack.members):
        if member.endpoint is not None and member.endpoint.nearest_aws_region in NO_LATENCY:
            why = "has to be a region that Route 53 takes for policy latency: the nearest one of the others"
            yield Fault(("members", number, "endpoint", "nearestAwsRegion"), why, member.endpoint.nearest_aws_region)


@check("members", "services")
def _known_members(stack: GlobalStack) -> Iterator[Fault]:
    names = [member.name for member in stack.members]
    for number, service in enumerate(stack.services):
        for place, name in enumerate(service.members or ()):
            path = ("services", number, "members", place)
            if name not in names:
                yield Fault(path, f"unknown member{did_you_mean(name, names)}; there are {listed(names)}", name)
            elif name in (service.members or ())[:place]:
                yield Fault(path, "stands twice; each member once", name)


@check("members", "dns", "cloudflare")
def _ports(stack: GlobalStack) -> Iterator[Fault]:
    """DNS answers carry no port: every member of a service has to listen on the same one."""
    if stack.dns.provider == "cloudflare" and (stack.cloudflare is None or stack.cloudflare.proxied):
        return
    for number, member in enumerate(stack.members):
        if member.endpoint is not None and member.endpoint.port != 443:
            why = "has to be 443: clients are told an address, not a port"
            yield Fault(("members", number, "endpoint", "port"), why, member.endpoint.port)


@check("dns", "cloudflare")
def _proxied(stack: GlobalStack) -> Iterator[Fault]:
    cloudflare = stack.cloudflare
    if stack.dns.provider != "cloudflare" or cloudflare is None:
        return
    if cloudflare.failover_across_pools and not cloudflare.proxied:
        why = "needs proxied: true; DNS answers alone cannot retry a request"
        yield Fault(("cloudflare", "failoverAcrossPools"), why, True)
    if cloudflare.proxied and stack.dns.ttl_seconds is not None:
        why = "goes without proxied: true: clients then keep Cloudflare's own addresses, which never change"
        yield Fault(("dns", "ttlSeconds"), why, stack.dns.ttl_seconds)
    if "ALL_REGIONS" in cloudflare.check_regions and len(cloudflare.check_regions) > 1:
        yield Fault(("cloudflare", "checkRegions"), "ALL_REGIONS stands alone", list(cloudflare.check_regions))


@check("dns", "route53", "cloudflare", "traffic_manager")
def _speed(stack: GlobalStack) -> Iterator[Fault]:
    from infra.dns import budget
    from infra.dns.settings import check_settings

    if getattr(stack, SECTIONS[stack.dns.provider]) is None:
        return
    if stack.dns.provider == "route53" and stack.dns.check.timeout_seconds is not None:
        why = "goes without route53: its checkers wait 4 s for a connection and 2 s for the answer, always"
        yield Fault(("dns", "check", "timeoutSeconds"), why, stack.dns.check.timeout_seconds)
        return
    yield from budget.faults(check_settings(stack), stack.dns.objective_seconds)


@check("dns", "members")
def _expected_text(stack: GlobalStack) -> Iterator[Fault]:
    from infra.dns.limits import Wish, never_works

    wanted = stack.dns.check.expected_text
    if wanted is None:
        return
    path = ("dns", "check", "expectedText")
    if stack.dns.provider == "traffic-manager":
        yield Fault(path, "goes without traffic-manager: it looks at the status of an answer, not at its body", wanted)
        return
    for health_path in dict.fromkeys(m.endpoint.health_path for m in stack.members if m.endpoint):
        wish = Wish(provider=stack.dns.provider, health_path=health_path, expected_text=wanted)
        for sentence in never_works(wish, stack.dns.objective_seconds):
            yield Fault(path, sentence, wanted)


@check("tags")
def _tags(stack: GlobalStack) -> Iterator[Fault]:
    from infra.checks import NAME_TAG, RESERVED_TAGS

    for key in stack.tags:
        if key.lower().startswith(RESERVED_TAGS) or key.lower() == NAME_TAG:
            yield Fault(("tags", key), "is set by the stack itself, or by AWS")


def answering_faults(stack: GlobalStack, residencies: dict[str, str]) -> list[Fault]:
    """Who answers for which service, as far as it can be said before any region is asked; see plan.selection_faults."""
    known = {m.name: m.endpoint.residency for m in stack.members if m.endpoint} | residencies
    return list(selection_faults(stack, known))


__all__ = ["answering_faults", "check"]
