"""Tencent Cloud Secrets Manager (SSM), by its HTTP API. Rights: ssm:ListSecretVersionIds and GetSecretValue on the two.

https://www.tencentcloud.com/document/product/1078/38591
"""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from typing import Any, Final
from urllib.parse import urlsplit

from images.programs.identity import NoIdentity, TencentRole, tc3_headers
from images.programs.vaults.vault import VaultError, denied, empty, unanswered

API: Final = "https://ssm.tencentcloudapi.com"
ENDPOINT: Final = "SPILLWAY_SECRETS_ENDPOINT"
"""Environment variable for tests."""
VERSION: Final = "2019-09-23"
TIMEOUT: Final = 20


class Ssm:
    """See vault.Vault."""

    def __init__(self, role: TencentRole, region: str, base: str) -> None:
        self._role, self._region, self._base = role, region, base

    def read(self, name: str) -> str:
        # A value is asked for by the id of its version, and no id means the newest: the list says when each was made.
        listed = self._ask(name, "ListSecretVersionIds", {"SecretName": name}).get("Versions") or []
        if not listed:
            raise empty(name)
        try:
            newest = max(listed, key=lambda version: int(version["CreateTime"]))["VersionId"]
        except (KeyError, TypeError, ValueError):
            raise unanswered(name, "no versions in the answer") from None
        value = self._ask(name, "GetSecretValue", {"SecretName": name, "VersionId": newest}).get("SecretString")
        if not isinstance(value, str) or not value:
            raise VaultError(f"{name}: holds bytes, wanted is text")
        return value

    def _ask(self, name: str, action: str, body: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(body).encode()
        try:
            headers = tc3_headers(
                self._role.keys(),
                "ssm",
                urlsplit(self._base).netloc,
                action,
                VERSION,
                self._region,
                data,
                int(time.time()),
            )
            request = urllib.request.Request(self._base, data, headers)
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                found = json.loads(answer.read())["Response"]
        except NoIdentity as error:
            raise unanswered(name, str(error)) from None
        except urllib.error.HTTPError as error:
            raise unanswered(name, f"HTTP {error.code}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise unanswered(name, error) from None
        if not isinstance(found, dict):
            raise unanswered(name, "no object in the answer")
        if code := str((found.get("Error") or {}).get("Code") or ""):
            # https://www.tencentcloud.com/document/product/1078/38601 (error codes)
            if code.startswith("ResourceNotFound"):
                raise empty(name)
            if code.startswith(("AuthFailure", "UnauthorizedOperation")):
                self._role.forget()
                raise denied(name, f"ssm:{action}")
            raise unanswered(name, code if code.replace(".", "").isalnum() else "error")
        return found


def open_vault(region: str) -> Ssm:
    """By the role of the instance."""
    return Ssm(TencentRole(), region, os.environ.get(ENDPOINT, "").rstrip("/") or API)
