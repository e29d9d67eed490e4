"""report.json: the headline figures of each variant, flat, and the rehearsal with every series as it was played.

Series, incidents and the log are there of the fleet as deployed and with the keeper; of a change its figures are.

Its schema is report.schema.json beside this file (`python -m rehearsal.report` writes it). `version` rises when a key
changes its meaning or goes; keys may come without that. `read` gives the rehearsal back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from rehearsal.changes import MONTH
from rehearsal.report import words
from rehearsal.report.told import Told
from rehearsal.result import Kind, Rehearsal, Variant
from spillway.errors import SpillwayError
from spillway.outputs import compact

VERSION: Final = 1
SCHEMA: Final = Path(__file__).with_name("report.schema.json")


@dataclass(frozen=True, slots=True)
class Figures:
    """A variant in one line. availability: share of the time with the target ready; hours and USD a month are of 730 h;
    share: USD of the target all on demand; gained: availability against the first variant; verdict: against it too."""

    variant: str
    kind: Kind
    change: str
    target: int
    availability: float
    below_hours_a_month: float
    longest_below_seconds: float
    none_ready_seconds: float
    usd: float
    usd_a_month: float
    share: float | None
    launches_per_day: float
    preemptions_per_day: float
    requests: float
    requests_late: float
    requests_failed: float
    rank: int | None
    verdict: str
    gained: float
    more_usd_a_month: float
    usd_per_hour_saved: float | None


@dataclass(frozen=True, slots=True)
class Document:
    """The file. month_hours: what a month is; figures: first the fleet as deployed, then in the rehearsal's order."""

    format: Literal["spillway.rehearsal"]
    version: int
    month_hours: float
    figures: tuple[Figures, ...]
    rehearsal: Rehearsal


_DOCUMENT: Final = TypeAdapter(Document)


def document(rehearsal: Rehearsal) -> Document:
    """What the file holds."""
    known = Told(rehearsal)
    variants = tuple(
        one if any(one is drawn for drawn in known.shown) else _in_figures(one) for one in rehearsal.variants
    )
    slim = replace(rehearsal, variants=variants)
    return Document("spillway.rehearsal", VERSION, MONTH, tuple(figures(known)), slim)


def _in_figures(one: Variant) -> Variant:
    """Without what was when. A dozen changes would make the file ten times as long, and nothing draws them."""
    regions = tuple(replace(region, nodes=(), prices=(), targets=()) for region in one.regions)
    services = tuple(replace(service, answers=(), clients=(), switches=()) for service in one.services)
    load = tuple(replace(load, traffic=()) for load in one.load)
    return replace(one, regions=regions, services=services, load=load, incidents=(), log=())


def figures(known: Told) -> Iterator[Figures]:
    """Of every variant, in the rehearsal's order."""
    ranks = {one.variant: (number, one) for number, one in enumerate(known.ranks, 1)}
    for one in known.rehearsal.variants:
        number, rank = ranks.get(one.name, (None, None))
        yield Figures(
            variant=one.name,
            kind=one.kind,
            change=one.change,
            target=one.serving.target,
            availability=one.serving.availability,
            below_hours_a_month=words.month_hours(max(0.0, 1 - one.serving.availability)),
            longest_below_seconds=one.serving.longest,
            none_ready_seconds=one.serving.zero,
            usd=one.money.total,
            usd_a_month=words.monthly(one.money.total, known.end) or 0.0,
            share=one.money.share,
            launches_per_day=one.launches_per_day,
            preemptions_per_day=one.preemptions_per_day,
            requests=sum(load.arrived for load in one.load),
            requests_late=sum(load.late for load in one.load),
            requests_failed=sum(load.failed for load in one.load),
            rank=number,
            verdict=rank.verdict if rank else "",
            gained=rank.availability if rank else 0.0,
            more_usd_a_month=rank.usd if rank else 0.0,
            usd_per_hour_saved=rank.usd_per_hour if rank else None,
        )


def dumped(rehearsal: Rehearsal) -> str:
    """The file's text: same rehearsal, same bytes. What is not a number (nan, infinite) is null."""
    return compact(json.loads(_DOCUMENT.dump_json(document(rehearsal))))


def schema() -> str:
    """JSON Schema of the file, as this version writes it."""
    found = _DOCUMENT.json_schema(mode="serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Spillway: report of a rehearsal"}
    return json.dumps({**head, **{key: value for key, value in found.items() if key not in head}}, indent=1) + "\n"


def read(path: Path) -> Rehearsal:
    """The rehearsal of a report.json. Raises SpillwayError, one line, where it is none."""
    try:
        body = json.loads(path.read_text())
    except OSError as error:
        raise SpillwayError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SpillwayError(f"{path}: no JSON: {error}") from None
    if not isinstance(body, dict) or body.get("format") != "spillway.rehearsal":
        raise SpillwayError(f"{path}: not the report.json of a rehearsal")
    if body.get("version") != VERSION:
        raise SpillwayError(f"{path}: version: {body.get('version')!r}; this version reads {VERSION}")
    try:
        return _DOCUMENT.validate_python(body).rehearsal
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise SpillwayError(f"{path}: {where}: {first['msg'].lower()}") from None
