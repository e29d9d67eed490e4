"""How the fallback function's package gets into its app, over Azure's SDK and no network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pulumi
import pytest
from azure.core.credentials import AccessToken

from infra.azure import build, publish
from infra.azure.build import publishing, spreading
from infra.azure.publish import Publisher, PublishError, login
from infra.azure.scaling import PACKAGE_TAG
from tests.support.azure_components import region
from tests.unit.function.wire import Answer, Call, Wire, connected

T = TypeVar("T")
HOSTS = ("spillway-1.azurewebsites.net", "spillway-1-abc.scm.eastus-01.azurewebsites.net")
SCM = HOSTS[1]


class Someone:
    """A credential."""

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        return AccessToken(f"token for {' '.join(scopes)}", 2_000_000_000)


class Azure:
    """A deployment service. states: what it tells of the build, one by one, the last for ever."""

    def __init__(self, *states: dict[str, Any], location: str = f"https://{SCM}/api/deployments/one") -> None:
        self.states, self.location = list(states), location
        self.wire = Wire(self.answer)
        self.waited: list[float] = []
        self.now = 0.0

    def answer(self, call: Call) -> Answer:
        if (call.method, call.path) == ("POST", "/api/publish"):
            return Answer(202, "one", {"Location": self.location})
        if call.path.startswith("/api/deployments/"):
            return Answer(200, self.states.pop(0) if len(self.states) > 1 else self.states[0])
        return Answer(404, {"error": {"code": "ResourceNotFound"}})

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds

    def publish(self, content: bytes = b"zip", hosts: tuple[str, ...] = HOSTS) -> None:
        with connected(self.wire):
            self.publisher().publish(hosts, content)

    def publisher(self) -> Publisher:
        return Publisher(Someone(), lambda: self.now, self.sleep, 60)


DONE = {"complete": True, "status": 4}
GOING_ON = {"complete": False, "status": 1}


def test_the_package_goes_to_the_app_s_deployment_service_and_is_built_there() -> None:
    azure = Azure(GOING_ON, GOING_ON, DONE)
    azure.publish(b"the archive")
    sent, *asked = azure.wire.calls
    assert (sent.method, sent.host, sent.path, sent.query["RemoteBuild"]) == ("POST", SCM, "/api/publish", "true")
    assert (sent.body, sent.headers["content-type"]) == (b"the archive", "application/zip")
    assert sent.headers["authorization"] == "Bearer token for https://management.core.windows.net//.default"
    assert {(call.method, call.path) for call in asked} == {("GET", "/api/deployments/one")}
    assert len(asked) == 3


def test_the_token_goes_to_no_other_host() -> None:
    azure = Azure(DONE, location="https://elsewhere.example.com/api/deployments/one")
    azure.publish()
    assert {call.host for call in azure.wire.calls} == {SCM}


@pytest.mark.parametrize(
    "first",
    [
        Answer(403, b"new rights are not everywhere yet"),
        Answer(404, b"nor is the app"),
        Answer(503, b""),
        Answer(400, b"BlobUploadFailedException: 403"),
        ConnectionError("no such host"),
    ],
)
def test_an_app_that_is_new_is_waited_for(first: Answer | Exception) -> None:
    import requests

    azure, left = Azure(DONE), [first, first]

    def fault(_: Call) -> Answer | None:
        if not left:
            return None
        one = left.pop()
        if isinstance(one, Exception):
            raise requests.ConnectionError(str(one))
        return one

    azure.wire.faults.append(fault)
    azure.publish()
    assert len(azure.waited) == 2


def test_what_does_not_pass_is_told_at_once_and_what_does_not_end_after_its_time() -> None:
    azure = Azure(DONE)
    azure.wire.faults.append(lambda _: Answer(400, b"not a zip"))
    with pytest.raises(PublishError, match=r"publish: 400 .*not a zip"):
        azure.publish()
    assert azure.waited == []
    endless = Azure(GOING_ON)
    with pytest.raises(PublishError, match="given up after 60 s: the build has not ended"):
        endless.publish()


def test_a_build_that_failed_is_told_with_where_its_log_is() -> None:
    azure = Azure({"complete": True, "status": 3, "status_text": "no\nwheel", "log_url": "https://log"})
    with pytest.raises(PublishError, match="the build failed: no wheel; its log: https://log"):
        azure.publish()


def test_an_app_without_a_deployment_service_is_told() -> None:
    with pytest.raises(PublishError, match=r"no host name for deployments among spillway-1\.azurewebsites\.net"):
        Azure(DONE).publish(hosts=HOSTS[:1])


def test_the_app_of_a_stack_is_found_by_its_name() -> None:
    azure = Azure(DONE)
    with connected(azure.wire), pytest.raises(PublishError, match="not there; the stack's `up` makes it"):
        azure.publisher().hosts(region())
    (asked,) = azure.wire.calls
    assert asked.host == "management.azure.com"
    assert "/resourceGroups/spillway-azure-westus2/providers/Microsoft.Web/sites/spillway-" in asked.path
    azure.wire.faults.append(lambda _: Answer(200, {"properties": {"enabledHostNames": list(HOSTS)}}))
    with connected(azure.wire):
        assert azure.publisher().hosts(region()) == list(HOSTS)


def made() -> pulumi.ResourceHookArgs:
    """The app has been made, and what comes after it is next."""
    return pulumi.ResourceHookArgs("urn", "", "scm", "type", new_inputs={"name": "spillway-1", "allow": False})


def changes(new: str, old: str) -> pulumi.ResourceHookArgs:
    """The app is about to change, from one package to another."""
    tags = [{"name": "spillway-1", "tags": {PACKAGE_TAG: digest}} for digest in (new, old)]
    return pulumi.ResourceHookArgs("urn", "id", "fallback", "type", new_inputs=tags[0], old_inputs=tags[1])


def ran(work: Awaitable[T]) -> T:
    """In a loop of its own: the one of other tests stays as it is."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def up(args: pulumi.ResourceHookArgs) -> None:
    """What the engine calls."""

    ran(publishing(region(), b"zip")(args))


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, bytes]]:
    """What would be published; `up` on Azure, not in a sandbox."""
    done: list[tuple[Any, bytes]] = []
    fake = SimpleNamespace(hosts=lambda _: HOSTS, publish=lambda hosts, content: done.append((hosts, content)))
    monkeypatch.setattr(publish, "Publisher", lambda **_: fake)
    monkeypatch.delenv("SPILLWAY_PUBLISH_TO", raising=False)
    return done


def test_up_publishes_to_a_new_app_and_another_package_but_not_for_new_settings(
    published: list[tuple[Any, bytes]],
) -> None:
    up(made())
    up(changes("b", "a"))
    assert published == [(HOSTS, b"zip")] * 2
    up(changes("b", "b"))
    assert len(published) == 2


def test_an_up_that_cannot_publish_fails_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PublishError("publish: 403 Forbidden")

    monkeypatch.setattr(publish, "Publisher", lambda **_: SimpleNamespace(hosts=lambda _: HOSTS, publish=refuse))
    monkeypatch.delenv("SPILLWAY_PUBLISH_TO", raising=False)
    with pytest.raises(PublishError, match="was not published: publish: 403 Forbidden; the next `up` tries again"):
        up(made())


def test_whoever_the_provider_works_as_publishes() -> None:
    principal = {"ARM_TENANT_ID": "t-1", "ARM_CLIENT_ID": "c-1"}
    assert type(login({**principal, "ARM_CLIENT_SECRET": "s"})).__name__ == "ClientSecretCredential"
    assert type(login({**principal, "ARM_OIDC_TOKEN": "s"})).__name__ == "ClientAssertionCredential"
    assert type(login({})).__name__ == "DefaultAzureCredential"


def test_the_command_names_what_is_wrong_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert publish.main(["aws-us-east-1"]) == 1
    assert capsys.readouterr().err.strip() == "aws-us-east-1: not an Azure region"


@pytest.mark.parametrize(
    ("errors", "again"),
    [
        (["400 RoleDefinitionDoesNotExist: not there"], True),
        (["PrincipalNotFound: does not exist"] * 29, True),
        (["PrincipalNotFound: does not exist"] * 30, False),
        (["403 AuthorizationFailed: no right to"], False),
        (["AuthorizationFailed", "RoleDefinitionDoesNotExist"], False),
    ],
)
def test_an_assignment_waits_for_its_role_and_for_nothing_else(
    errors: list[str], again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SPREADING_SECONDS", (0, 0))
    asked = pulumi.ErrorHookArgs("urn", "", "spot", "type", failed_operation="create", errors=errors)
    assert ran(spreading(asked)) is again


def test_a_folder_may_take_the_package_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: list[tuple[Any, bytes]]
) -> None:
    monkeypatch.setenv("SPILLWAY_PUBLISH_TO", str(tmp_path / "functions"))
    up(made())
    assert published == []
    (kept,) = tmp_path.glob("functions/spillway-*/released-package.zip")
    assert kept.read_bytes() == b"zip"
