"""Recorded traces and price lists by name; manifest.yaml has where each is from, its licence, and what it shows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from rehearsal import prices
from rehearsal import trace as traces
from spillway.errors import SpillwayError

FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Known:
    """A file of the manifest. prices: name of the list of a trace's time. per: instances of the trace in a machine.
    instance: machine type that was recorded."""

    name: str
    path: Path
    sha256: str
    source: str
    licence: str
    date: str
    shows: str
    shows_not: str
    prices: str | None = None
    machine: str | None = None
    per: int | None = None
    instance: str | None = None


@cache
def manifest() -> dict[str, dict[str, Known]]:
    """Traces and prices, by kind and name."""
    body: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load((FOLDER / "manifest.yaml").read_text())
    return {kind: {name: _known(name, entry) for name, entry in entries.items()} for kind, entries in body.items()}


def trace(name: str) -> traces.Trace:
    """A recorded trace. Raises SpillwayError for a name that is not there, and for a file that is not as recorded."""
    return traces.load(_path("traces", name))


def price_list(name: str, machine: str | None = None, per: int | None = None) -> prices.PriceList:
    """A price list, of the machine that goes with its trace where none is named. Raises SpillwayError."""
    path, known = _path("prices", name), manifest()["prices"][name]
    if machine is None:
        machine, per = known.machine, known.per if per is None else per
    return prices.price_list(path, machine, per)


def known(sha256: str) -> Known | None:
    """What the manifest says of a file with this content."""
    return next((one for kind in manifest().values() for one in kind.values() if one.sha256 == sha256), None)


def _path(kind: Literal["traces", "prices"], name: str) -> Path:
    entries = manifest()[kind]
    if name not in entries:
        raise SpillwayError(f"{kind}: no {name!r}; there are {', '.join(entries)}")
    path = entries[name].path
    if hashlib.sha256(path.read_bytes()).hexdigest() != entries[name].sha256:
        raise SpillwayError(f"{path}: is not the file whose sha256 is in {FOLDER / 'manifest.yaml'}")
    return path


def _known(name: str, entry: dict[str, Any]) -> Known:
    told = {key: entry[key] for key in ("sha256", "source", "licence", "shows", "shows_not")}
    date = entry["recorded"] if "recorded" in entry else entry["observed"]
    told |= {key: entry.get(key) for key in ("prices", "machine", "per", "instance")}
    return Known(name=name, path=FOLDER / entry["file"], date=date, **told)
