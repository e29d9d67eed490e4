"""A refresh that broke off goes on where it was, and waits as long as it is asked to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost.refresh.work import LONGEST_WAIT, TRIES, Busy, Found, Kept, Step, chunks, gather, patient, retry_after
from spillway.errors import SpillwayError


class Pages:
    """Asks for pages, of which each tells the next one. faults: raised in turn before any answer."""

    name = "pages"

    def __init__(self, count: int, faults: Mapping[int, Exception] | None = None) -> None:
        self.count, self.faults = count, dict(faults or {})
        self.asked: list[int] = []

    def steps(self, answers: Mapping[str, Any]) -> Sequence[Step]:
        known = len(answers)
        return [Step(str(number), partial(self._ask, number)) for number in range(min(known + 1, self.count))]

    def found(self, answers: Mapping[str, Any], observed: Any) -> Found:
        raise NotImplementedError

    def replaces(self, row: Any) -> bool:
        raise NotImplementedError

    def _ask(self, number: int) -> list[int]:
        self.asked.append(number)
        if fault := self.faults.pop(number, None):
            raise fault
        return [number]


@given(breaks=st.integers(0, 7), more=st.integers(1, 4))
def test_answers_that_are_kept_are_not_asked_for_again(
    tmp_path_factory: pytest.TempPathFactory, breaks: int, more: int
) -> None:
    kept, count = Kept(tmp_path_factory.mktemp("kept")), breaks + more
    first = Pages(count, {breaks: SpillwayError("a wire was cut")})
    with pytest.raises(SpillwayError, match="a wire was cut"):
        gather(first, kept)
    second = Pages(count)
    whole = gather(second, kept)
    assert whole == {str(number): [number] for number in range(count)}
    assert second.asked == list(range(breaks, count))


def test_half_an_answer_is_no_answer(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    kept.put("a", {"x": 1})
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text()[:-3])
    assert kept.get("a") is None
    kept.put("a", [])
    assert kept.get("a") == []
    kept.clear()
    assert kept.get("a") is None


def test_waits_grow_unless_the_cloud_says_how_long() -> None:
    slept: list[float] = []
    told: list[str] = []
    faults = iter([Busy("x"), Busy("x"), Busy("x", 7.5), Busy("x", 9_999), Busy("x")])

    def ask() -> str:
        for fault in faults:
            raise fault
        return "done"

    assert patient("cloud", "step", ask, slept.append, told.append) == "done"
    assert told[:3] == ["cloud: step: x; again in 2 s", "cloud: step: x; again in 4 s", "cloud: step: x; again in 8 s"]
    assert slept == [2, 4, 7.5, LONGEST_WAIT, 32]


def test_in_the_end_it_is_one_clear_line() -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        raise Busy("is\nthrottled")

    with pytest.raises(SpillwayError) as caught:
        patient("cloud", "machines eastus 0", ask, lambda _: None)
    assert len(asked) == TRIES
    assert caught.value.lines == (
        f"cloud: machines eastus 0: is throttled, {TRIES} times; what was answered is kept, "
        "so the same command goes on from here",
    )


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("30", 30),
        ("Thu, 26 Nov 2026 12:00:30 GMT", 30),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    noon = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
    assert retry_after(header, lambda: noon) == seconds


@given(st.lists(st.integers()), st.integers(1, 9))
def test_chunks_lose_nothing(values: list[int], size: int) -> None:
    found = chunks(values, size)
    assert [one for chunk in found for one in chunk] == values
    assert all(1 <= len(chunk) <= size for chunk in found)
