"""The sections of a region's stack file that are Tencent Cloud's own; the others are in infra/sections.py.

Everything here is bought on demand. Spot instances are sold on the China site alone (instance_charge_type of
https://github.com/tencentcloudstack/terraform-provider-tencentcloud), so there is nothing to fall back from, and the
region stands outside the failover objective. What keeps it small is in the catalog: GT4 is A100 and serves, GN10Xp is
V100 (sm_70), which current vLLM builds do not run on.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from infra.sections import (
    Budget,
    Email,
    Fallback,
    Listed,
    MachineName,
    NetworkBase,
    Node,
    PoolSizes,
    Scaling,
    Section,
    text,
)

# $uin of https://www.tencentcloud.com/document/product/1078/38612: the root account's id
Uin = Annotated[str, text(r"^[0-9]{6,14}$", "the id of a root account (UIN) in quotes: 6 to 14 digits")]
# A scaling group's name, spillway-tencent-<region>-on-demand, has at most 55 characters (infra/tencent/names.py).
TencentRegionName = Annotated[
    str, text(r"^[a-z]{2}-[a-z]{3,16}(-[a-z]{2,7})?$", "a Tencent Cloud region such as ap-guangzhou")
]
TencentZoneName = Annotated[
    str, text(r"^[a-z]{2}(-[a-z]+)+-[1-9][0-9]?$", "a zone of the region such as ap-guangzhou-3")
]
# https://developer.hashicorp.com/packer/integrations/hashicorp/tencentcloud (image_name): letters, digits and hyphens,
# at most 60 with the version
TencentImageFamily = Annotated[
    str, text(r"^[a-z][a-z0-9-]{0,38}[a-z0-9]$", "an image family: lower-case letters, digits, hyphens")
]
TencentImageVersion = Annotated[
    str, text(r"^[0-9]{1,4}(\.[0-9]{1,4}){0,3}$", 'an image version in quotes such as "2026.11.1"')
]
TencentImageId = Annotated[str, text(r"^img-[a-z0-9]{8}$", "an image id: img- and 8 letters or digits")]
# https://github.com/tencentcloudstack/terraform-provider-tencentcloud, website/docs/r/ssm_secret.html.markdown
# (secret_name): letters, digits, _ and -, 128 bytes
SsmSecretName = Annotated[
    str,
    text(
        r"^spillway-[A-Za-z0-9_-]{1,118}$",
        "the name of a secret, never its value: spillway- and up to 118 letters, digits, hyphens and underscores",
    ),
]


class TencentPools(PoolSizes):
    """The one pool of the region, on-demand, counted in replicas (one node each)."""

    types: Listed[MachineName] = Field(min_length=1, max_length=10, examples=[["GT4.41XLARGE948"]])
    """Machine types of the on-demand pool in order of preference; a launch configuration takes ten."""
    on_demand_types: Listed[MachineName] | None = Field(default=None, min_length=1, max_length=10)
    """Leave it out: types are on-demand here."""
    floor: int = Field(default=0, ge=0, le=500)
    """Leave it out: it is target, as all of the target is on-demand."""

    @model_validator(mode="before")
    @classmethod
    def _all_on_demand(cls, data: Any) -> Any:
        # Only from a sound target: a faulty one is told once, not for the floor as well.
        if isinstance(data, dict) and type(data.get("target")) is int and 0 <= data["target"] <= 500:
            return {"floor": data["target"], **data}
        return data


class TencentFallback(Fallback):
    """Only how long a boot takes: without spot there is nothing to fall back from."""

    out_minutes: int = Field(default=2, ge=1, le=60)
    """Leave it out: there is no spot pool."""
    in_minutes: int = Field(default=12, ge=2, le=240)
    """Leave it out: there is no spot pool."""
    dry_run: bool = False
    """Leave it out: there is no spot pool."""


class TencentScaling(Scaling):
    """How the size of the pool follows the load: by CPU, or not at all. Scaling groups know no metric of one's own."""

    signal: Literal["queue", "cpu", "none"] = "none"
    """cpu: average CPU of the pool; none: the target stays."""


class TencentNetwork(NetworkBase):
    """The region's own network."""

    checkers: Listed[Literal["route53", "cloudflare"]] = Field(default=("route53",), max_length=2)
    """Whose health checks are let in as well, where clients leaves them out."""
    zones: Listed[TencentZoneName] | None = Field(default=None, min_length=1, max_length=8)
    """Zones; null takes every zone that offers one of the machine types."""


# https://www.tencentcloud.com/document/product/362/31636: what is in a disk's type and size is its speed
DiskType = Literal["CLOUD_PREMIUM", "CLOUD_BSSD", "CLOUD_SSD", "CLOUD_HSSD"]


class TencentRootDisk(Section):
    """The volume with the operating system."""

    type: DiskType = "CLOUD_SSD"
    """CBS disk type; it and the size decide IOPS and throughput."""
    size_gib: int = Field(default=200, ge=50, le=1024)
    """Size in GiB; the image with driver, CUDA and vLLM needs 50."""


class TencentDataDisk(Section):
    """The volume beside it: these machine types have no local disks, so weights and scratch lie here as well."""

    type: DiskType = "CLOUD_HSSD"
    """CBS disk type; it and the size decide IOPS and throughput."""
    size_gib: int = Field(default=1000, ge=20, le=32_000)
    """Size in GiB, in steps of 10."""


class TencentStorage(Section):
    """The volumes of each node."""

    root: TencentRootDisk = Field(default_factory=TencentRootDisk.model_construct)
    data: TencentDataDisk = Field(default_factory=TencentDataDisk.model_construct)


class TencentImage(Section):
    """The baked image: by family and version (its name is <family>-<version>), or by id."""

    family: TencentImageFamily | None = Field(default=None, examples=["spillway-vllm"])
    """What the image's name begins with."""
    version: TencentImageVersion | None = Field(default=None, examples=["2026.11.1"])
    """Pinned version, so that a bake elsewhere changes no plan."""
    id: TencentImageId | None = None
    """One image by id instead."""
    newest: bool = False
    """Take the newest of the family; every plan may then change by itself."""


class TencentNode(Node):
    """A node's end and its first half hour."""

    grace_period_minutes: int = Field(default=120, ge=2, le=120)
    """Leave it out: a scaling group knows no grace, and replaces only what the cloud calls unreachable."""


class TencentBudget(Budget):
    """What the region may cost. No alert is made of it: Tencent Cloud's budgets are in the account's currency and write
    to the account's own contacts, never to an address."""

    monthly_usd: int = Field(ge=1, le=100_000_000, examples=[30_000])
    """US dollars per month that reports hold the region against."""
    emails: Listed[Email] = Field(min_length=1, max_length=10, examples=[["platform@example.com"]])
    """Who answers for the costs."""


class TencentSecretNames(Section):
    """Names of secrets in Secrets Manager (SSM); the stack creates them empty."""

    certificate: SsmSecretName = Field(examples=["spillway-certificate"])
    """TLS certificate chain and key of the service name."""
    api_keys: SsmSecretName = Field(examples=["spillway-api-keys"])
    """API keys that clients present."""
