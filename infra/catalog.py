"""What clouds offer: GPU machine types, the zones that have them, the shapes of known models. Data, dated, no prices.

    machine("p5.48xlarge").gpus                      # 8
    zones("p4de.24xlarge", "us-east-1")              # ("us-east-1b", "us-east-1c")
    architecture("deepseek-r1-distill-llama-70b")    # Architecture, as in the model's config.json

The data lies beside this file in data/ with its sources, and is read on first use only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from infra.faults import did_you_mean

if TYPE_CHECKING:
    from infra.sections import Architecture, Network

DATA: Final = Path(__file__).parent / "data"
MIB: Final = 1 << 20
GIB: Final = 1 << 30
_YAML: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NotInCatalog(LookupError):
    """A machine type, region or model that the catalog does not know; the text says so in one line."""


@lru_cache(maxsize=1)
def cloudflare_networks() -> tuple[str, ...]:
    """The networks from which Cloudflare's monitors and proxies reach an origin."""
    data = yaml.load((DATA / "cloudflare_ranges.yaml").read_text("utf-8"), _YAML)
    return tuple(data["networks"])


def checker_networks(network: Network) -> tuple[str, ...]:
    """Networks of health checkers to let in besides the clients; none where everybody is let in."""
    from infra import cidr

    wanted = "cloudflare" in network.checkers and not cidr.is_open(network.clients)
    return tuple(net for net in cloudflare_networks() if net not in network.clients) if wanted else ()


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine type. Units are in the names; ebs_max_* is the ceiling, ebs_baseline_* what the instance keeps up."""

    cloud: str
    name: str
    vcpus: int
    memory_gib: float
    gpu: str
    gpus: int
    gpu_memory_mib: int
    """Memory of one GPU."""
    gpu_architecture: str
    """CUDA architecture such as sm_90."""
    nvme_count: int
    nvme_disk_gb: int
    ebs_max_mbps: float
    """MB/s (1e6 bytes), not MiB/s as volumes are counted in."""
    ebs_max_iops: int
    ebs_baseline_mbps: float
    ebs_baseline_iops: int
    network_cards: int
    efa: int
    """EFA interfaces at most; 0: none."""
    efa_first_card: int
    """The first network card that takes an EFA interface: 1 on p6-b300, else 0."""
    quota_family: str
    on_demand_quota: str
    """Service Quotas code of the family's running on-demand vCPUs."""
    spot_quota: str | None
    """Service Quotas code of the family's spot vCPUs; None: look it up by name."""
    usage_classes: tuple[str, ...]
    """on-demand, spot, capacity-block."""

    @property
    def gpu_memory_gib(self) -> float:
        """Memory of one GPU in GiB."""
        return self.gpu_memory_mib / 1024

    @property
    def compute_capability(self) -> int:
        """80 for sm_80, 103 for sm_103."""
        return int(self.gpu_architecture.removeprefix("sm_"))

    @property
    def nvme_gb(self) -> int:
        """All instance-store disks together, in GB."""
        return self.nvme_count * self.nvme_disk_gb


def _load(name: str) -> dict[str, Any]:
    # What clouds report is JSON (twenty times faster to read); what people write is YAML.
    raw = (DATA / name).read_bytes()
    data: dict[str, Any] = json.loads(raw) if name.endswith(".json") else yaml.load(raw, Loader=_YAML)
    return data


@lru_cache(maxsize=1)
def _machines() -> dict[str, Machine]:
    data = _load("aws_machines.json")
    found: dict[str, Machine] = {}
    for name, row in data["machines"].items():
        quota = data["quotas"][row["quota"]]
        found[name] = Machine(
            cloud="aws",
            name=name,
            vcpus=row["vcpus"],
            memory_gib=row["memory"],
            gpu=row["gpu"],
            gpus=row["gpus"],
            gpu_memory_mib=row["gpuMib"],
            gpu_architecture=data["architectures"][row["gpu"]],
            nvme_count=row["nvme"][0],
            nvme_disk_gb=row["nvme"][1],
            ebs_max_mbps=row["ebs"][0],
            ebs_max_iops=row["ebs"][1],
            ebs_baseline_mbps=row["ebsBase"][0],
            ebs_baseline_iops=row["ebsBase"][1],
            network_cards=row["cards"],
            efa=row["efa"][0],
            efa_first_card=row["efa"][1],
            quota_family=quota["family"],
            on_demand_quota=quota["onDemand"],
            spot_quota=quota["spot"],
            usage_classes=tuple(row["usage"]),
        )
    return found


@lru_cache(maxsize=1)
def _offerings() -> dict[str, Any]:
    return _load("aws_offerings.json")


@lru_cache(maxsize=1)
def _models() -> dict[str, dict[str, Any]]:
    models: dict[str, dict[str, Any]] = _load("models.yaml")["models"]
    return models


def machines() -> tuple[Machine, ...]:
    """All machine types, in the order of the data file."""
    return tuple(_machines().values())


def machine(name: str) -> Machine:
    """One machine type by name; NotInCatalog for an unknown one."""
    try:
        return _machines()[name]
    except KeyError:
        raise NotInCatalog(f"unknown machine type {name}{did_you_mean(name, _machines())}") from None


def is_machine(name: str) -> bool:
    """Whether the catalog has this machine type."""
    return name in _machines()


def regions() -> tuple[str, ...]:
    """All regions whose offerings are recorded, sorted."""
    return tuple(_offerings()["regions"])


def zones(name: str, region: str) -> tuple[str, ...]:
    """The region's availability zones that offer the machine type; empty where none does, or either is unknown."""
    letters: str = _offerings()["offerings"].get(name, {}).get(region, "")
    return tuple(region + letter for letter in letters)


def offered_in(name: str) -> tuple[str, ...]:
    """The regions that offer the machine type in any zone, sorted."""
    return tuple(_offerings()["offerings"].get(name, {}))


def observed() -> str:
    """The day on which the offerings were read, YYYY-MM-DD."""
    return str(_offerings()["observed"])


def models() -> tuple[str, ...]:
    """Names of all known models, in the order of the data file."""
    return tuple(_models())


def is_model(name: str) -> bool:
    """Whether the catalog has this model."""
    return name in _models()


def architecture(name: str) -> Architecture:
    """The shape of a known model; NotInCatalog for an unknown one."""
    from infra.sections import Architecture

    if name not in _models():
        raise NotInCatalog(f"unknown model {name}{did_you_mean(name, _models())}")
    # Construction by alias without validation: a test validates the data file once for all.
    return Architecture.model_construct(**_models()[name]["architecture"])


def native_dtype(name: str) -> str:
    """What the published checkpoint of a known model is stored in: bfloat16, float16, fp8 ..."""
    return str(_models()[name]["dtype"])
