"""Google Cloud through the plugin's own logic and store: names, plans, replacements, and no difference from itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import schema
from sandbox.gcp import GCP, tokens
from sandbox.kinds import CloudError
from sandbox.provider import Provider
from sandbox.values import UNKNOWN
from tests.support.gcp import everything

Make = Callable[..., tuple[str, dict[str, Any], dict[str, Any]]]
PROJECT = "spillway-test"
LINK = f"https://www.googleapis.com/compute/v1/projects/{PROJECT}"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema.load("gcp", "pulumi-gcp", GCP.kinds, GCP.invokes)


@pytest.fixture
def provider(document: dict[str, Any], tmp_path: Path) -> Provider:
    made = Provider(GCP, document, tmp_path)
    made.configure({"project": PROJECT, "region": "us-central1"})
    return made


@pytest.fixture
def make(provider: Provider) -> Make:
    """Check, then create, as the engine does; returns (id, checked inputs, outputs)."""

    def create(token: str, **inputs: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
        urn = f"urn:pulumi:gcp-us-central1::spillway::{token}::Nodes"
        checked, faults = provider.check(token, inputs, {}, urn, b"seed")
        assert faults == []
        id, outputs = provider.create(token, checked, frozenset(), urn, preview=False)
        return id, checked, outputs

    return create


def test_a_resource_lies_in_the_providers_project_and_region_and_gets_a_lower_case_name(make: Make) -> None:
    network, _, _ = make(tokens.NETWORK, autoCreateSubnetworks=False)
    assert network.startswith(f"projects/{PROJECT}/global/networks/nodes-")
    id, _, subnet = make(tokens.SUBNETWORK, name="nodes", network=network, ipCidrRange="10.16.0.0/20")
    assert id == f"projects/{PROJECT}/regions/us-central1/subnetworks/nodes"
    assert subnet["selfLink"] == f"{LINK}/regions/us-central1/subnetworks/nodes"
    assert subnet["network"] == f"https://www.googleapis.com/compute/v1/{network}"
    assert subnet["gatewayAddress"] == "10.16.0.1"


def test_the_default_project_is_used_when_the_provider_names_none(document: dict[str, Any], tmp_path: Path) -> None:
    provider = Provider(GCP, document, tmp_path)
    provider.configure({"region": "us-central1"})
    id, _ = provider.create(tokens.NETWORK, {"name": "n"}, frozenset(), "urn::n", preview=False)
    assert id == "projects/spillway-sandbox/global/networks/n"


@pytest.mark.parametrize(
    "spelling",
    ["net", "global/networks/net", f"projects/{PROJECT}/global/networks/net", f"{LINK}/global/networks/net"],
)
def test_another_spelling_of_a_reference_is_no_difference(make: Make, provider: Provider, spelling: str) -> None:
    make(tokens.NETWORK, name="net", autoCreateSubnetworks=False)
    _, inputs, outputs = make(tokens.SUBNETWORK, name="nodes", network=spelling, ipCidrRange="10.16.0.0/20")
    other = {**inputs, "network": f"{LINK}/global/networks/net"}
    assert provider.diff(tokens.SUBNETWORK, inputs, outputs, other).changes == {}


def test_a_range_may_grow_in_place_and_not_shrink(make: Make, provider: Provider) -> None:
    make(tokens.NETWORK, name="net", autoCreateSubnetworks=False)
    _, inputs, outputs = make(tokens.SUBNETWORK, name="nodes", network="net", ipCidrRange="10.16.0.0/20")
    grown = provider.diff(tokens.SUBNETWORK, inputs, outputs, {**inputs, "ipCidrRange": "10.16.0.0/16"})
    assert (list(grown.changes), grown.replaces) == (["ipCidrRange"], [])
    moved = provider.diff(tokens.SUBNETWORK, inputs, outputs, {**inputs, "ipCidrRange": "10.17.0.0/20"})
    assert moved.replaces == ["ipCidrRange"]


def test_nothing_differs_from_itself_and_a_read_finds_what_was_made(make: Make, provider: Provider) -> None:
    for resource in everything().state.resources.values():
        wanted = {**resource.inputs, **_names(resource.token, resource.outputs)}
        wanted.pop("notificationChannels", None)  # the memory's channel has a number of its own
        id, inputs, outputs = make(resource.token, **wanted)
        diff = provider.diff(resource.token, inputs, outputs, inputs)
        assert (diff.changes, diff.replaces) == ({}, []), resource.token
        found = provider.read(resource.token, id, inputs)
        assert found is not None
        assert found.outputs == outputs, resource.token
        again = provider.update(resource.token, id, outputs, inputs, frozenset(), "urn::it", preview=True)
        assert UNKNOWN not in [again[key] for key in again if key not in GCP.kinds[resource.token].changes_on_update]


def _names(token: str, outputs: dict[str, Any]) -> dict[str, Any]:
    """The names that the memory's cloud gave out, which other inputs point to."""
    auto = GCP.kinds[token].autoname
    return {auto.property: outputs[auto.property]} if auto else {}


def test_a_region_that_is_none_is_one_clear_fault(provider: Provider) -> None:
    inputs = {"name": "lb", "region": "us-center1"}
    _, faults = provider.check(tokens.ADDRESS, inputs, {}, "urn::lb", b"")
    assert [(f.path, f.reason) for f in faults] == [
        ("region", 'expected a region such as us-central1, got "us-center1"')
    ]


def test_an_unknown_key_is_told_with_the_one_that_was_meant(provider: Provider) -> None:
    _, faults = provider.check(tokens.NETWORK, {"name": "n", "autoCreateSubnets": False}, {}, "urn::n", b"")
    assert [f.reason for f in faults] == ["unknown property; did you mean autoCreateSubnetworks?"]


def test_a_bucket_name_is_taken_for_every_project(make: Make, document: dict[str, Any], provider: Provider) -> None:
    make(tokens.BUCKET, name="spillway-gcp-us-central1", location="us-central1")
    provider.configure({"project": "another-one", "region": "us-central1"})
    with pytest.raises(CloudError, match="conflict"):
        provider.create(
            tokens.BUCKET, {"name": "spillway-gcp-us-central1", "location": "EU"}, frozenset(), "urn::b", preview=False
        )
