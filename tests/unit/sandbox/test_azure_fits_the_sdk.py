"""Every property that an Azure kind names exists in the SDK: a misspelt path would be a rule that never holds."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest

from sandbox import schema
from sandbox.azure_native import AZURE_NATIVE, tokens
from sandbox.azure_native.balancers import PARTS
from sandbox.azure_native.compute import FIXED
from sandbox.azure_native.dns_rules import SHAPES
from sandbox.azure_native.regional import Regional
from sandbox.checker import Checker
from sandbox.reflect import Reflection
from tests.support import azure
from tests.support import azure_region as region
from tests.support.azure import Azure
from tests.support.sdk import reaches, strange_outputs


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema.load("azure-native", "pulumi-azure-native", AZURE_NATIVE.kinds, AZURE_NATIVE.invokes)


@pytest.mark.parametrize("token", sorted(AZURE_NATIVE.kinds))
def test_every_input_a_kind_names_exists(token: str, document: dict[str, Any]) -> None:
    kind, inputs = AZURE_NATIVE.kinds[token], document["resources"][token]["inputs"]
    named = [*kind.replace_on, *kind.sets, *kind.unique, *kind.defaults]
    named += [kind.autoname.property] if kind.autoname else []
    if isinstance(kind, Regional):
        named += [*kind.path, *(use.path for use in kind.uses)]
    assert [name for name in named if not reaches(document, inputs, name)] == []
    if isinstance(kind, Regional):
        outputs = document["resources"][token]["outputs"]
        assert [name for name in kind.changes_on_update if name not in outputs] == []


def test_what_scale_sets_fix_and_load_balancers_are_made_of_exists(document: dict[str, Any]) -> None:
    scale_sets = document["resources"][tokens.SCALE_SET]["inputs"]
    assert [keys for keys in FIXED if not reaches(document, scale_sets, ".".join(keys))] == []
    balancers = document["resources"][tokens.LOAD_BALANCER]["inputs"]
    assert [part for part in PARTS if part not in balancers] == []


def test_inputs_of_a_whole_region_have_the_shape_of_the_sdk(document: dict[str, Any]) -> None:
    checker = Checker(document["objects"])
    cloud = region.whole()
    assert strange_outputs(document, cloud.state.resources.values(), or_inputs=True) == []
    for resource in cloud.state.resources.values():
        spec = document["resources"][resource.token]
        found = list(checker.inputs(resource.inputs, spec["inputs"], spec["required"]))
        assert found == [], resource.token
        for key in ("name", "type", "azureApiVersion", "location", "etag"):
            if key in spec["outputs"]:
                assert resource[key], f"{resource.token}: {key}"


@pytest.mark.parametrize("record", sorted(SHAPES))
def test_every_field_of_a_record_exists(record: str, document: dict[str, Any]) -> None:
    shape = SHAPES[record]
    node = document["resources"][tokens.RECORD_SET]["inputs"][shape.property]
    assert (node["t"] == "object") == shape.single
    fields = document["objects"][(node if shape.single else node["of"])["ref"]]["props"]
    assert [name for name in shape.fields if name not in fields] == []


def test_every_record_property_of_the_sdk_belongs_to_a_type(document: dict[str, Any]) -> None:
    inputs = document["resources"][tokens.RECORD_SET]["inputs"]
    properties = {name for name in inputs if name.endswith(("Records", "Record"))}
    assert properties == {shape.property for shape in SHAPES.values()}


def test_what_kinds_return_are_properties_of_their_types(document: dict[str, Any]) -> None:
    cloud = Azure()
    cloud.profile("parent", "Priority")
    cloud.profile("child")
    cloud.external("child", "198.51.100.10")
    cloud.nested("parent", cloud.all(tokens.PROFILE)[1])
    cloud.zone()
    cloud.record("A", "@", targetResource={"id": cloud.all(tokens.PROFILE)[1].id})
    assert strange_outputs(document, cloud.state.resources.values(), or_inputs=True) == []
    for resource in cloud.state.resources.values():
        spec = document["resources"][resource.token]["outputs"]
        for key in ("name", "type", "azureApiVersion", "location", "fqdn", "etag"):
            if key in spec:
                assert resource[key], f"{resource.token}: {key}"


def test_api_versions_are_those_of_the_sdk() -> None:
    cloud = region.whole()
    cloud.create(tokens.PROFILE, **azure.profile("p", resourceGroupName=region.GROUP))
    cloud.create(tokens.ENDPOINT, **azure.external("p", "198.51.100.10", resourceGroupName=region.GROUP))
    cloud.create(tokens.ZONE, resourceGroupName=region.GROUP, zoneName="example.com", location="global")
    record = azure.record("A", aRecords=[{"ipv4Address": "198.51.100.10"}], resourceGroupName=region.GROUP)
    cloud.create(tokens.RECORD_SET, **record)
    versions = {r.token: r["azureApiVersion"] for r in cloud.state.resources.values() if r["azureApiVersion"]}
    assert set(AZURE_NATIVE.kinds) - set(versions) == {tokens.BLOB}  # not a resource of ARM
    reflection = Reflection("azure-native")
    for token, version in versions.items():
        module, name = reflection._classes[token]
        source = inspect.getsource(getattr(importlib.import_module(module), name))
        assert f"Uses Azure REST API version {version}." in source, token
