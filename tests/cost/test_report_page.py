"""report.html: one file that is right as HTML, reads aloud, and has everything that has to be signed."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from cost.report import html, words
from cost.report.charts import Charts
from cost.report.told import Told
from cost.scenario import SHIPPED
from tests.cost.reported import compared, document, shipped
from tests.support import chromium

VOID = frozenset({"meta", "br", "wbr", "line", "rect", "path", "circle", "polygon", "stop", "img"})


class Reader(HTMLParser):
    """Elements, and whether they are closed in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "title", "desc"):
            self.text.append(data)


@cache
def page(name: str) -> str:
    return html.page_of(*shipped(name))


@cache
def read(name: str) -> Reader:
    reader = Reader()
    reader.feed(page(name))
    return reader


def seen(text: str) -> str:
    """What a person reads, on one line."""
    reader = Reader()
    reader.feed(text)
    return " ".join("".join(reader.text).split())


@pytest.mark.parametrize("name", SHIPPED)
def test_every_element_is_closed_and_every_id_is_there_once(name: str) -> None:
    reader = read(name)
    assert reader.open == []
    ids = [str(attrs["id"]) for _, attrs in reader.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    anchors = {str(attrs["href"])[1:] for tag, attrs in reader.elements
               if tag == "a" and str(attrs.get("href")).startswith("#")}  # fmt: skip
    assert anchors <= set(ids)


@pytest.mark.parametrize("name", SHIPPED)
def test_nothing_runs_and_nothing_is_fetched(name: str) -> None:
    reader = read(name)
    tags = {tag for tag, _ in reader.elements}
    assert tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed", "form", "image", "use", "base"})
    for _, attrs in reader.elements:
        assert not any(key.startswith("on") or key in ("src", "srcset", "action", "xlink:href") for key in attrs)
    styles = "".join(re.findall(r"<style>(.*?)</style>", page(name), re.S))
    assert "@import" not in styles
    assert "http" not in styles
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page(name)))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_chart_has_words_and_every_texture_it_uses(name: str) -> None:
    text, reader = page(name), read(name)
    ids = {str(attrs["id"]) for _, attrs in reader.elements if "id" in attrs}
    charts = [attrs for tag, attrs in reader.elements if tag == "svg" and attrs.get("role") in ("img", "group")]
    assert len(charts) > 10
    for attrs in charts:
        assert set(str(attrs["aria-labelledby"]).split()) <= ids
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= ids


@pytest.mark.parametrize("name", SHIPPED)
def test_the_first_screen_has_the_answer_and_the_page_every_section(name: str) -> None:
    text = page(name)
    head = seen(text[: text.index('id="traffic"')])
    known = Told(*shipped(name))
    best = known.ranked[0]
    assert f"{best.title} is the cheapest: {words.usd(best.levelised_month)} a month" in head
    assert "Without a price, and in no sum" in head
    assert "All amounts are in USD" in head
    for part in ("Cost against traffic", "What a month is made of", "Money by month and year", "How sure it is",
                 "Utilisation", "Spot by zone", "What has no price", "Capacity", "Line by line", "Assumptions",
                 "Sources", "How to read it", "The scenario", "Signatures"):  # fmt: skip
        assert f">{part}</h2>" in text


@pytest.mark.parametrize("name", SHIPPED)
def test_every_option_line_gap_and_assumption_is_on_the_page(name: str) -> None:
    text = seen(page(name))
    scenario, found = shipped(name)
    for option in found.options:
        assert option.title in text
        for line in option.lines:
            if any(line.quantities) or line.usd:
                assert line.what in text
                assert words.figure(line.usd) in text
    for gap in found.unpriced:
        assert gap.what in text
        assert gap.reason in text
    for one in scenario.assumptions:
        assert one.owner in text
        assert one.key.split(".", 2)[-1] in text or one.key in text


def test_the_length_of_a_month_is_said_once() -> None:
    assert seen(page("product")).count("730 hours") == 1


def test_the_same_comparison_gives_the_same_bytes() -> None:
    assert html.page_of(*shipped("small-team")) == page("small-team")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_page_is_no_burden_to_mail(name: str) -> None:
    assert len(page(name).encode()) < 1_000_000


def test_texts_of_a_scenario_are_texts(tmp_path: Path) -> None:
    changed = document()
    changed["title"] = "<script>alert(1)</script> & co"
    changed["options"][0]["title"] = '"><img src=x onerror=alert(1)>'
    changed["owner"] = "<b>nobody</b>"
    text = html.page_of(*compared(tmp_path / "hostile.yaml", changed, draws=100))
    reader = Reader()
    reader.feed(text)
    assert {"script", "img", "b"}.isdisjoint({tag for tag, _ in reader.elements})
    assert "<script>alert(1)</script> & co" in "".join(reader.text)


def test_a_page_can_be_made_of_one_option_one_month_and_no_draws(tmp_path: Path) -> None:
    changed = document()
    changed["period"]["months"] = 1
    changed["options"] = changed["options"][:1]
    changed["uncertain"] = []
    changed["cited"] = []
    text = html.page_of(*compared(tmp_path / "one.yaml", changed))
    assert "is the cheapest" in text
    assert "No inputs were drawn" in text
    assert 'id="spot"' not in text
    assert 'href="#spot"' not in text
    assert 'href="#utilisation"' not in text


def test_a_page_of_options_that_cannot_serve_says_why(tmp_path: Path) -> None:
    changed = document()
    changed["workload"]["tokensPerDay"] = 1e13
    changed["options"] = [one for one in changed["options"] if one["name"] in ("workstation", "aws-l40s")]
    changed["uncertain"] = []
    changed["cited"] = []
    text = seen(html.page_of(*compared(tmp_path / "huge.yaml", changed)))
    assert "None of the options both has a price and can serve this workload" in text
    assert "tokens/day at most; the workload reaches 10,000,000,000,000" in text


def test_a_page_in_another_currency_shows_its_inputs_in_that_currency(tmp_path: Path) -> None:
    changed = document()
    changed["currency"] = "EUR"
    changed["exchange"] = {"usd": 1.16, "source": "ECB reference rate", "observed": "2026-11-25"}
    text = seen(html.page_of(*compared(tmp_path / "euro.yaml", changed)))
    assert "1.16 USD for one (ECB reference rate, 2026-11-25)" in text
    assert "EUR/year" in text


@pytest.mark.skipif(not chromium.THERE, reason="no chromium here")
@pytest.mark.parametrize("width", [390, 1400])
def test_no_width_of_a_window_makes_the_page_wider_than_itself(tmp_path: Path, width: int) -> None:
    taken, there = chromium.widths(page("product"), tmp_path, width)
    assert taken <= there


def test_letters_of_lines_stand_below_each_other() -> None:
    known = Told(*shipped("product"))
    drawn = Charts(known).overview()
    heights = {}
    for y, letter in re.findall(r'<text x="100%" y="([\d.]+)"[^>]*class="h"[^>]*>([A-Z])</text>', drawn):
        heights[letter] = float(y)
    assert len(heights) > 5
    ordered = sorted(heights.values())
    assert all(after - before >= 12.9 for before, after in pairwise(ordered))
