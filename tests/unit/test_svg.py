"""Charts as inline SVG: what stands where, what is never lost, and what somebody without eyes or colours gets."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway import axes, looks, page
from spillway.axes import Axis, Tick
from spillway.looks import SERIES, Look
from spillway.page import Html
from spillway.svg import Plot

BEGIN = datetime(2025, 10, 4, 0, 10, tzinfo=UTC)
SPACE = "{http://www.w3.org/2000/svg}"
RED = Look("bad")


def plot(high: float = 10.0, **more: int) -> Plot:
    return Plot(axes.linear([0, 100]), axes.linear([0, high]), height=100, **more)  # type: ignore[arg-type]


def parsed(text: str) -> ElementTree.Element:
    """Inline SVG is well-formed XML too."""
    return ElementTree.fromstring(text)


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (1.0, "100.00 %"),
        (0.0, "0.00 %"),
        (0.9725, "97.25 %"),
        (0.9996, "99.96 %"),
        (0.99996, "99.996 %"),
        (0.99999999999, "99.999999 %"),
        (1e-12, "0.000001 %"),
        (float("nan"), "–"),
    ],
)
def test_a_share_has_as_many_decimals_as_its_nines_need(share: float, text: str) -> None:
    assert axes.percent(share) == text


@given(st.floats(0, 1))
def test_only_what_is_always_so_is_100_percent(share: float) -> None:
    figure = float(axes.percent(share).removesuffix(" %"))
    assert (figure == 100) == (share == 1)
    assert (figure == 0) == (share == 0)


def test_large_numbers_are_written_with_a_letter_or_with_separators() -> None:
    assert [axes.compact(value) for value in (950, 1_500, 20e6, 3e9)] == ["950", "1.5k", "20M", "3B"]
    assert [axes.plain(value) for value in (0, 0.4, 12.345, 1_234_567, -5)] == ["0", "0.4", "12.3", "1,234,567", "−5"]


# --- axes -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=5), st.integers(2, 9))
def test_a_linear_axis_holds_its_values_between_even_ticks(values: list[float], most: int) -> None:
    axis = axes.linear(values, most=most)
    slack = 1e-6 * max(1.0, abs(axis.high), abs(axis.low))
    assert axis.low <= min(*values, 0) + slack
    assert axis.high >= max(*values, 0) - slack
    assert 2 <= len(axis.ticks) <= most + 3
    assert all(-1e-6 <= axis.share(tick.value) <= 1 + 1e-6 for tick in axis.ticks)


@given(st.lists(st.floats(1e-6, 1e12), min_size=1, max_size=5))
def test_a_logarithmic_axis_holds_its_values(values: list[float]) -> None:
    axis = axes.logarithmic(values)
    assert axis.low <= min(values) * 1.000001
    assert axis.high >= max(values) * 0.999999
    assert axis.ticks


def test_on_a_logarithmic_axis_each_decade_is_as_long() -> None:
    axis = axes.logarithmic([1, 10_000])
    assert axis.share(100) - axis.share(10) == pytest.approx(axis.share(1_000) - axis.share(100))
    assert [tick.label for tick in axis.ticks if not tick.level] == ["1", "10", "100", "1k", "10k"]


def test_on_an_axis_of_nines_90_99_and_99_9_are_equally_far_apart() -> None:
    axis = axes.nines([0.6, 0.9995])
    assert axis.share(0.99) - axis.share(0.9) == pytest.approx(axis.share(0.999) - axis.share(0.99))
    assert axis.share(1.0) == 1.0  # no availability is infinitely far up


@given(st.floats(60, 4e7), st.floats(0, 1e7))
def test_an_axis_of_time_has_few_labels_where_there_is_little_room(span: float, low: float) -> None:
    axis = axes.times(BEGIN, low, low + span)
    assert 1 <= len(axis.ticks) <= 18
    assert sum(tick.level == 0 for tick in axis.ticks) <= axes.FEW + 1
    assert all(low - 1e-6 <= tick.value <= low + span for tick in axis.ticks)


def test_ticks_of_time_stand_at_round_hours_of_the_clock() -> None:
    day = axes.times(BEGIN, 0, 86_400, most=12)
    assert [tick.label for tick in day.ticks][1:4] == ["02:00", "04:00", "06:00"]
    fortnight = axes.times(BEGIN, 0, 14 * 86_400)
    assert [tick.label for tick in fortnight.ticks][:3] == ["4 Oct", "5 Oct", "6 Oct"]
    assert fortnight.ticks[1].value == 86_400 - 600


# --- series -----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.floats(0, 1000), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=300),
    st.integers(1, 20),
)
def test_thinning_keeps_the_extremes_of_every_column(rows: list[tuple[float, int, int]], columns: int) -> None:
    series = sorted((at, float(one), float(other)) for at, one, other in rows)
    kept = axes.thin(series, 0, 1000.001, columns)

    def extremes(of: list[tuple[float, ...]]) -> dict[int, tuple[float, ...]]:
        found: dict[int, list[tuple[float, ...]]] = {}
        for row in of:
            found.setdefault(int(row[0] / 1000.001 * columns), []).append(row)
        return {
            column: (
                *several[0][1:],
                *several[-1][1:],
                *(pick(row[value] for row in several) for value in (1, 2) for pick in (min, max)),
            )
            for column, several in found.items()
        }

    assert extremes(list(kept)) == extremes(list(series))
    assert len(kept) <= max(2 * columns, 7 * columns)


def test_a_window_begins_with_what_was_valid_at_its_begin() -> None:
    rows = [(0.0, 1.0), (5.0, 2.0), (9.0, 3.0)]
    assert axes.window(rows, 6, 20) == [(6, 2.0), (9.0, 3.0)]
    assert axes.window(rows, 5, 9) == [(5, 2.0)]
    assert axes.window([(5.0, 2.0)], 0, 9) == [(5.0, 2.0)]
    assert axes.mean(rows, 4, 10) == pytest.approx((1 + 4 * 2 + 3) / 6)


# --- charts -----------------------------------------------------------------------------------------------------------


def test_a_chart_fits_any_width_since_across_it_everything_is_in_percent() -> None:
    drawn = plot()
    drawn.bar(25, 50, 0, 5, RED, "a bar")
    drawn.mark(50, 5, RED, "a mark", label="here")
    tree = parsed(drawn.draw("one", "A chart"))
    (bar,) = tree.iter("rect")
    assert (bar.get("x"), bar.get("width"), bar.get("y"), bar.get("height")) == ("25%", "25%", "50", "50")
    assert any(one.get("x") == "50%" and one.get("y") == "50" for one in tree.iter("svg"))


def test_a_line_of_steps_holds_each_value_until_the_next_and_to_the_end() -> None:
    drawn = plot()
    drawn.step([(0, 10), (50, 0)], RED)
    (path,) = parsed(drawn.draw("one", "A chart")).iter("path")
    assert path.get("d") == "M0 0H500V100H1000"


def test_layers_lie_upon_each_other_and_one_that_is_nothing_is_not_drawn() -> None:
    drawn = plot()
    drawn.stack([(SERIES[0], "low"), (SERIES[1], "none"), (SERIES[2], "high")], [(0, 2, 0, 3), (50, 5, 0, 5)])
    paths = {one[0].text: one.get("d") for one in parsed(drawn.draw("one", "A chart")).iter("path")}
    assert paths == {
        "high": "M0 50H500L500 0H1000L1000 50H500L500 80H0Z",
        "low": "M0 80H500L500 50H1000L1000 100H500L500 100H0Z",
    }


def test_what_must_be_seen_is_a_line_where_it_is_too_short_for_a_surface() -> None:
    drawn = plot()
    drawn.bar(40, 40.0001, 0, 10, RED, "short", least=True)
    drawn.band(60, 60, RED, "a moment")
    drawn.bar(-20, -10, 0, 10, RED, "elsewhere", least=True)
    tree = parsed(drawn.draw("one", "A chart"))
    assert not list(tree.iter("rect"))
    assert [one[0].text for one in tree.iter("line") if len(one)] == ["a moment", "short"]


def test_a_chart_says_what_it_is_and_links_are_no_part_of_an_image() -> None:
    plain = parsed(plot().draw("one", "Nodes & prices", "Between 1 < 2."))[0]
    assert plain.get("role") == "img"
    assert plain.get("aria-labelledby") == "one-t one-d"
    assert [(one.get("id"), one.text) for one in plain[:2]] == [
        ("one-t", "Nodes & prices"),
        ("one-d", "Between 1 < 2."),
    ]
    linked = plot()
    linked.mark(1, 1, RED, href="#there", ident="here")
    tree = parsed(linked.draw("two", "Links"))
    assert tree[0].get("role") == "group"
    assert [one.get("href") for one in tree.iter("a")] == ["#there"]


def test_labels_of_marks_that_stand_close_do_not_cover_each_other() -> None:
    drawn = plot()
    for index in range(4):
        drawn.mark(50 + index / 10, 5, RED, label=f"mark {index}")
    texts = [one for one in parsed(drawn.draw("one", "Marks")).iter("text") if (one.text or "").startswith("mark")]
    places = {(one.get("text-anchor"), one.get("y")) for one in texts}
    assert len(places) == 4


def test_every_series_has_a_colour_a_texture_a_dash_and_a_sign_of_its_own() -> None:
    for values in ([one.colour for one in SERIES], [one.texture for one in SERIES], [one.dash for one in SERIES]):
        assert len(set(values)) == len(SERIES)
    assert looks.look(8) == SERIES[0]
    text = page.page("Surfaces", [looks.swatch(one, "area") for one in (*SERIES, Look("bad", "light"))])
    defined, used = set(re.findall(r'<linearGradient id="([^"]+)"', text)), set(re.findall(r"url\(#([^)]+)\)", text))
    assert defined == used
    assert len(used) == len(SERIES)  # one of them is plain


def test_colours_of_words_and_lines_stand_out_from_light_and_from_dark_paper() -> None:
    def light(colour: str) -> float:  # https://www.w3.org/TR/WCAG21/#dfn-relative-luminance
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for side in (0, 1):
        paper = light(looks.COLOURS["paper"][side])
        for name, pair in looks.COLOURS.items():
            if name in ("paper", "card", "line"):
                continue
            here = light(pair[side])
            contrast = (max(here, paper) + 0.05) / (min(here, paper) + 0.05)
            assert contrast >= (4.5 if name in ("ink", "soft", "bad", "good", "k1") else 3), (name, side, contrast)


def test_a_chart_can_be_a_file_of_its_own() -> None:
    drawn = plot()
    drawn.between([(0, 1, 2), (100, 2, 4)], SERIES[1], "band", stepped=False)
    tree = parsed(drawn.image("A chart", width=500))
    assert (tree.tag, tree.get("width"), tree.get("viewBox", "")[:7]) == (f"{SPACE}svg", "500", "0 0 500")
    assert tree.find(f".//{SPACE}linearGradient[@id='w-hatch-k2']") is not None


def test_rows_of_names_stand_from_top_to_bottom() -> None:
    axis = axes.names(["first", "second"])
    assert axis.share(sum(axes.slot(axis, 0)) / 2) > axis.share(sum(axes.slot(axis, 1)) / 2)
    assert {tick.label: axis.share(tick.value) for tick in axis.ticks} == {"first": 0.75, "second": 0.25}


def test_what_lies_far_beyond_an_axis_gives_no_absurd_coordinate() -> None:
    for scale in ("linear", "log", "nines"):
        axis = Axis(0.1, 0.9, (Tick(0.5, "half"),), scale)
        assert all(-1 <= axis.share(value) <= 2 for value in (-1e300, 0.0, 1.0, 1e300))


# --- pages ------------------------------------------------------------------------------------------------------------


def test_words_are_escaped_and_markup_is_not() -> None:
    table = page.table(["<head>", "n"], [["<script>", Html("<b>1</b>")]], caption="a & b")
    assert "<script>" not in table
    assert "&lt;script&gt;" in table
    assert "<b>1</b>" in table
    assert "a &amp; b" in table


def test_a_page_needs_no_script_and_nothing_from_elsewhere() -> None:
    text = page.page("T<i>tle", ["<p>words</p>"])
    assert "<title>T&lt;i&gt;tle</title>" in text
    assert not re.search(r"<script|<link|<img|@import|url\((?!#)|\bon\w+=", text)
