"""Prefix lists that AWS keeps itself, and the data sources that find these and the account's own.

Names and weights: https://docs.aws.amazon.com/vpc/latest/userguide/working-with-aws-managed-prefix-lists.html. A list's
weight is what it counts for in a security group or route table, whatever the number of its entries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from sandbox.aws import tokens, zones
from sandbox.aws.formats import arn, is_id
from sandbox.aws.invokes import filter_pairs, no_match, tagged
from sandbox.aws.registry import AWS
from sandbox.kinds import Args, Cloud, CloudError

# Where Route 53's checkers come from, without those of China: `ROUTE53_HEALTHCHECKS` in
# https://ip-ranges.amazonaws.com/ip-ranges.json
_CHECKERS: Final = (
    "15.177.0.0/18", "54.183.255.128/26", "54.228.16.0/26", "54.232.40.64/26", "54.241.32.64/26", "54.243.31.192/26",
    "54.244.52.192/26", "54.245.168.0/26", "54.248.220.0/26", "54.250.253.192/26", "54.251.31.128/26",
    "54.252.79.128/26", "54.252.254.192/26", "54.255.254.192/26", "107.23.255.0/26", "176.34.159.192/26",
    "177.71.207.128/26",
)  # fmt: skip
# What other lists hold changes by the week; the stand-in's have one network of documentation (RFC 5737, RFC 3849).
_SOMEWHERE: Final = {"IPv4": ("192.0.2.0/24",), "IPv6": ("2001:db8::/32",)}


@dataclass(frozen=True, slots=True)
class _Known:
    family: str
    weight: int
    entries: tuple[str, ...] = ()


_LISTS: Final[Mapping[str, _Known]] = {
    "com.amazonaws.global.cloudfront.origin-facing": _Known("IPv4", 55),
    "com.amazonaws.global.ipv6.cloudfront.origin-facing": _Known("IPv6", 55),
    "com.amazonaws.global.groundstation": _Known("IPv4", 5),
    "com.amazonaws.{region}.dynamodb": _Known("IPv4", 1),
    "com.amazonaws.{region}.ec2-instance-connect": _Known("IPv4", 2),
    "com.amazonaws.{region}.ipv6.ec2-instance-connect": _Known("IPv6", 2),
    "com.amazonaws.{region}.route53-healthchecks": _Known("IPv4", 25, _CHECKERS),
    "com.amazonaws.{region}.ipv6.route53-healthchecks": _Known("IPv6", 25),
    "com.amazonaws.{region}.s3": _Known("IPv4", 1),
    "com.amazonaws.{region}.s3express": _Known("IPv4", 6),
    "com.amazonaws.{region}.vpc-lattice": _Known("IPv4", 10),
    "com.amazonaws.{region}.ipv6.vpc-lattice": _Known("IPv6", 10),
}
_FOR_GATEWAYS: Final = ("s3", "dynamodb")
"""Services with gateway endpoints, whose lists DescribePrefixLists tells and which have ids of the old, short form."""

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribePrefixLists.html lists them per region; the ids of
# other regions and lists than these are made up from a hash.
_IDS: Final = {
    ("us-east-1", "s3"): "pl-63a5400a",
    ("us-east-1", "dynamodb"): "pl-02cd2c6b",
    ("us-east-1", "cloudfront.origin-facing"): "pl-3b927c52",
    ("us-east-2", "s3"): "pl-7ba54012",
    ("us-east-2", "dynamodb"): "pl-4ca54025",
    ("us-east-2", "cloudfront.origin-facing"): "pl-b6a144df",
    ("us-west-1", "s3"): "pl-6ba54002",
    ("us-west-1", "cloudfront.origin-facing"): "pl-4ea04527",
    ("us-west-2", "s3"): "pl-68a54001",
    ("us-west-2", "dynamodb"): "pl-00a54069",
    ("us-west-2", "cloudfront.origin-facing"): "pl-82a045eb",
    ("eu-west-1", "s3"): "pl-6da54004",
    ("eu-west-1", "dynamodb"): "pl-6fa54006",
    ("eu-west-1", "cloudfront.origin-facing"): "pl-4fa04526",
    ("eu-central-1", "s3"): "pl-6ea54007",
    ("eu-central-1", "dynamodb"): "pl-66a5400f",
    ("eu-central-1", "cloudfront.origin-facing"): "pl-a3a144ca",
}


@dataclass(frozen=True, slots=True)
class PrefixList:
    """A prefix list of AWS in one region."""

    id: str
    name: str
    region: str
    family: str
    weight: int
    entries: tuple[str, ...]


def prefix_list_id(region: str, service: str) -> str:
    """The id of AWS's own prefix list of a service (`s3`, `dynamodb`, `route53-healthchecks`) in a region."""
    known = _IDS.get((region, service))
    digest = hashlib.sha256(f"{region}/{service}".encode()).hexdigest()
    short = service in (*_FOR_GATEWAYS, "cloudfront.origin-facing")
    return known or "pl-" + (digest[:8] if short else f"0{digest[:16]}")


@lru_cache(maxsize=64)
def prefix_lists(region: str) -> tuple[PrefixList, ...]:
    """AWS's own lists in a region."""
    return tuple(
        PrefixList(
            prefix_list_id(region, pattern.split(".", 3)[3]),
            pattern.format(region=region),
            region,
            known.family,
            known.weight,
            known.entries or _SOMEWHERE[known.family],
        )
        for pattern, known in _LISTS.items()
    )


@lru_cache(maxsize=1)
def _by_id() -> dict[str, PrefixList]:
    return {found.id: found for region in zones.regions() for found in prefix_lists(region)}


def is_managed_prefix_list(value: str) -> bool:
    """Whether an id is of a list that AWS keeps: one that the stand-in lists, or of the old form with 8 hex digits,
    which a customer's never have."""
    return value in _by_id() or (is_id(value, "pl") and len(value) == len("pl-63a5400a"))


def prefix_list_weight(cloud: Cloud, id: str) -> int:
    """The rules or routes that a reference to a prefix list counts for: the documented weight of AWS's own lists, the
    `maxEntries` of the account's (https://docs.aws.amazon.com/vpc/latest/userguide/managed-prefix-lists.html)."""
    known = _by_id().get(id)
    if known is not None:
        return known.weight
    own = cloud.get(tokens.PREFIX_LIST, id)
    return int(own["maxEntries"] or 1) if own is not None else 1


def _described(cloud: Cloud) -> list[dict[str, Any]]:
    """All lists of the region as DescribeManagedPrefixLists tells them. AWS's own have no version and no maximum
    (https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ec2/vpc_managed_prefix_list_data_source_test.go)."""
    out: list[dict[str, Any]] = [
        {
            "id": found.id,
            "name": found.name,
            "addressFamily": found.family,
            "arn": arn("ec2", cloud.region, "aws", f"prefix-list/{found.id}"),
            "entries": [{"cidr": cidr, "description": ""} for cidr in found.entries],
            "maxEntries": 0,
            "ownerId": "AWS",
            "tags": {},
            "version": 0,
        }
        for found in prefix_lists(cloud.region)
    ]
    for own in cloud.all(tokens.PREFIX_LIST, region=cloud.region):
        entries = [{"cidr": e["cidr"], "description": e.get("description", "")} for e in own["entries"] or []]
        keys = ("name", "addressFamily", "arn", "maxEntries", "ownerId", "version")
        tags = own["tagsAll"] or own["tags"] or {}
        out.append({"id": own.id, "entries": entries, "tags": tags, **{key: own[key] for key in keys}})
    return out


def _matching(args: Args, cloud: Cloud) -> list[dict[str, Any]]:
    """Raises CloudError for a filter that EC2 does not have."""
    known = {"prefix-list-id": "id", "prefix-list-name": "name", "owner-id": "ownerId"}
    found = [p for p in _described(cloud) if all(args.get(k) in (None, "", p[k]) for k in ("id", "name"))]
    for name, values in filter_pairs(args):
        if name.startswith("tag:"):
            found = [p for p in found if p["tags"].get(name.removeprefix("tag:")) in values]
        elif name in known:
            found = [p for p in found if p[known[name]] in values]
        else:
            raise CloudError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return [p for p in found if tagged(p, args.get("tags") or {})]


@AWS.invoke("aws:ec2/getManagedPrefixList:getManagedPrefixList")
def get_managed_prefix_list(args: Args, cloud: Cloud) -> dict[str, Any]:
    """One list, AWS's or the account's. Raises CloudError when none or several match."""
    found = _matching(args, cloud)
    if not found:
        raise no_match("EC2 Managed Prefix List")
    if len(found) > 1:
        raise CloudError(
            "TooManyResults",
            "multiple EC2 Managed Prefix Lists matched; use additional constraints to reduce matches to a single EC2 "
            "Managed Prefix List",
        )
    given = {key: value for key, value in args.values.items() if value is not None}
    return {**given, **found[0], "region": cloud.region}


@AWS.invoke("aws:ec2/getManagedPrefixLists:getManagedPrefixLists")
def get_managed_prefix_lists(args: Args, cloud: Cloud) -> dict[str, Any]:
    """Ids of lists, AWS's and the account's."""
    given = {key: value for key, value in args.values.items() if value is not None}
    ids = [found["id"] for found in _matching(args, cloud)]
    return {**given, "id": cloud.region, "ids": ids, "region": cloud.region}


@AWS.invoke("aws:ec2/getPrefixList:getPrefixList")
def get_prefix_list(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The list of a service with a gateway endpoint; the other lists are told by getManagedPrefixList only."""
    wanted = {"prefix-list-id": args.get("prefixListId"), "prefix-list-name": args.get("name")}
    filters: dict[str, list[str]] = {key: [value] for key, value in wanted.items() if value}
    for name, values in filter_pairs(args):
        if name not in wanted:
            raise CloudError("InvalidParameterValue", f"The filter '{name}' is invalid")
        filters[name] = [v for v in values if v in filters.get(name, values)]
    names = {f"com.amazonaws.{cloud.region}.{service}" for service in _FOR_GATEWAYS}
    found = [
        p
        for p in prefix_lists(cloud.region)
        if p.name in names
        and p.id in filters.get("prefix-list-id", [p.id])
        and p.name in filters.get("prefix-list-name", [p.name])
    ]
    if not found:
        raise no_match("EC2 Prefix List")
    if len(found) > 1:
        raise CloudError("TooManyResults", "multiple EC2 Prefix Lists matched; use a name or an id")
    given = {key: value for key, value in args.values.items() if value is not None}
    return {**given, "id": found[0].id, "name": found[0].name, "cidrBlocks": list(found[0].entries)}
