"""Rates: what each metric counts, against published arithmetic; what cannot be; records."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cost import models, roofline, throughput
from cost.arithmetic import EXACT
from cost.capacity import layout
from cost.hardware import gpus, systems
from cost.scenario_options import Latency, ModelShape, ThroughputSpec
from cost.throughput import Rate, anchors, gpu_seconds, resolve
from infra import catalog, fit
from spillway.errors import SpillwayError

ONE = Decimal(1)
DAY = 86_400


def spec(**given: object) -> ThroughputSpec:
    return ThroughputSpec.model_validate({"derate": 1.0, **given})


def of_record(latency: Latency = "server", **given: object) -> Rate:
    return resolve(
        spec(record="h200_vllm_0.26.0_2026-11-22", series="70B", **given), latency, 1024, 512, "options.x"
    )  # fmt: skip


def test_two_dollars_an_hour_at_2788_tokens_a_second() -> None:
    rate = resolve(spec(tokensPerSecondPerGpu=2788.0), "server", 1, 1, "options.x")
    seconds = gpu_seconds(EXACT, rate, ONE, Decimal(0), Decimal(0)) * 1_000_000
    assert round(seconds / 3600 * 2, 3) == Decimal("0.199")


def test_nodes_by_role_make_the_nodes_of_the_published_day() -> None:
    rate = anchors()["deepseek-r1-h800-roles"]
    tokens_in, tokens_out = Decimal(608_000_000_000), Decimal(168_000_000_000)
    share = tokens_in / (tokens_in + tokens_out)
    seconds = gpu_seconds(EXACT, rate, ONE, share, rate.cache_hits) * (tokens_in + tokens_out)
    assert round(seconds / DAY / 8, 1) == Decimal("226.9")


def test_the_published_day_costs_what_its_nodes_cost() -> None:
    assert Decimal("226.75") * 8 * 24 * 2 == 87_072
    assert round(Decimal(87_072) / 776_000, 3) == Decimal("0.112")
    assert round(Decimal(87_072) / 168_000, 3) == Decimal("0.518")
    rate = anchors()["deepseek-r1-h800-day"]
    tokens = Decimal(776_000_000_000)
    seconds = gpu_seconds(EXACT, rate, ONE, Decimal(608) / 776, rate.cache_hits) * tokens
    assert abs(seconds / 3600 * 2 - 87_072) / 87_072 < Decimal("0.001")
    assert 342 * Decimal(".14") + 266 * Decimal(".55") + 168 * Decimal("2.19") == Decimal("562.1")


@pytest.mark.parametrize(
    ("machine", "anchor", "usd"),
    [("p5.48xlarge", "llama-2-70b-h100", "0.50"), ("p5en.48xlarge", "llama-2-70b-h200", "0.51"),
     ("p6-b200.48xlarge", "llama-2-70b-b200", "0.31")],
)  # fmt: skip
def test_llama_2_70b_on_aws_at_full_use(machine: str, anchor: str, usd: str) -> None:
    from tests.cost.worked import SNAPSHOT

    price = SNAPSHOT.find(provider="aws", region="us-east-1", sku=machine)
    seconds = gpu_seconds(EXACT, anchors()[anchor], ONE, Decimal(0), Decimal(0))
    per_million = price.usd / 8 / 3600 * seconds * 1_000_000  # type: ignore[union-attr]
    assert round(per_million, 2) == Decimal(usd)


@pytest.mark.parametrize(("anchor", "usd_hour", "usd"), [("deepseek-r1-b200-8k", "1.95", "0.092"),
                                                         ("deepseek-r1-mi300x-8k", "1.12", "0.43")])  # fmt: skip
def test_input_and_output_together_are_a_metric_of_their_own(anchor: str, usd_hour: str, usd: str) -> None:
    rate = anchors()[anchor]
    for share in (Decimal(0), Decimal("0.75")):  # what is input does not matter here
        seconds = gpu_seconds(EXACT, rate, ONE, share, Decimal(0))
        found = Decimal(usd_hour) / 3600 * seconds * 1_000_000
        assert round(found, len(usd) - 2) == Decimal(usd)


def test_output_only_counts_output_only() -> None:
    rate = anchors()["llama-3.3-70b-h200"]
    assert gpu_seconds(EXACT, rate, ONE, Decimal("0.75"), Decimal(0)) == Decimal("0.25") / 2909


def test_a_rate_of_both_at_once_is_met_exactly_in_its_own_mix_and_cautious_elsewhere() -> None:
    rate = anchors()["deepseek-r1-h800-day"]
    own = gpu_seconds(EXACT, rate, ONE, Decimal(3879) / 4951, rate.cache_hits)
    assert abs(own - 1 / Decimal(4951)) < Decimal("1e-12")
    only_output = gpu_seconds(EXACT, rate, ONE, Decimal(0), Decimal(0))
    roles = gpu_seconds(EXACT, anchors()["deepseek-r1-h800-roles"], ONE, Decimal(0), Decimal(0))
    assert only_output > roles


@pytest.mark.parametrize("name", [one for one in anchors() if one.endswith("-mix")])
def test_a_rate_solved_from_two_lengths_gives_both_back(name: str) -> None:
    rate = anchors()[name]
    for length in ("short", "long"):
        point = anchors()[name.replace("-mix", f"-{length}")]
        assert point.isl is not None
        assert point.osl is not None
        assert point.tok_s is not None
        share = Decimal(point.isl) / (point.isl + point.osl)
        seconds = gpu_seconds(EXACT, rate, ONE, share, Decimal(0)) * (point.isl + point.osl)
        assert abs(point.osl / seconds - point.tok_s) < Decimal("1e-15")


def test_two_figures_that_no_rates_explain_are_refused() -> None:
    short, thinking = anchors()["deepseek-r1-h200-short"], anchors()["deepseek-r1-h200-thinking"]
    with pytest.raises(ValueError, match="have no rates of input and output that explain both"):
        throughput.solved("x", short, thinking)


def test_cache_hits_save_reading_and_nothing_else() -> None:
    rate = anchors()["deepseek-v3-h100-96"]
    share = Decimal("0.75")
    none, half, all_of_it = (gpu_seconds(EXACT, rate, ONE, share, Decimal(hit)) for hit in ("0", "0.5", "1"))
    assert none > half > all_of_it == Decimal("0.25") / Decimal("2787.5")
    assert half * 2 == none + all_of_it


@pytest.mark.parametrize(
    ("model", "bytes_"),
    [("llama-2-7b-chat", 524_288), ("llama-3.1-8b-instruct", 131_072), ("llama-3.3-70b-instruct", 327_680),
     ("qwen2.5-72b-instruct", 327_680), ("llama-3.1-405b-instruct", 516_096), ("deepseek-r1", 70_272),
     ("deepseek-v3", 70_272)],
)  # fmt: skip
def test_bytes_of_the_cache_for_a_token(model: str, bytes_: int) -> None:
    shape = models.shape(model)
    assert fit.kv_bytes_per_token(shape, "auto", 1, shape.layers) == bytes_


@pytest.mark.parametrize("name", list(anchors()))
def test_no_published_figure_is_above_what_its_hardware_can_do(name: str) -> None:
    rate = anchors()[name]
    assert rate.gpu is not None
    told = roofline.verdicts(rate, rate.model, gpus()[rate.gpu], rate.dtype, rate.isl or 1000, rate.osl or 1000)
    assert not [line for line in told if "impossible" in line]


def test_a_figure_above_the_roofline_is_called_impossible() -> None:
    rate = resolve(spec(tokensPerSecondPerGpu=90_000.0), "server", 1000, 1000, "options.x")
    (told,) = roofline.verdicts(rate, "llama-3.3-70b-instruct", gpus()["h100"], "fp8", 1000, 1000)
    assert "is impossible" in told


def test_one_sequence_cannot_be_faster_than_the_weights_are_read() -> None:
    top = roofline.roofline("llama-3.3-70b-instruct", gpus()["h200"], 1, "fp8", 1, 2, batch=1)
    # 70 GB (the embeddings in 16 bits on top) at 4.8 TB/s are 14.6 ms
    assert 1000 / top.bandwidth == pytest.approx(14.6, rel=0.05)
    measured = 1 / 0.0206
    assert 0.6 < measured / top.bandwidth < 0.75
    assert top.limit == "memory bandwidth"


def test_a_model_larger_than_the_memory_has_no_rate() -> None:
    assert not roofline.roofline("llama-3.3-70b-instruct", gpus()["rtx-4090"], 1, "float16", 100, 100).fits


def test_a_record_gives_the_best_point_that_the_latency_class_allows() -> None:
    rate = of_record()
    assert rate.tok_s is not None
    assert (rate.gpu, rate.metric, rate.tuned, rate.dtype) == ("h200", "output", False, "fp8")
    assert rate.tok_s == Decimal("1755.2")
    assert of_record(concurrency=8).tok_s == 340
    tight = of_record("interactive")
    assert tight.tok_s == 340
    assert rate.tok_s < anchors()["llama-3.3-70b-h200"].tok_s  # type: ignore[operator]


def test_a_record_of_two_models_wants_to_know_which() -> None:
    with pytest.raises(SpillwayError, match=r"options\.x\.throughput\.series: several of the models"):
        resolve(spec(record="h200_vllm_0.26.0_2026-11-22"), "server", 1024, 512, "options.x")


@pytest.mark.parametrize(
    ("given", "told"),
    [({"anchor": "llama-2-70b-h10"}, "unknown anchor (did you mean llama-2-70b-h100?)"),
     ({"record": "h200_vllm"}, "there is no such file"),
     ({"record": "h200_vllm_0.26.0_2026-11-22", "series": "70B", "concurrency": 7}, "has no point of")],
)  # fmt: skip
def test_an_unknown_rate_is_one_clear_line(given: dict[str, object], told: str) -> None:
    with pytest.raises(SpillwayError) as error:
        resolve(spec(**given), "server", 1024, 512, "options.x")
    (line,) = error.value.lines
    assert line.startswith("options.x.throughput")
    assert told in line


def test_what_differs_from_the_measurement_is_told() -> None:
    rate = anchors()["llama-3.3-70b-h200"]
    told = list(
        throughput.mismatches(
            rate, model="qwen2.5-72b-instruct", gpu="h100", dtype="bfloat16", isl=9000, osl=1000, latency="interactive",
            cache_hits=Decimal("0.5"),
        )
    )  # fmt: skip
    for words in (
        "was measured with", "measured on h200", "weights in fp8", "latency class offline", "more input for each",
        "a longer context is slower", "cache hits make own hardware no",
    ):  # fmt: skip
        assert any(words in line for line in told), words
    same = throughput.mismatches(rate, model=rate.model, gpu="h200", dtype="fp8", isl=1000, osl=1000, latency="offline",
                                 cache_hits=Decimal(0))  # fmt: skip
    assert not list(same)


def test_every_gpu_of_the_catalog_has_a_data_sheet() -> None:
    known = {pair for one in gpus().values() for pair in one.catalog}
    missing = {(one.gpu, one.gpu_memory_mib) for cloud in catalog.READERS for one in catalog.machines(cloud)} - known
    assert not missing
    assert all(one.gpu.id in gpus() for one in systems().values())


def shape(name: str, dtype: str, **more: object) -> ModelShape:
    return ModelShape.model_validate({"name": name, "dtype": dtype, **more})


def test_all_experts_have_to_be_resident() -> None:
    model = shape("deepseek-r1", "fp8", concurrency=16)
    h200, h100 = (layout(model, 4000, gpus()[name].memory_mib, 8) for name in ("h200", "h100"))
    assert (h200.fits, h200.unit_nodes) == (True, 1)
    assert (h100.fits, h100.unit_nodes) == (True, 2)


def test_small_models_have_several_replicas_on_a_node() -> None:
    found = layout(shape("llama-3.1-8b-instruct", "fp8"), 2000, gpus()["h100"].memory_mib, 8)
    assert (found.tensor_parallel, found.replicas, found.unit_gpus) == (1, 8, 8)


def test_what_fits_nowhere_says_how_much_it_lacks() -> None:
    found = layout(shape("llama-3.1-405b-instruct", "bfloat16"), 4000, gpus()["t4"].memory_mib, 1)
    assert not found.fits
    assert "GiB" in found.why
    assert "takes 4,096 tokens at most" in layout(shape("llama-2-70b-chat", "fp8"), 9000, 81_920, 8).why


def test_the_command_lists_anchors_and_records() -> None:
    import json

    from typer.testing import CliRunner

    from spillway.cli import app

    run = CliRunner()
    rows = json.loads(run.invoke(app, ["cost", "throughput", "--model", "70b", "--gpu", "h200", "--json"]).stdout)[
        "rows"
    ]
    assert {row["anchor"] for row in rows} >= {"llama-3.3-70b-h200", "h200_vllm_0.26.0_2026-11-22"}
    assert all(0 < Decimal(row["roofline_share"]) < 1 for row in rows if row["roofline_share"])
    shown = run.invoke(app, ["cost", "throughput", "--gpu", "b200"]).stdout
    assert "deepseek-r1-b200-8k" in shown
    assert "InferenceX" in shown
    wrong = run.invoke(app, ["cost", "throughput", "--gpu", "h20"])
    assert isinstance(wrong.exception, SpillwayError)
    assert "unknown GPU" in str(wrong.exception)
