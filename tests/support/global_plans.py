"""Random global stacks, and the records of their services in the stand-in's zone, without an engine."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from infra.dns.plan import Endpoint, GlobalPlan, PlanError, ServicePlan, build
from infra.dns.route53 import Answer, answers
from infra.dns.sections import GlobalStack
from sandbox.aws import route53_sets
from sandbox.dns.resolver import Resolver
from sandbox.dns.zone import Zone
from sandbox.kinds import Resource
from tests.support.dns_zone import alias, record

ZONE = "example.com"
SERVICE = "llm.example.com"
REGIONS = ("us-east-1", "us-west-2", "eu-central-1", "ap-northeast-1", "sa-east-1")
ASKED = 40
"""Questions per place and state; enough that a record with any real share is drawn."""
LOCATIONS = (*REGIONS, "eu-west-1", "ap-southeast-2", "af-south-1")
POLICIES = ("priority", "weighted", "latency")
RESIDENCIES = ("us", "eu", "jp")


@dataclass(frozen=True)
class Drawn:
    """One member as a test draws it; `number` makes its name and its addresses, so that they stay its own."""

    number: int
    addresses: int = 1
    weight: int = 100
    priority: int = 1
    nearest: str = "us-east-1"
    residency: str = "us"
    degraded: bool = False
    drain: bool = False

    @property
    def name(self) -> str:
        return f"m{self.number}"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(
            hostname=None,
            addresses=tuple(f"198.51.{self.number}.{host}" for host in range(1, self.addresses + 1)),
            port=443,
            health_path="/readyz",
            cloud="aws",
            region=self.nearest,
            nearest_aws_region=self.nearest,
            residency=self.residency,
        )


def drawn(number: int) -> st.SearchStrategy[Drawn]:
    return st.builds(
        Drawn,
        number=st.just(number),
        addresses=st.integers(1, 8),
        weight=st.sampled_from([0, 1, 10, 100, 255]),
        priority=st.integers(1, 4),
        nearest=st.sampled_from(REGIONS),
        residency=st.sampled_from(RESIDENCIES),
        degraded=st.booleans(),
        drain=st.booleans(),
    )


def fleets(most: int = 6) -> st.SearchStrategy[tuple[Drawn, ...]]:
    """Some of the members 0 to `most`-1, in any order."""
    return st.permutations(range(most)).flatmap(
        lambda order: st.integers(1, most).flatmap(lambda count: st.tuples(*(drawn(n) for n in order[:count])))
    )


@dataclass(frozen=True)
class Wanted:
    """One service over some members, as a stack file says it. ranked: members have priorities, not the list's order."""

    members: tuple[Drawn, ...]
    policy: str = "priority"
    residency: str | None = None
    ranked: bool = True
    ttl: int = 10

    def plan(self) -> GlobalPlan:
        """Raises PlanError."""
        members = []
        for m in self.members:
            entry = {"name": m.name, "stack": f"aws-{m.name}-1", "weight": m.weight, "drain": m.drain}
            entry["degraded"] = m.degraded
            if self.ranked and not m.degraded:
                entry["priority"] = m.priority
            members.append(entry)
        service = {"name": SERVICE, "policy": self.policy, "residency": self.residency}
        stack = {"zone": {"name": ZONE}, "route53": {"account": "123456789012"}}
        config = GlobalStack.model_validate({**stack, "services": [service], "members": members})
        return build(config, {m.name: m.endpoint for m in self.members})

    def service(self) -> ServicePlan:
        return self.plan().services[0]

    def answers(self) -> list[Answer]:
        return answers(self.service(), self.ttl)

    def __getitem__(self, name: str) -> Drawn:
        return next(m for m in self.members if m.name == name)


def wanted(policies: Sequence[str] = POLICIES, ranked: bool | None = None) -> st.SearchStrategy[Wanted]:
    """Stack files that stand; those that a plan refuses are thrown away."""
    return st.builds(
        Wanted,
        members=fleets(),
        policy=st.sampled_from(policies),
        residency=st.sampled_from([None, *RESIDENCIES]),
        ranked=st.booleans() if ranked is None else st.just(ranked),
        ttl=st.sampled_from([0, 10, 60]),
    ).filter(stands)


def stands(wanted: Wanted) -> bool:
    try:
        wanted.plan()
    except PlanError:
        return False
    return True


def check_of(member: str, address: str) -> str:
    return f"{member} {address}"


def inputs(answer: Answer, ttl: int) -> dict[str, Any]:
    """An answer as inputs of `aws:route53/record:Record`; its health check's id is made of member and address."""
    found: dict[str, Any] = {"zoneId": "Z1", "name": answer.name, "type": "A"}
    if answer.set is not None:
        found["setIdentifier"] = answer.set
    if answer.alias:
        found["aliases"] = alias(answer.alias)
    if answer.address:
        assert answer.member
        check = check_of(answer.member, answer.address)
        found |= {"ttl": ttl, "records": [answer.address], "healthCheckId": check}
    for key, field, value in (
        ("weightedRoutingPolicies", "weight", answer.weight),
        ("failoverRoutingPolicies", "type", answer.failover),
        ("latencyRoutingPolicies", "region", answer.latency),
    ):
        if value is not None:
            found[key] = [{field: value}]
    return found


def resource(found: Mapping[str, Any]) -> Resource:
    rest = {k: v for k, v in found.items() if k not in ("name", "setIdentifier")}
    return record(found["name"], found.get("setIdentifier", ""), **rest)


def stored(found: Mapping[str, Any]) -> route53_sets.RecordSet:
    """The record as the stand-in's API judges it."""
    return route53_sets.record_set(found, ZONE)


class Down:
    """Health of checks: everything is well but what `members` and single `addresses` name."""

    def __init__(self, members: Collection[str] = (), addresses: Collection[str] = ()) -> None:
        self.version = 1
        self.members, self.addresses = frozenset(members), frozenset(addresses)

    def healthy(self, id: str) -> bool:
        member, address = id.split(" ")
        return member not in self.members and address not in self.addresses


def resolver(records: Iterable[Mapping[str, Any]], down: Down | None = None, seed: int = 0) -> Resolver:
    """A resolver of a zone with these records."""
    return Resolver(Zone("Z1", ZONE, [resource(r) for r in records]), down or Down(), random.Random(seed))


def asked(wanted: Wanted, down: Down | None = None, seed: int = 0) -> Resolver:
    return resolver([inputs(answer, wanted.ttl) for answer in wanted.answers()], down, seed)


def member_at(members: Sequence[Drawn], address: str) -> str:
    """Whose address it is."""
    return next(m.name for m in members if address in m.endpoint.addresses)


down = st.sets(st.integers(0, 5).map(lambda number: f"m{number}"))


def answering(
    asking: Resolver, members: Sequence[Drawn], location: str = "us-east-1", times: int = ASKED
) -> Counter[str]:
    """How often each member was answered."""
    found: Counter[str] = Counter()
    for _ in range(times):
        answer = asking.answer(SERVICE, location=location)
        assert len(answer.values) == 1, answer
        found[member_at(members, answer.values[0])] += 1
    return found
