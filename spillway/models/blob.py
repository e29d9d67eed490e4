"""Azure Blob Storage, by azure-storage-blob.

Rights: the role Storage Blob Data Contributor on the container.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from spillway.models.store import SHA256, BucketError, NoBucket, Stored, Taken, one_line, read_small

CONTAINER: Final = "models"
"""As in infra/azure/storage.py, which imports Pulumi."""
INSTALL: Final = "uv sync --extra azure, or pip install 'spillway[azure]'"


class BlobStore:
    """One account's container `models`. See store.ModelStore. container: an azure.storage.blob.ContainerClient.

    The container is the first folder of a key, so `models/<name>/...` is the same on every cloud, and `where` and a key
    are the URI that nodes are told (infra/azure/node.py).
    """

    def __init__(self, container: Any) -> None:
        self._container = container
        self._folder = f"{container.container_name}/"
        self.where = f"az://{container.account_name}"

    def _blob(self, key: str) -> str:
        if not key.startswith(self._folder):
            raise BucketError(f"{self.where}/{key}: has to be in {self._folder}")
        return key.removeprefix(self._folder)

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        from azure.core import exceptions

        try:
            yield
        except exceptions.ClientAuthenticationError as error:
            code = str(getattr(error, "error_code", None) or "")
            if code.startswith("Authorization"):
                raise BucketError(f"{self.where}{what}: denied ({code}): Storage Blob Data Contributor") from None
            raise BucketError(f"{self.where}: Azure takes no credentials ({_first(error)}); run `az login`") from None
        except exceptions.ServiceRequestError as error:
            if "Failed to resolve" in str(error) or "Name or service not known" in str(error):
                raise NoBucket(f"{self.where}: no such storage account; the stack's `up` makes it") from None
            raise BucketError(f"{self.where} is out of reach: {_first(error)}") from None
        except exceptions.HttpResponseError as error:
            code = str(getattr(error, "error_code", None) or error.status_code)
            if code == "ContainerNotFound":
                raise NoBucket(f"{self.where}: not there; the stack's `up` makes it") from None
            if error.status_code == 403:
                raise BucketError(f"{self.where}{what}: denied ({code}): Storage Blob Data Contributor") from None
            raise BucketError(f"{self.where}{what}: {code}: {_first(error)}") from None
        except exceptions.AzureError as error:
            raise BucketError(f"{self.where}{what}: {_first(error)}") from None

    def check(self) -> None:
        with self._asked(""):
            self._container.get_container_properties()

    def list(self, prefix: str) -> Iterator[Stored]:
        with self._asked(f"/{prefix}"):
            for blob in self._container.list_blobs(name_starts_with=self._blob(prefix)):
                yield Stored(self._folder + blob.name, blob.size, "", blob.last_modified)

    def stat(self, key: str) -> Stored | None:
        from azure.core.exceptions import ResourceNotFoundError

        with self._asked(f"/{key}"):
            try:
                found = self._container.get_blob_client(self._blob(key)).get_blob_properties()
            except ResourceNotFoundError as error:
                if _container_gone(error):
                    raise
                return None
        return Stored(key, found.size, (found.metadata or {}).get(SHA256, ""), found.last_modified)

    def read(self, key: str, start: int, length: int) -> bytes:
        with self._asked(f"/{key}"):
            data: bytes = self._container.download_blob(self._blob(key), offset=start, length=length).readall()
            return data

    def get(self, key: str, most: int) -> bytes | None:
        return read_small(self, key, most)

    def put(self, key: str, data: bytes, sha256: str, *, new: bool = False) -> None:
        from azure.core.exceptions import ResourceExistsError

        with self._asked(f"/{key}"):
            try:
                self._container.upload_blob(
                    self._blob(key),
                    data,
                    length=len(data),
                    overwrite=not new,
                    metadata={SHA256: sha256},
                    validate_content=True,
                )
            except ResourceExistsError:
                if not new:
                    raise
                raise Taken(f"{self.where}/{key}: is there already") from None

    def upload(self, key: str, sha256: str, *, fresh: bool = False) -> _Blocks:
        from azure.core.exceptions import ResourceNotFoundError

        blob = self._container.get_blob_client(self._blob(key))
        there: dict[str, int] = {}
        with self._asked(f"/{key}"):
            try:
                _, uncommitted = blob.get_block_list("uncommitted")
                there = {block.id: block.size for block in uncommitted}
            except ResourceNotFoundError as error:
                if _container_gone(error):
                    raise
        # Blocks are named by their content, so there is nothing to throw away: those of another one are not listed,
        # and what is not listed at the commit is gone (https://learn.microsoft.com/rest/api/storageservices/put-block-list).
        return _Blocks(self, key, blob, sha256, {} if fresh else there)

    def delete(self, keys: Iterable[str]) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        for key in keys:
            with self._asked(f"/{key}"):
                try:
                    self._container.delete_blob(self._blob(key))
                except ResourceNotFoundError as error:
                    if _container_gone(error):
                        raise


def _container_gone(error: Any) -> bool:
    return str(getattr(error, "error_code", None) or "") == "ContainerNotFound"


class _Blocks:
    """See store.Upload. A block's id holds its number and hash: what is listed under it needs no other proof."""

    def __init__(self, store: BlobStore, key: str, blob: Any, sha256: str, there: dict[str, int]) -> None:
        self._store, self._key, self._blob, self._sha256, self._there = store, key, blob, sha256, there
        self._put: dict[int, str] = {}
        self._lock = threading.Lock()

    def put(self, number: int, data: bytes) -> bool:
        # At most 64 bytes, and of one length for all blocks of a blob:
        # https://learn.microsoft.com/rest/api/storageservices/put-block
        id = f"{number:06d}-{hashlib.sha256(data).hexdigest()[:56]}"
        same = self._there.get(id) == len(data)
        if not same:
            with self._store._asked(f"/{self._key}"):
                self._blob.stage_block(id, data, length=len(data), validate_content=True)
        with self._lock:
            self._put[number] = id
        return not same

    def finish(self) -> None:
        from azure.storage.blob import BlobBlock

        blocks = [BlobBlock(block_id=self._put[number]) for number in sorted(self._put)]
        with self._store._asked(f"/{self._key}"):
            self._blob.commit_block_list(blocks, metadata={SHA256: self._sha256})

    def abort(self) -> None:
        """Uncommitted blocks go by themselves after a week; the next try takes those that are right."""


def _first(error: Any) -> str:
    lines = str(getattr(error, "message", None) or error).strip().splitlines()
    return one_line(lines[0]) if lines else type(error).__name__


def open_store(account_url: str, parallel: int) -> BlobStore:
    """The container, by whatever DefaultAzureCredential finds; nothing is asked yet."""
    try:
        from azure.core.pipeline.transport import RequestsTransport
        from azure.identity import DefaultAzureCredential
        from azure.storage.blob import ContainerClient
    except ImportError:
        raise BucketError(f"azure-storage-blob is not installed: {INSTALL}") from None
    from requests import Session
    from requests.adapters import HTTPAdapter

    session = Session()
    session.mount("https://", HTTPAdapter(pool_connections=2, pool_maxsize=2 * parallel + 2))
    transport = RequestsTransport(session=session, session_owner=False)
    return BlobStore(ContainerClient(account_url, CONTAINER, DefaultAzureCredential(), transport=transport))
