"""What the types of Tencent Cloud have in common: ids, names, tags, and the words of refusals.

Rules whose source is not named where they stand come from the provider itself, one file per type in
https://github.com/tencentcloudstack/terraform-provider-tencentcloud/tree/master/tencentcloud/services: its schema
(ForceNew, ranges, allowed values, conflicts) and what its functions refuse before they call the API.
"""

from __future__ import annotations

import hashlib
import random
import string
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sandbox.kinds import Args, Cloud, CloudError, Fault, Kind, Resource
from sandbox.rules import length, shown
from sandbox.tencentcloud import places

# https://www.tencentcloud.com/document/product/651/13354
TAGS_MAX: Final = 50
TAG_KEY_MAX: Final = 127
TAG_VALUE_MAX: Final = 255
_ALPHABET: Final = string.ascii_lowercase + string.digits
_random: Final = random.SystemRandom()


def new_id(prefix: str) -> str:
    """`vpc-` and eight letters or digits."""
    return prefix + "".join(_random.choices(_ALPHABET, k=8))


def number_id() -> str:
    """What CAM numbers its roles and policies by: 19 digits and 8."""
    return str(_random.randrange(4_611_686_018_000_000_000, 4_611_686_018_999_999_999))


def now() -> str:
    """The time as the services write it: `2026-11-26T08:00:00Z`."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def app_id(account: str) -> str:
    """The APPID of an account: ten digits, always the same ones."""
    return str(1_250_000_000 + int(hashlib.sha256(account.encode()).hexdigest(), 16) % 100_000_000)


def kept(old: Resource | None, key: str, new: Any) -> Any:
    """What an output had before an update, else the new value."""
    value = old[key] if old is not None else None
    return new if value in (None, "") else value


def tag_faults(args: Args, *keys: str) -> Iterator[Fault]:
    """Tags: at most 50, keys of 1 to 127 and values of up to 255 characters, no `qcs:` in front."""
    for key in keys or ("tags",):
        for path, tags in args.at(key):
            if not isinstance(tags, dict):
                continue
            if len(tags) > TAGS_MAX:
                yield Fault(path, f"expected at most {TAGS_MAX} tags, got {len(tags)}")
            for name, value in tags.items():
                if not 1 <= len(name) <= TAG_KEY_MAX or name.lower().startswith("qcs:"):
                    yield Fault(path, f"expected keys of 1 to {TAG_KEY_MAX} characters, not qcs:..., got {shown(name)}")
                if isinstance(value, str) and len(value) > TAG_VALUE_MAX:
                    yield Fault(path, f"expected values of up to {TAG_VALUE_MAX} characters; {name} has {len(value)}")


def check_count(cloud: Cloud, name: str, have: int, default: float) -> None:
    """Refuse one more when a quota is used up; quotas have the names of DescribeVpcLimits
    (https://cloud.tencent.com/document/product/248/42942). Raises CloudError LimitExceeded."""
    limit = cloud.quota(name, default)
    if have + 1 > limit:
        raise CloudError("LimitExceeded", f"The quota {name} of this region is {limit:g}.")


class TencentKind(Kind):
    """A type of Tencent Cloud, in the provider's region."""

    not_found_code: ClassVar[str] = "ResourceNotFound"
    duplicate_code: ClassVar[str] = "InvalidParameterValue.Duplicate"
    taggable: ClassVar[bool] = False
    named: ClassVar[str | None] = "name"
    """The property that is the type's name."""
    name_max: ClassVar[int] = 60
    """ValidateStringLengthInRange(1, 60) of most types."""

    def check(self, args: Args) -> Iterable[Fault]:
        if self.named is not None:
            yield from length(args, self.named, 1, self.name_max)
        yield from tag_faults(args)
        yield from self.faults(args)

    def faults(self, args: Args) -> Iterable[Fault]:
        """The type's own value rules."""
        return ()

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return new_id(self.id_prefix)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if self.regional and not places.is_region(cloud.region):
            raise CloudError("UnsupportedRegion", f"The region {cloud.region} does not exist.")
        self.check_state(args, cloud, None)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self.check_state(args, cloud, old)

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        """State rules of a create (`old` is None) or an update. Raises CloudError to refuse."""
