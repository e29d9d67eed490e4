"""Charges of Azure resources (azure-native)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, Final, Literal

from cost.money import HOURS_PER_MONTH
from cost.plan import functions
from cost.plan.charges import (
    Charge,
    Charged,
    Context,
    Count,
    Found,
    Free,
    Gap,
    Machines,
    Rule,
    Use,
    always,
    free,
    hourly,
    monthly,
    number,
)
from cost.plan.preview import Resource

SET: Final = "azure-native:compute:VirtualMachineScaleSet"
APP: Final = "azure-native:web:WebApp"
PREMIUM_GIB: Final = (4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_767)
PREMIUM_NAMES: Final = ("P1", "P2", "P3", "P4", "P6", "P10", "P15", "P20", "P30", "P40", "P50", "P60", "P70", "P80")
"""Sizes of Premium SSD, each billed up to its next (https://learn.microsoft.com/azure/virtual-machines/disks-types,
premium SSD size)."""
PREMIUM_V2_IOPS: Final = 3_000
PREMIUM_V2_MBPS: Final = 125
"""What Premium SSD v2 has without paying for it (same page, premium SSD v2 performance)."""
LB_RULES: Final = 5
"""Rules in the first price of a standard load balancer (https://azure.microsoft.com/pricing/details/load-balancer/)."""

_ENTRA = free("https://learn.microsoft.com/azure/role-based-access-control/overview: no charge for role assignments")
_NETWORK = free("https://azure.microsoft.com/pricing/details/virtual-network/: no charge for virtual networks")
_MONITOR = free("https://azure.microsoft.com/pricing/details/monitor/: charged by what is taken in")
_STORAGE = free("https://azure.microsoft.com/pricing/details/storage/blobs/: charged by what is stored")
_WEB = free("https://azure.microsoft.com/pricing/details/functions/: charged by what is run")


def scale_set(resource: Resource, context: Context) -> Found:
    """A scale set: its nodes and their disks."""
    priority = resource.get("virtualMachineProfile", "priority")
    market: Literal["spot", "on-demand"] = "spot" if priority in ("Spot", "Low") else "on-demand"
    settings = functions.first(functions.named(app.get("siteConfig", "appSettings")) for app in context.side.of(APP))
    alone = resource.get("sku", "capacity")
    count = functions.count(settings, market, alone if alone else functions.target_of(context))
    if isinstance(count, Gap):
        return [count]
    size = resource.get("sku", "name")
    if not isinstance(size, str):
        return [Gap("nodes", "the plan does not say of which size")]
    zones = resource.get("zones")
    named = tuple(map(str, zones)) if isinstance(zones, list) else ()
    return [Machines(market, (size,), named, count, True), *_disks(resource, count)]


def _disks(resource: Resource, count: Count) -> list[Charged]:
    told = resource.get("virtualMachineProfile", "storageProfile")
    profile = told if isinstance(told, Mapping) else {}
    rows: list[tuple[str, Any]] = [("system disk", profile.get("osDisk"))]
    data = profile.get("dataDisks")
    disks = data if isinstance(data, list) else []
    rows += [(f"data disk {row.get('lun', 0)}", row) for row in disks if isinstance(row, dict)]
    found: list[Charged] = []
    for name, row in rows:
        if isinstance(row, Mapping):
            found += _disk(name, row, count)
    return found


def _disk(name: str, row: Mapping[str, Any], count: Count) -> list[Charged]:
    if row.get("diffDiskSettings"):
        return []  # on the machine's own disk, in its price
    disk = row.get("managedDisk")
    kind = disk.get("storageAccountType") if isinstance(disk, Mapping) else None
    size = number(row.get("diskSizeGB"), name)
    if isinstance(size, Gap):
        return [size]
    each = "for each node"
    if kind == "PremiumV2_LRS":
        found = [Charge(f"{name}, Premium SSD v2", "disk.premium-v2.storage", count.times(size * HOURS_PER_MONTH),
                        quantity=f"{size} GiB {each}")]  # fmt: skip
        for key, sku, own in (
            ("diskIOPSReadWrite", "iops", PREMIUM_V2_IOPS), ("diskMBpsReadWrite", "throughput", PREMIUM_V2_MBPS),
        ):  # fmt: skip
            value = number(row.get(key, own), name)
            if isinstance(value, Gap):
                return [*found, value]
            if (more := value - own) > 0:
                found.append(Charge(f"{name}, {sku}", f"disk.premium-v2.{sku}", count.times(more * HOURS_PER_MONTH),
                                    quantity=f"{more:,} above {own:,} {each}"))  # fmt: skip
        return list(found)
    if kind in ("Premium_LRS", "Premium_ZRS"):
        if size > PREMIUM_GIB[-1]:
            return [Gap(name, f"{size} GiB; the largest Premium SSD has {PREMIUM_GIB[-1]:,}")]
        tier = PREMIUM_NAMES[bisect_left(PREMIUM_GIB, size)]
        sku = f"disk.premium.{tier}" + (".zrs" if kind.endswith("ZRS") else "")
        return [Charge(f"{name}, Premium SSD {tier}", sku, count, quantity=f"{size} GiB {each}")]
    return [Gap(name, f"disks of type {kind} are not priced here; Spillway makes Premium SSD and Premium SSD v2")]


def balancer(resource: Resource, context: Context) -> Found:
    rules = resource.get("loadBalancingRules")
    count = len(rules) if isinstance(rules, list) else 0
    found: list[Charged] = []
    if count:
        found.append(hourly("load balancer, up to five rules", "lb.standard.rule"))
    if count > LB_RULES:
        found.append(hourly("load balancer, more rules", "lb.standard.rule-additional", count - LB_RULES))
    return [
        *found,
        Use("load balancer, traffic", "lb.standard.data", "balancerGb"),
        Use("traffic to the internet", "egress.internet", "egressGb"),
    ]


def address(resource: Resource, context: Context) -> Found:
    name = resource.get("sku", "name")
    if name != "Standard":
        return [Gap("public address", f"of SKU {name}, which is not priced here; Spillway makes Standard ones")]
    return [hourly("public IPv4 address", "ip.standard.hour")]


def alert(resource: Resource, context: Context) -> Found:
    """Each time series that an alert rule looks at is charged."""
    criteria = resource.get("criteria", "allOf")
    return [monthly("metric alert", "monitor.alert.metric", len(criteria) if isinstance(criteria, list) else 1)]


def account(resource: Resource, context: Context) -> Found:
    kind = resource.get("sku", "name")
    redundancy = {"Standard_LRS": ""}.get(str(kind), f"-{str(kind).rpartition('_')[2].lower()}")
    return [Use("blobs", f"blob.hot.storage{redundancy}", "modelGib"), Use("reads of blobs", "blob.read", "modelReads")]


def plan(resource: Resource, context: Context) -> Found:
    name = resource.get("sku", "name")
    if name in ("FC1", "Y1"):
        return Free(
            "https://azure.microsoft.com/pricing/details/functions/: Flex Consumption is charged by what is run"
        )
    return [Gap("App Service plan", f"of SKU {name}, which is not priced here; Spillway makes FC1")]


def endpoint(resource: Resource, context: Context) -> Found:
    """An endpoint of Traffic Manager; nested ones are not probed and not charged for."""
    if resource.get("targetResourceId") or "nestedEndpoints" in str(resource.get("type") or ""):
        return Free("https://azure.microsoft.com/pricing/details/traffic-manager/: health checks are charged by"
                    " monitored endpoint; nested profiles monitor theirs")  # fmt: skip
    profile = resource.get("profileName")
    fast = any(
        one.get("profileName") == profile and one.get("monitorConfig", "intervalInSeconds") == 10
        for one in context.side.of("azure-native:trafficmanager:Profile")
    )
    found = [monthly("health check of an endpoint", "trafficmanager.check.external", region="*")]
    if fast:
        found.append(monthly("fast health check", "trafficmanager.check.external.fast", region="*"))
    return found


RULES: Final[Mapping[str, Rule]] = {
    SET: scale_set,
    APP: always(
        Use("runs of the function", "functions.flex.execution", "functionRuns"),
        Use("memory of the function", "functions.flex.memory", "functionGibSeconds"),
    ),
    "azure-native:web:AppServicePlan": plan,
    "azure-native:web:WebAppFtpAllowed": _WEB,
    "azure-native:web:WebAppScmAllowed": _WEB,
    "azure-native:network:LoadBalancer": balancer,
    "azure-native:network:PublicIPAddress": address,
    "azure-native:network:NatGateway": always(
        hourly("NAT gateway", "nat.hour"), Use("NAT gateway, data", "nat.data", "natGb")
    ),
    "azure-native:network:NetworkSecurityGroup": _NETWORK,
    "azure-native:network:Subnet": _NETWORK,
    "azure-native:network:VirtualNetwork": _NETWORK,
    "azure-native:keyvault:Vault": always(Use("reads of secrets", "vault.operations", "secretReads")),
    "azure-native:keyvault:Secret": free("https://azure.microsoft.com/pricing/details/key-vault/: by the operation"),
    "azure-native:storage:StorageAccount": account,
    "azure-native:storage:BlobContainer": _STORAGE,
    "azure-native:storage:BlobServiceProperties": _STORAGE,
    "azure-native:storage:ManagementPolicy": _STORAGE,
    "azure-native:monitor:MetricAlert": alert,
    "azure-native:monitor:ActionGroup": free(
        "https://azure.microsoft.com/pricing/details/monitor/: 1,000 mails a month are not charged"
    ),
    "azure-native:monitor:DataCollectionEndpoint": _MONITOR,
    "azure-native:monitor:DataCollectionRule": _MONITOR,
    "azure-native:operationalinsights:Workspace": always(
        Use("logs, taken in", "monitor.logs.ingest", "logsGb"),
        Use("logs, kept", "monitor.logs.retention", "logsKeptGib"),
    ),
    "azure-native:operationalinsights:Table": _MONITOR,
    "azure-native:applicationinsights:Component": _MONITOR,
    "azure-native:authorization:RoleAssignment": _ENTRA,
    "azure-native:authorization:RoleDefinition": _ENTRA,
    "azure-native:managedidentity:UserAssignedIdentity": _ENTRA,
    "azure-native:managedidentity:FederatedIdentityCredential": _ENTRA,
    "azure-native:consumption:Budget": free("https://learn.microsoft.com/azure/cost-management-billing/costs/overview:"
                                            " no charge for Azure's own costs"),
    "azure-native:resources:ResourceGroup": free("https://learn.microsoft.com/azure/azure-resource-manager/management/"
                                                 "overview: no charge"),
    "azure-native:trafficmanager:Profile": always(
        Use("DNS queries", "trafficmanager.queries", "dnsQueries", region="*")
    ),
    "azure-native:trafficmanager:Endpoint": endpoint,
    "azure-native:dns:Zone": always(
        monthly("DNS zone", "dns.zone", region="*"), Use("DNS queries", "dns.queries", "dnsQueries", region="*")
    ),
    "azure-native:dns:RecordSet": free("https://azure.microsoft.com/pricing/details/dns/: charged by zone and query"),
}  # fmt: skip
"""By type. What is missing here is listed as unknown, never taken for free."""
