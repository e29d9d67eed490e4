"""The gate of a rollout: shut for whatever a client could notice, open only after a while without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from spillway.ci.gate import Patience, Region, before, hold, problems, risks, turn
from spillway.dns_members import Member, Watched
from spillway.dns_tally import Look
from spillway.errors import SpillwayError

EAST = Member("aws-us-east-1", ("192.0.2.1", "192.0.2.2"), "aws", "us-east-1")
WEST = Member("gcp-us-central1", ("198.51.100.1",), "gcp", "us-central1")
LLM = "llm.example.com"
READY = dict.fromkeys([*EAST.addresses, *WEST.addresses], "ready")
WATCHED = Watched({LLM: (EAST.name, WEST.name)}, {one.name: one for one in (EAST, WEST)})
REGION = Region(EAST.name, EAST, LLM, WATCHED)


def look(health: Mapping[str, str] | None = None, answers: tuple[str, ...] = EAST.addresses, **more: object) -> Look:
    return replace(Look(0.0, [answers] if answers else [], 10, {**READY, **(health or {})}), **more)  # type: ignore[arg-type]


def found(one: Look) -> list[str]:
    return problems(REGION, {LLM: one}, one.health)


def test_the_gate_is_open_when_all_is_well() -> None:
    assert found(look()) == []


def test_the_region_need_not_be_the_one_that_is_answered() -> None:
    assert found(look(answers=WEST.addresses)) == []


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (look({"192.0.2.2": "answers 503"}), "aws-us-east-1: 192.0.2.2: answers 503"),
        (look({"192.0.2.1": "silent"}), f"{LLM}: leads to 192.0.2.1, which is silent"),
        (look({"198.51.100.1": "refused"}, WEST.addresses), f"{LLM}: leads to 198.51.100.1, which is refused"),
        (look(answers=()), f"{LLM}: nobody answers"),
        (look(answers=("203.0.113.9",)), f"{LLM}: leads to 203.0.113.9, which is no member's"),
        (look(faults=["ns1: no answer"]), f"{LLM}: ns1: no answer"),
        (look(checked={"192.0.2.1": False}), f"{LLM}: its checks hold 192.0.2.1 of aws-us-east-1 unhealthy"),
    ],
)
def test_the_gate_is_shut_and_says_why(one: Look, line: str) -> None:
    assert line in found(one)


def test_a_drained_region_is_asked_by_its_addresses_alone() -> None:
    region = replace(REGION, member=replace(EAST, drained=True))
    assert region.services == ()
    assert problems(region, {}, READY) == []
    assert problems(region, {}, {}) == [f"{EAST.name}: {one}: not asked" for one in EAST.addresses]


def test_a_region_may_be_touched_only_while_somebody_else_is_ready() -> None:
    assert risks(REGION, {LLM: look()}, READY) == ([], [])
    wrong, _ = risks(REGION, {LLM: look({"198.51.100.1": "silent"})}, READY)
    assert wrong == [f"{LLM}: nobody else is ready (gcp-us-central1): this region must not be touched"]


def test_a_region_that_does_not_serve_may_always_be_touched() -> None:
    dead = {**dict.fromkeys(READY, "silent")}
    wrong, notes = risks(REGION, {LLM: look(dead)}, dead)
    assert wrong == []
    assert "does not serve now" in notes[0]


def test_a_service_of_one_region_is_told_and_not_forbidden() -> None:
    alone = replace(REGION, watched=Watched({LLM: (EAST.name,)}, {EAST.name: EAST}))
    wrong, notes = risks(alone, {LLM: look()}, READY)
    assert wrong == []
    assert "this region alone" in notes[0]


def test_the_last_resort_is_nobody_to_count_on() -> None:
    small = Member("small-model", ("192.0.2.80",))
    members = {one.name: one for one in (EAST, WEST, small)}
    region = replace(REGION, watched=Watched({LLM: tuple(members)}, members), lesser=frozenset({small.name}))
    one = look({"198.51.100.1": "silent", "192.0.2.80": "ready"})
    wrong, _ = risks(region, {LLM: one}, one.health)
    assert wrong == [f"{LLM}: nobody else is ready (gcp-us-central1): this region must not be touched"]


@dataclass
class Script:
    """Looks in turn, the last one for ever; time goes on only by waiting."""

    looks: list[Look]
    now: float = 0.0
    waited: list[float] = field(default_factory=list)

    def look(self) -> Look:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += seconds


def run(looks: list[Look], patience: Patience) -> tuple[Script, list[str]]:
    script, said = Script(looks), list[str]()
    hold(REGION, {LLM: script}, nobody, patience, said.append, now=lambda: script.now)
    return script, said


def nobody(member: Member, host: str) -> Mapping[str, str]:
    raise AssertionError("a member of a service is asked with the service")


def test_the_gate_opens_after_the_steady_time_and_a_break_begins_it_anew() -> None:
    bad = look({"192.0.2.2": "answers 503"})
    script, said = run([bad, look(), look(), bad, look()], Patience(600, 30, 10))
    assert script.now == 40 + 30
    assert said[0] == "aws-us-east-1: 192.0.2.2: answers 503"
    assert said[-1] == "aws-us-east-1: well for 30 s: the next one may be touched"
    assert sum("has to be so for 30 s" in line for line in said) == 2


def test_a_gate_that_stays_shut_is_given_up_with_what_is_wrong() -> None:
    with pytest.raises(SpillwayError) as caught:
        run([look(answers=())], Patience(100, 30, 10))
    assert caught.value.lines == (f"{EAST.name}: the gate stays shut after 100 s", f"{LLM}: nobody answers")


def test_a_region_that_flaps_never_opens_the_gate() -> None:
    flapping = [look(), look({"192.0.2.2": "silent"})] * 30
    with pytest.raises(SpillwayError, match="stays shut after 200 s"):
        run(flapping, Patience(200, 30, 10))


def test_a_region_that_no_service_leads_to_is_asked_itself() -> None:
    asked: list[str] = []

    def probe(member: Member, host: str) -> Mapping[str, str]:
        asked.append(host)
        return READY

    said: list[str] = []
    before(Region(EAST.name, EAST, "own.example.com"), {}, probe, said.append)
    hold(Region(EAST.name, EAST, "own.example.com"), {}, probe, Patience(1, 0, 1), said.append, now=lambda: 0.0)
    assert asked == ["own.example.com"] * 2


ORDER = ("aws-us-east-1", "gcp-us-central1", "global")


def test_a_stack_is_next_when_all_before_it_succeeded() -> None:
    assert turn("aws-us-east-1", ORDER, {}) == []
    assert turn("global", ORDER, {**dict.fromkeys(ORDER, "success"), "global": "in_progress"}) == []


@pytest.mark.parametrize("ended", ["failure", "cancelled", "skipped", "waiting", "in_progress", "queued", None])
def test_a_stack_is_not_touched_while_one_before_it_is_not_through(ended: str | None) -> None:
    jobs = {"aws-us-east-1": "success"} | ({} if ended is None else {"gcp-us-central1": ended})
    (line,) = turn("global", ORDER, jobs)
    assert line == f"global: is not touched: gcp-us-central1 comes first, and its job says {ended or 'nothing'}"


def test_a_stack_of_another_rollout_is_never_next() -> None:
    assert "is none of this rollout's stacks" in turn("azure-eastus", ORDER, dict.fromkeys(ORDER, "success"))[0]
