"""The weather file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import forecast, show
from sandbox.clouds import VARIABLE
from sandbox.weather import WeatherError, load, parse, region_of
from spillway.cli import main
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
    with pytest.raises(WeatherError, match=r'cloud = "azur": fits no stand-in cloud; they are aws, azure .azure-nat'):
        parse(f"{section}:\n  - {{cloud: azur{more}}}\n")
    for pattern in ("azure", "tencent", "azure*", "gcp", "*"):
        parse(f"{section}:\n  - {{cloud: '{pattern}'{more}}}\n")


def test_a_cloud_is_named_as_stack_files_or_as_packages_name_it(tmp_path: Path) -> None:
    weather = parse("soldOut: [{cloud: azure}]\ndown: [{cloud: tencent}]\n")
    assert weather.is_sold_out("azure-native", "eastus-1", "t", "spot")
    assert weather.serving("192.0.2.1", "tencentcloud", "ap-guangzhou") == "blackhole"
    forecast.take_down(tmp_path, cloud="azure", region="eastus", address="*", kind="refused")
    assert forecast.read(tmp_path).down[0].cloud == "azure-native"
    (gone,) = forecast.lift(tmp_path, cloud="azure", region="*", address="*")
    assert gone.region == "eastus"


@pytest.mark.parametrize(
    ("cloud", "inside", "outside"),
    [
        ("aws", "us-east-1a", "us-east-2a"),
        ("gcp", "us-central1-f", "us-east1-b"),
        ("azure-native", "eastus-2", "eastus2-1"),
        ("azure-native", "eastus", "eastus2"),
        ("tencentcloud", "ap-guangzhou-3", "ap-shanghai-3"),
    ],
)
def test_a_whole_region_is_sold_out(cloud: str, inside: str, outside: str) -> None:
    weather = parse(f"soldOut: [{{region: {region_of(cloud, inside)}, market: spot}}]")
    assert weather.is_sold_out(cloud, inside, "t", "spot")
    assert not weather.is_sold_out(cloud, inside, "t", "on-demand")
    assert not weather.is_sold_out(cloud, outside, "t", "spot")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            "down --region mars",
            "--region mars: fits no region of any cloud; names are as the clouds write them, such as",
        ),
        ("down --region us-esat-1", "--region us-esat-1: fits no region of any cloud (did you mean us-east-1?)"),
        ("down --region us-east-1 --cloud azure", "--region us-east-1: fits no region of azure"),
        ("sold-out --zone nowhere-1", "--zone nowhere-1: fits no zone of any cloud"),
        ("sold-out --region us-east-1 --zone us-west-2a", "--zone us-west-2a: fits no zone of us-east-1 (did you mean"),
        ("quota L-417A185B 4 --region us-east-9", "--region us-east-9: fits no region of any cloud (did you mean"),
        ("down --cloud azur", 'weather: down.0.cloud = "azur": fits no stand-in cloud'),
    ],
)
def test_weather_where_nothing_is_is_refused(
    arguments: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "sandbox"))
    assert main(["sandbox", "weather", *arguments.split()]) == 1
    assert capsys.readouterr().err.startswith(f"spillway: {told}")
    assert not (tmp_path / "sandbox").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        "down --region us-*", "down --region eastus --cloud azure", "sold-out --zone us-east-1*",
        "down --cloud cloudflare",
        "sold-out --zone eastus-1 --cloud azure", "sold-out --region us-central1 --market spot", "sold-out --zone *-f",
        "quota plan 1 --cloud cloudflare --region global",
    ],
)  # fmt: skip
def test_weather_of_what_there_is_is_taken(
    arguments: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "sandbox"))
    assert main(["sandbox", "weather", *arguments.split()]) == 0, capsys.readouterr().err


def test_a_listing_in_a_pipe_does_not_fold_ids(capsys: pytest.CaptureFixture[str]) -> None:
    id = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/net/" + "x" * 120
    rows = [{"cloud": "aws", "region": "us-east-1", "type": "aws:lb/listener:Listener", "name": "n" * 40, "id": id}]
    show.print_holdings(rows)
    assert id in capsys.readouterr().out
