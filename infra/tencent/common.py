"""What the components of a Tencent Cloud region share: who they belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from infra.tencent import names


@dataclass(frozen=True, slots=True)
class Scope:
    """Stack, region and account of everything in a region, and the stack file's own tags.

    account: UIN of the root account. app_id: its APPID, which COS knows it by.
    """

    stack: str
    region: str
    account: str
    app_id: str
    extra_tags: Mapping[str, str] = field(default_factory=dict)

    def tags(self, component: str, *, pool: str | None = None) -> dict[str, str]:
        """Tags of one resource."""
        return names.tags(self.stack, component, self.extra_tags, pool=pool)

    def name(self, suffix: str) -> str:
        """A fixed resource name with the region's prefix."""
        return names.name(self.stack, suffix)


def policy(statements: Sequence[Mapping[str, Any]]) -> str:
    """A policy document. https://www.tencentcloud.com/document/product/598/10604"""
    return json.dumps({"version": "2.0", "statement": list(statements)}, sort_keys=True)
