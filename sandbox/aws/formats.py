"""How AWS writes things: ARNs, ids, zones, networks, ports. Shared by every module of AWS types."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import secrets as random_source
from collections.abc import Iterable, Iterator
from typing import Final

from sandbox.aws import zones
from sandbox.kinds import Args, Cloud, CloudError, Fault, Resource
from sandbox.rules import shown

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html; the provider takes the same fields.
ARN_PATTERN: Final = (
    r"arn:aws(?:-[a-z]+)*:[a-z0-9-]+:(?:[a-z]{2}(?:-[a-z]+)+-\d{1,2})?:"
    r"(?:\d{12}|aws|aws-managed|aws-marketplace|third-party)?:.+"
)
_ARN: Final = re.compile(ARN_PATTERN, re.DOTALL)
ACCOUNT_PATTERN: Final = r"\d{12}"


def partition(region: str) -> str:
    """`aws`, `aws-cn` or `aws-us-gov`: the first field of the region's ARNs."""
    found = zones.region(region)
    return found.partition if found else "aws"


def dns_suffix(region: str) -> str:
    """`amazonaws.com`, in China `amazonaws.com.cn`."""
    return "amazonaws.com.cn" if partition(region) == "aws-cn" else "amazonaws.com"


def arn(
    service: str,
    region: str,
    account: str,
    resource: str,
    *,
    partition_of: str | None = None,
) -> str:
    """`arn:aws:ec2:us-east-1:123456789012:vpc/vpc-0abc`. `region` and `account` may be empty (S3 buckets, IAM);
    `partition_of` names the region whose partition counts when `region` is empty."""
    return f"arn:{partition(region or partition_of or '')}:{service}:{region}:{account}:{resource}"


def ec2_arn(cloud: Cloud, resource: str) -> str:
    """The ARN of something of EC2 in this call's region and account: `ec2_arn(cloud, "vpc/vpc-0abc")`."""
    return arn("ec2", cloud.region, cloud.account, resource)


def is_arn(value: object, service: str | None = None, resource: str | None = None) -> bool:
    """Whether a value is an ARN, optionally of one service and with a resource part that starts with `resource`."""
    if not isinstance(value, str) or not _ARN.fullmatch(value):
        return False
    fields = value.split(":", 5)
    return (service is None or fields[2] == service) and (resource is None or fields[5].startswith(resource))


def arn_field(value: str, name: str) -> str:
    """One field of an ARN: partition, service, region, account or resource; empty when the value is no ARN."""
    fields = value.split(":", 5)
    if len(fields) != 6:
        return ""
    return fields[("arn", "partition", "service", "region", "account", "resource").index(name)]


def arns(
    args: Args,
    pattern: str,
    service: str | None = None,
    resource: str | None = None,
    *,
    empty: bool = False,
) -> Iterator[Fault]:
    """Values that are ARNs, of one service and kind of resource when given; the empty string passes with `empty`."""
    for path, value in args.at(pattern):
        if empty and value == "":
            continue
        if not is_arn(value, service, resource):
            like = f"arn:aws:{service or 'service'}:region:account:{resource or '...'}"
            yield Fault(path, f"expected an ARN such as {like}, got {shown(value)}")


def hex_id(prefix: str) -> str:
    """A new id with 17 hex digits: `hex_id("vpc")` -> `vpc-0f1e...`."""
    return f"{prefix}-0{random_source.token_hex(8)}"


def id_pattern(*prefixes: str) -> str:
    """The pattern of ids with 8 or 17 hex digits (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html)."""
    return rf"(?:{'|'.join(map(re.escape, prefixes))})-(?:[0-9a-f]{{8}}|[0-9a-f]{{17}})"


def is_id(value: object, *prefixes: str) -> bool:
    return isinstance(value, str) and re.fullmatch(id_pattern(*prefixes), value) is not None


def ids(args: Args, pattern: str, *prefixes: str) -> Iterator[Fault]:
    """Values that are ids with one of the prefixes and 8 or 17 hex digits."""
    for path, value in args.at(pattern):
        if not is_id(value, *prefixes):
            names = " or ".join(f"{prefix}-" for prefix in prefixes)
            yield Fault(
                path,
                f"expected an id that starts with {names} and has 8 or 17 hex digits, got {shown(value)}",
            )


def tri_state(args: Args, pattern: str) -> Iterator[Fault]:
    """Booleans that the provider wants as the strings "true" and "false" (or "" for unset)."""
    for path, value in args.at(pattern):
        if value not in ("true", "false", ""):
            yield Fault(
                path,
                f'expected the string "true" or "false" (this property is not a boolean), got {shown(value)}',
            )


def decoded_base64(value: object) -> bytes | None:
    """The bytes of base64 text in the standard alphabet with padding, None when it is not that."""
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(re.sub(r"\s", "", value), validate=True)
    except (binascii.Error, ValueError):
        return None


def zone(args: Args, pattern: str) -> Iterator[Fault]:
    """Names of availability zones that exist (of any region: which one is a matter of the call)."""
    for path, value in args.at(pattern):
        if not isinstance(value, str) or zones.region_of_zone(value) is None:
            yield Fault(
                path,
                f"expected the name of an availability zone such as us-east-1a, got {shown(value)}",
            )


def check_zone(cloud: Cloud, name: str) -> None:
    """Refuse a zone that this call's region does not have.

    Raises CloudError InvalidParameterValue, in EC2's words."""
    known = zones.zone_names(cloud.region)
    if name not in known:
        raise CloudError(
            "InvalidParameterValue",
            f"Value ({name}) for parameter availabilityZone is invalid. Subnets can currently only be created in the "
            f"following availability zones: {', '.join(known)}.",
        )


def network(value: object) -> ipaddress.IPv4Network | None:
    """The IPv4 network a text names in canonical form, None when it names none."""
    try:
        return ipaddress.IPv4Network(value)
    except (ValueError, TypeError):
        return None


def network6(value: object) -> ipaddress.IPv6Network | None:
    """The IPv6 network a text names in canonical form, None when it names none."""
    try:
        return ipaddress.IPv6Network(value)
    except (ValueError, TypeError):
        return None


def cidr6(args: Args, pattern: str, *, narrowest: int = 128, widest: int = 0) -> Iterator[Fault]:
    """IPv6 networks in canonical form, with a prefix between `widest` and `narrowest`."""
    for path, value in args.at(pattern):
        found = network6(value)
        if found is None:
            yield Fault(
                path,
                f"expected an IPv6 network such as 2001:db8::/56, got {shown(value)}",
            )
        elif not widest <= found.prefixlen <= narrowest:
            yield Fault(path, f"expected a prefix of /{widest} to /{narrowest}, got {value}")


def overlapping(wanted: object, taken: Iterable[object]) -> str | None:
    """The first of the networks that overlaps the wanted one, as text."""
    mine = network(wanted)
    if mine is None:
        return None
    for other in taken:
        theirs = network(other)
        if theirs is not None and mine.overlaps(theirs):
            return str(other)
    return None


def addresses(args: Args, pattern: str) -> Iterator[Fault]:
    """Single IPv4 addresses."""
    for path, value in args.at(pattern):
        try:
            ipaddress.IPv4Address(value)
        except (ValueError, TypeError):
            yield Fault(path, f"expected an IPv4 address such as 10.0.0.10, got {shown(value)}")


def private_address(cloud: Cloud, subnet: Resource) -> str:
    """The next address of a subnet; they start over at its end. AWS keeps the first four and the last address of every
    subnet (https://docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html)."""
    net = network(subnet["cidrBlock"])
    if net is None:
        return ""
    return str(net[4 + cloud.sequence(f"private-address/{subnet.id}") % (net.num_addresses - 5)])


def private_dns(address: str, region: str) -> str:
    """`ip-10-0-0-5.ec2.internal` in us-east-1, `ip-10-0-0-5.us-west-2.compute.internal` elsewhere."""
    suffix = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    return f"ip-{address.replace('.', '-')}.{suffix}" if address else ""


def public_dns(address: str, region: str) -> str:
    """`ec2-203-0-113-5.compute-1.amazonaws.com` in us-east-1, `ec2-....us-west-2.compute.amazonaws.com` elsewhere."""
    middle = "compute-1" if region == "us-east-1" else f"{region}.compute"
    return f"ec2-{address.replace('.', '-')}.{middle}.{dns_suffix(region)}" if address else ""
