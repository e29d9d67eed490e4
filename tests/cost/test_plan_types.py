"""Every resource type of the program has a rule in cost/plan, so that a stack file with anything set is priced."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cost.plan.pricing import RULES

INFRA: Final = Path(__file__).parents[2] / "infra"
SDKS: Final = {"pulumi_aws": "aws", "pulumi_gcp": "gcp", "pulumi_azure_native": "azure-native",
               "pulumi_cloudflare": "cloudflare", "tencentcloud_iac_pulumi": "tencentcloud"}  # fmt: skip


def used() -> Iterator[str]:
    """Type tokens of all SDK classes that infra/ names, by how the SDKs name them."""
    for path in sorted(INFRA.rglob("*.py")):
        tree = ast.parse(path.read_text())
        known: dict[str, list[str]] = {}
        for node in ast.walk(tree):
            for one in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
                before = (node.module or "").split(".") if isinstance(node, ast.ImportFrom) else []
                known[one.asname or one.name] = [*before, *one.name.split(".")]
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or not node.attr[0].isupper() or node.attr.endswith("Args"):
                continue
            first, *rest = ast.unparse(node).split(".")
            full = [*known.get(first, [first]), *rest[:-1]]
            if full[0] in SDKS and node.attr != "Provider":
                yield token(SDKS[full[0]], ".".join(full[1:]), node.attr)


def token(package: str, module: str, name: str) -> str:
    lower = name[0].lower() + name[1:]
    if package == "azure-native":
        return f"{package}:{module}:{name}"
    if package == "cloudflare":
        return f"{package}:index/{lower}:{name}"
    if package == "tencentcloud":
        return f"{package}:{module.rstrip('_').capitalize()}/{lower}:{name}"
    return f"{package}:{module}/{lower}:{name}"


def test_every_type_that_infra_names_has_a_rule() -> None:
    found = set(used())
    assert len(found) > 110
    assert {"aws:autoscaling/group:Group", "azure-native:compute:VirtualMachineScaleSet"} <= found
    assert sorted(found - RULES.keys()) == []
