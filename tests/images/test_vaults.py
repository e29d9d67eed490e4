"""The secret stores of the clouds as a node asks them: right requests, and refusals told without a value."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from google.auth.compute_engine import _metadata

from images.programs import identity
from images.programs.vaults import aws, azure, gcp, tencent
from images.programs.vaults.vault import Empty, VaultError
from tests.support.node import stores
from tests.unit.secrets.test_azure import Credential
from tests.unit.secrets.test_azure import Vault as AzureVault

VALUE = "the-value-itself"


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[stores.Metadata]:
    found = stores.Metadata()
    for name in ("GCE_METADATA_HOST", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    with stores.serve(found) as url:
        monkeypatch.setenv("SPILLWAY_METADATA", url)
        monkeypatch.setenv("GCE_METADATA_HOST", url.removeprefix("http://"))
        importlib.reload(_metadata)  # google-auth reads the variable once
        yield found
    for name in ("GCE_METADATA_HOST", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST"):
        monkeypatch.delenv(name, raising=False)
    importlib.reload(_metadata)


def key_vault() -> tuple[azure.KeyVault, AzureVault]:
    from azure.core.pipeline.transport import RequestsTransport

    far, session = AzureVault(), requests.Session()
    session.mount("https://", far)
    transport: Any = RequestsTransport(session=session, session_owner=False)
    return azure.KeyVault(Credential(), transport), far


NAME = "https://spillway-eastus.vault.azure.net/secrets/spillway-tls"


def test_key_vault_gives_the_newest_version_by_the_secrets_url() -> None:
    vault, far = key_vault()
    with pytest.raises(Empty, match="no value yet"):
        vault.read(NAME)
    far.secrets["spillway-tls"] = [{"value": "old", "attributes": {}}, {"value": VALUE, "attributes": {}}]
    assert vault.read(NAME) == VALUE


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        ((403, "Forbidden", f"no {VALUE}"), "denied: Microsoft.KeyVault"),
        ((400, "Bad", VALUE), "did not answer (HTTP 400)"),
    ],
)
def test_key_vaults_refusals_are_one_line_without_its_words(refuse: tuple[int, str, str], said: str) -> None:
    vault, far = key_vault()
    far.refuse = refuse
    with pytest.raises(VaultError) as caught:
        vault.read(NAME)
    assert said in str(caught.value)
    assert VALUE not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["spillway-tls", "http://v.vault.azure.net/secrets/x", "https://v.vault.azure.net/keys/x"]
)
def test_a_name_that_is_no_url_of_a_vaults_secret_is_refused(name: str) -> None:
    with pytest.raises(VaultError, match="no URL of a secret"):
        key_vault()[0].read(name)


def secret_manager(answers: dict[str, tuple[int, Any]]) -> Callable[..., Any]:
    def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        assert environ["HTTP_AUTHORIZATION"] == f"Bearer {stores.TOKEN}"
        status, body = answers.get(environ["PATH_INFO"], (404, {"error": {"status": "NOT_FOUND"}}))
        data = json.dumps(body).encode()
        start(f"{status} X", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
        return [data]

    return app


def test_secret_manager_gives_the_latest_version_of_the_nodes_own_project(
    metadata: stores.Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/v1/projects/project-1/secrets/{}/versions/latest:access"
    answers = {
        path.format("tls"): (200, {"payload": {"data": base64.b64encode(VALUE.encode()).decode()}}),
        path.format("denied"): (403, {"error": {"message": VALUE}}),
        path.format("bytes"): (200, {"payload": {"data": base64.b64encode(b"\xff\xfe").decode()}}),
        path.format("broken"): (500, {"error": {"message": VALUE}}),
    }
    with stores.serve(secret_manager(answers)) as url:
        monkeypatch.setenv("SPILLWAY_SECRETS_ENDPOINT", url)
        vault = gcp.open_vault()
        assert vault.read("tls") == VALUE
        with pytest.raises(Empty):
            vault.read("missing")
        for name, said in (
            ("denied", "secretmanager.versions.access"),
            ("bytes", "holds bytes"),
            ("broken", "HTTP 500"),
        ):
            with pytest.raises(VaultError, match=said) as caught:
                vault.read(name)
            assert VALUE not in str(caught.value)


def test_tc3_signature_is_that_of_the_official_sdk() -> None:
    # tencentcloud-sdk-python 3.1.194, SsmClient.GetSecretValue at this time with these keys
    keys = identity.Keys("AKIDEXAMPLE", "secret-of-the-node", "session-of-the-node", 0)
    body = b'{"SecretName": "spillway-tls", "VersionId": "v1"}'
    headers = identity.tc3_headers(
        keys, "ssm", "ssm.tencentcloudapi.com", "GetSecretValue", "2019-09-23", "ap-guangzhou", body, 1764158400
    )
    assert headers["Authorization"] == (
        "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/2025-11-26/ssm/tc3_request, SignedHeaders=content-type;host, "
        "Signature=8969cc5d5bbbe261d6802292e9cc5f8602d6cc393de8e518f95922c498df14b6"
    )
    assert headers["X-TC-Token"] == "session-of-the-node"


def ssm(secrets: dict[str, Any]) -> Callable[..., Any]:
    """Tencent's SSM: checks every signature, by the documented steps.

    https://www.tencentcloud.com/document/product/1078/38594
    """

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        now = int(environ["HTTP_X_TC_TIMESTAMP"])
        date = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
        canonical = (
            f"POST\n/\n\ncontent-type:{environ['CONTENT_TYPE']}\nhost:{environ['HTTP_HOST']}\n\ncontent-type;host\n"
            + hashlib.sha256(body).hexdigest()
        )
        text = f"TC3-HMAC-SHA256\n{now}\n{date}/ssm/tc3_request\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = ("TC3" + stores.KEY_SECRET).encode()
        for word in (date, "ssm", "tc3_request"):
            key = hmac.new(key, word.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        asked = json.loads(body)
        found: dict[str, Any]
        if not environ["HTTP_AUTHORIZATION"].endswith(f"Signature={signature}"):
            found = {"Error": {"Code": "AuthFailure.SignatureFailure", "Message": VALUE}}
        elif isinstance(secrets.get(asked["SecretName"]), str):
            found = {"Error": {"Code": secrets[asked["SecretName"]], "Message": VALUE}}
        elif asked["SecretName"] not in secrets:
            found = {"Error": {"Code": "ResourceNotFound.SecretNotExist", "Message": VALUE}}
        elif environ["HTTP_X_TC_ACTION"] == "ListSecretVersionIds":
            listed = [{"VersionId": id, "CreateTime": at} for id, (at, _) in secrets[asked["SecretName"]].items()]
            found = {"SecretName": asked["SecretName"], "Versions": listed}
        else:
            found = {"SecretString": secrets[asked["SecretName"]][asked["VersionId"]][1]}
        data = json.dumps({"Response": {**found, "RequestId": "1"}}).encode()
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
        return [data]

    return app


def test_tencents_ssm_gives_the_newest_version(metadata: stores.Metadata, monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[str, Any] = {
        "tls": {"v1": (10, "old"), "v3": (30, VALUE), "v2": (20, "older")},
        "none": {},
        "denied": "UnauthorizedOperation",
        "broken": "InternalError",
    }
    with stores.serve(ssm(held)) as url:
        monkeypatch.setenv("SPILLWAY_SECRETS_ENDPOINT", url)
        vault = tencent.open_vault("ap-guangzhou")
        assert vault.read("tls") == VALUE
        for name in ("none", "missing"):
            with pytest.raises(Empty):
                vault.read(name)
        for name, said in (("denied", "denied: ssm:ListSecretVersionIds"), ("broken", "InternalError")):
            with pytest.raises(VaultError, match=said) as caught:
                vault.read(name)
            assert VALUE not in str(caught.value)
        metadata.down = True
        with pytest.raises(VaultError, match="the metadata service does not answer"):
            tencent.open_vault("ap-guangzhou").read("tls")


def test_managed_identity_is_asked_for_the_vaults_and_the_storages_tokens(metadata: stores.Metadata) -> None:
    identity.point_sdks("azure")
    credential = identity.azure_credential()
    for scope in ("https://vault.azure.net/.default", "https://storage.azure.com/.default"):
        assert credential.get_token(scope).token == stores.TOKEN
    assert {one.rstrip("/") for one in metadata.resources} == {"https://vault.azure.net", "https://storage.azure.com"}


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("AccessDeniedException", "denied: secretsmanager:GetSecretValue"),
        ("InternalServiceError", "InternalServiceError"),
    ],
)
def test_secrets_managers_refusals_are_one_line_without_its_words(code: str, said: str) -> None:
    from botocore.exceptions import ClientError

    class Client:
        def get_secret_value(self, **_: Any) -> Any:
            raise ClientError({"Error": {"Code": code, "Message": VALUE}}, "GetSecretValue")

    with pytest.raises(VaultError, match=said) as caught:
        aws.SecretsManager(Client()).read("spillway/tls")
    assert VALUE not in str(caught.value)
