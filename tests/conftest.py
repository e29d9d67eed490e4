"""What holds for all tests, however they were started."""

from __future__ import annotations

import signal
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

# Machines are noisy: how long drawing an example takes says nothing of the test that draws it.
settings.register_profile("spillway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("spillway")

PATIENCE: Final = {"boot": 2400, "vllm": 5400}
"""Seconds for a test with this mark, of which the first one makes a root file system or installs an engine."""


def pytest_configure() -> None:
    """A shell starts background jobs with SIGINT ignored, `nohup` ignores SIGHUP, and children inherit that through
    exec, and a test that interrupts one would wait for ever. A handler is not inherited, so children begin with the
    default, and this process goes on ignoring the signal.

    https://pubs.opengroup.org/onlinepubs/9799919799/functions/exec.html
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark, seconds in PATIENCE.items():
            if item.get_closest_marker(mark):
                item.add_marker(pytest.mark.timeout(seconds))
