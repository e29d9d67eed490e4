"""The GCP region as a person deploys it: the real engine, the shipped stack file, the stand-in Google Cloud."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from sandbox.drift import change
from sandbox.gcp import tokens
from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.secrets.sandbox import StandInSecretManager
from tests.support.engine import EngineSandbox, changes

pytestmark = pytest.mark.engine

STACK = "gcp-us-central1"
FUNCTION_ONLY = {tokens.FUNCTION: 1}


def held(sandbox: EngineSandbox, token: str | None = None) -> list[Resource]:
    with Store(sandbox.directory).transaction(write=False) as tx:
        return tx.all("gcp", token)


def sizes(sandbox: EngineSandbox) -> dict[str, int]:
    return {
        group["name"].removeprefix(f"spillway-{STACK}-"): group["targetSize"] for group in held(sandbox, tokens.GROUP)
    }


def changed(plan: dict[str, Any]) -> Counter[str]:
    """Types of what a plan touches."""
    return Counter(step["newState"]["type"] for step in plan["steps"] if step["op"] in ("create", "update", "replace"))


def plant(sandbox: EngineSandbox) -> tuple[str, ...]:
    """Push a value into each of the region's secrets; the values, to search for."""
    store = StandInSecretManager(sandbox.directory, "spillway-test", "us-central1")
    values = ("planted-in-the-certificate", "planted-in-the-keys")
    for name, value in zip(("certificate", "api-keys"), values, strict=True):
        store.write(f"spillway-{name}-us-central1", value, "certificate" if name == "certificate" else "api-keys", None)
    return values


def written(sandbox: EngineSandbox) -> str:
    """All that Pulumi keeps: state, history and previews of the stack."""
    return "".join(path.read_text() for path in sandbox.project.backend.rglob("*.json*") if path.is_file())


def test_a_region_lives_from_first_up_to_destroy(editable: EngineSandbox) -> None:
    """One long test, as each step stands on the one before."""
    planned = changes(editable.preview(STACK))
    assert set(planned) == {"create"}
    editable.up(STACK).ok()
    state = editable.pulumi("stack", "export", stack=STACK).ok().json["deployment"]["resources"]
    assert len(state) == planned["create"], "the preview and the up agree"

    outputs = editable.pulumi("stack", "output", "--json", stack=STACK).ok().json
    assert set(outputs) == {"endpoint", "pools", "image", "modelStore"}
    endpoint = outputs["endpoint"]
    assert {key: value for key, value in endpoint.items() if key != "addresses"} == {
        "hostname": None,
        "port": 443,
        "healthPath": "/readyz",
        "cloud": "gcp",
        "region": "us-central1",
        "nearestAwsRegion": "us-east-2",
        "residency": "us",
    }
    assert len(endpoint["addresses"]) == 1
    assert set(outputs["pools"]) == {"target", "floor", "max", "spot", "onDemand", "capacityBlocks"}
    assert outputs["pools"]["spot"]["name"] == f"spillway-{STACK}-spot"
    assert outputs["image"]["id"].endswith("/global/images/spillway-vllm-2026-11-1")
    assert outputs["modelStore"] == "gs://spillway-models-spillway-test-us-central1/models/"

    editable.up(STACK, "--expect-no-changes").ok()

    # What nodes read is pushed into the cloud's store, and the fallback function fills the groups.
    planted = plant(editable)
    assert sizes(editable) == {"spot": 0, "on-demand": 0}
    for group in held(editable, tokens.GROUP):
        change(editable.directory, f"{tokens.GROUP}:{group.id}", {"targetSize": 2})
    assert changes(editable.preview(STACK, "--refresh")) == {}, "no size is asked for"

    editable.edit_stack(STACK, "target: 2", "target: 3")
    assert changed(editable.preview(STACK)) == FUNCTION_ONLY, "a new target is the function's setting"
    editable.up(STACK, "--refresh").ok()
    assert STACK in written(editable)
    assert not [value for value in planted if value in written(editable)], "a secret is nowhere but in the cloud"
    (function,) = held(editable, tokens.FUNCTION)
    assert function["serviceConfig"]["environmentVariables"]["SPILLWAY_TARGET"] == "3"
    editable.edit_stack(STACK, "queue: 100", "queue: 50")
    assert changed(editable.preview(STACK)) == {tokens.REGION_INSTANCE_TEMPLATE: 2, tokens.GROUP: 2}
    editable.up(STACK).ok()
    assert len(held(editable, tokens.REGION_INSTANCE_TEMPLATE)) == 2, "the old templates are gone"
    assert sizes(editable) == {"spot": 2, "on-demand": 2}

    name = "certificate: spillway-certificate-us-central1"
    editable.edit_stack(STACK, name, "certificate: spillway-certificate-two")
    refused = editable.pulumi("preview", stack=STACK).failed()
    assert "identity-certificate" in refused.text
    assert "marked for protection" in refused.text, "another name would take the value with it"
    editable.edit_stack(STACK, "certificate: spillway-certificate-two", name)
    editable.edit_stack(STACK, ", us-central1-f]", "]")
    refused = editable.up(STACK).failed()
    assert "stands in us-central1-a, us-central1-b, us-central1-c and us-central1-f: zones are fixed" in refused.text
    editable.edit_stack(STACK, "us-central1-c]", "us-central1-c, us-central1-f]")

    refused = editable.pulumi("destroy", "--yes", stack=STACK).failed()
    assert "protected" in refused.text
    assert sizes(editable) == {"spot": 2, "on-demand": 2}, "a refused destroy destroyed nothing"
    editable.pulumi("destroy", "--yes", "--ignore-protect", stack=STACK).ok()
    assert {resource.token for resource in held(editable)} == {tokens.LOG_BUCKET}, "its name would be taken for a week"


def test_a_project_without_the_image_is_one_line_before_anything_is_registered(editable: EngineSandbox) -> None:
    editable.edit_stack(STACK, '"2026.11.1"', '"1999.1"')
    failed = editable.pulumi("preview", stack=STACK).failed()
    assert f"stacks/Pulumi.{STACK}.yaml: spillway:region.image: cannot find an image with name=" in failed.text
    assert "Traceback" not in failed.text


def test_another_region_of_the_project_is_a_copied_stack_file_with_names_changed(editable: EngineSandbox) -> None:
    stacks = editable.root / "stacks"
    text = (stacks / f"Pulumi.{STACK}.yaml").read_text()
    for old, new in (
        (
            "zones: [us-central1-a, us-central1-b, us-central1-c, us-central1-f]",
            "zones: [us-central1-a, us-central1-b]",
        ),
        ("us-central1", "europe-west4"),
        ("nearestAwsRegion: us-east-2", "nearestAwsRegion: eu-west-1"),
        ("residency: us", "residency: eu"),
        ("10.32.0.0/16", "10.33.0.0/16"),
    ):
        assert old in text
        text = text.replace(old, new)
    other = "gcp-europe-west4"
    (stacks / f"Pulumi.{other}.yaml").write_text(text)
    editable.up(STACK).ok()
    editable.up(other).ok()  # in the same project: what has one name for all of it would be refused
    assert changes(editable.preview(other)) == {}
    endpoint = editable.pulumi("stack", "output", "endpoint", "--json", stack=other).ok().json
    assert (endpoint["region"], endpoint["residency"]) == ("europe-west4", "eu")
    assert {group.region for group in held(editable, tokens.GROUP)} == {"us-central1", "europe-west4"}
    editable.pulumi("destroy", "--yes", "--ignore-protect", stack=other).ok()
    assert sizes(editable) == {"spot": 0, "on-demand": 0}, "the first region stays as it is"
    left = {resource.token for resource in held(editable) if other in resource.id}
    assert left == {tokens.LOG_BUCKET}
