"""Charges of Cloudflare and Tencent Cloud resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cost.plan.charges import (
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
    numbers,
)
from cost.plan.preview import Resource

GROUP: Final = "tencentcloud:As/scalingGroup:ScalingGroup"
TEMPLATE: Final = "tencentcloud:As/scalingConfig:ScalingConfig"
ORIGINS: Final = 2
"""Origins in the price of Cloudflare's Load Balancing (https://developers.cloudflare.com/load-balancing/)."""

_CAM = free("https://www.tencentcloud.com/products/cam: no charge")
_VPC = free("https://www.tencentcloud.com/document/product/215: no charge for networks, subnets and routes")
_CHARGED = free("charged with the load balancer")


def pool(resource: Resource, context: Context) -> Found:
    """Origins of a load balancer beyond those in its price, counted over all pools: told once, at the first of them."""
    pools = context.side.of("cloudflare:index/loadBalancerPool:LoadBalancerPool")
    if pools and pools[0].urn != resource.urn:
        return free("counted with the stack's first pool")(resource, context)
    addresses = set()
    for one in pools:
        rows = one.get("origins")
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, Mapping):
                addresses.add(str(row.get("address")))
    found: list[Charged] = [
        monthly("load balancing, two endpoints", "lb.subscription", provider="cloudflare", region="*")
    ]
    if (more := len(addresses) - ORIGINS) > 0:
        found.append(monthly("load balancing, more endpoints", "lb.origin", more, provider="cloudflare", region="*"))
    return found


def group(resource: Resource, context: Context) -> Found:
    """An auto scaling group on Tencent Cloud, all on demand."""
    sizes = numbers([resource.get("desiredCapacity"), resource.get("minSize"), resource.get("maxSize")], "nodes")
    if isinstance(sizes, Gap):
        return [sizes]
    template = context.side.referred(resource, "configurationId", TEMPLATE)
    told = template.get("instanceTypes") if template else None
    types = tuple(map(str, told)) if isinstance(told, list) else ()
    if not types:
        return [Gap("nodes", "the plan does not say of which machine type")]
    count = Count.of(max(sizes[0], sizes[1]), None, sizes[2])
    found: list[Charged] = [Machines("on-demand", types, (), count, True)]
    rows: Any = template.get("dataDisks") if template else None
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, Mapping):
            found.append(Gap("data disk", f"no public price of {row.get('diskType')} disks"))
    return found


RULES: Final[Mapping[str, Rule]] = {
    "cloudflare:index/loadBalancer:LoadBalancer": always(
        Use("DNS queries", "lb.queries", "dnsQueries", provider="cloudflare", region="*")
    ),
    "cloudflare:index/loadBalancerPool:LoadBalancerPool": pool,
    "cloudflare:index/loadBalancerMonitor:LoadBalancerMonitor": free(
        "https://developers.cloudflare.com/load-balancing/monitors/: in the price of Load Balancing"
    ),
    "cloudflare:index/zoneSetting:ZoneSetting": free("https://www.cloudflare.com/plans/: in the zone's plan"),
    "cloudflare:index/zone:Zone": free("https://www.cloudflare.com/plans/: the plan is the account's own choice"),
    "cloudflare:index/dnsRecord:DnsRecord": free("https://www.cloudflare.com/plans/: in the zone's plan"),
    GROUP: group,
    TEMPLATE: free("https://www.tencentcloud.com/document/product/377: no charge for Auto Scaling"),
    "tencentcloud:As/lifecycleHook:LifecycleHook": free("https://www.tencentcloud.com/document/product/377"),
    "tencentcloud:As/scalingPolicy:ScalingPolicy": free("https://www.tencentcloud.com/document/product/377"),
    "tencentcloud:Cam/policy:Policy": _CAM,
    "tencentcloud:Cam/role:Role": _CAM,
    "tencentcloud:Cam/rolePolicyAttachment:RolePolicyAttachment": _CAM,
    "tencentcloud:Clb/instance:Instance": always(
        hourly("load balancer", "clb.hour"), Use("load balancer, traffic", "clb.lcu", "balancerGb")
    ),
    "tencentcloud:Clb/listener:Listener": _CHARGED,
    "tencentcloud:Cos/bucket:Bucket": always(Use("objects", "cos.standard.storage", "modelGib")),
    "tencentcloud:Eip/instance:Instance": always(Use("public address, traffic out", "egress.internet", "egressGb")),
    "tencentcloud:Nat/gateway:Gateway": always(
        hourly("NAT gateway", "nat.hour"), Use("NAT gateway, data", "nat.data", "natGb")
    ),
    "tencentcloud:Route/table:Table": _VPC,
    "tencentcloud:Route/tableEntry:TableEntry": _VPC,
    "tencentcloud:Security/group:Group": _VPC,
    "tencentcloud:Security/groupRuleSet:GroupRuleSet": _VPC,
    "tencentcloud:Ssm/secret:Secret": always(monthly("secret", "ssm.secret")),
    "tencentcloud:Subnet/instance:Instance": _VPC,
    "tencentcloud:Vpc/instance:Instance": _VPC,
}
"""By type. What is missing here is listed as unknown, never taken for free."""
