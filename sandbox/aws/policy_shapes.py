"""The uses of IAM's policy language, each with what it requires, forbids and how long it may be.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class PolicyShape:
    """What one use of the language allows.

    principal: "required" (trust and resource policies) or "forbidden" (identity policies).
    resource: "required", "optional" or "forbidden" (trust policies).
    max_chars: the size quota; IAM leaves white space out of the count.
    vendors: services whose actions may appear; None = any.
    strict_sid: only letters and digits in Sid (IAM; services with their own resource policies are laxer).
    """

    name: str
    principal: str
    resource: str
    max_chars: int
    vendors: frozenset[str] | None = None
    strict_sid: bool = False
    ignores_space: bool = False


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (inline of a role 10,240, managed 6,144,
# trust 2,048 by default and 8,192 at most) and each service's own limit for resource policies.
MANAGED: Final = PolicyShape("managed policy", "forbidden", "required", 6144, strict_sid=True, ignores_space=True)
INLINE_ROLE: Final = PolicyShape(
    "inline role policy",
    "forbidden",
    "required",
    10240,
    strict_sid=True,
    ignores_space=True,
)
INLINE_USER: Final = PolicyShape(
    "inline user policy",
    "forbidden",
    "required",
    2048,
    strict_sid=True,
    ignores_space=True,
)
TRUST: Final = PolicyShape(
    "role trust policy",
    "required",
    "forbidden",
    2048,
    frozenset({"sts"}),
    strict_sid=True,
    ignores_space=True,
)
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html: 20 KB
BUCKET: Final = PolicyShape("bucket policy", "required", "required", 20480, frozenset({"s3", "s3express"}))
# https://docs.aws.amazon.com/general/latest/gr/sns.html: 30 KB
TOPIC: Final = PolicyShape("topic policy", "required", "required", 30720, frozenset({"sns"}))
QUEUE: Final = PolicyShape("queue policy", "required", "required", 8192, frozenset({"sqs"}))
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html: 20,480 characters
SECRET: Final = PolicyShape("secret policy", "required", "required", 20480, frozenset({"secretsmanager"}))
# https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html: 32 KB
KEY: Final = PolicyShape("key policy", "required", "required", 32768, frozenset({"kms"}))
# https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html: 20,480 characters
ENDPOINT: Final = PolicyShape("endpoint policy", "required", "required", 20480)
