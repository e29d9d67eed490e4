"""GCP Secret Manager, by google-cloud-secret-manager.

Rights, on the secrets: roles/secretmanager.secretAccessor (secretmanager.versions.access),
roles/secretmanager.secretVersionAdder (secretmanager.versions.add) and secretmanager.secrets.get.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from spillway.secrets.store import Denied, Held, Kind, NotThere, StoreError, hush, one_line

# https://docs.cloud.google.com/secret-manager/quotas (secret payload)
BYTES_MAX: Final = 65_536
INSTALL: Final = "uv sync --extra gcp, or pip install 'spillway[gcp]'"
LOGIN: Final = "run `gcloud auth application-default login`"
TIMEOUT: Final = 30.0
"""Seconds for one call with its retries."""


class SecretManager:
    """The secrets of one project. See store.SecretStore.

    client: a google.cloud.secretmanager.SecretManagerServiceClient.
    """

    most_bytes = BYTES_MAX

    def __init__(self, client: Any, project: str) -> None:
        self._client, self._project = client, project
        self.where = f"Secret Manager, project {project}"

    def _path(self, name: str) -> str:
        return f"projects/{self._project}/secrets/{name}"

    def read(self, name: str) -> Held:
        from google.api_core.exceptions import BadRequest, GoogleAPIError

        try:
            with self._asked(name, "secretmanager.versions.access"):
                try:
                    found = self._client.access_secret_version(
                        name=f"{self._path(name)}/versions/latest", retry=_retry(), timeout=TIMEOUT
                    )
                except BadRequest as error:
                    if "DISABLED" in error.message or "DESTROYED" in error.message:  # the newest version is
                        return Held(None)
                    raise
        except NotThere:
            with self._asked(name, "secretmanager.secrets.get"):
                self._client.get_secret(name=self._path(name), retry=_retry(), timeout=TIMEOUT)
            return Held(None)  # the secret is there, without a version
        data = found.payload.data
        if found.payload.data_crc32c and found.payload.data_crc32c != crc32c(data):
            raise StoreError(f"{name}: arrived damaged (CRC32C differs); run it again")
        version = found.name.rsplit("/", 1)[-1]
        pushed = None
        try:
            made = self._client.get_secret_version(name=found.name, retry=_retry(), timeout=TIMEOUT)
            pushed = datetime.fromisoformat(made.create_time.rfc3339().replace("Z", "+00:00"))
        except GoogleAPIError:  # one right more (secretmanager.versions.get), for one date
            pass
        return Held(data.decode("utf-8", "replace"), version, pushed)

    def write(self, name: str, value: str, kind: Kind, expires: datetime | None) -> str:
        data = value.encode()
        payload = {"data": data, "data_crc32c": crc32c(data)}
        with self._asked(name, "secretmanager.versions.add"):
            # Not retried beyond what the server refused for sure: a version cannot be taken back.
            made = self._client.add_secret_version(parent=self._path(name), payload=payload, timeout=TIMEOUT)
        return str(made.name).rsplit("/", 1)[-1]

    @contextmanager
    def _asked(self, name: str, right: str) -> Iterator[None]:
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError

        try:
            yield
        except exceptions.NotFound:
            raise NotThere(f"{name}: not in project {self._project}; the stack's `up` makes it, then push") from None
        except exceptions.Forbidden:
            raise Denied(f"denied: {name}: {right} in project {self._project}") from None
        except exceptions.Unauthorized as error:
            raise StoreError(f"{name}: {one_line(error.message)}; {LOGIN}") from None
        except exceptions.TooManyRequests:
            raise StoreError(f"{name}: Secret Manager throttles; run it again") from None
        except exceptions.GoogleAPICallError as error:
            raise StoreError(f"{name}: {one_line(error.message)}") from None
        except (exceptions.RetryError, exceptions.GoogleAPIError) as error:
            raise StoreError(f"{name}: Secret Manager is out of reach: {one_line(error)}") from None
        except GoogleAuthError as error:
            raise StoreError(f"{name}: {one_line(error)}; {LOGIN}") from None


def _retry() -> Any:
    from google.api_core.exceptions import ResourceExhausted, ServiceUnavailable, TooManyRequests
    from google.api_core.retry import Retry, if_exception_type

    return Retry(if_exception_type(ServiceUnavailable, ResourceExhausted, TooManyRequests), timeout=TIMEOUT)


def crc32c(data: bytes) -> int:
    """The checksum that Secret Manager keeps beside a payload."""
    import google_crc32c

    checksum: int = google_crc32c.value(data)
    return checksum


def open_store(project: str) -> SecretManager:
    """The project's secrets, by application default credentials; nothing is asked yet."""
    hush()
    try:
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.secretmanager import SecretManagerServiceClient
    except ImportError:
        raise StoreError(f"google-cloud-secret-manager is not installed: {INSTALL}") from None
    try:
        return SecretManager(SecretManagerServiceClient(transport="rest"), project)
    except GoogleAuthError as error:
        raise StoreError(f"{one_line(error)}; {LOGIN}") from None
