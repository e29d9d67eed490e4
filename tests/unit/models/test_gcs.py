"""Google Cloud Storage as its SDK and the XML API speak, over a fake of both on the loopback.

https://docs.cloud.google.com/storage/docs/json_api/v1, https://docs.cloud.google.com/storage/docs/xml-api/overview
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import google_crc32c
import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from spillway.errors import SpillwayError
from spillway.models import gcs
from spillway.models.gcs import GcsStore
from tests.support.loopback import Answer, Request, serving
from tests.unit.models.behaviour import StoreBehaviour, sha

TIME = "2026-11-26T12:00:00.000Z"
MULTIPART_FIELDS = {"name", "metadata", "contentType", "crc32c"}


def _crc32c(data: bytes) -> bytes:
    made: Any = google_crc32c
    digest: bytes = made.Checksum(data).digest()
    return digest


def fault(status: int, message: str) -> Answer:
    body = {"error": {"code": status, "message": message, "errors": [{"message": message}]}}
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def xml_fault(status: int, code: str, message: str) -> Answer:
    return Answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())


@dataclass
class Open:
    key: str
    metadata: dict[str, str]
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class FakeGcs:
    """A project with one bucket `models`."""

    objects: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    uploads: dict[str, Open] = field(default_factory=dict)
    stumble: list[Answer] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Answer:
        self.seen.append(f"{request.method} {request.path}")
        if self.stumble:
            return self.stumble.pop()
        for base in ("/storage/v1/b/", "/download/storage/v1/b/", "/upload/storage/v1/b/"):
            if request.path.startswith(base):
                bucket, _, rest = request.path.removeprefix(base).partition("/o")
                if bucket != "models":
                    return fault(404, "The specified bucket does not exist.")
                return self._json(base.split("/")[1], rest.removeprefix("/"), request)
        _, bucket, *key = request.path.split("/", 2)
        if bucket != "models":
            return xml_fault(404, "NoSuchBucket", "The specified bucket does not exist.")
        return self._xml(key[0] if key else "", request)

    # JSON

    def _json(self, kind: str, name: str, request: Request) -> Answer:
        if kind == "upload":
            return self._upload(request)
        if not name and not request.path.endswith("/o"):
            return self._told({"name": "models"})  # the client looks whether the bucket is there after a 404
        if not name:
            assert set(request.query) <= {"prefix", "maxResults", "projection", "prettyPrint", "pageToken"}
            prefix = request.query.get("prefix", "")
            items = [self._resource(n) for n in sorted(self.objects) if n.startswith(prefix)]
            return self._told({"kind": "storage#objects", "items": items})
        if name not in self.objects:
            return fault(404, f"No such object: models/{name}")
        if request.method == "DELETE":
            del self.objects[name]
            return Answer(204)
        if kind == "download":
            data = self.objects[name][0]
            start, _, end = request.headers["range"].removeprefix("bytes=").partition("-")
            piece = data[int(start) : int(end) + 1]
            return Answer(206, piece, {"Content-Range": f"bytes {start}-{int(start) + len(piece) - 1}/{len(data)}"})
        return self._told(self._resource(name))

    def _upload(self, request: Request) -> Answer:
        assert request.query["uploadType"] == "multipart"
        parts = message_from_bytes(
            b"Content-Type: " + request.headers["content-type"].encode() + b"\n\n" + request.body
        )
        assert parts.is_multipart()
        about: dict[str, Any] = json.loads(str(parts.get_payload(0).get_payload()))  # type: ignore[union-attr]
        assert set(about) <= MULTIPART_FIELDS
        boundary = parts.get_boundary()
        body = request.body.split(f"--{boundary}".encode())[2].partition(b"\r\n\r\n")[2][:-2]
        assert base64.b64decode(about["crc32c"]) == _crc32c(body)
        name = about["name"]
        if request.query.get("ifGenerationMatch") == "0" and name in self.objects:
            return fault(412, "At least one of the pre-conditions you specified did not hold.")
        self.objects[name] = (body, about["metadata"])
        return self._told(self._resource(name))

    def _resource(self, name: str) -> dict[str, Any]:
        data, metadata = self.objects[name]
        checksum = base64.b64encode(_crc32c(data)).decode()
        return {
            "kind": "storage#object", "name": name, "bucket": "models", "size": str(len(data)), "updated": TIME,
            "generation": "1", "metadata": metadata, "crc32c": checksum,
        }  # fmt: skip

    @staticmethod
    def _told(body: Any) -> Answer:
        return Answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    # XML

    def _xml(self, key: str, request: Request) -> Answer:
        query = dict(request.query)
        if not key:
            assert set(query) == {"uploads", "prefix"}
            items = "".join(
                f"<Upload><Key>{escape(one.key)}</Key><UploadId>{id}</UploadId><Initiated>{TIME}</Initiated></Upload>"
                for id, one in self.uploads.items()
                if one.key.startswith(query["prefix"])
            )
            return self._document("ListMultipartUploadsResult", items)
        if request.method == "POST" and "uploads" in query:
            assert request.headers["content-length"] == "0"
            prefix = "x-goog-meta-"
            metadata = {h.removeprefix(prefix): v for h, v in request.headers.items() if h.startswith(prefix)}
            id = f"upload-{len(self.seen)}"
            self.uploads[id] = Open(key, metadata)
            return self._document("InitiateMultipartUploadResult", f"<UploadId>{id}</UploadId>")
        if query["uploadId"] not in self.uploads:
            return xml_fault(404, "NoSuchUpload", "The requested upload was not found.")
        return self._part_calls(self.uploads[query["uploadId"]], request)

    def _part_calls(self, upload: Open, request: Request) -> Answer:
        if request.method == "PUT":
            md5 = hashlib.md5(request.body)
            assert request.headers["content-md5"] == base64.b64encode(md5.digest()).decode()
            upload.parts[int(request.query["partNumber"])] = request.body
            return Answer(200, b"", {"ETag": f'"{md5.hexdigest()}"'})
        if request.method == "DELETE":
            del self.uploads[request.query["uploadId"]]
            return Answer(204)
        if request.method == "GET":
            items = "".join(
                f'<Part><PartNumber>{n}</PartNumber><ETag>"{hashlib.md5(data).hexdigest()}"</ETag>'
                f"<Size>{len(data)}</Size></Part>"
                for n, data in sorted(upload.parts.items())
            )
            return self._document("ListPartsResult", items)
        body = ElementTree.fromstring(request.body)
        wanted = [(int(part[0].text or ""), part[1].text) for part in body]
        assert wanted == sorted(wanted)
        for number, tag in wanted:
            assert tag == f'"{hashlib.md5(upload.parts[number]).hexdigest()}"'
        self.objects[upload.key] = (b"".join(upload.parts[number] for number, _ in wanted), upload.metadata)
        del self.uploads[request.query["uploadId"]]
        return self._document("CompleteMultipartUploadResult", "<ETag>x</ETag>")

    @staticmethod
    def _document(name: str, content: str) -> Answer:
        space = "http://s3.amazonaws.com/doc/2006-03-01/"
        body = f"<?xml version='1.0' encoding='UTF-8'?><{name} xmlns='{space}'>{content}</{name}>"
        return Answer(200, body.encode(), {"Content-Type": "application/xml"})


@pytest.fixture
def fake() -> FakeGcs:
    return FakeGcs()


@pytest.fixture
def url(fake: FakeGcs) -> Iterator[str]:
    with serving(fake) as found:
        yield found


def opened(url: str, bucket: str) -> GcsStore:
    client = storage.Client(project="p", credentials=AnonymousCredentials(), client_options={"api_endpoint": url})  # type: ignore[no-untyped-call]
    return GcsStore(client, requests.Session(), bucket, url)


class TestGcs(StoreBehaviour):
    @pytest.fixture
    def store(self, url: str) -> GcsStore:
        return opened(url, "models")

    @pytest.fixture
    def no_bucket(self, url: str) -> GcsStore:
        return opened(url, "none")

    def test_a_part_is_sent_again_after_a_stumble(self, fake: FakeGcs, store: GcsStore) -> None:
        upload = store.upload("models/m/r/k", sha(b"abc"))
        fake.stumble = [xml_fault(503, "ServiceUnavailable", "busy"), xml_fault(429, "SlowDown", "slow")]
        assert upload.put(1, b"abc")
        upload.finish()
        assert store.get("models/m/r/k", 10) == b"abc"

    def test_a_finish_whose_answer_was_lost_is_no_fault(self, store: GcsStore) -> None:
        upload = store.upload("models/m/r/k", sha(b"abc"))
        upload.put(1, b"abc")
        upload.finish()
        upload.finish()
        assert store.get("models/m/r/k", 10) == b"abc"

    def test_a_refusal_is_one_line(self, fake: FakeGcs, store: GcsStore) -> None:
        fake.stumble = [xml_fault(403, "AccessDenied", "storage.multipartUploads.list\n is missing")]
        with pytest.raises(SpillwayError, match=r"gs://models/k: denied: AccessDenied: storage.multi.* is missing"):
            store.upload("k", sha(b"x"))


def test_without_credentials_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    def none(**_: object) -> Any:
        raise DefaultCredentialsError("Your default credentials were not found.\nSee ...")  # type: ignore[no-untyped-call]

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(SpillwayError, match=r"not found\. See \.\.\.; run `gcloud auth application-default login`"):
        gcs.open_store("models", "p", 2)
