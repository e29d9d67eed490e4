"""report.json: a line of figures for each option, and the comparison that they are of.

Amounts are text, decimals of at most twelve places, so that no program reads them as floats by chance. Its schema is
report.schema.json beside this file (`make reports` writes it). `version` rises when a key changes its
meaning or goes; keys may come without that. `read` gives the comparison back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import TypeAdapter, ValidationError

from cost.money import HOURS_PER_MONTH
from cost.report import words
from cost.report.told import Told
from cost.result import Comparison, Kind, Status
from cost.scenario import Scenario
from spillway.errors import SpillwayError
from spillway.outputs import compact

VERSION: Final = 1
SCHEMA: Final = Path(__file__).with_name("report.schema.json")


@dataclass(frozen=True, slots=True)
class Figures:
    """An option in one line. rank: 1 is the cheapest; None for spot alone, which is a price and no service, and for
    those without a total, whose amounts are None too.

    levelised_month: a month, with its P10 and P90; usd_million: levelised, per million tokens; cash (with its own),
    amortised, npv: of the period; wins: share of the draws. cheaper_from: tokens a day above the
    workload's from which it is cheaper than the cheapest. unpriced: parts without a price, which no amount has in it.
    """

    option: str
    title: str
    kind: Kind
    status: Status
    rank: int | None
    levelised_month: Decimal | None
    levelised_month_p10: Decimal | None
    levelised_month_p90: Decimal | None
    usd_million: Decimal | None
    cash: Decimal | None
    cash_p10: Decimal | None
    cash_p90: Decimal | None
    amortised: Decimal | None
    npv: Decimal | None
    wins: Decimal | None
    cheaper_from: Decimal | None
    nodes: int | None
    utilisation: Decimal | None
    unpriced: int


@dataclass(frozen=True, slots=True)
class Converted:
    """What the scenario's own currency was changed at. usd: for one unit of it."""

    currency: str
    usd: Decimal
    source: str
    observed: date


@dataclass(frozen=True, slots=True)
class Change:
    """What differs from the report that this one is held against. kind month: levelised, of an option."""

    kind: Literal["month", "input", "price"]
    what: str
    unit: str
    then: str
    now: str


@dataclass(frozen=True, slots=True)
class Document:
    """The file. currency: of every amount; month_hours: what a month is; exchange: None where nothing was converted;
    since: empty where it is held against no earlier report;
    figures: by rank, options without a total last."""

    format: Literal["spillway.cost"]
    version: int
    currency: str
    month_hours: Decimal
    exchange: Converted | None
    answer: tuple[str, ...]
    since: tuple[Change, ...]
    figures: tuple[Figures, ...]
    comparison: Comparison


_DOCUMENT: Final = TypeAdapter(Document)


def document(known: Told) -> Document:
    """What the file holds."""
    from cost.report.answer import sentences

    rate = known.exchange
    converted = None
    if rate is not None:
        currency = known.scenario.data.currency
        converted = Converted(currency, Decimal(repr(rate.usd)), rate.source, date.fromisoformat(rate.observed))
    return Document(
        "spillway.cost", VERSION, known.found.currency, HOURS_PER_MONTH, converted, tuple(sentences(known)),
        tuple(_changes(known)), figures(known), known.found,
    )  # fmt: skip


def _changes(known: Told) -> Iterator[Change]:
    since = known.since
    if since is None:
        return
    for moved in since.options():
        amounts = ("" if one is None else words.exact(one) for one in (moved.then, moved.now))
        yield Change("month", moved.title, known.found.currency, *amounts)
    yield from (Change("input", one.what, one.unit, one.then, one.now) for one in since.inputs())
    yield from (Change("price", one.what, one.unit, one.then, one.now) for one in since.prices())


def figures(known: Told) -> tuple[Figures, ...]:
    """Of every option, the cheapest first."""
    found = []
    for one in (*known.ranked, *known.out):
        spread = known.month_range(one)
        total, drawn = one in known.ranked, known.drawn.get(one.name)
        met = known.breaks_even(one) if total else None
        found.append(
            Figures(
                option=one.name,
                title=one.title,
                kind=one.kind,
                status=one.status,
                rank=known.serving.index(one) + 1 if one in known.serving else None,
                levelised_month=one.levelised_month if total else None,
                levelised_month_p10=spread[0] if spread else None,
                levelised_month_p90=spread[1] if spread else None,
                usd_million=one.usd_million if total else None,
                cash=one.cash if total else None,
                cash_p10=drawn.cash_p10 if drawn else None,
                cash_p90=drawn.cash_p90 if drawn else None,
                amortised=one.amortised if total else None,
                npv=one.npv if total else None,
                wins=drawn.wins if drawn and one in known.serving else None,
                cheaper_from=met.tokens_day if met else None,
                nodes=one.nodes[0] if one.nodes else None,
                utilisation=one.utilisation,
                unpriced=len(known.gaps.get(one.name, ())),
            )
        )
    return tuple(found)


def dumped(scenario: Scenario, found: Comparison, earlier: Comparison | None = None) -> str:
    """The file's text: same comparison, same bytes. earlier: of a report that it is held against."""
    return compact(_plain(document(Told(scenario, found, earlier))))


def _plain(value: Any) -> Any:
    """What JSON has. Not pydantic's: decimals here end where money does."""
    if isinstance(value, Decimal):
        return words.exact(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return value


def schema() -> str:
    """JSON Schema of the file, as this version writes it."""
    found = _DOCUMENT.json_schema(mode="serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Spillway: report of costs"}
    return json.dumps({**head, **{key: value for key, value in found.items() if key not in head}}, indent=1) + "\n"


def read(path: Path) -> Comparison:
    """The comparison of a report.json. Raises SpillwayError, one line, where it is none."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpillwayError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SpillwayError(f"{path}: no JSON: {error}") from None
    if not isinstance(body, dict) or body.get("format") != "spillway.cost":
        raise SpillwayError(f"{path}: not the report.json of a cost report")
    if body.get("version") != VERSION:
        raise SpillwayError(f"{path}: version: {body.get('version')!r}; this version reads {VERSION}")
    try:
        return _DOCUMENT.validate_python(body).comparison
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise SpillwayError(f"{path}: {where}: {first['msg'].lower()}") from None
