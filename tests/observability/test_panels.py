"""Every panel's query, asked of a real Prometheus that scrapes a small fleet."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from observability import dashboards, render, scrape

ROOT = Path(render.__file__).parent
pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")

TOKENS, REQUESTS, FAILED = 1000.0, 10.0, 1.0
"""A second, of each node."""
NODES: dict[str, dict[str, str]] = {
    "i-a": {"stack": "aws-us-east-1", "region": "us-east-1", "pool": "on-demand", "machine": "p5.48xlarge"},
    "i-b": {"stack": "aws-us-east-1", "region": "us-east-1", "pool": "on-demand", "machine": "p5.48xlarge"},
    "i-c": {"stack": "aws-us-west-2", "region": "us-west-2", "pool": "spot", "machine": "p5e.48xlarge"},
}
BEGUN = time.time()


def page(job: str, node: str) -> str:
    """What a node shows. i-a and i-b serve; i-c stages its weights."""
    age, serves = time.time() - BEGUN, node != "i-c"
    if job == "gate":
        reasons = "".join(
            f'spillway_gate_reason{{reason="{reason}"}} {int(reason == "staging" and not serves)}\n'
            for reason in ("staging", "warming", "overloaded")
        )
        return reasons + (
            f"spillway_gate_ready {int(serves)}\nspillway_gate_queue_requests 3\nspillway_gate_running_requests 20\n"
            'spillway_gate_limit{reason="overloaded"} 100\nspillway_gate_error_ratio 0.1\n'
            "spillway_gate_ttft_p50_seconds 0.3\nspillway_gate_engine_losses_total 0\n"
            "spillway_gate_circuit_opened_total 0\nspillway_gate_staged_bytes 50\nspillway_gate_stage_bytes 200\n"
            f'spillway_gate_draining{{cause="{"none" if serves else "spot"}"}} {int(not serves)}\n'
            f"spillway_gate_certificate_expiry_timestamp_seconds {BEGUN + 30 * 86400}\n"
            f'spillway_gate_admissions_total{{key="team",result="admitted"}} {age * REQUESTS}\n'
            f'spillway_gate_admissions_total{{key="team",result="rate"}} {age * 2}\n'
        )
    if job == "engine":
        if not serves:
            return "vllm:num_requests_running 0\n"
        first = "".join(f'vllm:time_to_first_token_seconds_bucket{{le="{b}"}} {n * age}\n' for b, n in BUCKETS)
        gap = "".join(f'vllm:inter_token_latency_seconds_bucket{{le="{b}"}} {n * age}\n' for b, n in BUCKETS)
        whole = "".join(f'vllm:e2e_request_latency_seconds_bucket{{le="{b}"}} {n * age}\n' for b, n in BUCKETS)
        return (
            first
            + gap
            + whole
            + (
                f"vllm:generation_tokens_total {age * TOKENS}\nvllm:prompt_tokens_total {age * TOKENS * 2}\n"
                "vllm:kv_cache_usage_perc 0.4\n"
                f'vllm:request_success_total{{finished_reason="stop"}} {age * REQUESTS}\n'
                f'http_requests_total{{handler="/v1/completions",status="2xx"}} {age * (REQUESTS - FAILED)}\n'
                f'http_requests_total{{handler="/v1/completions",status="5xx"}} {age * FAILED}\n'
                f'http_requests_total{{handler="/health",status="2xx"}} {age * 100}\n'
            )
        )
    if job == "node":
        return (
            f'node_cpu_seconds_total{{cpu="0",mode="idle"}} {age * 0.25}\nnode_memory_MemAvailable_bytes 1e9\n'
            'node_filesystem_avail_bytes{fstype="ext4",mountpoint="/"} 40\n'
            'node_filesystem_size_bytes{fstype="ext4",mountpoint="/"} 100\n'
            f'node_disk_read_bytes_total{{device="nvme0n1"}} {age * 1e6}\n'
            f'node_network_receive_bytes_total{{device="ens5"}} {age * 1e6}\n'
            f'node_network_transmit_bytes_total{{device="ens5"}} {age * 1e6}\n'
        )
    gauges = "".join(
        f'{name}{{gpu="0"}} {value}\n'
        for name, value in {
            "DCGM_FI_PROF_GR_ENGINE_ACTIVE": 0.9, "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": 0.4, "DCGM_FI_DEV_FB_USED": 70000,
            "DCGM_FI_DEV_POWER_USAGE": 500, "DCGM_FI_DEV_GPU_TEMP": 60, "DCGM_FI_DEV_XID_ERRORS": 31,
            "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": 1,
        }.items()
    )  # fmt: skip
    return gauges + f'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{gpu="0"}} {age * 500_000}\n'


BUCKETS = (("0.1", 2.0), ("0.5", 6.0), ("1.0", 10.0), ("+Inf", 10.0))
"""Ten a second: the median lies at 0.4 s (interpolated from 0.1 to 0.5), 95 % at 0.9375."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        _, node, job = self.path.split("/")
        body = page(job, node).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _hurried(text: str) -> str:
    """The test has seconds: rates over five of them, and constants once a second."""
    return text.replace("interval: 1m", "interval: 1s").replace("[5m]", "[5s]")


class Prometheus:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def query(self, expr: str) -> list[dict[str, Any]]:
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
        return found

    def value(self, expr: str) -> float:
        (found,) = self.query(expr)
        return float(found["value"][1])


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """The committed rules, the jobs of the committed configuration, and targets on loopback in place of discovery."""
    folder = tmp_path_factory.mktemp("prometheus")
    pages = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules/*.yml"],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [
                    {
                        "targets": [f"127.0.0.1:{pages.server_port}"],
                        "labels": {"cloud": "aws", "instance": node, "__metrics_path__": f"/{node}/{job}", **labels},
                    }
                    for node, labels in NODES.items()
                ],
            }
            for job in scrape.JOBS
        ],
    }
    (folder / "rules").mkdir()
    for path in (ROOT / "prometheus" / "rules").glob("*.yml"):
        (folder / "rules" / path.name).write_text(_hurried(path.read_text()))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    process = subprocess.Popen(
        ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    found = Prometheus(port)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                # Two samples make a rate; the rules follow one another within seconds.
                if found.query("spillway:cost:usd_per_million_output_tokens") and found.query("spillway:ttft:p95_5m"):
                    break
            except OSError:
                pass
            time.sleep(0.3)
        time.sleep(8)
        yield found
    finally:
        process.terminate()
        process.wait(20)
        pages.shutdown()


QUERIES = [
    pytest.param(query.expr, id=f"{board.uid}: {panel.title}: {place}")
    for board in dashboards.DASHBOARDS
    for row in board.rows
    for panel in row.panels
    for place, query in enumerate(panel.queries)
]


@pytest.mark.parametrize("expr", QUERIES)
def test_a_panel_shows_something(prometheus: Prometheus, expr: str) -> None:
    found = prometheus.query(_hurried(re.sub(r"\$(stack|instance)", ".*", expr)))
    if 'pool="spot"' in expr:
        return  # the one spot node is of a machine without a price: nothing, rather than nought
    assert found
    assert all(abs(float(one["value"][1])) < float("inf") for one in found)


def test_no_two_lines_of_a_panel_have_the_same_name(prometheus: Prometheus) -> None:
    for board in dashboards.DASHBOARDS:
        for panel in (panel for row in board.rows for panel in row.panels if panel.kind != "stat"):
            names = [
                re.sub(r"\{\{(\w+)\}\}", lambda match, of=one["metric"]: of[match[1]], query.legend)  # type: ignore[misc]
                for query in panel.queries
                for one in prometheus.query(_hurried(re.sub(r"\$(stack|instance)", ".*", query.expr)))
            ]
            assert len(set(names)) == len(names), f"{board.title}, {panel.title}: {names}"


@pytest.mark.parametrize(
    ("expr", "wanted"),
    [
        ("sum(spillway:replicas:ready)", 2.0),
        ('spillway:gap:replicas{stack="aws-us-east-1"}', 0.0),
        ('spillway:gap:replicas{stack="aws-us-west-2"}', 2.0),
        ('spillway:gap:replicas{stack="gcp-us-central1"}', 2.0),
        ('spillway:requests:rate5m{stack="aws-us-east-1"}', 2 * REQUESTS),
        ('spillway:errors:ratio5m{stack="aws-us-east-1"}', FAILED / REQUESTS),
        ('sum(spillway:output_tokens:rate5m{stack="aws-us-east-1"})', 2 * TOKENS),
        ('spillway:ttft:p50_5m{stack="aws-us-east-1"}', 0.4),
        ('spillway:ttft:p95_5m{stack="aws-us-east-1"}', 0.9375),
        ('sum(spillway:refused:rate5m{result="rate"})', 6.0),
        ('sum(spillway:nodes:unpriced)', 1.0),
    ],
)  # fmt: skip
def test_figures_are_those_of_the_fleet(prometheus: Prometheus, expr: str, wanted: float) -> None:
    assert prometheus.value(expr) == pytest.approx(wanted, rel=0.05, abs=1e-9)


def test_cost_per_token_is_list_price_over_what_came_out(prometheus: Prometheus) -> None:
    price = prometheus.value('spillway:price:usd_per_hour{region="us-east-1",machine="p5.48xlarge",pool="on-demand"}')
    found = prometheus.value('spillway:cost:usd_per_million_output_tokens{stack="aws-us-east-1"}')
    assert found == pytest.approx(2 * price / (2 * TOKENS * 3600) * 1e6, rel=0.05)
    assert not prometheus.query('spillway:cost:usd_per_million_output_tokens{stack="aws-us-west-2"}')


def test_prometheus_has_no_fault_in_any_rule(prometheus: Prometheus) -> None:
    with urllib.request.urlopen(f"{prometheus.url}/api/v1/rules", timeout=10) as answer:
        groups = json.loads(answer.read())["data"]["groups"]
    faults = [(rule["name"], rule["lastError"]) for group in groups for rule in group["rules"] if rule.get("lastError")]
    assert not faults
