"""Shipped region stacks as the keeper knows them, and a sandbox that holds them without an engine."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.config import load_stack_file
from rehearsal.fleet import Fleet, load_stack_files
from sandbox.clouds import DISTRIBUTIONS
from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.keeper.desk import Stack

ROOT = Path(__file__).parents[3]
EXPORTS = ROOT / "tests" / "rehearsal" / "stacks"
DEPLOYED = ("aws-us-east-1", "aws-us-west-2", "azure-eastus", "gcp-us-central1")


@cache
def fleet() -> Fleet:
    return load_stack_files(ROOT / "stacks")


def stack(name: str) -> Stack:
    return Stack(load_stack_file(ROOT / "stacks" / f"Pulumi.{name}.yaml", name), fleet().region(name))


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stand-in clouds hold of four regions, from their recorded stacks."""
    directory = tmp_path / "sandbox"
    store = Store(directory)
    with store.transaction(write=True) as tx:
        for name in DEPLOYED:
            one = stack(name)
            for row in json.loads((EXPORTS / f"{name}.export.json").read_text())["deployment"]["resources"]:
                package = row["type"].partition(":")[0]
                if package in DISTRIBUTIONS:
                    region = "global" if package == "azure-native" else one.region.region
                    tx.put(package, _held(row, region, one))
    store.close()
    (directory / ".gitignore").write_text("# A sandbox of Spillway: `spillway sandbox reset` deletes it.\n*\n")
    monkeypatch.setenv("SPILLWAY_SANDBOX_DIR", str(directory))
    return directory


def _held(row: dict[str, Any], region: str, one: Stack) -> Resource:
    inputs = dict(row.get("inputs") or {})
    outputs = inputs | (row.get("outputs") or {})
    if row["type"].endswith(":Group"):
        outputs |= {"vpcZoneIdentifiers": [], "availabilityZones": list(one.config.zones)}
    if row["type"].endswith("VirtualMachineScaleSet"):
        outputs |= {"location": region if region != "global" else one.region.region, "name": inputs["vmScaleSetName"]}
    if row["type"].endswith("function:Function"):
        region = "us-central1"
    return Resource(row["type"], row["id"], region, one.config.account, inputs, outputs, urn=row["urn"])
