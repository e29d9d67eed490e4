"""/metrics of the gate."""

from __future__ import annotations

import time

from images.programs.gating.door import Door
from images.programs.gating.exposition import Exposition
from images.programs.gating.judge import REASONS, unix
from images.programs.gating.readiness import Readiness


def page(node: Readiness, door: Door) -> str:
    """The gate's own metrics, and the figures that it judges by."""
    now, engine, found = time.monotonic(), node.engine, Exposition()
    scrape = engine.figures(now)
    name = "spillway_gate_"
    ready = node.verdict.ready and node.hangs(now) is None
    found.one(f"{name}ready", "gauge", "1 when /readyz is 200.", int(ready))
    found.one(f"{name}live", "gauge", "1 when /livez is 200.", int(node.alive(now)[0] == 200))
    reasons = [({"reason": reason}, int(reason == node.verdict.reason)) for reason in REASONS]
    found.add(f"{name}reason", "gauge", "1 for what keeps the node from being ready.", reasons)
    found.add(
        f"{name}transitions_total", "counter", "Changes of state, by the new one.",
        [({"state": to}, number) for to, number in sorted(node.transitions.items())],
    )  # fmt: skip
    found.one(f"{name}queue_requests", "gauge", "Requests that wait in the engine.", scrape.waiting if scrape else None)
    found.one(
        f"{name}running_requests", "gauge", "Requests that the engine works on.", scrape.running if scrape else None
    )
    found.one(
        f"{name}ttft_p50_seconds", "gauge", "Median time to first token, one minute.", engine.window.ttft_p50(now)
    )
    found.one(
        f"{name}error_ratio", "gauge", "Share of requests that failed, five minutes.", engine.window.error_rate(now)
    )
    found.add(
        f"{name}limit", "gauge", "This node's limits: requests, seconds, share.",
        [({"reason": reason}, value) for reason, value in node.limits.items()],
    )  # fmt: skip
    found.add(
        f"{name}over_limit", "gauge", "1 while over a limit, whether or not the guard lets it show.",
        [({"reason": reason}, int(entry.active)) for reason, entry in node.load.items()],
    )  # fmt: skip
    found.one(
        f"{name}guard_holds", "gauge", "1 while the guard keeps a loaded node ready.", int(node.guard.resting(now))
    )
    found.add(
        f"{name}circuit", "gauge", "State of the circuit breaker.",
        [({"state": at}, int(at == engine.breaker.state)) for at in ("closed", "open", "half-open")],
    )  # fmt: skip
    found.one(f"{name}circuit_opened_total", "counter", "How often it opened.", engine.breaker.opened)
    found.one(f"{name}engine_warm", "gauge", "1 after this engine made a token.", int(engine.warm))
    found.one(f"{name}engine_losses_total", "counter", "Warm engines that were lost.", engine.restarts)
    found.add(
        f"{name}engine_polls_total", "counter", "Questions to the engine, by what was asked and the answer.",
        [({"what": what, "result": result}, number) for (what, result), number in sorted(engine.polls.items())],
    )  # fmt: skip
    found.one(
        f"{name}engine_metrics_age_seconds", "gauge", "Age of the figures.",
        None if engine.scraped_at is None else round(now - engine.scraped_at, 3),
    )  # fmt: skip
    found.add(
        f"{name}admissions_total", "counter", "Requests to /admit, by key and what they got.",
        [({"key": key, "result": result}, number) for (key, result), number in sorted(door.answers.items())],
    )  # fmt: skip
    found.one(
        f"{name}keys", "gauge", "API keys in force.", None if node.keyring.keys is None else len(node.keyring.keys)
    )
    faults = {name: file.fault for name, file in node.files.files.items()} | {"keys": node.keys_file.fault}
    found.add(
        f"{name}file_unusable", "gauge", "1 while a state file or keys.json cannot be used.",
        [({"file": f"{of}.json"}, int(bool(fault))) for of, fault in faults.items()],
    )  # fmt: skip
    found.one(
        f"{name}latch_unwritten",
        "gauge",
        "1 while the gate's own state cannot be kept.",
        int(bool(node.latch_fault)),
    )
    secrets, stage = node.files["secrets"] or {}, node.files["stage"] or {}
    found.one(
        f"{name}certificate_expiry_timestamp_seconds", "gauge", "When the certificate ends (unix).",
        unix(secrets.get("notAfter")),
    )  # fmt: skip
    found.one(f"{name}staged_bytes", "gauge", "Weights on scratch.", _number(stage.get("bytes")))
    found.one(f"{name}stage_bytes", "gauge", "Weights that there are to stage.", _number(stage.get("total")))
    drain = node.files["drain"] or {}
    cause = str(drain.get("cause", "unknown"))
    found.add(
        f"{name}draining", "gauge", "1 while the node leaves, by the cause.",
        [({"cause": cause}, 1)] if node.files.exists("drain") else [({"cause": "none"}, 0)],
    )  # fmt: skip
    found.one(f"{name}journal_dropped_total", "counter", "Lines that the journal did not take.", node.journal.dropped)
    return found.text()


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
