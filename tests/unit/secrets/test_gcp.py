"""Secret Manager as its SDK speaks to it: requests are parsed and answers built by the SDK's own messages.

https://docs.cloud.google.com/secret-manager/docs/reference/rest
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.secretmanager import (
    AccessSecretVersionResponse,
    AddSecretVersionRequest,
    Secret,
    SecretManagerServiceClient,
    SecretVersion,
)
from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
    SecretManagerServiceRestTransport,
)
from google.protobuf.json_format import Parse

from spillway.secrets.gcp import SecretManager, crc32c
from spillway.secrets.store import Denied, NotThere, StoreError
from tests.support.loopback import Answer, Request, serving

SECRET = "projects/p/secrets/certificate"
MADE = "2026-11-26T12:00:00Z"


def fault(status: int, reason: str, message: str) -> Answer:
    body = {"error": {"code": status, "status": reason, "message": message}}
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


@dataclass
class FakeManager:
    """Project `p` with the empty secret `certificate`."""

    versions: list[bytes] = field(default_factory=list)
    damage: bool = False
    refuse: Answer | None = None

    def answer(self, request: Request) -> Answer:
        if self.refuse is not None:
            return self.refuse
        path = request.path.removeprefix("/v1/")
        if not path.startswith(SECRET):
            return fault(404, "NOT_FOUND", f"Secret [{path}] not found.")
        rest = path.removeprefix(SECRET)
        if rest == ":addVersion":
            message = AddSecretVersionRequest.pb(AddSecretVersionRequest())
            Parse(request.body.decode(), message, ignore_unknown_fields=False)
            assert message.payload.data_crc32c == crc32c(message.payload.data)
            self.versions.append(message.payload.data)
            return self._told(SecretVersion, {"name": f"{SECRET}/versions/{len(self.versions)}"})
        if rest == "":
            return self._told(Secret, {"name": SECRET})
        if not self.versions:
            return fault(404, "NOT_FOUND", f"Secret Version [{SECRET}/versions/latest] not found.")
        name = f"{SECRET}/versions/{len(self.versions)}"
        if rest == "/versions/latest:access":
            data = self.versions[-1]
            payload = {"data": data, "data_crc32c": crc32c(data) ^ self.damage}
            return self._told(AccessSecretVersionResponse, {"name": name, "payload": payload})
        assert path == name
        return self._told(SecretVersion, {"name": name, "create_time": {"seconds": 1764158400}})

    @staticmethod
    def _told(kind: Any, content: dict[str, Any]) -> Answer:
        return Answer(200, kind.to_json(kind(content)).encode(), {"Content-Type": "application/json"})


@pytest.fixture
def fake() -> FakeManager:
    return FakeManager()


@pytest.fixture
def store(fake: FakeManager) -> Iterator[SecretManager]:
    with serving(fake) as url:
        host = url.removeprefix("http://")
        credentials: Any = AnonymousCredentials()  # type: ignore[no-untyped-call]
        transport = SecretManagerServiceRestTransport(host=host, credentials=credentials, url_scheme="http")
        yield SecretManager(SecretManagerServiceClient(transport=transport), "p")


def test_empty_then_filled_then_filled_anew(store: SecretManager) -> None:
    assert store.read("certificate").value is None
    assert store.write("certificate", "one", "certificate", None) == "1"
    held = store.read("certificate")
    assert (held.value, held.version) == ("one", "1")
    assert held.pushed is not None
    assert held.pushed.isoformat() == "2025-11-26T12:00:00+00:00"
    assert store.write("certificate", "two", "certificate", None) == "2"
    assert store.read("certificate").value == "two"


def test_a_secret_that_up_has_not_made_is_told(store: SecretManager) -> None:
    for call in (lambda: store.read("none"), lambda: store.write("none", "v", "api-keys", None)):
        with pytest.raises(NotThere, match="none: not in project p; the stack's `up` makes it"):
            call()


def test_a_disabled_newest_version_counts_as_empty(store: SecretManager, fake: FakeManager) -> None:
    fake.refuse = fault(400, "FAILED_PRECONDITION", "Secret Version [x] is in DISABLED state.")
    assert store.read("certificate").value is None


def test_a_damaged_answer_is_not_taken(store: SecretManager, fake: FakeManager) -> None:
    fake.versions, fake.damage = [b"one"], True
    with pytest.raises(StoreError, match="arrived damaged"):
        store.read("certificate")


@pytest.mark.parametrize(
    ("refuse", "error", "told"),
    [
        (
            fault(403, "PERMISSION_DENIED", "Permission denied\n on x"),
            Denied,
            "secretmanager.versions.add in project p",
        ),
        (fault(401, "UNAUTHENTICATED", "no token"), StoreError, "run `gcloud auth application-default login`"),
        (fault(429, "RESOURCE_EXHAUSTED", "quota"), StoreError, "throttles"),
        (fault(400, "INVALID_ARGUMENT", "bad"), StoreError, "certificate: "),
    ],
)
def test_a_refusal_is_one_line_without_the_value(
    store: SecretManager, fake: FakeManager, refuse: Answer, error: type[Exception], told: str
) -> None:
    fake.refuse = refuse
    with pytest.raises(error) as caught:
        store.write("certificate", "the-value-itself", "certificate", None)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "the-value-itself" not in str(caught.value)
