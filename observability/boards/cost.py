"""What a million tokens cost now, and why."""

from __future__ import annotations

from typing import Final

from observability.grafana_json import IN_STACK, Dashboard, Row, panel

COST: Final = Dashboard(
    "spillway-cost",
    "Spillway: cost per token",
    (
        Row(
            "Now, at list prices",
            (
                panel(
                    "USD per million output tokens",
                    "sum(spillway:cost:usd_per_hour unless on (stack) spillway:nodes:unpriced) / (sum("
                    "spillway:output_tokens:rate5m unless on (stack) spillway:nodes:unpriced) > 0) / 3600 * 1e6",
                    kind="stat",
                    unit="currencyUSD",
                    empty="no price",
                    about="All that runs, over all that came out, in regions of which every node has a price.",
                ),
                panel("USD per hour", "sum(spillway:cost:usd_per_hour)", kind="stat", unit="currencyUSD"),
                panel(
                    "Nodes without a price",
                    "sum(spillway:nodes:unpriced) or vector(0)",
                    kind="stat",
                    whole=True,
                    over=1,
                    about="In no figure here. Unpriced is not free: the snapshot lacks their type, region or market.",
                ),
                panel(
                    "Share of the spend that is spot",
                    'sum(spillway:cost:usd_per_hour{pool="spot"}) / sum(spillway:cost:usd_per_hour)',
                    kind="stat",
                    unit="percentunit",
                    empty="no price",
                ),
            ),
        ),
        Row(
            "By region",
            (
                panel(
                    "USD per million output tokens",
                    (f"spillway:cost:usd_per_million_output_tokens{{{IN_STACK}}}", "{{stack}}"),
                    unit="currencyUSD",
                    empty="no price",
                    about="Only regions of which every node has a price.",
                ),
                panel(
                    "USD per hour",
                    (f"spillway:cost:usd_per_hour{{{IN_STACK}}}", "{{stack}} {{pool}}"),
                    unit="currencyUSD",
                    stacked=True,
                ),
                panel(
                    "Output tokens/s",
                    (f"spillway:output_tokens:rate5m{{{IN_STACK}}}", "{{stack}} {{pool}}"),
                    stacked=True,
                ),
            ),
        ),
        Row(
            "Why",
            (
                panel(
                    "Requests in flight per ready node",
                    (
                        f"sum by (stack) (spillway_gate_running_requests{{{IN_STACK}}}) / "
                        f"(sum by (stack) (spillway_gate_ready{{{IN_STACK}}}) > 0)",
                        "{{stack}}",
                    ),
                    about="Tokens get cheap with concurrency; a throughput record tells how cheap.",
                ),
                panel(
                    "Output tokens per request",
                    (
                        f"sum by (stack) (spillway:output_tokens:rate5m{{{IN_STACK}}}) "
                        f"/ sum by (stack) (spillway:requests:rate5m{{{IN_STACK}}} > 0)",
                        "{{stack}}",
                    ),
                ),
                panel(
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
