"""Reports of rehearsals made by hand: what they answer, that nothing in them is lost or leads nowhere."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal.report import document, html, markdown, told, words, write, zoom
from rehearsal.report.told import Told
from rehearsal.result import Incident, Nodes, Rehearsal
from spillway.errors import SpillwayError
from tests.rehearsal.rehearsals import DAY, HOUR, empty, fortnight, region, small, variant
from tests.support import chromium

VOID = {"meta", "line", "rect", "path", "circle", "polygon", "stop", "br"}


class Page(HTMLParser):
    """Anchors, references and words of a page; complains about what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.named: list[str] = []
        self.tags: Counter[str] = Counter()
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [found["href"] or ""] if "href" in found else []
        self.named += (found.get("aria-labelledby") or "").split()
        if tag == "svg" and "aria-hidden" not in found and "role" not in found:
            # A nested drawing is part of one that has a title.
            assert "svg" in self._open
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("style", "title", "desc"):
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def whole() -> Rehearsal:
    return fortnight()


@pytest.fixture(scope="module")
def page(whole: Rehearsal) -> Page:
    return Page(html.page_of(whole))


# --- the answer -------------------------------------------------------------------------------------------------------


def test_the_first_words_are_what_the_stack_files_buy_what_the_keeper_makes_of_it_and_what_buys_most(
    page: Page, whole: Rehearsal
) -> None:
    head = page.text[: page.text.index("Which change buys most")]
    base, keeper = whole.variants[:2]
    month = 730 / (14 * 24)
    assert f"ready {100 * base.serving.availability:.2f} % of the time" in head
    assert f"USD {base.money.total * month:,.0f} a month" in head
    assert f"With the keeper: {100 * keeper.serving.availability:.2f} %" in head
    assert "most is bought by “boot / 2” (nodes ready in half the time): +2.00 points and saves USD 355 a month" in head
    assert "Synthetic, not recorded: spot capacity of azure-eastus (markov, seed 7)." in head
    assert "Mapped, recorded for another machine, zone or cloud: spot capacity of aws-us-east-1, aws-us-west-2" in head


def test_markdown_gives_the_same_answer(whole: Rehearsal) -> None:
    text = markdown.text_of(whole)
    assert "+2.00 points and saves USD 355 a month" in text
    assert "> Synthetic, not recorded" in text
    assert f"on demand in {whole.variants[0].cheapest_region}, the single cheapest region: USD" in text
    assert re.search(r"^deployed: [0-9.]+ launches and [0-9.]+ spot nodes lost a day", text, re.MULTILINE)
    assert "| +1.23 (+1.04 to +1.41) | −USD 310 (−USD 420 to −USD 200) |" in text
    assert "| 2 | boot / 2 | nodes ready in half the time | 95.08 %" in text
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        columns = {len(re.split(r"(?<!\\)\|", line)) for line in block.splitlines()}
        assert len(columns) == 1, block


def test_what_has_no_price_is_said_to_be_unpriced_not_free() -> None:
    text = Page(html.page_of(empty())).text
    assert "No price is known for tencent-ap-guangzhou: no sum of money has it in." in text
    assert "No price is known for tencent-ap-guangzhou" in markdown.text_of(empty())


def test_where_everything_was_recorded_that_is_said_too() -> None:
    assert "Everything was recorded for the machines and places" in Page(html.page_of(small())).text


def test_no_change_that_loses_availability_is_said_to_buy_something(whole: Rehearsal) -> None:
    base = whole.variants[0]
    worse = replace(base, name="worse", kind="change", serving=replace(base.serving, availability=0.5))
    known = Told(replace(whole, variants=(base, worse)))
    assert known.best is None
    assert "None of the changes that were tried buys availability." in Page(html.page_of(known.rehearsal)).text


def test_clients_that_fare_worse_with_the_keeper_are_named_beside_its_gain(whole: Rehearsal) -> None:
    base, keeper = whole.variants[:2]
    (load,) = keeper.load
    lost = replace(load, served=load.served * 0.9, late=load.late + load.served * 0.1)
    names = tuple(replace(one, reached=one.reached - 0.01) for one in base.services)
    worse = replace(keeper, load=(lost,), services=names)
    text = Page(html.page_of(replace(whole, variants=(base, worse)))).text
    assert re.search(r"Clients of llm\.example\.com fare worse with it: [0-9.]+ % of requests in time, not", text)
    assert re.search(r"Clients of eu\.llm\.example\.com fare worse with it: [0-9.]+ % are sent to a member", text)
    assert "fare worse" not in Page(html.page_of(replace(whole, variants=(base, replace(base, kind="keeper"))))).text


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", [fortnight(), small(), empty()], ids=["fortnight", "small", "empty"])
def test_every_link_leads_somewhere_and_every_chart_has_a_name(one: Rehearsal) -> None:
    seen = Page(html.page_of(one))
    assert [name for name, count in Counter(seen.ids).items() if count > 1] == []
    assert {link[1:] for link in seen.links if link.startswith("#")} <= set(seen.ids)
    assert set(seen.named) <= set(seen.ids)


def test_the_page_needs_no_script_and_no_network(whole: Rehearsal) -> None:
    text = html.page_of(whole)
    assert not re.search(r"<script|<link|<img|<iframe|@import|url\((?!#)|\son\w+=", text)


def test_words_of_a_scenario_are_never_markup(whole: Rehearsal) -> None:
    evil = "<script>alert(1)</script>|`x`"
    nodes = [Nodes(0.0, 2, 1, 0, 3, 0), Nodes(HOUR, 0, 1, 0, 1, 2)]
    told_of = {"incidents": (Incident(HOUR, None, "scenario", evil, evil, evil),), "log": ((HOUR, evil, evil, evil),)}
    bad = replace(
        small(), scenario=evil, title=evil, shows=evil, fleet=(evil,), left_out={evil: evil}, text=evil,
        warnings=(evil,), assumptions=((evil, evil),),
        variants=(variant(evil, "deployed", [region(evil, nodes)], DAY, change=evil, **told_of),),
    )  # fmt: skip
    text = html.page_of(bad)
    assert "<script" not in text
    Page(text)
    assert "<script" not in markdown.text_of(bad).replace("\\<script", "")


def test_a_report_is_the_same_byte_for_byte(whole: Rehearsal, tmp_path: Path) -> None:
    first, second = write(whole, tmp_path / "a"), write(fortnight(), tmp_path / "b" / "deep")
    assert [path.name for path in first] == ["report.json", "report.md", "report.html"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["report.html", "report.json", "report.md"]


def test_a_month_of_changes_every_minute_gives_no_larger_chart_than_its_pixels() -> None:
    nodes = [Nodes(60.0 * index, index % 3, 1, 0, 3, 0) for index in range(14 * 1440)]
    short = variant("deployed", "deployed", [region("gcp-us-central1", nodes, end=14 * DAY)], 14 * DAY)
    text = html.page_of(replace(small(), seconds=14 * DAY, variants=(short,)))
    paths = re.findall(r'd="([^"]*)"', text)
    assert max(len(path) for path in paths) < 120_000
    assert len(text) < 4_000_000
    Page(text)


@pytest.mark.skipif(not chromium.THERE, reason="no chromium here")
@pytest.mark.parametrize("width", [360, 500, 1400])
def test_no_width_of_a_window_makes_the_page_wider_than_itself(whole: Rehearsal, tmp_path: Path, width: int) -> None:
    taken, there = chromium.widths(html.page_of(whole), tmp_path, width)
    assert taken <= there


# --- what follows from a rehearsal ------------------------------------------------------------------------------------


def test_below_the_target_is_what_the_figures_say(whole: Rehearsal) -> None:
    for one in whole.variants[:2]:
        known = Told(replace(whole, variants=(one,)))
        below = sum(spell.end - spell.begin for spell in known.spells)
        assert 1 - below / whole.seconds == pytest.approx(one.serving.availability)
        assert sum(spell.none for spell in known.spells) == pytest.approx(one.serving.zero)
        assert max(spell.end - spell.begin for spell in known.spells) == pytest.approx(one.serving.longest)


steps = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=20)


@given(st.lists(steps, min_size=1, max_size=4), st.integers(0, 60))
def test_the_fleet_is_its_regions_together_at_every_moment(series: list[list[tuple[int, int, int]]], at: int) -> None:
    rows = [
        [(float(moment), float(one), float(other), 0.0, 0.0) for moment, one, other in
         sorted({step[0]: step for step in found}.values())]
        for found in series
    ]  # fmt: skip

    def valid(of: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
        return next((row[1:3] for row in reversed(of) if row[0] <= at), (0.0, 0.0))

    summed = told.summed(rows)
    assert valid(summed) == tuple(sum(column) for column in zip(*(valid(one) for one in rows), strict=True))
    assert all(one[0] < other[0] for one, other in pairwise(summed))


@given(st.floats(600, 800 * DAY), st.integers(0, 6 * 1440))
@settings(max_examples=60)
def test_parts_cover_the_play_without_gap_and_are_few(seconds: float, minutes: int) -> None:
    begin = datetime(2025, 10, 4, tzinfo=UTC) + timedelta(minutes=minutes)
    parts = Told(small(seconds=seconds, begin=begin)).sections
    assert parts[0].begin == 0
    assert parts[-1].end == seconds
    assert all(one.end == other.begin and one.begin < one.end for one, other in pairwise(parts))
    assert len(parts) <= 54
    edges = [begin + timedelta(seconds=one.begin) for one in parts[1:]]
    assert all((edge.minute, edge.second) == (0, 0) for edge in edges)


def test_what_a_scenario_does_and_what_hurt_most_is_looked_at_closely(whole: Rehearsal) -> None:
    known = Told(whole)
    done = [one for one in whole.variants[0].incidents if one.where == "scenario"]
    shown = {one for close in known.close_ups for one in close.incidents}
    assert shown == set(done)
    longest = max(known.spells, key=lambda one: one.end - one.begin)
    assert any(close.begin <= longest.begin and longest.end <= close.end for close in known.close_ups)
    assert all(one.begin < other.begin for one, other in pairwise(known.close_ups))


def test_a_hundred_events_do_not_make_a_hundred_close_ups(whole: Rehearsal) -> None:
    many = tuple(
        Incident(3 * HOUR * index, 3 * HOUR * index + 600, "scenario", "us-central1-a", "flap") for index in range(100)
    )
    known = Told(replace(whole, variants=(replace(whole.variants[0], incidents=many),)))
    assert len(known.close_ups) <= told.CLOSE_UPS
    ids = {close.ident for close in known.close_ups} | {part.ident for part in known.sections}
    assert all(known.link(one)[1:] in ids for one in many)


def test_an_event_of_days_is_looked_at_where_it_begins_and_where_it_ends(whole: Rehearsal) -> None:
    long = (Incident(2 * DAY, 9 * DAY, "scenario", "the cloud", "dark"),)
    known = Told(replace(whole, variants=(replace(whole.variants[0], incidents=long),)))
    titles = [close.title for close in known.close_ups]
    assert any("the cloud: dark (begin)" in title for title in titles)
    assert any("the cloud: dark (end)" in title for title in titles)
    assert all(close.span <= 2 * DAY for close in known.close_ups)


def test_a_rehearsal_without_a_variant_is_refused(whole: Rehearsal, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="without a variant"):
        write(replace(whole, variants=()), tmp_path / "none")
    assert not (tmp_path / "none").exists()


# --- report.json ------------------------------------------------------------------------------------------------------


def test_json_has_a_line_for_each_variant_and_gives_the_rehearsal_back(whole: Rehearsal, tmp_path: Path) -> None:
    path = write(whole, tmp_path)[0]
    body = json.loads(path.read_text())
    assert (body["format"], body["version"], body["month_hours"]) == ("spillway.rehearsal", 1, 730.0)
    assert [one["variant"] for one in body["figures"]] == [one.name for one in whole.variants]
    keeper = body["figures"][1]
    assert keeper["usd"] == pytest.approx(whole.variants[1].money.total)
    assert (keeper["rank"], keeper["verdict"]) == (1, "better and cheaper")
    assert keeper["below_hours_a_month"] == pytest.approx((1 - keeper["availability"]) * 730)
    again = document.read(path)
    assert again.variants[:2] == whole.variants[:2]
    assert [one.serving for one in again.variants] == [one.serving for one in whole.variants]
    assert html.page_of(again) == (tmp_path / "report.html").read_text()


def test_what_is_no_number_is_null_and_never_broken_json() -> None:
    odd = replace(small(), seconds=DAY)
    base = replace(odd.variants[0], money=replace(odd.variants[0].money, on_demand_only=float("nan")))
    body = json.loads(document.dumped(replace(odd, variants=(base,))), parse_constant=pytest.fail)
    assert body["rehearsal"]["variants"][0]["money"]["on_demand_only"] is None


def test_the_schema_beside_the_module_is_the_one_of_this_version() -> None:
    assert document.SCHEMA.read_text() == document.schema(), "python -m rehearsal.report"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[]", "not the report.json of a rehearsal"),
        ('{"format": "spillway.rehearsal", "version": 99}', "version: 99; this version reads 1"),
        ('{"format": "spillway.rehearsal", "version": 1, "month_hours": 730, "figures": []}', "rehearsal: "),
    ],
)
def test_another_file_is_refused_in_one_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(SpillwayError) as refused:
        document.read(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_that_cannot_be_written_is_one_line_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpillwayError, match="the report cannot be written"):
        write(small(), tmp_path / "file" / "out")
    with pytest.raises(SpillwayError, match="cannot be read"):
        document.read(tmp_path / "nothing")


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.2, "< 1 s"), (45, "45 s"), (125, "2 min 5 s"), (1349, "22 min"), (3599, "1 h"),
     (11_700, "3 h 15 min"), (86_399, "1 d"), (187_200, "2 d 4 h")],
)  # fmt: skip
def test_spans_of_time_are_rounded_to_two_units(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_money_has_its_currency_and_its_sign() -> None:
    assert [words.usd(value) for value in (None, 0.0, 12.345, -355.0, 1e6)] == [
        "–", "USD 0", "USD 12.35", "−USD 355", "USD 1,000,000",
    ]  # fmt: skip
    assert words.extra(-3013.0) == "and saves USD 3,013 a month"
    assert words.share(0.9993) == "99.93 %"


# --- what happened ----------------------------------------------------------------------------------------------------


def test_where_too_much_happened_what_weighs_most_is_told_and_what_led_to_it_goes_first() -> None:
    noise = tuple((60.0 * minute, "gcp-us-central1", f"try {minute}", "") for minute in range(200))
    dark = Incident(2 * HOUR, 3 * HOUR, "scenario", "gcp-us-central1", "dark", "power")
    one = small()
    known = Told(replace(one, variants=(replace(one.variants[0], log=noise, incidents=(dark,)),)))
    text = Page(zoom.happened(known, HOUR, 4 * HOUR, since=2 * HOUR)).text
    assert "40 of 141, what weighs most" in text
    assert "dark power" in text
    assert "try 119" not in text
    assert "try 120" in text
