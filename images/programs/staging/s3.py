"""Amazon S3: credentials, endpoint and signature by botocore.

Rights: s3:GetObject on the revision's folder, and s3:ListBucket on it, without which S3 answers 403 for what is missing
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from images.node import NodeConfig
from images.programs import identity
from images.programs.staging.web import Transient

RENEW_SECONDS: Final = 10.0
"""Refused credentials are fetched again this often at most, however many requests were refused."""
_ACCOUNT: Final = re.compile(r"-(\d{12})-")


class SignedSource:
    """See web.Source. Requests signed by AWS Signature Version 4, which S3 takes and COS as well.

    base: URL of the folder, with a slash at the end. find: credentials as botocore has them, asked again after a
    refusal; raises Transient. fixed: headers that every request has.
    """

    def __init__(
        self, where: str, base: str, region: str, find: Callable[[], Any], fixed: Mapping[str, str] | None = None
    ) -> None:
        self.where = where
        self._base, self._region, self._find, self._fixed = base, region, find, dict(fixed or {})
        self._lock = threading.Lock()
        self._credentials: Any = None
        self._found = 0.0

    def request(self, path: str, extra: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError

        try:
            frozen = self._known().get_frozen_credentials()
        except BotoCoreError as error:
            raise Transient(f"{self.where}: no credentials ({type(error).__name__})") from None
        request = AWSRequest("GET", self._base + quote(path, safe="/~"), headers={**self._fixed, **extra})
        S3SigV4Auth(frozen, "s3", self._region).add_auth(request)
        return request.url, dict(request.headers.items())

    def again(self) -> SignedSource:
        """The same folder for another process: where it is need not be found once more, credentials are its own."""
        return SignedSource(self.where, self._base, self._region, self._find, self._fixed)

    def renew(self) -> None:
        with self._lock:
            if time.monotonic() - self._found > RENEW_SECONDS:
                self._credentials = None

    def _known(self) -> Any:
        with self._lock:
            if self._credentials is None:
                self._credentials = self._find()
                self._found = time.monotonic()
            return self._credentials


def open_source(node: NodeConfig, bucket: str, folder: str) -> SignedSource:
    """The folder by the instance's role; nothing is asked yet. AWS_ENDPOINT_URL moves S3, as in every AWS SDK."""
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.session import Session

    identity.point_sdks("aws")
    where = f"s3://{bucket}/{folder}"
    session = Session()
    # The endpoint of every partition, by the SDK's own rules: what it would ask without a signature.
    client = session.create_client("s3", region_name=node.region, config=Config(signature_version=UNSIGNED))
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "-"})
    base = url.partition("?")[0].removesuffix("-") + quote(folder, safe="/~")
    # Names of buckets are global, those of the stacks hold the account:
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
    account = _ACCOUNT.search(bucket)
    fixed = {"x-amz-expected-bucket-owner": account[1]} if account else {}

    def find() -> Any:
        fresh = Session()
        fresh.set_config_variable("metadata_service_num_attempts", 3)
        fresh.set_config_variable("metadata_service_timeout", 5)
        found = fresh.get_credentials()
        if found is None:
            raise Transient(f"{where}: no credentials from the metadata service")
        return found

    return SignedSource(where, base, node.region, find, fixed)
