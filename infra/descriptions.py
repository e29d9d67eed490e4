"""What each key of a stack file is for, taken from the docstrings below the attributes in the source of the models.

pydantic can do this by itself (`use_attribute_docstrings`), but reads the source again for each class at every import:
60 ms of every preview, for texts that only the JSON Schema and an error about a missing key need.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache

from pydantic import BaseModel


@cache
def _of_module(name: str) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(sys.modules[name])).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for statement, following in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
                and isinstance(following.value.value, str)
            ):
                found[node.name, statement.target.id] = inspect.cleandoc(following.value.value)
    return found


def description(model: type[BaseModel], attribute: str) -> str:
    """The docstring of an attribute (by its Python name), also where a base class has it; empty where there is none."""
    for cls in model.__mro__:
        if cls.__module__.startswith(("infra.", "rehearsal.", "cost.")):
            text = _of_module(cls.__module__).get((cls.__name__, attribute))
            if text:
                return text
    return ""
