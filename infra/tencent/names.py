"""Names, tags and resource descriptions of a Tencent Cloud region, by the cloud's own length and character rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from infra import naming
from infra.naming import PROJECT

NAME_MAX: Final = 60
"""VPCs, subnets, NAT gateways, security groups, balancers, launch configurations: the shortest limit of all but one.
https://github.com/tencentcloudstack/terraform-provider-tencentcloud (ValidateStringLengthInRange(1, 60) of each)."""
GROUP_NAME_MAX: Final = 55
"""https://www.tencentcloud.com/document/api/377/31016 (AutoScalingGroupName)"""
BUCKET_NAME_MAX: Final = 60
"""With the APPID, which has ten digits: ValidateCosBucketName in tencentcloud/common/validators.go of the provider."""
IMAGE_NAME_MAX: Final = 60
# https://www.tencentcloud.com/document/product/651/13354: 50 tags per resource, keys of 127, values of 255 characters
TAGS_MAX: Final = 50
TAG_KEY_MAX: Final = 127
TAG_VALUE_MAX: Final = 255
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+")
_APP_ID: Final = re.compile(r"[0-9]{10}")


def name(stack: str, suffix: str) -> str:
    """`spillway-tencent-ap-guangzhou-<suffix>`; raises ValueError when it is longer than 60 characters."""
    return naming.name(stack, suffix, NAME_MAX)


def pool_name(stack: str) -> str:
    """The scaling group of the only pool: `spillway-tencent-ap-guangzhou-on-demand`."""
    return naming.name(stack, "on-demand", GROUP_NAME_MAX)


def bucket_name(app_id: str, region: str) -> str:
    """The model bucket: `spillway-models-ap-guangzhou-<APPID>`. COS wants the APPID at the end of the name."""
    if not _APP_ID.fullmatch(app_id):
        raise ValueError(f"APPID {app_id!r}: expected 10 digits")
    if not _REGION.fullmatch(region):
        raise ValueError(f"region {region!r}: expected a Tencent Cloud region such as ap-guangzhou")
    full = f"{PROJECT}-models-{region}-{app_id}"
    if len(full) > BUCKET_NAME_MAX:
        raise ValueError(f"bucket name {full!r} has {len(full)} characters, the limit is {BUCKET_NAME_MAX}")
    return full


def image_name(family: str, version: str) -> str:
    """The baked image of a family and version: `spillway-vllm-2026-11-1`. Names take no dots."""
    full = f"{family}-{version.replace('.', '-')}"
    if not re.fullmatch(rf"[a-z][a-z0-9-]{{0,{IMAGE_NAME_MAX - 1}}}", full):
        raise ValueError(f"image {full!r}: expected up to {IMAGE_NAME_MAX} lower-case letters, digits and hyphens")
    return full


def object_resource(region: str, app_id: str, bucket: str, prefix: str) -> str:
    """Objects below a folder of a bucket, as policies name them.

    https://www.tencentcloud.com/document/product/436/18023 (resource): COS owners are told by APPID.
    """
    return f"qcs::cos:{region}:uid/{app_id}:{bucket}/{prefix}*"


def secret_resource(region: str, account: str, secret: str) -> str:
    """A secret, as policies name it, whoever of the account has created it.

    https://www.tencentcloud.com/document/product/1078/38612
    """
    return f"qcs::ssm:{region}:uin/{account}:secret/creatorUin/*/{secret}"


def tags(
    stack: str, component: str, extra: Mapping[str, str] | None = None, *, pool: str | None = None
) -> dict[str, str]:
    """The tags of one resource: the stack's own, `extra` from the stack file, and a pool; the same keys as on AWS.

    Raises ValueError on a key or value that Tencent Cloud would refuse.
    """
    for key, value in (extra or {}).items():
        if key.lower().startswith(("qcs:", "tencentcloud:")):
            raise ValueError(f"tag {key!r}: keys that start with qcs: or tencentcloud: are reserved")
        if len(key) > TAG_KEY_MAX or len(value) > TAG_VALUE_MAX:
            raise ValueError(f"tag {key!r}: expected a key of {TAG_KEY_MAX} and a value of {TAG_VALUE_MAX} at most")
    return naming.tags(stack, component, extra, pool=pool)
