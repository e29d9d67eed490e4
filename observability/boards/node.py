"""A node, from its reasons to its GPUs."""

from __future__ import annotations

from typing import Final

from observability.grafana_json import IN_NODE, Dashboard, Row, panel

NODE: Final = Dashboard(
    "spillway-node",
    "Spillway: node",
    (
        Row(
            "Readiness",
            (
                panel(
                    "Why not ready",
                    (f"spillway_gate_reason{{{IN_NODE}}} == 1", "{{instance}} {{reason}}"),
                    kind="state-timeline",
                    empty="ready",
                ),
                panel(
                    "Weights staged",
                    (
                        f"spillway_gate_staged_bytes{{{IN_NODE}}} / spillway_gate_stage_bytes{{{IN_NODE}}}",
                        "{{instance}}",
                    ),
                    unit="percentunit",
                    top=1,
                ),
                panel(
                    "Engines lost, circuits opened",
                    (f"increase(spillway_gate_engine_losses_total{{{IN_NODE}}}[1h])", "{{instance}} lost"),
                    (f"increase(spillway_gate_circuit_opened_total{{{IN_NODE}}}[1h])", "{{instance}} circuit"),
                ),
            ),
        ),
        Row(
            "Engine",
            (
                panel(
                    "Requests",
                    (f"spillway_gate_running_requests{{{IN_NODE}}}", "{{instance}} run"),
                    (f"spillway_gate_queue_requests{{{IN_NODE}}}", "{{instance}} wait"),
                ),
                panel("Output tokens/s", (f"rate(vllm:generation_tokens_total{{{IN_NODE}}}[5m])", "{{instance}}")),
                panel(
                    "First token, p50 of a minute",
                    (f"spillway_gate_ttft_p50_seconds{{{IN_NODE}}}", "{{instance}}"),
                    unit="s",
                ),
                panel(
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
                panel(
                    "Busy",
                    (f"DCGM_FI_PROF_GR_ENGINE_ACTIVE{{{IN_NODE}}}", "{{instance}} GPU {{gpu}}"),
                    unit="percentunit",
                    top=1,
                ),
                panel(
                    "Tensor cores",
                    (f"DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{{{IN_NODE}}}", "{{instance}} GPU {{gpu}}"),
                    unit="percentunit",
                    top=1,
                ),
                panel(
                    "Memory",
                    (f"DCGM_FI_DEV_FB_USED{{{IN_NODE}}} * 1024 * 1024", "{{instance}} GPU {{gpu}}"),
                    unit="bytes",
                ),
                panel("Power", (f"DCGM_FI_DEV_POWER_USAGE{{{IN_NODE}}}", "{{instance}} GPU {{gpu}}"), unit="watt"),
                panel(
                    "Temperature",
                    (f"DCGM_FI_DEV_GPU_TEMP{{{IN_NODE}}}", "{{instance}} GPU {{gpu}}"),
                    unit="celsius",
                    over=85,
                ),
                panel(
                    "XID, memory errors",
                    (f"DCGM_FI_DEV_XID_ERRORS{{{IN_NODE}}} > 0", "XID {{instance}} GPU {{gpu}}"),
                    (f"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{{{IN_NODE}}} > 0", "double bit {{instance}} GPU {{gpu}}"),
                    over=1,
                    empty="none",
                ),
            ),
        ),
        Row(
            "Machine",
            (
                panel(
                    "CPU",
                    (
                        f'1 - avg by (instance) (rate(node_cpu_seconds_total{{{IN_NODE},mode="idle"}}[5m]))',
                        "{{instance}}",
                    ),
                    unit="percentunit",
                    top=1,
                ),
                panel("Memory left", (f"node_memory_MemAvailable_bytes{{{IN_NODE}}}", "{{instance}}"), unit="bytes"),
                panel(
                    "Disk left",
                    (
                        f'node_filesystem_avail_bytes{{{IN_NODE},fstype!~"tmpfs|ramfs|overlay|squashfs"}} / '
                        f'node_filesystem_size_bytes{{{IN_NODE},fstype!~"tmpfs|ramfs|overlay|squashfs"}}',
                        "{{instance}} {{mountpoint}}",
                    ),
                    unit="percentunit",
                    top=1,
                    under=0.05,
                ),
                panel(
                    "Disk reads",
                    (f"sum by (instance) (rate(node_disk_read_bytes_total{{{IN_NODE}}}[5m]))", "{{instance}}"),
                    unit="Bps",
                ),
                panel(
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
