"""Scenario files: those that are shipped, and every way in which one can be wrong, in one line each."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from infra.faults import ConfigError
from infra.stackfile import document
from rehearsal import scenario
from rehearsal.scenario import SCHEMA, load, second_of, seconds_of, shipped
from tests.rehearsal.scenarios import FILE, fleet, happens, supplied, told
from tests.support.json_schema import faults as schema_faults


def refused(**keys: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        scenario.parse(told(**keys), FILE)
    return list(caught.value.lines)


def test_a_dozen_scenarios_are_shipped_each_named_as_its_file() -> None:
    assert len(shipped()) == 12
    assert shipped()[0] == "normal-fortnight"
    for name in shipped():
        one = load(name).scenario
        assert one.name == name
        assert len((scenario.FOLDER / f"{name}.yaml").read_text().splitlines()) <= 14, "a few lines each"


@pytest.mark.parametrize("name", shipped())
def test_events_of_a_shipped_scenario_are_within_it_and_meet_the_shipped_fleet(name: str) -> None:
    one = load(name).scenario
    assert len(happens(one, supplied(one))) == len(one.events)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_scenario_keeps_to_its_schema(name: str) -> None:
    schema = json.loads(SCHEMA.read_text())
    assert schema_faults(schema, document(scenario.FOLDER / f"{name}.yaml", name)) == []


def test_the_committed_schema_is_what_the_models_say() -> None:
    assert json.loads(SCHEMA.read_text()) == scenario.json_schema()


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"days": 0}, "mine.yaml: days = 0: has to be above 0 and at most 366"),
        ({"dasy": 3}, "mine.yaml: dasy = 3: unknown key (did you mean days?)"),
        ({"trace": None}, "mine.yaml: trace: missing; a scenario has a trace or a synthetic one"),
        ({"synthetic": {}}, "mine.yaml: trace: given beside synthetic; a scenario has a trace or a synthetic one"),
        ({"events": [{"what": "dark"}]}, "mine.yaml: events[0].at: missing; a time in UTC such as day 3 14:00"),
        (
            {"events": [{"at": "2d 14:00", "what": "dark"}]},
            "mine.yaml: events[0].at = 2d 14:00: has to be a time in UTC such as day 3 14:00",
        ),
        (
            {"events": [{"at": "day 1 14:00", "what": "drak"}]},
            "mine.yaml: events[0].what = drak: has to be dark, spot, on-demand",
        ),
        (
            {"events": [{"at": "day 1 14:00", "what": "dark", "for": "3 hours"}]},
            "mine.yaml: events[0].for = 3 hours: has to be a length of time such as 3h, 90m or 1d 12h",
        ),
        (
            {"events": [{"at": "day 1 14:00", "what": "dark", "for": "0m"}]},
            "mine.yaml: events[0].for = 0m: has to be a length above 0",
        ),
        (
            {"events": [{"at": "day 1 14:00", "what": "throttled", "zone": "a"}]},
            "mine.yaml: events[0].zone = a: does not go with what: throttled; that takes region and cloud",
        ),
        (
            {"events": [{"at": "day 1 14:00", "what": "spot"}]},
            "mine.yaml: events[0].count: missing; what: spot needs count or limit",
        ),
        (
            {"events": [{"at": "day 1 14:00", "what": "flap", "period": "41m"}]},
            "mine.yaml: events[0].period = 41m: has to be an even number of minutes",
        ),
        (
            {"events": [{"at": "day 1 14:00", "what": "dark", "member": "small-*", "cloud": "aws"}]},
            "mine.yaml: events[0].member: goes without region, cloud and zone",
        ),
        (
            {"events": [{"at": "day 1 14:00", "what": "deploy", "for": "1h"}]},
            "mine.yaml: events[0].for = 1h: does not go with what: deploy",
        ),
        (
            {"events": [{"at": "day 1 14:00", "what": "surge", "factor": 3}]},
            "mine.yaml: events[0].what = surge: multiplies requests, and none are played; `load: {}` plays some",
        ),
        (
            {"load": {"utilisation": 0.5, "perSecond": 4}},
            "mine.yaml: load.utilisation: goes without perSecond, which says it already",
        ),
        (
            {"load": {"profile": "flat", "weights": [1] * 24}},
            "mine.yaml: load.profile: goes without weights, which says it already",
        ),
        ({"stacks": []}, "mine.yaml: stacks: names none; leave it out for those that a service reaches"),
        ({"start": "99999999d"}, "mine.yaml: start = 99999999d: has to be at most 3650d"),
        ({"start": f"{10**30}d"}, f"mine.yaml: start = {10**30}d: has to be at most 3650d"),
        (
            {"prices": date(2026, 11, 26)},
            'mine.yaml: prices = 2026-11-26: has to be snapshot, a snapshot\'s date in quotes such as "2026-11-26"',
        ),
    ],
)
def test_a_fault_is_one_line_with_file_key_value_and_what_is_allowed(keys: dict[str, Any], line: str) -> None:
    lines = refused(**keys)
    assert len(lines) == 1
    assert lines[0].startswith(line)


def test_every_fault_is_told_at_once() -> None:
    event = {"at": "day 1 14:00", "what": "spot"}
    assert len(refused(days=-1, events=[event, event, {"at": "x", "what": "dark"}])) == 2, "of single values first"
    assert len(refused(days=-1, events=[event, event])) == 3


def test_a_name_that_is_nothing_is_told_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"region-drak-at-peak: neither a file nor shipped \(did you mean region-dark"
    ):
        load("region-drak-at-peak")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(ConfigError, match="the file has to be a map"):
        load(tmp_path / "list.yaml")
    for nothing in ("", str(tmp_path)):
        with pytest.raises(ConfigError, match=rf"scenario {nothing}: neither a file nor shipped"):
            load(nothing)


def test_days_are_dates_and_times_are_utc() -> None:
    begin = datetime(2025, 10, 4, 0, 10, tzinfo=UTC)
    assert second_of("day 1 00:10", begin) == 0
    assert second_of("day 1 00:00", begin) == -600
    assert second_of("day 3 14:00", begin) == (2 * 24 + 14) * 3600 - 600
    assert seconds_of("1d 12h 30m") == 131_400


def test_events_outside_and_of_nothing_are_refused_with_what_there_is() -> None:
    assert fleet().world is not None
    events = [
        {"at": "day 1 00:00", "what": "throttled"},
        {"at": "day 1 12:00", "what": "dark", "region": "aws-us-esat-1"},
        {"at": "day 1 12:00", "what": "dark", "cloud": "oracle"},
        {"at": "day 1 12:00", "what": "spot", "limit": 0, "zone": "us-east-1z"},
        {"at": "day 1 12:00", "what": "dark", "member": "onprem"},
        {"at": "day 1 12:00", "what": "surge", "factor": 2, "service": "x.example.com"},
    ]
    one = scenario.parse(told(events=events, load={}), FILE)
    with pytest.raises(Exception, match="is not within the rehearsal") as caught:
        happens(one, supplied(one))
    lines = caught.value.lines  # type: ignore[attr-defined]  # SpillwayError
    assert len(lines) == 6
    assert "events[1].region = aws-us-esat-1: matches nothing that is played (did you mean aws-us-east-1?)" in lines[1]
    assert lines[5].endswith("there are llm-us.example.com and llm.example.com, and first")


def test_calls_are_refused_where_a_function_makes_them_and_nowhere_else() -> None:
    at = {"at": "day 1 12:00", "what": "throttled"}
    one = scenario.parse(told(events=[at]), FILE)
    assert happens(one, supplied(one))[0].stacks == ("azure-eastus", "gcp-us-central1")
    one = scenario.parse(told(events=[at | {"region": "aws-*"}]), FILE)
    with pytest.raises(Exception, match=r"events\[0\]\.region = aws-\*: happens to the fallback's function"):
        happens(one, supplied(one))
