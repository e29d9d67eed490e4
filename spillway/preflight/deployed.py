"""What a global stack's regions say, and the plans that follow: what `up` builds now, and the most it can come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra import stackfile
from infra.dns.plan import Endpoint, GlobalPlan, PlanError, build
from infra.faults import ConfigError, Fault
from spillway.preflight.model import Unanswered

if TYPE_CHECKING:
    from infra.dns.sections import GlobalStack
    from spillway.preflight.stack_outputs import StackOutputs

AT_ONCE: Final = 8
"""Stacks read at the same time: each is a process of its own."""
FIRST_ADDRESS: Final = 0xC6120000
"""198.18.0.0, of the benchmark network (RFC 2544): stands for addresses that no region has yet."""


@dataclass(frozen=True, slots=True)
class Regions:
    """What was read of the members that are region stacks, each by its member's name, and of the global stack itself.

    endpoints: of those that are deployed. absent: not deployed. faulty: deployed, and why the output is of no use.
    unread: why nobody knows. provider: who answers for the global stack since its last `up`; None when nobody does.
    """

    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    faulty: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, Unanswered] = field(default_factory=dict)
    provider: str | None = None


def read(config: GlobalStack, stack: str, ask: StackOutputs) -> Regions:
    """Every region stack's `endpoint`, at the same time. `stack`: the global stack's name."""
    regions = {member.name: member.stack for member in config.members if member.stack is not None}
    names = list(dict.fromkeys([stack, *regions.values()]))

    def told(name: str) -> Mapping[str, Any] | Unanswered | None:
        try:
            return ask.of(name)
        except Unanswered as error:
            return error

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(names, pool.map(told, names), strict=True))
    endpoints: dict[str, Endpoint] = {}
    faulty: dict[str, str] = {}
    absent: set[str] = set()
    unread: dict[str, Unanswered] = {}
    for member, name in regions.items():
        answer = answers[name]
        if isinstance(answer, Unanswered):
            unread[member] = answer
        elif not answer or answer.get("endpoint") is None:  # `destroy` leaves a stack without outputs
            absent.add(member)
        else:
            try:
                endpoints[member] = Endpoint.from_output(answer["endpoint"])
            except ValueError as error:
                faulty[member] = str(error)
    own = answers[stack]
    before = own.get("provider") if isinstance(own, Mapping) else None
    return Regions(endpoints, frozenset(absent), faulty, unread, before if isinstance(before, str) else None)


@dataclass(frozen=True, slots=True)
class Plans:
    """up: what `up` builds now, as if regions that are not deployed yet were. counted: with the planned ones, too.

    refused: why `up` refuses these members; then `up` here is `counted`. later: what the provider cannot do once the
    planned members join; then `counted` is `up`.
    """

    up: GlobalPlan
    counted: GlobalPlan
    refused: tuple[Fault, ...] = ()
    later: tuple[Fault, ...] = ()


def plans(config: GlobalStack, regions: Regions, stacks: Path, file: str) -> Plans:
    """The plans with the endpoints that are known, and for the others what their stack files say.

    Raises ConfigError for a file whose services are left without members.
    """
    from infra.dns.program import beyond_provider

    every = assumed(config, stacks, regions.endpoints)
    gone = {m.name for m in config.members if m.stack and (m.planned or (m.drain and m.name in regions.absent))}
    refused: tuple[Fault, ...] = ()
    up: GlobalPlan | None = None
    try:
        up = build(config, {name: endpoint for name, endpoint in every.items() if name not in gone})
    except PlanError as error:
        refused = tuple(error.faults)
    try:
        counted = build(config, every)
    except PlanError:
        counted = up or foreseen(config, stacks, file)
    if up is None:
        return Plans(counted, counted, refused)
    now = list(beyond_provider(config, up))
    later = tuple(fault for fault in beyond_provider(config, counted) if fault not in now)
    return Plans(up, up if later else counted, refused, later)


def foreseen(config: GlobalStack, stacks: Path, file: str) -> GlobalPlan:
    """The plan with every member there, planned ones too, by the stack files alone: the most that it can come to.

    Raises ConfigError for a file whose services are left without members.
    """
    try:
        return build(config, assumed(config, stacks))
    except PlanError as error:
        raise ConfigError(fault.below(stackfile.GLOBAL_KEY).line(file) for fault in error.faults) from None


def assumed(config: GlobalStack, stacks: Path, known: Mapping[str, Endpoint] | None = None) -> dict[str, Endpoint]:
    """Where each member answers: as the global file says, as is `known`, or one address per zone of its stack file;
    which ones does not matter for counting. A region without a sound stack file has none."""
    endpoints = {m.name: Endpoint.of_static(m.endpoint) for m in config.members if m.endpoint is not None}
    endpoints.update(known or {})
    free = _addresses({address for endpoint in endpoints.values() for address in endpoint.addresses})
    for member in config.members:
        region = _region(stacks, str(member.stack)) if member.name not in endpoints else None
        if region is None:
            continue
        zones, residency, cloud, name = region
        endpoints[member.name] = Endpoint(
            hostname=None,
            addresses=tuple(next(free) for _ in zones),
            port=443,
            health_path="/readyz",
            cloud=cloud,
            region=name,
            nearest_aws_region=name,
            residency=residency,
        )
    return endpoints


def _addresses(taken: set[str]) -> Iterator[str]:
    number = FIRST_ADDRESS
    while True:
        address = ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
        if address not in taken:
            yield address
        number += 1


def _region(stacks: Path, stack: str) -> tuple[Sequence[str], str, str, str] | None:
    """(zones, residency, cloud, region) of a region stack's file; None without one, or with one that is faulty."""
    from infra.config import load_stack_file

    path = stacks / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        return None
    try:
        config = load_stack_file(path, stack)
    except ConfigError:
        return None
    return config.zones, config.residency, config.cloud, config.latency_region
