"""A region: why its nodes are not ready, queue against limit, latency, which key asks."""

from __future__ import annotations

from typing import Final

from observability.grafana_json import IN_STACK, Dashboard, Row, panel

REGION: Final = Dashboard(
    "spillway-region",
    "Spillway: region",
    (
        Row(
            "Capacity",
            (
                panel(
                    "Ready, by pool",
                    (f"spillway:nodes:ready{{{IN_STACK}}}", "{{stack}} {{pool}}"),
                    (f"spillway:target:replicas{{{IN_STACK}}}", "{{stack}} target"),
                    whole=True,
                ),
                panel("Gap", (f"spillway:gap:replicas{{{IN_STACK}}}", "{{stack}}"), over=1, whole=True),
                panel(
                    "Why nodes are not ready",
                    (f"sum by (reason) (spillway_gate_reason{{{IN_STACK}}}) > 0", "{{reason}}"),
                    stacked=True,
                    whole=True,
                    empty="all are ready",
                ),
            ),
        ),
        Row(
            "Load",
            (
                panel(
                    "Requests that wait, by node",
                    (f"spillway_gate_queue_requests{{{IN_STACK}}}", "{{instance}}"),
                    (f'max(spillway_gate_limit{{{IN_STACK},reason="overloaded"}})', "limit"),
                ),
                panel(
                    "Requests that run, by node",
                    (f"spillway_gate_running_requests{{{IN_STACK}}}", "{{instance}}"),
                    stacked=True,
                ),
                panel(
                    "KV cache in use",
                    (f"vllm:kv_cache_usage_perc{{{IN_STACK}}}", "{{instance}}"),
                    unit="percentunit",
                    top=1,
                    over=0.95,
                ),
                panel(
                    "Turned away",
                    (f"sum by (stack, result) (spillway:refused:rate5m{{{IN_STACK}}})", "{{stack}} {{result}}"),
                    unit="reqps",
                ),
            ),
        ),
        Row(
            "Latency",
            (
                panel(
                    "First token",
                    (f"spillway:ttft:p50_5m{{{IN_STACK}}}", "p50 {{stack}}"),
                    (f"spillway:ttft:p95_5m{{{IN_STACK}}}", "p95 {{stack}}"),
                    unit="s",
                ),
                panel("Between tokens, p50", (f"spillway:tpot:p50_5m{{{IN_STACK}}}", "{{stack}}"), unit="s"),
                panel(
                    "Whole request, p95",
                    (
                        "histogram_quantile(0.95, sum by (stack, le) "
                        f"(rate(vllm:e2e_request_latency_seconds_bucket{{{IN_STACK}}}[5m])))",
                        "{{stack}}",
                    ),
                    unit="s",
                ),
                panel(
                    "Share that fails",
                    (f"spillway:errors:ratio5m{{{IN_STACK}}}", "{{stack}}"),
                    unit="percentunit",
                    over=0.05,
                ),
            ),
        ),
        Row(
            "Who asks",
            (
                panel(
                    "Requests/s by key",
                    (
                        f'sum by (key) (rate(spillway_gate_admissions_total{{{IN_STACK},result="admitted"}}[5m]))',
                        "{{key}}",
                    ),
                    unit="reqps",
                    stacked=True,
                ),
                panel(
                    "Over their limit, by key",
                    (f'sum by (key) (rate(spillway_gate_admissions_total{{{IN_STACK},result="rate"}}[5m]))', "{{key}}"),
                    unit="reqps",
                ),
                panel(
                    "Tokens/s",
                    (f"sum by (stack) (spillway:output_tokens:rate5m{{{IN_STACK}}})", "out {{stack}}"),
                    (f"sum by (stack) (spillway:input_tokens:rate5m{{{IN_STACK}}})", "in {{stack}}"),
                ),
            ),
        ),
    ),
    ("stack",),
)
