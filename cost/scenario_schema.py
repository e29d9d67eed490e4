"""The JSON Schema of a scenario file, for editors: `# yaml-language-server: $schema=scenario.schema.json`.

    python -m cost.scenario_schema > cost/scenarios/scenario.schema.json

Made from the models that check the file, and committed; a test keeps it fresh.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from cost.scenario import FOLDER, ScenarioFile
from cost.scenario_options import KINDS
from infra.schema import single, text

FILE: Final = FOLDER / "scenario.schema.json"


def json_schema() -> dict[str, Any]:
    """Schema (draft 2020-12): an entry of `options` is of the model that its `kind` names."""
    schema = single(
        ScenarioFile, "Spillway cost scenario",
        "What a workload costs through an API, on own hardware, in clouds. Made by `python -m cost.scenario_schema`.",
    )  # fmt: skip
    definitions = schema.setdefault("$defs", {})
    for model in KINDS.values():
        found = single(model, model.__name__, "")
        definitions.update(found.pop("$defs", {}))
        definitions[model.__name__] = {key: value for key, value in found.items() if key not in ("$schema", "title")}
        definitions[model.__name__]["description"] = (model.__doc__ or "").strip()
    schema["properties"]["options"]["items"] = {
        "oneOf": [{"$ref": f"#/$defs/{one.__name__}"} for one in KINDS.values()]
    }
    plain: dict[str, Any] = _plain(schema)
    return plain


def _plain(value: Any) -> Any:
    """Without what is only ours: the unit and the source of a default go into the description."""
    if isinstance(value, dict):
        kept = {
            key: _plain(one) for key, one in value.items() if key not in ("unit", "source") or isinstance(one, dict)
        }
        unit = value.get("unit")
        if isinstance(unit, str) and "description" in kept and unit not in ("count", "share"):
            kept["description"] = f"{kept['description']} [{unit}]"
        return kept
    return [_plain(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.stdout.write(text(json_schema()))
