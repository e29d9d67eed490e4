"""Series that no node exports, from stack files and price snapshots: how many replicas are wanted, and what each costs.

They are recording rules with constants in them, so that alerts and dashboards can compare without another program.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from infra.config import RegionConfig
from observability.scrape import CLOUDS


def newest(prices: Path) -> Path:
    """Folder of the newest price snapshot. Raises FileNotFoundError without one."""
    found = sorted(path for path in prices.iterdir() if path.is_dir())
    if not found:
        raise FileNotFoundError(f"{prices}: no price snapshot")
    return found[-1]


def read_prices(snapshot: Path) -> dict[tuple[str, str, str, str], Decimal]:
    """(cloud, region, machine, market) -> USD per hour. What is not in the snapshot has no price: never zero."""
    found: dict[tuple[str, str, str, str], Decimal] = {}
    for path in sorted(snapshot.glob("*.csv")):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                key = (row["provider"], row["region"], row["instance_type"], row["market"])
                found[key] = Decimal(row["usd_per_hour"])
    return found


def _rule(record: str, value: object, **labels: str) -> dict[str, Any]:
    return {"record": record, "expr": f"vector({value})", "labels": labels}


def rules(regions: Iterable[RegionConfig], snapshot: Path) -> dict[str, Any]:
    """The rule file."""
    prices = read_prices(snapshot)
    watched = [region for region in regions if region.cloud in CLOUDS]
    wanted: list[dict[str, Any]] = []
    priced: list[dict[str, Any]] = []
    for region in watched:
        place = {"cloud": region.cloud, "region": region.region, "stack": region.stack_name}
        wanted.append(_rule("spillway:target:replicas", region.pools.target, **place))
        wanted.append(_rule("spillway:floor:replicas", region.pools.floor, **place))
    places = dict.fromkeys((region.cloud, region.region, one.name) for region in watched for one in region.machines)
    for cloud, where, machine in places:
        for market in ("on-demand", "spot"):
            price = prices.get((cloud, where, machine, market))
            if price is not None:
                labels = {"cloud": cloud, "region": where, "machine": machine, "pool": market}
                priced.append(_rule("spillway:price:usd_per_hour", price.normalize(), **labels))
    return {
        "groups": [
            {"name": "spillway-stacks", "interval": "1m", "rules": wanted},
            {"name": f"spillway-prices-{snapshot.name}", "interval": "1m", "rules": priced},
        ]
    }
