"""Security groups and their rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox import rules
from sandbox.aws import ec2_defaults, formats, quotas, stamps, tokens
from sandbox.aws.ec2_prefix_lists import prefix_list_weight
from sandbox.aws.formats import ec2_arn
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
DESCRIPTION: Final = r"[0-9A-Za-z_ .:/()#,@\[\]+=&;{}!$*-]{0,255}"
_NUMBERS: Final = {"tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58", "all": "-1"}
PROTOCOL_NAMES: Final = {number: name for name, number in _NUMBERS.items()}


def protocol_number(protocol: object) -> str:
    """The IANA number of a protocol as text, -1 for all: `tcp` and `6` are the same."""
    text = str(protocol).lower()
    return _NUMBERS.get(text, text)


def check_protocol(args: Args, key: str) -> Iterator[Fault]:
    for path, value in args.at(key):
        number = protocol_number(value)
        if not (number == "-1" or (number.isdigit() and int(number) <= 255)):
            yield Fault(
                path, f"expected tcp, udp, icmp, icmpv6, -1 (all) or a number of 0 to 255, got {rules.shown(value)}"
            )


def check_ports(args: Args, protocol: str, path: str = "") -> Iterator[Fault]:
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


def check_classic_ports(args: Args, path: str = "") -> Iterator[Fault]:
    """The older rule forms name ports always: for protocol -1 both must be 0, as the provider insists."""
    protocol = protocol_number(args.get("protocol", ""))
    if protocol == "-1":
        low, high = args.get("fromPort"), args.get("toPort")
        if low is not None and high is not None and (low, high) not in ((0, 0), (-1, -1)):
            yield Fault(f"{path}fromPort", f'fromPort ({low}) and toPort ({high}) must both be 0 to use protocol "-1"')
        return
    yield from check_ports(args, protocol, path)


def _inline(args: Args, key: str) -> Iterator[Fault]:
    seen: set[str] = set()
    for path, value in args.at(f"{key}[*]"):
        if not isinstance(value, Mapping):
            continue
        rule = Args(value)
        faults = [*check_protocol(rule, "protocol"), *check_classic_ports(rule)]
        faults += rules.cidr(rule, "cidrBlocks[*]")
        faults += formats.cidr6(rule, "ipv6CidrBlocks[*]")
        faults += formats.ids(rule, "prefixListIds[*]", "pl")
        faults += check_group_ids(rule, "securityGroups[*]")
        faults += rules.matches(rule, "description", DESCRIPTION, "up to 255 letters, digits and ._-:/()#,@[]+=&;{}!$*")
        sources = ("cidrBlocks", "ipv6CidrBlocks", "prefixListIds", "securityGroups", "self")
        if not any(rule.is_unknown(source) or value.get(source) for source in sources):
            faults.append(Fault("cidrBlocks", f"one of {', '.join(sources)} must be set"))
        for fault in faults:
            yield Fault(f"{path}.{fault.path}", fault.reason)
        text = json.dumps(value, sort_keys=True, default=str)
        if text in seen:
            yield Fault(path, "the same rule a second time")
        seen.add(text)


def check_group_ids(args: Args, pattern: str) -> Iterator[Fault]:
    """`sg-...`, or `account/sg-...` for a group of a peered account."""
    for path, value in args.at(pattern):
        if not isinstance(value, str) or not formats.is_id(value.rsplit("/", 1)[-1], "sg"):
            yield Fault(path, f"expected a security group id such as sg-0123456789abcdef0, got {rules.shown(value)}")


def is_foreign_group(value: str) -> bool:
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


_INLINE_GROUPS: Final = tuple(
    Ref(
        f"{direction}[*].securityGroups[*]",
        tokens.SECURITY_GROUPS,
        code="InvalidGroup.NotFound",
        accept=is_foreign_group,
    )
    for direction in ("ingress", "egress")
)


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
        *_INLINE_GROUPS,
    )
    not_found_code = "InvalidGroup.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
        yield from formats.ids(args, "vpcId", "vpc")
        yield from rules.length(args, "name", 1, 255)
        yield from rules.conflicting(args, "namePrefix", "name") if "namePrefix" in args else ()
        for path, value in args.at("name"):
            if isinstance(value, str) and value.startswith("sg-"):
                yield Fault(path, "a group name cannot begin with sg-")
            if value == "default":
                yield Fault(path, "default is the name of the group that comes with each VPC")
        yield from rules.matches(
            args, "description", DESCRIPTION, "up to 255 letters, digits and ._-:/()#,@[]+=&;{}!$*"
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
        sources = ("cidrBlocks", "ipv6CidrBlocks", "securityGroups")
        for key in ("ingress", "egress"):
            blocks = [b for b in args.get(key, []) if isinstance(b, Mapping)]
            count = sum(len(b.get(s) or []) for b in blocks for s in sources) + sum(1 for b in blocks if b.get("self"))
            count += sum(prefix_list_weight(cloud, str(p)) for b in blocks for p in b.get("prefixListIds") or [])
            if count > limit:
                raise CloudError(
                    "RulesPerSecurityGroupLimitExceeded",
                    "The maximum number of rules per security group has been reached.",
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        name = old["name"] if old else stamps.name_of(args)
        return {"arn": ec2_arn(cloud, f"security-group/{id}"), "ownerId": cloud.account, "name": name}

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
        *_INLINE_GROUPS,
    )
    not_found_code = "InvalidGroup.NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from stamps.tag_faults(args)
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
