"""The machines that Azure's scale sets and Google Cloud's groups would get now, and what `show` makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox import drift, show
from sandbox.azure_native import AZURE_NATIVE, tokens
from sandbox.azure_native.launches import plan as azure_plan
from sandbox.gcp.launches import plan as gcp_plan
from sandbox.kinds import Resource
from sandbox.launches import Launch
from sandbox.store import Store
from tests.support.azure import SUBSCRIPTION
from tests.support.gcp import REGION
from tests.support.gcp_stack import Deployment
from tests.support.memory_cloud import MemoryCloud

SIZE = "Standard_ND96asr_v4"
GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/spillway-azure-eastus"


def scale_set(pool: str, **more: Any) -> Resource:
    """A scale set of eastus with room for what a test says."""
    values = {
        "name": f"spillway-azure-eastus-{pool}",
        "location": "eastus",
        "sku": {"name": SIZE, "tier": "Standard", "capacity": 0},
        "virtualMachineProfile": {"priority": "Spot" if pool == "spot" else "Regular"},
        **more,
    }
    id = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/{values['name']}"
    return Resource(
        tokens.SCALE_SET, id, "global", SUBSCRIPTION, dict(values), values, urn=f"urn:pulumi:s::p::t::{pool}"
    )


def sized(pool: str, capacity: int, **more: Any) -> Resource:
    return scale_set(pool, sku={"name": SIZE, "tier": "Standard", "capacity": capacity}, **more)


def app(**variables: str) -> Resource:
    """The fallback function's app, which says what it was sent and tells it to nobody."""
    settings = [{"name": f"SPILLWAY_{name}", "value": value} for name, value in variables.items()]
    inputs = {"name": "fallback", "location": "eastus", "siteConfig": {"appSettings": settings}}
    id = f"{GROUP}/providers/Microsoft.Web/sites/fallback"
    return Resource(
        tokens.WEB_APP, id, "global", SUBSCRIPTION, inputs, {"location": "eastus"}, urn="urn:pulumi:s::p::t::f"
    )


def azure(*resources: Resource) -> MemoryCloud:
    cloud = MemoryCloud("eastus", SUBSCRIPTION, AZURE_NATIVE)
    for resource in resources:
        cloud.put(resource)
    return cloud


def told(made: list[Launch]) -> list[str]:
    return [f"{x.machine_type} {x.zone}" if x.launched else x.outcome for x in made]


# Azure


def test_a_scale_set_takes_the_zones_that_have_machines() -> None:
    cloud = azure(sized("spot", 3, zones=["1", "2", "3"]))
    cloud.sell_out("eastus-1", SIZE, "spot")
    cloud.set_quota("lowPriorityCores", 1000)
    made = azure_plan(cloud, "eastus")["spillway-azure-eastus-spot"]
    assert told(made) == [f"{SIZE} eastus-{zone}" for zone in (2, 3, 2)]


def test_one_that_insists_on_balance_waits_for_the_zone_whose_turn_it_is() -> None:
    cloud = azure(sized("spot", 2, zones=["1", "2"], zoneBalance=True))
    cloud.sell_out("eastus-1", SIZE, "spot")
    cloud.sell_out("eastus-2", SIZE, "spot")
    (first, _) = azure_plan(cloud, "eastus")["spillway-azure-eastus-spot"]
    assert len(first.attempts) == 1


def test_a_scale_set_outside_of_zones_is_sold_out_with_its_region() -> None:
    cloud = azure(sized("spot", 1), sized("on-demand", 1))
    cloud.sell_out("eastus", SIZE, "spot")
    made = azure_plan(cloud, "eastus")
    assert told(made["spillway-azure-eastus-spot"]) == ["SkuNotAvailable"]
    assert told(made["spillway-azure-eastus-on-demand"]) == [f"{SIZE} eastus"]


def test_machines_of_a_region_share_its_quota_and_those_beyond_it_say_so() -> None:
    cloud = azure(sized("spot", 2), scale_set("elsewhere", location="westus2"))
    cloud.set_quota("lowPriorityCores", 96)
    made = azure_plan(cloud, "eastus")
    assert list(made) == ["spillway-azure-eastus-spot"]
    first, second = made["spillway-azure-eastus-spot"]
    assert first.launched
    assert second.outcome == "OperationNotAllowed"
    assert "lowPriorityCores" in second.reason


def test_an_empty_scale_set_gets_what_the_fallback_function_would_set_at_first() -> None:
    names = {"SPOT_GROUP": "spillway-azure-eastus-spot", "ON_DEMAND_GROUP": "spillway-azure-eastus-on-demand"}
    cloud = azure(scale_set("spot"), scale_set("on-demand"), scale_set("other"), app(TARGET="3", FLOOR="1", **names))
    made = azure_plan(cloud, "eastus")
    assert [len(launches) for launches in made.values()] == [2, 1, 0]
    unknown = azure(scale_set("spot"), app(TARGET="three", FLOOR="1", **names))
    assert azure_plan(unknown, "eastus") == {"spillway-azure-eastus-spot": []}


# Google Cloud


@pytest.fixture(scope="module")
def deployed() -> Deployment:
    deployment = Deployment()
    deployment.up({"pools.target": 3, "pools.floor": 1})
    return deployment


@pytest.fixture
def gcp(deployed: Deployment) -> MemoryCloud:
    deployed.cloud.state.dry.clear()
    deployed.cloud.state.quotas.clear()
    return deployed.cloud


SPOT, ON_DEMAND = "spillway-gcp-us-central1-spot", "spillway-gcp-us-central1-on-demand"


def test_groups_get_target_and_floor_spread_over_the_zones(gcp: MemoryCloud) -> None:
    made = gcp_plan(gcp, REGION)
    assert [len(made[name]) for name in (SPOT, ON_DEMAND)] == [2, 1]
    assert len({launch.zone for launch in made[SPOT]}) == 2
    assert {launch.market for launch in made[SPOT]} == {"spot"}


def test_where_a_type_is_sold_out_the_next_one_comes_and_all_zones_are_tried(gcp: MemoryCloud) -> None:
    (first, *_) = gcp_plan(gcp, REGION)[SPOT]
    for zone in "abcf":
        gcp.sell_out(f"{REGION}-{zone}", first.machine_type, "spot")
    (other, *_) = gcp_plan(gcp, REGION)[SPOT]
    assert other.launched
    assert other.machine_type != first.machine_type
    assert gcp_plan(gcp, REGION)[ON_DEMAND][0].machine_type == first.machine_type, "on-demand is another market"


def test_a_groups_gpus_count_against_the_quota_of_their_market(gcp: MemoryCloud) -> None:
    gcp.set_quota("PREEMPTIBLE_NVIDIA_A100_GPUS", 8)
    first, second = gcp_plan(gcp, REGION)[SPOT]
    assert first.machine_type == "a2-highgpu-8g"
    assert second.machine_type != first.machine_type, "of another kind there are some left"
    gcp.set_quota("GPUS_ALL_REGIONS", 8)
    made = [launch for launches in gcp_plan(gcp, REGION).values() for launch in launches]
    assert sum(launch.launched for launch in made) == 1, "groups share what all regions have together"
    assert {launch.outcome for launch in made if not launch.launched} == {"QUOTA_EXCEEDED"}
    assert all("GPUS_ALL_REGIONS" in launch.reason for launch in made if not launch.launched)


# What the command shows


def put(directory: Path, cloud: str, *resources: Resource) -> None:
    with Store(directory).transaction(write=True) as tx:
        for resource in resources:
            tx.put(cloud, resource)


def test_show_tells_the_launches_of_every_cloud_by_region(tmp_path: Path) -> None:
    put(tmp_path, "azure-native", sized("spot", 1))
    deployment = Deployment()
    deployment.up()
    put(tmp_path, "gcp", *deployment.made.values())
    (azure_row, *gcp_rows) = show.launches(tmp_path, None)
    assert (azure_row["cloud"], azure_row["region"], azure_row["group"]) == (
        "azure-native", "eastus", "spillway-azure-eastus-spot",
    )  # fmt: skip
    assert [launch["outcome"] for launch in azure_row["launches"]] == ["launched"]
    assert {row["region"] for row in gcp_rows} == {REGION}
    assert {row["group"] for row in gcp_rows} == {SPOT, ON_DEMAND}
    assert show.launches(tmp_path, "eastus") == [azure_row]
    assert show.launches(tmp_path, None, "gcp") == gcp_rows
    assert show.launches(tmp_path, None, "cloudflare") == []
    (tmp_path / "weather.yaml").write_text("soldOut:\n  - {cloud: azure-native, zone: eastus*, market: spot}\n")
    (sold_out, *others) = show.launches(tmp_path, None)
    assert sold_out["launches"][0]["outcome"] == "SkuNotAvailable"
    assert others == gcp_rows, "another cloud's weather"


def test_show_puts_resources_where_they_say_they_are_and_parts_where_they_are_in(tmp_path: Path) -> None:
    def row(token: str, id: str, **outputs: Any) -> Resource:
        return Resource(token, id, "global", "1", {}, outputs, urn="urn:pulumi:s::p::t::n")

    vnet = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/vnet"
    put(
        tmp_path,
        "azure-native",
        row(tokens.RESOURCE_GROUP, GROUP, location="westus2"),
        row(tokens.VIRTUAL_NETWORK, vnet, location="East US"),
        row(tokens.SUBNET, f"{vnet.upper()}/subnets/nodes"),
        row(tokens.PROFILE, f"{GROUP}/providers/Microsoft.Network/trafficManagerProfiles/p", location="global"),
        row(tokens.BUDGET, f"{GROUP}/providers/Microsoft.Consumption/budgets/b"),
    )
    put(tmp_path, "gcp", row("gcp:storage/bucket:Bucket", "models", location="US-CENTRAL1"))
    places = {entry["type"].rsplit(":", 1)[-1]: entry["region"] for entry in show.holdings(tmp_path, None, None, None)}
    assert places == {
        "ResourceGroup": "westus2",
        "VirtualNetwork": "eastus",
        "Subnet": "eastus",
        "Profile": "global",
        "Budget": "westus2",
        "Bucket": "us-central1",
    }
    found = show.holdings(tmp_path, None, "eastus", None)
    assert [entry["type"] for entry in found] == [tokens.VIRTUAL_NETWORK, tokens.SUBNET]


def test_what_is_changed_behind_pulumis_back_is_what_groups_then_want(tmp_path: Path) -> None:
    group = scale_set("spot")
    put(tmp_path, "azure-native", group)
    assert drift.change(tmp_path, group.id, {"sku.capacity": 2}) == [
        f"{tokens.SCALE_SET} {group.id}: sku.capacity: 0 -> 2"
    ]
    assert len(show.launches(tmp_path, "eastus")[0]["launches"]) == 2
    deployment = Deployment()
    deployment.up()
    put(tmp_path, "gcp", *deployment.made.values())
    id = f"projects/spillway-test/regions/{REGION}/instanceGroupManagers/{ON_DEMAND}"
    drift.change(tmp_path, id, {"targetSize": 4})
    made = {row["group"]: len(row["launches"]) for row in show.launches(tmp_path, REGION)}
    assert made[ON_DEMAND] == 4
