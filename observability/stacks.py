"""Series that no node exports, from stack files and price snapshots: how many replicas are wanted, and what each costs.

They are recording rules with constants in them, so that alerts and dashboards can compare without another program.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from statistics import median_low
from typing import Any

from cost.prices.snapshot import ON_DEMAND, SPOT, Snapshot
from infra.config import RegionConfig
from observability.scrape import CLOUDS


def newest(prices: Path) -> Path:
    """Folder of the newest price snapshot. Raises FileNotFoundError without one."""
    found = sorted(path for path in prices.iterdir() if path.is_dir())
    if not found:
        raise FileNotFoundError(f"{prices}: no price snapshot")
    return found[-1]


def read_prices(snapshot: Path) -> dict[tuple[str, str, str, str], Decimal]:
    """(cloud, region, machine, market) -> USD per hour. What is not in the snapshot has no price: never zero.

    Spot that has a price for each zone has the median of the zones that are not sold out.
    """
    found: dict[tuple[str, str, str, str], Decimal] = {}
    spot: dict[tuple[str, str, str, str], list[Decimal]] = {}
    for row in Snapshot.load(snapshot.name, snapshot.parent).rows:
        key = (row.provider, row.region, row.sku, row.market)
        if row.unit != "hour" or row.sold_out:
            continue
        if row.market == SPOT:
            spot.setdefault(key, []).append(row.usd)
        elif row.market == ON_DEMAND and row.zone is None:
            found[key] = row.usd
    return found | {key: median_low(prices) for key, prices in spot.items()}


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
