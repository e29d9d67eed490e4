"""Objects in buckets, and a bucket's notifications, replication, CORS, access logs and ACLs."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws import kms
from sandbox.aws.formats import arn, arns, decoded_base64
from sandbox.aws.iam import role_ref
from sandbox.aws.messaging import QUEUE, TOPIC
from sandbox.aws.registry import AWS
from sandbox.aws.s3 import (
    BUCKETS,
    OBJECTS,
    OWNERSHIP,
    PUBLIC_ACCESS_BLOCK,
    VERSIONING,
    BucketSetting,
    bucket_ref,
    setting_of,
)
from sandbox.aws.stamps import random_letters, tag_faults
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import between, conflicting, length, matches, one_of, shown
from sandbox.values import has_unknown

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html
_STORAGE_CLASSES: Final = (
    "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE",
    "GLACIER_IR", "EXPRESS_ONEZONE",
)  # fmt: skip
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl
_CANNED: Final = (
    "private", "public-read", "public-read-write", "aws-exec-read", "authenticated-read", "bucket-owner-read",
    "bucket-owner-full-control",
)  # fmt: skip
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html
_EVENTS: Final = (
    r"s3:(ObjectCreated:(\*|Put|Post|Copy|CompleteMultipartUpload)|ObjectRemoved:(\*|Delete|DeleteMarkerCreated)"
    r"|ObjectRestore:(\*|Post|Completed|Delete)|ReducedRedundancyLostObject|LifecycleTransition|IntelligentTiering"
    r"|Replication:(\*|OperationFailedReplication|OperationNotTracked|OperationMissedThreshold|OperationReplicatedAfterThreshold)"
    r"|ObjectAcl:Put|LifecycleExpiration:(\*|Delete|DeleteMarkerCreated)|ObjectTagging:(\*|Put|Delete))"
)
_CHECKSUMS: Final = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")


class _Object(Kind):
    replace_on = ("bucket", "key")
    write_only: ClassVar[tuple[str, ...]] = ("content", "contentBase64", "source", "sourceHash", "forceDestroy", "acl")
    defaults: ClassVar[Mapping[str, Any]] = {"forceDestroy": False}
    references = (bucket_ref(),)
    autoname = AutoName("key", 1024)
    not_found_code = "NoSuchKey"

    def check(self, args: Args) -> Iterable[Fault]:
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
        for path, key in args.at("key"):
            if not 1 <= len(key.encode()) <= 1024:
                yield Fault(path, f"expected a key of 1 to 1,024 bytes, got {len(key.encode()):,}")
        yield from conflicting(args, "source", "content", "contentBase64")
        for path, text in args.at("contentBase64"):
            if decoded_base64(text) is None:
                yield Fault(path, "expected base64 text")
        yield from conflicting(args, "kmsKeyId", "etag")
        yield from one_of(args, "storageClass", _STORAGE_CLASSES)
        yield from one_of(args, "acl", _CANNED)
        yield from one_of(args, "serverSideEncryption", ("AES256", "aws:kms", "aws:kms:dsse"))
        if args.get("serverSideEncryption") == "AES256" and args.get("kmsKeyId"):
            yield Fault("kmsKeyId", "a key is only for serverSideEncryption aws:kms or aws:kms:dsse")
        yield from one_of(args, "checksumAlgorithm", _CHECKSUMS)
        yield from one_of(args, "objectLockMode", ("GOVERNANCE", "COMPLIANCE"))
        yield from one_of(args, "objectLockLegalHoldStatus", ("ON", "OFF"))
        if ("objectLockMode" in args) != ("objectLockRetainUntilDate" in args):
            yield Fault("objectLockMode", "objectLockMode and objectLockRetainUntilDate are set together")
        for path, name in args.at("metadata"):
            if isinstance(name, Mapping) and any(key != key.lower() for key in name):
                yield Fault(path, "metadata keys are in lower case")
        yield from tag_faults(
            args, most=10
        )  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"{args['bucket']}/{args['key']}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if args.get("acl", "private") != "private":
            controls = setting_of(args["bucket"], (OWNERSHIP,), cloud)
            if controls is None or (controls["rule"] or {}).get("objectOwnership") == "BucketOwnerEnforced":
                raise CloudError("AccessControlListNotSupported", "The bucket does not allow ACLs")
        if args.get("objectLockMode"):
            bucket = next((b for token in BUCKETS for b in cloud.find(token, bucket=args["bucket"])), None)
            if bucket is not None and not bucket["objectLockEnabled"]:
                raise CloudError("InvalidRequest", "Bucket is missing Object Lock Configuration")
        kms.require_key(args.get("kmsKeyId", ""), cloud, "KMS.NotFoundException")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self.before_create(args, cloud)

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        versioning = setting_of(args["bucket"], VERSIONING, cloud)
        versioned = versioning is not None and (versioning["versioningConfiguration"] or {}).get("status") == "Enabled"
        body = _body(args)
        return {
            "arn": arn("s3", "", "", id, partition_of=cloud.region),
            "etag": args.get("etag") or hashlib.md5(body, usedforsecurity=False).hexdigest(),
            "versionId": (old["versionId"] if old and old["versionId"] else random_letters(32)) if versioned else "",
            "contentType": args.get("contentType", "application/octet-stream"),
            "storageClass": args.get("storageClass", "STANDARD"),
            "serverSideEncryption": args.get("serverSideEncryption", "AES256"),
        }

    def before_delete(self, resource: Resource, cloud: Cloud) -> None:
        if resource["objectLockLegalHoldStatus"] == "ON" and not resource["forceDestroy"]:
            raise CloudError("AccessDenied", "Access Denied because object protected by object lock.")


def _body(args: Args) -> bytes:
    if args.get("contentBase64"):
        return base64.b64decode(args["contentBase64"])
    return str(args.get("content") or args.get("source") or "").encode()


@AWS.kind
class BucketObject(_Object):
    token = OBJECTS[0]


@AWS.kind
class BucketObjectv2(_Object):
    token = OBJECTS[1]
    write_only = (*_Object.write_only, "overrideProvider")


@AWS.kind
class BucketNotification(BucketSetting):
    token = "aws:s3/bucketNotification:BucketNotification"
    replace_on = ("bucket",)
    sets = tuple(f"{kind}[*].events" for kind in ("lambdaFunctions", "queues", "topics"))
    references = (
        bucket_ref(),
        Ref("queues[*].queueArn", (QUEUE,), by="arn", code="InvalidArgument", blocks_delete=False),
        Ref("topics[*].topicArn", (TOPIC,), by="arn", code="InvalidArgument", blocks_delete=False),
    )

    def check(self, args: Args) -> Iterable[Fault]:
        yield from arns(args, "queues[*].queueArn", "sqs")
        yield from arns(args, "topics[*].topicArn", "sns")
        yield from arns(args, "lambdaFunctions[*].lambdaFunctionArn", "lambda")
        for kind in ("lambdaFunctions", "queues", "topics"):
            yield from length(args, f"{kind}[*].events", 1, 50)
            yield from matches(args, f"{kind}[*].events[*]", _EVENTS, "an event such as s3:ObjectCreated:*")
        for path, target in (*args.at("queues[*].queueArn"), *args.at("topics[*].topicArn")):
            if str(target).endswith(".fifo"):
                yield Fault(path, "S3 does not notify FIFO queues and topics")
        yield from _overlap_faults(args)


def _overlap_faults(args: Args) -> Iterator[Fault]:
    """The same event may not match two configurations whose prefixes and suffixes overlap
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html)."""
    seen: list[tuple[str, Mapping[str, Any]]] = []
    for kind in ("lambdaFunctions", "queues", "topics"):
        for path, entry in args.at(f"{kind}[*]"):
            if not isinstance(entry, Mapping) or has_unknown(entry):
                continue
            for other_path, other in seen:
                if (
                    _same_event(entry, other)
                    and _overlaps(entry, other, "filterPrefix")
                    and _overlaps(entry, other, "filterSuffix")
                ):
                    yield Fault(
                        path, f"Configurations overlap: the same event with overlapping filters stands at {other_path}"
                    )
            seen.append((path, entry))


def _same_event(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    pairs = ((a, b) for a in one.get("events") or [] for b in other.get("events") or [])
    return any(a == b or (a.split(":")[1:2] == b.split(":")[1:2] and ("*" in a or "*" in b)) for a, b in pairs)


def _overlaps(one: Mapping[str, Any], other: Mapping[str, Any], key: str) -> bool:
    mine, theirs = one.get(key) or "", other.get(key) or ""
    if key == "filterPrefix":
        return mine.startswith(theirs) or theirs.startswith(mine)
    return mine.endswith(theirs) or theirs.endswith(mine)


@AWS.kind
class BucketReplicationConfig(BucketSetting):
    token = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
    replace_on = ("bucket",)
    sets = ("rules",)
    write_only = ("token",)
    references = (bucket_ref(), role_ref("role", by="arn"))
    not_found_code = "ReplicationConfigurationNotFoundError"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from arns(args, "role", "iam", "role/")
        yield from length(args, "rules", 1, 1000)
        on_off = ("Enabled", "Disabled")
        yield from one_of(args, "rules[*].status", on_off)
        for key in (
            "deleteMarkerReplication",
            "existingObjectReplication",
            "destination.metrics",
            "destination.replicationTime",
        ):
            yield from one_of(args, f"rules[*].{key}.status", on_off)
        yield from arns(args, "rules[*].destination.bucket", "s3")
        yield from one_of(args, "rules[*].destination.storageClass", _STORAGE_CLASSES)
        yield from one_of(args, "rules[*].destination.replicationTime.time.minutes", (15,))
        priorities = [p for _, p in args.at("rules[*].priority")]
        if len(priorities) != len(set(priorities)):
            yield Fault("rules", "Priority must be unique among the rules")
        for path, rule in args.at("rules[*]"):
            if isinstance(rule, Mapping) and rule.get("filter") is not None:
                if rule.get("prefix") is not None:
                    yield Fault(f"{path}.prefix", "conflicts with filter")
                if rule.get("deleteMarkerReplication") is None:
                    yield Fault(f"{path}.deleteMarkerReplication", "is required with filter")

    def before_create(self, args: Args, cloud: Cloud) -> None:
        destinations = [a.split(":::", 1)[-1] for _, a in args.at("rules[*].destination.bucket")]
        for name, what in ((args["bucket"], "the bucket"), *((d, "Destination bucket") for d in destinations)):
            if what != "the bucket" and not any(b["bucket"] == name for t in BUCKETS for b in cloud.all(t)):
                raise CloudError("InvalidRequest", f"Destination bucket must exist: {name}")
            versioning = setting_of(name, VERSIONING, cloud)
            if versioning is None or (versioning["versioningConfiguration"] or {}).get("status") != "Enabled":
                code = "InvalidRequest"
                raise CloudError(
                    code, f"Versioning must be 'Enabled' on {what} to apply a replication configuration: {name}"
                )

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self.before_create(args, cloud)


class _Cors(BucketSetting):
    sets = ("corsRules",)
    not_found_code = "NoSuchCORSConfiguration"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from super().check(args)
        yield from length(args, "corsRules", 1, 100)  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
        yield from one_of(args, "corsRules[*].allowedMethods[*]", ("GET", "PUT", "POST", "DELETE", "HEAD"))
        yield from between(args, "corsRules[*].maxAgeSeconds", 0, 2**31 - 1, "seconds")
        for path, origin in args.at("corsRules[*].allowedOrigins[*]"):
            if str(origin).count("*") > 1:
                yield Fault(path, f"expected at most one *, got {shown(origin)}")


@AWS.kind
class BucketCorsConfiguration(_Cors):
    token = "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration"


@AWS.kind
class BucketCorsConfigurationV2(_Cors):
    token = "aws:s3/bucketCorsConfigurationV2:BucketCorsConfigurationV2"


class _Logging(BucketSetting):
    references = (bucket_ref(), Ref("targetBucket", BUCKETS, by="bucket", code="InvalidTargetBucketForLogging"))

    def check(self, args: Args) -> Iterable[Fault]:
        yield from super().check(args)
        for path, prefix in args.at("targetPrefix"):
            if re.search(r"[\x00-\x1f]", str(prefix)):
                yield Fault(path, f"expected printable characters, got {shown(prefix)}")


@AWS.kind
class BucketLogging(_Logging):
    token = "aws:s3/bucketLogging:BucketLogging"


@AWS.kind
class BucketLoggingV2(_Logging):
    token = "aws:s3/bucketLoggingV2:BucketLoggingV2"


class _Acl(BucketSetting):
    replace_on = ("bucket", "expectedBucketOwner")

    def check(self, args: Args) -> Iterable[Fault]:
        yield from super().check(args)
        yield from conflicting(args, "acl", "accessControlPolicy")
        if "acl" not in args and "accessControlPolicy" not in args:
            yield Fault("acl", "one of acl, accessControlPolicy must be set")
        yield from one_of(
            args,
            "acl",
            (
                "private",
                "public-read",
                "public-read-write",
                "aws-exec-read",
                "authenticated-read",
                "bucket-owner-read",
                "bucket-owner-full-control",
                "log-delivery-write",
            ),
        )
        permissions = ("FULL_CONTROL", "WRITE", "WRITE_ACP", "READ", "READ_ACP")
        yield from one_of(args, "accessControlPolicy.grants[*].permission", permissions)
        yield from one_of(
            args, "accessControlPolicy.grants[*].grantee.type", ("CanonicalUser", "AmazonCustomerByEmail", "Group")
        )

    def new_id(self, args: Args, cloud: Cloud) -> str:
        parts = (args["bucket"], args.get("expectedBucketOwner"), args.get("acl"))
        return ",".join(part for part in parts if part)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        super().before_create(args, cloud)
        # Ownership "bucket owner enforced" is the default of new buckets and switches ACLs off.
        controls = setting_of(args["bucket"], (OWNERSHIP,), cloud)
        if controls is None or (controls["rule"] or {}).get("objectOwnership") == "BucketOwnerEnforced":
            raise CloudError("AccessControlListNotSupported", "The bucket does not allow ACLs")
        block = setting_of(args["bucket"], (PUBLIC_ACCESS_BLOCK,), cloud)
        if str(args.get("acl", "")).startswith("public") and (block is None or block["blockPublicAcls"]):
            raise CloudError(
                "AccessDenied", "public ACLs are prevented by the BlockPublicAcls setting in S3 Block Public Access."
            )


@AWS.kind
class BucketAcl(_Acl):
    token = "aws:s3/bucketAcl:BucketAcl"


@AWS.kind
class BucketAclV2(_Acl):
    token = "aws:s3/bucketAclV2:BucketAclV2"
