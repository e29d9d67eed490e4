"""Virtual machine scale sets. https://learn.microsoft.com/azure/virtual-machine-scale-sets/overview"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sandbox.azure_native import arm, galleries, machines, tokens
from sandbox.azure_native.balancers import BALANCER_TYPE
from sandbox.azure_native.compute_disks import PROFILE, deep, profile_of
from sandbox.azure_native.compute_rules import scale_set_faults
from sandbox.azure_native.identity import shown_identity
from sandbox.azure_native.regional import Regional, Use, now, refuse_one_more
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource

API_VERSION: Final = "2024-11-01"
SCALE_SETS_MAX: Final = 2500
"""https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#virtual-machine-scale-sets-limits"""
_CARDS: Final = f"{PROFILE}.networkProfile.networkInterfaceConfigurations[*]"
IDENTITY_TYPE: Final = "Microsoft.ManagedIdentity/userAssignedIdentities"

# Set at creation (https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-upgrade-scale-set#properties-with-restrictions-on-modification
# and ForceNew in https://github.com/hashicorp/terraform-provider-azurerm, linux_virtual_machine_scale_set_resource.go).
# The specification does not mark them, so the provider does not replace: it sends the update, and the API refuses it.
FIXED: Final = (
    ("orchestrationMode",),
    ("platformFaultDomainCount",),
    ("zoneBalance",),
    (PROFILE, "priority"),
    (PROFILE, "evictionPolicy"),
    (PROFILE, "osProfile", "computerNamePrefix"),
    (PROFILE, "osProfile", "adminUsername"),
    (PROFILE, "storageProfile", "osDisk", "createOption"),
    (PROFILE, "storageProfile", "osDisk", "diffDiskSettings"),
    (PROFILE, "storageProfile", "osDisk", "managedDisk", "storageAccountType"),
)
_ABSENT: Final[Mapping[tuple[str, ...], Any]] = {
    ("orchestrationMode",): "Uniform",
    ("zoneBalance",): False,
    (PROFILE, "priority"): "Regular",
}
"""What the API takes when a fixed property is left out."""


@AZURE_NATIVE.kind
class VirtualMachineScaleSet(Regional):
    """Its machines are a number here, `sku.capacity`: it is filled as far as the program (or a change behind its back)
    says, and only then do quotas and the weather have a say."""

    token = tokens.SCALE_SET
    namespace = "Microsoft.Compute"
    type_name = "virtualMachineScaleSets"
    name_property = "vmScaleSetName"
    name_rule = (
        r"[A-Za-z0-9](?:[\w.-]{0,62}[A-Za-z0-9_])?",
        "1 to 64 letters, digits, periods, hyphens and underscores that begin and end with a letter or digit",
    )
    api_version = API_VERSION
    path = ("resourceGroupName", "vmScaleSetName")
    # location: a tracked resource's is for creation only (x-ms-mutability in
    # https://github.com/Azure/azure-rest-api-specs, common-types/resource-management, TrackedResource).
    replace_on = (*path, "location")
    autoname = arm.random_name("vmScaleSetName")
    reshaped = ("identity",)
    uses = (
        Use(
            f"{_CARDS}.ipConfigurations[*].subnet.id",
            tokens.SUBNET,
            "Microsoft.Network/virtualNetworks/subnets",
            in_use="InUseSubnetCannotBeDeleted",
        ),
        Use(
            f"{_CARDS}.ipConfigurations[*].loadBalancerBackendAddressPools[*].id",
            tokens.LOAD_BALANCER,
            BALANCER_TYPE,
            below="backendAddressPools",
            in_use="LoadBalancerInUseByVirtualMachineScaleSet",
        ),
        Use(
            f"{_CARDS}.ipConfigurations[*].loadBalancerInboundNatPools[*].id",
            tokens.LOAD_BALANCER,
            BALANCER_TYPE,
            below="inboundNatPools",
            in_use="LoadBalancerInUseByVirtualMachineScaleSet",
        ),
        Use(
            f"{PROFILE}.networkProfile.healthProbe.id",
            tokens.LOAD_BALANCER,
            BALANCER_TYPE,
            below="probes",
            in_use="LoadBalancerInUseByVirtualMachineScaleSet",
        ),
        Use(
            f"{_CARDS}.networkSecurityGroup.id",
            tokens.SECURITY_GROUP,
            "Microsoft.Network/networkSecurityGroups",
            in_use="InUseNetworkSecurityGroupCannotBeDeleted",
        ),
        # An identity can be deleted while machines have it: they lose their rights.
        Use(
            "identity.userAssignedIdentities[*]",
            tokens.IDENTITY,
            IDENTITY_TYPE,
            same_location=False,
            code="FailedIdentityOperation",
            in_use="",
        ),
    )

    def rules(self, args: Args) -> Iterable[Fault]:
        return scale_set_faults(args)

    def judge(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        location = self.location_of(args, cloud)
        own = old.id if old else self.new_id(args, cloud)
        if old is None:
            refuse_one_more(
                cloud, self.token, location, "virtualMachineScaleSets", SCALE_SETS_MAX,
                "OperationNotAllowed", "virtual machine scale sets",
            )  # fmt: skip
        else:
            refuse_fixed(old, args)
        sku = args["sku"]
        wanted = [str(zone) for zone in args["zones"] or ()]
        if sku["name"] != "Mix":
            machines.refuse_not_offered(str(sku["name"]), location, wanted)
        self._judge_image(args, cloud, location)
        self._judge_network(args, cloud)
        before = int(deep(old.outputs, "sku", "capacity") or 0) if old else 0
        capacity = int(sku.get("capacity") or 0)
        if capacity > before:
            spot = profile_of(args.values).get("priority") in ("Spot", "Low")
            machines.refuse_beyond_quota(cloud, location, str(sku["name"]), capacity, spot=spot, own_id=own)
            machines.refuse_sold_out(cloud, location, str(sku["name"]), wanted, spot=spot)

    @staticmethod
    def _judge_image(args: Args, cloud: Cloud, location: str) -> None:
        """The image is there and replicated; what it is tells whether a user is to be made."""
        id = deep(args.values, PROFILE, "storageProfile", "imageReference", "id")
        image = galleries.image_for(cloud, str(id), location) if id else None
        profile = deep(args.values, PROFILE, "osProfile")
        if image is None:
            if id is None and profile is None:
                raise CloudError("InvalidParameter", "Required parameter 'osProfile' is missing (null).")
            return
        if image.os_state == "Generalized" and profile is None:
            raise CloudError("InvalidParameter", "Required parameter 'osProfile' is missing (null).")
        if image.os_state == "Specialized" and profile is not None:
            raise CloudError(
                "InvalidParameter",
                "Parameter 'osProfile' is not allowed, as the image is specialized. Target: osProfile",
            )
        disk = deep(args.values, PROFILE, "storageProfile", "osDisk", "diskSizeGB")
        if isinstance(disk, int) and disk < image.size_gib:
            raise CloudError(
                "InvalidParameter",
                f"The specified disk size {disk} GB is smaller than the size of the corresponding disk in the VM "
                "image: "
                f"{image.size_gib} GB. This is not allowed. Please choose equal or greater size or do not specify an "
                "explicit size.",
            )

    @staticmethod
    def _judge_network(args: Args, cloud: Cloud) -> None:
        """All network interfaces of a machine are in one virtual network; a Standard balancer takes the pools."""
        networks = {
            str(value).lower().rsplit("/subnets/", 1)[0]
            for _, value in args.at(f"{_CARDS}.ipConfigurations[*].subnet.id")
        }
        if len(networks) > 1:
            raise CloudError(
                "AllNetworkInterfacesMustBeInTheSameVirtualNetwork",
                f"Subnets of the network interfaces are in different virtual networks: {', '.join(sorted(networks))}.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        location = self.location_of(args, cloud)
        listed = args["zones"] or []
        uniform = args.get("orchestrationMode", "Uniform") == "Uniform"
        spread = args.get("platformFaultDomainCount", 1 if len(listed) > 1 or not uniform else 5)
        profile = dict(profile_of(args.values))
        if profile.get("priority") in ("Spot", "Low"):
            profile = {"evictionPolicy": "Deallocate", "billingProfile": {"maxPrice": -1}, **profile}
        # Never told again: https://learn.microsoft.com/rest/api/compute/virtual-machine-scale-sets/get (user data
        # only when asked for).
        profile.pop("userData", None)
        if isinstance(profile.get("osProfile"), Mapping):
            hidden = ("adminPassword", "customData")
            profile["osProfile"] = {k: v for k, v in profile["osProfile"].items() if k not in hidden}
        out = {
            **self.common_outputs(args),
            "location": location,
            "etag": f'"{uuid.uuid4()}"',
            "provisioningState": "Succeeded",
            "uniqueId": old["uniqueId"] if old else str(uuid.uuid4()),
            "timeCreated": old["timeCreated"] if old else now(),
            "orchestrationMode": "Uniform" if uniform else "Flexible",
            "platformFaultDomainCount": spread,
            "singlePlacementGroup": args.get("singlePlacementGroup", uniform and len(listed) < 2),
            "sku": {"tier": "Standard", "capacity": 0, **args["sku"]},
            PROFILE: profile,
        }
        if args["identity"]:
            out["identity"] = shown_identity(args["identity"], cloud, old)
        if uniform:
            out["overprovision"] = args.get("overprovision", True)
        if listed:
            out["zoneBalance"] = args.get("zoneBalance", False)
        repairs = args["automaticRepairsPolicy"]
        if isinstance(repairs, Mapping):
            out["automaticRepairsPolicy"] = {"gracePeriod": "PT10M", "repairAction": "Replace", **repairs}
        return out


def refuse_fixed(old: Resource, args: Args) -> None:
    """Raises CloudError PropertyChangeNotAllowed for what was fixed at creation."""
    for keys in FIXED:
        absent = _ABSENT.get(keys)
        before, after = deep(old.inputs, *keys), deep(args.values, *keys)
        if (absent if before is None else before) != (absent if after is None else after):
            raise _fixed(".".join(keys))
    if old.inputs.get("singlePlacementGroup") is False and args["singlePlacementGroup"] is True:
        raise _fixed("singlePlacementGroup")
    before, after = (set(map(str, value or ())) for value in (old.inputs.get("zones"), args["zones"]))
    if not before <= after or (after and not before):
        raise _fixed("zones")
    reference = (PROFILE, "storageProfile", "imageReference")
    market = deep(old.inputs, *reference, "publisher") is not None
    if market != (deep(args.values, *reference, "publisher") is not None):
        raise _fixed(".".join(reference))


def _fixed(name: str) -> CloudError:
    return CloudError("PropertyChangeNotAllowed", f"Changing property '{name}' is not allowed.")
