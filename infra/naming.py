"""Names and tags of everything that a region stack makes, with the clouds' own length and character rules. Pure.

Costly things carry fixed names made here, never a random suffix: when the answer to a create is lost, the retry is
refused as a duplicate instead of paying twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

Pool = Literal["spot", "on-demand"]

PROJECT: Final = "spillway"
POOLS: Final[tuple[Pool, ...]] = ("spot", "on-demand")

_STACK = re.compile(r"[a-z]+(-[a-z0-9]+)+")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_ACCOUNT = re.compile(r"[0-9]{12}")
_RESERVATION = re.compile(r"cr-[0-9a-f]{8,17}")

# https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/API_CreateLoadBalancer.html (Name),
# API_CreateTargetGroup.html (Name)
LOAD_BALANCER_NAME_MAX: Final = 32
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET_NAME_MAX: Final = 63
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html (RoleName); the shortest limit of all other
# names
NAME_MAX: Final = 64
# https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html (naming limits)
TAG_KEY_MAX: Final = 128
TAG_VALUE_MAX: Final = 256
TAGS_MAX: Final = 50
_TAG_TEXT = re.compile(r"[\w .:/=+@-]*")


def region_prefix(stack: str) -> str:
    """`aws-us-east-1` -> `spillway-aws-us-east-1`, the start of every name in that region.

    Raises ValueError when `stack` is not `<cloud>-<region>` in lower case.
    """
    if not _STACK.fullmatch(stack):
        raise ValueError(f"stack name {stack!r}: expected <cloud>-<region> in lower case, such as aws-us-east-1")
    return f"{PROJECT}-{stack}"


def name(stack: str, suffix: str, limit: int = NAME_MAX) -> str:
    """`<prefix>-<suffix>`; raises ValueError when it is longer than `limit` characters (a cut name could collide)."""
    full = f"{region_prefix(stack)}-{suffix}"
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", full):
        raise ValueError(f"name {full!r}: expected lower-case letters, digits and single hyphens")
    if len(full) > limit:
        raise ValueError(f"name {full!r} has {len(full)} characters, the limit is {limit}")
    return full


def is_aws_region(text: str) -> bool:
    """Whether a text has the form of an AWS region's name."""
    return _REGION.fullmatch(text) is not None


def pool_name(stack: str, pool: Pool) -> str:
    """The auto scaling group of a pool: `spillway-aws-us-east-1-spot`."""
    if pool not in POOLS:
        raise ValueError(f"pool {pool!r}: expected one of {', '.join(POOLS)}")
    return name(stack, pool)


def block_name(stack: str, reservation: str) -> str:
    """The auto scaling group of one capacity block, by the id of its reservation: `...-block-0123456789abcdef0`."""
    if not _RESERVATION.fullmatch(reservation):
        raise ValueError(f"reservation {reservation!r}: expected cr- and 8 to 17 hex digits")
    return name(stack, f"block-{reservation.removeprefix('cr-')}")


def load_balancer_name(stack: str) -> str:
    """At most 32 characters, which the longest AWS region names reach."""
    return name(stack, "lb", LOAD_BALANCER_NAME_MAX)


def target_group_name(stack: str) -> str:
    """At most 32 characters, which the longest AWS region names reach."""
    return name(stack, "tg", LOAD_BALANCER_NAME_MAX)


def bucket_name(account: str, region: str) -> str:
    """The model bucket of an account and region. Bucket names are global, hence the account id in it."""
    if not _ACCOUNT.fullmatch(account):
        raise ValueError(f"account {account!r}: expected 12 digits")
    if not _REGION.fullmatch(region):
        raise ValueError(f"region {region!r}: expected an AWS region such as us-east-1")
    full = f"{PROJECT}-models-{account}-{region}"
    if len(full) > BUCKET_NAME_MAX:
        raise ValueError(f"bucket name {full!r} has {len(full)} characters, the limit is {BUCKET_NAME_MAX}")
    return full


def partition(region: str) -> str:
    """The ARN partition of an AWS region (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html)."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def arn(service: str, region: str, account: str, resource: str) -> str:
    """An ARN in the partition of `region`. Known before anything exists, so policies show in full in a preview."""
    return f"arn:{partition(region)}:{service}:{region}:{account}:{resource}"


def bucket_arn(bucket: str, region: str) -> str:
    """S3 ARNs name neither region nor account."""
    return f"arn:{partition(region)}:s3:::{bucket}"


def tags(
    stack: str,
    component: str,
    extra: Mapping[str, str] | None = None,
    *,
    pool: str | None = None,
    label: str | None = None,
) -> dict[str, str]:
    """The tags of one resource: the stack's own, `extra` from the stack file, a pool, and `label` as `Name`.

    `spillway recover` finds what a stack has made by `spillway:stack`, budgets filter by it, so `extra` cannot replace
    the stack's own keys. Raises ValueError on a key or value that AWS would refuse.
    """
    own = {f"{PROJECT}:stack": stack, f"{PROJECT}:component": component, f"{PROJECT}:managed-by": "pulumi"}
    if pool is not None:
        own[f"{PROJECT}:pool"] = pool
    if label is not None:
        own["Name"] = label
    for key, value in (extra or {}).items():
        if key.startswith(f"{PROJECT}:") or key.lower().startswith("aws:"):
            raise ValueError(f"tag {key!r}: keys that start with {PROJECT}: or aws: are reserved")
        if not 1 <= len(key) <= TAG_KEY_MAX or not _TAG_TEXT.fullmatch(key):
            raise ValueError(f"tag {key!r}: expected 1 to {TAG_KEY_MAX} letters, digits, spaces or _.:/=+-@")
        if len(value) > TAG_VALUE_MAX or not _TAG_TEXT.fullmatch(value):
            raise ValueError(
                f"tag {key!r} = {value!r}: expected up to {TAG_VALUE_MAX} letters, digits, spaces or _.:/=+-@"
            )
    merged = {**(extra or {}), **own}
    if len(merged) > TAGS_MAX:
        raise ValueError(f"{len(merged)} tags on {component}, the limit is {TAGS_MAX}")
    return merged
