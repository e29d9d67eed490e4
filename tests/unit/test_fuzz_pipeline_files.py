"""Whatever stands in a file of pipeline roles: a model or a ConfigError with printable lines, never a traceback."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infra.ci.config import CI_KEY, load_ci, parse_ci
from infra.ci.sections import CiConfig
from infra.ci.subjects import bound
from infra.faults import ConfigError
from tests.support.pipeline_roles import CLOUDS, GITLAB, data
from tests.unit.test_fuzz_stack_files import anything, fast, places, well_told

WHOLE = {
    "aws": data("aws", {"gitlab": GITLAB, "zones": ["Z1"], "existingProviders": ["github"]}),
    "azure": data("azure", {"gitlab": GITLAB, "state": {"resourceGroup": "a", "storageAccount": "bcd"}}),
    "gcp": data("gcp", {"gitlab": GITLAB, "state": {"bucket": "abc"}}),
}
PLACES: dict[str, list[tuple[Any, ...]]] = {cloud: list(places(WHOLE[cloud])) for cloud in CLOUDS}


def outcome(value: object, cloud: str) -> CiConfig | None:
    try:
        return parse_ci(value, f"ci-{cloud}", "stacks/f.yaml")
    except ConfigError as error:
        well_told(error, "stacks/f.yaml: spillway:ci")
        return None


def changed(cloud: str, path: tuple[Any, ...], value: object) -> Any:
    if not path:
        return value
    whole: Any = yaml.safe_load(yaml.safe_dump(WHOLE[cloud]))
    place = whole
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return whole


@pytest.mark.parametrize("cloud", CLOUDS)
def test_what_the_fuzzing_begins_with_is_sound(cloud: str) -> None:
    assert outcome(WHOLE[cloud], cloud) is not None


@fast
@given(st.sampled_from(CLOUDS), anything)
def test_any_object_is_a_model_or_told(cloud: str, value: object) -> None:
    outcome(value, cloud)


@fast
@given(st.sampled_from(CLOUDS), st.data(), anything)
def test_any_value_anywhere_is_a_model_or_told(cloud: str, draw: st.DataObject, value: object) -> None:
    found = outcome(changed(cloud, draw.draw(st.sampled_from(PLACES[cloud])), value), cloud)
    if found is not None:
        assert bound(found, "deploy"), "whoever is let in is known"


@fast
@given(st.sampled_from(CLOUDS), st.data(), anything)
def test_any_file_is_a_model_or_told(cloud: str, draw: st.DataObject, value: object) -> None:
    tree = changed(cloud, draw.draw(st.sampled_from(PLACES[cloud])), value)
    try:
        text = yaml.safe_dump({"config": {CI_KEY: tree}})
    except (yaml.YAMLError, ValueError):  # what no file can hold: a number of 5,000 digits, for one
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"Pulumi.ci-{cloud}.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            load_ci(path)
        except ConfigError as error:
            well_told(error, f"stacks/{path.name}: ")
