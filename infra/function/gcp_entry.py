"""Cloud Run functions (2nd gen): `main.py` of the archive, entry point `fallback`, called by Cloud Scheduler.

A plain function of a request and so of HTTP signature; the Functions Framework needs no decorator for it
(https://github.com/GoogleCloudPlatform/functions-framework-python). A run that fails answers 500: the scheduler's job
shows it, and a retry of the same minute changes nothing that is done already.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from infra.function.gcp import GcpCloud
from infra.function.loop import run
from infra.function.retries import Budget
from infra.function.settings import GcpSettings

# https://docs.cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs#HttpTarget (headers)
SCHEDULED: Final = "X-CloudScheduler-ScheduleTime"


def fallback(request: Any) -> tuple[dict[str, Any], int]:
    """One run for the minute for which it was scheduled; answers what was decided."""
    settings = GcpSettings.read(os.environ)
    outcome = run(settings, GcpCloud(settings, Budget()), minute_of(request.headers), _log)
    decision = outcome.decision
    body = {
        "onDemandDesired": decision.on_demand_desired if decision else None,
        "reason": decision.reason.value if decision else None,
        "errors": outcome.errors,
    }
    return body, 200 if outcome.ok else 500


def minute_of(headers: Mapping[str, str]) -> int:
    """Minutes since the epoch: the schedule's, so that a late call or a retry is of its minute; else the clock's."""
    try:
        return int(datetime.fromisoformat(headers.get(SCHEDULED, "")).timestamp()) // 60
    except ValueError:
        return int(time.time()) // 60


def _log(line: str) -> None:
    # One JSON object on stdout is a structured entry: https://docs.cloud.google.com/logging/docs/structured-logging
    print(line, flush=True)  # noqa: T201
