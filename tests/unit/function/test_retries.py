"""How long a run tries, and when it leaves the rest to the next one."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from infra.function.retries import Budget, Busy, CloudError, retry_after


class Clock:
    def __init__(self) -> None:
        self.now, self.waits = 0.0, list[float]()

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def budget(self, seconds: float) -> Budget:
        return Budget(seconds, lambda: self.now, self.sleep)


def failing(times: int, after: float | None) -> tuple[list[int], object]:
    tries: list[int] = []

    def work() -> str:
        tries.append(1)
        if len(tries) <= times:
            raise Busy("429 slow down", after)
        return "done"

    return tries, work


@pytest.mark.parametrize(("after", "waits"), [(7.0, [7.0, 7.0]), (None, [0.5, 1.0]), (0.1, [0.5, 1.0])])
def test_the_cloud_says_how_long_to_wait_and_never_less_than_a_doubling_pause(
    after: float | None, waits: list[float]
) -> None:
    clock = Clock()
    _, work = failing(2, after)
    assert clock.budget(40).call("get", work) == "done"  # type: ignore[arg-type]
    assert clock.waits == waits


def test_a_wait_beyond_the_run_is_not_waited_but_told() -> None:
    clock = Clock()
    tries, work = failing(1, 120.0)
    with pytest.raises(CloudError, match=r"^get: 429 slow down, wants 120 s; left to the next run$") as caught:
        clock.budget(40).call("get", work)  # type: ignore[arg-type]
    assert (len(tries), clock.waits, caught.value.transient) == (1, [], True)


def test_all_calls_of_a_run_share_its_time() -> None:
    clock = Clock()
    budget = clock.budget(10)
    budget.call("first", failing(1, 6.0)[1])  # type: ignore[arg-type]
    with pytest.raises(CloudError, match="second"):
        budget.call("second", failing(1, 6.0)[1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("17", 17.0), ("0", 0.0), ("-3", 0.0), (None, None), ("", None), ("soon", None), (formatdate(1060), 60.0)],
)
def test_retry_after_holds_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, now=1000.0) == seconds
