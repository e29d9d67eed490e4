"""SNS topics, their policies and subscriptions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from sandbox.aws import kms, policy_json
from sandbox.aws.formats import arn, arns, is_arn
from sandbox.aws.registry import AWS
from sandbox.aws.stamps import name_of, new_uuid, tag_faults
from sandbox.kinds import Args, AutoName, Cloud, CloudError, Fault, Kind, Ref, Resource
from sandbox.rules import between, conflicting, json_document, matches, one_of, shown
from sandbox.values import UNKNOWN

TOPIC: Final = "aws:sns/topic:Topic"
SUBSCRIPTION: Final = "aws:sns/topicSubscription:TopicSubscription"
QUEUE: Final = "aws:sqs/queue:Queue"

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


def is_email(value: object) -> bool:
    """Whether a value has the form of an e-mail address."""
    return isinstance(value, str) and _EMAIL.fullmatch(value) is not None


def fifo_name_faults(args: Args, flag: str, what: str) -> Iterator[Fault]:
    name, fifo = args.get("name"), args.get(flag, False)
    if not name or args.is_unknown(flag):
        return
    if fifo and not name.endswith(".fifo"):
        yield Fault("name", f"a FIFO {what}'s name ends with .fifo, got {shown(name)}")
    if not fifo and name.endswith(".fifo"):
        yield Fault("name", f"only a FIFO {what}'s name ends with .fifo; set {flag} to true")


@AWS.kind
class Topic(Kind):
    """CreateTopic returns the topic that is there already when its attributes are the same."""

    token = TOPIC
    replace_on = ("name", "namePrefix", "fifoTopic")
    json_properties = ("policy", "deliveryPolicy", "archivePolicy")
    write_only = ("namePrefix",)
    defaults: ClassVar[Mapping[str, Any]] = {"fifoTopic": False, "contentBasedDeduplication": False}
    autoname = AutoName("name", 256)
    not_found_code = "NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from conflicting(args, "name", "namePrefix")
        # https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html
        yield from matches(
            args, "name", r"[A-Za-z0-9_-]{1,256}|[A-Za-z0-9_-]{1,251}\.fifo", "1 to 256 letters, digits, - and _"
        )
        yield from fifo_name_faults(args, "fifoTopic", "topic")
        if args.get("contentBasedDeduplication") and not args.get("fifoTopic"):
            yield Fault("contentBasedDeduplication", "is only for FIFO topics")
        yield from one_of(args, "signatureVersion", (1, 2))
        yield from one_of(args, "tracingConfig", ("PassThrough", "Active"))
        yield from one_of(args, "fifoThroughputScope", ("Topic", "MessageGroup"))
        for protocol in ("application", "firehose", "http", "lambda", "sqs"):
            yield from between(args, f"{protocol}SuccessFeedbackSampleRate", 0, 100, "percent")
            yield from arns(args, f"{protocol}SuccessFeedbackRoleArn", "iam", "role/", empty=True)
            yield from arns(args, f"{protocol}FailureFeedbackRoleArn", "iam", "role/", empty=True)
        yield from json_document(args, "deliveryPolicy")
        yield from policy_json.policy_faults(args, "policy", policy_json.TOPIC)
        yield from tag_faults(args)

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return arn("sns", cloud.region, cloud.account, name_of(args))

    def before_create(self, args: Args, cloud: Cloud) -> None:
        self._judge(args, cloud)

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        self._judge(args, cloud)

    def _judge(self, args: Args, cloud: Cloud) -> None:
        kms.require_key(args.get("kmsMasterKeyId", ""), cloud, "KMSNotFound")
        policy_json.require_principals(args["policy"], cloud, "InvalidParameter")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        given = args["policy"]
        return {
            "name": id.rsplit(":", 1)[1],
            "arn": id,
            "owner": cloud.account,
            "beginningArchiveTime": "",
            "policy": given if given else policy_json.policy_text(_default_topic_policy(id, cloud.account)),
        }

    def after_delete(self, resource: Resource, cloud: Cloud) -> None:
        for token in (SUBSCRIPTION, "aws:sns/topicPolicy:TopicPolicy"):
            for other in cloud.all(token, region=resource.region):
                if resource.id in (other["topic"], other["arn"]):
                    cloud.remove(token, other.id)


def _default_topic_policy(topic: str, account: str) -> dict[str, Any]:
    """The policy that SNS gives a new topic: its own account may do everything with it."""
    actions = (
        "GetTopicAttributes",
        "SetTopicAttributes",
        "AddPermission",
        "RemovePermission",
        "DeleteTopic",
        "Subscribe",
    )
    return {
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [f"SNS:{a}" for a in (*actions, "ListSubscriptionsByTopic", "Publish")],
                "Resource": topic,
                "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
            }
        ],
    }


def _own_resources(args: Args, key: str, own: str) -> Iterator[Fault]:
    """A resource policy speaks of its own resource only."""
    policy = args[key]
    if policy is None or policy is UNKNOWN or not own.startswith("arn:"):
        return
    for resource in policy_json.out_of_scope(
        policy, lambda r: r == own or ("*" in r and own.startswith(r.split("*")[0]))
    ):
        yield Fault(key, f"the policy's resource {resource} is not {own}")


@AWS.kind
class TopicPolicy(Kind):
    token = "aws:sns/topicPolicy:TopicPolicy"
    replace_on = ("arn",)
    json_properties = ("policy",)
    references = (Ref("arn", (TOPIC,), by="arn", code="NotFound", blocks_delete=False),)
    taggable = False
    not_found_code = "NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from arns(args, "arn", "sns")
        yield from policy_json.policy_faults(args, "policy", policy_json.TOPIC)
        yield from _own_resources(args, "policy", args.get("arn", ""))

    def new_id(self, args: Args, cloud: Cloud) -> str:
        return str(args["arn"])

    def before_create(self, args: Args, cloud: Cloud) -> None:
        policy_json.require_principals(args["policy"], cloud, "InvalidParameter")

    def before_update(self, old: Resource, args: Args, cloud: Cloud) -> None:
        policy_json.require_principals(args["policy"], cloud, "InvalidParameter")

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        return {"owner": cloud.account}


# https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
_PROTOCOLS: Final = ("application", "email", "email-json", "firehose", "http", "https", "lambda", "sms", "sqs")


@AWS.kind
class TopicSubscription(Kind):
    """Subscribing an endpoint a second time returns the subscription that is there."""

    token = SUBSCRIPTION
    replace_on = ("endpoint", "protocol", "topic")
    json_properties = ("filterPolicy", "deliveryPolicy", "redrivePolicy", "replayPolicy")
    write_only = ("confirmationTimeoutInMinutes", "endpointAutoConfirms")
    defaults: ClassVar[Mapping[str, Any]] = {
        "confirmationTimeoutInMinutes": 1,
        "endpointAutoConfirms": False,
        "rawMessageDelivery": False,
    }
    references = (Ref("topic", (TOPIC,), by="arn", code="NotFound", blocks_delete=False),)
    taggable = False
    not_found_code = "NotFound"

    def check(self, args: Args) -> Iterable[Fault]:
        yield from arns(args, "topic", "sns")
        yield from one_of(args, "protocol", _PROTOCOLS)
        protocol, endpoint = args.get("protocol"), args.get("endpoint")
        if protocol and endpoint is not None:
            reason = _endpoint_fault(protocol, endpoint)
            if reason:
                yield Fault("endpoint", reason)
        for key in ("filterPolicy", "deliveryPolicy", "redrivePolicy", "replayPolicy"):
            yield from json_document(args, key)
        yield from one_of(args, "filterPolicyScope", ("MessageAttributes", "MessageBody"))
        if "filterPolicyScope" in args and "filterPolicy" not in args:
            yield Fault("filterPolicyScope", "needs filterPolicy to be set as well")
        if args.get("rawMessageDelivery") and protocol and protocol not in ("sqs", "http", "https", "firehose"):
            yield Fault("rawMessageDelivery", f"is for sqs, http, https and firehose, not for {protocol}")
        if protocol == "firehose" and "subscriptionRoleArn" not in args:
            yield Fault("subscriptionRoleArn", "is required for the protocol firehose")
        yield from arns(args, "subscriptionRoleArn", "iam", "role/")

    def new_id(self, args: Args, cloud: Cloud) -> str:
        same = cloud.find(self.token, topic=args["topic"], protocol=args["protocol"], endpoint=args["endpoint"])
        return same[0].id if same else f"{args['topic']}:{new_uuid()}"

    def before_create(self, args: Args, cloud: Cloud) -> None:
        if args["protocol"] == "sqs":
            queues = [q for q in cloud.all(QUEUE) if q["arn"] == args["endpoint"]]
            if not queues and args["endpoint"].split(":")[4] == cloud.account:
                raise CloudError(
                    "InvalidParameter", f"Invalid parameter: SQS endpoint ARN {args['endpoint']} does not exist"
                )
            topic_is_fifo = args["topic"].endswith(".fifo")
            if args["endpoint"].endswith(".fifo") and not topic_is_fifo:
                raise CloudError(
                    "InvalidParameter",
                    "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
                )

    def outputs(self, id: str, args: Args, cloud: Cloud, old: Resource | None) -> dict[str, Any]:
        # Nobody can confirm an e-mail by machine: it stays pending, and the provider goes on.
        waits = args["protocol"] in ("email", "email-json", "http", "https") and not args.get("endpointAutoConfirms")
        return {
            "arn": id,
            "ownerId": cloud.account,
            "pendingConfirmation": waits,
            "confirmationWasAuthenticated": not waits,
            "filterPolicyScope": args.get("filterPolicyScope") or ("MessageAttributes" if args["filterPolicy"] else ""),
        }


def _endpoint_fault(protocol: str, endpoint: str) -> str:
    service = {"sqs": "sqs", "lambda": "lambda", "firehose": "firehose", "application": "sns"}.get(protocol)
    if service is not None:
        return "" if is_arn(endpoint, service) else f"{protocol} expects an ARN of {service}, got {shown(endpoint)}"
    if protocol.startswith("email"):
        return "" if is_email(endpoint) else f"{protocol} expects an e-mail address, got {shown(endpoint)}"
    if protocol in ("http", "https"):
        return (
            ""
            if endpoint.startswith(f"{protocol}://")
            else f"{protocol} expects a URL with {protocol}://, got {shown(endpoint)}"
        )
    if protocol == "sms":
        return (
            ""
            if re.fullmatch(r"\+[1-9]\d{6,14}", endpoint)
            else f"sms expects a number in E.164 form, got {shown(endpoint)}"
        )
    return ""
