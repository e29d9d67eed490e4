"""The model store: one private, versioned, encrypted bucket per project and region; weights stay in their region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_gcp as gcp
from pulumi import ResourceOptions

from infra.gcp.common import Scope

VERSIONS_KEPT: Final = 3
"""The current version of an object and the two before it."""
SOFT_DELETE_SECONDS: Final = 7 * 86_400
"""The shortest there is: what was deleted by mistake can be had back for a week.
https://docs.cloud.google.com/storage/docs/soft-delete"""


@dataclass(frozen=True, slots=True)
class StorageArgs:
    """What the model store is made from. `bucket` is its fixed name, also known to conditions before it exists."""

    scope: Scope
    bucket: str


class Storage(pulumi.ComponentResource):
    """The model bucket; Cloud Storage encrypts by itself, and everything that guards it is part of the bucket."""

    bucket: pulumi.Output[str]
    uri: pulumi.Output[str]
    """`gs://<bucket>/models/`."""

    def __init__(self, name: str, args: StorageArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:gcp:Storage", name, None, opts)
        # Protected: hundreds of gigabytes that take hours to bring back, and without which no node boots.
        bucket = gcp.storage.Bucket(
            f"{name}-models",
            name=args.bucket,
            location=args.scope.region.upper(),
            storage_class="STANDARD",
            force_destroy=False,
            uniform_bucket_level_access=True,  # no ACLs at all; conditions in the policy need it
            public_access_prevention="enforced",
            versioning=gcp.storage.BucketVersioningArgs(enabled=True),
            soft_delete_policy=gcp.storage.BucketSoftDeletePolicyArgs(retention_duration_seconds=SOFT_DELETE_SECONDS),
            lifecycle_rules=[
                # https://docs.cloud.google.com/storage/docs/lifecycle (numNewerVersions)
                gcp.storage.BucketLifecycleRuleArgs(
                    action=gcp.storage.BucketLifecycleRuleActionArgs(type="Delete"),
                    condition=gcp.storage.BucketLifecycleRuleConditionArgs(
                        num_newer_versions=VERSIONS_KEPT, with_state="ARCHIVED"
                    ),
                ),
                # A push that broke off leaves parts that cost money and show in no listing.
                gcp.storage.BucketLifecycleRuleArgs(
                    action=gcp.storage.BucketLifecycleRuleActionArgs(type="AbortIncompleteMultipartUpload"),
                    condition=gcp.storage.BucketLifecycleRuleConditionArgs(age=7),
                ),
            ],
            labels=args.scope.labels("storage"),
            opts=ResourceOptions(parent=self, protect=True),
        )
        self.bucket = bucket.name
        self.uri = pulumi.Output.concat("gs://", bucket.name, "/models/")
        self.register_outputs({"bucket": self.bucket, "uri": self.uri})
