"""The stand-in clouds' secret stores. A value lies in the stand-in as the cloud's own resource would: marked secret, so
that no listing of the sandbox shows it, and under the rules and the weather that every other call meets."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

from sandbox.cloud import CallCloud
from sandbox.clouds import registry
from sandbox.kinds import CloudError, Resource
from sandbox.provider import Config, LostAnswer, Provider
from sandbox.store import CLOUDS, Store
from spillway.secrets.store import Held, Kind, NotThere, StoreError

NO_URN: Final = ""
"""No stack made it: `spillway recover` must not take it for something that a stack has lost."""


class StandInSecretsManager:
    """The stand-in AWS's Secrets Manager in one account and region. See store.SecretStore."""

    most_bytes = 65_536

    def __init__(self, directory: Path, account: str, region: str) -> None:
        self._directory, self._account, self._region = directory, account, region
        self.where = f"the stand-in Secrets Manager, {region}, account {account}"

    def read(self, name: str) -> Held:
        from sandbox.aws import secrets

        secret = self._secret(name)
        for version in self._versions(secrets.VERSION, secret.id):
            if "AWSCURRENT" in (version["versionStages"] or []):
                made = datetime.fromisoformat(version.created_at.replace("Z", "+00:00"))
                return Held(str(version.inputs.get("secretString") or ""), str(version["versionId"]), made)
        return Held(None)

    def write(self, name: str, value: str, kind: Kind, expires: datetime | None) -> str:
        from sandbox.aws import secrets

        secret = self._secret(name)
        inputs = {"secretId": secret.id, "secretString": value, "region": self._region}
        provider = self._provider()
        inputs, faults = provider.check(secrets.VERSION, inputs, {}, NO_URN, b"")
        if faults:
            raise StoreError(*(f"{name}: {fault.path}: {fault.reason}" for fault in faults))
        try:
            _, outputs = provider.create(secrets.VERSION, inputs, frozenset({"secretString"}), NO_URN, False)
        except CloudError as error:
            raise StoreError(f"{name}: {error.code}: {error.message}") from None
        except LostAnswer:
            raise StoreError(f"{name}: no answer came back; run it again") from None
        finally:
            provider.store.close()
            provider.strike_counts.close()
        return str(outputs["versionId"])

    def _provider(self) -> Provider:
        from sandbox.server import make_provider

        try:
            provider = make_provider("aws", self._directory)
        except RuntimeError as error:  # no SDK to take the schema from
            raise StoreError(str(error)) from None
        provider.config = Config(self._region, self._account)
        return provider

    def _secret(self, name: str) -> Resource:
        from sandbox.aws import secrets

        missing = NotThere(f"{name}: not in the stand-in {self._region}; the stack's `up` makes it, then push again")
        if not (self._directory / CLOUDS).exists():  # opening a store makes its file, and asking must not
            raise missing
        store = Store(self._directory)
        try:
            with store.transaction(write=False) as tx:
                cloud = CallCloud(registry("aws"), tx, self._region, self._account, None)
                found = secrets.find_secret(name, cloud)
        finally:
            store.close()
        if found is None:
            raise missing
        return found

    def _versions(self, token: str, secret: str) -> list[Resource]:
        store = Store(self._directory)
        try:
            with store.transaction(write=False) as tx:
                cloud = CallCloud(registry("aws"), tx, self._region, self._account, None)
                return [v for v in cloud.all(token, region=self._region) if v["secretArn"] == secret]
        finally:
            store.close()
