"""The global stack out of its resources: who answers for which name, and how members are probed.

What records and profiles do not carry (residencies, clouds, the objective) is in the stack's outputs; a plan of what
does not stand yet has none, and there the configuration that it was made from says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, cast

from infra.dns.checkers import Provider
from infra.dns.config import parse_global
from infra.dns.sections import GlobalStack
from infra.stackfile import GLOBAL_KEY
from rehearsal.fleet import cloudflare, route53, traffic_manager
from rehearsal.fleet.answers import Probed
from rehearsal.fleet.model import Member, Origin, Region, Service, Tier, World
from rehearsal.fleet.resources import Notes, Reader, Resource, Stack, refuse_versions
from rehearsal.fleet.world_files import stack_of

READ: Final = (*route53.TYPES, *cloudflare.TYPES, *traffic_manager.TYPES)
"""Types of resources that are looked at."""
_READERS: Final = {"route53": route53, "cloudflare": cloudflare, "traffic-manager": traffic_manager}


@dataclass(frozen=True)
class Told:
    """What outputs or configuration say of a global stack."""

    stack: Stack

    @cached_property
    def config(self) -> GlobalStack | None:
        if self.stack.config is None:
            return None
        return parse_global(self.stack.config, self.stack.name, self.stack.file)

    @property
    def by_outputs(self) -> bool:
        return "members" in self.stack.outputs

    def where(self, key: str) -> Origin:
        """Where a figure stands: the output of this name, or the configuration."""
        if self.by_outputs:
            return Origin(f"stack {self.stack.name}", f"outputs.{key}")
        return Origin(f"configuration of {self.stack.name}", f"{GLOBAL_KEY}.{key}")

    def output(self, key: str, kind: type[Any]) -> Any:
        """One output. Raises SpillwayError where it is missing."""
        value: Any = self.stack.outputs
        for step in key.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            self.stack.refuse(
                f"{self.stack.name}: outputs.{key}", "missing; bring the stack up with this version first"
            )
        return value

    def needed(self) -> GlobalStack:
        """The configuration. Raises SpillwayError where there is none either."""
        if self.config is None:
            self.stack.refuse(
                f"{self.stack.name}: outputs.members", "missing; bring the stack up with this version first"
            )
        return self.config


def world(stack: Stack, regions: Mapping[str, Region], notes: Notes) -> World:
    """The global stack. regions: those that are known, by stack; a plan leaves their residency to them.

    Raises SpillwayError, one line, for what cannot be read.
    """
    refuse_versions(stack, READ)
    told = Told(stack)
    kinds = {name: module for name, module in _READERS.items() if stack.of_type(module.SERVICE)}
    if len(kinds) != 1:
        known = ", ".join(module.SERVICE for module in _READERS.values())
        stack.refuse(stack.name, f"expected the records of one provider ({known}), found {len(kinds)}")
    provider = cast(Provider, next(iter(kinds)))
    top = Reader(stack, _any(stack), notes, stack.name)
    reader = kinds[provider].read(stack, told.config)
    if not reader.members:
        stack.refuse(stack.name, "no member is probed; expected health checks")
    for name, origin in (("provider", Origin(top.resource.urn)), ("zone", told.where("zone.name"))):
        notes[f"{stack.name}.{name}"] = origin
    notes[stack.name] = Origin(f"stack {stack.name}")
    services = _services(told, reader.tiers, reader.fallbacks, notes)
    in_use = {place.member for service in services for tier in service.tiers for place in tier.places}
    members = tuple(
        _member(told, name, probed, name not in in_use, regions, notes, number)
        for number, (name, probed) in enumerate(sorted(reader.members.items()))
    )
    _assumed(notes, stack)
    for path, resource, key in reader.sources(services, members):
        notes[f"{stack.name}.{path}"] = Origin(resource.urn, key)
    for name, (resource, key) in reader.check_keys.items():
        notes[f"{stack.name}.check.{name}"] = Origin(resource.urn, key)
    check = replace(reader.check, addresses=max(member.addresses for member in members))
    if provider == "cloudflare":
        check = replace(check, plan=_plan(told, notes))
    return World(
        stack=stack.name,
        provider=provider,
        zone=_zone(told),
        services=services,
        members=members,
        planned=_planned(told, notes),
        check=check,
        objective_seconds=_objective(told, notes),
    )


def _any(stack: Stack) -> Resource:
    return next((one for one in stack.resources if one.type in READ), stack.resources[0])


def _assumed(notes: Notes, stack: Stack) -> None:
    where = f"stack {stack.name}"
    notes[f"{stack.name}.check.provider"] = Origin(where, assumed="the one whose records there are")
    notes[f"{stack.name}.check"] = Origin(where, assumed="without meaning for this provider, or its default")
    notes[f"{stack.name}.check.addresses"] = Origin(where, assumed="the most that any member has")
    why = "a probe that is answered at all takes a few round trips"
    notes[f"{stack.name}.check.answer_seconds"] = Origin(where, assumed=why)


def _zone(told: Told) -> str:
    return str(told.output("zone.name", str)) if told.by_outputs else told.needed().zone.name


def _objective(told: Told, notes: Notes) -> float:
    key = "budget.objectiveSeconds" if told.by_outputs else "dns.objectiveSeconds"
    notes[f"{told.stack.name}.objective_seconds"] = told.where(key)
    if told.by_outputs:
        return float(told.output(key, (int, float)))  # type: ignore[arg-type]  # isinstance takes a tuple
    return float(told.needed().dns.objective_seconds)


def _plan(told: Told, notes: Notes) -> str | None:
    notes[f"{told.stack.name}.check.plan"] = told.where("budget.plan" if told.by_outputs else "cloudflare.plan")
    if told.by_outputs:
        return str(told.output("budget.plan", str))
    settings = told.needed().cloudflare
    return settings.plan if settings else None


def _planned(told: Told, notes: Notes) -> tuple[str, ...]:
    notes[f"{told.stack.name}.planned"] = told.where("planned" if told.by_outputs else "members")
    if told.by_outputs:
        return tuple(sorted(map(str, told.output("planned", list))))
    return tuple(sorted(member.name for member in told.needed().members if member.planned))


def _services(
    told: Told,
    tiers: Mapping[str, tuple[Tier, ...]],
    fallbacks: Mapping[str, tuple[str, ...]],
    notes: Notes,
) -> tuple[Service, ...]:
    found = []
    for number, name in enumerate(sorted(tiers)):
        path = f"{told.stack.name}.services[{number}]"
        if not tiers[name] or not all(tier.places for tier in tiers[name]):
            told.stack.refuse(f"{told.stack.name}: service {name}", "leads to no member; expected one in each tier")
        if told.by_outputs:
            policy, residency = _output_service(told, name)
            for field in ("policy", "residency"):
                notes[f"{path}.{field}"] = told.where(f"services.{name}.{field}")
        else:
            wanted = [service for service in told.needed().services if service.name == name]
            if not wanted:
                told.stack.refuse(
                    f"{told.stack.name}: {GLOBAL_KEY}.services", f"has no service {name}, the records have"
                )
            policy, residency = wanted[0].policy, wanted[0].residency
            for field in ("policy", "residency"):
                notes[f"{path}.{field}"] = told.where(f"services ({name}).{field}")
        notes[f"{path}.name"] = told.where("services")
        notes[f"{path}.tiers"] = told.where(f"services.{name}.tiers" if told.by_outputs else "services and members")
        notes[f"{path}.fallback"] = (
            told.where("services and members")
            if fallbacks.get(name)
            else Origin(f"stack {told.stack.name}", assumed="nobody is told; then all members count as healthy")
        )
        found.append(Service(name, policy, residency, tiers[name], fallbacks.get(name, ())))
    return tuple(found)


def _output_service(told: Told, name: str) -> tuple[Any, str | None]:
    rows = told.output("services", Mapping)
    row = rows.get(name)
    policy = row.get("policy") if isinstance(row, Mapping) else None
    if policy not in ("priority", "weighted", "latency"):
        why = "expected priority, weighted or latency"
        told.stack.refuse(f"{told.stack.name}: outputs.services.{name}.policy", why)
    return policy, row.get("residency") or None


def _member(
    told: Told, name: str, probed: Probed, drained: bool, regions: Mapping[str, Region], notes: Notes, number: int
) -> Member:
    path = f"{told.stack.name}.members[{number}]"
    facts, stack, where = _facts(told, name, regions)
    for field in ("cloud", "residency", "nearest_aws_region", "stack"):
        notes[f"{path}.{field}"] = where
    notes[f"{path}.drained"] = Origin(where.where, assumed="no record leads to it" if drained else "records lead to it")
    return Member(
        name=name,
        stack=stack,
        cloud=facts["cloud"],
        residency=facts["residency"],
        nearest_aws_region=facts["nearestAwsRegion"],
        addresses=len(probed.addresses),
        port=probed.port,
        health_path=probed.path,
        drained=drained,
        at=probed.addresses,
    )


def _facts(told: Told, name: str, regions: Mapping[str, Region]) -> tuple[dict[str, str], str | None, Origin]:
    """cloud, residency and nearestAwsRegion of a member, its region stack, and who says so."""
    if told.by_outputs:
        row = told.output("members", Mapping).get(name)
        keys = ("cloud", "residency", "nearestAwsRegion")
        if not isinstance(row, Mapping) or not all(isinstance(row.get(key), str) for key in keys):
            told.stack.refuse(f"{told.stack.name}: outputs.members.{name}", f"missing, or without {', '.join(keys)}")
        return {key: row[key] for key in keys}, stack_of(row["cloud"], row.get("region")), told.where(f"members.{name}")
    config = told.needed()
    member = next((one for one in config.members if one.name == name), None)
    if member is None:
        told.stack.refuse(f"{told.stack.name}: {GLOBAL_KEY}.members", f"has no member {name}, which is probed")
    if member.endpoint is not None:
        static = member.endpoint
        facts = {
            "cloud": static.cloud, "residency": static.residency, "nearestAwsRegion": static.nearest_aws_region,
        }  # fmt: skip
        return facts, None, told.where(f"members ({name}).endpoint")
    region = regions.get(member.stack or "")
    if region is None:
        told.stack.refuse(
            f"{told.stack.name}: member {name}",
            f"a plan does not say where {member.stack} is; give that stack's plan or export as well",
        )
    facts = {
        "cloud": region.cloud, "residency": region.residency, "nearestAwsRegion": region.nearest_aws_region,
    }  # fmt: skip
    return facts, region.stack, Origin(f"stack {region.stack}", "endpoint")
