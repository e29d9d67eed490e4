"""The components of a GCP region on the real engine, against the stand-in Google Cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.drift import change
from sandbox.gcp import tokens
from sandbox.kinds import Resource
from sandbox.store import Store
from tests.support.engine import EngineSandbox, changes
from tests.support.gcp_parts import STACK

pytestmark = pytest.mark.engine

PROGRAM = Path(__file__).parent / "programs" / "gcp"


class GcpSandbox(EngineSandbox):
    """`change` is what the next run finds changed in the region."""

    def change(self, **by_key: Any) -> None:
        self.environment["CHANGES"] = json.dumps({key.replace("__", "."): value for key, value in by_key.items()})

    def resources(self, token: str | None = None) -> list[Resource]:
        with Store(self.directory).transaction(write=False) as tx:
            return tx.all("gcp", token)


@pytest.fixture
def gcp(tmp_path: Path) -> GcpSandbox:
    return GcpSandbox(tmp_path / "sandbox", PROGRAM)


def test_all_components_come_up_stay_as_they_are_take_a_change_and_go(gcp: GcpSandbox) -> None:
    gcp.up(STACK).ok()
    outputs = gcp.pulumi("stack", "output", "--json", stack=STACK).ok().json
    assert outputs["modelStore"] == "gs://spillway-models-spillway-test-us-central1/models/"
    assert outputs["pools"] == ["spillway-gcp-us-central1-spot", "spillway-gcp-us-central1-on-demand"]
    assert outputs["image"].endswith("/spillway-vllm-2026-11-1")
    assert len(outputs["addresses"]) == 1
    assert gcp.held()[tokens.GROUP] == 2
    assert changes(gcp.preview(STACK)) == {}
    assert changes(gcp.preview(STACK, "--refresh")) == {}

    # The fallback function sets the sizes; an unrelated change makes new templates and leaves the sizes alone.
    for group in gcp.resources(tokens.GROUP):
        change(gcp.directory, group.id, {"targetSize": 1})
    assert changes(gcp.preview(STACK, "--refresh")) == {}, "no size is asked for"
    gcp.change(limits__queue=50)
    plan = changes(gcp.preview(STACK))
    assert plan == {"replace": 2, "update": 2}, "two templates, and the groups that name them"
    gcp.up(STACK).ok()
    assert [group["targetSize"] for group in gcp.resources(tokens.GROUP)] == [1, 1]
    assert len(gcp.resources(tokens.REGION_INSTANCE_TEMPLATE)) == 2

    state = gcp.pulumi("stack", "export", stack=STACK).ok().json["deployment"]["resources"]
    assert sorted(r["type"] for r in state if r.get("protect")) == [tokens.GROUP, tokens.GROUP, tokens.BUCKET]
    refused = gcp.pulumi("destroy", "--yes", stack=STACK).failed().text
    assert "protect" in refused
    for group in gcp.resources(tokens.GROUP):
        change(gcp.directory, group.id, {"targetSize": 0})
    gcp.pulumi("state", "unprotect", "--all", "--yes", stack=STACK).ok()
    gcp.pulumi("destroy", "--yes", stack=STACK).ok()
    assert gcp.resources() == []
