"""What a price is per, in the providers' own units, and how many base units one of them holds."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final


@dataclass(frozen=True, slots=True)
class Unit:
    """name: as price pages say it. base: what quantities are counted in. per: base units in one."""

    name: str
    base: str
    per: Decimal = Decimal(1)


_ALL: Final = (
    # Things that are there for a time.
    Unit("hour", "hours"),
    Unit("month", "months"),
    Unit("GiB-hour", "GiB-hours"),
    Unit("GiB-month", "GiB-months"),
    Unit("IOPS-hour", "IOPS-hours"),
    Unit("IOPS-month", "IOPS-months"),
    Unit("MiBps-hour", "MiB/s-hours"),
    Unit("MiBps-month", "MiB/s-months"),
    Unit("metric-month", "metrics a month"),
    Unit("alarm-month", "alarms a month"),
    Unit("secret-month", "secrets a month"),
    Unit("job-month", "jobs a month"),
    Unit("zone-month", "zones a month"),
    Unit("check-month", "health checks a month"),
    Unit("endpoint-month", "endpoints a month"),
    Unit("NLCU-hour", "NLCU-hours"),
    # Things that are used up.
    Unit("GB", "GB"),
    Unit("GiB", "GiB"),
    Unit("1k requests", "requests", Decimal(1_000)),
    Unit("10k requests", "requests", Decimal(10_000)),
    Unit("100k requests", "requests", Decimal(100_000)),
    Unit("1M requests", "requests", Decimal(1_000_000)),
    Unit("500k requests", "requests", Decimal(500_000)),
    Unit("1M queries", "queries", Decimal(1_000_000)),
    Unit("1k metrics", "metrics", Decimal(1_000)),
    Unit("GiB-second", "GiB-seconds"),
    Unit("vCPU-second", "vCPU-seconds"),
    Unit("MiB", "MiB"),
    Unit("1M tokens", "tokens", Decimal(1_000_000)),
)
UNITS: Final = {unit.name: unit for unit in _ALL}
