"""The model store: one private, versioned, encrypted bucket per account and region; weights stay in their region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi import ResourceOptions
from tencentcloud_iac_pulumi import cos

from infra.tencent.common import Scope

OLD_VERSIONS_DAYS: Final = 30
"""COS counts days where others count versions (nonCurrentExpiration knows nothing else)."""
BROKEN_UPLOAD_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class StorageArgs:
    """What the model store is made from. `bucket` is its fixed name, with the APPID, also known to policies before it
    exists."""

    scope: Scope
    bucket: str


class Storage(pulumi.ComponentResource):
    """The model bucket; everything that guards it is part of the bucket."""

    bucket: pulumi.Output[str]
    uri: pulumi.Output[str]
    """`cos://<bucket>/models/`."""

    def __init__(self, name: str, args: StorageArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:tencent:Storage", name, None, opts)
        # Protected: hundreds of gigabytes that take hours to bring back, and without which no node boots.
        bucket = cos.Bucket(
            f"{name}-models",
            bucket=args.bucket,
            acl="private",
            encryption_algorithm="AES256",
            versioning_enable=True,
            force_clean=False,
            lifecycle_rules=[
                cos.BucketLifecycleRuleArgs(
                    id="old-versions",
                    filter_prefix="",
                    non_current_expiration=cos.BucketLifecycleRuleNonCurrentExpirationArgs(
                        non_current_days=OLD_VERSIONS_DAYS
                    ),
                    # A push that broke off leaves parts that cost money and show in no listing.
                    abort_incomplete_multipart_upload=cos.BucketLifecycleRuleAbortIncompleteMultipartUploadArgs(
                        days_after_initiation=BROKEN_UPLOAD_DAYS
                    ),
                )
            ],
            tags=args.scope.tags("storage"),
            opts=ResourceOptions(parent=self, protect=True),
        )
        self.bucket = bucket.bucket
        self.uri = pulumi.Output.concat("cos://", bucket.bucket, "/models/")
        self.register_outputs({"bucket": self.bucket, "uri": self.uri})
