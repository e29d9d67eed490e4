"""GPUs and systems from their data sheets (data/hardware.yaml), and which GPU a cloud's machine has."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from cost.models import read_data
from infra.faults import did_you_mean, listed
from infra.machines import Machine
from spillway.errors import SpillwayError

BITS_16 = ("bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. memory_gb: GB (1e9); bandwidth_tbs: TB/s; tflops: dense TFLOP/s by type; tdp_w: W."""

    id: str
    name: str
    memory_gb: float
    bandwidth_tbs: float
    tflops: dict[str, float]
    tdp_w: int
    catalog: tuple[tuple[str, int], ...]
    source: str

    def flops(self, dtype: str) -> float:
        """Dense FLOP/s when weights of `dtype` are multiplied: in their type where the GPU has it, else in 16 bits."""
        sixteen = max(self.tflops[one] for one in BITS_16 if one in self.tflops)
        return 1e12 * (sixteen if dtype in BITS_16 else max(self.tflops.get(dtype, 0.0), sixteen))

    @property
    def memory_mib(self) -> int:
        """What a cloud would tell of it."""
        return self.catalog[0][1] if self.catalog else int(self.memory_gb * 1e9 / (1 << 20))


@dataclass(frozen=True, slots=True)
class System:
    """A server or workstation. nameplate_kw: of the whole system."""

    id: str
    name: str
    gpu: Gpu
    gpus: int
    nameplate_kw: Decimal
    source: str


@lru_cache(maxsize=1)
def gpus() -> dict[str, Gpu]:
    """By id."""
    return {
        name: Gpu(
            name, row["name"], row["memoryGb"], row["bandwidthTbs"], row["tflops"], row["tdpW"],
            tuple((gpu, mib) for gpu, mib in row["catalog"]), row["source"],
        )
        for name, row in read_data("hardware.yaml")["gpus"].items()
    }  # fmt: skip


@lru_cache(maxsize=1)
def systems() -> dict[str, System]:
    """By id."""
    return {
        name: System(
            name, row["name"], gpus()[row["gpu"]], row["gpus"], Decimal(str(row["nameplateKw"])), row["source"]
        )
        for name, row in read_data("hardware.yaml")["systems"].items()
    }


@dataclass(frozen=True, slots=True)
class Published:
    """USD for an hour of a GPU, as others have worked it out: of a hyperscaler's own, and of a smaller owner's."""

    own: Decimal
    neocloud: Decimal
    source: str


def published(name: str) -> Published | None:
    """What is published of a GPU; None where nothing is."""
    data = read_data("hardware.yaml")["published"]
    told = data["usdPerGpuHour"].get(name)
    return Published(Decimal(told[0]), Decimal(told[1]), data["source"]) if told else None


def gpu(name: str, where: str) -> Gpu:
    """One GPU. where: the key, for the message. Raises SpillwayError."""
    if name not in gpus():
        raise SpillwayError(
            f"{where} = {name}: unknown GPU{did_you_mean(name, gpus())}; known are {listed(gpus(), 'and')}"
        )
    return gpus()[name]


def system(name: str, where: str) -> System:
    """One system. where: the key, for the message. Raises SpillwayError."""
    if name not in systems():
        hint = did_you_mean(name, systems())
        raise SpillwayError(f"{where} = {name}: unknown system{hint}; known are {listed(systems(), 'and')}")
    return systems()[name]


def gpu_of(machine: Machine) -> Gpu | None:
    """The GPU of a cloud's machine; None where it has no data sheet here."""
    return next((one for one in gpus().values() if (machine.gpu, machine.gpu_memory_mib) in one.catalog), None)
