"""The JSON Schema of a stack file, for editors: `# yaml-language-server: $schema=../infra/schema/stack.schema.json`.

    python -m infra.schema > infra/schema/stack.schema.json

Made from the same models that check the file, and committed; a test keeps it fresh. It knows what one value can say;
what several say together is told by `infra/checks.py` at preview.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from infra import catalog, explain, stackfile
from infra.descriptions import description
from infra.sections import WORDS, Section


class _Generator(GenerateJsonSchema):
    """pydantic's own, with the words of each pattern, without titles, which editors would show instead of keys."""

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        found = super().str_schema(schema)
        if found.get("pattern") in WORDS:
            found["description"] = WORDS[found["pattern"]].capitalize() + "."
            found["patternErrorMessage"] = "Has to be " + WORDS[found["pattern"]]
        return found

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def stack_file(
    clouds: Mapping[str, type[Section]], world: type[Section], pipelines: Mapping[str, type[Section]]
) -> dict[str, Any]:
    """Schema (draft 2020-12) of a whole stack file: a region of one of `clouds` (by the value of `cloud`), a global
    stack, whose model is `world`, or the pipeline roles of one of `pipelines` (by the value of `cloud`)."""
    definitions: dict[str, Any] = {}
    for model in (*clouds.values(), world, *pipelines.values()):
        _describe(model)
        schema = model.model_json_schema(schema_generator=_Generator, ref_template="#/$defs/{model}")
        for name, definition in schema.pop("$defs", {}).items():
            if definitions.setdefault(name, definition) != definition:
                raise ValueError(f"two models of stack files are named {name}")
        definitions[model.__name__] = schema
    for definition in definitions.values():
        definition.pop("title", None)
    _suggest(definitions)
    regions = [{"$ref": f"#/$defs/{model.__name__}"} for model in clouds.values()]
    pulumi: dict[str, Any] = dict.fromkeys(stackfile.PULUMI_KEYS, True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Spillway stack file",
        "description": "Pulumi.<cloud>-<region>.yaml: one region that serves; Pulumi.global.yaml: the names over all; "
        "Pulumi.ci-<cloud>.yaml: roles of pipelines. Made by `python -m infra.schema`.",
        "type": "object",
        "additionalProperties": False,
        "required": ["config"],
        "properties": {
            "config": {
                "description": "The stack's configuration: one object, and settings of Pulumi's own.",
                "type": "object",
                "additionalProperties": False,
                "oneOf": [{"required": [key]} for key in stackfile.STACK_KEYS],
                "properties": {
                    stackfile.REGION_KEY: regions[0] if len(regions) == 1 else {"oneOf": regions},
                    stackfile.GLOBAL_KEY: {"$ref": f"#/$defs/{world.__name__}"},
                    stackfile.CI_KEY: {
                        "oneOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in pipelines.values()]
                    },
                    **pulumi,
                },
            },
            "encryptedkey": {"type": "string", "description": "Written by Pulumi."},
            "encryptionsalt": {"type": "string", "description": "Written by Pulumi."},
            "secretsprovider": {"type": "string", "description": "Written by Pulumi."},
        },
        "$defs": definitions,
    }


def single(model: type[BaseModel], title: str, about: str) -> dict[str, Any]:
    """Schema (draft 2020-12) of a file that is one object of this model."""
    _describe(model)
    schema = model.model_json_schema(schema_generator=_Generator, ref_template="#/$defs/{model}")
    for definition in schema.get("$defs", {}).values():
        definition.pop("title", None)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, "description": about}
    return head | {key: value for key, value in schema.items() if key not in head}


def _describe(model: type[BaseModel]) -> None:
    """Gives every field of a model and of the models in it its docstring as description."""
    for name, field in model.model_fields.items():
        inner = explain.model_of(field.annotation) or explain.entry_model(field.annotation)
        if inner is not None:
            _describe(inner)
        field.description = description(model, name) or (inner and inspect.getdoc(inner)) or None
    model.model_rebuild(force=True)


def _suggest(definitions: dict[str, Any]) -> None:
    """Completions for names that the catalog knows; not an enum, so that an editor with old data refuses nothing."""
    for model, clouds in (("Pools", ("aws",)), ("PoolSizes", [cloud for cloud in catalog.READERS if cloud != "aws"])):
        names = [machine.name for cloud in clouds for machine in catalog.machines(cloud)]
        definitions[model]["properties"]["types"]["items"]["examples"] = names
    definitions["ModelSpec"]["properties"]["name"]["examples"] = list(catalog.models())


def text(schema: dict[str, Any]) -> str:
    """The schema as it is committed."""
    return json.dumps(schema, indent=2, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    from infra.config import json_schema

    sys.stdout.write(text(json_schema()))
