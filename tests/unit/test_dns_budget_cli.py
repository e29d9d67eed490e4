"""`spillway dns budget`: what it prints for people and for programs, what it refuses, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from infra.faults import ConfigError
from spillway.dns_budget import budget
from spillway.errors import SpillwayError

app = typer.Typer()
app.command("budget")(budget)

STACK = """\
config:
  spillway:global:
    zone: {name: example.com}
    dns: {provider: route53, ttlSeconds: 10, objectiveSeconds: 60, check: {intervalSeconds: 10, threshold: 2}}
    route53: {account: "123456789012"}
    services: [{name: llm.example.com, policy: priority}]
    members: [{name: aws-us-east-1, stack: aws-us-east-1, priority: 1}]
"""


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.global.yaml").write_text(STACK)
    return tmp_path


def run(*arguments: str, failures: int = 400) -> Result:
    return CliRunner().invoke(app, ["--failures", str(failures), *arguments], catch_exceptions=False)


def data(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("--json", *arguments).output)
    return found


def refused(*arguments: str) -> tuple[str, ...]:
    with pytest.raises(SpillwayError) as error:
        run(*arguments)
    return error.value.lines


def test_a_stack_that_meets_its_objective_is_told_so(stacks: Path) -> None:
    done = run("--stacks", str(stacks))
    assert done.exit_code == 0
    assert "Failover budget: Route 53, every 10 s, 2 failures in a row, TTL 10 s" in done.output
    assert "✓ objective 60 s is met" in done.output
    [silent] = [line for line in done.output.splitlines() if line.startswith("silent ") and "37.6" in line]
    assert silent.split() == ["silent", "26.4", "27.6", "28.1", "5.0", "9.5", "10.0", "31.3", "36.1", "38.1", "37.6"]


def test_a_missed_objective_is_shown_with_what_would_do_and_exit_code_1(stacks: Path) -> None:
    done = run("--stacks", str(stacks), "--ttl", "60", "--threshold", "3")
    assert done.exit_code == 1
    assert "✗ objective 60 s is missed" in done.output
    assert "would meet it: ttlSeconds 18" in done.output
    assert "changed by options" in done.output


def test_a_stack_file_that_misses_its_objective_can_be_looked_at(stacks: Path) -> None:
    path = stacks / "Pulumi.global.yaml"
    path.write_text(path.read_text().replace("objectiveSeconds: 60", "objectiveSeconds: 20"))
    done = run("--stacks", str(stacks))
    assert done.exit_code == 1
    assert "✗ objective 20 s is missed" in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("--provider", "route53"),
        ("--provider", "route53", "--interval", "30", "--ttl", "300", "--threshold", "10"),
        ("--provider", "traffic-manager", "--compare"),
        ("--provider", "cloudflare", "--plan", "enterprise", "--proxied", "--failover-across-pools"),
    ],
)
def test_eighty_columns_are_enough(arguments: tuple[str, ...]) -> None:
    """Tables and picture; only an address may be longer, so that it can be clicked."""
    for line in run(*arguments).output.splitlines():
        assert len(line.rstrip()) <= 80 or "https://" in line, line
        assert "…" not in line


def test_the_picture_reaches_full_height_when_all_have_moved(stacks: Path) -> None:
    lines = run("--stacks", str(stacks)).output.splitlines()
    [refused_line] = [line for line in lines if line.startswith("refused  ") and "│" in line]
    cells = refused_line.partition("│")[2]
    assert len(cells) == 60
    assert cells[:19].strip() == ""  # one column is a second: nobody moves before two probes have failed
    assert cells[31:] == "█" * 29  # and after the longest detection and the TTL nobody is left
    assert "objective 60 s ▲" in "\n".join(lines)


def test_a_terminal_without_block_characters_gets_plain_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rich.console.Console.encoding", property(lambda _: "ascii"))
    output = run("--provider", "route53", "--objective", "10").output
    assert output.isascii()
    assert "!! objective 10 s is missed" in output


def test_json_holds_what_was_computed_simulated_and_assumed(stacks: Path) -> None:
    found = data("--stacks", str(stacks), "--seed", "3")
    assert found["failures"]["blackhole"]["detection"]["p95"] == 27.6
    assert found["simulated"]["blackhole"]["p95"] == pytest.approx(27.6, abs=0.3)
    assert (found["simulated"]["failures"], found["simulated"]["seed"]) == (400, 3)
    assert (found["met"], found["promiseSeconds"], found["objectiveSeconds"]) == (True, 37.6, 60)
    assert found["assumed"]
    assert found == data("--stacks", str(stacks), "--seed", "3")


def test_json_keeps_the_exit_code() -> None:
    done = run("--json", "--provider", "route53", "--objective", "30")
    assert (done.exit_code, json.loads(done.output)["met"]) == (1, False)


def test_providers_stand_beside_each_other() -> None:
    found = {entry["name"]: entry for entry in data("--provider", "route53", "--compare")["compared"]}
    assert found["Route 53"]["promiseSeconds"] == 37.6
    assert found["Route 53: its defaults"]["met"] is False
    assert found["Cloudflare, proxied: and across pools"]["failures"]["refused"]["p95PlusTtl"] == 0.1
    shown = run("--provider", "route53", "--compare").output
    assert "Beside each other" in shown
    assert "Cloud DNS is not offered" in " ".join(shown.split())


def test_the_assumptions_of_each_provider_are_printed() -> None:
    assert "(published: a dozen or so)" in run("--provider", "route53").output
    assert "one probing region decides" in run("--provider", "traffic-manager").output
    assert "counts consecutive_down for itself" in " ".join(run("--provider", "cloudflare").output.split())


def test_what_a_provider_does_not_take_is_one_line_each() -> None:
    assert refused("--provider", "route53", "--interval", "12", "--timeout", "3") == (
        "--interval 12: has to be 10 or 30 for Route 53",
        "--timeout 3: has to be left out: Route 53's checkers wait 4 s for a connection and 2 s for the answer, always",
    )
    assert refused("--provider", "cloudflare", "--ttl", "5") == ("--ttl 5: has to be 30 to 600 for Cloudflare",)
    assert refused("--provider", "cloudflare", "--plan", "gold")[0].startswith("--plan gold: has to be free, pro")
    assert refused("--provider", "route53", "--plan", "pro") == ("--plan pro: goes with dns.provider cloudflare only",)
    assert refused("--addresses", "21") == ("--addresses 21: has to be 1 to 20",)
    assert refused("--addresses", "0") == ("--addresses 0: has to be 1 to 20",)
    assert refused("--provider", "cloudflare", "--failover-across-pools")[0].startswith("--failover-across-pools true")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--provider", "rout53"), "--provider rout53: has to be route53, cloudflare or traffic-manager (did you mean"),
        (("--provider", "route53", "--interval", "0"), "--interval 0.0: has to be above 0"),
        (("--provider", "route53", "--threshold", "-1"), "--threshold -1: has to be above 0"),
        (("--provider", "route53", "--ttl", "nan"), "--ttl nan: has to be 0 or more"),
        (("--provider", "route53", "--objective", "0"), "--objective 0: has to be above 0"),
        (("--provider", "route53", "--failures", "0"), "--failures 0: has to be 1 to"),
    ],
)
def test_an_option_without_meaning_is_one_line(arguments: tuple[str, ...], line: str) -> None:
    [told] = refused(*arguments)
    assert told.startswith(line)


def test_dns_only_takes_a_proxied_stack_with_the_least_ttl(tmp_path: Path) -> None:
    text = STACK.replace("route53", "cloudflare").replace("ttlSeconds: 10, ", "")
    text = text.replace('{account: "123456789012"}', '{account: "0123456789abcdef0123456789abcdef", plan: enterprise}')
    (tmp_path / "Pulumi.global.yaml").write_text(text)
    assert data("--stacks", str(tmp_path))["ttlSeconds"] is None
    assert data("--stacks", str(tmp_path), "--dns-only")["ttlSeconds"] == 30


def test_a_stack_without_a_budget_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.aws-us-east-1.yaml").write_text("config:\n  spillway:region: {}\n")
    (tmp_path / "Pulumi.global.yaml").write_text(STACK.replace("    route53: {", "    cloudflare: {"))
    told = refused("--stacks", str(tmp_path), "--stack", "nowhere")
    assert told == (f"{tmp_path}/Pulumi.nowhere.yaml: there is no such file; --provider computes without one",)
    [told_region] = refused("--stacks", str(tmp_path), "--stack", "aws-us-east-1")
    assert told_region.endswith("spillway:global: missing; only a global stack has a failover budget")
    assert all(
        line.startswith("stacks/Pulumi.global.yaml: spillway:global") for line in refused("--stacks", str(tmp_path))
    )


def test_faults_of_the_file_are_told_as_everywhere(stacks: Path) -> None:
    path = stacks / "Pulumi.global.yaml"
    path.write_text(path.read_text().replace("threshold: 2", "treshold: 2"))
    with pytest.raises(ConfigError) as error:
        run("--stacks", str(stacks))
    assert "dns.check.treshold" in error.value.lines[0]
    path.write_text(STACK.replace("intervalSeconds: 10", "intervalSeconds: 20"))
    assert refused("--stacks", str(stacks)) == (
        "stacks/Pulumi.global.yaml: spillway:global.dns.check.intervalSeconds = 20: has to be 10 or 30 for Route 53",
    )
