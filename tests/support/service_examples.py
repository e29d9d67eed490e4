"""One good example of the inputs of every service type (everything but EC2 and load balancing)."""

from __future__ import annotations

import json
from typing import Any

ACCOUNT = "123456789012"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/node"
TOPIC_ARN = f"arn:aws:sns:us-east-1:{ACCOUNT}:events"
QUEUE_ARN = f"arn:aws:sqs:us-east-1:{ACCOUNT}:work"
KEY_ARN = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/6f9a3c1e-0000-4000-8000-000000000000"
TARGET_GROUP = f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:targetgroup/pool/0123456789abcdef"
QUEUE_URL = f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/work"


def policy(action: str, resource: str | None = "*", principal: Any = None, **more: Any) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, "Principal": principal, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [{k: v for k, v in statement.items() if v is not None}]})


EVERYONE = {"AWS": "*"}
BUCKET = {"bucket": "models"}
LIFECYCLE = {
    **BUCKET,
    "rules": [
        {
            "id": "keep",
            "status": "Enabled",
            "filter": {
                "and": {"prefix": "a/", "tags": {"k": "v"}, "objectSizeGreaterThan": 1, "objectSizeLessThan": 9}
            },
            "expiration": {"days": 90},
            "transitions": [{"days": 30, "storageClass": "STANDARD_IA"}, {"days": 60, "storageClass": "GLACIER"}],
            "noncurrentVersionExpiration": {"noncurrentDays": 60, "newerNoncurrentVersions": 2},
            "noncurrentVersionTransitions": [{"noncurrentDays": 30, "storageClass": "STANDARD_IA"}],
        },
        {"id": "parts", "status": "Enabled", "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}},
    ],
}
ENCRYPTION = {
    **BUCKET,
    "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY_ARN}}],
}
VERSIONING = {**BUCKET, "versioningConfiguration": {"status": "Enabled", "mfaDelete": "Disabled"}}
OBJECT = {**BUCKET, "key": "a", "content": "x", "storageClass": "STANDARD", "metadata": {"a": "b"}, "tags": {"a": "b"}}
CORS = {
    **BUCKET,
    "corsRules": [{"allowedMethods": ["GET"], "allowedOrigins": ["https://*.example.com"], "maxAgeSeconds": 60}],
}
LOGGING = {**BUCKET, "targetBucket": "logs", "targetPrefix": "a/"}
ACL = {**BUCKET, "acl": "private"}
TAGS = {"team": "platform"}
METRIC = {
    "metricName": "GroupDesiredCapacity",
    "namespace": "AWS/AutoScaling",
    "period": 60,
    "stat": "Average",
    "dimensions": {"a": "b"},
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "aws:autoscaling/group:Group": {
        "name": "pool",
        "minSize": 1,
        "maxSize": 4,
        "desiredCapacity": 2,
        "vpcZoneIdentifiers": ["subnet-12345678"],
        "mixedInstancesPolicy": {
            "instancesDistribution": {
                "onDemandBaseCapacity": 0,
                "onDemandPercentageAboveBaseCapacity": 0,
                "spotMaxPrice": "12.5",
                "spotAllocationStrategy": "lowest-price",
                "spotInstancePools": 2,
            },
            "launchTemplate": {
                "launchTemplateSpecification": {"launchTemplateId": "lt-0123456789abcdef0", "version": "1"},
                "overrides": [
                    {"instanceType": "p4d.24xlarge", "weightedCapacity": "1"},
                    {
                        "instanceType": "p5.48xlarge",
                        "weightedCapacity": "2",
                        "launchTemplateSpecification": {"launchTemplateName": "x"},
                    },
                ],
            },
        },
        "targetGroupArns": [TARGET_GROUP],
        "enabledMetrics": ["GroupDesiredCapacity"],
        "metricsGranularity": "1Minute",
        "healthCheckType": "EC2,ELB",
        "waitForCapacityTimeout": "0",
        "suspendedProcesses": ["AZRebalance"],
        "terminationPolicies": ["OldestInstance"],
        "maxInstanceLifetime": 0,
        "defaultInstanceWarmup": 1200,
        "initialLifecycleHooks": [
            {"name": "ready", "lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "heartbeatTimeout": 1200}
        ],
        "instanceMaintenancePolicy": {"minHealthyPercentage": 100, "maxHealthyPercentage": 200},
        "instanceRefresh": {
            "strategy": "Rolling",
            "preferences": {"checkpointPercentages": [50, 100], "checkpointDelay": "60"},
            "triggers": ["tag"],
        },
        "capacityReservationSpecification": {
            "capacityReservationPreference": "capacity-reservations-first",
            "capacityReservationTarget": {"capacityReservationIds": ["cr-0123456789abcdef0"]},
        },
        "availabilityZoneDistribution": {"capacityDistributionStrategy": "balanced-best-effort"},
        "warmPool": {"poolState": "Stopped", "minSize": 0},
        "tags": [{"key": "a", "value": "b", "propagateAtLaunch": True}],
    },
    "aws:autoscaling/policy:Policy": {
        "name": "out",
        "autoscalingGroupName": "pool",
        "policyType": "StepScaling",
        "adjustmentType": "ChangeInCapacity",
        "estimatedInstanceWarmup": 1200,
        "metricAggregationType": "Maximum",
        "stepAdjustments": [
            {"scalingAdjustment": 1, "metricIntervalLowerBound": "0", "metricIntervalUpperBound": "1"},
            {"scalingAdjustment": 2, "metricIntervalLowerBound": "1"},
        ],
    },
    "aws:autoscaling/lifecycleHook:LifecycleHook": {
        "name": "ready",
        "autoscalingGroupName": "pool",
        "lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "heartbeatTimeout": 1200,
        "defaultResult": "ABANDON",
        "notificationTargetArn": TOPIC_ARN,
        "roleArn": ROLE_ARN,
    },
    "aws:autoscaling/attachment:Attachment": {"autoscalingGroupName": "pool", "lbTargetGroupArn": TARGET_GROUP},
    "aws:autoscaling/trafficSourceAttachment:TrafficSourceAttachment": {
        "autoscalingGroupName": "pool",
        "trafficSource": {"type": "elbv2", "identifier": TARGET_GROUP},
    },
    "aws:autoscaling/schedule:Schedule": {
        "autoscalingGroupName": "pool",
        "scheduledActionName": "night",
        "minSize": 0,
        "maxSize": 2,
        "desiredCapacity": 1,
        "startTime": "2031-01-01T00:00:00Z",
        "endTime": "2032-01-01T00:00:00Z",
        "recurrence": "0 22 * * *",
        "timeZone": "Etc/UTC",
    },
    "aws:autoscaling/notification:Notification": {
        "groupNames": ["pool"],
        "topicArn": TOPIC_ARN,
        "notifications": ["autoscaling:EC2_INSTANCE_LAUNCH_ERROR"],
    },
    "aws:autoscaling/tag:Tag": {
        "autoscalingGroupName": "pool",
        "tag": {"key": "a", "value": "b", "propagateAtLaunch": True},
    },
    "aws:iam/role:Role": {
        "name": "node",
        "assumeRolePolicy": policy("sts:AssumeRole", None, {"Service": "ec2.amazonaws.com"}),
        "path": "/a/",
        "maxSessionDuration": 3600,
        "managedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
        "tags": TAGS,
        "inlinePolicies": [{"name": "a", "policy": policy("s3:GetObject")}],
        "description": "nodes",
    },
    "aws:iam/rolePolicy:RolePolicy": {
        "name": "node",
        "role": "node",
        "policy": policy("s3:GetObject", "arn:aws:s3:::models/*"),
    },
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": {
        "role": "node",
        "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
    },
    "aws:iam/policy:Policy": {"name": "p", "policy": policy("s3:*"), "tags": TAGS, "description": "x", "path": "/"},
    "aws:iam/instanceProfile:InstanceProfile": {"name": "node", "role": "node", "tags": TAGS, "path": "/"},
    "aws:iam/user:User": {"name": "u", "path": "/", "tags": TAGS},
    "aws:iam/userPolicy:UserPolicy": {"name": "p", "user": "u", "policy": policy("s3:*")},
    "aws:iam/userPolicyAttachment:UserPolicyAttachment": {
        "user": "u",
        "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
    },
    "aws:iam/accessKey:AccessKey": {"user": "u", "status": "Active"},
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": {
        "url": "https://token.actions.githubusercontent.com",
        "clientIdLists": ["sts.amazonaws.com"],
        "thumbprintLists": ["a" * 40],
    },
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": {"awsServiceName": "autoscaling.amazonaws.com", "customSuffix": "x"},
    "aws:s3/bucket:Bucket": {
        "bucket": "models",
        "forceDestroy": False,
        "tags": TAGS,
        "serverSideEncryptionConfiguration": {
            "rule": {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}
        },
    },
    "aws:s3/bucketV2:BucketV2": {"bucket": "models", "tags": TAGS},
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {**BUCKET, "blockPublicAcls": True},
    "aws:s3/bucketPolicy:BucketPolicy": {**BUCKET, "policy": policy("s3:GetObject", "arn:aws:s3:::models/*", EVERYONE)},
    "aws:s3/bucketVersioning:BucketVersioning": VERSIONING,
    "aws:s3/bucketVersioningV2:BucketVersioningV2": VERSIONING,
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": ENCRYPTION,
    "aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": ENCRYPTION,
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": {
        **BUCKET,
        "rule": {"objectOwnership": "BucketOwnerEnforced"},
    },
    "aws:s3/bucketAcl:BucketAcl": ACL,
    "aws:s3/bucketAclV2:BucketAclV2": ACL,
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": LIFECYCLE,
    "aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2": LIFECYCLE,
    "aws:s3/bucketObject:BucketObject": OBJECT,
    "aws:s3/bucketObjectv2:BucketObjectv2": OBJECT,
    "aws:s3/bucketNotification:BucketNotification": {
        **BUCKET,
        "queues": [{"queueArn": QUEUE_ARN, "events": ["s3:ObjectCreated:*"], "filterPrefix": "a/"}],
        "topics": [{"topicArn": TOPIC_ARN, "events": ["s3:ObjectCreated:Put"], "filterPrefix": "b/"}],
    },
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": {
        **BUCKET,
        "role": ROLE_ARN,
        "rules": [
            {
                "status": "Enabled",
                "priority": 1,
                "destination": {"bucket": "arn:aws:s3:::copy"},
                "filter": {"prefix": "a/"},
                "deleteMarkerReplication": {"status": "Disabled"},
            }
        ],
    },
    "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration": CORS,
    "aws:s3/bucketCorsConfigurationV2:BucketCorsConfigurationV2": CORS,
    "aws:s3/bucketLogging:BucketLogging": LOGGING,
    "aws:s3/bucketLoggingV2:BucketLoggingV2": LOGGING,
    "aws:cloudwatch/metricAlarm:MetricAlarm": {
        "name": "gap",
        "comparisonOperator": "GreaterThanOrEqualToThreshold",
        "evaluationPeriods": 3,
        "datapointsToAlarm": 2,
        "threshold": 1,
        "treatMissingData": "notBreaching",
        "alarmActions": [TOPIC_ARN],
        "tags": TAGS,
        "metricQueries": [
            {"id": "d", "metric": METRIC},
            {"id": "s", "metric": {**METRIC, "stat": "p95"}},
            {"id": "gap", "expression": "IF(d > s, d - s, 0)", "label": "gap", "returnData": True},
        ],
    },
    "aws:cloudwatch/compositeAlarm:CompositeAlarm": {
        "alarmName": "both",
        "alarmRule": 'ALARM("gap") AND NOT OK(other)',
        "alarmActions": [TOPIC_ARN],
        "actionsSuppressor": {"alarm": "quiet", "extensionPeriod": 60, "waitPeriod": 60},
    },
    "aws:cloudwatch/dashboard:Dashboard": {
        "dashboardName": "pools",
        "dashboardBody": json.dumps(
            {"widgets": [{"type": "text", "x": 0, "y": 0, "width": 6, "height": 3, "properties": {"markdown": "x"}}]}
        ),
    },
    "aws:cloudwatch/eventRule:EventRule": {
        "name": "spot",
        "eventPattern": json.dumps({"source": ["aws.ec2"], "detail": {"size": [{"numeric": [">", 1]}]}}),
        "state": "ENABLED",
        "tags": TAGS,
        "roleArn": ROLE_ARN,
    },
    "aws:cloudwatch/eventTarget:EventTarget": {
        "rule": "spot",
        "targetId": "topic",
        "arn": TOPIC_ARN,
        "deadLetterConfig": {"arn": QUEUE_ARN},
        "retryPolicy": {"maximumRetryAttempts": 3, "maximumEventAgeInSeconds": 60},
        "inputTransformer": {"inputPaths": {"id": "$.detail.instance-id"}, "inputTemplate": '"<id> is going away"'},
    },
    "aws:cloudwatch/eventBus:EventBus": {"name": "own", "tags": TAGS},
    "aws:cloudwatch/logGroup:LogGroup": {
        "name": "/spillway/node",
        "retentionInDays": 30,
        "kmsKeyId": KEY_ARN,
        "tags": TAGS,
    },
    "aws:cloudwatch/logStream:LogStream": {"name": "a", "logGroupName": "/spillway/node"},
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": {
        "name": "a",
        "logGroupName": "/spillway/node",
        "pattern": "ERROR",
        "metricTransformation": {"name": "Errors", "namespace": "Spillway", "value": "1", "dimensions": {"a": "$.b"}},
    },
    "aws:sns/topic:Topic": {
        "name": "events",
        "tags": TAGS,
        "kmsMasterKeyId": KEY_ARN,
        "policy": policy("sns:Publish", TOPIC_ARN, EVERYONE),
    },
    "aws:sns/topicPolicy:TopicPolicy": {
        "arn": TOPIC_ARN,
        "policy": policy("sns:Publish", TOPIC_ARN, {"Service": "events.amazonaws.com"}),
    },
    "aws:sns/topicSubscription:TopicSubscription": {
        "topic": TOPIC_ARN,
        "protocol": "sqs",
        "endpoint": QUEUE_ARN,
        "rawMessageDelivery": True,
        "filterPolicy": '{"a": ["b"]}',
        "filterPolicyScope": "MessageBody",
    },
    "aws:sqs/queue:Queue": {
        "name": "work",
        "delaySeconds": 0,
        "visibilityTimeoutSeconds": 30,
        "tags": TAGS,
        "kmsMasterKeyId": KEY_ARN,
        "redrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE_ARN, "maxReceiveCount": 5}),
    },
    "aws:sqs/queuePolicy:QueuePolicy": {
        "queueUrl": QUEUE_URL,
        "policy": policy("sqs:SendMessage", QUEUE_ARN, EVERYONE),
    },
    "aws:sqs/redrivePolicy:RedrivePolicy": {
        "queueUrl": QUEUE_URL,
        "redrivePolicy": json.dumps({"deadLetterTargetArn": QUEUE_ARN, "maxReceiveCount": "5"}),
    },
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": {
        "queueUrl": QUEUE_URL,
        "redriveAllowPolicy": json.dumps({"redrivePermission": "byQueue", "sourceQueueArns": [QUEUE_ARN]}),
    },
    "aws:secretsmanager/secret:Secret": {
        "name": "spillway/key",
        "recoveryWindowInDays": 7,
        "replicas": [{"region": "us-west-2"}],
        "tags": TAGS,
        "kmsKeyId": KEY_ARN,
        "policy": policy("secretsmanager:GetSecretValue", "*", EVERYONE),
    },
    "aws:secretsmanager/secretVersion:SecretVersion": {
        "secretId": "spillway/key",
        "secretString": "x",
        "versionStages": ["AWSCURRENT"],
    },
    "aws:secretsmanager/secretPolicy:SecretPolicy": {
        "secretArn": "spillway/key",
        "policy": policy("secretsmanager:GetSecretValue", "*", EVERYONE),
        "blockPublicPolicy": True,
    },
    "aws:kms/key:Key": {
        "description": "x",
        "deletionWindowInDays": 7,
        "enableKeyRotation": True,
        "rotationPeriodInDays": 90,
        "tags": TAGS,
        "keyUsage": "ENCRYPT_DECRYPT",
        "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "policy": policy("kms:*", "*", EVERYONE),
    },
    "aws:kms/alias:Alias": {"name": "alias/models", "targetKeyId": KEY_ARN},
    "aws:kms/keyPolicy:KeyPolicy": {
        "keyId": "6f9a3c1e-0000-4000-8000-000000000000",
        "policy": policy("kms:*", "*", EVERYONE),
    },
    "aws:ssm/parameter:Parameter": {
        "name": "/spillway/image",
        "type": "SecureString",
        "value": "ami",
        "tier": "Standard",
        "allowedPattern": "^a",
        "keyId": KEY_ARN,
    },
    "aws:budgets/budget:Budget": {
        "name": "spillway",
        "budgetType": "COST",
        "timeUnit": "MONTHLY",
        "limitAmount": "60000",
        "limitUnit": "USD",
        "tags": TAGS,
        "timePeriodStart": "2026-11-01_00:00",
        "costTypes": {"useAmortized": True, "useBlended": False},
        "costFilters": [{"name": "TagKeyValue", "values": ["user:spillway:stack$aws-us-east-1"]}],
        "notifications": [
            {
                "comparisonOperator": "GREATER_THAN",
                "threshold": 80,
                "thresholdType": "PERCENTAGE",
                "notificationType": kind,
                "subscriberEmailAddresses": ["ops@example.com"],
                "subscriberSnsTopicArns": [TOPIC_ARN],
            }
            for kind in ("ACTUAL", "FORECASTED")
        ],
    },
    "aws:servicequotas/serviceQuota:ServiceQuota": {"quotaCode": "L-417A185B", "serviceCode": "ec2", "value": 2000},
}
