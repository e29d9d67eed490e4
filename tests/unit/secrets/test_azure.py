"""Key Vault as its SDK speaks to it, over a transport that is a vault: the challenge, versions, refusals.

https://learn.microsoft.com/rest/api/keyvault/secrets
"""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from azure.keyvault.secrets import SecretClient
from requests.adapters import BaseAdapter

from spillway.errors import SpillwayError
from spillway.secrets.azure import KeyVault
from spillway.secrets.store import Denied, NotThere, StoreError

VAULT = "https://spillway-eastus.vault.azure.net"
CHALLENGE = 'Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net"'
BODY_FIELDS = {"value", "contentType", "attributes", "tags"}
UNTIL = datetime(2027, 1, 2, tzinfo=UTC)


class Credential:
    def get_token(self, *scopes: str, **more: Any) -> AccessToken:
        assert scopes == ("https://vault.azure.net/.default",)
        return AccessToken("token", int(time.time()) + 3600)


@dataclass
class Vault(BaseAdapter):
    """The far end of a requests session: holds secrets, and refuses what a vault refuses."""

    secrets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    refuse: tuple[int, str, str] | None = None
    away: bool = False

    def close(self) -> None: ...

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        if self.away:
            raise requests.ConnectionError("Failed to resolve 'spillway-eastus.vault.azure.net'")
        status, body, headers = self._answer(request)
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = status, request, str(request.url)
        answer.headers.update({"Content-Type": "application/json", **headers})
        answer.raw = io.BytesIO(json.dumps(body).encode())
        return answer

    def _answer(self, request: requests.PreparedRequest) -> tuple[int, Any, dict[str, str]]:
        parts = urlsplit(str(request.url))
        assert parse_qs(parts.query)["api-version"]
        if "Authorization" not in request.headers:
            assert not request.body, "no value leaves before the vault has said who may take it"
            return 401, {"error": {"code": "Unauthorized"}}, {"WWW-Authenticate": CHALLENGE}
        if self.refuse is not None:
            status, code, message = self.refuse
            return status, {"error": {"code": code, "message": message}}, {}
        _, kind, name, *_version = parts.path.split("/")
        assert kind == "secrets"
        if request.method == "PUT":
            body = json.loads(cast(bytes, request.body or b""))
            assert set(body) <= BODY_FIELDS
            attributes = {**body.get("attributes", {}), "enabled": True, "created": 1764158400}
            self.secrets.setdefault(name, []).append({**body, "attributes": attributes})
        elif name not in self.secrets:
            message = f"A secret with (name/id) {name} was not found in this key vault."
            return 404, {"error": {"code": "SecretNotFound", "message": message}}, {}
        newest = self.secrets[name][-1]
        return 200, {**newest, "id": f"{VAULT}/secrets/{name}/{len(self.secrets[name]):032x}"}, {}


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def store(vault: Vault) -> KeyVault:
    session = requests.Session()
    session.mount("https://", vault)
    transport: Any = RequestsTransport(session=session, session_owner=False)
    return KeyVault(SecretClient(VAULT, Credential(), transport=transport, retry_total=0))


def test_a_name_that_is_not_there_is_empty_and_the_first_push_makes_it(store: KeyVault, vault: Vault) -> None:
    assert store.read("certificate").value is None
    version = store.write("certificate", "one", "certificate", UNTIL)
    held = store.read("certificate")
    assert (held.value, held.version) == ("one", version)
    assert held.pushed == datetime(2025, 11, 26, 12, tzinfo=UTC)
    (made,) = vault.secrets["certificate"]
    assert made["contentType"] == "application/x-pem-file"
    assert made["attributes"]["exp"] == int(UNTIL.timestamp()), "Key Vault can tell people before it ends"
    assert store.write("certificate", "two", "certificate", UNTIL) != version


def test_no_vault_yet(store: KeyVault, vault: Vault) -> None:
    vault.away = True
    with pytest.raises(
        NotThere, match=r"no vault at https://spillway-eastus.vault.azure.net; the stack's `up` makes it"
    ):
        store.read("certificate")


@pytest.mark.parametrize(
    ("refuse", "error", "told"),
    [
        (
            (403, "Forbidden", "Caller is not authorized.\nDetails: value"),
            Denied,
            "denied: k: Microsoft.KeyVault/vaults",
        ),
        ((409, "Conflict", "Secret k is currently in a deleted but recoverable state"), StoreError, "secret recover"),
        ((429, "Throttled", "Too many"), StoreError, "Key Vault throttles; run it again"),
        ((400, "BadParameter", "Property value has invalid value"), StoreError, "k: BadParameter"),
    ],
)
def test_a_refusal_is_one_line_without_the_value(
    store: KeyVault, vault: Vault, refuse: tuple[int, str, str], error: type[SpillwayError], told: str
) -> None:
    vault.refuse = refuse
    with pytest.raises(error) as caught:
        store.write("k", "the-value-itself", "api-keys", None)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "the-value-itself" not in str(caught.value)
