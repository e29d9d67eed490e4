"""What replacing or deleting a resource would do to those who are served, in a sentence each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from cost.plan.aws import GROUP as ASG
from cost.plan.aws import market
from cost.plan.azure import SET
from cost.plan.charges import Context
from cost.plan.gcp import GROUP as MIG
from cost.plan.preview import Change, Preview, Resource

POOLS: Final = (ASG, SET, MIG)
Told = Callable[[Change, Preview], str]


def effect(change: Change, plan: Preview) -> str:
    """Of a replacement or a deletion; empty where nobody who is served would notice."""
    if change.op not in ("replace", "delete"):
        return ""
    told = EFFECTS.get(change.type)
    return told(change, plan) if told else ""


def _pool(change: Change, plan: Preview) -> str:
    resource = change.before or change.after
    assert resource is not None
    kind = _kind(resource, plan)
    pools = _pools(plan)
    target, boot = pools.get("target"), _boot(plan)
    ready = f" of {target} replicas" if isinstance(target, int) else ""
    back = f"; new ones are ready {boot} min later at the earliest" if boot else ""
    if change.op == "delete":
        back = "; nothing takes their place"
    return f"every {kind} node of {plan.stack} ends with its group{ready}{back}"


def _kind(resource: Resource, plan: Preview) -> str:
    if resource.type == ASG:
        config = plan.config.get("spillway:region")
        told = config if isinstance(config, Mapping) else {}
        return str(market(resource, Context(plan.stack, "aws", "", plan.before, told)))
    if resource.type == SET:
        return "spot" if resource.get("virtualMachineProfile", "priority") == "Spot" else "on-demand"
    return "on-demand" if resource.name.endswith("on-demand") else "spot"


def _pools(plan: Preview) -> Mapping[str, Any]:
    config = plan.config.get("spillway:region")
    pools = config.get("pools") if isinstance(config, Mapping) else None
    return pools if isinstance(pools, Mapping) else {}


def _boot(plan: Preview) -> Any:
    config = plan.config.get("spillway:region")
    fallback = config.get("fallback") if isinstance(config, Mapping) else None
    return fallback.get("bootMinutes") if isinstance(fallback, Mapping) else None


def _say(text: str) -> Told:
    return lambda change, plan: text.format(stack=plan.stack)


_ADDRESS: Final = _say(
    "the endpoint of {stack} gets other addresses: clients are sent there once DNS has the new ones, and not before"
)
_STORE: Final = _say(
    "the model store of {stack} is emptied: nodes that boot find no weights until they are pushed again"
)
_ZONE: Final = _say("the zone gets other name servers: every name of it stops resolving until the parent zone has them")
_NETWORK: Final = _say("the network of {stack} is made anew: nothing in it serves meanwhile")
_BALANCER: Final = _say("the balancer of {stack} is made anew: open connections end, and none is taken meanwhile")
_TEMPLATE: Final = _say("no node ends: the groups of {stack} launch from the new one, and what runs stays as it is")
_SECRET: Final = _say("a secret of {stack} is emptied: nodes stay unready until `spillway secrets push` has filled it")
EFFECTS: Final[Mapping[str, Told]] = {
    **dict.fromkeys(POOLS, _pool),
    "tencentcloud:As/scalingGroup:ScalingGroup": _pool,
    **dict.fromkeys(
        (
            "aws:ec2/eip:Eip", "azure-native:network:PublicIPAddress", "gcp:compute/address:Address",
            "tencentcloud:Eip/instance:Instance",
        ),
        _ADDRESS,
    ),
    **dict.fromkeys(
        (
            "aws:s3/bucket:Bucket", "azure-native:storage:StorageAccount", "gcp:storage/bucket:Bucket",
            "tencentcloud:Cos/bucket:Bucket",
        ),
        _STORE,
    ),
    **dict.fromkeys(("aws:route53/zone:Zone", "azure-native:dns:Zone", "cloudflare:index/zone:Zone"), _ZONE),
    **dict.fromkeys(
        (
            "aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "azure-native:network:VirtualNetwork",
            "azure-native:network:Subnet", "gcp:compute/network:Network", "gcp:compute/subnetwork:Subnetwork",
            "azure-native:resources:ResourceGroup", "tencentcloud:Vpc/instance:Instance",
            "tencentcloud:Subnet/instance:Instance",
        ),
        _NETWORK,
    ),
    **dict.fromkeys(
        (
            "aws:lb/loadBalancer:LoadBalancer", "aws:lb/listener:Listener", "aws:lb/targetGroup:TargetGroup",
            "azure-native:network:LoadBalancer", "gcp:compute/forwardingRule:ForwardingRule",
            "gcp:compute/regionBackendService:RegionBackendService", "tencentcloud:Clb/instance:Instance",
            "tencentcloud:Clb/listener:Listener",
        ),
        _BALANCER,
    ),
    "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate": _TEMPLATE,
    "tencentcloud:As/scalingConfig:ScalingConfig": _TEMPLATE,
    **dict.fromkeys(
        ("aws:secretsmanager/secret:Secret", "azure-native:keyvault:Vault", "gcp:secretmanager/secret:Secret"), _SECRET
    ),
}  # fmt: skip
