"""Which bucket a stack file of each cloud means: the one that its nodes are told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.azure import names as azure_names
from infra.gcp import names as gcp_names
from sandbox.clouds import claim
from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.errors import SpillwayError
from spillway.models import stores

SUBSCRIPTION = "11111111-2222-4333-8444-555555555555"


@dataclass
class Region:
    """As much of a region as this looks at."""

    cloud: str
    region: str
    account: str
    model: Any = field(default_factory=lambda: SimpleNamespace(name="m", revision="r"))

    @property
    def stack_name(self) -> str:
        return f"{self.cloud}-{self.region}"


AZURE: Any = Region("azure", "eastus", SUBSCRIPTION)
GCP: Any = Region("gcp", "us-central1", "example-project")
AZURE_ACCOUNT = azure_names.storage_account("azure-eastus", SUBSCRIPTION)
GCP_BUCKET = gcp_names.bucket_name("example-project", "us-central1")


def test_azure_is_the_account_of_the_subscription_and_stack() -> None:
    store = stores.open_store(AZURE, None, None, 2)
    assert store.where == f"az://{AZURE_ACCOUNT}"
    with pytest.raises(SpillwayError, match="has to be in models/"):
        store.stat("other/m/r/a")


def test_gcp_is_the_bucket_of_the_project_and_region(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth
    from google.auth.credentials import AnonymousCredentials

    monkeypatch.setattr(google.auth, "default", lambda **_: (AnonymousCredentials(), None))  # type: ignore[no-untyped-call]
    assert stores.open_store(GCP, None, None, 2).where == f"gs://{GCP_BUCKET}"


@pytest.mark.parametrize(
    ("config", "package", "token", "name", "where"),
    [
        (AZURE, "azure-native", "azure-native:storage:StorageAccount", AZURE_ACCOUNT, f"az://{AZURE_ACCOUNT}"),
        (GCP, "gcp", "gcp:storage/bucket:Bucket", GCP_BUCKET, f"gs://{GCP_BUCKET}"),
    ],
)
def test_a_stand_in_has_its_bucket_once_up_has_made_it(
    tmp_path: Path, config: Any, package: str, token: str, name: str, where: str
) -> None:
    store = stores.open_store(config, tmp_path, None, 2)
    assert store.where == f"{where} (sandbox)"
    with pytest.raises(SpillwayError, match="not there; the stack's `up` makes it"):
        store.check()
    claim(tmp_path)
    held = Store(tmp_path)
    with held.transaction(write=True) as tx:
        tx.put(package, Resource(token, name, "global", config.account, {}, {"name": name}))
    held.close()
    store = stores.open_store(config, tmp_path, None, 2)
    store.check()
    store.put("models/m/r/a", b"x", "")
    assert [one.key for one in store.list("models/m/")] == ["models/m/r/a"]


def test_every_cloud_within_reach_has_a_stand_in() -> None:
    assert set(stores.STAND_INS) == set(stores.OPENERS)
