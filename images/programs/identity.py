"""Who the node is, to the SDKs of the clouds and to Tencent's API: the identity that the metadata service gives it.

SPILLWAY_METADATA moves the metadata service, for tests; each SDK has a variable of its own for that.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import math
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from images.node import Cloud

METADATA: Final = "SPILLWAY_METADATA"
TENCENT: Final = "http://metadata.tencentyun.com"
GOOGLE: Final = "http://metadata.google.internal"
RENEW_SECONDS: Final = 300
"""Before the end of temporary keys: a clock may be off by as much and signatures are still taken.
https://www.tencentcloud.com/document/product/1078/38593 (request structure, X-TC-Timestamp)"""


class NoIdentity(Exception):
    """The metadata service gave no credentials; the message is one line."""


def quiet() -> None:
    """SDKs log requests, headers included, when someone sets the root logger to DEBUG: never on a node."""
    for name in ("botocore", "boto3", "azure", "msal", "google", "urllib3", "requests"):
        logging.getLogger(name).setLevel(logging.WARNING)


def point_sdks(cloud: Cloud) -> None:
    """Points the cloud's SDK at SPILLWAY_METADATA; nothing happens without it."""
    base = os.environ.get(METADATA, "").rstrip("/")
    if not base:
        return
    if cloud == "aws":  # https://docs.aws.amazon.com/sdkref/latest/guide/feature-imds-credentials.html
        os.environ.setdefault("AWS_EC2_METADATA_SERVICE_ENDPOINT", base)
    elif cloud == "azure":
        # https://learn.microsoft.com/python/api/azure-identity/azure.identity.managedidentitycredential
        os.environ.setdefault("AZURE_POD_IDENTITY_AUTHORITY_HOST", base)
    elif cloud == "gcp":  # https://googleapis.dev/python/google-auth/latest/reference/google.auth.environment_vars.html
        os.environ.setdefault("GCE_METADATA_HOST", urlsplit(base).netloc)


def _metadata_get(path: str, default: str = TENCENT, headers: Mapping[str, str] | None = None) -> str:
    base = (os.environ.get(METADATA) or default).rstrip("/")
    # No proxy: the service answers on the link only.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(f"{base}{path}", headers=dict(headers or {})), timeout=5) as answer:
            return str(answer.read(65536).decode("utf-8", "replace")).strip()
    except (OSError, ValueError) as error:
        code = error.code if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        raise NoIdentity(f"the metadata service does not answer ({code})") from None


@dataclass(frozen=True, slots=True)
class Keys:
    """Temporary keys of Tencent Cloud. until: unix seconds."""

    id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    until: float


class TencentRole:
    """The temporary keys of the instance's role, fetched anew before they end. Used by many threads.

    https://www.tencentcloud.com/document/product/213/4934 (cam/security-credentials)
    """

    def __init__(self) -> None:
        self._keys: Keys | None = None
        self._lock = threading.Lock()

    def keys(self) -> Keys:
        """Raises NoIdentity."""
        with self._lock:
            if self._keys is None or self._keys.until - time.time() < RENEW_SECONDS:
                self._keys = self._fetch()
            return self._keys

    def forget(self) -> None:
        """The next keys are fetched."""
        with self._lock:
            self._keys = None

    def _fetch(self) -> Keys:
        folder = "/latest/meta-data/cam/security-credentials/"
        role = _metadata_get(folder).split("\n", 1)[0].strip()
        if not role or "/" in role:
            raise NoIdentity("the instance has no role")
        try:
            body = json.loads(_metadata_get(folder + role))
            if body["Code"] != "Success":
                raise NoIdentity("the metadata service has no keys for the instance's role")
            until = float(body["ExpiredTime"])  # json reads NaN and Infinity, with which nothing would ever be renewed
            if not math.isfinite(until):
                raise ValueError
            return Keys(body["TmpSecretId"], body["TmpSecretKey"], body["Token"], until)
        except (ValueError, KeyError, TypeError, OverflowError):
            raise NoIdentity("the metadata service answers with something else than keys") from None


def tc3_headers(
    keys: Keys, service: str, host: str, action: str, version: str, region: str, body: bytes, now: int
) -> dict[str, str]:
    """Headers of a POST to one of Tencent Cloud's APIs, signed by TC3-HMAC-SHA256. now: unix seconds.

    https://www.tencentcloud.com/document/product/1078/38594 (signature v3)
    """
    kind = "application/json"
    date = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    canonical = "\n".join(
        ("POST", "/", "", f"content-type:{kind}\nhost:{host}\n", "content-type;host", hashlib.sha256(body).hexdigest())
    )
    scope = f"{date}/{service}/tc3_request"
    text = "\n".join(("TC3-HMAC-SHA256", str(now), scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"TC3{keys.secret}".encode()
    for word in (date, service, "tc3_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return {
        "Host": host,
        "Content-Type": kind,
        "X-TC-Action": action,
        "X-TC-Version": version,
        "X-TC-Region": region,
        "X-TC-Timestamp": str(now),
        "X-TC-Token": keys.token,
        "Authorization": f"TC3-HMAC-SHA256 Credential={keys.id}/{scope}, SignedHeaders=content-type;host, "
        f"Signature={signature}",
    }


def google_credentials() -> Any:
    """The instance's service account, for google-auth's transports."""
    from google.auth import compute_engine

    return compute_engine.Credentials()  # type: ignore[no-untyped-call]


def google_project() -> str:
    """The project of the instance. Raises NoIdentity.

    https://docs.cloud.google.com/compute/docs/metadata/predefined-metadata-keys
    """
    return _metadata_get("/computeMetadata/v1/project/project-id", GOOGLE, {"Metadata-Flavor": "Google"})


def azure_credential() -> Any:
    """The instance's managed identity; the scale set has exactly one, so none has to be named."""
    from azure.identity import ManagedIdentityCredential

    return ManagedIdentityCredential()
