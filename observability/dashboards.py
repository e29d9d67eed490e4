"""The dashboards as code: fleet, region, node, cost per token.

`python -m observability.render` makes of them the JSON in observability/grafana/, which Grafana reads by provisioning.
"""

from __future__ import annotations

from typing import Any, Final

from observability.grafana_json import Dashboard, Panel, Query, Row

REASONS: Final = 'spillway_gate_reason{stack=~"$stack",instance=~"$instance"} == 1'


def _p(title: str, *queries: str | tuple[str, str], **more: Any) -> Panel:
    found = tuple(Query(*one) if isinstance(one, tuple) else Query(one) for one in queries)
    return Panel(title, found, **more)


IN_STACK: Final = 'stack=~"$stack"'
IN_NODE: Final = 'stack=~"$stack",instance=~"$instance"'

FLEET: Final = Dashboard(
    "spillway-fleet",
    "Spillway: fleet",
    (
        Row(
            "Now",
            (
                _p("Replicas that serve", "sum(spillway:replicas:ready)", kind="stat", under=1),
                _p("Replicas missing", "sum(spillway:gap:replicas)", kind="stat", over=1),
                _p("Requests/s", "sum(spillway:requests:rate5m)", kind="stat", unit="reqps"),
                _p(
                    "Requests that fail",
                    "sum(spillway:errors:ratio5m * spillway:requests:rate5m) / sum(spillway:requests:rate5m > 0)",
                    kind="stat",
                    unit="percentunit",
                    over=0.05,
                ),
                _p("Output tokens/s", "sum(spillway:output_tokens:rate5m)", kind="stat"),
                _p("List price per hour", "sum(spillway:cost:usd_per_hour)", kind="stat", unit="currencyUSD"),
            ),
        ),
        Row(
            "Regions",
            (
                _p(
                    "Ready replicas by region",
                    ("spillway:replicas:ready", "{{stack}}"),
                    stacked=True,
                    about="A region that falls while another rises is failover at work.",
                ),
                _p(
                    "Gap: wanted and not serving",
                    ("spillway:gap:replicas", "{{stack}}"),
                    over=1,
                    about="Open for 30 minutes pages (GapOpen).",
                ),
                _p(
                    "Nodes by pool", ("sum by (stack, pool) (spillway:nodes:known)", "{{stack}} {{pool}}"), stacked=True
                ),
            ),
        ),
        Row(
            "Service",
            (
                _p("Requests/s by region", ("spillway:requests:rate5m", "{{stack}}"), unit="reqps", stacked=True),
                _p("Share that fails", ("spillway:errors:ratio5m", "{{stack}}"), unit="percentunit", over=0.05),
                _p("First token, p95", ("spillway:ttft:p95_5m", "{{stack}}"), unit="s"),
            ),
        ),
        Row(
            "Away",
            (
                _p(
                    "Turned away, by why",
                    ("sum by (result) (spillway:refused:rate5m)", "{{result}}"),
                    unit="reqps",
                    about="rate is a key's own limit (429); the others send clients elsewhere (503).",
                ),
                _p("Told to leave", ("sum by (stack, cause) (spillway_gate_draining)", "{{stack}} {{cause}}")),
                _p(
                    "Certificates end in",
                    ("min by (stack) (spillway_gate_certificate_expiry_timestamp_seconds) - time()", "{{stack}}"),
                    unit="s",
                    under=14 * 86400,
                ),
            ),
        ),
    ),
)

REGION: Final = Dashboard(
    "spillway-region",
    "Spillway: region",
    (
        Row(
            "Capacity",
            (
                _p(
                    "Ready, by pool",
                    (f"spillway:nodes:ready{{{IN_STACK}}}", "{{stack}} {{pool}}"),
                    (f"spillway:target:replicas{{{IN_STACK}}}", "{{stack}} target"),
                ),
                _p("Gap", (f"spillway:gap:replicas{{{IN_STACK}}}", "{{stack}}"), over=1),
                _p(
                    "Why nodes are not ready",
                    (f"sum by (reason) (spillway_gate_reason{{{IN_STACK}}}) > 0", "{{reason}}"),
                    stacked=True,
                ),
            ),
        ),
        Row(
            "Load",
            (
                _p(
                    "Requests that wait, by node",
                    (f"spillway_gate_queue_requests{{{IN_STACK}}}", "{{instance}}"),
                    (f'max(spillway_gate_limit{{{IN_STACK},reason="overloaded"}})', "limit"),
                ),
                _p(
                    "Requests that run, by node",
                    (f"spillway_gate_running_requests{{{IN_STACK}}}", "{{instance}}"),
                    stacked=True,
                ),
                _p(
                    "KV cache in use",
                    (f"vllm:kv_cache_usage_perc{{{IN_STACK}}}", "{{instance}}"),
                    unit="percentunit",
                    over=0.95,
                ),
                _p("Turned away", (f"spillway:refused:rate5m{{{IN_STACK}}}", "{{result}}"), unit="reqps"),
            ),
        ),
        Row(
            "Latency",
            (
                _p(
                    "First token",
                    (f"spillway:ttft:p50_5m{{{IN_STACK}}}", "p50 {{stack}}"),
                    (f"spillway:ttft:p95_5m{{{IN_STACK}}}", "p95 {{stack}}"),
                    unit="s",
                ),
                _p("Between tokens, p50", (f"spillway:tpot:p50_5m{{{IN_STACK}}}", "{{stack}}"), unit="s"),
                _p(
                    "Whole request, p95",
                    (
                        "histogram_quantile(0.95, sum by (stack, le) "
                        f"(rate(vllm:e2e_request_latency_seconds_bucket{{{IN_STACK}}}[5m])))",
                        "{{stack}}",
                    ),
                    unit="s",
                ),
                _p(
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
                _p(
                    "Requests/s by key",
                    (
                        f'sum by (key) (rate(spillway_gate_admissions_total{{{IN_STACK},result="admitted"}}[5m]))',
                        "{{key}}",
                    ),
                    unit="reqps",
                    stacked=True,
                ),
                _p(
                    "Over their limit, by key",
                    (f'sum by (key) (rate(spillway_gate_admissions_total{{{IN_STACK},result="rate"}}[5m]))', "{{key}}"),
                    unit="reqps",
                ),
                _p(
                    "Tokens/s",
                    (f"sum by (stack) (spillway:output_tokens:rate5m{{{IN_STACK}}})", "out {{stack}}"),
                    (f"sum by (stack) (spillway:input_tokens:rate5m{{{IN_STACK}}})", "in {{stack}}"),
                ),
            ),
        ),
    ),
    ("stack",),
)

NODE: Final = Dashboard(
    "spillway-node",
    "Spillway: node",
    (
        Row(
            "Readiness",
            (
                _p("Why not ready", (REASONS, "{{instance}} {{reason}}"), kind="state-timeline"),
                _p(
                    "Weights staged",
                    (
                        f"spillway_gate_staged_bytes{{{IN_NODE}}} / spillway_gate_stage_bytes{{{IN_NODE}}}",
                        "{{instance}}",
                    ),
                    unit="percentunit",
                ),
                _p(
                    "Engines lost, circuits opened",
                    (f"increase(spillway_gate_engine_losses_total{{{IN_NODE}}}[1h])", "{{instance}} lost"),
                    (f"increase(spillway_gate_circuit_opened_total{{{IN_NODE}}}[1h])", "{{instance}} circuit"),
                ),
            ),
        ),
        Row(
            "Engine",
            (
                _p(
                    "Requests",
                    (f"spillway_gate_running_requests{{{IN_NODE}}}", "{{instance}} run"),
                    (f"spillway_gate_queue_requests{{{IN_NODE}}}", "{{instance}} wait"),
                ),
                _p("Output tokens/s", (f"rate(vllm:generation_tokens_total{{{IN_NODE}}}[5m])", "{{instance}}")),
                _p(
                    "First token, p50 of a minute",
                    (f"spillway_gate_ttft_p50_seconds{{{IN_NODE}}}", "{{instance}}"),
                    unit="s",
                ),
                _p(
                    "Failed, of five minutes",
                    (f"spillway_gate_error_ratio{{{IN_NODE}}}", "{{instance}}"),
                    unit="percentunit",
                    over=0.05,
                ),
            ),
        ),
        Row(
            "GPU",
            (
                _p(
                    "Busy",
                    (f"DCGM_FI_PROF_GR_ENGINE_ACTIVE{{{IN_NODE}}}", "{{instance}} GPU {{gpu}}"),
                    unit="percentunit",
                ),
                _p(
                    "Tensor cores",
                    (f"DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{{{IN_NODE}}}", "{{instance}} GPU {{gpu}}"),
                    unit="percentunit",
                ),
                _p(
                    "Memory",
                    (f"DCGM_FI_DEV_FB_USED{{{IN_NODE}}} * 1024 * 1024", "{{instance}} GPU {{gpu}}"),
                    unit="bytes",
                ),
                _p("Power", (f"DCGM_FI_DEV_POWER_USAGE{{{IN_NODE}}}", "{{instance}} GPU {{gpu}}"), unit="watt"),
                _p(
                    "Temperature",
                    (f"DCGM_FI_DEV_GPU_TEMP{{{IN_NODE}}}", "{{instance}} GPU {{gpu}}"),
                    unit="celsius",
                    over=85,
                ),
                _p(
                    "XID, memory errors",
                    (f"DCGM_FI_DEV_XID_ERRORS{{{IN_NODE}}} > 0", "XID {{instance}} GPU {{gpu}}"),
                    (f"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{{{IN_NODE}}} > 0", "double bit {{instance}} GPU {{gpu}}"),
                    over=1,
                ),
            ),
        ),
        Row(
            "Machine",
            (
                _p(
                    "CPU",
                    (
                        f'1 - avg by (instance) (rate(node_cpu_seconds_total{{{IN_NODE},mode="idle"}}[5m]))',
                        "{{instance}}",
                    ),
                    unit="percentunit",
                ),
                _p("Memory left", (f"node_memory_MemAvailable_bytes{{{IN_NODE}}}", "{{instance}}"), unit="bytes"),
                _p(
                    "Disk left",
                    (
                        f'node_filesystem_avail_bytes{{{IN_NODE},fstype!~"tmpfs|ramfs|overlay|squashfs"}} / '
                        f'node_filesystem_size_bytes{{{IN_NODE},fstype!~"tmpfs|ramfs|overlay|squashfs"}}',
                        "{{instance}} {{mountpoint}}",
                    ),
                    unit="percentunit",
                    under=0.05,
                ),
                _p(
                    "Disk reads",
                    (f"sum by (instance) (rate(node_disk_read_bytes_total{{{IN_NODE}}}[5m]))", "{{instance}}"),
                    unit="Bps",
                ),
                _p(
                    "Network",
                    (
                        f'sum by (instance) (rate(node_network_receive_bytes_total{{{IN_NODE},device!="lo"}}[5m]))',
                        "in {{instance}}",
                    ),
                    (
                        f'sum by (instance) (rate(node_network_transmit_bytes_total{{{IN_NODE},device!="lo"}}[5m]))',
                        "out {{instance}}",
                    ),
                    unit="Bps",
                ),
            ),
        ),
    ),
    ("stack", "instance"),
)

COST: Final = Dashboard(
    "spillway-cost",
    "Spillway: cost per token",
    (
        Row(
            "Now, at list prices",
            (
                _p(
                    "USD per million output tokens",
                    "sum(spillway:cost:usd_per_hour unless on (stack) spillway:nodes:unpriced) / (sum("
                    "spillway:output_tokens:rate5m unless on (stack) spillway:nodes:unpriced) > 0) / 3600 * 1e6",
                    kind="stat",
                    unit="currencyUSD",
                    about="All that runs, over all that came out, in regions of which every node has a price.",
                ),
                _p("USD per hour", "sum(spillway:cost:usd_per_hour)", kind="stat", unit="currencyUSD"),
                _p(
                    "Nodes without a price",
                    "sum(spillway:nodes:unpriced) or vector(0)",
                    kind="stat",
                    over=1,
                    about="In no figure here. Unpriced is not free: the snapshot lacks their type, region or market.",
                ),
                _p(
                    "Share of the spend that is spot",
                    'sum(spillway:cost:usd_per_hour{pool="spot"}) / sum(spillway:cost:usd_per_hour)',
                    kind="stat",
                    unit="percentunit",
                ),
            ),
        ),
        Row(
            "By region",
            (
                _p(
                    "USD per million output tokens",
                    (f"spillway:cost:usd_per_million_output_tokens{{{IN_STACK}}}", "{{stack}}"),
                    unit="currencyUSD",
                    about="Only regions of which every node has a price.",
                ),
                _p(
                    "USD per hour",
                    (f"spillway:cost:usd_per_hour{{{IN_STACK}}}", "{{stack}} {{pool}}"),
                    unit="currencyUSD",
                    stacked=True,
                ),
                _p(
                    "Output tokens/s",
                    (f"spillway:output_tokens:rate5m{{{IN_STACK}}}", "{{stack}} {{pool}}"),
                    stacked=True,
                ),
            ),
        ),
        Row(
            "Why",
            (
                _p(
                    "Requests in flight per ready node",
                    (
                        f"sum by (stack) (spillway_gate_running_requests{{{IN_STACK}}}) / "
                        f"(sum by (stack) (spillway_gate_ready{{{IN_STACK}}}) > 0)",
                        "{{stack}}",
                    ),
                    about="Tokens get cheap with concurrency; a throughput record tells how cheap.",
                ),
                _p(
                    "Output tokens per request",
                    (
                        f"sum by (stack) (spillway:output_tokens:rate5m{{{IN_STACK}}}) "
                        f"/ sum by (stack) (spillway:requests:rate5m{{{IN_STACK}}} > 0)",
                        "{{stack}}",
                    ),
                ),
                _p(
                    "Energy per output token",
                    (
                        # Millijoules.
                        f"sum by (stack) (rate(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{IN_STACK}}}[5m])) / 1000 "
                        f"/ (sum by (stack) (spillway:output_tokens:rate5m{{{IN_STACK}}}) > 0)",
                        "{{stack}}",
                    ),
                    unit="joule",
                ),
            ),
        ),
    ),
    ("stack",),
)

DASHBOARDS: Final = (FLEET, REGION, NODE, COST)
