"""Whatever a cloud shows or refuses: bounds, idempotence, and what a bad minute leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.unit.function.clouds import ON_DEMAND, SETTINGS, SPOT, Nodes
from tests.unit.function.conftest import Region
from tests.unit.function.wire import Answer, Call, connected

BOTH = pytest.mark.parametrize("region", ["azure", "gcp"], indirect=True)

# --- Whatever happens -----------------------------------------------------------------------------------------------

phases = st.builds(
    Nodes,
    size=st.integers(0, 6),
    serving=st.integers(0, 4),
    booting=st.integers(0, 2),
    creating=st.integers(0, 1),
    leaving=st.integers(0, 1),
)
LENIENT = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes
)


def placed(name: str, spot: Nodes, on_demand: Nodes) -> tuple[Nodes, Nodes]:
    """Sizes that go with the nodes: those of Azure are the nodes, those of GCP at least these."""
    for nodes in (spot, on_demand):
        there = nodes.serving + nodes.booting + nodes.creating
        nodes.size = there if name == "azure" else max(nodes.size, there)
    return spot, on_demand


@dataclass
class Watched:
    """Checks every size that is sent against what was there when it was sent."""

    region: Region
    floor: int
    max: int

    def __post_init__(self) -> None:
        self.region.fake.wire.faults.append(self)

    def __call__(self, call: Call) -> Answer | None:
        name = next((name for name in (SPOT, ON_DEMAND) if f"/{name}" in call.path), None)
        if call.method == "PATCH":
            size = call.json["sku"]["capacity"]
        elif call.path.endswith("/resize"):
            size = int(call.query["size"])
        else:
            return None
        assert name is not None
        spot, on_demand = self.region.fake.groups[SPOT], self.region.fake.groups[ON_DEMAND]
        target = self.region.settings.target
        mine = spot if name == SPOT else on_demand
        fewer = mine.size - size
        if name == ON_DEMAND:
            assert size >= self.floor
            assert size <= max(self.max, mine.size, self.region.memory.on_demand or 0)
        else:
            assert target - self.floor <= size <= self.max - self.floor or fewer > 0
        if fewer > 0:
            gone = min(fewer, mine.serving)
            serving = spot.serving + on_demand.serving
            assert gone == 0 or serving - gone >= target, f"{name} {mine.size} -> {size} with {serving} in service"
        mine.serving -= max(0, min(fewer, mine.serving))  # the worst that a lower size can do
        return None


@pytest.mark.parametrize("name", ["azure", "gcp"])
@LENIENT
@given(
    data=st.data(),
    floor=st.integers(0, 2),
    steps=st.lists(st.tuples(st.integers(1, 4), phases, phases), min_size=1, max_size=5),
)
def test_no_size_that_is_set_takes_a_node_that_serving_needs_or_leaves_its_bounds(
    name: str, data: st.DataObject, floor: int, steps: list[tuple[int, Nodes, Nodes]]
) -> None:
    region = Region(name, SETTINGS[name].model_copy(update={"floor": floor, "fallback_in_minutes": 2}))
    with connected(region.fake.wire):
        Watched(region, floor, 6)
        for minutes, spot, on_demand in steps:
            region.change(target=data.draw(st.integers(floor, 6)))
            region.show(*placed(name, spot, on_demand))
            for _ in range(minutes):
                outcome = region.go()
                assert outcome.errors == []


@pytest.mark.parametrize("name", ["azure", "gcp"])
@LENIENT
@given(steps=st.lists(st.tuples(st.integers(1, 4), phases, phases), min_size=1, max_size=5))
def test_a_second_run_in_the_same_minute_changes_nothing(name: str, steps: list[tuple[int, Nodes, Nodes]]) -> None:
    region = Region(name, SETTINGS[name].model_copy(update={"fallback_in_minutes": 2, "floor": 1}))
    with connected(region.fake.wire):
        for minutes, spot, on_demand in steps:
            region.show(*placed(name, spot, on_demand))
            region.go(minutes)
            sizes = [nodes.size for nodes in region.fake.groups.values()]
            kept = region.fake.stored
            again = region.go(stay=True)
            assert [nodes.size for nodes in region.fake.groups.values()] == sizes
            assert region.fake.stored == kept
            assert again.errors == []


def on(what: str, fault: Callable[[Call], Answer | None]) -> Callable[[Call], Answer | None]:
    return lambda call: fault(call) if WHAT[what](call) else None


def throttled(call: Call) -> Answer | None:
    return Answer(429, {"error": {"code": "TooManyRequests", "message": "slow down"}}, {"Retry-After": "90"})


def refused(call: Call) -> Answer | None:
    return Answer(403, {"error": {"code": "AuthorizationFailed", "message": "no"}})


def broken(call: Call) -> Answer | None:
    return Answer(503, {"error": {"code": "ServiceUnavailable", "message": "later"}})


def dropped(call: Call) -> Answer | None:
    raise requests.ConnectionError("connection reset by peer")


WHAT: dict[str, Callable[[Call], bool]] = {
    "reads": lambda call: (call.method == "GET" and "instanceGroupManagers" in call.path) or "ScaleSets" in call.path,
    "on-demand orders": lambda call: f"/{ON_DEMAND}" in call.path and _is_order(call),
    "spot orders": lambda call: f"/{SPOT}" in call.path and _is_order(call),
    "state reads": lambda call: call.method == "GET" and ("blob." in call.host or "storage." in call.host),
    "state writes": lambda call: call.method in ("PUT", "POST") and ("blob." in call.host or "storage." in call.host),
    "everything": lambda call: True,
}


def _is_order(call: Call) -> bool:
    return call.method == "PATCH" or call.path.endswith("/resize")


@pytest.mark.parametrize("name", ["azure", "gcp"])
@LENIENT
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(WHAT)), st.sampled_from([throttled, refused, broken, dropped])),
        min_size=1,
        max_size=8,
    )
)
def test_after_any_bad_minutes_the_next_good_ones_do_what_is_right(
    name: str, bad: list[tuple[str, Callable[[Call], Answer | None]]]
) -> None:
    region = Region(name, SETTINGS[name])
    with connected(region.fake.wire):
        region.show(Nodes(2, serving=2))
        region.go(2)
        region.show(Nodes(0 if name == "azure" else 2))
        for what, fault in bad:
            region.fake.wire.faults[:] = [on(what, fault)]
            region.go()  # raises nothing
        region.fake.wire.faults.clear()
        out = region.settings.fallback_out_minutes
        outcome = region.go(out)
        assert outcome.ok
        assert region.fake.groups[ON_DEMAND].size == 2
        assert region.fake.groups[SPOT].size == 2


@BOTH
def test_one_groups_failure_keeps_nobody_from_the_other(region: Region) -> None:
    region.fake.wire.faults.append(
        lambda call: refused(call) if WHAT["on-demand orders"](call) else None,
    )
    outcome = region.go(2)
    assert (SPOT, 2) in region.fake.resizes
    assert len(outcome.errors) == 1
    assert outcome.errors[0].startswith(f"{ON_DEMAND}: 0 -> 2: ")
    assert region.lines[-1]["severity"] == "ERROR"


@BOTH
def test_an_order_whose_answer_is_lost_is_not_made_twice(region: Region) -> None:
    region.go()
    times = [2]

    def answer_lost(call: Call) -> Answer | None:
        if WHAT["on-demand orders"](call) and times[0]:
            times[0] -= 1
            region.fake.handle(call)
            raise requests.ReadTimeout("timed out")
        return None

    region.fake.wire.faults.append(answer_lost)
    outcome = region.go()
    assert outcome.ok
    assert region.fake.groups[ON_DEMAND].size == 2
    region.fake.groups[ON_DEMAND] = Nodes(2, booting=2)
    region.go(5)
    assert region.fake.groups[ON_DEMAND].size == 2


@BOTH
def test_nothing_is_lowered_on_what_is_no_longer_so(region: Region) -> None:
    """Between the look and the order an on-demand node fails: the order is left out."""
    region.change(fallback_in_minutes=2)
    region.show(Nodes(2, serving=2), Nodes(2, serving=2))
    region.go()
    reads = [0]

    def fails_meanwhile(call: Call) -> Answer | None:
        lists = call.path.endswith((f"{ON_DEMAND}/virtualMachines", f"{ON_DEMAND}/listManagedInstances"))
        reads[0] += lists
        if lists and reads[0] == 2:
            region.fake.groups[ON_DEMAND] = Nodes(2, serving=1, booting=1)
        return None

    region.fake.wire.faults.append(fails_meanwhile)
    outcome = region.go()
    assert region.fake.resizes == []
    assert outcome.ok
    assert "changed meanwhile" in outcome.notes[0]
