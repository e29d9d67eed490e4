"""Every property that a kind of Google Cloud names exists in the SDK, and is of a kind that the rule can judge; every
output is one of the type."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import schema
from sandbox.gcp import GCP, tokens
from sandbox.gcp.api import GcpKind
from sandbox.kinds import Args
from tests.support.gcp import IMAGE, everything, region
from tests.support.sdk import reaches, strange_outputs


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema.load("gcp", "pulumi-gcp", GCP.kinds, GCP.invokes)


@pytest.mark.parametrize("token", sorted(GCP.kinds))
def test_every_input_a_kind_names_exists(token: str, document: dict[str, Any]) -> None:
    kind, spec = GCP.kinds[token], document["resources"][token]
    assert isinstance(kind, GcpKind)
    named = [*kind.replace_on, *kind.sets, *kind.defaults, *kind.write_only, *kind.unique]
    named += [use.path for use in kind.uses] + ([kind.autoname.property] if kind.autoname else [])
    missing = [path for path in named if not reaches(document, spec["inputs"], path)]
    assert [path for path in missing if path not in ("project", "deletionPolicy")] == []
    assert [path for path in kind.changes_on_update if path not in spec["outputs"]] == []


def test_what_kinds_return_are_properties_of_their_types(document: dict[str, Any]) -> None:
    made = everything().state.resources.values()
    assert {resource.token for resource in made} == set(GCP.kinds)
    assert strange_outputs(document, made) == []


def test_what_data_sources_return_are_properties_of_theirs(document: dict[str, Any]) -> None:
    net = region()
    id = f"projects/{net.cloud.account}/regions/us-central1/instanceGroupManagers/g"
    net.cloud.stand_in(tokens.GROUP, id, name="g")
    asked = {
        "gcp:organizations/getProject:getProject": {},
        "gcp:organizations/getClientConfig:getClientConfig": {},
        "gcp:compute/getZones:getZones": {},
        "gcp:compute/getRegions:getRegions": {},
        "gcp:compute/getImage:getImage": {"name": IMAGE.rsplit("/", 1)[-1]},
        "gcp:compute/getNetwork:getNetwork": {"name": "net"},
        "gcp:compute/getSubnetwork:getSubnetwork": {"name": "nodes"},
        "gcp:compute/getRegionInstanceGroupManager:getRegionInstanceGroupManager": {"name": "g"},
        "gcp:serviceaccount/getAccount:getAccount": {"accountId": "nodes-a"},
        "gcp:storage/getProjectServiceAccount:getProjectServiceAccount": {},
    }
    assert set(asked) == set(GCP.invokes)
    for token, inputs in asked.items():
        answer = GCP.invokes[token](Args(inputs), net.cloud)
        known = document["invokes"][token]["outputs"]
        assert [key for key in answer if key not in known] == []
        assert answer["id"]
