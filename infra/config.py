"""The stack file of one region as a frozen, checked model.

    config = load_stack_file(Path("stacks/Pulumi.aws-us-east-1.yaml"), "aws-us-east-1")

Every fault of the file is collected and raised at once in one ConfigError: YAML and top-level keys
(infra/stackfile.py), types, ranges and formats (infra/sections.py), and what only several values together can say
(infra/checks.py, infra/machine_checks.py).
Imports no cloud SDK and no pulumi: every preview pays for this module, and so does every command.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from infra import catalog, stackfile
from infra.azure.sections import (
    AzureImage,
    AzureLogs,
    AzureNetwork,
    AzureNode,
    AzureRegionName,
    AzureSecretNames,
    AzureStorage,
    SubscriptionId,
)
from infra.faults import HIDDEN, ConfigError, Fault, did_you_mean, listed
from infra.gcp.sections import (
    GcpImage,
    GcpLogs,
    GcpNetwork,
    GcpNode,
    GcpRegionName,
    GcpSecretNames,
    GcpStorage,
    ProjectId,
)
from infra.sections import (
    AccountId,
    Architecture,
    AwsNode,
    AwsRegionName,
    Budget,
    Fallback,
    Image,
    Limits,
    Logs,
    ModelSpec,
    Network,
    NetworkBase,
    Node,
    Pools,
    PoolSizes,
    Scaling,
    SecretNames,
    Section,
    Service,
    Storage,
    TagKey,
    TagValue,
    Word,
)
from infra.stackfile import REGION_KEY
from infra.tencent.sections import (
    TencentBudget,
    TencentFallback,
    TencentImage,
    TencentNetwork,
    TencentNode,
    TencentPools,
    TencentRegionName,
    TencentScaling,
    TencentSecretNames,
    TencentStorage,
    Uin,
)
from infra.validation import validate

__all__ = ["REGION_KEY", "AwsRegion", "ConfigError", "RegionConfig", "load_all", "load_stack_file", "parse_region"]


class RegionBase(Section):
    """What every cloud's region has."""

    CLOUD: ClassVar[Literal["aws", "azure", "gcp", "tencent"]]
    """What `cloud` says; also where a file's own `cloud` is at fault."""
    SPOT: ClassVar[bool] = True
    """Whether there is a spot pool, which `pools.types` then are for."""

    cloud: str
    """The cloud."""
    region: str
    """The cloud's name of the region; together they are the stack's name."""
    account: str
    """The only account of the cloud that this stack may touch."""
    residency: Word = Field(examples=["us"])
    """Where the data of this region's clients may be processed; DNS never sends them across."""
    model: ModelSpec
    pools: PoolSizes
    fallback: Fallback = Field(default_factory=Fallback.model_construct)
    scaling: Scaling = Field(default_factory=Scaling.model_construct)
    network: NetworkBase
    storage: Section
    image: Section
    node: Node = Field(default_factory=Node.model_construct)
    limits: Limits = Field(default_factory=Limits.model_construct)
    service: Service
    secrets: Section
    budget: Budget
    tags: dict[TagKey, TagValue] = Field(default_factory=dict, max_length=30)
    """Tags on everything, besides the stack's own."""

    @property
    def stack_name(self) -> str:
        """`<cloud>-<region>`."""
        return f"{self.cloud}-{self.region}"

    @property
    def architecture(self) -> Architecture:
        """The model's shape: the stack file's own, or the catalog's."""
        return self.model.architecture or catalog.architecture(self.model.name)

    @property
    def on_demand_types(self) -> tuple[str, ...]:
        """Machine types of the on-demand pool, preferred first."""
        return self.pools.types if self.pools.on_demand_types is None else self.pools.on_demand_types

    @property
    def all_types(self) -> tuple[str, ...]:
        """Machine types of both pools, each once, in the order of the file."""
        return tuple(dict.fromkeys((*self.pools.types, *self.on_demand_types)))

    @property
    def machines(self) -> tuple[catalog.Machine, ...]:
        """The catalog's entries for `all_types`."""
        return tuple(catalog.machine(name) for name in self.all_types)

    @property
    def addresses(self) -> int:
        """How many static addresses the region's balancer has."""
        return 1

    @cached_property
    def zones(self) -> tuple[str, ...]:
        """The zones to build in: those of the file, or every zone that offers one of the machine types; sorted."""
        if self.network.zones is not None:
            return tuple(sorted(self.network.zones))
        return tuple(sorted({zone for name in self.all_types for zone in catalog.zones(name, self.region)}))


class AwsRegion(RegionBase):
    """One AWS region that serves: everything under `spillway:region` with `cloud: aws`."""

    CLOUD = "aws"
    cloud: Literal["aws"]
    """The cloud."""
    region: AwsRegionName = Field(examples=["us-east-1"])
    """AWS region; with the cloud it is the stack's name."""
    account: AccountId = Field(examples=["123456789012"])
    """The only AWS account that this stack may touch, in quotes."""
    nearest_aws_region: AwsRegionName | None = None
    """For latency-based DNS records; on AWS always the region itself, so leave it out."""
    pools: Pools
    network: Network
    storage: Storage = Field(default_factory=Storage.model_construct)
    image: Image
    node: AwsNode = Field(default_factory=AwsNode.model_construct)
    logs: Logs = Field(default_factory=Logs.model_construct)
    secrets: SecretNames
    efa: bool = False
    """Elastic Fabric Adapter interfaces on the nodes; only engines that span nodes need them."""

    @property
    def latency_region(self) -> str:
        """The AWS region that latency records name."""
        return self.region

    @property
    def addresses(self) -> int:
        """How many static addresses the region's balancer has: one in each zone."""
        return len(self.zones)


class AzureRegion(RegionBase):
    """One Azure region that serves: everything under `spillway:region` with `cloud: azure`."""

    CLOUD = "azure"
    cloud: Literal["azure"]
    """The cloud."""
    region: AzureRegionName = Field(examples=["eastus"])
    """Azure region; with the cloud it is the stack's name."""
    account: SubscriptionId
    """The only subscription that this stack may touch."""
    nearest_aws_region: AwsRegionName = Field(examples=["us-east-1"])
    """The AWS region that is nearest, for latency-based DNS records."""
    network: AzureNetwork
    storage: AzureStorage = Field(default_factory=AzureStorage.model_construct)
    image: AzureImage
    node: AzureNode = Field(default_factory=AzureNode.model_construct)
    logs: AzureLogs = Field(default_factory=AzureLogs.model_construct)
    secrets: AzureSecretNames

    @property
    def latency_region(self) -> str:
        """The AWS region that latency records name."""
        return self.nearest_aws_region


class GcpRegion(RegionBase):
    """One Google Cloud region that serves: everything under `spillway:region` with `cloud: gcp`."""

    CLOUD = "gcp"
    cloud: Literal["gcp"]
    """The cloud."""
    region: GcpRegionName = Field(examples=["us-central1"])
    """Google Cloud region; with the cloud it is the stack's name."""
    account: ProjectId = Field(examples=["example-project"])
    """The only project that this stack may touch."""
    nearest_aws_region: AwsRegionName = Field(examples=["us-east-2"])
    """The AWS region that is nearest, for latency-based DNS records."""
    network: GcpNetwork
    storage: GcpStorage = Field(default_factory=GcpStorage.model_construct)
    image: GcpImage
    node: GcpNode = Field(default_factory=GcpNode.model_construct)
    logs: GcpLogs = Field(default_factory=GcpLogs.model_construct)
    secrets: GcpSecretNames

    @property
    def latency_region(self) -> str:
        """The AWS region that latency records name."""
        return self.nearest_aws_region


class TencentRegion(RegionBase):
    """One Tencent Cloud region that serves on demand: everything under `spillway:region` with `cloud: tencent`.

    There is no spot pool and so no fallback: spot is sold on the China site only. The region is outside the failover
    objective, lowest in priority; docs/tencent.md says why.
    """

    CLOUD = "tencent"
    SPOT = False
    cloud: Literal["tencent"]
    """The cloud."""
    region: TencentRegionName = Field(examples=["ap-guangzhou"])
    """Tencent Cloud region; with the cloud it is the stack's name."""
    account: Uin = Field(examples=["100012345678"])
    """The only root account (UIN) that this stack may touch, in quotes."""
    nearest_aws_region: AwsRegionName = Field(examples=["ap-east-1"])
    """The AWS region that is nearest, for latency-based DNS records."""
    pools: TencentPools
    fallback: TencentFallback = Field(default_factory=TencentFallback.model_construct)
    scaling: TencentScaling = Field(default_factory=TencentScaling.model_construct)
    network: TencentNetwork
    storage: TencentStorage = Field(default_factory=TencentStorage.model_construct)
    image: TencentImage
    node: TencentNode = Field(default_factory=TencentNode.model_construct)
    secrets: TencentSecretNames
    budget: TencentBudget

    @property
    def latency_region(self) -> str:
        """The AWS region that latency records name."""
        return self.nearest_aws_region


RegionConfig = AwsRegion | AzureRegion | GcpRegion | TencentRegion
"""Told apart by `cloud`."""
CLOUDS: Final[dict[str, type[RegionConfig]]] = {
    model.CLOUD: model for model in (AwsRegion, AzureRegion, GcpRegion, TencentRegion)
}


def load_stack_file(path: Path, stack: str | None = None) -> RegionConfig:
    """The region of one stack file, checked by itself and against all other stack files beside it.

    `stack` defaults to the name in the file name. Raises ConfigError with one line per fault.
    """
    name = stack or stackfile.stack_of(path)
    return stackfile.load(path, REGION_KEY, "the region's settings", lambda data, file: _parse(data, name, file, path))


def parse_region(data: object, stack: str, file: str) -> RegionConfig:
    """The object under `spillway:region` as a model; raises ConfigError with one line per fault, all at once.

    What several values say together is checked even when other sections are at fault, so that one run tells everything.
    """
    return _parse(data, stack, file, None)


def _parse(data: object, stack: str, file: str, path: Path | None) -> RegionConfig:
    from infra import checks  # at call time: every check reads the models of this module

    region, faults = _validate(data, stack)
    if region is not None:
        faults += checks.region_faults(region, stack)
        if path is not None:
            faults += checks.faults_beside(region, path)
    if faults or region is None:
        lines = dict.fromkeys(fault.below(REGION_KEY).line(file) for fault in faults)
        raise ConfigError(lines)
    return region


def _validate(data: object, stack: str) -> tuple[RegionConfig | None, list[Fault]]:
    """The model, or as much of it as is sound, and the faults found. A file that names no cloud that there is is read
    as one of the cloud that the stack's name begins with."""
    named = CLOUDS.get(stack.partition("-")[0])
    if not isinstance(data, dict):
        keys = listed((f.alias or name for name, f in (named or RegionBase).model_fields.items()), "and")
        return None, [Fault((), f"has to be a map with {keys}", data)]
    cloud = data.get("cloud")
    known = isinstance(cloud, str) and cloud in CLOUDS
    model = CLOUDS[str(cloud)] if known else named
    own = [] if known else [_cloud_fault(data)]
    if model is None:
        return None, [*(Fault(path, why, HIDDEN) for path, why in stackfile.encrypted_values(data, ())), *own]
    region, faults = validate(model, data)
    return region, [*own, *(fault for fault in faults if known or fault.path != ("cloud",))]


def _cloud_fault(data: dict[Any, Any]) -> Fault:
    if "cloud" not in data:
        return Fault(("cloud",), f"missing; {listed(CLOUDS)}")
    return Fault(("cloud",), f"has to be {listed(CLOUDS)}{did_you_mean(data['cloud'], CLOUDS)}", data["cloud"])


def load_all(stacks_dir: Path) -> dict[str, RegionConfig]:
    """Every region stack of a folder by stack name; other stacks (global, ci) are left out."""
    regions, lines = load_each(stacks_dir)
    if lines:
        raise ConfigError(lines)
    return regions


def load_each(stacks_dir: Path) -> tuple[dict[str, RegionConfig], list[str]]:
    """Every sound region stack of a folder by stack name, and a line for each fault of the other files."""
    regions: dict[str, RegionConfig] = {}
    lines: list[str] = []
    for path in sorted(stacks_dir.glob("Pulumi.*.yaml")):
        if stackfile.is_ci(stackfile.stack_of(path)):  # no region needs to know who pipelines are
            continue
        try:
            if stackfile.holds_region(stackfile.read(path)):
                regions[stackfile.stack_of(path)] = load_stack_file(path)
        except ConfigError as error:
            lines += error.lines
    return regions, lines


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a whole stack file, for editors; committed as infra/schema/stack.schema.json."""
    from infra import schema
    from infra.ci.sections import CLOUDS as PIPELINES
    from infra.dns.sections import GlobalStack

    return schema.stack_file(CLOUDS, GlobalStack, PIPELINES)
