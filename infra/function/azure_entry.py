"""Azure Functions, Python v2 programming model: `function_app.py` of the archive.

The host keeps timers single: one instance holds the schedule's lease, a run that is still going is not joined by
another (https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer). A run that fails raises, so that
the invocation counts as failed.
"""

from __future__ import annotations

import logging
import os
import time

import azure.functions as func  # type: ignore[import-untyped, import-not-found, unused-ignore]

from infra.function.azure import AzureCloud
from infra.function.loop import run
from infra.function.retries import Budget
from infra.function.settings import AzureSettings

EARLY_SECONDS = 5
"""A timer may fire a moment before its minute begins."""

app = func.FunctionApp()


@app.timer_trigger(schedule="0 * * * * *", arg_name="timer", run_on_startup=False, use_monitor=False)  # type: ignore[untyped-decorator, unused-ignore]
def fallback(timer: func.TimerRequest) -> None:
    """Once a minute."""
    settings = AzureSettings.read(os.environ)
    minute = int(time.time() + EARLY_SECONDS) // 60
    outcome = run(settings, AzureCloud(settings, Budget()), minute, logging.getLogger("spillway").info)
    if not outcome.ok:
        raise RuntimeError("; ".join(outcome.errors))
