"""Reading and writing the weather file, for the command line and for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sandbox.clouds import WEATHER, claim, write_whole
from sandbox.store import STRIKES
from sandbox.weather import Weather, load, parse


def read(directory: Path) -> Weather:
    """The weather of a sandbox; fair when there is no file. Raises WeatherError for a faulty file."""
    return load(directory / WEATHER) or Weather()


def add(directory: Path, section: str, entry: dict[str, Any]) -> None:
    """Append one entry to a section (`soldOut`, `quotas`, `faults`). Raises WeatherError when it is not allowed."""
    data = read(directory).model_dump(by_alias=True, exclude_defaults=True)
    entries = [*data.get(section, ()), entry]
    data[section] = entries
    text = yaml.safe_dump({key: [dict(e) for e in value] for key, value in data.items()}, sort_keys=False)
    parse(text, "weather")
    claim(directory)
    write_whole(directory / WEATHER, text)


def clear(directory: Path) -> None:
    """Remove the weather file, and forget how often its faults struck."""
    (directory / WEATHER).unlink(missing_ok=True)
    for suffix in ("", "-wal", "-shm"):
        (directory / f"{STRIKES}{suffix}").unlink(missing_ok=True)


def text(weather: Weather) -> str:
    """The weather as the YAML a person would write."""
    data = weather.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    return (
        yaml.safe_dump(data, sort_keys=False).rstrip() if data else "fair: nothing sold out, default quotas, no faults"
    )
