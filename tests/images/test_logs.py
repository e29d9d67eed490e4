"""What leaves a node with its logs: planted keys and prompts do not."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from images import node, tree
from images.programs import logs
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
    assert leaves("other", MESSAGE=PROMPT) is None


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
    monkeypatch.setenv("SPILLWAY_NODE", str(node_json(tmp_path, cloud=cloud, logs=told)))
    monkeypatch.setenv("SPILLWAY_LOGS_RUN", str(tmp_path))
    monkeypatch.setenv("SPILLWAY_INSTANCE_ID", "i-1")
    monkeypatch.setattr("sys.argv", ["logs"])
    assert logs.main() == 0
    lines = (tmp_path / "environment").read_text().splitlines()
    assert wanted in lines
    assert {line.partition("=")[0] for line in lines} >= set(logs.VARIABLES[cloud])


@pytest.mark.parametrize(("cloud", "told"), [("aws", None), ("azure", node.Logs()), ("tencent", node.Logs())])
def test_without_a_destination_logs_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloud: str, told: node.Logs | None
) -> None:
    monkeypatch.setenv("SPILLWAY_NODE", str(node_json(tmp_path, cloud=cloud, logs=told)))
    monkeypatch.setenv("SPILLWAY_LOGS_RUN", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["logs"])
    assert logs.main() == 1
    assert not (tmp_path / "environment").exists()


def test_a_node_json_that_cannot_be_read_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPILLWAY_NODE", str(tmp_path / "node.json"))
    monkeypatch.setattr("sys.argv", ["logs"])
    assert logs.main() == 255, "systemd skips a unit by 1 to 254, and starts it again after 255"
