"""`spillway cost prices` and `spillway cost refresh`, as they are typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cost.prices.snapshot import Snapshot
from cost.refresh import http
from spillway.cli import main
from tests.cost.bodies import body, transport

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")

    def one(*arguments: str) -> tuple[int, str, str]:
        code = main(["cost", *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return one


def test_without_options_it_says_what_the_snapshot_has(run: Run) -> None:
    code, out, _ = run("prices")
    assert code == 0
    assert out.startswith(f"Snapshot {Snapshot.load().id}: USD, prices seen ")
    for cloud in ("aws", "azure", "gcp", "tencent", "cloudflare"):
        assert cloud in out


def test_machines_side_by_side_the_cheapest_first(run: Run) -> None:
    code, out, _ = run("prices", "--gpu", "H100", "--json")
    told = json.loads(out)
    assert code == 0
    each = [float(one["usd_per_gpu_hour"]) for one in told["machines"]]
    assert each == sorted(each)
    assert {one["cloud"] for one in told["machines"]} == {"aws", "azure", "gcp"}
    (p5,) = (one for one in told["machines"] if (one["machine"], one["region"]) == ("p5.48xlarge", "us-east-1"))
    assert p5["usd_per_gpu_hour"] == "6.880000"
    for row in p5["prices"]:
        assert isinstance(row["usd"], str)
        assert all(row[key] for key in ("observed", "source", "licence"))


def test_sold_out_zones_stale_rows_and_flags_are_told(run: Run) -> None:
    _, out, _ = run("prices", "--machine", "p5.48xlarge", "--region", "us-east-1")
    assert "2 of 6 zones sold out" in out
    assert "stale" in out
    _, out, _ = run("prices", "--machine", "Standard_ND96isr_H200_v5", "--region", "brazilsouth")
    assert "outlier: 54% over the median" in out
    _, out, _ = run("prices", "--machine", "p6-b200.48xlarge", "--stale-days", "1", "--json")
    assert json.loads(out)["stale"]
    assert all(row["stale"] for one in json.loads(out)["machines"] for row in one["prices"])


def test_things_and_what_has_no_price(run: Run) -> None:
    _, out, _ = run("prices", "--sku", "nat.hour", "--sku", "hyperdisk.balanced.storage")
    assert "0.045" in out
    assert "unpriced: gcp hyperdisk.balanced.storage: public sources disagree" in out
    _, out, _ = run("prices", "--unpriced", "--cloud", "cloudflare", "--json")
    assert {gap["sku"] for gap in json.loads(out)["unpriced"]} >= {"lb.subscription", "lb.queries"}
    _, out, _ = run("prices", "--sources", "--json")
    assert all(one["rows"] and one["url"] and one["licence"] for one in json.loads(out)["sources"].values())


def test_a_cloud_and_a_region_narrow_every_view(run: Run) -> None:
    _, out, _ = run("prices", "--region", "eastus", "--json")
    assert {one["cloud"]: one["regions"] for one in json.loads(out)["clouds"] if one["regions"]} == {"azure": 1}
    _, out, _ = run("prices", "--sources", "--cloud", "azure", "--json")
    told = json.loads(out)["sources"]
    assert told
    assert len(told) < len(Snapshot.load().sources)
    assert sum(one["rows"] for one in told.values()) == sum(row.provider == "azure" for row in Snapshot.load().rows)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--machine", "p5.48xlarge", "--gpu", "H100"), "--machine and --gpu do not go together"),
        (("--machine", "p5.48xlarg"), "no machine type of the catalog (did you mean p5.48xlarge?)"),
        (("--gpu", "H1000"), "--gpu H1000: no machine has it (did you mean H100?)"),
        (("--sku", "nat.hours"), "has no such thing (did you mean nat.hour?)"),
        (("--cloud", "gpc"), "--cloud gpc: has to be"),
        (("--region", "us-esat-1"), "--region us-esat-1: no region is called so (did you mean us-east-1?)"),
        (("--region", "eastus", "--cloud", "aws"), "--region eastus: no region of aws is called so"),
        (("--date", "2020-01-01"), "no snapshot of 2020-01-01; there is"),
    ],
)
def test_a_slip_is_one_clear_line(run: Run, arguments: tuple[str, ...], told: str) -> None:
    code, out, err = run("prices", *arguments)
    assert code != 0
    assert not out
    assert told in " ".join(err.split())
    assert "Traceback" not in err


def _azure(request: httpx.Request) -> Any:
    told = body("azure")
    return told["page2"] if "'Virtual Machines'" in request.url.params["$filter"] else {"Items": []}


def test_refresh_writes_a_snapshot_and_goes_on_after_a_cut(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []
    cut = [3]

    def answer(request: httpx.Request) -> Any:
        if len(asked) == cut[0]:
            return httpx.Response(400, text="cut")
        asked.append(request.url.params["$filter"])
        return _azure(request)

    plain = http.client
    monkeypatch.setattr(http, "client", lambda _=None, **headers: plain(transport(answer), **headers))
    out = str(tmp_path / "prices")
    command = ("refresh", "azure", "--region", "eastus", "--out", out, "--date", "2026-11-27", "--json")
    code, _, err = run(*command)
    assert (code, Path(out).exists()) == (1, False)
    assert "azure: answers HTTP 400: cut" in err
    cut[0] = -1
    code, told, _ = run(*command)
    assert code == 0
    assert len(asked) == len(set(asked)), "nothing was asked twice"
    result = json.loads(told)
    assert (result["provider"], result["added"], result["changed"]) == ("azure", 1, [])
    snapshot = Snapshot.load("2026-11-27", Path(out))
    assert [(row.sku, str(row.usd)) for row in snapshot.rows] == [("Standard_ND96isr_H100_v5", "98.32")]
    code, told, _ = run(*command[:-1])
    assert code == 0
    assert "0 prices more, 0 gone, 0 changed, 1 the same" in told
    assert "unpriced: " in told


def test_refresh_of_api_prices_needs_no_network(run: Run, tmp_path: Path) -> None:
    code, told, _ = run("refresh", "api", "--provider", "deepseek", "--out", str(tmp_path), "--date", "2026-11-26")
    assert code == 0
    assert "prices more" in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("gcp",), "give it in GOOGLE_API_KEY"),
        (("tencent", "--image", "img-1"), "TENCENTCLOUD_SECRET_ID"),
        (("azure", "--region", "eastsu"), "--region eastsu: unknown (did you mean eastus?)"),
        (("azure", "--machine", "Standard_X"), "--machine Standard_X: no machine type of azure in the catalog"),
        (("azure", "--date", "tomorrow"), "--date tomorrow: no day such as 2026-11-26"),
        (("api", "--provider", "opnai"), "has no provider opnai (did you mean openai?)"),
    ],
)
def test_refresh_says_what_is_wrong(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], told: str
) -> None:
    for name in ("GOOGLE_API_KEY", "TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = run("refresh", *arguments)
    assert code != 0
    assert told in " ".join(err.split())
    assert "Traceback" not in err
