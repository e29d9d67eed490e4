"""The registry that every module of Tencent Cloud types adds to."""

from collections.abc import Mapping
from typing import Any

from sandbox.kinds import Registry


def _account(settings: Mapping[str, Any]) -> str | None:
    allowed = settings.get("allowedAccountIds")
    return str(allowed[0]) if isinstance(allowed, list) and allowed else None


TENCENTCLOUD = Registry("tencentcloud", "100012345678", _account)
"""The account is the first one that the provider allows: whoever is logged in to the stand-in is that one."""
