"""Who may answer for a service: the outputs of the global stack, of a file, or what the stand-in's zone says."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeGuard

from infra.faults import shown
from spillway.errors import SpillwayError


@dataclass(frozen=True, slots=True)
class Member:
    """One place that serves."""

    name: str
    addresses: tuple[str, ...]
    cloud: str = ""
    region: str = ""
    port: int = 443
    health_path: str = "/readyz"
    residency: str = ""
    drained: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """services: name -> its members, in the order of their tiers. name_servers: of the zone, when the stack says so.
    residencies: of the services that have one."""

    services: Mapping[str, tuple[str, ...]]
    members: Mapping[str, Member]
    name_servers: tuple[str, ...] = ()
    zone: str = ""
    provider: str = ""
    policies: Mapping[str, str] = field(default_factory=dict)
    residencies: Mapping[str, str] = field(default_factory=dict)

    def of(self, service: str) -> list[Member]:
        """The members of a service, in their order; all of them for a service that nobody described.

        Then the drained ones, which no tier names any more and whose checks go on, where the service's residency lets
        them come back.
        """
        names = self.services.get(service) or tuple(self.members)
        wanted = self.residencies.get(service)
        drained = [m.name for m in self.members.values() if m.drained and wanted in (None, m.residency)]
        return [self.members[name] for name in dict.fromkeys([*names, *drained]) if name in self.members]

    def pick(self, service: str | None, known: Iterable[str]) -> str:
        """The service asked for, or the only one. Raises SpillwayError with the names that there are."""
        names = list(dict.fromkeys([*self.services, *known]))
        if service is not None:
            wanted = service.rstrip(".").lower()
            if self.services and wanted not in names:
                raise SpillwayError(f"{service}: no such service; there are {', '.join(names)}")
            return wanted
        if not names:
            raise SpillwayError("name the service to watch, such as llm.example.com")
        if len(names) > 1:
            raise SpillwayError(f"name the service to watch: {', '.join(names)}")
        return names[0]


def parse(outputs: Any, where: str) -> Watched:
    """The outputs of the global stack, or a map of members alone. Raises SpillwayError with the key at fault."""
    if not isinstance(outputs, dict):
        raise SpillwayError(f"{where}: has to be a map of members, or the outputs of the global stack")
    if not {"members", "services"} & outputs.keys():
        outputs = {"members": outputs}
    members = outputs.get("members")
    if not isinstance(members, dict) or not members:
        raise SpillwayError(f"{where}: members: has to be a map of member names to {{addresses, ...}}")
    if not any(_has_addresses(value) for value in members.values()):
        raise SpillwayError(f"{where}: is neither the outputs of a global stack nor a map of members with addresses")
    services: dict[str, tuple[str, ...]] = {}
    policies: dict[str, str] = {}
    residencies: dict[str, str] = {}
    for name, service in _map(outputs, "services", where).items():
        tiers = service.get("tiers", []) if isinstance(service, dict) else None
        if not isinstance(tiers, list) or not all(_is_texts(tier) for tier in tiers):
            raise SpillwayError(f"{where}: services.{name}.tiers: has to be a list of lists of member names")
        services[name] = tuple(member for tier in tiers for member in tier)
        policies[name] = str(service.get("policy") or "")
        if service.get("residency"):
            residencies[name] = str(service["residency"])
    drained = outputs.get("drained") or []
    if not _is_texts(drained):
        raise SpillwayError(f"{where}: drained: has to be a list of member names")
    zone, servers = outputs.get("zone"), outputs.get("nameServers") or []
    if not _is_texts(servers):
        raise SpillwayError(f"{where}: nameServers: has to be a list of names")
    return Watched(
        services,
        {name: replace(_member(name, value, where), drained=name in drained) for name, value in members.items()},
        tuple(servers),
        str(zone.get("name") if isinstance(zone, dict) else zone or ""),
        str(outputs.get("provider") or ""),
        policies,
        residencies,
    )


def _has_addresses(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, dict) and "addresses" in value)


def _map(outputs: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    found = outputs.get(key) or {}
    if not isinstance(found, dict):
        raise SpillwayError(f"{where}: {key}: has to be a map")
    return found


def _is_texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _member(name: str, value: Any, where: str) -> Member:
    addresses = value.get("addresses") if isinstance(value, dict) else value
    if not _is_texts(addresses):
        raise SpillwayError(f"{where}: members.{name}.addresses: has to be a list of addresses")
    for address in addresses:
        if not is_address(address):
            raise SpillwayError(f"{where}: members.{name}.addresses: {shown(address)} is no IP address")
    if not isinstance(value, dict):
        return Member(name, tuple(addresses))
    port, path = value.get("port", 443), value.get("healthPath", "/readyz")
    if isinstance(port, bool) or not isinstance(port, int | float) or port not in range(1, 65536):
        raise SpillwayError(f"{where}: members.{name}.port = {shown(port)}: has to be a port, 1 to 65535")
    if not isinstance(path, str) or not path.startswith("/"):
        raise SpillwayError(f"{where}: members.{name}.healthPath = {shown(path)}: has to be a path that begins with /")
    return Member(
        name,
        tuple(addresses),
        str(value.get("cloud") or ""),
        str(value.get("region") or value.get("nearestAwsRegion") or ""),
        int(port),
        path,
        str(value.get("residency") or ""),
    )


def is_address(text: str) -> bool:
    """Whether a text is an IP address, of either version."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def from_file(path: Path) -> Watched:
    """A JSON file: the outputs of `pulumi stack output --json`, or member -> {addresses, port, healthPath, ...}."""
    try:
        return parse(json.loads(path.read_text("utf-8")), str(path))
    except ValueError as error:
        raise SpillwayError(f"{path}: not JSON: {error}") from None


def outputs_of(stack: str, *, sandbox: bool) -> dict[str, Any]:
    """The outputs of a deployed stack, through the engine. Raises SpillwayError in the engine's own words."""
    from rich.console import Console

    from spillway.engine import ensure_engine
    from spillway.recovery.pulumi import Stack

    engine = ensure_engine(Console(stderr=True))
    if sandbox:
        from sandbox.clouds import sandbox_dir
        from sandbox.project import Project

        project = Project(sandbox_dir())
        project.sync()
        target = Stack(stack, ("pulumi", "-C", str(project.path)), project.environment(engine), lambda text: None)
    else:
        target = Stack(stack, ("pulumi",), engine.environment(os.environ), lambda text: None)
    told = target.must("reading its outputs", "stack", "output", "--json")
    try:
        outputs = json.loads(told)
    except ValueError:
        raise SpillwayError(f"{stack}: the engine's answer to `pulumi stack output --json` is not JSON") from None
    if not outputs:
        raise SpillwayError(f"{stack}: has no outputs: bring it up first")
    if not isinstance(outputs, dict) or not {"members", "services"} <= outputs.keys():
        raise SpillwayError(f"{stack}: has no outputs members and services: it is not a global stack")
    return outputs


def from_stack(stack: str, *, sandbox: bool) -> Watched:
    """Who may answer, by the outputs of a deployed global stack. Raises SpillwayError."""
    return parse(outputs_of(stack, sandbox=sandbox), f"outputs of {stack}")
