"""What the function is told, and how it says that it was told wrong."""

from __future__ import annotations

import pytest

from infra.function.settings import AzureSettings, GcpSettings, Settings, SettingsError, environment, variable
from infra.sections import Fallback, Pools, Scaling
from tests.unit.function.clouds import AZURE, GCP


def variables(settings: Settings) -> dict[str, str]:
    return {
        variable(key): str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in settings.model_dump().items()
    }


@pytest.mark.parametrize("settings", [AZURE, GCP], ids=["azure", "gcp"])
def test_what_is_rendered_is_read_back_and_other_variables_are_none_of_its_business(settings: Settings) -> None:
    assert type(settings).read({**variables(settings), "PATH": "/bin", "AzureWebJobsStorage": "x"}) == settings


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"SPILLWAY_TARGET": None}, "SPILLWAY_TARGET: missing"),
        ({"SPILLWAY_TARGET": "two"}, "SPILLWAY_TARGET = 'two': Input should be a valid integer"),
        ({"SPILLWAY_FLOR": "1"}, "SPILLWAY_FLOR: no such setting; known: SPILLWAY_DRY_RUN, "),
        ({"SPILLWAY_DRY_RUN": "yes"}, "SPILLWAY_DRY_RUN = 'yes': must be true or false"),
        ({"SPILLWAY_SCALING_SIGNAL": "disk"}, "SPILLWAY_SCALING_SIGNAL = 'disk': Input should be 'queue', 'cpu' or"),
        ({"SPILLWAY_FLOOR": "3"}, "floor 3, target 2, max 6: expected floor <= target <= max"),
        ({"SPILLWAY_STACK": ""}, "SPILLWAY_STACK = '': "),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(change: dict[str, str | None], line: str) -> None:
    given = {key: value for key, value in {**variables(GCP), **change}.items() if value is not None}
    with pytest.raises(SettingsError) as caught:
        GcpSettings.read(given)
    assert str(caught.value).startswith(line)
    assert "\n" not in str(caught.value)


def test_another_clouds_settings_are_refused() -> None:
    with pytest.raises(SettingsError, match="SPILLWAY_PROJECT: no such setting"):
        AzureSettings.read(variables(GCP))


def test_a_stack_file_says_everything_but_names_and_places() -> None:
    pools = Pools.model_validate({"types": ["a2-highgpu-8g"], "target": 3, "floor": 1, "max": 8})
    scaling = Scaling.model_validate({"signal": "cpu", "inMinutes": 25, "inStep": 2})
    said = environment(stack="gcp-us-central1", pools=pools, fallback=Fallback(), scaling=scaling, dry_run=True)
    places = {"spot_group": "s", "on_demand_group": "o", "state": "gs://b/o", "project": "p", "region": "r"}
    settings = GcpSettings.read(said | {variable(key): value for key, value in places.items()})
    assert (settings.target, settings.floor, settings.max, settings.dry_run) == (3, 1, 8, True)
    assert (settings.rule.out_minutes, settings.rule.in_minutes, settings.rule.boot_minutes) == (2, 12, 20)
    load = settings.load_rule
    assert (load.least, load.most, load.high, load.low) == (2, 7, 65, 30)
    assert (load.minutes, load.in_minutes, load.step, load.in_step) == (5, 25, 2, 2)
    assert set(said) | {variable(key) for key in places} == {variable(key) for key in GcpSettings.model_fields}
