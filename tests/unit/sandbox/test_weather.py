"""The weather file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import forecast
from sandbox.weather import WeatherError, load, parse
from spillway.errors import SpillwayError


def test_capacity_is_taken_away_by_pattern() -> None:
    weather = parse("soldOut: [{zone: us-east-1*, type: p4d.*, market: spot}]")
    assert weather.is_sold_out("aws", "us-east-1a", "p4d.24xlarge", "spot")
    assert not weather.is_sold_out("aws", "us-east-1a", "p4d.24xlarge", "on-demand")
    assert not weather.is_sold_out("aws", "us-west-2a", "p4d.24xlarge", "spot")


def test_the_last_quota_that_fits_wins() -> None:
    weather = parse("quotas: [{name: Q, value: 5}, {name: Q, region: eu-*, value: 1}]")
    assert weather.quota("aws", "eu-west-1", "Q", 9) == 1
    assert weather.quota("aws", "us-east-1", "Q", 9) == 5
    assert weather.quota("aws", "us-east-1", "other", 9) == 9


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("soldout: []", "soldout"),
        ("soldOut: [{zone: a, market: sport}]", 'soldOut.0.market = "sport": has to be '),
        ("quotas: [{name: Q, value: -1}]", "quotas.0.value = -1"),
        ("faults: [{kind: explode}]", 'faults.0.kind = "explode": has to be '),
        ("faults: [{kind: fail, times: 0}]", "faults.0.times = 0"),
        ("faults: [{times: 3}]", "faults.0.kind: is required"),
        ("faults: [{kind: fail, typ: x}]", 'faults.0.typ = "x": unknown key; allowed are cloud, operation, type'),
        ("faults: [{kind: fail, operation: check}]", "faults.0.operation"),
        ("faults: [{kind: fail, message: ''}]", "has to be one line of text"),
        ("faults: [{kind: fail, times: true}]", "faults.0.times = true: has to be a whole number"),
        ("quotas: [{name: Q, value: '5'}]", "has to be a number"),
        ("quotas: [{name: Q, value: .inf}]", "and not infinite"),
        ("soldOut: {zone: a}", "has to be a list"),
        ("soldOut: 2026-13-45", "not valid YAML"),
        ("1: 2", "unknown key; allowed are soldOut, quotas, faults"),
        ("faults: {", "not valid YAML"),
        ("- a", "top level"),
    ],
)
def test_a_faulty_file_says_where(text: str, says: str) -> None:
    with pytest.raises(WeatherError, match=r"weather\.yaml") as caught:
        parse(text)
    assert says in str(caught.value)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "weather.yaml"
    assert load(path) is None
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SpillwayError, match=r"weather\.yaml: byte 0: not UTF-8 text"):
        load(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(SpillwayError, match=r"weather\.yaml: cannot be read: Is a directory"):
        load(path)


def test_entries_are_added_read_and_cleared(tmp_path: Path) -> None:
    forecast.add(tmp_path, "soldOut", {"market": "spot"})
    forecast.add(tmp_path, "faults", {"kind": "throttle", "times": 3, "operation": "create"})
    weather = forecast.read(tmp_path)
    assert weather.is_sold_out("aws", "z", "t", "spot")
    assert weather.faults_for("aws", "create", "aws:x", "n")[0][1].times == 3
    with pytest.raises(SpillwayError, match="market"):
        forecast.add(tmp_path, "soldOut", {"market": "futures"})
    forecast.clear(tmp_path)
    assert forecast.text(forecast.read(tmp_path)).startswith("fair")


@pytest.mark.parametrize("section", ["soldOut", "quotas", "faults", "down"])
def test_weather_of_a_cloud_that_there_is_not_is_refused_with_those_that_there_are(section: str) -> None:
    more = {"quotas": ", name: x, value: 1", "faults": ", kind: fail"}.get(section, "")
    with pytest.raises(WeatherError, match='cloud = "azure": fits no stand-in cloud; they are aws, azure-native'):
        parse(f"{section}:\n  - {{cloud: azure{more}}}\n")
    for pattern in ("azure*", "gcp", "*"):
        parse(f"{section}:\n  - {{cloud: '{pattern}'{more}}}\n")
