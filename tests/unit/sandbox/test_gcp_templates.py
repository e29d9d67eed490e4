"""Instance templates of the stand-in Google Cloud: what fits a machine type and a way of provisioning."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.gcp import places, tokens
from tests.support.aws_region import refused
from tests.support.gcp import BOOT, LOCAL_SSD, SPOT, STANDARD, check_faults, empty, region, template_inputs

TEMPLATE = tokens.REGION_INSTANCE_TEMPLATE
GOOD = template_inputs()
HYPERDISK: dict[str, Any] = {**BOOT, "diskType": "hyperdisk-balanced"}
CARD = {"subnetwork": "nodes", "nicType": "GVNIC"}
ULTRA = template_inputs(machineType="a3-ultragpu-8g", disks=[HYPERDISK])


def spot(**more: Any) -> dict[str, Any]:
    return {"scheduling": {k: v for k, v in {**SPOT, **more}.items() if v is not None}}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (spot(preemptible=None), "scheduling.preemptible: has to be true with provisioningModel SPOT"),
        (spot(automaticRestart=None), "scheduling.automaticRestart: has to be false with provisioningModel SPOT"),
        (spot(onHostMaintenance=None), "scheduling.onHostMaintenance: expected TERMINATE"),
        (spot(onHostMaintenance="MIGRATE"), "scheduling.onHostMaintenance: has to be TERMINATE"),
        (spot(instanceTerminationAction="HIBERNATE"), "scheduling.instanceTerminationAction: expected one of STOP"),
        (
            spot(preemptionNoticeDuration={"seconds": 60}),
            "scheduling.preemptionNoticeDuration.seconds: expected one of 0, 120",
        ),
        (spot(provisioningModel="STANDARD"), "scheduling.preemptible: does not go with provisioningModel STANDARD"),
        (spot(provisioningModel="CHEAP"), "scheduling.provisioningModel: expected one of STANDARD, SPOT"),
        (spot(provisioningModel="FLEX_START", preemptible=None), "scheduling.maxRunDuration: is required"),
        (
            spot(provisioningModel="FLEX_START", preemptible=None, maxRunDuration={"seconds": 800000}),
            "scheduling.maxRunDuration.seconds: expected 600 to 604,800 seconds",
        ),
        (
            {"scheduling": {**STANDARD, "preemptionNoticeDuration": {"seconds": 120}}},
            "scheduling.preemptionNoticeDuration: is only for provisioningModel SPOT",
        ),
        (
            {"scheduling": {**STANDARD, "instanceTerminationAction": "DELETE"}},
            "scheduling.instanceTerminationAction: needs provisioningModel SPOT",
        ),
        ({"scheduling": None}, "scheduling.onHostMaintenance: is required"),
        ({"scheduling": {}}, "scheduling: expected a property"),
        ({"machineType": "zones/a/machineTypes/a2-highgpu-8g"}, "machineType: expected the name of a machine type"),
        (
            {"guestAccelerators": [{"type": "nvidia-l4", "count": 8}]},
            "guestAccelerators[0]: [nvidia-l4, a2-highgpu-8g] features are not compatible",
        ),
        (
            {"machineType": "n2-standard-8", "guestAccelerators": [{"type": "nvidia-tesla-t4", "count": 1}]},
            "guestAccelerators[0]: [nvidia-tesla-t4, n2-standard-8] features are not compatible",
        ),
        ({"disks": [BOOT, *[LOCAL_SSD] * 4]}, "disks: a2-highgpu-8g takes 8 local SSDs of 375 GB, or none; got 4"),
        ({"disks": [BOOT, {**LOCAL_SSD, "diskSizeGb": 400}]}, "disks[1].diskSizeGb: expected 375"),
        ({"disks": [BOOT, {**LOCAL_SSD, "type": "PERSISTENT"}]}, "disks[1].type: has to be SCRATCH"),
        ({"disks": [BOOT, {**LOCAL_SSD, "diskType": "pd-ssd"}]}, "disks[1].diskType: has to be local-ssd"),
        ({"disks": [LOCAL_SSD]}, "disks[0].boot: a local SSD cannot be the boot disk"),
        ({"disks": [BOOT, BOOT]}, "disks[1].boot: only the first disk"),
        ({"disks": []}, "disks: expected a boot disk"),
        ({"disks": [{"boot": True, "diskType": "pd-ssd"}]}, "disks[0].sourceImage: is required"),
        ({"disks": [HYPERDISK]}, "disks[0].diskType: [hyperdisk-balanced, a2-highgpu-8g] features are not compatible"),
        ({"disks": [{**BOOT, "diskType": "gp3"}]}, "disks[0].diskType: expected one of pd-standard"),
        ({"disks": [{**BOOT, "provisionedIops": 5000}]}, "disks[0].provisionedIops: is not for pd-balanced"),
        ({"disks": [{**BOOT, "diskSizeGb": 5}]}, "disks[0].diskSizeGb: expected 10 to 65,536 GB of pd-balanced"),
        ({"networkInterfaces": None}, "networkInterfaces: is required"),
        ({"networkInterfaces": [{"nicType": "GVNIC"}]}, "networkInterfaces[0].subnetwork: is required"),
        ({"networkInterfaces": [{**CARD, "nicType": "EFA"}]}, "networkInterfaces[0].nicType: expected one of GVNIC"),
        (
            {"networkInterfaces": [CARD, {**CARD, "nicType": "MRDMA"}]},
            "networkInterfaces[1].nicType: a2-highgpu-8g has no RDMA card",
        ),
        ({"metadata": {"a b": "c"}}, "metadata: expected a metadata key"),
        ({"metadata": {"user-data": "x" * 262145}}, "metadata: expected at most 262,144 bytes, user-data has 262,145"),
        ({"tags": ["Node"]}, "tags[0]: expected a network tag"),
        ({"labels": {"A": "b"}}, "labels: expected a label key"),
        ({"namePrefix": "n"}, "namePrefix: conflicts with name"),
        (
            {"reservationAffinity": {"type": "ANY_RESERVATION"}},
            "reservationAffinity.type: has to be NO_RESERVATION with provisioningModel SPOT",
        ),
    ],
)
def test_what_no_instance_could_come_from_is_a_fault(change: dict[str, Any], expected: str) -> None:
    check_faults(TEMPLATE, GOOD, change, expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"disks": [BOOT]}, "disks[0].diskType: [pd-balanced, a3-ultragpu-8g] features are not compatible"),
        ({"disks": [HYPERDISK, LOCAL_SSD]}, "disks: a3-ultragpu-8g comes with 32 local SSDs"),
        ({"networkInterfaces": [{"subnetwork": "nodes"}]}, "networkInterfaces[0].nicType: a3-ultragpu-8g needs GVNIC"),
        ({"scheduling": STANDARD}, "scheduling.provisioningModel: a3-ultragpu-8g comes as SPOT"),
        (
            {"disks": [{**HYPERDISK, "provisionedIops": 200000}]},
            "disks[0].provisionedIops: expected 3,000 to 100,000 (500 per GB)",
        ),
        (
            {"disks": [{**HYPERDISK, "provisionedIops": 8000, "provisionedThroughput": 2400}]},
            "disks[0].provisionedThroughput: expected 140 to 2,000 MB/s",
        ),
    ],
)
def test_hyperdisk_families_have_rules_of_their_own(change: dict[str, Any], expected: str) -> None:
    check_faults(TEMPLATE, ULTRA, change, expected)


@pytest.mark.parametrize("name", sorted(places.machines()))
def test_every_machine_type_takes_the_disks_and_models_that_the_data_say(name: str) -> None:
    machine = places.machines()[name]
    models = {"SPOT": SPOT, "STANDARD": STANDARD}
    for model, scheduling in models.items():
        for ssds in (0, *machine.attachable):
            inputs = template_inputs(
                machineType=name,
                disks=[{**BOOT, "diskType": machine.family.boot[0]}, *[LOCAL_SSD] * ssds],
                scheduling=scheduling,
            )
            faults = empty().faults(TEMPLATE, **inputs)
            assert (faults == []) == (model in machine.family.models), faults


def test_accelerators_that_the_type_has_anyway_may_be_named() -> None:
    same = {"guestAccelerators": [{"type": "nvidia-tesla-a100", "count": 8}]}
    assert empty().faults(TEMPLATE, **template_inputs(**same)) == []
    station = template_inputs(
        machineType="g2-standard-4", disks=[BOOT, LOCAL_SSD], guestAccelerators=[{"type": "nvidia-l4-vws", "count": 1}]
    )
    assert empty().faults(TEMPLATE, **station) == []


def test_a_template_tells_its_self_link_and_what_the_api_fills_in() -> None:
    net = region()
    made = net.template()
    assert made.id == "projects/spillway-test/regions/us-central1/instanceTemplates/nodes-spot"
    assert made["selfLink"].endswith(made.id)
    assert made["networkInterfaces"][0]["network"] == net.network["selfLink"]
    assert made["effectiveLabels"] == {"goog-pulumi-provisioned": "true"}
    world = net.cloud.create(tokens.INSTANCE_TEMPLATE, **{**made.inputs, "name": "world"})
    assert world["selfLinkUnique"].startswith(f"{world['selfLink']}?uniqueId=")


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("spillway-vllm-2026-10-2", "named"),
        ("family/spillway-vllm", "of the family"),
        ("projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64", "of another project"),
        ("ubuntu-os-cloud/ubuntu-2404-lts-amd64", "in short"),
    ],
)
def test_an_image_may_be_written_in_every_way_that_the_provider_takes(reference: str, name: str) -> None:
    region().template(name=name.replace(" ", "-"), disks=[{**BOOT, "sourceImage": reference}])


def test_what_a_template_refers_to_exists() -> None:
    net = region()
    with refused("notFound", "Could not find image or family spillway-vllm-2020"):
        net.template(disks=[{**BOOT, "sourceImage": "spillway-vllm-2020"}])
    with refused("notFound", "subnetworks/elsewhere"):
        net.template(networkInterfaces=[{"subnetwork": "elsewhere"}])
    with refused("notFound", "nobody@"):
        account = {"email": "nobody@spillway-test.iam.gserviceaccount.com", "scopes": ["cloud-platform"]}
        net.template(serviceAccount=account)
    with refused("invalid", "Requested disk size cannot be smaller"):
        net.template(disks=[{**BOOT, "diskSizeGb": 50}])


def test_a_subnetwork_lies_in_the_network_named_beside_it_and_custom_networks_need_one() -> None:
    net = region()
    net.cloud.create(tokens.NETWORK, name="other", autoCreateSubnetworks=False)
    with refused("invalid", "It belongs to the network"):
        net.template(networkInterfaces=[{"network": "other", "subnetwork": "nodes"}])
    with refused("invalid", "custom subnet mode"):
        net.template(networkInterfaces=[{"network": "net"}])


def test_rdma_cards_need_a_network_made_for_them() -> None:
    net = region()
    rdma = net.cloud.create(
        tokens.NETWORK, name="rdma", autoCreateSubnetworks=False, networkProfile="us-central1-b-vpc-roce"
    )
    net.cloud.create(tokens.SUBNETWORK, name="rdma", network=rdma.id, ipCidrRange="10.32.0.0/20")
    cards = [CARD, {"subnetwork": "rdma", "nicType": "MRDMA"}]
    ultra = {"machineType": "a3-ultragpu-8g", "disks": [HYPERDISK]}
    net.template(**ultra, networkInterfaces=cards)
    with refused("invalid", "RDMA (RoCE) network profile"):
        net.template(**ultra, name="b", networkInterfaces=[CARD, {**CARD, "nicType": "MRDMA"}])


def test_a_type_that_the_region_does_not_offer_is_refused() -> None:
    net = region()
    far = net.cloud.in_region("europe-west6")
    far.create(tokens.SUBNETWORK, name="nodes", network=net.network.id, ipCidrRange="10.48.0.0/20")
    with refused("invalid", "No zone of europe-west6 offers it"):
        far.create(TEMPLATE, **GOOD)


def test_a_change_that_the_provider_would_not_send_is_refused() -> None:
    net = region()
    made = net.template()
    without = {k: v for k, v in SPOT.items() if k != "preemptionNoticeDuration"}
    with refused("invalid", "immutable"):
        net.cloud.update(made, scheduling=without)
