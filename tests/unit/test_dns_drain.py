"""Nothing is destroyed while a name leads there, or while clients may remember that it did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from spillway.cli import main
from spillway.dns_drain import GONE_SECONDS, check_outputs, member_of, ttl_of, wait_until_gone
from spillway.dns_tally import Look
from spillway.errors import SpillwayError
from tests.support.engine import TWO_REGIONS

MEMBERS = {"b": {"addresses": ["203.0.113.7"]}}
GONE, HERE = "198.51.100.1", "203.0.113.7"


class Zone:
    """Answers with `before` until `leaves` seconds have passed, then with `after`; waiting is what passes time."""

    now = 0.0

    def __init__(self, leaves: float, before: str = GONE, after: str = HERE, faults: Sequence[str] = ()) -> None:
        self.leaves, self.before, self.after, self.faults = leaves, before, after, list(faults)
        self.provider, self.servers, self.where = "route53", ("ns",), "here"

    def look(self) -> Look:
        answer = self.before if Zone.now < self.leaves else self.after
        return Look(Zone.now, [] if self.faults else [(answer,)], 10, {}, faults=self.faults)

    def wait(self, seconds: float) -> None:
        Zone.now += seconds


@pytest.fixture(autouse=True)
def from_zero() -> None:
    Zone.now = 0.0


def waited(*zones: Zone, ttl: float = 10) -> float:
    named = {f"llm{i}.example.com": zone for i, zone in enumerate(zones)}
    return wait_until_gone(named, [GONE], ttl, lambda text: None, now=lambda: Zone.now)


def test_the_ttl_is_waited_for_from_the_first_look_that_finds_nobody_sent_there() -> None:
    assert waited(Zone(0)) == 10
    Zone.now = 0
    assert waited(Zone(5)) == pytest.approx(6 + 10)  # looks are two seconds apart


def test_every_name_has_to_lead_elsewhere() -> None:
    assert waited(Zone(0), Zone(30)) == pytest.approx(30 + 10)


def test_a_name_that_goes_on_leading_there_is_an_error_that_says_which() -> None:
    with pytest.raises(SpillwayError, match=r"after 120 s .*llm0\.example\.com answers 198\.51\.100\.1"):
        waited(Zone(GONE_SECONDS * 2))


def test_name_servers_that_cannot_be_asked_prove_nothing() -> None:
    with pytest.raises(SpillwayError, match=r"not every name server could be asked: llm0\.example\.com: ns: timed out"):
        waited(Zone(0, faults=["ns: timed out"]))
    assert Zone.now <= GONE_SECONDS + 10 + 4  # and nobody waits for ever


def test_one_silent_name_server_of_several_is_waited_for_as_it_may_still_lead_there() -> None:
    class Stutters(Zone):
        def look(self) -> Look:
            late = ["ns-2: timed out"] if Zone.now < 30 else []
            return Look(Zone.now, [(HERE,)], 10, {}, faults=late)

    assert waited(Stutters(0)) == pytest.approx(30)


def test_an_answer_that_leads_there_once_more_begins_the_wait_anew() -> None:
    class Canary(Zone):
        def look(self) -> Look:
            seldom = GONE if Zone.now == 6 else HERE
            return Look(Zone.now, [(seldom,)], 10, {})

    assert waited(Canary(0)) == pytest.approx(6 + 2 + 10)


def test_without_a_ttl_nothing_is_remembered() -> None:
    assert waited(Zone(0), ttl=0) == 0


def stack_file(folder: Path, drain: bool) -> Path:
    text = (TWO_REGIONS / "Pulumi.global.yaml").read_text()
    for path in TWO_REGIONS.glob("Pulumi.aws-*.yaml"):
        (folder / "stacks").mkdir(exist_ok=True)
        (folder / "stacks" / path.name).write_text(path.read_text())
    mark = "        stack: aws-us-east-1\n"
    (folder / "stacks" / "Pulumi.global.yaml").write_text(text.replace(mark, mark + "        drain: true\n" * drain))
    return folder


def test_a_member_is_found_by_its_name_or_by_its_stack(tmp_path: Path) -> None:
    assert member_of("global", "aws-us-east-1", stack_file(tmp_path, drain=True)) == "aws-us-east-1"


def test_a_member_that_is_not_drained_in_the_file_is_refused_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(SpillwayError, match=r"members\[0\]\.drain: aws-us-east-1 is not drained: write drain: true"):
        member_of("global", "aws-us-east-1", stack_file(tmp_path, drain=False))
    with pytest.raises(SpillwayError, match="aws-us-esat-1: no such member"):
        member_of("global", "aws-us-esat-1", tmp_path)


def test_a_file_that_was_not_brought_up_is_refused() -> None:
    services = {"llm.example.com": {"tiers": [["aws-us-east-1"], ["b"]]}}
    with pytest.raises(SpillwayError, match=r"not yet in the cloud \(llm\.example\.com still lead there\)"):
        check_outputs("aws-us-east-1", "global", {"services": services, "drained": [], "members": MEMBERS})
    drained = {"services": {"x": {"tiers": [["b"]]}}, "drained": ["aws-us-east-1"], "members": MEMBERS}
    check_outputs("aws-us-east-1", "global", drained)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"services": {}}, "services: none is there"),
        ({"services": []}, "services: none is there"),
        ({"services": [1]}, "services: has to be a map"),
        ({"services": {"x": None}}, "services.x.tiers: has to be a list of lists"),
        ({"services": {"x": {"tiers": ["b"]}}}, "services.x.tiers: has to be a list of lists"),
        ({"drained": None}, "not yet in the cloud"),
        ({"members": None}, "members: has to be a map"),
        ({"members": {"a": {"addresses": [7]}}}, "members.a.addresses: has to be a list"),
    ],
)
def test_outputs_that_no_global_stack_has_are_one_line(change: dict[str, Any], says: str) -> None:
    sound = {"services": {"x": {"tiers": [["b"]]}}, "drained": ["a"], "members": {"b": {"addresses": [HERE]}}}
    check_outputs("a", "global", sound)
    with pytest.raises(SpillwayError) as caught:
        check_outputs("a", "global", sound | change)
    assert len(caught.value.lines) == 1
    assert says in caught.value.lines[0]


@pytest.mark.parametrize(("budget", "seconds"), [({"ttlSeconds": 10}, 10), ({"ttlSeconds": None}, 30)])
def test_the_ttl_is_the_deployed_one_and_a_proxied_name_has_none(budget: dict[str, Any], seconds: float) -> None:
    assert ttl_of({"budget": budget}, "global") == seconds


@pytest.mark.parametrize("budget", [None, [], {}, {"ttlSeconds": "10"}, {"ttlSeconds": -1}, {"ttlSeconds": True}])
def test_a_ttl_that_is_none_is_refused_and_never_taken_for_nought(budget: Any) -> None:
    with pytest.raises(SpillwayError, match=r"budget\.ttlSeconds"):
        ttl_of({"budget": budget}, "global")


def test_a_command_that_does_not_exist_is_told_before_anything_is_waited_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["dns", "drain", "aws-us-east-1", "--", "no-such-command-here"]) == 1
    assert capsys.readouterr().err == "spillway: no-such-command-here: no such command\n"
