"""The cost model takes no cloud's SDK along; only refreshers do, and those when they run."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Final

import cost

ROOT: Final = Path(cost.__path__[0])
SDKS: Final = {"boto3", "botocore", "azure", "google", "tencentcloud", "pulumi", "pulumi_aws", "pulumi_azure_native"}
LIGHT: Final = """
import sys
before = set(sys.modules)
import cost
print(len(set(sys.modules) - before))
"""


def imported(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_no_sdk_is_imported_but_by_a_refresher_in_a_function() -> None:
    files = sorted(ROOT.rglob("*.py"))
    assert len(files) > 60
    for path in files:
        tree = ast.parse(path.read_text())
        if path.is_relative_to(ROOT / "refresh"):
            tree = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        assert not imported(tree) & SDKS, path


def test_importing_it_imports_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
