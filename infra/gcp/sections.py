"""The sections of a region's stack file that are Google Cloud's own; the others are in infra/sections.py."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from infra.sections import Listed, LogsBase, NetworkBase, Node, Section, text

# https://docs.cloud.google.com/resource-manager/docs/creating-managing-projects: 6 to 30 characters
ProjectId = Annotated[
    str, text(r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$", "a project id: 6 to 30 lower-case letters, digits, hyphens")
]
# An instance group's base name, spillway-gcp-<region>-on-demand, has at most 58 characters (infra/gcp/names.py).
GcpRegionName = Annotated[
    str, text(r"^[a-z]{2,16}-[a-z]{2,14}[0-9]{1,2}$", "a Google Cloud region such as us-central1")
]
GcpZoneName = Annotated[str, text(r"^[a-z]+-[a-z]+[0-9]+-[a-z]$", "a zone of the region such as us-central1-a")]
# https://docs.cloud.google.com/compute/docs/naming-resources: no dots in image names
GcpImageFamily = Annotated[
    str, text(r"^[a-z][a-z0-9-]{0,61}[a-z0-9]$", "an image family: lower-case letters, digits, hyphens")
]
GcpImageVersion = Annotated[
    str, text(r"^[0-9]{1,4}(\.[0-9]{1,4}){0,3}$", 'an image version in quotes such as "2026.11.1"')
]
GcpImageId = Annotated[
    str,
    text(
        r"^projects/[a-z][a-z0-9-]{4,28}[a-z0-9]/global/images/[a-z][a-z0-9-]{0,61}[a-z0-9]$",
        "an image as projects/<project>/global/images/<name>",
    ),
]
# https://docs.cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/create (secretId)
SecretId = Annotated[
    str,
    text(
        r"^spillway-[A-Za-z0-9_-]{1,246}$",
        "the id of a secret, never its value: spillway- and up to 246 letters, digits, hyphens and underscores",
    ),
]


class GcpNetwork(NetworkBase):
    """The region's own network."""

    checkers: Listed[Literal["route53", "cloudflare"]] = Field(default=("route53",), max_length=2)
    """Whose health checks are let in as well, where clients leaves them out."""
    zones: Listed[GcpZoneName] | None = Field(default=None, min_length=1, max_length=8)
    """Zones; null takes every zone that offers one of the machine types."""


class GcpRootDisk(Section):
    """The volume with the operating system; its type is what the machine type boots from."""

    size_gib: int = Field(default=200, ge=40, le=65_536)
    """Size in GiB; of a persistent disk it decides IOPS and throughput."""


class GcpDataDisk(Section):
    """The volume beside it: Hyperdisk Balanced where the machine type takes it, else a balanced persistent disk."""

    size_gib: int = Field(default=1000, ge=32, le=65_536)
    """Size in GiB."""
    # https://docs.cloud.google.com/compute/docs/disks/hyperdisk-perf-limits (Hyperdisk Balanced)
    iops: int = Field(default=16_000, ge=3000, le=160_000)
    """Provisioned IOPS; at most 500 per GiB. Of Hyperdisk only."""
    throughput_mbps: int = Field(default=1000, ge=140, le=2400)
    """Provisioned throughput in MiB/s; at most 0.25 per IOPS. Of Hyperdisk only."""


class GcpStorage(Section):
    """The volumes of each node."""

    root: GcpRootDisk = Field(default_factory=GcpRootDisk.model_construct)
    data: GcpDataDisk = Field(default_factory=GcpDataDisk.model_construct)


class GcpImage(Section):
    """The baked image: by family and version, or by id."""

    project: ProjectId | None = None
    """The project that holds the image; null is the stack's own."""
    family: GcpImageFamily | None = Field(default=None, examples=["spillway-vllm"])
    """Image family."""
    version: GcpImageVersion | None = Field(default=None, examples=["2026.11.1"])
    """Pinned version, so that a bake elsewhere changes no plan."""
    id: GcpImageId | None = None
    """One image by its path instead."""
    newest: bool = False
    """Take the newest of the family; every plan may then change by itself."""


class GcpNode(Node):
    """A node's last two minutes and first half hour."""

    # https://docs.cloud.google.com/compute/docs/instances/spot: 30 s; with a preemption notice 120 s
    notice_seconds: Literal[30, 120] = 120
    """How long before a preemption the cloud says so: 120 asks for a notice, 30 is what there is without."""


class GcpLogs(LogsBase):
    """Access and audit logs of the nodes, in a log bucket of Cloud Logging; never prompts, answers or keys."""

    # https://docs.cloud.google.com/logging/docs/buckets#custom-retention
    retention_days: int = Field(default=30, ge=1, le=3650)
    """Days for which the log service keeps them; the first 30 cost nothing."""


class GcpSecretNames(Section):
    """Names of secrets; the stack creates them empty, `spillway secrets push` fills them."""

    certificate: SecretId = Field(examples=["spillway-certificate"])
    """TLS certificate chain and key of the service name."""
    api_keys: SecretId = Field(examples=["spillway-api-keys"])
    """API keys that clients present."""
