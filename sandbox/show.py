"""What the stand-in clouds hold, as tables and as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sandbox.cloud import CallCloud, WeatherFile
from sandbox.clouds import DISTRIBUTIONS, WEATHER, registry
from sandbox.kinds import Resource
from sandbox.store import CLOUDS, Store
from sandbox.values import join, spread_secrets
from spillway import tables

HIDDEN = "[secret]"
GLOBAL = "global"
GROUPS = {
    "aws": "aws:autoscaling/group:Group",
    "azure-native": "azure-native:compute:VirtualMachineScaleSet",
    "gcp": "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager",
}
"""What launches machines, in each cloud that sells spot capacity."""


def holdings(directory: Path, cloud: str | None, region: str | None, type_: str | None) -> list[dict[str, Any]]:
    """Every resource as {cloud, region, type, id, name, stack, createdAt, outputs}; secrets are replaced."""
    if not (directory / CLOUDS).exists():
        return []
    found = []
    with Store(directory).transaction(write=False) as tx:
        for package in [cloud] if cloud else DISTRIBUTIONS:
            rows = tx.all(package)
            located = _Places(rows)
            for r in rows:
                place = located.of(r)
                if (type_ is None or type_ in r.token) and region in (None, place):
                    found.append(_entry(package, r, place))
    return found


class _Places:
    """Where resources are: as the store has it, or else as they say themselves, or what they are in says.

    Azure has one list of all regions, and a part of something, such as a subnet, has no location of its own; some of
    Google Cloud's services have locations where others have regions, and a bucket's is in capitals.
    """

    def __init__(self, rows: Sequence[Resource]) -> None:
        self._said = {r.id.lower(): place for r in rows if r.region == GLOBAL and (place := _location(r))}

    def of(self, r: Resource) -> str:
        if r.region != GLOBAL:
            return r.region
        id = r.id.lower()
        while id and id not in self._said:
            id = id.rpartition("/")[0]
        return self._said.get(id, GLOBAL)


def _location(r: Resource) -> str:
    location = r["location"]
    return location.lower().replace(" ", "") if isinstance(location, str) else ""


def _entry(cloud: str, r: Resource, place: str) -> dict[str, Any]:
    kind = registry(cloud).kinds.get(r.token)
    secret = {*spread_secrets(r.secrets, r.inputs, r.outputs), *(kind.secret_outputs if kind else ())}
    return {
        "cloud": cloud,
        "region": place,
        "type": r.token,
        "id": r.id,
        "name": r.urn.rsplit("::", 1)[-1],
        "stack": r.urn.removeprefix("urn:pulumi:").split("::")[0],
        "createdAt": r.created_at,
        "outputs": {k: _hidden(k, v, secret) for k, v in r.outputs.items()},
    }


def _hidden(path: str, value: Any, secret: set[str]) -> Any:
    if path in secret:
        return HIDDEN
    if isinstance(value, dict):
        return {k: _hidden(join(path, k), v, secret) for k, v in value.items()}
    if isinstance(value, list):
        return [_hidden(f"{path}[{i}]", v, secret) for i, v in enumerate(value)]
    return value


def launches(directory: Path, region: str | None, cloud: str | None = None) -> list[dict[str, Any]]:
    """The launches that every group would make now, as {cloud, group, region, launches: [{number, market, ...}]}."""
    if not (directory / CLOUDS).exists():
        return []
    weather = WeatherFile(directory / WEATHER).now()
    rows = []
    with Store(directory).transaction(write=False) as tx:
        for package, token in GROUPS.items():
            groups = tx.all(package, token) if cloud in (None, package) else []
            located = _Places(groups)
            for account, place in sorted({(g.account, located.of(g)) for g in groups}):
                if region in (None, place):
                    plan = import_module(f"sandbox.{package.replace('-', '_')}.launches").plan
                    for group, made in plan(CallCloud(registry(package), tx, place, account, weather), place).items():
                        told = [asdict(launch) for launch in made]
                        rows.append({"cloud": package, "group": group, "region": place, "launches": told})
    return rows


def print_holdings(found: list[dict[str, Any]], *, filtered: bool = False) -> None:
    console = Console()
    if not found:
        console.print("The stand-in clouds hold nothing that fits." if filtered else "The stand-in clouds are empty.")
        return
    for cloud, region in sorted({(e["cloud"], e["region"]) for e in found}):
        rows = [e for e in found if (e["cloud"], e["region"]) == (cloud, region)]
        table = Table(title=f"{cloud} {region}: {len(rows)} resources", title_justify="left", box=None)
        for column in ("type", "name", "id"):
            table.add_column(column, overflow="fold")
        for e in rows:
            table.add_row(e["type"].rsplit(":", 1)[-1], e["name"], e["id"])
        tables.show(table)


def print_launches(rows: list[dict[str, Any]]) -> None:
    console = Console()
    if not rows:
        console.print("The stand-in clouds hold no groups.")
    for row in rows:
        console.print(f"[bold]{row['group']}[/bold] ({row['region']})", highlight=False, soft_wrap=True)
        if not row["launches"]:
            console.print("  wants no instance")
        for launch in row["launches"]:
            if launch["outcome"] == "launched":
                told = f"{launch['machine_type']} in {launch['zone']}, {launch['market']}: launched"
            else:
                told = f"{launch['market']}: not launched, {len(launch['attempts'])} tried: {launch['reason']}"
            console.print(
                f"  {launch['number']}. {told}",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
