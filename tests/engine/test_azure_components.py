"""The components of an Azure region on the real engine: up, nothing to do, changes on a live region, destroy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.azure_native import tokens
from sandbox.kinds import Resource
from sandbox.project import ROOT
from sandbox.store import Store
from tests.support.azure_components import STACK
from tests.support.engine import EngineSandbox, changes

pytestmark = pytest.mark.engine

PROGRAM = Path(__file__).parent / "programs" / "azure"
CLOUD = "azure-native"
SPOT = f"spillway-{STACK}-spot"


@pytest.fixture
def azure(tmp_path: Path) -> EngineSandbox:
    """The program on an empty sandbox."""
    sandbox = EngineSandbox(tmp_path / "sandbox", PROGRAM)
    sandbox.environment["PYTHONPATH"] = str(ROOT)
    return sandbox


def held(sandbox: EngineSandbox, token: str | None = None) -> list[Resource]:
    with Store(sandbox.directory).transaction(write=False) as tx:
        return [r for r in tx.all(CLOUD, token) if r.urn]


def change(sandbox: EngineSandbox, **values: Any) -> None:
    sandbox.environment["AZURE_CHANGES"] = json.dumps(values)


def fill(sandbox: EngineSandbox, name: str, capacity: int) -> None:
    """What the fallback function does behind the stack's back."""
    with Store(sandbox.directory).transaction(write=True) as tx:
        (found,) = [r for r in tx.all(CLOUD, tokens.SCALE_SET) if r["name"] == name]
        found.outputs["sku"] = {**found["sku"], "capacity": capacity}
        tx.put(CLOUD, found)


def capacity(sandbox: EngineSandbox, name: str) -> int:
    (found,) = [r for r in held(sandbox, tokens.SCALE_SET) if r["name"] == name]
    return int(found["sku"]["capacity"])


def test_a_region_lives_from_first_up_to_destroy(azure: EngineSandbox) -> None:
    plan = azure.preview(STACK)
    assert set(changes(plan)) == {"create"}
    azure.up(STACK).ok()
    assert changes(azure.preview(STACK)) == {}
    azure.up(STACK, "--expect-no-changes").ok()
    assert changes(azure.preview(STACK, "--refresh")) == {}, "nor does the cloud disagree"

    outputs = azure.pulumi("stack", "output", "--json", stack=STACK).ok().json
    assert outputs["spot"] == SPOT
    assert len(outputs["addresses"]) == 1

    refused = azure.pulumi("destroy", "--yes", stack=STACK).failed()
    assert "protected" in refused.text
    azure.pulumi("destroy", "--yes", "--ignore-protect", stack=STACK).ok()
    assert held(azure) == []


def test_a_live_region_keeps_its_nodes_through_every_update(azure: EngineSandbox) -> None:
    azure.up(STACK).ok()
    fill(azure, SPOT, 2)
    change(azure, **{"model.revision": "2025-02-01", "tags": {"team": "serving"}, "storage.data": {"sizeGib": 2000}})
    plan = azure.preview(STACK)
    assert set(changes(plan)) == {"update"}
    azure.up(STACK).ok()
    assert capacity(azure, SPOT) == 2
    azure.up(STACK, "--expect-no-changes").ok()
    fill(azure, SPOT, 1)
    azure.up(STACK).ok()
    assert capacity(azure, SPOT) == 1, "also where the function has taken one away"


def test_what_the_subscription_does_not_have_is_told_before_anything_is_made(azure: EngineSandbox) -> None:
    change(azure, **{"image.version": "2027.1.1"})
    refused = azure.pulumi("preview", stack=STACK).failed()
    assert "spillway:region.image: cannot find spillway-vllm 2027.1.1 in gallery spillway" in refused.text
    assert held(azure) == []
