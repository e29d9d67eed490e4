"""One machine type, and how each cloud's data file tells it. The files lie in data/, with source and date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

GIB_IN_GB: Final = (1 << 30) / 1e9
# https://docs.cloud.google.com/compute/docs/instances/provisioning-models
GCP_USAGE: Final = {"STANDARD": "on-demand", "SPOT": "spot"}


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine type. Units are in the names.

    disk_max_* is the ceiling of all network volumes together, disk_baseline_* what the instance keeps up; None where
    the cloud tells it per volume only.
    """

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
    """Local NVMe disks that a node has, or that Spillway attaches to it."""
    nvme_disk_gb: int
    disk_max_mbps: float | None
    """MB/s (1e6 bytes), not MiB/s as gp3 volumes are counted in."""
    disk_max_iops: int | None
    disk_baseline_mbps: float | None
    disk_baseline_iops: int | None
    network_cards: int
    quota_family: str
    on_demand_quota: str
    """What the cloud counts on-demand machines by: a Service Quotas code, a vCPU family, a GPU metric."""
    spot_quota: str | None
    """The same for spot; None: look it up by name."""
    usage_classes: tuple[str, ...]
    """on-demand, spot, capacity-block."""
    efa: int = 0
    """EFA interfaces at most; 0: none, as on every other cloud."""
    efa_first_card: int = 0
    """The first network card that takes an EFA interface: 1 on p6-b300, else 0."""
    attached_nvme: bool = False
    """Whether the local disks have to be named in the template; otherwise they come with the type."""
    boot_disks: tuple[str, ...] = ()
    """Disk types that it boots from; GCP only, preferred first."""
    data_disks: tuple[str, ...] = ()
    """Disk types for data; GCP only."""
    rdma_cards: int = 0
    """InfiniBand (Azure) or RoCE (GCP) interfaces, which only engines that span nodes need."""
    network_gbps: float | None = None
    """Gbit/s that the node's one interface keeps up; None: not told. GCP and Azure tell it of what goes out."""
    network_peak_gbps: float | None = None
    """The same for a while, on credit."""

    @property
    def gpu_memory_gib(self) -> float:
        """Memory of one GPU in GiB."""
        return self.gpu_memory_mib / 1024

    @property
    def compute_capability(self) -> int:
        """80 for sm_80, 103 for sm_103."""
        return int(self.gpu_architecture.removeprefix("sm_"))

    temp_gb: int = 0
    """The temporary disk that comes with the size and goes with the machine, where no NVMe disks do; Azure only."""

    @property
    def local_gb(self) -> int:
        """What scratch has without the data volume: NVMe, or the temporary disk."""
        return self.nvme_gb or self.temp_gb

    @property
    def nvme_gb(self) -> int:
        """All local NVMe disks together, in GB."""
        return self.nvme_count * self.nvme_disk_gb


def _common(cloud: str, name: str, row: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """What all the files call the same."""
    quota = data["quotas"][row["quota"]]
    return {
        "cloud": cloud,
        "name": name,
        "vcpus": row["vcpus"],
        "memory_gib": row["memory"],
        "gpu": row["gpu"],
        "gpus": row["gpus"],
        "gpu_memory_mib": row["gpuMib"],
        "gpu_architecture": data["architectures"][row["gpu"]],
        "quota_family": quota.get("family", row["quota"]),
        "on_demand_quota": quota["onDemand"],
        "spot_quota": quota["spot"],
    }


def of_aws(data: dict[str, Any]) -> dict[str, Machine]:
    """aws_machines.json by name."""
    return {
        name: Machine(
            **_common("aws", name, row, data),
            nvme_count=row["nvme"][0],
            nvme_disk_gb=row["nvme"][1],
            disk_max_mbps=row["ebs"][0],
            disk_max_iops=row["ebs"][1],
            disk_baseline_mbps=row["ebsBase"][0],
            disk_baseline_iops=row["ebsBase"][1],
            network_cards=row["cards"],
            network_gbps=row["net"][0],
            network_peak_gbps=row["net"][1],
            efa=row["efa"][0],
            efa_first_card=row["efa"][1],
            usage_classes=tuple(row["usage"]),
        )
        for name, row in data["machines"].items()
    }


def of_azure(data: dict[str, Any]) -> dict[str, Machine]:
    """azure_machines.json by name. The temporary disk is not NVMe that scratch may count on: it is left out."""
    return {
        name: Machine(
            **_common("azure", name, row, data),
            nvme_count=row["nvme"][0],
            nvme_disk_gb=round(row["nvme"][1] * GIB_IN_GB),
            temp_gb=0 if row["nvme"][0] else round(row["temp"] * GIB_IN_GB),
            disk_max_mbps=row["disk"][0],
            disk_max_iops=row["disk"][1],
            disk_baseline_mbps=row["disk"][0],
            disk_baseline_iops=row["disk"][1],
            network_cards=row["nics"],
            network_gbps=row["networkMbps"] / 1000,
            network_peak_gbps=row["networkMbps"] / 1000,
            usage_classes=tuple(row["usage"]),
            rdma_cards=row["rdma"],
        )
        for name, row in data["machines"].items()
    }


def of_gcp(data: dict[str, Any]) -> dict[str, Machine]:
    """gcp_machines.json by name. Where local SSDs may be attached, the most that the type takes."""
    found: dict[str, Machine] = {}
    for name, row in data["machines"].items():
        family, ssd = data["families"][row["family"]], row["localSsd"]
        iops, mbps = row["disk"] or (None, None)
        found[name] = Machine(
            **_common("gcp", name, row, data),
            nvme_count=ssd["bundled"] if "bundled" in ssd else max(ssd.get("attach", [0])),
            nvme_disk_gb=round(data["localSsdGib"] * GIB_IN_GB),
            disk_max_mbps=mbps,
            disk_max_iops=iops,
            disk_baseline_mbps=mbps,
            disk_baseline_iops=iops,
            network_cards=row["nics"][0],
            network_gbps=row.get("cardGbps", row["egressGbps"]),
            network_peak_gbps=row.get("cardGbps", row["egressGbps"]),
            usage_classes=tuple(GCP_USAGE[model] for model in family["models"] if model in GCP_USAGE),
            attached_nvme="attach" in ssd,
            boot_disks=tuple(family["boot"]),
            data_disks=tuple(family["data"]),
            rdma_cards=row["nics"][1],
        )
    return found


def of_tencent(data: dict[str, Any]) -> dict[str, Machine]:
    """tencent_machines.json by name. No type of it has disks of its own, and all network volumes together have no
    ceiling that is published."""
    return {
        name: Machine(
            **_common("tencent", name, row, data),
            nvme_count=0,
            nvme_disk_gb=0,
            disk_max_mbps=None,
            disk_max_iops=None,
            disk_baseline_mbps=None,
            disk_baseline_iops=None,
            network_cards=1,
            network_gbps=row["networkGbps"],
            network_peak_gbps=row["networkGbps"],
            usage_classes=tuple(row["usage"]),
        )
        for name, row in data["machines"].items()
    }
