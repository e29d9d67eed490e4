"""What several values of a scenario file say together; run once each of them is sound by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from pydantic import BaseModel

from cost import models
from cost.arithmetic import Inputs
from cost.scenario import Scenario, ScenarioFile, Uncertain, exactly
from cost.scenario_options import AnyOption, CloudOption
from infra.catalog import NotInCatalog
from infra.faults import Fault, did_you_mean


def together(data: ScenarioFile, options: tuple[AnyOption, ...]) -> Iterator[Fault]:
    """What several values say together."""
    names = [one.name for one in options]
    for index, one in enumerate(options):
        if names.index(one.name) != index:
            yield Fault(("options", index, "name"), "is the name of an earlier option", one.name)
        if one.KIND != "api":
            spec = one.throughput  # type: ignore[union-attr]
            given = [spec.anchor, spec.record, spec.tokens_per_second_per_gpu]
            if sum(value is not None for value in given) != 1:
                allowed = "needs one of anchor, record and tokensPerSecondPerGpu"
                yield Fault(("options", index, "throughput"), allowed)
            if spec.record is None and (spec.series or spec.concurrency):
                yield Fault(("options", index, "throughput"), "series and concurrency go with record")
        if isinstance(one, CloudOption):
            yield from _cloud(("options", index), one)
        if one.KIND in ("cloud", "onprem") and {"nodes", "max_nodes"} <= one.model_fields_set:
            yield Fault(("options", index, "maxNodes"), "goes without nodes, which says it already")
        if one.KIND == "serverless":
            yield from _day(("options", index, "observed"), one.observed)  # type: ignore[union-attr]
    sums = Scenario("", "", "", data, options).inputs
    yield from _day(("dated",), data.dated)
    for index, told in enumerate(data.cited):
        yield from _day(("cited", index, "observed"), told.observed)
        for which, key in enumerate(told.keys):
            if not sums.matching(key):
                hint = did_you_mean(key, sums.keys())
                yield Fault(("cited", index, "keys", which), f"names no number of this file{hint}", key)
    if data.exchange is not None:
        yield from _day(("exchange", "observed"), data.exchange.observed)
    try:
        models.shape(data.model.name)
    except NotInCatalog as error:
        yield Fault(("model", "name"), str(error), data.model.name)
    longest = data.workload.input_tokens + data.workload.output_tokens
    if data.model.context_tokens is not None and data.model.context_tokens < longest:
        words = f"has to be at least {longest}: inputTokens and outputTokens of a request have to fit"
        yield Fault(("model", "contextTokens"), words, data.model.context_tokens)
    if data.currency != "USD" and data.exchange is None:
        words = f"missing: prices are in USD and this file is in {data.currency}; say what one {data.currency} is worth"
        yield Fault(("exchange",), words)
    if data.currency == "USD" and data.exchange is not None:
        yield Fault(("exchange",), "is for a currency other than USD; leave it out, or say which currency")
    if data.workload.hourly is not None:
        if "profile" in data.workload.model_fields_set:
            yield Fault(("workload", "hourly"), "stands in place of profile; leave one of them out")
        if min(data.workload.hourly) < 0 or sum(data.workload.hourly) <= 0:
            yield Fault(("workload", "hourly"), "has to be 24 weights, none below 0, not all 0", data.workload.hourly)
    for index, unsure in enumerate(data.uncertain):
        at = ("uncertain", index)
        if not sums.matching(unsure.key):
            hint = did_you_mean(unsure.key, sums.keys())
            yield Fault((*at, "key"), f"names no number of this file{hint}", unsure.key)
        if unsure.low >= unsure.high:
            yield Fault((*at, "low"), f"has to be below high ({unsure.high:g})", unsure.low)
        elif unsure.shape == "lognormal" and unsure.low <= 0:
            yield Fault((*at, "low"), "has to be above 0 for a lognormal", unsure.low)
        elif unsure.factor and unsure.low < 0:
            yield Fault((*at, "low"), "a factor has to be at least 0", unsure.low)
        yield from _within(at, unsure, sums, data, options)


def _cloud(path: tuple[str | int, ...], option: CloudOption) -> Iterator[Fault]:
    """What would be read and do nothing."""
    if option.market != "blend":
        for name in ("trace", "floor_nodes", "boot_minutes", "percentile"):
            if name in option.model_fields_set:
                key = CloudOption.model_fields[name].alias or name
                yield Fault((*path, key), f"goes with market blend, and market is {option.market}")
    if option.scaling == "hourly" and option.nodes is not None:
        yield Fault((*path, "scaling"), "hourly goes without nodes, which is a number for all hours")


def _day(path: tuple[str | int, ...], text_of: str | None) -> Iterator[Fault]:
    try:
        date.fromisoformat(text_of or "2000-01-01")
    except ValueError:
        yield Fault(path, "is no day of the calendar", text_of)


def _within(
    at: tuple[str, int], unsure: Uncertain, sums: Inputs, data: ScenarioFile, options: tuple[AnyOption, ...]
) -> Iterator[Fault]:
    """Both ends have to be values that the file itself could have."""
    rate = exactly(data.exchange.usd) if data.exchange else Decimal(1)
    limits = dict(_limits(data, options))
    for key in sums.matching(unsure.key):
        if key not in limits:
            yield Fault((*at, "key"), f"{key} is a whole number, which does not spread", unsure.key)
            return
        least, most, unit = limits[key]
        base = sums[key] / (rate if unit.startswith("USD") else 1) if unsure.factor else Decimal(1)
        for end in ("low", "high"):
            value = exactly(getattr(unsure, end)) * base
            if not least <= value <= most:
                yield Fault((*at, end), f"makes {key} {value:g}; it has to be from {least:g} to {most:g}")
                return


def _limits(data: ScenarioFile, options: tuple[AnyOption, ...]) -> Iterator[tuple[str, tuple[Decimal, Decimal, str]]]:
    def walk(prefix: str, section: BaseModel) -> Iterator[tuple[str, tuple[Decimal, Decimal, str]]]:
        for name, model_field in type(section).model_fields.items():
            value, key = getattr(section, name), f"{prefix}.{model_field.alias or name}"
            if isinstance(value, BaseModel):
                yield from walk(key, value)
            elif isinstance(value, float) and isinstance(model_field.json_schema_extra, dict):
                bounds = {n: getattr(m, n) for m in model_field.metadata for n in ("ge", "gt", "le") if hasattr(m, n)}
                least = exactly(bounds.get("ge", bounds.get("gt", 0)))
                yield key, (least, exactly(bounds["le"]), str(model_field.json_schema_extra["unit"]))

    for prefix, section in (
        ("workload", data.workload), ("serving", data.serving), ("finance", data.finance),
        *((f"options.{one.name}", one) for one in options),
    ):  # fmt: skip
        yield from walk(prefix, section)
