"""Traces from files, as they are published: CSV of rounds, JSON of a zone each; windows; one line on what is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehearsal.trace import Trace, load, region_of
from spillway.errors import SpillwayError
from tests.rehearsal.support import traced

HEAD = "probed_at,us-east4-a,us-east4-b\n"


def csv(folder: Path, text: str) -> Path:
    path = folder / "t.csv"
    path.write_text(text)
    return path


def zone_file(folder: Path, name: str, data: object, gap: object = 300) -> Path:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"metadata": {"gap_seconds": gap}, "data": data}))
    return path


def refused(paths: Path | Sequence[Path]) -> str:
    with pytest.raises(SpillwayError) as error:
        load(paths)
    assert len(error.value.lines) == 1
    return error.value.lines[0]


def test_a_csv_is_read_with_its_holes_and_its_dates(tmp_path: Path) -> None:
    text = HEAD + "2025-10-04T00:10:00Z,3,0\n2025-10-04T02:20:00+02:00,2,1\n\n2025-10-04T00:30:00Z,2,1\n"
    trace = load(csv(tmp_path, text + "2025-10-04T02:00:00Z,1,1\n"))
    assert trace.start == 1759536600.0
    assert (trace.times, trace.end, trace.step) == ((0.0, 600.0, 1200.0, 6600.0), 7200.0, 600.0)
    assert trace.holes == ((1800.0, 6600.0),)
    assert trace.counts == ((3, 2, 2, 1), (0, 1, 1, 1))
    assert list(trace.changes()) == [(0.0, 0, 3), (0.0, 1, 0), (600.0, 0, 2), (600.0, 1, 1), (6600.0, 0, 1)]


def test_json_files_are_zones_and_are_cut_to_what_all_hold(tmp_path: Path) -> None:
    zone_file(tmp_path, "us-west-2c_v100_1", [1, 1, 0.0, 4])
    zone_file(tmp_path, "us-east-1f_v100_1", [0, 2, 2])
    (tmp_path / "README.md").write_text("of no concern")
    trace = load(tmp_path)
    assert trace.zones == ("us-east-1f_v100_1", "us-west-2c_v100_1")
    assert trace.counts == ((0, 2, 2), (1, 1, 0))
    assert (trace.times, trace.end, trace.start, trace.holes) == ((0.0, 300.0, 600.0), 900.0, None, ())
    files = sorted(tmp_path.glob("*.json"))
    assert load(files) == trace
    assert load(files[:1]).zones == ("us-east-1f_v100_1",)


def test_json_files_that_are_named_alike_are_zones_named_after_their_folders(tmp_path: Path) -> None:
    for zone in ("us-west-2c_v100_1", "us-east-1f_v100_1"):
        (tmp_path / zone).mkdir()
        zone_file(tmp_path / zone, "full", [1, 2])
    assert load(tmp_path).zones == ("us-east-1f_v100_1", "us-west-2c_v100_1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has to begin with a line `probed_at,<zone>,...`"),
        ("when,a\n1,2\n3,4\n", "has to begin with a line `probed_at,<zone>,...`"),
        (HEAD + "2025-10-04T00:10:00Z,3,0\n", "two rounds or more"),
        (HEAD + "2025-10-04T00:10:00Z,3,0\n\n", "has 1 rounds, 2 to"),
        ("probed_at,a,a\n" + "2025-10-04T00:10:00Z,3,0\n" * 2, "line 1: every zone has a column of its own"),
        ("probed_at,a,\n" + "2025-10-04T00:10:00Z,3,0\n" * 2, "line 1: every zone has a column of its own"),
        (HEAD + "2025-10-04T00:10:00Z,3\n2025-10-04T00:20:00Z,3,0\n", "line 2: 2 values, the first line has 3"),
        (HEAD + "yesterday,3,0\n2025-10-04T00:20:00Z,3,0\n", "line 2: probed_at: 'yesterday' is no time"),
        (HEAD + "2025-10-04T00:10:00,3,0\n2025-10-04T00:20:00Z,3,0\n", "has no offset and no Z"),
        (HEAD + "2025-10-04T00:10:00Z,3,0\n2025-10-04T00:10:00Z,3,0\n", "line 3: probed_at: .* is not after"),
        (HEAD + "2025-10-04T00:10:00Z,3,x\n2025-10-04T00:20:00Z,3,0\n", "line 2: us-east4-b: 'x' is no number of"),
        (HEAD + "2025-10-04T00:10:00Z,3,\n2025-10-04T00:20:00Z,3,0\n", "line 2: us-east4-b: '' is no number of"),
        (HEAD + "2025-10-04T00:10:00Z,3,-1\n2025-10-04T00:20:00Z,3,0\n", r"'-1' is no number of .* \(0 to 1,000,000\)"),
        (HEAD + "2025-10-04T00:10:00Z,3,1.5\n2025-10-04T00:20:00Z,3,0\n", "'1.5' is no number of"),
        (HEAD + "2025-10-04T00:10:00Z,3,1_0\n2025-10-04T00:20:00Z,3,0\n", "'1_0' is no number of"),
        (HEAD + f"2025-10-04T00:10:00Z,3,{'9' * 5000}\n2025-10-04T00:20:00Z,3,0\n", "is no number of"),
        (HEAD + "2025-10-04T00:10:00Z,3,1000001\n2025-10-04T00:20:00Z,3,0\n", "is no number of"),
    ],
)
def test_a_csv_that_is_wrong_is_one_line_with_the_place(tmp_path: Path, text: str, says: str) -> None:
    path = csv(tmp_path, text)
    line = refused(path)
    assert line.startswith(f"{path}: ")
    with pytest.raises(SpillwayError, match=says):
        load(path)


@pytest.mark.parametrize(
    ("data", "gap", "says"),
    [
        ([1, 2], None, "metadata.gap_seconds: None has to be a number of seconds above 0"),
        ([1, 2], 0, "gap_seconds: 0 has"),
        ([1, 2], True, "gap_seconds: True has"),
        ([1, 2], "600", "gap_seconds: '600' has"),
        ([1, 2], 10**400, "86,400 at most"),
        ([1, 2], float("nan"), "gap_seconds: nan has"),
        (None, 600, "data: has to be a list of two counts or more"),
        ([1], 600, "data: has to be a list"),
        ({"0": 1}, 600, "data: has to be a list"),
        ([1, None], 600, r"data\[1\]: None is no number of instances"),
        ([1, True], 600, r"data\[1\]: True is no number"),
        ([1, -2], 600, r"data\[1\]: -2 is no number"),
        ([1, 2.5], 600, r"data\[1\]: 2.5 is no number"),
        ([1, float("inf")], 600, r"data\[1\]: inf is no number"),
        ([1, [1]], 600, r"data\[1\]: \[1\] is no number"),
    ],
)
def test_json_that_is_wrong_is_one_line_with_the_place(tmp_path: Path, data: object, gap: object, says: str) -> None:
    path = zone_file(tmp_path, "zone", data, gap)
    assert refused(path).startswith(f"{path}: ")
    with pytest.raises(SpillwayError, match=says):
        load(path)


def test_files_that_are_no_trace_together_are_refused(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refused(tmp_path / "none.csv")
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty").endswith("a folder without a .json file")
    assert refused([]) == "a trace: no file is named"
    one, other = zone_file(tmp_path, "a", [1, 2]), zone_file(tmp_path, "b", [1, 2], 195)
    assert refused([one, other]).endswith("files of one trace have one gap_seconds; here: a.json 300 s, b.json 195 s")
    assert "two files are named alike" in refused([one, one])
    table = csv(tmp_path, HEAD)
    assert "a trace is one .csv file, or .json files of a zone each" in refused([one, table])
    table.write_bytes(b"probed_at,a\n\xff\xfe")
    assert "is no CSV in UTF-8" in refused(table)
    for text in ("{", "[" * 100_000, "[1, 2]", '"text"', ""):
        one.write_text(text)
        assert refused(one).startswith(f"{one}: ")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.data())
def test_a_window_gives_at_each_time_what_the_trace_gives_then(row: list[int], data: st.DataObject) -> None:
    trace = traced({"a": row, "b": row[::-1]})
    begin = data.draw(st.integers(0, int(trace.end) - 1))
    end = data.draw(st.integers(begin + 1, int(trace.end)))
    window = trace.window(begin, end)
    assert (window.times[0], window.end) == (0.0, end - begin)

    def at(given_trace: Trace, zone: int, time: float) -> int:
        held = zip(given_trace.times, given_trace.counts[zone], strict=True)
        return [count for since, count in held if since <= time][-1]

    for time in range(end - begin):
        assert [at(window, zone, time) for zone in (0, 1)] == [at(trace, zone, begin + time) for zone in (0, 1)]


def test_a_window_keeps_the_part_of_a_hole_that_is_in_it_and_moves_the_start(tmp_path: Path) -> None:
    text = HEAD + "2025-10-04T00:10:00Z,3,0\n2025-10-04T00:20:00Z,2,1\n2025-10-04T01:00:00Z,2,1\n"
    trace = load(csv(tmp_path, text + "2025-10-04T01:10:00Z,2,1\n"))
    window = trace.window(1500.0, 3600.0)
    assert trace.start is not None
    assert (window.start, window.holes) == (trace.start + 1500.0, ((0.0, 1500.0),))
    for begin, end in ((-1.0, 5.0), (5.0, 5.0), (0.0, trace.end + 1)):
        with pytest.raises(SpillwayError, match=r"is not within 0 to 4200 s"):
            trace.window(begin, end)


def test_a_trace_of_some_zones_keeps_their_order_as_asked() -> None:
    trace = traced({"a": [1, 2], "b": [3, 4], "c": [5, 6]}).only(["c", "a", "c"])
    assert (trace.zones, trace.counts) == (("c", "a"), ((5, 6), (1, 2)))
    with pytest.raises(SpillwayError, match="no zone x; has c, a"):
        trace.only(["x"])


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("us-central1-a", "us-central1"),
        ("us-east-1f", "us-east-1"),
        ("us-west-2a_v100_1", "us-west-2"),
        ("us-gov-west-1a", "us-gov-west-1"),
        ("europe-west1-c", "europe-west1"),
        ("eastus-1", "eastus-1"),
        ("somewhere", "somewhere"),
    ],
)
def test_the_region_of_a_zone_is_in_its_name(zone: str, region: str) -> None:
    assert region_of(zone) == region
