"""Tencent Cloud Object Storage, which takes requests as S3 does, signatures and temporary keys included.

https://www.tencentcloud.com/document/product/436/32537. Rights: cos:GetObject on the revision's folder.
"""

from __future__ import annotations

import os
from typing import Any, Final
from urllib.parse import quote

from images.node import NodeConfig
from images.programs.identity import NoIdentity, TencentRole
from images.programs.staging.s3 import SignedSource
from images.programs.staging.web import Transient

ENDPOINT: Final = "SPILLWAY_COS_ENDPOINT"
"""Environment variable for tests: where buckets are folders."""


class _RoleCredentials:
    """The keys of the role as botocore's signers want them, never older than the role's own."""

    def __init__(self, role: TencentRole, where: str) -> None:
        self._role, self._where = role, where

    def get_frozen_credentials(self) -> Any:
        from botocore.credentials import ReadOnlyCredentials

        try:
            keys = self._role.keys()
        except NoIdentity as error:
            raise Transient(f"{self._where}: {error}") from None
        return ReadOnlyCredentials(keys.id, keys.secret, keys.token)


def open_source(node: NodeConfig, bucket: str, folder: str) -> SignedSource:
    """The folder by the instance's role; nothing is asked yet."""
    endpoint = os.environ.get(ENDPOINT, "").rstrip("/")
    place = f"{endpoint}/{bucket}/" if endpoint else f"https://{bucket}.cos.{node.region}.myqcloud.com/"
    where = f"cos://{bucket}/{folder}"
    return SignedSource(
        where, place + quote(folder, safe="/~"), node.region, lambda: _RoleCredentials(TencentRole(), where)
    )
