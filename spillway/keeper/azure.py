"""A region on Azure: two scale sets, and the settings of the function that sizes them.

Rights: Microsoft.Compute/virtualMachineScaleSets/read, .../virtualMachines/read, Microsoft.Web/sites/read and
sites/config/list/action; to apply also Microsoft.Web/sites/config/write (role Website Contributor on the app).
"""

from __future__ import annotations

from typing import Any, Final

from infra.azure import names
from infra.keeper_fleet import Machine, RegionState
from infra.keeper_words import Error, Market
from spillway.keeper.desk import FLOOR, TARGET, NotThere, Say, Stack, refusal, sizes
from spillway.preflight.azure_calls import ARM, INSTALL, RETRIES, ArmAsker, answered, hush
from spillway.preflight.model import Unanswered, Unreachable

WEB: Final = "2024-04-01"
"""https://learn.microsoft.com/rest/api/appservice/web-apps/list-application-settings, update-application-settings"""


class AzureDesk(ArmAsker):
    """One region, with a ComputeManagementClient."""

    def __init__(self, stack: Stack, compute: Any) -> None:
        super().__init__(stack.config.account, compute)
        self._stack = stack
        self._group = names.resource_group(stack.region.stack)
        app = names.function_app(stack.region.stack, stack.config.account)
        self._app = f"{names.group_id(stack.config.account, self._group)}/providers/Microsoft.Web/sites/{app}"

    def _settings(self) -> dict[str, str]:
        """The app's settings, all of them: they are written as a whole."""
        url = f"{ARM}{self._app}/config/appsettings/list?api-version={WEB}"
        found = self._sent("POST", url, "Microsoft.Web/sites/config/list/action", "Website Contributor")
        if found is None:
            raise NotThere(f"{self._stack.region.stack}: not deployed: no function app {self._app.rpartition('/')[2]}")
        values = found.get("properties")
        if not isinstance(values, dict):
            raise Unanswered("Azure's answer about the app's settings has no properties")
        return {str(name): str(value) for name, value in values.items()}

    def read(self) -> RegionState:
        spot, on_demand = sizes(self._settings(), self._stack.region.stack)
        machines: list[Machine] = []
        refused: dict[Market, Error] = {}
        creating: dict[Market, int] = {}
        size: dict[Market, int] = {}
        groups: tuple[tuple[Market, str], ...] = (
            ("spot", self._stack.spot_group),
            ("on-demand", self._stack.on_demand_group),
        )
        for market, name in groups:
            size[market], rows = self._set(name)
            told = [self._machine(market, one) for one in rows]
            machines += [machine for _, machine, _ in told if machine is not None]
            if waits := sum(phase == "creating" for phase, _, _ in told):
                creating[market] = waits
            if reasons := [why for phase, _, why in told if phase == "failed"]:
                refused[market] = refusal(reasons)
        return RegionState(
            spot, on_demand, size["spot"], size["on-demand"], tuple(machines), creating=creating, refused=refused
        )

    def _set(self, name: str) -> tuple[int, list[Any]]:
        from azure.core.exceptions import ResourceNotFoundError

        right = "Microsoft.Compute/virtualMachineScaleSets/read"
        with answered(right):
            try:
                found = self._client.virtual_machine_scale_sets.get(self._group, name)
            except ResourceNotFoundError:
                raise NotThere(f"{self._stack.region.stack}: not deployed: no scale set {name}") from None
            listed = self._client.virtual_machine_scale_set_vms.list(self._group, name, expand="instanceView")
            return int((found.sku and found.sku.capacity) or 0), list(listed)

    def _machine(self, market: Market, one: Any) -> tuple[str, Machine | None, str]:
        """Phase, the machine where there is one, and what Azure says of a failure."""
        from infra.function.azure import phase

        now = phase(one)
        if now in ("ready", "booting", "leaving"):
            zone = f"{one.location}-{one.zones[0]}" if one.zones else ""
            zones = self._stack.region.launches(self._stack.region.spot) if self._stack.region.spot else ()
            known = {name for _, name in zones}
            place = next((name for name in (zone, *(one.zones or ())) if name in known), self._stack.region.region)
            # Instance numbers are given anew in a set: https://learn.microsoft.com/azure/virtual-machine-scale-sets/
            id = str(one.vm_id or f"{market}-{one.instance_id}")
            return now, Machine(id, market, place, now == "ready", now == "leaving"), ""
        view = one.instance_view
        rows = (view.statuses or ()) if view else ()
        return now, None, " ".join(f"{row.code} {row.display_status} {row.message or ''}" for row in rows)

    def write(self, spot: int, on_demand: int, say: Say) -> None:
        """Two of the app's settings. They are written as a whole, so they are read right before, and once more after:
        whoever else wrote in between is told. Writing them restarts the app."""
        before = self._settings()
        was = sizes(before, self._stack.region.stack)
        if was == (spot, on_demand):
            return
        wanted = before | {TARGET: str(spot + on_demand), FLOOR: str(on_demand)}
        url = f"{ARM}{self._app}/config/appsettings?api-version={WEB}"
        action = "Microsoft.Web/sites/config/write"
        self._sent("PUT", url, action, "Website Contributor", json={"properties": wanted})
        say(f"{self._app.rpartition('/')[2]}: target {sum(was)} -> {spot + on_demand}, floor {was[1]} -> {on_demand}")
        if self._settings() != wanted:
            raise Unanswered("the app's settings are not what was written: somebody else writes them too", "look at it")


def connect(stack: Stack, profile: str | None) -> AzureDesk:
    """With the environment's credentials. Raises Unreachable without the extra."""
    try:
        from azure.identity import DefaultAzureCredential
        from azure.mgmt.compute import ComputeManagementClient
    except ImportError:
        raise Unreachable(f"Azure: its SDK is not installed: {INSTALL}") from None
    hush()
    return AzureDesk(stack, ComputeManagementClient(DefaultAzureCredential(), stack.config.account, **RETRIES))
