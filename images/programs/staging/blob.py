"""Azure Blob Storage: the token by azure-identity.

Rights: Storage Blob Data Reader on the container, for the revision's folder.
"""

from __future__ import annotations

import os
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import quote

from images.node import NodeConfig
from images.programs import identity
from images.programs.staging.tokens import TokenSource

ENDPOINT: Final = "SPILLWAY_BLOB_ENDPOINT"
"""Environment variable for tests: URL of the account."""
VERSION: Final = "2023-11-03"
"""https://learn.microsoft.com/rest/api/storageservices/versioning-for-the-azure-storage-services"""
SCOPE: Final = "https://storage.azure.com/.default"


def open_source(node: NodeConfig, account: str, folder: str) -> TokenSource:
    """The folder by the instance's managed identity; nothing is asked yet. folder: starts with the container."""
    identity.point_sdks(node.cloud)
    endpoint = os.environ.get(ENDPOINT, "").rstrip("/") or f"https://{account}.blob.core.windows.net"
    base = f"{endpoint}/{quote(folder, safe='/~')}"
    made: list[Any] = []

    def find() -> tuple[str, float]:
        if not made:
            made.append(identity.azure_credential())
        token = made[0].get_token(SCOPE)
        return token.token, float(token.expires_on)

    return TokenSource(
        f"az://{account}/{folder}",
        lambda path: base + quote(path, safe="/~"),
        find,
        lambda: {"x-ms-version": VERSION, "x-ms-date": formatdate(usegmt=True)},
    )
