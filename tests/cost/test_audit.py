"""The claims that this started from: figures, verdicts, and that another price gives another verdict."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from cost.audit import Audited, audit, claims
from cost.audit_checks import CHECKS
from cost.prices.snapshot import Snapshot
from tests.cost.worked import SNAPSHOT, TODAY, repriced


def told(name: str, snapshot: Snapshot = SNAPSHOT) -> Audited:
    claim = next(one for one in claims() if one.id == name)
    return CHECKS[name](claim, snapshot, TODAY)


def figure(found: Audited, what: str) -> Decimal:
    return next(one.value for one in found.figures if one.what == what)


def test_every_claim_has_a_check_and_every_check_a_claim() -> None:
    assert [one.id for one in claims()] == list(CHECKS)
    assert len(audit(SNAPSHOT, TODAY)) == len(CHECKS)


@pytest.mark.parametrize(
    ("name", "verdict", "recomputed"),
    [
        ("a-api-price", "wrong", "73"), ("b-two-years", "holds", "3560"), ("b-electricity", "depends", "630.72"),
        ("c-cloud", "holds", "8760"), ("c-local-wins", "wrong", "2438356.2"), ("d-on-demand", "outdated", "21.957642"),
        ("d-spot", "one of", "10.9644"), ("e-cluster", "wrong", "16.8"), ("f-gp3", "depends", "180"),
        ("g-spot", "wrong", "43.08"), ("g-reserved", "depends", "56"), ("g-serverless", "depends", "76.9"),
        ("h-70b", "wrong", "8"), ("h-175b", "wrong", "8"),
    ],
)  # fmt: skip
def test_a_claim_recomputed(name: str, verdict: str, recomputed: str) -> None:
    found = told(name)
    assert found.verdict == verdict
    assert found.recomputed is not None
    places = len(recomputed.partition(".")[2])
    assert round(found.recomputed, places) == Decimal(recomputed)


def test_where_local_wins_by_what_it_is_held_against() -> None:
    found = told("c-local-wins")
    assert round(figure(found, "over three years") / 1_000_000, 2) == Decimal("1.71")
    assert round(figure(found, "years for the stated figure"), 1) == Decimal("3.5")
    assert round(figure(found, "with the API price of the first claim") / 1000) == 244
    assert round(figure(found, "a machine in the cloud against the API") / 1_000_000) == 12
    assert round(figure(found, "months until the local machine beats the cloud"), 1) == Decimal("4.5")
    assert round(figure(found, "against today's API price") / 1_000_000, 1) == Decimal("18.6")
    assert round(figure(found, "the same")) == 215


def test_electricity_of_a_mean_that_nobody_stated() -> None:
    found = told("b-electricity")
    assert round(figure(found, "mean power for the stated sum")) == 171
    assert round(figure(found, "the same at the other price")) == 137


def test_the_cluster_against_four_prices() -> None:
    found = told("e-cluster")
    assert round(figure(found, "on demand at the claimed price")) == 861_458
    assert round(figure(found, "below that"), 1) == Decimal("44.3")
    assert round(figure(found, "on demand at today's price")) == 577_047
    assert round(figure(found, "on demand for the stated figure")) == 761_905
    assert round(figure(found, "the same"), 2) == Decimal("28.99")
    assert round(figure(found, "dearer than that")) == 86


def test_gp3_by_size() -> None:
    found = told("f-gp3")
    assert figure(found, "extra") == 100
    assert [round(figure(found, f"at {size} GB")) for size in ("500", "1,000", "2,000", "5,000")] == [180, 80, 30, 0]
    assert round(figure(found, "size at which it holds")) == 2857
    assert round(figure(found, "gp3 against a gp2 with the same IOPS")) == -74


def test_serverless_by_how_long_a_request_takes() -> None:
    found = told("g-serverless")
    assert round(figure(found, "GPUs at 3 GPU-s"), 2) == Decimal("1.74")
    assert round(figure(found, "GPUs at 0.4 GPU-s"), 2) == Decimal("0.23")
    assert "41.7 GPU-h" in found.why
    assert "5.6 GPU-h" in found.why


def test_what_does_not_fit_says_how_many_would() -> None:
    assert "6 for the weights alone" in told("h-70b").why
    assert "4 are enough" in told("h-175b").why  # in int8


@pytest.mark.parametrize(("usd", "verdict"), [("32.78", "holds"), ("21.957642", "outdated"), ("33.2", "holds")])
def test_another_price_gives_another_verdict(usd: str, verdict: str) -> None:
    assert told("d-on-demand", repriced("p4d.24xlarge", usd)).verdict == verdict


def test_other_verdicts_follow_their_prices_too() -> None:
    assert told("e-cluster", repriced("p4d.24xlarge", "28.99")).verdict == "holds"
    assert told("g-reserved", repriced("a4-highgpu-gpu-slice", "11.28", "savings-3y")).verdict == "holds"
    assert told("d-spot", repriced("p4d.24xlarge", "9.83", "spot")).verdict == "holds"
    assert told("d-spot", repriced("p4d.24xlarge", "2.47", "spot")).verdict == "wrong"
    assert told("f-gp3", repriced("ebs.gp3.storage", "0.2")).verdict == "wrong"


def test_a_claim_without_a_price_is_unpriced() -> None:
    bare = replace(SNAPSHOT, rows=tuple(row for row in SNAPSHOT.rows if row.provider == "azure"))
    for name in ("d-on-demand", "d-spot", "e-cluster", "f-gp3", "g-spot", "g-reserved"):
        found = told(name, bare)
        assert (found.verdict, found.recomputed) == ("unpriced", None)
        assert found.why


def test_the_command_prints_a_table_or_json() -> None:
    from spillway.cli import app

    runner = CliRunner()
    as_json = json.loads(runner.invoke(app, ["cost", "audit", "--json"]).stdout)
    assert {row["verdict"] for row in as_json["claims"]} >= {"holds", "wrong", "outdated"}
    assert Decimal(as_json["claims"][0]["recomputed"]) == 73
    assert (as_json["ageDays"] > 180) == as_json["stale"]
    table = runner.invoke(app, ["cost", "audit", "--prices", SNAPSHOT.id[:10]]).stdout
    assert f"Prices of snapshot {SNAPSHOT.id}, {as_json['ageDays']} days old" in table
    assert "861,458" in table
    assert "outdated" in table
