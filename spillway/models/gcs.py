"""Google Cloud Storage, by google-cloud-storage; multipart uploads by the XML API with the same credentials.

The JSON API's resumable uploads send one part after the other; the XML API's multipart uploads send them side by side
and can be gone on with by whoever may list them (https://docs.cloud.google.com/storage/docs/multipart-uploads).

Rights: roles/storage.objectUser on the bucket (objects.create, get, list, delete; multipartUploads.create, list,
listParts, abort).
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from spillway.models.store import SHA256, BucketError, NoBucket, Stored, Taken, one_line, read_small

HOST: Final = "https://storage.googleapis.com"
INSTALL: Final = "uv sync --extra gcp, or pip install 'spillway[gcp]'"
LOGIN: Final = "run `gcloud auth application-default login`"
TIMEOUT: Final = 120.0
"""Seconds without an answer to one request."""
RETRY_SECONDS: Final = 300.0


class GcsStore:
    """One bucket. See store.ModelStore.

    client: a google.cloud.storage.Client; session: an authorized requests session for the XML API at `host`.
    """

    def __init__(self, client: Any, session: Any, bucket: str, host: str = HOST) -> None:
        self._client, self._session, self._name = client, session, bucket
        self._bucket = client.bucket(bucket)
        self._url = f"{host}/{bucket}"
        self.where = f"gs://{bucket}"

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException

        try:
            yield
        except exceptions.NotFound as error:
            if "bucket" in error.message.lower():
                raise NoBucket(f"{self.where}: not there; the stack's `up` makes it") from None
            raise BucketError(f"{self.where}{what}: not there: {one_line(error.message)}") from None
        except exceptions.Unauthorized as error:
            raise BucketError(f"{self.where}: {one_line(error.message)}; {LOGIN}") from None
        except exceptions.Forbidden as error:
            raise BucketError(f"{self.where}{what}: denied: {one_line(error.message)}") from None
        except exceptions.GoogleAPIError as error:
            raise BucketError(f"{self.where}{what}: {one_line(error)}") from None
        except GoogleAuthError as error:
            raise BucketError(f"{self.where}: {one_line(error)}; {LOGIN}") from None
        except RequestException as error:
            raise BucketError(f"{self.where} is out of reach: {one_line(error)}") from None

    def check(self) -> None:
        with self._asked(""):
            # Not buckets.get, which is a right of its own: listing one object is enough to see that it is there.
            next(iter(self._client.list_blobs(self._bucket, max_results=1, timeout=TIMEOUT)), None)

    def list(self, prefix: str) -> Iterator[Stored]:
        with self._asked(f"/{prefix}"):
            for blob in self._client.list_blobs(self._bucket, prefix=prefix, timeout=TIMEOUT):
                yield Stored(blob.name, int(blob.size), "", blob.updated)

    def stat(self, key: str) -> Stored | None:
        with self._asked(f"/{key}"):
            found = self._bucket.get_blob(key, timeout=TIMEOUT)
        if found is None:
            return None
        return Stored(key, int(found.size), (found.metadata or {}).get(SHA256, ""), found.updated)

    def read(self, key: str, start: int, length: int) -> bytes:
        with self._asked(f"/{key}"):
            # A range has no checksum of its own: what is read is hashed whole by whoever reads it.
            data: bytes = self._bucket.blob(key).download_as_bytes(
                start=start, end=start + length - 1, raw_download=True, checksum=None, timeout=TIMEOUT
            )
            return data

    def get(self, key: str, most: int) -> bytes | None:
        return read_small(self, key, most)

    def put(self, key: str, data: bytes, sha256: str, *, new: bool = False) -> None:
        from google.api_core.exceptions import PreconditionFailed

        blob = self._bucket.blob(key)
        blob.metadata = {SHA256: sha256}
        with self._asked(f"/{key}"):
            try:
                blob.upload_from_string(
                    data,
                    content_type="application/octet-stream",
                    checksum="crc32c",
                    timeout=TIMEOUT,
                    # https://docs.cloud.google.com/storage/docs/request-preconditions: 0 means "not there"
                    if_generation_match=0 if new else None,
                    retry=_retry(),
                )
            except PreconditionFailed:
                if not new:
                    raise
                raise Taken(f"{self.where}/{key}: is there already") from None

    def upload(self, key: str, sha256: str, *, fresh: bool = False) -> _Parts:
        with self._asked(f"/{key}"):
            unfinished = list(self._unfinished(key))
            if fresh:
                for id in unfinished:
                    self._xml("DELETE", key, {"uploadId": id})
            if unfinished and not fresh:
                return _Parts(self, key, unfinished[-1], self._parts(key, unfinished[-1]))
            headers = {f"x-goog-meta-{SHA256}": sha256, "Content-Type": "application/octet-stream"}
            made = _text(self._xml("POST", key, {"uploads": ""}, headers=headers), "UploadId")
        return _Parts(self, key, made, {})

    def _unfinished(self, key: str) -> Iterator[str]:
        """Ids of the key's open uploads, oldest first."""
        found: list[tuple[str, str]] = []
        markers: dict[str, str] = {}
        while True:
            page = self._xml("GET", "", {"uploads": "", "prefix": key, **markers})
            for one in _all(page, "Upload"):
                if _text(one, "Key") == key:
                    found.append((_text(one, "Initiated"), _text(one, "UploadId")))
            if _text(page, "IsTruncated") != "true":
                break
            markers = {
                "key-marker": _text(page, "NextKeyMarker"),
                "upload-id-marker": _text(page, "NextUploadIdMarker"),
            }
        yield from (id for _, id in sorted(found))

    def _parts(self, key: str, id: str) -> dict[int, tuple[str, int]]:
        """Number -> (ETag, size) of the parts that an open upload has."""
        parts: dict[int, tuple[str, int]] = {}
        marker: dict[str, str] = {}
        while True:
            page = self._xml("GET", key, {"uploadId": id, **marker})
            for one in _all(page, "Part"):
                parts[int(_text(one, "PartNumber"))] = (_text(one, "ETag"), int(_text(one, "Size")))
            if _text(page, "IsTruncated") != "true":
                return parts
            marker = {"part-number-marker": _text(page, "NextPartNumberMarker")}

    def _xml(
        self, method: str, key: str, query: Mapping[str, str], *, data: bytes = b"", headers: Mapping[str, str] = {}
    ) -> Any:
        """The answer's XML, None without any; retried as Google's client libraries retry
        (https://docs.cloud.google.com/storage/docs/retry-strategy)."""
        return self._send(method, key, query, data, headers)[1]

    def _send(
        self, method: str, key: str, query: Mapping[str, str], data: bytes, headers: Mapping[str, str]
    ) -> tuple[Any, Any]:
        from google.api_core import exceptions

        def once() -> tuple[Any, Any]:
            answer = self._session.request(
                method,
                f"{self._url}/{quote(key)}" if key else self._url,
                params=query,
                data=data,
                headers=dict(headers),
                timeout=TIMEOUT,
            )
            if answer.status_code >= 400:
                raise exceptions.from_http_status(answer.status_code, _reason(answer))  # type: ignore[no-untyped-call]
            body = answer.content
            return answer.headers, ElementTree.fromstring(body) if body.strip() else None

        call: Callable[[], tuple[Any, Any]] = _retry()(once)
        return call()

    def delete(self, keys: Iterable[str]) -> None:
        from google.api_core.exceptions import NotFound

        for key in keys:
            with self._asked(f"/{key}"):
                try:
                    self._bucket.blob(key).delete(timeout=TIMEOUT, retry=_retry())
                except NotFound as error:
                    if "bucket" in error.message.lower():
                        raise


def _reason(answer: Any) -> str:
    try:
        body = ElementTree.fromstring(answer.content)
        return f"{_text(body, 'Code')}: {_text(body, 'Message')}"
    except ElementTree.ParseError:
        return str(answer.reason)


def _all(node: Any, name: str) -> Iterator[Any]:
    """Children by name, whatever their namespace."""
    for child in node if node is not None else ():
        if child.tag.rsplit("}", 1)[-1] == name:
            yield child


def _text(node: Any, name: str) -> str:
    return next((str(child.text or "") for child in _all(node, name)), "")


def _retry() -> Any:
    from google.api_core import exceptions
    from google.api_core.retry import Retry, if_exception_type
    from requests.exceptions import ChunkedEncodingError, ConnectionError, Timeout

    transient = if_exception_type(
        exceptions.TooManyRequests,
        exceptions.InternalServerError,
        exceptions.BadGateway,
        exceptions.ServiceUnavailable,
        exceptions.GatewayTimeout,
        ConnectionError,
        ChunkedEncodingError,
        Timeout,
    )
    return Retry(transient, timeout=RETRY_SECONDS)


class _Parts:
    """See store.Upload. A part's ETag is the MD5 of its content: https://docs.cloud.google.com/storage/docs/xml-api/put-object-multipart."""

    def __init__(self, store: GcsStore, key: str, id: str, there: Mapping[int, tuple[str, int]]) -> None:
        self._store, self._key, self._id, self._there = store, key, id, there
        self._put: dict[int, str] = {}
        self._lock = threading.Lock()

    def put(self, number: int, data: bytes) -> bool:
        md5 = hashlib.md5(data, usedforsecurity=False)
        tag, size = self._there.get(number, ("", -1))
        same = size == len(data) and tag.strip('"') == md5.hexdigest()
        if not same:
            query = {"partNumber": str(number), "uploadId": self._id}
            headers = {"Content-MD5": base64.b64encode(md5.digest()).decode()}
            with self._store._asked(f"/{self._key}"):
                answer, _ = self._store._send("PUT", self._key, query, data, headers)
            tag = str(answer["ETag"])
        with self._lock:
            self._put[number] = tag
        return not same

    def finish(self) -> None:
        from google.api_core.exceptions import NotFound

        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(self._put[number])}</ETag></Part>"
            for number in sorted(self._put)
        )
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        with self._store._asked(f"/{self._key}"):
            try:
                self._store._xml("POST", self._key, {"uploadId": self._id}, data=body)
            except NotFound as error:
                # After a lost answer the retry finds no upload: whoever asked for it looks at the object anyway.
                if "upload" not in error.message.lower():
                    raise

    def abort(self) -> None:
        with self._store._asked(f"/{self._key}"):
            self._store._xml("DELETE", self._key, {"uploadId": self._id})


def open_store(bucket: str, project: str, parallel: int) -> GcsStore:
    """The bucket, by application default credentials; nothing is asked yet."""
    try:
        import google.auth
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import AuthorizedSession
        from google.cloud.storage import Client
    except ImportError:
        raise BucketError(f"google-cloud-storage is not installed: {INSTALL}") from None
    from requests.adapters import HTTPAdapter

    try:
        credentials, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/devstorage.read_write"])
    except GoogleAuthError as error:
        raise BucketError(f"gs://{bucket}: {one_line(error)}; {LOGIN}") from None
    session: Any = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    session.mount("https://", HTTPAdapter(pool_connections=2, pool_maxsize=2 * parallel + 2))
    return GcsStore(Client(project=project, credentials=credentials, _http=session), session, bucket)
