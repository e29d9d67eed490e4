"""A global stack on Traffic Manager: the SDK's own operations and models over a transport that answers from a list."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest
from azure.mgmt.trafficmanager import TrafficManagerManagementClient

from infra.dns import traffic_profiles
from infra.dns.config import parse_global
from infra.dns.sections import GlobalStack
from sandbox.azure_native import tokens
from sandbox.azure_native.registry import AZURE_NATIVE
from spillway.preflight import azure
from spillway.preflight.azure import AzureSubscription
from spillway.preflight.azure_checks import CHECKS, Availability
from spillway.preflight.deployed import Plans, foreseen
from spillway.preflight.global_context import Delegation, DnsZone, GlobalContext
from spillway.preflight.global_stand_in import StandInAzure
from spillway.preflight.model import Row, Unanswered, Unreachable, run
from tests.support.memory_cloud import MemoryCloud
from tests.unit.preflight.fake_account import NOW
from tests.unit.preflight.kept import keep
from tests.unit.stack_data import STACKS

SUBSCRIPTION = "00000000-0000-4000-8000-000000000000"
ARM = f"/subscriptions/{SUBSCRIPTION}"
NETWORK = f"{ARM}/providers/Microsoft.Network"
ZONES = f"{NETWORK}/dnsZones"
ZONE = f"{ARM}/resourceGroups/dns/providers/Microsoft.Network/dnsZones/example.com"
PROFILES = f"{NETWORK}/trafficmanagerprofiles"
CHECK_NAME = "/providers/Microsoft.Network/checkTrafficManagerNameAvailability"
SERVERS = ("ns1-01.azure-dns.com.", "ns2-01.azure-dns.net.")


def config(zone: dict[str, Any] | None = None) -> GlobalStack:
    data = {
        "zone": zone or {"name": "example.com"},
        "dns": {"provider": "traffic-manager"},
        "trafficManager": {"subscription": SUBSCRIPTION, "location": "westeurope", "name": "spillway-llm"},
        "services": [{"name": "llm.example.com", "policy": "priority"}],
        "members": [
            {"name": "aws-us-east-1", "stack": "aws-us-east-1", "priority": 1},
            {"name": "onprem-fra", "priority": 9, "endpoint": {
                "addresses": ["198.51.100.10"], "nearestAwsRegion": "eu-central-1", "residency": "eu"}},
        ],
    }  # fmt: skip
    return parse_global(data, "global", "stacks/Pulumi.global.yaml", STACKS)


def wanted_names() -> list[str]:
    made = config()
    plan = foreseen(made, STACKS, "stacks/Pulumi.global.yaml")
    return [profile.name for profile in traffic_profiles.profiles("spillway-llm", "example.com", plan)]


class Answer:
    """What azure.core's pipeline reads of a response."""

    def __init__(self, request: Any, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.request, self.status_code, self.reason = request, status, "reason"
        self.headers = {"Content-Type": "application/json", **(headers or {})}
        self.content_type = "application/json"
        self.content = json.dumps(body).encode()
        self.encoding, self.is_closed, self.is_stream_consumed = "utf-8", True, True
        self.url = request.url

    def json(self) -> Any:
        return json.loads(self.content)

    def text(self, encoding: str | None = None) -> str:
        return self.content.decode()

    def body(self) -> bytes:
        return self.content

    def read(self) -> bytes:
        return self.content

    def close(self) -> None:
        pass

    def raise_for_status(self) -> None:
        from azure.core.exceptions import HttpResponseError

        if self.status_code >= 400:
            raise HttpResponseError(response=self)


class Arm(HttpTransport[Any, Any]):
    """Answers by path; anything not listed is a 404 in ARM's words."""

    def __init__(self) -> None:
        profile = {"id": f"{ARM}/resourceGroups/Other/providers/Microsoft.Network/trafficManagerProfiles/p",
                   "name": "p", "type": "Microsoft.Network/trafficManagerProfiles",
                   "properties": {"dnsConfig": {"relativeName": "elsewhere", "ttl": 30}}}  # fmt: skip
        self.answers: dict[str, Any] = {
            ARM: {"subscriptionId": SUBSCRIPTION, "displayName": "Example", "state": "Enabled"},
            NETWORK: {"namespace": "Microsoft.Network", "registrationState": "Registered"},
            PROFILES: {"value": [profile]},
            ZONES: {"value": []},
            CHECK_NAME: {"name": "x", "type": "Microsoft.Network/trafficManagerProfiles", "nameAvailable": True},
        }
        self.asked: list[HttpRequest] = []

    def send(self, request: Any, **kwargs: Any) -> Any:
        self.asked.append(request)
        path = request.url.removeprefix("https://management.azure.com").split("?")[0]
        matched = next((key for key in self.answers if key.lower() == path.lower()), None)
        answer = self.answers[matched] if matched is not None else (404, {"error": {"code": "ResourceNotFound"}})
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return Answer(request, status, body)

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class Credential:
    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken("secret-token", 4_102_444_800)


@dataclass
class Parents:
    servers: tuple[str, ...] = ("ns1-01.azure-dns.com", "ns2-01.azure-dns.net")

    def delegation(self, zone: str) -> Delegation:
        return Delegation("com", self.servers)


@pytest.fixture
def arm() -> Arm:
    return Arm()


def subscription(arm: Arm) -> AzureSubscription:
    client = TrafficManagerManagementClient(Credential(), SUBSCRIPTION, transport=arm, retry_total=0)
    return AzureSubscription(SUBSCRIPTION, client)


def asked(account: Any, stack: GlobalStack | None = None, parents: Any = None) -> dict[str, Row]:
    wanted = stack or config()
    plan = foreseen(wanted, STACKS, "stacks/Pulumi.global.yaml")
    context: Any = GlobalContext("global", wanted, Plans(plan, plan), account, parents, NOW)
    return {row.id: row for row in run(CHECKS, context)}


def states(found: dict[str, Row]) -> dict[str, str]:
    return {id: row.state for id, row in found.items() if row.state not in ("ok", "note")}


def test_a_subscription_with_nothing_in_the_way(arm: Arm) -> None:
    found = asked(subscription(arm))
    assert states(found) == {}
    names = wanted_names()
    assert found["names"].found == f"{len(names)} free, 0 held by this stack"
    posted = [json.loads(request.content) for request in arm.asked if request.method == "POST"]
    assert posted == [{"name": name, "type": "Microsoft.Network/trafficManagerProfiles"} for name in names]
    assert {request.method for request in arm.asked} == {"GET", "POST"}
    assert all("api-version=" in request.url for request in arm.asked)


def test_a_name_that_somebody_has_fails_and_ones_own_does_not(arm: Arm) -> None:
    taken = {"nameAvailable": False, "reason": "AlreadyExists", "message": "Domain name is not\navailable."}
    arm.answers[CHECK_NAME] = taken
    found = asked(subscription(arm))
    names = wanted_names()
    assert states(found) == {f"name.{name}": "failure" for name in names}
    assert found[f"name.{names[0]}"].found == "Domain name is not available."
    assert found[f"name.{names[0]}"].check == f"{names[0]}.trafficmanager.net"
    group = f"{ARM}/resourceGroups/Spillway-Global/providers/Microsoft.Network/trafficManagerProfiles"
    arm.answers[PROFILES] = {"value": [
        {"id": f"{group}/{name}", "name": name, "properties": {"dnsConfig": {"relativeName": name, "ttl": 1}}}
        for name in names]}  # fmt: skip
    found = asked(subscription(arm))
    assert states(found) == {}
    assert found["limit.profiles"].found == "0 used by others, 200 in all"


def test_a_full_subscription_has_no_room_for_profiles(arm: Arm) -> None:
    def full(others: int) -> dict[str, str]:
        arm.answers[PROFILES] = {"value": [
            {"id": f"{ARM}/resourceGroups/o/providers/Microsoft.Network/trafficManagerProfiles/{n}", "name": str(n),
             "properties": {}} for n in range(others)]}  # fmt: skip
        return states(asked(subscription(arm)))

    room = 200 - len(wanted_names())
    assert full(room) == {}
    assert full(room + 1) == {"limit.profiles": "failure"}


def test_a_zone_of_the_name_elsewhere_in_the_subscription_fails(arm: Arm) -> None:
    properties = {"nameServers": list(SERVERS), "zoneType": "Public", "numberOfRecordSets": 4}
    arm.answers[ZONES] = {"value": [{"id": ZONE, "name": "example.com", "tags": {}, "properties": properties}]}
    assert ZONE in asked(subscription(arm))["zone"].action
    own = ZONE.replace("/dns/", "/spillway-global/")
    arm.answers[ZONES] = {"value": [{"id": own, "name": "example.com", "properties": properties}]}
    found = asked(subscription(arm), parents=Parents())
    assert found["zone"].found == "example.com: this stack's"
    assert found["delegation"].state == "ok"


def test_a_zone_by_id_is_read_by_its_id(arm: Arm) -> None:
    stack = config({"name": "example.com", "id": ZONE})
    assert asked(subscription(arm), stack)["zone"].state == "failure"
    arm.answers[ZONE] = {"id": ZONE, "name": "example.com", "properties": {"nameServers": list(SERVERS)}}
    assert asked(subscription(arm), stack)["zone"].state == "ok"
    assert subscription(arm).zone(ZONE) == DnsZone(ZONE, "example.com", SERVERS)


def test_lists_are_read_over_all_pages(arm: Arm) -> None:
    def page(id: str, **more: str) -> dict[str, Any]:
        return {"value": [{"id": id, "name": "example.com", "properties": {}}], **more}

    arm.answers[ZONES] = page("one", nextLink=f"https://management.azure.com{ZONES}/more?api-version=2018-05-01")
    arm.answers[f"{ZONES}/more"] = page("two")
    assert [zone.id for zone in subscription(arm).zones_named("example.com")] == ["one", "two"]


@pytest.mark.parametrize(("state", "wanted"), [("Enabled", "ok"), ("Warned", "ok"), ("Disabled", "failure")])
def test_a_subscription_takes_changes(arm: Arm, state: str, wanted: str) -> None:
    arm.answers[ARM] = {"displayName": "Example", "state": state}
    found = asked(subscription(arm))
    assert found["identity"].state == wanted
    assert (list(found) == ["identity"]) == (wanted == "failure")


def test_a_resource_provider_that_is_not_registered_is_a_warning(arm: Arm) -> None:
    arm.answers[NETWORK] = {"registrationState": "NotRegistered"}
    found = asked(subscription(arm))
    assert states(found) == {"provider": "warning"}
    assert found["provider"].action == "az provider register --namespace Microsoft.Network"


# Errors


def test_what_is_denied_is_one_open_question(arm: Arm) -> None:
    denied = {"error": {"code": "AuthorizationFailed", "message": "The client does not have authorization"}}
    arm.answers[CHECK_NAME] = (403, denied)
    found = asked(subscription(arm))
    assert states(found) == {"names": "unknown"}
    assert found["names"].found == "denied: checkTrafficManagerNameAvailability"
    arm.answers[ZONES] = (403, denied)
    assert states(asked(subscription(arm))) == {"names": "unknown", "zone": "unknown"}


def test_throttling_is_told(arm: Arm) -> None:
    arm.answers[NETWORK] = (429, {"error": {"code": "TooManyRequests", "message": "x"}})
    with pytest.raises(Unanswered, match="throttles"):
        subscription(arm).registered("Microsoft.Network")


@pytest.mark.parametrize(
    "body", [[], "x", 5, None, {"value": 7}, {"value": ["x"]}, {"value": [{"name": "example.com"}]}], ids=str
)
def test_an_answer_of_another_shape_is_an_open_question(arm: Arm, body: Any) -> None:
    arm.answers[ZONES] = body
    with pytest.raises(Unanswered, match="Azure answers in another form than documented"):
        subscription(arm).zones_named("example.com")


def test_pages_that_never_end_are_left(arm: Arm) -> None:
    arm.answers[ZONES] = {"value": [], "nextLink": f"https://management.azure.com{ZONES}?api-version=2018-05-01"}
    with pytest.raises(Unanswered, match="more than 100 pages"):
        subscription(arm).zones_named("example.com")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token.\nAttempted credentials:\n..."),
         "Azure: DefaultAzureCredential failed to retrieve a token; log in: `az login`"),
        (ServiceRequestError("Failed to resolve 'management.azure.com'"),
         "Azure is out of reach: Failed to resolve 'management.azure.com'; check network and proxy"),
        ((404, {"error": {"code": "SubscriptionNotFound", "message": "x"}}),
         f"Azure: subscription {SUBSCRIPTION} is not seen by these credentials; correct "
         "trafficManager.subscription, or `az login --tenant ...`"),
    ],
)  # fmt: skip
def test_what_keeps_everything_from_being_asked_is_one_line(arm: Arm, answer: Any, told: str) -> None:
    arm.answers[ARM] = answer
    with pytest.raises(Unreachable) as caught:
        asked(subscription(arm))
    assert caught.value.lines == (told,)


def test_without_the_extra_the_way_to_install_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(Unreachable) as caught:
        azure.connect(SUBSCRIPTION)
    assert caught.value.lines == (
        "Azure: its SDK is not installed: uv sync --extra azure, or pip install 'spillway[azure]'",
    )


def test_with_the_extra_nothing_is_asked_before_it_has_to_be() -> None:
    assert azure.connect(SUBSCRIPTION).stand_in is False


# The stand-in


def test_the_stand_in_before_and_after_a_deployment(tmp_path: Path) -> None:
    assert states(asked(StandInAzure(tmp_path / "none", SUBSCRIPTION))) == {}
    cloud = MemoryCloud(region="global", account=SUBSCRIPTION, registry=AZURE_NATIVE)
    name = wanted_names()[0]
    cloud.stand_in(tokens.PROFILE, "p", name=name, dnsConfig={"relativeName": name}, tags={"spillway-stack": "global"})
    cloud.stand_in(tokens.ZONE, ZONE, name="example.com", nameServers=list(SERVERS), tags={"spillway-stack": "global"})
    keep(tmp_path, cloud)
    found = asked(StandInAzure(tmp_path, SUBSCRIPTION))
    assert states(found) == {}
    assert found["names"].found == f"{len(wanted_names()) - 1} free, 1 held by this stack"
    assert found["zone"].found == "example.com: this stack's"
    other = StandInAzure(tmp_path, SUBSCRIPTION.replace("4", "5"))
    assert not other.available(name).free
    assert other.available("free") == Availability(True)
    assert other.zone(ZONE) is None
