"""Google Cloud Storage: the token by google-auth.

Rights: storage.objects.get on the revision's folder.
"""

from __future__ import annotations

import os
from datetime import UTC
from typing import Any, Final
from urllib.parse import quote

from images.node import NodeConfig
from images.programs import identity
from images.programs.staging.tokens import TokenSource

ENDPOINT: Final = "STORAGE_EMULATOR_HOST"
"""As in Google's own SDKs."""
API: Final = "https://storage.googleapis.com"


def open_source(node: NodeConfig, bucket: str, folder: str) -> TokenSource:
    """The folder by the instance's service account; nothing is asked yet."""
    identity.point_sdks(node.cloud)
    base = os.environ.get(ENDPOINT, "").rstrip("/") or API
    base = base if "://" in base else f"http://{base}"
    made: list[Any] = []

    def find() -> tuple[str, float]:
        from google.auth.transport.requests import Request

        if not made:
            made.append(identity.google_credentials())
        made[0].refresh(Request())
        # google-auth keeps the end in UTC without saying so.
        return str(made[0].token), made[0].expiry.replace(tzinfo=UTC).timestamp()

    # https://docs.cloud.google.com/storage/docs/json_api/v1/objects/get (alt=media; slashes of a name are escaped)
    return TokenSource(
        f"gs://{bucket}/{folder}",
        lambda path: f"{base}/storage/v1/b/{quote(bucket)}/o/{quote(folder + path, safe='')}?alt=media",
        find,
    )
