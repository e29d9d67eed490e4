"""Security groups and their rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import ec2_defaults, formats, quotas, tokens
from sandbox.aws.ec2_endpoints import is_managed_prefix_list
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
_DESCRIPTION: Final = r"[0-9A-Za-z_ .:/()#,@\[\]+=&;{}!$*-]{0,255}"
_NUMBERS: Final = {"tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58", "all": "-1"}
_NAMES: Final = {number: name for name, number in _NUMBERS.items()}


def protocol_number(protocol: object) -> str:
    """The IANA number of a protocol as text, -1 for all: `tcp` and `6` are the same."""
    text = str(protocol).lower()
    return _NUMBERS.get(text, text)


def _protocol(args: Args, key: str) -> Iterator[Fault]:
    for path, value in args.at(key):
        number = protocol_number(value)
        if not (number == "-1" or (number.isdigit() and int(number) <= 255)):
            yield Fault(
                path, f"expected tcp, udp, icmp, icmpv6, -1 (all) or a number of 0 to 255, got {rules.shown(value)}"
            )


def _ports(args: Args, protocol: str, path: str = "") -> Iterator[Fault]:
    """From and to within a range that the protocol allows; `path` goes before the property names."""
    low, high = args.get("fromPort"), args.get("toPort")
    if not isinstance(low, int) or not isinstance(high, int):
        return
    if protocol in ("1", "58"):
        for key, value in (("fromPort", low), ("toPort", high)):
            if not -1 <= value <= 255:
                yield Fault(f"{path}{key}", f"expected an ICMP type or code of -1 to 255, got {value}")
        return
    for key, value in (("fromPort", low), ("toPort", high)):
        if not 0 <= value <= 65535:
            yield Fault(f"{path}{key}", f"expected a port of 0 to 65535, got {value}")
    if low > high:
        yield Fault(f"{path}toPort", f"must be at least fromPort ({low}), got {high}")


def _classic_ports(args: Args, path: str = "") -> Iterator[Fault]:
    """The older rule forms name ports always: for protocol -1 both must be 0, as the provider insists."""
    protocol = protocol_number(args.get("protocol", ""))
    if protocol == "-1":
        low, high = args.get("fromPort"), args.get("toPort")
        if low is not None and high is not None and (low, high) not in ((0, 0), (-1, -1)):
            yield Fault(f"{path}fromPort", f'fromPort ({low}) and toPort ({high}) must both be 0 to use protocol "-1"')
        return
    yield from _ports(args, protocol, path)


def _inline(args: Args, key: str) -> Iterator[Fault]:
    seen: set[str] = set()
    for path, value in args.at(f"{key}[*]"):
        if not isinstance(value, Mapping):
            continue
        rule = Args(value)
        faults = [*_protocol(rule, "protocol"), *_classic_ports(rule)]
        faults += rules.cidr(rule, "cidrBlocks[*]")
        faults += formats.cidr6(rule, "ipv6CidrBlocks[*]")
        faults += formats.ids(rule, "prefixListIds[*]", "pl")
        faults += _group_ids(rule, "securityGroups[*]")
        faults += rules.matches(
            rule, "description", _DESCRIPTION, "up to 255 letters, digits and ._-:/()#,@[]+=&;{}!$*"
        )
        sources = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups", "self")
        if not any(value.get(source) for source in sources):
            faults.append(Fault("cidrBlocks", f"one of {', '.join(sources)} must be set"))
        for fault in faults:
            yield Fault(f"{path}.{fault.path}", fault.reason)
        text = json.dumps(value, sort_keys=True, default=str)
        if text in seen:
            yield Fault(path, "the same rule a second time")
        seen.add(text)


def _group_ids(args: Args, pattern: str) -> Iterator[Fault]:
    """`sg-...`, or `account/sg-...` for a group of a peered account."""
    for path, value in args.at(pattern):
        if not isinstance(value, str) or not formats.is_id(value.rsplit("/", 1)[-1], "sg"):
            yield Fault(path, f"expected a security group id such as sg-0123456789abcdef0, got {rules.shown(value)}")


def _foreign_group(value: str) -> bool:
    return "/" in value


def security_group(cloud: Cloud, id: str) -> Resource | None:
    """A security group by its id, whether declared or made with its VPC."""
    return next((g for token in tokens.SECURITY_GROUPS if (g := cloud.get(token, id)) is not None), None)


def check_groups_in_vpc(cloud: Cloud, group_ids: Iterable[str], vpc_id: str) -> None:
    """Raises CloudError when a group belongs to another VPC, or there are more than an interface may have."""
    wanted = list(group_ids)
    limit = cloud.quota(quotas.GROUPS_PER_INTERFACE.code, quotas.GROUPS_PER_INTERFACE.default)
    if len(wanted) > limit:
        raise CloudError(
            "SecurityGroupsPerInterfaceLimitExceeded",
            "The maximum number of security groups per network interface has been reached.",
        )
    for id in wanted:
        group = security_group(cloud, id)
        if group is not None and group["vpcId"] != vpc_id:
            raise CloudError("InvalidGroup.NotFound", f"The security group '{id}' does not exist in VPC '{vpc_id}'")


@AWS.kind
class SecurityGroup(Kind):
    """aws_security_group."""

    token = tokens.SECURITY_GROUP
    id_prefix = "sg-"
    replace_on = ("name", "namePrefix", "description", "vpcId")
    sets = (
        "ingress",
        "egress",
        "ingress[*].securityGroups",
        "ingress[*].ipv6CidrBlocks",
        "egress[*].securityGroups",
        "egress[*].ipv6CidrBlocks",
    )
    write_only = ("namePrefix", "revokeRulesOnDelete")
    defaults: ClassVar[Mapping[str, Any]] = {"description": "Managed by Pulumi", "revokeRulesOnDelete": False}
    autoname = AutoName("name", 255)
    unique = ("name", "vpcId")
    duplicate_code = "InvalidGroup.Duplicate"
    references = (
        Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),
        Ref(
            "ingress[*].securityGroups[*]", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound", accept=_foreign_group
        ),
        Ref("egress[*].securityGroups[*]", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound", accept=_foreign_group),
    )
    not_found_code = "InvalidGroup.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "vpcId", "vpc")
        yield from rules.length(args, "name", 1, 255)
        yield from rules.conflicting(args, "namePrefix", "name") if "namePrefix" in args else ()
        for path, value in args.at("name"):
            if isinstance(value, str) and value.startswith("sg-"):
                yield Fault(path, "a group name cannot begin with sg-")
            if value == "default":
                yield Fault(path, "default is the name of the group that comes with each VPC")
        yield from rules.matches(
            args, "description", _DESCRIPTION, "up to 255 letters, digits and ._-:/()#,@[]+=&;{}!$*"
        )
        if args["description"] == "":
            yield Fault("description", "cannot be empty")
        yield from _inline(args, "ingress")
        yield from _inline(args, "egress")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if "vpcId" not in args:
            raise CloudError("VPCIdNotSpecified", "No default VPC for this user")
        quotas.check_count(
            cloud,
            quotas.SECURITY_GROUPS,
            len(cloud.all(self.token, region=cloud.region)),
            "SecurityGroupLimitExceeded",
            "The maximum number of security groups has been reached.",
        )
        self._check_rule_count(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._check_rule_count(args, cloud)

    @staticmethod
    def _check_rule_count(args: Args, cloud: Cloud) -> None:
        limit = cloud.quota(quotas.RULES_PER_SECURITY_GROUP.code, quotas.RULES_PER_SECURITY_GROUP.default)
        sources = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups")
        for key in ("ingress", "egress"):
            blocks = [b for b in args.get(key, []) if isinstance(b, Mapping)]
            count = sum(len(b.get(s) or []) for b in blocks for s in sources) + sum(1 for b in blocks if b.get("self"))
            if count > limit:
                raise CloudError(
                    "RulesPerSecurityGroupLimitExceeded",
                    "The maximum number of rules per security group has been reached.",
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"arn": ec2_arn(cloud, f"security-group/{id}"), "ownerId": cloud.account}

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for token in (tokens.INGRESS_RULE, tokens.EGRESS_RULE, tokens.SECURITY_GROUP_RULE):
            for rule in cloud.find(token, securityGroupId=resource.id):
                cloud.remove(token, rule.id)


@AWS.kind
class DefaultSecurityGroup(Kind):
    """aws_default_security_group: takes over the group that came with a VPC, empties it, and gives it back."""

    token = tokens.DEFAULT_SECURITY_GROUP
    replace_on = ("vpcId",)
    sets = SecurityGroup.sets
    write_only = ("revokeRulesOnDelete",)
    references = (
        Ref("vpcId", (tokens.VPC,), code="InvalidVpcID.NotFound"),
        Ref(
            "ingress[*].securityGroups[*]", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound", accept=_foreign_group
        ),
        Ref("egress[*].securityGroups[*]", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound", accept=_foreign_group),
    )
    not_found_code = "InvalidGroup.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "vpcId", "vpc")
        yield from _inline(args, "ingress")
        yield from _inline(args, "egress")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if "vpcId" not in args:
            raise CloudError("VPCIdNotSpecified", "No default VPC for this user")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        vpc = cloud.get(tokens.VPC, args["vpcId"])
        return str(vpc["defaultSecurityGroupId"]) if vpc else formats.hex_id("sg")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {
            "arn": ec2_arn(cloud, f"security-group/{id}"),
            "ownerId": cloud.account,
            "name": "default",
            "description": "default VPC security group",
        }

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        vpc = cloud.get(tokens.VPC, str(resource["vpcId"]))
        if vpc is not None:
            # The provider only forgets the group: its rules stay as they were, here as there.
            cloud.put(ec2_defaults.security_group(vpc))


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
        Ref("referencedSecurityGroupId", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound", accept=_foreign_group),
        Ref("prefixListId", (tokens.PREFIX_LIST,), code="InvalidPrefixListID.NotFound", accept=is_managed_prefix_list),
    )
    not_found_code = "InvalidSecurityGroupRuleId.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from formats.ids(args, "securityGroupId", "sg")
        yield from rules.exactly_one(args, *_SOURCES)
        yield from rules.cidr(args, "cidrIpv4")
        yield from formats.cidr6(args, "cidrIpv6")
        yield from formats.ids(args, "prefixListId", "pl")
        yield from _group_ids(args, "referencedSecurityGroupId")
        yield from _protocol(args, "ipProtocol")
        yield from rules.matches(
            args, "description", _DESCRIPTION, "up to 255 letters, digits and ._-:/()#,@[]+=&;{}!$*"
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
                    yield Fault(key, f"is required with ipProtocol {_NAMES[number]}")
        yield from _ports(args, number)

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
            name = "ALL" if number == "-1" else _NAMES.get(number, number).upper()
            raise CloudError(
                "InvalidPermission.Duplicate", f'the specified rule "peer: {peer}, {name}{ports}, ALLOW" already exists'
            )
        quotas.check_count(
            cloud,
            quotas.RULES_PER_SECURITY_GROUP,
            len(siblings),
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
        Ref("sourceSecurityGroupId", tokens.SECURITY_GROUPS, code="InvalidGroup.NotFound", accept=_foreign_group),
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
        yield from _protocol(args, "protocol")
        yield from _classic_ports(args)
        yield from rules.cidr(args, "cidrBlocks[*]")
        yield from formats.cidr6(args, "ipv6CidrBlocks[*]")
        yield from formats.ids(args, "prefixListIds[*]", "pl")
        yield from _group_ids(args, "sourceSecurityGroupId")
        yield from rules.matches(
            args, "description", _DESCRIPTION, "up to 255 letters, digits and ._-:/()#,@[]+=&;{}!$*"
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
