"""How often the gate looks, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Seconds. How often the engine is asked, and how long it may take."""

    tick: float = 0.25
    """State files are read, limits judged."""
    health: float = 1.0
    health_timeout: float = 5.0
    metrics: float = 1.0
    metrics_timeout: float = 5.0
    stale: float = 10.0
    """Figures older than this are not known any more."""
    warm_retry: float = 2.0
    warm_timeout: float = 60.0
    probe_timeout: float = 30.0
    """Of a half-open probe: it may queue behind others."""
    check_timeout: float = 10.0
    idle: float = 60.0
    """Without any token an idle engine is asked for one."""
    stuck: float = 15.0
    """The same, with requests running or without figures."""
    doubt: float = 1.0
    """Pause after a check that failed."""
    unit: float = 10.0
    """systemd is asked about the engine's unit."""
    rise: float = 5.0
    """Over a limit so long until the node says so, and below it so long until it is forgotten."""
    guard_longest: float = 120.0
    guard_rest: float = 60.0
