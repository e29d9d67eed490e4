"""What a refresh saw takes the place of what it asked about; everything else stays as it was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cost.prices.snapshot import Price, Snapshot, Source, Unpriced
from cost.prices.writing import Content, write
from cost.refresh.merge import merged
from cost.refresh.work import Found, Step
from spillway.errors import SpillwayError
from tests.cost.bodies import DAY
from tests.cost.prices import SOURCE, row

NEW = Source("new", "A newer list", "https://example.com/new", "none")


@dataclass
class Fixed:
    """Has asked about everything of aws in its regions."""

    rows: tuple[Price, ...]
    unpriced: tuple[Unpriced, ...] = ()
    regions: tuple[str, ...] = ("us-east-1",)
    name: str = "aws"

    def steps(self, answers: Mapping[str, Any]) -> Sequence[Step]:
        return []

    def found(self, answers: Mapping[str, Any], observed: date) -> Found:
        own = tuple(replace(one, observed=observed, source_id=NEW.id) for one in self.rows)
        return Found({"aws-machines.csv": own}, self.unpriced, {NEW.id: NEW})

    def replaces(self, row: Price) -> bool:
        return row.provider == "aws" and row.region in self.regions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    gaps = (
        Unpriced("nobody tells", "aws", "*", "p5.4xlarge", "spot"),
        Unpriced("nobody tells", "aws", "*", "p5en.48xlarge", "*"),
        Unpriced("nobody tells", "gcp", "*", "pd.balanced", "*"),
    )
    rows = {
        "aws-machines.csv": (
            row(usd="20"),
            row("p5.48xlarge", "55.04"),
            row("p4de.24xlarge", "27.45"),
            row(usd="25", region="eu-west-1"),
        ),
        "gcp-services.csv": (row("nat.data", "0.045", "us-central1", provider="gcp", unit="GiB"),),
    }
    write(tmp_path / "2026-06-02", Content(rows, gaps, {SOURCE.id: SOURCE}, "a note"))
    return tmp_path


def go(refresher: Fixed, folder: Path) -> Any:
    return merged(refresher, refresher.found({}, DAY), DAY, folder)


def test_changes_are_told_and_other_rows_keep_their_days(folder: Path) -> None:
    change = go(Fixed((row(), row("p5.48xlarge", "55.04"), row("p5en.48xlarge", "63.296"))), folder)
    assert (change.added, change.gone, change.same) == (1, 1, 1)
    assert [(before.usd, now.usd) for before, now in change.changed] == [(Decimal(20), Decimal("21.957642"))]
    new = change.snapshot
    assert new.date == DAY
    assert {(one.region, one.sku): (one.observed, one.source_id) for one in new.rows} == {
        ("us-east-1", "p4d.24xlarge"): (DAY, "new"),
        ("us-east-1", "p5.48xlarge"): (DAY, "new"),
        ("us-east-1", "p5en.48xlarge"): (DAY, "new"),
        ("eu-west-1", "p4d.24xlarge"): (date(2026, 6, 1), "made"),
        ("us-central1", "nat.data"): (date(2026, 6, 1), "made"),
    }
    assert {gap.sku for gap in new.unpriced} == {"p5.4xlarge", "pd.balanced"}
    assert Snapshot.load("2026-06-02", folder).find(provider="aws", region="us-east-1", sku="p4de.24xlarge")


def test_a_newer_reason_takes_the_place_of_an_older_one(folder: Path) -> None:
    gap = Unpriced("the price list has none", "aws", "*", "p5.4xlarge", "spot")
    new = go(Fixed((row(),), (gap,)), folder).snapshot
    assert [one.reason for one in new.unpriced if one.sku == "p5.4xlarge"] == ["the price list has none"]


def test_twice_a_day_is_one_snapshot_and_the_same_answers_the_same_bytes(folder: Path) -> None:
    first = go(Fixed((row(),)), folder).snapshot
    again = go(Fixed((row(),)), folder)
    assert again.snapshot.id == first.id
    assert (again.added, again.gone, again.same, again.changed) == (0, 0, 1, ())


def test_answers_without_a_price_make_no_snapshot(folder: Path) -> None:
    with pytest.raises(SpillwayError, match="aws: the answers have no price of what was asked for"):
        go(Fixed(()), folder)
    assert sorted(one.name for one in folder.iterdir()) == ["2026-06-02"]


def test_a_fault_while_writing_leaves_the_old_snapshot(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = go(Fixed((row(),)), folder).snapshot.id

    def full(self: Path, raw: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SpillwayError, match=f"{DAY}: cannot be written: No space left"):
        go(Fixed((row(usd="1"),)), folder)
    monkeypatch.undo()
    assert sorted(one.name for one in folder.iterdir()) == ["2026-06-02", DAY.isoformat()]
    assert Snapshot.load(DAY, folder).id == before


def test_the_first_snapshot_needs_no_other(tmp_path: Path) -> None:
    assert go(Fixed((row(),)), tmp_path / "new").snapshot.unpriced == ()
