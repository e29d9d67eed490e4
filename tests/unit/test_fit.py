"""GPU memory: the arithmetic, its laws, and known cases."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import catalog, fit
from infra.sections import Architecture, ModelSpec

A100_40, GPU_80, H200, A10G = 40_960, 81_920, 144_384, 22_888


def spec(name: str, context: int = 4096, concurrency: int = 1, **values: Any) -> ModelSpec:
    data: dict[str, Any] = {"name": name, "revision": "main", "maxModelLen": context, "maxNumSeqs": 64}
    data["fit"] = {"contextTokens": context, "concurrency": concurrency}
    return ModelSpec.model_validate(data | values)


def estimate(one: ModelSpec, gpu_memory_mib: int) -> fit.Estimate:
    return fit.estimate(one, catalog.architecture(one.name), gpu_memory_mib)


def test_70b_in_16_bits_does_not_fit_one_24_gb_card() -> None:
    one = estimate(spec("llama-3.1-70b-instruct", dtype="float16", tensorParallel=1), A10G)
    assert not one.fits
    assert one.weights / 1e9 == pytest.approx(141.1, abs=0.1)
    assert one.room_tokens == 0


def test_70b_in_16_bits_fits_eight_a100_of_40_gb_with_32_sequences_of_8192_tokens() -> None:
    one = estimate(spec("deepseek-r1-distill-llama-70b", context=8192, concurrency=32), A100_40)
    assert one.fits
    assert one.kv_cache == 32 * 8192 * 327_680 / 8


def test_70b_in_4_bits_does_not_fit_one_24_gb_card_but_does_fit_four() -> None:
    quantised: dict[str, Any] = {"dtype": "int4", "quantization": "awq"}
    assert not estimate(spec("llama-3.1-70b-instruct", tensorParallel=1, **quantised), A10G).fits
    assert estimate(spec("llama-3.1-70b-instruct", tensorParallel=4, **quantised), A10G).fits


@pytest.mark.parametrize("name", ["opt-175b", "bloom-176b"])
def test_175b_in_16_bits_does_not_fit_four_gpus_of_80_gb_and_fits_eight(name: str) -> None:
    small = {"context": 2048, "concurrency": 1}
    assert not estimate(spec(name, dtype="float16", tensorParallel=4, **small), GPU_80).fits
    assert estimate(spec(name, dtype="float16", tensorParallel=8, **small), GPU_80).fits


def test_175b_in_8_bits_fits_four_gpus_of_80_gb() -> None:
    assert estimate(spec("opt-175b", context=2048, dtype="int8", tensorParallel=4), GPU_80).fits


def test_deepseek_r1_in_fp8_fits_eight_h200_and_neither_eight_h100_nor_four_h200() -> None:
    r1: dict[str, Any] = {"context": 8192, "concurrency": 32, "dtype": "fp8"}
    assert estimate(spec("deepseek-r1", tensorParallel=8, **r1), H200).fits
    assert not estimate(spec("deepseek-r1", tensorParallel=8, **r1), GPU_80).fits
    assert not estimate(spec("deepseek-r1", tensorParallel=4, **r1), H200).fits


@pytest.mark.parametrize(
    ("name", "dtype", "published_gb"),
    # RedHatAI/Meta-Llama-3.1-70B-Instruct-FP8 and hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4
    [("llama-3.1-70b-instruct", "fp8", 72.67), ("llama-3.1-70b-instruct", "int4", 39.77)],
)
def test_weights_are_as_large_as_published_checkpoints(name: str, dtype: str, published_gb: float) -> None:
    assert fit.checkpoint_bytes(catalog.architecture(name), dtype) / 1e9 == pytest.approx(published_gb, rel=0.005)


def test_the_latent_cache_of_mla_is_whole_on_each_gpu() -> None:
    shape = catalog.architecture("deepseek-r1")
    assert fit.kv_bytes_per_token(shape, "auto", 1, 61) == fit.kv_bytes_per_token(shape, "auto", 8, 61) == 70_272


def test_kv_heads_are_copied_when_there_are_more_gpus_than_heads() -> None:
    shape = catalog.architecture("qwen3-235b-a22b")  # 4 KV heads
    four, eight = (fit.kv_bytes_per_token(shape, "auto", size, shape.layers) for size in (4, 8))
    assert four == eight
    halves = [fit.weight_bytes_per_gpu(shape, "bfloat16", size, 1) for size in (4, 8)]
    assert halves[1] > halves[0] / 2  # the copied heads' projections come on top


def test_an_fp8_cache_takes_half() -> None:
    auto, fp8 = (estimate(spec("llama-3.1-8b-instruct", kvCacheDtype=kind), GPU_80) for kind in ("auto", "fp8"))
    assert auto.kv_cache == 2 * fp8.kv_cache


def test_one_sequence_of_the_longest_length_has_to_fit_whatever_load_is_stated() -> None:
    one = spec("llama-3.1-8b-instruct", context=1024, concurrency=1, tensorParallel=1)
    longest = one.model_copy(update={"max_model_len": 131_072})
    assert estimate(one, A10G).fits
    assert not estimate(longest, A10G).fits


@pytest.mark.parametrize(
    ("name", "size", "divides"),
    [
        ("llama-3.1-70b-instruct", 8, True),
        ("llama-3.1-70b-instruct", 16, True),  # each KV head on two GPUs
        ("llama-3.1-70b-instruct", 6, False),
        ("qwen2.5-7b-instruct", 8, False),  # 28 heads
        ("deepseek-r1-distill-qwen-32b", 5, False),  # 40 heads, but 8 KV heads
        ("deepseek-r1", 16, True),
    ],
)
def test_tensor_parallelism_divides_heads(name: str, size: int, divides: bool) -> None:
    assert fit.divides(catalog.architecture(name), size) is divides


def test_what_would_help_does_help() -> None:
    one = spec("deepseek-r1-distill-llama-70b", context=16_384, concurrency=64)
    shape = catalog.architecture(one.name)
    assert not fit.estimate(one, shape, A100_40).fits
    helps = fit.what_would_help(one, shape, 8, A100_40, fp8_cache=False)
    assert helps == ["fit.concurrency 25 at 16384 tokens"]
    assert estimate(spec(one.name, context=16_384, concurrency=25), A100_40).fits
    assert not estimate(spec(one.name, context=16_384, concurrency=26), A100_40).fits


shapes = st.sampled_from(catalog.models()).map(catalog.architecture)
sizes = st.sampled_from([1, 2, 4, 8])


def made(**values: Any) -> ModelSpec:
    data = {"name": "m", "revision": "r", "maxModelLen": 2048, "maxNumSeqs": 16, "tensorParallel": 1}
    return ModelSpec.model_validate(data | values)


@given(shapes, sizes, st.integers(16, 100_000), st.sampled_from(sorted(fit.WEIGHT_BYTES)))
def test_more_gpus_never_need_more_memory_each(shape: Architecture, size: int, tokens: int, dtype: str) -> None:
    few = fit.estimate(made(maxModelLen=tokens, dtype=dtype, tensorParallel=size), shape, GPU_80)
    many = fit.estimate(made(maxModelLen=tokens, dtype=dtype, tensorParallel=size * 2), shape, GPU_80)
    assert many.needed <= few.needed


@given(shapes, sizes, sizes, st.sampled_from(sorted(fit.WEIGHT_BYTES)))
def test_the_gpus_together_hold_at_least_the_whole_model(shape: Architecture, tp: int, pp: int, dtype: str) -> None:
    together = fit.weight_bytes_per_gpu(shape, dtype, tp, pp) * tp * pp
    embedding = shape.vocab_size * shape.hidden_size * fit.EMBEDDING_BYTES
    assert together + embedding + tp * pp >= fit.checkpoint_bytes(shape, dtype) * 0.999


@given(shapes, sizes, st.integers(1, 64), st.integers(16, 8192))
def test_a_larger_load_needs_more(shape: Architecture, size: int, concurrency: int, context: int) -> None:
    def needed(sequences: int) -> int:
        load = {"contextTokens": context, "concurrency": sequences}
        return fit.estimate(made(maxModelLen=16, tensorParallel=size, fit=load), shape, GPU_80).needed

    assert needed(concurrency + 1) > needed(concurrency)


@given(shapes, sizes, st.sampled_from([A10G, A100_40, GPU_80, H200]))
def test_the_room_is_exactly_what_fits(shape: Architecture, size: int, memory: int) -> None:
    def of(tokens: int) -> fit.Estimate:
        one = {"contextTokens": 16, "concurrency": 1}
        return fit.estimate(made(maxModelLen=tokens, tensorParallel=size, fit=one), shape, memory)

    room = of(16).room_tokens
    assert room < 16 or of(room).fits
    assert not of(room + 16).fits
