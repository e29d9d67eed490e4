"""Tencent Cloud's CAM policies: https://www.tencentcloud.com/document/product/598/10603 (syntax)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cost.plan.preview import Resource, Unknown
from policy.findings import Finding, get, rows, texts, unknown
from policy.rules.rights_aws import READING


def _document(resource: Resource, anywhere: tuple[str, ...], roles: tuple[str, ...]) -> Iterator[Finding]:
    told = get(resource, "document")
    if isinstance(told, Unknown):
        yield from unknown(resource, "document", told)
        return
    try:
        data: Any = json.loads(told) if isinstance(told, str) else told
    except ValueError:
        yield Finding(resource.urn, "document: is no JSON, and cannot be judged")
        return
    for index, row in enumerate(rows(data.get("statement") if isinstance(data, Mapping) else None)):
        if str(row.get("effect")).lower() != "allow":
            continue
        actions = [one.removeprefix("name/") for one in texts(row.get("action") or [])]
        for action in actions:
            if action == "*" or action.endswith(":*"):
                yield Finding(resource.urn, f"document: statement[{index}]: action {action}: allowed are named actions")
        writing = [one for one in actions if ":" in one and not one.endswith(":*") and _writes(one)]
        if writing and "*" in texts(row.get("resource") or []):
            words = f"resource * with {', '.join(writing)}: allowed are named resources"
            yield Finding(resource.urn, f"document: statement[{index}]: {words}")


def _writes(action: str) -> bool:
    return action != "sts:AssumeRole" and READING.fullmatch(action.partition(":")[2]) is None


RULES: Final = {"tencentcloud:Cam/policy:Policy": _document, "tencentcloud:Cam/role:Role": _document}
