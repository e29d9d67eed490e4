"""`spillway sandbox weather down | up` and `sandbox dns serve`: what a person is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sandbox import forecast
from sandbox.cli import app
from sandbox.dns.authority import Authority, Snapshot
from sandbox.dns.clock import Clock
from sandbox.dns.cloudflare import DNS_RECORD, LOAD_BALANCER
from sandbox.dns.health import Scripted
from sandbox.dns.monitors import POOL
from sandbox.dns.serve import served
from spillway.cli import main
from spillway.errors import SpillwayError
from tests.support import dns_zone
from tests.support.dns_zone import SERVICE


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPILLWAY_SANDBOX_DIR", str(tmp_path))
    return dns_zone.sandbox(tmp_path)


def weather(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["weather", *arguments])
    if isinstance(result.exception, SpillwayError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


# --- weather ---


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--region", "us-east-1"],
            "down: region us-east-1 (blackhole): 2 of the stand-in's addresses (203.0.113.1, 203.0.113.2)",
        ),
        (
            ["--address", "203.0.113.2", "--kind", "slow"],
            "down: address 203.0.113.2 (slow): 1 address of the stand-in (203.0.113.2)",
        ),
        (["--region", "eu-west-1"], "down: region eu-west-1 (blackhole): no address of the stand-in is there now"),
        (["--cloud", "azure-native"], "down: cloud azure-native (blackhole): no address of the stand-in is there now"),
        (
            ["--address", "198.51.100.10", "--kind", "error"],
            "down: address 198.51.100.10 (error): 198.51.100.10 outside of the stand-in, which checks look at",
        ),
        (
            ["--address", "*.10"],
            "down: address *.10 (blackhole): 198.51.100.10 outside of the stand-in, which checks look at",
        ),
        (
            ["--all"],
            "down: everything of the stand-in clouds (blackhole): 4 of the stand-in's addresses (203.0.113.1, "
            "203.0.113.2, 203.0.113.17, 203.0.113.18)",
        ),
    ],
)
def test_down_says_what_is_down_and_what_that_hits(directory: Path, arguments: list[str], says: str) -> None:
    assert weather("down", *arguments) == says
    assert len(forecast.read(directory).down) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name what goes down with --region, --cloud or --address, or everything with --all"),
        (["--kind", "slow"], "name what goes down with --region"),
        (["--all", "--region", "us-east-1"], "--all: not together with --region"),
        (["--region", "us-esat-1"], "--region us-esat-1: fits no region of any cloud (did you mean us-east-1?)"),
        (["--all", "--kind", "foo"], "--kind = foo: allowed are refused, blackhole, error, slow"),
    ],
)
def test_down_without_a_target_or_of_an_unknown_kind_changes_nothing(
    directory: Path, arguments: list[str], says: str
) -> None:
    with pytest.raises(SpillwayError) as caught:
        weather("down", *arguments)
    (line,) = caught.value.lines
    assert line.startswith(says)
    assert forecast.read(directory).down == ()


def test_down_before_anything_is_deployed_says_that_nothing_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPILLWAY_SANDBOX_DIR", str(tmp_path / "new"))
    assert weather("down", "--region", "us-east-1").endswith("no address of the stand-in is there now")


def test_up_undoes_what_its_options_name_and_then_the_rest(directory: Path) -> None:
    weather("down", "--region", "us-east-1")
    weather("down", "--address", "198.51.100.10", "--kind", "error")
    assert weather("up", "--region", "us-east-1") == "up again: region us-east-1 (blackhole)"
    with pytest.raises(
        SpillwayError, match=r"no entry fits --region .?mars.?; down is: address 198.51.100.10 \(error\)"
    ):
        weather("up", "--region", "mars")
    assert weather("up") == "up again: address 198.51.100.10 (error)"
    assert forecast.read(directory).down == ()
    assert weather("up") == "nothing is down"
    assert weather("up", "--region", "us-east-1") == "nothing is down"


# --- name servers ---


def test_serving_a_provider_that_holds_no_service_says_which_do(directory: Path) -> None:
    result = CliRunner().invoke(app, ["dns", "serve", "--provider", "cloudflare", "--port", "0"])
    assert isinstance(result.exception, SpillwayError)
    (line,) = result.exception.lines
    assert line.startswith("--provider = cloudflare: the stand-in holds no service of it; it holds route53: ")
    assert SERVICE in line


def test_what_is_served_is_told_with_its_provider(directory: Path) -> None:
    snapshot = Snapshot.load(directory)
    balancer: dict[str, Any] = {"name": SERVICE, "zoneId": "cf", "zoneName": "example.com", "proxied": False}
    balancer |= {"defaultPools": ["p"], "fallbackPool": "p", "ttl": 30, "steeringPolicy": "off"}
    origins = [{"name": "a", "address": "203.0.113.1", "weight": 1, "enabled": True}]
    snapshot.resources[POOL] = [dns_zone.resource(POOL, "p", name="east", origins=origins)]
    snapshot.resources[LOAD_BALANCER] = [dns_zone.resource(LOAD_BALANCER, "lb", **balancer)]
    snapshot.resources[DNS_RECORD] = []

    def told(provider: str) -> str:
        return served(Authority(snapshot, Clock(), Scripted(), delegated=provider), provider)

    assert f"cloudflare: {SERVICE}" in told("cloudflare")
    assert told("route53").startswith("route53: ")
    with pytest.raises(SpillwayError, match="--provider = traffic-manager: the stand-in holds no service of it"):
        told("traffic-manager")


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--client-region", "us-esat-1", "--client-region = us-esat-1: no such AWS region (did you mean us-east-1?)"),
        ("--client-region", "mars", "--client-region = mars: no such AWS region, such as us-east-1 or eu-central-1"),
        ("--provider", "bind", "--provider = bind: allowed are route53, cloudflare, traffic-manager"),
    ],
)
def test_serving_takes_no_unknown_region_or_provider(directory: Path, option: str, value: str, says: str) -> None:
    result = CliRunner().invoke(app, ["dns", "serve", option, value])
    assert str(result.exception) == says


# --- help ---


@pytest.mark.parametrize(
    ("group", "name"),
    [
        *[("sandbox weather", name) for name in ("show", "sold-out", "quota", "fault", "down", "up", "clear")],
        ("sandbox dns", "serve"),
        ("sandbox", "weather"),
        ("dns", "watch"),
    ],
)
def test_lines_of_the_lists_of_commands_are_whole_at_80_columns(
    group: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*group.split(), "--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:")[2].splitlines()
    (line,) = (text for text in listed if text.split()[:1] == [name])
    assert line.endswith(".")
    assert not line.endswith("...")
