"""What pipelines may do in an Azure subscription: operations by the type of what a stack makes. Pure.

Operations: https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from infra.ci.sections import AzureCi

TYPES: Final[Mapping[str, str]] = {
    "azure-native:applicationinsights:Component": "Microsoft.Insights/components",
    "azure-native:authorization:RoleAssignment": "Microsoft.Authorization/roleAssignments",
    "azure-native:authorization:RoleDefinition": "Microsoft.Authorization/roleDefinitions",
    "azure-native:compute:VirtualMachineScaleSet": "Microsoft.Compute/virtualMachineScaleSets",
    "azure-native:consumption:Budget": "Microsoft.Consumption/budgets",
    "azure-native:keyvault:Vault": "Microsoft.KeyVault/vaults",
    "azure-native:managedidentity:FederatedIdentityCredential": "Microsoft.ManagedIdentity/userAssignedIdentities/"
    "federatedIdentityCredentials",
    "azure-native:managedidentity:UserAssignedIdentity": "Microsoft.ManagedIdentity/userAssignedIdentities",
    "azure-native:monitor:ActionGroup": "Microsoft.Insights/actionGroups",
    "azure-native:monitor:DataCollectionEndpoint": "Microsoft.Insights/dataCollectionEndpoints",
    "azure-native:monitor:DataCollectionRule": "Microsoft.Insights/dataCollectionRules",
    "azure-native:monitor:MetricAlert": "Microsoft.Insights/metricAlerts",
    "azure-native:network:LoadBalancer": "Microsoft.Network/loadBalancers",
    "azure-native:network:NatGateway": "Microsoft.Network/natGateways",
    "azure-native:network:NetworkSecurityGroup": "Microsoft.Network/networkSecurityGroups",
    "azure-native:network:PublicIPAddress": "Microsoft.Network/publicIPAddresses",
    "azure-native:network:Subnet": "Microsoft.Network/virtualNetworks/subnets",
    "azure-native:network:VirtualNetwork": "Microsoft.Network/virtualNetworks",
    "azure-native:operationalinsights:Table": "Microsoft.OperationalInsights/workspaces/tables",
    "azure-native:operationalinsights:Workspace": "Microsoft.OperationalInsights/workspaces",
    "azure-native:resources:ResourceGroup": "Microsoft.Resources/subscriptions/resourceGroups",
    "azure-native:storage:BlobContainer": "Microsoft.Storage/storageAccounts/blobServices/containers",
    "azure-native:storage:BlobServiceProperties": "Microsoft.Storage/storageAccounts/blobServices",
    "azure-native:storage:ManagementPolicy": "Microsoft.Storage/storageAccounts/managementPolicies",
    "azure-native:storage:StorageAccount": "Microsoft.Storage/storageAccounts",
    "azure-native:web:AppServicePlan": "Microsoft.Web/serverfarms",
    "azure-native:web:WebApp": "Microsoft.Web/sites",
    "azure-native:web:WebAppFtpAllowed": "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
    "azure-native:web:WebAppScmAllowed": "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
}
"""What a region is made of, and the pipelines' own identities: Pulumi's name of the type, and Azure's."""
DNS_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    "azure-native:dns:RecordSet": tuple(f"Microsoft.Network/dnsZones/{kind}" for kind in ("A", "AAAA", "CNAME", "TXT")),
    "azure-native:dns:Zone": ("Microsoft.Network/dnsZones",),
    "azure-native:trafficmanager:Endpoint": tuple(
        f"Microsoft.Network/trafficManagerProfiles/{kind}Endpoints" for kind in ("azure", "external", "nested")
    ),
    "azure-native:trafficmanager:Profile": ("Microsoft.Network/trafficManagerProfiles",),
}
"""What the global stack on Traffic Manager is made of."""
GRANTS: Final = frozenset(
    {
        "Microsoft.Authorization/roleAssignments",
        "Microsoft.Authorization/roleDefinitions",
        "Microsoft.ManagedIdentity/userAssignedIdentities",
    }
)
"""Types that say who may do what."""
NEVER: Final = frozenset({TYPES["azure-native:managedidentity:FederatedIdentityCredential"]})
"""Whose tokens are trusted: read to see who changed it, never changed by a pipeline."""
LOOKUPS: Final = (
    "Microsoft.Compute/galleries/images/read",
    "Microsoft.Compute/galleries/images/versions/read",
    "Microsoft.Resources/subscriptions/read",
    "Microsoft.Web/sites/config/read",
)
"""What the program and the provider read besides: images, and a site's settings without the values in them."""
USES: Final = (
    "Microsoft.Compute/galleries/images/versions/read",
    "Microsoft.Compute/locations/operations/read",
    "Microsoft.KeyVault/locations/deletedVaults/read",
    "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    "Microsoft.Network/loadBalancers/backendAddressPools/join/action",
    "Microsoft.Network/loadBalancers/probes/join/action",
    "Microsoft.Network/natGateways/join/action",
    "Microsoft.Network/networkSecurityGroups/join/action",
    "Microsoft.Network/publicIPAddresses/join/action",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
    "Microsoft.OperationalInsights/workspaces/sharedKeys/action",
    "Microsoft.Web/serverfarms/join/action",
    "Microsoft.Web/sites/config/list/action",
    "Microsoft.Web/sites/config/write",
    # The package of the fallback function (infra/azure/publish.py): what `az functionapp deployment` asks for.
    "Microsoft.Web/sites/deployments/read",
    "Microsoft.Web/sites/deployments/write",
    "Microsoft.Web/sites/publish/action",
)
"""What a deploy does with what stands, beside writing and deleting it."""


def _dns(config: AzureCi) -> tuple[str, ...]:
    return tuple(kind for kinds in DNS_TYPES.values() for kind in kinds) if config.dns else ()


def preview_actions(config: AzureCi) -> list[str]:
    """What previews read, with `--refresh` too; no keys, no secrets, no values of settings, which are no reads."""
    kinds = {*TYPES.values(), *_dns(config)}
    return sorted({*(f"{kind}/read" for kind in kinds), *LOOKUPS})


def deploy_actions(config: AzureCi) -> list[str]:
    """What deploys change, beside the reads."""
    kinds = {*TYPES.values(), *_dns(config)} - NEVER
    if not config.grants:
        kinds -= GRANTS
    return sorted({*(f"{kind}/{verb}" for kind in kinds for verb in ("write", "delete")), *USES})


def grant_condition(roles: Sequence[str]) -> str:
    """A condition on an assignment: with it, the deploy role gives and takes only these roles, and only to identities.

    roles: GUIDs. This is as near as Azure comes to a permissions boundary:
    https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples
    """
    guids = ", ".join(sorted(roles))
    kind = "Microsoft.Authorization/roleAssignments"

    def only(verb: str, source: str) -> str:
        return (
            f"((!(ActionMatches{{'{kind}/{verb}'}})) OR "
            f"(@{source}[{kind}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{guids}}} AND "
            f"@{source}[{kind}:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase {{'ServicePrincipal'}}))"
        )

    return f"{only('write', 'Request')} AND {only('delete', 'Resource')}"
