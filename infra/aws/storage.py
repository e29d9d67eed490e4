"""The model store: one private, versioned, encrypted bucket per account and region; weights stay in their region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws
from pulumi import ResourceOptions

from infra import naming
from infra.aws.common import Scope, policy

VERSIONS_KEPT: Final = 3
"""The current version of an object and the two before it."""


@dataclass(frozen=True, slots=True)
class StorageArgs:
    """What the model store is made from. `bucket` is its fixed name, also known to policies before it exists."""

    scope: Scope
    bucket: str


class Storage(pulumi.ComponentResource):
    """The model bucket and everything that guards it."""

    bucket: pulumi.Output[str]
    uri: pulumi.Output[str]
    """`s3://<bucket>/models/`."""

    def __init__(self, name: str, args: StorageArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:aws:Storage", name, None, opts)
        child = ResourceOptions(parent=self)
        # Protected: hundreds of gigabytes that take hours to bring back, and without which no node boots.
        bucket = aws.s3.Bucket(
            f"{name}-models",
            bucket=args.bucket,
            force_destroy=False,
            tags=args.scope.tags("storage", "models"),
            opts=ResourceOptions(parent=self, protect=True),
        )
        block = aws.s3.BucketPublicAccessBlock(
            f"{name}-models",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-models",
            bucket=bucket.id,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),  # no ACLs at all
            opts=child,
        )
        # S3's own keys: nodes read weights with thousands of parallel range requests, each of which would be a KMS
        # call.
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-models",
            bucket=bucket.id,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=(
                        aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                            sse_algorithm="AES256"
                        )
                    )
                )
            ],
            opts=child,
        )
        versioning = aws.s3.BucketVersioning(
            f"{name}-models",
            bucket=bucket.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-models",
            bucket=bucket.id,
            rules=[
                aws.s3.BucketLifecycleConfigurationRuleArgs(
                    id=f"keep-{VERSIONS_KEPT}-versions",
                    status="Enabled",
                    filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                    noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                        newer_noncurrent_versions=VERSIONS_KEPT - 1, noncurrent_days=1
                    ),
                    # A push that broke off leaves parts that cost money and show in no listing.
                    abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                        days_after_initiation=7
                    ),
                )
            ],
            opts=ResourceOptions(parent=self, depends_on=[versioning]),
        )
        arn = naming.bucket_arn(args.bucket, args.scope.region)
        aws.s3.BucketPolicy(
            f"{name}-models",
            bucket=bucket.id,
            policy=policy(
                [
                    {
                        "Sid": "TlsOnly",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": [arn, f"{arn}/*"],
                        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                    },
                    {
                        "Sid": "Tls12OrNewer",
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": "s3:*",
                        "Resource": [arn, f"{arn}/*"],
                        "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
                    },
                ]
            ),
            # Both write the bucket's policy state; at the same time S3 answers one of them with a conflict.
            opts=ResourceOptions(parent=self, depends_on=[block]),
        )
        self.bucket = bucket.bucket
        self.uri = pulumi.Output.concat("s3://", bucket.bucket, "/models/")
        self.register_outputs({"bucket": self.bucket, "uri": self.uri})
