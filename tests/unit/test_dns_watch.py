"""`spillway dns watch`, on a zone served on loopback and on the stand-in's."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from sandbox import forecast
from sandbox.dns.running import Running
from sandbox.dns.serve import Responder, serving
from spillway import dns_ask, dns_watch
from spillway.dns_ask import Asker, ready
from spillway.dns_members import Member, parse
from spillway.dns_tally import Look, Tally
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


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, SpillwayError):
        raise result.exception
    assert result.exit_code == 0, result.output
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
        (["--sandbox", "--client-region", "mars"], "--client-region = mars: no such AWS region"),
        (["--sandbox", "--name-server", "192.0.2.1"], "--name-server: not with --sandbox"),
        (["--client-region", "us-east-1"], "--client-region: only with --sandbox"),
    ],
)
def test_what_makes_no_sense_is_one_line(directory: Path, arguments: list[str], says: str) -> None:
    with pytest.raises(SpillwayError) as caught:
        run(*arguments, "--once")
    assert len(caught.value.lines) == 1
    assert says in caught.value.lines[0]


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


# --- members' own word ---


@contextmanager
def https(
    tmp_path: Path, status: int, oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2, *, endless: bool = False
) -> Iterator[tuple[int, list[tuple[str | None, str]]]]:
    """A member on loopback with a certificate of its own; gives its port, and (SNI, Host) of what it was asked.

    oldest: the TLS version below which it does not go. endless: its answer's body never ends."""
    key, certificate = _certificate(tmp_path)
    seen: list[tuple[str | None, str]] = []
    names: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((names[-1] if names else None, self.headers["Host"]))
            self.send_response(status)
            self.end_headers()
            with contextlib.suppress(OSError):  # until the asker has gone
                while endless:
                    self.wfile.write(b".")
                    time.sleep(0.05)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = oldest
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _, name, __: names.append(name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody else")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=9)).not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    files = folder / "key.pem", folder / "certificate.pem"
    files[0].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    files[1].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return files


@pytest.mark.parametrize(("status", "says"), [(200, "ready"), (302, "answers 302"), (503, "answers 503")])
def test_a_member_is_asked_by_address_with_the_services_name(tmp_path: Path, status: int, says: str) -> None:
    with https(tmp_path, status) as (port, seen):
        assert ready("127.0.0.1", port, "/readyz", SERVICE) == says
    assert seen == [(SERVICE, SERVICE)]  # and an expired certificate of somebody else does not matter


def test_a_member_that_speaks_tls_1_3_alone_is_not_ready_for_route53s_checkers(tmp_path: Path) -> None:
    with https(tmp_path, 200, ssl.TLSVersion.TLSv1_3) as (port, _):
        assert ready("127.0.0.1", port, "/readyz", SERVICE) == "only TLS 1.3"


def test_a_body_that_never_ends_keeps_nobody_waiting(tmp_path: Path) -> None:
    began = time.monotonic()
    with https(tmp_path, 200, endless=True) as (port, _):
        assert ready("127.0.0.1", port, "/readyz", SERVICE) == "ready"
        assert time.monotonic() - began < 5


def test_an_address_or_a_path_that_makes_no_url_is_a_word() -> None:
    assert ready("127.0.0.1\n", 443, "/readyz", SERVICE) == "InvalidURL"


def test_a_member_that_does_not_listen_or_speaks_no_tls() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert ready("127.0.0.1", closed.getsockname()[1], "/readyz", SERVICE) == "refused"


# --- tallies ---


def test_shares_are_of_the_latest_answers_and_strangers_are_named() -> None:
    tally = Tally([Member("a", ("192.0.2.1",)), Member("b", ("192.0.2.2", "192.0.2.3"))], window=4)
    assert tally.add(Look(1, [("192.0.2.1",)] * 4, 10, {})) == []
    lines = tally.add(Look(2, [("192.0.2.2",), ("192.0.2.3",), ("192.0.2.99",)], 10, {"192.0.2.1": "silent"}))
    assert "a: answers no more" in lines
    assert "b: answers" in lines
    assert "192.0.2.99: answers" in lines
    rows = {row.name: row for row in tally.rows()}
    assert [rows[n].share for n in ("a", "b", "192.0.2.99")] == [0.25, 0.5, 0.25]
    assert rows["a"].since == 2
    assert rows["a"].health == "silent"


def test_a_round_without_answers_changes_nobodys_standing() -> None:
    tally = Tally([Member("a", ("192.0.2.1",))])
    tally.add(Look(1, [("192.0.2.1",)], 10, {}))
    assert tally.add(Look(2, [], None, {}, faults=["silent"])) == []
    assert tally.leads() == "a 100%"


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
