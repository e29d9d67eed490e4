"""`spillway dns checkers`: the networks that a firewall in front of a site has to let in."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from spillway.dns_checkers import checkers
from spillway.errors import SpillwayError
from tests.unit.stack_data import STACKS

app = typer.Typer()
app.command("checkers")(checkers)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["--stacks", str(STACKS), *arguments], catch_exceptions=False)


def data(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("--json", *arguments).stdout)
    return found


def test_the_stacks_own_provider_is_meant_and_a_firewall_can_read_the_lines() -> None:
    done = run()
    assert done.exit_code == 0
    networks = [IPv4Network(line) for line in done.stdout.splitlines()]
    assert IPv4Network("15.177.0.0/18") in networks
    assert "route53, as of 20" in done.stderr
    assert data("--stack", "global-cloudflare")["networks"] == data("--provider", "cloudflare")["networks"]
    assert [str(network) for network in networks] == data("--provider", "route53")["networks"]


def test_traffic_manager_is_a_service_tag_with_its_source() -> None:
    assert "AzureTrafficManager" in run("--provider", "traffic-manager").stdout
    found = data("--stack", "global-traffic-manager")
    assert (found["serviceTag"], found["networks"]) == ("AzureTrafficManager", [])


def test_an_unknown_provider_is_one_clear_line() -> None:
    with pytest.raises(SpillwayError) as error:
        run("--provider", "route5")
    assert error.value.lines == (
        "--provider route5: has to be route53, cloudflare or traffic-manager (did you mean route53?)",
    )
