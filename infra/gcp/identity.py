"""Who a node is: one service account with exactly the rights it uses, and the empty containers of its secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_gcp as gcp
from pulumi import ResourceOptions

from infra.gcp import names
from infra.gcp.common import Scope

READ_MODEL: Final = "roles/storage.objectViewer"
READ_SECRET: Final = "roles/secretmanager.secretAccessor"
WRITE_METRICS: Final = "roles/monitoring.metricWriter"
WRITE_LOGS: Final = "roles/logging.logWriter"


@dataclass(frozen=True, slots=True)
class IdentityArgs:
    """What a node may touch.

    model_prefix: folder in `bucket`, `models/<name>/<revision>/`. secrets: label -> id of the secret. logs: whether
    it ships logs. after: what has to stand before rights on the bucket can be given, which is the bucket.
    """

    scope: Scope
    bucket: str
    model_prefix: str
    secrets: Mapping[str, str]
    logs: bool = False
    after: Sequence[pulumi.Resource] = ()


def model_condition(bucket: str, prefix: str) -> str:
    """Reads inside the model's folder, and listings that name the folder or a part of it; nothing else of the bucket.

    https://docs.cloud.google.com/iam/docs/conditions-attribute-reference (resource.name, objectListPrefix)
    """
    objects = f"projects/_/buckets/{bucket}/objects/{prefix}"
    return (
        f'resource.name.startsWith("{objects}") || '
        f'api.getAttribute("storage.googleapis.com/objectListPrefix", "").startsWith("{prefix}")'
    )


class Identity(pulumi.ComponentResource):
    """Service account, its rights, and the secret containers of the region's nodes.

    A node has no right to its group: whether it lives is for the group's own health check to find out.
    """

    account_email: pulumi.Output[str]
    rights: Sequence[pulumi.Resource]
    """What has to stand before a node boots."""

    def __init__(self, name: str, args: IdentityArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:gcp:Identity", name, None, opts)
        child = ResourceOptions(parent=self)
        scope = args.scope
        account = gcp.serviceaccount.Account(
            f"{name}-node",
            account_id=names.account_id(scope.region, "node"),
            display_name=f"Nodes of {scope.stack}",
            opts=child,
        )
        rights: list[pulumi.Resource] = [
            gcp.storage.BucketIAMMember(
                f"{name}-read-model",
                bucket=args.bucket,
                role=READ_MODEL,
                member=account.member,
                condition=gcp.storage.BucketIAMMemberConditionArgs(
                    title="model",
                    description=f"Only {args.model_prefix}",
                    expression=model_condition(args.bucket, args.model_prefix),
                ),
                opts=ResourceOptions(parent=self, depends_on=list(args.after)),
            ),
            # Metrics know no resources below the project.
            gcp.projects.IAMMember(
                f"{name}-metrics", project=scope.account, role=WRITE_METRICS, member=account.member, opts=child
            ),
        ]
        if args.logs:
            # Entries are written to the project, and no condition knows more of them: of Logging's resources only
            # buckets and views have names there.
            # https://docs.cloud.google.com/iam/docs/conditions-resource-attributes#resource-name
            rights.append(
                gcp.projects.IAMMember(
                    f"{name}-logs", project=scope.account, role=WRITE_LOGS, member=account.member, opts=child
                )
            )
        for label, secret in args.secrets.items():
            container = gcp.secretmanager.Secret(
                f"{name}-{label}",
                secret_id=names.secret_id(secret),
                # In this region only: keys stay where they are used, and another region's outage takes nothing away.
                replication=gcp.secretmanager.SecretReplicationArgs(
                    user_managed=gcp.secretmanager.SecretReplicationUserManagedArgs(
                        replicas=[
                            gcp.secretmanager.SecretReplicationUserManagedReplicaArgs(location=scope.region),
                        ]
                    )
                ),
                labels=scope.labels("identity"),
                # Protected: another name is another, empty secret, and the value of this one would go with it.
                opts=ResourceOptions(parent=self, protect=True),
            )
            rights.append(
                gcp.secretmanager.SecretIamMember(
                    f"{name}-read-{label}",
                    secret_id=container.id,
                    role=READ_SECRET,
                    member=account.member,
                    opts=child,
                )
            )
        self.account_email = account.email
        self.rights = rights
        self.register_outputs({"accountEmail": self.account_email})
