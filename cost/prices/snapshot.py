"""A snapshot of prices: CSV files and a manifest in `cost/data/prices/<date>/`, read once and looked up by key.

    prices = Snapshot.load()
    found = prices.find(provider="aws", region="us-east-1", sku="p4d.24xlarge", market="on-demand")
    if isinstance(found, Unpriced): ...        # with a reason; it never counts as zero

A row is one price of one thing in one region (`*`: in all of the provider's) or zone; rows that differ in
`from_quantity` alone are tiers of a month. Each has the date on which it was seen and a source; the manifest has the
sources with their licences and the SHA-256 of every file. docs/prices.md tells the columns.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date as Date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Final

from cost.money import HOURS_PER_MONTH, tiered, usd
from cost.prices.files import contents, read_manifest, table
from cost.prices.units import UNITS, Unit
from spillway.errors import SpillwayError

FOLDER: Final = Path(__file__).parents[1] / "data" / "prices"
MANIFEST: Final = "manifest.yaml"
UNPRICED: Final = "unpriced.csv"
MACHINES: Final = ("-machines.csv", "-spot.csv")
"""How the names of files with machine types end; the others have what a stack has besides."""
ANYWHERE: Final = "*"
"""Region of a price that holds in every region of its provider."""
STALE_DAYS: Final = 180
"""Older prices are flagged. AWS cut the prices of P4 and P5 by a third to a half at once, in June 2025:
https://www.usage.ai/blogs/aws/ai-ml-cost/llm-cost-optimization-aws/"""

ON_DEMAND: Final = "on-demand"
SPOT: Final = "spot"
LIST: Final = "list"
MARKETS: Final = {
    ON_DEMAND: "for the asking, by the hour",
    SPOT: "spare capacity, taken back at short notice",
    LIST: "a list price of what cannot be ordered on demand",
    "capacity-block": "reserved for days ahead of time, at a price of its own",
    "reserved-1y": "an hour of a commitment for one year, nothing paid in advance",
    "reserved-3y": "an hour of a commitment for three years, nothing paid in advance",
    "reserved-1y-upfront": "an hour of a commitment for one year, all paid in advance",
    "reserved-3y-upfront": "an hour of a commitment for three years, all paid in advance",
    "savings-1y": "an hour under a savings plan or resource commitment of one year",
    "savings-3y": "an hour under a savings plan or resource commitment of three years",
    "calendar": "GCP's calendar mode: a block of days that was booked ahead",
}
SOLD_OUT: Final = "sold-out"
OUTLIER: Final = "outlier"
COLUMNS: Final = (
    "provider", "region", "zone", "sku", "unit", "market", "from_quantity", "usd", "observed", "source", "flags",
)  # fmt: skip
UNPRICED_COLUMNS: Final = ("provider", "region", "sku", "market", "reason")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows are from. url: a page or file, with its commit where it has one."""

    id: str
    title: str
    url: str
    licence: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for one `unit`.

    observed: the day for which the source states the price, or on which it was seen. flags: `kind: reason` each.
    from_quantity: base units of a month from which this tier holds.
    """

    provider: str
    region: str
    sku: str
    unit: str
    usd: Decimal
    market: str
    zone: str | None
    observed: Date
    source: str
    licence: str
    flags: tuple[str, ...] = ()
    from_quantity: Decimal = Decimal(0)
    source_id: str = ""

    @property
    def kind(self) -> Unit:
        """What the unit is counted in."""
        return UNITS[self.unit]

    @property
    def each(self) -> Decimal:
        """US dollars for one base unit: one request where the unit is a million of them."""
        return self.usd / self.kind.per

    @property
    def monthly(self) -> Decimal:
        """US dollars for a month of one, of a price by the hour or by the month. Raises ValueError for others."""
        if self.unit.endswith("hour"):
            return self.usd * HOURS_PER_MONTH
        if self.unit.endswith("month"):
            return self.usd
        raise ValueError(f"{self.sku}: a price per {self.unit} is none of a month")

    @property
    def sold_out(self) -> bool:
        """A spot price that says there is none: it equals the on-demand price."""
        return self.flagged(SOLD_OUT) is not None

    def flagged(self, kind: str) -> str | None:
        """The reason of a flag, or None where there is no such flag."""
        for flag in self.flags:
            name, _, reason = flag.partition(": ")
            if name == kind:
                return reason
        return None

    def age(self, today: Date) -> int:
        """Days since it was seen."""
        return (today - self.observed).days

    def stale(self, today: Date, limit: int = STALE_DAYS) -> bool:
        """Whether it was seen more than `limit` days ago."""
        return self.age(today) > limit


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Something without a price, and why; to be shown as such."""

    reason: str
    provider: str = ""
    region: str = ""
    sku: str = ""
    market: str = ""


_Key = tuple[str, str, str, str, str | None]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """All prices of one date. id: the date and the beginning of the hash over all of its files.

    machines: the SKUs that are machine types.
    """

    date: Date
    id: str
    rows: tuple[Price, ...]
    unpriced: tuple[Unpriced, ...]
    sources: dict[str, Source]
    note: str
    path: Path
    machines: frozenset[str]
    _by_key: dict[_Key, list[Price]] = field(init=False, repr=False)
    _by_thing: dict[tuple[str, str], list[Price]] = field(init=False, repr=False)
    _reasons: dict[tuple[str, str], list[Unpriced]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        keys: dict[_Key, list[Price]] = {}
        things: dict[tuple[str, str], list[Price]] = {}
        reasons: dict[tuple[str, str], list[Unpriced]] = {}
        for row in self.rows:
            keys.setdefault((row.provider, row.region, row.sku, row.market, row.zone), []).append(row)
            things.setdefault((row.provider, row.sku), []).append(row)
        for gap in self.unpriced:
            reasons.setdefault((gap.provider, gap.sku), []).append(gap)
        for tiers in keys.values():
            tiers.sort(key=lambda row: row.from_quantity)
        object.__setattr__(self, "_by_key", keys)
        object.__setattr__(self, "_by_thing", things)
        object.__setattr__(self, "_reasons", reasons)

    @classmethod
    def load(cls, date: Date | str | None = None, folder: Path = FOLDER) -> Snapshot:
        """The snapshot of a date, or the latest. Raises SpillwayError: file, line, value, what is allowed."""
        there = dates(folder)
        if date is None:
            if not there:
                raise SpillwayError(f"{folder}: has no snapshot of prices")
            return _load(folder / there[-1])
        name = date if isinstance(date, str) else date.isoformat()
        if name not in there:
            raise SpillwayError(f"{folder}: no snapshot of {name}; there is {', '.join(there) or 'none'}")
        return _load(folder / name)

    @staticmethod
    def forget() -> None:
        """Snapshots are kept in memory once read; a new one in the same place has to be read anew."""
        _load.cache_clear()

    def find(
        self, *, provider: str, region: str, sku: str, market: str = ON_DEMAND, zone: str | None = None
    ) -> Price | Unpriced:
        """The price of the first unit; `tiers` has all of them. Without a zone, only a price of the whole region."""
        found = self.tiers(provider=provider, region=region, sku=sku, market=market, zone=zone)
        return found if isinstance(found, Unpriced) else found[0]

    def tiers(
        self, *, provider: str, region: str, sku: str, market: str = ON_DEMAND, zone: str | None = None
    ) -> tuple[Price, ...] | Unpriced:
        """The price by quantity of a month, ascending."""
        for where in (region, ANYWHERE):
            for place in (zone, None) if zone else (None,):
                if found := self._by_key.get((provider, where, sku, market, place)):
                    return tuple(found)
        return Unpriced(self._why(provider, region, sku, market), provider, region, sku, market)

    def cost(
        self, quantity: Decimal, *, provider: str, region: str, sku: str, market: str = ON_DEMAND
    ) -> Decimal | Unpriced:
        """US dollars for a month's quantity, in base units, over all tiers."""
        found = self.tiers(provider=provider, region=region, sku=sku, market=market)
        if isinstance(found, Unpriced):
            return found
        return tiered(quantity, [(row.from_quantity, row.each) for row in found])

    def spot_by_zone(self, *, provider: str, region: str, sku: str) -> tuple[Price, ...]:
        """Every spot price in a region, by zone; of a cloud with one price for the region, that one. Empty: none."""
        rows = self._by_thing.get((provider, sku), [])
        found = [row for row in rows if row.market == SPOT and row.region == region]
        return tuple(sorted(found, key=lambda row: (row.zone or "", row.observed)))

    def of(self, sku: str, provider: str | None = None) -> tuple[Price, ...]:
        """Every row of a thing."""
        return tuple(
            row
            for (cloud, name), rows in self._by_thing.items()
            if name == sku and provider in (None, cloud)
            for row in rows
        )

    def skus(self, provider: str | None = None) -> tuple[str, ...]:
        """Everything that has a price."""
        return tuple(sorted({name for cloud, name in self._by_thing if provider in (None, cloud)}))

    def providers(self) -> tuple[str, ...]:
        """Everybody who has prices here, or things of whom it is said why they have none."""
        return tuple(sorted({cloud for cloud, _ in (*self._by_thing, *self._reasons)}))

    @property
    def observed(self) -> tuple[Date, Date]:
        """The first and the last day on which a row was seen."""
        days = [row.observed for row in self.rows]
        return min(days), max(days)

    def age(self, today: Date) -> int:
        """Days since the median day on which the on-demand prices of its machines were seen: what a bill is made of."""
        days = sorted(row.observed for row in self.rows if row.market == ON_DEMAND and row.sku in self.machines)
        return (today - (days[len(days) // 2] if days else self.date)).days

    def stale(self, today: Date, limit: int = STALE_DAYS) -> bool:
        """Whether half of its machines' on-demand prices were seen more than `limit` days ago."""
        return self.age(today) > limit

    def _why(self, provider: str, region: str, sku: str, market: str) -> str:
        for gap in self._reasons.get((provider, sku), []):
            if gap.region in (region, ANYWHERE) and gap.market in (market, ANYWHERE):
                return gap.reason
        rows = self._by_thing.get((provider, sku))
        if rows is None:
            if provider not in self.providers():
                return f"no prices of {provider} in snapshot {self.id}"
            return f"no price of {provider} {sku} in snapshot {self.id}"
        here = [row for row in rows if row.region in (region, ANYWHERE)]
        if not here:
            others = sorted({row.region for row in rows})
            return f"no price of {sku} in {region}; snapshot {self.id} has it in {_some(others)}"
        if (
            market == ON_DEMAND
            and all(row.market != ON_DEMAND for row in here)
            and (listed := next((row for row in here if row.market == LIST), None))
        ):
            return (
                f"{sku} cannot be ordered on demand in {region}; {listed.usd} USD per {listed.unit} is its list price"
            )
        if any(row.market == market for row in here):
            zones = sorted({row.zone for row in here if row.market == market and row.zone})
            return f"{market} price of {sku} in {region} is by zone: {_some(zones)}"
        return f"no {market} price of {sku} in {region}; there is {_some(sorted({row.market for row in here}))}"


def dates(folder: Path = FOLDER) -> list[str]:
    """The dates that have a snapshot, the earliest first."""
    if not folder.is_dir():
        return []
    return sorted(one.name for one in folder.iterdir() if _DATE.fullmatch(one.name) and (one / MANIFEST).is_file())


def digest(files: dict[str, str]) -> str:
    """One hash over the names and hashes of files."""
    return hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()


@lru_cache(maxsize=4)
def _load(folder: Path) -> Snapshot:
    manifest = read_manifest(folder / MANIFEST)
    sources = {
        name: Source(name, **{key: " ".join(str(value).split()) for key, value in told.items()})
        for name, told in manifest["sources"].items()
    }
    rows: list[Price] = []
    gaps: list[Unpriced] = []
    machines: set[str] = set()
    for name, told in manifest["files"].items():
        raw = contents(folder / name)
        if hashlib.sha256(raw).hexdigest() != told["sha256"]:
            raise SpillwayError(
                f"{folder / name}: is not the file that {MANIFEST} has the sha256 of; "
                "a snapshot is not edited: make another with `spillway cost refresh`"
            )
        if name == UNPRICED:
            gaps += [
                Unpriced(told["reason"], *(told[key] for key in UNPRICED_COLUMNS[:4]))
                for _, told in table(folder / name, raw, UNPRICED_COLUMNS)
            ]
        else:
            found = prices_of(folder / name, raw, sources)
            rows += found
            if name.endswith(MACHINES):
                machines |= {row.sku for row in found}
    _no_doubles(folder, rows)
    date = Date.fromisoformat(folder.name)
    ident = f"{folder.name}-{digest({name: told['sha256'] for name, told in manifest['files'].items()})[:12]}"
    note = " ".join(str(manifest.get("note", "")).split())
    return Snapshot(date, ident, tuple(rows), tuple(gaps), sources, note, folder, frozenset(machines))


def prices_of(path: Path, raw: bytes, sources: dict[str, Source]) -> list[Price]:
    """The rows of one file. Raises SpillwayError."""
    found = []
    days: dict[str, Date] = {}
    for where, told in table(path, raw, COLUMNS):
        try:
            if (observed := days.get(told["observed"])) is None:
                observed = days[told["observed"]] = Date.fromisoformat(told["observed"])
            amount, begin = usd(told["usd"]), usd(told["from_quantity"] or "0")
        except ValueError as error:
            raise SpillwayError(f"{where}: {error}") from None
        for key, known in (("unit", UNITS), ("market", MARKETS), ("source", sources)):
            if told[key] not in known:
                raise SpillwayError(f"{where}: {key}: {told[key]!r} is none of {', '.join(known)}")
        if not (told["provider"] and told["region"] and told["sku"]):
            raise SpillwayError(f"{where}: provider, region and sku may not be empty")
        source = sources[told["source"]]
        found.append(
            Price(
                told["provider"], told["region"], told["sku"], told["unit"], amount, told["market"],
                told["zone"] or None, observed, f"{source.title}, {source.url}", source.licence,
                tuple(told["flags"].split(" | ")) if told["flags"] else (), begin, source.id,
            )
        )  # fmt: skip
    return found


def _no_doubles(folder: Path, rows: Iterable[Price]) -> None:
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        key = (row.provider, row.region, row.sku, row.market, row.zone, row.from_quantity)
        if key in seen:
            raise SpillwayError(
                f"{folder}: {row.provider} {row.zone or row.region} {row.sku} {row.market}: is there twice"
            )
        seen.add(key)


def _some(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} others" if len(names) > 6 else "")
