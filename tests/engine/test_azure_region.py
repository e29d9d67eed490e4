"""The Azure region as a person deploys it: the real engine, the shipped stack file, the stand-in cloud."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from sandbox.azure_native import tokens
from sandbox.drift import change, delete
from sandbox.kinds import Resource
from sandbox.store import Store
from tests.support.engine import EngineSandbox, changes

pytestmark = pytest.mark.engine

STACK = "azure-eastus"
SPOT = f"spillway-{STACK}-spot"
APP = f"{STACK}-scaling-fallback"


def everything(sandbox: EngineSandbox, token: str | None = None) -> list[Resource]:
    with Store(sandbox.directory).transaction(write=False) as tx:
        return tx.all("azure-native", token)


def held(sandbox: EngineSandbox, token: str | None = None) -> list[Resource]:
    return [r for r in everything(sandbox, token) if r.urn]


def one(sandbox: EngineSandbox, token: str, name: str) -> Resource:
    (found,) = [r for r in held(sandbox, token) if r["name"] == name]
    return found


def capacity(sandbox: EngineSandbox) -> int:
    return int(one(sandbox, tokens.SCALE_SET, SPOT)["sku"]["capacity"])


def fill(sandbox: EngineSandbox, size: int) -> None:
    """What the fallback function does behind the stack's back."""
    change(sandbox.directory, one(sandbox, tokens.SCALE_SET, SPOT).id, {"sku.capacity": size})


def changed(plan: dict[str, Any]) -> dict[str, str]:
    """Logical name -> what is done to it, of everything that does not stay the same."""
    return {s["urn"].rsplit("::", 1)[-1]: s["op"] for s in plan["steps"] if s["op"] != "same"}


def packages(sandbox: EngineSandbox) -> list[Path]:
    """What has been published to function apps."""
    return sorted(sandbox.directory.glob("functions/*/released-package.zip"))


def state(sandbox: EngineSandbox) -> str:
    return json.dumps(sandbox.pulumi("stack", "export", stack=STACK).ok().json)


def test_a_region_lives_from_first_up_to_destroy(sandbox: EngineSandbox) -> None:
    """One long test, as each step stands on the one before."""
    plan = sandbox.preview(STACK)
    planned = changes(plan)
    assert set(planned) == {"create"}
    assert packages(sandbox) == [], "a preview publishes nothing"
    # A role of one's own is not known everywhere at once: its assignments wait for it.
    unknown = "{operation: create, type: '*:RoleAssignment', kind: fail, times: 1, message: RoleDefinitionDoesNotExist}"
    sandbox.weather(f"faults: [{unknown}]")
    sandbox.up(STACK).ok()
    text = state(sandbox)
    assert len(json.loads(text)["deployment"]["resources"]) == planned["create"], "the preview and the up agree"
    # Keys, tokens, signed addresses: nobody who reads the state gets in anywhere.
    assert not re.search(r"AccountKey=|SharedAccess|[?&]sig=|adminPassword|ciphertext", text)
    assert held(sandbox, tokens.SECRET) == [], "secrets are `spillway secrets push`'s"
    (package,) = packages(sandbox)
    published = package.stat().st_mtime_ns

    outputs = sandbox.pulumi("stack", "output", "--json", stack=STACK).ok().json
    assert set(outputs) == {"endpoint", "pools", "image", "modelStore"}
    assert len(outputs["endpoint"]["addresses"]) == 1
    assert outputs["pools"]["spot"]["name"] == SPOT
    assert capacity(sandbox) == 0, "the function alone fills the pools"

    sandbox.up(STACK, "--expect-no-changes").ok()
    assert changes(sandbox.preview(STACK, "--refresh")) == {}, "nor does the cloud disagree"
    assert package.stat().st_mtime_ns == published, "the package is the same"

    refused = sandbox.pulumi("destroy", "--yes", stack=STACK).failed()
    assert "protected" in refused.text
    assert held(sandbox, tokens.SCALE_SET), "a refused destroy destroyed nothing"
    sandbox.pulumi("destroy", "--yes", "--ignore-protect", stack=STACK).ok()
    assert held(sandbox) == []

    (left,) = [r for r in everything(sandbox) if r.token == tokens.DELETED_VAULT]
    refused = sandbox.up(STACK).failed()
    assert f"spillway:region: the vault {left['name']} of an earlier {STACK} is deleted" in refused.text
    assert f"az keyvault purge --name {left['name']} --location eastus" in refused.text
    assert [r.token for r in held(sandbox)] == [tokens.RESOURCE_GROUP], "what cannot be finished is not begun"
    delete(sandbox.directory, left.id)  # purged
    sandbox.up(STACK).ok()
    assert len(held(sandbox, tokens.SCALE_SET)) == 2


def test_what_a_live_region_has_for_good_is_one_clear_line_and_changes_nothing(editable: EngineSandbox) -> None:
    editable.up(STACK).ok()
    before = {r.id: r.inputs for r in held(editable)}
    editable.edit_stack(STACK, "cidr: 10.40.0.0/16", "cidr: 10.41.0.0/16")
    failed = editable.up(STACK).failed()
    assert "spillway:region.network.cidr = 10.41.0.0/16: the network spillway-azure-eastus-vnet stands" in failed.text
    editable.edit_stack(STACK, "cidr: 10.41.0.0/16", 'cidr: 10.40.0.0/16\n      zones: ["1", "2"]')
    failed = editable.up(STACK).failed()
    assert f"the scale set {SPOT} stands without zones: zones are fixed" in failed.text
    assert "protect" not in failed.text
    assert "Traceback" not in failed.text
    assert {r.id: r.inputs for r in held(editable)} == before


def test_a_live_region_keeps_its_nodes_through_every_change(editable: EngineSandbox) -> None:
    blocked = editable.directory / "functions"
    blocked.touch()  # where packages go
    editable.up(STACK).failed()
    blocked.unlink()
    editable.up(STACK).ok()
    (package,) = packages(editable)  # what could not be published is published by the next one
    fill(editable, 2)
    package.unlink()

    editable.edit_stack(STACK, "target: 2", "target: 3")
    plan = editable.preview(STACK)
    moved = {name: op for name, op in changed(plan).items() if name != f"{STACK}-pools-spot"}
    assert moved == {APP: "update"}, "a target is a setting of the function"
    editable.up(STACK).ok()
    assert capacity(editable) == 2
    assert packages(editable) == [], "new settings publish nothing"

    editable.pulumi("refresh", "--yes", stack=STACK).ok()
    fill(editable, 1)
    editable.edit_stack(STACK, 'revision: "2025-01-20"', 'revision: "2025-02-01"')
    editable.edit_stack(STACK, "sizeGib: 2048", "sizeGib: 4096")
    assert set(changed(editable.preview(STACK)).values()) == {"update"}, "a new model of the sets, in place"
    editable.up(STACK).ok()
    assert capacity(editable) == 1, "also where the function has taken one away since"
    editable.up(STACK, "--expect-no-changes").ok()


def test_what_cannot_be_built_is_one_clear_line_and_registers_nothing(editable: EngineSandbox) -> None:
    editable.edit_stack(STACK, 'version: "2026.11.1"', 'version: "1999.1.1"')
    failed = editable.pulumi("preview", stack=STACK).failed()
    assert "spillway:region.image: cannot find spillway-vllm 1999.1.1 in gallery spillway" in failed.text
    editable.edit_stack(STACK, "onDemandTypes: [Standard_ND96asr_v4]", "onDemandTypes: [Standard_ND96asr_v4, x]")
    failed = editable.pulumi("up", "--yes", stack=STACK).failed()
    assert "pools.onDemandTypes = [Standard_ND96asr_v4, x]: has to have exactly one entry" in failed.text
    assert "Traceback" not in failed.text
    assert held(editable) == []
