"""The stand-in clouds' secret stores. A value lies in the stand-in as the cloud's own resource would: marked secret, so
that no listing of the sandbox shows it, and where there is a rule or weather for such a call, under it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sandbox.cloud import CallCloud
from sandbox.clouds import registry
from sandbox.kinds import CloudError, Resource
from sandbox.provider import Config, LostAnswer, Provider
from sandbox.store import CLOUDS, Store
from spillway.secrets.store import CONTENT_TYPES, Held, Kind, NotThere, StoreError

NO_URN: Final = ""
"""No stack made it: `spillway recover` must not take it for something that a stack has lost."""


class _StandIn:
    """One account (subscription, project) of one stand-in cloud, seen from a region."""

    def __init__(self, directory: Path, package: str, account: str, region: str, where: str) -> None:
        self._directory, self._package, self._account, self._region = directory, package, account, region
        self.where = where

    @contextmanager
    def _cloud(self, *, write: bool = False) -> Iterator[CallCloud | None]:
        """None before the sandbox's first deployment: opening a store makes its file, and asking must not."""
        if not (self._directory / CLOUDS).exists():
            yield None
            return
        store = Store(self._directory)
        try:
            with store.transaction(write=write) as tx:
                yield CallCloud(registry(self._package), tx, self._region, self._account, None)
        finally:
            store.close()

    def _missing(self, name: str) -> NotThere:
        return NotThere(f"{name}: not in {self.where}; the stack's `up` makes it, then push again")

    def _make(
        self, name: str, token: str, inputs: dict[str, Any], secret: str, old: Resource | None = None
    ) -> dict[str, Any]:
        """Create or update as the engine would, weather included; the outputs."""
        from sandbox.server import make_provider

        try:
            provider: Provider = make_provider(self._package, self._directory)
        except RuntimeError as error:  # no SDK to take the schema from
            raise StoreError(str(error)) from None
        provider.config = Config(self._region, self._account)
        secrets = frozenset({secret})
        try:
            inputs, faults = provider.check(token, inputs, old.inputs if old else {}, NO_URN, b"")
            if faults:
                raise StoreError(*(f"{name}: {fault.path}: {fault.reason}" for fault in faults))
            if old is not None:
                return provider.update(token, old.id, old.outputs, inputs, secrets, NO_URN, False)
            return provider.create(token, inputs, secrets, NO_URN, False)[1]
        except CloudError as error:
            raise StoreError(f"{name}: {error.code}: {error.message}") from None
        except LostAnswer:
            raise StoreError(f"{name}: no answer came back; run it again") from None
        finally:
            provider.store.close()
            provider.strike_counts.close()


class StandInSecretsManager(_StandIn):
    """The stand-in AWS's Secrets Manager in one account and region. See store.SecretStore."""

    most_bytes = 65_536

    def __init__(self, directory: Path, account: str, region: str) -> None:
        where = f"the stand-in Secrets Manager, {region}, account {account}"
        super().__init__(directory, "aws", account, region, where)

    def read(self, name: str) -> Held:
        from sandbox.aws import secrets

        secret = self._secret(name)
        with self._cloud() as cloud:
            versions = cloud.all(secrets.VERSION, region=self._region) if cloud else []
        for version in versions:
            if version["secretArn"] == secret.id and "AWSCURRENT" in (version["versionStages"] or []):
                return Held(_text(version.inputs.get("secretString")), str(version["versionId"]), _made(version))
        return Held(None)

    def write(self, name: str, value: str, kind: Kind, expires: datetime | None) -> str:
        from sandbox.aws import secrets

        inputs = {"secretId": self._secret(name).id, "secretString": value, "region": self._region}
        return str(self._make(name, secrets.VERSION, inputs, "secretString")["versionId"])

    def _secret(self, name: str) -> Resource:
        from sandbox.aws import secrets

        with self._cloud() as cloud:
            found = secrets.find_secret(name, cloud) if cloud else None
        if found is None:
            raise self._missing(name)
        return found


class StandInKeyVault(_StandIn):
    """One vault of the stand-in Azure. See store.SecretStore."""

    most_bytes = 25_000

    def __init__(self, directory: Path, subscription: str, region: str, vault: str) -> None:
        super().__init__(directory, "azure-native", subscription, region, f"the stand-in Key Vault {vault}")
        self._vault = vault

    def read(self, name: str) -> Held:
        secret = self._secret(self._group(name), name)
        if secret is None:
            return Held(None)
        value = (secret.inputs.get("properties") or {}).get("value")
        told = secret["properties"] or {}
        version = str(told.get("secretUriWithVersion", "")).rsplit("/", 1)[-1]
        created = (told.get("attributes") or {}).get("created")
        return Held(_text(value), version, datetime.fromtimestamp(created, UTC) if created else None)

    def write(self, name: str, value: str, kind: Kind, expires: datetime | None) -> str:
        from sandbox.azure_native import tokens

        group = self._group(name)
        properties: dict[str, Any] = {"value": value, "contentType": CONTENT_TYPES[kind]}
        if expires is not None:
            properties["attributes"] = {"expires": int(expires.timestamp())}
        inputs = {"resourceGroupName": group, "vaultName": self._vault, "secretName": name, "properties": properties}
        outputs = self._make(name, tokens.SECRET, inputs, "properties.value", self._secret(group, name))
        return str(outputs["properties"]["secretUriWithVersion"]).rsplit("/", 1)[-1]

    def _group(self, name: str) -> str:
        """The vault's resource group. Raises NotThere without the vault."""
        from sandbox.azure_native import tokens

        with self._cloud() as cloud:
            for vault in cloud.all(tokens.VAULT) if cloud else ():
                if str(vault["name"]).lower() == self._vault.lower():
                    return str(vault["resourceGroupName"])
        raise NotThere(f"{name}: {self.where} is not there; the stack's `up` makes it, then push again")

    def _secret(self, group: str, name: str) -> Resource | None:
        from sandbox.azure_native import tokens

        tail = f"/resourcegroups/{group}/providers/microsoft.keyvault/vaults/{self._vault}/secrets/{name}".lower()
        with self._cloud() as cloud:
            found = cloud.all(tokens.SECRET) if cloud else []
        return next((one for one in found if one.id.lower().endswith(tail)), None)


class StandInSecretManager(_StandIn):
    """The stand-in Google Cloud's Secret Manager in one project. See store.SecretStore."""

    most_bytes = 65_536
    VERSION: Final = "gcp:secretmanager/secretVersion:SecretVersion"

    def __init__(self, directory: Path, project: str, region: str) -> None:
        super().__init__(directory, "gcp", project, region, f"the stand-in Secret Manager, project {project}")

    def read(self, name: str) -> Held:
        with self._cloud() as cloud:
            versions = self._versions(cloud, name)
        if not versions:
            return Held(None)
        newest = versions[-1]
        return Held(_text(newest.inputs.get("secretData")), str(newest["version"]), _made(newest))

    def write(self, name: str, value: str, kind: Kind, expires: datetime | None) -> str:
        with self._cloud(write=True) as cloud:
            versions = self._versions(cloud, name)
            assert cloud is not None  # _versions has refused
            secret = self._secret(cloud, name)
            number = str(int(versions[-1]["version"]) + 1 if versions else 1)
            id = f"{secret.id}/versions/{number}"
            outputs = {"secret": secret.id, "version": number, "name": id, "enabled": True, "of": secret.created_at}
            region = cloud.region_of(self.VERSION)
            cloud.put(
                Resource(
                    self.VERSION, id, region, self._account, {"secretData": value}, outputs,
                    secrets=frozenset({"secretData"}),
                )
            )  # fmt: skip
        return number

    def _versions(self, cloud: CallCloud | None, name: str) -> list[Resource]:
        """Oldest first; those of a secret of this name that was deleted are not this one's. Raises NotThere."""
        if cloud is None:
            raise self._missing(name)
        secret = self._secret(cloud, name)
        return [
            version
            for version in cloud.all(self.VERSION)
            if version["secret"] == secret.id and version["of"] == secret.created_at
        ]

    def _secret(self, cloud: CallCloud, name: str) -> Resource:
        from sandbox.gcp import tokens

        found = cloud.get(tokens.SECRET, f"projects/{self._account}/secrets/{name}")
        if found is None:
            raise self._missing(name)
        return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _made(version: Resource) -> datetime:
    return datetime.fromisoformat(version.created_at.replace("Z", "+00:00"))
