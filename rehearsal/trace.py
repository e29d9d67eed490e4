"""How many spot instances each zone would have given, over time: recorded or synthetic, read from a file.

CSV: `probed_at` (ISO 8601, with an offset or Z), then a column of counts for each zone; one row a round.
JSON: `{"metadata": {"gap_seconds": 600}, "data": [4, 4, 3, ...]}`, a file for each zone named after it, or in a folder
that is; a folder of such files or folders is a trace, cut to what all of them hold.

A count holds until the next round. A hole between two rounds is kept: the last count stands in it, and `holes` says
where.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

from spillway.errors import SpillwayError

COUNT_MAX: Final = 1_000_000
ROUNDS_MAX: Final = 5_000_000
GAP_MAX: Final = 86_400
"""Seconds: rounds that are further apart say nothing of what happens between them."""
_REGION: Final = re.compile(r"[a-z]+(?:-gov)?-[a-z]+-?\d+")


@dataclass(frozen=True, slots=True)
class Trace:
    """Seconds since `start`; `end` is one step after the last round.

    counts: by zone, for each of `times`. start: unix seconds of the first round, None where the file has no dates.
    sha256: of what was read, so that a result can name it.
    """

    name: str
    start: float | None
    times: tuple[float, ...]
    end: float
    zones: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    step: float
    holes: tuple[tuple[float, float], ...]
    sha256: str
    synthetic: bool = False

    def only(self, zones: Iterable[str]) -> Trace:
        """The same time, of these zones. Raises SpillwayError for one that is not in it."""
        wanted = tuple(dict.fromkeys(zones))
        if unknown := [zone for zone in wanted if zone not in self.zones]:
            raise SpillwayError(f"{self.name}: no zone {unknown[0]}; has {', '.join(self.zones)}")
        at = {zone: index for index, zone in enumerate(self.zones)}
        return self._with(zones=wanted, counts=tuple(self.counts[at[zone]] for zone in wanted))

    def window(self, begin: float, end: float) -> Trace:
        """The part from `begin` up to `end`, in seconds since the start; begins with what held then."""
        if not 0 <= begin < end <= self.end:
            raise SpillwayError(f"{self.name}: a window from {begin:g} to {end:g} s is not within 0 to {self.end:g} s")
        first = max(index for index, time in enumerate(self.times) if time <= begin)
        kept = [index for index, time in enumerate(self.times) if index >= first and time < end]
        return self._with(
            start=None if self.start is None else self.start + begin,
            times=tuple(max(0.0, self.times[index] - begin) for index in kept),
            end=end - begin,
            counts=tuple(tuple(row[index] for index in kept) for row in self.counts),
            holes=tuple((max(a, begin) - begin, min(b, end) - begin) for a, b in self.holes if a < end and b > begin),
        )

    def changes(self) -> Iterator[tuple[float, int, int]]:
        """(seconds, index of the zone, count from then on), in order of time and then of zones; the first ones at 0."""
        before: list[int | None] = [None] * len(self.zones)
        for index, time in enumerate(self.times):
            for zone, row in enumerate(self.counts):
                if row[index] != before[zone]:
                    before[zone] = row[index]
                    yield time, zone, row[index]

    def _with(self, **changed: object) -> Trace:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Trace(**(fields | changed))


def region_of(zone: str) -> str:
    """us-central1-a -> us-central1, us-east-1f -> us-east-1; a name of another form is a region of its own."""
    found = _REGION.match(zone)
    return found.group() if found else zone


def load(paths: Path | Sequence[Path]) -> Trace:
    """A CSV file, a folder of JSON files, or JSON files. Raises SpillwayError: file, place, value, what is allowed."""
    given = [paths] if isinstance(paths, Path) else list(paths)
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(path.glob("*.json")) or sorted(path.glob("*/*.json"))
            if not inside:
                raise SpillwayError(f"{path}: a folder without a .json file")
            files += inside
        else:
            files.append(path)
    if not files:
        raise SpillwayError("a trace: no file is named")
    if len(files) == 1 and files[0].suffix == ".csv":
        return _csv(files[0], _read(files[0]))
    if other := [file for file in files if file.suffix != ".json"]:
        raise SpillwayError(f"{other[0]}: a trace is one .csv file, or .json files of a zone each")
    return _json(files)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpillwayError(f"{path}: cannot be read: {error.strerror}") from None


def _csv(path: Path, data: bytes) -> Trace:
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SpillwayError(f"{path}: is no CSV in UTF-8: {error}") from None
    if len(rows) < 3 or rows[0][:1] != ["probed_at"] or len(rows[0]) < 2:
        raise SpillwayError(f"{path}: has to begin with a line `probed_at,<zone>,...` and have two rounds or more")
    zones = tuple(rows[0][1:])
    if len(set(zones)) < len(zones) or "" in zones:
        raise SpillwayError(f"{path}: line 1: every zone has a column of its own, with a name")
    stamps: list[float] = []
    columns: list[list[int]] = [[] for _ in zones]
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) != len(zones) + 1:
            raise SpillwayError(f"{path}: line {number}: {len(row)} values, the first line has {len(zones) + 1}")
        stamps.append(_stamp(path, number, row[0], stamps))
        for column, zone, text in zip(columns, zones, row[1:], strict=True):
            column.append(_count(f"{path}: line {number}: {zone}", text))
    if not 2 <= len(stamps) <= ROUNDS_MAX:
        raise SpillwayError(f"{path}: has {len(stamps):,} rounds, 2 to {ROUNDS_MAX:,} are allowed")
    times = tuple(stamp - stamps[0] for stamp in stamps)
    step = median(b - a for a, b in pairwise(times))
    holes = tuple((a + step, b) for a, b in pairwise(times) if b - a > 1.5 * step)
    digest = hashlib.sha256(data).hexdigest()
    counts = tuple(tuple(column) for column in columns)
    return Trace(path.stem, stamps[0], times, times[-1] + step, zones, counts, step, holes, digest)


def _stamp(path: Path, number: int, text: str, before: list[float]) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SpillwayError(
            f"{path}: line {number}: probed_at: {text!r} is no time such as 2025-10-04T00:10:00Z"
        ) from None
    if found.tzinfo is None:
        raise SpillwayError(f"{path}: line {number}: probed_at: {text!r} has no offset and no Z")
    stamp = found.astimezone(UTC).timestamp()
    if before and stamp <= before[-1]:
        raise SpillwayError(f"{path}: line {number}: probed_at: {text!r} is not after the line before")
    return stamp


def _count(where: str, value: object) -> int:
    number = value
    if isinstance(value, str) and value.isascii() and value.strip().isdigit() and len(value) < 20:
        number = int(value)  # which would also take 1_000 and the digits of other scripts
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= COUNT_MAX:
        raise SpillwayError(f"{where}: {value!r} is no number of instances (0 to {COUNT_MAX:,})")
    return number


def _json(files: Sequence[Path]) -> Trace:
    zones: list[str] = []
    rows: list[list[int]] = []
    gaps: dict[float, Path] = {}
    digest = hashlib.sha256()
    for file in files:
        data = _read(file)
        digest.update(data)
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            raise SpillwayError(f"{file}: is no JSON") from None
        values = body.get("data") if isinstance(body, dict) else None
        told = body.get("metadata") if isinstance(body, dict) else None
        gap = told.get("gap_seconds") if isinstance(told, dict) else None
        if isinstance(gap, bool) or not isinstance(gap, int | float) or not 0 < gap <= GAP_MAX:
            raise SpillwayError(
                f"{file}: metadata.gap_seconds: {gap!r} has to be a number of seconds above 0, {GAP_MAX:,} at most"
            )
        if not isinstance(values, list) or not 2 <= len(values) <= ROUNDS_MAX:
            raise SpillwayError(f"{file}: data: has to be a list of two counts or more")
        gaps.setdefault(float(gap), file)
        zones.append(file.stem)
        rows.append([_count(f"{file}: data[{index}]", value) for index, value in enumerate(values)])
    if len(gaps) > 1:
        told_gaps = ", ".join(f"{file.name} {gap:g} s" for gap, file in gaps.items())
        raise SpillwayError(f"{files[0].parent}: files of one trace have one gap_seconds; here: {told_gaps}")
    folder = files[0].parent
    if len(set(zones)) < len(zones):
        zones, folder = [file.parent.name for file in files], files[0].parent.parent
    if len(set(zones)) < len(zones):
        raise SpillwayError(f"{files[0].parent}: two files are named alike: {', '.join(file.stem for file in files)}")
    step = next(iter(gaps))
    length = min(len(row) for row in rows)
    name = folder.name if len(files) > 1 else files[0].stem
    times = tuple(index * step for index in range(length))
    counts = tuple(tuple(row[:length]) for row in rows)
    return Trace(name, None, times, length * step, tuple(zones), counts, step, (), digest.hexdigest())
