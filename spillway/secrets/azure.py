"""Azure Key Vault, by azure-keyvault-secrets.

Rights: the role Key Vault Secrets Officer on the vault (Microsoft.KeyVault/vaults/secrets/getSecret and setSecret).
A vault has no empty secrets: the first push makes the secret, and a name that is not there yet counts as empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from spillway.secrets.store import CONTENT_TYPES, Denied, Held, Kind, NotThere, StoreError, hush, one_line

# https://learn.microsoft.com/azure/key-vault/secrets/about-secrets
BYTES_MAX: Final = 25_000
INSTALL: Final = "uv sync --extra azure, or pip install 'spillway[azure]'"


class KeyVault:
    """The secrets of one vault. See store.SecretStore. client: an azure.keyvault.secrets.SecretClient."""

    most_bytes = BYTES_MAX

    def __init__(self, client: Any) -> None:
        self._client = client
        self.where = f"Key Vault, {client.vault_url}"

    def read(self, name: str) -> Held:
        from azure.core.exceptions import ResourceNotFoundError

        with self._asked(name, "getSecret"):
            try:
                found = self._client.get_secret(name)
            except ResourceNotFoundError as error:
                if _code(error) == "SecretNotFound":
                    return Held(None)
                raise
        return Held(found.value, str(found.properties.version or ""), found.properties.created_on)

    def write(self, name: str, value: str, kind: Kind, expires: datetime | None) -> str:
        # The end date is for people and for near-expiry events; Key Vault goes on handing the value out after it:
        # https://learn.microsoft.com/azure/key-vault/secrets/about-secrets#secret-attributes
        with self._asked(name, "setSecret"):
            made = self._client.set_secret(name, value, content_type=CONTENT_TYPES[kind], expires_on=expires)
        return str(made.properties.version or "")

    @contextmanager
    def _asked(self, name: str, action: str) -> Iterator[None]:
        from azure.core import exceptions

        try:
            yield
        except exceptions.ClientAuthenticationError as error:
            raise StoreError(f"{name}: Azure takes no credentials ({_first(error)}); run `az login`") from None
        except exceptions.ServiceRequestError as error:
            if "Failed to resolve" in str(error) or "Name or service not known" in str(error):
                raise NotThere(f"{name}: no vault at {self._client.vault_url}; the stack's `up` makes it") from None
            raise StoreError(f"{name}: {self._client.vault_url} is out of reach: {_first(error)}") from None
        except exceptions.HttpResponseError as error:
            raise self._meaning(name, action, error) from None
        except exceptions.AzureError as error:
            raise StoreError(f"{name}: {_first(error)}") from None

    def _meaning(self, name: str, action: str, error: Any) -> StoreError:
        code = _code(error)
        if error.status_code == 403 and code in ("Forbidden", ""):
            return Denied(f"denied: {name}: Microsoft.KeyVault/vaults/secrets/{action} on {self._client.vault_url}")
        if error.status_code == 409 and "deleted" in str(error).lower():
            how = f"az keyvault secret recover --id {self._client.vault_url.rstrip('/')}/deletedsecrets/{name}"
            return StoreError(f"{name}: deleted, and its name is kept until it is purged: {how}")
        if error.status_code == 429:
            return StoreError(f"{name}: Key Vault throttles; run it again")
        return StoreError(f"{name}: {code or error.status_code}: {_first(error)}")


def _code(error: Any) -> str:
    return str(getattr(getattr(error, "error", None), "code", None) or "")


def _first(error: Any) -> str:
    """The first line: the others repeat the answer's content."""
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    return one_line(lines[0]) if lines else type(error).__name__


def open_store(vault_url: str) -> KeyVault:
    """The vault, by whatever DefaultAzureCredential finds; nothing is asked yet."""
    hush()
    try:
        from azure.identity import DefaultAzureCredential
        from azure.keyvault.secrets import SecretClient
    except ImportError:
        raise StoreError(f"azure-keyvault-secrets is not installed: {INSTALL}") from None
    return KeyVault(SecretClient(vault_url, DefaultAzureCredential()))
