"""Azure Key Vault, by azure-keyvault-secrets. Rights: Key Vault Secrets User on the vault.

A secret's name is its URL, `https://<vault>.vault.azure.net/secrets/<name>`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from images.programs import identity
from images.programs.vaults.vault import VaultError, denied, empty, unanswered


class KeyVault:
    """See vault.Vault. credential: of azure-identity; transport: of azure-core, for tests."""

    def __init__(self, credential: Any, transport: Any = None) -> None:
        self._credential, self._transport = credential, transport
        self._clients: dict[str, Any] = {}

    def read(self, name: str) -> str:
        from azure.core import exceptions

        parts = urlsplit(name)
        kind, _, short = parts.path.strip("/").partition("/")
        if parts.scheme != "https" or kind != "secrets" or not short or "/" in short:
            raise VaultError(f"{name}: no URL of a secret (https://<vault>.vault.azure.net/secrets/<name>)")
        try:
            value = self._client(f"https://{parts.netloc}").get_secret(short).value
        except exceptions.ResourceNotFoundError:
            raise empty(name) from None
        except exceptions.HttpResponseError as error:
            if error.status_code in (401, 403):
                raise denied(name, "Microsoft.KeyVault/vaults/secrets/getSecret") from None
            raise unanswered(name, f"HTTP {error.status_code}" if error.status_code else error) from None
        except exceptions.AzureError as error:
            raise unanswered(name, error) from None
        if not isinstance(value, str):
            raise empty(name)
        return value

    def _client(self, vault: str) -> Any:
        from azure.keyvault.secrets import SecretClient

        if vault not in self._clients:
            more = {"transport": self._transport} if self._transport is not None else {}
            self._clients[vault] = SecretClient(vault, self._credential, retry_total=3, **more)
        return self._clients[vault]


def open_vault() -> KeyVault:
    """By the instance's managed identity."""
    identity.point_sdks("azure")
    return KeyVault(identity.azure_credential())
