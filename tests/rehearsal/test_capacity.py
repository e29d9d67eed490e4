"""The whole benchmark: its settings, what it concludes, and the page that is made of it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from rehearsal import capacity, capacity_page, capacity_sections, capacity_windows, data
from rehearsal.benchmark import Compared, chosen_zones
from rehearsal.capacity import Case, conclusion, verdict
from rehearsal.measures import Run, summed
from rehearsal.omniscient import Omniscient
from rehearsal.windows import Windows
from tests.rehearsal.support import setting, traced

PART = ["--n", "3", "--boot", "600", "--zones", "us-central1", "--seeds", "1", "--jobs", "1", "--without-keeper"]
PART += ["--windows", "3"]
SVG = "{http://www.w3.org/2000/svg}"


def figures(policy: str, availability: float, cost: float) -> dict[str, Any]:
    """A line of a case, as in the JSON."""
    numbers = ("zero", "longest_below", "longest_zero", "missing", "spot", "on_demand", "launches_day", "losses_day")
    more = dict.fromkeys((*numbers, "bound", "regret", "seconds"), 0.0)
    intervals = dict.fromkeys(("availability_low", "availability_high", "cost_low", "cost_high"))
    return {"policy": policy, "availability": availability, "cost": cost, **more, **intervals}


class Checker(HTMLParser):
    """Every element is closed where it has to be; remembers attributes."""

    VOID = ("meta", "line", "circle", "polygon")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_zone_sets_are_those_that_policies_are_compared_on() -> None:
    whole = data.trace(capacity.TRACE)
    sizes = {name: len(chosen_zones(whole, pattern)) for name, pattern in capacity.ZONE_SETS.items()}
    assert sizes == {"all-13": 13, "us-8": 8, "us-central1": 3, "hard-3": 3}


def test_a_part_is_printed_and_written_and_its_page_can_be_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert capacity.main([*PART, "--out", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "# us-central1, N = 3, boot 600 s" in out
    assert "# us-central1: 3 windows of a day" in out
    whole = json.loads((tmp_path / "out" / "capacity.json").read_text())
    (case,) = whole["cases"]
    assert (case["zones"], case["n"], case["boot"], whole["settings"]) == ("us-central1", 3, 600.0, 48)
    (sampled,) = whole["windows"]
    assert (sampled["windows"], sampled["hours"], sampled["differences"]) == (3, 24.0, {})
    assert "on-demand" in case["front"]
    assert "even-spread" not in case["front"][1:], "what costs more is there for what it adds"
    assert {one["policy"] for one in case["policies"]} >= {"on-demand", "spothedge+2", "cheapest-first"}
    assert whole["prices"]["observed"] == ["2025-10-23"]
    page = (tmp_path / "out" / "capacity.html").read_text()
    drawn = ElementTree.parse(tmp_path / "out" / "capacity.svg").getroot()
    captions = [one.text for one in drawn.iter(f"{SVG}text") if one.get("class") == "caption"]
    assert captions == ["us-central1, N = 3, boot 600 s"]
    marks = [one.text or "" for one in drawn.iter(f"{SVG}title")]
    assert any(told.startswith("spothedge+2: ") for told in marks)
    again = ["--from", str(tmp_path / "out" / "capacity.json"), "--out", str(tmp_path / "again"), "--json"]
    assert capacity.main(again) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == whole
    assert "capacity.html" in told.err
    assert (tmp_path / "again" / "capacity.html").read_text() == page


def test_the_page_is_one_file_without_scripts_in_which_every_mark_is_within_its_plot() -> None:
    names = [("on-demand", 1.0, 1.0), ("spothedge+1", 0.9, 0.4), ("keeper@0.98", 0.98, 0.2), ("keeper", 0.996, 0.25)]
    names += [("even-spread", 0.0, 0.0), ("spothedge+2", 0.99999, 7.0), ("keeper-moves", 0.99, 0.9)]
    policies = [figures(*name) for name in names]
    case = {"zones": "a <set>", "n": 3, "boot": 600.0, "policies": policies, "bound": [[0.9, 0.1], [1.0, 0.2]]}
    case["keeper"] = verdict({one["policy"]: one for one in policies})
    page = capacity_page.page(capacity.document([case], 60.0, 5))
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert not [tag for tag, _ in checker.seen if tag in ("script", "link", "img", "iframe")]
    assert not re.search(r"\b(?:src|@import|url\()", page)
    assert "a <set>" not in page
    links = {attrs["href"] for tag, attrs in checker.seen if tag == "a"}
    assert {link for link in links if link and link.startswith("#")} <= {f"#{one.get('id')}" for _, one in checker.seen}
    plot = capacity_page.plot(case)
    marks = [(float(x), float(y)) for x, y in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', plot)]
    assert len(marks) == 4
    for x, y in marks:
        assert capacity_page.LEFT <= x <= capacity_page.WIDTH - capacity_page.RIGHT
        assert capacity_page.TOP <= y <= capacity_page.HEIGHT - capacity_page.BOTTOM
    assert "keeper-moves" not in plot, "what lacks a lever is in the table alone"


def test_a_policy_is_dominated_by_what_is_as_good_in_both_and_better_in_one() -> None:
    rows = {
        "keeper": figures("keeper", 0.995, 0.25),
        "dearer": figures("dearer", 0.999, 0.5),
        "alike": figures("alike", 0.995, 0.25),
        "cheaper": figures("cheaper", 0.995, 0.24),
        "better": figures("better", 0.996, 0.25),
        "worse": figures("worse", 0.99, 0.3),
        "less": figures("less", 0.99, 0.2),
    }
    assert verdict(rows) == {
        "dominated_by": ["cheaper", "better"],
        "cheaper_and_as_available": ["cheaper"],
        "beaten": ["worse"],
    }
    assert "keeper@0.9" not in verdict(rows | {"keeper@0.9": figures("keeper@0.9", 1.0, 0.1)})["dominated_by"]


def test_the_conclusion_counts_the_settings_and_names_those_that_miss() -> None:
    case = {"zones": "us-8", "n": 8, "boot": 120.0}
    nobody: dict[str, list[str]] = {"dominated_by": [], "cheaper_and_as_available": [], "beaten": []}
    lines = conclusion(
        [{**case, "keeper": nobody}, {**case, "n": 1, "keeper": nobody | {"dominated_by": ["spothedge"]}}]
    )
    assert lines == [
        "us-8, N = 1, boot 120 s: the keeper is dominated by spothedge",
        "the keeper is dominated by no published policy in 1 of 2 settings",
    ]
    assert conclusion([case]) == []


def test_the_keepers_curve_and_its_levers_take_part_where_they_are_asked_for() -> None:
    names = Case("all-13", 3, 600.0).task(60.0, 5, True).names
    assert set(capacity.OBJECTIVES) | set(capacity.LEVERS) < set(names)
    assert not set(capacity.LEVERS) & set(Case("us-8", 3, 120.0).task(60.0, 5, True).names)
    assert not [name for name in Case("all-13", 3, 600.0).task(60.0, 5, False).names if name.startswith("keeper")]


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"])
def test_figures_that_cannot_be_read_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    path = tmp_path / "capacity.json"
    if text is not None:
        path.write_text(text)
    assert capacity.main(["--from", str(path), "--out", str(tmp_path)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert str(path) in shown.err
    assert not (tmp_path / "capacity.html").exists()


# --- windows, the front, the ablation ---------------------------------------------------------------------------------


def test_the_front_is_what_no_published_policy_dominates_by_cost() -> None:
    rows = [
        figures("dear", 0.99, 0.5),
        figures("cheap", 0.9, 0.2),
        figures("worse", 0.89, 0.3),
        figures("as-dear", 0.98, 0.5),
        figures("best", 1.0, 1.0),
        figures("keeper", 1.0, 0.1),
    ]
    assert capacity_windows.front(rows) == ["cheap", "dear", "best"]


def run_of(policy: str, day: int, availability: float, usd: float) -> Run:
    window = (86_400.0 * day, 86_400.0 * (day + 1))
    return Run(
        policy, day, window, availability, 0.0, 0.0, 0.0, 0.0, usd, usd, 0.0, 100.0, 3, 0, 0, 86_400.0, 86_400.0, 0.0,
        (),
    )  # fmt: skip


def test_differences_are_taken_window_by_window_from_the_keeper() -> None:
    case = Case("us-central1", 3, 600.0)
    task = case.task(60.0, 1, True)
    sample = capacity_windows.sample("us-central1", 3, 600.0, task, ["on-demand", "keeper", "keeper-moves"], 4)
    assert sample.task.windows == Windows(4, 86_400.0)
    runs = [run_of("on-demand", day, 1.0, 100.0 + day) for day in range(4)]
    runs += [run_of("keeper", day, 0.99, 30.0 + day) for day in reversed(range(4))]
    runs += [run_of("keeper-moves", day, 0.99 + 0.01 * (day % 2), 40.0 + day) for day in range(4)]
    rows = [
        summed([run for run in runs if run.policy == name], {run.window: free() for run in runs})
        for name in sample.task.names
    ]
    told = capacity_windows.told(sample, runs, Compared(tuple(rows), ()))
    assert told["windows"] == 4
    against = told["differences"]["on-demand"]
    assert against["availability"] == {"mean": -0.01, "low": -0.01, "high": -0.01, "sure": True}
    assert against["cost"]["mean"] == against["cost"]["low"] == -0.7, "window by window they differ alike"
    assert not told["differences"]["keeper-moves"]["availability"]["sure"]


def free() -> Omniscient:
    """A bound of nothing: there is no time in which anything could be ready."""
    trace = traced({"a": [1, 1]})
    return Omniscient(trace, setting(trace, boot=trace.end))


def test_the_page_tells_of_windows_and_levers_and_keeps_plots_within_their_frame() -> None:
    names = ["on-demand", "spothedge+1-guarded", "keeper", *capacity.LEVERS]
    policies = [figures(name, 0.99 + 0.001 * index, 0.2 + 0.1 * index) for index, name in enumerate(names)]
    policies[2]["regret"], policies[2]["regret_least"] = 0.304, 0.285
    case = {"zones": "hard-3", "n": 3, "boot": 600.0, "policies": policies, "bound": [[0.9, 0.1], [1.0, 0.2]]}
    case |= {"front": ["spothedge+1-guarded", "on-demand"], "keeper": verdict({one["policy"]: one for one in policies})}
    wide = {"mean": -0.2, "low": -0.5, "high": 0.1, "sure": False}
    sure = {"mean": 0.003, "low": 0.001, "high": 0.004, "sure": True}
    differences = {name: {"availability": sure, "cost": wide} for name in names if name != "keeper"}
    sample = {"zones": "hard-3", "n": 3, "boot": 600.0, "windows": 40, "hours": 24.0, "policies": policies}
    sample |= {"front": case["front"], "differences": differences}
    page = capacity_page.page(capacity.document([case], 60.0, 5, [sample]))
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    links = {attrs["href"] for tag, attrs in checker.seen if tag == "a"}
    assert {"#windows", "#ablation"} <= links
    assert "28–30" in page, "regret from against a plan to against the bound"
    assert "<strong>+0.30 (0.10 to 0.40)</strong>; -0.200 (-0.500 to 0.100)" in page
    assert "published policies that no other dominates: spothedge+1-guarded, on-demand" in page
    plot = capacity_sections.forest(sample)
    assert plot.count("<circle") == 4, "two figures of two published policies"
    for x in re.findall(r'(?:cx|x1|x2)="([\d.]+)"', plot):
        assert capacity_sections.LEFT <= float(x) <= capacity_sections.WIDTH
    old = capacity.document([case], 60.0, 5)
    del old["windows"]
    assert "#windows" not in capacity_page.page(old)


def test_levers_are_told_in_words() -> None:
    assert set(capacity_sections.LEVERS) == set(capacity.LEVERS)


@pytest.mark.parametrize("option", [["--seeds", "0"], ["--windows", "-1"], ["--exact", "4000"]])
def test_numbers_of_the_command_are_within_limits(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert capacity.main([*PART, *option]) == 2
    assert f"{option[0]} {option[1]}: expected " in capsys.readouterr().err
