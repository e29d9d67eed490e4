"""Snapshots are written whole: rows checked and sorted, hashed, put in place by one rename.

`python -m cost.prices.writing FOLDER` seals a folder whose rows were written by hand, with their sources in
manifest.yaml: it checks the rows, sets their flags and puts the hashes into the manifest.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from cost.prices.checks import check
from cost.prices.files import read_manifest, table
from cost.prices.snapshot import (
    COLUMNS,
    FOLDER,
    MANIFEST,
    UNPRICED,
    UNPRICED_COLUMNS,
    Price,
    Snapshot,
    Source,
    Unpriced,
    dates,
    digest,
    prices_of,
)
from spillway.errors import SpillwayError


@dataclass(frozen=True, slots=True)
class Content:
    """What a snapshot is made of. rows: by file name."""

    rows: Mapping[str, tuple[Price, ...]]
    unpriced: tuple[Unpriced, ...]
    sources: Mapping[str, Source]
    note: str


def content(snapshot: Snapshot) -> Content:
    """A snapshot as it lies there, to make the next one of."""
    return _content(snapshot.path)


def write(folder: Path, made: Content) -> Path:
    """Checks the rows and writes them as the snapshot of the folder's name, in place of what it had.

    Rows that are rejected join the unpriced ones. A fault on the way leaves the folder as it was.
    """
    checked = iter(check(row for rows in made.rows.values() for row in rows))
    files: dict[str, bytes] = {}
    gaps = list(made.unpriced)
    for name, rows in made.rows.items():
        judged = [next(checked) for _ in rows]
        kept = sorted((row for row in judged if isinstance(row, Price)), key=_key)
        files[name] = _csv(COLUMNS, (_line(row) for row in kept))
        gaps += [row for row in judged if isinstance(row, Unpriced)]
    lines = sorted({(gap.provider, gap.region, gap.sku, gap.market, gap.reason) for gap in gaps})
    files[UNPRICED] = _csv(UNPRICED_COLUMNS, lines)
    used = {row.source_id for rows in made.rows.values() for row in rows}
    if lost := used - made.sources.keys():
        raise SpillwayError(f"{folder}: no source {sorted(lost)[0]} in the manifest")
    manifest = _manifest_text(files, {name: made.sources[name] for name in sorted(used)}, made.note)
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        fresh.mkdir(parents=True)
        for name, raw in (*files.items(), (MANIFEST, manifest)):
            (fresh / name).write_bytes(raw)
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    except OSError as error:
        raise SpillwayError(f"{folder}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def seal(folder: Path) -> Path:
    """Checks rows that were written by hand and hashes them."""
    return write(folder, _content(folder))


def _content(folder: Path) -> Content:
    """What lies in a folder, whatever its hashes say."""
    manifest = read_manifest(folder / MANIFEST)
    sources = {name: Source(name, **told) for name, told in manifest["sources"].items()}
    rows = {
        path.name: tuple(prices_of(path, path.read_bytes(), sources))
        for path in sorted(folder.glob("*.csv"))
        if path.name != UNPRICED
    }
    gaps: list[Unpriced] = []
    if (path := folder / UNPRICED).exists():
        gaps = [
            Unpriced(told["reason"], *(told[key] for key in UNPRICED_COLUMNS[:4]))
            for _, told in table(path, path.read_bytes(), UNPRICED_COLUMNS)
        ]
    return Content(rows, tuple(gaps), sources, str(manifest.get("note", "")).strip())


def _key(row: Price) -> tuple[str, str, str, str, str, Decimal]:
    return row.provider, row.sku, row.region, row.market, row.zone or "", row.from_quantity


def _line(row: Price) -> tuple[str, ...]:
    begin = f"{row.from_quantity:f}" if row.from_quantity else ""
    return (
        row.provider, row.region, row.zone or "", row.sku, row.unit, row.market, begin, f"{row.usd:f}",
        row.observed.isoformat(), row.source_id, " | ".join(row.flags),
    )  # fmt: skip


def _csv(columns: Iterable[str], lines: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(columns)
    out.writerows(lines)
    return text.getvalue().encode()


def _manifest_text(files: Mapping[str, bytes], sources: Mapping[str, Source], note: str) -> bytes:
    import yaml

    hashes = {name: hashlib.sha256(raw).hexdigest() for name, raw in sorted(files.items())}
    told = {
        "note": note,
        "sha256": digest(hashes),
        "files": {
            name: {"sha256": hashes[name], "rows": raw.count(b"\n") - 1} for name, raw in sorted(files.items())
        },
        "sources": {
            name: {
                key: value
                for key, value in (
                    ("title", source.title), ("url", source.url), ("licence", source.licence), ("note", source.note),
                )
                if value
            }
            for name, source in sources.items()
        },
    }  # fmt: skip
    text = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=120)
    return f"# Made by cost/prices/writing.py. docs/prices.md tells the columns.\n{text}".encode()


def main(arguments: Sequence[str]) -> int:
    """Seals a snapshot that was edited by hand, the latest unless a folder is named; what is wrong with it is lines,
    and it stays as it was."""
    try:
        folder = Path(arguments[0]).resolve() if arguments else FOLDER / max(dates(), default="")
        if folder.name not in dates(folder.parent):
            raise SpillwayError(f"{folder}: has to be a snapshot, a folder that is named by its day, with {MANIFEST}")
        sealed = seal(folder)
        told = f"{sealed}: {Snapshot.load(sealed.name, sealed.parent).id}\n"
    except SpillwayError as error:
        sys.stderr.writelines(f"{line}\n" for line in error.lines)
        return error.CODE
    sys.stdout.write(told)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
