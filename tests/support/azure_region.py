"""A region of a stand-in Azure in memory: the inputs of a region's resources, as a stack of this project asks for
them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from sandbox.azure_native import AZURE_NATIVE, tokens
from sandbox.azure_native.regional import TENANT
from sandbox.kinds import Resource
from tests.support.azure import SUBSCRIPTION
from tests.support.memory_cloud import MemoryCloud

GROUP = "spillway-azure-westus2"
LOCATION = "westus2"
SIZE = "Standard_ND96asr_v4"
"""In westus2, the data has it in zone 3 alone."""
ROOT = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers"
NETWORK_ID = f"{ROOT}/Microsoft.Network/virtualNetworks/net"
SUBNET_ID = f"{NETWORK_ID}/subnets/nodes"
ADDRESS_ID = f"{ROOT}/Microsoft.Network/publicIPAddresses/lb"
NAT_ADDRESS_ID = f"{ROOT}/Microsoft.Network/publicIPAddresses/nat"
NAT_ID = f"{ROOT}/Microsoft.Network/natGateways/nat"
NSG_ID = f"{ROOT}/Microsoft.Network/networkSecurityGroups/nodes"
BALANCER_ID = f"{ROOT}/Microsoft.Network/loadBalancers/lb"
IDENTITY_ID = f"{ROOT}/Microsoft.ManagedIdentity/userAssignedIdentities/node"
GALLERY = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/spillway-images/providers/Microsoft.Compute/galleries/spillway"
IMAGE_ID = f"{GALLERY}/images/spillway-vllm/versions/2026.11.1"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA nobody"


def inputs(**own: Any) -> dict[str, Any]:
    return {"resourceGroupName": GROUP, **own}


def network(**more: Any) -> dict[str, Any]:
    return inputs(
        virtualNetworkName="net", location=LOCATION, addressSpace={"addressPrefixes": ["10.40.0.0/16"]}, **more
    )


def subnet(**more: Any) -> dict[str, Any]:
    return inputs(
        **{
            "virtualNetworkName": "net",
            "subnetName": "nodes",
            "addressPrefix": "10.40.0.0/20",
            "natGateway": {"id": NAT_ID},
            "networkSecurityGroup": {"id": NSG_ID},
            "defaultOutboundAccess": False,
            "serviceEndpoints": [{"service": "Microsoft.Storage"}, {"service": "Microsoft.KeyVault"}],
            **more,
        }
    )


def rule(name: str = "clients", priority: int = 100, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "priority": priority,
        "direction": "Inbound",
        "access": "Allow",
        "protocol": "Tcp",
        "sourceAddressPrefixes": ["203.0.113.0/24"],
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "443",
        **more,
    }


def security_group(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return inputs(networkSecurityGroupName="nodes", location=LOCATION, securityRules=list(rules) or [rule()], **more)


def address(name: str = "lb", **more: Any) -> dict[str, Any]:
    return inputs(
        **{
            "publicIpAddressName": name,
            "location": LOCATION,
            "sku": {"name": "Standard"},
            "publicIPAllocationMethod": "Static",
            "zones": ["1", "2", "3"],
            **more,
        }
    )


def nat(**more: Any) -> dict[str, Any]:
    return inputs(
        **{
            "natGatewayName": "nat",
            "location": LOCATION,
            "sku": {"name": "Standard"},
            "publicIpAddresses": [{"id": NAT_ADDRESS_ID}],
            "idleTimeoutInMinutes": 10,
            **more,
        }
    )


PROBE = {
    "name": "readyz",
    "protocol": "Https",
    "port": 443,
    "requestPath": "/readyz",
    "intervalInSeconds": 5,
    "probeThreshold": 2,
}
LB_RULE: dict[str, Any] = {
    "name": "https",
    "protocol": "Tcp",
    "frontendPort": 443,
    "backendPort": 443,
    "idleTimeoutInMinutes": 30,
    "enableTcpReset": True,
    "disableOutboundSnat": True,
    "frontendIPConfiguration": {"id": f"{BALANCER_ID}/frontendIPConfigurations/public"},
    "backendAddressPool": {"id": f"{BALANCER_ID}/backendAddressPools/nodes"},
    "probe": {"id": f"{BALANCER_ID}/probes/readyz"},
}


def balancer(**more: Any) -> dict[str, Any]:
    return inputs(
        **{
            "loadBalancerName": "lb",
            "location": LOCATION,
            "sku": {"name": "Standard"},
            "frontendIPConfigurations": [{"name": "public", "publicIPAddress": {"id": ADDRESS_ID}}],
            "backendAddressPools": [{"name": "nodes"}],
            "probes": [PROBE],
            "loadBalancingRules": [LB_RULE],
            **more,
        }
    )


HEALTH = {
    "name": "health",
    "publisher": "Microsoft.ManagedServices",
    "type": "ApplicationHealthLinux",
    "typeHandlerVersion": "2.0",
    "autoUpgradeMinorVersion": True,
    "settings": {
        "protocol": "https",
        "port": 443,
        "requestPath": "/livez",
        "intervalInSeconds": 10,
        "gracePeriod": 5400,
    },
}


def machine(**more: Any) -> dict[str, Any]:
    """The `virtualMachineProfile` of a pool of spot machines."""
    return {
        "priority": "Spot",
        "evictionPolicy": "Delete",
        "billingProfile": {"maxPrice": -1},
        "storageProfile": {
            "imageReference": {"id": IMAGE_ID},
            "osDisk": {
                "createOption": "FromImage",
                "caching": "ReadOnly",
                "diskSizeGB": 128,
                "managedDisk": {"storageAccountType": "Premium_LRS"},
            },
            "dataDisks": [
                {
                    "lun": 0,
                    "createOption": "Empty",
                    "diskSizeGB": 1024,
                    "managedDisk": {"storageAccountType": "PremiumV2_LRS"},
                    "diskIOPSReadWrite": 16000,
                    "diskMBpsReadWrite": 800,
                }
            ],
        },
        "osProfile": {
            "computerNamePrefix": "spillway-spot-",
            "adminUsername": "spillway",
            "linuxConfiguration": {
                "disablePasswordAuthentication": True,
                "ssh": {"publicKeys": [{"path": "/home/spillway/.ssh/authorized_keys", "keyData": KEY}]},
            },
        },
        "userData": base64.b64encode(b"#cloud-config").decode(),
        "networkProfile": {
            "networkInterfaceConfigurations": [
                {
                    "name": "nic",
                    "primary": True,
                    "enableAcceleratedNetworking": True,
                    "ipConfigurations": [
                        {
                            "name": "ip",
                            "subnet": {"id": SUBNET_ID},
                            "loadBalancerBackendAddressPools": [{"id": f"{BALANCER_ID}/backendAddressPools/nodes"}],
                        }
                    ],
                }
            ]
        },
        "extensionProfile": {"extensions": [HEALTH]},
        "scheduledEventsProfile": {"terminateNotificationProfile": {"enable": True, "notBeforeTimeout": "PT5M"}},
        **more,
    }


def scale_set(name: str = "spot", **more: Any) -> dict[str, Any]:
    return inputs(
        **{
            "vmScaleSetName": name,
            "location": LOCATION,
            "orchestrationMode": "Uniform",
            "sku": {"name": SIZE, "tier": "Standard", "capacity": 0},
            "zones": ["3"],
            "platformFaultDomainCount": 1,
            "singlePlacementGroup": False,
            "overprovision": False,
            "upgradePolicy": {"mode": "Manual"},
            "automaticRepairsPolicy": {"enabled": True, "gracePeriod": "PT90M", "repairAction": "Replace"},
            "identity": {"type": "UserAssigned", "userAssignedIdentities": [IDENTITY_ID]},
            "virtualMachineProfile": machine(),
            **more,
        }
    )


REGULAR = {
    key: value for key, value in machine().items() if key not in ("priority", "evictionPolicy", "billingProfile")
}


def account(**more: Any) -> dict[str, Any]:
    return inputs(
        **{
            "accountName": "spillwaymodelswestus2",
            "location": LOCATION,
            "kind": "StorageV2",
            "sku": {"name": "Standard_ZRS"},
            "allowBlobPublicAccess": False,
            "allowSharedKeyAccess": False,
            "minimumTlsVersion": "TLS1_2",
            "networkRuleSet": {
                "defaultAction": "Deny",
                "bypass": "AzureServices",
                "ipRules": [{"iPAddressOrRange": "203.0.113.0/24"}],
                "virtualNetworkRules": [{"virtualNetworkResourceId": SUBNET_ID}],
            },
            **more,
        }
    )


def vault(**more: Any) -> dict[str, Any]:
    properties = {
        "tenantId": TENANT,
        "sku": {"family": "A", "name": "standard"},
        "enableRbacAuthorization": True,
        "softDeleteRetentionInDays": 7,
        "publicNetworkAccess": "Enabled",
        **more,
    }
    return inputs(
        vaultName="spillway-westus2",
        location=LOCATION,
        properties={key: value for key, value in properties.items() if value is not None},
    )


class Region(MemoryCloud):
    """`Region()` has everything up to the scale sets; `Region(empty=True)` its group alone."""

    def __init__(self, *, empty: bool = False) -> None:
        super().__init__("global", SUBSCRIPTION, AZURE_NATIVE)
        self.group = self.create(tokens.RESOURCE_GROUP, resourceGroupName=GROUP, location=LOCATION)
        if empty:
            return
        self.network = self.create(tokens.VIRTUAL_NETWORK, **network())
        self.security_group = self.create(tokens.SECURITY_GROUP, **security_group())
        self.nat_address = self.create(tokens.PUBLIC_ADDRESS, **address("nat"))
        self.nat = self.create(tokens.NAT_GATEWAY, **nat())
        self.subnet = self.create(tokens.SUBNET, **subnet())
        self.address = self.create(tokens.PUBLIC_ADDRESS, **address())
        self.balancer = self.create(tokens.LOAD_BALANCER, **balancer())
        self.identity = self.create(tokens.IDENTITY, **inputs(resourceName="node", location=LOCATION))

    def scale_set(self, name: str = "spot", **more: Any) -> Resource:
        return self.create(tokens.SCALE_SET, **scale_set(name, **more))


ROLE = "/providers/Microsoft.Authorization/roleDefinitions/"
READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
"""Storage Blob Data Reader."""
OPERATOR = "5f9a2b1c-3d4e-4f60-8a7b-9c0d1e2f3a4b"
"""A role of the stack's own."""
LIFECYCLE = {
    "name": "old-revisions",
    "type": "Lifecycle",
    "definition": {
        "filters": {"blobTypes": ["blockBlob"], "prefixMatch": ["models/"]},
        "actions": {
            "baseBlob": {"tierToCool": {"daysAfterModificationGreaterThan": 90}},
            "version": {"delete": {"daysAfterCreationGreaterThan": 30}},
        },
    },
}


def blob_service(**more: Any) -> dict[str, Any]:
    return inputs(
        accountName=account()["accountName"],
        blobServicesName="default",
        isVersioningEnabled=True,
        deleteRetentionPolicy={"enabled": True, "days": 7},
        **more,
    )


def assignment(scope: str, principal: str, role: str = READER, **more: Any) -> dict[str, Any]:
    return {
        "scope": scope,
        "principalId": principal,
        "principalType": "ServicePrincipal",
        "roleDefinitionId": f"/subscriptions/{SUBSCRIPTION}{ROLE}{role}",
        "roleAssignmentName": "6f0c0b2e-2f4d-5c53-9a8a-2b1f6c7d8e90",
        **more,
    }


def role_definition(**more: Any) -> dict[str, Any]:
    return {
        "scope": ROOT.removesuffix("/providers"),
        "roleDefinitionId": OPERATOR,
        "roleName": "spillway-azure-westus2-fallback",
        "roleType": "CustomRole",
        "assignableScopes": [ROOT.removesuffix("/providers")],
        "permissions": [
            {
                "actions": [
                    "Microsoft.Compute/virtualMachineScaleSets/read",
                    "Microsoft.Compute/virtualMachineScaleSets/write",
                    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read",
                ]
            }
        ],
        **more,
    }


PLAN_ID = f"{ROOT}/Microsoft.Web/serverfarms/fallback"
APP_ID = f"{ROOT}/Microsoft.Web/sites/spillway-westus2"
ACTIONS_ID = f"{ROOT}/Microsoft.Insights/actionGroups/people"
SCALE_SET_ID = f"{ROOT}/Microsoft.Compute/virtualMachineScaleSets/spot"


def plan(**more: Any) -> dict[str, Any]:
    sku = {"name": "FC1", "tier": "FlexConsumption"}
    return inputs(name="fallback", location=LOCATION, kind="functionapp", reserved=True, **{"sku": sku, **more})


def function_app(**more: Any) -> dict[str, Any]:
    return inputs(
        **{
            "name": "spillway-westus2",
            "location": LOCATION,
            "kind": "functionapp,linux",
            "serverFarmId": PLAN_ID,
            "httpsOnly": True,
            "identity": {"type": "UserAssigned", "userAssignedIdentities": [IDENTITY_ID]},
            "functionAppConfig": {
                "deployment": {
                    "storage": {
                        "type": "blobContainer",
                        "value": f"https://{account()['accountName']}.blob.core.windows.net/code",
                        "authentication": {
                            "type": "UserAssignedIdentity",
                            "userAssignedIdentityResourceId": IDENTITY_ID,
                        },
                    }
                },
                "runtime": {"name": "python", "version": "3.11"},
                "scaleAndConcurrency": {"instanceMemoryMB": 2048, "maximumInstanceCount": 40},
            },
            "siteConfig": {
                "minTlsVersion": "1.2",
                "appSettings": [{"name": "AzureWebJobsStorage__accountName", "value": account()["accountName"]}],
            },
            **more,
        }
    )


def workspace(**more: Any) -> dict[str, Any]:
    return inputs(
        **{
            "workspaceName": "spillway-westus2",
            "location": LOCATION,
            "sku": {"name": "PerGB2018"},
            "retentionInDays": 30,
            "workspaceCapping": {"dailyQuotaGb": 1},
            **more,
        }
    )


WORKSPACE_ID = f"{ROOT}/Microsoft.OperationalInsights/workspaces/spillway-westus2"
TABLE_NAME = "SpillwayNodes_CL"


def table(**more: Any) -> dict[str, Any]:
    columns = [{"name": "TimeGenerated", "type": "dateTime"}, {"name": "status", "type": "real"}]
    return inputs(
        **{
            "workspaceName": "spillway-westus2",
            "tableName": TABLE_NAME,
            "plan": "Analytics",
            "retentionInDays": 30,
            "totalRetentionInDays": 90,
            "schema": {"name": TABLE_NAME, "columns": columns},
            **more,
        }
    )


def collection_endpoint(**more: Any) -> dict[str, Any]:
    return inputs(
        **{
            "dataCollectionEndpointName": "nodes",
            "location": LOCATION,
            "networkAcls": {"publicNetworkAccess": "Enabled"},
            **more,
        }
    )


def collection_rule(**more: Any) -> dict[str, Any]:
    stream = f"Custom-{TABLE_NAME}"
    columns = [{"name": "TimeGenerated", "type": "datetime"}, {"name": "status", "type": "real"}]
    return inputs(
        **{
            "dataCollectionRuleName": "nodes",
            "location": LOCATION,
            "dataCollectionEndpointId": f"{ROOT}/Microsoft.Insights/dataCollectionEndpoints/nodes",
            "streamDeclarations": {stream: {"columns": columns}},
            "destinations": {"logAnalytics": [{"name": "nodes", "workspaceResourceId": WORKSPACE_ID}]},
            "dataFlows": [
                {"streams": [stream], "destinations": ["nodes"], "transformKql": "source", "outputStream": stream}
            ],
            **more,
        }
    )


def component(**more: Any) -> dict[str, Any]:
    return inputs(
        **{
            "resourceName": "fallback",
            "location": LOCATION,
            "kind": "web",
            "applicationType": "web",
            "workspaceResourceId": f"{ROOT}/Microsoft.OperationalInsights/workspaces/spillway-westus2",
            **more,
        }
    )


def action_group(**more: Any) -> dict[str, Any]:
    return inputs(
        **{
            "actionGroupName": "people",
            "groupShortName": "spillway",
            "location": "global",
            "enabled": True,
            "emailReceivers": [{"name": "on-call", "emailAddress": "on-call@example.com"}],
            **more,
        }
    )


def alert(**more: Any) -> dict[str, Any]:
    criterion = {
        "criterionType": "StaticThresholdCriterion",
        "name": "gap",
        "metricNamespace": "Spillway",
        "metricName": "Gap",
        "operator": "GreaterThan",
        "threshold": 0,
        "timeAggregation": "Maximum",
        "skipMetricValidation": True,
    }
    return inputs(
        **{
            "ruleName": "gap",
            "location": "global",
            "enabled": True,
            "severity": 1,
            "scopes": [SCALE_SET_ID],
            "evaluationFrequency": "PT1M",
            "windowSize": "PT5M",
            "criteria": {
                "odataType": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                "allOf": [criterion],
            },
            "actions": [{"actionGroupId": ACTIONS_ID}],
            **more,
        }
    )


def budget(**more: Any) -> dict[str, Any]:
    return {
        "scope": ROOT.removesuffix("/providers"),
        "budgetName": "spillway-azure-westus2",
        "amount": 1000,
        "category": "Cost",
        "timeGrain": "Monthly",
        "timePeriod": {"startDate": f"{datetime.now(UTC):%Y-%m}-01T00:00:00Z"},
        "notifications": {
            "forecast": {
                "enabled": True,
                "operator": "GreaterThan",
                "threshold": 100,
                "thresholdType": "Forecasted",
                "contactEmails": ["finance@example.com"],
                "contactGroups": [ACTIONS_ID],
            }
        },
        "filter": {"tags": {"name": "spillway-stack", "operator": "In", "values": ["azure-westus2"]}},
        **more,
    }


def whole() -> Region:
    """A region with one of everything."""
    cloud = Region()
    cloud.scale_set()
    made = cloud.create(tokens.STORAGE_ACCOUNT, **account(allowSharedKeyAccess=True))
    name = made["name"]
    cloud.create(tokens.BLOB_SERVICE, **blob_service())
    container = cloud.create(tokens.CONTAINER, **inputs(accountName=name, containerName="models"))
    cloud.create(tokens.BLOB, **inputs(accountName=name, containerName="models", blobName="manifest.json"))
    cloud.create(
        tokens.MANAGEMENT_POLICY,
        **inputs(accountName=name, managementPolicyName="default", policy={"rules": [LIFECYCLE]}),
    )
    kept = cloud.create(tokens.VAULT, **vault())
    cloud.create(tokens.SECRET, **inputs(vaultName=kept["name"], secretName="api-keys", properties={"value": "[]"}))
    cloud.create(
        tokens.FEDERATED_CREDENTIAL,
        **inputs(
            resourceName="node",
            federatedIdentityCredentialResourceName="pipelines",
            issuer="https://token.actions.githubusercontent.com",
            subject="repo:a/b:pull_request",
            audiences=["api://AzureADTokenExchange"],
        ),
    )
    cloud.create(tokens.ROLE_DEFINITION, **role_definition())
    cloud.create(tokens.ROLE_ASSIGNMENT, **assignment(container.id, cloud.identity["principalId"]))
    cloud.create(tokens.CONTAINER, **inputs(accountName=name, containerName="code"))
    cloud.create(tokens.PLAN, **plan())
    app = cloud.create(tokens.WEB_APP, **function_app())
    for policy in (tokens.SCM_ALLOWED, tokens.FTP_ALLOWED):
        cloud.create(policy, **inputs(name=app["name"], allow=False))
    cloud.create(tokens.WORKSPACE, **workspace())
    cloud.create(tokens.TABLE, **table())
    cloud.create(tokens.COLLECTION_ENDPOINT, **collection_endpoint())
    cloud.create(tokens.COLLECTION_RULE, **collection_rule())
    cloud.create(tokens.COMPONENT, **component())
    cloud.create(tokens.ACTION_GROUP, **action_group())
    cloud.create(tokens.METRIC_ALERT, **alert())
    cloud.create(tokens.BUDGET, **budget())
    return cloud


def without(values: dict[str, Any], path: str) -> dict[str, Any]:
    """A copy without what the dotted path leads to; a number is a place in a list."""
    left: dict[str, Any] = put(values, path, None)
    return left


def put(values: Any, path: str, new: Any) -> Any:
    """A copy with another value at the dotted path; None takes it away, a number is a place in a list."""
    head, _, rest = path.partition(".")
    if isinstance(values, list):
        at = int(head)
        changed = list(values) if at < len(values) else [*values, {}]
        changed[at] = put(changed[at], rest, new) if rest else new
        return changed
    copy = dict(values)
    if rest:
        copy[head] = put(copy.get(head, {}), rest, new)
    elif new is None:
        copy.pop(head, None)
    else:
        copy[head] = new
    return copy
