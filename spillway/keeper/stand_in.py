"""A region in the stand-in clouds: the launches that its groups would make now are its nodes, and an edit changes what
the stand-in holds, as the cloud's own API would. The engine's state is left alone: its next refresh sees the change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from infra.function.settings import PREFIX
from infra.keeper_fleet import Machine, RegionState
from infra.keeper_words import Error, Market
from sandbox.aws import tokens as aws_tokens
from sandbox.azure_native import tokens as azure_tokens
from sandbox.cloud import CallCloud, WeatherFile
from sandbox.clouds import WEATHER, package_of, registry
from sandbox.gcp import tokens as gcp_tokens
from sandbox.kinds import Resource
from sandbox.store import CLOUDS, Store, Transaction
from spillway.errors import SpillwayError
from spillway.keeper.desk import FLOOR, TARGET, NotThere, Say, Stack, refusal, sizes

GROUPS: Final = {
    "aws": aws_tokens.AUTOSCALING_GROUP,
    "azure": azure_tokens.SCALE_SET,
    "gcp": gcp_tokens.GROUP,
}
FUNCTIONS: Final = {"azure": azure_tokens.WEB_APP, "gcp": gcp_tokens.FUNCTION}


class StandInDesk:
    """One region of a sandbox's directory."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self._stack, self._directory = stack, directory
        self._cloud, self._package = stack.region.cloud, package_of(stack.region.cloud)

    @contextmanager
    def _transaction(self, *, write: bool) -> Iterator[Transaction]:
        if not (self._directory / CLOUDS).exists():  # opening a store makes its file, and asking must not
            raise NotThere(f"{self._stack.region.stack}: not deployed in the sandbox")
        store = Store(self._directory)
        try:
            with store.transaction(write=write) as tx:
                yield tx
        finally:
            store.close()

    def _found(self, tx: Transaction, token: str, name: str | None) -> Resource:
        """The resource of a type with a name, or the only one of this stack."""
        for one in tx.all(self._package, token):
            own = one.urn.removeprefix("urn:pulumi:").partition("::")[0] == self._stack.region.stack
            if own and one.account == self._stack.config.account and name in (None, one["name"], one["vmScaleSetName"]):
                return one
        raise NotThere(f"{self._stack.region.stack}: not deployed in the sandbox: no {name or token}")

    def read(self) -> RegionState:
        stack = self._stack
        groups: tuple[tuple[Market, str], ...] = (("spot", stack.spot_group), ("on-demand", stack.on_demand_group))
        with self._transaction(write=False) as tx:
            found = {market: self._found(tx, GROUPS[self._cloud], name) for market, name in groups}
            spot, on_demand = self._target(tx, found)
            weather = WeatherFile(self._directory / WEATHER).now()
            cloud = CallCloud(registry(self._package), tx, stack.region.region, stack.config.account, weather)
            launches = import_module(f"sandbox.{self._package.replace('-', '_')}.launches")
            plan = launches.plan(cloud, stack.region.region)
        machines: list[Machine] = []
        refused: dict[Market, Error] = {}
        size: dict[Market, int] = {}
        for market, name in groups:
            made = plan.get(name, [])
            size[market] = len(made)
            for one in made:
                if one.launched:
                    id = f"{name}/{one.number}/{one.machine_type}/{one.zone}"
                    machines.append(Machine(id, market, one.zone, True))
                else:
                    refused[market] = refusal((one.outcome, one.reason))
        return RegionState(spot, on_demand, size["spot"], size["on-demand"], tuple(machines), refused=refused)

    def _target(self, tx: Transaction, found: Mapping[Market, Resource]) -> tuple[int, int]:
        if self._cloud == "aws":
            return int(found["spot"]["minSize"] or 0), int(found["on-demand"]["minSize"] or 0)
        return sizes(self._environment(self._found(tx, FUNCTIONS[self._cloud], None)), self._stack.region.stack)

    def _environment(self, function: Resource) -> dict[str, str]:
        """The function's settings, as the stand-in holds them."""
        values: dict[str, Any] = {}
        for layer in (function.outputs, function.inputs):
            if self._cloud == "azure":
                rows = (layer.get("siteConfig") or {}).get("appSettings") or ()
                values = values or {row["name"]: row["value"] for row in rows}
            else:
                values = values or dict((layer.get("serviceConfig") or {}).get("environmentVariables") or {})
        return {name: str(value) for name, value in values.items() if name.startswith(PREFIX)}

    def write(self, spot: int, on_demand: int, say: Say) -> None:
        with self._transaction(write=True) as tx:
            done = self._write_groups(tx, spot, on_demand) if self._cloud == "aws" else None
            done = self._write_function(tx, spot, on_demand) if done is None else done
        for line in done:
            say(line)

    def _write_groups(self, tx: Transaction, spot: int, on_demand: int) -> list[str]:
        """As UpdateAutoScalingGroup does: https://docs.aws.amazon.com/autoscaling/ec2/APIReference/"""
        done = []
        for size, name in ((spot, self._stack.spot_group), (on_demand, self._stack.on_demand_group)):
            group = self._found(tx, GROUPS["aws"], name)
            now, most, desired = (int(group[key] or 0) for key in ("minSize", "maxSize", "desiredCapacity"))
            if size == now:
                continue
            if size > most:
                raise SpillwayError(f"{name}: minimum {size}: above its maximum of {most}")
            follows = name == self._stack.spot_group and desired == now
            for layer in (group.inputs, group.outputs):
                layer["minSize"] = size
                if "desiredCapacity" in layer or layer is group.outputs:
                    layer["desiredCapacity"] = size if follows else max(desired, size)
            tx.put(self._package, group)
            done.append(f"{name}: minimum {now} -> {size}")
        return done

    def _write_function(self, tx: Transaction, spot: int, on_demand: int) -> list[str]:
        function = self._found(tx, FUNCTIONS[self._cloud], None)
        was = sizes(self._environment(function), self._stack.region.stack)
        if was == (spot, on_demand):
            return []
        wanted = {TARGET: str(spot + on_demand), FLOOR: str(on_demand)}
        for layer in (function.inputs, function.outputs):
            if self._cloud == "azure":
                for row in (layer.get("siteConfig") or {}).get("appSettings") or ():
                    row["value"] = wanted.get(row["name"], row["value"])
            elif (values := (layer.get("serviceConfig") or {}).get("environmentVariables")) is not None:
                values.update(wanted)
        tx.put(self._package, function)
        name = str(function["name"]).rpartition("/")[2]
        return [f"{name}: target {sum(was)} -> {spot + on_demand}, floor {was[1]} -> {on_demand}"]
