"""The same sequences as on AWS give the same decisions on all three clouds, through the clouds' own SDKs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from infra.fallback import Observation, Rule
from infra.function.loop import Cloud, Outcome, run
from tests.support import wire as alarms_wire
from tests.support.alarms import GroupState, read_region
from tests.support.parity import first_difference, worlds
from tests.support.two_pools import ByAlarms, ByRule
from tests.support.two_pools import run as live
from tests.unit.function.clouds import FAKES, SETTINGS, Fake
from tests.unit.function.wire import connected

QUICK = Rule(floor=0, out_minutes=2, in_minutes=5, boot_minutes=8, max_on_demand=4)
FLOOR = Rule(floor=1, out_minutes=1, in_minutes=3, boot_minutes=4, max_on_demand=3)
NOW = {name: world for name, world in worlds(QUICK).items() if not name.endswith("late")}
"""The function looks at the groups themselves, which are never a minute late."""


@dataclass
class ByFunction:
    """The function on one cloud. vetoed: a scale-in during a scale-out is refused, as by Auto Scaling."""

    cloud: str
    rule: Rule
    vetoed: bool = True
    fake: Fake = field(init=False)
    client: Cloud = field(init=False)
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fake = FAKES[self.cloud]()
        self.client = self.fake.cloud(SETTINGS[self.cloud])

    def minute(self, minute: int, seen: Observation | None, group: GroupState) -> int:
        assert seen is not None
        shrunk = self.cloud == "azure" and not self.vetoed
        self.fake.show(seen, shrunk)
        settings = SETTINGS[self.cloud].model_copy(
            update={
                "target": seen.desired + self.rule.floor,
                "floor": self.rule.floor,
                "max": self.rule.max_on_demand,
                "fallback_out_minutes": self.rule.out_minutes,
                "fallback_in_minutes": self.rule.in_minutes,
                "fallback_boot_minutes": self.rule.boot_minutes,
            }
        )
        outcome = run(settings, self.client, minute, lambda _: None)
        self.outcomes.append(outcome)
        assert outcome.errors == []
        assert outcome.decision is not None
        assert not [note for note in outcome.notes if "held back" in note]
        wanted = outcome.decision.on_demand_desired
        assert self.fake.groups[settings.on_demand_group].size == wanted
        return group.desired if self.vetoed and wanted < group.desired and group.scaling_out else wanted


class Unrefused(ByRule):
    """The rule where no group refuses a scale-in, which only Auto Scaling does."""

    def minute(self, minute: int, seen: Observation | None, group: GroupState) -> int:
        group.scaling_out = False
        return super().minute(minute, seen, group)


@pytest.fixture
def control(request: pytest.FixtureRequest) -> Iterator[ByFunction]:
    made = ByFunction(*request.param)
    with connected(made.fake.wire):
        yield made


@pytest.mark.parametrize("world", NOW)
@pytest.mark.parametrize("control", [("azure", QUICK), ("gcp", QUICK)], indirect=True, ids=lambda case: str(case[0]))
def test_alarms_on_aws_and_the_function_order_the_same_in_every_minute(control: ByFunction, world: str) -> None:
    alarms = ByAlarms(read_region(alarms_wire.resources(QUICK)), alarms_wire.SPOT, alarms_wire.ON_DEMAND)
    assert first_difference(live(NOW[world], control), live(NOW[world], alarms)) == ""


@pytest.mark.parametrize("world", NOW)
@pytest.mark.parametrize(
    "control", [("azure", FLOOR, False), ("gcp", FLOOR, False)], indirect=True, ids=lambda case: str(case[0])
)
def test_the_function_gives_the_rules_own_reasons_where_groups_shrink_and_refuse_nothing(
    control: ByFunction, world: str
) -> None:
    case, by_rule = worlds(FLOOR)[world], Unrefused(FLOOR)
    assert first_difference(live(case, by_rule), live(case, control)) == ""
    reasons = [outcome.decision.reason for outcome in control.outcomes if outcome.decision]
    assert reasons == [decision.reason for decision in by_rule.decisions]


def test_another_rule_is_noticed() -> None:
    control = ByFunction("gcp", replace(QUICK, out_minutes=3))
    with connected(control.fake.wire):
        world = NOW["all spot lost for good"]
        assert first_difference(live(world, ByRule(QUICK)), live(world, control)) != ""
