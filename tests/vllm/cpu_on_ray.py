"""vLLM's platform for CPUs, and Ray may hold its nodes together: for tests, in the environment of rung 5 alone.

vLLM asks a platform for the name of its devices among Ray's resources, and refuses Ray where that is empty ("current
platform cpu does not support ray", vllm/v1/executor/ray_utils.py, initialize_ray_cluster, of 0.32.0); the one for CPUs
has none (vllm/platforms/cpu.py has no ray_device_key, vllm/platforms/interface.py says ""). With a name it does: the
executor itself knows of no device. An extension as vLLM's documentation has it, in the group vllm.platform_plugins
(https://docs.vllm.ai/en/stable/design/plugin_system/); environment.py puts this file where vLLM finds it.
"""

from __future__ import annotations

import os

SWITCH = "SPILLWAY_CPU_ON_RAY"


def register() -> str | None:
    """Name of the platform; None: vLLM looks for one itself."""
    return f"{__name__}.CpuOnRay" if os.environ.get(SWITCH) else None


def __getattr__(name: str) -> type:
    """Made when it is asked for: vLLM asks every plugin for its name, and CpuPlatform costs an import of torch."""
    if name != "CpuOnRay":
        raise AttributeError(name)
    from vllm.platforms.cpu import CpuPlatform  # type: ignore[import-not-found, unused-ignore]

    made = type("CpuOnRay", (CpuPlatform,), {"ray_device_key": "GPU", "__module__": __name__})
    globals()[name] = made
    return made
