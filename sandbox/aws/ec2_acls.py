"""Network ACLs, their rules and the subnets they guard."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from sandbox import rules
from sandbox.aws import ec2_defaults, formats, quotas, stamps, tokens
from sandbox.aws.ec2_routes import subnet_vpc
from sandbox.aws.ec2_security import protocol_number
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource

_HIGHEST = 32766
"""https://docs.aws.amazon.com/vpc/latest/userguide/nacl-rules.html: rule numbers 1 to 32766; 32767 is the last deny."""


def _check_rule(args: Args, number_key: str, action_key: str) -> Iterator[Fault]:
    yield from rules.between(args, number_key, 1, _HIGHEST)
    yield from rules.one_of(args, action_key, ("allow", "deny"))
    yield from rules.cidr(args, "cidrBlock")
    yield from formats.cidr6(args, "ipv6CidrBlock")
    yield from rules.exactly_one(args, "cidrBlock", "ipv6CidrBlock")
    for path, value in args.at("protocol"):
        number = protocol_number(value)
        if number != "-1" and not (number.isdigit() and int(number) <= 255):
            yield Fault(path, f"expected tcp, udp, icmp, -1 (all) or a number of 0 to 255, got {rules.shown(value)}")
    number = protocol_number(args.get("protocol", ""))
    low, high = args.get("fromPort"), args.get("toPort")
    if number == "-1":
        for key, value in (("fromPort", low), ("toPort", high)):
            if value not in (None, 0):
                yield Fault(key, 'must be 0 with protocol "-1": all protocols means all ports')
        return
    if number in ("6", "17"):
        yield from rules.between(args, "fromPort", 0, 65535)
        yield from rules.between(args, "toPort", 0, 65535)
        if isinstance(low, int) and isinstance(high, int) and low > high:
            yield Fault("toPort", f"must be at least fromPort ({low}), got {high}")


def _check_inline(args: Args) -> Iterator[Fault]:
    for key in ("ingress", "egress"):
        seen: set[int] = set()
        for path, value in args.at(f"{key}[*]"):
            if not isinstance(value, Mapping):
                continue
            for fault in _check_rule(Args(value), "ruleNo", "action"):
                yield Fault(f"{path}.{fault.path}", fault.reason)
            number = value.get("ruleNo")
            if isinstance(number, int):
                if number in seen:
                    yield Fault(f"{path}.ruleNo", f"rule number {number} is given twice")
                seen.add(number)


def _check_limit(args: Args, cloud: Cloud) -> None:
    limit = cloud.quota(quotas.RULES_PER_NETWORK_ACL.code, quotas.RULES_PER_NETWORK_ACL.default)
    if any(len(args.get(key, [])) > limit for key in ("ingress", "egress")):
        raise CloudError("NetworkAclEntryLimitExceeded", "The maximum number of network acl entries has been reached.")


def _check_subnets(cloud: Cloud, acl_id: str, vpc_id: str, subnet_ids: Iterable[str]) -> None:
    for subnet_id in subnet_ids:
        if subnet_vpc(cloud, subnet_id) not in ("", vpc_id):
            raise CloudError(
                "InvalidParameterValue", f"network acl {acl_id} and subnet {subnet_id} belong to different networks"
            )


def network_acl(cloud: Cloud, id: str) -> Resource | None:
    """A network ACL by its id, whether declared or made with its VPC."""
    return next((a for token in tokens.NETWORK_ACLS if (a := cloud.get(token, id)) is not None), None)


@AWS.kind
class NetworkAcl(Kind):
    """aws_network_acl."""

    token = tokens.NETWORK_ACL
    id_prefix = "acl-"
    replace_on = ("vpcId",)
    sets = ("ingress", "egress", "subnetIds")
    references = (
        Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),
        Ref("subnetIds[*]", (tokens.SUBNET,), code="InvalidSubnetID.NotFound", blocks_delete=False),
    )
    not_found_code = "InvalidNetworkAclID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "vpcId", "vpc")
        yield from formats.ids(args, "subnetIds[*]", "subnet")
        yield from _check_inline(args)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        quotas.check_count(
            cloud,
            quotas.NETWORK_ACLS_PER_VPC,
            len(cloud.find(self.token, vpcId=args["vpcId"])) + 1,
            "NetworkAclLimitExceeded",
            "The maximum number of network acls has been reached.",
        )
        _check_limit(args, cloud)
        _check_subnets(cloud, "", args["vpcId"], args.get("subnetIds", []))

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        _check_limit(args, cloud)
        _check_subnets(cloud, old.id, args["vpcId"], args.get("subnetIds", []))

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"arn": ec2_arn(cloud, f"network-acl/{id}"), "ownerId": cloud.account}

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for rule in cloud.find(tokens.NETWORK_ACL_RULE, networkAclId=resource.id):
            cloud.remove(tokens.NETWORK_ACL_RULE, rule.id)


@AWS.kind
class DefaultNetworkAcl(Kind):
    """aws_default_network_acl: takes over the ACL that came with a VPC, and gives it back."""

    token = tokens.DEFAULT_NETWORK_ACL
    replace_on = ("defaultNetworkAclId",)
    sets = ("ingress", "egress", "subnetIds")
    references = (Ref("subnetIds[*]", (tokens.SUBNET,), code="InvalidSubnetID.NotFound", blocks_delete=False),)
    not_found_code = "InvalidNetworkAclID.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "defaultNetworkAclId", "acl")
        yield from formats.ids(args, "subnetIds[*]", "subnet")
        yield from _check_inline(args)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        vpc = self._vpc(args["defaultNetworkAclId"], cloud)
        _check_limit(args, cloud)
        _check_subnets(cloud, args["defaultNetworkAclId"], vpc.id, args.get("subnetIds", []))

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["defaultNetworkAclId"])

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        vpc_id = old["vpcId"] if old else self._vpc(id, cloud).id
        return {"arn": ec2_arn(cloud, f"network-acl/{id}"), "ownerId": cloud.account, "vpcId": vpc_id}

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        vpc = cloud.get(tokens.VPC, str(resource["vpcId"]))
        if vpc is not None:
            cloud.put(ec2_defaults.network_acl(vpc))

    @staticmethod
    def _vpc(acl_id: str, cloud: Cloud) -> Resource:
        found = cloud.find(tokens.VPC, defaultNetworkAclId=acl_id)
        if not found:
            raise CloudError("InvalidNetworkAclID.NotFound", f"The network acl ID '{acl_id}' does not exist")
        return found[0]


@AWS.kind
class NetworkAclRule(Kind):
    """aws_network_acl_rule."""

    token = tokens.NETWORK_ACL_RULE
    replace_on = (
        "networkAclId",
        "ruleNumber",
        "egress",
        "protocol",
        "ruleAction",
        "cidrBlock",
        "ipv6CidrBlock",
        "fromPort",
        "toPort",
        "icmpType",
        "icmpCode",
    )
    defaults: ClassVar[Mapping[str, Any]] = {"egress": False}
    references = (Ref("networkAclId", tokens.NETWORK_ACLS, code="InvalidNetworkAclID.NotFound", blocks_delete=False),)
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "networkAclId", "acl")
        yield from _check_rule(args, "ruleNumber", "ruleAction")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        acl_id, number = args["networkAclId"], args["ruleNumber"]
        siblings = [r for r in cloud.find(self.token, networkAclId=acl_id) if r["egress"] == args["egress"]]
        acl = network_acl(cloud, acl_id)
        inline = (acl["egress" if args["egress"] else "ingress"] or []) if acl and acl.inputs else []
        if any(r["ruleNumber"] == number for r in siblings) or any(r.get("ruleNo") == number for r in inline):
            raise CloudError(
                "NetworkAclEntryAlreadyExists", f"The network acl entry identified by {number} already exists."
            )
        quotas.check_count(
            cloud,
            quotas.RULES_PER_NETWORK_ACL,
            len(siblings) + len(inline),
            "NetworkAclEntryLimitExceeded",
            "The maximum number of network acl entries has been reached.",
        )

    def new_id(self, args: Args, cloud: Cloud) -> str:
        text = f"{args['networkAclId']}-{args['ruleNumber']}-{args['egress']}-{args['protocol']}-"
        return f"nacl-{int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)}"


@AWS.kind
class NetworkAclAssociation(Kind):
    """aws_network_acl_association."""

    token = tokens.NETWORK_ACL_ASSOCIATION
    id_prefix = "aclassoc-"
    replace_on = ("networkAclId", "subnetId")
    references = (
        Ref("networkAclId", tokens.NETWORK_ACLS, code="InvalidNetworkAclID.NotFound"),
        Ref("subnetId", (tokens.SUBNET,), code="InvalidSubnetID.NotFound", blocks_delete=False),
    )
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "networkAclId", "acl")
        yield from formats.ids(args, "subnetId", "subnet")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        acl = network_acl(cloud, args["networkAclId"])
        if acl is not None:
            _check_subnets(cloud, acl.id, str(acl["vpcId"]), [args["subnetId"]])
