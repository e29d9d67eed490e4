"""Which store a stack file of each cloud means, and the stand-ins of Azure and Google Cloud."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.azure import names as azure_names
from sandbox import show
from sandbox.clouds import claim
from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.secrets import stores
from spillway.secrets.store import NotThere
from tests.unit.models.test_stores import AZURE, GCP, SUBSCRIPTION

VAULT = azure_names.vault("azure-eastus", SUBSCRIPTION)
SECRET = "the-value-itself"


def put(sandbox: Path, package: str, resource: Resource) -> None:
    claim(sandbox)
    store = Store(sandbox)
    with store.transaction(write=True) as tx:
        tx.put(package, resource)
    store.close()


def test_azure_is_the_vault_of_the_subscription_and_stack() -> None:
    assert stores.open_store(AZURE, None, None).where == f"Key Vault, https://{VAULT}.vault.azure.net"


def test_gcp_is_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth
    from google.auth.credentials import AnonymousCredentials

    monkeypatch.setattr(google.auth, "default", lambda *_, **__: (AnonymousCredentials(), None))  # type: ignore[no-untyped-call]
    assert stores.open_store(GCP, None, None).where == "Secret Manager, project example-project"


def shown(sandbox: Path) -> str:
    """All that `spillway sandbox show --json` could tell, of every cloud that it knows or will."""
    return repr(show.holdings(sandbox, None, None, None))


def test_the_stand_in_key_vault(tmp_path: Path) -> None:
    store = stores.open_store(AZURE, tmp_path, None)
    with pytest.raises(NotThere, match="the stand-in Key Vault spillway-"):
        store.read("spillway-certificate")
    group = "spillway-azure-eastus"
    id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/Microsoft.KeyVault/vaults/{VAULT}"
    outputs: dict[str, Any] = {
        "name": VAULT, "resourceGroupName": group, "location": "eastus",
        "properties": {"vaultUri": f"https://{VAULT}.vault.azure.net/", "softDeleteRetentionInDays": 7},
    }  # fmt: skip
    put(tmp_path, "azure-native", Resource("azure-native:keyvault:Vault", id, "global", SUBSCRIPTION, {}, outputs))
    group_id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}"
    group_outputs = {"name": group, "location": "eastus"}
    put(
        tmp_path,
        "azure-native",
        Resource("azure-native:resources:ResourceGroup", group_id, "global", SUBSCRIPTION, {}, group_outputs),
    )
    assert store.read("spillway-certificate").value is None
    first = store.write("spillway-certificate", SECRET, "certificate", datetime(2027, 1, 1, tzinfo=UTC))
    held = store.read("spillway-certificate")
    assert (held.value, held.version) == (SECRET, first)
    assert store.write("spillway-certificate", SECRET + "2", "certificate", None) != first
    assert store.read("spillway-certificate").value == SECRET + "2"
    assert SECRET not in shown(tmp_path)
    assert "spillway-certificate" in shown(tmp_path)


def test_the_stand_in_secret_manager(tmp_path: Path) -> None:
    store = stores.open_store(GCP, tmp_path, None)
    for call in (
        lambda: store.read("spillway-api-keys"),
        lambda: store.write("spillway-api-keys", "v", "api-keys", None),
    ):
        with pytest.raises(NotThere, match="the stack's `up` makes it, then push again"):
            call()
    id = "projects/example-project/secrets/spillway-api-keys"
    token = "gcp:secretmanager/secret:Secret"
    put(tmp_path, "gcp", Resource(token, id, "global", "example-project", {}, {"name": id}, "2026-11-26T12:00:00Z"))
    assert store.read("spillway-api-keys").value is None
    assert store.write("spillway-api-keys", SECRET, "api-keys", None) == "1"
    assert store.write("spillway-api-keys", SECRET + "2", "api-keys", None) == "2"
    held = store.read("spillway-api-keys")
    assert (held.value, held.version) == (SECRET + "2", "2")
    with Store(tmp_path).transaction(write=False) as tx:
        versions = [r for r in tx.all("gcp") if r.token.endswith("SecretVersion")]
    assert len(versions) == 2
    assert SECRET not in repr([(r.outputs, r.id, r.urn) for r in versions]), "what any listing of the sandbox shows"
    # deleted and made again: the former one's versions are not its own
    put(tmp_path, "gcp", Resource(token, "x", "global", "example-project", {}, {}))
    with Store(tmp_path).transaction(write=True) as tx:
        tx.remove("gcp", "example-project", "global", token, id)
        tx.put("gcp", Resource(token, id, "global", "example-project", {}, {"name": id}, "2026-11-27T12:00:00Z"))
    assert store.read("spillway-api-keys").value is None


def test_every_cloud_within_reach_has_a_stand_in() -> None:
    assert set(stores.STAND_INS) == set(stores.CLOUDS)
