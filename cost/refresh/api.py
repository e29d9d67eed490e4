"""What APIs charge per million tokens, from the price data of `genai-prices`: of the pinned package, or the newest that
its repository has, with what differs from the pinned ones marked.

The cost model prices requests by the pinned package (cost/api.py), which knows tiers and hours. These rows are for the
record and for people: list prices of a short request, and the hours in which another price holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, time
from datetime import date as Date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from cost import api
from cost.prices.snapshot import ANYWHERE, ON_DEMAND, Price, Source, Unpriced
from cost.refresh.work import Busy, Found, Step
from infra.faults import did_you_mean
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot

PROVIDERS: Final = ("anthropic", "deepseek", "google", "openai")
FIELDS: Final = {"input_mtok": "input", "cache_read_mtok": "cache-read", "output_mtok": "output"}
SOURCE: Final = "genai-prices"
PINNED: Final = "pinned"
NEWEST: Final = "newest"


class Api:
    """providers: ids of genai-prices. newest: fetch its repository's data too; fetch: in tests."""

    name = "api"

    def __init__(
        self,
        providers: Sequence[str],
        day: Date,
        *,
        newest: bool = False,
        fetch: Callable[[], DataSnapshot | None] | None = None,
    ) -> None:
        known = api.providers()
        for one in providers:
            if one not in known:
                raise SpillwayError(f"api: {api.PACKAGE} has no provider {one}{did_you_mean(one, known)}")
        self.providers, self._day, self._newest, self._fetch = tuple(providers), day, newest, fetch or _fetch

    def steps(self, answers: Mapping[str, Any]) -> list[Step]:
        """The pinned prices; the newest where they are asked for."""
        found = [Step(PINNED, lambda: table(api.data(), self.providers, self._day))]
        if self._newest:
            found.append(Step(NEWEST, self._ask))
        return found

    def found(self, answers: Mapping[str, Any], observed: Date) -> Found:
        """The newest prices there are in the answers."""
        pinned = {(one["provider"], one["model"]): one for one in answers[PINNED]}
        rows: list[Price] = []
        gaps: list[Unpriced] = []
        left_out: Counter[str] = Counter()
        for one in answers.get(NEWEST) or answers[PINNED]:
            if not one["prices"]:
                left_out["models without a price per token"] += 1
                reason = f"{api.PACKAGE} knows the model and has no price per token of it"
                gaps.append(Unpriced(reason, one["provider"], ANYWHERE, one["model"], "*"))
                continue
            before = pinned.get((one["provider"], one["model"]))
            changed = NEWEST in answers and (before is None or before["prices"] != one["prices"])
            rows += _rows(one, observed, changed)
        note = "Newest data of its repository; rows that the pinned package has otherwise are marked."
        source = Source(SOURCE, api.source().partition(",")[0], api.ADDRESS, api.LICENCE, note if self._newest else "")
        return Found({"api-tokens.csv": tuple(rows)}, tuple(gaps), {SOURCE: source}, left_out)

    def replaces(self, row: Price) -> bool:
        """Rows of these providers are all made anew."""
        return row.provider in self.providers and row.source_id == SOURCE

    def _ask(self) -> list[dict[str, Any]]:
        found = self._fetch()
        if found is None:
            raise Busy("the repository of genai-prices has no data")
        return table(found, self.providers, self._day)


def table(data: DataSnapshot, providers: Iterable[str], day: Date) -> list[dict[str, Any]]:
    """Per model: what it costs, as text by kind and hours; where tiers begin."""
    from genai_prices.types import TieredPrices

    wanted = set(providers)
    found: list[dict[str, Any]] = []
    for provider in data.providers:
        if provider.id not in wanted:
            continue
        for model in provider.models:
            prices: dict[str, dict[str, list[int]]] = {}
            tiers: set[int] = set()
            for hour in range(api.HOURS):
                at = datetime.combine(day, time(hour, 30), UTC)
                held = model.get_prices(at)
                for name, kind in FIELDS.items():
                    value = getattr(held, name, None)
                    if isinstance(value, TieredPrices):
                        tiers |= {tier.start for tier in value.tiers}
                        value = value.base
                    if value is not None:
                        prices.setdefault(kind, {}).setdefault(str(value), []).append(hour)
            if "input" not in prices and "output" not in prices:
                prices = {}
            found.append({"provider": provider.id, "model": model.id, "prices": prices, "tiers": sorted(tiers)})
    return sorted(found, key=lambda one: (one["provider"], one["model"]))


def _rows(one: Mapping[str, Any], observed: Date, changed: bool) -> Iterable[Price]:
    """`MODEL/input`, and `MODEL/input@peak` of the dearer hours where there are such."""
    shared = [f"tiers: other prices for requests above {', '.join(f'{tier:,}' for tier in one['tiers'])} input tokens"]
    flags = shared if one["tiers"] else []
    if changed:
        flags = [*flags, "differs: the pinned package has it otherwise"]
    for kind, by_price in one["prices"].items():
        for usd in sorted(by_price, key=Decimal):
            peak = len(by_price) > 1 and Decimal(usd) > min(map(Decimal, by_price))
            hours = [f"hours: {_spans(by_price[usd])} UTC"] if len(by_price) > 1 else []
            name = f"{one['model']}/{kind}{'@peak' if peak else ''}"
            yield Price(
                one["provider"], ANYWHERE, name, "1M tokens", Decimal(usd), ON_DEMAND, None, observed, "", "",
                (*hours, *flags), Decimal(0), SOURCE,
            )  # fmt: skip


def _spans(hours: Sequence[int]) -> str:
    """[1, 2, 3, 6] -> `01-04, 06-07`."""
    spans: list[list[int]] = []
    for hour in hours:
        if spans and spans[-1][1] == hour:
            spans[-1][1] = hour + 1
        else:
            spans.append([hour, hour + 1])
    return ", ".join(f"{begin:02d}-{end:02d}" for begin, end in spans)


def _fetch() -> DataSnapshot | None:
    """Raises Busy."""
    from genai_prices import UpdatePrices

    try:
        return UpdatePrices().fetch()
    except Exception as error:  # the package says no more precisely what goes wrong on the way
        raise Busy(f"{type(error).__name__}: {' '.join(str(error).split())}") from None
