"""Every property that an Azure kind names exists in the SDK: a misspelt path would be a rule that never holds."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox import schema
from sandbox.azure_native import AZURE_NATIVE, tokens
from sandbox.azure_native.dns_rules import SHAPES
from tests.support.azure import Azure


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return schema.load("azure-native", "pulumi-azure-native", AZURE_NATIVE.kinds, AZURE_NATIVE.invokes)


@pytest.mark.parametrize("token", sorted(AZURE_NATIVE.kinds))
def test_every_input_a_kind_names_exists(token: str, document: dict[str, Any]) -> None:
    kind, inputs = AZURE_NATIVE.kinds[token], document["resources"][token]["inputs"]
    named = [*kind.replace_on, *kind.sets, *([kind.autoname.property] if kind.autoname else [])]
    assert [name for name in named if name not in inputs] == []


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
    strange = {
        f"{resource.token}: {key}"
        for resource in cloud.state.resources.values()
        for key in resource.outputs
        if key not in document["resources"][resource.token]["outputs"]
        and key not in document["resources"][resource.token]["inputs"]
    }
    assert strange == set()
    for resource in cloud.state.resources.values():
        spec = document["resources"][resource.token]["outputs"]
        for key in ("name", "type", "azureApiVersion", "location", "fqdn", "etag"):
            if key in spec:
                assert resource[key], f"{resource.token}: {key}"


def test_api_versions_are_those_of_the_sdk() -> None:
    import inspect

    from pulumi_azure_native import dns, resources, trafficmanager

    classes = {
        tokens.RESOURCE_GROUP: resources.ResourceGroup,
        tokens.PROFILE: trafficmanager.Profile,
        tokens.ENDPOINT: trafficmanager.Endpoint,
        tokens.ZONE: dns.Zone,
        tokens.RECORD_SET: dns.RecordSet,
    }
    cloud = Azure()
    cloud.profile("p")
    cloud.external("p", "198.51.100.10")
    cloud.zone()
    cloud.record("A", aRecords=[{"ipv4Address": "198.51.100.10"}])
    for token, sdk in classes.items():
        made = cloud.all(token)[0]
        assert f"Uses Azure REST API version {made['azureApiVersion']}." in inspect.getsource(sdk), token
