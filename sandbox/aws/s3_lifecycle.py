"""S3 lifecycle rules: which combinations of filters, ages and storage classes S3 takes.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws.registry import AWS
from sandbox.aws.s3 import BucketSetting
from sandbox.kinds import Args, Cloud, Fault, Resource
from sandbox.rules import between, length, matches, one_of, shown
from sandbox.values import UNKNOWN, has_unknown

_CLASSES: Final = ("GLACIER", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "DEEP_ARCHIVE", "GLACIER_IR")
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html: a month
# before these
_AFTER_A_MONTH: Final = ("STANDARD_IA", "ONEZONE_IA")
_MOST_RULES: Final = 1000
_ACTIONS: Final = (
    "abortIncompleteMultipartUpload", "expiration", "noncurrentVersionExpiration", "noncurrentVersionTransitions",
    "transitions",
)  # fmt: skip
_MIDNIGHT: Final = r"\d{4}-\d{2}-\d{2}T00:00:00(\.0+)?(Z|\+00:00)"


class _Lifecycle(BucketSetting):
    """One configuration per bucket: PutBucketLifecycleConfiguration replaces the whole."""

    sets = ("rules", "rules[*].transitions", "rules[*].noncurrentVersionTransitions")
    write_only = ("timeouts",)
    defaults: ClassVar[Mapping[str, Any]] = {"transitionDefaultMinimumObjectSize": "all_storage_classes_128K"}
    not_found_code = "NoSuchLifecycleConfiguration"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from super().check(args)
        yield from one_of(
            args, "transitionDefaultMinimumObjectSize", ("all_storage_classes_128K", "varies_by_storage_class")
        )
        yield from length(args, "rules", 1, _MOST_RULES)
        yield from length(args, "rules[*].id", 1, 255)
        yield from one_of(args, "rules[*].status", ("Enabled", "Disabled"))
        yield from between(args, "rules[*].abortIncompleteMultipartUpload.daysAfterInitiation", 1, 2**31 - 1, "days")
        yield from between(args, "rules[*].expiration.days", 1, 2**31 - 1, "days")
        yield from between(args, "rules[*].noncurrentVersionExpiration.noncurrentDays", 1, 2**31 - 1, "days")
        for key in ("noncurrentVersionExpiration", "noncurrentVersionTransitions[*]"):
            yield from between(args, f"rules[*].{key}.newerNoncurrentVersions", 1, 100)
        yield from between(args, "rules[*].transitions[*].days", 0, 2**31 - 1, "days")
        yield from between(args, "rules[*].noncurrentVersionTransitions[*].noncurrentDays", 0, 2**31 - 1, "days")
        for key in ("transitions", "noncurrentVersionTransitions"):
            yield from one_of(args, f"rules[*].{key}[*].storageClass", _CLASSES)
        for key in ("expiration", "transitions[*]"):
            yield from matches(
                args, f"rules[*].{key}.date", _MIDNIGHT, "a midnight in UTC such as 2027-01-01T00:00:00Z"
            )
        ids: list[object] = []
        for path, rule in args.at("rules[*]"):
            if isinstance(rule, Mapping):
                yield from _rule_faults(path, rule)
                if rule.get("id") in ids and rule.get("id") is not UNKNOWN:
                    yield Fault(f"{path}.id", f"rule ids must be unique, {shown(rule.get('id'))} stands twice")
                ids.append(rule.get("id"))

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {}


def _rule_faults(path: str, rule: Mapping[str, Any]) -> Iterator[Fault]:
    if all(rule.get(action) in (None, []) for action in _ACTIONS):
        yield Fault(path, f"at least one action needs to be specified in a rule: {', '.join(_ACTIONS)}")
    if rule.get("filter") is not None and rule.get("prefix") is not None:
        yield Fault(f"{path}.prefix", "conflicts with filter")
    chosen = rule.get("filter")
    if isinstance(chosen, Mapping):
        yield from _filter_faults(f"{path}.filter", chosen)
    expiration = rule.get("expiration")
    tagged = _has_tags(chosen)
    if isinstance(expiration, Mapping):
        given = [k for k in ("date", "days", "expiredObjectDeleteMarker") if expiration.get(k) not in (None, False)]
        if len(given) != 1:
            yield Fault(f"{path}.expiration", "one of date, days, expiredObjectDeleteMarker must be set, and only one")
        if tagged and expiration.get("expiredObjectDeleteMarker") is True:
            yield Fault(f"{path}.expiration.expiredObjectDeleteMarker", "cannot be used with a filter by tags")
    if tagged and rule.get("abortIncompleteMultipartUpload") is not None:
        yield Fault(f"{path}.abortIncompleteMultipartUpload", "cannot be used with a filter by tags")
    yield from _transition_faults(path, rule)
    yield from _noncurrent_faults(path, rule)


def _has_tags(chosen: object) -> bool:
    if not isinstance(chosen, Mapping):
        return False
    both = chosen.get("and")
    return chosen.get("tag") is not None or (isinstance(both, Mapping) and both.get("tags") not in (None, {}))


def _filter_faults(path: str, chosen: Mapping[str, Any]) -> Iterator[Fault]:
    keys = ("and", "objectSizeGreaterThan", "objectSizeLessThan", "prefix", "tag")
    given = [key for key in keys if chosen.get(key) is not None]
    if len(given) > 1:
        yield Fault(path, f"takes one of {', '.join(keys)}; {', '.join(given)} belong into and")
    both = chosen.get("and")
    if isinstance(both, Mapping) and not has_unknown(both):
        count = sum(both.get(k) is not None for k in ("objectSizeGreaterThan", "objectSizeLessThan", "prefix"))
        if count + len(both.get("tags") or {}) < 2:
            yield Fault(f"{path}.and", "needs at least two conditions")
        low, high = both.get("objectSizeGreaterThan"), both.get("objectSizeLessThan")
        if low is not None and high is not None and low >= high:
            yield Fault(
                f"{path}.and.objectSizeLessThan", f"must be more than objectSizeGreaterThan ({low}), got {high}"
            )


def _transition_faults(path: str, rule: Mapping[str, Any]) -> Iterator[Fault]:
    transitions = rule.get("transitions")
    expiration = rule.get("expiration")
    if not isinstance(transitions, list) or has_unknown(transitions):
        return
    expires = expiration.get("days") if isinstance(expiration, Mapping) else None
    seen: set[str] = set()
    for i, transition in enumerate(transitions):
        where = f"{path}.transitions[{i}]"
        days, date = transition.get("days"), transition.get("date")
        storage = str(transition.get("storageClass"))
        if days is not None and date is not None:
            yield Fault(f"{where}.date", "conflicts with days")
        if days is not None and storage in _AFTER_A_MONTH and days < 30:
            yield Fault(
                f"{where}.days",
                f"'Days' in Transition action must be greater than or equal to 30 for {storage}, got {days}",
            )
        if isinstance(expires, int) and days is not None and expires <= days:
            yield Fault(
                f"{path}.expiration.days",
                f"must be greater than 'Days' in the Transition action ({days}), got {expires}",
            )
        if storage in seen:
            yield Fault(f"{where}.storageClass", f"{storage} stands twice in one rule")
        seen.add(storage)
    if len({transition.get("date") is None for transition in transitions}) > 1:
        yield Fault(f"{path}.transitions", "a rule's transitions go all by days or all by date")


def _noncurrent_faults(path: str, rule: Mapping[str, Any]) -> Iterator[Fault]:
    transitions = rule.get("noncurrentVersionTransitions")
    expiration = rule.get("noncurrentVersionExpiration")
    if (
        isinstance(expiration, Mapping)
        and expiration.get("newerNoncurrentVersions") is not None
        and rule.get("filter") is None
    ):
        # S3 takes newerNoncurrentVersions only in rules of the newer form, which have a filter (an empty one will do).
        yield Fault(f"{path}.filter", "is required with newerNoncurrentVersions; an empty one stands for all objects")
    if not isinstance(transitions, list) or has_unknown(transitions):
        return
    expires = expiration.get("noncurrentDays") if isinstance(expiration, Mapping) else None
    for i, transition in enumerate(transitions):
        days, storage = transition.get("noncurrentDays"), str(transition.get("storageClass"))
        if isinstance(days, int) and storage in _AFTER_A_MONTH and days < 30:
            yield Fault(
                f"{path}.noncurrentVersionTransitions[{i}].noncurrentDays",
                f"must be at least 30 for {storage}, got {days}",
            )
        if isinstance(expires, int) and isinstance(days, int) and expires <= days:
            yield Fault(
                f"{path}.noncurrentVersionExpiration.noncurrentDays",
                f"must be greater than the transition's days ({days}), got {expires}",
            )


@AWS.kind
class BucketLifecycleConfiguration(_Lifecycle):
    token = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


@AWS.kind
class BucketLifecycleConfigurationV2(_Lifecycle):
    token = "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2"
