"""`spillway dns watch`, on a zone served on loopback and on the stand-in's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from sandbox import forecast
from sandbox.dns.running import Running
from sandbox.dns.serve import Responder, serving
from spillway import dns_ask, dns_watch
from spillway.dns_ask import Asker
from spillway.dns_members import from_stack, parse
from spillway.errors import SpillwayError
from tests.support import dns_zone
from tests.support.dns_zone import SERVICE

app = typer.Typer()
app.command()(dns_watch.watch)
MEMBERS = {name: {"addresses": list(found), "region": name} for name, found in dns_zone.MEMBERS.items()}


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = dns_zone.sandbox(tmp_path / "sandbox")
    monkeypatch.setenv("SPILLWAY_SANDBOX_DIR", str(found))
    return found


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, SpillwayError):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


# --- the stand-in ---


def test_once_as_json_tells_who_answers(directory: Path) -> None:
    told = json.loads(run(SERVICE, "--sandbox", "--once", "--json"))
    assert (told["service"], told["provider"], told["ttl"]) == (SERVICE, "route53", 10)
    rows = {member["name"]: member for member in told["members"]}
    assert rows["aws-us-east-1"]["share"] == 1
    assert rows["aws-us-east-1"] | {"health": "ready", "checked": "healthy"} == rows["aws-us-east-1"]
    assert rows["aws-us-west-2"]["share"] == 0
    assert set(rows) == {"aws-us-east-1", "aws-us-west-2", "198.51.100.10"}
    assert told["faults"] == []


def test_once_in_bad_weather_shows_the_member_that_took_over(directory: Path) -> None:
    forecast.add(directory, "down", {"region": "us-east-1", "kind": "error"})
    told = json.loads(run("--sandbox", "--once", "--json"))  # the only service needs no name
    rows = {member["name"]: member for member in told["members"]}
    assert rows["aws-us-east-1"]["health"] == "answers 503"
    assert rows["aws-us-east-1"]["checked"] == "unhealthy"
    assert rows["aws-us-west-2"]["share"] == 1
    assert "SECONDARY, as the primary is unhealthy" in told["path"][0]


def test_members_of_a_file_name_the_answers(directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "members.json"
    file.write_text(json.dumps({"services": {SERVICE: {"policy": "priority", "tiers": [["onprem"], ["aws-us-east-1"]]}},
                                "members": MEMBERS}))  # fmt: skip
    told = json.loads(run("--sandbox", "--once", "--json", "--members", str(file)))
    assert [member["name"] for member in told["members"]] == ["onprem", "aws-us-east-1"]


def test_the_table_names_members_and_health(directory: Path) -> None:
    text = run(SERVICE, "--sandbox", "--once")
    for word in ("aws-us-east-1", "ready", "healthy", "100%", "route53, TTL 10 s", "PRIMARY"):
        assert word in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nope.example.com", "--sandbox"], "nope.example.com: no such service; there are llm.example.com"),
        (["--sandbox", "--client-region", "mars"], "--client-region = mars: no such AWS region, such as us-east-1"),
        (["--sandbox", "--client-region", "us-esat-1"], "us-esat-1: no such AWS region (did you mean us-east-1?)"),
        (["--name-server", "192.0.2.1:dns"], "--name-server = 192.0.2.1:dns: has to be a name or an address"),
        (["--sandbox", "--name-server", "192.0.2.1"], "--name-server: not with --sandbox"),
        (["--client-region", "us-east-1"], "--client-region: only with --sandbox"),
    ],
)
def test_what_makes_no_sense_is_one_line(directory: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(SpillwayError) as caught:
        run(*arguments, "--once")
    assert len(caught.value.lines) == 1
    assert says in caught.value.lines[0]


def global_outputs(**more: Any) -> dict[str, Any]:
    """As the global stack exports them when the first region is drained."""
    services = {SERVICE: {"policy": "priority", "residency": None, "tiers": [["aws-us-west-2"], ["onprem"]]}}
    members = {name: {**value, "residency": "us"} for name, value in MEMBERS.items()}
    return {"services": services, "members": members, "drained": ["aws-us-east-1"], "provider": "route53", **more}


def drained_world(directory: Path, tmp_path: Path) -> Path:
    """The stand-in's zone without records of the drained region, and a file with the outputs."""
    west_alone = [dns_zone.record(SERVICE, aliases=dns_zone.alias(f"aws-us-west-2.{SERVICE}"))]
    dns_zone.sandbox(tmp_path / "drained", dns_zone.everything(west_alone))
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(global_outputs()))
    return file


def test_a_drained_member_is_a_row_with_its_health_and_no_share(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = drained_world(directory, tmp_path)
    monkeypatch.setenv("SPILLWAY_SANDBOX_DIR", str(tmp_path / "drained"))
    arguments = (SERVICE, "--sandbox", "--once", "--members", str(file))
    rows = {member["name"]: member for member in json.loads(run(*arguments, "--json"))["members"]}
    assert list(rows) == ["aws-us-west-2", "onprem", "aws-us-east-1"]
    assert (
        rows["aws-us-east-1"] | {"drained": True, "share": 0, "health": "ready", "checked": "healthy"}
        == rows["aws-us-east-1"]
    )
    assert not rows["aws-us-west-2"]["drained"]
    (line,) = (text for text in run(*arguments).splitlines() if text.startswith("aws-us-east-1"))
    assert line.split() == ["aws-us-east-1", "aws-us-east-1", "ready", "healthy", "drained"]


def test_a_drained_member_that_is_still_answered_shows_its_share_too(directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(global_outputs()))  # the zone in `directory` still leads to it
    text = run(SERVICE, "--sandbox", "--once", "--members", str(file))
    assert "drained, still 100%" in text


def test_a_drained_member_belongs_only_where_the_services_residency_lets_it_come_back() -> None:
    outputs = global_outputs()
    outputs["services"]["eu.example.com"] = {"policy": "latency", "residency": "eu", "tiers": [["onprem"]]}
    known = parse(outputs, "outputs")
    assert [member.name for member in known.of("eu.example.com")] == ["onprem"]
    assert [member.name for member in known.of(SERVICE)][-1] == "aws-us-east-1"


def test_once_ends_with_1_when_nobody_answered_and_still_prints(directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "members.json"
    file.write_text(json.dumps({"services": {"gone.example.com": {"tiers": [["onprem"]]}}, "members": MEMBERS}))
    told = json.loads(run("gone.example.com", "--sandbox", "--once", "--json", "--members", str(file), code=1))
    assert told["answers"] == 0
    assert told["faults"] == ["gone.example.com: NXDOMAIN, no address"]
    assert "NXDOMAIN" in run("gone.example.com", "--sandbox", "--once", "--members", str(file), code=1)


def test_a_canary_never_flaps_and_a_switch_is_seen_at_once_with_its_shares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = dns_zone.weighted({"aws-us-east-1": 98, "aws-us-west-2": 2})
    found = dns_zone.sandbox(tmp_path / "sandbox", dns_zone.everything(top))
    monkeypatch.setenv("SPILLWAY_SANDBOX_DIR", str(found))
    waited: list[float] = []

    def wait(self: Any, seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 100:
            forecast.add(found, "down", {"region": "us-east-1"})
        if len(waited) == 104:
            raise KeyboardInterrupt
        self._running.clock.settle(20 if len(waited) >= 100 else 1)

    monkeypatch.setattr(dns_watch.StandIn, "wait", wait)
    told = [line.split(" ", 1)[1].removeprefix(f"{SERVICE}: ") for line in run(SERVICE, "--sandbox").splitlines()]
    assert told[0].startswith(f"{SERVICE} -> aws-us-east-1 9")
    assert told[1] == "aws-us-east-1: silent (was ready)"
    assert told[2:] == ["aws-us-east-1: answers no more", f"{SERVICE} -> aws-us-west-2 100% (TTL 10 s)"]


def test_a_region_stack_is_said_to_be_none_that_can_be_watched(directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "region.json"
    file.write_text(json.dumps({"image": {"id": "ami-1"}, "endpoint": {"hostname": "h"}, "region": "us-east-1"}))
    with pytest.raises(SpillwayError, match="neither the outputs of a global stack nor a map of members") as caught:
        run(SERVICE, "--sandbox", "--once", "--members", str(file))
    assert len(caught.value.lines) == 1


@pytest.mark.parametrize("sandbox", [True, False])
def test_outputs_of_a_region_stack_are_no_global_stacks(monkeypatch: pytest.MonkeyPatch, sandbox: bool) -> None:
    from spillway import engine
    from spillway.recovery import pulumi

    class Stack:
        def __init__(self, *_: object) -> None:
            pass

        def must(self, *_: str) -> str:
            return json.dumps({"image": {"id": "ami-1"}, "endpoint": {"hostname": "h"}})

    class Somewhere:
        path = Path()

        def __init__(self, *_: object) -> None:
            pass

        def sync(self) -> None:
            pass

        def environment(self, *_: object) -> dict[str, str]:
            return {}

    monkeypatch.setattr(engine, "ensure_engine", Somewhere)
    monkeypatch.setattr(pulumi, "Stack", Stack)
    monkeypatch.setattr("sandbox.project.Project", Somewhere)
    with pytest.raises(SpillwayError, match="aws-us-east-1: has no outputs members and services: it is not a global"):
        from_stack("aws-us-east-1", sandbox=sandbox)


def test_without_a_login_the_line_says_what_works_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise SpillwayError("global: reading its outputs: PULUMI_ACCESS_TOKEN must be set for login")

    monkeypatch.setattr(dns_watch, "from_stack", refuse)
    with pytest.raises(SpillwayError, match="for login: `pulumi login`, or watch with --sandbox or --members FILE"):
        run(SERVICE, "--once")


def test_an_empty_sandbox_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPILLWAY_SANDBOX_DIR", str(tmp_path / "none"))
    with pytest.raises(SpillwayError, match="bring the stack global up first"):
        run(SERVICE, "--sandbox", "--once")


def test_ctrl_c_ends_cleanly_and_changes_are_lines(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def wait(self: Any, seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 1:
            forecast.add(directory, "down", {"region": "us-east-1"})
        if len(waited) == 5:
            raise KeyboardInterrupt
        self._running.clock.settle(20)  # time flies

    monkeypatch.setattr(dns_watch.StandIn, "wait", wait)
    lines = run(SERVICE, "--sandbox", "--interval", "0.5").splitlines()
    assert set(waited) == {0.5}
    told = [line.split(" ", 1)[1] for line in lines]
    assert told[0] == f"{SERVICE} -> aws-us-east-1 100% (TTL 10 s)"
    assert f"{SERVICE}: aws-us-east-1: silent (was ready)" in told
    assert f"{SERVICE}: aws-us-east-1: answers no more" in told
    assert f"{SERVICE}: aws-us-west-2: answers" in told


# --- a zone behind real name servers ---


@pytest.fixture
def zone(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The zone on loopback, with an answer of its own for members that can be probed here."""
    with serving(Responder(Running(directory), "us-east-1"), 0) as port:
        yield port


def test_every_name_server_is_asked_and_weights_show(zone: int) -> None:
    heard = Asker(["127.0.0.1"], zone).ask(f"aws-us-east-1.{SERVICE}", times=20)
    assert {h.server for h in heard} == {"127.0.0.1"}
    assert {h.addresses for h in heard} == {("203.0.113.1",), ("203.0.113.2",)}
    assert {h.ttl for h in heard} == {10}


def test_a_silent_name_server_is_told_and_does_not_stop_the_others(zone: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_ask, "QUERY_SECONDS", 0.2)
    found = {h.server: h for h in Asker(["127.0.0.1", "127.0.0.99"], zone).ask(SERVICE)}
    assert found["127.0.0.1"].addresses
    assert found["127.0.0.99"].fault is not None
    assert "no answer from 127.0.0.99" in found["127.0.0.99"].fault


def test_a_name_that_is_not_there_is_said_to_be(zone: int) -> None:
    assert Asker(["127.0.0.1"], zone).ask("no.example.com")[0].rcode == "NXDOMAIN"


def test_a_real_zone_is_watched_with_the_members_own_word(
    zone: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Here(Asker):
        def __init__(self, servers: Any = ()) -> None:
            super().__init__(servers, zone)

    monkeypatch.setattr(dns_ask, "Asker", Here)
    monkeypatch.setattr(
        dns_ask, "probe_all", lambda targets, host: {a: f"{host}:{port}{path}" for a, port, path in targets}
    )
    file = tmp_path / "members.json"
    file.write_text(
        json.dumps({"members": MEMBERS, "services": {}, "nameServers": ["127.0.0.1"], "provider": "route53"})
    )
    told = json.loads(run(SERVICE, "--members", str(file), "--once", "--json"))
    assert told["nameServers"] == ["127.0.0.1"]
    rows = {member["name"]: member for member in told["members"]}
    assert rows["aws-us-east-1"]["share"] == 1
    assert rows["aws-us-east-1"]["health"] == f"{SERVICE}:443/readyz"
    assert rows["aws-us-east-1"]["checked"] is None  # what the provider thinks is not told by DNS


def test_a_name_server_at_another_port_can_be_named(zone: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_ask, "probe_all", lambda targets, host: {})
    file = tmp_path / "members.json"
    file.write_text(json.dumps(MEMBERS))
    arguments = ("--members", str(file), "--once", "--json", "--name-server", f"127.0.0.1:{zone}")
    told = json.loads(run(SERVICE, *arguments))
    assert told["nameServers"] == [f"127.0.0.1:{zone}"]
    assert {m["name"]: m["share"] for m in told["members"]}["aws-us-east-1"] == 1


# --- members of a file ---


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ([], "has to be a map of members"),
        ({"services": {}}, "members: has to be a map"),
        ({"members": {"a": {"addresses": "192.0.2.1"}}}, "members.a.addresses: has to be a list"),
        ({"a": {"addresses": ["192.0.2.1"], "port": 0.5}}, "members.a.port = 0.5"),
        ({"a": {"addresses": ["192.0.2.1"], "healthPath": "ready"}}, "members.a.healthPath = "),
        ({"a": ["192.0.2.1/24"]}, "192.0.2.1/24 is no IP address"),
        ({"members": {"a": ["192.0.2.1"]}, "services": [1]}, "services: has to be a map"),
        ({"members": {"a": ["192.0.2.1"]}, "services": {"s": None}}, "services.s.tiers: has to be a list"),
        ({"members": {"a": ["192.0.2.1"]}, "services": {"s": {"tiers": 5}}}, "services.s.tiers: has to be a list"),
        ({"members": {"a": ["192.0.2.1"]}, "nameServers": 5}, "nameServers: has to be a list"),
    ],
)
def test_members_that_are_none_are_refused(outputs: Any, says: str) -> None:
    with pytest.raises(SpillwayError, match=r"members\.json") as caught:
        parse(outputs, "members.json")
    assert says in caught.value.lines[0]


def test_the_command_ends_without_a_traceback_on_an_interrupt(directory: Path) -> None:
    """As a person does it: a process of its own, and SIGINT."""
    import signal
    import sys

    code = "from tests.unit.test_dns_watch import app; app()"
    command = [sys.executable, "-c", code, SERVICE, "--sandbox", "--interval", "0.2"]
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    assert "-> aws-us-east-1 100%" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
