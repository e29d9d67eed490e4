"""A member that is not ready would be answered for half a minute: preflight says so before `up`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.dns.config import load_global
from infra.dns.plan import Probe
from infra.dns.sections import GlobalStack
from spillway.preflight.deployed import Plans, foreseen
from spillway.preflight.global_context import GlobalContext
from spillway.preflight.member_checks import MEMBERS, InStandIn
from spillway.preflight.model import Row, run

STACKS = Path(__file__).parents[3] / "stacks"


class Ready:
    """Everybody is."""

    word = "ready"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def said(self, probe: Probe) -> Mapping[str, str]:
        self.asked.append((probe.name, probe.host))
        return dict.fromkeys(probe.endpoint.addresses, self.word)


class Silent(Ready):
    word = "silent"


def rows(prober: Any, **changes: Any) -> dict[str, Row]:
    config = load_global(STACKS / "Pulumi.global.yaml")
    if changes:
        members = [m.model_copy(update=changes) if m.name == "onprem-fra" else m for m in config.members]
        config = GlobalStack.model_construct(**{**config.__dict__, "members": tuple(members)})
    plan = foreseen(config, STACKS, "stacks/Pulumi.global.yaml")
    context: Any = GlobalContext("global", config, Plans(plan, plan), None, None, datetime.now(UTC), prober)
    return {row.id: row for row in run([MEMBERS], context)}


def test_static_members_are_asked_under_their_service_name_and_regions_are_not() -> None:
    prober = Ready()
    found = rows(prober)
    assert {row.state for row in found.values()} == {"ok"}
    assert prober.asked == [("onprem-fra", "llm.example.com"), ("small-model", "llm.example.com")]


def test_a_member_that_is_not_ready_is_a_warning_with_what_to_do() -> None:
    row = rows(Silent())["member.onprem-fra"]
    assert (row.state, row.found) == ("warning", "198.51.100.10 silent")
    assert "drain: true" in row.action


def test_a_drained_member_may_take_its_time() -> None:
    assert rows(Silent(), drain=True)["member.onprem-fra"].state == "note"


def test_in_the_sandbox_the_weather_answers(tmp_path: Path) -> None:
    (tmp_path / "weather.yaml").write_text("down:\n  - {address: 198.51.100.10, kind: refused}\n")
    found = rows(InStandIn(tmp_path))
    assert found["member.onprem-fra"].found == "198.51.100.10 refused"
    assert found["member.small-model"].state == "ok"
