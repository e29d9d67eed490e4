"""Where an alias record may lead: a record of its own zone, or an AWS service in that service's hosted zone.

https://docs.aws.amazon.com/Route53/latest/APIReference/API_AliasTarget.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from sandbox.aws import route53_limits as limits
from sandbox.aws import tokens, zones
from sandbox.aws.route53_names import as_stored, is_within
from sandbox.aws.route53_sets import Alias, RecordSet
from sandbox.aws.route53_zones import APEX_TYPES
from sandbox.kinds import Cloud, Resource

CLOUDFRONT: Final = "Z2FDTNDATAQYW2"
ACCELERATOR: Final = "Z2BJ6XQ5FK7U4H"
_SUFFIX: Final = r"amazonaws\.com(?:\.cn)?"
# Names of services whose hosted zones differ by region and are not listed here. Route 53 takes their names in their
# own zones only; which zone id belongs to which region the service tells its customers.
_SERVICES: Final = re.compile(
    rf"(?:.+\.)?(?:execute-api\.[a-z0-9-]+|vpce\.[a-z0-9-]+|[a-z0-9-]+\.vpce|s3-website[.-][a-z0-9-]+|"
    rf"vpc-lattice-svcs\.[a-z0-9-]+\.on\.aws)\.{_SUFFIX}|"
    r"(?:.+\.)?(?:elasticbeanstalk\.com|appsync-api\.[a-z0-9-]+\.amazonaws\.com|awsapprunner\.com|on\.aws)"
)
_CLASSIC_OR_APPLICATION: Final = re.compile(rf"[a-z0-9-]+(?:\.[a-z0-9-]+)?\.([a-z0-9-]+)\.elb\.{_SUFFIX}")
_NETWORK: Final = re.compile(rf"[a-z0-9-]+(?:\.[a-z0-9-]+)?\.elb\.([a-z0-9-]+)\.{_SUFFIX}")
_ADDRESSES: Final = ("A", "AAAA")


@lru_cache(maxsize=1)
def balancer_zones() -> dict[str, tuple[str, str]]:
    """Hosted zone id -> (region, "application" or "network") of all load balancers' zones."""
    return {id: (name, kind) for name, region in zones.regions().items() for kind, id in region.balancers.items()}


def _not_within(record: RecordSet, alias: Alias) -> str:
    return (
        f"Tried to create an alias that targets {as_stored(alias.name)}, type {record.type} in zone {alias.zone_id}, "
        "but the alias target name does not lie within the target zone"
    )


def _not_found(record: RecordSet, alias: Alias) -> str:
    return (
        f"Tried to create an alias that targets {as_stored(alias.name)}, type {record.type} in zone {alias.zone_id}, "
        "but that target was not found"
    )


def alias_faults(
    record: RecordSet, zone: Resource, name: str, others: Sequence[RecordSet], cloud: Cloud
) -> Iterator[str]:
    """Why Route 53 refuses the target of an alias. `name` is the zone's; `others` are its other records."""
    alias = record.alias
    if alias is None:
        return
    if alias.zone_id == zone.id:
        yield from _own_zone_faults(record, alias, name, others)
    elif alias.zone_id in balancer_zones():
        yield from _balancer_faults(record, alias, cloud)
    elif alias.zone_id == CLOUDFRONT:
        yield from _cloudfront_faults(record, alias, zone)
    elif alias.zone_id == ACCELERATOR:
        if not is_within(alias.name, "awsglobalaccelerator.com"):
            yield _not_within(record, alias)
    elif cloud.get(limits.ZONE, alias.zone_id) is not None:
        yield (
            f"{_not_within(record, alias)}: an alias record cannot lead to a record of another hosted zone "
            f"({alias.zone_id})"
        )
    elif not _SERVICES.fullmatch(alias.name):
        yield f"{_not_within(record, alias)}, {_not_found(record, alias)}"


def _own_zone_faults(record: RecordSet, alias: Alias, zone: str, others: Sequence[RecordSet]) -> Iterator[str]:
    if not is_within(alias.name, zone):
        yield f"{_not_within(record, alias)}, {_not_found(record, alias)}"
        return
    if record.type in APEX_TYPES:
        yield f"An alias to a record of the same zone cannot be of type {record.type}."
        return
    if alias.name == record.name:
        yield f"{_not_found(record, alias)}: an alias cannot lead to its own name"
        return
    targets = [o for o in others if (o.name, o.type) == (alias.name, record.type)]
    if not targets:
        yield _not_found(record, alias)
    elif _leads_back(record, targets, others):
        yield f"{_not_found(record, alias)}: the alias leads back to {as_stored(record.name)}"


def _leads_back(record: RecordSet, targets: Sequence[RecordSet], others: Sequence[RecordSet]) -> bool:
    """Whether following aliases from the targets comes to the record's own name and type again."""
    seen: set[str] = set()
    waiting = list(targets)
    while waiting:
        target = waiting.pop()
        if target.alias is None or target.alias.zone_id != record.zone_id or target.alias.name in seen:
            continue
        if target.alias.name == record.name:
            return True
        seen.add(target.alias.name)
        waiting += [o for o in others if (o.name, o.type) == (target.alias.name, record.type)]
    return False


def _balancer_faults(record: RecordSet, alias: Alias, cloud: Cloud) -> Iterator[str]:
    region, kind = balancer_zones()[alias.zone_id]
    pattern = _NETWORK if kind == "network" else _CLASSIC_OR_APPLICATION
    match = pattern.fullmatch(alias.name)
    if match is None or match.group(1) != region:
        yield f"{_not_within(record, alias)}, {_not_found(record, alias)}"
    elif record.type not in _ADDRESSES:
        yield f"An alias to a load balancer is of type A or AAAA, not {record.type}."
    else:
        name = alias.name.removeprefix("dualstack.")
        found = cloud.all(tokens.LOAD_BALANCER, region=region)
        if not any(str(balancer["dnsName"]).lower() == name for balancer in found):
            yield _not_found(record, alias)


def _cloudfront_faults(record: RecordSet, alias: Alias, zone: Resource) -> Iterator[str]:
    if not is_within(alias.name, "cloudfront.net"):
        yield _not_within(record, alias)
    elif zone["vpcs"]:
        yield "An alias to a CloudFront distribution cannot be created in a private hosted zone."
    elif record.type not in (*_ADDRESSES, "HTTPS"):
        yield f"An alias to a CloudFront distribution is of type A, AAAA or HTTPS, not {record.type}."
    elif alias.evaluate_target_health:
        yield "EvaluateTargetHealth cannot be set to true when the alias target is a CloudFront distribution."
