"""What Azure says about its types: how their ids are made of names, and which carry tags. Pure.

Every id here is what `pulumi import` takes, too: the section Import of each type,
https://www.pulumi.com/registry/packages/azure-native/api-docs/network/subnet/#import. Where a scope is a part of it,
the id begins with that scope as the program writes it (https://github.com/pulumi/pulumi-azure-native/pull/4818).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from spillway.recovery.model import Key, Planned, Properties, Rules, Scope, text

GROUP: Final = "azure-native:resources:ResourceGroup"
ZONE: Final = "azure-native:dns:Zone"
RECORD_SET: Final = "azure-native:dns:RecordSet"
PROFILE: Final = "azure-native:trafficmanager:Profile"
ENDPOINT: Final = "azure-native:trafficmanager:Endpoint"
VNET: Final = "azure-native:network:VirtualNetwork"
SUBNET: Final = "azure-native:network:Subnet"
STORAGE: Final = "azure-native:storage:StorageAccount"
BLOB_SERVICE: Final = "azure-native:storage:BlobServiceProperties"
CONTAINER: Final = "azure-native:storage:BlobContainer"
VAULT: Final = "azure-native:keyvault:Vault"
IDENTITY: Final = "azure-native:managedidentity:UserAssignedIdentity"
ROLE_ASSIGNMENT: Final = "azure-native:authorization:RoleAssignment"
ROLE_DEFINITION: Final = "azure-native:authorization:RoleDefinition"
BUDGET: Final = "azure-native:consumption:Budget"
SCALE_SET: Final = "azure-native:compute:VirtualMachineScaleSet"
WEB_APP: Final = "azure-native:web:WebApp"


@dataclass(frozen=True, slots=True)
class ArmType:
    """One type of the provider.

    type: ARM's name of it. names: the inputs that name it and what it is in, along the path; one that begins with `=`
    is always that. version: of the API; a stable one that tells ids and tags. tagged: whether it carries tags of its
    own. scoped: whether it lies under any scope, which its input `scope` names, and not in a resource group.
    """

    token: str
    type: str
    names: tuple[str, ...]
    version: str
    tagged: bool = True
    scoped: bool = False

    def path(self, names: Mapping[str, str]) -> str:
        """The id below the subscription, or below the scope: `/providers/Microsoft.Network/virtualNetworks/vnet`."""
        namespace, *kinds = self.type.split("/")
        steps = [names.get(name, name.removeprefix("=")) for name in self.names]
        return "/providers/" + "/".join([namespace, *(f"{k}/{n}" for k, n in zip(kinds, steps, strict=True))])


def _in_group(token: str, type: str, names: str, version: str, *, tagged: bool = True) -> ArmType:
    return ArmType(f"azure-native:{token}", type, tuple(names.split()), version, tagged)


def _scoped(token: str, type: str, name: str, version: str) -> ArmType:
    return ArmType(f"azure-native:{token}", type, (name,), version, tagged=False, scoped=True)


_ACCOUNT: Final = "Microsoft.Storage/storageAccounts"
_SITE: Final = "Microsoft.Web/sites"
_POLICIES: Final = f"{_SITE}/basicPublishingCredentialsPolicies"
# Names and versions: https://www.pulumi.com/registry/packages/azure-native/api-docs/ of each type.
TABLE: Final = (
    _in_group("network:VirtualNetwork", "Microsoft.Network/virtualNetworks", "virtualNetworkName", "2024-05-01"),
    _in_group("network:Subnet", "Microsoft.Network/virtualNetworks/subnets", "virtualNetworkName subnetName",
              "2024-05-01", tagged=False),
    _in_group("network:NetworkSecurityGroup", "Microsoft.Network/networkSecurityGroups", "networkSecurityGroupName",
              "2024-05-01"),
    _in_group("network:PublicIPAddress", "Microsoft.Network/publicIPAddresses", "publicIpAddressName", "2024-05-01"),
    _in_group("network:NatGateway", "Microsoft.Network/natGateways", "natGatewayName", "2024-05-01"),
    _in_group("network:LoadBalancer", "Microsoft.Network/loadBalancers", "loadBalancerName", "2024-05-01"),
    _in_group("compute:VirtualMachineScaleSet", "Microsoft.Compute/virtualMachineScaleSets", "vmScaleSetName",
              "2024-11-01"),
    _in_group("storage:StorageAccount", _ACCOUNT, "accountName", "2024-01-01"),
    _in_group("storage:BlobServiceProperties", f"{_ACCOUNT}/blobServices", "accountName blobServicesName",
              "2024-01-01", tagged=False),
    _in_group("storage:BlobContainer", f"{_ACCOUNT}/blobServices/containers", "accountName =default containerName",
              "2024-01-01", tagged=False),
    _in_group("storage:ManagementPolicy", f"{_ACCOUNT}/managementPolicies", "accountName managementPolicyName",
              "2024-01-01", tagged=False),
    _in_group("keyvault:Vault", "Microsoft.KeyVault/vaults", "vaultName", "2024-11-01"),
    _in_group("managedidentity:UserAssignedIdentity", "Microsoft.ManagedIdentity/userAssignedIdentities",
              "resourceName", "2023-01-31"),
    _in_group("monitor:ActionGroup", "Microsoft.Insights/actionGroups", "actionGroupName", "2023-01-01"),
    _in_group("monitor:MetricAlert", "Microsoft.Insights/metricAlerts", "ruleName", "2018-03-01"),
    _in_group("operationalinsights:Workspace", "Microsoft.OperationalInsights/workspaces", "workspaceName",
              "2023-09-01"),
    _in_group("operationalinsights:Table", "Microsoft.OperationalInsights/workspaces/tables", "workspaceName tableName",
              "2023-09-01", tagged=False),
    _in_group("monitor:DataCollectionEndpoint", "Microsoft.Insights/dataCollectionEndpoints",
              "dataCollectionEndpointName", "2022-06-01"),
    _in_group("monitor:DataCollectionRule", "Microsoft.Insights/dataCollectionRules", "dataCollectionRuleName",
              "2022-06-01"),
    _in_group("applicationinsights:Component", "Microsoft.Insights/components", "resourceName", "2020-02-02"),
    _in_group("web:AppServicePlan", "Microsoft.Web/serverfarms", "name", "2023-12-01"),
    _in_group("web:WebApp", _SITE, "name", "2023-12-01"),
    _in_group("web:WebAppScmAllowed", _POLICIES, "name =scm", "2023-12-01", tagged=False),
    _in_group("web:WebAppFtpAllowed", _POLICIES, "name =ftp", "2023-12-01", tagged=False),
    _scoped("authorization:RoleAssignment", "Microsoft.Authorization/roleAssignments", "roleAssignmentName",
            "2022-04-01"),
    _scoped("authorization:RoleDefinition", "Microsoft.Authorization/roleDefinitions", "roleDefinitionId",
            "2022-04-01"),
    _scoped("consumption:Budget", "Microsoft.Consumption/budgets", "budgetName", "2023-05-01"),
)  # fmt: skip
BY_TOKEN: Final = {row.token: row for row in TABLE}
BY_TYPE: Final = {row.type.lower(): row for row in TABLE if row.tagged}
TAGGED: Final = frozenset({GROUP, ZONE, PROFILE, *(row.token for row in TABLE if row.tagged)})
PARTS: Final = frozenset(row.token for row in TABLE if not row.tagged and not row.scoped)
"""What lies in a resource that carries tags, and has none."""


def arm_key(id: str) -> str:
    """An id without its subscription, as ids are compared: ARM minds no case.
    https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules"""
    return id.lower().partition("/resourcegroups/")[2] if "/resourcegroups/" in id.lower() else id.lower()


def _leaf(value: str) -> str:
    """The name at the end of an id: what names a parent may be known as that parent's id alone."""
    return value.rpartition("/")[2]


def _named(row: ArmType) -> Key:
    """`GROUP/providers/microsoft.network/virtualnetworks/vnet` of properties, None while a part is not known."""

    def key(values: Properties) -> str | None:
        names = {name: text(values, name) for name in row.names if not name.startswith("=")}
        where = text(values, "scope" if row.scoped else "resourceGroupName")
        if where is None or None in names.values():
            return None
        base = arm_key(where) if row.scoped else _leaf(where).lower()
        return base + row.path({name: _leaf(value) for name, value in names.items() if value}).lower()

    return key


def _network(kind: str, *names: str) -> Key:
    """Likewise of what Traffic Manager and DNS have, whose kinds are inputs, too: `{}` stands for each of `names`."""

    def key(values: Properties) -> str | None:
        parts = [text(values, name) for name in ("resourceGroupName", *names)]
        if None in parts:
            return None
        group, *rest = parts
        return f"{group}/providers/microsoft.network/{kind.format(*rest)}".lower()

    return key


def _group(values: Properties) -> str | None:
    name = text(values, "resourceGroupName")
    return name.lower() if name else None


RULES: Final = Rules(
    keys={
        GROUP: _group,
        ZONE: _network("dnszones/{}", "zoneName"),
        RECORD_SET: _network("dnszones/{}/{}/{}", "zoneName", "recordType", "relativeRecordSetName"),
        PROFILE: _network("trafficmanagerprofiles/{}", "profileName"),
        ENDPOINT: _network("trafficmanagerprofiles/{}/{}/{}", "profileName", "endpointType", "endpointName"),
        **{row.token: _named(row) for row in TABLE},
    },
    # An endpoint names the profile below: that one is refused to be deleted before.
    own_delete=frozenset({ENDPOINT}),
    exclusive=frozenset({ENDPOINT}),
    copied=frozenset({"resourceGroupName"}),
    id_key=arm_key,
    known=frozenset({GROUP, ZONE, RECORD_SET, PROFILE, ENDPOINT, *BY_TOKEN}),
)


class Places:
    """The ids of what a plan makes, known before anything exists: every name is fixed, and a name or scope that is not
    known yet is that of a resource which the plan or the state has."""

    def __init__(self, scope: Scope, subscription: str) -> None:
        self._subscription, self._ids = subscription, scope.ids
        self._plan = {item.urn: item for item in scope.planned}
        self._found: dict[str, str | None] = {}

    def of(self, item: Planned) -> str | None:
        """The id, None when a part of it cannot be known."""
        if item.urn not in self._found:
            self._found[item.urn] = None  # what leads back to itself leads nowhere
            self._found[item.urn] = self._made(item)
        return self._found[item.urn]

    def _made(self, item: Planned) -> str | None:
        if item.token == GROUP:
            name = text(item.inputs, "resourceGroupName")
            return f"/subscriptions/{self._subscription}/resourceGroups/{name}" if name else None
        row = BY_TOKEN.get(item.token)
        if row is None:
            return None
        names = {name: self._value(item, name) for name in row.names if not name.startswith("=")}
        where = self._value(item, "scope" if row.scoped else "resourceGroupName")
        if where is None or None in names.values():
            return None
        if not row.scoped:
            where = f"/subscriptions/{self._subscription}/resourceGroups/{_leaf(where)}"
        return where + row.path({name: _leaf(value) for name, value in names.items() if value})

    def _value(self, item: Planned, name: str) -> str | None:
        known = text(item.inputs, name)
        if known is not None:
            return known
        for urn in item.dependencies.get(name, ()):
            target = self._plan.get(urn)
            if name == "resourceGroupName" and target is not None and target.token != GROUP:
                continue
            found = self.of(target) if target is not None else self._ids.get(urn)
            if found:
                return found
        return None
