"""Whatever stands in a stack file: a model or a ConfigError with printable lines, never a traceback."""

from __future__ import annotations

import copy
import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra import machine_checks
from infra.config import REGION_KEY, ConfigError, RegionConfig, json_schema, load_stack_file, parse_region
from tests.unit.stack_data import STACK, STACKS, region

GOOD = (STACKS / f"Pulumi.{STACK}.yaml").read_text()
SCHEMA = json_schema()
fast = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.dates()
    | st.datetimes()
    | st.binary(max_size=5)
    | st.just(5000).map(lambda digits: 10**digits)  # str() of it is refused
    | st.sampled_from([-(10**400), "p5.48xlarge", "10.0.0.0/8", "\ud800", "fp8", 0, -1, 1e308, "${x}", "\x00"])
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=12) | st.sampled_from(["secure", "name", "types"]) | st.integers(), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def outcome(data: object, stack: str = STACK) -> RegionConfig | None:
    """The model, or None for a ConfigError whose lines are as they have to be; anything else fails the test."""
    try:
        return parse_region(data, stack, "stacks/f.yaml")
    except ConfigError as error:
        well_told(error, "stacks/f.yaml: spillway:region")
        return None


def well_told(error: ConfigError, start: str) -> None:
    assert error.lines
    assert len(set(error.lines)) == len(error.lines)
    for line in error.lines:
        assert line.startswith(start)
        assert line.isprintable()
        assert line.encode("utf-8")
        assert len(line) < 2000


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in a tree, the root's too."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


PLACES = list(places(region()))


def changed(path: tuple[Any, ...], value: object) -> Any:
    if not path:
        return value
    data = copy.deepcopy(region())
    place: Any = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return data


@fast
@given(anything)
def test_any_object_is_a_model_or_well_told_faults(data: object) -> None:
    outcome(data)


@settings(fast, max_examples=250)
@given(st.sampled_from(PLACES), anything)
def test_a_sound_file_with_anything_in_one_place(path: tuple[Any, ...], value: object) -> None:
    outcome(changed(path, value))


@fast
@given(st.lists(st.tuples(st.sampled_from(PLACES[1:]), scalars), min_size=2, max_size=6))
def test_a_sound_file_with_anything_in_several_places(changes: list[tuple[tuple[Any, ...], object]]) -> None:
    data = copy.deepcopy(region())
    for path, value in changes:
        place: Any = data
        for step in path[:-1]:
            place = place[step] if isinstance(place, dict | list) else {}
        if isinstance(place, dict | list):
            place[path[-1]] = value
    outcome(data)


@fast
@given(st.sampled_from([path for path in PLACES if path and isinstance(path[-1], str)]))
def test_a_sound_file_without_one_key(path: tuple[Any, ...]) -> None:
    data = copy.deepcopy(region())
    place: Any = data
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    outcome(data)


def from_schema(node: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a JSON Schema as pydantic writes it, with its bounds, patterns and choices."""
    if "$ref" in node:
        return st.deferred(lambda: from_schema(SCHEMA["$defs"][node["$ref"].split("/")[-1]]))
    if "anyOf" in node:
        return st.one_of([from_schema(option) for option in node["anyOf"]])
    if "const" in node:
        return st.just(node["const"])
    if "enum" in node:
        return st.sampled_from(node["enum"])
    kind = node.get("type")
    if kind == "object" and "properties" in node:
        required = {key: from_schema(node["properties"][key]) for key in node.get("required", [])}
        rest = {key: from_schema(value) for key, value in node["properties"].items() if key not in required}
        return st.fixed_dictionaries(required, optional=rest)
    if kind == "object":
        return st.dictionaries(
            st.from_regex(next(iter(node.get("patternProperties", {"^[a-z]+$": 0}))), fullmatch=True),
            st.text(),
            max_size=3,
        )
    if kind == "array":
        return st.lists(from_schema(node["items"]), min_size=node.get("minItems", 0), max_size=node.get("maxItems", 4))
    if kind == "integer":
        return st.integers(node.get("minimum"), node.get("maximum"))
    if kind == "number":
        low = node.get("minimum", node.get("exclusiveMinimum"))
        return st.floats(low, node.get("maximum"), exclude_min="exclusiveMinimum" in node)
    if kind == "string":
        examples = st.sampled_from(node["examples"]) if node.get("examples") else st.nothing()
        made = st.from_regex(node["pattern"], fullmatch=True) if "pattern" in node else st.text()
        return examples | made
    return {"boolean": st.booleans(), "null": st.none()}[kind or "null"]


@fast
@given(from_schema({"$ref": "#/$defs/AwsRegion"}), st.sampled_from([STACK, "aws-eu-west-1"]))
def test_whatever_the_schema_allows_is_a_model_or_well_told_faults(data: object, stack: str) -> None:
    outcome(data, stack)


@fast
@given(
    st.fixed_dictionaries(
        {key: from_schema(SCHEMA["$defs"]["AwsRegion"]["properties"][key]) for key in ("model", "pools")}
    )
)
def test_models_and_pools_of_the_schema_in_a_sound_file(sections: dict[str, Any]) -> None:
    found = outcome(region() | sections)
    if found is not None:
        assert found.zones
        assert all(line.isprintable() for line in machine_checks.advice(found))


@given(st.sampled_from(PLACES[1:]))
@settings(fast, max_examples=60)
def test_a_secure_value_anywhere_is_refused_and_never_shown(path: tuple[Any, ...]) -> None:
    data = changed(path, {"secure": "v1:ciphertext"})
    with pytest.raises(ConfigError) as error:
        parse_region(data, STACK, "stacks/f.yaml")
    assert any("encrypted values are not allowed" in line for line in error.value.lines)
    assert not any("ciphertext" in line for line in error.value.lines)


def load_text(text: bytes) -> RegionConfig | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"Pulumi.{STACK}.yaml"
        path.write_bytes(text)
        try:
            return load_stack_file(path, STACK)
        except ConfigError as error:
            well_told(error, f"stacks/Pulumi.{STACK}.yaml: ")
            return None


@fast
@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 30),
    st.text(max_size=10) | st.sampled_from(["\t", ": ", "[", "*a", "&a ", "!!int ", "'", '"', "%", "<<: {}\n"]),
)
def test_a_sound_file_with_a_piece_of_text_replaced(start: int, length: int, text: str) -> None:
    load_text((GOOD[:start] + text + GOOD[start + length :]).encode("utf-8", "surrogatepass"))


@fast
@given(st.lists(st.sampled_from(GOOD.splitlines(keepends=True)), max_size=60))
def test_the_lines_of_a_sound_file_in_any_order(lines: list[str]) -> None:
    load_text("".join(lines).encode())


@fast
@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    load_text(raw)


@fast
@given(anything.filter(lambda value: not isinstance(value, bytes)))
def test_anything_that_yaml_can_write_under_the_key(value: object) -> None:
    try:
        text = yaml.safe_dump({"config": {REGION_KEY: value}})
    except (yaml.YAMLError, ValueError, UnicodeError):
        return
    load_text(text.encode("utf-8", "surrogatepass"))


def test_dates_are_told_to_be_put_in_quotes() -> None:
    with pytest.raises(ConfigError, match="in quotes"):
        parse_region(changed(("image", "version"), datetime.date(2026, 11, 1)), STACK, "f")


def test_a_settings_object_that_contains_itself_is_a_fault() -> None:
    data = region()
    data["tags"] = data
    assert outcome(data) is None


@pytest.mark.parametrize("where", ["", "    ", "      "])
def test_an_integer_that_python_would_not_print_is_a_fault_as_key_and_as_value(where: str) -> None:
    huge = "0x" + "f" * 5000
    head = {"": "", "    ": "config:\n  spillway:region:\n", "      ": "config:\n  spillway:region:\n    tags:\n"}[
        where
    ]
    assert load_text(f"{head}{where}? {huge}\n{where}: {huge}\n{where}account: {huge}\n".encode()) is None
