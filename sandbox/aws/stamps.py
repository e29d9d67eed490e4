"""What the services stamp on the things they make: times, generated names, uuids, and the rules for tags."""

from __future__ import annotations

import secrets as random_source
import string
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from sandbox.kinds import Args, Cloud, Fault
from sandbox.rules import shown

_UPPER: Final = string.ascii_uppercase + string.digits
_ALNUM: Final = string.ascii_letters + string.digits


def now() -> str:
    """The time as the provider writes it: `2026-11-21T10:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_uuid() -> str:
    return str(uuid.uuid4())


def unique_suffix() -> str:
    """What the provider puts behind a name prefix: 18 digits of time and 8 hex digits, 26 characters
    (https://github.com/hashicorp/terraform-plugin-sdk/blob/main/helper/id/id.go)."""
    stamp = datetime.now(UTC).strftime("%Y%m%d%H%M%S%f")[:18]
    return f"{stamp}{random_source.token_hex(4)}"


def iam_id(prefix: str) -> str:
    """An IAM unique id: `AROA` (role), `AIPA` (instance profile), `ANPA` (policy), `AIDA` (user) and 17 more characters
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids)."""
    return prefix + "".join(random_source.choice(_UPPER) for _ in range(17))


def random_letters(count: int) -> str:
    """Letters and digits, as Secrets Manager puts six of them behind a secret's name."""
    return "".join(random_source.choice(_ALNUM) for _ in range(count))


def name_of(args: Args, key: str = "name", prefix: str = "namePrefix") -> str:
    """The name given, or a new one made from the prefix (with neither: the provider's own `terraform-` prefix)."""
    given = args.get(key)
    return given if given else f"{args.get(prefix) or 'terraform-'}{unique_suffix()}"


def tag_faults(args: Args, pattern: str = "tags", *, most: int = 50) -> Iterator[Fault]:
    """Tags: count, key 1-128, value 0-256, no `aws:` keys
    (https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html)."""
    for path, tags in args.at(pattern):
        if not isinstance(tags, dict):
            continue
        if len(tags) > most:
            yield Fault(path, f"expected at most {most} tags, got {len(tags)}")
        for key, value in tags.items():
            yield from tag_fault(path, key, value)


def tag_fault(path: str, key: object, value: object) -> Iterator[Fault]:
    """The rules of one tag, at the path given."""
    if isinstance(key, str):
        if not 1 <= len(key) <= 128:
            yield Fault(path, f"expected a tag key of 1 to 128 characters, got {shown(key)}")
        if key.lower().startswith("aws:"):
            yield Fault(path, f"tag keys that begin with aws: belong to AWS, got {shown(key)}")
    if isinstance(value, str) and len(value) > 256:
        yield Fault(
            path,
            f"expected a tag value of at most 256 characters, {shown(key)} has {len(value)}",
        )


def in_region(cloud: Cloud, arn: str) -> bool:
    """Whether an ARN names this call's region (global ARNs have none and pass)."""
    fields = arn.split(":")
    return len(fields) < 6 or fields[3] in ("", cloud.region)
