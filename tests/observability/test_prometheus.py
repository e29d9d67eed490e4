"""Prometheus' configuration and rules, by Prometheus' own tools."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from images.programs.front import METRICS_PORT
from infra.config import load_all
from observability import dashboards, render, scrape, stacks
from tests.observability import exported

ROOT = Path(render.__file__).parent
RULES = sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
CONFIGS = sorted((ROOT / "prometheus").glob("*.yml"))
STACKS = ROOT.parent / "stacks"
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
WORD = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def promtool(*arguments: str | Path) -> str:
    found = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def rules() -> list[dict[str, Any]]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    panels = [panel for board in dashboards.DASHBOARDS for row in board.rows for panel in row.panels]
    return [rule["expr"] for rule in rules()] + [query.expr for panel in panels for query in panel.queries]


def metric_names(expr: str) -> set[str]:
    """Names of metrics in an expression: what is left when strings, label lists and functions are taken out."""
    expr = re.sub(r"#.*", "", expr)
    expr = re.sub(r"\{[^}]*\}", "{}", expr)
    expr = re.sub(r"\b(by|on|without|ignoring|group_left|group_right)\s*(\([^)]*\))?", " ", expr)
    expr = re.sub(r"\[[^\]]*\]", " ", expr)
    found = set()
    for match in WORD.finditer(expr):
        rest = expr[match.end() :].lstrip()
        if rest.startswith("(") or match[0] in ("and", "or", "unless", "offset", "bool", "e6"):
            continue
        if expr[match.start() - 1 : match.start()].isdigit():
            continue
        found.add(match[0])
    return found


@needs_promtool
def test_what_alerts_say_and_when() -> None:
    promtool("test", "rules", Path(__file__).parent / "rules" / "alerts_test.yml")


@needs_promtool
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_prometheus_takes_the_configuration_of_each_cloud(path: Path) -> None:
    assert "SUCCESS" in promtool("check", "config", path)


def test_what_is_generated_is_fresh() -> None:
    for name, content in render.files(STACKS, ROOT.parent / "cost" / "data" / "prices").items():
        assert (ROOT / name).read_text() == content, f"{name}: `python -m observability.render`"


def test_every_alert_is_tested_and_has_a_runbook() -> None:
    tested = yaml.safe_load((Path(__file__).parent / "rules" / "alerts_test.yml").read_text())["tests"]
    cases = [case for test in tested for case in test.get("alert_rule_test", ())]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    headings = {
        line.removeprefix("### ").lower()
        for line in (ROOT.parent / "docs" / "observability.md").read_text().splitlines()
        if line.startswith("### ")
    }
    for rule in rules():
        if "alert" in rule:
            assert rule["alert"] in fired & silent
            page, anchor = rule["annotations"]["runbook"].split("#")
            assert page == "docs/observability.md"
            assert anchor in headings, rule["alert"]
            assert rule["labels"]["severity"] in ("page", "ticket", "info")


def test_every_metric_is_one_that_a_node_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = exported.all_names(tmp_path, monkeypatch) | {rule["record"] for rule in rules() if "record" in rule}
    for expr in expressions():
        assert metric_names(expr) <= known, expr


def test_unknown_names_are_seen() -> None:
    found = metric_names('sum by (a) (rate(spillway_x_total{b="c"}[5m])) / on (a) group_left vllm:y > 1e6 or vector(0)')
    assert found == {"spillway_x_total", "vllm:y"}


@pytest.mark.skipif(shutil.which("prometheus-node-exporter") is None, reason="no node exporter is installed")
def test_a_real_node_exporter_shows_what_is_used() -> None:
    unit = (ROOT.parent / "images/rootfs/etc/systemd/system/spillway-node-exporter.service").read_text()
    collectors = re.findall(r"--collector\.[a-z-]+", unit)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{port}", *collectors], stderr=subprocess.DEVNULL
    )
    try:
        page = _get(f"http://127.0.0.1:{port}/metrics")
    finally:
        process.terminate()
        process.wait(10)
    wanted = {name for expr in expressions() for name in metric_names(expr) if name.startswith("node_")}
    assert wanted
    assert wanted <= exported.names(page)


def _get(url: str, seconds: float = 20) -> str:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


# --- discovery ---


def test_nodes_are_found_by_the_stacks_own_tags_at_the_port_where_nginx_shows_their_metrics() -> None:
    regions = load_all(STACKS).values()
    for cloud in scrape.CLOUDS:
        config = scrape.config(cloud, regions)
        assert [job["metrics_path"] for job in config["scrape_configs"]] == [f"/metrics/{job}" for job in scrape.JOBS]
        for job in config["scrape_configs"]:
            (entries,) = (value for key, value in job.items() if key.endswith("_sd_configs"))
            assert entries
            assert all(entry["port"] == METRICS_PORT for entry in entries)
    nginx = (ROOT.parent / "images/rootfs/etc/nginx/nginx.conf").read_text()
    assert all(f"location = /metrics/{job} " in nginx for job in scrape.JOBS)


def test_every_tag_that_discovery_reads_is_one_that_infra_writes() -> None:
    from infra import naming
    from infra.azure import names as azure
    from infra.gcp import names as gcp

    written = {
        "aws": ("__meta_ec2_tag_", naming.tags("aws-us-east-1", "node", pool="spot")),
        "azure": ("__meta_azure_machine_tag_", azure.tags("azure-eastus", "pools", pool="spot")),
        "gcp": ("__meta_gce_label_", gcp.labels("gcp-us-central1", "node", pool="spot")),
    }
    for cloud, (prefix, tags) in written.items():
        # Prometheus turns what may not be in a label's name into underscores.
        known = {prefix + re.sub(r"[^a-zA-Z0-9_]", "_", key) for key in tags}
        used = {source for source, _ in scrape.META[cloud].values() if source.startswith(prefix)}
        assert len(used) == 2
        assert used <= known


@pytest.mark.parametrize(
    ("cloud", "label", "told", "wanted"),
    [
        ("gcp", "zone", "https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a", "us-central1-a"),
        ("gcp", "region", "https://www.googleapis.com/compute/v1/projects/p/zones/us-central1-a", "us-central1"),
        ("gcp", "region", ".../zones/northamerica-northeast2-b", "northamerica-northeast2"),
        ("gcp", "machine", "https://www.googleapis.com/.../zones/z/machineTypes/a3-highgpu-8g", "a3-highgpu-8g"),
        ("aws", "machine", "p5.48xlarge", "p5.48xlarge"),
    ],
)  # fmt: skip
def test_labels_are_the_catalogs_own_words(cloud: str, label: str, told: str, wanted: str) -> None:
    match = re.fullmatch(scrape.META[cloud][label][1], told)
    assert match
    assert match[1] == wanted


def test_targets_and_prices_are_those_of_stack_files_and_snapshot() -> None:
    regions = load_all(STACKS)
    snapshot = stacks.newest(ROOT.parent / "cost" / "data" / "prices")
    found = stacks.rules(regions.values(), snapshot)["groups"]
    targets = {rule["labels"]["stack"]: rule["expr"] for rule in found[0]["rules"] if "target" in rule["record"]}
    assert targets["aws-us-east-1"] == f"vector({regions['aws-us-east-1'].pools.target})"
    assert "tencent-ap-guangzhou" not in targets, "there is no discovery for it"
    assert snapshot.name in found[1]["name"]
    assert all(float(rule["expr"][7:-1]) > 0 for rule in found[1]["rules"])
    prices = stacks.read_prices(snapshot)
    series = {tuple(rule["labels"][name] for name in ("region", "machine", "pool")) for rule in found[1]["rules"]}
    assert len(series) == len(found[1]["rules"])
    assert str(prices["aws", "us-east-1", "p5.48xlarge", "on-demand"].normalize()) in {
        rule["expr"][7:-1] for rule in found[1]["rules"]
    }


# --- dashboards ---


@pytest.mark.parametrize("path", sorted((ROOT / "grafana").glob("*.json")), ids=lambda path: path.stem)
def test_panels_of_a_dashboard_do_not_overlap_and_have_titles(path: Path) -> None:
    board = json.loads(path.read_text())
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells
        assert panel["title"]
