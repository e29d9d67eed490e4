"""Does a model fit a machine: the memory of one GPU, part by part, for a stated load.

    estimate(spec, shape, machine.gpu_memory_mib).fits

vLLM shares one budget per GPU, `memory x gpu_memory_utilization`, between weights, activations and the KV cache, and
refuses to start when one sequence of max_model_len does not find room
(https://docs.vllm.ai/en/latest/configuration/conserving_memory.html). The fullest GPU is computed: one of the pipeline
stage with most layers and an embedding.

weights    bytes(dtype) x parameters / (TP x PP); embeddings stay in 16 bits when the rest is quantised; the projections
           into the latent space of MLA and the K and V heads beyond the model's own are whole on each GPU.
KV cache   2 x layers x kv heads x head_dim x bytes per token, divided by TP as long as there are heads to divide
           (vllm/config/model.py, get_num_kv_heads: max(1, kv_heads // tp)); MLA keeps kv_lora_rank + qk_rope_head_dim
           per token and layer, the whole of it on each TP rank (https://arxiv.org/abs/2405.04434, section 2.1;
           https://docs.vllm.ai/en/latest/serving/data_parallel_deployment.html).
overhead   a fixed part for NCCL buffers, CUDA graphs and the allocator, and the activations of the largest batch: see
           the constants. Between 2 and 5 GiB per GPU; a cautious estimate, since vLLM measures it only at start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.sections import Architecture, Fit, ModelSpec

GIB: Final = 1 << 30
MIB: Final = 1 << 20

# Bytes per quantised weight with its scales: FP8 one 4-byte scale per 128 x 128 block (DeepSeek-V3,
# https://arxiv.org/abs/2412.19437, section 3.3), INT8 one per row, NVFP4 4 bits and an 8-bit scale per 16 weights, INT4
# (AWQ, GPTQ) 4 bits and 16 + 4 bits of scale and zero point per 128.
WEIGHT_BYTES: Final[dict[str, float]] = {
    "bfloat16": 2.0,
    "float16": 2.0,
    "fp8": 1 + 4 / (128 * 128),
    "int8": 1 + 4 / 4096,
    "fp4": 0.5 + 1 / 16,
    "int4": 0.5 + 20 / 8 / 128,
}
EMBEDDING_BYTES: Final = 2
KV_BYTES: Final = {"auto": 2, "fp8": 1}
KV_BLOCK_TOKENS: Final = 16
"""vLLM's default block size on CUDA: a sequence takes whole blocks."""

VISIBLE_SHARE: Final = 0.985
"""Of a GPU's nominal memory, what CUDA reports: 39.4 of 40 GiB on an A100, 79.1 of 80 on an H100."""
FIXED_OVERHEAD: Final = int(1.5 * GIB)
"""Per GPU: NCCL and custom all-reduce buffers, captured CUDA graphs, allocator slack."""
BATCH_TOKENS: Final = 8192
"""vLLM's default max_num_batched_tokens of the API server on large GPUs; memory is profiled with such a batch."""
ACTIVATION_COPIES: Final = 12
"""16-bit tensors of hidden size alive at the peak of a layer (residual, norm, attention, MLP or expert workspace)."""
LOGIT_BYTES: Final = 8
"""Per sequence and word of the vocabulary: 32-bit logits and a sorted copy while sampling."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Memory of the fullest GPU in bytes."""

    weights: int
    kv_per_token: float
    kv_cache: int
    """For the stated load, and at least for one sequence of maxModelLen."""
    overhead: int
    usable: int

    @property
    def needed(self) -> int:
        """Everything together."""
        return self.weights + self.kv_cache + self.overhead

    @property
    def fits(self) -> bool:
        """Whether everything together is within what vLLM may use."""
        return self.needed <= self.usable

    @property
    def room_tokens(self) -> int:
        """Tokens of KV cache that fit beside weights and overhead; 0 where not even those fit."""
        room = self.usable - self.weights - self.overhead
        return max(0, int(room / self.kv_per_token)) // KV_BLOCK_TOKENS * KV_BLOCK_TOKENS


def kv_heads_per_gpu(shape: Architecture, tensor_parallel: int) -> int:
    """K and V heads that one TP rank holds; never less than one."""
    return max(1, shape.kv_heads // tensor_parallel)


def kv_bytes_per_token(shape: Architecture, kv_dtype: str, tensor_parallel: int, layers: int) -> float:
    """KV cache of one token on one GPU in bytes, for `layers` layers of a pipeline stage."""
    width = KV_BYTES[kv_dtype]
    if shape.kv_lora_rank is not None and shape.qk_rope_head_dim is not None:
        return layers * (shape.kv_lora_rank + shape.qk_rope_head_dim) * width
    return 2 * layers * kv_heads_per_gpu(shape, tensor_parallel) * shape.head_dim * width


def checkpoint_bytes(shape: Architecture, dtype: str) -> int:
    """All weights in bytes, as they lie in the bucket and on the node's disk."""
    in_layers, matrices, embedding = _parts(shape)
    return int(in_layers * WEIGHT_BYTES[dtype] + matrices * embedding * EMBEDDING_BYTES)


def _parts(shape: Architecture) -> tuple[float, int, int]:
    """Parameters in the layers, number of embedding matrices (input and output, or one for both), size of each."""
    matrices = 1 if shape.tied_embeddings else 2
    embedding = shape.vocab_size * shape.hidden_size
    return max(0.0, shape.params_billion * 1e9 - matrices * embedding), matrices, embedding


def weight_bytes_per_gpu(shape: Architecture, dtype: str, tensor_parallel: int, pipeline_parallel: int) -> int:
    """Weights on the fullest GPU in bytes."""
    width = WEIGHT_BYTES[dtype]
    in_layers, matrices, embedding = _parts(shape)
    stage_layers = math.ceil(shape.layers / pipeline_parallel)
    sharded = in_layers * stage_layers / shape.layers
    whole = 0.0  # parameters that every TP rank holds completely
    if shape.kv_lora_rank is not None and shape.qk_rope_head_dim is not None:
        latent = shape.kv_lora_rank + shape.qk_rope_head_dim + (shape.q_lora_rank or 0)
        whole = min(sharded, stage_layers * shape.hidden_size * latent)
    else:  # K and V projections of heads that are copied because there are fewer of them than ranks
        copied = kv_heads_per_gpu(shape, tensor_parallel) - shape.kv_heads / tensor_parallel
        whole_kv = max(0.0, copied) * 2 * stage_layers * shape.hidden_size * shape.head_dim
        sharded += whole_kv * tensor_parallel
    per_gpu = ((sharded - whole) / tensor_parallel + whole) * width
    on_stage = matrices if pipeline_parallel == 1 else 1  # the first stage embeds, the last one answers
    return int(per_gpu + on_stage * embedding * EMBEDDING_BYTES / tensor_parallel)


def estimate(spec: ModelSpec, shape: Architecture, gpu_memory_mib: int) -> Estimate:
    """The memory of the fullest GPU for one model, parallelism and load on GPUs of `gpu_memory_mib` MiB each."""
    load: Fit = spec.load
    stage_layers = math.ceil(shape.layers / spec.pipeline_parallel)
    per_token = kv_bytes_per_token(shape, spec.kv_cache_dtype, spec.tensor_parallel, stage_layers)
    tokens = max(load.concurrency * whole_blocks(load.context_tokens), whole_blocks(spec.max_model_len))
    activations = ACTIVATION_COPIES * BATCH_TOKENS * shape.hidden_size * 2
    logits = spec.max_num_seqs * shape.vocab_size * LOGIT_BYTES
    return Estimate(
        weights=weight_bytes_per_gpu(shape, spec.dtype, spec.tensor_parallel, spec.pipeline_parallel),
        kv_per_token=per_token,
        kv_cache=int(tokens * per_token),
        overhead=FIXED_OVERHEAD + activations + logits,
        usable=int(gpu_memory_mib * MIB * VISIBLE_SHARE * spec.gpu_memory_utilization),
    )


def whole_blocks(tokens: int) -> int:
    """Tokens rounded up to whole KV cache blocks."""
    return math.ceil(tokens / KV_BLOCK_TOKENS) * KV_BLOCK_TOKENS


def divides(shape: Architecture, tensor_parallel: int) -> bool:
    """Whether vLLM can split this model over so many ranks: attention heads evenly, KV heads evenly or as whole copies.

    vllm/config/model.py (verify_with_parallel_config) and vllm/model_executor/models/llama.py (LlamaAttention).
    """
    if shape.attention_heads % tensor_parallel:
        return False
    if shape.kv_lora_rank is not None:
        return True
    larger, smaller = max(shape.kv_heads, tensor_parallel), min(shape.kv_heads, tensor_parallel)
    return larger % smaller == 0


def tensor_parallel_sizes(shape: Architecture, gpus: int) -> Iterator[int]:
    """The powers of two up to `gpus` that vLLM can split the model into; others work rarely and are never faster."""
    return (size for size in (1, 2, 4, 8, 16, 32, 64) if size <= gpus and divides(shape, size))


def what_would_help(spec: ModelSpec, shape: Architecture, gpus: int, gpu_memory_mib: int, fp8_cache: bool) -> list[str]:
    """Changes to the stack file that would each alone make the model fit this machine, mildest first.

    `fp8_cache`: whether the GPU's architecture can hold the KV cache in FP8.
    """
    found: list[str] = []

    def fits(**change: object) -> bool:
        return estimate(spec.model_copy(update=change), shape, gpu_memory_mib).fits

    now = estimate(spec, shape, gpu_memory_mib)
    for size in tensor_parallel_sizes(shape, gpus // spec.pipeline_parallel):
        if size > spec.tensor_parallel and fits(tensor_parallel=size):
            found.append(f"tensorParallel {size}")
            break
    if fp8_cache and spec.kv_cache_dtype != "fp8" and fits(kv_cache_dtype="fp8"):
        found.append("kvCacheDtype fp8")
    if now.room_tokens >= whole_blocks(spec.max_model_len):
        sequences = now.room_tokens // whole_blocks(spec.load.context_tokens)
        if sequences >= 1:
            found.append(f"fit.concurrency {sequences} at {spec.load.context_tokens} tokens")
    elif now.room_tokens >= 2048:
        found.append(f"maxModelLen of at most {now.room_tokens}")
    for smaller in ("fp8", "int4"):
        if WEIGHT_BYTES[smaller] < WEIGHT_BYTES[spec.dtype] and fits(dtype=smaller):
            found.append(f"dtype {smaller} (another checkpoint)")
            break
    return found
