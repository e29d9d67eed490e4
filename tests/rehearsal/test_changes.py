"""Changes of a fleet are what the edited stack files would make, and are ranked by what they buy."""

from __future__ import annotations

import pickle
import re
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from rehearsal.changes import KINDS, Change, offered, ranked
from rehearsal.fleet import AlarmFallback, Fleet, Region, load_stack_files
from rehearsal.fleet.alarms import alarm_rule
from rehearsal.joining import copied, nearest_like
from rehearsal.result import Money, Serving, Variant

STACKS = Path(__file__).parents[2] / "stacks"
PLAYED = ("aws-us-east-1", "azure-eastus", "gcp-us-central1", "tencent-ap-guangzhou")


@cache
def fleet() -> Fleet:
    return load_stack_files(STACKS)


@cache
def changes() -> dict[str, Change]:
    return {one.name: one for one in offered(fleet(), PLAYED)[0]}


def edited(folder: Path, change: Change) -> Fleet:
    """The stack files (the shipped ones where there are none yet) with the edits of a change written into them."""
    if not folder.exists():
        shutil.copytree(STACKS, folder)
    for edit in change.edits:
        found = re.fullmatch(r"stacks/(\S+): spillway:region\.(?:\w+\.)*(\w+): (.+) -> (.+)", edit)
        assert found, edit
        name, key, before, after = found.groups()
        file = folder / name
        text, count = re.subn(rf"(\n +{key}): {re.escape(before)}(?=\s)", rf"\1: {after}", file.read_text())
        assert count == 1, f"{edit}: is in the file {count} times"
        file.write_text(text)
    return load_stack_files(folder)


@pytest.mark.parametrize(
    "name",
    [
        "floor+1:aws-us-east-1", "floor+1:azure-eastus", "floor+1:gcp-us-central1", "target+1:aws-us-east-1",
        "target+1:azure-eastus", "target+1:gcp-us-central1", "target+1:tencent-ap-guangzhou", "boot/2",
        "on-demand-type:aws-us-east-1",
    ],
)  # fmt: skip
def test_a_change_gives_the_fleet_that_its_edits_of_the_stack_files_give(tmp_path: Path, name: str) -> None:
    change = changes()[name]
    made, read = change.apply(fleet()), edited(tmp_path / "stacks", change)
    assert made == read
    assert made != fleet()
    for region in made.regions:
        if isinstance(region.fallback, AlarmFallback):
            assert alarm_rule(region.fallback.alarms, region.floor, region.maximum) == region.rule


@pytest.mark.parametrize("stack", ["aws-us-east-1", "gcp-us-central1"])
def test_a_target_at_the_maximum_raises_that_too(tmp_path: Path, stack: str) -> None:
    folder = tmp_path / "stacks"
    shutil.copytree(STACKS, folder)
    file = folder / f"Pulumi.{stack}.yaml"
    file.write_text(re.sub(r"\n      max: 6\b", "\n      max: 2", file.read_text()))
    small = load_stack_files(folder)
    (change,) = (one for one in offered(small, [stack])[0] if one.kind == "target")
    assert [edit.rpartition(".")[2] for edit in change.edits] == ["target: 2 -> 3", "max: 2 -> 3"]
    assert change.apply(small) == edited(folder, change)


def test_every_figure_that_a_change_sets_says_so_and_the_deployed_fleet_is_as_it_was() -> None:
    before = dict(fleet().figures())
    for change in changes().values():
        changed = change.apply(fleet())
        for path, value in changed.figures():
            origin = changed.origin(path)
            if path in before and before[path] == value:
                assert origin == fleet().origin(path)
            elif change.adds and path.startswith(f"{change.adds.stack}."):
                assert origin.where == f"change {change.name}" or origin.assumed, path
            else:
                assert origin.where == f"change {change.name}"
    assert dict(fleet().figures()) == before


def test_the_changes_that_can_be_made_are_offered_and_those_that_cannot_are_told_why() -> None:
    made, declined = offered(fleet(), PLAYED)
    assert {one.kind for one in made} == set(KINDS)
    assert len({one.name for one in made}) == len(made)
    told = {one.name: one.why for one in declined}
    assert told["floor+1:tencent-ap-guangzhou"] == "all on demand"
    assert "one machine type" in told["on-demand-type:azure-eastus"]
    full = replace(fleet(), regions=tuple(replace(one, floor=one.target) for one in fleet().regions))
    assert {one.why for one in offered(full, PLAYED[:3], kinds=["floor"])[1]} == {"the floor is the target (2)"}
    strange = replace(fleet(), regions=tuple(replace(one, rule=None) for one in fleet().regions))
    assert {one.why for one in offered(strange, PLAYED[:3], kinds=["target", "boot"])[1]} == {
        "its alarms are registered otherwise than any rule has them"
    }
    assert offered(fleet(), ["tencent-ap-guangzhou"], kinds=["keeper"])[0] == ()


def test_a_change_can_be_sent_to_another_process() -> None:
    for change in changes().values():
        assert pickle.loads(pickle.dumps(change)) == change


# --- another region ---------------------------------------------------------------------------------------------------


def test_a_stack_that_is_there_and_not_among_the_members_comes_first() -> None:
    change = changes()["region:aws-us-west-2"]
    joined = change.apply(fleet())
    assert joined.regions == fleet().regions
    assert joined.world
    assert joined.world.planned == ()
    assert change.like == "aws-us-east-1"
    by_name = {service.name: service for service in joined.world.services}
    ranks = [[place.member for place in tier.places] for tier in by_name["llm.example.com"].tiers]
    assert ranks.index(["aws-us-west-2"]) == ranks.index(["azure-eastus"]) + 1
    assert ranks[-1] == ["small-model"]
    us = [place.member for place in by_name["llm-us.example.com"].tiers[0].places]
    assert us == ["aws-us-east-1", "aws-us-west-2", "azure-eastus", "gcp-us-central1"]
    assert "region:aws-us-east-2" not in changes(), "another model serves there"


def test_a_region_of_another_residency_joins_no_service_that_keeps_its_own() -> None:
    change = changes()["region:gcp-us-east5"]
    assert change.adds
    joined = replace(change, adds=replace(change.adds, residency="eu")).apply(fleet())
    assert joined.world
    found = {
        service.name: {p.member for tier in service.tiers for p in tier.places} for service in joined.world.services
    }
    assert "gcp-us-east5" in found["llm.example.com"]
    assert "gcp-us-east5" not in found["llm-us.example.com"]


@pytest.mark.parametrize("world", ["global-cloudflare", "global-traffic-manager"])
def test_a_region_joins_at_every_provider(world: str) -> None:
    whole = load_stack_files(STACKS, world_stack=world)
    (change,) = (one for one in offered(whole, PLAYED)[0] if one.name == "region:gcp-us-east5")
    joined = change.apply(whole).world
    assert joined
    assert joined.member("gcp-us-east5").nearest_aws_region == "us-east-2"
    for before, after in zip(whole.world.services if whole.world else (), joined.services, strict=True):
        assert {p.member for t in after.tiers for p in t.places} == {
            "gcp-us-east5", *(p.member for t in before.tiers for p in t.places),
        }  # fmt: skip


def test_a_copy_is_the_region_that_its_stack_file_would_make(tmp_path: Path) -> None:
    copy = changes()["region:gcp-us-east5"].adds
    assert copy
    assert copy.spot
    shutil.copytree(STACKS, tmp_path / "stacks")
    text = (STACKS / "Pulumi.gcp-us-central1.yaml").read_text()
    text = re.sub(r"(onDemandTypes|types): \[.*\]", lambda m: f"{m[1]}: [{', '.join(copy.spot.types)}]", text)  # type: ignore[union-attr]
    text = re.sub(r"zones: \[.*\]", f"zones: [{', '.join(copy.spot.zones)}]", text)
    text = text.replace("us-central1", copy.region).replace("10.32.0.0/16", "10.99.0.0/16")
    (tmp_path / "stacks" / f"Pulumi.{copy.stack}.yaml").write_text(text)
    read = load_stack_files(tmp_path / "stacks", [copy.stack]).region(copy.stack)
    assert copy == read


def test_a_copy_keeps_to_its_part_of_the_world_and_to_machines_that_are_offered() -> None:
    for stack in PLAYED[:3]:
        original = fleet().region(stack)
        names = list(nearest_like(original, [original.region]))
        assert names
        for name in names:
            copy = copied(original, name)
            if copy is None:
                continue
            assert copy.nearest_aws_region.startswith("us")
            for pool in copy.pools:
                assert {machine for machine, _ in copy.launches(pool)} == set(pool.types)
                assert original.stack not in str(copy)


def test_no_region_is_offered_without_a_price() -> None:
    def aws(region: Region) -> bool:
        return region.cloud == "aws"

    made, declined = offered(fleet(), PLAYED, kinds=["region"], priced=aws)
    assert [one.name for one in made] == ["region:aws-us-west-2"]
    assert {one.name for one in declined} == {"region:azure", "region:gcp"}


# --- which buys most --------------------------------------------------------------------------------------------------


def variant(name: str, availability: float, usd: float) -> Variant:
    serving = Serving(4, availability, 0.0, 0.0, 0.0, 0.0)
    return Variant(
        name, "deployed" if name == "deployed" else "change", name, serving, Money(usd, 0.0, None), None, "", (), (),
        (), (), (), None, 0.0, 0.0,
    )  # fmt: skip


def test_what_costs_less_for_an_hour_above_the_target_comes_first() -> None:
    day = 86_400.0
    variants = [
        variant("deployed", 0.98, 100.0),
        variant("dear", 0.99, 200.0),
        variant("free", 0.985, 100.0),
        variant("cheap", 0.99, 110.0),
        variant("worse", 0.97, 50.0),
        variant("vain", 0.98, 150.0),
        variant("alike", 0.98, 100.0),
        variant("saving", 0.98, 90.0),
    ]
    found = ranked(variants, day)
    assert [one.variant for one in found] == ["free", "saving", "cheap", "dear", "alike", "worse", "vain"]
    cheap = found[2]
    assert cheap.availability == pytest.approx(0.01)
    assert cheap.below_hours == pytest.approx(7.3)
    assert cheap.usd == pytest.approx(10.0 * 730 / 24)
    assert cheap.usd_per_hour == pytest.approx(cheap.usd / 7.3)
    assert found[0].usd_per_hour is None
    assert ranked(variants[:1], day) == ()
    assert ranked([], day) == ()
