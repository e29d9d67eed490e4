"""The fleet: is anybody without service, where is a gap, what is turned away, which certificates end."""

from __future__ import annotations

from typing import Final

from observability.grafana_json import Dashboard, Row, panel

FLEET: Final = Dashboard(
    "spillway-fleet",
    "Spillway: fleet",
    (
        Row(
            "Now",
            (
                panel("Replicas that serve", "sum(spillway:replicas:ready)", kind="stat", whole=True, under=1),
                panel("Replicas missing", "sum(spillway:gap:replicas)", kind="stat", whole=True, over=1),
                panel("Requests/s", "sum(spillway:requests:rate5m)", kind="stat", unit="reqps"),
                panel(
                    "Requests that fail",
                    "sum(spillway:errors:ratio5m * spillway:requests:rate5m) / sum(spillway:requests:rate5m > 0)",
                    kind="stat",
                    unit="percentunit",
                    over=0.05,
                    empty="no requests",
                ),
                panel("Output tokens/s", "sum(spillway:output_tokens:rate5m)", kind="stat"),
                panel("List price per hour", "sum(spillway:cost:usd_per_hour)", kind="stat", unit="currencyUSD"),
            ),
        ),
        Row(
            "Regions",
            (
                panel(
                    "Ready replicas by region",
                    ("spillway:replicas:ready", "{{stack}}"),
                    stacked=True,
                    whole=True,
                    about="A region that falls while another rises is failover at work.",
                ),
                panel(
                    "Gap: wanted and not serving",
                    ("spillway:gap:replicas", "{{stack}}"),
                    over=1,
                    whole=True,
                    about="Open for 30 minutes pages (GapOpen).",
                ),
                panel(
                    "Nodes by pool",
                    ("sum by (stack, pool) (spillway:nodes:known)", "{{stack}} {{pool}}"),
                    stacked=True,
                    whole=True,
                ),
            ),
        ),
        Row(
            "Service",
            (
                panel("Requests/s by region", ("spillway:requests:rate5m", "{{stack}}"), unit="reqps", stacked=True),
                panel("Share that fails", ("spillway:errors:ratio5m", "{{stack}}"), unit="percentunit", over=0.05),
                panel("First token, p95", ("spillway:ttft:p95_5m", "{{stack}}"), unit="s"),
            ),
        ),
        Row(
            "Away",
            (
                panel(
                    "Turned away, by why",
                    ("sum by (result) (spillway:refused:rate5m)", "{{result}}"),
                    unit="reqps",
                    about="rate is a key's own limit (429); the others send clients elsewhere (503).",
                ),
                panel(
                    "Told to leave",
                    ('sum by (stack, cause) (spillway_gate_draining{cause!="none"})', "{{stack}} {{cause}}"),
                    whole=True,
                    empty="nobody",
                ),
                panel(
                    "Certificates end in",
                    ("min by (stack) (spillway_gate_certificate_expiry_timestamp_seconds) - time()", "{{stack}}"),
                    unit="s",
                    under=14 * 86400,
                    below_zero=True,
                ),
            ),
        ),
    ),
)
