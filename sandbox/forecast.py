"""Reading and writing the weather file, for the command line and for tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from sandbox.store import STRIKES
from sandbox.weather import Weather, WeatherError, parse
from spillway.errors import SpillwayError

FILE = "weather.yaml"


def read(directory: Path) -> Weather:
    """The weather of a sandbox; fair when there is no file. Raises SpillwayError for a faulty file."""
    path = directory / FILE
    try:
        return parse(path.read_text() if path.exists() else "", str(path))
    except WeatherError as error:
        raise SpillwayError(*str(error).splitlines()) from None


def add(directory: Path, section: str, entry: dict[str, Any]) -> None:
    """Append one entry to a section (`soldOut`, `quotas`, `faults`). Raises SpillwayError when it is not allowed."""
    data = read(directory).model_dump(by_alias=True, exclude_defaults=True)
    entries = [*data.get(section, ()), entry]
    data[section] = entries
    text = yaml.safe_dump({key: [dict(e) for e in value] for key, value in data.items()}, sort_keys=False)
    try:
        parse(text, f"{section}")
    except WeatherError as error:
        raise SpillwayError(*str(error).splitlines()) from None
    directory.mkdir(parents=True, exist_ok=True)
    draft = directory / f".{FILE}.{os.getpid()}"
    draft.write_text(text)
    draft.replace(directory / FILE)


def clear(directory: Path) -> None:
    """Remove the weather file, and forget how often its faults struck."""
    (directory / FILE).unlink(missing_ok=True)
    for suffix in ("", "-wal", "-shm"):
        (directory / f"{STRIKES}{suffix}").unlink(missing_ok=True)


def text(weather: Weather) -> str:
    """The weather as the YAML a person would write."""
    data = weather.model_dump(by_alias=True, exclude_defaults=True, mode="json")
    return (
        yaml.safe_dump(data, sort_keys=False).rstrip() if data else "fair: nothing sold out, default quotas, no faults"
    )
