"""Topics, subscriptions and queues."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.kinds import CloudError
from tests.support.memory_cloud import MemoryCloud

TOPIC = "aws:sns/topic:Topic"
TOPIC_POLICY = "aws:sns/topicPolicy:TopicPolicy"
SUBSCRIPTION = "aws:sns/topicSubscription:TopicSubscription"
QUEUE = "aws:sqs/queue:Queue"
QUEUE_POLICY = "aws:sqs/queuePolicy:QueuePolicy"
TOPIC_ARN = "arn:aws:sns:us-east-1:123456789012:events"
QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:work"


@pytest.fixture
def cloud() -> MemoryCloud:
    return MemoryCloud()


def policy(action: str, resource: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": action,
        "Resource": resource,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_topic_gets_its_arn_owner_and_a_policy_of_its_own(cloud: MemoryCloud) -> None:
    made = cloud.create(TOPIC, name="events")
    assert made.id == made["arn"] == TOPIC_ARN
    assert made["owner"] == "123456789012"
    assert "__default_policy_ID" in made["policy"]


def test_making_a_topic_again_returns_the_same_one(cloud: MemoryCloud) -> None:
    assert cloud.create(TOPIC, name="events").id == cloud.create(TOPIC, name="events").id


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "a b"}, "name: expected 1 to 256"),
        ({"name": "a", "fifoTopic": True}, "name: a FIFO topic's name ends with .fifo"),
        ({"name": "a.fifo"}, "name: only a FIFO topic's name ends with .fifo"),
        ({"contentBasedDeduplication": True}, "contentBasedDeduplication: is only for FIFO topics"),
        ({"signatureVersion": 3}, "signatureVersion: expected one of 1, 2"),
        ({"tracingConfig": "On"}, "tracingConfig: expected one of"),
        ({"sqsSuccessFeedbackSampleRate": 101}, "sqsSuccessFeedbackSampleRate: expected 0 to 100"),
        ({"deliveryPolicy": "{"}, "deliveryPolicy: expected a JSON document"),
        ({"policy": policy("sqs:SendMessage", "*")}, "policy: MalformedPolicyDocument"),
    ],
)
def test_a_topic_that_sns_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    found = cloud.faults(TOPIC, **{"name": "events", **changes})
    assert any(line.startswith(fault) for line in found), found


def test_a_topics_key_must_exist(cloud: MemoryCloud) -> None:
    with pytest.raises(CloudError, match="KMSNotFound"):
        cloud.create(TOPIC, name="events", kmsMasterKeyId="alias/none")
    cloud.create(TOPIC, name="events", kmsMasterKeyId="alias/aws/sns")


def test_a_topic_policy_speaks_of_its_own_topic(cloud: MemoryCloud) -> None:
    found = cloud.faults(TOPIC_POLICY, arn=TOPIC_ARN, policy=policy("sns:Publish", TOPIC_ARN + "-2"))
    assert any("is not arn:aws:sns" in f for f in found)
    with pytest.raises(CloudError, match="NotFound"):
        cloud.create(TOPIC_POLICY, arn=TOPIC_ARN, policy=policy("sns:Publish", TOPIC_ARN))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"protocol": "pager"}, "protocol: expected one of"),
        ({"protocol": "email", "endpoint": "ops"}, "endpoint: email expects an e-mail address"),
        ({"protocol": "https", "endpoint": "http://x"}, "endpoint: https expects a URL"),
        ({"protocol": "sms", "endpoint": "555"}, "endpoint: sms expects a number in E.164 form"),
        ({"protocol": "sqs", "endpoint": "work"}, "endpoint: sqs expects an ARN of sqs"),
        (
            {"protocol": "firehose", "endpoint": "arn:aws:firehose:us-east-1:123456789012:deliverystream/x"},
            "subscriptionRoleArn",
        ),
        ({"filterPolicy": "x"}, "filterPolicy: expected a JSON document"),
        ({"filterPolicyScope": "MessageBody"}, "filterPolicyScope: needs filterPolicy"),
        ({"protocol": "email", "endpoint": "a@b.c", "rawMessageDelivery": True}, "rawMessageDelivery: is for sqs"),
    ],
)
def test_a_subscription_that_sns_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    found = cloud.faults(SUBSCRIPTION, **{"topic": TOPIC_ARN, "protocol": "sqs", "endpoint": QUEUE_ARN, **changes})
    assert any(line.startswith(fault) for line in found), found


def test_a_subscription_needs_its_topic_and_its_queue(cloud: MemoryCloud) -> None:
    inputs = {"topic": TOPIC_ARN, "protocol": "sqs", "endpoint": QUEUE_ARN}
    with pytest.raises(CloudError, match="NotFound"):
        cloud.create(SUBSCRIPTION, **inputs)
    topic = cloud.create(TOPIC, name="events")
    with pytest.raises(CloudError, match="SQS endpoint ARN"):
        cloud.create(SUBSCRIPTION, **inputs)
    cloud.create(QUEUE, name="work")
    made = cloud.create(SUBSCRIPTION, **inputs)
    assert made["pendingConfirmation"] is False
    assert cloud.create(SUBSCRIPTION, **inputs).id == made.id
    cloud.delete(topic)
    assert cloud.all(SUBSCRIPTION) == []


def test_an_email_subscription_waits_for_its_reader(cloud: MemoryCloud) -> None:
    cloud.create(TOPIC, name="events")
    made = cloud.create(SUBSCRIPTION, topic=TOPIC_ARN, protocol="email", endpoint="ops@example.com")
    assert made["pendingConfirmation"] is True


def test_a_queue_gets_its_url_and_arn_once(cloud: MemoryCloud) -> None:
    made = cloud.create(QUEUE, name="work")
    assert made.id == made["url"] == "https://sqs.us-east-1.amazonaws.com/123456789012/work"
    assert made["arn"] == QUEUE_ARN
    with pytest.raises(CloudError, match="QueueAlreadyExists"):
        cloud.create(QUEUE, name="work")
    cloud.in_region("us-west-2").create(QUEUE, name="work")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "x" * 81}, "name: expected 1 to 80"),
        ({"name": "a.fifo"}, "name: only a FIFO queue's name"),
        ({"delaySeconds": 901}, "delaySeconds: expected 0 to 900"),
        ({"maxMessageSize": 1023}, "maxMessageSize: expected 1,024 to"),
        ({"messageRetentionSeconds": 59}, "messageRetentionSeconds: expected 60 to"),
        ({"receiveWaitTimeSeconds": 21}, "receiveWaitTimeSeconds: expected 0 to 20"),
        ({"visibilityTimeoutSeconds": 43201}, "visibilityTimeoutSeconds: expected 0 to 43,200"),
        ({"kmsMasterKeyId": "k", "sqsManagedSseEnabled": True}, "sqsManagedSseEnabled: conflicts with kmsMasterKeyId"),
        ({"fifoThroughputLimit": "perQueue"}, "fifoThroughputLimit: is only for FIFO queues"),
        ({"redrivePolicy": "{}"}, "redrivePolicy: expected an object with deadLetterTargetArn"),
        (
            {"redrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE_ARN, "maxReceiveCount": 0})},
            "redrivePolicy: maxReceiveCount: expected 1 to 1,000",
        ),
        (
            {"redrivePolicy": json.dumps({"deadLetterTargetArn": "x", "maxReceiveCount": 1})},
            "redrivePolicy: deadLetterTargetArn: expected the ARN of a queue",
        ),
    ],
)
def test_a_queue_that_sqs_refuses_is_a_fault(cloud: MemoryCloud, changes: dict[str, Any], fault: str) -> None:
    found = cloud.faults(QUEUE, **{"name": "work", **changes})
    assert any(line.startswith(fault) for line in found), found


def test_a_dead_letter_queue_exists_and_is_of_the_same_kind(cloud: MemoryCloud) -> None:
    redrive = json.dumps({"deadLetterTargetArn": QUEUE_ARN, "maxReceiveCount": 3})
    with pytest.raises(CloudError, match="Dead letter target does not exist"):
        cloud.create(QUEUE, name="main", redrivePolicy=redrive)
    cloud.create(QUEUE, name="work")
    cloud.create(QUEUE, name="main", redrivePolicy=redrive)
    with pytest.raises(CloudError, match="same type of queue"):
        cloud.create(QUEUE, name="main.fifo", fifoQueue=True, redrivePolicy=redrive)


def test_a_policy_of_a_queue_that_does_not_exist_is_refused(cloud: MemoryCloud) -> None:
    url = "https://sqs.us-east-1.amazonaws.com/123456789012/none"
    with pytest.raises(CloudError, match="NonExistentQueue"):
        cloud.create(QUEUE_POLICY, queueUrl=url, policy=policy("sqs:SendMessage", QUEUE_ARN))
