"""GCP Secret Manager, by google-auth and its REST API: the SDK speaks gRPC, whose import takes longer than the rest of
the program. Rights: secretmanager.versions.access on the two secrets.

https://docs.cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
"""

from __future__ import annotations

import base64
import os
from typing import Any, Final

from images.programs import identity
from images.programs.vaults.vault import VaultError, denied, empty, unanswered

API: Final = "https://secretmanager.googleapis.com"
ENDPOINT: Final = "SPILLWAY_SECRETS_ENDPOINT"
"""Environment variable for tests."""
TIMEOUT: Final = 20


class SecretManager:
    """See vault.Vault. session: an AuthorizedSession; project: the node's own, told by the metadata service."""

    def __init__(self, session: Any, base: str) -> None:
        self._session, self._base = session, base
        self._project = ""

    def read(self, name: str) -> str:
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        try:
            url = f"{self._base}/v1/projects/{self._own_project()}/secrets/{name}/versions/latest:access"
            answer = self._session.get(url, timeout=TIMEOUT)
        except identity.NoIdentity as error:
            raise unanswered(name, str(error)) from None
        except (GoogleAuthError, RequestException) as error:
            raise unanswered(name, error) from None
        if answer.status_code == 404:  # no secret, or one without a version
            raise empty(name)
        if answer.status_code in (401, 403):
            raise denied(name, "secretmanager.versions.access")
        if answer.status_code != 200:
            raise unanswered(name, f"HTTP {answer.status_code}")
        try:
            return base64.b64decode(answer.json()["payload"]["data"], validate=True).decode()
        except (ValueError, KeyError, TypeError):
            raise VaultError(f"{name}: holds bytes, wanted is text") from None

    def _own_project(self) -> str:
        if not self._project:
            self._project = identity.google_project()
        return self._project


def open_vault() -> SecretManager:
    """By the instance's service account."""
    from google.auth.transport.requests import AuthorizedSession

    identity.point_sdks("gcp")
    base = os.environ.get(ENDPOINT, "").rstrip("/") or API
    return SecretManager(AuthorizedSession(identity.google_credentials()), base)  # type: ignore[no-untyped-call]
