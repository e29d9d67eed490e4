"""Identity, counts against quotas of the network, and fixed names that somebody else may hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from infra import naming
from spillway.preflight.aws_region.context import AwsContext
from spillway.preflight.aws_region.facts import NameKind, Owned, Quota
from spillway.preflight.model import Row, State, Unanswered, count


@dataclass(frozen=True, slots=True)
class Known:
    """A quota by its name in Service Quotas; the code is for accounts whose list words it differently.

    Sources: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html,
    https://docs.aws.amazon.com/general/latest/gr/ec2-service.html, https://docs.aws.amazon.com/general/latest/gr/ebs-service.html,
    https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-limits.html
    """

    service: str
    code: str
    name: str


ADDRESSES: Final = Known("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs")
NAT_GATEWAYS: Final = Known("vpc", "L-FE5A380F", "NAT gateways per Availability Zone")
NETWORKS: Final = Known("vpc", "L-F678F1CE", "VPCs per Region")
INTERNET_GATEWAYS: Final = Known("vpc", "L-A4707A72", "Internet gateways per Region")
BALANCERS: Final = Known("elasticloadbalancing", "L-69A177A2", "Network Load Balancers per Region")
TARGET_GROUPS: Final = Known("elasticloadbalancing", "L-B22855CB", "Target Groups per Region")
GP3_STORAGE: Final = Known("ebs", "L-7A658B76", "Storage for General Purpose SSD (gp3) volumes, in TiB")


def find_quota(context: AwsContext, known: Known) -> Quota:
    """The account's quota, by name, else by code. Raises Unanswered when it lists neither."""
    quotas = context.account.quotas(known.service)
    by_name = [quota for quota in quotas if quota.name.casefold() == known.name.casefold()]
    for quota in by_name or [quota for quota in quotas if quota.code == known.code]:
        return quota
    raise Unanswered(
        f"Service Quotas lists no {known.name} ({known.code})",
        f"see the Service Quotas console of {context.config.region}, service {known.service}",
    )


def identity(context: AwsContext) -> Iterator[Row]:
    """The credentials' account against the stack file's."""
    who = context.account.identity()
    wanted = context.config.account
    if who.account == wanted:
        yield Row("identity", "account", "ok", f"{who.account}, {who.arn}", wanted)
        return
    action = "use credentials of the stack file's account (AWS_PROFILE), or correct `account` in the stack file"
    yield Row("identity", "account", "failure", f"{who.account}, {who.arn}", wanted, action)


def nat_zones(context: AwsContext) -> tuple[str, ...]:
    """The zones that get a NAT gateway, as infra/aws/network.py places them."""
    egress, zones = context.config.network.egress, context.config.zones
    return {"nat": zones[:1], "nat-per-zone": zones, "endpoints": ()}[egress]


def addresses(context: AwsContext) -> Iterator[Row]:
    """Elastic IPs: one per zone for the balancer and one per NAT gateway."""
    balancer, nat = len(context.config.zones), len(nat_zones(context))
    why = f"{count(balancer + nat, 'address')}: {balancer} for the balancer, {nat} for NAT"
    yield _counted(context, "addresses", "Elastic IPs", ADDRESSES, context.account.addresses(), balancer + nat, why)


def nat_gateways(context: AwsContext) -> Iterator[Row]:
    """NAT gateways of each zone that gets one."""
    wanted = nat_zones(context)
    if not wanted:
        return
    quota = find_quota(context, NAT_GATEWAYS)
    others = Counter(gateway.zone for gateway in context.account.nat_gateways() if gateway.stack != context.stack)
    full = [zone for zone in wanted if others[zone] + 1 > quota.value]
    told = ", ".join(f"{zone} {others[zone]}" for zone in wanted) + f" of {quota.value:g} used by others"
    if full:
        request = context.request(quota, max(others[zone] for zone in full) + 1)
        action = f"or choose another zone or egress than {', '.join(full)}"
        yield Row("nat", "NAT gateways", "failure", told, "one more in each", action, request)
    else:
        yield Row("nat", "NAT gateways", "ok", told, f"one in {', '.join(wanted)}")


def networks(context: AwsContext) -> Iterator[Row]:
    """VPCs and their internet gateways."""
    yield _counted(context, "vpcs", "VPCs", NETWORKS, context.account.networks(), 1)
    gateways = context.account.internet_gateways()
    yield _counted(context, "internet-gateways", "internet gateways", INTERNET_GATEWAYS, gateways, 1)


def balancers(context: AwsContext) -> Iterator[Row]:
    """Network load balancers and target groups."""
    stack = context.stack
    own = {naming.load_balancer_name(stack), naming.target_group_name(stack)}
    for id, title, quota, found in (
        ("balancers", "network load balancers", BALANCERS, context.account.balancers()),
        ("target-groups", "target groups", TARGET_GROUPS, context.account.target_groups()),
    ):
        marked = [Owned(each.id, stack if each.id in own else each.stack) for each in found]
        yield _counted(context, id, title, quota, marked, 1)


def _counted(
    context: AwsContext,
    id: str,
    title: str,
    known: Known,
    found: Sequence[Owned],
    needed: int,
    why: str = "",
) -> Row:
    """One row: what others use, plus what the stack needs in all, against the quota. What the stack has already made is
    a part of what it needs."""
    quota = find_quota(context, known)
    own = sum(each.stack == context.stack for each in found)
    others = len(found) - own
    told = f"{others} used by others, {own} by this stack, quota {quota.value:g}"
    why = why or str(needed)
    if others + needed <= quota.value:
        return Row(id, title, "ok", told, why)
    request = context.request(quota, others + needed)
    missing = f"{others + needed - quota.value:g} too few"
    return Row(id, title, "failure", told, why, missing, request)


def storage_quota(context: AwsContext) -> Iterator[Row]:
    """gp3 TiB: both volumes of every node, with both pools at their largest."""
    config = context.config
    quota = find_quota(context, GP3_STORAGE)
    nodes = (config.pools.max - config.pools.floor) + config.pools.max
    per_node = config.storage.root.size_gib + config.storage.data.size_gib
    needed, others = nodes * per_node / 1024, context.account.gp3_gib(context.stack) / 1024
    told = f"{others:.1f} TiB used by others, quota {quota.value:g} TiB"
    want = f"{needed:.1f} TiB: {nodes} nodes x {per_node} GiB"
    if others + needed <= quota.value:
        yield Row("gp3", "gp3 storage", "ok", told, want)
        return
    request = context.request(quota, -(-(others + needed) // 1))
    few = max(0.0, (quota.value - others) * 1024 // per_node)
    action = f"room for {few:g} of {nodes} nodes; launches beyond fail with VolumeLimitExceeded"
    state: State = "failure" if few < config.pools.max else "warning"
    yield Row("gp3", "gp3 storage", state, told, want, action, request)


def names(context: AwsContext) -> Iterator[Row]:
    """Fixed names: free, or held by this stack. Held by anything else, `up` is refused as a duplicate."""
    stack = context.stack
    wanted: Mapping[NameKind, tuple[str, ...]] = {
        "auto scaling group": (naming.pool_name(stack, "spot"), naming.pool_name(stack, "on-demand")),
        "launch template": (naming.pool_name(stack, "spot"), naming.pool_name(stack, "on-demand")),
        "load balancer": (naming.load_balancer_name(stack),),
        "target group": (naming.target_group_name(stack),),
        "role": (naming.name(stack, "node"),),
    }
    held, free, taken, open_questions = 0, 0, [], []
    for kind, each in wanted.items():
        for name in each:
            try:
                holder = context.account.holder(kind, name)
            except Unanswered as error:
                open_questions.append((kind, error))
                break
            if holder is None:
                free += 1
            elif holder.stack == stack:
                held += 1
            else:
                taken.append((kind, name, holder))
    for kind, name, holder in taken:
        whose = f"of stack {holder.stack}" if holder.stack else "without this stack's tag"
        action = "delete or rename it: `up` is refused as a duplicate"
        yield Row(f"name.{name}", f"{kind} {name}", "failure", f"there already, {whose}", "free", action)
    for kind, refusal in open_questions:
        yield Row(
            f"names.{kind.replace(' ', '-')}", f"name of the {kind}", "unknown", refusal.reason, action=refusal.action
        )
    if not taken and (held or free):
        yield Row("names", "fixed names", "ok", f"{free} free, {held} held by this stack", "no one else's")
