"""Azure Blob Storage as its SDK speaks to it, over a fake of the REST API on the loopback.

https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from azure.storage.blob import ContainerClient

from spillway.errors import SpillwayError
from spillway.models.blob import BlobStore
from tests.support.loopback import Answer, Request, serving
from tests.unit.models.behaviour import StoreBehaviour

DATE = "Thu, 26 Nov 2026 12:00:00 GMT"


def fault(status: int, code: str) -> Answer:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}.</Message></Error>'
    return Answer(status, body.encode(), {"x-ms-error-code": code, "Content-Type": "application/xml"})


@dataclass
class FakeBlobs:
    """One account with one container `models`."""

    blobs: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    blocks: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refuse: Answer | None = None

    def answer(self, request: Request) -> Answer:
        assert request.headers["x-ms-version"] >= "2019-12-12"
        if self.refuse is not None:
            return self.refuse
        _, account, container, *rest = request.path.split("/", 3)
        assert container == "models"
        if account != "account":
            return fault(404, "ContainerNotFound")
        if "content-md5" in request.headers:
            assert base64.b64encode(hashlib.md5(request.body).digest()).decode() == request.headers["content-md5"]
        comp = request.query.get("comp", "")
        if not rest:
            assert request.query["restype"] == "container"
            return self._list(request.query.get("prefix", "")) if comp == "list" else self._found({})
        return getattr(self, f"_{request.method.lower()}_{comp or 'blob'}")(rest[0], request)  # type: ignore[no-any-return]

    @staticmethod
    def _found(more: dict[str, str], body: bytes = b"", status: int = 200) -> Answer:
        return Answer(status, body, {"ETag": '"0x1"', "Last-Modified": DATE, **more})

    def _list(self, prefix: str) -> Answer:
        items = "".join(
            f"<Blob><Name>{escape(name)}</Name><Properties><Last-Modified>{DATE}</Last-Modified><Etag>0x1</Etag>"
            f"<Content-Length>{len(data)}</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>"
            for name, (data, _) in sorted(self.blobs.items())
            if name.startswith(prefix)
        )
        body = f'<?xml version="1.0"?><EnumerationResults><Blobs>{items}</Blobs><NextMarker/></EnumerationResults>'
        return self._found({"Content-Type": "application/xml"}, body.encode())

    def _head_blob(self, name: str, request: Request) -> Answer:
        if name not in self.blobs:
            return Answer(404, b"", {"x-ms-error-code": "BlobNotFound"})
        data, metadata = self.blobs[name]
        return self._found(
            {"Content-Length": str(len(data)), "x-ms-blob-type": "BlockBlob"}
            | {f"x-ms-meta-{key}": value for key, value in metadata.items()}
        )

    def _get_blob(self, name: str, request: Request) -> Answer:
        if name not in self.blobs:
            return fault(404, "BlobNotFound")
        data, _ = self.blobs[name]
        start, _, end = request.headers["x-ms-range"].removeprefix("bytes=").partition("-")
        piece = data[int(start) : int(end) + 1]
        if not piece:
            return fault(416, "InvalidRange")
        more = {"Content-Range": f"bytes {start}-{int(start) + len(piece) - 1}/{len(data)}"}
        return self._found(more | {"x-ms-blob-type": "BlockBlob"}, piece, 206)

    def _put_blob(self, name: str, request: Request) -> Answer:
        assert request.headers["x-ms-blob-type"] == "BlockBlob"
        if name in self.blobs and request.headers.get("if-none-match") == "*":
            return fault(409, "BlobAlreadyExists")
        self.blobs[name] = (request.body, self._metadata(request))
        return self._found({}, status=201)

    @staticmethod
    def _metadata(request: Request) -> dict[str, str]:
        return {key.removeprefix("x-ms-meta-"): v for key, v in request.headers.items() if key.startswith("x-ms-meta-")}

    def _put_block(self, name: str, request: Request) -> Answer:
        id = request.query["blockid"]
        there = self.blocks.setdefault(name, {})
        assert len(base64.b64decode(id)) <= 64
        assert {len(other) for other in there} <= {len(id)}, "block ids of a blob have one length"
        there[id] = request.body
        return self._found({}, status=201)

    def _get_blocklist(self, name: str, request: Request) -> Answer:
        assert request.query["blocklisttype"] == "uncommitted"
        if name not in self.blocks and name not in self.blobs:
            return fault(404, "BlobNotFound")
        items = "".join(
            f"<Block><Name>{id}</Name><Size>{len(data)}</Size></Block>"
            for id, data in self.blocks.get(name, {}).items()
        )
        body = f'<?xml version="1.0"?><BlockList><UncommittedBlocks>{items}</UncommittedBlocks></BlockList>'
        return self._found({"Content-Type": "application/xml"}, body.encode())

    def _put_blocklist(self, name: str, request: Request) -> Answer:
        there = self.blocks.pop(name, {})
        ids = [str(node.text) for node in ElementTree.fromstring(request.body)]
        if any(id not in there for id in ids):
            return fault(400, "InvalidBlockList")
        self.blobs[name] = (b"".join(there[id] for id in ids), self._metadata(request))
        return self._found({}, status=201)

    def _delete_blob(self, name: str, request: Request) -> Answer:
        if name not in self.blobs:
            return fault(404, "BlobNotFound")
        del self.blobs[name]
        return Answer(202)


@pytest.fixture
def fake() -> FakeBlobs:
    return FakeBlobs()


@pytest.fixture
def account(fake: FakeBlobs) -> Iterator[str]:
    with serving(fake) as url:
        yield f"{url}/account"


class TestBlob(StoreBehaviour):
    @pytest.fixture
    def store(self, account: str) -> BlobStore:
        return BlobStore(ContainerClient(account, "models"))

    @pytest.fixture
    def no_bucket(self, account: str) -> BlobStore:
        return BlobStore(ContainerClient(f"{account}2", "models"))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (fault(403, "AuthorizationPermissionMismatch"), "denied (AuthorizationPermissionMismatch): Storage Blob Data"),
        (fault(409, "ContainerBeingDeleted"), "ContainerBeingDeleted"),
    ],
)
def test_a_refusal_is_one_line(fake: FakeBlobs, account: str, answer: Answer, told: str) -> None:
    fake.refuse = answer
    with pytest.raises(SpillwayError) as caught:
        BlobStore(ContainerClient(account, "models")).check()
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_account_that_does_not_exist_is_told_as_not_made_yet() -> None:
    store = BlobStore(ContainerClient("https://spillway-none.invalid", "models", retry_total=0))
    with pytest.raises(SpillwayError, match=r"no such storage account|out of reach"):
        store.check()
