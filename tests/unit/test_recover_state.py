"""Recovery: the file for the import, and what is imported depends on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway.errors import SpillwayError
from spillway.recovery import aws_types
from spillway.recovery.importfile import build, recovered_name
from spillway.recovery.model import Existing, Planned, name_of
from spillway.recovery.state import State, linked, ordered, put_in_place
from tests.support.recovery_plans import (
    NETWORK,
    PROVIDER,
    STACK,
    TABLE,
    VPC,
    VPC_PLAN,
    owned,
    state,
)


def test_the_import_file_names_parents_and_providers_of_the_state() -> None:
    file = build([(VPC_PLAN, VPC)], [TABLE], [VPC_PLAN], state())
    assert sorted(file["nameTable"].values()) == sorted([NETWORK, PROVIDER])
    adopted, orphan = file["resources"]
    handles = {v: k for k, v in file["nameTable"].items()}
    assert adopted == {
        "type": aws_types.VPC,
        "name": adopted["name"],
        "logicalName": "net-vpc",
        "id": "vpc-1",
        "parent": handles[NETWORK],
        "provider": handles[PROVIDER],
    }
    assert (orphan["logicalName"], orphan.get("parent"), orphan["provider"]) == (
        "recovered-rtb-1",
        None,
        handles[PROVIDER],
    )


def test_components_and_providers_that_only_the_plan_has_are_entries_before_what_needs_them() -> None:
    empty = State({"deployment": {}})
    steps = [
        Planned(PROVIDER, "pulumi:providers:aws", True, {"region": "us-east-1"}, STACK, None),
        Planned(NETWORK, "spillway:aws:Network", False, {}, STACK, None),
        VPC_PLAN,
    ]
    file = build([(VPC_PLAN, VPC)], [], steps, empty)
    component, provider, vpc = file["resources"]
    assert component["component"] is True
    assert provider["inputs"] == {"region": "us-east-1"}
    assert (vpc["parent"], vpc["provider"]) == (component["name"], provider["name"])
    assert not file["nameTable"]


def test_a_provider_with_secret_settings_has_to_be_made_by_an_up() -> None:
    steps = [Planned(PROVIDER, "pulumi:providers:aws", True, {"token": "[secret]"}, STACK, None), VPC_PLAN]
    with pytest.raises(SpillwayError, match="--target"):
        build([(VPC_PLAN, VPC)], [], [*steps, Planned(NETWORK, "n", False, {}, STACK, None)], State({"deployment": {}}))


def test_a_recovered_name_has_no_characters_that_a_urn_or_a_shell_trips_over() -> None:
    assert (
        recovered_name(Existing(aws_types.TOPIC, "arn:aws:sns:us-east-1:1:t/x"))
        == "recovered-arn-aws-sns-us-east-1-1-t-x"
    )


# Dependencies


def test_imported_resources_depend_on_what_their_inputs_name() -> None:
    subnet = owned(
        aws_types.SUBNET, "recovered-subnet-1", "subnet-1", inputs={"vpcId": "vpc-1", "tags": {"x": "rtb-1"}}
    )
    vpc = owned(aws_types.VPC, "recovered-vpc-1", "vpc-1", inputs={})
    table = owned(aws_types.ROUTE_TABLE, "recovered-rtb-1", "rtb-1", inputs={"vpcId": "vpc-1"})
    before = state(subnet, vpc, table).exported
    after = linked(before, [subnet["urn"], vpc["urn"]])
    assert after is not None
    found = {r["urn"]: r.get("dependencies") for r in after["deployment"]["resources"]}
    assert found[subnet["urn"]] == [vpc["urn"]]
    assert found[table["urn"]] is None  # not imported by us: none of our business
    urns = [r["urn"] for r in after["deployment"]["resources"]]
    assert urns.index(vpc["urn"]) < urns.index(subnet["urn"])
    assert linked(after, [subnet["urn"], vpc["urn"]]) is None
    assert before["deployment"]["resources"][3].get("dependencies") is None  # the argument is not changed


def test_two_that_name_each_other_do_not_make_a_circle() -> None:
    a = owned(aws_types.SECURITY_GROUP, "a", "sg-a", inputs={"x": ["sg-b"]})
    b = owned(aws_types.SECURITY_GROUP, "b", "sg-b", inputs={"x": [{"y": "sg-a"}]})
    after = linked(state(a, b).exported, [a["urn"], b["urn"]])
    assert after is not None
    assert sum(len(r.get("dependencies", [])) for r in after["deployment"]["resources"]) == 1


@given(st.permutations(range(6)), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_order_puts_everything_after_what_it_needs(order: list[int], edges: list[tuple[int, int]]) -> None:
    down = [(a, b) for a, b in edges if a > b]  # no circles
    resources: list[dict[str, Any]] = [
        {"urn": f"u{n}", "type": "t", "dependencies": [f"u{b}" for a, b in down if a == n]} for n in order
    ]
    urns = [r["urn"] for r in ordered(resources)]
    assert sorted(urns) == sorted(r["urn"] for r in resources)
    assert all(urns.index(f"u{b}") < urns.index(f"u{a}") for a, b in down)


def test_a_successor_takes_the_place_and_what_was_there_waits_for_deletion() -> None:
    subnet = owned(aws_types.SUBNET, "net-a", "subnet-1", dependencies=[VPC_PLAN.urn])
    stray = owned(aws_types.VPC, "recovered-vpc-1", "vpc-1")
    before = state(owned(aws_types.VPC, "net-vpc", "vpc-0"), subnet, stray).exported
    after = put_in_place(before, {stray["urn"]: (VPC_PLAN.urn, NETWORK)})
    told = [(r["urn"], r.get("id"), r.get("delete", False)) for r in after["deployment"]["resources"][3:]]
    assert told == [(VPC_PLAN.urn, "vpc-0", True), (VPC_PLAN.urn, "vpc-1", False), (subnet["urn"], "subnet-1", False)]
    assert after["deployment"]["resources"][4]["parent"] == NETWORK
    assert not any(r.get("delete") for r in before["deployment"]["resources"])


def depends(*resources: dict[str, Any]) -> dict[str, list[str]]:
    """Logical name -> logical names, after all of these were imported."""
    after = linked(state(*resources).exported, [r["urn"] for r in resources])
    assert after is not None
    found = {r["urn"]: r.get("dependencies") or [] for r in after["deployment"]["resources"][3:]}
    return {name_of(urn): [name_of(other) for other in others] for urn, others in found.items()}


def test_on_azure_what_uses_a_part_depends_on_what_the_part_is_in() -> None:
    group = "/subscriptions/0/resourceGroups/g"
    network = f"{group}/providers/Microsoft.Network/virtualNetworks/v"
    found = depends(
        owned("azure-native:resources:ResourceGroup", "group", group),
        owned("azure-native:network:VirtualNetwork", "vnet", network),
        owned(
            "azure-native:compute:VirtualMachineScaleSet",
            "set",
            f"{group}/providers/x/y/z",
            inputs={"s": {"id": f"{network}/subnets/n"}},
        ),
    )
    assert sorted(found["set"]) == ["group", "vnet"]


def test_on_google_cloud_a_self_link_is_an_id_and_an_instance_group_its_manager() -> None:
    place, link = "projects/p/regions/r", "https://www.googleapis.com/compute/v1"
    found = depends(
        owned("gcp:compute/network:Network", "vpc", "projects/p/global/networks/vpc"),
        owned(
            "gcp:compute/subnetwork:Subnetwork",
            "nodes",
            f"{place}/subnetworks/n",
            inputs={"network": f"{link}/projects/p/global/networks/vpc"},
        ),
        owned(
            "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager",
            "spot",
            f"{place}/instanceGroupManagers/spot",
        ),
        owned(
            "gcp:compute/regionBackendService:RegionBackendService",
            "lb",
            f"{place}/backendServices/lb",
            inputs={"backends": [{"group": f"{link}/{place}/instanceGroups/spot"}]},
        ),
    )
    assert (found["nodes"], found["lb"]) == (["vpc"], ["spot"])
