"""Amazon S3, by boto3.

Rights on the bucket and its objects: s3:ListBucket, s3:GetObject, s3:PutObject, s3:ListBucketMultipartUploads,
s3:ListMultipartUploadParts, s3:AbortMultipartUpload; for --prune also s3:DeleteObject. Every call names the account
that has to own the bucket: names are global, and a bucket of that name may be somebody else's
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html).
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import ClientError

from spillway.models.store import SHA256, BucketError, NoBucket, Stored, Taken
from spillway.preflight.aws_calls import DENIED, TRIES, action_of, answered, code_of, session
from spillway.preflight.model import Unanswered

_GONE: Final = frozenset(("404", "NoSuchKey", "NotFound"))
DELETE_AT_ONCE: Final = 1000
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""


class S3Store:
    """One bucket. See store.ModelStore. client: of `s3`, in the bucket's region."""

    def __init__(self, client: Any, bucket: str, account: str, region: str) -> None:
        self._client, self._bucket, self._region = client, bucket, region
        self._own = {"Bucket": bucket, "ExpectedBucketOwner": account}
        self.where = f"s3://{bucket}"

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        try:
            with answered("s3", self._region):
                try:
                    yield
                except ClientError as error:
                    code = code_of(error)
                    if code == "NoSuchBucket":
                        raise NoBucket(f"{self.where}: not there; the stack's `up` makes it") from None
                    if code in DENIED or code == "403":
                        raise BucketError(
                            f"{self.where}: denied: {action_of(error, 's3')}; or the bucket is another account's"
                        ) from None
                    raise
        except Unanswered as error:
            raise BucketError(f"{self.where}{what}: {error.reason}") from None

    def check(self) -> None:
        with self._asked(""):
            try:
                self._client.head_bucket(**self._own)
            except ClientError as error:
                if code_of(error) in _GONE:
                    raise NoBucket(f"{self.where}: not there; the stack's `up` makes it") from None
                raise

    def list(self, prefix: str) -> Iterator[Stored]:
        with self._asked(f"/{prefix}"):
            for page in self._client.get_paginator("list_objects_v2").paginate(**self._own, Prefix=prefix):
                for item in page.get("Contents") or []:
                    yield Stored(item["Key"], item["Size"], "", item.get("LastModified"))

    def stat(self, key: str) -> Stored | None:
        with self._asked(f"/{key}"):
            try:
                found = self._client.head_object(**self._own, Key=key)
            except ClientError as error:
                if code_of(error) in _GONE:
                    return None
                raise
        return Stored(key, found["ContentLength"], found.get("Metadata", {}).get(SHA256, ""), found.get("LastModified"))

    def read(self, key: str, start: int, length: int) -> bytes:
        with self._asked(f"/{key}"):
            found = self._client.get_object(**self._own, Key=key, Range=f"bytes={start}-{start + length - 1}")
            data: bytes = found["Body"].read()
            return data

    def get(self, key: str, most: int) -> bytes | None:
        with self._asked(f"/{key}"):
            try:
                found = self._client.get_object(**self._own, Key=key)
            except ClientError as error:
                if code_of(error) in _GONE:
                    return None
                raise
            if found["ContentLength"] > most:
                raise BucketError(f"{self.where}/{key}: larger than {most:,} bytes")
            data: bytes = found["Body"].read()
            return data

    def put(self, key: str, data: bytes, sha256: str, *, new: bool = False) -> None:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        condition = {"IfNoneMatch": "*"} if new else {}
        with self._asked(f"/{key}"):
            try:
                self._client.put_object(
                    **self._own, Key=key, Body=data, Metadata={SHA256: sha256}, **_checksum(data), **condition
                )
            except ClientError as error:
                if new and code_of(error) in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
                    raise Taken(f"{self.where}/{key}: is there already") from None
                raise

    def upload(self, key: str, sha256: str, *, fresh: bool = False) -> _Parts:
        with self._asked(f"/{key}"):
            unfinished = list(self._unfinished(key))
            if fresh:
                for id in unfinished:
                    self._client.abort_multipart_upload(**self._own, Key=key, UploadId=id)
            if unfinished and not fresh:
                return _Parts(self, key, unfinished[-1], self._parts(key, unfinished[-1]))
            made = self._client.create_multipart_upload(
                **self._own, Key=key, Metadata={SHA256: sha256}, ChecksumAlgorithm="SHA256"
            )
        return _Parts(self, key, made["UploadId"], {})

    def _unfinished(self, key: str) -> Iterator[str]:
        """Ids of the key's open uploads, oldest first."""
        found = []
        for page in self._client.get_paginator("list_multipart_uploads").paginate(**self._own, Prefix=key):
            found += [one for one in page.get("Uploads") or [] if one["Key"] == key]
        yield from (one["UploadId"] for one in sorted(found, key=lambda one: str(one["Initiated"])))

    def _parts(self, key: str, id: str) -> dict[int, Mapping[str, Any]]:
        pages = self._client.get_paginator("list_parts").paginate(**self._own, Key=key, UploadId=id)
        return {part["PartNumber"]: part for page in pages for part in page.get("Parts") or []}

    def delete(self, keys: Iterable[str]) -> None:
        # In a versioned bucket this leaves a delete marker; the versions go when the bucket's lifecycle says so.
        remaining = iter(keys)
        while batch := list(islice(remaining, DELETE_AT_ONCE)):
            with self._asked(""):
                objects = {"Objects": [{"Key": key} for key in batch], "Quiet": True}
                answer = self._client.delete_objects(**self._own, Delete=objects)
            for fault in answer.get("Errors") or []:
                raise BucketError(f"{self.where}/{fault.get('Key')}: {fault.get('Code')}: {fault.get('Message')}")


def _checksum(data: bytes) -> dict[str, str]:
    """S3 refuses what arrives otherwise, and tells it again when parts are listed."""
    return {"ChecksumSHA256": base64.b64encode(hashlib.sha256(data).digest()).decode()}


class _Parts:
    """See store.Upload."""

    def __init__(self, store: S3Store, key: str, id: str, there: Mapping[int, Mapping[str, Any]]) -> None:
        self._store, self._there = store, there
        self._call = {**store._own, "Key": key, "UploadId": id}
        self._key = key
        self._put: dict[int, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def put(self, number: int, data: bytes) -> bool:
        checksum = _checksum(data)
        old = self._there.get(number)
        same = old is not None and _same(old, data, checksum["ChecksumSHA256"])
        if same and old is not None:
            tag = old["ETag"]
        else:
            with self._store._asked(f"/{self._key}"):
                client = self._store._client
                tag = client.upload_part(**self._call, PartNumber=number, Body=data, **checksum)["ETag"]
        with self._lock:
            self._put[number] = {"PartNumber": number, "ETag": tag, **checksum}
        return not same

    def finish(self) -> None:
        parts = {"Parts": [self._put[number] for number in sorted(self._put)]}
        with self._store._asked(f"/{self._key}"):
            try:
                self._store._client.complete_multipart_upload(**self._call, MultipartUpload=parts)
            except ClientError as error:
                # After a lost answer the retry finds no upload: whoever asked for it looks at the object anyway.
                if code_of(error) != "NoSuchUpload":
                    raise

    def abort(self) -> None:
        with self._store._asked(f"/{self._key}"):
            self._store._client.abort_multipart_upload(**self._call)


def _same(part: Mapping[str, Any], data: bytes, checksum: str) -> bool:
    if part.get("Size") != len(data):
        return False
    if part.get("ChecksumSHA256"):
        return bool(part["ChecksumSHA256"] == checksum)
    # A part's ETag is its MD5 as long as the bucket encrypts with S3's own keys, as the stack's do:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html (ETag)
    return str(part.get("ETag", "")).strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest()


def open_store(bucket: str, account: str, region: str, profile: str | None, parallel: int) -> S3Store:
    """The bucket, by the environment's credentials (or `profile`'s); nothing is asked yet."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": TRIES},
        connect_timeout=10,
        read_timeout=120,
        max_pool_connections=2 * parallel + 2,
        user_agent_extra="spillway",
    )
    opened = session(region, profile)
    with answered("s3", region):
        return S3Store(opened.client("s3", config=config), bucket, account, region)
