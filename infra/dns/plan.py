"""Who answers for which name, in what order: the global stack's file and its members' endpoints made into tiers. Pure.

Every provider renders the same plan. A tier answers only while no earlier tier has a healthy member. Residency is
decided here, before any provider is asked: a member that a service's residency does not admit is in none of its tiers,
so that no policy, weight or failure can lead there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from infra.dns import places
from infra.dns.sections import GlobalService, GlobalStack, Member, Policy, StaticEndpoint
from infra.faults import Fault, listed, shown

NOT_DEPLOYED: Final = (
    "bring it up first; or mark the member planned: true while it is to come, drain: true when it is gone"
)
"""What to do about a member whose region stack exports nothing."""
Choice = Literal["weighted", "latency"]

ENDPOINT_KEYS: Final = (
    "hostname", "addresses", "port", "healthPath", "cloud", "region", "nearestAwsRegion", "residency",
)  # fmt: skip
ENDPOINT_TEXTS: Final = ("hostname", "healthPath", "cloud", "region", "nearestAwsRegion", "residency")
ENDPOINT_NULLS: Final = ("hostname", "region")
"""What a place may not have; the engine leaves a null out of what it hands from stack to stack."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one member answers; what a region stack exports as `endpoint`.

    hostname: None or a name that resolves to the addresses. region: None where the place has none.
    """

    hostname: str | None
    addresses: tuple[str, ...]
    port: int
    health_path: str
    cloud: str
    region: str | None
    nearest_aws_region: str
    residency: str

    @classmethod
    def of_static(cls, static: StaticEndpoint) -> Endpoint:
        """An endpoint as the stack file gives it."""
        return cls(
            hostname=static.hostname,
            addresses=static.addresses,
            port=static.port,
            health_path=static.health_path,
            cloud=static.cloud,
            region=None,
            nearest_aws_region=static.nearest_aws_region,
            residency=static.residency,
        )

    @classmethod
    def from_output(cls, value: Any) -> Endpoint:
        """The `endpoint` output of a region stack. Raises ValueError, with what is wrong, for anything else."""
        if not isinstance(value, Mapping):
            raise ValueError("the output endpoint is not a map")
        value = {**dict.fromkeys(ENDPOINT_NULLS), **value}
        missing = [key for key in ENDPOINT_KEYS if key not in value]
        if missing:
            raise ValueError(f"the output endpoint lacks {listed(missing, 'and')}")
        addresses = value["addresses"]
        if not isinstance(addresses, Sequence) or isinstance(addresses, str) or not addresses:
            raise ValueError("the output endpoint.addresses is not a list of addresses")
        for address in addresses:
            why = address_fault(address) if isinstance(address, str) else "has to be text"
            if why:
                raise ValueError(f"the output endpoint.addresses holds {shown(address)}: {why}")
        port = value["port"]
        if isinstance(port, bool) or not isinstance(port, int | float) or port not in range(1, 65536):
            raise ValueError(f"the output endpoint.port is {shown(port)}; has to be a number from 1 to 65535")
        for key in ENDPOINT_TEXTS:
            if not isinstance(value[key], str) and not (value[key] is None and key in ENDPOINT_NULLS):
                raise ValueError(f"the output endpoint.{key} is {shown(value[key])}; has to be text")
        if value["nearestAwsRegion"] not in places.regions():
            raise ValueError(f"the output endpoint.nearestAwsRegion is {shown(value['nearestAwsRegion'])}: unknown")
        return cls(
            hostname=value["hostname"],
            addresses=tuple(addresses),
            port=int(port),
            health_path=value["healthPath"],
            cloud=value["cloud"],
            region=value["region"],
            nearest_aws_region=value["nearestAwsRegion"],
            residency=value["residency"],
        )


@dataclass(frozen=True, slots=True)
class Place:
    """One member as it takes part in a tier."""

    name: str
    endpoint: Endpoint
    weight: int


@dataclass(frozen=True, slots=True)
class Tier:
    """Members of the same rank. weighted: by weight; latency: the nearest to the client.

    label: the tier's name, which stays when tiers before it come and go: priority-2, weighted, latency, degraded.
    """

    label: str
    places: tuple[Place, ...]
    choice: Choice
    degraded: bool = False
    """The last resort: a smaller model, an API behind a gateway."""


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """One service name and its tiers, first choice first."""

    name: str
    policy: Policy
    residency: str | None
    tiers: tuple[Tier, ...]

    @property
    def places(self) -> tuple[Place, ...]:
        """Every member of every tier."""
        return tuple(place for tier in self.tiers for place in tier.places)


@dataclass(frozen=True, slots=True)
class Probe:
    """One member as it is probed: also while it is drained, so that it comes back proven."""

    name: str
    endpoint: Endpoint
    host: str
    """Host header and SNI: the first service name that the member may answer for."""


@dataclass(frozen=True, slots=True)
class GlobalPlan:
    """Everything that a provider renders."""

    services: tuple[ServicePlan, ...]
    probes: tuple[Probe, ...]
    drained: tuple[str, ...]
    planned: tuple[str, ...]
    """Members left out because their region is not deployed yet."""


class PlanError(Exception):
    """The members' endpoints do not fit the stack file; `faults` are paths below `spillway:global`."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(fault.allowed for fault in faults))
        self.faults = list(faults)


def build(config: GlobalStack, endpoints: Mapping[str, Endpoint]) -> GlobalPlan:
    """The plan for the members whose endpoint is known (by member name); the others are planned, or drained and gone.

    Raises PlanError when a service is left without a member, or names one that its residency forbids.
    """
    faults = list(selection_faults(config, {name: e.residency for name, e in endpoints.items()}))
    faults += _repeated_addresses(config, endpoints)
    if faults:
        raise PlanError(faults)
    present = [member for member in config.members if member.name in endpoints]
    services = []
    for service in config.services:
        admitted = admitted_members(config, service, {m.name: endpoints[m.name].residency for m in present})
        services.append(
            ServicePlan(service.name, service.policy, service.residency, _tiers(service, admitted, endpoints))
        )
    probes = []
    for member in present:
        hosts = [
            s.name for s in config.services if _admits(s, member, endpoints[member.name].residency, drained_too=True)
        ]
        if hosts:
            probes.append(Probe(member.name, endpoints[member.name], hosts[0]))
    return GlobalPlan(
        services=tuple(services),
        probes=tuple(probes),
        drained=tuple(member.name for member in config.members if member.drain),
        planned=tuple(m.name for m in config.members if m.name not in endpoints and not m.drain),
    )


def admitted_members(config: GlobalStack, service: GlobalService, residencies: Mapping[str, str]) -> list[Member]:
    """The members that may answer for a service, in the file's order. `residencies`: of the members that exist."""
    return [m for m in config.members if m.name in residencies and _admits(service, m, residencies[m.name])]


def selection_faults(config: GlobalStack, residencies: Mapping[str, str]) -> Iterator[Fault]:
    """What is wrong with who answers for which service, for members of these residencies (by name)."""
    for number, service in enumerate(config.services):
        path = ("services", number)
        for place, name in enumerate(service.members or ()):
            found = residencies.get(name)
            if service.residency is not None and found is not None and found != service.residency:
                why = f"its residency is {found}, and {service.name} is limited to {service.residency}"
                yield Fault((*path, "members", place), why, name)
        admitted = admitted_members(config, service, residencies)
        if not [m for m in admitted if not m.degraded]:
            limit = f" of residency {service.residency}" if service.residency else ""
            last = "only degraded members are" if admitted else "no member is"
            yield Fault(path, f"{service.name}: {last} left to answer{limit}; drained and planned ones do not")
            continue
        for _, members in _ranked(service, admitted):
            by_latency = service.policy == "latency" and not members[0].degraded
            if len(members) > 1 and not by_latency and not any(member.weight for member in members):
                names = listed((member.name for member in members), "and")
                yield Fault(path, f"{service.name}: weight is 0 for {names}, and nobody of the same rank has more")


def _admits(service: GlobalService, member: Member, residency: str, *, drained_too: bool = False) -> bool:
    named = service.members is None or member.name in service.members
    return named and (drained_too or not member.drain) and service.residency in (None, residency)


def _ranked(service: GlobalService, members: Sequence[Member]) -> list[tuple[int, list[Member]]]:
    """Members by rank, first choice first. Only policy `priority` ranks; otherwise, and for the degraded, it is 0.

    By the members' own numbers and never by their place in the list: tiers are named by them, and one that comes or
    goes must not rename the others, which would stand twice while they are made anew.
    """
    ranks: dict[tuple[bool, int], list[Member]] = {}
    for member in members:
        rank = member.priority or 0 if service.policy == "priority" and not member.degraded else 0
        ranks.setdefault((member.degraded, rank), []).append(member)
    return [(rank, ranks[degraded, rank]) for degraded, rank in sorted(ranks)]


def _tiers(service: GlobalService, members: Sequence[Member], endpoints: Mapping[str, Endpoint]) -> tuple[Tier, ...]:
    return tuple(
        Tier(
            label="degraded" if ranked[0].degraded else f"priority-{rank}" if rank else service.policy,
            # Alone in its tier a member gets all of it, also a standby. But its weight stays its own: a canary that
            # joins is there before other weights are changed, and would get nearly everything beside a 1.
            places=tuple(Place(m.name, endpoints[m.name], m.weight or int(len(ranked) == 1)) for m in ranked),
            choice="latency" if service.policy == "latency" and not ranked[0].degraded else "weighted",
            degraded=ranked[0].degraded,
        )
        for rank, ranked in _ranked(service, members)
    )


def _repeated_addresses(config: GlobalStack, endpoints: Mapping[str, Endpoint]) -> Iterator[Fault]:
    owner: dict[str, str] = {}
    for number, member in enumerate(config.members):
        for address in endpoints[member.name].addresses if member.name in endpoints else ():
            if address in owner:
                why = f"answers at {address}, as {owner[address]} does: one place would be counted twice"
                yield Fault(("members", number), why, member.name)
            owner.setdefault(address, member.name)


def address_fault(text: str) -> str | None:
    """Why a text is no address that clients and checkers anywhere can reach; None when it is one.

    Documentation and benchmark networks (RFC 5737, RFC 2544) pass: examples and stand-ins use them.
    """
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return "has to be an IPv4 address, four numbers from 0 to 255"
    if address in _SHARED or any(
        (address.is_loopback, address.is_link_local, address.is_multicast, address.is_unspecified)
    ):
        return "has to be a public address: nobody outside can reach this one"
    if any(address in network for network in _PRIVATE) or int(address) >= int(_RESERVED):
        return "has to be a public address: nobody outside can reach this one"
    return None


_PRIVATE: Final = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "0.0.0.0/8")))
_SHARED: Final = ipaddress.IPv4Network("100.64.0.0/10")
_RESERVED: Final = ipaddress.IPv4Address("240.0.0.0")
