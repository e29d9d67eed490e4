"""A scenario file: a workload, a model, the options to compare, what is uncertain.

    scenario = load(Path("cost/scenarios/product.yaml"))
    scenario.inputs["options.own.pue"]

Strict as a stack file is, with the same words for faults (infra/validation.py, infra/stackfile.py), all at once.
cost/scenario_schema.py makes the JSON Schema for editors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from cost.arithmetic import Inputs
from cost.result import Assumption
from cost.scenario_options import KINDS, AnyOption, Latency, ModelShape, ShortText, number, share
from infra import stackfile
from infra.faults import ConfigError, Fault, did_you_mean, listed
from infra.sections import Listed, Section, text
from infra.validation import validate
from spillway.errors import SpillwayError

FOLDER: Final = Path(__file__).parent / "scenarios"
SHIPPED: Final = ("small-team", "product", "platform")
PROFILES: Final[dict[str, tuple[int, ...]]] = {
    "flat": (1,) * 24,
    # Weights of the hours of a day, UTC; ours, for want of published ones: an office day of Europe with a dip at lunch,
    # and consumers of one continent with an evening peak.
    "office": (1, 1, 1, 1, 1, 2, 4, 8, 12, 14, 14, 12, 11, 13, 14, 12, 9, 6, 4, 3, 2, 2, 1, 1),
    "consumer": (5, 4, 3, 2, 2, 2, 3, 4, 5, 6, 6, 7, 7, 7, 7, 7, 8, 9, 10, 11, 12, 11, 9, 7),
}
Day = Annotated[str, text(r"^\d{4}-\d{2}-\d{2}$", 'a day in quotes such as "2026-11-01"')]
Key = Annotated[str, text(r"^[A-Za-z0-9*._-]{1,128}$", "a key of this file such as options.*.derate, * for any part")]
Currency = Annotated[str, text(r"^[A-Z]{3}$", "an ISO 4217 code such as USD")]


class Period(Section):
    """The time that is looked at."""

    months: int = Field(default=36, ge=1, le=120)
    """How many months."""
    start: Annotated[str, text(r"^2[01]\d{2}-(0[1-9]|1[0-2])$", 'a month in quotes such as "2027-01"')] = "2027-01"
    """The first one."""


class Demand(Section):
    """What is asked of the model."""

    tokens_per_day: float = number("tokens/day", most=1e14, above=True)
    """Input and output tokens of a day in the first month."""
    input_tokens: int = Field(ge=1, le=10_000_000)
    """Tokens of one request's prompt."""
    output_tokens: int = Field(ge=1, le=1_000_000)
    """Tokens of one request's answer."""
    cache_hit_share: float = share("none", default=0.0)
    """Share of the input tokens that a prefix cache has already."""
    profile: Literal["flat", "office", "consumer"] = "flat"
    """Shape of the day."""
    hourly: Listed[float] | None = Field(default=None, min_length=24, max_length=24)
    """24 weights of the hours of a day (UTC) in place of a named profile."""
    burst: float = number(
        "ratio", "assumption: a busy minute over the mean of its hour", least=1, most=100, default=1.25
    )
    """What has to be served at once, over the mean of the hour."""
    growth_per_month: float = number("share", "none", least=-0.5, most=1, default=0.0)
    """Growth of the traffic from month to month."""


class Serving(Section):
    """How capacity is sized."""

    latency: Latency = "server"
    """offline: throughput alone; server: answers start in seconds; interactive: and stream faster than people read."""
    highest_utilisation: float = number(
        "share", "assumption: beyond it queues grow faster than answers", least=0.05, most=1, default=0.85
    )
    """Of its rate, what a node is asked for at the busiest moment."""
    spare_nodes: int = Field(default=1, ge=0, le=1000)
    """Replicas beyond what the busiest moment needs (N+1)."""


class Finance(Section):
    """What money costs, and how prices move."""

    discount_rate: float = share("assumption: cost of capital", default=0.08)
    """A year."""
    api_price_trend: float = number("share/year", "none: prices of today", least=-0.9, most=1, default=0.0)
    """Change of API prices in a year: -0.3 where they fall by 30 %."""
    cloud_price_trend: float = number("share/year", "none: prices of today", least=-0.9, most=1, default=0.0)
    """Change of on-demand and spot prices in a year; a commitment keeps its price."""


class Exchange(Section):
    """What the file's currency is worth."""

    usd: float = number("USD", most=1e4, above=True)
    """USD for one unit of it."""
    source: ShortText
    """Who says so."""
    observed: Day
    """Of which day."""


class Uncertain(Section):
    """An input that is not known exactly. Where * names several keys, one draw moves them together."""

    key: Key
    """Which: its path in this file."""
    low: float = Field(ge=-1e15, le=1e15)
    """Low end: a value, or a factor where `factor` is true."""
    high: float = Field(ge=-1e15, le=1e15)
    """High end."""
    factor: bool = False
    """low and high multiply the input's own value."""
    shape: Literal["triangular", "lognormal", "uniform"] = "triangular"
    """triangular: from low to high, most often at its own value; lognormal: low and high are percentiles 5 and 95."""
    words: ShortText | None = None
    """What it is, for charts."""


class Cited(Section):
    """Where numbers of this file are from."""

    keys: Listed[Key] = Field(min_length=1)
    """Which: paths in this file, * for any part."""
    source: ShortText
    """Who says so."""
    observed: Day | None = None
    """Of which day."""
    owner: ShortText | None = None
    """Who answers for it."""


class Draws(Section):
    """Monte Carlo."""

    draws: int = Field(default=10_000, ge=100, le=1_000_000)
    """How many."""
    seed: int = Field(default=7, ge=0, le=2**32 - 1)
    """The same seed gives the same figures."""


class ScenarioFile(Section):
    """The file."""

    title: ShortText
    """Heading of reports."""
    shows: ShortText
    """What it is for, in a sentence."""
    owner: ShortText = "not named"
    """Who answers for inputs that nobody else is named for."""
    dated: Day | None = None
    """Of which day inputs are for which `cited` tells none."""
    currency: Currency = "USD"
    """Of the amounts in this file; results are in USD."""
    exchange: Exchange | None = None
    """What that currency is worth; needed unless it is USD."""
    period: Period = Field(default_factory=Period.model_construct)
    workload: Demand
    model: ModelShape
    serving: Serving = Field(default_factory=Serving.model_construct)
    finance: Finance = Field(default_factory=Finance.model_construct)
    options: Listed[dict[str, Any]] = Field(min_length=1, max_length=30)
    """What is compared."""
    uncertain: Listed[Uncertain] = Field(default=(), max_length=50)
    """What is not known exactly."""
    cited: Listed[Cited] = Field(default=(), max_length=200)
    """Where numbers are from."""
    monte_carlo: Draws = Field(default_factory=Draws.model_construct)


@dataclass(frozen=True)
class Scenario:
    """A scenario file that has been read. name: of the file, without .yaml; text: as it was read."""

    name: str
    file: str
    text: str
    data: ScenarioFile
    options: tuple[AnyOption, ...]

    @cached_property
    def hourly(self) -> tuple[Decimal, ...]:
        """24 shares of a day's tokens, UTC; their sum is 1 but for the 28th digit."""
        weights: tuple[float | int, ...] = self.data.workload.hourly or PROFILES[self.data.workload.profile]
        exact = [exactly(one) for one in weights]
        return tuple(one / sum(exact) for one in exact)

    @cached_property
    def inputs(self) -> Inputs:
        """Every number by its key, amounts in USD."""
        rate = exactly(self.data.exchange.usd) if self.data.exchange else Decimal(1)
        return Inputs({
            one.key: exactly(one.value) * (rate if one.unit.startswith("USD") else 1) for one in self._numbers()
        })  # fmt: skip

    @cached_property
    def assumptions(self) -> tuple[Assumption, ...]:
        """Every number with where it is from and who answers for it, in the order of the file."""
        from fnmatch import fnmatchcase

        ranges = {key: one for one in self.data.uncertain for key in self.inputs.matching(one.key)}
        found = []
        for one in self._numbers():
            told = [cited for cited in self.data.cited if any(fnmatchcase(one.key, key) for key in cited.keys)]
            cited = told[-1] if told else None  # the last that names it
            source = cited.source if cited else one.source if not one.given else "this scenario"
            day = (cited.observed if cited else None) or self.data.dated
            observed = date.fromisoformat(day) if day else None
            unsure = ranges.get(one.key)
            spread = None
            if unsure is not None:
                base = exactly(one.value) if unsure.factor else Decimal(1)
                spread = (f"{exactly(unsure.low) * base:f}", f"{exactly(unsure.high) * base:f}")
            owner = (cited.owner if cited else None) or self.data.owner
            unit = one.unit.replace("USD", self.data.currency)
            found.append(Assumption(one.key, str(exactly(one.value)), unit, source, observed, owner, spread))
        return tuple(found)

    def _numbers(self) -> Iterator[_Number]:
        data = self.data
        for prefix, section in (
            ("period", data.period), ("workload", data.workload), ("model", data.model), ("serving", data.serving),
            ("finance", data.finance), *((f"options.{one.name}", one) for one in self.options),
        ):  # fmt: skip
            yield from _numbers(prefix, section)


@dataclass(frozen=True, slots=True)
class _Number:
    key: str
    value: float | int
    unit: str
    source: str
    given: bool


def exactly(value: float | int) -> Decimal:
    """The decimal that a person wrote: 0.1 is a tenth, and 5e9 has no digits behind its point."""
    return Decimal(int(value)) if value == int(value) else Decimal(repr(value))


def _numbers(prefix: str, section: BaseModel) -> Iterator[_Number]:
    for name, model_field in type(section).model_fields.items():
        value, key = getattr(section, name), f"{prefix}.{model_field.alias or name}"
        if isinstance(value, BaseModel):
            yield from _numbers(key, value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            extra = model_field.json_schema_extra
            told: dict[str, Any] = extra if isinstance(extra, dict) else {}
            given = name in section.model_fields_set
            yield _Number(key, value, told.get("unit", "count"), told.get("source") or "default of the model", given)


def find(name: str) -> Path:
    """The file of a shipped scenario, or of a path. Raises SpillwayError."""
    shipped = FOLDER / f"{name}.yaml"
    if name in SHIPPED or (shipped.exists() and "/" not in name):
        return shipped
    path = Path(name)
    if path.is_file():
        return path
    raise SpillwayError(
        f"--scenario {name}: there is no such file{did_you_mean(name, SHIPPED)}; "
        f"shipped are {listed(SHIPPED, 'and')}, anything else is a path"
    )


def load(path: Path) -> Scenario:
    """A scenario file. Raises ConfigError (a SpillwayError) with one line for each fault."""
    name = path.name if path.parent == FOLDER else str(path)
    found = parse(stackfile.document(path, name), name)
    return Scenario(path.stem, name, path.read_text(encoding="utf-8"), found[0], found[1])


def parse(document: object, name: str) -> tuple[ScenarioFile, tuple[AnyOption, ...]]:
    """The models of a document, checked together. name: of the file, for faults."""
    from cost.scenario_checks import together

    if not isinstance(document, dict):
        raise ConfigError([f"{name}: has to be a map with {listed(_required(), 'and')}"])
    data, faults = validate(ScenarioFile, document)
    options, more = _options(data.__dict__.get("options", ()))
    faults += more
    if not faults:
        faults += together(data, options)
    if faults:
        raise ConfigError(fault.line(name) for fault in faults)
    return data, options


def _required() -> list[str]:
    return [one.alias or name for name, one in ScenarioFile.model_fields.items() if one.is_required()]


def _options(given: tuple[dict[str, Any], ...]) -> tuple[tuple[AnyOption, ...], list[Fault]]:
    options: list[AnyOption] = []
    faults: list[Fault] = []
    for index, one in enumerate(given):
        kind = one.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            hint = did_you_mean(kind, KINDS)
            path = ("options", index, "kind")
            missing = f"missing; has to be {listed(KINDS)}"
            faults.append(
                Fault(path, f"has to be {listed(KINDS)}{hint}", kind) if "kind" in one else Fault(path, missing)
            )
            continue
        option, found = validate(KINDS[kind], one)
        faults += [fault.below("options", index) for fault in found]
        if not found:
            options.append(option)
    return tuple(options), faults
