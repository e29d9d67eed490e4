"""The registry that every module of AWS types adds to."""

from collections.abc import Mapping
from typing import Any

from sandbox.kinds import Registry


def _account(settings: Mapping[str, Any]) -> str | None:
    allowed = settings.get("allowedAccountIds") or []
    return str(allowed[0]) if allowed else None


AWS = Registry("aws", "123456789012", _account)
