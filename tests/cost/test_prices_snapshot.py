"""The shipped snapshot, and what a snapshot answers and refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost.money import HOURS_PER_MONTH, tiered
from cost.prices.snapshot import FOLDER, STALE_DAYS, Price, Snapshot, Unpriced, dates
from cost.prices.units import UNITS
from cost.prices.writing import content, main, seal, write
from infra import catalog
from spillway.errors import SpillwayError
from tests.cost.prices import SEEN, row, snapshot

SHIPPED = Snapshot.load()


def price(provider: str, region: str, sku: str, market: str = "on-demand", zone: str | None = None) -> Price:
    found = SHIPPED.find(provider=provider, region=region, sku=sku, market=market, zone=zone)
    assert isinstance(found, Price), found
    return found


def reason(provider: str, region: str, sku: str, market: str = "on-demand") -> str:
    found = SHIPPED.find(provider=provider, region=region, sku=sku, market=market)
    assert isinstance(found, Unpriced), found
    assert (found.provider, found.region, found.sku, found.market) == (provider, region, sku, market)
    return found.reason


@pytest.mark.parametrize(
    ("provider", "region", "sku", "usd"),
    [
        ("aws", "us-east-1", "p4d.24xlarge", "21.957642"),
        ("aws", "us-east-1", "p5.48xlarge", "55.04"),
        ("aws", "us-east-1", "p5en.48xlarge", "63.296"),
        ("aws", "us-east-1", "p6-b200.48xlarge", "113.9328"),
        ("azure", "eastus", "Standard_ND96isr_H100_v5", "98.32"),
        ("azure", "eastus2", "Standard_ND96isr_H200_v5", "84.8"),
        ("gcp", "us-central1", "a3-highgpu-8g", "88.49"),
        ("aws", "us-east-1", "nat.hour", "0.045"),
        ("aws", "us-east-1", "ebs.gp3.storage", "0.08"),
        ("aws", "eu-west-1", "ipv4.hour", "0.005"),
        ("azure", "eastus", "vault.operations", "0.03"),
        ("gcp", "us-central1", "nat.gateway.hour", "0.0014"),
        ("gcp", "europe-west4", "pd.balanced", "0.11"),
        ("aws", "us-east-2", "ebs.gp3.storage", "0.08"),
    ],
)
def test_list_prices(provider: str, region: str, sku: str, usd: str) -> None:
    assert round(price(provider, region, sku).usd, 2 if sku == "a3-highgpu-8g" else 9) == Decimal(usd)


def test_every_row_says_when_it_was_seen_and_where_it_is_from() -> None:
    assert len(SHIPPED.rows) > 2_000
    for one in SHIPPED.rows:
        assert one.usd >= 0
        assert one.observed <= SHIPPED.date
        assert one.licence
        assert one.source.partition(", http")[2], one
        assert one.unit in UNITS
        assert all(flag.partition(": ")[2] for flag in one.flags), one.flags
    assert all(gap.reason and gap.provider and gap.sku for gap in SHIPPED.unpriced)
    assert all(one.url.startswith("https://") for one in SHIPPED.sources.values())


def test_every_machine_of_the_catalog_has_a_price_or_a_reason() -> None:
    for cloud in catalog.READERS:
        for machine in catalog.machines(cloud):
            rows = SHIPPED.of(machine.name, cloud)
            gaps = [gap for gap in SHIPPED.unpriced if gap.sku == machine.name]
            assert rows or gaps or "no price of" in reason(cloud, "somewhere", machine.name)


def test_commitments_cost_less_the_longer_they_are_and_more_than_nothing() -> None:
    where = [(one.provider, one.region, one.sku) for one in SHIPPED.rows if one.market == "savings-3y"]
    assert len(where) > 300
    for provider, region, sku in where:
        found = [SHIPPED.find(provider=provider, region=region, sku=sku, market=f"savings-{n}y") for n in (1, 3)]
        usd = [one.usd for one in found if isinstance(one, Price)]
        base = next(
            one for one in SHIPPED.of(sku, provider) if one.region == region and one.market in ("on-demand", "list")
        )
        assert 0 < usd[-1] <= usd[0] < base.usd, (region, sku)


def test_a_region_far_off_its_peers_is_flagged_and_kept() -> None:
    far = price("azure", "brazilsouth", "Standard_ND96isr_H200_v5")
    assert "over the median" in (far.flagged("outlier") or "")
    assert price("azure", "eastus2", "Standard_ND96isr_H200_v5").flagged("outlier") is None


def test_spot_prices_are_by_zone_and_some_zones_are_sold_out() -> None:
    rows = SHIPPED.spot_by_zone(provider="aws", region="us-east-1", sku="p5.48xlarge")
    gone = [one for one in rows if one.sold_out]
    assert len(gone) == 2
    base = price("aws", "us-east-1", "p5.48xlarge").usd
    assert {one.usd for one in gone} == {base}
    assert all(one.zone and one.usd < base for one in rows if one not in gone)
    first = rows[0]
    assert price("aws", "us-east-1", "p5.48xlarge", "spot", first.zone) == first
    assert "is by zone: use1-az" in reason("aws", "us-east-1", "p5.48xlarge", "spot")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("gcp", "us-central1", "a3-highgpu-1g", "on-demand"), "cannot be ordered on demand in us-central1"),
        (("gcp", "us-central1", "a3-ultragpu-8g", "on-demand"), "calendar mode, flex start or spot"),
        (("aws", "us-east-1", "p5e.48xlarge", "on-demand"), "by capacity block"),
        (("aws", "us-east-1", "p5.48xlarge", "reserved-1y"), "no reserved-1y price of p5.48xlarge in us-east-1; there"),
        (("aws", "mars-1", "p5.48xlarge", "on-demand"), "no price of p5.48xlarge in mars-1; snapshot"),
        (("aws", "us-east-1", "nonesuch", "on-demand"), "no price of aws nonesuch in snapshot"),
        (("nobody", "us-east-1", "nat.hour", "on-demand"), "no prices of nobody in snapshot"),
        (("tencent", "ap-singapore", "GT4.41XLARGE948", "on-demand"), "to an account only"),
        (("azure", "eastus", "Standard_ND96isr_H100_v5", "spot"), "no current list of Azure's spot prices"),
        (("cloudflare", "*", "lb.subscription", "on-demand"), "in its dashboard only"),
    ],
)
def test_what_has_no_price_has_a_reason(asked: tuple[str, str, str, str], told: str) -> None:
    assert told in reason(*asked)


def test_tiers_of_egress() -> None:
    where = {"provider": "aws", "region": "us-east-1", "sku": "egress.internet"}
    tiers = SHIPPED.tiers(**where)
    assert not isinstance(tiers, Unpriced)
    assert [str(one.usd) for one in tiers] == ["0.09", "0.085", "0.07", "0.05"]
    assert SHIPPED.cost(Decimal(10_240), **where) == Decimal("921.60")
    assert SHIPPED.cost(Decimal(60_000), **where) == Decimal("921.6") + 40_960 * Decimal("0.085") + 8_800 * Decimal(
        "0.07"
    )
    assert SHIPPED.cost(Decimal(0), **where) == 0
    assert isinstance(
        SHIPPED.cost(Decimal(1), provider="gcp", region="us-central1", sku="hyperdisk.balanced.iops"), Unpriced
    )


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_never_costs_less_and_two_halves_are_never_cheaper(one: int, other: int) -> None:
    """Prices of the shipped tiers fall, but for a first tier that is free of charge."""
    tiers = [(Decimal(0), Decimal("0.09")), (Decimal(10_240), Decimal("0.085")), (Decimal(51_200), Decimal("0.07"))]
    whole = tiered(Decimal(one + other), tiers)
    apart = tiered(Decimal(one), tiers) + tiered(Decimal(other), tiers)
    assert tiered(Decimal(one), tiers) <= whole <= apart


def test_units_say_what_one_costs() -> None:
    assert price("aws", "eu-west-1", "route53.queries").each == Decimal("0.0000004")
    assert price("aws", "us-east-1", "nat.hour").monthly == Decimal("0.045") * HOURS_PER_MONTH
    assert price("azure", "eastus", "disk.premium-v2.storage").kind.base == "GiB-hours"
    with pytest.raises(ValueError, match="none of a month"):
        _ = price("aws", "us-east-1", "egress.internet").monthly


def test_age_is_the_median_of_machines_on_demand(tmp_path: Path) -> None:
    rows = [row(region=f"r{days}", observed=SEEN - timedelta(days)) for days in (0, 1, 500)]
    one = Snapshot.load(None, snapshot(tmp_path, *rows, row("p5.48xlarge", "1", market="spot", zone="z")))
    assert one.age(SEEN) == 1
    assert not one.stale(SEEN + timedelta(STALE_DAYS - 1))
    assert one.stale(SEEN + timedelta(STALE_DAYS))
    assert one.stale(SEEN, limit=0)
    assert one.observed == (SEEN - timedelta(500), SEEN)
    assert [one.stale(SEEN) for one in rows] == [False, False, True]


def test_a_date_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(SpillwayError, match="has no snapshot of prices"):
        Snapshot.load(None, tmp_path)
    snapshot(tmp_path, row())
    snapshot(tmp_path, row(usd="1"), day="2026-07-02")
    assert Snapshot.load(None, tmp_path).date == date(2026, 7, 2)
    assert Snapshot.load(date(2026, 6, 2), tmp_path).rows[0].usd == Decimal("21.957642")
    with pytest.raises(SpillwayError, match="no snapshot of 2026-01-01; there is 2026-06-02, 2026-07-02"):
        Snapshot.load("2026-01-01", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("21.957642", "dear", "line 2: "),
        ("21.957642", "-1", "line 2: "),
        ("21.957642", "NaN", "line 2: "),
        ("hour", "fortnight", "line 2: unit: 'fortnight' is none of hour"),
        ("on-demand", "sometimes", "line 2: market: 'sometimes' is none of on-demand"),
        ("made", "hearsay", "line 2: source: 'hearsay' is none of made"),
        ("2026-06-01", "yesterday", "line 2: Invalid isoformat string: 'yesterday'"),
        ("us-east-1", "", "line 2: provider, region and sku may not be empty"),
        (",on-demand", "", "line 2: 10 values, there are 11 columns"),
        ("provider,", "who,", "line 1: has to be provider,region"),
    ],
)
def test_a_bad_row_is_one_clear_line(tmp_path: Path, old: str, new: str, told: str) -> None:
    folder = snapshot(tmp_path, row()) / "2026-06-02"
    path = folder / "aws-machines.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(SpillwayError) as caught:
        seal(folder)
    assert len(caught.value.lines) == 1
    assert str(caught.value).startswith(f"{path}: {told}")


@pytest.mark.parametrize("name", ["aws-machines.csv", "unpriced.csv"])
@pytest.mark.parametrize("edit", [lambda text: text + "\n", lambda text: text[:-1]])
def test_edited_files_are_refused_until_they_are_sealed(tmp_path: Path, name: str, edit: Callable[[str], str]) -> None:
    folder = snapshot(tmp_path, row()) / "2026-06-02"
    path = folder / name
    path.write_text(edit(path.read_text()))
    with pytest.raises(SpillwayError, match=f"{name}: is not the file that manifest.yaml has the sha256 of"):
        Snapshot.load("2026-06-02", tmp_path)
    seal(folder)
    (one,) = Snapshot.load("2026-06-02", tmp_path).rows
    assert (one.usd, one.observed, one.licence) == (Decimal("21.957642"), SEEN, "none")


def test_the_same_thing_twice_is_refused(tmp_path: Path) -> None:
    snapshot(tmp_path, row(), row(usd="2"))
    with pytest.raises(SpillwayError, match=r"aws us-east-1 p4d.24xlarge on-demand: is there twice"):
        Snapshot.load(None, tmp_path)


def test_writing_the_shipped_snapshot_anew_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path / SHIPPED.path.name, content(SHIPPED))
    assert Snapshot.load(None, tmp_path).id == SHIPPED.id
    shutil.copytree(SHIPPED.path, tmp_path / "2026-12-01")
    seal(tmp_path / "2026-12-01")
    for path in SHIPPED.path.iterdir():
        assert (tmp_path / "2026-12-01" / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_command_seals_and_tells_a_wrong_row_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "2026-12-01"
    shutil.copytree(FOLDER / dates()[-1], folder)
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out.startswith(f"{folder}: 2026-12-01-")
    path = folder / "aws-machines.csv"
    path.write_text(path.read_text().replace(",on-demand,,3.468000,", ",on-demand,,dear,"))
    broken = path.read_bytes()
    assert main([str(folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "aws-machines.csv" in line
    assert "dear" in line
    assert path.read_bytes() == broken
    for other in (tmp_path, tmp_path / "2026-12-02"):
        assert main([str(other)]) == 1
        assert "has to be a snapshot, a folder that is named by its day" in capsys.readouterr().err
