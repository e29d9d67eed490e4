"""Scenarios made by hand, and snapshots with other prices."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from cost.compare import compare
from cost.prices.snapshot import Snapshot
from cost.result import Comparison
from cost.scenario import Scenario, parse

TODAY = date(2026, 11, 26)
SNAPSHOT = Snapshot.load("2026-11-26")

API: dict[str, Any] = {"kind": "api", "name": "api", "provider": "deepseek", "model": "deepseek-v4-flash"}
# By its defaults: four years, 15 % resale, 10.2 kW x 0.75 x 1.54 x 0.10 USD, 5 % support, 0.25 FTE of 250,000 USD.
OWN: dict[str, Any] = {
    "kind": "onprem", "name": "own", "system": "hgx-h100", "throughput": {"anchor": "llama-2-70b-h100", "derate": 1.0},
    "capexPerNode": 300_000.0, "nodes": 1,
}  # fmt: skip
CLOUD: dict[str, Any] = {
    "kind": "cloud", "name": "cloud", "provider": "aws", "region": "us-east-1", "machine": "p5.48xlarge",
    "market": "on-demand", "throughput": {"anchor": "llama-2-70b-h100", "derate": 0.5},
}  # fmt: skip
SERVERLESS: dict[str, Any] = {
    "kind": "serverless", "name": "seconds", "provider": "modal", "gpu": "h100", "gpus": 4, "usdPerGpuSecond": 0.001097,
    "throughput": {"anchor": "llama-2-70b-h100", "derate": 0.5}, "requestSeconds": 10.0, "source": "a price list",
    "observed": "2026-05-07",
}  # fmt: skip
BASE: dict[str, Any] = {
    "title": "Made by hand", "shows": "a test",
    "workload": {"tokensPerDay": 10_000_000.0, "inputTokens": 300, "outputTokens": 100},
    "model": {"name": "llama-2-70b-chat", "dtype": "fp8", "concurrency": 8},
    "serving": {"spareNodes": 0},
}  # fmt: skip


def document(*options: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """A scenario as YAML would give it; sections replace or, where they are maps, extend those of BASE."""
    found = deepcopy(BASE)
    for name, value in sections.items():
        found[name] = {**found[name], **value} if isinstance(value, dict) and name in found else value
    found["options"] = [deepcopy(one) for one in options]
    return found


def made(*options: dict[str, Any], **sections: Any) -> Scenario:
    """The scenario of `document`."""
    data, parsed = parse(document(*options, **sections), "made.yaml")
    return Scenario("made", "made.yaml", "", data, parsed)


def worked(*options: dict[str, Any], draws: int = 0, snapshot: Snapshot = SNAPSHOT, **sections: Any) -> Comparison:
    """The scenario of `document`, worked out without draws unless some are asked for."""
    return compare(made(*options, **sections), snapshot, today=TODAY, draws=draws)


def repriced(sku: str, usd: str, market: str = "on-demand") -> Snapshot:
    """The snapshot with another price of one thing everywhere."""
    rows = tuple(
        replace(row, usd=Decimal(usd)) if (row.sku, row.market) == (sku, market) else row for row in SNAPSHOT.rows
    )
    return replace(SNAPSHOT, rows=rows)
