"""The JSON schema of a stack's settings: `python -m policy.schema` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from policy.config import ALL, LEVEL_KEY, LEVELS, properties
from policy.rules import POLICIES

PATH: Final = Path(__file__).resolve().parent / "policy.schema.json"


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a settings file, for editors; committed as policy/policy.schema.json."""
    level = {"enum": list(LEVELS)}
    policies = {
        one.name: {
            "description": one.description,
            "anyOf": [
                level,
                {
                    "type": "object",
                    "properties": {LEVEL_KEY: level, **properties(one)},
                    "additionalProperties": False,
                },
            ],
        }
        for one in POLICIES
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What Spillway's policies are told for one stack",
        "type": "object",
        "properties": {ALL: level, **policies},
        "additionalProperties": False,
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(json_schema(), indent=1) + "\n", encoding="utf-8")
