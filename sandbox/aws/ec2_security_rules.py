"""The rules of security groups as resources of their own, in the newer form and the older one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import formats, quotas, stamps, tokens
from sandbox.aws.ec2_prefix_lists import is_managed_prefix_list, prefix_list_weight
from sandbox.aws.ec2_security import (
    DESCRIPTION,
    PROTOCOL_NAMES,
    check_classic_ports,
    check_group_ids,
    check_ports,
    check_protocol,
    is_foreign_group,
    protocol_number,
    security_group,
)
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Ref, Resource

_SOURCES: Final = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")


def _same_network(cloud: Cloud, one: Resource, other: Resource) -> bool:
    if one["vpcId"] == other["vpcId"]:
        return True
    pair = {one["vpcId"], other["vpcId"]}
    return any({p["vpcId"], p["peerVpcId"]} == pair for p in cloud.all(tokens.PEERING, region=cloud.region))


class _Rule(Kind):
    """One rule of one group: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_SecurityGroupRule.html"""

    id_prefix = "sgr-"
    replace_on = ("securityGroupId",)
    references = (
        Ref("securityGroupId", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound", blocks_delete=False),
        Ref("referencedSecurityGroupId", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound", accept=is_foreign_group),
        Ref("prefixListId", (tokens.PREFIX_LIST,), code="InvalidPrefixListID.NotFound", accept=is_managed_prefix_list),
    )
    not_found_code = "InvalidSecurityGroupRuleId.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "securityGroupId", "sg")
        yield from rules.exactly_one(args, *_SOURCES)
        yield from rules.cidr(args, "cidrIpv4")
        yield from formats.cidr6(args, "cidrIpv6")
        yield from formats.ids(args, "prefixListId", "pl")
        yield from check_group_ids(args, "referencedSecurityGroupId")
        yield from check_protocol(args, "ipProtocol")
        yield from rules.matches(
            args, "description", DESCRIPTION, "up to 255 letters, digits and ._-:/()#,@[]+=&;{}!$*"
        )
        protocol = args.get("ipProtocol")
        if protocol is None:
            return
        number = protocol_number(protocol)
        if number == "-1":
            for key in ("fromPort", "toPort"):
                if key in args and args.get(key) != -1:
                    yield Fault(key, 'must not be set with ipProtocol "-1": all protocols means all ports')
            return
        if number in ("6", "17", "1"):
            for key in ("fromPort", "toPort"):
                if key not in args:
                    yield Fault(key, f"is required with ipProtocol {PROTOCOL_NAMES[number]}")
        yield from check_ports(args, number)

    def _identity(self, args: Args) -> tuple[Any, ...]:
        number = protocol_number(args["ipProtocol"])
        ports = (None, None) if number == "-1" else (args["fromPort"], args["toPort"])
        return (args["securityGroupId"], number, *ports, *(args[key] for key in _SOURCES))

    def _check_state(self, args: Args, cloud: Cloud, own_id: str | None) -> None:
        siblings = [r for r in cloud.find(self.token, securityGroupId=args["securityGroupId"]) if r.id != own_id]
        if any(self._identity(Args(r.inputs)) == self._identity(args) for r in siblings):
            number = protocol_number(args["ipProtocol"])
            peer = next(args[key] for key in _SOURCES if key in args)
            ports = "" if number == "-1" else f", from port: {args['fromPort']}, to port: {args['toPort']}"
            name = "ALL" if number == "-1" else PROTOCOL_NAMES.get(number, number).upper()
            raise CloudError(
                "InvalidPermission.Duplicate", f'the specified rule "peer: {peer}, {name}{ports}, ALLOW" already exists'
            )
        quotas.check_count(
            cloud,
            quotas.RULES_PER_SECURITY_GROUP,
            sum(_weight(Args(r.inputs), cloud) for r in siblings) + _weight(args, cloud) - 1,
            "RulesPerSecurityGroupLimitExceeded",
            "The maximum number of rules per security group has been reached.",
        )
        group = security_group(cloud, args["securityGroupId"])
        other = security_group(cloud, args["referencedSecurityGroupId"] or "")
        if group is not None and other is not None and not _same_network(cloud, group, other):
            raise CloudError(
                "InvalidGroup.NotFound", "You have specified two resources that belong to different networks."
            )

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_state(args, cloud, old.id)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"arn": ec2_arn(cloud, f"security-group-rule/{id}"), "securityGroupRuleId": id}


@AWS.kind
class SecurityGroupIngressRule(_Rule):
    """aws_vpc_security_group_ingress_rule."""

    token = tokens.INGRESS_RULE


def _weight(args: Args, cloud: Cloud) -> int:
    """The rules that one counts for: a prefix list counts as many times as it is heavy."""
    return prefix_list_weight(cloud, args["prefixListId"]) if "prefixListId" in args else 1


@AWS.kind
class SecurityGroupEgressRule(_Rule):
    """aws_vpc_security_group_egress_rule."""

    token = tokens.EGRESS_RULE


@AWS.kind
class SecurityGroupRule(Kind):
    """aws_security_group_rule, the older form with several sources in one resource."""

    token = tokens.SECURITY_GROUP_RULE
    replace_on = (
        "type",
        "fromPort",
        "toPort",
        "protocol",
        "cidrBlocks",
        "ipv6CidrBlocks",
        "prefixListIds",
        "securityGroupId",
        "sourceSecurityGroupId",
        "self",
    )
    defaults: ClassVar[Mapping[str, Any]] = {"self": False}
    references = (
        Ref("securityGroupId", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound", blocks_delete=False),
        Ref("sourceSecurityGroupId", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound", accept=is_foreign_group),
        Ref(
            "prefixListIds[*]",
            (tokens.PREFIX_LIST,),
            code="InvalidPrefixListID.NotFound",
            accept=is_managed_prefix_list,
        ),
    )
    taggable = False

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "securityGroupId", "sg")
        yield from rules.one_of(args, "type", ("ingress", "egress"))
        yield from check_protocol(args, "protocol")
        yield from check_classic_ports(args)
        yield from rules.cidr(args, "cidrBlocks[*]")
        yield from formats.cidr6(args, "ipv6CidrBlocks[*]")
        yield from formats.ids(args, "prefixListIds[*]", "pl")
        yield from check_group_ids(args, "sourceSecurityGroupId")
        yield from rules.matches(
            args, "description", DESCRIPTION, "up to 255 letters, digits and ._-:/()#,@[]+=&;{}!$*"
        )
        networks = [key for key in ("cidrBlocks", "ipv6CidrBlocks") if key in args]
        groups = [key for key in ("sourceSecurityGroupId",) if key in args] + (
            ["self"] if args.get("self") is True else []
        )
        if networks and groups:
            yield Fault(groups[0], f"conflicts with {networks[0]}: a rule names networks or groups, not both")
        if len(groups) == 2:
            yield Fault("self", "conflicts with sourceSecurityGroupId")
        if not networks and not groups and "prefixListIds" not in args:
            yield Fault(
                "cidrBlocks",
                "one of cidrBlocks, ipv6CidrBlocks, prefixListIds, self, sourceSecurityGroupId must be set",
            )

    @staticmethod
    def _permissions(args: Args) -> set[tuple[Any, ...]]:
        number = protocol_number(args["protocol"])
        base = (args["type"], number, *((None, None) if number == "-1" else (args["fromPort"], args["toPort"])))
        peers = [p for key in ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds") for p in args[key] or []]
        peers += [args["sourceSecurityGroupId"]] if args["sourceSecurityGroupId"] else []
        peers += ["self"] if args["self"] else []
        return {(*base, peer) for peer in peers}

    def before_create(self, args: Args, cloud: Cloud) -> None:
        mine = self._permissions(args)
        for other in cloud.find(self.token, securityGroupId=args["securityGroupId"]):
            shared = mine & self._permissions(Args({"self": False, **other.inputs}))
            if shared:
                peer = sorted(str(p[-1]) for p in shared)[0]
                raise CloudError(
                    "InvalidPermission.Duplicate", f'the specified rule "peer: {peer}, ALLOW" already exists'
                )

    def new_id(self, args: Args, cloud: Cloud) -> str:
        text = json.dumps([args["securityGroupId"], sorted(map(str, self._permissions(args)))])
        return f"sgrule-{int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)}"

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        if old is not None:
            return {"securityGroupRuleId": old["securityGroupRuleId"]}
        # The API gives one id per source, so the provider shows one only for a single source.
        return {"securityGroupRuleId": formats.hex_id("sgr") if len(self._permissions(args)) == 1 else ""}
