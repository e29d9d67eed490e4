"""Charges of Google Cloud resources."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal

from cost.plan import functions
from cost.plan.charges import (
    Charge,
    Charged,
    Context,
    Count,
    Found,
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

GROUP: Final = "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager"
TEMPLATE: Final = "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate"
FUNCTION: Final = "gcp:cloudfunctionsv2/function:Function"
HYPERDISK_IOPS: Final = 3_000
HYPERDISK_MIBPS: Final = 140
"""What a Hyperdisk Balanced volume has without paying for it
(https://docs.cloud.google.com/compute/docs/disks/hyperdisks, baseline performance)."""

_IAM = free("https://cloud.google.com/iam/pricing: no charge")
_VPC = free("https://cloud.google.com/vpc/pricing: no charge for networks, subnetworks, routes and firewall rules")
_LOGGING = free("https://cloud.google.com/products/observability/pricing: charged by what is taken in")
_CHECKS = free("https://cloud.google.com/load-balancing/pricing: charged with the forwarding rule")


def group(resource: Resource, context: Context) -> Found:
    """A regional managed instance group: its nodes and their disks."""
    template = context.side.referred(resource, "versions", TEMPLATE) or _deployed(resource, context)
    if template is None:
        return [Gap("nodes", "the plan does not have the group's template")]
    spot = template.get("scheduling", "preemptible") is True
    market: Literal["spot", "on-demand"] = "spot" if spot else "on-demand"
    told = (one.get("serviceConfig", "environmentVariables") for one in context.side.of(FUNCTION))
    settings = functions.first(one if isinstance(one, dict) and functions.TARGET in one else None for one in told)
    alone = resource.get("targetSize")
    count = functions.count(settings, market, alone if alone else functions.target_of(context))
    if isinstance(count, Gap):
        return [count]
    types = _types(resource, template)
    if not types:
        return [Gap("nodes", "the plan does not say of which machine type")]
    zones = resource.get("distributionPolicyZones")
    named = tuple(map(str, zones)) if isinstance(zones, list) else ()
    disks = template.get("disks")
    return [
        Machines(market, types, named, count, market == "on-demand"),
        *_disks(disks if isinstance(disks, list) else [], count),
    ]


def _deployed(resource: Resource, context: Context) -> Resource | None:
    """The template of a group whose plan says its address, not where it comes from."""
    told = resource.get("versions", 0, "instanceTemplate")
    for one in context.side.of(TEMPLATE) if isinstance(told, str) else ():
        if told in (one.get("selfLink"), one.get("id"), one.get("selfLinkUnique")):
            return one
    return None


def _types(resource: Resource, template: Resource) -> tuple[str, ...]:
    """By rank, as the group takes them."""
    rows = resource.get("instanceFlexibilityPolicy", "instanceSelections")
    found: list[tuple[Decimal, str]] = []
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping):
            rank, types = number(row.get("rank", 0), "rank"), row.get("machineTypes")
            order = rank if isinstance(rank, Decimal) else Decimal(0)
            found += [(order, str(one)) for one in (types if isinstance(types, list) else ())]
    if not found and isinstance(one := template.get("machineType"), str):
        found = [(Decimal(0), one)]
    return tuple(dict.fromkeys(name for _, name in sorted(found, key=lambda pair: pair[0])))


def _disks(rows: list[Any], count: Count) -> list[Charged]:
    """Of the template's own machine type; the group's other types may have other disks. Local SSD of a GPU machine is
    in the machine's price (https://cloud.google.com/compute/gpus-pricing)."""
    found: list[Charged] = []
    for number_, row in enumerate(rows):
        if not isinstance(row, Mapping) or row.get("type") == "SCRATCH":
            continue
        name = "system disk" if row.get("boot") else f"data disk {row.get('deviceName', number_)}"
        kind = row.get("diskType")
        size = number(row.get("diskSizeGb"), name)
        if isinstance(size, Gap):
            found.append(size)
            continue
        each = f"{size} GiB for each node"
        if kind in ("pd-balanced", "pd-ssd", "pd-standard"):
            found.append(Charge(f"{name}, {kind}", kind.replace("-", ".", 1), count.times(size), quantity=each))
        elif kind == "hyperdisk-balanced":
            found.append(Charge(f"{name}, {kind}", "hyperdisk.balanced.storage", count.times(size), quantity=each))
            for key, sku, own in (
                ("provisionedIops", "iops", HYPERDISK_IOPS), ("provisionedThroughput", "throughput", HYPERDISK_MIBPS),
            ):  # fmt: skip
                value = number(row.get(key, own), name)
                if isinstance(value, Gap):
                    found.append(value)
                elif (more := value - own) > 0:
                    found.append(Charge(f"{name}, {sku}", f"hyperdisk.balanced.{sku}", count.times(more),
                                        quantity=f"{more:,} above {own:,} for each node"))  # fmt: skip
        else:
            found.append(
                Gap(name, f"disks of type {kind} are not priced here; Spillway makes pd-balanced and Hyperdisk")
            )
    return found


def address(resource: Resource, context: Context) -> Found:
    if resource.get("addressType") == "INTERNAL":
        return free("https://cloud.google.com/vpc/network-pricing: internal addresses are not charged")(
            resource, context
        )
    return [hourly("public IPv4 address", "ip.in-use.hour")]


RULES: Final[Mapping[str, Rule]] = {
    GROUP: group,
    TEMPLATE: free("https://docs.cloud.google.com/compute/docs/instance-templates: no charge for a template"),
    FUNCTION: always(
        Use("processors of the function", "run.vcpu", "functionVcpuSeconds"),
        Use("memory of the function", "run.memory", "functionGibSeconds"),
        Use("runs of the function", "run.requests", "functionRuns"),
    ),
    "gcp:cloudscheduler/job:Job": always(monthly("scheduled job", "scheduler.job", region="*")),
    "gcp:compute/address:Address": address,
    "gcp:compute/forwardingRule:ForwardingRule": always(
        hourly("forwarding rule", "lb.forwarding-rule.hour"),
        Use("load balancer, traffic", "lb.data", "balancerGb"),
        Use("traffic to the internet", "egress.internet", "egressGb"),
    ),
    "gcp:compute/regionBackendService:RegionBackendService": _CHECKS,
    "gcp:compute/healthCheck:HealthCheck": _CHECKS,
    "gcp:compute/regionHealthCheck:RegionHealthCheck": _CHECKS,
    "gcp:compute/firewall:Firewall": _VPC,
    "gcp:compute/network:Network": _VPC,
    "gcp:compute/subnetwork:Subnetwork": _VPC,
    "gcp:compute/router:Router": _VPC,
    "gcp:compute/route:Route": _VPC,
    "gcp:compute/routerNat:RouterNat": always(
        Use("NAT gateway, by node", "nat.gateway.hour", "natNodeHours"), Use("NAT gateway, data", "nat.data", "natGb")
    ),
    "gcp:storage/bucket:Bucket": always(
        Use("objects", "gcs.standard.storage", "modelGib"), Use("reads of objects", "gcs.class-b", "modelReads")
    ),
    "gcp:storage/bucketObject:BucketObject": free("https://cloud.google.com/storage/pricing: charged with the bucket"),
    "gcp:storage/bucketIAMMember:BucketIAMMember": _IAM,
    "gcp:secretmanager/secret:Secret": always(
        monthly("secret, one version", "secretmanager.version", region="*"),
        Use("reads of the secret", "secretmanager.access", "secretReads", region="*"),
    ),
    "gcp:secretmanager/secretIamMember:SecretIamMember": _IAM,
    "gcp:logging/projectBucketConfig:ProjectBucketConfig": always(
        Use("logs, taken in", "logging.ingest", "logsGb", region="*")
    ),
    "gcp:logging/projectExclusion:ProjectExclusion": _LOGGING,
    "gcp:logging/projectSink:ProjectSink": _LOGGING,
    "gcp:monitoring/alertPolicy:AlertPolicy": always(monthly("alerting condition", "monitoring.alert", region="*")),
    "gcp:monitoring/notificationChannel:NotificationChannel": _LOGGING,
    "gcp:billing/budget:Budget": free("https://docs.cloud.google.com/billing/docs/how-to/budgets: no charge"),
    "gcp:projects/iAMCustomRole:IAMCustomRole": _IAM,
    "gcp:projects/iAMMember:IAMMember": _IAM,
    "gcp:serviceaccount/account:Account": _IAM,
    "gcp:serviceaccount/iAMMember:IAMMember": _IAM,
    "gcp:cloudrunv2/serviceIamMember:ServiceIamMember": _IAM,
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": _IAM,
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": _IAM,
}  # fmt: skip
"""By type. What is missing here is listed as unknown, never taken for free."""
