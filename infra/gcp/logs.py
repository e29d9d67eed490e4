"""Where the nodes' access and audit logs go: a log bucket of the region, which a sink of the project's router fills.

Nodes write to the project (images/programs/logs.py), as everybody does; the sink takes the stack's entries out by what
`images/rootfs/etc/fluent-bit/redact.lua` puts on each, and an exclusion keeps them from the project's own bucket, where
they would be paid for and kept once more: https://docs.cloud.google.com/logging/docs/routing/overview
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_gcp as gcp
from pulumi import ResourceOptions

from infra.gcp.common import Scope

KINDS: Final = ("access", "audit", "engine", "program")
"""What an entry's `kind` may be."""


def entries(stack: str) -> str:
    """The filter of a stack's entries, in the query language of Cloud Logging."""
    kinds = " OR ".join(f'"{kind}"' for kind in KINDS)
    return f'resource.type="gce_instance" AND jsonPayload.stack="{stack}" AND jsonPayload.kind=({kinds})'


@dataclass(frozen=True, slots=True)
class LogsArgs:
    """retention_days: of the log bucket."""

    scope: Scope
    retention_days: int


class Logs(pulumi.ComponentResource):
    """Log bucket, sink and exclusion of the region's node logs."""

    ready: Sequence[pulumi.Resource]
    """What has to stand before a node boots, or its first entries go to the project's own bucket."""

    def __init__(self, name: str, args: LogsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("spillway:gcp:Logs", name, None, opts)
        scope, child = args.scope, ResourceOptions(parent=self)
        bucket = gcp.logging.ProjectBucketConfig(
            f"{name}-nodes",
            project=scope.account,
            location=scope.region,  # residency: entries hold addresses of clients
            bucket_id=scope.name("nodes"),
            description=f"Access and audit logs of nodes of {scope.stack}",
            retention_days=args.retention_days,
            # A deleted one keeps its name for a week and can neither be changed nor made meanwhile, so that a region
            # could not be built again; this one empties itself, and the next `up` takes it up as it stands.
            # https://docs.cloud.google.com/logging/docs/buckets#delete-bucket
            deletion_policy="ABANDON",
            opts=child,
        )
        sink = gcp.logging.ProjectSink(
            f"{name}-nodes",
            name=scope.name("nodes"),
            project=scope.account,
            description=f"Logs of nodes of {scope.stack}",
            # By name and not by the resource's id: known in every preview, also when the next `up` takes the bucket up.
            destination=f"logging.googleapis.com/projects/{scope.account}/locations/{scope.region}/buckets/{scope.name('nodes')}",
            filter=entries(scope.stack),
            # To a bucket of its own project a sink needs no identity.
            # https://docs.cloud.google.com/logging/docs/export/configure_export_v2#dest-auth
            unique_writer_identity=True,
            opts=ResourceOptions(parent=self, depends_on=[bucket]),
        )
        exclusion = gcp.logging.ProjectExclusion(
            f"{name}-nodes",
            name=scope.name("nodes"),
            project=scope.account,
            description=f"In a bucket of their own: logs of nodes of {scope.stack}",
            filter=entries(scope.stack),
            # Only once they go somewhere else.
            opts=ResourceOptions(parent=self, depends_on=[sink]),
        )
        self.ready = [sink, exclusion]
        self.register_outputs({})
