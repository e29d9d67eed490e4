"""SQS queues, their policies and dead-letter rules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

from sandbox.aws import kms, policy_json
from sandbox.aws.formats import arn, dns_suffix, is_arn
from sandbox.aws.messaging import QUEUE, fifo_name_faults
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import name_of, tag_faults
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import between, conflicting, json_document, matches, one_of, shown


def redrive_faults(args: Args, pattern: str = "redrivePolicy") -> Iterator[Fault]:
    """A dead-letter rule: the target's ARN and 1 to 1,000 receives
    (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html)."""
    for path, text in args.at(pattern):
        try:
            policy = json.loads(text)
        except (ValueError, TypeError) as error:
            yield Fault(path, f"expected a JSON document: {error}")
            continue
        if not isinstance(policy, dict) or set(policy) != {"deadLetterTargetArn", "maxReceiveCount"}:
            yield Fault(path, "expected an object with deadLetterTargetArn and maxReceiveCount")
            continue
        if not is_arn(policy["deadLetterTargetArn"], "sqs"):
            yield Fault(
                path, f"deadLetterTargetArn: expected the ARN of a queue, got {shown(policy['deadLetterTargetArn'])}"
            )
        count = policy["maxReceiveCount"]
        if not str(count).isdecimal() or not 1 <= int(count) <= 1000:
            yield Fault(path, f"maxReceiveCount: expected 1 to 1,000, got {shown(count)}")


def require_dead_letter_queue(text: object, cloud: Cloud, fifo: bool) -> None:
    """Raises CloudError when a dead-letter queue does not exist here, or is of the other kind."""
    if not isinstance(text, str) or not text:
        return
    target = json.loads(text)["deadLetterTargetArn"]
    if not any(q["arn"] == target for q in cloud.all(QUEUE, region=cloud.region)):
        raise CloudError(
            "InvalidParameterValue",
            f"Value {text} for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.",
        )
    if target.endswith(".fifo") != fifo:
        raise CloudError(
            "InvalidParameterValue",
            f"Value {text} for parameter RedrivePolicy is invalid. Reason: Dead-letter queue must be same "
            "type of queue as the source.",
        )


@AWS.kind
class Queue(Kind):
    token = QUEUE
    replace_on = ("name", "namePrefix", "fifoQueue")
    json_properties = ("policy", "redrivePolicy", "redriveAllowPolicy")
    write_only = ("namePrefix",)
    defaults: ClassVar[Mapping[str, Any]] = {
        "contentBasedDeduplication": False,
        "delaySeconds": 0,
        "fifoQueue": False,
        "maxMessageSize": 262_144,
        "messageRetentionSeconds": 345_600,
        "receiveWaitTimeSeconds": 0,
        "visibilityTimeoutSeconds": 30,
    }
    autoname = AutoName("name", 80)
    unique = ("name",)
    duplicate_code = "QueueAlreadyExists"
    not_found_code = "AWS.SimpleQueueService.NonExistentQueue"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from conflicting(args, "name", "namePrefix")
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html
        yield from matches(
            args, "name", r"[A-Za-z0-9_-]{1,80}|[A-Za-z0-9_-]{1,75}\.fifo", "1 to 80 letters, digits, - and _"
        )
        yield from fifo_name_faults(args, "fifoQueue", "queue")
        yield from between(args, "delaySeconds", 0, 900, "seconds")
        yield from between(args, "maxMessageSize", 1024, 1_048_576, "bytes")
        yield from between(args, "messageRetentionSeconds", 60, 1_209_600, "seconds")
        yield from between(args, "receiveWaitTimeSeconds", 0, 20, "seconds")
        yield from between(args, "visibilityTimeoutSeconds", 0, 43_200, "seconds")
        yield from between(args, "kmsDataKeyReusePeriodSeconds", 60, 86_400, "seconds")
        if args.get("kmsMasterKeyId"):
            yield from conflicting(args, "kmsMasterKeyId", "sqsManagedSseEnabled")
        for key in ("contentBasedDeduplication", "deduplicationScope", "fifoThroughputLimit"):
            if args.get(key) and not args.get("fifoQueue") and not args.is_unknown("fifoQueue"):
                yield Fault(key, "is only for FIFO queues")
        yield from one_of(args, "deduplicationScope", ("messageGroup", "queue"))
        yield from one_of(args, "fifoThroughputLimit", ("perQueue", "perMessageGroupId"))
        yield from redrive_faults(args)
        yield from json_document(args, "redriveAllowPolicy")
        yield from policy_json.policy_faults(args, "policy", policy_json.QUEUE)
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return f"https://sqs.{cloud.region}.{dns_suffix(cloud.region)}/{cloud.account}/{name_of(args)}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._judge(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._judge(args, cloud)

    def _judge(self, args: Args, cloud: Cloud) -> None:
        kms.require_key(args.get("kmsMasterKeyId", ""), cloud, "KMS.NotFoundException")
        policy_json.require_principals(args["policy"], cloud, "InvalidAttributeValue")
        require_dead_letter_queue(args["redrivePolicy"], cloud, bool(args.get("fifoQueue")))

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        name = id.rsplit("/", 1)[1]
        return {
            "name": name,
            "arn": arn("sqs", cloud.region, cloud.account, name),
            "url": id,
            "sqsManagedSseEnabled": args.get("sqsManagedSseEnabled", not args.get("kmsMasterKeyId")),
        }


class _QueueSetting(Kind):
    references = (Ref("queueUrl", (QUEUE,), code="AWS.SimpleQueueService.NonExistentQueue", blocks_delete=False),)
    replace_on = ("queueUrl",)
    taggable = False
    not_found_code = "AWS.SimpleQueueService.NonExistentQueue"

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["queueUrl"])


@AWS.kind
class QueuePolicy(_QueueSetting):
    token = "aws:sqs/queuePolicy:QueuePolicy"
    json_properties = ("policy",)

    def check(self, args: Args) -> Iterable[Fault]:
        yield from policy_json.policy_faults(args, "policy", policy_json.QUEUE)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        policy_json.require_principals(args["policy"], cloud, "InvalidAttributeValue")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self.before_create(args, cloud)


@AWS.kind
class RedrivePolicy(_QueueSetting):
    token = "aws:sqs/redrivePolicy:RedrivePolicy"
    json_properties = ("redrivePolicy",)

    def check(self, args: Args) -> Iterable[Fault]:
        yield from redrive_faults(args)

    def before_create(self, args: Args, cloud: Cloud) -> None:
        require_dead_letter_queue(args["redrivePolicy"], cloud, str(args["queueUrl"]).endswith(".fifo"))

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self.before_create(args, cloud)


@AWS.kind
class RedriveAllowPolicy(_QueueSetting):
    token = "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy"
    json_properties = ("redriveAllowPolicy",)

    def check(self, args: Args) -> Iterable[Fault]:
        for path, text in args.at("redriveAllowPolicy"):
            try:
                policy = json.loads(text)
            except (ValueError, TypeError) as error:
                yield Fault(path, f"expected a JSON document: {error}")
                continue
            permission = policy.get("redrivePermission") if isinstance(policy, dict) else None
            if permission not in ("allowAll", "denyAll", "byQueue"):
                yield Fault(
                    path, f"redrivePermission: expected one of allowAll, denyAll, byQueue; got {shown(permission)}"
                )
            elif permission == "byQueue" and not 1 <= len(policy.get("sourceQueueArns") or []) <= 10:
                yield Fault(path, "sourceQueueArns: byQueue names 1 to 10 source queues")
