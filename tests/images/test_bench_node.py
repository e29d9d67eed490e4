"""`spillway image bench` against a node as clients see it: the tree's own nginx, TLS and keys in front of an engine."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from images import check, tree
from images.node import Serving
from images.programs import front
from tests.images.test_logs import PROMPT, leaves, needs_lua
from tests.images.test_tree_nginx import NGINX, Behind, free_port
from tests.unit.test_image_bench import HARDWARE, certificate, engine, refusal, run

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
KEY = "sk-planted-9c1f0b77aa52"


class Fronted:
    """nginx with a key that it knows, and the stand-in behind it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.arguments = (
            f"https://llm.example.com:{port}", *HARDWARE, "--resolve", "127.0.0.1", "--ca", f"{folder}/certificate.pem",
            "--key-file", f"{folder}/key", "--engine", "vLLM 0.33.0",
        )  # fmt: skip

    def log(self) -> list[dict[str, Any]]:
        time.sleep(0.3)
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]


@pytest.fixture
def fronted(tmp_path: Path) -> Iterator[Fronted]:
    behind = Behind()
    known = {"X-Spillway-Key": "calibration"}
    behind.admit = lambda request: (
        web.Response(status=204, headers=known)
        if request.headers.get("Authorization") == f"Bearer {KEY}"
        else web.Response(status=401)
    )
    behind.start()
    tree.render("aws", tmp_path / "root")
    folder, port = tmp_path / "node", free_port()
    log = "syslog:server=unix:/dev/log,nohostname,facility=local7,tag=nginx_access,severity=info"
    with engine(first_token_ms=40, token_ms=8, max_num_seqs=32) as server:
        conf = check.place_nginx(
            tmp_path / "root",
            folder,
            Serving(name="llm.example.com", port=port),
            replace=[
                ("127.0.0.1:8000", f"127.0.0.1:{server.port}"),
                ("127.0.0.1:9180", f"127.0.0.1:{behind.gate}"),
                (f"listen {front.METRICS_PORT} ", f"listen {free_port()} "),
                (log, f"{folder}/access.log"),
                ("user www-data;", "user root;" if os.geteuid() == 0 else ""),
            ],
        )
        certificate(folder, "llm.example.com")
        for made in folder.rglob("tls"):
            for name in ("certificate.pem", "key.pem"):
                (made / name).write_bytes((folder / name).read_bytes())
        (folder / "key").write_text(KEY)
        process = subprocess.Popen(
            [str(NGINX), "-c", str(conf), "-g", "daemon off;"], stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL
        )
        try:
            time.sleep(1)
            yield Fronted(folder, port)
        finally:
            process.terminate()
            process.wait(10)
            behind.stop()


def test_a_node_is_calibrated_through_its_own_nginx(fronted: Fronted) -> None:
    told = run(*fronted.arguments, "--length", "64:16", "--concurrency", "4", "--repeat", "1", "--json")
    (row,) = json.loads(told.stdout)["series"][0]["rows"]
    assert row["ttft_p50_ms"] >= 40
    assert row["tpot_p50_ms"] >= 8
    assert not row.get("errors")
    assert KEY not in told.output
    lines = [line for line in fronted.log() if line["path"] == "/v1/completions"]
    assert len(lines) >= row["requests"]
    # What the end of the measurement cut off may not have been let in yet.
    assert {line["key"] for line in lines if line["status"] == 200} == {"calibration"}


def test_a_node_does_not_show_its_engines_version_and_refuses_a_wrong_key(fronted: Fronted) -> None:
    without = tuple(part for part in fronted.arguments if part not in ("--engine", "vLLM 0.33.0"))
    assert "--engine: the endpoint shows no /version" in refusal(*without)
    (fronted.folder / "key").write_text("sk-another")
    assert "HTTP 401: the API key is refused" in refusal(*fronted.arguments)


@needs_lua
def test_what_nginx_logs_of_planted_keys_and_prompts_does_not_leave(fronted: Fronted) -> None:
    import httpx

    with httpx.Client(base_url=f"https://127.0.0.1:{fronted.port}", verify=False, trust_env=False) as client:
        client.post(
            "/v1/completions", headers={"Authorization": f"Bearer {KEY}"}, json={"model": "m", "prompt": PROMPT}
        )
        client.post(f"/v1/{KEY}/completions?api_key={KEY}", headers={"Authorization": f"Bearer {KEY}"}, content=PROMPT)
        client.get(f"/{KEY}", params={"prompt": PROMPT}, headers={"Referer": KEY, "User-Agent": PROMPT, "Cookie": KEY})
        client.request("POST", "/v1/completions", headers={"Authorization": f"Basic {KEY}"}, content=PROMPT)
    lines = fronted.log()
    assert len(lines) == 4
    for line in lines:
        found = leaves("access", **line)
        assert found
        assert KEY not in str(found)
        assert "Rosenblatt" not in str(found)
        assert found["status"]
    assert "Rosenblatt" not in json.dumps(lines), "a prompt is not even in the journal"
