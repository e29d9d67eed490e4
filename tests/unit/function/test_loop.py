"""One run after the other on both clouds: what is set, what is kept, what a bad minute leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from infra.fallback import Reason
from infra.function.loop import Cloud, Memory, Outcome, run
from infra.function.settings import Settings
from tests.unit.function.clouds import FAKES, ON_DEMAND, SETTINGS, SPOT, Fake, Nodes
from tests.unit.function.wire import Answer, Call, connected

BOTH = pytest.mark.parametrize("region", ["azure", "gcp"], indirect=True)
START = 29_000_000


@dataclass
class Region:
    """A cloud and a function on it; `at` is the next minute."""

    name: str
    settings: Settings
    fake: Fake = field(init=False)
    cloud: Cloud = field(init=False)
    at: int = START
    lines: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fake = FAKES[self.name]()
        self.cloud = self.fake.cloud(self.settings)

    def change(self, **more: Any) -> None:
        self.settings = self.settings.model_copy(update=more)
        self.cloud._settings = self.settings  # type: ignore[attr-defined]

    def show(self, spot: Nodes, on_demand: Nodes | None = None) -> None:
        self.fake.groups[SPOT] = spot
        if on_demand is not None:
            self.fake.groups[ON_DEMAND] = on_demand

    def go(self, minutes: int = 1, stay: bool = False) -> Outcome:
        """Runs, a minute apart; stay: once more in the minute of the last run."""
        for _ in range(minutes):
            if stay:
                self.at -= 1
            self.cloud._budget._end = self.fake.time + 40  # type: ignore[attr-defined]
            outcome = run(self.settings, self.cloud, self.at, lambda line: self.lines.append(json.loads(line)))
            self.at += 1
        return outcome

    @property
    def memory(self) -> Memory:
        assert self.fake.stored is not None
        memory = Memory.from_text(self.fake.stored.decode())
        assert memory is not None
        return memory


@pytest.fixture
def region(request: pytest.FixtureRequest) -> Iterator[Region]:
    made = Region(request.param, SETTINGS[request.param])
    with connected(made.fake.wire):
        yield made


# --- What it does ---------------------------------------------------------------------------------------------------


@BOTH
def test_a_new_region_is_filled_to_floor_and_target(region: Region) -> None:
    region.change(target=3, floor=1)
    outcome = region.go()
    assert sorted(region.fake.resizes) == [(ON_DEMAND, 1), (SPOT, 2)]
    assert outcome.decision is not None
    assert outcome.decision.reason is Reason.BELOW_FLOOR


def test_evicted_spot_is_ordered_again_where_the_set_has_shrunk(azure: Region) -> None:
    azure.show(Nodes(2, serving=2))
    azure.go()
    azure.show(Nodes(1, serving=1))
    azure.go()
    assert azure.fake.resizes == [(SPOT, 2)]


def test_a_group_that_keeps_its_target_is_not_touched_when_spot_is_lost(gcp: Region) -> None:
    gcp.show(Nodes(2, serving=2))
    gcp.go()
    gcp.show(Nodes(2, serving=1, refused=1))
    gcp.go()
    assert gcp.fake.resizes == []


@pytest.fixture
def azure() -> Iterator[Region]:
    made = Region("azure", SETTINGS["azure"])
    with connected(made.fake.wire):
        yield made


@pytest.fixture
def gcp() -> Iterator[Region]:
    made = Region("gcp", SETTINGS["gcp"])
    with connected(made.fake.wire):
        yield made


def test_a_machine_whose_creation_failed_is_removed_and_ordered_anew(azure: Region) -> None:
    azure.show(Nodes(2, serving=1, refused=1))
    azure.go()
    assert azure.fake.cleared == [(SPOT, ["0"])]
    assert azure.fake.resizes == []
    azure.go()
    assert azure.fake.resizes[-1] == (SPOT, 2)


@BOTH
def test_a_launch_that_is_only_asked_for_counts_as_booting_until_launches_are_refused(region: Region) -> None:
    """Slow allocation buys nothing; an allocation that failed a moment ago is not believed a second time."""
    region.show(Nodes(2, serving=1, creating=1))
    outcome = region.go(5)
    assert outcome.decision is not None
    assert outcome.decision.reason is Reason.SPOT_BOOTING
    region.show(Nodes(2, serving=1, refused=1))
    region.go()
    region.show(Nodes(2, serving=1, creating=1))
    outcome = region.go()
    assert outcome.decision is not None
    assert (outcome.decision.reason, region.fake.groups[ON_DEMAND].size) == (Reason.SPOT_MISSING, 1)


def test_on_demand_that_cannot_be_had_stays_ordered_though_the_set_has_shrunk(azure: Region) -> None:
    azure.show(Nodes(0))
    azure.go(2)
    assert azure.fake.groups[ON_DEMAND].size == 2
    azure.show(Nodes(0), Nodes(2, refused=2))
    azure.go()
    assert azure.fake.cleared[-1] == (ON_DEMAND, ["0", "1"])
    azure.go()
    assert azure.fake.resizes[-1] == (ON_DEMAND, 2)


@BOTH
def test_a_higher_target_lifts_the_spot_group_at_once(region: Region) -> None:
    region.show(Nodes(2, serving=2))
    region.go()
    region.change(target=4)
    region.go()
    assert region.fake.resizes == [(SPOT, 4)]


@BOTH
def test_a_lower_target_waits_for_nodes_that_boot(region: Region) -> None:
    """Two of three serve, the third boots: whichever the cloud took, one of the two wanted could be gone."""
    region.change(target=3)
    region.show(Nodes(3, serving=2, booting=1))
    region.go()
    region.change(target=2)
    outcome = region.go()
    assert region.fake.resizes == []
    assert "held back" in outcome.notes[0]
    region.show(Nodes(3, serving=3))
    region.go()
    assert region.fake.resizes == [(SPOT, 2)]


@BOTH
def test_the_target_follows_the_load_and_comes_back(region: Region) -> None:
    region.change(scaling_signal="queue", scaling_in_minutes=5, scaling_cooldown_seconds=120)
    region.show(Nodes(2, serving=2))
    region.fake.samples = [25.0] * 10
    region.go()
    assert region.fake.resizes == [(SPOT, 4)]
    region.show(Nodes(4, serving=2, booting=2))
    region.go(20)
    assert region.fake.resizes == [(SPOT, 4)]
    region.show(Nodes(4, serving=4))
    region.fake.samples = [1.0] * 10
    region.go(2)
    assert region.fake.resizes == [(SPOT, 4), (SPOT, 3)]


@BOTH
def test_a_load_that_cannot_be_read_stops_nothing_else(region: Region) -> None:
    region.change(scaling_signal="cpu")
    region.show(Nodes(2, serving=0))
    region.fake.groups[SPOT].size = 2
    region.fake.wire.faults.append(
        lambda call: Answer(403, {"error": {"message": "no"}}) if call.method == "GET" and _is_load(call) else None
    )
    region.show(Nodes(0 if region.name == "azure" else 2))
    region.fake.groups[ON_DEMAND] = Nodes(0)
    outcome = region.go(2)
    assert outcome.ok
    assert region.fake.groups[ON_DEMAND].size == 2


def _is_load(call: Call) -> bool:
    return "Insights/metrics" in call.path or call.path.endswith("/timeSeries")


@BOTH
def test_metrics_that_cannot_be_sent_stop_nothing_else(region: Region) -> None:
    region.fake.wire.faults.append(
        lambda call: Answer(403, {"error": {"message": "no"}}) if "monitoring" in call.host else None
    )
    outcome = region.go()
    assert outcome.ok
    assert outcome.notes


@BOTH
def test_a_run_tells_its_decision_in_one_line_and_two_metrics(region: Region) -> None:
    region.show(Nodes(2 if region.name == "gcp" else 1, serving=1), Nodes(0))
    region.go(2)
    line = region.lines[-1]
    assert (line["event"], line["stack"], line["minute"]) == ("fallback", region.settings.stack, START + 1)
    assert (line["decision"], line["reason"], line["gap"]) == (1, "spot-missing", 1)
    assert line["severity"] == "NOTICE"
    assert line["message"] == "1 spot missing for 2 min: on-demand 0 -> 1"
    assert f"{ON_DEMAND}: 0 -> 1" in line["actions"]
    assert region.fake.metrics[-2:] == [("FallbackGap", 1.0), ("OnDemandDesired", 1.0)]


@BOTH
def test_a_dry_run_decides_and_tells_and_sets_nothing(region: Region) -> None:
    region.change(dry_run=True)
    outcome = region.go(5)
    assert not region.fake.resizes
    assert not region.fake.cleared
    assert outcome.decision is not None
    assert outcome.decision.reason is Reason.SPOT_MISSING
    assert f"would: {ON_DEMAND}: 0 -> 2" in outcome.actions
    assert f"would: {SPOT}: 0 -> 2" in outcome.actions
    region.change(dry_run=False)
    region.show(Nodes(2, serving=2))
    region.go()
    assert region.fake.resizes == []


# --- What it keeps --------------------------------------------------------------------------------------------------


@BOTH
def test_a_region_in_which_nothing_happens_is_not_written_about(region: Region) -> None:
    region.show(Nodes(2, serving=2))
    region.go(45)
    kept = region.fake.generation
    region.go(30)
    assert region.fake.generation == kept
    region.show(Nodes(2 if region.name == "gcp" else 1, serving=1))
    region.go(2)
    assert region.fake.groups[ON_DEMAND].size == 1


@BOTH
def test_of_two_runs_in_one_minute_the_second_does_nothing(region: Region) -> None:
    """Both have read; the one that is slower to write finds the other's state and leaves it at that."""
    region.show(Nodes(0))
    region.go()
    other = Region(region.name, region.settings, at=region.at)
    other.fake = region.fake
    other.cloud = region.fake.cloud(region.settings)
    first = [True]

    def overtaken(call: Call) -> Answer | None:
        if first[0] and call.method in ("PUT", "POST") and ("blob" in call.host or "/upload/" in call.path):
            first[0] = False
            other.go()
        return None

    region.fake.wire.faults.append(overtaken)
    before = list(region.fake.resizes)
    outcome = region.go()
    assert outcome.notes == ["another run has decided this minute"]
    assert outcome.actions == []
    assert [name for name, _ in region.fake.resizes[len(before) :]].count(ON_DEMAND) == 1


@BOTH
@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"version":0}', b'{"version":1}', b'{"version":1,"rule":{}}'])
def test_what_it_cannot_read_of_itself_is_begun_anew_and_said(region: Region, text: bytes) -> None:
    region.fake.stored = text
    region.show(Nodes(2, serving=2))
    outcome = region.go()
    assert outcome.ok
    assert outcome.notes == ["what was stored is not of this version: begun anew"]
    assert region.memory.spot == 2


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


def lost(call: Call) -> Answer | None:
    """The order arrives, its answer does not."""
    raise requests.ReadTimeout("timed out")


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
