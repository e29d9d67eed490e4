"""Scenario files: what is read, and one clear line for each thing that is wrong."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from cost import scenario_schema
from cost.arithmetic import EXACT
from cost.cloud import CloudModel
from cost.options import build
from cost.scenario import PROFILES, SHIPPED, find, load, parse
from infra.schema import text
from spillway.errors import SpillwayError
from tests.cost.worked import API, CLOUD, OWN, SERVERLESS, SNAPSHOT, TODAY, document, made
from tests.support import json_schema

PUE = "options.own.pue"


def faults(given: Any) -> tuple[str, ...]:
    with pytest.raises(SpillwayError) as error:
        parse(given, "made.yaml")
    return error.value.lines


def changed(**sections: Any) -> tuple[str, ...]:
    return faults(document(API, OWN, CLOUD, SERVERLESS, **sections))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_scenario_is_sound(name: str) -> None:
    found = load(find(name))
    assert found.name == name
    assert sum(found.hourly) == pytest.approx(1, abs=Decimal("1e-25"))
    assert found.data.title in found.text
    assert all(one.observed and one.source and one.owner for one in found.assumptions)


def test_the_three_are_of_the_sizes_that_they_say() -> None:
    tokens = [int(load(find(name)).inputs["workload.tokensPerDay"]) for name in SHIPPED]
    assert tokens == [100_000, 50_000_000, 5_000_000_000]
    product = load(find("product")).data.workload
    assert (product.input_tokens, product.output_tokens, product.cache_hit_share) == (3000, 1000, 0.4)


@pytest.mark.parametrize(
    ("option", "changes", "told"),
    [
        (OWN, {"pue": 0.5}, "options[0].pue = 0.5: has to be from 1 to 5"),
        (OWN, {"capexPerNode": -1.0}, "options[0].capexPerNode = -1: has to be above 0"),
        (OWN, {"capexPerNode": "300000 EUR"}, "has to be a number above 0"),
        (OWN, {"lifeYear": 3.0}, "options[0].lifeYear = 3: unknown key (did you mean lifeYears?)"),
        (CLOUD, {"market": "spott"}, "options[0].market = spott: has to be"),
        (CLOUD, {"throughput": {"derate": 0.5}}, "needs one of anchor, record and tokensPerSecondPerGpu"),
        (CLOUD, {"throughput": {"anchor": "x", "record": "y", "derate": 0.5}}, "needs one of anchor, record"),
        (CLOUD, {"throughput": {"anchor": "x", "concurrency": 3, "derate": 1.0}}, "go with record"),
        (CLOUD, {"throughput": {"anchor": "x"}}, "options[0].throughput.derate: missing"),
        (CLOUD, {"throughput": {"anchor": "x", "derate": 3.0}}, "options[0].throughput.derate = 3"),
        (CLOUD, {"bootMinutes": 10.0}, "options[0].bootMinutes: goes with market blend, and market is on-demand"),
        (CLOUD, {"nodes": 2, "scaling": "hourly"}, "options[0].scaling: hourly goes without nodes"),
        (CLOUD, {"nodes": 2, "maxNodes": 3}, "options[0].maxNodes: goes without nodes"),
        (SERVERLESS, {"observed": "2026-02-30"}, "options[0].observed = 2026-02-30: is no day of the calendar"),
        (API, {"kind": "apii"}, "kind = apii: has to be api, onprem, cloud or serverless (did you mean api?)"),
        (API, {"discount": 1.5}, "options[0].discount = 1.5"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_one_line(option: dict[str, Any], changes: dict[str, Any], told: str) -> None:
    lines = faults(document({**option, **changes}))
    assert len(lines) == 1, lines
    assert lines[0].startswith("made.yaml: ")
    assert told in lines[0]


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"workload": {"burst": 0.5}}, "workload.burst = 0.5: has to be from 1 to 100"),
        ({"workload": {"tokensPerDay": -5.0}}, "has to be above 0 and at most 100000000000000"),
        ({"workload": {"tokensPerDay": 1e20}}, "workload.tokensPerDay = 1e+20"),
        ({"workload": {"cacheHitShare": 1.2}}, "workload.cacheHitShare = 1.2"),
        ({"workload": {"hourly": [1.0] * 23}}, "workload.hourly"),
        ({"workload": {"hourly": [0.0] * 24}}, "has to be 24 weights, none below 0, not all 0"),
        ({"workload": {"hourly": [1.0] * 24, "profile": "flat"}}, "stands in place of profile"),
        ({"model": {"name": "lama-3.3-70b-instruct"}}, "unknown model (did you mean llama-3.3-70b-instruct?)"),
        ({"currency": "EUR"}, "exchange: missing: prices are in USD and this file is in EUR"),
        ({"exchange": {"usd": 1.1, "source": "ECB", "observed": "2026-11-01"}}, "exchange: is for a currency other"),
        ({"currency": "euro"}, "currency = euro: has to be an ISO 4217 code"),
        ({"period": {"months": 0}}, "period.months = 0"),
        ({"period": {"start": "9999-12"}}, "period.start = 9999-12: has to be a month in quotes"),
        ({"model": {"contextTokens": 100}}, "model.contextTokens = 100: has to be at least "),
        ({"dated": "2026-02-30"}, "dated = 2026-02-30: is no day of the calendar"),
        ({"uncertain": [{"key": "options.own.staffFt", "low": 0.0, "high": 1.0}]}, "names no number of this file"),
        ({"uncertain": [{"key": "options.own.staffFte", "low": 2.0, "high": 1.0}]}, "has to be below high (1)"),
        ({"uncertain": [{"key": PUE, "low": 0.5, "high": 2.0}]}, "makes options.own.pue 0.5; it has to be from 1"),
        ({"uncertain": [{"key": "workload.inputTokens", "low": 1.0, "high": 2.0}]}, "which does not spread"),
        ({"uncertain": [{"key": PUE, "low": -1.0, "high": 2.0, "shape": "lognormal"}]}, "above 0 for a lognormal"),
        ({"cited": [{"keys": [PUE], "source": "x", "observed": "2026-13-01"}]}, "is no day of the calendar"),
        ({"sla": 3}, "unknown key"),
    ],
)  # fmt: skip
def test_a_wrong_section_is_told_with_its_key(sections: dict[str, Any], told: str) -> None:
    assert any(told in line for line in changed(**sections)), changed(**sections)


def test_every_fault_is_told_at_once() -> None:
    lines = faults(document({**OWN, "pue": 9.0}, {**API, "provider": ""}, workload={"burst": 0.5}))
    assert len(lines) == 3


def test_two_options_of_a_name_are_a_fault() -> None:
    (line,) = faults(document(API, {**OWN, "name": "api"}))
    assert line == "made.yaml: options[1].name = api: is the name of an earlier option"


@pytest.mark.parametrize(
    ("content", "told"),
    [("- 1\n", "has to be a map with title"), ("a: [\n", "not YAML"), ("title: x\ntitle: y\n", "twice"),
     ("", "has to be a map")],
)  # fmt: skip
def test_a_file_that_is_none_is_one_line(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(SpillwayError) as error:
        load(path)
    assert len(error.value.lines) == 1
    assert told in error.value.lines[0]


def test_a_scenario_that_is_not_there_is_one_line() -> None:
    with pytest.raises(
        SpillwayError, match=r"no such file \(did you mean product\?\); shipped are small-team, product and"
    ):
        find("produkt")


def test_numbers_are_the_decimals_that_were_written() -> None:
    inputs = made({**OWN, "usdPerKwh": 0.1}).inputs
    assert inputs["options.own.usdPerKwh"] == Decimal("0.1")
    assert inputs["options.own.throughput.derate"] == 1


def test_assumptions_say_where_they_are_from_and_who_answers() -> None:
    cited = [{"keys": ["options.own.capex*"], "source": "a quotation", "observed": "2026-10-01", "owner": "buyers"}]
    unsure = [{"key": "options.own.pue", "low": 1.2, "high": 1.8}]
    rows = {one.key: one for one in made(OWN, cited=cited, uncertain=unsure, owner="us").assumptions}
    capex = rows["options.own.capexPerNode"]
    assert (capex.source, str(capex.observed), capex.owner) == ("a quotation", "2026-10-01", "buyers")
    assert rows["options.own.pue"].range == ("1.2", "1.8")
    assert rows["options.own.pue"].source.startswith("Uptime Institute")
    assert rows["workload.tokensPerDay"].source == "this scenario"
    assert rows["workload.tokensPerDay"].owner == "us"
    assert rows["workload.tokensPerDay"].observed is None
    dated = {one.key: str(one.observed) for one in made(OWN, cited=cited, dated="2026-11-20").assumptions}
    assert dated["options.own.capexPerNode"] == "2026-10-01"
    assert {day for key, day in dated.items() if "capex" not in key} == {"2026-11-20"}
    assert rows["workload.tokensPerDay"].value == "10000000"


def test_a_cited_key_that_names_nothing_is_a_fault() -> None:
    lines = faults(document(OWN, cited=[{"keys": ["options.own.capx"], "source": "x"}]))
    assert lines[0].startswith("made.yaml: cited[0].keys[0] = options.own.capx: names no number of this file")


def test_profiles_are_days() -> None:
    assert all(len(one) == 24 and min(one) > 0 for one in PROFILES.values())


def test_the_schema_is_fresh_and_takes_what_is_shipped() -> None:
    schema = scenario_schema.json_schema()
    assert scenario_schema.FILE.read_text() == text(schema), "python -m cost.scenario_schema > " + str(
        scenario_schema.FILE
    )
    for name in SHIPPED:
        assert not json_schema.faults(schema, yaml.safe_load(find(name).read_text()))


def test_the_shipped_blends_are_those_of_the_shipped_scenarios() -> None:
    from cost import blends

    shipped = json.loads(blends.SHIPPED.read_text())
    for name in SHIPPED:
        one = load(find(name))
        for model in build(one, SNAPSHOT, TODAY):
            if isinstance(model, CloudModel) and model.spec.market == "blend":
                target = int(model.nodes(EXACT, one.inputs, one.inputs["workload.tokensPerDay"]))
                assert blends.key(model.spec, target) in shipped
