"""The benchmark: what it measures, on which parts, and what it says to bad input."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cost.prices.snapshot import Snapshot
from rehearsal import benchmark, data, policies, windows
from rehearsal.baselines import BASELINES
from rehearsal.benchmark import Task, chosen_zones, compare
from rehearsal.keeping import Keeping
from rehearsal.model import Setting
from rehearsal.prices import uniform
from rehearsal.windows import Windows, interval
from rehearsal.world import play
from spillway.errors import SpillwayError
from tests.rehearsal.support import traced

TRACE = data.manifest()["traces"]["gcp-h100-2025-10"].path
PRICES = data.manifest()["prices"]["gcp-h100-2025-10-23"].path
HERE = ["--trace", str(TRACE), "--prices", str(PRICES), "--jobs", "1"]


def told(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    assert benchmark.main([*options, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_whole_trace_as_json_names_what_it_was_measured_on(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, *HERE, "--policy", "on-demand,cheapest-first", "--zones", "us-*", "--tick", "600")
    assert (found["trace"]["sha256"], len(found["trace"]["zones"])) == (data.trace("gcp-h100-2025-10").sha256, 8)
    assert found["trace"]["shows_not"]
    assert found["prices"] == {
        "list": "gcp_h100_2025-10-23", "machine": "a3-highgpu-8g", "per": 8, "observed": ["2025-10-23"]
    }  # fmt: skip
    on_demand, cheapest = found["policies"]
    assert (on_demand["policy"], on_demand["availability"], on_demand["cost"], on_demand["spot"]) == (
        "on-demand", 1.0, 1.0, 0.0
    )  # fmt: skip
    assert on_demand["usd"] == pytest.approx(3 * 82.53 / 8 * 177, rel=1e-4)
    assert on_demand["regret"] == pytest.approx(1 / on_demand["bound"] - 1, rel=1e-3)
    assert cheapest["availability_low"] < cheapest["availability"] < cheapest["availability_high"]
    assert cheapest["spot"] + cheapest["on_demand"] == pytest.approx(cheapest["cost"], abs=1e-5)
    assert cheapest["bound"] < cheapest["cost"]
    shares, costs = zip(*found["bound"], strict=True)
    assert list(shares) == sorted(shares)
    assert list(costs) == sorted(costs)


def test_a_list_of_many_machines_is_read_for_the_one_of_a_trace_that_is_known(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    many = Snapshot.load().path / "gcp-machines.csv"
    options = ["--policy", "on-demand", "--tick", "600", "--jobs", "1", "--zones", "us-east4-a"]
    found = told(capsys, "--trace", str(TRACE), "--prices", str(many), *options)
    assert (found["prices"]["machine"], found["prices"]["per"]) == ("a3-highgpu-8g", 8)
    changed = tmp_path / "other.csv"
    changed.write_text(TRACE.read_text() + "2025-10-11T09:10:00Z" + ",1" * 13 + "\n")
    assert benchmark.main(["--trace", str(changed), "--prices", str(many), *options]) == 1
    assert "machines; say which" in capsys.readouterr().err


def test_windows_are_plays_of_their_own_with_intervals_for_the_regret_too(capsys: pytest.CaptureFixture[str]) -> None:
    options = [*HERE, "--policy", "spothedge+1", "--windows", "4x12h", "--seeds", "2", "--seed", "7", "--tick", "600"]
    found = told(capsys, *options)
    (one,) = found["policies"]
    assert one["plays"] == 8
    assert one["regret_low"] <= one["regret"] <= one["regret_high"]
    assert told(capsys, *options)["policies"][0] | {"seconds": 0} == one | {"seconds": 0}
    other = told(capsys, *options[:-3], "8", "--tick", "600")["policies"][0]
    assert other["cost"] != one["cost"]


def test_the_published_setting_takes_json_and_a_uniform_ratio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for zone, row in {"us-east-1f": [4, 0, 4, 4], "us-west-2c": [4, 4, 0, 4]}.items():
        body = {"metadata": {"gap_seconds": 300}, "data": row}
        (tmp_path / f"{zone}_v100_1.json").write_text(json.dumps(body))
    files = [str(path) for path in sorted(tmp_path.glob("*.json"))]
    found = told(capsys, "--trace", *files, "--k", "3", "--n", "1", "--boot", "120", "--jobs", "1")
    assert found["prices"] == {"k": 3.0}
    assert [one["policy"] for one in found["policies"]] == [*BASELINES, "keeper"]
    assert {one["cost"] for one in found["policies"] if one["policy"] == "on-demand"} == {1.0}


def test_two_processes_find_what_one_finds(capsys: pytest.CaptureFixture[str]) -> None:
    trace = traced({"a": [1, 0, 1, 1] * 5, "b": [2, 2, 1, 0] * 5}, step=600.0)
    task = Task(trace, Setting(1, 600.0, 60.0, uniform(trace.zones, 3.0)), ("spothedge", "round-robin"), seeds=2)
    alone, together = ([{**one.as_json(), "seconds": 0} for one in compare(task, jobs).summaries] for jobs in (1, 2))
    assert alone == together


def test_for_people_it_is_a_table_with_a_legend(capsys: pytest.CaptureFixture[str]) -> None:
    options = [*HERE, "--policy", "on-demand", "--policy", "round-robin+1", "--tick", "600"]
    assert benchmark.main(options) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("gcp_h100_spot_2025-10_first_half: 13 zones, 177.0 h, a round every 600 s")
    assert "all on demand: 3 x 10.32 USD/h" in lines[1]
    header, first, second = lines[3:6]
    assert len(header) == len(first) == len(second)
    assert first.split()[:2] == ["on-demand", "100.00"]
    assert second.startswith("round-robin+1 ")


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--k", "3"], 2, "the following arguments are required: --trace"),
        (["--trace", str(TRACE)], 2, "one of the arguments --prices --k is required"),
        ([*HERE, "--k", "3"], 2, "not allowed with argument"),
        ([*HERE, "--n", "0"], 2, "'0' is no whole number from 1 to 10,000"),
        ([*HERE, "--n", "1.5"], 2, "'1.5' is no whole number"),
        ([*HERE, "--boot", "nan"], 2, "'nan' is no number from 0 to 86,400"),
        ([*HERE, "--tick", "0"], 2, "'0' is no number from 1"),
        ([*HERE, "--zones", "us-*,eu-*"], 1, "zones: 'eu-*' is none of gcp_h100_spot"),
        ([*HERE, "--policy", "spothegde"], 1, "policy: no 'spothegde'; there are on-demand, "),
        ([*HERE, "--policy", "keeper@1"], 1, "policy: no 'keeper@1'"),
        ([*HERE, "--windows", "10"], 1, "windows: '10' is not"),
        ([*HERE, "--windows", "2x100d"], 1, "windows: 2x2400h is longer than gcp_h100"),
        ([*HERE, "--windows", "2x1h", "--boot", "3600"], 1, "boot: 3600 s is not shorter than what is played"),
        ([*HERE, "--machine", "p5"], 1, "has no machine p5; has a3-highgpu-8g"),
        (["--trace", str(TRACE), "--k", "3", "--per", "8"], 2, "--per: goes with --prices"),
        (["--trace", str(PRICES), "--k", "3"], 1, "has to begin with a line `probed_at,<zone>,...`"),
        (["--trace", "none.csv", "--k", "3"], 1, "none.csv: cannot be read: No such file"),
        (["--trace", str(TRACE), "--prices", str(TRACE)], 1, "line 1: has no column provider"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], options: list[str], code: int, says: str) -> None:
    assert benchmark.main(options) == code
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert says in shown.err


def test_zones_are_chosen_by_name_and_pattern_in_the_order_of_the_trace() -> None:
    trace = traced({"us-b": [1, 1], "us-a": [1, 1], "eu-a": [1, 1]})
    assert chosen_zones(trace, "eu-a, us-*,us-a") == ["us-b", "us-a", "eu-a"]
    assert chosen_zones(trace, "*") == list(trace.zones)


def test_a_keepers_name_says_its_objective_or_the_lever_that_it_lacks() -> None:
    setting = Setting(1, 60.0, 30.0, uniform(("a", "b"), 3.0))
    for name, availability, moves in (
        ("keeper", 0.995, True),
        ("keeper@0.98", 0.98, True),
        ("keeper-moves", 0.995, False),
    ):
        made = policies.make(name, setting, 0)
        assert isinstance(made, Keeping)
        assert (made.keeper.rules.availability, made.keeper.rules.levers.moves) == (availability, moves)
    for wrong in ("", "keeper@", "keeper@0", "keeper@nan", "keeper-brakes", "keeper-", "Keeper"):
        with pytest.raises(SpillwayError, match="policy: no "):
            policies.make(wrong, setting, 0)


@pytest.mark.parametrize(
    ("text", "count", "seconds"), [("10x24h", 10, 86_400.0), ("1x7d", 1, 604_800.0), ("3x0.5h", 3, 1800.0)]
)
def test_windows_are_a_number_and_a_length(text: str, count: int, seconds: float) -> None:
    assert windows.parse(text) == Windows(count, seconds)
    trace = traced({"a": [1] * 2000}, step=600.0)
    drawn = windows.draw(trace, Windows(count, seconds), 3)
    assert drawn == windows.draw(trace, Windows(count, seconds), 3)
    assert all(begin in trace.times and end - begin == seconds and end <= trace.end for begin, end in drawn)


@pytest.mark.parametrize("text", ["", "x", "0x24h", "1001x1h", "10x0h", "10x24", "10x24m", "-1x2h", "1x2h ", "١x2h"])
def test_what_is_no_windows_is_refused(text: str) -> None:
    with pytest.raises(SpillwayError, match="is not <1 to 1,000>x<length>h or d"):
        windows.parse(text)


def test_a_window_has_the_prices_of_its_time() -> None:
    trace = traced({"a": [1] * 10})
    (zone,) = uniform(("a",), 3.0)
    changing = Setting(1, 0.0, 10.0, (type(zone)("a", "a", "c", ((0.0, 1.0), (50.0, 2.0)), zone.on_demand),))
    part, setting = windows.within(trace, changing, 40.0, 80.0)
    assert setting.zones[0].spot == ((0.0, 1.0), (10.0, 2.0))
    played = play(part, BASELINES["round-robin"](setting, 0), setting)
    assert played.cost() == pytest.approx((10 * 1 + 30 * 2) / 3600)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 100), st.floats(1, 100)), min_size=3, max_size=20))
def test_an_interval_holds_only_what_parts_can_have(parts: list[tuple[float, float]]) -> None:
    found = interval(parts)
    assert found is not None
    ratios = [a / b for a, b in parts]
    assert min(ratios) - 1e-9 <= found[0] <= found[1] <= max(ratios) + 1e-9
    assert found == interval(parts)


def test_an_interval_of_parts_that_agree_is_a_point_and_two_parts_have_none() -> None:
    assert interval([(3.0, 4.0)] * 5) == (0.75, 0.75)
    assert interval([(1.0, 2.0)] * 2) is None
    assert interval([(0.0, 0.0)] * 4) is None
    wide, narrow = interval([(0.0, 1.0), (1.0, 1.0)] * 2), interval([(0.0, 1.0), (1.0, 1.0)] * 50)
    assert wide is not None
    assert narrow is not None
    assert math.isclose(sum(narrow) / 2, 0.5, abs_tol=0.05)
    assert narrow[1] - narrow[0] < wide[1] - wide[0]
