"""Cloud Storage: buckets and objects.

Names, locations and classes: https://docs.cloud.google.com/storage/docs/buckets, .../locations, .../storage-classes.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sandbox.gcp import places, tokens
from sandbox.gcp.api import GcpKind, kept, label_faults, label_outputs, number, project_number, project_of
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Resource
from sandbox.rules import between, conflicting, exactly_one, length, matches, one_of, shown

_MULTI_REGIONS: Final = ("US", "EU", "ASIA")
_DUAL_REGIONS: Final = ("NAM4", "EUR4", "EUR5", "EUR7", "EUR8", "ASIA1")
_CLASSES: Final = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "MULTI_REGIONAL", "REGIONAL")
_ACTIONS: Final = ("Delete", "SetStorageClass", "AbortIncompleteMultipartUpload")
_DATE: Final = r"\d{4}-\d{2}-\d{2}"
LIFECYCLE_RULES_MAX: Final = 100
RETENTION_MAX: Final = 3_155_760_000
"""Seconds, 100 years: https://docs.cloud.google.com/storage/docs/bucket-lock"""
# https://docs.cloud.google.com/storage/docs/soft-delete: none, or 7 to 90 days
SOFT_DELETE_SECONDS: Final = (7 * 86400, 90 * 86400)
OBJECT_NAME_MAX: Final = 1024


def bucket_name_fault(name: object) -> str:
    """Why Cloud Storage refuses a bucket's name, or ""
    (https://docs.cloud.google.com/storage/docs/buckets#naming)."""
    if not isinstance(name, str):
        return f"expected a name, got {shown(name)}"
    most = 222 if "." in name else 63
    if not 3 <= len(name) <= most or any(len(part) > 63 for part in name.split(".")):
        return f"expected 3 to 63 characters (between dots, 222 in all), {shown(name)} has {len(name)}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*[a-z0-9]", name):
        return (
            "expected lower-case letters, digits, dots, - and _, beginning and ending with a letter or digit: "
            f"{shown(name)}"
        )
    if re.fullmatch(r"\d+\.\d+\.\d+\.\d+", name):
        return f"must not look like an IP address: {shown(name)}"
    if name.startswith("goog") or "google" in name or re.search(r"g[o0]{2}g[l1]e", name):
        return f"must not begin with goog or contain google: {shown(name)}"
    if ".." in name or ".-" in name or "-." in name:
        return f"must not have two dots, or a dot and a hyphen, in a row: {shown(name)}"
    return ""


def is_location(location: object) -> bool:
    """A region, a dual-region or a multi-region, in any case."""
    text = location.upper() if isinstance(location, str) else ""
    return text in (*_MULTI_REGIONS, *_DUAL_REGIONS) or places.is_region(text.lower())


@GCP.kind
class Bucket(GcpKind):
    """https://docs.cloud.google.com/storage/docs/json_api/v1/buckets"""

    token = tokens.BUCKET
    label = "bucket"
    autoname = AutoName("name", 63, lower=True)
    replace_on = (
        "name", "location", "project", "enableObjectRetention", "customPlacementConfig.dataLocations",
        "hierarchicalNamespace",
    )  # fmt: skip
    sets = ("customPlacementConfig.dataLocations",)
    write_only = ("forceDestroy", "deletionPolicy")
    defaults: ClassVar[Mapping[str, Any]] = {"forceDestroy": False, "storageClass": "STANDARD"}
    unique = ("name",)
    unique_scope = "global"  # all users of Cloud Storage share one namespace
    duplicate_code = "conflict"

    def faults(self, args: Args) -> Iterable[Fault]:
        for path, name in args.at("name"):
            if fault := bucket_name_fault(name):
                yield Fault(path, fault)
        for path, location in args.at("location"):
            if not is_location(location):
                yield Fault(path, f"expected a region such as us-central1, US, EU or ASIA; got {shown(location)}")
        yield from one_of(args, "storageClass", _CLASSES)
        yield from one_of(args, "publicAccessPrevention", ("inherited", "enforced"))
        yield from one_of(args, "rpo", ("DEFAULT", "ASYNC_TURBO"))
        yield from label_faults(args)
        yield from length(args, "lifecycleRules", 0, LIFECYCLE_RULES_MAX)
        for i, rule in enumerate(args.get("lifecycleRules") or []):
            yield from _lifecycle_faults(f"lifecycleRules[{i}]", rule)
        yield from self._retention_faults(args)
        if args.get("rpo") == "ASYNC_TURBO" and args["customPlacementConfig"] is None:
            yield Fault("rpo", "ASYNC_TURBO needs a dual-region")
        if (args.get("hierarchicalNamespace") or {}).get("enabled"):
            if args.get("uniformBucketLevelAccess") is not True and not args.is_unknown("uniformBucketLevelAccess"):
                yield Fault("uniformBucketLevelAccess", "has to be true with hierarchicalNamespace")
            if (args.get("versioning") or {}).get("enabled"):
                yield Fault("versioning.enabled", "does not go with hierarchicalNamespace")

    @staticmethod
    def _retention_faults(args: Args) -> Iterator[Fault]:
        for path, text in args.at("retentionPolicy.retentionPeriod"):
            if not str(text).isdigit() or not 1 <= int(text) < RETENTION_MAX:
                yield Fault(path, f"expected 1 to {RETENTION_MAX - 1:,} seconds, got {shown(text)}")
        for path, seconds in args.at("softDeletePolicy.retentionDurationSeconds"):
            low, high = SOFT_DELETE_SECONDS
            if seconds != 0 and not low <= seconds <= high:
                yield Fault(path, f"expected 0 or {low:,} to {high:,} seconds (7 to 90 days), got {seconds:,}")
        if args.get("retentionPolicy") and (args.get("versioning") or {}).get("enabled"):
            yield Fault("retentionPolicy", "conflicts with versioning: a bucket has one or the other")

    def comparable(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        location = inputs.get("location")
        return {**inputs, "location": location.upper()} if isinstance(location, str) else inputs

    def replace_when(self, old: Args, new: Args) -> Iterable[str]:
        """A locked retention policy stays as it is (isPolicyLocked in the provider)."""
        before, after = old.get("retentionPolicy") or {}, new.get("retentionPolicy") or {}
        return ("retentionPolicy.isLocked",) if before.get("isLocked") and not after.get("isLocked") else ()

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["name"])

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        log = (args.get("logging") or {}).get("logBucket")
        if log and cloud.get(self.token, log) is None:
            raise CloudError("notFound", f"The specified bucket '{log}' does not exist.")
        if old is None:
            return
        before = old.inputs.get("retentionPolicy") or {}
        after = args.get("retentionPolicy") or {}
        if before.get("isLocked") and int(after.get("retentionPeriod") or 0) < int(before["retentionPeriod"]):
            raise CloudError("retentionPolicyNotMet", "A locked retention policy cannot be shortened.")

    def check_delete(self, resource: Resource, cloud: Cloud) -> None:
        objects = [o for o in cloud.all(tokens.BUCKET_OBJECT) if o["bucket"] == resource.id]
        if objects and not resource.inputs.get("forceDestroy"):
            raise CloudError("conflict", f"The bucket you tried to delete is not empty ({len(objects)} objects).")

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        super().after_delete(resource, cloud)
        if resource.inputs.get("deletionPolicy") != "ABANDON":
            for token in (tokens.BUCKET_OBJECT, tokens.BUCKET_IAM_MEMBER):
                for part in cloud.all(token):
                    if str(part["bucket"]).removeprefix("b/") == resource.id:
                        cloud.remove(token, part.id)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        project = project_of(args, cloud)
        time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        soft = args["softDeletePolicy"] or {"retentionDurationSeconds": 604800}
        return {
            **label_outputs(args),
            "project": project,
            "projectNumber": int(project_number(project)),
            "location": str(args["location"]).upper(),
            "selfLink": f"https://www.googleapis.com/storage/v1/b/{id}",
            "url": f"gs://{id}",
            "publicAccessPrevention": args.get("publicAccessPrevention") or "inherited",
            "uniformBucketLevelAccess": bool(args.get("uniformBucketLevelAccess", False)),
            "versioning": args["versioning"] or {"enabled": False},
            "softDeletePolicy": {"effectiveTime": kept(old, "timeCreated", time), **soft},
            "rpo": args.get("rpo") or ("" if places.is_region(str(args["location"]).lower()) else "DEFAULT"),
            "timeCreated": kept(old, "timeCreated", time),
            "updated": time,
        }


def _lifecycle_faults(path: str, rule: Mapping[str, Any]) -> Iterator[Fault]:
    """https://docs.cloud.google.com/storage/docs/lifecycle"""
    action, condition = rule.get("action") or {}, rule.get("condition") or {}
    kind = action.get("type")
    args = Args({"action": action, "condition": condition})
    for fault in (
        *one_of(args, "action.type", _ACTIONS),
        *one_of(args, "action.storageClass", _CLASSES),
        *one_of(args, "condition.withState", ("LIVE", "ARCHIVED", "ANY")),
        *between(args, "condition.age", 0, 2**31 - 1, "days"),
        *between(args, "condition.numNewerVersions", 0, 2**31 - 1),
        *between(args, "condition.daysSinceNoncurrentTime", 0, 2**31 - 1, "days"),
        *matches(args, "condition.createdBefore", _DATE, "a date such as 2026-11-21"),
        *matches(args, "condition.noncurrentTimeBefore", _DATE, "a date such as 2026-11-21"),
    ):
        yield Fault(f"{path}.{fault.path}", fault.reason)
    if kind == "SetStorageClass" and not action.get("storageClass"):
        yield Fault(f"{path}.action.storageClass", "is required with SetStorageClass")
    if kind in ("Delete", "AbortIncompleteMultipartUpload") and action.get("storageClass"):
        yield Fault(f"{path}.action.storageClass", f"is not for {kind}")
    given = {key for key, value in condition.items() if value is not None and value != []}
    if not given:
        yield Fault(f"{path}.condition", "expected at least one condition, got none")
    extra = given - {"age", "matchesPrefixes", "matchesSuffixes", "sendAgeIfZero"}
    if kind == "AbortIncompleteMultipartUpload" and extra:
        allowed = "age, matchesPrefixes and matchesSuffixes"
        yield Fault(f"{path}.condition", f"only {allowed} go with {kind}; got {', '.join(sorted(extra))}")


@GCP.kind
class BucketObject(GcpKind):
    """https://docs.cloud.google.com/storage/docs/json_api/v1/objects

    `content` changes in place; a `source` asset is compared by its hash, and a changed one makes a new object.
    """

    token = tokens.BUCKET_OBJECT
    label = "object"
    autoname = AutoName("name", 1024)
    replace_on = (
        "bucket", "name", "cacheControl", "contentDisposition", "contentEncoding", "contentLanguage", "contentType",
        "forceEmptyContentType", "source", "storageClass", "kmsKeyName", "metadata",
        "customerEncryption.encryptionAlgorithm", "customerEncryption.encryptionKey",
    )  # fmt: skip
    write_only = ("deletionPolicy", "detectMd5hash", "sourceMd5hash", "source")
    defaults: ClassVar[Mapping[str, Any]] = {"detectMd5hash": "different hash"}
    delete_before_replace = True
    changes_on_update = ("crc32c", "md5hash", "md5hexhash", "generation", "mediaLink")

    def faults(self, args: Args) -> Iterable[Fault]:
        yield from exactly_one(args, "source", "content")
        yield from conflicting(args, "contentType", "forceEmptyContentType")
        yield from conflicting(args, "customerEncryption", "kmsKeyName")
        yield from conflicting(args, "eventBasedHold", "retention")
        yield from one_of(args, "storageClass", _CLASSES)
        for path, name in args.at("name"):
            text = str(name)
            if not 1 <= len(text.encode()) <= OBJECT_NAME_MAX or re.search(r"[\r\n]", text) or text in (".", ".."):
                yield Fault(path, f"expected 1 to {OBJECT_NAME_MAX} bytes without line breaks, got {shown(name)}")
            elif text.startswith(".well-known/acme-challenge/"):
                yield Fault(path, "must not begin with .well-known/acme-challenge/")
        yield from one_of(args, "retention.mode", ("Locked", "Unlocked"))

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['bucket']}-{args['name']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        """An upload replaces what was there; the bucket has to exist."""
        self.check_state(args, cloud, None)

    def check_state(self, args: Args, cloud: Cloud, old: Resource | None) -> None:
        if cloud.get(tokens.BUCKET, str(args["bucket"])) is None:
            raise CloudError("notFound", f"The specified bucket '{args['bucket']}' does not exist.")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        body = args["content"] if isinstance(args["content"], str) else json.dumps(args["source"], default=str)
        digest = hashlib.md5(body.encode(), usedforsecurity=False).digest()
        path = f"{args['bucket']}/o/{args['name']}"
        return {
            "outputName": args["name"],
            "contentType": args.get("contentType") or "text/plain; charset=utf-8",
            "storageClass": args.get("storageClass") or "STANDARD",
            "md5hash": b64encode(digest).decode(),
            "md5hexhash": digest.hex(),
            "crc32c": b64encode(hashlib.sha256(digest).digest()[:4]).decode(),
            "generation": int(number()[:16]),
            "selfLink": f"https://www.googleapis.com/storage/v1/b/{path}",
            "mediaLink": f"https://storage.googleapis.com/download/storage/v1/b/{path}?alt=media",
        }
