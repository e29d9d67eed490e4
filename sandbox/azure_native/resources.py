"""Resource groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.azure_native import arm, tokens
from sandbox.azure_native.places import normal, region_faults
from sandbox.azure_native.registry import AZURE_NATIVE
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Resource

API_VERSION = "2024-03-01"


@AZURE_NATIVE.kind
class ResourceGroup(Kind):
    """https://learn.microsoft.com/rest/api/resources/resource-groups/create-or-update

    Deleting a group deletes what is in it, also what no stack knows: azure-native has no guard
    (https://github.com/pulumi/pulumi-azure-native/issues/2522).
    """

    token = tokens.RESOURCE_GROUP
    regional = False
    delete_before_replace = True
    # forceNewMap in https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/gen/replacement.go
    replace_on = ("resourceGroupName", "location")
    autoname = arm.random_name("resourceGroupName")
    not_found_code = "ResourceGroupNotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from arm.group_name_faults(args)
        yield from arm.tag_faults(args)
        if args["location"] is None:
            yield Fault("location", "is required: an Azure region such as westeurope")
        yield from region_faults(args, "location")
        for path, value in args.at("managedBy"):
            if arm.parse_id(value) is None:
                yield Fault(path, f"expected the id of an Azure resource, got {value!r}")

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return arm.one_location(inputs)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return arm.group_id(cloud.account, str(args["resourceGroupName"]))

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if arm.find_group(cloud, args["resourceGroupName"]) is not None:
            raise arm.already_exists(self.new_id(args, cloud))
        # https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits
        limit = cloud.quota("resourceGroups", 980)
        if len(cloud.all(self.token)) + 1 > limit:
            raise CloudError(
                "ResourceGroupQuotaExceeded",
                f"Creating the resource group would exceed the limit of {limit:g} resource groups per subscription.",
            )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "name": args["resourceGroupName"],
            "location": normal(str(args["location"])),
            "type": "Microsoft.Resources/resourceGroups",
            "properties": {"provisioningState": "Succeeded"},
            "azureApiVersion": API_VERSION,
        }

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        """Everything in the group goes with it; what another group still needs holds the whole group."""
        for token, kind in AZURE_NATIVE.kinds.items():
            if token == self.token:
                continue
            for member in cloud.all(token):
                if arm.inside(member.id, resource.id) and isinstance(kind, arm.ArmKind):
                    kind.before_delete_with(member, cloud, resource.id)

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for token, kind in AZURE_NATIVE.kinds.items():
            for member in cloud.all(token):
                if arm.inside(member.id, resource.id):
                    cloud.remove(token, member.id)
                    kind.after_delete(member, cloud)
