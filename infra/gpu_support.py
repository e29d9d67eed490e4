"""What the image's vLLM can run on which GPU architecture, and which quantization goes with which stored type.

Sources, all of vLLM's documentation:
  https://docs.vllm.ai/en/latest/getting_started/installation/gpu/ : compute capability 7.5 or higher. CUDA 13, which
    the image's PyTorch is built with, dropped Volta (V100, sm_70)
    (https://docs.nvidia.com/cuda/archive/13.0.0/cuda-toolkit-release-notes/).
  https://docs.vllm.ai/en/latest/features/quantization/ : the table of methods by architecture.
  https://docs.vllm.ai/en/latest/features/quantization/fp8/ : FP8 computes on 8.9 and above; from 7.5 on it runs as
    weight-only through Marlin, with the memory of FP8 and the speed of 16 bits. Allowed here; `advice` says it.
  https://docs.vllm.ai/en/latest/features/quantization/int8/ : INT8 computes on 7.5 to 9.0 and not on Blackwell.
  https://docs.nvidia.com/cuda/cuda-c-programming-guide/ (compute capabilities): bfloat16 from 8.0 on.
  https://github.com/vllm-project/vllm/issues/26431 : an FP8 KV cache fails below 8.9 with the Triton backend.
"""

from __future__ import annotations

from typing import Final

OLDEST: Final = 75
BFLOAT16: Final = 80
NATIVE_FP8: Final = 89
NATIVE_FP4: Final = 100
MARLIN_FP4: Final = 80
NO_INT8_FROM: Final = 100

METHODS: Final[dict[str, tuple[str, ...]]] = {
    "bfloat16": (),
    "float16": (),
    "fp8": ("fp8", "compressed-tensors", "modelopt"),
    "int8": ("compressed-tensors", "gptq", "bitsandbytes"),
    "fp4": ("modelopt_fp4", "compressed-tensors"),
    "int4": ("awq", "gptq", "compressed-tensors", "bitsandbytes"),
}
"""Quantization methods that store weights in a type; none besides null for unquantised ones."""


def unsupported(capability: int, dtype: str, kv_cache_dtype: str) -> str | None:
    """Why the engine cannot run these types on this compute capability (80 for 8.0), or None when it can."""
    if capability < OLDEST:
        return f"vLLM needs sm_{OLDEST} or newer (CUDA 13 dropped Volta)"
    if dtype == "bfloat16" and capability < BFLOAT16:
        return f"bfloat16 needs sm_{BFLOAT16} or newer; float16 runs"
    if dtype == "int8" and capability >= NO_INT8_FROM:
        return f"int8 does not run on Blackwell (sm_{NO_INT8_FROM} and newer); fp8 does"
    if dtype == "fp4" and capability < MARLIN_FP4:
        return f"fp4 needs sm_{MARLIN_FP4} or newer"
    if kv_cache_dtype == "fp8" and capability < NATIVE_FP8:
        return f"kvCacheDtype fp8 needs sm_{NATIVE_FP8} or newer; auto runs"
    return None


def weight_only(capability: int, dtype: str) -> bool:
    """Whether this type saves memory but computes in 16 bits on this compute capability."""
    return (dtype == "fp8" and capability < NATIVE_FP8) or (dtype == "fp4" and capability < NATIVE_FP4)
