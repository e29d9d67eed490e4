"""Regions on Azure and Google Cloud: their groups and their function's settings, behind the SDKs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from azure.mgmt.compute import ComputeManagementClient
from google.auth.credentials import AnonymousCredentials
from google.cloud import compute_v1

from spillway.errors import SpillwayError
from spillway.keeper.azure import AzureDesk
from spillway.keeper.desk import Desk, NotThere
from spillway.keeper.gcp import GcpDesk
from spillway.preflight.model import Unanswered
from tests.unit.function.clouds import AzureFake, GcpFake, Nodes, Token
from tests.unit.function.wire import Answer, Call, connected
from tests.unit.keeper.conftest import stack

AZURE, GCP = stack("azure-eastus"), stack("gcp-us-central1")
SETTINGS = {"SPILLWAY_TARGET": "2", "SPILLWAY_FLOOR": "0", "SPILLWAY_MAX": "6", "FUNCTIONS_EXTENSION_VERSION": "~4"}


@dataclass
class AzureApp(AzureFake):
    """Scale sets, and the function app's settings. meddler: what somebody else makes of them after a write."""

    settings: dict[str, str] | None = field(default_factory=lambda: dict(SETTINGS))
    meddler: dict[str, str] = field(default_factory=dict)

    def handle(self, call: Call) -> Answer:
        if "/Microsoft.Web/sites/" not in call.path:
            return super().handle(call)
        assert call.headers["authorization"] == "Bearer token"
        assert call.query["api-version"] == "2024-04-01"
        if self.settings is None:
            return Answer(404, {"error": {"code": "ResourceNotFound", "message": "no such site"}})
        if call.method == "PUT":
            assert call.path.endswith("/config/appsettings")
            self.settings = call.json["properties"] | self.meddler
        else:
            assert call.method == "POST"
            assert call.path.endswith("/config/appsettings/list")
        return Answer(200, {"name": "appsettings", "properties": self.settings})


@dataclass
class GcpFunction(GcpFake):
    """Instance groups, and the function's environment. late: looks at the operation until it is done."""

    settings: dict[str, str] | None = field(default_factory=lambda: dict(SETTINGS))
    late: int = 2
    failure: str = ""

    def handle(self, call: Call) -> Answer:
        if call.host != "cloudfunctions.googleapis.com":
            return super().handle(call)
        if self.settings is None:
            return Answer(404, {"error": {"code": 404, "message": "not found"}})
        if call.method == "PATCH":
            assert call.query == {"updateMask": "serviceConfig.environmentVariables"}
            self.settings = call.json["serviceConfig"]["environmentVariables"]
            return Answer(200, {"name": "projects/spillway-test/locations/us-central1/operations/one", "done": False})
        if call.path.endswith("/operations/one"):
            self.late -= 1
            error = {"error": {"code": 3, "message": self.failure}} if self.failure else {}
            return Answer(200, {"name": "one", "done": self.late <= 0, **error})
        assert call.path.endswith("/functions/spillway-gcp-us-central1-fallback")
        return Answer(200, {"serviceConfig": {"environmentVariables": self.settings}})


Fake = AzureApp | GcpFunction


@pytest.fixture(params=["azure", "gcp"])
def region(request: pytest.FixtureRequest) -> Iterator[tuple[Fake, Desk]]:
    one = AZURE if request.param == "azure" else GCP
    groups = {one.spot_group: Nodes(), one.on_demand_group: Nodes()}
    fake: Fake = AzureApp(groups=groups) if request.param == "azure" else GcpFunction(groups=groups)
    with connected(fake.wire):
        yield fake, azure() if request.param == "azure" else gcp()


def azure() -> AzureDesk:
    return AzureDesk(AZURE, ComputeManagementClient(Token(), AZURE.config.account, retry_total=0))


def gcp() -> GcpDesk:
    client = compute_v1.RegionInstanceGroupManagersClient(credentials=AnonymousCredentials())  # type: ignore[no-untyped-call]
    return GcpDesk(GCP, client, requests.Session(), sleep=lambda seconds: None)


def own(desk: Desk) -> tuple[str, str]:
    one = AZURE if isinstance(desk, AzureDesk) else GCP
    return one.spot_group, one.on_demand_group


def test_groups_and_settings_are_read_machine_by_machine(region: tuple[Fake, Desk]) -> None:
    fake, desk = region
    spot, on_demand = own(desk)
    fake.groups[spot] = Nodes(size=5, serving=1, booting=1, creating=1, leaving=1, refused=1)
    fake.groups[on_demand] = Nodes(size=1, serving=1)
    state = desk.read()
    assert (state.spot, state.on_demand, state.spot_size, state.on_demand_size) == (2, 0, 5, 1)
    told = sorted((machine.market, machine.ready, machine.leaving) for machine in state.machines)
    assert told == [
        ("on-demand", True, False), ("spot", False, False), ("spot", False, True), ("spot", True, False),
    ]  # fmt: skip
    assert state.creating == {"spot": 1}
    assert state.refused == {"spot": "capacity"}


def test_a_target_is_written_into_the_functions_settings_and_the_rest_of_them_stays(region: tuple[Fake, Desk]) -> None:
    fake, desk = region
    said: list[str] = []
    desk.write(3, 1, said.append)
    assert fake.settings == SETTINGS | {"SPILLWAY_TARGET": "4", "SPILLWAY_FLOOR": "1"}
    assert said
    assert said[0].endswith("target 2 -> 4, floor 0 -> 1")
    sent = len(fake.wire.calls)
    desk.write(3, 1, said.append)
    assert len(said) == 1
    assert not [call for call in fake.wire.calls[sent:] if call.method in ("PUT", "PATCH")]
    assert not fake.resizes  # sizes are the function's


def test_a_region_without_its_function_is_not_deployed(region: tuple[Fake, Desk]) -> None:
    fake, desk = region
    fake.settings = None
    with pytest.raises(NotThere, match="not deployed: no function"):
        desk.read()


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"SPILLWAY_TARGET": "two", "SPILLWAY_FLOOR": "0"}, "SPILLWAY_TARGET: 'two'"),
        ({"SPILLWAY_TARGET": "2"}, "SPILLWAY_FLOOR: missing"),
        ({"SPILLWAY_TARGET": "1", "SPILLWAY_FLOOR": "2"}, "SPILLWAY_FLOOR = 2: above SPILLWAY_TARGET"),
    ],
)
def test_settings_that_are_none_are_told(region: tuple[Fake, Desk], values: dict[str, str], told: str) -> None:
    fake, desk = region
    fake.settings = values
    with pytest.raises(SpillwayError, match=told):
        desk.read()


def test_settings_that_somebody_else_writes_too_are_told() -> None:
    fake = AzureApp(groups={}, meddler={"SPILLWAY_TARGET": "9"})
    with connected(fake.wire), pytest.raises(Unanswered, match="not what was written"):
        azure().write(3, 1, lambda line: None)


def test_a_revision_that_does_not_come_up_is_told() -> None:
    fake = GcpFunction(groups={}, failure="Container failed to start")
    with connected(fake.wire), pytest.raises(Unanswered, match="could not be updated: Container failed to start"):
        gcp().write(3, 1, lambda line: None)
    slow = GcpFunction(groups={}, late=10**6)
    with connected(slow.wire), pytest.raises(Unanswered, match="does not serve after 300 s"):
        gcp().write(3, 1, lambda line: None)


def test_an_account_that_may_not_is_told_which_right_it_needs(region: tuple[Fake, Desk]) -> None:
    fake, desk = region

    def refuse(call: Call) -> Answer | None:
        body: dict[str, Any] = {"error": {"code": "AuthorizationFailed", "message": "may not", "status": "DENIED"}}
        if call.host == "cloudfunctions.googleapis.com":
            body = {"error": {"code": 403, "message": "may not", "status": "PERMISSION_DENIED"}}
        return Answer(403, body)

    fake.wire.faults.append(refuse)
    with pytest.raises(Unanswered, match="denied"):
        desk.read()
