"""`make bench` says what it measured, what it could not measure and why, and what went wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench import __main__ as bench
from tests.bench import regions, staging
from tests.bench.__main__ import BENCHES, Bench
from tests.bench.measure import Measured
from tests.bench.surroundings import CannotHold, held


def broken(_: int) -> dict[str, Any]:
    raise RuntimeError("the disk is gone")


FAKES = {
    "good": Bench("what works", lambda count: {"seconds": count}),
    "absent": Bench("what cannot be", broken, lambda: "nginx is not installed"),
    "broken": Bench("what fails", broken),
}


def test_all_are_run_and_each_tells_its_figures_its_reason_or_its_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "bench.json"
    assert bench.main(["--runs", "2", "--out", str(out)], FAKES) == 1
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert json.loads(out.read_text()) == found
    assert found["good"] == {"seconds": 2}
    assert found["absent"] == {"skipped": "nginx is not installed"}
    assert found["broken"] == {"failed": "RuntimeError: the disk is gone"}
    assert found["machine"]["cpus"] >= 1
    assert found["machine"]["processor"]
    for line in ("[1/3] good: what works", "[2/3] absent: what cannot be", "skipped: nginx is not installed"):
        assert line in printed.err


def test_one_is_run_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["good", "--out", str(tmp_path / "bench.json")], FAKES) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"machine", "runs", "good"}


def test_an_unknown_name_is_answered_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bench.main(["nothing"], FAKES)
    assert ended.value.code == 2
    assert "no bench nothing; there are good, absent, broken" in capsys.readouterr().err


def test_what_broke_off_has_written_what_it_knew(tmp_path: Path) -> None:
    def interrupted(_: int) -> dict[str, Any]:
        raise KeyboardInterrupt

    out = tmp_path / "bench.json"
    with pytest.raises(KeyboardInterrupt):
        bench.main(["--out", str(out)], {"good": FAKES["good"], "long": Bench("too long", interrupted)})
    assert json.loads(out.read_text())["good"] == {"seconds": 3}


def test_the_list_names_every_bench(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--list"], FAKES) == 0
    assert "absent     what cannot be (skipped: nginx is not installed)" in capsys.readouterr().out
    assert {"region", "clouds", "global", "gate", "staging", "container", "machine"} <= set(BENCHES)


def test_ratios_are_of_runs_that_followed_each_other() -> None:
    """A machine that was three times slower in one round does not change them."""
    ours = [Measured(2.0, 1.0, 1.0), Measured(6.0, 1.0, 1.0)]
    theirs = [Measured(1.0, 1.0, 1.0), Measured(3.0, 1.0, 1.0)]
    assert regions.ratio(ours, theirs, "wall_s") == 2.0
    rounds = [
        {"dd": {"gbPerSecond": speed}, "floor": {"gbPerSecond": speed / 2}, "copy": {"gbPerSecond": speed / 4}}
        for speed in (1.0, 3.0, 2.0)
    ]
    found = staging.summary(rounds)
    assert found["copy"] == {"gbPerSecond": 0.5, "best": 0.75, "ofDd": 0.25, "ofFloor": 0.5}
    assert found["floor"] == {"gbPerSecond": 1.0, "best": 1.5, "ofDd": 0.5}


def test_a_file_system_without_a_disk_is_not_held() -> None:
    with pytest.raises(CannotHold, match="not on one disk"), held(Path("/proc"), 1):
        pass


def test_the_least_that_a_copy_costs_can_be_built_or_says_why(tmp_path: Path) -> None:
    found, why = staging.compiled(tmp_path)
    assert (found is None) == bool(why)
    assert found is None or found.exists()
