"""A region on Google Cloud: two regional managed instance groups, and the environment of the function that sizes them.

Rights: compute.instanceGroupManagers.get and .list, cloudfunctions.functions.get; to apply also
cloudfunctions.functions.update, cloudfunctions.operations.get and iam.serviceAccounts.actAs on the function's account.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from infra.gcp import names
from infra.keeper_fleet import Machine, RegionState
from infra.keeper_words import Error, Market
from spillway.keeper.desk import FLOOR, TARGET, NotThere, Say, Stack, refusal, sizes
from spillway.preflight.gcp_calls import INSTALL, SCOPE, TIMEOUT, RestAsker, answered, retried
from spillway.preflight.model import Unanswered, Unreachable

FUNCTIONS: Final = "https://cloudfunctions.googleapis.com/v2"
"""https://docs.cloud.google.com/functions/docs/reference/rest/v2/projects.locations.functions/patch"""
MASK: Final = "serviceConfig.environmentVariables"
WAIT: Final = 300.0
"""Seconds for a new revision of the function to serve."""
LOOK: Final = 3.0


class GcpDesk(RestAsker):
    """One region. groups: a RegionInstanceGroupManagersClient; session: an AuthorizedSession."""

    def __init__(self, stack: Stack, groups: Any, session: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(stack.config.account, session)
        self._stack, self._groups, self._sleep = stack, groups, sleep
        place = f"projects/{stack.config.account}/locations/{stack.region.region}"
        self._function = f"{place}/functions/{names.function_name(stack.region.stack)}"

    def _environment(self) -> dict[str, str]:
        found = self._json("GET", f"{FUNCTIONS}/{self._function}", "cloudfunctions.functions.get")
        if found is None:
            raise NotThere(f"{self._stack.region.stack}: not deployed: no function {self._function.rpartition('/')[2]}")
        service = found.get("serviceConfig")
        values = service.get("environmentVariables") if isinstance(service, Mapping) else None
        if not isinstance(values, Mapping):
            raise Unanswered("Google Cloud's answer about the function has no environment variables")
        return {str(name): str(value) for name, value in values.items()}

    def read(self) -> RegionState:
        from infra.function.gcp import phase

        spot, on_demand = sizes(self._environment(), self._stack.region.stack)
        machines: list[Machine] = []
        refused: dict[Market, Error] = {}
        creating: dict[Market, int] = {}
        size: dict[Market, int] = {}
        groups: tuple[tuple[Market, str], ...] = (
            ("spot", self._stack.spot_group),
            ("on-demand", self._stack.on_demand_group),
        )
        for market, name in groups:
            size[market], rows = self._group(name)
            reasons = []
            for one in rows:
                now = phase(one)
                if now in ("ready", "booting", "leaving"):
                    id = str(one.id or one.instance.rpartition("/")[2])
                    machines.append(Machine(id, market, _zone(one.instance), now == "ready", now == "leaving"))
                elif now == "creating":
                    creating[market] = creating.get(market, 0) + 1
                elif now == "refused":
                    reasons += [f"{error.code} {error.message}" for error in one.last_attempt.errors.errors]
            if reasons:
                refused[market] = refusal(reasons)
        return RegionState(
            spot, on_demand, size["spot"], size["on-demand"], tuple(machines), creating=creating, refused=refused
        )

    def _group(self, name: str) -> tuple[int, list[Any]]:
        from google.api_core.exceptions import NotFound

        project, region = self._stack.config.account, self._stack.region.region
        request = {"project": project, "region": region, "instance_group_manager": name}
        with answered("compute.googleapis.com", "compute.instanceGroupManagers.get", project):
            try:
                found = self._groups.get(dict(request), retry=retried(), timeout=TIMEOUT)
            except NotFound:
                raise NotThere(f"{self._stack.region.stack}: not deployed: no instance group {name}") from None
            rows = self._groups.list_managed_instances(dict(request), retry=retried(), timeout=TIMEOUT)
            return int(found.target_size), list(rows)

    def write(self, spot: int, on_demand: int, say: Say) -> None:
        """Two variables of the function; what it runs is not built anew. Waits until the new revision serves."""
        before = self._environment()
        was = sizes(before, self._stack.region.stack)
        if was == (spot, on_demand):
            return
        wanted = before | {TARGET: str(spot + on_demand), FLOOR: str(on_demand)}
        told = self._json(
            "PATCH",
            f"{FUNCTIONS}/{self._function}",
            "cloudfunctions.functions.update",
            params={"updateMask": MASK},
            json={"serviceConfig": {"environmentVariables": wanted}},
        )
        self._wait(told or {})
        name = self._function.rpartition("/")[2]
        say(f"{name}: target {sum(was)} -> {spot + on_demand}, floor {was[1]} -> {on_demand}")

    def _wait(self, operation: Mapping[str, Any]) -> None:
        name, waited = str(operation.get("name") or ""), 0.0
        while not operation.get("done"):
            if not name or waited >= WAIT:
                raise Unanswered(f"the function's new revision does not serve after {waited:.0f} s", "look at its logs")
            self._sleep(LOOK)
            waited += LOOK
            operation = self._json("GET", f"{FUNCTIONS}/{name}", "cloudfunctions.operations.get") or {}
        error = operation.get("error")
        if isinstance(error, Mapping):
            raise Unanswered(f"the function could not be updated: {' '.join(str(error.get('message')).split())}")


def _zone(url: str) -> str:
    """`.../zones/us-central1-a/instances/name` -> `us-central1-a`."""
    return url.partition("/zones/")[2].partition("/")[0]


def connect(stack: Stack, profile: str | None) -> GcpDesk:
    """With the environment's credentials. Raises Unreachable without the extra or without a login."""
    try:
        import google.auth
        from google.auth.transport.requests import AuthorizedSession
        from google.cloud import compute_v1
    except ImportError:
        raise Unreachable(f"Google Cloud: its SDK is not installed: {INSTALL}") from None
    with answered("google.auth", "a login", stack.config.account):
        credentials, _ = google.auth.default(scopes=[SCOPE])
    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    return GcpDesk(stack, compute_v1.RegionInstanceGroupManagersClient(credentials=credentials), session)
