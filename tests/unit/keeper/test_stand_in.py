"""A region of the stand-in clouds as the keeper reads and sets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.aws import tokens
from sandbox.store import Store
from spillway.errors import SpillwayError
from spillway.keeper.desk import NotThere
from spillway.keeper.stand_in import StandInDesk
from tests.unit.keeper.conftest import DEPLOYED, stack


@pytest.mark.parametrize("name", DEPLOYED)
def test_every_launch_that_succeeds_is_a_node_in_a_zone_of_the_stack(name: str, sandbox: Path) -> None:
    one = stack(name)
    state = StandInDesk(one, sandbox).read()
    assert (state.spot, state.on_demand, state.spot_size, state.on_demand_size) == (2, 0, 2, 0)
    assert one.region.spot is not None
    zones = {zone for _, zone in one.region.launches(one.region.spot)}
    assert [machine.market for machine in state.machines] == ["spot", "spot"]
    assert all(machine.ready and machine.zone in zones for machine in state.machines)
    assert len({machine.id for machine in state.machines}) == 2


@pytest.mark.parametrize("name", DEPLOYED)
def test_a_target_that_is_set_stands_in_the_cloud_and_brings_its_nodes(name: str, sandbox: Path) -> None:
    desk = StandInDesk(stack(name), sandbox)
    said: list[str] = []
    desk.write(3, 1, said.append)
    state = StandInDesk(stack(name), sandbox).read()
    assert (state.spot, state.on_demand, state.spot_size, state.on_demand_size) == (3, 1, 3, 1)
    assert said
    desk.write(1, 0, said.append)
    state = desk.read()
    assert (state.spot, state.on_demand, state.spot_size) == (1, 0, 1)
    count = len(said)
    desk.write(1, 0, said.append)
    assert len(said) == count  # the same again is no edit


def test_a_pool_that_is_sold_out_has_refused_for_want_of_capacity(sandbox: Path) -> None:
    (sandbox / "weather.yaml").write_text("soldOut:\n  - {cloud: aws, zone: us-east-1*, market: spot}\n")
    state = StandInDesk(stack("aws-us-east-1"), sandbox).read()
    assert state.machines == ()
    assert state.refused == {"spot": "capacity"}


def test_a_size_that_the_load_has_raised_is_not_lowered_with_the_minimum(sandbox: Path) -> None:
    store = Store(sandbox)
    with store.transaction(write=True) as tx:
        found = [one for one in tx.all("aws", tokens.AUTOSCALING_GROUP) if one.id == "spillway-aws-us-east-1-spot"]
        found[0].outputs["desiredCapacity"] = 4
        tx.put("aws", found[0])
    store.close()
    desk = StandInDesk(stack("aws-us-east-1"), sandbox)
    desk.write(1, 0, lambda line: None)
    state = desk.read()
    assert (state.spot, state.spot_size) == (1, 4)


def test_a_minimum_above_the_maximum_is_refused_and_nothing_is_set(sandbox: Path) -> None:
    desk = StandInDesk(stack("aws-us-east-1"), sandbox)
    with pytest.raises(SpillwayError, match="minimum 9: above its maximum of 6"):
        desk.write(9, 0, lambda line: None)
    assert desk.read().spot == 2


def test_a_stack_that_is_not_there_is_told_and_asking_makes_no_cloud(sandbox: Path, tmp_path: Path) -> None:
    with pytest.raises(NotThere, match="aws-us-east-2: not deployed"):
        StandInDesk(stack("aws-us-east-2"), sandbox).read()
    empty = tmp_path / "empty"
    with pytest.raises(NotThere, match="not deployed in the sandbox"):
        StandInDesk(stack("aws-us-east-1"), empty).read()
    assert not empty.exists()
