"""Stack files with other settings than the shipped ones: what they are read as is what their program registers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infra import outputs
from infra.config import AwsRegion
from infra.fallback import Rule
from rehearsal.fleet import AlarmFallback, FunctionFallback, NoFallback, Region, files, regions
from rehearsal.fleet.resources import Notes, Resource, Stack
from tests.support import azure_components, gcp_region, tencent
from tests.support.registered import registered
from tests.unit.stack_data import load

BLOCK = "cr-0123456789abcdef0"


def made(config: AwsRegion) -> Region:
    """The region as its program registers it."""
    rows = []
    for row in registered(config):
        name = row["outputs"]["id"].removesuffix("-id")
        urn = f"urn:pulumi:{config.stack_name}::spillway::{row['type']}::{name}"
        rows.append(
            Resource(urn, row["type"], row["outputs"]["id"], (row["outputs"], row["inputs"]), inputs=row["inputs"])
        )
    told = {"endpoint": outputs.endpoint(config, None, [])}
    return regions.region(Stack(config.stack_name, "export", "made.json", tuple(rows), told), {})


def written(config: Any) -> tuple[Region, Notes]:
    notes: Notes = {}
    return files.region(config, "stacks/x.yaml", notes), notes


@pytest.mark.parametrize(
    "changes",
    [
        {"fallback.dryRun": True, "scaling.signal": "cpu", "pools.target": 3, "pools.floor": 1,
         "node.noticeSeconds": 60, "node.drainSeconds": 30, "fallback.bootMinutes": 27, "pools.max": 4},
        {"pools.reservations": {"capacityBlocks": [BLOCK]}, "scaling.signal": "none"},
        {"pools.floor": 2, "pools.max": 2, "scaling.signal": "queue"},
    ],
    ids=["dry run by cpu", "capacity block", "nothing to fall back to"],
)  # fmt: skip
def test_aws(changes: dict[str, Any]) -> None:
    config = load(changes)
    mine, notes = written(config)
    theirs = made(config)
    # Only the account knows what a reservation holds.
    blocks = tuple(
        replace(block, types=(), zones=(), maximum=0, initial=0, size=None, closes=None) for block in theirs.blocks
    )
    assert replace(theirs, blocks=blocks) == mine
    if mine.blocks:
        held = theirs.blocks[0]
        assert (held.types, held.zones, held.maximum, held.reservation) == (
            ("p5.48xlarge",), ("us-east-1a",), 1, BLOCK,
        )  # fmt: skip
        assert held.closes == "2026-12-24T10:45:00Z"
        assert notes[f"{mine.stack}.blocks[0]"].assumed
        assert mine.rule is None  # the alarms count the block as well, which the rule does not


def test_alarms_without_action_are_a_dry_run() -> None:
    region, _ = written(load({"fallback.dryRun": True}))
    assert isinstance(region.fallback, AlarmFallback)
    assert region.fallback.dry_run
    assert region.rule == Rule(0, 2, 12, 20, region.maximum)


def test_on_google_cloud_a_node_that_counts_on_30_seconds_gets_30() -> None:
    changes = {"node.noticeSeconds": 30, "node.drainSeconds": 12, "node.deregisterSeconds": 10}
    region, _ = written(gcp_region.config(changes))
    assert (region.node.notice_seconds, region.node.counted_seconds) == (30, 30)


def test_on_azure_the_notice_is_the_clouds() -> None:
    region, _ = written(azure_components.region({"pools.floor": 1, "pools.target": 3, "fallback.dryRun": True}))
    assert region.node.notice_seconds == 30
    assert isinstance(region.fallback, FunctionFallback)
    assert region.fallback.dry_run
    assert region.spot is not None
    assert (region.spot.minimum, region.on_demand.minimum, region.target) == (2, 1, 3)


def test_on_tencent_cloud_the_size_may_follow_the_cpu() -> None:
    region, _ = written(tencent.config({"scaling.signal": "cpu"}))
    assert region.signal == "cpu"
    assert isinstance(region.fallback, NoFallback)
    assert [(alarm.key, alarm.period_seconds * alarm.periods) for alarm in region.fallback.load] == [
        ("load-out", 300), ("load-in", 1800),
    ]  # fmt: skip
