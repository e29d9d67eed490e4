"""The sections of a region's stack file that are Azure's own; the others are in infra/sections.py."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from infra.sections import Listed, LogsBase, NetworkBase, Node, Section, text

SubscriptionId = Annotated[
    str, text(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "a subscription id in lower case: 8-4-4-4-12 hex digits")
]
# Names of Azure's own are shorter; a scale set's, spillway-azure-<region>-on-demand, has at most 64 characters.
AzureRegionName = Annotated[str, text(r"^[a-z][a-z0-9]{2,38}$", "an Azure region such as eastus")]
# https://learn.microsoft.com/azure/virtual-machines/shared-image-galleries: images are versioned major.minor.patch
GalleryVersion = Annotated[
    str, text(r"^[0-9]{1,10}\.[0-9]{1,10}\.[0-9]{1,10}$", 'an image version in quotes: major.minor.patch, "2026.11.1"')
]
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftcompute
GalleryName = Annotated[str, text(r"^[A-Za-z0-9]([A-Za-z0-9._]{0,78}[A-Za-z0-9])?$", "the name of a compute gallery")]
GalleryImage = Annotated[
    str, text(r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,78}[A-Za-z0-9])?$", "an image definition of the gallery")
]
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftresources
GroupName = Annotated[
    str,
    text(r"^[A-Za-z0-9_()-]([A-Za-z0-9_().-]{0,78}[A-Za-z0-9_()-])?$", "a resource group's name, not ending in a dot"),
]
ImageVersionId = Annotated[
    str,
    text(
        r"^/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft\.Compute/galleries/[^/]+/images/"
        r"[^/]+/versions/[^/]+$",
        "the id of a gallery image version, /subscriptions/.../galleries/.../images/.../versions/...",
    ),
]
# https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#objects-identifiers-and-versioning
VaultSecretName = Annotated[
    str,
    text(
        r"^spillway-[A-Za-z0-9-]{1,118}$",
        "the name of a secret, never its value: spillway- and up to 118 letters, digits and hyphens",
    ),
]


class AzureNetwork(NetworkBase):
    """The region's own network."""

    zones: Listed[Literal["1", "2", "3"]] | None = Field(default=None, min_length=1, max_length=3)
    """Availability zones by number, in quotes; null takes those that are known to offer one of the sizes, or none."""


class AzureRootDisk(Section):
    """The volume with the operating system, on Premium SSD."""

    size_gib: int = Field(default=256, ge=64, le=4095)
    """Size in GiB; its size decides IOPS and throughput."""


class AzureDataDisk(Section):
    """The volume beside it, on Premium SSD v2: https://learn.microsoft.com/azure/virtual-machines/disks-types."""

    size_gib: int = Field(default=1000, ge=32, le=65_536)
    """Size in GiB."""
    iops: int = Field(default=16_000, ge=3000, le=80_000)
    """Provisioned IOPS; at most 500 per GiB."""
    throughput_mbps: int = Field(default=500, ge=125, le=1200)
    """Provisioned throughput in MB/s; at most 0.25 per IOPS, and the size of the machine has its own ceiling."""


class AzureStorage(Section):
    """The volumes of each node."""

    root: AzureRootDisk = Field(default_factory=AzureRootDisk.model_construct)
    data: AzureDataDisk = Field(default_factory=AzureDataDisk.model_construct)


class AzureImage(Section):
    """The baked image in a compute gallery: by family and version, or by id."""

    resource_group: GroupName = "spillway-images"
    """The group of the gallery."""
    gallery: GalleryName = "spillway"
    """The compute gallery."""
    family: GalleryImage | None = Field(default=None, examples=["spillway-vllm"])
    """Image definition."""
    version: GalleryVersion | None = Field(default=None, examples=["2026.11.1"])
    """Pinned version, so that a bake elsewhere changes no plan."""
    id: ImageVersionId | None = None
    """One image version by id instead."""
    newest: bool = False
    """Take the newest version; every plan may then change by itself."""


class AzureNode(Node):
    """A node's last half minute and first half hour."""

    # https://learn.microsoft.com/azure/virtual-machine-scale-sets/use-spot: 30 s, if any
    notice_seconds: int = Field(default=30, ge=30, le=30)
    """How long before an eviction the cloud says so; Azure gives 30 s at best."""
    drain_seconds: int = Field(default=12, ge=1, le=20)
    """Longest time that requests in flight get to finish."""
    deregister_seconds: int = Field(default=10, ge=0, le=20)
    """From unready until no balancer sends new requests."""


class AzureLogs(LogsBase):
    """Access and audit logs of the nodes, in a Log Analytics workspace; never prompts, answers or keys."""

    # https://learn.microsoft.com/azure/azure-monitor/logs/data-retention-configure: of an Analytics table
    retention_days: int = Field(default=30, ge=4, le=730)
    """Days for which the log service keeps them; the first 30 cost nothing."""


class AzureSecretNames(Section):
    """Names of secrets in the stack's vault; `spillway secrets push` fills them."""

    certificate: VaultSecretName = Field(examples=["spillway-certificate"])
    """TLS certificate chain and key of the service name."""
    api_keys: VaultSecretName = Field(examples=["spillway-api-keys"])
    """API keys that clients present."""
