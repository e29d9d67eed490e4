"""The stack file of one region as a frozen, checked model.

    config = load_stack_file(Path("stacks/Pulumi.aws-us-east-1.yaml"), "aws-us-east-1")

Every fault of the file is collected and raised at once in one ConfigError: YAML and top-level keys (infra/stackfile.py),
types, ranges and formats (infra/sections.py), and what only several values together can say (infra/checks.py).
Imports no cloud SDK and no pulumi: every preview pays for this module, and so does every command.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from infra import catalog, stackfile
from infra.faults import ConfigError, Fault, listed
from infra.sections import (
    AccountId,
    AwsRegionName,
    Budget,
    Fallback,
    Image,
    Limits,
    ModelSpec,
    Network,
    Node,
    Pools,
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

__all__ = ["REGION_KEY", "AwsRegion", "ConfigError", "RegionConfig", "load_all", "load_stack_file", "parse_region"]


class RegionBase(Section):
    """What every cloud's region has."""

    residency: Word = Field(examples=["us"])
    """Where the data of this region's clients may be processed; DNS never sends them across."""
    model: ModelSpec
    pools: Pools
    fallback: Fallback = Field(default_factory=Fallback)
    scaling: Scaling = Field(default_factory=Scaling)
    network: Network
    storage: Storage = Field(default_factory=Storage)
    image: Image
    efa: bool = False
    """Elastic Fabric Adapter interfaces on the nodes; only engines that span nodes need them."""
    node: Node = Field(default_factory=Node)
    limits: Limits = Field(default_factory=Limits)
    service: Service
    secrets: SecretNames
    budget: Budget
    tags: dict[TagKey, TagValue] = Field(default_factory=dict, max_length=30)
    """Tags on everything, besides the stack's own."""


class AwsRegion(RegionBase):
    """One AWS region that serves: everything under `spillway:region` with `cloud: aws`."""

    cloud: Literal["aws"]
    """The cloud."""
    region: AwsRegionName = Field(examples=["us-east-1"])
    """AWS region; with the cloud it is the stack's name."""
    account: AccountId = Field(examples=["123456789012"])
    """The only AWS account that this stack may touch."""
    nearest_aws_region: AwsRegionName | None = None
    """For latency-based DNS records; on AWS always the region itself, so leave it out."""

    @property
    def stack_name(self) -> str:
        """`<cloud>-<region>`."""
        return f"{self.cloud}-{self.region}"

    @property
    def latency_region(self) -> str:
        """The AWS region that latency records name."""
        return self.region

    @property
    def on_demand_types(self) -> tuple[str, ...]:
        """Machine types of the on-demand pool, preferred first."""
        return self.pools.types if self.pools.on_demand_types is None else self.pools.on_demand_types

    @property
    def all_types(self) -> tuple[str, ...]:
        """Machine types of both pools, each once, in the order of the file."""
        return tuple(dict.fromkeys((*self.pools.types, *self.on_demand_types)))

    @cached_property
    def zones(self) -> tuple[str, ...]:
        """The zones to build in: those of the file, or every zone that offers one of the machine types; sorted."""
        if self.network.zones is not None:
            return tuple(sorted(self.network.zones))
        return tuple(sorted({zone for name in self.all_types for zone in catalog.zones(name, self.region)}))

    @property
    def machines(self) -> tuple[catalog.Machine, ...]:
        """The catalog's entries for `all_types`."""
        return tuple(catalog.machine(name) for name in self.all_types)


RegionConfig = AwsRegion
"""A union discriminated by `cloud` once there is more than one cloud."""
CLOUDS: Final[dict[str, type[AwsRegion]]] = {"aws": AwsRegion}


def load_stack_file(path: Path, stack: str | None = None) -> RegionConfig:
    """The region of one stack file, checked by itself and against all other stack files beside it.

    `stack` defaults to the name in the file name. Raises ConfigError with one line per fault.
    """
    name = stackfile.display_name(path)
    data = stackfile.read(path)
    if REGION_KEY not in data:
        raise ConfigError([Fault((REGION_KEY,), "missing; it holds the region's settings").line(name)])
    return parse_region(data[REGION_KEY], stack or stackfile.stack_of(path), name)


def parse_region(data: object, stack: str, file: str) -> RegionConfig:
    """The object under `spillway:region` as a model; raises ConfigError with one line per fault, all at once."""
    from infra import checks  # at call time: checks needs the models of this module

    region, faults = _validate(data)
    if region is not None:
        faults = checks.region_faults(region, stack)
    if faults or region is None:
        raise ConfigError(Fault((REGION_KEY, *f.path), f.allowed, f.value).line(file) for f in faults)
    return region


def _validate(data: object) -> tuple[RegionConfig | None, list[Fault]]:
    if not isinstance(data, dict):
        return None, [Fault((), "has to be a map with cloud, region, model, pools and so on", data)]
    cloud = data.get("cloud")
    if not isinstance(cloud, str) or cloud not in CLOUDS:
        return None, [Fault(("cloud",), f"has to be {listed(CLOUDS)}", cloud)]
    try:
        return CLOUDS[cloud].model_validate(data), []
    except ValidationError as error:
        return None, [Fault(tuple(e["loc"]), e["msg"], e["input"]) for e in error.errors()]


def load_all(stacks_dir: Path) -> dict[str, RegionConfig]:
    """Every region stack of a folder by stack name; other stacks (global, ci) are left out."""
    regions: dict[str, RegionConfig] = {}
    lines: list[str] = []
    for path in sorted(stacks_dir.glob("Pulumi.*.yaml")):
        try:
            data = stackfile.read(path)
            if REGION_KEY in data:
                stack = stackfile.stack_of(path)
                regions[stack] = parse_region(data[REGION_KEY], stack, stackfile.display_name(path))
        except ConfigError as error:
            lines += error.lines
    if lines:
        raise ConfigError(lines)
    return regions


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a whole stack file, for editors."""
    return TypeAdapter(AwsRegion).json_schema()
