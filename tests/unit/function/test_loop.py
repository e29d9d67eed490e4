"""One run after the other on both clouds: what is set, what is told, what is kept."""

from __future__ import annotations

import pytest

from infra.fallback import Reason
from tests.unit.function.clouds import ON_DEMAND, SPOT, Nodes
from tests.unit.function.conftest import START, Region
from tests.unit.function.wire import Answer, Call

BOTH = pytest.mark.parametrize("region", ["azure", "gcp"], indirect=True)
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
