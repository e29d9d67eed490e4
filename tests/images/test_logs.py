"""What leaves a node with its logs: planted keys and prompts do not."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from images import node, tree, versions
from images.programs import logs
from images.programs.journal import Journal
from images.programs.reporting import agent
from images.render import render_node_json
from tests.support.node.gate import config

ROOTFS = Path(tree.__file__).parent / "rootfs"
SCRIPT = ROOTFS / "etc" / "fluent-bit" / "redact.lua"
LUA = shutil.which("lua5.1") or shutil.which("luajit")
needs_lua = pytest.mark.skipif(LUA is None, reason="Lua 5.1 is not installed (lua5.1)")
KEYS = [
    "sk-proj-4a1B2c3D4e5F6g7H8i9J0",
    "sk-short1",
    "k3y0f4cu5t0m3rXXXXXXXXXXXXXXXXXX",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "AKIAIOSFODNN7EXAMPLE1",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
]
PROMPT = "My mother's maiden name is Rosenblatt and I owe 4711 euros"


def lua(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"[{lua(key)}]={lua(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nil"}[value]
    if isinstance(value, int | float):
        return repr(value)
    return '"' + "".join(f"\\{byte:03d}" for byte in str(value).encode()) + '"'


def leaves(tag: str, **record: Any) -> dict[str, str] | None:
    """The record as it leaves, None when it stays."""
    assert LUA
    done = subprocess.run(
        [LUA, str(Path(__file__).parent / "redact_run.lua"), str(SCRIPT), tag],
        input=lua(record), capture_output=True, encoding="utf-8", timeout=10,
        check=False,
        env={"LOGS_STACK": "aws-us-east-1", "LOGS_NODE": "i-0123456789abcdef0", "LOGS_CLOUD": "aws"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code, *lines = done.stdout.removesuffix("\n").split("\n")
    return dict(line.split("\t", 1) for line in lines) if code == "2" else None


ACCESS = {
    "time": "2026-11-26T08:00:00+00:00", "id": "0af7651916cd43dd8448eb211c80319c", "client": "10.1.2.3",
    "key": "team-a",
    "method": "POST", "path": "/v1/chat/completions", "protocol": "HTTP/2.0", "tls": "TLSv1.3", "status": 200,
    "refused": "", "bytesIn": 512, "bytesOut": 2048, "seconds": 1.25, "engineStatus": "200",
    "engineHeaderSeconds": "0.200", "engineSeconds": "1.240",
}  # fmt: skip


@needs_lua
def test_an_access_line_leaves_with_who_what_and_how_long() -> None:
    found = leaves("access", **ACCESS)
    assert found
    assert found["stack"] == "aws-us-east-1"
    assert found["kind"] == "access"
    for name in ("time", "id", "client", "key", "method", "path", "tls", "engineSeconds"):
        assert found[name] == ACCESS[name]
    assert float(found["status"]) == 200
    assert "protocol" not in found


@needs_lua
@pytest.mark.parametrize("key", KEYS)
def test_a_key_in_a_path_or_a_header_field_does_not_leave(key: str) -> None:
    planted = ACCESS | {
        "path": f"/v1/models/{key}", "method": key, "id": key, "protocol": key, "refused": key, "key": key,
        "authorization": f"Bearer {key}", "body": PROMPT, "query": f"api_key={key}",
    }  # fmt: skip
    found = leaves("access", **planted)
    assert found
    assert key not in str(found)
    assert "Rosenblatt" not in str(found)
    assert found["path"] == found["method"] == "other"


@needs_lua
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "around",
    [
        "refused: {}", "Authorization: Bearer {}", "authorization=basic {}", '{{"api_key": "{}"}}', "API-Key = {}",
        "https://user:{}@store.example.com/x", "https://store.example.com/x?sig={}&se=1", "TOKEN:{}",
        "-----BEGIN PRIVATE KEY----- {}",
    ],
)  # fmt: skip
def test_a_key_in_a_programs_text_does_not_leave(key: str, around: str) -> None:
    for tag, record in (
        ("program", {"program": "secrets", "event": "keys unusable", "detail": around.format(key), "hash": key}),
        ("audit", {"SYSLOG_IDENTIFIER": "sudo", "MESSAGE": around.format(key)}),
    ):
        found = leaves(tag, **record)
        assert found, "what happened leaves; what it was about does not"
        if key == "sk-short1" or len(key) >= 20 or "refused" not in around:
            assert key not in str(found), found


@needs_lua
@pytest.mark.parametrize(
    "text",
    [
        "sent bearer hunter2", "sent Basic aHVudGVyMg==", "password=hunter2", '{"prompt": "hunter2 and more"}',
        "https://ann:hunter2@store.example.com/x", "GET /x?sig=hunter2", "-----BEGIN KEY----- hunter2", "sk-hunter2",
    ],
)  # fmt: skip
def test_a_short_secret_is_known_by_what_stands_before_it(text: str) -> None:
    found = leaves("program", program="gate", event="x", detail=text)
    assert found
    assert not {"hunter2", "aHVudGVyMg"} & set(re.findall(r"\w+", found["detail"])), found


@needs_lua
@pytest.mark.parametrize(
    "line",
    [
        f"ERROR 11-26 08:00:00 [core.py:123] ValueError: cannot tokenize '{PROMPT}'",
        f"(APIServer pid=7) ERROR 11-26 08:00:00 [serving_chat.py:88] request with prompt: {PROMPT}",
        f"WARNING 11-26 08:00:00 [{KEYS[0]}.py:1] [x.py:2] {PROMPT}",
    ],
)
def test_of_the_engines_lines_only_level_and_place_leave(line: str) -> None:
    found = leaves("engine", MESSAGE=line)
    assert found is None or set(found) - {"stack", "node", "cloud"} == {"kind", "level", "source"}
    assert "Rosenblatt" not in str(found)
    assert "sk-proj" not in str(found)


@needs_lua
@pytest.mark.parametrize(
    "line", [f"INFO 11-26 08:00:00 [logger.py:1] Received request: {PROMPT}", PROMPT, '  File "x.py", line 3', ""]
)
def test_everything_else_that_the_engine_says_stays(line: str) -> None:
    assert leaves("engine", MESSAGE=line) is None


@needs_lua
def test_what_a_program_prints_cannot_choose_its_rule() -> None:
    forged = json.dumps({"program": "gate", "event": PROMPT, "SYSLOG_IDENTIFIER": "nginx_access"})
    assert leaves("engine", MESSAGE=forged, SYSLOG_IDENTIFIER="nginx_access", program="gate", event=PROMPT) is None
    assert leaves("other", MESSAGE=PROMPT, program="gate", event="ready") is None


@needs_lua
def test_a_line_that_is_no_event_stays() -> None:
    assert (
        leaves("program", MESSAGE="Traceback (most recent call last):", _SYSTEMD_UNIT="spillway-gate.service") is None
    )
    assert leaves("access", MESSAGE="nginx: [emerg] something") is None


@needs_lua
def test_a_programs_event_leaves_with_reasons_and_numbers() -> None:
    found = leaves(
        "program", program="gate", event="not ready", reason="overloaded", detail="118 requests wait, the limit is 104",
        was="ready", seconds=5213.2, PRIORITY="5", prompt=PROMPT, body={"a": PROMPT},
    )  # fmt: skip
    assert found
    assert found["detail"] == "118 requests wait, the limit is 104"
    assert float(found["seconds"]) == 5213.2
    assert found["priority"] == "5"
    long = leaves("program", program="gate", event="x", detail="word " * 200)
    assert long
    assert len(long["detail"]) == 303
    assert "Rosenblatt" not in str(found)


@needs_lua
def test_sudo_leaves_with_its_program_and_without_its_arguments() -> None:
    found = leaves(
        "audit", SYSLOG_IDENTIFIER="sudo", MESSAGE="ann : PWD=/ ; USER=root ; COMMAND=/bin/cat /etc/passwd x"
    )
    assert found
    assert found["text"] == "ann : PWD=/ ; USER=root ; COMMAND=/bin/cat"


@needs_lua
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.text(min_size=0, max_size=40),
    st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEF0123456789-_", min_size=20, max_size=60).filter(
        lambda run: (
            re.search(r"\d", run) and re.search("[a-zA-Z]", run) and not re.match(r"\d+[-:T.]|i-[0-9a-f]+$", run)
        )
    ),
)
def test_no_long_run_of_letters_and_digits_leaves(before: str, run: str) -> None:
    found = leaves("program", program="gate", event="x", detail=f"{before} {run} after")
    assert found
    assert run not in found["detail"]
    assert len(found["detail"]) <= 303


# --- the agent's configuration ---

KNOWN: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "fluent_bit_options.yaml").read_text())
OPTIONS = {
    name: {one.lower() for one in (*options, *KNOWN["every"])} for name, options in KNOWN.items() if name != "version"
}


def rendered(cloud: str) -> dict[str, Any]:
    source = ROOTFS / "etc" / "fluent-bit" / "fluent-bit.yaml.j2"
    found: dict[str, Any] = yaml.safe_load(tree.render_file(source, cloud))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp", "tencent"])
def test_every_input_has_a_rule_and_everything_goes_through_it(cloud: str) -> None:
    pipeline = rendered(cloud)["pipeline"]
    tags = {one["tag"] for one in pipeline["inputs"]}
    rules = re.search(r"RULES = \{(.*)\}", SCRIPT.read_text())
    assert rules
    assert tags == set(re.findall(r"(\w+) =", rules[1]))
    assert all(one["name"] == "systemd" for one in pipeline["inputs"])
    assert pipeline["filters"][-1]["name"] == "lua", "the last thing before an output"
    assert pipeline["filters"][-1]["match"] == "*"
    assert len(pipeline["outputs"]) == 1
    used = set(re.findall(r"\$\{(\w+)\}", json.dumps(pipeline)))
    known = {"LOGS_CLOUD", "LOGS_REGION", "LOGS_STACK", "LOGS_POOL", "LOGS_NODE", *logs.VARIABLES.get(cloud, ())}
    assert used <= known

    for plugin in (*pipeline["inputs"], *pipeline["filters"], *pipeline["outputs"]):
        assert set(plugin) <= OPTIONS[plugin["name"]], "Fluent Bit refuses an option that it does not know"


def test_inputs_are_chosen_by_fields_that_a_program_cannot_set() -> None:
    for one in rendered("aws")["pipeline"]["inputs"]:
        for chosen in one["systemd_filter"]:
            # journald sets those itself; another name only together with one of them.
            assert chosen.startswith("_") or one["systemd_filter_type"] == "and"


def test_every_unit_whose_log_is_read_is_there() -> None:
    units = ROOTFS / "etc" / "systemd" / "system"
    for one in rendered("aws")["pipeline"]["inputs"]:
        for chosen in one["systemd_filter"]:
            name = chosen.partition("=")[2]
            if chosen.startswith("_SYSTEMD_UNIT="):
                plain = re.sub(r"@\w+\.", "@.", name)
                assert (units / plain).exists() or name == "nginx.service", name


def node_json(folder: Path, **changes: Any) -> Path:
    path = folder / "node.json"
    path.write_text(render_node_json(config(**changes)))
    return path


AZURE = node.Logs(
    endpoint="https://spillway-1.eastus-1.ingest.monitor.azure.com", rule=f"dcr-{'0' * 32}", table="SpillwayNode_CL"
)


@pytest.mark.parametrize(
    ("cloud", "told", "wanted"),
    [
        ("aws", node.Logs(), 'LOGS_GROUP="/spillway/aws-us-east-1/nodes"'),
        ("gcp", node.Logs(), 'LOGS_CLOUD="gcp"'),
        ("azure", AZURE, 'LOGS_TABLE="SpillwayNode_CL"'),
    ],
)
def test_the_agent_is_told_where_logs_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloud: str, told: node.Logs, wanted: str
) -> None:
    config_of = node.NodeConfig.model_validate_json(node_json(tmp_path, cloud=cloud, logs=told).read_bytes())
    found = logs.environment(config_of, "i-1")
    assert wanted in [f'{name}="{value}"' for name, value in found.items()]
    # The last one is the endpoint for tokens, whose port is known when it listens.
    assert set(found) >= set(logs.VARIABLES[cloud]) - {"LOGS_TOKENS"}
    monkeypatch.setenv("SPILLWAY_NODE", str(tmp_path / "node.json"))
    monkeypatch.setattr("sys.argv", ["logs", "check"])
    assert logs.main() == 0


@pytest.mark.parametrize(("cloud", "told"), [("aws", None), ("azure", node.Logs()), ("tencent", node.Logs())])
def test_without_a_destination_logs_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloud: str, told: node.Logs | None
) -> None:
    monkeypatch.setenv("SPILLWAY_NODE", str(node_json(tmp_path, cloud=cloud, logs=told)))
    monkeypatch.setattr("sys.argv", ["logs", "check"])
    assert logs.main() == 1


def test_a_node_json_that_cannot_be_read_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPILLWAY_NODE", str(tmp_path / "node.json"))
    monkeypatch.setattr("sys.argv", ["logs", "check"])
    assert logs.main() == 255, "systemd skips a unit by 1 to 254, and starts it again after 255"


def test_the_agent_is_of_the_version_whose_options_are_known() -> None:
    assert KNOWN["version"].startswith(versions.load()["components"]["fluent-bit"]["version"] + ".")


def test_where_the_agent_finds_its_own_identity_the_program_becomes_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPILLWAY_NODE", str(node_json(tmp_path, cloud="aws", logs=node.Logs())))
    monkeypatch.setattr("sys.argv", ["logs", "run"])
    ran: list[Any] = []
    monkeypatch.setattr("os.execve", lambda *arguments: ran.append(arguments))
    logs.main()
    ((path, command, environment),) = ran
    assert path == command[0] == "/opt/fluent-bit/bin/fluent-bit"
    assert environment["LOGS_GROUP"] == "/spillway/aws-us-east-1/nodes"


ASKS = """
import json, os, sys, urllib.error, urllib.request
for _ in range(2):
    try:
        answer = urllib.request.urlopen(os.environ["LOGS_TOKENS"], b"grant_type=client_credentials")
        print(answer.status, answer.read().decode())
    except urllib.error.HTTPError as error:
        print(error.code, error.read().decode())
    sys.stdout.flush()
sys.exit(7)
"""


@pytest.mark.parametrize(
    ("identity", "status", "body"),
    [
        ("system", 200, {"access_token": "t0k3n", "expires_in": "86399", "token_type": "Bearer", "resource": "x"}),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", 200, {"access_token": "t0k3n", "expires_in": "86399"}),
        ("system", 400, {"error": "invalid_request"}),
        ("system", 200, {"something": "else"}),
    ],
)
def test_on_azure_the_agent_gets_the_nodes_token_from_loopback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], identity: str, status: int, body: dict[str, str]
) -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    async def metadata(request: web.Request) -> web.Response:
        asked.append((request.headers.get("Metadata", ""), dict(request.query)))
        return web.json_response(body, status=status)

    async def go() -> int:
        application = web.Application()
        application.router.add_get("/metadata/identity/oauth2/token", metadata)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        monkeypatch.setenv("SPILLWAY_METADATA", f"http://127.0.0.1:{runner.addresses[0][1]}")
        try:
            return await agent.run([sys.executable, "-c", ASKS], {}, identity, Journal("logs"))
        finally:
            await runner.cleanup()

    assert asyncio.run(go()) == 7, "the agent's exit code is the unit's"
    said = capfd.readouterr().out
    assert asked[0][0] == "true"
    assert asked[0][1]["resource"] == "https://monitor.azure.com"
    assert asked[0][1].get("client_id") == (None if identity == "system" else identity)
    if "access_token" in body:
        # Fluent Bit reads these three (RFC 6749, 5.1), the seconds as a number.
        answers = [json.loads(line.partition(" ")[2]) for line in said.splitlines()]
        assert answers == [{"access_token": "t0k3n", "token_type": "Bearer", "expires_in": 86399}] * 2
    else:
        assert said.count("503 ") == 2
        assert said.count("no token") == 1, "told once"


def test_a_unit_that_is_stopped_ends_the_agent_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"
    assert asyncio.run(agent.run([sys.executable, "-c", sleeps], {}, "system", Journal("logs"))) == 128 + 15
