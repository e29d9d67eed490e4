"""Whatever stands in the global stack's file: a model or a ConfigError with printable lines, never a traceback."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from infra.config import json_schema
from infra.dns.config import GLOBAL_KEY, GlobalStack, load_global, most_addresses, parse_global
from infra.dns.plan import Endpoint
from infra.dns.settings import check_settings
from infra.faults import ConfigError
from tests.support import json_schema as validator
from tests.unit.global_data import FILES, changed, places, world
from tests.unit.stack_data import STACKS
from tests.unit.test_fuzz_stack_files import anything, scalars, well_told

SCHEMA = json_schema()
fast = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
stacks = st.sampled_from(FILES)
PLACES = {stack: list(places(world(stack=stack))) for stack in FILES}
spots = stacks.flatmap(lambda stack: st.tuples(st.just(stack), st.sampled_from(PLACES[stack])))

# Values that a setting of this file could hold, right or wrong for the place that they are put in.
plausible = st.sampled_from(
    [
        "route53", "cloudflare", "traffic-manager", "cloud-dns", "google", "priority", "weighted", "latency", "eu",
        "us", "example.com", "llm.example.com", "aws-us-east-1", "aws-us-east-9", "global", "global-x", "onprem-fra",
        "198.51.100.10", "10.0.0.1", "0.0.0.0", "999.1.1.1", "::1", "eu-central-1", "me-west-1", "xx-nowhere-1",
        "enterprise", "free", "ALL_REGIONS", "/readyz", "/health", "ready", "Z0123456789ABCDEFGHIJ", "a" * 300,
        f"{'.'.join(['a' * 60] * 5)}.example.com", 0, 1, 10, 30, 255, 443, 3600, True, False, 10**400,
        float("nan"), float("inf"), [], {}, ["ALL_REGIONS", "WEU"], {"alarm": {"Metrics": [1]}}, {"alias": True},
        {"disabled": 1, "inverted": None, "alwaysServe": [], "alarm": {"Period": True, "ExtendedStatistic": "p9"}},
    ]
)  # fmt: skip
KEYS = ("alias", "alarm", "disabled", "inverted", "alwaysServe", "drain", "planned", "degraded", "priority", "id")


def outcome(data: object, stack: str = "global", beside: Path | None = STACKS) -> GlobalStack | None:
    """The model, or None for a ConfigError whose lines are as they have to be; anything else fails the test."""
    try:
        return parse_global(data, stack, "stacks/f.yaml", beside)
    except ConfigError as error:
        well_told(error, "stacks/f.yaml: ")
        return None


def sound(config: GlobalStack | None) -> None:
    """What loads can be asked for all that a stack is made from."""
    if config is not None:
        check_settings(config)
        assert 1 <= most_addresses(config, STACKS) <= 20


@fast
@given(anything, stacks)
def test_any_object_is_a_model_or_well_told_faults(data: object, stack: str) -> None:
    sound(outcome(data, stack))


@settings(fast, max_examples=300)
@given(spots, anything | plausible)
@example(("global", ("dns", "objectiveSeconds")), 10**400)
@example(("global", ("dns", "check", "intervalSeconds")), float("inf"))
def test_a_sound_file_with_anything_in_one_place(spot: tuple[str, tuple[Any, ...]], value: object) -> None:
    stack, path = spot
    sound(outcome(changed(world(stack=stack), path, value), stack))


@settings(fast, max_examples=300)
@given(stacks, st.data())
def test_a_sound_file_with_several_places_changed_and_keys_added_that_it_does_not_have(
    stack: str, data: st.DataObject
) -> None:
    found = world(stack=stack)
    for _ in range(data.draw(st.integers(1, 5))):
        path = data.draw(st.sampled_from(list(places(found))))
        place: Any = found
        for step in path:
            place = place[step]
        key: Any = data.draw(st.sampled_from(KEYS) | st.text(max_size=8) | st.integers())
        value = copy.deepcopy(data.draw(plausible | scalars))
        if isinstance(place, dict):
            place[key] = value
        elif isinstance(place, list):
            place.append(value)
        elif path:
            changed(found, path, value)
    sound(outcome(found, stack))


@fast
@given(stacks, st.data())
def test_a_sound_file_without_one_key_or_entry(stack: str, data: st.DataObject) -> None:
    found = world(stack=stack)
    path = data.draw(st.sampled_from(PLACES[stack][1:]))
    place: Any = found
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    sound(outcome(found, stack))


@fast
@given(stacks, st.data())
def test_the_members_and_services_of_a_sound_file_in_any_order_and_number(stack: str, data: st.DataObject) -> None:
    found = world(stack=stack)
    for key in ("members", "services"):
        found[key] = [copy.deepcopy(e) for e in data.draw(st.lists(st.sampled_from(found[key]), max_size=8))]
    sound(outcome(found, stack))


@settings(fast, max_examples=200)
@given(spots, anything | plausible)
def test_the_schema_refuses_nothing_that_the_program_takes(spot: tuple[str, tuple[Any, ...]], value: object) -> None:
    stack, path = spot
    found = changed(world(stack=stack), path, value)
    try:
        GlobalStack.model_validate(found)
    except ValidationError:
        return
    assert validator.faults(SCHEMA, {"config": {GLOBAL_KEY: found}}) == []


def load_text(text: bytes, stack: str = "global") -> GlobalStack | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"Pulumi.{stack}.yaml"
        path.write_bytes(text)
        try:
            return load_global(path, stack)
        except ConfigError as error:
            well_told(error, f"stacks/Pulumi.{stack}.yaml: ")
            return None


TEXTS = {stack: (STACKS / f"Pulumi.{stack}.yaml").read_text() for stack in FILES}


@fast
@given(
    stacks,
    st.integers(0, max(map(len, TEXTS.values()))),
    st.integers(0, 30),
    st.text(max_size=10) | st.sampled_from(["\t", ": ", "[", "*a", "&a ", "!!int ", "'", '"', "%", "<<: {}\n"]),
)
def test_a_sound_file_with_a_piece_of_text_replaced(stack: str, start: int, length: int, text: str) -> None:
    good = TEXTS[stack]
    load_text((good[:start] + text + good[start + length :]).encode("utf-8", "surrogatepass"), stack)


@fast
@given(st.lists(st.sampled_from(TEXTS["global"].splitlines(keepends=True)), max_size=60))
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
        text = yaml.safe_dump({"config": {GLOBAL_KEY: value}})
    except (yaml.YAMLError, ValueError, UnicodeError):
        return
    load_text(text.encode("utf-8", "surrogatepass"))


@fast
@given(st.sampled_from(PLACES["global"][1:]))
def test_a_secure_value_anywhere_is_refused_and_never_shown(path: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError) as error:
        parse_global(changed(world(), path, {"secure": "v1:ciphertext"}), "global", "stacks/f.yaml", STACKS)
    assert any("encrypted values are not allowed" in line for line in error.value.lines)
    assert not any("ciphertext" in line for line in error.value.lines)


OUTPUT: dict[str, Any] = {
    "hostname": None, "addresses": ["203.0.113.2"], "port": 443, "healthPath": "/readyz", "cloud": "aws",
    "region": None, "nearestAwsRegion": "us-east-1", "residency": "us",
}  # fmt: skip


@fast
@given(st.sampled_from(list(OUTPUT)), anything)
@example("port", None)
@example("port", 10**400)
@example("addresses", [None])
@example("addresses", ["203.0.113.2", 5])
@example("residency", None)
@example("nearestAwsRegion", "moon-east-1")
def test_a_region_that_exports_anything_at_all_is_an_endpoint_or_told_in_one_line(key: str, value: object) -> None:
    try:
        found = Endpoint.from_output(OUTPUT | {key: value})
    except ValueError as error:
        told = str(error)
    else:
        told = "the output endpoint was taken"
        assert isinstance(found.port, int)
        assert all(isinstance(address, str) for address in found.addresses)
        assert isinstance(found.residency, str)
    assert told.startswith("the output endpoint")
    assert told.isprintable()


@fast
@given(anything)
def test_an_output_that_is_anything_at_all_is_told_in_one_line(value: object) -> None:
    with pytest.raises(ValueError, match="the output endpoint"):
        Endpoint.from_output(value)
