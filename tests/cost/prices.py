"""Rows and snapshots for tests."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from cost.prices.snapshot import Price, Source
from cost.prices.writing import Content, write

SOURCE: Final = Source("made", "Made for a test", "https://example.com/list", "none")
SEEN: Final = date(2026, 6, 1)


def row(sku: str = "p4d.24xlarge", usd: str | Decimal = "21.957642", region: str = "us-east-1", **more: Any) -> Price:
    told: dict[str, Any] = {
        "provider": "aws", "unit": "hour", "market": "on-demand", "zone": None, "observed": SEEN, "source": "",
        "licence": "", "source_id": SOURCE.id, **more,
    }  # fmt: skip
    return Price(region=region, sku=sku, usd=Decimal(usd), **told)


def snapshot(folder: Path, *rows: Price, day: str = "2026-06-02", name: str = "aws-machines.csv") -> Path:
    """A snapshot of one file; the folder that has it."""
    write(folder / day, Content({name: rows}, (), {SOURCE.id: SOURCE}, "made for a test"))
    return folder
