"""Scale sets of the stand-in Azure, and the machine sizes that they ask for."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from sandbox.azure_native import AZURE_NATIVE, galleries, machines, tokens
from sandbox.azure_native.places import is_location, zones
from sandbox.kinds import Args
from tests.support import azure_region as region
from tests.support.aws_region import refused
from tests.support.azure import faults
from tests.support.azure_region import HEALTH, REGULAR, SIZE, Region, machine, put, scale_set

PROFILE = "virtualMachineProfile"
DISK = f"{PROFILE}.storageProfile.dataDisks.0"
OS_DISK = f"{PROFILE}.storageProfile.osDisk"
USER = f"{PROFILE}.osProfile"
SETTINGS = f"{PROFILE}.extensionProfile.extensions.0.settings"


def changed(path: str, value: Any) -> dict[str, Any]:
    """The top-level property of a scale set in which the dotted path is changed."""
    head = path.split(".", 1)[0]
    return {head: put(scale_set(), path, value).get(head)}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("vmScaleSetName", "ends-", "vmScaleSetName: expected 1 to 64"),
        ("sku", None, "sku.name: is required"),
        ("sku.name", "ND96asr_v4", "sku.name: expected a VM size"),
        ("sku.capacity", 1.5, "sku.capacity: expected a whole number of 0 to 1,000"),
        ("sku.capacity", 1001, "sku.capacity: expected a whole number of 0 to 1,000"),
        ("upgradePolicy", None, "upgradePolicy.mode: is required for orchestration mode Uniform"),
        ("orchestrationMode", "uniform", "orchestrationMode: expected one of Uniform, Flexible"),
        ("platformFaultDomainCount", 6, "platformFaultDomainCount: expected 1 to 5"),
        ("zones", ["0"], "zones[0]: expected one of the zones 1, 2, 3"),
        (
            "spotRestorePolicy",
            {"enabled": True, "restoreTimeout": "PT5M"},
            "spotRestorePolicy.restoreTimeout: expected",
        ),
        ("priorityMixPolicy", {"baseRegularPriorityCount": 1}, "priorityMixPolicy: is only for orchestration mode Fl"),
        ("skuProfile", {"vmSizes": [{"name": SIZE}]}, "skuProfile: goes with sku.name Mix"),
        ("automaticRepairsPolicy.gracePeriod", "PT9M", "automaticRepairsPolicy.gracePeriod: expected an ISO 8601"),
        ("automaticRepairsPolicy.gracePeriod", "PT2H", "automaticRepairsPolicy.gracePeriod: expected an ISO 8601"),
        ("automaticRepairsPolicy.repairAction", "Delete", "automaticRepairsPolicy.repairAction: expected one of Repl"),
        ("identity.userAssignedIdentities", None, "identity.userAssignedIdentities: expected with type UserAssigned"),
        (f"{PROFILE}.priority", "Regular", f"{PROFILE}.evictionPolicy: is only for priority Spot"),
        (f"{PROFILE}.priority", "Regular", f"{PROFILE}.billingProfile: is only for priority Spot"),
        (f"{PROFILE}.billingProfile.maxPrice", 0, f"{PROFILE}.billingProfile.maxPrice: expected a price"),
        (f"{PROFILE}.evictionPolicy", "Terminate", f"{PROFILE}.evictionPolicy: expected one of Deallocate, Delete"),
        (f"{PROFILE}.storageProfile.imageReference", None, f"{PROFILE}.storageProfile.imageReference: is required"),
        (f"{PROFILE}.storageProfile.imageReference.id", "x", f"{PROFILE}.storageProfile.imageReference.id: expected"),
        (
            f"{PROFILE}.storageProfile.imageReference",
            {"publisher": "Canonical", "offer": "ubuntu-24_04-lts"},
            f"{PROFILE}.storageProfile.imageReference: expected publisher, offer, sku and version together",
        ),
        (f"{OS_DISK}.createOption", "Empty", f"{OS_DISK}.createOption: expected one of FromImage"),
        (f"{OS_DISK}.managedDisk.storageAccountType", "PremiumV2_LRS", f"{OS_DISK}.managedDisk.storageAccountType: P"),
        (
            f"{OS_DISK}.diffDiskSettings.placement",
            "NvmeDisk",
            f"{OS_DISK}.diffDiskSettings.placement: {SIZE} has 0 GiB",
        ),
        (f"{DISK}.lun", 64, f"{PROFILE}.storageProfile.dataDisks[0].lun: expected 0 to 63"),
        (
            f"{DISK}.diskSizeGB",
            None,
            f"{PROFILE}.storageProfile.dataDisks[0].diskSizeGB: is required for an empty disk",
        ),
        (f"{DISK}.caching", "ReadOnly", f"{PROFILE}.storageProfile.dataDisks[0].caching: has to be None for PremiumV2"),
        (
            f"{DISK}.diskIOPSReadWrite",
            80_001,
            f"{PROFILE}.storageProfile.dataDisks[0].diskIOPSReadWrite: expected 3,000",
        ),
        (f"{DISK}.diskMBpsReadWrite", 1_201, f"{PROFILE}.storageProfile.dataDisks[0].diskMBpsReadWrite: expected 125"),
        (f"{DISK}.managedDisk.storageAccountType", "Premium_LRS", f"{PROFILE}.storageProfile.dataDisks[0].diskIOPSRea"),
        (
            "zones",
            [],
            f"{PROFILE}.storageProfile.dataDisks[0].managedDisk.storageAccountType: PremiumV2_LRS is only for",
        ),
        (f"{USER}.adminUsername", "admin", f"{USER}.adminUsername: is not a user name that Azure takes"),
        (f"{USER}.adminUsername", None, f"{USER}.adminUsername: is required for a generalized image"),
        (f"{USER}.computerNamePrefix", "a_b", f"{USER}.computerNamePrefix: expected up to 58 letters"),
        (
            f"{USER}.linuxConfiguration.ssh",
            None,
            f"{USER}.linuxConfiguration.ssh.publicKeys: is required: at least one",
        ),
        (f"{USER}.linuxConfiguration", None, f"{USER}.adminPassword: is required"),
        (f"{PROFILE}.userData", "no base64!", f"{PROFILE}.userData: expected base64"),
        (
            f"{PROFILE}.userData",
            base64.b64encode(b"x" * 65_537).decode(),
            f"{PROFILE}.userData: expected at most 65,536 bytes before base64, got 65,537",
        ),
        (f"{PROFILE}.networkProfile", None, f"{PROFILE}.networkProfile.networkInterfaceConfigurations: is required"),
        (f"{PROFILE}.networkProfile.networkInterfaceConfigurations.0.primary", False, f"{PROFILE}.networkProfile.netw"),
        (f"{PROFILE}.extensionProfile", None, "automaticRepairsPolicy: needs an Application Health extension"),
        (f"{SETTINGS}.protocol", "HTTPS", f"{PROFILE}.extensionProfile.extensions[0].settings.protocol: expected one"),
        (
            f"{SETTINGS}.requestPath",
            None,
            f"{PROFILE}.extensionProfile.extensions[0].settings.requestPath: is required",
        ),
        (f"{SETTINGS}.intervalInSeconds", 61, f"{PROFILE}.extensionProfile.extensions[0].settings.intervalInSeconds: "),
        (f"{SETTINGS}.gracePeriod", 14_401, f"{PROFILE}.extensionProfile.extensions[0].settings.gracePeriod: expected"),
        (f"{SETTINGS}.path", "/livez", f"{PROFILE}.extensionProfile.extensions[0].settings.path: unknown setting"),
        (
            f"{PROFILE}.networkProfile.healthProbe",
            {"id": f"{region.BALANCER_ID}/probes/readyz"},
            f"{PROFILE}.networkProfile.healthProbe: does not go with an Application Health extension",
        ),
        (
            f"{PROFILE}.scheduledEventsProfile.terminateNotificationProfile.notBeforeTimeout",
            "PT20M",
            f"{PROFILE}.scheduledEventsProfile.terminateNotificationProfile.notBeforeTimeout: expected an ISO 8601",
        ),
        (
            f"{PROFILE}.securityProfile.securityType",
            "Standard",
            f"{PROFILE}.securityProfile.securityType: expected one",
        ),
    ],
)
def test_values_are_checked(path: str, value: Any, expected: str) -> None:
    found = faults(tokens.SCALE_SET, scale_set(), **changed(path, value))
    told = expected.replace(".0.", "[0].")
    assert [line for line in found if line.startswith(told)], found


def test_grace_of_rich_health_states_needs_version_two_of_the_extension() -> None:
    binary = {**HEALTH, "typeHandlerVersion": "1.0"}
    found = faults(
        tokens.SCALE_SET, scale_set(), virtualMachineProfile=machine(extensionProfile={"extensions": [binary]})
    )
    assert found == [
        f"{PROFILE}.extensionProfile.extensions[0].settings.gracePeriod: is only for rich health states: "
        "typeHandlerVersion 2.0"
    ]


def test_a_disk_beyond_the_size_of_the_machine_is_told() -> None:
    disks = [{"lun": lun, "createOption": "Empty", "diskSizeGB": 4} for lun in range(33)]
    profile = put(machine(), "storageProfile.dataDisks", disks)
    assert faults(tokens.SCALE_SET, scale_set(), virtualMachineProfile=profile) == [
        f"{PROFILE}.storageProfile.dataDisks: expected at most 32 for {SIZE}, got 33"
    ]


def test_both_pools_are_made_empty_while_their_size_is_sold_out() -> None:
    cloud = Region()
    for market in ("spot", "on-demand"):
        cloud.sell_out(f"{region.LOCATION}-3", SIZE, market)
    cloud.set_quota("lowPriorityCores", 0)
    spot = cloud.scale_set("spot")
    regular = cloud.scale_set("on-demand", virtualMachineProfile=REGULAR)
    assert spot["sku"]["capacity"] == regular["sku"]["capacity"] == 0
    assert spot.id == f"{region.ROOT}/Microsoft.Compute/virtualMachineScaleSets/spot"
    assert spot["virtualMachineProfile"]["priority"] == "Spot"
    assert "userData" not in spot["virtualMachineProfile"]


@pytest.mark.parametrize(
    ("profile", "quota", "used", "market", "code"),
    [
        (machine(), "lowPriorityCores", 96, "spot", "SkuNotAvailable"),
        (REGULAR, "standardNDASv4_A100Family", 96, "on-demand", "ZonalAllocationFailed"),
    ],
    ids=["spot", "on-demand"],
)
def test_capacity_takes_quota_and_machines(
    profile: dict[str, Any], quota: str, used: int, market: str, code: str
) -> None:
    cloud = Region()
    pool = cloud.scale_set(virtualMachineProfile=profile)
    cloud.set_quota(quota, 192)
    full = cloud.update(pool, sku={"name": SIZE, "capacity": 2})
    with refused("OperationNotAllowed", f"exceeding approved {quota} Cores quota"):
        cloud.update(full, sku={"name": SIZE, "capacity": 3})
    other = cloud.scale_set("other", virtualMachineProfile=profile)
    with refused("OperationNotAllowed", "Current Limit: 192, Current Usage: 192, Additional Required: 96"):
        cloud.update(other, sku={"name": SIZE, "capacity": 1})
    cloud.set_quota(quota, 10_000)
    cloud.sell_out(f"{region.LOCATION}-3", SIZE, market)
    with refused(code, "capacity" if code == "ZonalAllocationFailed" else SIZE):
        cloud.update(full, sku={"name": SIZE, "capacity": 3})
    assert cloud.update(full, sku={"name": SIZE, "capacity": 1})["sku"]["capacity"] == 1  # less is always had


def test_a_size_is_asked_for_where_it_is_offered() -> None:
    cloud = Region()
    with refused("SkuNotAvailable", "location 'westus2' zone '1'; it is in zones 3"):
        cloud.scale_set(zones=["1", "3"])
    with refused("InvalidParameter", "The requested VM size Standard_ND96isr_H200_v5 is not available in the current"):
        cloud.scale_set(sku={"name": "Standard_ND96isr_H200_v5", "capacity": 0})
    cloud.scale_set(sku={"name": "Standard_D2s_v5", "capacity": 0}, zones=["1"])  # nobody can tell: not in the data


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        (f"{PROFILE}.evictionPolicy", "Deallocate", f"{PROFILE}.evictionPolicy"),
        ("orchestrationMode", "Flexible", "orchestrationMode"),
        ("platformFaultDomainCount", 2, "platformFaultDomainCount"),
        (f"{OS_DISK}.managedDisk.storageAccountType", "StandardSSD_LRS", f"{OS_DISK}.managedDisk.storageAccountType"),
        (f"{USER}.adminUsername", "someone", f"{USER}.adminUsername"),
        ("singlePlacementGroup", True, "singlePlacementGroup"),
    ],
)
def test_what_was_fixed_at_creation_is_refused_and_not_replaced(path: str, value: Any, name: str) -> None:
    cloud = Region()
    pool = cloud.scale_set()
    head = path.split(".", 1)[0]
    inputs = put(scale_set(), path, value)
    if path == "orchestrationMode":
        inputs = put(inputs, f"{PROFILE}.networkProfile.networkApiVersion", "2022-11-01")
    if name.endswith("adminUsername"):
        key = f"{PROFILE}.osProfile.linuxConfiguration.ssh.publicKeys.0.path"
        inputs = put(inputs, key, "/home/someone/.ssh/authorized_keys")
    kind = AZURE_NATIVE.kinds[tokens.SCALE_SET]
    assert head not in kind.replace_on
    with refused("PropertyChangeNotAllowed", f"Changing property '{name}' is not allowed."):
        cloud.update(pool, **{key: inputs[key] for key in (head, PROFILE)})


def test_a_spot_pool_cannot_become_a_regular_one() -> None:
    cloud = Region()
    with refused("PropertyChangeNotAllowed", "'virtualMachineProfile.priority'"):
        cloud.update(cloud.scale_set(), virtualMachineProfile=REGULAR)


def test_zones_can_be_added_and_not_taken_away() -> None:
    cloud = Region()
    small: dict[str, Any] = {"sku": {"name": "Standard_NC24ads_A100_v4", "capacity": 0}}
    pool = cloud.scale_set(**small, zones=["1", "2"])
    assert cloud.update(pool, zones=["1", "2", "3"])["zones"] == ["1", "2", "3"]
    with refused("PropertyChangeNotAllowed", "'zones'"):
        cloud.update(pool, zones=["1"])


def test_an_image_is_replicated_to_the_region_of_its_machines() -> None:
    cloud = Region()
    at = "storageProfile.imageReference.id"
    with refused("GalleryImageNotFound", "is not available in westus2 region"):
        cloud.scale_set(virtualMachineProfile=put(machine(), at, f"{region.GALLERY}/images/other/versions/1.0.0"))
    older = region.IMAGE_ID.replace("2026.11.1", "2026.10.2")
    cloud.scale_set(virtualMachineProfile=put(machine(), at, older))
    with refused("GalleryImageNotFound", "is not available in canadacentral region"):
        galleries.image_for(cloud, older, "canadacentral")
    newest = galleries.image_for(cloud, f"{region.GALLERY}/images/spillway-vllm/versions/latest", "Canada Central")
    assert newest is not None
    assert newest.version == "2026.11.1"


def test_a_generalized_image_needs_a_user_and_room_for_its_disk() -> None:
    cloud = Region()
    with refused("InvalidParameter", "Required parameter 'osProfile' is missing"):
        cloud.scale_set(virtualMachineProfile=put(machine(), "osProfile", None))
    with refused("InvalidParameter", "smaller than the size of the corresponding disk in the VM image: 60 GB"):
        cloud.scale_set(virtualMachineProfile=put(machine(), "storageProfile.osDisk.diskSizeGB", 30))


def test_references_of_a_scale_set_have_to_be_there() -> None:
    cloud = Region()
    card = "networkProfile.networkInterfaceConfigurations.0.ipConfigurations.0"
    pool = f"{region.BALANCER_ID}/backendAddressPools/other"
    with refused("InvalidResourceReference", f"Resource {pool} referenced by resource"):
        cloud.scale_set(virtualMachineProfile=put(machine(), f"{card}.loadBalancerBackendAddressPools.0.id", pool))
    with refused("InvalidResourceReference", "subnets/other referenced by"):
        cloud.scale_set(virtualMachineProfile=put(machine(), f"{card}.subnet.id", f"{region.NETWORK_ID}/subnets/other"))
    with refused("FailedIdentityOperation", "referenced by"):
        ids = [region.IDENTITY_ID.replace("/node", "/nobody")]
        cloud.scale_set(identity={"type": "UserAssigned", "userAssignedIdentities": ids})


def test_an_image_version_is_looked_up_by_its_number() -> None:
    cloud = Region(empty=True)

    def ask(**more: Any) -> dict[str, Any]:
        args = {"resourceGroupName": "spillway-images", "galleryName": "spillway", "galleryImageName": "spillway-vllm"}
        return AZURE_NATIVE.invokes["azure-native:compute:getGalleryImageVersion"](Args({**args, **more}), cloud)

    found = ask(galleryImageVersionName="2026.10.2")
    assert found["id"] == region.IMAGE_ID.replace("2026.11.1", "2026.10.2")
    assert [r["name"] for r in found["publishingProfile"]["targetRegions"]] == ["East US", "West US 2", "West Europe"]
    with refused("ResourceNotFound", "versions/1.0.0"):
        ask(galleryImageVersionName="1.0.0")
    with refused("InvalidParameter", "'galleryImageVersionName'"):
        ask()


def test_the_data_of_the_machines_is_sound() -> None:
    root = machines._DATA
    data = json.loads((root / "azure_machines.json").read_text())
    offerings = json.loads((root / "azure_offerings.json").read_text())
    assert set(data["machines"]) == set(offerings["offerings"])
    for name, row in data["machines"].items():
        assert machines.is_size_name(name)
        assert row["quota"] in data["quotas"]
        assert row["quota"] in data["sources"]
        assert row["gpu"] in data["architectures"]
        assert row["vcpus"] % row["gpus"] == 0
    for name, places in offerings["offerings"].items():
        for place, digits in places.items():
            assert is_location(place), f"{name}: {place}"
            assert set(digits) <= set(zones(place)), f"{name}: {place}"
            assert place in offerings["regions"]


def test_sizes_are_found_in_any_case() -> None:
    found = machines.size(SIZE.upper())
    assert found is not None
    assert (found.name, found.vcpus, found.family) == (SIZE, 96, "standardNDASv4_A100Family")
    assert machines.offered_zones("standard_nc40ADS_h100_v5", "East US 2") == ("1", "2", "3")
    assert machines.offered_zones(SIZE, "eastus") is None  # offered there, and nobody told in which zones
    assert machines.offered_in("Standard_D2s_v5") is None
