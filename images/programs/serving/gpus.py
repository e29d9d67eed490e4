"""The GPUs of this machine, and whether the configured types run on them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from images.node import Model
from images.programs.serving.command import Refused

VERSIONS: Final = "SPILLWAY_VERSIONS"
QUERY: Final = ("--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader")
TIMEOUT: Final = 30.0
"""Seconds: without the persistence daemon the first call of a boot initialises eight GPUs."""

BFLOAT16: Final = 80
NATIVE_FP8: Final = 89
METHODS: Final = {"modelopt_fp4": 80, "bitsandbytes": 75, "awq": 75, "gptq": 75, "fp8": 75, "modelopt": 75}
"""Least compute capability by method, times ten; others follow from the checkpoint, which only the engine reads.
https://docs.vllm.ai/en/latest/features/quantization/"""


@dataclass(frozen=True)
class Gpu:
    """capability: 90 for 9.0. driver: 580.95.05."""

    name: str
    capability: int
    driver: str


def versions() -> dict[str, Any]:
    """What the image was baked with (etc/spillway/versions.json); {} outside of an image."""
    path = Path(os.environ.get(VERSIONS) or "/etc/spillway/versions.json")
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def look(command: str = "nvidia-smi") -> list[Gpu]:
    """The GPUs that the driver sees. Raises Refused with what the driver says."""
    try:
        done = subprocess.run(
            [command, *QUERY], capture_output=True, text=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise Refused("no NVIDIA driver: nvidia-smi is not installed") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Refused(f"the GPU driver does not answer: {type(error).__name__}") from None
    if done.returncode != 0:
        said = " ".join((done.stdout + done.stderr).split())
        raise Refused(f"the GPU driver does not answer: {said[:200] or f'exit code {done.returncode}'}")
    found = []
    for line in done.stdout.splitlines():
        parts = [part.strip() for part in line.split(",")]
        try:
            name, capability, driver = parts
            major, minor = capability.split(".")
            found.append(Gpu(name, int(major) * 10 + int(minor), driver))
        except ValueError:
            raise Refused(f"the GPU driver answers with something unknown: {line.strip()[:100]}") from None
    return found


def number(version: str) -> tuple[int, ...]:
    """580.95.05 -> (580, 95, 5). Raises ValueError."""
    return tuple(int(part) for part in version.split("."))


def fault(model: Model, found: Sequence[Gpu], baked: dict[str, Any], nodes: int = 1) -> str | None:
    """Why the engine cannot run here, in one line; None when nothing speaks against it. nodes: of the replica."""
    needed = model.tensor_parallel * model.pipeline_parallel // nodes
    if len(found) < needed:
        key = "model.tensorParallel" + (" x pipelineParallel" if model.pipeline_parallel > 1 else "")
        return f"{key}: {needed} GPUs are needed, the driver sees {len(found)}"
    least = baked.get("driverMinimum")
    driver = found[0].driver
    if isinstance(least, str) and number(driver) < number(least):
        return f"the GPU driver {driver} is too old for CUDA {baked.get('cuda')}, it needs {least} or newer"
    weakest = min(found[:needed], key=lambda gpu: gpu.capability)
    capability, name = weakest.capability, weakest.name
    architectures = baked.get("architectures")
    if isinstance(architectures, list) and architectures and capability < min(architectures):
        return f"{name} (sm_{capability}) is older than what vLLM {baked.get('vllm')} runs on (sm_{min(architectures)})"
    if model.dtype == "bfloat16" and capability < BFLOAT16:
        return f"model.dtype bfloat16: {name} is sm_{capability}, sm_{BFLOAT16} or newer is needed; float16 runs"
    if model.kv_cache_dtype == "fp8" and capability < NATIVE_FP8:
        return f"model.kvCacheDtype fp8: {name} is sm_{capability}, sm_{NATIVE_FP8} or newer is needed; auto runs"
    method = METHODS.get(model.quantization or "")
    if method is not None and capability < method:
        return f"model.quantization {model.quantization}: {name} is sm_{capability}, sm_{method} or newer is needed"
    return None
