"""`spillway recover` of Azure and Google Cloud regions: whatever an `up` left half-made, the next one puts right."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass

import pytest

from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.recovery import azure_types, gcp_types
from spillway.recovery.model import type_of
from tests.support.engine import EngineSandbox, changes
from tests.support.recovering import command, fault, managed, recovered

pytestmark = pytest.mark.engine


@dataclass(frozen=True)
class Region:
    """A region stack: types whose answers get lost, and the one that is being made when the update is killed, which is
    some time after another one is there."""

    stack: str
    cloud: str
    lost: tuple[str, ...]
    after: str
    slow: str
    repeatable: frozenset[str] = frozenset()

    def held(self, sandbox: EngineSandbox, token: str | None = None) -> list[Resource]:
        with Store(sandbox.directory).transaction(write=False) as tx:
            return [r for r in tx.all(self.cloud, token) if r.urn]

    def ids(self, sandbox: EngineSandbox) -> set[tuple[str, str]]:
        return {(r.token, r.id) for r in self.held(sandbox)}


AZURE = Region(
    "azure-eastus",
    "azure-native",
    # None that a scale set waits for: one of them is to be half made when the update is killed.
    (
        "azure-native:monitor:ActionGroup",
        "azure-native:web:AppServicePlan",
        azure_types.ROLE_DEFINITION,
        azure_types.BUDGET,
    ),
    after=azure_types.ROLE_ASSIGNMENT,
    slow=azure_types.SCALE_SET,
)
GCP = Region(
    "gcp-us-central1",
    "gcp",
    (gcp_types.ALERT_POLICY, gcp_types.BUDGET, gcp_types.ADDRESS),
    after=gcp_types.REGION_INSTANCE_TEMPLATE,
    slow=gcp_types.GROUP,
    repeatable=gcp_types.REPEATABLE,
)
REGIONS = pytest.mark.parametrize("region", [AZURE, GCP], ids=lambda region: region.cloud)


def all_is_well(sandbox: EngineSandbox, region: Region) -> None:
    """`up` works, the cloud has what the state has and nothing twice, and a preview has nothing to do."""
    sandbox.up(region.stack).ok()
    assert Counter(r.token for r in region.held(sandbox)) == managed(sandbox, region.stack)
    urns = Counter(r.urn for r in region.held(sandbox))
    assert set(urns.values()) == {1}, urns
    assert changes(sandbox.preview(region.stack)) == {}
    again = recovered(sandbox, region.stack)
    assert (again.adopted, again.deleting, again.pending, again.left) == ([], [], [], [])


@REGIONS
def test_a_region_killed_in_the_middle_with_answers_lost_is_whole_again(sandbox: EngineSandbox, region: Region) -> None:
    lost = [fault("lose-answer", token, times=1).removeprefix("faults:\n") for token in region.lost]
    sandbox.weather(fault("slow", region.slow, seconds=120) + "".join(lost))
    running = sandbox.start("up", "--yes", "--skip-preview", "--continue-on-error", stack=region.stack)
    end = time.monotonic() + 120
    while not region.held(sandbox, region.after):
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(4)  # the rest of what does not wait for the slow ones
    sandbox.kill(running)
    sandbox.weather("")
    assert not region.held(sandbox, region.slow)
    before = region.ids(sandbox)
    done = command(sandbox, region.stack, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["consistent"]
    assert set(region.lost) <= {adopted["type"] for adopted in told["adopted"]}
    assert region.slow in {type_of(pending["urn"]) for pending in told["pendingCleared"]}
    assert not told["toBeDeleted"]
    all_is_well(sandbox, region)
    assert before <= region.ids(sandbox), "what was made first is what the stack has"


@REGIONS
def test_a_regions_state_lost_altogether_is_found_again(sandbox: EngineSandbox, region: Region) -> None:
    sandbox.up(region.stack).ok()
    before = region.ids(sandbox)
    (sandbox.project.backend / ".pulumi" / "stacks" / "spillway" / f"{region.stack}.json").unlink()
    report = recovered(sandbox, region.stack)
    assert report.consistent, report.rows()
    assert (report.deleting, report.left) == ([], [])
    # Every type of the region is looked up, but for those that may be made twice and are one thing all the same.
    assert {e.token for _, e in report.adopted} == {token for token, _ in before} - region.repeatable
    plan = changes(sandbox.preview(region.stack))
    assert set(plan) <= {"create"}, "an import leaves nothing to change"
    all_is_well(sandbox, region)
    assert region.ids(sandbox) == before


def test_what_google_names_is_doubled_by_a_second_up_and_the_one_that_is_not_in_use_goes(
    sandbox: EngineSandbox,
) -> None:
    sandbox.weather(fault("lose-answer", gcp_types.CHANNEL, times=1))
    sandbox.up(GCP.stack).failed()
    (lost,) = GCP.held(sandbox, gcp_types.CHANNEL)
    sandbox.up(GCP.stack).ok()
    assert len(GCP.held(sandbox, gcp_types.CHANNEL)) == 2
    report = recovered(sandbox, GCP.stack)
    assert [(token, id) for token, id, _ in report.deleting] == [(gcp_types.CHANNEL, lost.id)]
    all_is_well(sandbox, GCP)
    assert lost.id not in {r.id for r in GCP.held(sandbox, gcp_types.CHANNEL)}
